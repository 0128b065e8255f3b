"""Backups: what the warehouse holds, with a list of the bucket, in a folder that is whole or not there.

A backup is a folder of four files:

    database.dump   the warehouse as `pg_dump` writes it, one snapshot
    bucket.jsonl    a line for each file of the landing zone: path, bytes, etag, modified, sha256
    backup.json     versions, and of each table the rows, of each mart the sums and a digest too
    SHA256SUMS      checksums of the three, as `sha256sum` writes them

No login and no password is in it: people's roles belong to the server, and `access.sync_logins` makes
them anew. The files of the bucket themselves are not in it either: the bucket keeps its own versions.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psycopg
from psycopg import errors, sql

from shs_pipeline.changes import changed_folders, read_books
from shs_pipeline.dump import LOCK_WAIT_SECONDS, Program, dump, find_program, load_dump
from shs_pipeline.errors import ShsError
from shs_pipeline.private_files import give_to_owner_of, sync_folder

if TYPE_CHECKING:
    from shs_pipeline.access import LoginChange
    from shs_pipeline.landing import Drop, Landing
    from shs_pipeline.secret_store import SecretStore
    from shs_pipeline.settings import Settings

DUMP, BUCKET, SUMMARY, CHECKSUMS = "database.dump", "bucket.jsonl", "backup.json", "SHA256SUMS"
FORMAT = 1
_PREFIX = "shs-"
_MAKING = ".making-"
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
# The one table that has a row before anything was loaded.
_NEVER_EMPTY = ("ops", "notice_marks")


@dataclass(frozen=True)
class TableContent:
    """What a table held: its rows; for a mart the sum of each amount and a digest of all rows too."""

    rows: int
    sums: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""


@dataclass(frozen=True)
class Summary:
    """What `backup.json` says.

    Attributes:
        made_at: instant of the snapshot.
        program: version of this program; definitions: hash of the models, as in `marts.publications`.
        server: version of the server; dumped_by: of the `pg_dump`, both with the major version apart.
        publication_id: what people read then; None: nothing was published.
        tables: by `schema.table`.
    """

    made_at: str
    program: str
    definitions: str
    server: str
    server_major: int
    dumped_by: str
    dumped_by_major: int
    landing: str
    publication_id: int | None
    schemas: Sequence[str]
    tables: Mapping[str, TableContent]
    files: int
    bytes: int
    format: int = FORMAT


@dataclass(frozen=True)
class BucketFile:
    """A file of the landing zone; sha256 is None where it was not read in this version."""

    path: str
    bytes: int
    etag: str
    modified: str
    sha256: str | None


@dataclass(frozen=True)
class Backup:
    """A complete backup.

    Attributes:
        missing: files that are loaded, and no longer in the bucket.
        unread: files that are in the bucket, and not read in that version.
    """

    folder: Path
    summary: Summary
    missing: Sequence[str] = ()
    unread: Sequence[str] = ()


@dataclass(frozen=True)
class BucketDifference:
    """How the bucket differs from the list in the backup, by path."""

    gone: Sequence[str]
    new: Sequence[str]
    changed: Sequence[str]


@dataclass(frozen=True)
class Restored:
    """What became of a restore.

    Attributes:
        logins: what was done for people's logins; login_problem: why not all of it could be done.
        bucket: None where the bucket cannot be looked at, bucket_problem says why.
        next_folders: keys of the folders that the next run reads.
        is_redefined: the models are others by now, so the next run rebuilds every mart.
    """

    summary: Summary
    logins: Sequence[LoginChange]
    login_problem: ShsError | None
    bucket: BucketDifference | None
    bucket_problem: ShsError | None
    next_folders: Sequence[str]
    is_redefined: bool


# --- making one --------------------------------------------------------------------------


def backup_from_settings(settings: Settings, into: Path | None = None) -> Backup:
    """Back up what the settings name, into a new folder below `into` or `<home>/backups`.

    Raises:
        ShsError: as for `make_backup`.
    """
    from shs_pipeline.database import prepare
    from shs_pipeline.landing import Landing

    url = prepare(settings).warehouse_url.get_secret_value()
    place = into or settings.home / "backups"
    return make_backup(
        url,
        Landing(settings.landing),
        place,
        pg_bin=settings.pg_bin,
        wait_seconds=settings.database_wait_seconds,
    )


def make_backup(
    database_url: str,
    landing: Landing,
    into: Path,
    *,
    pg_bin: Path | None = None,
    wait_seconds: float = 30,
) -> Backup:
    """Write one new folder below `into`, complete or not at all; only its owner can read it.

    Loads go on meanwhile; a build waits, and is waited for.

    Args:
        database_url: the owner's URL of the warehouse.
        pg_bin: folder of PostgreSQL's programs that go before all others.

    Raises:
        ShsError: the database, the bucket or the folder cannot be used, or no pg_dump fits.
    """
    from shs_pipeline.database import connect

    with connect(database_url, wait_seconds) as connection, _new_folder(into) as folder:
        program = _program("pg_dump", connection, 0, pg_bin)
        snapshot = _begin(connection)
        schemas = _schemas(connection)
        with _private_file(folder / DUMP) as handle:
            dump(program, database_url, snapshot, schemas, handle)
        files, missing, unread = _write_bucket(connection, landing, folder / BUCKET)
        summary = Summary(
            **_versions(connection), dumped_by=program.title, dumped_by_major=program.version,
            landing=landing.url, publication_id=_publication(connection), schemas=schemas,
            tables=_contents(connection, schemas), files=len(files), bytes=sum(files),
        )  # fmt: skip
        _write_text(folder / SUMMARY, json.dumps(asdict(summary), indent=1, sort_keys=True) + "\n")
        lines = [f"{_checksum(folder / name)}  {name}\n" for name in (BUCKET, DUMP, SUMMARY)]
        _write_text(folder / CHECKSUMS, "".join(lines))
        made = _settle(folder, into)
    return Backup(made, summary, missing, unread)


def _begin(connection: psycopg.Connection) -> str:
    """Keep builds out, and begin the snapshot that everything is read from; return its name."""
    has_books = _value(connection, "select to_regclass('ops.folders') is not null")
    connection.rollback()
    try:
        connection.execute("set transaction isolation level repeatable read")
        connection.execute("set local idle_in_transaction_session_timeout = 0")
        connection.execute("set local statement_timeout = 0")
        if has_books:
            # Conflicts with the lock of a build, which drops and makes tables, and not with loads. The
            # snapshot begins behind it, and so shows what the build published.
            connection.execute(sql.SQL("set local lock_timeout = {}").format(f"{LOCK_WAIT_SECONDS}s"))
            connection.execute("lock table ops.folders in row exclusive mode")
    except errors.LockNotAvailable:
        raise ShsError(
            f"A build of the marts has been running for {LOCK_WAIT_SECONDS} s.",
            "Try again when it is done; shs status shows it.",
        ) from None
    return str(_value(connection, "select pg_export_snapshot()"))


def _schemas(connection: psycopg.Connection) -> list[str]:
    """Return the schemas of the warehouse: all that are the owner's, but not `public`.

    Raises:
        ShsError: there is none.
    """
    found = connection.execute(
        "select nspname from pg_namespace where nspname !~ '^pg_' and nspname not in"
        " ('information_schema', 'public') and pg_has_role(nspowner, 'usage') order by nspname"
    ).fetchall()
    if not found:
        raise ShsError(
            "The warehouse is empty: there is nothing to back up.", "Load something first: shs run."
        )
    return [name for (name,) in found]


def _versions(connection: psycopg.Connection) -> dict[str, Any]:
    from shs_pipeline import __version__
    from shs_pipeline.dbt_build import definition_hash

    return {
        "made_at": _value(connection, "select now()").astimezone(UTC).isoformat(timespec="seconds"),
        "program": __version__,
        "definitions": definition_hash(),
        "server": _value(connection, "show server_version"),
        "server_major": _server_major(connection),
    }


def _publication(connection: psycopg.Connection) -> int | None:
    if not _value(connection, "select to_regclass('marts.publications') is not null"):
        return None
    found = _value(connection, "select max(publication_id) from marts.publications")
    return None if found is None else int(found)


def _contents(connection: psycopg.Connection, schemas: Sequence[str]) -> dict[str, TableContent]:
    """Return what each table holds, and each view that people read."""
    # The text of a row hangs on these.
    for setting in ("timezone = 'UTC'", "datestyle = 'ISO, MDY'", "intervalstyle = 'postgres'"):
        connection.execute(sql.SQL("set local ") + sql.SQL(setting))
    found = connection.execute(
        "select n.nspname::text, c.relname::text, array("
        " select attname::text from pg_attribute where attrelid = c.oid and attnum > 0"
        " and not attisdropped and atttypid = 'numeric'::regtype order by attnum)"
        " from pg_class as c inner join pg_namespace as n on n.oid = c.relnamespace"
        " where n.nspname = any(%s) and (c.relkind in ('r', 'p') or c.relkind = 'v' and n.nspname = 'marts')"
        " order by 1, 2",
        [list(schemas)],
    ).fetchall()
    return {
        f"{schema}.{table}": _content(connection, schema, table, amounts if schema == "marts" else None)
        for schema, table, amounts in found
    }


def _content(
    connection: psycopg.Connection, schema: str, table: str, amounts: Sequence[str] | None
) -> TableContent:
    relation = sql.Identifier(schema, table)
    if amounts is None:
        return TableContent(_value(connection, sql.SQL("select count(*) from {}").format(relation)))
    sums: list[sql.Composable] = [
        sql.SQL(", coalesce(sum({}), 0)::text").format(sql.Identifier("whole_row", name)) for name in amounts
    ]
    # The sum of a hash of each row: the same rows in any order give the same.
    query = sql.SQL(
        "select count(*),"
        " coalesce(sum(('x' || substr(md5(whole_row::text), 1, 16))::bit(64)::bigint::numeric), 0)::text"
        " {} from {} as whole_row"
    )
    row = connection.execute(query.format(sql.SQL("").join(sums), relation)).fetchone()
    assert row is not None
    return TableContent(row[0], dict(zip(amounts, row[2:], strict=True)), row[1])


def _write_bucket(
    connection: psycopg.Connection, landing: Landing, path: Path
) -> tuple[list[int], list[str], list[str]]:
    """List the bucket into a file; return the sizes, what is missing in it, and what is not read yet."""
    books = connection.execute(
        "select path, etag, bytes, sha256, status from ops.files where status in ('loaded', 'rejected')"
        if _value(connection, "select to_regclass('ops.files') is not null")
        else "select null, null, null, null, null where false"
    ).fetchall()
    # Bytes that are read are known by their checksum; nothing is read for the list.
    checksums = {(name, etag, size): digest for name, etag, size, digest, _ in books}
    sizes: list[int] = []
    unread: list[str] = []
    listed: set[str] = set()
    with _private_file(path) as handle:
        for drop in landing.drops():
            key = (drop.path, drop.etag, drop.size)
            found = BucketFile(drop.path, drop.size, drop.etag, drop.modified.isoformat(), checksums.get(key))
            handle.write(json.dumps(asdict(found), ensure_ascii=False).encode() + b"\n")
            sizes.append(drop.size)
            listed.add(drop.path)
            if key not in checksums:
                unread.append(drop.path)
    missing = [name for name, *_, status in books if status == "loaded" and name not in listed]
    return sizes, sorted(missing), unread


# --- the folder --------------------------------------------------------------------------


@contextmanager
def _new_folder(into: Path) -> Iterator[Path]:
    """Yield a folder that is not a backup yet; it is gone afterwards unless it was settled."""
    with _writing(into):
        is_new = not into.exists()
        into.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        if is_new:
            give_to_owner_of(into.parent, into)
        place = os.open(into, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(place, fcntl.LOCK_EX)
            _remove_leftovers(into)
            making = Path(tempfile.mkdtemp(prefix=_MAKING, dir=into))
            held = os.open(making, os.O_RDONLY | os.O_DIRECTORY)
            # As long as this process lives, another backup does not take it for a leftover.
            fcntl.flock(held, fcntl.LOCK_EX)
        finally:
            os.close(place)
        try:
            yield making
        finally:
            os.close(held)
            shutil.rmtree(making, ignore_errors=True)


def _remove_leftovers(into: Path) -> None:
    """Remove what killed backups left; the folder of one that runs is locked and stays."""
    for folder in into.glob(f"{_MAKING}*"):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(descriptor)


def _settle(making: Path, into: Path) -> Path:
    """Give the complete folder its name, durably."""
    sync_folder(making)
    base = f"{_PREFIX}{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
    number = 1
    while True:
        made = into / (base if number == 1 else f"{base}-{number}")
        if not made.exists():
            with suppress(FileExistsError):
                for path in (*making.iterdir(), making):
                    give_to_owner_of(into, path)
                making.rename(made)
                sync_folder(into)
                return made
        number += 1


@contextmanager
def _writing(into: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ShsError(
            f"The backup cannot be written to {into} ({error.strerror or error}).",
            "Nothing was written. Name a folder of yours on a disk with room: shs backup FOLDER.",
        ) from None


@contextmanager
def _private_file(path: Path) -> Iterator[IO[bytes]]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as handle:
        os.fchmod(descriptor, _PRIVATE_FILE)  # whatever the umask
        yield handle
        handle.flush()
        os.fsync(descriptor)


def _write_text(path: Path, text: str) -> None:
    with _private_file(path) as handle:
        handle.write(text.encode())


def _checksum(path: Path) -> str:
    with path.open("rb") as handle:
        return file_digest(handle, "sha256").hexdigest()


# --- reading one -------------------------------------------------------------------------


def read_backup(folder: Path) -> Summary:
    """Return what a backup says of itself, after all of its bytes were checked.

    Raises:
        ShsError: it is no backup, or not complete, or damaged, or of a later format.
    """
    expected = _expected(folder)
    for name in (BUCKET, DUMP, SUMMARY):
        try:
            is_whole = _checksum(folder / name) == expected.get(name)
        except OSError as error:
            raise _damaged(folder, f"{name} cannot be read ({error.strerror})") from None
        if not is_whole:
            raise _damaged(folder, f"{name} is not what was written")
    try:
        said = json.loads((folder / SUMMARY).read_bytes())
        if said["format"] > FORMAT:
            raise ShsError(
                f"The backup {folder} was written by a later version ({said['program']}).",
                "Restore it with that version or a newer one.",
            )
        tables = {name: TableContent(**content) for name, content in said.pop("tables").items()}
        return Summary(**said, tables=tables)
    except (KeyError, TypeError, ValueError):
        raise _damaged(folder, f"{SUMMARY} cannot be understood") from None


def read_bucket(folder: Path) -> Iterator[BucketFile]:
    """Yield the files that the bucket held, by path."""
    with (folder / BUCKET).open("rb") as handle:
        for line in handle:
            yield BucketFile(**json.loads(line))


def _expected(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / CHECKSUMS).read_text(errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        inside = sorted(path.name for path in folder.glob(f"{_PREFIX}*")) if folder.is_dir() else []
        remedy = "Name the folder of a backup, as shs backup printed it."
        raise ShsError(
            f"{folder} is not a complete backup: it has no {CHECKSUMS}.",
            f"Name the backup in it, such as {folder / inside[-1]}." if inside else remedy,
        ) from None
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _damaged(folder: Path, what: str) -> ShsError:
    return ShsError(f"The backup {folder} is damaged: {what}.", "Restore another one; nothing was changed.")


# --- restoring ---------------------------------------------------------------------------


def restore_from_settings(settings: Settings, folder: Path) -> Restored:
    """Restore a backup into the database that the settings name, and let people in.

    Raises:
        ShsError: as for `restore`.
    """
    from shs_pipeline.database import prepare
    from shs_pipeline.landing import Landing
    from shs_pipeline.secret_store import secret_store

    read_backup(folder)  # before a server is started for nothing
    url = prepare(settings).warehouse_url.get_secret_value()
    return restore(
        url, folder, Landing(settings.landing), secret_store(settings), pg_bin=settings.pg_bin,
        wait_seconds=settings.database_wait_seconds,
    )  # fmt: skip


def restore(
    database_url: str,
    folder: Path,
    landing: Landing,
    secrets: SecretStore,
    *,
    pg_bin: Path | None = None,
    wait_seconds: float = 30,
) -> Restored:
    """Load a backup into an empty warehouse, compare, make the logins, and look at the bucket.

    Raises:
        ShsError: the backup is damaged, the warehouse holds something, the server is older than the
            backup's, or the load fails. The warehouse is empty then, or as it was.
    """
    from shs_pipeline.database import connect

    summary = read_backup(folder)
    with connect(database_url, wait_seconds) as connection:
        connection.autocommit = True
        _load(connection, database_url, folder, summary, pg_bin)
        logins, login_problem = _let_people_in(connection, secrets)
        bucket, bucket_problem, folders = _look_at_bucket(connection, folder, landing)
    return Restored(summary, logins, login_problem, bucket, bucket_problem, folders, _is_redefined(summary))


def _is_redefined(summary: Summary) -> bool:
    from shs_pipeline.dbt_build import definition_hash

    return summary.publication_id is not None and summary.definitions != definition_hash()


def _load(
    connection: psycopg.Connection, database_url: str, folder: Path, summary: Summary, pg_bin: Path | None
) -> None:
    from shs_pipeline.access import ensure_roles

    server = _server_major(connection)
    if server < summary.server_major:
        raise ShsError(
            f"The backup is of a PostgreSQL {summary.server_major}, this server is a PostgreSQL {server}.",
            f"Restore it into a server of version {summary.server_major} or newer.",
        )
    program = _program("pg_restore", connection, summary.dumped_by_major, pg_bin)
    ensure_roles(connection)
    with connection.transaction():
        _make_empty(connection, summary.schemas)
    with (folder / DUMP).open("rb") as handle:
        load_dump(program, database_url, handle)
    differing = _differing(connection, summary)
    if differing:
        with connection.transaction():
            _drop_schemas(connection, summary.schemas)
        raise ShsError(
            f"What was restored is not what was backed up: {', '.join(differing)}. It was removed again.",
            "Stop everything that works on this database (shs down) and restore again.",
        )
    _complete(connection)


def _make_empty(connection: psycopg.Connection, schemas: Sequence[str]) -> None:
    """Drop the tables that a new installation has before anything is loaded.

    Raises:
        ShsError: one of them holds something.
    """
    found = connection.execute(
        "select n.nspname::text, c.relname::text from pg_class as c"
        " inner join pg_namespace as n on n.oid = c.relnamespace"
        " where n.nspname = any(%s) and c.relkind in ('r', 'p', 'm') order by 1, 2",
        [list(schemas)],
    ).fetchall()
    connection.execute("set local lock_timeout = '30s'")
    for table in found:
        holds_rows = sql.SQL("select exists (select from {})").format(sql.Identifier(*table))
        if table != _NEVER_EMPTY and _value(connection, holds_rows):
            name = connection.info.dbname
            raise ShsError(
                f"The warehouse {name} is not empty: {'.'.join(table)} holds rows.",
                "A backup is restored into an empty database only. Put the old one aside first, as "
                f"docs/operation.md says: alter database {name} rename to {name}_before;",
            )
    _drop_schemas(connection, schemas)
    # By default everybody may connect to a new database, and make tables in memory.
    connection.execute(
        sql.SQL("revoke all on database {} from public").format(sql.Identifier(connection.info.dbname))
    )


def _drop_schemas(connection: psycopg.Connection, schemas: Iterable[str]) -> None:
    for name in schemas:
        connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(name)))


def _differing(connection: psycopg.Connection, summary: Summary) -> list[str]:
    with connection.transaction():
        found = _contents(connection, summary.schemas)
    return sorted(name for name in {*found, *summary.tables} if found.get(name) != summary.tables.get(name))


def _complete(connection: psycopg.Connection) -> None:
    """Add what the tables of today's contracts have besides, and forget logins of another server."""
    from shs_pipeline.warehouse import ensure_tables, has_tables

    if not has_tables(connection):
        ensure_tables(connection)
    with connection.transaction():
        # Metabase's own logins are made with new passwords by `shs metabase apply`.
        connection.execute("delete from ops.metabase_objects where kind = 'role'")
        connection.execute(
            "delete from ops.impersonators as i where not exists (select from pg_database as d"
            " cross join aclexplode(d.datacl) as a inner join pg_roles as r on r.oid = a.grantee"
            " where d.datname = current_database() and r.rolname = i.role_name"
            " and a.privilege_type = 'CONNECT')"
        )
    connection.execute("analyze")


