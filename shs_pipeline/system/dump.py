"""`pg_dump` and `pg_restore`: find versions that match the server, and run them.

No password reaches a command line, where every user of the machine could read it: it goes by the
environment. Dumps go through a pipe, so that neither program outlives the process that called it:
without its reader `pg_dump` ends, and without its writer `pg_restore` rolls back.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from shs_pipeline.base.errors import ShsError

if TYPE_CHECKING:
    import psycopg

LOCK_WAIT_SECONDS = 600
_CHUNK = 1 << 20
# Parts of a URL that no command line may show.
_SECRET_PARTS = ("password", "sslpassword")


@dataclass(frozen=True)
class Program:
    """A program of PostgreSQL; version is its major version."""

    path: Path
    version: int
    title: str


def find_program(
    name: str, at_least: int, *, preferred: int, pg_bin: Path | None, needs_tls: bool
) -> Program:
    """Return the program of that name that fits best.

    Args:
        at_least: the lowest major version that can do it.
        preferred: the version to take where there are several: the server's own. A newer one may
            say things that the server does not understand.
        pg_bin: folder of programs that go before all others.
        needs_tls: leave out those that come with the lock file, which cannot encrypt.

    Raises:
        ShsError: there is none.
    """
    found = [
        program
        for folder in _folders(name, pg_bin, needs_tls)
        if (program := _program(folder / name)) is not None
    ]
    fitting = [program for program in found if program.version >= at_least]
    if fitting:
        chosen = [program for program in fitting if pg_bin is not None and program.path.parent == pg_bin]
        exact = [program for program in fitting if program.version == preferred]
        return (chosen or exact or sorted(fitting, key=lambda program: program.version))[0]
    what = f"{name} of version {at_least} or newer"
    seen = ", ".join(f"{program.title} in {program.path.parent}" for program in found)
    encrypted = " that can encrypt, which the connection to this server requires" if needs_tls else ""
    raise ShsError(
        f"No {what}{encrypted} was found{f'; there is {seen}' if seen else ''}.",
        "Install PostgreSQL's client programs in that version (postgresql-client), and set SHS_PG_BIN to "
        "their folder if they are not found.",
    )


def program_for(name: str, connection: psycopg.Connection, at_least: int, pg_bin: Path | None) -> Program:
    """Return the program of that name for the server of a connection; for the rest see `find_program`."""
    server = server_major(connection)
    return find_program(
        name, max(server, at_least), preferred=server, pg_bin=pg_bin, needs_tls=connection.pgconn.ssl_in_use
    )


def server_major(connection: psycopg.Connection) -> int:
    """Return the major version of the server."""
    return connection.info.server_version // 10000


def _folders(name: str, pg_bin: Path | None, needs_tls: bool) -> Iterator[Path]:
    from shs_pipeline.database.server_programs import bundled_programs

    if pg_bin is not None:
        yield pg_bin
    if not needs_tls:
        yield from bundled_programs().values()
    on_path = shutil.which(name)
    if on_path:
        yield Path(on_path).parent


def _program(path: Path) -> Program | None:
    try:
        said = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    version = re.search(r"\) (\d+)", said)
    return Program(path, int(version.group(1)), said.strip()) if version else None


def dump(program: Program, database_url: str, snapshot: str, schemas: Sequence[str], into: IO[bytes]) -> None:
    """Write a dump of whole schemas, in PostgreSQL's custom format, as one snapshot shows them.

    Args:
        snapshot: of a transaction that stays open meanwhile.
        into: a file; it is written from where it stands.

    Raises:
        ShsError: pg_dump fails, or the disk is full.
    """
    quoted = ['"' + name.replace('"', '""') + '"' for name in schemas]
    arguments = [
        "--format=custom", f"--snapshot={snapshot}", f"--lock-wait-timeout={LOCK_WAIT_SECONDS * 1000}",
        *(f"--schema={name}" for name in quoted),
    ]  # fmt: skip
    with _running(program, database_url, arguments, stdout=subprocess.PIPE) as (process, complaints):
        assert process.stdout is not None
        shutil.copyfileobj(process.stdout, into, _CHUNK)
        if process.wait() != 0:
            raise ShsError(
                f"pg_dump failed: {_last_line(complaints)}",
                "Nothing was written. Fix that problem, then run shs backup again.",
            )


def load_dump(program: Program, database_url: str, dump_file: IO[bytes]) -> None:
    """Load a dump in one transaction, all of it or nothing; whoever loads owns what is made.

    Raises:
        ShsError: pg_restore fails; the database is as it was.
    """
    arguments = ["--single-transaction", "--no-owner"]
    with _running(program, database_url, arguments, stdin=subprocess.PIPE) as (process, complaints):
        assert process.stdin is not None
        try:
            shutil.copyfileobj(dump_file, process.stdin, _CHUNK)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it gave up, and says below why
        if process.wait() != 0:
            said = _last_line(complaints)
            role = re.search(r'role "(.*)" does not exist', said)
            raise ShsError(
                f"pg_restore failed, and the database is as it was: {said}",
                f'Ask an administrator of that server to run: create role "{role.group(1)}" nologin; then '
                "restore again."
                if role
                else "Fix that problem, then restore again.",
            )


@contextmanager
def _running(
    program: Program, database_url: str, arguments: Sequence[str], **pipes: Any
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    place, environment = _connection(database_url)
    # Complaints go into a file: in a second pipe that nobody reads meanwhile they could get stuck.
    with tempfile.TemporaryFile() as complaints:
        command = [str(program.path), *arguments, f"--dbname={place}"]
        process = subprocess.Popen(
            command, stderr=complaints, env=environment, **{"stdin": subprocess.DEVNULL, **pipes}
        )
        try:
            yield process, complaints
        finally:
            if process.poll() is None:
                process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None and not pipe.closed:
                    _close(pipe)
            process.wait()


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return


def _connection(database_url: str) -> tuple[str, Mapping[str, str]]:
    """Return where to connect, without any secret, and the environment that holds the password."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    parts = conninfo_to_dict(database_url)
    secret = {name: str(parts.pop(name)) for name in _SECRET_PARTS if parts.get(name)}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SHS_", "LC_"))}
    environment["LC_ALL"] = "C"
    if "password" in secret:
        environment["PGPASSWORD"] = secret["password"]
    return make_conninfo("", **parts), environment


def _last_line(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    lines = [line.strip() for line in complaints.read().decode(errors="replace").splitlines()]
    told = [line for line in lines if "error:" in line] or [line for line in lines if line]
    # The first is the cause; what follows are its consequences.
    return f"{told[0].rstrip('.')}." if told else "it says nothing."
