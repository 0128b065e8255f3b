"""Old runs leave Dagster's books, and what the UI says of assets, months and checks stays as it was."""

from __future__ import annotations

import importlib.util
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
import yaml
from dagster import DagsterInstance
from dagster._core.test_utils import in_process_test_workspace
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_graphql.test.utils import execute_dagster_graphql

from sensors import old_runs
from sensors.housekeeping import housekeeping_schedule
from sensors.old_runs import remove_old_runs
from shs_pipeline.system import dagster_books
from shs_pipeline.system.dagster_books import read_dagster_books
from tests.helpers.dagster_variables import dagster_variables

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
DAYS = 180
DEFINITIONS = """
import dagster as dg

months = dg.StaticPartitionsDefinition(["2025-01", "2025-02", "2025-03", "2025-04"])


@dg.asset(partitions_def=months, backfill_policy=dg.BackfillPolicy.single_run())
def cygnus(context):
    print("read")
    if "fails" in context.run.tags:
        raise ValueError("the file is broken")
    for month in context.partition_keys:
        yield dg.MaterializeResult(metadata={"lines": int(context.run.tags.get("lines", 1))})


@dg.asset(deps=[cygnus])
def payouts(context):
    return dg.MaterializeResult(metadata={"lines": 7})


@dg.asset_check(asset=cygnus)
def no_file_rejected():
    return dg.AssetCheckResult(passed=True, metadata={"files": 3})


@dg.asset_check(asset=payouts)
def adds_up(context):
    return dg.AssetCheckResult(passed="wrong" not in context.run.tags)


checks = dg.define_asset_job("checks", selection=dg.AssetSelection.all_asset_checks())
defs = dg.Definitions(
    assets=[cygnus, payouts], asset_checks=[no_file_rejected, adds_up], jobs=[checks],
    executor=dg.in_process_executor,
)
"""
UI = """
{ assetNodes {
    assetKey { path }
    partitionStats { numMaterialized numFailed numPartitions }
    assetPartitionStatuses { ... on DefaultPartitionStatuses {
        materializedPartitions failedPartitions unmaterializedPartitions } }
    assetMaterializations(limit: 1) { runId partition timestamp
        metadataEntries { label ... on IntMetadataEntry { intValue } } }
    latestMaterializationByPartition { partition runId timestamp }
    assetChecksOrError { ... on AssetChecks { checks { name
        executionForLatestMaterialization { status runId
            evaluation { success metadataEntries { label } targetMaterialization { runId } } } } } }
} }
"""


@dataclass
class Books:
    """An instance on a real server, a few definitions, and the UI's view of them."""

    instance: DagsterInstance
    module: ModuleType
    database: str
    file: Path
    logs: Path

    def run(self, *assets: str, month: str | None = None, **tags: str) -> str:
        selection = [dg.AssetKey(name) for name in assets]
        result = (
            self.module.defs.resolve_implicit_global_asset_job_def()
            if assets
            else self.module.defs.resolve_job_def("checks")
        ).execute_in_process(
            instance=self.instance, asset_selection=selection or None, partition_key=month, tags=tags,
            raise_on_error=False,
        )  # fmt: skip
        return str(result.run_id)

    def age(self, days: int, *runs: str) -> None:
        """Let runs have ended so many days earlier; the empty name is for what was told without a run."""
        ago = f"- interval '{days} days'"
        with psycopg.connect(self.database, autocommit=True) as connection:
            for table, column in (
                ("runs", "update_timestamp"),
                ("event_logs", "timestamp"),
                ("asset_check_executions", "create_timestamp"),
            ):
                statement = f"update {table} set {column} = {column} {ago} where run_id = any(%s)"
                connection.execute(statement.encode(), [list(runs)])

    def shown(self) -> Any:
        """What the UI shows of all assets."""
        origin = LoadableTargetOrigin(python_file=str(self.file))
        with in_process_test_workspace(self.instance, origin) as context:
            found = execute_dagster_graphql(context, UI)
        assert found.errors is None, found.errors
        return found.data["assetNodes"]

    def has(self, run: str) -> bool:
        return self.instance.get_run_by_id(run) is not None

    def count(self, statement: str, *values: object) -> int:
        with psycopg.connect(self.database) as connection:
            row = connection.execute(statement.encode(), values).fetchone()
        assert row is not None
        return int(row[0])

    def events(self, run: str) -> int:
        return self.count("select count(*) from event_logs where run_id = %s", run)


