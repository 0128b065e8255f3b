"""From harmonised lines to payouts and to sales against objective."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext

from tests.engine.crediting import credit, product_line_spellings, rep_spellings
from tests.engine.model import (
    ENOUGH_DIGITS,
    ZERO,
    CompanyMonth,
    Payout,
    RawLine,
    Reference,
    RepMonth,
    SaleLine,
    cents,
    match_key,
)


@dataclass(frozen=True)
class Results:
    """Everything that follows from lines and reference data."""

    lines: list[SaleLine]
    payouts: list[Payout]
    reps: list[RepMonth]
    company: list[CompanyMonth]


def compute(raw: Iterable[RawLine], reference: Reference) -> Results:
    """Apply all the rules."""
    lines = credit(raw, reference)
    payouts = commission_payouts(lines, reference)
    reps = sales_performance(lines, payouts, reference)
    return Results(lines, payouts, reps, company_performance(lines, payouts, reps))


def threshold_of(rep: str, product_line: str, year: int, reference: Reference) -> Decimal | None:
    """Return the threshold of a commission year, or None where tier 2 is never reached."""
    for row in reference.tier_thresholds:
        if (
            match_key(row.sales_rep_name) == match_key(rep)
            and match_key(row.product_line) == match_key(product_line)
            and row.year == year
        ):
            return row.commission_tier_threshold
    return None


def commission_payouts(lines: Sequence[SaleLine], reference: Reference) -> list[Payout]:
    """Return a payout for each rep, product line and commission month that has a line."""
    years: dict[tuple[str, str, int], list[SaleLine]] = {}
    for line in lines:
        if line.rep_name is not None:
            key = (line.rep_name, line.product_line, line.commission_month.year)
            years.setdefault(key, []).append(line)
    found = []
    with localcontext() as context:
        context.prec = ENOUGH_DIGITS
        for (rep, product_line, year), of_year in sorted(years.items()):
            threshold = threshold_of(rep, product_line, year, reference)
            found += _payouts_of_year(rep, product_line, threshold, of_year)
    return found


def _payouts_of_year(
    rep: str, product_line: str, threshold: Decimal | None, lines: Sequence[SaleLine]
) -> list[Payout]:
    """Take the months of one year in order, from nothing sold and nothing deferred."""
    found = []
    cumulative = paid = waiting = ZERO
    reached_in: date | None = None
    for month in sorted({line.commission_month for line in lines}):
        of_month = [line for line in lines if line.commission_month == month]
        sales = sum((line.sales_actual for line in of_month), ZERO)
        tier_1 = sum((line.commission_tier_1 for line in of_month), ZERO)
        difference = sum((line.commission_tier_2_diff for line in of_month), ZERO)
        cumulative += sales
        if reached_in is None and threshold is not None and cumulative >= threshold:
            reached_in = month
        if reached_in is None:
            deferred, released = difference, ZERO
            waiting += difference
        else:
            # Once reached, reached: what the months before held back is paid, and nothing waits any more.
            deferred, released = ZERO, waiting
            waiting = ZERO
        payout = tier_1 + (difference - deferred) + released
        paid += payout
        found.append(
            Payout(
                rep_name=rep,
                product_line=product_line,
                commission_month=month,
                sales_actual=sales,
                cumulative_sales=cumulative,
                threshold=threshold,
                tier=1 if reached_in is None else 2,
                tier_2_month=reached_in,
                commission_tier_1=cents(tier_1),
                commission_tier_2_diff=cents(difference),
                deferred=cents(deferred),
                released=cents(released),
                deferred_balance=cents(waiting),
                releasable_balance=cents(ZERO if threshold is None else waiting),
                no_threshold_balance=cents(waiting if threshold is None else ZERO),
                payout=cents(payout),
                payout_ytd=cents(paid),
            )
        )
    return found


@dataclass
class _Sums:
    sales: Decimal = ZERO
    rev: Decimal = ZERO
    payout: Decimal = ZERO
    uncredited: Decimal = ZERO
    uncredited_revenue: Decimal = ZERO
    objectives: list[Decimal] = field(default_factory=list)

    @property
    def objective(self) -> Decimal | None:
        return sum(self.objectives, ZERO) if self.objectives else None

    @property
    def attainment(self) -> Decimal | None:
        return self.sales / self.objective if self.objective else None


def sales_performance(
    lines: Sequence[SaleLine], payouts: Sequence[Payout], reference: Reference
) -> list[RepMonth]:
    """Return a row for each rep, product line and calendar month with sales, an objective or a payout.

    Sales are by revenue month, payouts by commission month. Objectives of a name that sales_reps does
    not know belong to nobody.
    """
    sums: dict[tuple[str, str, date], _Sums] = {}
    with localcontext() as context:
        context.prec = ENOUGH_DIGITS
        for line in lines:
            if line.rep_name is not None:
                own = sums.setdefault((line.rep_name, line.product_line, line.revenue_month), _Sums())
                own.sales += line.sales_actual
                own.rev += line.rev_actual
        for row in payouts:
            key = (row.rep_name, row.product_line, row.commission_month)
            sums.setdefault(key, _Sums()).payout += row.payout
        for key, objective in _objectives(reference):
            sums.setdefault(key, _Sums()).objectives.append(objective)
        return [
            RepMonth(rep, product_line, month, own.sales, own.rev, own.objective, own.attainment, own.payout)
            for (rep, product_line, month), own in sorted(sums.items(), key=lambda item: item[0])
        ]


def _objectives(reference: Reference) -> Iterable[tuple[tuple[str, str, date], Decimal]]:
    reps, product_lines = rep_spellings(reference), product_line_spellings(reference)
    for row in reference.business_objectives:
        rep = reps.get(match_key(row.sales_rep_name))
        for number, objective in enumerate(row.months, start=1):
            if rep is not None and objective is not None:
                month = date(row.year, number, 1)
                yield (rep, product_lines[match_key(row.product_line)], month), objective


def company_performance(
    lines: Sequence[SaleLine], payouts: Sequence[Payout], reps: Sequence[RepMonth]
) -> list[CompanyMonth]:
    """Return a row for each product line and calendar month: all lines, whoever is credited or not."""
    sums: dict[tuple[str, date], _Sums] = {}
    with localcontext() as context:
        context.prec = ENOUGH_DIGITS
        for line in lines:
            own = sums.setdefault((line.product_line, line.revenue_month), _Sums())
            own.sales += line.sales_actual
            own.rev += line.rev_actual
            if line.credit_status != "credited":
                own.uncredited += line.sales_actual
                own.uncredited_revenue += line.rev_actual
        for payout in payouts:
            sums.setdefault((payout.product_line, payout.commission_month), _Sums()).payout += payout.payout
        for row in reps:
            if row.objective is not None:
                sums.setdefault((row.product_line, row.month), _Sums()).objectives.append(row.objective)
        return [
            CompanyMonth(
                product_line=product_line,
                month=month,
                sales_actual=own.sales,
                rev_actual=own.rev,
                objective=own.objective,
                attainment=own.attainment,
                payout=own.payout,
                shs_margin=own.rev - own.payout,
                uncredited_sales=own.uncredited,
                uncredited_revenue=own.uncredited_revenue,
            )
            for (product_line, month), own in sorted(sums.items(), key=lambda item: item[0])
        ]
