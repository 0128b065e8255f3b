"""What happened that nobody was told of so far, asked of the books.

What happened before the outbox was made is never told: an installation that is upgraded mails no past.
What came after it follows from numbers of the books, not from times, since a clock can be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from shs_pipeline.checks import due_months
from shs_pipeline.months import month_after
from shs_pipeline.notices import texts
from shs_pipeline.notices.texts import FailedRun, Notice, Rejection

if TYPE_CHECKING:
    import psycopg

_SHOWN = 500
# A line of a month that was never removed is new; a month is new where all that it has now is new.
_CHANGED_MONTHS = """
    with changed as (
        select rep_name, product_line, commission_month, bool_or(change = 'removed') as was_there
        from history.commission_payouts
        cross join lateral (select case change when 'added' then 1 else -1 end as sign) as signs
        where publication_id between %(first)s and %(last)s
        group by rep_name, product_line, commission_month
        having
            sum(sign) <> 0 or sum(sign * sales_actual) <> 0 or sum(sign * payout) <> 0
            or sum(sign * commission_tier_1) <> 0 or sum(sign * commission_tier_2_diff) <> 0
            or sum(sign * deferred) <> 0 or sum(sign * released) <> 0
    )
    select
        rep_name,
        commission_month,
        not bool_or(was_there)
        and not exists (
            select from history.commission_payouts as earlier
            where
                earlier.publication_id < %(first)s and earlier.rep_name = changed.rep_name
                and earlier.commission_month = changed.commission_month
        )
        and not exists (
            select from marts.commission_payouts as mart
            where
                mart.rep_name = changed.rep_name and mart.commission_month = changed.commission_month
                and not exists (
                    select from history.commission_payouts as since
                    where
                        since.publication_id >= %(first)s and since.rep_name = mart.rep_name
                        and since.commission_month = mart.commission_month
                        and since.product_line = mart.product_line
                )
        ) as is_new
    from changed
    group by rep_name, commission_month
    order by rep_name, commission_month
"""


@dataclass(frozen=True)
class Mark:
    """Where notices begin, and how far they are told.

    Attributes:
        begun_on: months that were due before this day are not told as missing.
        file_id: the last version of a file that is the past. Not its `change_no`, which is another with
            each look at the same version.
        hold_id: the last held withdrawal that is the past.
        publication_id: the last publication that is the past or was told.
    """

    begun_on: date
    file_id: int
    hold_id: int
    publication_id: int


@dataclass(frozen=True)
class RepMonth:
    """A commission month in which a rep's figures are others than before; new: the rep had none."""

    rep_name: str
    month: date
    is_new: bool


def rejected_files(connection: psycopg.Connection, mark: Mark) -> list[Notice]:
    """Return the files that are rejected now, each version once."""
    rows = connection.execute(
        "select f.file_id, f.path, f.error_count, coalesce(f.problem, ''), coalesce(f.remedy, ''),"
        " exists (select from ops.files as own where own.path = f.path and own.status = 'loaded')"
        " from ops.files as f where f.status = 'rejected' and f.file_id > %s"
        " and not exists (select from ops.notices as n where n.file_id = f.file_id)"
        " order by f.file_id limit %s",
        [mark.file_id, _SHOWN],
    )
    return [texts.rejected(Rejection(*row)) for row in rows]


def held_withdrawals(connection: psycopg.Connection, mark: Mark) -> list[Notice]:
    """Return the mass withdrawal that waits to be confirmed, told once as long as it does."""
    rows = connection.execute(
        "select hold_id, problem, remedy from ops.holds where is_open and hold_id > %s", [mark.hold_id]
    )
    return [texts.held(*row) for row in rows]


def failed_runs(runs: Sequence[FailedRun]) -> list[Notice]:
    """Return failed runs; one that fails again with the same words is told once a day."""
    notices = []
    for run in runs:
        said = sha256(f"{run.what}\n{run.problem}".encode()).hexdigest()[:16]
        notices.append(texts.failed(run, f"failed/{run.day}/{said}"))
    return notices


