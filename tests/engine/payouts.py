"""From harmonised lines to payouts and to sales against objective."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext
from typing import Any

from tests.engine.crediting import Book, credit
from tests.engine.model import (
    ENOUGH_DIGITS,
    ZERO,
    CompanyMonth,
    OpeningBalance,
    Payout,
    RawLine,
    Reference,
    RepMonth,
    SaleLine,
    cents,
)
from tests.engine.sales import Repeat, repeated_lines


@dataclass(frozen=True)
class Results:
    """Everything that follows from lines and reference data."""

    lines: list[SaleLine]
    payouts: list[Payout]
    reps: list[RepMonth]
    company: list[CompanyMonth]
    repeats: list[Repeat]


def compute(raw: Iterable[RawLine], reference: Reference) -> Results:
    """Apply all the rules."""
    raw = list(raw)
    lines, book = credit(raw, reference), Book(reference)
    payouts = commission_payouts(lines, book)
    reps = sales_performance(lines, payouts, book)
    at_tier_2 = _months_at_tier_2(payouts)
    repeats = repeated_lines(raw, lines, [_paid_on(line, at_tier_2) for line in lines])
    return Results(lines, payouts, reps, company_performance(lines, payouts, reps), repeats)


def threshold_of(rep: str, product_line: str, year: int, book: Book) -> Decimal | None:
    """Return the threshold of a commission year, or None where tier 2 is never reached."""
    person = book.called(rep)
    found = [
        (book.order(person, row.sales_rep_name, row.product_line), row.commission_tier_threshold)
        for row in book.reference.tier_thresholds
        if row.year == year and book.is_about(row, person, book.product_lines.key(product_line))
    ]
    return min(found)[1] if found else None


@dataclass(frozen=True)
class Opening:
    """Where a year stood at the end of a month of it, as opening_balances says."""

    month: date
    sales: Decimal
    held_back: Decimal


def opening_of(rep: str, product_line: str, year: int, book: Book) -> Opening | None:
    """Return the latest opening of a commission year, or None where its lines say all."""
    person = book.called(rep)
    found: dict[date, tuple[Any, OpeningBalance]] = {}
    for row in book.reference.opening_balances:
        month = row.commission_month
        if month.year == year and book.is_about(row, person, book.product_lines.key(product_line)):
            said = (book.order(person, row.sales_rep_name, row.product_line), row)
            found[month] = min(found.get(month, said), said, key=lambda one: one[0])
    # The row of a former name says nothing beside that of today's, even if it alone has the figures.
    for month, (_, row) in sorted(found.items(), reverse=True):
        if row.cumulative_sales is not None:
            return Opening(month, row.cumulative_sales, row.held_back or ZERO)
    return None


def commission_payouts(lines: Sequence[SaleLine], book: Book) -> list[Payout]:
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
            threshold = threshold_of(rep, product_line, year, book)
            opening = opening_of(rep, product_line, year, book)
            before = [line for line in of_year if opening and line.commission_month <= opening.month]
            after = [line for line in of_year if line not in before]
            own = _payouts_counted(rep, product_line, threshold, before, None, ZERO)
            paid = sum((row.payout for row in own), ZERO)
            found += own + _payouts_counted(rep, product_line, threshold, after, opening, paid)
    return found


def _payouts_counted(
    rep: str,
    product_line: str,
    threshold: Decimal | None,
    lines: Sequence[SaleLine],
    opening: Opening | None,
    paid: Decimal,
) -> list[Payout]:
    """Take months of one year in order, from the opening or from nothing sold and nothing deferred."""
    found = []
    cumulative, waiting = (opening.sales, opening.held_back) if opening else (ZERO, ZERO)
    is_reached_before = opening is not None and threshold is not None and opening.sales >= threshold
    reached_in: date | None = None
    for month in sorted({line.commission_month for line in lines}):
        of_month = [line for line in lines if line.commission_month == month]
        sales = sum((line.sales_actual for line in of_month), ZERO)
        tier_1 = sum((line.commission_tier_1 for line in of_month), ZERO)
        difference = sum((line.commission_tier_2_diff for line in of_month), ZERO)
        cumulative += sales
        is_reached = threshold is not None and cumulative >= threshold
        if reached_in is None and (is_reached or is_reached_before):
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
                opening_month=opening.month if opening else None,
                opening_sales=opening.sales if opening else None,
                opening_held_back=opening.held_back if opening else None,
            )
        )
    return found


@dataclass
class _Sums:
    sales: Decimal = ZERO
    rev: Decimal = ZERO
    payout: Decimal = ZERO
    commission: Decimal = ZERO
    uncredited: Decimal = ZERO
    uncredited_revenue: Decimal = ZERO
    objectives: list[Decimal] = field(default_factory=list)

    @property
    def objective(self) -> Decimal | None:
        return sum(self.objectives, ZERO) if self.objectives else None

    @property
    def attainment(self) -> Decimal | None:
        return self.sales / self.objective if self.objective else None


def sales_performance(lines: Sequence[SaleLine], payouts: Sequence[Payout], book: Book) -> list[RepMonth]:
    """Return a row for each rep, product line and calendar month with sales, an objective or a payout.

    Sales are by revenue month, payouts by commission month. Objectives of a name that sales_reps does
    not know belong to nobody.
    """
    sums: dict[tuple[str, str, date], _Sums] = {}
    at_tier_2 = _months_at_tier_2(payouts)
    with localcontext() as context:
        context.prec = ENOUGH_DIGITS
        for line in lines:
            if line.rep_name is not None:
                own = sums.setdefault((line.rep_name, line.product_line, line.revenue_month), _Sums())
                own.sales += line.sales_actual
                own.rev += line.rev_actual
                own.commission += _paid_on(line, at_tier_2)
        for row in payouts:
            key = (row.rep_name, row.product_line, row.commission_month)
            sums.setdefault(key, _Sums()).payout += row.payout
        for key, objective in _objectives(book):
            sums.setdefault(key, _Sums()).objectives.append(objective)
        return [
            RepMonth(
                rep,
                product_line,
                month,
                own.sales,
                own.rev,
                own.objective,
                own.attainment,
                own.payout,
                own.commission,
            )
            for (rep, product_line, month), own in sorted(sums.items(), key=lambda item: item[0])
        ]


def _months_at_tier_2(payouts: Sequence[Payout]) -> set[tuple[str, str, date]]:
    """Return the months whose differences are paid: those counted together with one at tier 2."""
    counted = {(row.rep_name, row.product_line, row.commission_month): _counted_with(row) for row in payouts}
    at_tier_2 = {_counted_with(row) for row in payouts if row.tier == 2}
    return {key for key, own in counted.items() if own in at_tier_2}


def _counted_with(row: Payout) -> tuple[str, str, int, date | None]:
    return row.rep_name, row.product_line, row.commission_month.year, row.opening_month


def _paid_on(line: SaleLine, at_tier_2: set[tuple[str, str, date]]) -> Decimal:
    """Return what a line is paid in the end: the difference once its year has reached the threshold."""
    is_at_tier_2 = (line.rep_name, line.product_line, line.commission_month) in at_tier_2
    return line.commission_tier_1 + (line.commission_tier_2_diff if is_at_tier_2 else ZERO)


def _objectives(book: Book) -> Iterable[tuple[tuple[str, str, date], Decimal]]:
    found: dict[tuple[str, str, date], tuple[Any, Decimal]] = {}
    for row in book.reference.business_objectives:
        listed = book.who.listed(row.sales_rep_name)
        for number, objective in enumerate(row.months, start=1):
            month = date(row.year, number, 1)
            is_in = (row.valid_from or month) <= month < (row.valid_until or date.max)
            if listed is None or objective is None or not is_in:
                continue
            key = (listed[1].sales_rep_name, book.product_lines.shown(row.product_line), month)
            said = (book.order(listed[0], row.sales_rep_name, row.product_line), objective)
            found[key] = min(found.get(key, said), said)
    return [(key, objective) for key, (_, objective) in found.items()]


def company_performance(
    lines: Sequence[SaleLine], payouts: Sequence[Payout], reps: Sequence[RepMonth]
) -> list[CompanyMonth]:
    """Return a row for each product line and calendar month: all lines, whoever is credited or not.

    The margin is what these lines leave to the company; what a year at tier 1 holds back is not paid.
    """
    sums: dict[tuple[str, date], _Sums] = {}
    at_tier_2 = _months_at_tier_2(payouts)
    with localcontext() as context:
        context.prec = ENOUGH_DIGITS
        for line in lines:
            own = sums.setdefault((line.product_line, line.revenue_month), _Sums())
            own.sales += line.sales_actual
            own.rev += line.rev_actual
            own.commission += _paid_on(line, at_tier_2)
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
                commission=own.commission,
                shs_margin=own.rev - own.commission,
                uncredited_sales=own.uncredited,
                uncredited_revenue=own.uncredited_revenue,
            )
            for (product_line, month), own in sorted(sums.items(), key=lambda item: item[0])
        ]
