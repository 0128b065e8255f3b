"""Events that nobody has been notified of yet, derived from the books.

Events from before the outbox was created are never notified: an upgraded installation does not mail its past.
What came later follows from numbers in the books, not from times, since a clock can be wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING

from shs_pipeline.base.months import month_after
from shs_pipeline.ingest.checks import due_months
from shs_pipeline.landing.names import ADJUSTMENTS
from shs_pipeline.marts.restated import nobodys
from shs_pipeline.notices import texts
from shs_pipeline.notices.closed_months import closes, restatements
from shs_pipeline.notices.texts import FailedRun, Notice, Rejection

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)

_SHOWN = 500
# A line of a month that was never removed is new; a month is new where all that it has now is new.
_CHANGED_MONTHS = """
    with changed as (
        select
            payee_id,
            product_line_id,
            commission_month,
            bool_or(change = 'removed') as was_there
        from history.commission_payouts
        cross join lateral (select case change when 'added' then 1 else -1 end as sign) as signs
        where publication_id between %(first)s and %(last)s
        group by payee_id, product_line_id, commission_month
        having
            sum(sign) <> 0 or sum(sign * sales_actual) <> 0 or sum(sign * payout) <> 0
            or sum(sign * commission_tier_1) <> 0 or sum(sign * commission_tier_2_diff) <> 0
            or sum(sign * deferred) <> 0 or sum(sign * released) <> 0
    )
    select
        payee_id,
        commission_month,
        not bool_or(was_there)
        and not exists (
            select from history.commission_payouts as earlier
            where
                earlier.publication_id < %(first)s and earlier.payee_id = changed.payee_id
                and earlier.commission_month = changed.commission_month
        )
        and not exists (
            select from marts.commission_payouts as mart
            where
                mart.payee_id = changed.payee_id and mart.commission_month = changed.commission_month
                and not exists (
                    select from history.commission_payouts as since
                    where
                        since.publication_id >= %(first)s and since.payee_id = mart.payee_id
                        and since.commission_month = mart.commission_month
                        and since.product_line_id = mart.product_line_id
                )
        ) as is_new
    from changed
    group by payee_id, commission_month
    order by payee_id, commission_month
"""


@dataclass(frozen=True)
class Mark:
    """Where notices begin, and how far they have been sent.

    Attributes:
        begun_on: months that were due before this day are not reported as missing.
        file_id: the last version of a file that is the past. Not its `change_no`, which is another with
            each look at the same version.
        hold_id: the last withdrawal or build that was held and is the past.
        publication_id: the last publication that is in the past or was notified.
    """

    begun_on: date
    file_id: int
    hold_id: int
    publication_id: int


@dataclass(frozen=True)
class RepMonth:
    """A commission month in which a rep's figures changed; new: the rep had none before."""

    payee_id: str
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


def held_now(connection: psycopg.Connection, mark: Mark) -> list[Notice]:
    """Return the mass withdrawal and the build that wait to be accepted; notified once while they wait."""
    rows = connection.execute(
        "select kind, hold_id, problem, remedy from ops.holds where is_open and hold_id > %s"
        " order by hold_id",
        [mark.hold_id],
    )
    return [(texts.held if kind == "withdrawal" else texts.held_build)(*row) for kind, *row in rows]


def failed_runs(connection: psycopg.Connection, runs: Sequence[FailedRun]) -> list[Notice]:
    """Return failed runs; one that fails again with the same words is notified once a day.

    A run that fails since its build is held is told as that.
    """
    held = {
        said
        for (said,) in connection.execute(
            "select problem || ' ' || remedy from ops.holds where kind = 'publication'"
        )
    }
    notices = []
    for run in runs:
        if run.problem in held:
            continue
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
        # No month has to have adjustments.
        " from ops.files where status <> 'rejected' and commission_month is not null and source <> %s"
        " group by source having bool_or(status = 'loaded') order by source",
        [ADJUSTMENTS],
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


