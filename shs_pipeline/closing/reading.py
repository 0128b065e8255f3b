"""Read statements: closed ones as the ledger has them, open ones as of the last publication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from shs_pipeline.base.months import month_after
from shs_pipeline.closing.closes import close_in_force
from shs_pipeline.closing.statement import Amounts, Item, Line, Statement, TierState

_NOTHING = Decimal("0.00")

_KINDS = sql.SQL("array['earned', 'restated', 'reclassified', 'adjustment', 'draw', 'recovered']")
_CLOSED: LiteralString = """
    select statements.*, 'closed' as state, closes.approved_by, closes.actor
    from ledger.statements
    inner join ledger.closes using (close_no)
    where close_no = %s
    order by rep_name collate "C", payee_id collate "C"
"""
_CLOSED_ITEMS: LiteralString = """
    select payee_id, kind, product_line, earned_month, amount, words, place
    from ledger.entries
    where close_no = %s and statement_number is not null
    order by array_position({kinds}, kind), product_line collate "C", earned_month, entry_no
"""
_CLOSED_PRODUCT_LINES: LiteralString = """
    select statements.payee_id, of_line.*
    from ledger.statement_product_lines as of_line
    inner join ledger.statements on statements.number = of_line.statement_number
    where statements.close_no = %s
    order by of_line.product_line collate "C"
"""
_CLOSED_LINES: LiteralString = """
    select statements.payee_id, of_line.*
    from ledger.statement_lines as of_line
    inner join ledger.statements on statements.number = of_line.statement_number
    where statements.close_no = %s
    order by of_line.line_no
"""
_OPEN: LiteralString = """
    select statements.*, null::integer as close_no, null as actor
    from {statements} as statements where pay_period = {month}
    order by rep_name collate "C", payee_id collate "C"
"""
_OPEN_ITEMS: LiteralString = """
    select
        items.payee_id, items.kind, items.product_line, items.earned_month, items.amount, items.words,
        amounts.place
    from {statement_items} as items
    left join {statement_amounts} as amounts
        using (payee_id, pay_period, kind, product_line_id, earned_month, item_no)
    where items.pay_period = {month} and items.kind <> 'brought forward'
    order by
        array_position({kinds}, items.kind), items.product_line collate "C", items.earned_month, items.item_no
"""
_OPEN_PRODUCT_LINES: LiteralString = """
    select * from {commission_payouts} as payouts where commission_month = {month}
    order by product_line collate "C"
"""
_OPEN_LINES: LiteralString = """
    select
        lines.*,
        lines.commission_tier_1
        + case when payouts.tier = 2 then lines.commission_tier_2_diff else 0 end as paid,
        case
            when payouts.tier = 1 and payouts.threshold is not null then lines.commission_tier_2_diff else 0
        end as held_back
    from {harmonised_sales} as lines
    inner join {commission_payouts} as payouts using (payee_id, product_line_id, commission_month)
    where lines.commission_month = {month}
    order by
        lines.product_line collate "C", lines.source_file collate "C", lines.source_sheet collate "C",
        lines.source_row, lines.credit_id collate "C"
