"""The embedded server that is killed, or has no room: what was committed stays, and is never given twice."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database import embedded_postgres
from shs_pipeline.database.databases import prepare
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.database.faults import explained
from shs_pipeline.database.server_configuration import TEMP_FILE_LIMIT
from shs_pipeline.ingest.warehouse import ensure_tables
from shs_pipeline.marts.build import build_marts
from shs_pipeline.settings.settings import Settings
from tests.conftest import Zone


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of this file's own, as it is set up: with all that keeps its data safe."""
    home = tmp_path_factory.mktemp("crashes") / "home"
    yield home
    EmbeddedPostgres(home).stop()


def owner_url(home: Path) -> str:
    settings = Settings(home=home, landing="", database_url=None)
    return prepare(settings).warehouse_url.get_secret_value()


def kill(home: Path) -> None:
    pid = EmbeddedPostgres(home).status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_no_number_is_given_twice_however_soon_after_set_up_the_server_is_killed(home: Path) -> None:
    given: list[int] = []
    for crash in range(2):
        with psycopg.connect(owner_url(home), autocommit=True) as owner:
            if crash == 0:
                ensure_tables(owner)
            # Table, sequence and first number in one transaction, then more at rest.
            with owner.transaction():
                owner.execute(
                    f"create table if not exists public.numbers_{crash}"
                    " (n bigint generated always as identity primary key)"
                )
                owner.execute(f"insert into public.numbers_{crash} default values")
            for table in range(crash + 1):
                for _ in range(3):
                    owner.execute(f"insert into public.numbers_{table} default values")
            row = owner.execute(
                "insert into ops.files (path, uri, bytes, etag, status, run_id)"
                " values (%s, '', 0, '', 'rejected', 'test') returning file_id, change_no",
                [f"file {crash}"],
            ).fetchone()
            assert row is not None
            given.append(row[0])
        kill(home)

    with psycopg.connect(owner_url(home), autocommit=True) as owner:
        assert [owner.execute(f"select count(*) from public.numbers_{n}").fetchone() for n in range(2)] == [
            (7,), (4,),
        ]  # fmt: skip
        found = owner.execute("select file_id, change_no from ops.files order by change_no").fetchall()
    assert [file_id for file_id, _ in found] == given
    assert len({change for _, change in found}) == 2


# --- what people's queries may take --------------------------------------------------------


@pytest.fixture
def rep(home: Path) -> Iterator[psycopg.Connection]:
    """The session of somebody who may only log in; the limit is made small, so that it is soon reached."""
    url = owner_url(home)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("drop role if exists somebody")
        owner.execute("create role somebody login password 'made up'")
        owner.execute("grant connect on database shs to somebody")
    address = EmbeddedPostgres(home).ensure_running()
    with psycopg.connect(
        host=address.host, port=address.port, user=address.superuser, password=address.password,
        dbname="shs", autocommit=True,
    ) as admin:  # fmt: skip
        yield psycopg.connect(url, user="somebody", password="made up", autocommit=True)
        admin.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'somebody'"
        )
        admin.execute("revoke connect on database shs from somebody; drop role somebody")


def limit(session: psycopg.Connection) -> str:
    row = session.execute("show temp_file_limit").fetchone()
    assert row is not None
    return str(row[0])


def test_only_the_owner_may_write_temporary_files_without_limit(home: Path, rep: psycopg.Connection) -> None:
    assert limit(rep) == TEMP_FILE_LIMIT
    for attempt in ("set temp_file_limit = -1", "alter role somebody set temp_file_limit = -1"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            rep.execute(attempt)
    with psycopg.connect(owner_url(home)) as owner:
        assert limit(owner) == "-1"
        assert owner.execute("show max_worker_processes").fetchone() == ("4",)


@pytest.mark.slow
def test_a_query_that_would_fill_the_disk_ends_with_an_error_and_others_go_on(
    home: Path, rep: psycopg.Connection
) -> None:
    rep.execute("set work_mem = '64kB'")

    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="temp_file_limit"):
        rep.execute("select count(*) from (select n, repeat('x', 500) from generate_series(1, 3000000) as n"
                    " order by 2, 1 desc) as much")  # fmt: skip

    assert rep.execute("select 1").fetchone() == (1,)
    with psycopg.connect(owner_url(home)) as owner:
        assert owner.execute("select 2").fetchone() == (2,)


def test_a_server_of_before_the_limit_is_brought_in_line_at_its_next_start(home: Path) -> None:
    server = EmbeddedPostgres(home)
    address = server.ensure_running()
    with psycopg.connect(
        host=address.host, port=address.port, user=address.superuser, password=address.password,
        dbname="postgres", autocommit=True,
    ) as admin:  # fmt: skip
        admin.execute("alter role shs_owner reset temp_file_limit")
    server.stop()

    with psycopg.connect(owner_url(home)) as owner:
        assert limit(owner) == "-1"


