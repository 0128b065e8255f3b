"""What is refused before it gets into pay_periods, where a later run would carry it out without asking."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, LiteralString

from psycopg import sql

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import month_text
from shs_pipeline.closing.closes import LAST_WORDS

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.closing.checklist import Checklist

# An approver in the workbook is replaced by the one who is named now; the order is asked below.
_FIRM: LiteralString = """
    select problem, remedy from marts.close_checklist
    where not is_waivable
        and (kind = 'closed already' or (pay_period = %s and kind not in ('approver', 'order')))
    order by kind = 'closed already' desc, kind, subject limit 1
"""
_EARLIER = sql.SQL("""
    select min(months.pay_period) from marts.pay_periods as months
    where months.state = 'open' and months.pay_period < %s
        and (
            exists (select from marts.upload_detail where month = months.pay_period and lines > 0)
            or exists (
                select from marts.statement_items as items
                where items.pay_period = months.pay_period and items.kind in ('adjustment', 'draw')
            )
        )
""")
_OPENED_AGAIN = sql.SQL("""
    select min(pay_period) from ({}) as last_words
    where kind = 'reopened' and pay_period < %s
        and exists (
            select from reference.pay_periods as listed
            inner join ops.files using (file_id)
            where files.status = 'loaded' and listed.state = 'open'
                and listed.commission_month = last_words.pay_period
        )
""").format(LAST_WORDS)


def check_close(connection: psycopg.Connection, found: Checklist, pay_date: date | None) -> None:
    """Refuse a close that no Note would help, as of the last publication.

    Raises:
        ShsError: it cannot close, or is closed with another pay date.
    """
    month, closed = found.month, _closed(connection)
    named = month_text(month)
    if month in closed:
        if pay_date not in (None, closed[month]):
            day = f"with the pay date {closed[month]}" if closed[month] else "without a pay date"
            raise ShsError(
                f"{named} is closed already, {day}, so nothing was changed.",
                "Leave --pay-date out. The last closed month can be opened again with --reopen and --note, "
                "and closed with another date.",
            )
        return
    if closed and month < min(closed):
        raise ShsError(
            f"{named} is before {month_text(min(closed))}, the first month that was closed, so it counts "
            "as paid elsewhere.",
            "What changes in it is restated in the open month.",
        )
    row = connection.execute(_FIRM, [month]).fetchone()
    if row is None:
        # Before the first close, earlier months count as paid elsewhere, unless they were opened again.
        query = _EARLIER if closed else _OPENED_AGAIN
        (earlier,) = connection.execute(query, [month]).fetchone() or (None,)
        if earlier is not None:
            row = (f"{month_text(earlier)} has lines or adjustments and is still open.",
                   f"Close {month_text(earlier)} first.")  # fmt: skip
    if row is not None:
        raise ShsError(
            f"{named} was not closed, and pay_periods is as it was: {row[0]}",
            f"{row[1]} If that is done already, `shs run` first.",
        )


def check_reopen(connection: psycopg.Connection, month: date) -> None:
    """Refuse to open a month again that is not the last closed one.

    Raises:
        ShsError: it is open, or a later month is closed.
    """
    closed = _closed(connection)
    if month not in closed:
        raise ShsError(f"{month_text(month)} is not closed, so it cannot be opened again.", _last(closed))
    if month != max(closed):
        raise ShsError(
            f"{month_text(month)} cannot be opened again while a later month is closed.",
            f"{_last(closed)} Months are opened again one by one, from the last to the first.",
        )


def _last(closed: dict[date, date | None]) -> str:
    return f"The last closed month is {month_text(max(closed))}." if closed else "No month is closed."


def _closed(connection: psycopg.Connection) -> dict[date, date | None]:
    """Return the pay date of each closed month."""
    return dict(
        connection.execute(
            "select pay_period, pay_date from marts.pay_periods where state = 'closed'"
        ).fetchall()
    )
