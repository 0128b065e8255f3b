"""Restore a backup into an empty warehouse, compare it with the original, and let people log in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from shs_pipeline.base.errors import ShsError
from shs_pipeline.ingest.changes import changed_folders, read_books
from shs_pipeline.system.backup_folder import DUMP, Summary, read_backup
from shs_pipeline.system.bucket_list import BucketDifference, compare_bucket, read_bucket
from shs_pipeline.system.dump import load_dump, program_for, server_major
from shs_pipeline.system.table_contents import read_contents, value_of

if TYPE_CHECKING:
    from shs_pipeline.landing.zone import Landing
    from shs_pipeline.people.changes import LoginChange
    from shs_pipeline.settings.secret_store import SecretStore
    from shs_pipeline.settings.settings import Settings

# The one table that has a row before anything was loaded.
_NEVER_EMPTY = ("ops", "notice_marks")


@dataclass(frozen=True)
class Restored:
    """The result of a restore.

    Attributes:
        logins: what was done for people's logins; login_problem: why not all of it could be done.
        bucket: None where the bucket cannot be looked at, bucket_problem says why.
        next_folders: keys of the folders that the next run reads.
        is_redefined: the models have changed, so the next run rebuilds every mart.
    """

    summary: Summary
    logins: Sequence[LoginChange]
    login_problem: ShsError | None
    bucket: BucketDifference | None
    bucket_problem: ShsError | None
    next_folders: Sequence[str]
    is_redefined: bool


def restore_from_settings(settings: Settings, folder: Path) -> Restored:
    """Restore a backup into the database that the settings name, and let people in.

    Raises:
        ShsError: as for `restore`.
    """
    from shs_pipeline.database.databases import prepare
    from shs_pipeline.landing.zone import Landing
    from shs_pipeline.settings.secret_store import secret_store

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
    from shs_pipeline.database.connection import connect

    summary = read_backup(folder)
    with connect(database_url, wait_seconds) as connection:
        connection.autocommit = True
        _load(connection, database_url, folder, summary, pg_bin)
        logins, login_problem = _let_people_in(connection, secrets)
        bucket, bucket_problem, folders = _look_at_bucket(connection, folder, landing)
    return Restored(summary, logins, login_problem, bucket, bucket_problem, folders, _is_redefined(summary))


def _is_redefined(summary: Summary) -> bool:
    from shs_pipeline.marts.dbt_build import definition_hash

    return summary.publication_id is not None and summary.definitions != definition_hash()


def _load(
    connection: psycopg.Connection, database_url: str, folder: Path, summary: Summary, pg_bin: Path | None
) -> None:
    from shs_pipeline.database.groups import ensure_roles

    server = server_major(connection)
    if server < summary.server_major:
        raise ShsError(
            f"The backup is from PostgreSQL {summary.server_major}, but this server is PostgreSQL {server}.",
            f"Restore it to a server of version {summary.server_major} or newer.",
        )
    program = program_for("pg_restore", connection, summary.dumped_by_major, pg_bin)
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
            f"The restored data differs from the backup: {', '.join(differing)}. It was removed again.",
            "Stop everything that uses this database (shs down) and restore again.",
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
        if table != _NEVER_EMPTY and value_of(connection, holds_rows):
            name = connection.info.dbname
            raise ShsError(
                f"The warehouse {name} is not empty: {'.'.join(table)} contains rows.",
                "A backup can only be restored into an empty database. Rename the old one first, as "
                f"docs/operation.md describes: alter database {name} rename to {name}_before;",
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
        found = read_contents(connection, summary.schemas)
    return sorted(name for name in {*found, *summary.tables} if found.get(name) != summary.tables.get(name))


def _complete(connection: psycopg.Connection) -> None:
    """Add what the tables of today's contracts have besides, and forget logins of another server."""
    from shs_pipeline.ingest.warehouse import ensure_tables, has_tables

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
    from shs_pipeline.people.access import sync_logins

    try:
        return sync_logins(connection, secrets), None
    except ShsError as error:
        # The data is there, and shs access sync does the rest.
        return (), error


def _look_at_bucket(
    connection: psycopg.Connection, folder: Path, landing: Landing
) -> tuple[BucketDifference | None, ShsError | None, Sequence[str]]:
    try:
        drops = landing.drops()
        difference = compare_bucket(landing, drops, read_bucket(folder))
    except ShsError as error:
        return None, error, ()
    return difference, None, [found.key for found in changed_folders(drops, read_books(connection))]
