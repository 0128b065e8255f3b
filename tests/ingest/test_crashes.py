"""Ingestion that is killed, run twice at once, or loses its database: never half, double or lost."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.databases import prepare
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.ingest import ingestion, settling
from shs_pipeline.ingest.drop_reading import DropReader
from shs_pipeline.samples.broken import with_bad_cell
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.samples.workbook import write_workbook
from shs_pipeline.settings.settings import Settings
from tests.helpers.killed_ingestion import Ingesting

if TYPE_CHECKING:
    from tests.conftest import Zone

MARCH = date(2025, 3, 1)

KILLED = (-signal.SIGKILL, None)


def sample(seed: int, lines: int = 6, month: date = MARCH) -> bytes:
    return make_sample("cygnus", month, lines=lines, seed=seed).content


def broken(seed: int) -> bytes:
    return with_bad_cell(sample(seed), "Invoice Total", 5, "seven")


def services(*names: str) -> bytes:
    rows = [[name, "Service & Repair"] for name in names]
    return write_workbook({"s": [["Service Lines", "Product Lines"], *rows]})


FOLDER, APRIL = "incoming/cygnus/2025-03", "incoming/cygnus/2025-04"
TABLE = "reference/service_to_product.xlsx"


def before(zone: Zone) -> None:
    """Everything that a run may meet, ingested once."""
    for name, content in {
        "a corrected": sample(1), "b deleted": sample(2), "c mended": broken(3), "d breaks": sample(4),
        "f moved": sample(6), "g stays": sample(7),
    }.items():  # fmt: skip
        zone.drop(f"{FOLDER}/{name}.xlsx", content)
    zone.drop(f"{FOLDER}/h bad and deleted.xlsx", broken(8))
    zone.drop(TABLE, services("One"))
    zone.run()


def change(zone: Zone) -> None:
    zone.drop(f"{FOLDER}/a corrected.xlsx", sample(11))
    zone.delete(f"{FOLDER}/b deleted.xlsx")
    zone.drop(f"{FOLDER}/c mended.xlsx", sample(3))
    zone.drop(f"{FOLDER}/d breaks.xlsx", broken(14))
    zone.drop(f"{FOLDER}/e new and bad.xlsx", broken(5))
    zone.move(f"{FOLDER}/f moved.xlsx", f"{APRIL}/f moved.xlsx")
    zone.delete(f"{FOLDER}/h bad and deleted.xlsx")
    zone.drop(TABLE, services("One", "Two"))


def rows(zone: Zone) -> dict[str, list[Any]]:
    """Lines by commission month, and the reference table's."""
    found: dict[str, list[Any]] = {"2025-03": [], "2025-04": []}
    for row in zone.raw():
        month = next(cell for cell in row if isinstance(cell, date) and cell.day == 1 and cell >= MARCH)
        found[f"{month:%Y-%m}"].append(row)
    found["table"] = zone.query(
        "select service_lines from reference.service_to_product inner join reference.versions using (file_id)"
        " where in_force_until is null order by 1"
    )
    return found


def books(zone: Zone) -> list[Any]:
    """What is booked and what lies in `rejected/`, without ids and times."""
    workbooks = sorted(str(path.name) for path in (zone.folder / "rejected").rglob("*.xlsx"))
    return [
        zone.query(
            "select f.path, f.status, f.rows_loaded, f.error_count, f.sums, b.path from ops.files as f"
            " left join ops.files as b on b.file_id = f.blocked_by"
            " where f.status in ('loaded', 'rejected') order by f.path, f.status"
        ),
        zone.query(
            "select path, status, count(*) from ops.file_errors inner join ops.files using (file_id)"
            " group by path, status order by path, status"
        ),
        zone.query("select folder, rows_in_force from ops.folders order by folder"),
        workbooks,
    ]  # fmt: skip


