"""Metabase's own database logins, besides people's: one that reads everything for admins.

Where Metabase impersonates, a second one stands for all reps. It sees no rows of its own and may take on
each rep's role; so a Metabase that forgets to impersonate shows nothing.
"""

from __future__ import annotations

import secrets as random_secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, LiteralString

from psycopg import sql

from shs_pipeline.database.groups import GROUPS, ensure_roles
from shs_pipeline.database.verifier import verifier
from shs_pipeline.metabase.desired import ADMINS, REPS, Mode, ServiceLogin
from shs_pipeline.metabase.state import ObjectStore
from shs_pipeline.people.logins import lock_books
from shs_pipeline.people.passwords import new_secret_name
from shs_pipeline.people.rights import ROLE_SETTINGS
from shs_pipeline.people.role_names import role_base

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.settings.secret_store import SecretStore

_NAMES = {ADMINS: "metabase", REPS: "metabase reps"}
_GROUPS = {ADMINS: GROUPS["admin"], REPS: GROUPS["user"]}
_CONNECTION_LIMIT = 40


def planned_logins(database: str, store: ObjectStore, mode: Mode) -> dict[str, ServiceLogin]:
    """Return the logins as they are or would be; nothing is made."""
    found = {}
    for key in _keys(mode):
        row = store.get("role", key)
        found[key] = ServiceLogin(role_base(database, _NAMES[key]), row.name if row else "not made yet")
    return found


def ensure_logins(
    connection: psycopg.Connection, store: ObjectStore, secrets: SecretStore, mode: Mode, roles: Iterable[str]
) -> dict[str, ServiceLogin]:
    """Make the logins that are missing, with passwords in the store.

    Args:
        roles: of reps, which the login of all reps may become.

    Raises:
        ShsError: the store cannot be used.
    """
    # The first build makes them too; Metabase may be set up before it.
    ensure_roles(connection)
    found = {}
    for key in _keys(mode):
        role_name = role_base(connection.info.dbname, _NAMES[key])
        row = store.get("role", key)
        if row is None or not _is_there(connection, role_name) or secrets.get(row.name) is None:
            _make(connection, store, secrets, key, role_name)
            row = store.get("role", key)
        assert row is not None
        found[key] = ServiceLogin(role_name, row.name)
    if mode == "impersonation":
        let_become(connection, found[REPS].role_name, roles)
    return found


def drop_logins(connection: psycopg.Connection, store: ObjectStore, secrets: SecretStore) -> None:
    """Drop the logins that were made, with their passwords."""
    for key, called in _NAMES.items():
        row = store.get("role", key)
        if row is None:
            continue
        role_name = role_base(connection.info.dbname, called)
        role = sql.Identifier(role_name)
        with connection.transaction():
            lock_books(connection)
            if _is_there(connection, role_name):
                connection.execute(sql.SQL("grant {} to current_user").format(role))
                connection.execute(sql.SQL("drop owned by {}").format(role))
                connection.execute(sql.SQL("drop role {}").format(role))
            connection.execute("delete from ops.impersonators where role_name = %s", [role_name])
            store.forget("role", key)
        secrets.delete(row.name)


def _keys(mode: Mode) -> tuple[str, ...]:
    return (ADMINS,) if mode == "open" else (ADMINS, REPS)


def _make(
    connection: psycopg.Connection, store: ObjectStore, secrets: SecretStore, key: str, role_name: str
) -> None:
    password = random_secrets.token_urlsafe(32)
    # Stored first and in force with the commit: as for people's logins.
    name = new_secret_name(role_name)
    secrets.put(name, password)
    with connection.transaction():
        # A build that has just ended may be making people's logins.
        lock_books(connection)
        if not _is_there(connection, role_name):
            _run(connection, "create role {} login", role_name)
        _run(
            connection,
            "alter role {} login inherit connection limit {}",
            role_name,
            sql.Literal(_CONNECTION_LIMIT),
        )
        for setting, value in ROLE_SETTINGS.items():
            _run(
                connection,
                "alter role {} set {} = {}",
                role_name,
                sql.Identifier(setting),
                sql.Literal(value),
            )
        _run(
            connection,
            "grant connect on database {1} to {0}",
            role_name,
            sql.Identifier(connection.info.dbname),
        )
        _run(connection, "grant {1} to {0}", role_name, sql.Identifier(_GROUPS[key]))
        _run(connection, "alter role {} password {}", role_name, verifier(connection, role_name, password))
        store.note("role", key, None, "", name)


def _is_there(connection: psycopg.Connection, role_name: str) -> bool:
    found = connection.execute("select count(*) from pg_roles where rolname = %s", [role_name]).fetchone()
    return bool(found and found[0])


def let_become(connection: psycopg.Connection, role_name: str, roles: Iterable[str]) -> None:
    """Let a service take on the roles of these reps only, and no longer any it could take on before.

    The database then shows it the rows of the rep whose role it has taken on (`marts.session_rep`).
    """
    options = " with inherit false, set true" if connection.info.server_version >= 160000 else ""
    held = connection.execute(
        "select g.rolname from pg_auth_members as m inner join pg_roles as g on g.oid = m.roleid"
        " inner join pg_roles as r on r.oid = m.member where r.rolname = %s and g.rolname <> %s",
        [role_name, GROUPS["user"]],
    )
    before, wanted = {name for (name,) in held}, set(roles)
    with connection.transaction():
        lock_books(connection)
        # Whoever is a rep no more, perhaps an admin by now, is taken away first.
        for role in sorted(before - wanted):
            connection.execute(
                sql.SQL("revoke {} from {}").format(sql.Identifier(role), sql.Identifier(role_name))
            )
        for role in sorted(wanted - before):
            grant = sql.SQL("grant {} to {}" + options)
            connection.execute(grant.format(sql.Identifier(role), sql.Identifier(role_name)))
        connection.execute(
            "insert into ops.impersonators (role_name) values (%s) on conflict do nothing", [role_name]
        )


def _run(
    connection: psycopg.Connection, statement: LiteralString, role_name: str, *values: sql.Composable
) -> None:
    connection.execute(sql.SQL(statement).format(sql.Identifier(role_name), *values))
