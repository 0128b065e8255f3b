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


@dataclass(frozen=True)
class Territory:
    """Who owns a customer of a source, from (inclusive) and until (exclusive) when."""

    source: str
    customer_field: str
    data_field_value: str
    sales_rep_name: str
    valid_from: date
    valid_until: date | None


@dataclass(frozen=True)
class ServiceToProduct:
    """The product line of a QuickBooks service line."""

    service_lines: str
    product_lines: str


@dataclass(frozen=True)
class Reference:
    """All reference tables that are in force, rows in the order of their sheets."""

    sales_reps: tuple[SalesRep, ...] = ()
    commission_tiers: tuple[CommissionTier, ...] = ()
    tier_thresholds: tuple[TierThreshold, ...] = ()
    business_objectives: tuple[BusinessObjective, ...] = ()
    territories: tuple[Territory, ...] = ()
    service_to_product: tuple[ServiceToProduct, ...] = ()


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

    @property
    def line_id(self) -> str:
        """File, sheet and row."""
        return f"{self.file_id}/{self.source_sheet}/{self.source_row}"


@dataclass(frozen=True)
class SaleLine:
    """A row of `harmonised_sales`; rates are None and commissions 0.00 where nothing is paid.

    Amounts are whole cents; before rounding they are None where they were whole cents already.
    """

    line_id: str
    source: str
    product_line: str
    rep_name: str | None
    rep_in_file: str | None
    credit_status: str
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
    shs_margin: Decimal
    uncredited_sales: Decimal
    uncredited_revenue: Decimal
