"""A file and its month: no line may be dated after the commission month in which it is paid."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from shs_pipeline.base.months import month_after, month_text
from shs_pipeline.files.reading import ROW, SHEET, Problem, SourceFile

if TYPE_CHECKING:
    import pandas as pd

OLDEST_MONTHS = 12
"""Lines that are dated further back than this get a warning."""
# A file of a month seldom holds no line of the last months before it.
_USUAL_LAG = 2

_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WORD = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_BETWEEN = r"[\s._,\-]*"
_NUMBER, _YEAR = r"(0[1-9]|1[0-2])", r"(20[2-9][0-9])"
# `Oct 2026`, `October_2026`, `Oct '26`; `2026 Oct`; `2026-10`, `10.2026`, `202610`. A whole day is none.
_WORD_YEAR = re.compile(rf"(?<![a-z]){_WORD}{_BETWEEN}(?:{_YEAR}|'([2-9][0-9]))(?![0-9])", re.IGNORECASE)
_YEAR_WORD = re.compile(rf"(?<![0-9]){_YEAR}{_BETWEEN}{_WORD}(?![a-z])(?!{_BETWEEN}[0-9])", re.IGNORECASE)
_YEAR_NUMBER = re.compile(rf"(?<![0-9])(?<![0-9][._\-]){_YEAR}[\s._\-]?{_NUMBER}(?![0-9]|[\s._\-][0-9])")
_NUMBER_YEAR = re.compile(rf"(?<![0-9])(?<![0-9][\s._\-]){_NUMBER}[\s._\-]{_YEAR}(?![0-9]|[._\-][0-9])")


def month_problems(source: str, file: SourceFile, lines: pd.DataFrame, column: str) -> list[Problem]:
    """Return what does not fit the commission month in whose folder a file lies, if that is known.

    Args:
        source: name of the source, for the folders that are named.
        lines: with `revenue_date`, blank where its cell is wrong.
        column: header of the column that dates the lines.
    """
    if file.commission_month is None:
        return []
    if file.revenue_month is not None and set(lines["revenue_date"]) <= {file.revenue_month}:
        # Dated by the drop (`rev=`): one thing is wrong, not one in each line.
        return [*_of_named_month(source, file, file.commission_month), *_of_name(source, file)]
    counted = Counter(lines["revenue_date"].tolist())
    days = {day: count for day, count in counted.items() if isinstance(day, date)}
    early = [] if file.is_early_ok else list(_early(source, file, lines, column, days))
    first = month_after(file.commission_month, -OLDEST_MONTHS)
    is_old = min(days, default=first) < first
    old = _old(file.commission_month, first, lines, column) if is_old else ()
    return [*early, *old, *_of_name(source, file)]


def _early(
    source: str, file: SourceFile, lines: pd.DataFrame, column: str, days: Mapping[date, int]
) -> Iterator[Problem]:
    """Yield every line that is dated after the commission month; `days` says how many lines each day has."""
    paid = file.commission_month
    assert paid is not None
    after = month_after(paid)
    late = [day for day in days if day >= after]
    if not late:
        return
    belongs = _probable_month(file, late)
    is_most = sum(days[day] for day in late) * 2 >= sum(days.values())
    meant = f"If this is intended, drop the file into incoming/{source}/{month_text(paid)}/early=ok/."
    for sheet, row, day in _placed(lines):
        if day >= after:
            month = belongs if is_most else day.replace(day=1)
            whose = "the file" if is_most else "the line"
            yield Problem(
                problem=f"{day.isoformat()} is after {month_text(paid)}, the commission month of the file's "
                f"folder; {whose} probably belongs in {month_text(month)}.",
                remedy=f"Move the file to incoming/{source}/{month_text(month)}/. {meant}"
                if is_most
                else f"Correct the date, or move the line to the file of {month_text(month)}. {meant}",
                sheet=sheet,
                row=row,
                column=column,
                value=day.isoformat(),
            )


def _old(paid: date, first: date, lines: pd.DataFrame, column: str) -> Iterator[Problem]:
    """Yield a warning for every line that is dated before the first month that is not long ago."""
    for sheet, row, day in _placed(lines):
        if day < first:
            yield Problem(
                problem=f"{day.isoformat()} is more than {OLDEST_MONTHS} months before {month_text(paid)}, "
                "the commission month of the file's folder.",
                remedy="Check that the file is in the right month's folder and that the date is correct.",
                sheet=sheet,
                row=row,
                column=column,
                value=day.isoformat(),
                severity="warning",
            )


def _placed(lines: pd.DataFrame) -> Iterator[tuple[str, int, date]]:
    for sheet, row, day in zip(lines[SHEET], lines[ROW], lines["revenue_date"], strict=True):
        if isinstance(day, datetime):
            day = day.date()
        if isinstance(day, date):
            yield sheet, int(row), day


def _of_named_month(source: str, file: SourceFile, paid: date) -> Iterator[Problem]:
    """Yield what is wrong with the revenue month that the drop names for all lines."""
    named = file.revenue_month
    assert named is not None
    said = f"{file.name} is in the folder rev={month_text(named)} of the commission month {month_text(paid)}"
    if named > paid and not file.is_early_ok:
        yield Problem(
            problem=f"{said}, which is before it: the file probably belongs in {month_text(named)}.",
            remedy=f"Move it to incoming/{source}/{month_text(named)}/rev={month_text(named)}/, or name the "
            "correct revenue month. If this is intended, drop it into "
            f"incoming/{source}/{month_text(paid)}/early=ok/rev={month_text(named)}/.",
        )
    elif named < month_after(paid, -OLDEST_MONTHS):
        yield Problem(
            problem=f"{said}, more than {OLDEST_MONTHS} months later.",
            remedy="Check both months.",
            severity="warning",
        )


def _of_name(source: str, file: SourceFile) -> Iterator[Problem]:
    """Yield a warning where the file's own name says another month than its folders."""
    named = months_named(file.name)
    paid = file.commission_month
    assert paid is not None
    if not named or file.is_early_ok or named & {paid, file.revenue_month}:
        return
    months = ", ".join(map(month_text, sorted(named)))
    yield Problem(
        problem=f"{file.name} names {months}, but is in the folder of {month_text(paid)}.",
        remedy=f"If it belongs there, move it to incoming/{source}/{month_text(max(named))}/.",
        severity="warning",
    )


def _probable_month(file: SourceFile, late: Sequence[date]) -> date:
    """Return the month in which a file probably belongs: by its name, the year mistaken, or its last line."""
    last = max(late).replace(day=1)
    latest = month_after(last, _USUAL_LAG)
    named = [month for month in months_named(file.name) if last <= month <= latest]
    if named:
        return min(named)
    assert file.commission_month is not None
    other_years = [file.commission_month.replace(year=year) for year in (last.year, last.year + 1)]
    return next((month for month in other_years if last <= month <= latest), last)


def months_named(name: str) -> set[date]:
    """Return the months with their years that a file's name says; a whole day in it is no month."""
    stem = PurePosixPath(name).stem
    found = set()
    for word, year, short in _WORD_YEAR.findall(stem):
        found.add(_month(year or f"20{short}", _NAMES.index(word[:3].lower()) + 1))
    for year, word in _YEAR_WORD.findall(stem):
        found.add(_month(year, _NAMES.index(word[:3].lower()) + 1))
    for year, number in _YEAR_NUMBER.findall(stem):
        found.add(_month(year, int(number)))
    for number, year in _NUMBER_YEAR.findall(stem):
        found.add(_month(year, int(number)))
    return found


def _month(year: str, number: int) -> date:
    return date(int(year), number, 1)
