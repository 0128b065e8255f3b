"""What a column holds: its cells are cast as each kind, and the heading decides where several fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from shs_pipeline.casting.cells import CastError, show
from shs_pipeline.casting.columns import cast_cells
from shs_pipeline.casting.days import day_of
from shs_pipeline.casting.kinds import Kind
from shs_pipeline.file_reader.layout.words import kinds_said

LEAST_FITTING = 0.9
"""Share of the cells that must be readable as a kind: the rest are mistakes, and are shown as such."""
_NUMBERS: tuple[Kind, ...] = ("amount", "quantity", "rate")


def kind_of(header: str, cells: Sequence[Any]) -> tuple[Kind, int, str]:
    """Return the kind of a column, how many of its cells fit, and what speaks for it.

    Args:
        header: the column's heading.
        cells: (n,) those that are not blank.
    """
    if not cells:
        return "text", 0, "no cell is filled"
    for kind, because in _possible(header, cells):
        fitting = _fitting(cells, kind)
        if fitting >= LEAST_FITTING * len(cells):
            return kind, fitting, because
    return "text", _fitting(cells, "text"), "its cells are words"


def _possible(header: str, cells: Sequence[Any]) -> Iterator[tuple[Kind, str]]:
    """Yield what a column may hold, the likeliest first."""
    is_day = [_is_plainly_day(cell) for cell in cells]
    if sum(is_day) >= LEAST_FITTING * len(cells):
        yield "day", "its cells are dates"
        return
    are_numbers = _fitting(cells, "amount") >= LEAST_FITTING * len(cells)
    has_zeros = any(text[:1] == "0" and text[1:].isdecimal() for text in map(show, cells))
    for kind in kinds_said(header):
        is_number = kind in _NUMBERS
        if kind == "rate" or (is_number and are_numbers and not has_zeros) or not is_number:
            yield kind, "its heading says so"
    if any("%" in cell for cell in cells if isinstance(cell, str)):
        yield "rate", "cells with a percent sign"
    if are_numbers and not has_zeros:
        yield _of_numbers(cells)
    if sum(_is_code(cell) for cell in cells) >= LEAST_FITTING * len(cells):
        yield "identifier", "codes without blanks"


def _of_numbers(cells: Sequence[Any]) -> tuple[Kind, str]:
    """Return what numbers are of which the heading says nothing."""
    numbers = [abs(number) for number in cast_cells(list(cells), "amount")[0] if number is not None]
    whole = sum(number == number.to_integral_value() for number in numbers)
    if any("$" in cell for cell in cells if isinstance(cell, str)):
        return "amount", "cells with a dollar sign"
    if all(number < 1 for number in numbers) and whole < len(numbers):
        return "rate", "numbers below 1"
    if whole < LEAST_FITTING * len(numbers):
        return "amount", "numbers with cents"
    if len(set(numbers)) > LEAST_FITTING * len(numbers) and min(numbers) >= 1000:
        return "identifier", "whole numbers that differ in every line"
    return "quantity", "whole numbers"


def _is_plainly_day(cell: Any) -> bool:
    """Whether a cell is a date without a heading that says so; a bare number never is."""
    if isinstance(cell, date):
        return True
    if not isinstance(cell, str) or cell.strip().isdecimal():
        return False
    try:
        return day_of(cell) is not None
    except CastError:
        return False


def _is_code(cell: Any) -> bool:
    text = show(cell).strip()
    return " " not in text and any(mark.isdigit() for mark in text)


def _fitting(cells: Sequence[Any], kind: Kind) -> int:
    return len(cells) - len(cast_cells(list(cells), kind)[1])
