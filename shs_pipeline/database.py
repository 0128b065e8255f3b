"""Access to the database: which one it is, how to wait for it, what its absence looks like."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, LiteralString
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from pydantic import SecretStr

from shs_pipeline.errors import ShsError
from shs_pipeline.private_files import make_private_folder
from shs_pipeline.whole_files import write_if_changed

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.embedded_postgres import EmbeddedPostgres, ServerAddress
    from shs_pipeline.settings import Settings

OWNER = "shs_owner"
WAREHOUSE = "shs"
DAGSTER = "shs_dagster"
CONNECT_SECONDS = 10

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

# libpq reads these from the environment; Dagster's settings have no place for them.
_LIBPQ_VARIABLES = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "channel_binding": "PGCHANNELBINDING",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "options": "PGOPTIONS",
}

log = logging.getLogger(__name__)


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


def prepare(settings: Settings) -> Databases:
    """Make both databases ready for use: start, create what is missing, leave the rest alone.

    Raises:
        ShsError: a server that does not start, cannot be reached, or refuses.
    """
    url = server_url(settings)
    if url is not None:
        return _prepare_server(url, settings.database_wait_seconds)
    return _prepare_embedded(settings)


def server_url(settings: Settings) -> SecretStr | None:
    """Return `SHS_DATABASE_URL` with user and password that are given apart from it, None without it."""
    url, password = settings.database_url, settings.database_password
    if url is None or (password is None and not settings.database_user):
        return url
    parts = urlsplit(_text(url))
    named, _, host = parts.netloc.rpartition("@")
    user = quote(settings.database_user, safe="") or named.partition(":")[0]
    if password is not None:
        user = f"{user}:{quote(password.get_secret_value(), safe='')}"
    return SecretStr(urlunsplit(parts._replace(netloc=f"{user}@{host}")))


def connect(url: str | SecretStr, wait_seconds: float = 0, name: str = "shs") -> psycopg.Connection:
    """Connect, waiting for a server that is away.

    Args:
        url: `postgresql://…`; its password never appears in an error or a log line.
        wait_seconds: how long to keep trying while nothing answers or the server starts.
        name: what the server calls the session; whoever waits for it is told.

    Raises:
        ShsError: refused (password, unknown database), or still away after the wait.
    """
    import psycopg

    text = _text(url)
    deadline = time.monotonic() + wait_seconds
    pause = 0.25
    while True:
        try:
            return psycopg.connect(
                text, connect_timeout=CONNECT_SECONDS, keepalives_idle=30, keepalives_interval=10,
                application_name=name,
            )  # fmt: skip
        except psycopg.ProgrammingError as error:
            raise _unusable_url(error) from None
        except psycopg.OperationalError as error:
            if _is_refusal(error):
                raise _refused(text, error) from None
            if any(words in str(error) for words in _NO_ROOM):
                raise _no_room(text, error) from None
            left = deadline - time.monotonic()
            if left <= 0:
                raise _away(text, wait_seconds, error) from None
            log.warning("The database %s is away; waiting up to %.0f s more.", place(text), left)
        # A little chance, so that many waiting runs do not come back in the same instant.
        time.sleep(min(pause * random.uniform(0.8, 1.2), max(left, 0.05)))  # noqa: S311
        pause = min(pause * 2, 10)


def is_connection_lost(error: BaseException) -> bool:
    """Whether an error of a statement means that the server went away, so that a retry may help.

    A wrong statement, a broken constraint or a refused right is no lost connection.
    """
    import psycopg
    from psycopg import errors

    if isinstance(error, errors.AdminShutdown | errors.CrashShutdown | errors.CannotConnectNow):
        return True
    if isinstance(error, psycopg.OperationalError):
        # Class 08 is “connection exception”; libpq's own errors carry no code at all.
        return error.sqlstate is None or error.sqlstate.startswith("08")
    return isinstance(error, psycopg.InterfaceError) and "closed" in str(error)


def is_changed_at_once(error: BaseException) -> bool:
    """Whether two sessions changed the same row of the catalog at once, for which there is no code."""
    said = str(error)
    return getattr(error, "sqlstate", None) == "XX000" and "tuple concurrently" in said


def place(url: str | SecretStr) -> str:
    """Return `name on host:port` of a database URL, for messages."""
    parts = urlsplit(_text(url))
    host = parts.netloc.rpartition("@")[2]
    return f"{unquote(parts.path.lstrip('/'))} on {host or 'the local socket'}"


def dagster_environment(settings: Settings, databases: Databases | None = None) -> dict[str, str]:
    """Return the variables that Dagster's processes need, to be added to the environment.

    They carry the storage's address piece by piece (`dagster.yaml` names them) and all
    settings, so that every process of this system sees the same ones.

    Args:
        settings: the settings of this system.
        databases: what `prepare` returned; None prepares.
    """
    databases = databases or prepare(settings)
    parts = urlsplit(_text(databases.dagster_url))
    host = parts.hostname or ""
    home = settings.home / "dagster"
    return {
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "SHS_DAGSTER_USER": unquote(parts.username or ""),
        "SHS_DAGSTER_PASSWORD": unquote(parts.password or ""),
        "SHS_DAGSTER_HOST": f"[{host}]" if ":" in host else host,
        "SHS_DAGSTER_PORT": str(parts.port or 5432),
        "SHS_DAGSTER_DATABASE": unquote(parts.path.lstrip("/")),
        "SHS_DAGSTER_STORAGE": str(home / "storage"),
        **_settings_environment(settings),
        **{_LIBPQ_VARIABLES[k]: v for k, v in parse_qsl(parts.query) if k in _LIBPQ_VARIABLES},
    }


def _settings_environment(settings: Settings) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in settings:
        place = settings.secret_places.get(name)
        if place is not None:
            # Each process reads it there by itself: a secret in a file is in no environment.
            values[place.variable] = place.text
        elif value is not None:
            shown = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            values[f"SHS_{name.upper()}"] = shown
    return values


# --- the embedded server ------------------------------------------------------------------


def _prepare_embedded(settings: Settings) -> Databases:
    from shs_pipeline.embedded_postgres import EmbeddedPostgres

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
        with psycopg.connect(_text(databases.warehouse_url), connect_timeout=CONNECT_SECONDS) as owner:
            return _is_complete(owner)
    except psycopg.OperationalError:
        return False  # not running, not made yet, or another password


def _is_complete(owner: psycopg.Connection) -> bool:
    """Whether both databases exist and are closed to everybody else, as are the owner's functions.

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
    query = sql.SQL(complete).format(sql.SQL(_RESERVED))
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
            _reserve_functions(template)  # also in databases that are created later
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

    # The verifier goes over the wire, never the password: logs and statistics may keep statements.
    verifier = admin.pgconn.encrypt_password(password.encode(), OWNER.encode(), b"scram-sha-256").decode()
    exists = admin.execute("select 1 from pg_roles where rolname = %s", [OWNER]).fetchone() is not None
    statement: LiteralString = (
        "{} role {} with login nosuperuser createrole createdb noreplication nobypassrls password {}"
    )
    verb = sql.SQL("alter") if exists else sql.SQL("create")
    admin.execute(sql.SQL(statement).format(verb, sql.Identifier(OWNER), sql.Literal(verifier)))
    admin.execute(sql.SQL("alter role {} set temp_file_limit = -1").format(sql.Identifier(OWNER)))
    # What others do wrong stands in their error; in the log an error can be as long as they like.
    admin.execute("alter role all set log_min_messages = 'fatal'")
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