def published(
    connection: psycopg.Connection, mark: Mark, address: str, restate_notice: Decimal
) -> tuple[list[Notice], int]:
    """Return whom the publications since the mark concern, and the last publication that is told.

    Those of an older version, which knew no ids, wait for the next build.

    Args:
        address: of the dashboards; may be empty.
        restate_notice: USD by which the payouts of a payee and closed month must move to be told.
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
    if not _has_column(connection, "marts.people", "payee_id"):
        # All else is told: the build that is due may fail, and that must not be kept from anybody.
        log.warning(
            "Nobody was told yet what was published: an older version of shs published it, without ids."
            " Run shs run, which rebuilds the marts; then it is told."
        )
        return [], mark.publication_id
    first, last, is_very_first = row
    changes = _everything(connection) if is_very_first else []
    if _exists(connection, "history.commission_payouts"):
        changes += _changes(connection, first, last)
    names: dict[str, str] = dict(connection.execute("select payee_id, rep_name from marts.people").fetchall())
    notices = _notices((first, last), changes, names, address, nobodys(connection).lines)
    notices += _new_findings(connection, (first, last), address)
    notices += restatements(connection, (first, last), restate_notice)
    return notices + closes(connection, (first, last), address), last


def _new_findings(connection: psycopg.Connection, span: tuple[int, int], address: str) -> list[Notice]:
    """Return the notice of findings with money at stake that the publications of a span brought.

    Of the very first publication, and of the first with findings, the history says nothing: all of them
    would be new.
    """
    if not _exists(connection, "history.reference_findings"):
        return []
    rows = connection.execute(
        "with noted as ("
        " select finding_id, change from history.reference_findings"
        " where publication_id between %s and %s and amount > 0 and not is_silenced"
        ") select table_name, count(*) from marts.reference_findings"
        " where amount > 0 and not is_silenced"
        " and finding_id in (select finding_id from noted where change = 'added')"
        " and finding_id not in (select finding_id from noted where change = 'removed')"
        " group by table_name order by table_name",
        span,
    ).fetchall()
    return [texts.findings(span[1], rows, address)] if rows else []


def _notices(
    span: tuple[int, int],
    changes: Sequence[RepMonth],
    names: Mapping[str, str],
    address: str,
    uncredited: int,
) -> list[Notice]:
    """Return what to tell of the publications of a span; whoever is not listed any more is told nothing."""
    first, last = span
    # A month that is new by one publication and changed by the next is new.
    months = {(change.payee_id, change.month): change for change in changes}
    months |= {(change.payee_id, change.month): change for change in changes if change.is_new}
    if not months:
        return []
    notices = []
    for payee_id in sorted({payee for payee, _ in months} & names.keys(), key=lambda payee: names[payee]):
        own = [change for (payee, _), change in months.items() if payee == payee_id]
        new = [change.month for change in own if change.is_new]
        changed = [change.month for change in own if not change.is_new]
        notices.append(texts.published_for_rep(last, (payee_id, names[payee_id]), new, changed, address))
    reps: dict[date, int] = {}
    for _, month in months:
        reps[month] = reps.get(month, 0) + 1
    summary = texts.published_for_admins(first, last, sorted(reps.items()), address, uncredited)
    return [summary, *notices]


def _everything(connection: psycopg.Connection) -> list[RepMonth]:
    """Return what people read now; of the very first publication the history says nothing."""
    rows = connection.execute("select distinct payee_id, commission_month from marts.commission_payouts")
    return [RepMonth(payee_id, month, True) for payee_id, month in rows]


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


def _has_column(connection: psycopg.Connection, table: str, column: str) -> bool:
    row = connection.execute(
        "select exists (select from pg_attribute where attrelid = to_regclass(%s) and attname = %s)",
        [table, column],
    ).fetchone()
    return bool(row and row[0])


def unpublished_since(connection: psycopg.Connection) -> datetime | None:
    """Return since when something has been in the books for a day and not in a publication, if it has."""
    # An older installation has the table without the column until its next publication.
    last = None
    if _has_column(connection, "marts.publications", "books_version"):
        last = connection.execute(
            "select books_version from marts.publications order by publication_id desc limit 1"
        ).fetchone()
    found = connection.execute(
        "select min(finished) from ops.files where change_no > %s and finished < now() - interval '1 day'",
        [last[0] or 0 if last else 0],
    ).fetchone()
    return found[0] if found else None
