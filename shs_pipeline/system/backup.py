"""Backups: the warehouse and a list of the bucket, in a folder that is complete or not there at all.

No login and no password is in it: people's roles belong to the server, and `access.sync_logins` recreates
them. The files of the bucket themselves are not in it either: the bucket keeps its own versions.
`backup_folder` says what it consists of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors, sql

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.private_files import private_file
from shs_pipeline.system.backup_folder import BUCKET, DUMP, Summary, new_folder, settle
from shs_pipeline.system.bucket_list import write_bucket
from shs_pipeline.system.dump import LOCK_WAIT_SECONDS, dump, program_for, server_major
from shs_pipeline.system.table_contents import read_contents, value_of

if TYPE_CHECKING:
    from shs_pipeline.landing.zone import Landing
    from shs_pipeline.settings.settings import Settings


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


def backup_from_settings(settings: Settings, into: Path | None = None) -> Backup:
    """Back up what the settings name, into a new folder below `into` or `<home>/backups`.

    Raises:
        ShsError: as for `make_backup`.
    """
    from shs_pipeline.database.databases import prepare
    from shs_pipeline.landing.zone import Landing

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

    Loads continue meanwhile; a backup and a build wait for each other.

    Args:
        database_url: the owner's URL of the warehouse.
        pg_bin: folder of PostgreSQL's programs that go before all others.

    Raises:
        ShsError: the database, the bucket or the folder cannot be used, or no pg_dump fits.
    """
    from shs_pipeline.database.connection import connect

    with connect(database_url, wait_seconds) as connection, new_folder(into) as folder:
        program = program_for("pg_dump", connection, 0, pg_bin)
        snapshot = _begin(connection)
        schemas = _schemas(connection)
        with private_file(folder / DUMP) as handle:
            dump(program, database_url, snapshot, schemas, handle)
        files, missing, unread = write_bucket(connection, landing, folder / BUCKET)
        summary = Summary(
            **_versions(connection), dumped_by=program.title, dumped_by_major=program.version,
            landing=landing.url, publication_id=_publication(connection), schemas=schemas,
            tables=read_contents(connection, schemas), files=len(files), bytes=sum(files),
        )  # fmt: skip
        made = settle(folder, into, summary)
    return Backup(made, summary, missing, unread)


def _begin(connection: psycopg.Connection) -> str:
    """Keep builds out, and begin the snapshot that everything is read from; return its name."""
    has_books = value_of(connection, "select to_regclass('ops.folders') is not null")
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
            "Try again when it has finished; shs status shows it.",
        ) from None
    return str(value_of(connection, "select pg_export_snapshot()"))


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
            "The warehouse is empty: there is nothing to back up.", "Load something first with shs run."
        )
    return [name for (name,) in found]


def _versions(connection: psycopg.Connection) -> dict[str, Any]:
    from shs_pipeline import __version__
    from shs_pipeline.marts.dbt_build import definition_hash

    return {
        "made_at": value_of(connection, "select now()").astimezone(UTC).isoformat(timespec="seconds"),
        "program": __version__,
        "definitions": definition_hash(),
        "server": value_of(connection, "show server_version"),
        "server_major": server_major(connection),
    }


def _publication(connection: psycopg.Connection) -> int | None:
    if not value_of(connection, "select to_regclass('marts.publications') is not null"):
        return None
    found = value_of(connection, "select max(publication_id) from marts.publications")
    return None if found is None else int(found)
