"""What is due follows from numbers of the books, whatever the clocks say."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from sensors.memory import Memory
from shs_pipeline.ingest.warehouse import ensure_tables, has_tables
from shs_pipeline.marts.build import build_marts
from shs_pipeline.marts.due import pending_state, standing
from tests.conftest import Zone
from tests.marts.test_marts import marts

DUE_DAY = 20


@pytest.fixture
def owner(published: Zone) -> Iterator[psycopg.Connection]:
    with psycopg.connect(published.database_url, autocommit=True) as connection:
        yield connection


def turn_clock(owner: psycopg.Connection, shift: timedelta) -> None:
    """Leave all times as a clock that is wrong by so much would have written them."""
    for table, columns in {
        "ops.files": ("first_seen", "finished"),
        "ops.folders": ("finished",),
        "reference.versions": ("in_force_from", "in_force_until"),
        "marts.publications": ("books_at", "published_at"),
    }.items():
        shifted = ", ".join(f"{column} = {column} + %(shift)s" for column in columns)
        if table == "ops.files":
            owner.execute("alter table ops.files disable trigger number_change")
        owner.execute(f"update {table} set {shifted}", {"shift": shift})
        if table == "ops.files":
            owner.execute("alter table ops.files enable trigger number_change")


@pytest.mark.slow
@pytest.mark.parametrize("jumps", [(-50, 40), pytest.param((-50, -2, 3, 40), marks=pytest.mark.soak)])
def test_files_are_published_though_the_clock_jumps(
    published: Zone, owner: psycopg.Connection, jumps: tuple[int, ...]
) -> None:
    """A machine that was hours ahead, or behind, between any two steps."""
    chance = random.Random()
    for step, hours in enumerate(chance.sample(jumps, len(jumps))):
        turn_clock(owner, timedelta(hours=hours))
        source, month = chance.choice(("cygnus", "novo", "ternio")), chance.choice(("2025-01", "2025-02"))
        published.drop_sample(source, month, lines=5, seed=100 + step, name=f"more {step}.xlsx")
        assert published.run()
        assert pending_state(owner, DUE_DAY) is not None

        report = build_marts(published.database_url, f"step {step}")

        assert (report.is_full_refresh, report.slices) == (False, 1)
        assert pending_state(owner, DUE_DAY) is None


@pytest.mark.slow
@pytest.mark.usefixtures("mass_changes_are_accepted")
def test_a_corrected_file_and_a_table_that_is_read_again_are_seen_when_the_clock_was_ahead(
    published: Zone, owner: psycopg.Connection
) -> None:
    turn_clock(owner, timedelta(hours=2))
    path = owner.execute("select path from ops.files where path like '%cygnus/2025-03%'").fetchone()
    assert path is not None
    published.drop_sample("cygnus", "2025-03", lines=8, seed=77, name=path[0].rpartition("/")[2])
    published.run()
    assert build_marts(published.database_url, "corrected").lines == 8

    owner.execute("update ops.files set rows_read = rows_read where path = 'reference/sales_reps.xlsx'")
    assert standing(owner, DUE_DAY).is_full


@pytest.mark.slow
def test_a_load_that_drew_its_number_before_a_build_and_ends_after_it_is_not_missed(
    published: Zone, owner: psycopg.Connection
) -> None:
    """Order of numbers is not order of commits, but for the lock under which they are drawn."""
    touch = (
        "update ops.files set rows_read = rows_read"
        " where file_id = (select min(file_id) from ops.files where source = %s)"
    )
    with psycopg.connect(published.database_url) as slow:
        slow.execute(touch, ["novo"])
        owner.execute(touch, ["ternio"])
        held = slow.execute(
            "select mode from pg_locks where pid = pg_backend_pid() and relation = 'ops.folders'::regclass"
        ).fetchall()
        # The build would wait here: it takes its look at the numbers after this one has ended.
        assert held == [("RowExclusiveLock",)]
        with psycopg.connect(published.database_url) as builder:
            builder.execute("set lock_timeout = '200ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                builder.execute("lock table ops.folders in share row exclusive mode")
    assert build_marts(published.database_url, "both").slices == 2


@pytest.mark.slow
def test_an_installation_without_numbers_gets_them_and_one_full_build(
    published: Zone, owner: psycopg.Connection
) -> None:
    expected = marts(owner)
    by_time = [row[0] for row in owner.execute("select file_id from ops.files order by finished, file_id")]
    owner.execute("drop trigger number_change on ops.files")
    owner.execute("alter table ops.files drop column change_no cascade")
    owner.execute("drop sequence ops.changes")
    owner.execute("alter table marts.publications drop column books_version")
    for schema in ("staging", "intermediate", "candidate"):
        owner.execute(f"comment on schema {schema} is null")
    owner.execute("update marts.publications set definition_hash = 'older'")
    owner.execute("comment on schema raw is 'of an older version'")
    assert not has_tables(owner)

    assert published.run() == []

    numbered = [row[0] for row in owner.execute("select file_id from ops.files order by change_no")]
    assert numbered == by_time
    published.drop_sample("novo", "2025-02", lines=7, seed=9, name="second.xlsx")
    assert [report.folder.key for report in published.run()] == ["novo/2025-02"]
    last = owner.execute("select path from ops.files order by change_no desc limit 1").fetchone()
    assert last is not None
    assert last[0].startswith("incoming/novo/2025-02/")
    first = build_marts(published.database_url, "upgraded")
    assert first.is_full_refresh
    assert build_marts(published.database_url, "again").was_current
    assert marts(owner) != expected
    ensure_tables(owner)
    assert build_marts(published.database_url, "again").was_current


def test_the_sensor_waits_for_no_moment_that_a_wrong_clock_named() -> None:
    memory = Memory()
    memory.note("marts", "state", 1_000_000.0)
    memory.listed({}, 1_000_000.0, 600.0, 900.0)
    cursor = memory.dump()

    same = Memory.load(cursor)
    back = Memory.load(cursor, now=900_000.0)

    assert same.not_before == 1_000_600.0
    assert not same.is_due("marts", "state", 1_000_001.0)
    assert (back.not_before, back.whole_at) == (0.0, 0.0)
    assert back.is_due("marts", "state", 900_000.0)
