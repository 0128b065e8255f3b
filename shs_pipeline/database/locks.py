"""Wait for locks with a limit, and say who holds them and since when.

The holder is identified by the session name (`session_name`) that `connect` gives to each connection.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import errors, sql

from shs_pipeline.base.errors import ShsError

if TYPE_CHECKING:
    import psycopg

TELL_SECONDS = 5.0
WAIT_SECONDS = 1800.0
_TELL_AGAIN_SECONDS = 60.0
# PostgreSQL cuts off longer names of sessions.
_NAME_BYTES = 63

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lock:
    """A lock, and how those who hold it are found.

    Attributes:
        what: what is waited for, for people: `the marts`.
        condition: which rows of `pg_locks`, called `held`, are this lock.
    """

    what: str
    statement: LiteralString
    condition: LiteralString
    values: Sequence[Any] = ()


_BOOKS: LiteralString = (
    "held.relation = 'ops.folders'::regclass and held.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock')"
)
# A lock on a table, since anybody who may log in can hold an advisory lock.
BUILD = Lock("the books, to build the marts", "lock table ops.folders in share row exclusive mode", _BOOKS)
LOAD = Lock("the books, to load files", "lock table ops.folders in row exclusive mode", _BOOKS)

_ADVISORY: LiteralString = (
    "held.locktype = 'advisory' and held.objsubid = 1 and (held.classid::bigint << 32) | held.objid::bigint"
    " in (select hashtextextended(name, 0) from unnest(%s::text[]) as names (name))"
)


def advisory_lock(what: str, name: str) -> Lock:
    """Return the advisory lock of that name, held until it is unlocked or the session ends."""
    statement: LiteralString = (
        "select pg_advisory_lock(hashtextextended(name, 0)) from unnest(%s::text[]) as names (name)"
    )
    return Lock(what, statement, _ADVISORY, [[name]])


def advisory_xact_lock(what: str, names: Sequence[str]) -> Lock:
    """Return the advisory locks of these names, taken in this order and held until the transaction ends."""
    statement: LiteralString = (
        "select pg_advisory_xact_lock(hashtextextended(name, 0))"
        " from unnest(%s::text[]) with ordinality as names (name, place) order by place"
    )
    return Lock(what, statement, _ADVISORY, [list(names)])


def lock_patiently(
    connection: psycopg.Connection,
    lock: Lock,
    limit_seconds: float | None = None,
    tell_seconds: float | None = None,
) -> None:
    """Take a lock; say after some seconds who holds it.

    Args:
        connection: for a lock that its transaction holds, in that transaction.
        limit_seconds: how long to wait altogether; `WAIT_SECONDS` by default.
        tell_seconds: after how long to say who is waited for; `TELL_SECONDS` by default.

    Raises:
        ShsError: it was not to be had; names who holds it.
    """
    limit_seconds = WAIT_SECONDS if limit_seconds is None else limit_seconds
    tell_seconds = TELL_SECONDS if tell_seconds is None else tell_seconds
    started = told_at = time.monotonic()
    is_told = False
    while True:
        waited = time.monotonic() - started
        if _has_taken(connection, lock, min(tell_seconds, max(limit_seconds - waited, 0.0))):
            break
        now = time.monotonic()
        holder = _holder(connection, lock)
        if now - started >= limit_seconds:
            raise _held_up(lock, holder, now - started)
        if not is_told or now - told_at >= _TELL_AGAIN_SECONDS:
            log.warning(
                "Waiting for %s: %s holds it. Press Ctrl-C to give up.", lock.what, holder or "another run"
            )
            is_told, told_at = True, now
    if is_told:
        log.warning("Continuing after %.0f s.", time.monotonic() - started)


def _has_taken(connection: psycopg.Connection, lock: Lock, seconds: float) -> bool:
    try:
        # In an open transaction this is a savepoint, so that giving up keeps what came before.
        with connection.transaction():
            before = connection.execute("select current_setting('lock_timeout')").fetchone()
            limit = f"{max(1, round(seconds * 1000))}ms"
            connection.execute("select set_config('lock_timeout', %s, true)", [limit])
            connection.execute(lock.statement, lock.values or None)
            connection.execute("select set_config('lock_timeout', %s, true)", before)
    except errors.LockNotAvailable:
        return False
    return True


@dataclass(frozen=True)
class _Holder:
    name: str
    backend: int
    since: datetime | None

    def __str__(self) -> str:
        since = f" since {self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        return f"{self.name or 'an unnamed session'} (session {self.backend} of the database){since}"


def _holder(connection: psycopg.Connection, lock: Lock) -> _Holder | None:
    """Return the session that holds the lock for longest."""
    query: LiteralString = (
        "select holder.application_name, holder.pid, coalesce(holder.xact_start, holder.state_change)"
        " from pg_locks as held inner join pg_stat_activity as holder using (pid)"
        " where held.granted and held.pid <> pg_backend_pid()"
        " and held.database = (select oid from pg_database where datname = current_database()) and {}"
        " order by 3 nulls last limit 1"
    )
    found = connection.execute(sql.SQL(query).format(sql.SQL(lock.condition)), lock.values or None).fetchone()
    return _Holder(*found) if found else None


def _held_up(lock: Lock, holder: _Holder | None, waited: float) -> ShsError:
    if holder is None:
        return ShsError(
            f"Gave up after waiting {waited:.0f} s for {lock.what}: other runs were quicker each time.",
            "Run the command again when the system is less busy.",
        )
    process = re.search(r" pid (\d+)$", holder.name)
    end = f"end its process (kill -9 {process.group(1)}), or " if process else ""
    return ShsError(
        f"Gave up after waiting {waited:.0f} s for {lock.what}: {holder} holds it.",
        f"Check whether it is still making progress. If not, {end}as the database owner run: "
        f"select pg_terminate_backend({holder.backend}); then run the command again.",
    )


def session_name(purpose: str, run_id: str) -> str:
    """Return what the sessions of a run are called: purpose, run and the process on its machine."""
    run = re.sub(r"[^A-Za-z0-9 :._-]", "", run_id.removeprefix("shs "))
    end = f" pid {os.getpid()}"
    return f"shs {purpose} {run}"[: _NAME_BYTES - len(end)] + end
