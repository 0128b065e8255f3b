"""How much Dagster has recorded about its runs, and whether old ones are being removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shs_pipeline.base.wording import count_of

if TYPE_CHECKING:
    import psycopg

# The job of `sensors.housekeeping`, once a day; it may fail twice before it is reported.
REMOVAL = "remove_old_runs"
_LATE_DAYS = 3


@dataclass(frozen=True)
class DagsterBooks:
    """What the books hold.

    Attributes:
        size: of their database in bytes.
        overdue: ended runs that should have been looked at by a removal, with none for some days.
    """

    runs: int
    size: int
    overdue: int

    @property
    def shown(self) -> str:
        """The books in a few words."""
        return f"{self.runs:,} runs, {self.size / 2**20:,.0f} MiB"


def kept_in_words(days: int) -> str:
    """Return for how long all of a run is kept."""
    return f"runs are kept for {count_of(days, 'day')}"


def read_dagster_books(connection: psycopg.Connection, keep_days: int) -> DagsterBooks | None:
    """Return what Dagster's books hold; None where Dagster never ran.

    Args:
        connection: to Dagster's own database.
        keep_days: for how long all of a run is kept.
    """
    found = connection.execute("select to_regclass('public.runs')").fetchone()
    if found is None or found[0] is None:
        return None
    row = connection.execute(
        """
        with removal as (
            select coalesce(max(update_timestamp), '-infinity') as last
            from runs where pipeline_name = %(job)s and status = 'SUCCESS'
        ), due as (
            -- Dagster writes UTC without a zone.
            select
                now() at time zone 'utc' - make_interval(days => %(late)s) as removal,
                now() at time zone 'utc' - make_interval(days => %(days)s + %(late)s) as run
        )
        select
            count(*),
            pg_database_size(current_database()),
            count(*) filter (
                where
                    status in ('SUCCESS', 'FAILURE', 'CANCELED')
                    and update_timestamp < (select run from due)
                    and (select last from removal) < (select removal from due)
            )
        from runs
        """,
        {"job": REMOVAL, "days": keep_days, "late": _LATE_DAYS},
    ).fetchone()
    return DagsterBooks(int(row[0]), int(row[1]), int(row[2])) if row else None
