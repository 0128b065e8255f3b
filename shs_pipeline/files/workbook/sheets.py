"""Which sheet of a workbook is the table, and which others hold sales too.

An extra sheet is no error: notes, a summary, a list to look up. A sheet holds sales if it has more
than two thirds of the table's columns with something below them, or if it has no such header and a row
that is filled as the table's rows are, in the same columns: the table goes on there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any

from shs_pipeline.base.errors import UnreadableFileError
from shs_pipeline.casting.cells import is_blank
from shs_pipeline.files.reading import Problem, SourceFile
from shs_pipeline.files.workbook.book import SheetEntry
from shs_pipeline.files.workbook.cells import SheetCells
from shs_pipeline.files.workbook.header import HEADER_WITHIN, Header, HeaderNames, is_printed_again
from shs_pipeline.files.workbook.plain import PlainCells

SAMPLE = 5_000
"""Rows of a sheet that are looked at to see what it holds."""

_FEWEST_ALIKE, _FEWEST_FIGURES = 3, 2


@dataclass
class Sheet:
    """A worksheet with the row that is most like the header."""

    entry: SheetEntry
    cells: SheetCells | PlainCells
    header: Header

    def rows_below(self, row: int, columns: Sequence[int]) -> Iterable[Sequence[Any]]:
        """Return the first rows below one, as their cells in some columns."""
        numbers = self.cells.numbers_below(row)[:SAMPLE]
        return zip(*self.cells.columns_of(numbers, columns), strict=True) if columns else ()

    @property
    def has_lines(self) -> bool:
        """Whether a row below the header holds two of its columns, and is not the header again."""
        positions = list(self.header.where.values())
        return any(
            sum(not is_blank(cell) for cell in row) >= min(2, len(positions))
            and not is_printed_again(row, self.header, positions)
            for row in self.rows_below(self.header.row, positions)
        )


def choose_table(file: SourceFile, sheets: Sequence[Sheet], names: HeaderNames) -> Sheet:
    """Return the visible sheet with most of the header, of several the first that holds lines.

    Raises:
        UnreadableFileError: no visible sheet has it.
    """
    visible = [sheet for sheet in sheets if sheet.entry.is_visible]
    wanted = len(names.columns)
    top = max((_found(sheet, names) for sheet in visible), default=0)
    if top < min(2, wanted) or top * 2 < wanted:
        hidden = [sheet.entry.name for sheet in sheets if not sheet.entry.is_visible]
        raise UnreadableFileError(
            f"{file.name}: no row within the first {HEADER_WITHIN} of a visible sheet holds the column "
            f"names {', '.join(names.columns)}"
            + (f" (hidden sheets: {', '.join(hidden)})." if hidden else "."),
            "Check that this is the file of this source, and that the sheet with the data is not hidden.",
        )
    best = [sheet for sheet in visible if _found(sheet, names) == top]
    return next((sheet for sheet in best if len(best) > 1 and sheet.has_lines), best[0])


def warn_of_others(
    file: SourceFile, table: Sheet, sheets: Sequence[Sheet], names: HeaderNames
) -> list[Problem]:
    """Return a warning for each hidden sheet that holds sales too.

    Raises:
        UnreadableFileError: a visible one does.
    """
    others = [sheet for sheet in sheets if sheet is not table]
    shapes = _shapes_of_lines(table) if others else set()
    found = [sheet for sheet in others if _holds_sales(sheet, table, names, shapes)]
    visible = [sheet.entry.name for sheet in found if sheet.entry.is_visible]
    if visible:
        listed = " and ".join(repr(sheet.entry.name) for sheet in sheets if sheet is table or sheet in found)
        raise UnreadableFileError(
            f"{file.name}: the sheets {listed} all contain lines of this report, but only one sheet is read.",
            "Put all lines into one sheet below one header, or drop each sheet as a separate file.",
        )
    return [
        Problem(
            problem=f"The hidden sheet {sheet.entry.name!r} also contains lines of this report; it was not "
            "read.",
            remedy="If they count, unhide the sheet (right-click a tab > Unhide) and put its lines below "
            "those of the other sheet, or drop it as a separate file.",
            sheet=sheet.entry.name,
            severity="warning",
        )
        for sheet in found
    ]


def _found(sheet: Sheet, names: HeaderNames) -> int:
    return len(set(sheet.header.where) & set(names.columns))


def _holds_sales(sheet: Sheet, table: Sheet, names: HeaderNames, shapes: set[str]) -> bool:
    if _found(sheet, names) * 3 > len(names.columns) * 2:
        return sheet.has_lines
    seen = {_shape(row) for row in sheet.rows_below(0, list(table.header.where.values()))}
    return any(_are_alike(shape, of_line) for shape in seen for of_line in shapes)


def _shapes_of_lines(table: Sheet) -> set[str]:
    """Return how the table's rows are filled, but for totals and headers printed again."""
    positions = list(table.header.where.values())
    return {
        _shape(row)
        for row in table.rows_below(table.header.row, positions)
        if not any(isinstance(cell, str) and "total" in cell.casefold() for cell in row)
    }


def _shape(row: Sequence[Any]) -> str:
    """Return for each cell whether it is blank, a word, or a figure (number, date, text without letters)."""
    return "".join(
        " "
        if is_blank(cell)
        else "1"
        if isinstance(cell, (float, int, date, time, timedelta))
        or (isinstance(cell, str) and not any(mark.isalpha() for mark in cell))
        else "a"
        for cell in row
    )


def _are_alike(shape: str, of_line: str) -> bool:
    """Whether a row is filled like a line; a fifth of the cells that either has may be filled otherwise."""
    pairs = [pair for pair in zip(shape, of_line, strict=True) if pair != (" ", " ")]
    alike = [one for one, other in pairs if one == other]
    is_enough = len(alike) >= _FEWEST_ALIKE and alike.count("1") >= _FEWEST_FIGURES
    return is_enough and (len(pairs) - len(alike)) * 5 <= len(pairs)
