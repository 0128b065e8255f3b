"""Months: internally a `date` on the first of the month; `YYYY-MM` for people and folders."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

FIRST_MONTH = date(2020, 1, 1)
"""The first commission month that the system knows."""
MONTHS_AHEAD = 2
"""How far beyond the current month a commission month may lie."""

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


def parse_month(text: str) -> date | None:
    """Return the first day of a month written `YYYY-MM`, or None for anything else."""
    match = _MONTH.fullmatch(text)
    return date(int(match.group(1)), int(match.group(2)), 1) if match and match.group(1) > "0000" else None


def month_text(month: date) -> str:
    """Return a month as `YYYY-MM`."""
    return f"{month:%Y-%m}"


def month_after(month: date, count: int = 1) -> date:
    """Return the first of the month `count` months later; earlier when negative."""
    ordinal = month.year * 12 + month.month - 1 + count
    return date(ordinal // 12, ordinal % 12 + 1, 1)


def today() -> date:
    """Return the day it is in UTC."""
    return datetime.now(UTC).date()


def last_month(now: date | None = None) -> date:
    """Return the last commission month that a file may be dropped for."""
    return month_after((now or today()).replace(day=1), MONTHS_AHEAD)


def months_between(first: date, last: date) -> list[date]:
    """Return every month from first to last, both included."""
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    return [month_after(first, step) for step in range(count)]