"""

NO_PLACES = sql.SQL("""(
    select
        null::text as payee_id, null::date as pay_period, null::text as kind, null::text as product_line_id,
        null::date as earned_month, null::integer as item_no, null::text as place
    where false
)""")
"""Stands for `statement_amounts` where it is not known where adjustments stand."""

Rows = Sequence[Mapping[str, Any]]


def read_statements(connection: psycopg.Connection, month: date) -> list[Statement]:
    """Return the statements of a pay period, by name."""
    close_no = close_in_force(connection, month)
    return open_statements(connection, month) if close_no is None else closed_statements(connection, close_no)


def open_statements(
    connection: psycopg.Connection, month: date, marts: Mapping[str, sql.Composable] | None = None
) -> list[Statement]:
    """Return the provisional statements of a pay period, by name.

    Args:
        marts: what is read instead of a mart, by its name; by default what is published now. Where an
            adjustment stands is known of `statement_amounts` only, which is no mart, has no past, and is
            gone while everything is rebuilt.
    """
    names = ("statements", "statement_items", "commission_payouts", "harmonised_sales")
    relations: dict[str, sql.Composable] = {name: sql.Identifier("marts", name) for name in names}
    relations |= marts or {}
    if "statement_amounts" not in relations:
        relations["statement_amounts"] = _statement_amounts(connection)
    queries = (_OPEN, _OPEN_PRODUCT_LINES, _OPEN_ITEMS, _OPEN_LINES)
    formatted = [
        sql.SQL(query).format(**relations, month=sql.Literal(month), kinds=_KINDS) for query in queries
    ]
    return _read(connection, formatted, None)


def _statement_amounts(connection: psycopg.Connection) -> sql.Composable:
    row = connection.execute("select to_regclass('intermediate.statement_amounts') is not null").fetchone()
    return sql.Identifier("intermediate", "statement_amounts") if row and row[0] else NO_PLACES


def closed_statements(connection: psycopg.Connection, close_no: int) -> list[Statement]:
    """Return the statements of a close by name, also of one that was taken back since."""
    queries = (_CLOSED, _CLOSED_PRODUCT_LINES, _CLOSED_ITEMS, _CLOSED_LINES)
    return _read(connection, [sql.SQL(query).format(kinds=_KINDS) for query in queries], [close_no])


def _read(
    connection: psycopg.Connection, queries: Sequence[sql.Composed], values: Sequence[object] | None
) -> list[Statement]:
    with connection.cursor(row_factory=dict_row) as cursor:
        heads, *parts = (cursor.execute(query, values).fetchall() for query in queries)
    by_payee = [_by_payee(rows) for rows in parts]
    return [_statement(head, *(rows.get(head["payee_id"], ()) for rows in by_payee)) for head in heads]


def _by_payee(rows: Rows) -> Mapping[str, Rows]:
    """Return the rows of each payee, in their order."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["payee_id"], []).append(row)
    return found


def _statement(
    head: Mapping[str, Any],
    product_lines: Rows,
    items: Rows,
    lines: Rows,
) -> Statement:
    return Statement(
        payee_id=head["payee_id"],
        rep_name=head["rep_name"],
        pay_period=head["pay_period"],
        state=head["state"],
        number=head["number"] or "",
        replaces=head["replaces"] or "",
        pay_date=head["pay_date"],
        approved_by=head["approved_by"] or "",
        closed_by=head["actor"] or "",
        receipt=str(head["close_no"] or ""),
        amounts=Amounts(
            earned=head["earned"],
            restated=head["restated"],
            adjustments=head["adjustments"],
            recovered=head["recovered"],
            brought_forward=head["brought_forward"],
        ),
        draw_balance=head["draw_balance"],
        product_lines=tuple(map(_tier_state, product_lines)),
        items=(*map(_item, items), *_brought_forward(head)),
        lines=tuple(map(_line, lines)),
    )


def _item(row: Mapping[str, Any]) -> Item:
    return Item(
        kind=row["kind"],
        product_line=row["product_line"],
        earned_month=row["earned_month"],
        amount=row["amount"],
        words=row["words"],
        place=row["place"] or "",
    )


def _brought_forward(head: Mapping[str, Any]) -> list[Item]:
    """Return the item of what the statement before carried forward: it is no entry of the ledger."""
    month, amount = head["pay_period"], head["brought_forward"]
    if not amount:
        return []
    words = f"Brought forward from {month_after(month, -1):%B %Y}."
    return [Item(kind="brought forward", product_line="", earned_month=month, amount=amount, words=words)]


def _tier_state(row: Mapping[str, Any]) -> TierState:
    return TierState(
        product_line=row["product_line"],
        tier=row["tier"],
        sales=row["sales_actual"],
        sales_to_date=row["cumulative_sales"],
        threshold=row["threshold"],
        # What has no threshold waits for nothing.
        held_back=_NOTHING if row["threshold"] is None else row["deferred_balance"],
        released=row["released"],
        earned=row["payout"],
    )


def _line(row: Mapping[str, Any]) -> Line:
    return Line(
        product_line=row["product_line"],
        revenue_date=row["revenue_date"],
        customer=row["customer"] or "",
        invoice_number=row["invoice_number"] or "",
        item=row["item"] or "",
        credit_share=row["credit_share"],
        sales=row["sales_actual"],
        revenue=row["rev_actual"],
        tier_1_rate=row["tier_1_rate"],
        tier_2_rate=row["tier_2_rate"],
        paid=row["paid"],
        held_back=row["held_back"],
    )
