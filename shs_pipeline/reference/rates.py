"""Both rates of a row, read alike: two percentages or two factors, never one of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from shs_pipeline.casting.amounts import percent_from_text
from shs_pipeline.casting.cells import CastError, Cell, is_blank, show
from shs_pipeline.casting.sheet_values import SheetNumber
from shs_pipeline.files.reading import ROW, SHEET, Problem

Writing = Literal["percentage", "factor", "unclear", ""]
"""How a rate is written: empty where it is the same either way, or is no rate, which the contract tells."""


def mixed_rates(lines: pd.DataFrame, headers: Sequence[str]) -> list[Problem]:
    """Return an error for each row whose rates can mean two things.

    `1` alone may be 100 % or 1 %. Next to `40` or `40%`, `0.3` may be 30 % or 0.3 %. A cell that is
    formatted as a percentage is one for Excel, whatever stands next to it, and holds the factor.

    Args:
        lines: (n, k) cells as delivered, with `SHEET` and `ROW`.
        headers: the columns of the rates, in the order in which they stand; a missing one is blank.
    """
    present = [header for header in headers if header in lines]
    problems = []
    for sheet, row, *cells in zip(lines[SHEET], lines[ROW], *(lines[name] for name in present), strict=True):
        writings = [_writing_of(cell) for cell in cells]
        told = _unclear(present, cells, writings) or _contradiction(present, cells, writings)
        if told is not None:
            place, problem, remedy = told
            problems.append(Problem(problem, remedy, sheet, int(row), present[place], show(cells[place])))
    return problems


def as_percentage(cell: Cell) -> Cell:
    """Return the percentage that Excel shows for a number in a cell with such a format: 0.2 is `20%`."""
    if not isinstance(cell, SheetNumber) or not cell.is_percent:
        return cell
    return f"{exact_percentage(cell)}%"


def exact_percentage(number: float) -> str:
    """Return a factor times 100 without binary noise, such as `32.5` for 0.325."""
    from shs_pipeline.casting.cells import exact

    return format((exact(number) * 100).normalize(), "f")


def _writing_of(cell: Cell) -> Writing:
    if is_blank(cell) or isinstance(cell, bool):
        return ""
    if isinstance(cell, str):
        return _writing_of_text(cell)
    if not isinstance(cell, (int, float)) or (isinstance(cell, SheetNumber) and cell.is_percent):
        return ""
    return _writing_of_number(abs(cell))


def _writing_of_text(text: str) -> Writing:
    try:
        found = percent_from_text(text)
    except CastError:
        return ""
    if found is None:
        return ""
    number, has_sign = found
    if number == 0:
        return ""
    return "percentage" if has_sign else _writing_of_number(abs(float(number)))


def _writing_of_number(number: float) -> Writing:
    if number == 0:
        return ""
    if number == 1:
        return "unclear"
    return "percentage" if number > 1 else "factor"


def _unclear(
    headers: Sequence[str], cells: Sequence[Cell], writings: Sequence[Writing]
) -> tuple[int, str, str] | None:
    if "unclear" not in writings:
        return None
    place = writings.index("unclear")
    shown = show(cells[place])
    return (
        place,
        f"{headers[place]} is {shown}, which can mean 100 % or 1 %.",
        "Type it with the percent sign: 100% if the rep gets all of it, 1% if it is one percent.",
    )


def _contradiction(
    headers: Sequence[str], cells: Sequence[Cell], writings: Sequence[Writing]
) -> tuple[int, str, str] | None:
    if not {"percentage", "factor"} <= set(writings):
        return None
    place, other = writings.index("factor"), writings.index("percentage")
    factor, percentage = show(cells[place]), show(cells[other])
    number = exact_percentage(abs(float(factor.replace(",", "."))))
    problem = (
        f"{headers[place]} is {factor} and {headers[other]} is {percentage}: next to a percentage, {factor} "
        f"can mean {number} % or {factor} %."
    )
    return place, problem, f"Type both rates with the percent sign, this one as {number}% or {factor}%."