PROOFS = {
    ("shs_pipeline.ingest.bookkeeping:withdraw", "after", 2),
    ("psycopg:Copy.write", "before", 2),
    ("shs_pipeline.landing.zone:Landing.write", "before", 1),
    ("shs_pipeline.ingest.ingestion:_ingest", "after", 1),
}
"""An instant of each kind: in the books, in the landing zone, in the load, between two folders."""
INSTANTS = [
    ("shs_pipeline.ingest.ingestion:_lock_for_load", "after", 1),
    ("shs_pipeline.ingest.bookkeeping:withdraw", "after", 2),
    ("shs_pipeline.landing.zone:Landing.delete", "before", 1),
    ("shs_pipeline.landing.zone:Landing.delete", "after", 3),
    ("shs_pipeline.ingest.bookkeeping:book_load", "after", 2),
    ("shs_pipeline.ingest.settling:delete_lines", "after", 1),
    ("psycopg:Copy.write", "after", 1),
    ("psycopg:Copy.write", "before", 2),
    ("shs_pipeline.ingest.settling:copy_lines", "after", 2),
    ("shs_pipeline.ingest.bookkeeping:put_in_force", "after", 1),
    ("shs_pipeline.landing.zone:Landing.write", "before", 1),
    ("shs_pipeline.landing.zone:Landing.write", "after", 2),
    ("shs_pipeline.ingest.bookkeeping:book_rejection", "after", 2),
    ("shs_pipeline.ingest.bookkeeping:note_folder", "after", 1),
    ("shs_pipeline.ingest.bookkeeping:note_folder", "after", 2),
    ("shs_pipeline.ingest.ingestion:_ingest", "after", 1),
    ("shs_pipeline.ingest.ingestion:_ingest", "after", 2),
]


@pytest.fixture(scope="module")
def undisturbed(module_zone: Zone) -> list[Any]:
    """Rows and books of the same landing zone after runs that nothing disturbed."""
    before(module_zone)
    change(module_zone)
    module_zone.run()
    return [rows(module_zone), books(module_zone)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "when", "nth"),
    [
        pytest.param(*one, id="-".join(map(str, one)), marks=[] if one in PROOFS else [pytest.mark.soak])
        for one in INSTANTS
    ],
)
def test_a_run_that_is_killed_leaves_the_state_before_or_after_and_the_next_one_mends_it(
    zone: Zone, undisturbed: list[Any], where: str, when: str, nth: int
) -> None:
    before(zone)
    old, new = rows(zone), undisturbed[0]
    change(zone)

    assert Ingesting(zone.url, zone.database_url, where, when, nth).end() == KILLED

    assert all(lines in (old[place], new[place]) for place, lines in rows(zone).items())
    zone.run()
    assert [rows(zone), books(zone)] == undisturbed
    assert zone.run() == []


def test_a_first_run_that_is_killed_while_it_makes_the_tables_leaves_nothing_behind(
    zone: Zone, database: str
) -> None:
    zone = replace(zone, database_url=database)  # in which there is nothing yet
    zone.drop(f"{FOLDER}/a.xlsx", sample(1))

    process = Ingesting(
        zone.url, zone.database_url, "shs_pipeline.ingest.warehouse:_ensure_table", "after", 5
    )
    assert process.end() == KILLED
    assert zone.query("select count(*) from pg_namespace where nspname in ('ops', 'raw')") == [(0,)]

    zone.run()
    assert len(zone.raw()) == 6


# --- two at once --------------------------------------------------------------------------


def _at_once(zone: Zone, *folders: str) -> list[tuple[int, Any]]:
    """Start a process for each folder ("" for all), let them go on when all of them stand at a lock."""
    with psycopg.connect(zone.database_url) as holder:
        holder.execute("select pg_advisory_lock(hashtextextended('shs/load/cygnus', 0))")
        processes = [Ingesting(zone.url, zone.database_url, folder=folder) for folder in folders]
        _wait_until_they_wait(zone, len(processes))
    return [process.end() for process in processes]


def _wait_until_they_wait(zone: Zone, waiting: int) -> None:
    deadline = time.monotonic() + 60
    statement = (
        "select count(*) from pg_locks inner join pg_database as d on d.oid = database"
        " where locktype = 'advisory' and not granted and datname = current_database()"
    )
    while zone.query(statement) != [(waiting,)]:
        assert time.monotonic() < deadline, "the two processes never met"
        time.sleep(0.05)


def test_two_runs_of_one_partition_at_once_load_it_once(zone: Zone) -> None:
    zone.drop(f"{FOLDER}/a.xlsx", sample(1))
    zone.drop(f"{FOLDER}/b.xlsx", broken(2))

    # One stands in the load with the folder's lock, the other before the folder's lock.
    found = _at_once(zone, "", "")
    assert [code for code, _ in found] == [0, 0], found

    assert len(zone.raw()) == 6
    assert sorted(zone.statuses()) == [(f"{FOLDER}/a.xlsx", "loaded"), (f"{FOLDER}/b.xlsx", "rejected")]
    assert zone.errors(f"{FOLDER}/b.xlsx") is not None
    assert zone.run() == []


