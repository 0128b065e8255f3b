"""The dbt project: every mart says what people rely on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from shs_pipeline.landing.names import SOURCE_NAMES
from shs_pipeline.marts import dbt_build
from shs_pipeline.marts.dbt_build import prepare_manifest

PROJECT = Path(__file__).parents[2] / "dbt_project"
READERS = {"rep", "everyone", "admin", "owner"}
"""Who may read a mart, as `macros/access.sql` knows it."""
# It is written by the publication itself, which contracts do not know.
WITHOUT_CONTRACT = {"publications"}
DASHBOARDS = {
    "My statement", "Sales performance", "Commission report", "Payout explained", "Sales history", "Admin",
    "Explore",
}  # fmt: skip
COMMANDS = {"shs explain", "shs diff", "shs demo", "shs close", "shs statement"}

Node = Mapping[str, Any]


@pytest.fixture(scope="module")
def manifest() -> Node:
    """The parsed project."""
    parsed: Node = json.loads((prepare_manifest() / "manifest.json").read_text())
    return parsed


@pytest.mark.soak
def test_dbt_parses_the_project_without_a_database_and_warns_of_nothing(tmp_path: Path) -> None:
    folder = str(tmp_path)
    outcome = subprocess.run(
        [
            *(sys.executable, "-m", "dbt.cli.main", "parse", "--no-use-colors"),
            *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
            *("--target-path", folder, "--log-path", folder),
        ],
        env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    # A misspelled key is only warned of.
    assert "[WARNING]" not in outcome.stdout, outcome.stdout


def marts_of(manifest: Node) -> dict[str, Node]:
    """The marts by name, also those of the system's own use."""
    return {
        node["name"]: node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] == "candidate"
    }


def faults_of(mart: Node) -> Iterator[str]:
    """What a mart leaves open that people, or the publication, rely on."""
    if not mart["description"].strip():
        yield "has no description"
    if not mart["columns"]:
        yield "names no columns"
    for name, column in mart["columns"].items():
        if not column["description"].strip():
            yield f"column {name} has no description"
        if not column["data_type"]:
            yield f"column {name} has no data type"
    if not mart["config"]["contract"]["enforced"] and mart["name"] not in WITHOUT_CONTRACT:
        yield "has no enforced contract"
    if not mart["config"]["group"]:
        yield "is in no group"
    yield from faults_of_access(mart["config"]["meta"], mart["columns"])


def faults_of_access(meta: Node, columns: Node) -> Iterator[str]:
    readers = meta.get("readers")
    if readers not in READERS:
        yield f"is read by {readers}, and nobody knows who that is"
    if readers == "rep" and meta.get("rep_column", "rep_name") not in columns:
        yield "shows reps their rows, and has no column that names the rep"


def unread(marts: Mapping[str, Node], exposures: Node) -> set[str]:
    """The marts that people may read and nothing is known to read."""
    read = {unique_id for exposure in exposures.values() for unique_id in exposure["depends_on"]["nodes"]}
    return {
        name
        for name, mart in marts.items()
        if mart["config"]["meta"]["readers"] != "owner" and mart["unique_id"] not in read
    }


def test_the_project_has_all_marts(manifest: Node) -> None:
    wanted = {
        "harmonised_sales", "commission_payouts", "payout_explanations", "tier_progress",
        "sales_performance_monthly", "company_performance_monthly", "uncredited_sales", "upload_status",
        "upload_detail", "people", "publications", "published_names", "published_slices", "revenue_months",
        "rejected_files", "upload_files", "repeated_lines", "rows_to_add", "payout_changes", "holds",
        "logins", "pay_periods", "close_checklist", "statements",
        "statement_items", "statement_lines", "payroll", "reference_findings",
        *(f"sales_history_{source}" for source in SOURCE_NAMES),
    }  # fmt: skip

    assert marts_of(manifest).keys() == wanted


