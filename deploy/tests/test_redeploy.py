from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shs_deploy import redeploy as module
from shs_deploy.redeploy import redeploy

NOON = datetime(2030, 1, 6, 12, tzinfo=UTC)
SERVICES = {"code": ["owner", "smtp"], "metabase": ["metabase"]}


class Ecs:
    """The two calls of ECS that are made, with what they would answer."""

    def __init__(self, **deployed: list[datetime]) -> None:
        self.deployed = deployed
        self.started: list[str] = []

    def describe_services(self, cluster: str, services: list[str]) -> dict[str, Any]:
        assert cluster == "shs-prod"
        return {
            "services": [
                {"serviceName": name, "deployments": [{"createdAt": when} for when in self.deployed[name]]}
                for name in services
            ]
        }

    def update_service(self, *, cluster: str, service: str, forceNewDeployment: bool) -> None:  # noqa: N803
        assert forceNewDeployment
        self.started.append(service)
        self.deployed[service].append(NOON + timedelta(days=1))


class Secrets:
    """When each secret was changed."""

    def __init__(self, **changed: datetime) -> None:
        self.changed = changed

    def describe_secret(self, SecretId: str) -> dict[str, datetime]:  # noqa: N803
        when = self.changed.get(SecretId)
        return {"LastChangedDate": when} if when else {"CreatedDate": NOON - timedelta(days=99)}


def test_a_service_whose_secret_changed_is_started_anew_once() -> None:
    ecs = Ecs(code=[NOON], metabase=[NOON])
    secrets = Secrets(owner=NOON + timedelta(minutes=1))
    assert redeploy(ecs, secrets, "shs-prod", SERVICES) == ["code"]
    assert redeploy(ecs, secrets, "shs-prod", SERVICES) == []
    assert ecs.started == ["code"]


def test_nothing_is_done_while_no_secret_changed() -> None:
    ecs = Ecs(code=[NOON], metabase=[NOON])
    assert redeploy(ecs, Secrets(owner=NOON - timedelta(days=1)), "shs-prod", SERVICES) == []


def test_a_deployment_that_is_under_way_and_began_after_the_change_is_enough() -> None:
    ecs = Ecs(code=[NOON - timedelta(days=7), NOON], metabase=[NOON])
    assert redeploy(ecs, Secrets(smtp=NOON - timedelta(seconds=5)), "shs-prod", SERVICES) == []


def test_the_code_fits_into_the_template() -> None:
    assert len(Path(module.__file__).read_text()) <= 4096
