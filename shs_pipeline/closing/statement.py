"""What one payee is told and paid for one pay period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

Kind = Literal["earned", "restated", "reclassified", "adjustment", "draw", "recovered", "brought forward"]


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """The amounts of a statement in USD, exact to the cent; `due` is the sum of those above it."""

    earned: Decimal
    restated: Decimal
    adjustments: Decimal
    recovered: Decimal
    brought_forward: Decimal

    @property
    def due(self) -> Decimal:
        """What all parts come to."""
        return self.earned + self.restated + self.adjustments + self.recovered + self.brought_forward

    @property
    def paid(self) -> Decimal:
        """What is paid: never less than nothing."""
        return max(self.due, Decimal("0.00"))

    @property
    def carried_forward(self) -> Decimal:
        """What is left to be taken off later statements: 0 or less."""
        return min(self.due, Decimal("0.00"))


@dataclass(frozen=True, kw_only=True)
class Item:
    """One amount of a statement.

    Attributes:
        kind: of which of the amounts it is a part.
        product_line: as people see it; empty for an adjustment without one.
        earned_month: first day of the commission month that it is about.
        amount: USD.
        words: the reason, as a sentence for the payee; empty for what was earned.
        place: file, sheet and row of an adjustment, for admins; not printed for the payee.
    """

    kind: Kind
    product_line: str
    earned_month: date
    amount: Decimal
    words: str = ""
    place: str = ""


@dataclass(frozen=True, kw_only=True)
class TierState:
    """Where a payee stands in one product line at the end of the pay period.

    Attributes:
        sales: sales of the pay period in USD.
        sales_to_date: sales of the commission year so far in USD.
        threshold: sales of the year from which tier 2 counts; None without one.
        held_back: the difference to tier 2 that waits for the threshold, in USD.
        released: what was waiting and is paid in this pay period, in USD.
        earned: the payout of the pay period in USD.
    """

    product_line: str
    tier: int
    sales: Decimal
    sales_to_date: Decimal
    threshold: Decimal | None
    held_back: Decimal
    released: Decimal
    earned: Decimal


@dataclass(frozen=True, kw_only=True)
class Line:
    """One credited line of the pay period, as harmonised_sales has it.

    Attributes:
        credit_share: the part that is credited to this payee; 1 for a line that is not split.
        sales, revenue: USD, in cents; negative for a credit.
        tier_1_rate, tier_2_rate: as factors; None where there is none.
        paid, held_back: commission in USD at tier 1, or at tier 2 once it counts, and what waits for the
            threshold.
    """

    product_line: str
    revenue_date: date
    customer: str
    invoice_number: str
    item: str
    credit_share: Decimal
    sales: Decimal
    revenue: Decimal
    tier_1_rate: Decimal | None
    tier_2_rate: Decimal | None
    paid: Decimal
    held_back: Decimal


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement as it is printed; a closed one never changes.

    Attributes:
        pay_period: first day of the commission month.
        number: `2026-10-P-0007-1`; the last part counts the closes of the month. Empty while provisional.
        replaces: the number of the statement that this one replaces after a reopening; else empty.
        pay_date: None while it is not known.
        draw_balance: what is left to recover of earlier draws, USD, 0 or more.
        receipt: the number of the close's receipt; empty while provisional.
        approved_by: who approved the close; empty while provisional.
        closed_by: who brought the workbook that asked for it, which the name of the approver alone does not
            prove; empty where that is not known.
        product_lines: by product line.
        items: in the order in which they are printed.
        lines: by product line, then as in the files.
    """

    payee_id: str
    rep_name: str
    pay_period: date
    state: Literal["closed", "provisional"]
    number: str
    replaces: str
    pay_date: date | None
    approved_by: str
    closed_by: str
    receipt: str
    amounts: Amounts
    draw_balance: Decimal
    product_lines: tuple[TierState, ...]
    items: tuple[Item, ...]
    lines: tuple[Line, ...]