@pytest.fixture
def books(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    for name, value in dagster_variables(database, tmp_path / "storage").items():
        monkeypatch.setenv(name, value)
    parts = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    kept = {name: parts[name] for name in ("storage", "compute_logs", "local_artifact_storage", "telemetry")}
    (tmp_path / "dagster.yaml").write_text(yaml.dump(kept))
    file = tmp_path / f"tiny_{secrets.token_hex(4)}.py"
    file.write_text(DEFINITIONS)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        yield Books(instance, module, database, file, tmp_path / "storage")


def test_what_is_shown_stays_and_what_nothing_rests_on_goes(books: Books) -> None:
    january = books.run("cygnus", "payouts", month="2025-01", lines="5")
    february_first = books.run("cygnus", month="2025-02")
    failed_before = books.run("cygnus", month="2025-02", fails="yes")
    february = books.run("cygnus", "payouts", month="2025-02")
    march_failed = books.run("cygnus", month="2025-03", fails="yes")
    many_checks = [books.run() for _ in range(3)]
    last_checks = books.run(wrong="yes")
    recent = books.run("cygnus", month="2025-04")
    old = [january, february_first, failed_before, february, march_failed, *many_checks, last_checks]
    books.age(DAYS + 1, *old)
    books.age(DAYS - 1, recent)
    before = books.shown()
    whole = books.events(recent)

    removed = remove_old_runs(books.instance, DAYS)

    assert books.shown() == before
    cygnus = next(one for one in before if one["assetKey"]["path"] == ["cygnus"])
    assert cygnus["partitionStats"] == {"numMaterialized": 3, "numFailed": 1, "numPartitions": 4}
    # Nothing rests on these: later ones told the same of the same months and checks.
    assert not any(books.has(run) for run in (february_first, failed_before, *many_checks))
    assert all(books.has(run) for run in (january, february, march_failed, last_checks, recent))
    assert removed.runs == 5
    assert removed.is_whole
    # They stay without their log, and the recent one whole.
    assert books.events(january) == 1
    assert 0 < books.events(february) <= 2
    assert books.events(recent) == whole
    assert books.count("select count(*) from asset_check_executions") == 2
    assert books.count(
        "select count(*) from asset_event_tags as t left join event_logs as e on e.id = t.event_id"
        " where e.id is null"
    ) == 0  # fmt: skip

    again = remove_old_runs(books.instance, DAYS)

    assert (again.runs, again.events, again.checks) == (0, 0, 0)
    assert books.shown() == before


def test_a_run_goes_once_a_later_one_has_taken_its_place(books: Books) -> None:
    first = books.run("cygnus", month="2025-01")
    books.age(DAYS + 10, first)
    remove_old_runs(books.instance, DAYS)
    assert books.has(first)

    second = books.run("cygnus", month="2025-01")
    remove_old_runs(books.instance, DAYS)

    assert not books.has(first)
    assert books.has(second)


def test_a_run_under_way_stays_however_old(books: Books) -> None:
    started = books.run("cygnus", month="2025-01")
    books.run("cygnus", month="2025-01")
    waiting = books.instance.create_run_for_job(dg.GraphDefinition("probe").to_job()).run_id
    with psycopg.connect(books.database, autocommit=True) as connection:
        connection.execute("update runs set status = 'STARTED' where run_id = %s", [started])
    books.age(10 * DAYS, started, waiting)
    events = books.events(started)

    remove_old_runs(books.instance, DAYS)

    assert books.has(started)
    assert books.has(waiting)
    assert books.events(started) == events


def test_what_was_told_without_a_run_goes_when_a_later_one_tells_it_again(books: Books) -> None:
    for lines in (1, 2, 3):
        books.instance.report_runless_asset_event(
            dg.AssetMaterialization("cygnus", partition="2025-01", metadata={"lines": lines})
        )
        books.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey("cygnus"), check_name="no_file_rejected", passed=lines > 1
            )
        )
    books.age(DAYS + 1, "")
    before = books.shown()

    remove_old_runs(books.instance, DAYS)

    assert books.shown() == before
    assert books.count("select count(*) from event_logs where run_id = ''") == 2
    assert books.count("select count(*) from asset_check_executions") == 1


