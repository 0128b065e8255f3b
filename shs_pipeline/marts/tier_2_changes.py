"""Why a payout holds back or releases a different amount than before: when its year reached the threshold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from shs_pipeline.base.months import month_text
from shs_pipeline.marts.explain import exact
from shs_pipeline.marts.payout_states import ZERO, Key, PayoutRow, Year

Opening = tuple[date, Decimal, Decimal]
"""The last month that opening_balances speaks for, and what was sold and held back by its end (USD)."""


class Years:
    """What the years of one state say: threshold, month that reached it, sales to date."""

    def __init__(self, rows: Iterable[PayoutRow]) -> None:
        self._rows: dict[Year, list[PayoutRow]] = {}
        for row in sorted(rows, key=lambda row: row.commission_month):
            self._rows.setdefault(year_of(row.key), []).append(row)

    def __contains__(self, year: Year) -> bool:
        return year in self._rows

    def threshold(self, key: Key) -> Decimal | None:
        """Return the threshold of a payout's year (USD), None where none is set."""
        return next((row.threshold for row in self._rows.get(year_of(key), ())), None)

    def opening(self, key: Key) -> Opening | None:
        """Return where the year stood from which a month is counted on, None where it is from nothing."""
        found = [
            (row.opening_month, row.opening_sales or ZERO, row.opening_held_back or ZERO)
            for row in self._rows.get(year_of(key), ())
            if row.opening_month is not None and row.opening_month < key[2]
        ]
        return found[-1] if found else None

    def reached_in(self, key: Key) -> date | None:
        """Return the month in which the year of a payout reached its threshold, if it did."""
        return next((row.tier_2_month for row in self._counted_with(key) if row.tier_2_month), None)

    def sales_to(self, key: Key, month: date) -> Decimal:
        """Return the sales of a payout's year up to and with a month (USD)."""
        opening = self.opening(key)
        sums = [row.cumulative_sales for row in self._counted_with(key) if row.commission_month <= month]
        return sums[-1] if sums else opening[1] if opening else ZERO

    def _counted_with(self, key: Key) -> list[PayoutRow]:
        """Return the months of the year that are counted together with a payout's."""
        opening = self.opening(key)
        month = opening[0] if opening else None
        return [row for row in self._rows.get(year_of(key), ()) if row.opening_month == month]


def year_of(key: Key) -> Year:
    """Return the commission year of a payout."""
    return key[0], key[1], key[2].year


def is_held_in_both(key: Key, years: tuple[Years, Years]) -> bool:
    """Whether a month holds its differences back in both states, or is not there in one."""
    return not any(_standing(state.reached_in(key), key[2])[0] for state in years)


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
    month = key[2]
    was, now = before.reached_in(key), after.reached_in(key)
    if _standing(was, month) != _standing(now, month):
        return _crossing(key, was, now, years)
    if released:
        changed = "the differences of earlier months, which this month pays, changed"
        return " and ".join([changed, *_opening_reason(key, years)])
    if (after if year_of(key) in after else before).threshold(key) is None:
        return f"no threshold is set for {month.year}, so differences are never paid"
    return "the threshold is not reached in this month, so its differences are held back"


def _standing(reached_in: date | None, month: date) -> tuple[bool, bool]:
    """Whether a month pays tier 2, and whether it is the month that releases."""
    return reached_in is not None and month >= reached_in, month == reached_in


def _crossing(key: Key, was: date | None, now: date | None, years: tuple[Years, Years]) -> str:
    before, after = years
    then, today = before.threshold(key), after.threshold(key)
    if now is None and today is None and then is not None and year_of(key) in after:
        return f"{key[2].year} no longer has a threshold; that of {exact(then)} was reached in {_month(was)}"
    if was is None:
        said = f"the threshold is now reached in {_month(now)}, and was not reached before"
    elif now is None:
        said = f"the threshold is no longer reached; it was reached in {_month(was)}"
    else:
        when = "earlier" if now < was else "later"
        said = f"the threshold is reached {when}, in {_month(now)} instead of {_month(was)}"
    reasons = [
        *_threshold_reason(key, years),
        *_opening_reason(key, years),
        *_sales_reason(key, was, now, years),
    ]
    return f"{said}, because {' and '.join(reasons)}" if reasons else said


def _threshold_reason(key: Key, years: tuple[Years, Years]) -> list[str]:
    before, after = years
    then, today = before.threshold(key), after.threshold(key)
    if then == today or any(year_of(key) not in state for state in years):
        return []
    if then is None and today is not None:
        return [f"a threshold of {exact(today)} was set"]
    if today is None:
        return ["there is no longer a threshold"]
    return [f"it was changed from {exact(then or ZERO)} to {exact(today)}"]


def _opening_reason(key: Key, years: tuple[Years, Years]) -> list[str]:
    before, after = (state.opening(key) for state in years)
    if before == after or any(year_of(key) not in state for state in years):
        return []
    if after is None:
        return ["opening_balances no longer says where the year stood"]
    instead = f" instead of {_opening_words(before)}" if before else ""
    return [f"opening_balances says {_opening_words(after)}{instead}"]


def _opening_words(opening: Opening) -> str:
    month, sales, held_back = opening
    return f"{exact(sales)} sold and {exact(held_back)} held back up to {month_text(month)}"


def _sales_reason(key: Key, was: date | None, now: date | None, years: tuple[Years, Years]) -> list[str]:
    before, after = years
    month = min(found for found in (was, now) if found is not None)
    sold, sells = before.sales_to(key, month), after.sales_to(key, month)
    if sold == sells:
        return []
    return [f"the sales to {_month(month)} went from {exact(sold)} to {exact(sells)}"]


def _month(month: date | None) -> str:
    return month_text(month) if month is not None else "no month"