def missing_sources(
    connection: psycopg.Connection, mark: Mark, today: date, due_day: int
) -> list[tuple[str, date, Notice]]:
    """Return the sources with a month that is due and not loaded, each with the last such month.

    A gap of before the outbox counts where the first file of the source came later.
    """
    rows = connection.execute(
        "select source, array_agg(distinct commission_month) filter (where status = 'loaded'), min(file_id)"
        " from ops.files where status <> 'rejected' and commission_month is not null group by source"
        " having bool_or(status = 'loaded') order by source"
    )
    found = []
    for source, months, first_file in rows:
        is_new = first_file > mark.file_id
        gaps = [
            month
            for month in due_months(min(months), today, due_day)
            if month not in months and (is_new or month_after(month).replace(day=due_day) >= mark.begun_on)
        ]
        if gaps:
            found.append((source, gaps[-1], texts.missing(source, gaps, due_day)))
    return found


def published(connection: psycopg.Connection, mark: Mark, address: str) -> tuple[list[Notice], int]:
    """Return whom the publications since the mark concern, and the last publication.

    Args:
        address: of the dashboards; may be empty.
    """
    if not _exists(connection, "marts.publications"):
        return [], mark.publication_id
    row = connection.execute(
        "select min(publication_id), max(publication_id), min(publication_id) ="
        " (select min(publication_id) from marts.publications) from marts.publications"
        " where publication_id > %s",
        [mark.publication_id],
    ).fetchone()
    if row is None or row[0] is None:
        return [], mark.publication_id
    first, last, is_very_first = row
    changes = _everything(connection) if is_very_first else []
    if _exists(connection, "history.commission_payouts"):
        changes += _changes(connection, first, last)
    return _notices(first, last, changes, address), last


def _notices(first: int, last: int, changes: Sequence[RepMonth], address: str) -> list[Notice]:
    # A month that is new by one publication and changed by the next is new.
    months = {(change.rep_name, change.month): change for change in changes}
    months |= {(change.rep_name, change.month): change for change in changes if change.is_new}
    if not months:
        return []
    notices = []
    for rep_name in sorted({name for name, _ in months}):
        own = [change for (name, _), change in months.items() if name == rep_name]
        new = [change.month for change in own if change.is_new]
        changed = [change.month for change in own if not change.is_new]
        notices.append(texts.published_for_rep(last, rep_name, new, changed, address))
    reps: dict[date, int] = {}
    for _, month in months:
        reps[month] = reps.get(month, 0) + 1
    return [texts.published_for_admins(first, last, sorted(reps.items()), address), *notices]


def _everything(connection: psycopg.Connection) -> list[RepMonth]:
    """Return what people read now; of the very first publication the history says nothing."""
    rows = connection.execute("select distinct rep_name, commission_month from marts.commission_payouts")
    return [RepMonth(name, month, True) for name, month in rows]


def _changes(connection: psycopg.Connection, first: int, last: int) -> list[RepMonth]:
    """Return the months whose amounts the publications from first to last changed.

    What was added less what was removed is what changed, over however many publications. Cumulative
    sales do not count: they change in all later months of the year, and no payout with them.
    """
    rows = connection.execute(
        _CHANGED_MONTHS,
        {"first": first, "last": last},
    )
    return [RepMonth(*row) for row in rows]


def _exists(connection: psycopg.Connection, table: str) -> bool:
    row = connection.execute("select to_regclass(%s) is not null", [table]).fetchone()
    return bool(row and row[0])


def unpublished_since(connection: psycopg.Connection) -> datetime | None:
    """Return since when something has been in the books for a day and not in a publication, if it has."""
    # An older installation has the table without the column until its next publication.
    row = connection.execute(
        "select exists (select from pg_attribute where attrelid = to_regclass('marts.publications')"
        " and attname = 'books_version')"
    ).fetchone()
    last = None
    if row and row[0]:
        last = connection.execute(
            "select books_version from marts.publications order by publication_id desc limit 1"
        ).fetchone()
    found = connection.execute(
        "select min(finished) from ops.files where change_no > %s and finished < now() - interval '1 day'",
        [last[0] or 0 if last else 0],
    ).fetchone()
    return found[0] if found else None
