"""What a publication changed in months that were published before, and what is credited to nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from shs_pipeline.base.months import month_text
from shs_pipeline.base.wording import count_of, form_for
from shs_pipeline.marts.payout_states import ZERO, months_at, moved_payouts

if TYPE_CHECKING:
    import psycopg

_MONTHS_SHOWN = 12


@dataclass(frozen=True)
class RestatedMonth:
    """A commission month with payouts that changed after it was published, and by how much in all (USD)."""

    month: date
    payouts: int
    amount: Decimal


@dataclass(frozen=True)
class Nobodys:
    """Lines that are credited to nobody, and what they sold (USD)."""

    lines: int
    sales: Decimal


def restated_months(connection: psycopg.Connection, publication_id: int) -> list[RestatedMonth]:
    """Return the months before the latest one that had been published and that a publication changed."""
    known = months_at(connection, publication_id - 1)
    if not known:
        return []
    row = connection.execute("select max(commission_month) from marts.commission_payouts").fetchone()
    latest = row[0] if row and row[0] else date.max
    moved: dict[date, list[Decimal]] = {}
    for month, difference in moved_payouts(connection, publication_id):
        if month in known and month < latest:
            moved.setdefault(month, []).append(difference)
    return [RestatedMonth(month, len(moved[month]), sum(moved[month], ZERO)) for month in sorted(moved)]


def nobodys(connection: psycopg.Connection) -> Nobodys:
    """Return how much is credited to nobody; nothing where nothing is published."""
    row = connection.execute("select to_regclass('marts.uncredited_sales') is not null").fetchone()
    if not (row and row[0]):
        return Nobodys(0, Decimal(0))
    found = connection.execute(
        "select count(*), coalesce(sum(sales_actual), 0) from marts.uncredited_sales"
    ).fetchone()
    assert found is not None
    return Nobodys(*found)


def restated_in_words(months: Sequence[RestatedMonth]) -> list[str]:
    """Return a sentence for each month: `13 payouts of 2025-10 change, +2,302.10.`."""
    said = [_change(each.payouts, month_text(each.month), each.amount) for each in months[-_MONTHS_SHOWN:]]
    earlier = months[:-_MONTHS_SHOWN]
    if earlier:
        amount = sum((each.amount for each in earlier), ZERO)
        said.insert(0, _change(sum(each.payouts for each in earlier), "earlier months", amount))
    return said


def _change(payouts: int, when: str, amount: Decimal) -> str:
    verb = form_for(payouts, "changes", "change")
    return f"{count_of(payouts, 'payout')} of {when} {verb}, {amount:+,.2f}."


def nobodys_in_words(found: Nobodys | None) -> str:
    """Return the sales credited to nobody; empty where there is none."""
    if found is None or not found.lines:
        return ""
    return f"{count_of(found.lines, 'line')} credited to nobody, {found.sales:,.2f} in sales"
