"""The statement date: the third line of every page's title block begins with it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date

from shs_pipeline.reading import Problem
from shs_pipeline.statement_pdf.columns import Columns
from shs_pipeline.statement_pdf.printed import STATEMENT_DATE, PrintedLine, PrintedPage

_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})(?!\d)")
_DATE_LINE = 2  # 0-based
_REMEDY = (
    "Ask the supplier for a statement whose pages all carry the same date, like 3/31/2025, in the third line."
)


def statement_month(
    pages: Sequence[PrintedPage], columns: Mapping[int, Columns]
) -> tuple[date | None, list[Problem]]:
    """First of the month of the statement, and the pages whose date is missing, wrong or another."""
    problems: list[Problem] = []
    first: date | None = None
    for page in pages:
        if page.number not in columns:
            continue
        title = page.lines[: columns[page.number].first_line]
        line = title[_DATE_LINE] if len(title) > _DATE_LINE else None
        day = _date_of(line.text) if line is not None else None
        if day is None:
            problems.append(_problem(page, "The third line does not begin with the statement date.", line))
        elif first is None:
            first = day
        elif day != first:
            problems.append(
                _problem(page, f"The statement date differs from the one before, {first:%m/%d/%Y}.", line)
            )
    return (first.replace(day=1) if first else None), problems


def _date_of(text: str) -> date | None:
    match = _DATE.match(text)
    if match is None:
        return None
    month, day, year = (int(part) for part in match.groups())
    try:
        return date(year if year > 99 else 2000 + year, month, day)
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
