"""What the second implementation of the rules works on: reference data, lines as loaded, and results.

Written from the business rules alone, so that it and the warehouse's models can prove each other wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Any

CENT = Decimal("0.01")
ZERO = Decimal(0)
ENOUGH_DIGITS = 80
"""Precision of the decimal context: no sum or product of amounts and rates is ever rounded by it."""


def cents(amount: Decimal) -> Decimal:
    """Return an amount in whole cents, halves away from zero (which Decimal calls HALF_UP)."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


@cache
def match_key(name: str) -> str:
    """Return the form in which names are compared: trimmed, single spaces, no case."""
    return " ".join(name.split()).casefold()


def first_of(day: date) -> date:
    """Return the first day of the month."""
    return day.replace(day=1)


@dataclass(frozen=True)
class SalesRep:
    """A person of the reference table."""

    sales_rep_name: str
    rep_category: str | None = None
    email: str | None = None
    permission: str = "user"
    active: bool = True
    payee_id: str | None = None
    left_on: date | None = None
    pays_after_leaving: bool | None = None


@dataclass(frozen=True)
class CommissionTier:
    """The rates of a rep for a product line (None: for all) over a period."""

    sales_rep_name: str
    product_line: str | None
    valid_from: date
    valid_until: date | None
    commission_tier_1_rate: Decimal
    commission_tier_2_rate: Decimal | None


@dataclass(frozen=True)
class TierThreshold:
    """The sales of a commission year that open tier 2."""

    sales_rep_name: str
    product_line: str
    year: int
    commission_tier_threshold: Decimal


@dataclass(frozen=True)
class BusinessObjective:
    """Twelve monthly objectives in dollars, January first; None for no objective."""

    sales_rep_name: str
    product_line: str
    year: int
    months: tuple[Decimal | None, ...]
    valid_from: date | None = None
    valid_until: date | None = None


@dataclass(frozen=True)
class Territory:
    """Who owns a customer of a source, or a share of it, from (inclusive) and until (exclusive) when."""

    source: str
    customer_field: str
    data_field_value: str
    sales_rep_name: str
    valid_from: date
    valid_until: date | None
    share: Decimal | None = None


@dataclass(frozen=True)
class ServiceToProduct:
    """The product line of a QuickBooks service line."""

    service_lines: str
    product_lines: str
    valid_from: date | None = None
    valid_until: date | None = None


@dataclass(frozen=True)
class Alias:
    """What a name stands for, for a source (None: all) and over a period (None: without that end)."""

    kind: str
    source: str | None
    name_in_file: str
    means: str
    share: Decimal | None = None
    valid_from: date | None = None
    valid_until: date | None = None

    @property
    def is_rename(self) -> bool:
        """Whether the other workbooks may go on using the old name."""
        whole = self.share is None or self.share == 1
        return whole and (self.source, self.valid_from, self.valid_until) == (None, None, None)


@dataclass(frozen=True)
class PayPeriod:
    """A commission month, and whether it is closed."""

    commission_month: date
    state: str
    approved_by: str | None = None
    pay_date: date | None = None
    note: str | None = None


@dataclass(frozen=True)
class Adjustment:
    """What a pay period pays or takes back besides commissions.

    Attributes:
        pay_period: None until it stands in a month's file.
    """

    sales_rep_name: str
    amount: Decimal
    kind: str = "bonus"
    reason: str = "Trade fair"
    approved_by: str = "Ada Head"
    product_line: str | None = None
    reference: str | None = None
    pay_period: date | None = None


@dataclass(frozen=True)
class OpeningBalance:
    """What a rep was paid for a commission month before the first close.

    Attributes:
        cumulative_sales: of the year up to and including the month; None leaves the year to the lines.
        held_back: of the year at the end of the month; None is 0.
    """

    sales_rep_name: str
    product_line: str
    commission_month: date
    paid: Decimal
    cumulative_sales: Decimal | None = None
    held_back: Decimal | None = None


@dataclass(frozen=True)
class Reference:
    """All reference tables that are in force, rows in the order of their sheets.

    Attributes:
        past: (table, rows) of every version that was ever accepted, the last one of each being in force;
            empty where what is in force is all there ever was.
    """

    sales_reps: tuple[SalesRep, ...] = ()
    commission_tiers: tuple[CommissionTier, ...] = ()
    tier_thresholds: tuple[TierThreshold, ...] = ()
    business_objectives: tuple[BusinessObjective, ...] = ()
    territories: tuple[Territory, ...] = ()
    service_to_product: tuple[ServiceToProduct, ...] = ()
    aliases: tuple[Alias, ...] = ()
    pay_periods: tuple[PayPeriod, ...] = ()
    opening_balances: tuple[OpeningBalance, ...] = ()
    past: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    def versions(self, *tables: str) -> list[tuple[str, tuple[Any, ...]]]:
        """Return (table, rows) of all versions of some tables in the order in which they came."""
        return [
            version
            for version in self.past or [(table, getattr(self, table)) for table in tables]
            if version[0] in tables
        ]


@dataclass(frozen=True)
class RawLine:
    """A line of `raw.<source>`; `cells` are the source's own columns by database name."""

    source: str
    file_id: int
    source_file: str
    source_sheet: str
    source_row: int
    commission_month: date
    revenue_date: date
    cells: Mapping[str, Any]


@dataclass(frozen=True)
class SaleLine:
    """A row of `harmonised_sales`; rates are None and commissions 0.00 where nothing is paid.

    Amounts are whole cents; before rounding they are None where they were whole cents already.
    """

    credit_id: str
    line_id: str
    source: str
    product_line: str
    rep_name: str | None
    rep_in_file: str | None
    rep_named: str | None
    rep_meant: str | None
    credit_status: str
    rate_basis: str | None
    credit_share: Decimal
    customer: str | None
    invoice_number: str | None
    item: str | None
    quantity: Decimal | None
    revenue_date: date
    revenue_month: date
    commission_month: date
    sales_actual: Decimal
    rev_actual: Decimal
    sales_before_rounding: Decimal | None
    rev_before_rounding: Decimal | None
    tier_1_rate: Decimal | None
    tier_2_rate: Decimal | None
    commission_tier_1: Decimal
    commission_tier_2_diff: Decimal
    source_file: str
    source_sheet: str
    source_row: int


@dataclass(frozen=True)
class Payout:
    """A row of `commission_payouts`."""

    rep_name: str
    product_line: str
    commission_month: date
    sales_actual: Decimal
    cumulative_sales: Decimal
    threshold: Decimal | None
    tier: int
    tier_2_month: date | None
    commission_tier_1: Decimal
    commission_tier_2_diff: Decimal
    deferred: Decimal
    released: Decimal
    deferred_balance: Decimal
    releasable_balance: Decimal
    no_threshold_balance: Decimal
    payout: Decimal
    payout_ytd: Decimal
    opening_month: date | None
    opening_sales: Decimal | None
    opening_held_back: Decimal | None


@dataclass(frozen=True)
class RepMonth:
    """A row of `sales_performance_monthly`."""

    rep_name: str
    product_line: str
    month: date
    sales_actual: Decimal
    rev_actual: Decimal
    objective: Decimal | None
    attainment: Decimal | None
    payout: Decimal
    commission: Decimal


@dataclass(frozen=True)
class CompanyMonth:
    """A row of `company_performance_monthly`."""

    product_line: str
    month: date
    sales_actual: Decimal
    rev_actual: Decimal
    objective: Decimal | None
    attainment: Decimal | None
    payout: Decimal
    commission: Decimal
    shs_margin: Decimal
    uncredited_sales: Decimal
    uncredited_revenue: Decimal
