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
from typing import Any, Literal

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
def test_a_build_that_is_killed_is_made_good_by_the_next_plain_one(
    published: Zone, owner: psycopg.Connection, is_soak: bool
) -> None:
    """A delta build and a full one in their middle, a full one in its publication; at length, at more."""
    published.drop_sample("novo", "2025-02", lines=7, seed=9, name="second.xlsx")
    published.drop_sample("sunoptic", "2025-03", lines=7, seed=9)
    published.run()
    for moment in [1, 25, 60, 90] if is_soak else [60]:
        assert Building(published.database_url, moment).end() == (-signal.SIGKILL, None)
    report = build_marts(published.database_url, "next")
    assert (report.is_full_refresh, report.slices) == (False, 2)
    # Full builds come to what the delta build made.
    expected = marts(owner)

    chance = random.Random()
    if is_soak:
        ended, last = Building(published.database_url, full_refresh=True).end()
        assert ended == 0
        assert isinstance(last, int)
        for moment in [1, *sorted(chance.sample(range(60, last), 3)), last]:
            is_published = _is_killed_late(published, owner, moment)
            _make_good(published, owner, expected, moment, is_published=is_published)
    assert not _is_killed_late(published, owner, chance.randrange(2, 60))
    # The plain one that makes it good is killed, too.
    assert not _is_killed_late(published, owner, "commit", is_asked_for=False)
    _make_good(published, owner, expected, "commit")


def _is_killed_late(
    published: Zone, owner: psycopg.Connection, moment: int | Literal["commit"], *, is_asked_for: bool = True
) -> bool:
    """Kill a full build at a statement; return whether it was published, or else a full one stays due."""
    number = standing(owner, DUE_DAY).last
    killed = Building(published.database_url, moment, full_refresh=is_asked_for).end()
    assert killed == (-signal.SIGKILL, None), moment
    is_published = standing(owner, DUE_DAY).last != number
    assert standing(owner, DUE_DAY).is_broken_off != is_published, moment
    return is_published


def _make_good(
    published: Zone,
    owner: psycopg.Connection,
    expected: object,
    moment: object,
    *,
    is_published: bool = False,
) -> None:
    """Look at what the next plain build does, in this process."""
    report = build_marts(published.database_url, "next")
    assert (report.is_full_refresh, report.was_current) == (not is_published, is_published), moment
    assert marts(owner) == expected, moment


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
        "drop schema staging cascade",
        pytest.param("drop view staging.stg_ternio cascade", marks=pytest.mark.soak),
        pytest.param("drop schema staging, intermediate, candidate cascade", marks=pytest.mark.soak),
        pytest.param("drop schema candidate cascade", marks=pytest.mark.soak),
        pytest.param("comment on schema intermediate is null", marks=pytest.mark.soak),
    ],
)
def test_a_build_without_what_it_relies_on_is_told_by_doctor_and_is_a_full_one_once_the_dead_one_is_ended(
    published: Zone, owner: psycopg.Connection, damage: str
) -> None:
    settings = Settings(database_url=published.database_url)
    expected = marts(owner)
    assert "up to date" in _marts(settings).found
    owner.execute(damage)
    assert "a full rebuild was interrupted" in _marts(settings).found
    with psycopg.connect(published.database_url, application_name="shs build by hand") as builder:
        builder.execute("lock table ops.folders in share row exclusive mode")
        assert "shs build by hand" in _marts(settings).found

    with psycopg.connect(published.database_url, application_name="shs models of a dead run") as left:
        left.execute("lock table raw.cygnus in access exclusive mode")
        assert build_marts(published.database_url, "next").is_full_refresh
        with pytest.raises(psycopg.OperationalError):
            left.execute("select 1")

    assert marts(owner) == expected
    assert not standing(owner, DUE_DAY).is_due
    assert "up to date" in _marts(settings).found


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
    assert standing(owner, DUE_DAY).is_due


# --- Ctrl-C and SIGTERM, in real processes -------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "codes"),
    [
        (signal.SIGINT, {130}),
        # The same to the command, but for its words and its code, which tests of the terminal look at.
        pytest.param(signal.SIGTERM, {143, -signal.SIGTERM}, marks=pytest.mark.soak),
    ],
)
def test_an_interrupted_command_leaves_no_session_no_notice_and_a_build_to_be_made_good(
    published: Zone, owner: psycopg.Connection, tmp_path: Path, number: signal.Signals, codes: set[int]
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SHS_")}
    environment |= {
        "SHS_HOME": str(tmp_path / "home"),
        "SHS_LANDING": published.url,
        "SHS_DATABASE_URL": published.database_url,
    }
    before = marts(owner)
    _interrupt(environment, published.database_url, owner, number, codes)
    assert marts(owner) == before
    assert standing(owner, DUE_DAY).is_broken_off


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _interrupt(
    environment: dict[str, str], url: str, owner: psycopg.Connection, number: signal.Signals, codes: set[int]
) -> None:
    """Send a signal to a command in the middle of its build, and look at what it leaves."""

    def asked(query: str) -> Any:
        row = owner.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]

    notices = asked("select count(*) from ops.notices")
    with psycopg.connect(url) as holder:
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


@pytest.fixture
def server_home(tmp_path: Path) -> Iterator[Path]:
    """A home for a server of the test's own."""
    home = tmp_path / "home"
    yield home
    EmbeddedPostgres(home).stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    "ends", [["killed"], pytest.param(["stopped", "killed", "killed", "killed"], marks=pytest.mark.soak)]
)
def test_a_server_that_ends_during_a_build_is_named_and_one_that_is_killed_gives_no_number_twice(
    server_home: Path, tmp_path: Path, ends: list[str]
) -> None:
    """All within one checkpoint: nothing but the server's log is left when it is killed."""
    settings = Settings(home=server_home, database_url=None)
    url = prepare(settings).warehouse_url.get_secret_value()
    server = EmbeddedPostgres(server_home)
    small = Zone((tmp_path / "landing").as_uri(), url)
    small.drop_references()
    small.drop_sample()
    small.run()
    build_marts(url, "first")
    with psycopg.connect(url, autocommit=True) as owner:
        published = marts(owner)
    for number, end in enumerate(ends, start=2):
        said = str(_built_while_it_ends(server, url, end))
        url = prepare(settings).warehouse_url.get_secret_value()

        assert said.startswith("The database shs on 127.0.0.1")
        assert "was lost" in said
        assert build_marts(url, "next").is_full_refresh
        with psycopg.connect(url, autocommit=True) as owner:
            assert marts(owner) == published
        assert numbers(url) == list(range(1, number + 1))


def _built_while_it_ends(server: EmbeddedPostgres, url: str, end: str) -> ShsError:
    """End the server in the middle of a full build; return what that says."""
    caught: list[ShsError] = []

    def building() -> None:
        try:
            build_marts(url, end, full_refresh=True)
        except ShsError as error:
            caught.append(error)

    with suppress(psycopg.OperationalError), psycopg.connect(url) as holder:
        holder.execute("lock table raw.cygnus in access exclusive mode")
        thread = threading.Thread(target=building)
        thread.start()
        with psycopg.connect(url, autocommit=True) as looking:
            _until(lambda: looking.execute(f"{MODELS} and wait_event_type = 'Lock'").fetchone() != (0,))
        pid = server.status().pid
        assert pid is not None
        if end == "killed":
            os.kill(pid, signal.SIGKILL)
        else:
            server.stop()
        thread.join(60)
    (error,) = caught
    return error
