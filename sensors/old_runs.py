"""Remove old runs from Dagster's books, which would otherwise grow for ever.

What the UI says of an asset, a partition or a check rests on the last event of each: those stay, with their
runs. Everything else of a run that ended long ago goes: its log, its events that others came after, its
evaluations of checks, what its steps printed. Dagster has no such thing for runs, only for the looks of its
sensors and schedules (`retention` in `dagster.yaml`).

Each statement is one transaction over a few runs, and the run itself goes last: whatever is killed in
between is taken up by the next time.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from sqlalchemy import text

if TYPE_CHECKING:
    import dagster as dg
    from sqlalchemy.engine import Connection

_RUNS_AT_ONCE = 10
_EVENTS_AT_ONCE = 1000

_OLD_RUNS = text("""
    select id, run_id from runs
    where status in ('SUCCESS', 'FAILURE', 'CANCELED') and update_timestamp < :before and id > :after
    order by id limit :count
""")
_EVENTS_OF_RUNS = text("select id from event_logs where run_id = any(:runs)")
# What `shs run` did is reported without a run.
_OLD_RUNLESS = text("""
    select id from event_logs
    where run_id = '' and timestamp < :before and id > :after order by id limit :count
""")
# Of a partition that was tried again later, in vain, the attempt stays too: it is why it is shown as failed.
_SUPERSEDED = text("""
    select e.id from event_logs as e
    where
        e.id = any(:ids)
        and not exists (select 1 from asset_check_executions as c where c.evaluation_event_storage_id = e.id)
        and (
            e.asset_key is null
            or e.dagster_event_type not in (
                'ASSET_MATERIALIZATION', 'ASSET_OBSERVATION', 'ASSET_MATERIALIZATION_PLANNED'
            )
            or exists (
                select 1 from event_logs as n
                where
                    n.asset_key = e.asset_key
                    and n.id > e.id
                    and n.partition is not distinct from e.partition
                    and (
                        n.dagster_event_type = e.dagster_event_type
                        or (
                            e.dagster_event_type = 'ASSET_MATERIALIZATION_PLANNED'
                            and n.dagster_event_type = 'ASSET_MATERIALIZATION'
                        )
                    )
            )
        )
""")
# The last evaluation of a check stays, and so does a later one that came to nothing.
_SUPERSEDED_CHECKS = """
    delete from asset_check_executions as e
    where
        {old}
        and exists (
            select 1 from asset_check_executions as n
            where
                n.asset_key = e.asset_key
                and n.check_name = e.check_name
                and n.partition is not distinct from e.partition
                and n.id > e.id
                and (n.execution_status <> 'PLANNED' or e.execution_status = 'PLANNED')
        )
"""
_CHECKS_OF_RUNS = text(_SUPERSEDED_CHECKS.format(old="e.run_id = any(:runs)"))
_RUNLESS_CHECKS = text(_SUPERSEDED_CHECKS.format(old="e.run_id = '' and e.create_timestamp < :before"))
_DELETE_TAGS = text("delete from asset_event_tags where event_id = any(:ids)")
_DELETE_EVENTS = text("delete from event_logs where id = any(:ids)")
_WITHOUT_EVENTS = text("""
    select r.run_id from runs as r
    where
        r.run_id = any(:runs)
        and not exists (select 1 from event_logs as e where e.run_id = r.run_id)
        and not exists (select 1 from asset_check_executions as c where c.run_id = r.run_id)
""")
_KNOWN_RUNS = text("select run_id from runs where run_id = any(:runs)")
_BACKFILLS = text("""
    delete from bulk_actions as b
    where
        b.status in ('COMPLETED', 'COMPLETED_SUCCESS', 'COMPLETED_FAILED', 'FAILED', 'CANCELED')
        and b.timestamp < :before
        and not exists (select 1 from runs as r where r.backfill_id = b.key)
""")
_BACKFILL_TAGS = text("""
    delete from backfill_tags as t
    where not exists (select 1 from bulk_actions as b where b.key = t.backfill_id)
