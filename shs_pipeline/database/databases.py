"""A system's two databases, the warehouse and Dagster's: created if missing, and closed to everybody else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import SecretStr

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.address import server_url, url_text
from shs_pipeline.database.connection import CONNECT_SECONDS, connect
from shs_pipeline.database.ddl_guard import IS_GUARDED, guard_definitions

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.database.embedded_postgres import EmbeddedPostgres, ServerAddress
    from shs_pipeline.settings.settings import Settings

OWNER = "shs_owner"
WAREHOUSE = "shs"
DAGSTER = "shs_dagster"
# By default everybody may call these: an advisory lock holds up loads for as long as its session likes, an
# exported snapshot keeps dead rows, the others fill the disk from a transaction that may not write.
# `docs/access.md` has the statement for a server of one's own, where only its administrator can run it.
_RESERVED: LiteralString = """
    select oid, oid::regprocedure::text as name from pg_proc
    where
        pronamespace = 'pg_catalog'::regnamespace
        and (
            proname ~ '^pg_(try_)?advisory_'
            or proname in (
                'lo_creat', 'lo_create', 'lo_from_bytea', 'pg_logical_emit_message',
                'pg_notify', 'pg_export_snapshot'
            )
        )
"""


@dataclass(frozen=True)
class Databases:
    """The two databases of one system; printing it shows no password.

    Attributes:
        warehouse_url: the warehouse, as its owner.
        dagster_url: Dagster's own storage, on the same server.
        was_started: whether preparing them started the embedded server.
    """

    warehouse_url: SecretStr
    dagster_url: SecretStr
    was_started: bool = False


def are_made(settings: Settings) -> bool:
    """Whether there is a database to look into; one that was never made is not made by looking."""
    from shs_pipeline.database.embedded_postgres import EmbeddedPostgres

    server = EmbeddedPostgres(settings.home, settings.pg_bin)
    return settings.database_url is not None or server.status().state != "not made yet"


def prepare(settings: Settings) -> Databases:
    """Make both databases ready for use: start, create what is missing, leave the rest alone.

    Raises:
        ShsError: a server that does not start, cannot be reached, or refuses.
    """
    url = server_url(settings)
    if url is not None:
        return _prepare_server(url, settings.database_wait_seconds)
    return _prepare_embedded(settings)


def _prepare_embedded(settings: Settings) -> Databases:
    from shs_pipeline.database.embedded_postgres import EmbeddedPostgres

    server = EmbeddedPostgres(settings.home, settings.pg_bin)
    server.rotate_log()
    recorded = server.recorded_address()
    # The usual case costs one connection: the owner gets in and finds both databases.
    if recorded is not None:
        databases = _embedded_databases(server, recorded)
        if _is_ready(databases):
            return databases
    address = server.ensure_running()
    databases = _embedded_databases(server, address)
    if not _is_ready(databases):
        admin = f"postgresql://{address.superuser}:{quote(address.password)}@{address.host}:{address.port}"
        _complete(admin, server.read_secrets().owner_password, settings.database_wait_seconds)
    return databases


def _embedded_databases(server: EmbeddedPostgres, address: ServerAddress) -> Databases:
    password = quote(server.read_secrets().owner_password, safe="")
    base = f"postgresql://{OWNER}:{password}@{address.host}:{address.port}"
    return Databases(SecretStr(f"{base}/{WAREHOUSE}"), SecretStr(f"{base}/{DAGSTER}"), address.was_started)


def _is_ready(databases: Databases) -> bool:
    import psycopg

    try:
        with psycopg.connect(url_text(databases.warehouse_url), connect_timeout=CONNECT_SECONDS) as owner:
            return _is_complete(owner)
    except psycopg.OperationalError:
        return False  # not running, not made yet, or another password


def _is_complete(owner: psycopg.Connection) -> bool:
    """Whether both databases belong to the owner alone and only the owner may change things in them.

    And whether the owner is free of the limits that everybody else has, and has connections of its own.
    """
    from psycopg import sql

    complete: LiteralString = """
        select
            (
                select count(*) from pg_database
                where datname = any(%s) and not exists (
                    select from aclexplode(coalesce(datacl, acldefault('d', datdba))) where grantee = 0
                )
            ) = 2
            and {}
            and current_setting('temp_file_limit') = '-1'
            and current_setting('log_min_messages') = 'warning'
            and (
                current_setting('server_version_num')::int < 160000
                or pg_has_role('pg_use_reserved_connections', 'usage')
            )
            and not exists (
                select from ({}) as reserved
                where
                    has_function_privilege('public', oid, 'execute')
                    or not has_function_privilege(oid, 'execute')
            )
    """
    query = sql.SQL(complete).format(sql.SQL(IS_GUARDED), sql.SQL(_RESERVED))
    found = owner.execute(query, [[WAREHOUSE, DAGSTER]]).fetchone()
    return found is not None and bool(found[0])


def _complete(admin_url: str, owner_password: str, wait_seconds: float) -> None:
    """Create role and databases as the superuser; what exists already is brought in line."""
    from psycopg import sql

    with connect(f"{admin_url}/postgres", wait_seconds) as admin:
        admin.autocommit = True
        # One at a time: two first commands at once would create everything twice.
        admin.execute("select pg_advisory_lock(hashtext('shs prepare'))")
        _make_owner(admin, owner_password)
        with connect(f"{admin_url}/template1", wait_seconds) as template:
            # Also in databases that are created later.
            _reserve_functions(template)
            guard_definitions(template)
        for name in (WAREHOUSE, DAGSTER):
            database = sql.Identifier(name)
            _create_database(admin, name, OWNER)
            admin.execute(sql.SQL("alter database {} owner to {}").format(database, sql.Identifier(OWNER)))
            admin.execute(sql.SQL("revoke all on database {} from public").format(database))
        admin.execute("revoke connect on database postgres, template1 from public")
        # The warehouse last: it is the one that `_is_complete` looks into.
        for name in (DAGSTER, WAREHOUSE):
            with connect(f"{admin_url}/{name}", wait_seconds) as inside:
                inside.execute("revoke all on schema public from public")
                inside.execute(sql.SQL("grant all on schema public to {}").format(sql.Identifier(OWNER)))
                _reserve_functions(inside)
                guard_definitions(inside)


def _reserve_functions(admin: psycopg.Connection) -> None:
    """Leave the functions that can hold others up, or fill the disk, to the owner; in one database."""
    from psycopg import sql

    names = sql.SQL("select string_agg(name, ', ') from ({}) as reserved").format(sql.SQL(_RESERVED))
    row = admin.execute(names).fetchone()
    assert row is not None
    functions = sql.SQL(row[0])
    admin.execute(sql.SQL("revoke execute on function {} from public").format(functions))
    admin.execute(sql.SQL("grant execute on function {} to {}").format(functions, sql.Identifier(OWNER)))


def _make_owner(admin: psycopg.Connection, password: str) -> None:
    from psycopg import sql

    from shs_pipeline.database.verifier import verifier

    exists = admin.execute("select 1 from pg_roles where rolname = %s", [OWNER]).fetchone() is not None
    statement: LiteralString = (
        "{} role {} with login nosuperuser createrole createdb noreplication nobypassrls password {}"
    )
    verb = sql.SQL("alter") if exists else sql.SQL("create")
    admin.execute(sql.SQL(statement).format(verb, sql.Identifier(OWNER), verifier(admin, OWNER, password)))
    admin.execute(sql.SQL("alter role {} set temp_file_limit = -1").format(sql.Identifier(OWNER)))
    # Other users see their mistakes in their own errors; in the log, an error could be as long as they like.
    admin.execute("alter role all set log_min_messages = 'panic'")
    for role in (OWNER, admin.info.user):
        admin.execute(sql.SQL("alter role {} set log_min_messages = 'warning'").format(sql.Identifier(role)))
    if admin.info.server_version >= 160000:
        grant: LiteralString = "grant pg_use_reserved_connections to {}"
        admin.execute(sql.SQL(grant).format(sql.Identifier(OWNER)))


def _create_database(connection: psycopg.Connection, name: str, owner: str) -> bool:
    """Create a database unless it exists; True when this call made it."""
    from psycopg import errors, sql

    if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
        return False
    try:
        connection.execute(
            sql.SQL("create database {} owner {}").format(sql.Identifier(name), sql.Identifier(owner))
        )
    except (errors.DuplicateDatabase, errors.UniqueViolation):
        return False  # another command was quicker
    return True


def _prepare_server(url: SecretStr, wait_seconds: float) -> Databases:
    from psycopg import errors, sql

    with connect(url, wait_seconds) as connection:
        connection.autocommit = True
        _check_version(connection)
        # Not the one who logged in, who may stand for the owner: deploy/shs_deploy/logins.py.
        row = connection.execute("select current_user").fetchone()
        name, user = f"{connection.info.dbname}_dagster", str(row[0]) if row else connection.info.user
        try:
            if _create_database(connection, name, user):
                connection.execute(
                    sql.SQL("revoke all on database {} from public").format(sql.Identifier(name))
                )
        except errors.InsufficientPrivilege:
            raise ShsError(
                f"Dagster's database {name} does not exist and the user {user} may not create it.",
                f'Ask an administrator of that server to run: create database "{name}" owner "{user}";',
            ) from None
    parts = urlsplit(url_text(url))
    dagster = urlunsplit(parts._replace(path=f"/{quote(name, safe='')}"))
    return Databases(SecretStr(url_text(url)), SecretStr(dagster))


def _check_version(connection: psycopg.Connection) -> None:
    version = connection.info.server_version // 10000
    if version < 15:
        raise ShsError(
            f"SHS_DATABASE_URL points to PostgreSQL {version}, but version 15 or newer is needed.",
            "Point it to a newer server, or remove it to use the embedded one.",
        )
