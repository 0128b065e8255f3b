"""What a login role may do: its group, its limit, its settings."""

from __future__ import annotations

from contextlib import suppress
from typing import LiteralString

import psycopg
from psycopg import errors, sql

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.groups import GROUPS, is_since_16

CONNECTIONS = {"admin": 20, "user": 10}
# Defaults of a session; what keeps people from writing are the grants, which a session cannot change.
ROLE_SETTINGS = {
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "60s",
    "statement_timeout": "60s",
    "max_parallel_workers_per_gather": "0",
    "work_mem": "16MB",
}
_IN_OTHER_DATABASES = """
select d.datname
from pg_db_role_setting as s
inner join pg_roles as r on r.oid = s.setrole
inner join pg_database as d on d.oid = s.setdatabase
where r.rolname = %s
"""
_GROUPS_BUT_ONE = """
select distinct g.rolname
from pg_auth_members as m
inner join pg_roles as g on g.oid = m.roleid
inner join pg_roles as r on r.oid = m.member
where r.rolname = %s and g.rolname is distinct from %s
"""
_SERVICES = """
select r.rolname
from pg_auth_members as m
inner join pg_roles as g on g.oid = m.roleid
inner join pg_roles as r on r.oid = m.member
inner join ops.impersonators as i on i.role_name = r.rolname
where g.rolname = %s
"""


def arrange(connection: psycopg.Connection, role_name: str, permission: str) -> list[ShsError]:
    """Give a role its limit, its settings and its group, and take away any other.

    Returns:
        A problem for each group that it cannot be taken out of.
    """
    limit = sql.Literal(CONNECTIONS[permission])
    alter(connection, "alter role {} login inherit connection limit {}", role_name, limit)
    for (name,) in connection.execute(_IN_OTHER_DATABASES, [role_name]).fetchall():
        alter(connection, "alter role {} in database {} reset all", role_name, sql.Identifier(name))
    alter(connection, "alter role {} reset all", role_name)
    for name, value in ROLE_SETTINGS.items():
        alter(connection, "alter role {} set {} = {}", role_name, sql.Identifier(name), sql.Literal(value))
    problems = [
        ShsError(
            f"The role {role_name} is a member of {group} through somebody else's grant.",
            f'Ask an administrator of that server to run: revoke "{group}" from "{role_name}" cascade;',
        )
        for group in leave_groups(connection, role_name, but=GROUPS[permission])
    ]
    # Since 16 a membership can lend its rights without letting anybody become the group.
    options: LiteralString = " with inherit true, set false" if is_since_16(connection) else ""
    alter(connection, "grant {1} to {0}" + options, role_name, sql.Identifier(GROUPS[permission]))
    if permission != "user":
        keep_from_services(connection, role_name)
    return problems


def keep_from_services(connection: psycopg.Connection, role_name: str) -> None:
    """Let no service take on a role that is not, or no longer, a rep's."""
    for (service,) in connection.execute(_SERVICES, [role_name]).fetchall():
        alter(connection, "revoke {} from {}", role_name, sql.Identifier(service))


def leave_groups(connection: psycopg.Connection, role_name: str, but: str | None = None) -> list[str]:
    """Take a role out of all groups but one; return those that somebody else put it into."""
    for (group,) in connection.execute(_GROUPS_BUT_ONE, [role_name, but]).fetchall():
        with suppress(errors.InsufficientPrivilege), connection.transaction():
            alter(connection, "revoke {1} from {0}", role_name, sql.Identifier(group))
    return [group for (group,) in connection.execute(_GROUPS_BUT_ONE, [role_name, but])]


def alter(
    connection: psycopg.Connection, statement: LiteralString, role_name: str, *values: sql.Composable
) -> None:
    """Run a statement about a role, whose name is its first placeholder."""
    connection.execute(sql.SQL(statement).format(sql.Identifier(role_name), *values))
