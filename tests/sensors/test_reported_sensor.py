"""What `shs run` did without Dagster is told to Dagster, once: pure ticks against a real database."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from assets.checks import REJECTED
from assets.ingested import UNKNOWN_KEY, reference_key, source_key
from assets.marts import LOGINS_KEY
from assets.warehouse import Warehouse
from sensors import reported as reported_module
from sensors.reported import reported_sensor
from shs_pipeline.ingest.run import run_changed
from shs_pipeline.samples import broken
from shs_pipeline.samples.reference import reference_workbooks
from shs_pipeline.samples.tree import make_sample

MONTH = date(2025, 3, 1)
CYGNUS = source_key("cygnus")
MART = dg.AssetKey(["marts", "commission_payouts"])


@dg.multi_asset(specs=[dg.AssetSpec(MART)], check_specs=[dg.AssetCheckSpec("adds_up", asset=MART)])
def models():  # type: ignore[no-untyped-def]  # Dagster reads a return annotation as outputs
    ...


@pytest.fixture
def landing(tmp_path: Path, tables: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHS_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("SHS_LANDING", (tmp_path / "landing").as_uri())
    monkeypatch.setenv("SHS_DATABASE_URL", tables)
    return tmp_path / "landing"


@pytest.fixture
def instance() -> dg.DagsterInstance:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def look(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"warehouse": Warehouse()})
    return reported_sensor(5, 20, models)(context)


def put(landing: Path, path: str, content: bytes) -> None:
    (landing / path).parent.mkdir(parents=True, exist_ok=True)
    (landing / path).write_bytes(content)


def drop(landing: Path, source: str = "cygnus", month: date = MONTH, seed: int = 1) -> None:
    sample = make_sample(source, month, lines=4, seed=seed)
    put(landing, sample.path, sample.content)


def ingest(run_id: str) -> None:
    run_changed(Warehouse().ingestion(run_id))


def months(instance: dg.DagsterInstance, key: dg.AssetKey = CYGNUS) -> list[str]:
    """The partition of every materialisation, the oldest first."""
    found = instance.fetch_materializations(key, limit=100).records
    return [str(record.partition_key) for record in reversed(found)]


def check(instance: dg.DagsterInstance, key: dg.AssetKey, name: str) -> bool | None:
    found = instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(key, name), limit=1)
    evaluation = found[0].event.dagster_event.asset_check_evaluation_data if found else None
    return evaluation.passed if evaluation else None


def test_what_was_ingested_without_dagster_is_reported_once(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    drop(landing)
    drop(landing, month=date(2025, 4, 1))
    put(landing, *next(iter(reference_workbooks(MONTH, MONTH, 4).items())))
    ingest("shs demo")

    first = look(instance)
    again = look(instance, first.cursor)
    lost = look(instance, "not a cursor")

    assert months(instance) == ["2025-03", "2025-04"] * 2  # the second time for the cursor that was lost
    assert check(instance, CYGNUS, "contract_holds") is True
    assert check(instance, UNKNOWN_KEY, "contract_holds") is True
    assert len(months(instance, reference_key("sales_reps"))) == 2
    record = instance.fetch_materializations(CYGNUS, limit=1).records[0]
    metadata = record.asset_materialization.metadata
    assert (metadata["lines"].value, metadata["files"].value) == (4, 1)
    assert "sum_of_invoice_total" in metadata
    assert isinstance(again, dg.SkipReason)
    assert "Reported" in lost.skip_reason.skip_message


def test_only_what_was_ingested_again_is_reported_and_a_rejection_fails_its_check(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    drop(landing)
    drop(landing, month=date(2025, 4, 1))
    ingest("shs run 1")
    cursor = look(instance).cursor
    sample = make_sample("cygnus", MONTH, lines=4, seed=1)
    row = int(str(sample.lines[1]["source_row"]))
    put(landing, sample.path, broken.with_bad_cell(sample.content, "Invoice Total", row, "abc"))
    ingest("shs run 2")

    look(instance, cursor)

    assert months(instance) == ["2025-03", "2025-04", "2025-03"]
    assert check(instance, CYGNUS, "contract_holds") is False
    metadata = instance.fetch_materializations(CYGNUS, limit=1).records[0].asset_materialization.metadata
    # The version of before stays in force.
    assert (metadata["files_rejected"].value, metadata["lines"].value) == (1, 4)
    assert "abc" in metadata["errors"].value


@pytest.mark.parametrize(
    ("status", "is_reported", "is_settled"),
    [
        (dg.DagsterRunStatus.SUCCESS, False, True),
        (dg.DagsterRunStatus.STARTED, False, False),
        (dg.DagsterRunStatus.FAILURE, True, True),
    ],
)
def test_a_run_of_dagster_tells_by_itself_unless_it_failed(
    landing: Path,
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus,
    is_reported: bool,
    is_settled: bool,
) -> None:
    run = dg.DagsterRun("some job", status=status)
    instance.add_run(run)
    drop(landing)
    ingest(run.run_id)

    found = look(instance)

    assert months(instance) == (["2025-03"] if is_reported else [])
    assert isinstance(look(instance, found.cursor), dg.SkipReason) is is_settled


@dg.op
def rejects(context):  # type: ignore[no-untyped-def]  # Dagster reads annotations, which are texts here
    ingest(context.run_id)
    raise dg.Failure("1 file rejected.", metadata={REJECTED: 1}, allow_retries=False)


@dg.job
def rejection() -> None:
    rejects()


def test_a_run_that_is_red_for_a_rejected_file_alone_has_told_the_rest_by_itself(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    drop(landing)

    rejection.execute_in_process(instance=instance, raise_on_error=False)
    look(instance)

    assert months(instance) == []


def test_a_long_history_is_reported_over_several_looks(
    landing: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for month in range(1, 4):
        drop(landing, month=date(2025, month, 1))
    ingest("shs run")
    monkeypatch.setattr(reported_module, "_REPORTING_SECONDS", -1.0)
    first = look(instance)
    monkeypatch.undo()

    assert months(instance) == []
    assert "next tick" in first.skip_reason.skip_message


def test_the_marts_of_a_publication_are_reported_with_their_checks(
    published: object, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SHS_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("SHS_LANDING", published.url)  # type: ignore[attr-defined]
    monkeypatch.setenv("SHS_DATABASE_URL", published.database_url)  # type: ignore[attr-defined]

    cursor = look(instance).cursor

    assert len(months(instance, MART)) == len(months(instance, LOGINS_KEY)) == 1
    assert check(instance, MART, "adds_up") is True
    assert isinstance(look(instance, cursor), dg.SkipReason)


def test_a_database_that_is_away_is_said_and_nothing_is_forgotten(
    landing: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHS_DATABASE_URL", "postgresql://nobody:x@127.0.0.1:1/none")

    found = look(instance)

    assert isinstance(found, dg.SkipReason)
    assert "127.0.0.1:1" in str(found.skip_message)