def _let_people_in(
    connection: psycopg.Connection, secrets: SecretStore
) -> tuple[Sequence[LoginChange], ShsError | None]:
    from shs_pipeline.access import sync_logins

    try:
        return sync_logins(connection, secrets), None
    except ShsError as error:
        # The data is there, and shs access sync does the rest.
        return (), error


# --- the bucket --------------------------------------------------------------------------


def _look_at_bucket(
    connection: psycopg.Connection, folder: Path, landing: Landing
) -> tuple[BucketDifference | None, ShsError | None, Sequence[str]]:
    try:
        drops = landing.drops()
        difference = compare_bucket(landing, drops, read_bucket(folder))
    except ShsError as error:
        return None, error, ()
    return difference, None, [found.key for found in changed_folders(drops, read_books(connection))]


def compare_bucket(
    landing: Landing, drops: Sequence[Drop], backed_up: Iterable[BucketFile]
) -> BucketDifference:
    """Return how the bucket differs from a list of it.

    An etag changes when a file is copied back, so a file of the same size with another one is
    read, where its checksum is known.

    Raises:
        ShsError: the bucket cannot be reached.
    """
    here = {drop.path: drop for drop in drops}
    gone, changed = [], []
    for known in backed_up:
        drop = here.pop(known.path, None)
        if drop is None:
            gone.append(known.path)
        elif not _is_same(landing, drop, known):
            changed.append(known.path)
    return BucketDifference(gone, sorted(here), changed)


def _is_same(landing: Landing, drop: Drop, known: BucketFile) -> bool:
    if drop.size != known.bytes:
        return False
    if drop.etag == known.etag:
        return True
    content = landing.read(drop.path) if known.sha256 else None
    return content is not None and sha256(content).hexdigest() == known.sha256


def _program(name: str, connection: psycopg.Connection, at_least: int, pg_bin: Path | None) -> Program:
    server = _server_major(connection)
    return find_program(
        name, max(server, at_least), preferred=server, pg_bin=pg_bin, needs_tls=connection.pgconn.ssl_in_use
    )


def _server_major(connection: psycopg.Connection) -> int:
    return connection.info.server_version // 10000


def _value(connection: psycopg.Connection, query: Any) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]
