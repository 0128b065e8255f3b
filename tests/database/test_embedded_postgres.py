"""The embedded server: real starts, real kills, real refusals."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres, ServerAddress
from shs_pipeline.database.server_programs import bundled_programs


def connect(address: ServerAddress, password: str | None = None) -> psycopg.Connection:
    return psycopg.connect(
        host=address.host, port=address.port, user=address.superuser, dbname="postgres",
        password=password or address.password, autocommit=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of this file's own: its server is killed and stopped at will."""
    home = tmp_path_factory.mktemp("embedded") / "home"
    yield home
    EmbeddedPostgres(home).stop()


@pytest.fixture
def address(home: Path) -> ServerAddress:
    return EmbeddedPostgres(home).ensure_running()


def test_a_running_server_is_found_and_not_started_again(home: Path, address: ServerAddress) -> None:
    again = EmbeddedPostgres(home).ensure_running()

    assert not again.was_started
    assert again.port == address.port


def test_stopping_twice_stops_once_and_the_port_is_kept(home: Path, address: ServerAddress) -> None:
    server = EmbeddedPostgres(home)

    assert (server.stop(), server.stop()) == (True, False)
    assert server.status().state == "stopped"
    assert server.ensure_running().port == address.port


def test_nobody_gets_in_without_the_password(address: ServerAddress) -> None:
    with connect(address) as connection:
        rules = connection.execute("select type, auth_method from pg_hba_file_rules").fetchall()
        sockets = connection.execute("show unix_socket_directories").fetchone()
        listens = connection.execute("show listen_addresses").fetchone()

    assert rules == [("host", "scram-sha-256")]
    assert (sockets, listens) == (("",), ("127.0.0.1",))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(address, password="guess")


def test_passwords_are_closed_to_others_and_in_no_process_list_or_log(
    home: Path, address: ServerAddress
) -> None:
    server = EmbeddedPostgres(home)
    kept = server.read_secrets()

    assert stat.S_IMODE(server.secrets_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.secrets_file.parent.stat().st_mode) == 0o700
    shown = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=False)
    for place in (shown.stdout, server.log_file.read_text(), repr(address), repr(kept)):
        assert kept.superuser_password not in place
        assert kept.owner_password not in place


def test_settings_that_matter_are_in_force(address: ServerAddress) -> None:
    with connect(address) as connection:
        shown = [
            connection.execute(f"show {name}").fetchone()
            for name in ("fsync", "data_checksums", "timezone", "server_encoding")
        ]

    assert shown == [("on",), ("on",), ("UTC",), ("UTF8",)]


@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "busy"])
def test_committed_rows_survive_a_kill(home: Path, is_busy: bool) -> None:
    server = EmbeddedPostgres(home)
    address = server.ensure_running()
    with connect(address) as connection:
        connection.execute("create table if not exists kept (n int)")
        connection.execute("truncate kept")
        connection.execute("insert into kept values (1)")
    busy = connect(address) if is_busy else None
    if busy is not None:
        # Keeps a backend alive beyond its server: the next start has to wait for it.
        busy.pgconn.send_query(b"select count(*) from generate_series(1, 3000000)")
    pid = server.status().pid
    assert pid is not None

    os.kill(pid, signal.SIGKILL)

    with connect(EmbeddedPostgres(home).ensure_running()) as connection:
        assert connection.execute("select n from kept").fetchall() == [(1,)]
    if busy is not None:
        busy.close()


def test_a_pid_that_became_somebody_elses_does_not_stop_the_start(home: Path, address: ServerAddress) -> None:
    server = EmbeddedPostgres(home)
    server.stop()
    stale = server.data / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n{server.data}\n1\n{address.port}\n\n127.0.0.1\n1 1\nready\n")

    assert server.status().state == "stopped"
    assert server.ensure_running().was_started


def test_a_port_that_somebody_else_took_is_replaced_for_good(home: Path, address: ServerAddress) -> None:
    EmbeddedPostgres(home).stop()
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind((address.host, address.port))
        squatter.listen()
        moved = EmbeddedPostgres(home).ensure_running()

    assert moved.port != address.port
    assert EmbeddedPostgres(home).ensure_running().port == moved.port


def test_two_homes_run_side_by_side_and_commands_at_once_start_one_server(
    tmp_path: Path, address: ServerAddress
) -> None:
    home = tmp_path / "second"
    start = (
        "import sys; from pathlib import Path;"
        "from shs_pipeline.database.embedded_postgres import EmbeddedPostgres;"
        "print(EmbeddedPostgres(Path(sys.argv[1])).ensure_running().was_started)"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", start, str(home)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = sorted(process.communicate()[0].strip() for process in both)
    server = EmbeddedPostgres(home)
    try:
        assert said == ["False", "True"]
        assert server.ensure_running().port != address.port
    finally:
        server.stop()


def test_a_half_made_data_folder_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "home" / "postgres.making" / "base").mkdir(parents=True)
    server = EmbeddedPostgres(tmp_path / "home")
    try:
        assert server.ensure_running().was_started
    finally:
        server.stop()
    assert not (tmp_path / "home" / "postgres.making").exists()


def test_lost_passwords_are_said_with_the_way_out(home: Path, address: ServerAddress) -> None:
    server = EmbeddedPostgres(home)
    hidden = server.secrets_file.rename(server.secrets_file.with_suffix(".hidden"))
    try:
        with pytest.raises(ShsError, match="backup"):
            server.ensure_running()
    finally:
        hidden.rename(server.secrets_file)


def test_programs_must_be_there_and_fit_the_data(home: Path, address: ServerAddress, tmp_path: Path) -> None:
    with pytest.raises(ShsError, match=r"SHS_PG_BIN.*initdb"):
        _ = EmbeddedPostgres(tmp_path / "x", tmp_path).programs
    newest = bundled_programs()[max(bundled_programs())]
    with pytest.raises(ShsError, match="needs version 16"):
        _ = EmbeddedPostgres(home, newest).programs
    assert EmbeddedPostgres(tmp_path / "x", newest).programs == newest


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to drop to another user")
def test_root_runs_the_server_as_another_user_also_below_a_closed_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    server = EmbeddedPostgres(tmp_path / "home")
    try:
        with connect(server.ensure_running()) as connection:
            connection.execute("create table reached (n int)")
        assert server.data.stat().st_uid != 0
        assert server.needs_capability
        pid = server.status().pid
        status = Path(f"/proc/{pid}/status").read_text()
        # CAP_DAC_READ_SEARCH is bit 2, and nothing else is left.
        assert "CapEff:\t0000000000000004" in status
        assert "CapBnd:\t0000000000000004" in status
    finally:
        server.stop()


def test_an_unreachable_folder_without_the_right_to_enter_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedPostgres(tmp_path / "home")
    monkeypatch.setattr("shs_pipeline.database.server_account.can_reach", lambda *_: False)
    if server.account is None:
        assert not server.needs_capability
        return

    with pytest.raises(ShsError, match="SHS_HOME"):
        server.ensure_running()