def test_every_mart_says_what_its_columns_are_and_who_reads_it(manifest: Node) -> None:
    faults = [f"{name} {fault}" for name, mart in marts_of(manifest).items() for fault in faults_of(mart)]

    assert not faults, "; ".join(faults)


@pytest.mark.parametrize(
    ("place", "value", "fault"),
    [
        (("description",), "\n", "has no description"),
        (("columns",), {}, "names no columns"),
        (("columns", "payout", "description"), "", "column payout has no description"),
        (("columns", "payout", "data_type"), None, "column payout has no data type"),
        (("config", "contract", "enforced"), False, "has no enforced contract"),
        (("config", "group"), None, "is in no group"),
        (("config", "meta", "readers"), "reps", "is read by reps"),
        (("config", "meta", "rep_column"), "rep", "no column that names the rep"),
    ],
)
def test_a_mart_that_leaves_something_open_is_named(
    manifest: Node, place: tuple[str, ...], value: object, fault: str
) -> None:
    mart = deepcopy(dict(marts_of(manifest)["commission_payouts"]))
    *above, last = place
    inner: dict[str, Any] = mart
    for key in above:
        inner = inner[key]
    inner[last] = value

    assert any(fault in found for found in faults_of(mart))


def test_every_group_has_an_owner(manifest: Node) -> None:
    groups = {group["name"]: group["owner"]["name"] for group in manifest["groups"].values()}

    assert {mart["config"]["group"] for mart in marts_of(manifest).values()} <= groups.keys()
    assert all(groups.values())


def test_whatever_people_read_is_read_by_something_that_is_named(manifest: Node) -> None:
    marts, exposures = marts_of(manifest), manifest["exposures"]

    assert {exposure["label"] for exposure in exposures.values()} == DASHBOARDS | COMMANDS
    for exposure in exposures.values():
        assert exposure["description"].strip(), exposure["label"]
        assert exposure["owner"]["name"], exposure["label"]
        names = {unique_id.rpartition(".")[2] for unique_id in exposure["depends_on"]["nodes"]}
        assert names, exposure["label"]
        assert names <= marts.keys(), "people read marts only"
    assert unread(marts, exposures) == set(), "name what reads it in dbt_project/models/exposures.yml"


def test_a_mart_that_nothing_reads_is_named(manifest: Node) -> None:
    without = {key: found for key, found in manifest["exposures"].items() if found["label"] != "Admin"}

    assert unread(marts_of(manifest), without) == {
        "upload_detail", "upload_files", "rejected_files", "repeated_lines", "reference_findings",
        "rows_to_add", "holds", "logins",
    }  # fmt: skip


def test_a_build_reads_the_macros_alone_that_it_can_come_to(manifest: Node) -> None:
    built = dbt_build._read_manifest(prepare_manifest(), "anywhere", is_build=True).macros

    for node in manifest["nodes"].values():
        assert set(node["depends_on"].get("macros", ())) <= built.keys(), node["unique_id"]
    for macro in built.values():
        assert set(macro.depends_on.macros) <= built.keys(), macro.name
    assert "macro.shs.materialization_publication_postgres" in built
    # dbt gives each node a copy of them all: of seeds, snapshots and clones there are none here.
    assert len(built) < len(manifest["macros"]) / 3
    assert not [macro.name for macro in built.values() if "snapshot" in macro.name or "seed" in macro.name]


def test_a_silent_dbt_makes_the_messages_that_are_told_and_no_others() -> None:
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.event_manager_client import add_callback_to_manager
    from dbt_common.events.functions import fire_event
    from dbt_common.events.types import Note

    told: list[str] = []
    with dbt_build._silence():
        add_callback_to_manager(lambda message: told.append(str(message.data.msg)))
        quiet = Note(msg="nobody is told")
        fire_event(quiet)
        fire_event(Note(msg="a misspelt key"), level=EventLevel.WARN)
        assert "made" not in quiet.__dict__

    assert told == ["a misspelt key"]
    assert Note(msg="as before").pb_msg.msg == "as before"
