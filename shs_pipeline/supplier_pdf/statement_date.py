"""The statement date: it is printed above the column heading, in one of many spellings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from shs_pipeline.files.reading import Problem
from shs_pipeline.supplier_pdf.coordinates import SEND_PIVOT
from shs_pipeline.supplier_pdf.printed import STATEMENT_DATE, PrintedLine, PrintedPage

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_NAME = r"(?P<name>jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]*\.?"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"(?<!\d)(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?!\d)",
        r"(?<![\d/.-])(?P<month>\d{1,2})(?P<mark>[-/.])(?P<day>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})(?![\d/])",
        rf"\b{_NAME} +(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? +(?P<year>\d{{4}})\b",
        rf"(?<!\d)(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[- /]{_NAME}[- /,]+(?P<year>\d{{4}}|\d{{2}})\b",
        rf"\b{_NAME}[- ,/']+(?P<year>\d{{4}})\b",
        r"(?<![\d/])(?P<month>0?[1-9]|1[0-2])/(?P<year>20\d{2})(?![\d/])",
    )
)
_PRINTED = re.compile(r"\b(print\w*|run|generated|created|report date|as at|exported)\b", re.IGNORECASE)
_STATED = re.compile(r"\b(statement|period|month|ending|ended|thru|through|to|as of|for)\b", re.IGNORECASE)
_REMEDY = f"Check whether the first page is missing. {SEND_PIVOT}"


@dataclass(frozen=True)
class _Found:
    """A date in a title.

    Attributes:
        rank: how sure it is the statement's: 0 of printing, 1 bare, 2 said so, 3 begins line three.
    """

    day: date | None  # None: no such day
    is_month_only: bool
    rank: int
    line: PrintedLine


def statement_month(
    pages: Sequence[PrintedPage], first_lines: Mapping[int, int]
) -> tuple[date | None, list[Problem]]:
    """First of the month of the statement, and the pages whose date is missing, wrong or another.

    Args:
        pages: all pages.
        first_lines: number of each page with a heading, and the index of the heading's first line.
    """
    problems: list[Problem] = []
    first: _Found | None = None
    for page in pages:
        if page.number not in first_lines:
            continue
        title = page.lines[: first_lines[page.number]]
        found, problem = _date_of(page, title)
        if found is None:
            # Some print the title on the first page only.
            if problem and (first is None or title):
                problems.append(problem)
        elif first is None:
            first = found
        elif _differ(first, found):
            problems.append(
                _problem(
                    page, f"The statement date differs from the earlier one, {first.line.text!r}.", found.line
                )
            )
    month = first.day.replace(day=1) if first and first.day else None
    if month is not None:
        problems = [item for item in problems if "no statement date" not in item.problem]
    return month, problems


def _differ(one: _Found, other: _Found) -> bool:
    if one.day is None or other.day is None:
        return True
    if one.is_month_only or other.is_month_only:
        return (one.day.year, one.day.month) != (other.day.year, other.day.month)
    return one.day != other.day


def _date_of(page: PrintedPage, title: Sequence[PrintedLine]) -> tuple[_Found | None, Problem | None]:
    found = [item for index, line in enumerate(title) for item in _dates(line, index)]
    if not found:
        line = title[2] if len(title) > 2 else None
        return None, _problem(page, "There is no statement date above the column heading.", line)
    best = max(item.rank for item in found)
    likely = [item for item in found if item.rank == best]
    wrong = next((item for item in likely if item.day is None), None)
    if wrong is not None:
        return None, _problem(
            page, "The statement date is not a valid date in American spelling (month first).", wrong.line
        )
    months = {(item.day.year, item.day.month) for item in likely if item.day}
    if len(months) > 1:
        shown = ", ".join(f"{item.day:%m/%d/%Y}" for item in likely if item.day)
        return None, _problem(page, f"Which of these is the statement date? {shown}.", likely[-1].line)
    return likely[-1], None


def _dates(line: PrintedLine, index: int) -> Iterator[_Found]:
    """The dates of a line, each with what the words before it say."""
    matches = sorted(_matches(line.text), key=lambda match: match.start())
    end = 0
    for match in matches:
        before, end = line.text[end : match.start()], match.end()
        rank = 1
        if index == 2 and match.start() == 0:
            rank = 3
        elif _PRINTED.search(before):
            rank = 0
        elif _STATED.search(before) or (
            end and before.strip(" ,") in {"-", "\u2013", "to", "thru", "through"}
        ):
            rank = 2
        yield _Found(_day(match), match.groupdict().get("day") is None, rank, line)


def _matches(text: str) -> list[re.Match[str]]:
    """Dates in a text that do not overlap; the fuller forms first."""
    taken: list[re.Match[str]] = []
    for form in _FORMS:
        for match in form.finditer(text):
            if not any(match.start() < other.end() and other.start() < match.end() for other in taken):
                taken.append(match)
    return taken


def _day(match: re.Match[str]) -> date | None:
    parts = match.groupdict()
    name = parts.get("name")
    month = _MONTHS.index(name[:3].casefold()) + 1 if name else int(parts["month"])
    year = int(parts["year"])
    try:
        return date(year if year > 99 else 2000 + year, month, int(parts.get("day") or 1))
    except ValueError:
        return None


def _problem(page: PrintedPage, problem: str, line: PrintedLine | None) -> Problem:
    return Problem(
        problem,
        _REMEDY,
        page.sheet,
        line.number if line else None,
        STATEMENT_DATE,
        line.text if line else None,
    )
