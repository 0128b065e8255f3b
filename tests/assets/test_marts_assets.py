"""The marts in Dagster: one graph from the bucket to what people read, built behind the files."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from assets.ingested import ACCEPT_TAG, BUCKET_KEY, reference_key, source_key
from assets.marts import LOGINS_KEY, PUBLICATIONS_KEY, _told
from assets.metabase import METABASE_KEY
from assets.warehouse import Warehouse
from shs_pipeline.definitions import build_defs
from shs_pipeline.landing.names import SOURCE_NAMES
from shs_pipeline.marts.build import BuildReport
from shs_pipeline.marts.dbt_build import definition_hash
from shs_pipeline.marts.due import Publication
from shs_pipeline.marts.guard import HeldBuild, HeldBuildError
from shs_pipeline.marts.restated import Nobodys, RestatedMonth
from shs_pipeline.people.access import drop_logins
from shs_pipeline.samples.tree import make_sample, write_samples
from shs_pipeline.settings.secret_store import secret_store
from shs_pipeline.settings.settings import load_settings

PAYOUTS = dg.AssetKey(["marts", "commission_payouts"])
LINES = dg.AssetKey(["marts", "harmonised_sales"])


@pytest.fixture
def landing(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    monkeypatch.setenv("SHS_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("SHS_LANDING", folder.as_uri())
    monkeypatch.setenv("SHS_DATABASE_URL", database)
    yield folder
    with psycopg.connect(database, autocommit=True) as owner:
        drop_logins(owner, secret_store(load_settings()))


def run(selection: dg.AssetSelection, raises: bool = True, **options: object) -> dg.ExecuteInProcessResult:
    job = dg.define_asset_job("probe", selection=selection)
    with dg.DagsterInstance.ephemeral() as instance:
        return (
            build_defs(jobs=[job])
            .resolve_job_def("probe")
            .execute_in_process(instance=instance, raise_on_error=raises, **options)
        )


def materialised(result: dg.ExecuteInProcessResult) -> set[dg.AssetKey]:
    return {event.asset_key for event in result.get_asset_materialization_events()}


def behind_the_files() -> dg.AssetSelection:
    """What the sensor puts behind the files of a run."""
    graph = build_defs().resolve_asset_graph()
    return dg.AssetSelection.assets(
        *(key for key in graph.get_all_asset_keys() if key.path[0] in ("staging", "intermediate", "marts")),
        LOGINS_KEY,
    )


def test_the_log_of_a_run_says_which_earlier_months_changed_and_what_is_nobodys() -> None:
    publication = Publication(7, "hash", date(2025, 10, 1), 3, datetime(2025, 12, 1, tzinfo=UTC))
    report = BuildReport(publication, False, slices=2, lines=40, seconds=1.5)

    assert _told(report) == "Publication 7: 2 months of sources recomputed, 40 lines, in 1.5 s."
    changed = RestatedMonth(date(2025, 10, 1), 13, Decimal("2302.1"))
    more = replace(report, restated=[changed], nobodys=Nobodys(2, Decimal("146603.5")))
    assert _told(more) == (
        f"{_told(report)} 13 payouts of 2025-10 change, +2,302.10."
        " 2 lines credited to nobody, 146,603.50 in sales."
    )


def test_one_graph_runs_from_the_bucket_to_the_marts_and_the_logins() -> None:
    graph = build_defs().resolve_asset_graph()

    upstream = dg.AssetSelection.assets(LOGINS_KEY).upstream().resolve(graph)

    assert {LINES, PAYOUTS, PUBLICATIONS_KEY} <= upstream
    assert BUCKET_KEY in graph.get(source_key("novo")).parent_keys
    assert {source_key(name) for name in SOURCE_NAMES} <= upstream
    assert {reference_key("territories"), reference_key("commission_tiers")} <= upstream
    assert graph.get(LINES).description.startswith("One row per credited part of a sale line")


@pytest.mark.parametrize(("url", "is_there"), [("", False), ("https://metabase.example.com", True)])
def test_metabase_is_part_of_the_graph_where_one_is_named(
    monkeypatch: pytest.MonkeyPatch, url: str, is_there: bool
) -> None:
    monkeypatch.setenv("SHS_METABASE_URL", url)

    keys = build_defs().resolve_asset_graph().get_all_asset_keys()

    assert (METABASE_KEY in keys) is is_there


@pytest.mark.slow
def test_a_run_of_a_month_builds_the_marts_behind_it_and_says_what_was_asked(
    landing: Path, database: str
) -> None:
    write_samples(landing, months=1, lines=4, seed=1, until=date(2025, 3, 1))
    Warehouse().ingestion("tables")  # makes nothing: the first run below does
    keys = dg.AssetSelection.assets(*map(source_key, SOURCE_NAMES))

    result = run(keys | behind_the_files(), raises=False, partition_key="2025-03")

    # QuickBooks is rejected, since its reference table was not read: red, and all others are published.
    assert [event.step_key for event in result.all_events if event.is_step_failure] == [
        "raw_quickbooks_checks"
    ]
    assert {PAYOUTS, LINES, PUBLICATIONS_KEY, LOGINS_KEY, source_key("novo")} <= materialised(result)
    checks = {found.check_name: found.passed for found in result.get_asset_check_evaluations()}
    assert checks["harmonised_sales_rules"]
    assert checks["commission_payouts_rules"]
    with psycopg.connect(database) as connection:
        (published,) = connection.execute("select run_id from marts.publications").fetchall()
    assert published[0] == result.dagster_run.run_id

    # Nothing changed, so a second run builds nothing and nobody's report moves.
    assert PAYOUTS not in materialised(run(behind_the_files()))


@pytest.mark.usefixtures("landing")
@pytest.mark.parametrize(
    ("options", "is_accepted"),
    [
        ({}, False),
        ({"run_config": {"ops": {"marts": {"config": {"accept": True}}}}}, True),
        ({"tags": {ACCEPT_TAG: "yes"}}, True),
    ],
    ids=["by itself", "in the launchpad", "by the tag"],
)
def test_a_held_build_fails_its_run_and_a_confirmed_run_accepts_it(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, object], is_accepted: bool
) -> None:
    asked: list[tuple[str, str]] = []

    def held(_: Warehouse, run_id: str, accepted_by: str) -> BuildReport:
        asked.append((run_id, accepted_by))
        raise HeldBuildError(HeldBuild("It was held.", "Accept it.", "", "", (), (), ()), ())

    monkeypatch.setattr(Warehouse, "marts", held)
    monkeypatch.setattr(Warehouse, "read_back", lambda _: None)

    result = run(dg.AssetSelection.assets(PAYOUTS), raises=False, **options)

    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_failure_data.user_failure_data.description == "It was held. Accept it."
    run_id = result.dagster_run.run_id
    assert asked == [(run_id, f"Dagster run {run_id}" if is_accepted else "")]


@pytest.mark.slow
def test_a_failed_rule_publishes_nothing_and_names_the_rule_and_the_line(
    landing: Path, database: str
) -> None:
    sample = make_sample("cygnus", date(2025, 3, 1), lines=3, seed=1)
    (landing / sample.path).parent.mkdir(parents=True)
    (landing / sample.path).write_bytes(sample.content)
    with Warehouse().ingestion("by hand") as job:
        from shs_pipeline.ingest.run import run_changed

        run_changed(job)
    Warehouse().marts("the good state")
    later = make_sample("cygnus", date(2025, 4, 1), lines=3, seed=2)
    (landing / later.path).parent.mkdir(parents=True)
    (landing / later.path).write_bytes(later.content)
    with Warehouse().ingestion("by hand") as job:
        run_changed(job)
    with psycopg.connect(database, autocommit=True) as owner:
        # Half of a line as no load can leave it: what a rule of the audit is for.
        owner.execute(
            "create or replace view intermediate.sale_lines as"
            " select *, file_id || '/' || source_row as line_id from intermediate.all_lines"
            " where commission_month = '2025-04-01' and source_row <> (select max(source_row)"
            " from raw.cygnus where commission_month = '2025-04-01')"
        )

    result = run(behind_the_files(), raises=False)

    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    said = failure.step_failure_data.user_failure_data.description
    assert "every line that was loaded" in said, said
    assert "lines_loaded 3, lines 2" in said, said
    with psycopg.connect(database) as connection:
        months = connection.execute("select distinct commission_month from marts.harmonised_sales").fetchall()
        runs = connection.execute("select run_id, definition_hash from marts.publications").fetchall()
    assert months == [(date(2025, 3, 1),)]
    assert runs == [("the good state", definition_hash())]
    assert PAYOUTS not in materialised(result)
