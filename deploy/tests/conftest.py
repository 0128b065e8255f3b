"""The templates of each size, written once for all tests; no AWS account, no network."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(DEPLOY), str(DEPLOY / "tests"), str(DEPLOY.parent)]

from shs_deploy.node import use_node_of_this_environment  # noqa: E402

use_node_of_this_environment()

from written import Written  # noqa: E402

NEEDED = {
    "owner": "Sales Operations",
    "metabase_host": "sales.example.com",
    "allowed_networks": ["203.0.113.0/24", "198.51.100.17/32"],
    "admin_mail": "admin@example.com",
    "alarm_mail": ["admin@example.com", "operations@example.com"],
}
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
CONNECTION = "arn:aws:codeconnections:us-east-1:123456789012:connection/00000000-0000-0000-0000-000000000000"
OIDC = {
    "dagster_host": "dagster.example.com",
    "dagster_group": "tracker-admins",
    "oidc_issuer": "https://login.example.com",
    "oidc_authorization_endpoint": "https://login.example.com/authorize",
    "oidc_token_endpoint": "https://login.example.com/token",
    "oidc_user_info_endpoint": "https://login.example.com/userinfo",
    "oidc_client_id": "sales-tracker",
    "oidc_secret": "sales-tracker-oidc",
}
ZONE = {"hosted_zone_id": "Z0123456789EXAMPLE", "hosted_zone_name": "example.com"}
MAIL = {"mail_domain": "sales.example.com", "mail_sender": "Sales Tracker <tracker@sales.example.com>"}

# The least that may be set, a usual company, and everything that can be switched on.
CONTEXTS: dict[str, dict[str, object]] = {
    "small": {**NEEDED, "environment": "test", "certificate_arn": CERTIFICATE},
    "medium": {
        **NEEDED,
        **OIDC,
        **MAIL,
        "environment": "stage",
        "size": "medium",
        "allowed_networks": "everywhere",
        "certificate_arn": [CERTIFICATE],
        "connection_arn": CONNECTION,
        "repository": "example-company/sales-tracker",
    },
    "large": {
        **NEEDED,
        **OIDC,
        **MAIL,
        **ZONE,
        "environment": "prod",
        "size": "large",
        "metabase_oidc": True,
        "backup_region": "eu-west-1",
        "keep_years": 12,
        "oidc_scope": "openid groups",
        "zones": "us-east-1a,us-east-1b",
        "approval": "true",
        "docker_hub_secret": "docker-hub",
        "notice_ok": True,
        "statement_links": "2h",
        "connection_arn": CONNECTION,
        "repository": "example-company/sales-tracker",
    },
}


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Written]:
    """Return the function that writes the templates of one of `CONTEXTS`, each once."""
    from shs_deploy.build import build_app

    written: dict[str, Written] = {}

    def of(name: str) -> Written:
        if name not in written:
            folder = tmp_path_factory.mktemp(name)
            build_app(CONTEXTS[name], outdir=str(folder)).synth()
            prefix = f"shs-{CONTEXTS[name]['environment']}"
            templates = {
                path.name.removeprefix(f"{prefix}-").removesuffix(".template.json"): json.loads(
                    path.read_text()
                )
                for path in sorted(folder.glob("*.template.json"))
            }
            written[name] = Written(prefix, folder, templates)
        return written[name]

    return of


@pytest.fixture(scope="session")
def small(write: Callable[[str], Written]) -> Written:
    """The least that may be set: no mail, no hosted zone, Dagster's UI private."""
    return write("small")


@pytest.fixture(scope="session")
def medium(write: Callable[[str], Written]) -> Written:
    """A usual company: mail, OIDC, a repository."""
    return write("medium")


@pytest.fixture(scope="session")
def large(write: Callable[[str], Written]) -> Written:
    """Everything that can be switched on."""
    return write("large")


@pytest.fixture(scope="session", params=list(CONTEXTS))
def each(request: pytest.FixtureRequest, write: Callable[[str], Written]) -> Written:
    """Each size, one after the other."""
    return write(request.param)
