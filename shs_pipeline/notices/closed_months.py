"""What publications closed, opened again or changed in closed months.

Derived from the ledger by the numbers of publications, so that a close is told once, whoever made it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from shs_pipeline.closing.closes import closes_since
from shs_pipeline.notices import texts
from shs_pipeline.notices.texts import Notice

if TYPE_CHECKING:
    import psycopg

# A statement like the one that the payee was told of is no news, although its number is another.
_STATEMENTS = """
    select now.payee_id, now.rep_name, now.number, was.number is not null
    from ledger.statements as now
    left join lateral (
        select earlier.*
        from ledger.statements as earlier
        inner join ledger.closes using (close_no)
        where
            earlier.payee_id = now.payee_id and earlier.pay_period = now.pay_period
            and closes.publication_id < %(first)s
        order by close_no desc
        limit 1
    ) as was on true
    where
        now.close_no = %(close)s
        and (was.earned, was.restated, was.adjustments, was.recovered, was.brought_forward, was.pay_date)
        is distinct from
        (now.earned, now.restated, now.adjustments, now.recovered, now.brought_forward, now.pay_date)
    order by now.rep_name, now.payee_id
"""
_RESTATED = """
    with moved as (
        select
            payee_id, commission_month, sum(case change when 'added' then payout else -payout end) as amount
        from history.commission_payouts
        where publication_id between %(first)s and %(last)s
        group by payee_id, commission_month
    )
    select commission_month, count(*)
    from moved
    where abs(amount) > %(least)s and exists (
        select from marts.statement_items as items
        where
            items.payee_id = moved.payee_id and items.earned_month = moved.commission_month
            and items.number is null and items.kind = 'restated'
    )
    group by commission_month
    order by commission_month
"""


def restatements(connection: psycopg.Connection, span: tuple[int, int], least: Decimal) -> list[Notice]:
    """Return the notice of closed months that the publications of a span changed."""
    row = connection.execute(
        "select to_regclass('marts.statement_items') is not null"
        " and to_regclass('history.commission_payouts') is not null"
    ).fetchone()
    if not (row and row[0]):
        return []
    values = {"first": span[0], "last": span[1], "least": least}
    rows = connection.execute(_RESTATED, values).fetchall()
    return [texts.restated(*span, rows)] if rows else []


def closes(connection: psycopg.Connection, span: tuple[int, int], address: str) -> list[Notice]:
    """Return what the publications of a span closed and opened again: of each month, how it stands now."""
    # What was read back from the bucket was told by the database that was lost.
    row = connection.execute("select coalesce(max(last_close_no), 0) from ledger.recoveries").fetchone()
    assert row is not None
    new = [
        close
        for close in closes_since(connection)
        if close.close_no > row[0] and span[0] <= close.publication_id <= span[1]
    ]
    notices = []
    for close in {close.pay_period: close for close in new}.values():
        if close.kind == "reopened" and close.replaces in {other.close_no for other in new}:
            # Nobody was told that it was closed.
            continue
        notices.append(texts.closed_for_admins(close))
        values = {"first": span[0], "close": close.close_no}
        for payee_id, name, number, is_replaced in connection.execute(_STATEMENTS, values).fetchall():
            rep = (payee_id, name)
            notices.append(
                texts.statement_for_rep(
                    close.close_no, rep, number, close.pay_period, address, is_replaced=is_replaced
                )
            )
    return notices
