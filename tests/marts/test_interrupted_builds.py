"""A build that ends at any instant blocks no other: the next plain one publishes what it would have."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.databases import prepare
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.marts import build as marts_module
from shs_pipeline.marts.build import build_marts
from shs_pipeline.marts.dbt_build import run_dbt
from shs_pipeline.marts.due import pending_state, standing
from shs_pipeline.settings.settings import Settings
from shs_pipeline.system.doctor import _marts
from tests.conftest import Zone
from tests.helpers.closed_house import House
from tests.helpers.killed_build import Building
from tests.marts.test_marts import marts
from tests.marts.test_publications import numbers

SHS = Path(sys.executable).with_name("shs")
DUE_DAY = 20
MODELS = "select count(*) from pg_stat_activity where application_name like 'shs models%'"


@pytest.fixture
def owner(published: Zone) -> Iterator[psycopg.Connection]:
    with psycopg.connect(published.database_url, autocommit=True) as connection:
        yield connection


# --- killed at any statement ---------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("is_soak", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_a_full_build_that_is_killed_is_made_good_by_the_next_plain_one(
    published: Zone, owner: psycopg.Connection, is_soak: bool
) -> None:
    """Somewhere among the models; at length, at the first statement, at more, and in the publication."""
    expected = marts(owner)
    chance = random.Random()
    moments = [chance.randrange(2, 90)]
    if is_soak:
        code, statements = Building(published.database_url, full_refresh=True).end()
        assert code == 0
        assert isinstance(statements, int)
        moments = [1, *sorted(chance.sample(range(2, statements - 2), 3)), statements - 1, statements]

    for moment in moments:
        number = standing(owner, DUE_DAY).last
        killed = Building(published.database_url, moment, full_refresh=True).end()
        assert killed == (-signal.SIGKILL, None), moment

        is_published = standing(owner, DUE_DAY).last != number
        assert standing(owner, DUE_DAY).is_broken_off != is_published, moment
        report = build_marts(published.database_url, "next")
        assert (report.is_full_refresh, report.was_current) == (not is_published, is_published), moment
        assert marts(owner) == expected, moment


@pytest.mark.slow
@pytest.mark.parametrize("moments", [[60], pytest.param([1, 25, 60, 90], marks=pytest.mark.soak)])
def test_a_delta_build_that_is_killed_is_made_good_by_the_next_one(
    published: Zone, owner: psycopg.Connection, moments: list[int]
) -> None:
    published.drop_sample("novo", "2025-02", lines=7, seed=9, name="second.xlsx")
    published.drop_sample("sunoptic", "2025-03", lines=7, seed=9)
    published.run()
    for moment in moments:
        code, _ = Building(published.database_url, moment).end()
        assert code == -signal.SIGKILL

    report = build_marts(published.database_url, "next")

    assert (report.is_full_refresh, report.slices) == (False, 2)
    as_built = marts(owner)
    build_marts(published.database_url, "anew", full_refresh=True)
    assert marts(owner) == as_built


# --- what a build relies on is missing -----------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        "drop schema staging, intermediate, candidate cascade",
        "drop schema candidate cascade",
        "drop view staging.stg_ternio cascade",
        "comment on schema intermediate is null",
    ],
)
def test_a_build_without_what_it_relies_on_is_due(built: Zone, damage: str) -> None:
    with psycopg.connect(built.database_url) as owner:
        assert not standing(owner, DUE_DAY).is_broken_off
        owner.execute(damage.encode())

        assert pending_state(owner, DUE_DAY) is not None
        assert standing(owner, DUE_DAY).is_broken_off
        owner.rollback()


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        "drop view staging.stg_ternio cascade",
        pytest.param("drop schema staging, intermediate, candidate cascade", marks=pytest.mark.soak),
        pytest.param("drop schema candidate cascade", marks=pytest.mark.soak),
        pytest.param("comment on schema intermediate is null", marks=pytest.mark.soak),
    ],
)
def test_a_build_without_what_it_relies_on_is_a_full_one(
    published: Zone, owner: psycopg.Connection, damage: str
) -> None:
    expected = marts(owner)
    owner.execute(damage)

    assert build_marts(published.database_url, "next").is_full_refresh
    assert marts(owner) == expected
    assert not standing(owner, DUE_DAY).is_due


def test_a_full_build_whose_test_fails_leaves_a_full_one_due(
    published: Zone, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_run = run_dbt

    def cut(arguments: Any, *rest: Any) -> Any:
        return really_run([*arguments, "--exclude", "publications"], *rest)

    with monkeypatch.context() as patch:
        patch.setattr(marts_module, "run_dbt", cut)
        build_marts(published.database_url, "cut", full_refresh=True)

    assert standing(owner, DUE_DAY).is_broken_off
    assert build_marts(published.database_url, "next").is_full_refresh


# --- a build that lost its lock ------------------------------------------------------------


def _in_the_middle(monkeypatch: pytest.MonkeyPatch, do: Callable[[str], object]) -> None:
    """Do something when dbt is about to begin, with the name of the session that holds the lock."""
    really_run = run_dbt

    def interrupted(arguments: Any, url: str, variables: Any, session: str) -> Any:
        do(str(variables["build_name"]))
        return really_run(arguments, url, variables, session)

    monkeypatch.setattr(marts_module, "run_dbt", interrupted)


@pytest.mark.slow
@pytest.mark.parametrize("full_refresh", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_a_build_whose_lock_is_lost_publishes_nothing_and_blames_the_database(
    published: Zone, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, full_refresh: bool
) -> None:
    published.drop_sample("novo", "2025-02", lines=7, seed=9, name="second.xlsx")
    published.run()
    before = marts(owner)

    def end(name: str) -> None:
        owner.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = %s", [name]
        )

    with monkeypatch.context() as patch:
        _in_the_middle(patch, end)
        with pytest.raises(ShsError, match=r"^The database .* was lost while the marts were built") as caught:
            build_marts(published.database_url, "lost", full_refresh=full_refresh)

    assert "contradict each other" not in str(caught.value)
    assert marts(owner) == before
    assert not build_marts(published.database_url, "next").was_current
    assert marts(owner) != before


@pytest.mark.slow
def test_what_a_dead_build_left_running_is_ended_before_the_next_begins(
    published: Zone, owner: psycopg.Connection
) -> None:
    with psycopg.connect(published.database_url, application_name="shs models of a dead run") as left:
        left.execute("lock table intermediate.all_lines in access share mode")

        assert build_marts(published.database_url, "next", full_refresh=True).is_full_refresh

        with pytest.raises(psycopg.OperationalError):
            left.execute("select 1")


# --- Ctrl-C and SIGTERM, in real processes -------------------------------------------------


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def environment(published: Zone, tmp_path: Path) -> dict[str, str]:
    """What a command needs to work on the published company."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHS_")}
    return kept | {
        "SHS_HOME": str(tmp_path / "home"), "SHS_LANDING": published.url,
        "SHS_DATABASE_URL": published.database_url,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "codes"),
    [
        (signal.SIGINT, {130}),
        (signal.SIGTERM, {143, -signal.SIGTERM}),
        pytest.param(signal.SIGKILL, {-signal.SIGKILL}, marks=pytest.mark.soak),
    ],
)
def test_an_interrupted_command_leaves_no_session_and_no_notice_and_a_full_build_due(
    environment: dict[str, str], owner: psycopg.Connection, number: signal.Signals, codes: set[int]
) -> None:
    before = marts(owner)

    _interrupt(environment, owner, number, codes)

    assert marts(owner) == before
    assert standing(owner, DUE_DAY).is_broken_off


