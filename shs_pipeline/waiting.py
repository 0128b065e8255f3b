"""Waiting for what another run holds: not in silence, and not for ever."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import errors

from shs_pipeline.errors import ShsError

if TYPE_CHECKING:
    import psycopg

_log = logging.getLogger(__name__)

FIRST_SECONDS, NEXT_SECONDS = 5.0, 60.0
LONGEST_SECONDS = 1800.0
"""How long a run waits for another one that works on the same folder, source or bytes."""

_OF_SESSION: LiteralString = (
    "select pg_advisory_lock(hashtextextended(name, 0))"
    " from unnest(%s::text[]) with ordinality as lock (name, place) order by place"
)
_OF_TRANSACTION: LiteralString = (
    "select pg_advisory_xact_lock(hashtextextended(name, 0))"
    " from unnest(%s::text[]) with ordinality as lock (name, place) order by place"
)
_ADVISORY: LiteralString = """
    select activity.application_name, host(activity.client_addr), activity.xact_start, activity.backend_start,
        activity.pid
    from pg_locks as held
    inner join pg_stat_activity as activity using (pid)
    where
        held.locktype = 'advisory' and held.granted and held.objsubid = 1
        and held.database = (select oid from pg_database where datname = current_database())
        and held.pid <> pg_backend_pid()
        and (held.classid::bigint << 32) | held.objid::bigint
        in (select hashtextextended(name, 0) from unnest(%s::text[]) as name)
    limit 1
"""


def lock(connection: psycopg.Connection, names: Sequence[str], what: str, *, in_transaction: bool) -> None:
    """Take advisory locks in the order given; say for whom this waits, and give up in the end.

    Args:
        names: what the locks are called; one, unless they end with the transaction.
        what: what is waited for, for people, such as `the folder cygnus/2025-03`.
        in_transaction: whether the locks end with the transaction, instead of with the session.

    Raises:
        ShsError: another run holds one of them for too long; names it.
    """
    statement = _OF_TRANSACTION if in_transaction else _OF_SESSION
    started = time.monotonic()
    wait = FIRST_SECONDS
    while not _is_given(connection, statement, [list(names)], wait):
        waited = time.monotonic() - started
        holder = _holder(connection, names)
        if waited >= LONGEST_SECONDS:
            raise ShsError(
                f"{what[0].upper()}{what[1:]} is still in use by {holder}, after {waited / 60:.0f} minutes.",
                "See whether that run still works; if it hangs, end it, then run again. Nothing was changed.",
            )
        _log.warning("Waiting for %s, which %s uses.", what, holder)
        wait = min(NEXT_SECONDS, max(LONGEST_SECONDS - waited, 0.1))


def _is_given(
    connection: psycopg.Connection, statement: LiteralString, values: Sequence[Any], seconds: float
) -> bool:
    """Wait for a lock; False where it was not given in time."""
    try:
        with connection.transaction():
            connection.execute("select set_config('lock_timeout', %s, true)", [f"{int(seconds * 1000)}ms"])
            connection.execute(statement, values)
            # The lock is there: what follows waits as it always did.
            connection.execute("set local lock_timeout to default")
    except errors.LockNotAvailable:
        return False
    return True


def _holder(connection: psycopg.Connection, names: Sequence[str]) -> str:
    """Return which run holds the locks, for people."""
    row = connection.execute(_ADVISORY, [list(names)]).fetchone()
    if row is None:
        return "another run"
    name, address, since, begun, pid = row
    where = f" from {address}" if address else ""
    began = (since or begun).astimezone(UTC)
    return f"{name or 'another program'} (since {began:%Y-%m-%d %H:%M} UTC{where}, session {pid})"
