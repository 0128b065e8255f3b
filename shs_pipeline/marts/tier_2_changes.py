"""Why a payout holds back or releases a different amount than before: when its year reached the threshold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from shs_pipeline.base.months import month_text
from shs_pipeline.marts.explain import exact
from shs_pipeline.marts.payout_states import ZERO, Key, PayoutRow, Year


class Years:
    """What the years of one state say: threshold, month that reached it, sales to date."""

    def __init__(self, rows: Iterable[PayoutRow]) -> None:
        self._rows: dict[Year, list[PayoutRow]] = {}
        for row in sorted(rows, key=lambda row: row.commission_month):
            self._rows.setdefault(year_of(row.key), []).append(row)

    def __contains__(self, year: Year) -> bool:
        return year in self._rows

    def threshold(self, year: Year) -> Decimal | None:
        """Return the threshold of a year (USD), None where none is set."""
        return next((row.threshold for row in self._rows.get(year, ())), None)

    def reached_in(self, year: Year) -> date | None:
        """Return the month in which a year reached its threshold, if it did."""
        return next((row.tier_2_month for row in self._rows.get(year, ()) if row.tier_2_month), None)

    def sales_to(self, year: Year, month: date) -> Decimal:
        """Return the sales of a year up to and with a month (USD)."""
        sums = [row.cumulative_sales for row in self._rows.get(year, ()) if row.commission_month <= month]
        return sums[-1] if sums else ZERO


def year_of(key: Key) -> Year:
    """Return the commission year of a payout."""
    return key[0], key[1], key[2].year


def is_held_in_both(key: Key, years: tuple[Years, Years]) -> bool:
    """Whether a month holds its differences back in both states, or is not there in one."""
    year, month = year_of(key), key[2]
    return not any(_standing(state.reached_in(year), month)[0] for state in years)


def tier_2_words(key: Key, held: Decimal, released: Decimal, years: tuple[Years, Years]) -> str:
    """Say what is held back and released differently, and why."""
    said = []
    if held:
        said.append(f"{exact(abs(held))} {'more' if held > 0 else 'less'} held back")
    if released:
        said.append(
            f"{exact(abs(released))} {'more' if released > 0 else 'less'} released from earlier months"
        )
    return f"{' and '.join(said)}: {_cause(key, released, years)}"


def _cause(key: Key, released: Decimal, years: tuple[Years, Years]) -> str:
    before, after = years
    year, month = year_of(key), key[2]
    was, now = before.reached_in(year), after.reached_in(year)
    if _standing(was, month) != _standing(now, month):
        return _crossing(year, was, now, years)
    if released:
        return "the differences of earlier months, which this month pays, changed"
    if (after if year in after else before).threshold(year) is None:
        return f"no threshold is set for {year[2]}, so differences are never paid"
    return "the threshold is not reached in this month, so its differences are held back"


def _standing(reached_in: date | None, month: date) -> tuple[bool, bool]:
    """Whether a month pays tier 2, and whether it is the month that releases."""
    return reached_in is not None and month >= reached_in, month == reached_in


def _crossing(year: Year, was: date | None, now: date | None, years: tuple[Years, Years]) -> str:
    before, after = years
    then, today = before.threshold(year), after.threshold(year)
    if now is None and today is None and then is not None and year in after:
        return f"{year[2]} no longer has a threshold; that of {exact(then)} was reached in {_month(was)}"
    if was is None:
        said = f"the threshold is now reached in {_month(now)}, and was not reached before"
    elif now is None:
        said = f"the threshold is no longer reached; it was reached in {_month(was)}"
    else:
        when = "earlier" if now < was else "later"
        said = f"the threshold is reached {when}, in {_month(now)} instead of {_month(was)}"
    reasons = [*_threshold_reason(year, years), *_sales_reason(year, was, now, years)]
    return f"{said}, because {' and '.join(reasons)}" if reasons else said


def _threshold_reason(year: Year, years: tuple[Years, Years]) -> list[str]:
    before, after = years
    then, today = before.threshold(year), after.threshold(year)
    if then == today or year not in before or year not in after:
        return []
    if then is None and today is not None:
        return [f"a threshold of {exact(today)} was set"]
    if today is None:
        return ["there is no longer a threshold"]
    return [f"it was changed from {exact(then or ZERO)} to {exact(today)}"]


def _sales_reason(year: Year, was: date | None, now: date | None, years: tuple[Years, Years]) -> list[str]:
    before, after = years
    month = min(found for found in (was, now) if found is not None)
    sold, sells = before.sales_to(year, month), after.sales_to(year, month)
    if sold == sells:
        return []
    return [f"the sales to {_month(month)} went from {exact(sold)} to {exact(sells)}"]


def _month(month: date | None) -> str:
    return month_text(month) if month is not None else "no month"
