"""Somebody plays the account: what docs/deploy.md names is what the templates make, and the reverse."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest

from conftest import DEPLOY
from shs_deploy.config import KEYS
from written import Json, Written, every_text, text

ROOT = DEPLOY.parent
PAGE = (ROOT / "docs/deploy.md").read_text()
PAGES = PAGE + (ROOT / "docs/operation.md").read_text()
# Made by the commands of the pages themselves, or by nobody: an example of how names are built.
_MADE_BY_COMMANDS = {
    f"shs-prod-{database}-{which}"
    for database in ("warehouse", "metabase")
    for which in ("restored", "before")
}
_NAME = r"shs-prod(?:[-/][a-z0-9]+)*"


def names_made(system: Written) -> set[str]:
    """Return every name with the system's prefix that stands in the templates, and those of the stacks."""
    found = {f"{system.prefix}-{stack}" for stack in system.templates}
    for stack in system.templates.values():
        for value in every_text(stack):
            found |= set(re.findall(_NAME, value))
        for resource in stack["Resources"].values():
            for value in resource.get("Properties", {}).values():
                if isinstance(value, dict) and len(value) == 1:
                    found |= set(re.findall(_NAME, text(value)))
    # Replicas, alarms and log groups are built of such names and stand as they are.
    return found


def names_told(page: str) -> set[str]:
    """Return the names that a page tells; what comes after a name may be a variable."""
    return set(re.findall(_NAME, page)) - _MADE_BY_COMMANDS


def strange(told: set[str], made: set[str]) -> set[str]:
    """Return the names that nothing has, nor anything below them as in `shs-prod/people/…`."""
    return {name for name in told if not any(one == name or one.startswith(f"{name}/") for one in made)}


def test_every_name_of_the_pages_is_made(large: Written) -> None:
    made = names_made(large)
    assert len(names_told(PAGES)) > 20
    assert strange(names_told(PAGES), made) == set()
    assert strange({"shs-prod-warehose", "shs-prod/smpt", "shs-prod-lands"}, made) == {
        *("shs-prod-warehose", "shs-prod/smpt", "shs-prod-lands"),
    }


def test_every_setting_is_told_and_every_setting_that_is_told_exists() -> None:
    (table,) = re.findall(r"## Settings\n.*?\n\n(\|.*?)\n\n", PAGE, re.DOTALL)
    told = {key for row in table.splitlines() for key in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert told == KEYS | {"environment"}
    said = set(re.findall(r" -c (\w+)=", PAGE))
    assert said <= KEYS | {"environment"}
    assert {"environment"} <= said


def outputs(system: Written, stack: str) -> set[str]:
    return set(system.templates[stack].get("Outputs", {}))


def test_every_output_that_is_read_is_written(large: Written, medium: Written) -> None:
    shell = PAGES + "".join(path.read_text() for path in DEPLOY.glob("*.sh"))
    asked = re.findall(
        r"--stack-name \"?(?:shs-prod|\$system)-(\w+)\"?[^`]*?OutputKey=='(\w+)'", shell, re.DOTALL
    )
    assert {("network", "RunNetwork"), ("network", "LoginsNetwork")} <= set(asked)
    assert len(asked) == shell.count("OutputKey==")
    for stack, output in asked:
        assert output in outputs(large, stack)
    assert "BalancerName" in outputs(large, "services")
    assert sum("DkimName" in name for name in outputs(medium, "data")) == 3
    assert sum("DkimValue" in name for name in outputs(medium, "data")) == 3


def test_every_parameter_of_a_stack_that_is_given_exists(large: Written) -> None:
    given = re.findall(r'--parameters "shs-prod-(\w+):(\w+)=', PAGE)
    assert given
    for stack, parameter in given:
        assert parameter in large.templates[stack]["Parameters"]


def test_every_stack_task_and_service_that_a_command_names_exists(large: Written) -> None:
    services = {one["Properties"]["ServiceName"] for one in large.resources("AWS::ECS::Service").values()}
    families = {one["Properties"]["Family"] for one in large.resources("AWS::ECS::TaskDefinition").values()}
    named = set(re.findall(r"--service(?:-name)? (\w+)", PAGES))
    for listed in re.findall(r"for service in ([\w ]+);", PAGES):
        named |= set(listed.split())
    assert named
    assert named <= services
    tasks = set(re.findall(r"--task-definition (shs-prod-\w+)", PAGES))
    assert tasks
    assert tasks <= families


def test_every_script_that_the_page_calls_is_there_and_takes_what_it_is_given() -> None:
    called = set(re.findall(r"(?<![\w/])((?:deploy|scripts)/[\w-]+\.sh)", PAGE))
    assert len(called) >= 4
    for script in called:
        assert (ROOT / script).is_file(), script
    for option in set(re.findall(r"deploy/run\.sh (--\w+)", PAGE)):
        assert option in (DEPLOY / "run.sh").read_text()
    for module in set(re.findall(r"python -m (shs_\w+\.\w+)", PAGE)):
        path = module.replace(".", "/") + ".py"
        assert (DEPLOY / path).is_file() or (ROOT / path).is_file(), module


def alarms(system: Written) -> set[str]:
    found = system.resources("AWS::CloudWatch::Alarm").values()
    return {one["Properties"]["AlarmName"].removeprefix(f"{system.prefix}-") for one in found}


def test_every_alarm_is_explained_and_every_one_that_is_explained_exists(large: Written) -> None:
    (section,) = re.findall(r"## Alarms\n(.*?)\n## ", PAGE, re.DOTALL)
    told = {name for row in section.splitlines() if row.startswith("|") for name in names_of(row)}
    patterns = {name.replace("…", "*") for name in told}
    for alarm in alarms(large):
        assert any(fnmatchcase(alarm, pattern) for pattern in patterns), alarm
    for pattern in patterns:
        assert any(fnmatchcase(alarm, pattern) for alarm in alarms(large)), pattern


def names_of(row: str) -> list[str]:
    return re.findall(r"`([A-Z…]\w+)`", row.split("|")[1])


def test_the_callbacks_and_hosts_of_the_page_are_those_of_the_load_balancer(large: Written) -> None:
    hosts: list[Json] = [
        condition
        for rule in large.resources("AWS::ElasticLoadBalancingV2::ListenerRule").values()
        for condition in rule["Properties"]["Conditions"]
        if condition["Field"] == "host-header"
    ]
    assert {host for one in hosts for host in one["HostHeaderConfig"]["Values"]} == {
        *("sales.example.com", "dagster.example.com"),
    }
    assert PAGE.count("/oauth2/idpresponse") == 2


@pytest.mark.parametrize("anchor", sorted(set(re.findall(r"\]\(#([\w-]+)\)", PAGE))))
def test_every_place_on_the_page_that_it_points_to_is_there(anchor: str) -> None:
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
