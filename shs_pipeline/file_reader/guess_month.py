"""Guess a file's commission month from its name, its lines' dates and the files already there.

A guess counts only if the evidence points to one month. Money is paid by month, so anything less becomes a
list of months for a person to choose from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath

from shs_pipeline.base.months import FIRST_MONTH, last_month, month_after, month_text

_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip
_BY_WORD = {name[:length]: number for number, name in enumerate(_NAMES, 1) for length in (3, len(name))}
_BY_WORD["sept"] = 9
_WORD = "|".join(sorted(_BY_WORD, key=len, reverse=True))
_YEAR = r"(?P<year>20\d\d)"
_NUMBER = r"(?P<month>0?[1-9]|1[0-2])"
# A whole day is the date of a statement or an export, which says nothing of the month of payment.
_DAY = re.compile(
    r"(?<!\d)(?:20\d\d[-_. ]?(?:0[1-9]|1[0-2])[-_. ]?(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])[-_.](?:0?[1-9]|[12]\d|3[01])[-_.]20\d\d)(?!\d)"
)
_MONTHS = (
    re.compile(rf"(?<!\d){_YEAR}[-_. ]?{_NUMBER}(?!\d)"),
    re.compile(rf"(?<!\d){_NUMBER}[-_. ]{_YEAR}(?!\d)"),
    re.compile(rf"(?<![a-z])(?P<word>{_WORD})(?![a-z])[-_., ']*(?P<year>20\d\d|(?<=')\d\d)(?!\d)"),
    re.compile(rf"(?<!\d){_YEAR}[-_., ]*(?P<word>{_WORD})(?![a-z])"),
)
_BARE = re.compile(rf"(?<![a-z])(?P<word>{_WORD})(?![a-z])")

FEW = 0.25
"""Share of lines below which the last month of a file is only just beginning."""
MOST_LAG = 2
"""How many months after its last line a file is paid at most, for a guess."""


@dataclass(frozen=True)
class MonthGuess:
    """The commission month of a file, as far as the evidence goes.

    Attributes:
        month: first day of the month; None where several are possible.
        evidence: what speaks for it, one sentence each.
        candidates: the months that are possible, the likeliest first.
    """

    month: date | None
    evidence: Sequence[str]
    candidates: Sequence[date]


def guess_month(name: str, dates: Iterable[date | None], present: Collection[date]) -> MonthGuess:
    """Return the commission month of a file.

    Args:
        name: the file's own name.
        dates: the revenue date of each line; none where the file has none, or cannot be read.
        present: commission months of the source that have a file already.
    """
    counted = Counter(day.replace(day=1) for day in dates if day is not None)
    last = max(counted, default=None)
    evidence = [_dates_said(counted)] if counted else []
    named = months_named(name, last)
    if named:
        evidence.insert(0, f"its name says {' and '.join(map(month_text, named))}")
    if len(named) == 1 and (last is None or last <= named[0] <= month_after(last, MOST_LAG)):
        return _settled(named[0], evidence)
    if last is None:
        return MonthGuess(None, evidence, named)
    if named:
        # Name and lines disagree: neither is believed.
        return MonthGuess(None, evidence, _distinct([last, month_after(last), *named]))
    return _by_dates(last, counted, present, evidence)


def months_named(name: str, near: date | None = None) -> list[date]:
    """Return the months that the name of a file names: `2026-09`, `09-2026`, `Sep 2026`, `September`.

    Args:
        near: month of the last line, which gives a month without a year its year.
    """
    text = _DAY.sub(" ", PurePosixPath(name).stem.casefold())
    found: list[date] = []
    for pattern in _MONTHS:
        for match in pattern.finditer(text):
            groups = match.groupdict()
            number = _BY_WORD[groups["word"]] if groups.get("word") else int(groups["month"])
            found.append(date(int(groups["year"][-2:]) + 2000, number, 1))
        text = pattern.sub(" ", text)
    if not found and near is not None:
        numbers = {_BY_WORD[match["word"]] for match in _BARE.finditer(text)}
        nearby = [month_after(near, step) for step in range(MOST_LAG + 1)]
        found = [month for month in nearby if month.month in numbers]
    return [month for month in _distinct(found) if FIRST_MONTH <= month <= last_month()]


def guess_revenue_month(month: date, lags: Mapping[date, date]) -> date | None:
    """Return the revenue month of a file that carries none, where earlier files all have the same lag.

    Args:
        month: its commission month.
        lags: revenue month by commission month of the earlier drops.
    """
    steps = {(paid.year - earned.year) * 12 + paid.month - earned.month for paid, earned in lags.items()}
    return month_after(month, -steps.pop()) if len(steps) == 1 else None


def _by_dates(
    last: date, counted: Mapping[date, int], present: Collection[date], evidence: list[str]
) -> MonthGuess:
    """Decide between the month of the last line and the one after, where the name says nothing."""
    after = month_after(last)
    if counted[last] < FEW * sum(counted.values()):
        return _settled(last, [*evidence, f"its lines only just reach into {month_text(last)}"])
    if last in present and after not in present:
        return _settled(after, [*evidence, f"{month_text(last)} already has a file"])
    if after in present and last not in present:
        return _settled(last, [*evidence, f"only {month_text(last)} has no file yet"])
    return MonthGuess(None, evidence, [last, after])


def _settled(month: date, evidence: Sequence[str]) -> MonthGuess:
    if not FIRST_MONTH <= month <= last_month():
        return MonthGuess(None, evidence, [])
    return MonthGuess(month, evidence, [month])


def _dates_said(counted: Mapping[date, int]) -> str:
    first, last = min(counted), max(counted)
    if first == last:
        return f"its lines are dated {month_text(first)}"
    most = max(counted, key=lambda month: counted[month])
    return f"its lines are dated {month_text(first)} to {month_text(last)}, most of them {month_text(most)}"


def _distinct(months: Iterable[date]) -> list[date]:
    return list(dict.fromkeys(months))
