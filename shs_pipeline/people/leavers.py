"""After the commit: forget dead passwords, and drop the roles of people who left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import errors, sql

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.groups import (
    borrow,
)
from shs_pipeline.people.changes import LoginChange
from shs_pipeline.people.logins import Login, lock_books, read_logins
from shs_pipeline.people.sessions import end_sessions

if TYPE_CHECKING:
    from shs_pipeline.settings.secret_store import SecretStore


def clean_up(connection: psycopg.Connection, secrets: SecretStore) -> list[LoginChange]:
    """End what may not go on, forget dead passwords, drop the roles of those who left."""
    end_sessions(connection)
    dead = connection.execute(
        "select login_id, secret_name from ops.logins where state <> 'active' and secret_name is not null"
    ).fetchall()
    for login_id, name in dead:
        secrets.delete(name)
        connection.execute(
            "update ops.logins set secret_name = null where login_id = %s and secret_name = %s",
            [login_id, name],
        )
    return _drop_leavers(connection)


def _drop_leavers(connection: psycopg.Connection) -> list[LoginChange]:
    dropped: list[LoginChange] = []
    stuck: list[str] = []
    with connection.transaction():
        lock_books(connection)
        for login in [login for login in read_logins(connection) if login.state == "leaving"]:
            try:
                with connection.transaction():
                    _drop_role(connection, login)
                said = f"{login.rep_name} ({login.role_name}) left; the role is dropped."
                dropped.append(LoginChange("dropped", login.role_name, login.rep_name, said))
            except errors.DependentObjectsStillExist:
                stuck.append(login.role_name)
    if stuck:
        raise ShsError(
            f"The roles {', '.join(stuck)} can no longer log in but cannot be dropped: they own objects or "
            "have privileges in other databases on the server.",
            "Ask an administrator to run there: reassign owned by <role> to <owner>; drop owned by <role>; "
            "then run shs access sync.",
        )
    return dropped


def _drop_role(connection: psycopg.Connection, login: Login) -> None:
    if login.is_ours:
        role = sql.Identifier(login.role_name)
        borrow(connection, [login.role_name])
        # First hand over what it owns, so that dropping takes away rights and never data.
        connection.execute(sql.SQL("reassign owned by {} to current_user").format(role))
        connection.execute(sql.SQL("drop owned by {}").format(role))
        connection.execute(sql.SQL("drop role {}").format(role))
    connection.execute("delete from ops.logins where login_id = %s", [login.login_id])