@pytest.mark.parametrize(
    "step",
    [
        "_DELETE_EVENTS",
        *(
            pytest.param(step, marks=pytest.mark.soak)
            for step in ("_CHECKS_OF_RUNS", "_DELETE_TAGS", "_WITHOUT_EVENTS")
        ),
    ],
)
def test_it_may_be_killed_at_any_step_and_goes_on_the_next_time(
    books: Books, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    old = [books.run("cygnus", month="2025-01") for _ in range(3)]
    books.age(DAYS + 1, *old)
    before = books.shown()
    with monkeypatch.context() as patch:
        from sqlalchemy import text

        patch.setattr(old_runs, step, text("select pg_terminate_backend(pg_backend_pid())"))
        with pytest.raises(Exception, match="connection"):
            remove_old_runs(books.instance, DAYS)
    assert books.shown() == before

    removed = remove_old_runs(books.instance, DAYS)

    assert removed.runs == 2
    assert [books.has(run) for run in old] == [False, False, True]
    assert books.shown() == before


def test_it_ends_in_time_and_says_that_more_is_left(books: Books) -> None:
    old = [books.run("cygnus", month="2025-01") for _ in range(2)]
    books.age(DAYS + 1, *old)

    removed = remove_old_runs(books.instance, DAYS, seconds=-1)

    assert not removed.is_whole
    assert all(books.has(run) for run in old)


def test_what_steps_printed_goes_with_their_runs(books: Books) -> None:
    old, recent = books.run("cygnus", month="2025-01"), books.run("cygnus", month="2025-01")
    books.age(DAYS + 1, old)
    unknown, other = str(uuid4()), "not-a-run"
    for name in (old, recent, unknown, other):
        (books.logs / name / "compute_logs").mkdir(parents=True, exist_ok=True)
        (books.logs / name / "compute_logs" / "step.out").write_text("read")
    for name in (unknown, other):
        os.utime(books.logs / name, (0, 0))

    remove_old_runs(books.instance, DAYS)

    # A folder of a run that the books do not know was left by a removal in the UI.
    assert {one.name for one in books.logs.iterdir()} >= {recent, other}
    assert not {one.name for one in books.logs.iterdir()} & {old, unknown}


def test_a_run_over_several_months_stays_for_the_last_of_them(books: Books) -> None:
    span = {"dagster/asset_partition_range_start": "2025-01", "dagster/asset_partition_range_end": "2025-03"}
    several = books.run("cygnus", **span)
    books.run("cygnus", month="2025-01")
    books.run("cygnus", month="2025-02")
    books.age(DAYS + 1, several)
    before = books.shown()

    remove_old_runs(books.instance, DAYS)

    assert books.shown() == before
    assert books.has(several)
    partitions = "select count(*) from event_logs where run_id = %s and dagster_event_type = %s"
    assert books.count(partitions, several, "ASSET_MATERIALIZATION") == 1


def test_what_doctor_says_of_the_books(books: Books) -> None:
    old = books.run("cygnus", month="2025-01")
    books.age(DAYS + 4, old)
    with psycopg.connect(books.database) as connection:
        found = read_dagster_books(connection, DAYS)
        assert found is not None
        assert (found.runs, found.overdue) == (1, 1)
        young = read_dagster_books(connection, DAYS + 30)
        assert young is not None
        assert young.overdue == 0

    with psycopg.connect(books.database, autocommit=True) as connection:
        connection.execute(
            "insert into runs (run_id, pipeline_name, status, run_body, update_timestamp)"
            " values ('done', %s, 'SUCCESS', '{}', now() at time zone 'utc')",
            [dagster_books.REMOVAL],
        )
        # It was looked at yesterday, and stays for the sake of the month that it loaded.
        found = read_dagster_books(connection, DAYS)
    assert found is not None
    assert found.overdue == 0
    assert found.shown.startswith("2 runs, ")


def test_books_that_were_never_written_are_none(database: str) -> None:
    with psycopg.connect(database) as connection:
        assert read_dagster_books(connection, DAYS) is None


def test_the_job_removes_by_the_setting_every_day(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    from assets.warehouse import Warehouse

    schedule = housekeeping_schedule()
    assert (schedule.cron_schedule, schedule.job_name) == ("30 4 * * *", dagster_books.REMOVAL)
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    first, second = books.run("cygnus", month="2025-01"), books.run("cygnus", month="2025-01")
    books.age(31, first, second)
    monkeypatch.setenv("SHS_KEEP_RUNS", "30")
    defs = dg.Definitions(schedules=[schedule], resources={"warehouse": Warehouse()})

    done = defs.resolve_job_def(dagster_books.REMOVAL).execute_in_process(instance=books.instance)

    assert done.success
    assert [books.has(run) for run in (first, second)] == [False, True]


def test_the_looks_of_sensors_and_schedules_are_forgotten_too() -> None:
    kept = yaml.safe_load((ROOT / "dagster.yaml").read_text())["retention"]

    assert set(kept) == {"sensor", "schedule"}
    for kind in kept.values():
        assert set(kind["purge_after_days"]) == {"skipped", "failure", "success", "started"}