@pytest.mark.parametrize("is_same_bytes", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_two_partitions_with_the_same_lines_at_once_load_one_and_reject_the_other(
    zone: Zone, is_same_bytes: bool
) -> None:
    again = sample(1) if is_same_bytes else with_bad_cell(sample(1), "Sales Rep", 5, "SHS 09")
    paths = [zone.drop(f"{FOLDER}/a.xlsx", sample(1)), zone.drop(f"{APRIL}/a.xlsx", again)]

    found = _at_once(zone, "cygnus/2025-03", "cygnus/2025-04")

    assert sorted(found) == [(0, (0, 1)), (0, (1, 0))], zone.query(
        "select path, status, problem from ops.files"
    )
    assert len(zone.raw()) == 6
    statuses = dict(zone.statuses())
    assert sorted(statuses.values()) == ["loaded", "rejected"]
    rejected = next(path for path in paths if statuses[path] == "rejected")
    assert next(path for path in paths if path != rejected) in zone.problem(rejected)
    assert zone.run() == []


# --- the database goes away ---------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server that may be stopped: no other test uses it."""
    home = tmp_path_factory.mktemp("server") / "home"
    prepare(Settings(home=home, landing="", database_url=None))
    yield EmbeddedPostgres(home)
    EmbeddedPostgres(home).stop()


@pytest.fixture
def own_zone(server: EmbeddedPostgres, zone: Zone) -> Zone:
    """A landing zone with the database of that server, empty."""
    url = prepare(Settings(home=server.home, database_url=None)).warehouse_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("drop schema if exists ops, raw, reference cascade")
    return replace(zone, database_url=url)


PLACES = {
    "_read": DropReader,
    "_lock_for_load": ingestion,
    "delete_lines": settling,
    "copy_lines": settling,
}


def _stop_at(
    monkeypatch: pytest.MonkeyPatch, server: EmbeddedPostgres, name: str, restart: Callable[[], object] | None
) -> list[int]:
    """Stop the server once, behind the first call of a function."""
    owner: Any = PLACES[name]
    original, calls = getattr(owner, name), []

    def stopping(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        calls.append(1)
        if len(calls) == 1:
            server.stop()
            if restart is not None:
                restart()
        return result

    monkeypatch.setattr(owner, name, stopping)
    return calls


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["copy_lines", *(pytest.param(one, marks=pytest.mark.soak) for one in PLACES if one != "copy_lines")],
)
def test_a_database_that_is_away_for_seconds_makes_the_run_wait_and_finish(
    own_zone: Zone, server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    own_zone.drop(f"{FOLDER}/a.xlsx", sample(1))
    own_zone.drop(f"{FOLDER}/b.xlsx", sample(2))
    own_zone.run()
    own_zone.drop(f"{FOLDER}/a.xlsx", sample(3))
    starter = threading.Timer(2, server.ensure_running)
    calls = _stop_at(monkeypatch, server, name, starter.start)

    own_zone.run()

    starter.join()
    assert len(calls) > 1
    assert len(own_zone.raw()) == 12
    assert own_zone.query("select count(*) from ops.files where status = 'superseded'") == [(1,)]
    assert own_zone.run() == []


@pytest.mark.slow
def test_a_database_that_is_away_at_the_start_is_waited_for(own_zone: Zone, server: EmbeddedPostgres) -> None:
    own_zone.drop(f"{FOLDER}/a.xlsx", sample(1))
    server.stop()
    starter = threading.Timer(2, server.ensure_running)
    starter.start()

    own_zone.run()

    starter.join()
    assert len(own_zone.raw()) == 6


@pytest.mark.slow
def test_without_waiting_a_database_that_goes_away_is_a_sentence_and_nothing_is_loaded(
    own_zone: Zone, server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_zone.drop(f"{FOLDER}/a.xlsx", sample(1))
    own_zone.wait_seconds = 0
    password = own_zone.database_url.partition("@")[0].rpartition(":")[2]

    with monkeypatch.context() as patch:
        _stop_at(patch, server, "copy_lines", None)
        for _ in range(2):  # in the middle of the load, then at the start
            with pytest.raises(ShsError) as caught:
                own_zone.run()
            assert password not in str(caught.value)
            assert caught.value.remedy
            assert "\n" not in str(caught.value)
    server.ensure_running()

    assert own_zone.query("select count(*) from raw.cygnus") == [(0,)]
    own_zone.run()
    assert len(own_zone.raw()) == 6