def test_the_log_cannot_be_filled_by_what_a_login_does_wrong(home: Path, rep: psycopg.Connection) -> None:
    log = EmbeddedPostgres(home).log_file
    before = log.stat().st_size

    for statement in (
        "select repeat('x', 3000000)::int",
        "do $$ begin raise log '%', repeat('x', 3000000); end $$",
        "do $$ begin raise warning '%', repeat('x', 3000000); end $$",
    ):
        with contextlib.suppress(psycopg.Error):
            rep.execute(statement.encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rep.execute("set log_min_messages = 'debug5'")

    assert log.stat().st_size - before < 10_000
    with psycopg.connect(owner_url(home)) as owner:  # whose mistakes are looked for there
        assert owner.execute("show log_min_messages").fetchone() == ("warning",)


def test_the_log_cannot_be_filled_by_a_login_that_its_own_settings_keep_out(
    home: Path, rep: psycopg.Connection
) -> None:
    log = EmbeddedPostgres(home).log_file
    rep.execute(f"alter role current_user set local_preload_libraries = '{'x' * 3_000_000}'".encode())
    before = log.stat().st_size

    with pytest.raises(psycopg.OperationalError, match="could not access file"):
        psycopg.connect(owner_url(home), user="somebody", password="made up")

    assert log.stat().st_size - before < 10_000


def test_a_log_that_has_grown_is_put_aside_and_the_server_goes_on_writing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedPostgres(home)
    owner_url(home)
    with server.log_file.open("a") as handle:
        handle.write("an old line\n" * 1000)
    monkeypatch.setattr(embedded_postgres, "LOG_BYTES", 1000)

    url = owner_url(home)  # as each command prepares the database
    with psycopg.connect(url) as owner, pytest.raises(psycopg.errors.UndefinedTable):
        owner.execute("select from no_such_table")

    old = server.log_file.with_name("postgres.log.1")
    assert "an old line" in old.read_text()
    assert old.stat().st_mode & 0o077 == 0
    text = server.log_file.read_bytes()
    assert b"an old line" not in text
    assert text.startswith(b"20")  # no hole where the old lines were
    assert b"no_such_table" in text


def test_a_log_that_two_put_aside_at_once_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedPostgres(tmp_path / "home")
    server.log_file.parent.mkdir(parents=True)
    server.log_file.write_text("an old line\n" * 1000)
    monkeypatch.setattr(embedded_postgres, "LOG_BYTES", 1000)
    copy, is_first_done, is_second_there = shutil.copyfile, threading.Event(), threading.Event()
    second = threading.Thread(target=server.rotate_log)

    def slowly(source: Path, target: Path) -> None:
        if threading.current_thread() is second:
            is_second_there.set()
            is_first_done.wait(30)
        else:
            second.start()
            is_second_there.wait(1)  # whom a lock keeps away does not come
        copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", slowly)
    server.rotate_log()
    is_first_done.set()
    second.join()

    assert "an old line" in server.log_file.with_name("postgres.log.1").read_text()
    assert server.log_file.read_text() == ""


def test_whoever_only_knocks_shuts_nobody_out(home: Path) -> None:
    url = owner_url(home)
    port = EmbeddedPostgres(home).read_secrets().port
    with contextlib.ExitStack() as stack:
        for _ in range(110):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        with psycopg.connect(url) as owner:
            assert owner.execute("show authentication_timeout").fetchone() == ("10s",)
            # Of connections that do have a password, some are the owner's in any case.
            assert owner.execute("show reserved_connections").fetchone() == ("20",)
            reserved = "select pg_has_role('pg_use_reserved_connections', 'usage')"
            assert owner.execute(reserved).fetchone() == (True,)


# --- a full disk ---------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with little room; skips where none can be mounted."""
    place = Path(tempfile.mkdtemp(prefix="small-disk-"))
    place.chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        place.rmdir()
        pytest.skip("only root may mount a small disk, and not everywhere")
    yield place
    EmbeddedPostgres(place / "home").stop()
    subprocess.run(["umount", str(place)], check=True)
    place.rmdir()


def fill(disk: Path) -> Path:
    path = disk / "home" / "filling"
    # Unbuffered: what a buffer still holds would fail once more when the file is closed.
    with path.open("wb", buffering=0) as handle:
        try:
            while True:
                handle.write(b"\0" * (1 << 16))
        except OSError:
            return path


@pytest.mark.soak
def test_a_full_disk_is_said_as_a_full_disk_and_nothing_is_half_done(small_disk: Path, zone: Zone) -> None:
    url = owner_url(small_disk / "home")
    own = Zone(zone.url, url)
    own.drop_references()
    own.run()
    build_marts(url, "first")
    own.drop_sample("cygnus", "2025-03", lines=6)
    own.run()
    own.drop_sample("cygnus", "2025-04", lines=20_000)
    filling = fill(small_disk)

    said = []
    for work in (own.run, lambda: build_marts(url, "full", full_refresh=True)):
        with pytest.raises(ShsError) as caught:
            work()
        said.append(caught.value)

    for error in said:
        assert "is full" in error.problem
        assert "Free some space" in error.remedy
    filling.unlink()
    assert [report.rows_in_force for report in own.run()] == [20_000]
    assert build_marts(url, "next").lines == 20_006


def test_a_home_on_a_read_only_or_full_disk_is_named(small_disk: Path) -> None:
    home = small_disk / "home"
    home.mkdir()
    home.chmod(0o755)
    filling = fill(small_disk)
    with pytest.raises(ShsError) as full:
        EmbeddedPostgres(home).ensure_running()
    filling.unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(ShsError) as read_only:
        EmbeddedPostgres(home).ensure_running()

    assert f"The disk of {home} is full" in full.value.problem
    assert f"{home} is on a read-only disk" in read_only.value.problem
    assert "SHS_HOME" in full.value.remedy
    assert "SHS_HOME" in read_only.value.remedy


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "/some/file"), "The disk is full: /some/file"),
        (OSError(30, "Read-only file system", "/some/file"), "/some/file is on a read-only disk"),
        (psycopg.errors.DiskFull("could not extend file"), "The disk of the database is full"),
        (psycopg.errors.AdminShutdown("terminating connection"), "The connection to the database was lost"),
        (ValueError("its own"), ""),
        (psycopg.errors.UndefinedTable("no such table"), ""),
    ],
)
def test_what_the_machine_did_is_told_from_faults_of_the_program(error: Exception, words: str) -> None:
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = error

    for each in (error, wrapped):
        found = explained(each)
        assert found is None if not words else found is not None and words in found.problem