def _interrupt(
    environment: dict[str, str], owner: psycopg.Connection, number: signal.Signals, codes: set[int]
) -> None:
    """Send a signal to a command in the middle of its build, and look at what it leaves."""

    def asked(query: str) -> Any:
        row = owner.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]

    notices = asked("select count(*) from ops.notices")
    with psycopg.connect(environment["SHS_DATABASE_URL"]) as holder:
        # A view of the staging schema waits for this, in the middle of the build.
        holder.execute("lock table raw.cygnus in access exclusive mode")
        process = subprocess.Popen(
            [SHS, "run", "--full-refresh"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # Whoever started the tests may have had it ignored, which is handed down.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )  # fmt: skip
        try:
            _until(lambda: asked(f"{MODELS} and wait_event_type = 'Lock'") > 0)
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()

        assert process.returncode in codes
        assert "Traceback" not in said
        assert "SHS-EVENT" not in said
        _until(lambda: asked(MODELS) == 0)
    assert asked("select count(*) from ops.notices") == notices


def test_doctor_tells_that_a_build_was_broken_off_and_is_under_way(
    published: Zone, owner: psycopg.Connection
) -> None:
    settings = Settings(database_url=published.database_url)

    def told() -> str:
        return _marts(settings).found

    assert "up to date" in told()
    owner.execute("drop schema staging cascade")
    assert "a full rebuild was interrupted" in told()
    with psycopg.connect(published.database_url, application_name="shs build by hand") as builder:
        builder.execute("lock table ops.folders in share row exclusive mode")
        assert "shs build by hand" in told()


# --- a server that goes away ---------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.soak)])
def test_a_server_that_restarts_during_a_build_is_named_and_one_that_is_killed_gives_no_number_twice(
    tmp_path: Path, kills: int
) -> None:
    """A server of its own, and all within one checkpoint: nothing but its log is left."""
    settings = Settings(home=tmp_path / "home", landing="", database_url=None)
    url, server = prepare(settings).warehouse_url.get_secret_value(), EmbeddedPostgres(settings.home)
    try:
        House(url).connection.close()
        with psycopg.connect(url, autocommit=True) as owner:
            published = marts(owner)
        _restart_during_a_build(url, server)
        assert build_marts(url, "next").is_full_refresh
        with psycopg.connect(url, autocommit=True) as owner:
            assert marts(owner) == published

        for kill in range(kills):
            pid = server.status().pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            url = prepare(settings).warehouse_url.get_secret_value()
            build_marts(url, f"after kill {kill}", full_refresh=True)
        assert numbers(url) == list(range(1, kills + 3))
    finally:
        server.stop()


def _restart_during_a_build(url: str, server: EmbeddedPostgres) -> None:
    """Stop and start the server while a full build waits in its middle; the build must say so."""
    with suppress(psycopg.OperationalError), psycopg.connect(url) as holder:
        holder.execute("lock table raw.cygnus in access exclusive mode")
        caught: list[ShsError] = []

        def building() -> None:
            try:
                build_marts(url, "restarted", full_refresh=True)
            except ShsError as error:
                caught.append(error)

        thread = threading.Thread(target=building)
        thread.start()
        with psycopg.connect(url, autocommit=True) as looking:
            _until(lambda: looking.execute(f"{MODELS} and wait_event_type = 'Lock'").fetchone() != (0,))
        server.stop()
        server.ensure_running()
        thread.join(60)

    assert str(caught[0]).startswith("The database shs on 127.0.0.1")
    assert "was lost" in str(caught[0])
