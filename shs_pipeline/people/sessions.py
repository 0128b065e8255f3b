"""End the sessions of roles that changed, may not log in, or lock what has to change."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psycopg

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.groups import (
    borrow,
)
from shs_pipeline.people.logins import read_logins

_END_SECONDS = 10


def end_sessions(connection: psycopg.Connection) -> None:
    """End the sessions of logins that changed and of those that may not log in.

    Raises:
        ShsError: a session does not end.
    """
    marked = connection.execute(
        "select login_id, changed_at, role_name from ops.logins where must_end_sessions"
        " or state <> 'active' and role_name in (select usename from pg_stat_activity)"
    ).fetchall()
    roles = [login.role_name for login in read_logins(connection) if login.is_ours]
    _terminate(connection, [role for _, _, role in marked if role in roles])
    for login_id, changed_at, _ in marked:
        connection.execute(
            "update ops.logins set must_end_sessions = false where login_id = %s and changed_at = %s"
            " and must_end_sessions",
            [login_id, changed_at],
        )


def kick_out(connection: psycopg.Connection, roles: Sequence[str]) -> None:
    """End the sessions that these roles have now, and with them what their transactions hold."""
    if not roles:
        return
    with connection.transaction(force_rollback=True):
        borrow(connection, roles)
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = any(%s)",
            [list(roles)],
        )


def _terminate(connection: psycopg.Connection, roles: Sequence[str]) -> None:
    if not roles:
        return
    # Who ends a session needs the rights of its role: borrowed, and given back by the rollback.
    with connection.transaction(force_rollback=True):
        borrow(connection, roles)
        deadline = time.monotonic() + _END_SECONDS
        quiet = 0
        # Twice nothing: a login that was being checked when the role was closed may still appear.
        while quiet < 2:
            connection.execute("select pg_stat_clear_snapshot()")
            ended = connection.execute(
                "select usename, pg_terminate_backend(pid) from pg_stat_activity where usename = any(%s)",
                [list(roles)],
            ).fetchall()
            quiet = 0 if ended else quiet + 1
            if ended and time.monotonic() > deadline:
                raise ShsError(
                    f"A session of {ended[0][0]} did not end within {_END_SECONDS} s.",
                    "Run shs access sync again; if that does not help, restart the database server.",
                )
            time.sleep(0.05)