""")


@dataclass
class Removed:
    """What was taken out of the books.

    Attributes:
        runs: runs of which nothing is left.
        shortened: runs that stay for the sake of a last event, without their log.
        events: events, of runs and without one.
        is_whole: whether all that is old was looked at.
    """

    runs: int = 0
    shortened: int = 0
    events: int = 0
    checks: int = 0
    folders: int = 0
    is_whole: bool = True


def remove_old_runs(
    instance: dg.DagsterInstance,
    days: int,
    *,
    seconds: float = 1200,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Removed:
    """Remove what ended more than some days ago and nothing rests on.

    Args:
        instance: its storage is PostgreSQL.
        days: how long everything is kept.
        seconds: after which it ends; the next time goes on.
    """
    # Dagster writes UTC without a zone.
    before = now().replace(tzinfo=None) - timedelta(days=days)
    books = _Books(instance, before, time.monotonic() + seconds)
    books.remove_runs()
    books.remove_runless()
    books.remove_backfills()
    books.remove_folders()
    return books.removed


class _Books:
    """One pass over the books."""

    def __init__(self, instance: dg.DagsterInstance, before: datetime, deadline: float) -> None:
        self._instance = instance
        self._before = before
        self._deadline = deadline
        self.removed = Removed()

    def remove_runs(self) -> None:
        for runs in self._batches(_OLD_RUNS, _RUNS_AT_ONCE):
            names = [str(row[1]) for row in runs]
            with self._connection() as connection:
                self.removed.checks += connection.execute(_CHECKS_OF_RUNS, {"runs": names}).rowcount
                events = _numbers(connection.execute(_EVENTS_OF_RUNS, {"runs": names}).all())
                gone = self._remove_events(connection, events)
                empty = [str(row[0]) for row in connection.execute(_WITHOUT_EVENTS, {"runs": names})]
            for name in names:
                self._remove_folder(name)
            for name in empty:
                self._instance.delete_run(name)
            self.removed.runs += len(empty)
            if gone:
                self.removed.shortened += len(names) - len(empty)

    def remove_runless(self) -> None:
        with self._connection() as connection:
            found = connection.execute(_RUNLESS_CHECKS, {"before": self._before})
            self.removed.checks += found.rowcount
        for events in self._batches(_OLD_RUNLESS, _EVENTS_AT_ONCE):
            with self._connection() as connection:
                self._remove_events(connection, _numbers(events))

    def remove_backfills(self) -> None:
        with self._connection() as connection:
            connection.execute(_BACKFILLS, {"before": self._before})
            connection.execute(_BACKFILL_TAGS)

    def remove_folders(self) -> None:
        """Remove what runs printed that the books no longer know, as after a removal in the UI."""
        place = self._log_folder()
        if place is None or not place.is_dir():
            return
        old = [one.name for one in place.iterdir() if _is_run(one) and self._is_old(one)]
        with self._connection() as connection:
            known = {str(row[0]) for row in connection.execute(_KNOWN_RUNS, {"runs": old})}
        for name in set(old) - known:
            self._remove_folder(name)

    def _batches(self, query: Any, count: int) -> Iterator[Sequence[Any]]:
        """Yield the rows of a query piece by piece, as long as there is time."""
        after = 0
        while True:
            asked = {"before": self._before, "after": after, "count": count}
            with self._connection() as connection:
                rows = connection.execute(query, asked).all()
            if not rows:
                return
            if time.monotonic() > self._deadline:
                self.removed.is_whole = False
                return
            yield rows
            after = int(rows[-1][0])

    def _remove_events(self, connection: Connection, ids: list[int]) -> int:
        gone = _numbers(connection.execute(_SUPERSEDED, {"ids": ids}).all())
        if gone:
            connection.execute(_DELETE_TAGS, {"ids": gone})
            self.removed.events += connection.execute(_DELETE_EVENTS, {"ids": gone}).rowcount
        return len(gone)

    def _connection(self) -> Any:
        # Each statement is committed by itself.
        return cast("Any", self._instance.event_log_storage).index_connection()

    def _log_folder(self) -> Path | None:
        """Where the steps' output lies; None where that is a bucket, which forgets by its own rule."""
        manager = self._instance.compute_log_manager
        if not isinstance(manager, LocalComputeLogManager):
            return None
        return Path(manager.get_captured_local_path(["a run"], "out")).parent

    def _remove_folder(self, run_id: str) -> None:
        place = self._log_folder()
        if place is not None and run_id and (place / run_id).is_dir():
            shutil.rmtree(place / run_id, ignore_errors=True)
            self.removed.folders += 1

    def _is_old(self, folder: Path) -> bool:
        return folder.stat().st_mtime < self._before.replace(tzinfo=UTC).timestamp()


def _numbers(rows: Sequence[Any]) -> list[int]:
    return [int(row[0]) for row in rows]


def _is_run(folder: Path) -> bool:
    try:
        return folder.is_dir() and str(UUID(folder.name)) == folder.name
    except ValueError:
        return False
