"""The sensor over the bucket: pure ticks against a real database and folder."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from assets.ingested import UNKNOWN_KEY, reference_key, source_key
from assets.warehouse import Warehouse
from sensors import landing as landing_module
from sensors import sight as sight_module
from sensors.landing import landing_sensor
from sensors.memory import Memory
from shs_pipeline.definitions import build_defs
from shs_pipeline.ingest.changes import Folder, PlannedRun, plan_runs
from shs_pipeline.ingest.run import run_changed
from shs_pipeline.landing.names import REFERENCE_NAMES
from shs_pipeline.marts.guard import HeldBuild
from shs_pipeline.samples.tree import make_sample, write_samples

MARTS = [dg.AssetKey(["marts", "harmonised_sales"]), dg.AssetKey(["marts", "publications"])]
SPAN = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@pytest.fixture
def landing(tmp_path: Path, tables: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    monkeypatch.setenv("SHS_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("SHS_LANDING", folder.as_uri())
    monkeypatch.setenv("SHS_DATABASE_URL", tables)
    monkeypatch.setattr(sight_module, "_SHARE_OF_TIME", 0)
    return folder


@pytest.fixture
def instance() -> dg.DagsterInstance:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def look(
    instance: dg.DagsterInstance, cursor: str | None = None, marts: Sequence[dg.AssetKey] = ()
) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"warehouse": Warehouse()})
    return landing_sensor(5, 20, marts)(context)


def rest(folder: Path) -> None:
    """Make every file as old as one whose copying has ended."""
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - 60, time.time() - 60))


def add(landing: Path, source: str, month: date) -> Path:
    sample = make_sample(source, month, lines=2, seed=1)
    (landing / sample.path).parent.mkdir(parents=True, exist_ok=True)
    (landing / sample.path).write_bytes(sample.content)
    rest(landing)
    return landing / sample.path


def ingest() -> None:
    run_changed(Warehouse().ingestion("by hand"))


def test_a_whole_bucket_becomes_a_run_for_the_tables_and_one_for_each_range(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    write_samples(landing, months=6, lines=2, seed=1, until=date(2025, 6, 1))
    rest(landing)

    result = look(instance)

    tables, months = result.run_requests
    assert set(tables.asset_selection) == {reference_key(name) for name in REFERENCE_NAMES}
    assert [months.tags[name] for name in SPAN] == ["2025-01", "2025-06"]
    # QuickBooks is checked against a table that changes now, and waits for it.
    assert source_key("quickbooks") not in months.asset_selection
    assert len(months.asset_selection) == 8


def test_nothing_is_requested_when_nothing_changed(landing: Path, instance: dg.DagsterInstance) -> None:
    add(landing, "novo", date(2025, 3, 1))
    ingest()

    result = look(instance)

    assert result.run_requests in (None, [])
    assert "Nothing changed" in result.skip_reason.skip_message


def test_a_look_asks_the_warehouse_in_one_session(
    landing: Path, instance: dg.DagsterInstance, sessions_begun: list[str]
) -> None:
    add(landing, "novo", date(2025, 3, 1))
    ingest()
    sessions_begun.clear()

    look(instance, marts=MARTS)

    assert len(sessions_begun) == 1


@pytest.mark.parametrize("change", ["new", "corrected", "deleted"])
def test_a_new_a_corrected_and_a_deleted_file_each_request_their_month(
    landing: Path, instance: dg.DagsterInstance, change: str
) -> None:
    path = add(landing, "novo", date(2025, 3, 1))
    # The last file of a source is held.
    other = make_sample("novo", date(2025, 3, 1), lines=2, seed=2)
    path.with_name("other.xlsx").write_bytes(other.content)
    ingest()
    if change == "new":
        (path.parent / "second.xlsx").write_bytes(b"x")
    elif change == "corrected":
        path.write_bytes(b"another")
    else:
        path.unlink()
    rest(landing)

    (request,) = look(instance).run_requests

    assert request.partition_key == "2025-03"
    assert request.asset_selection == [source_key("novo")]


def test_what_is_held_is_said_and_not_requested_and_what_is_new_is(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    for month in (1, 2, 3, 4):
        add(landing, "novo", date(2025, month, 1))
        add(landing, "chemence", date(2025, month, 1))
    ingest()
    shutil.rmtree(landing / "incoming" / "novo")

    nothing = look(instance)
    assert nothing.run_requests in (None, [])
    assert "every file of novo" in nothing.skip_reason.skip_message
    assert "shs run --accept" in nothing.skip_reason.skip_message

    add(landing, "novo", date(2025, 2, 1)).rename(landing / "incoming" / "novo" / "2025-02" / "new.xlsx")
    add(landing, "chemence", date(2025, 5, 1))
    shutil.rmtree(landing / "incoming" / "chemence" / "2025-01")
    new, others = look(instance).run_requests
    assert (new.partition_key, new.asset_selection) == ("2025-02", [source_key("novo")])
    # Not January, which is gone; the others' times are new.
    assert [others.tags[name] for name in SPAN] == ["2025-02", "2025-05"]
    assert others.asset_selection == [source_key("chemence")]


def test_a_file_that_arrived_a_moment_ago_is_requested_once_it_has_been_quiet(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    add(landing, "novo", date(2025, 3, 1)).touch()

    (request,) = look(instance).run_requests

    assert request.asset_selection == [source_key("novo")]


def test_a_file_that_is_still_being_copied_is_left_for_the_next_look(
    landing: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = add(landing, "novo", date(2025, 3, 1))
    path.touch()
    monkeypatch.setattr("sensors.sight.time.sleep", lambda _: path.touch())

    result = look(instance)

    assert result.run_requests in (None, [])
    assert "novo/2025-03" in result.skip_reason.skip_message


def test_a_file_in_an_unknown_place_requests_the_unknown_places(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    (landing / "stray.xlsx").write_bytes(b"x")
    rest(landing)

    (request,) = look(instance).run_requests

    assert request.asset_selection == [UNKNOWN_KEY]


def test_a_month_that_is_being_ingested_is_not_requested_again(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    add(landing, "novo", date(2025, 3, 1))
    job = dg.define_asset_job("probe", selection=dg.AssetSelection.assets(source_key("novo")))
    instance.create_run_for_job(
        build_defs(jobs=[job]).resolve_job_def("probe"),
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset({source_key("novo")}),
        tags=dict(zip(SPAN, ("2025-01", "2025-04"), strict=True)),
    )

    assert look(instance).run_requests in (None, [])


def test_after_a_failed_run_the_same_state_is_tried_again_later_and_a_new_state_at_once(
    landing: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = add(landing, "novo", date(2025, 3, 1))
    first = look(instance)

    at_once = look(instance, first.cursor)
    in_half_a_minute = time.time() + 31
    monkeypatch.setattr(landing_module.time, "time", lambda: in_half_a_minute)
    later = look(instance, first.cursor)
    monkeypatch.undo()
    monkeypatch.setenv("SHS_LANDING", landing.as_uri())

    assert len(first.run_requests) == 1
    assert at_once.run_requests in (None, [])
    assert len(later.run_requests) == 1
    assert path.exists()


def test_the_wait_grows_with_each_failed_run_and_ends_with_a_change() -> None:
    memory, folder = Memory(), Folder("novo/2025-03")
    for _ in range(3):
        memory.note(folder, "state", 0.0)

    assert not memory.is_due(folder, "state", 119.0)
    assert memory.is_due(folder, "state", 120.0)
    assert memory.is_due(folder, "another state", 0.0)


def test_an_unreadable_cursor_is_as_good_as_none() -> None:
    assert Memory.load("{broken") == Memory.load(None) == Memory()


def test_a_database_that_is_away_skips_the_look_with_a_sentence(
    landing: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHS_DATABASE_URL", "postgresql://someone:hidden-word@127.0.0.1:9/nowhere")

    result = look(instance)

    assert isinstance(result, dg.SkipReason)
    assert "127.0.0.1" in result.skip_message
    assert "hidden-word" not in result.skip_message


def test_a_large_bucket_is_listed_less_often(
    landing: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(landing, "novo", date(2025, 3, 1))
    memory = Memory(not_before=time.time() + 60)

    result = look(instance, memory.dump())

    assert isinstance(result, dg.SkipReason)
    assert "listed less often" in result.skip_message


def test_scattered_months_become_as_many_runs_as_there_are_rows_of_months() -> None:
    folders = [
        Folder(f"{source}/2025-{month}") for source in ("novo", "cygnus") for month in ("01", "02", "05")
    ]

    runs = plan_runs(folders)

    january, february, may = date(2025, 1, 1), date(2025, 2, 1), date(2025, 5, 1)
    assert runs == [
        PlannedRun(("cygnus", "novo"), january, february),
        PlannedRun(("cygnus", "novo"), may, may),
    ]


def test_the_run_of_one_change_builds_the_marts_behind_it(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    add(landing, "novo", date(2025, 3, 1))

    (request,) = look(instance, marts=MARTS).run_requests

    assert request.asset_selection == [source_key("novo"), *MARTS]
    assert request.partition_key == "2025-03"


def test_behind_several_runs_the_marts_are_built_once_by_a_run_of_their_own(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    add(landing, "novo", date(2025, 3, 1))
    add(landing, "cygnus", date(2025, 5, 1))
    first = look(instance, marts=MARTS)
    assert len(first.run_requests) == 2
    assert not any(key in MARTS for request in first.run_requests for key in request.asset_selection)
    ingest()

    (build,) = look(instance, first.cursor, MARTS).run_requests

    assert build.asset_selection == MARTS
    assert build.partition_key is None


def test_a_build_waits_for_the_runs_that_still_ingest(landing: Path, instance: dg.DagsterInstance) -> None:
    add(landing, "novo", date(2025, 3, 1))
    ingest()
    instance.create_run_for_job(
        build_defs().resolve_implicit_global_asset_job_def(),
        asset_selection=frozenset({source_key("cygnus")}),
        tags={"dagster/partition": "2025-05"},
        status=dg.DagsterRunStatus.STARTED,
    )

    assert look(instance, marts=MARTS).run_requests in (None, [])


def test_a_build_that_failed_is_tried_again_later_and_at_once_after_a_change(
    landing: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(landing, "novo", date(2025, 3, 1))
    ingest()
    first = look(instance, marts=MARTS)
    at_once = look(instance, first.cursor, MARTS)
    monkeypatch.setattr(landing_module, "pending_state", lambda *_: "another state of the books")
    after_a_change = look(instance, at_once.cursor, MARTS)

    assert len(first.run_requests) == 1
    assert at_once.run_requests in (None, [])
    assert len(after_a_change.run_requests) == 1


def test_a_held_build_is_said_and_not_made_again_before_something_changes(
    landing: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(landing, "novo", date(2025, 3, 1))
    ingest()
    monkeypatch.setattr(landing_module, "pending_state", lambda *_: "these books")
    held = HeldBuild("It was held.", "Accept it.", "of what it does", "these books", (), (), ())
    monkeypatch.setattr(landing_module, "held_build", lambda _: held)

    waiting = look(instance, marts=MARTS)
    monkeypatch.setattr(landing_module, "pending_state", lambda *_: "other books")
    changed = look(instance, waiting.cursor, MARTS)

    assert waiting.run_requests in (None, [])
    assert waiting.skip_reason.skip_message.startswith("It was held. Accept it.")
    assert len(changed.run_requests) == 1


@pytest.mark.slow
def test_nothing_is_built_when_people_read_what_is_loaded(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    assert look(instance, marts=MARTS).run_requests in (None, []), "nothing was ever loaded"
    add(landing, "novo", date(2025, 3, 1))
    ingest()

    Warehouse().marts("by hand")

    assert look(instance, marts=MARTS).run_requests in (None, [])