# --- a server of somebody else's ----------------------------------------------------------


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
                f'Let an administrator of that server run: create database "{name}" owner "{user}";',
            ) from None
    parts = urlsplit(_text(url))
    dagster = urlunsplit(parts._replace(path=f"/{quote(name, safe='')}"))
    return Databases(SecretStr(_text(url)), SecretStr(dagster))


def _check_version(connection: psycopg.Connection) -> None:
    version = connection.info.server_version // 10000
    if version < 15:
        raise ShsError(
            f"SHS_DATABASE_URL leads to a PostgreSQL {version}; version 15 or newer is needed.",
            "Point it at a newer server, or remove it to use the embedded one.",
        )


# --- what an error means ------------------------------------------------------------------

# The server's answer while connecting arrives as text only. It has no code, but the words of these
# answers are in its source for decades.
_REFUSALS: tuple[tuple[str, Callable[[str, str], tuple[str, str]]], ...] = (
    (
        "password authentication failed",
        lambda url, user: (
            f"The database {place(url)} refuses the password of {user}.",
            "Correct user and password in SHS_DATABASE_URL, or SHS_DATABASE_PASSWORD.",
        ),
    ),
    (
        "no password supplied",
        lambda url, user: (
            f"The database {place(url)} asks {user} for a password and SHS_DATABASE_URL has none.",
            "Set SHS_DATABASE_PASSWORD, or write the password into SHS_DATABASE_URL (user:password@host).",
        ),
    ),
    (
        "root certificate file",
        lambda url, _: (
            f"To verify the server of {place(url)}, the file of its authority is needed and cannot be read.",
            "Name that file as sslrootcert in SHS_DATABASE_URL; check that it is there and is readable.",
        ),
    ),
    (
        "does not exist",
        lambda url, user: (
            f"The server has no such database or user: {place(url)}, user {user}.",
            "Create it (create database … owner …), or correct SHS_DATABASE_URL.",
        ),
    ),
    (
        "permission denied for database",
        lambda url, user: (
            f"The user {user} may not connect to {place(url)}.",
            "Use the owner of that database in SHS_DATABASE_URL.",
        ),
    ),
    (
        "no pg_hba.conf entry",
        lambda url, user: (
            f"The server does not let {user} in from this machine: {place(url)}.",
            "Allow this machine in the server's pg_hba.conf, or add ?sslmode=require to the URL.",
        ),
    ),
    (
        "is not permitted to log in",
        lambda url, user: (
            f"The role {user} may not log in to {place(url)}.",
            "Use a login role in SHS_DATABASE_URL.",
        ),
    ),
    (
        "server does not support SSL",
        lambda url, _: (
            f"The server of {place(url)} has no SSL, and the URL asks for it.",
            "Remove sslmode from SHS_DATABASE_URL, or switch SSL on in the server.",
        ),
    ),
    (
        "certificate verify failed",
        lambda url, _: (
            f"The certificate of the server of {place(url)} cannot be verified.",
            "Name the authority's file as sslrootcert in SHS_DATABASE_URL.",
        ),
    ),
    (
        "does not match host name",
        lambda url, _: (
            f"The certificate of the server of {place(url)} is made out to another name.",
            "Write the name that stands in the certificate into SHS_DATABASE_URL, as host.",
        ),
    ),
)


