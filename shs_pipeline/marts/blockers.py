"""Readers who block a publication: their sessions are ended, so that no single reader can delay new marts.

A reader who has touched a mart holds it until the transaction ends, and may lift the time limits of a
session. That blocks nothing until the models change and a mart is rebuilt.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, LiteralString

from psycopg import errors

from shs_pipeline.database.connection import connect
from shs_pipeline.database.groups import GROUPS, borrow

if TYPE_CHECKING:
    import psycopg

PATIENCE_SECONDS = 5.0
_LOOK_SECONDS = 0.5

# Who holds what the models wait for, and for how long already. Of the sessions of others the server shows
# role and name only; a name anybody may give themselves, so that the models' are also the owner's.
_HOLDERS: LiteralString = """
    select
        holder.pid,
        holder.usename,
        holder.application_name,
        exists (
            select from pg_auth_members as m inner join pg_roles as g on g.oid = m.roleid
            where m.member = holder.usesysid and g.rolname = any(%(groups)s)
        ) as is_reader,
        max(extract(epoch from clock_timestamp() - wanted.waitstart))::float8 as seconds
    from pg_stat_activity as waiter
    inner join pg_locks as wanted on wanted.pid = waiter.pid and not wanted.granted
    cross join lateral unnest(pg_blocking_pids(waiter.pid)) as blocking (pid)
    inner join pg_stat_activity as holder on holder.pid = blocking.pid
    where
        waiter.datname = current_database()
        and waiter.application_name = %(models)s
        and pg_has_role(waiter.usesysid, current_user, 'usage')
    group by 1, 2, 3, 4
"""

log = logging.getLogger(__name__)


@dataclass
class Blockers:
    """Who held up the models of a build.

    Attributes:
        ended: roles of readers whose session was ended.
        others: sessions that hold them up still and are not ours to end, as sentences name them.
    """

    ended: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


@contextmanager
def readers_give_way(database_url: str, models: str) -> Iterator[Blockers]:
    """End the sessions of readers that hold up the models of a build, for as long as the block runs.

    Args:
        database_url: the owner's.
        models: what the sessions of the models are called.
    """
    found = Blockers()
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(database_url, models, found, done), daemon=True)
    watch.start()
    try:
        yield found
    finally:
        done.set()
        watch.join()


def _watch(database_url: str, models: str, found: Blockers, done: threading.Event) -> None:
    try:
        with connect(database_url, name="shs readers give way") as connection:
            connection.autocommit = True
            while not done.wait(min(_LOOK_SECONDS, PATIENCE_SECONDS)):
                _look(connection, models, found)
    except Exception as error:  # noqa: BLE001 - the build itself says what is wrong with its database
        log.debug("No longer watching for readers that block the build: %s", error)


def _look(connection: psycopg.Connection, models: str, found: Blockers) -> None:
    values = {"groups": list(GROUPS.values()), "models": models}
    others: list[str] = []
    for pid, role, name, is_reader, seconds in connection.execute(_HOLDERS, values).fetchall():
        if seconds is None or seconds < PATIENCE_SECONDS:
            continue
        if is_reader and _has_ended(connection, pid, role):
            found.ended.append(role)
            log.warning(
                "Ended a session of %s: its open transaction had blocked the publication for %.0f s.",
                role, seconds,
            )  # fmt: skip
        else:
            others.append(f"{name or 'an unnamed session'} (user {role}, session {pid} of the database)")
    if others:
        found.others = others


def _has_ended(connection: psycopg.Connection, pid: int, role: str) -> bool:
    try:
        # Who ends a session needs the rights of its role: borrowed, and given back by the rollback.
        with connection.transaction(force_rollback=True):
            borrow(connection, [role])
            # A backend's number can be another's by now.
            ended = connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where pid = %s and usename = %s",
                [pid, role],
            ).fetchone()
    except (errors.InsufficientPrivilege, errors.InternalError):
        return False
    return bool(ended and ended[0])
