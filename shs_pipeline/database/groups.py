"""The two groups of login roles, which every mart grants its rows to.

Who belongs to which is in `people`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import errors, sql

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.connection import is_changed_at_once

GROUPS = {"admin": "shs_admin", "user": "shs_rep"}
LOCK_SECONDS = 30
"""How long the books of logins are waited for."""


def ensure_roles(connection: psycopg.Connection) -> None:
    """Create the groups `shs_admin` and `shs_rep`, which belong to the server, where they are missing.

    Raises:
        ShsError: the owner may not create roles, or a group is a login or has rights of its own.
    """
    with rights_explained(connection):
        found = _groups(connection)
        for name in sorted(set(GROUPS.values()) - found):
            try:
                with connection.transaction():
                    connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(name)))
            except (errors.DuplicateObject, errors.UniqueViolation):
                continue  # another process was quicker
        _groups(connection)


def _groups(connection: psycopg.Connection) -> set[str]:
    found = connection.execute(
        "select rolname, rolcanlogin or rolsuper or rolbypassrls or rolcreaterole or rolcreatedb"
        " or rolreplication from pg_roles where rolname = any(%s)",
        [list(GROUPS.values())],
    ).fetchall()
    for name, is_more in found:
        if is_more:
            raise ShsError(
                f"The role {name} on this server can log in or has special privileges, so it is not just a "
                "group.",
                f'Let an administrator run: alter role "{name}" nologin nosuperuser nobypassrls '
                "nocreaterole nocreatedb noreplication;",
            )
    return {name for name, _ in found}


def borrow(connection: psycopg.Connection, roles: Sequence[str]) -> None:
    """Give the owner the rights of these roles, in a transaction that is rolled back or drops them."""
    options = " with inherit true, set false" if is_since_16(connection) else ""
    for role in roles:
        connection.execute(sql.SQL("grant {} to current_user" + options).format(sql.Identifier(role)))


@contextmanager
def rights_explained(connection: psycopg.Connection) -> Iterator[None]:
    """Say what a person can do where the server refuses a change of roles.

    Raises:
        ShsError: a right is missing, or somebody else changed the same role or holds the books.
    """
    try:
        yield
    except errors.InsufficientPrivilege as error:
        user = connection.info.user
        raise ShsError(
            f"The database user {user} may not manage login roles ({error.diag.message_primary}).",
            f'Ask an administrator of that server to run: alter role "{user}" createrole; '
            f'and, where the groups exist: grant shs_admin, shs_rep to "{user}" with admin option;',
        ) from None
    except errors.InternalError as error:
        if not is_changed_at_once(error):
            raise
        raise ShsError(
            "Another command changed the same database role or group at the same moment.",
            "Run shs access sync again.",
        ) from None
    except errors.LockNotAvailable:
        raise ShsError(
            f"Another process has been changing the logins for {LOCK_SECONDS} s.",
            "Try again when it has finished.",
        ) from None


def is_since_16(connection: psycopg.Connection) -> bool:
    """Whether grants of roles have options (PostgreSQL 16 and later)."""
    return connection.info.server_version >= 160000