def _is_refusal(error: psycopg.OperationalError) -> bool:
    return any(words in str(error) for words, _ in _REFUSALS)


def _refused(url: str, error: psycopg.OperationalError) -> ShsError:
    user = unquote(urlsplit(url).username or "the current user")
    explain = next(explain for words, explain in _REFUSALS if words in str(error))
    return ShsError(*explain(url, user))


# The second is what a session meets first that begins on a full disk; it has no reason with it.
_NO_ROOM = ("No space left on device", "could not write init file")


def _no_room(url: str, error: Exception) -> ShsError:
    said = _without_password(url, str(error)).strip().splitlines()[-1].strip().rstrip(".")
    return ShsError(
        f"The disk of the database {place(url)} is full, so that nobody can connect ({said}).",
        "Make room on that disk, then run the command again.",
    )


def _away(url: str, waited: float, error: Exception) -> ShsError:
    said = _without_password(url, str(error)).strip().splitlines() or ["no answer"]
    return ShsError(
        f"The database {place(url)} does not answer, also after {waited:.0f} s ({said[-1].strip()}).",
        "Start that server or correct SHS_DATABASE_URL; shs doctor looks at the embedded one.",
    )


def _unusable_url(error: Exception) -> ShsError:
    # libpq quotes the piece it cannot read, which may be the password: nothing of it is shown.
    del error
    return ShsError(
        "SHS_DATABASE_URL cannot be read as a PostgreSQL URL.",
        "Write it as postgresql://user:password@host:port/database (%-codes for @ : / # in a password).",
    )


def _without_password(url: str, text: str) -> str:
    password = urlsplit(url).password
    for form in {password, unquote(password)} if password else set():
        text = text.replace(form, "***")
    return text


def _text(url: str | SecretStr) -> str:
    return url.get_secret_value() if isinstance(url, SecretStr) else url


def write_dagster_home(settings: Settings, configuration: Path) -> Path:
    """Copy the instance configuration into this system's `DAGSTER_HOME` and return that folder.

    Args:
        settings: their `dagster_config` goes before the configuration given.
        configuration: the project's `dagster.yaml`.

    Raises:
        ShsError: there is no such file, or it cannot be read.
    """
    home = settings.home / "dagster"
    make_private_folder(home / "storage")
    source = settings.dagster_config or configuration
    try:
        write_if_changed(home / "dagster.yaml", source.read_text())
    except (FileNotFoundError, IsADirectoryError):
        raise ShsError(
            f"There is no file {source}.",
            "Correct SHS_DAGSTER_CONFIG, or run shs in the project folder.",
        ) from None
    return home
