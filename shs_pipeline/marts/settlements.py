"""What statements say about a payout: what it paid when its month closed, and what was restated since."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, LiteralString

from psycopg.rows import class_row

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Settled:
    """A part of a payout that stands on a statement.

    Attributes:
        kind: earned, restated or reclassified; `paid elsewhere` for what was paid before the first close.
        pay_period: first of the month of the statement.
        number: of the statement; None where it is still provisional, or for what was paid elsewhere.
        amount: USD.
        words: the reason as the payee reads it; empty for what was earned.
    """

    kind: str
    product_line: str
    pay_period: date
    number: str | None
    amount: Decimal
    words: str


_ITEMS: LiteralString = """
    select items.payee_id, items.product_line_id, items.earned_month, items.kind, items.product_line,
        items.pay_period, items.number, items.amount, items.words
    from marts.statement_items as items
    inner join marts.pay_periods as months on months.pay_period = items.earned_month
    where months.state <> 'open' and items.kind in ('earned', 'restated', 'reclassified')
        and items.earned_month = any(%(months)s)
    union all
    select payee_id, product_line_id, earned_month, 'paid elsewhere', min(product_line), earned_month, null,
        sum(amount), ''
    from ledger.entries
    where kind in ('opening', 'opening without lines', 'reversal') and statement_number is null
        and earned_month = any(%(months)s)
    group by payee_id, product_line_id, earned_month
    having sum(amount) <> 0
    order by pay_period, product_line, kind
"""


@dataclass(frozen=True)
class _Row(Settled):
    payee_id: str
    product_line_id: str
    earned_month: date


def settled_payouts(
    connection: psycopg.Connection, months: Collection[date]
) -> Mapping[tuple[str, str, date], tuple[Settled, ...]]:
    """Return what stands on statements, of payouts of months that are not open any more.

    Args:
        months: the commission months in which it was earned.

    Returns:
        By payee id, product line id and month, the earliest pay period first; the amounts add
        up to the payout.
    """
    row = connection.execute("select to_regclass('marts.statement_items') is not null").fetchone()
    if not (row and row[0]):
        return {}
    found: dict[tuple[str, str, date], list[Settled]] = {}
    with connection.cursor(row_factory=class_row(_Row)) as cursor:
        for each in cursor.execute(_ITEMS, {"months": list(months)}):
            key = (each.payee_id, each.product_line_id, each.earned_month)
            found.setdefault(key, []).append(
                Settled(each.kind, each.product_line, each.pay_period, each.number, each.amount, each.words)
            )
    return {key: tuple(parts) for key, parts in found.items()}


def settled_in_words(part: Settled) -> str:
    """Return where an amount stands: `Paid: 300.00 on statement 2025-01-P-ANN-1 (January 2025).`."""
    amount = f"{part.amount:,.2f}" if part.kind in ("earned", "paid elsewhere") else f"{part.amount:+,.2f}"
    if part.kind == "paid elsewhere":
        return f"Paid: {amount} before the first close."
    what = {"earned": "Paid", "restated": "Restated since"}.get(part.kind, "Reclassified since")
    if part.number is None:
        return f"{what}: {amount} on the statement of {part.pay_period:%B %Y}, which is still open."
    return f"{what}: {amount} on statement {part.number} ({part.pay_period:%B %Y})."


def gone_in_words(parts: Collection[Settled]) -> list[str]:
    """Return what was paid of a payout that is none any more."""
    if not parts:
        return []
    return [f"{next(iter(parts)).product_line}: no payout now.", *map(settled_in_words, parts)]
