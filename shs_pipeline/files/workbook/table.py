"""The table of a workbook: the rows below its header, as a person sees them in Excel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from shs_pipeline.base.errors import UnreadableFileError
from shs_pipeline.base.wording import count_of, form_for
from shs_pipeline.files.reading import ROW, SHEET, Problem, SourceFile
from shs_pipeline.files.workbook.archive import damaged
from shs_pipeline.files.workbook.book import Book, SheetEntry
from shs_pipeline.files.workbook.cells import SheetCells, read_cells
from shs_pipeline.files.workbook.header import HEADER_WITHIN, Header, HeaderNames, is_printed_again
from shs_pipeline.files.workbook.merged import spread_in_header, spread_in_lines
from shs_pipeline.files.workbook.places import letters_of
from shs_pipeline.files.workbook.plain import LARGE, PlainCells, read_plain
from shs_pipeline.files.workbook.sheets import Sheet, choose_table, warn_of_others

DAYS_TO_1904 = 1462
"""From the day 0 of most workbooks to that of those that count from 1904."""

HEADER_AGAIN = "header printed again"
"""Why a row is left out that repeats the header."""

_LISTED = 10


@dataclass
class Table:
    """The table of a workbook.

    Attributes:
        lines: cells of the rows below the header that are not wholly blank, as delivered with None
            for empty and `ExcelError`, columns named as asked for, with `SHEET` and `ROW` (1-based).
        problems: missing and doubled columns; warnings of what is hidden.
        missing: columns asked for that the header does not have; blank in `lines`.
        left_out: rows that are not in `lines` although they hold something, by reason.
    """

    sheet: str
    header_row: int
    lines: pd.DataFrame
    problems: list[Problem] = field(default_factory=list)
    missing: frozenset[str] = frozenset()
    left_out: dict[str, int] = field(default_factory=dict)


def read_table(
    file: SourceFile,
    columns: Sequence[str],
    *,
    optional: Sequence[str] = (),
    unnamed_first: str | None = None,
    is_read: Callable[[str], bool] = lambda _: True,
) -> Table:
    """Find the header by its names and read the rows below it.

    Args:
        file: an `.xlsx` workbook.
        columns: header names that must be there; compared by letters and digits (`header_key`).
        optional: header names that may be missing.
        unnamed_first: what to call the column before the first named one, which has no heading.
        is_read: whether a sheet of this name is looked at.

    Raises:
        UnreadableFileError: not a workbook, no header, or more than one visible sheet holds lines.
    """
    book = Book(file)
    names = HeaderNames(columns, optional)
    sheets = [_sheet(book, entry, names) for entry in book.sheets if is_read(entry.name)]
    table = choose_table(file, sheets, names)
    sheet, header = table.entry.name, table.header
    problems = [*names.problems(sheet, header), *warn_of_others(file, table, sheets, names)]
    where = _columns_to_read(file, header, unnamed_first)
    cells = table.cells
    del sheets, table  # A large sheet takes much memory, which is let go as its lines are made.
    lines, again = _lines_of(sheet, cells, header, where)
    problems += _warnings_of_hidden(sheet, cells, lines, where)
    missing = frozenset(columns) - frozenset(where)
    for column in missing:
        lines[column] = pd.Series([None] * len(lines), dtype=object)
    return Table(sheet, header.row, lines, problems, missing, {HEADER_AGAIN: again} if again else {})


def read_sheet(
    file: SourceFile, name: str
) -> tuple[SheetCells | PlainCells, tuple[list[list[Any]], list[list[Any]]]]:
    """Return the cells of one sheet, and its first rows as the header is looked for in them.

    Raises:
        UnreadableFileError: no such sheet, not a workbook, or damaged.
    """
    book = Book(file)
    entry = next((entry for entry in book.sheets if entry.name == name), None)
    if entry is None:
        raise damaged(file)
    cells = _cells(book, entry)
    return cells, spread_in_header(cells.first_rows(HEADER_WITHIN), cells.merged)


def first_rows(file: SourceFile) -> list[list[list[Any]]]:
    """Return of each visible sheet the rows in which a header is looked for.

    Raises:
        UnreadableFileError: not a workbook, or damaged.
    """
    book = Book(file)
    return [_cells(book, entry).first_rows(HEADER_WITHIN) for entry in book.sheets if entry.is_visible]


def has_sheet(file: SourceFile, name: str) -> bool:
    """Whether a workbook has a visible sheet of that name.

    Raises:
        UnreadableFileError: not a workbook, or damaged.
    """
    return any(entry.name == name and entry.is_visible for entry in Book(file).sheets)


def counts_days_from_1904(file: SourceFile) -> bool:
    """Whether day numbers count from 1904, as in workbooks of old Macs.

    The reader knows it of cells with a date format, but not of a day that is left as a plain number.
    """
    return Book(file).is_from_1904


def _sheet(book: Book, entry: SheetEntry, names: HeaderNames) -> Sheet:
    cells = _cells(book, entry)
    return Sheet(entry, cells, names.find(*spread_in_header(cells.first_rows(HEADER_WITHIN), cells.merged)))


def _cells(book: Book, entry: SheetEntry) -> SheetCells | PlainCells:
    if book.archive.size(entry.part) >= LARGE and (plain := read_plain(book, entry)) is not None:
        return plain
    return read_cells(book, book.archive.read(entry.part))


def _columns_to_read(file: SourceFile, header: Header, unnamed_first: str | None) -> dict[str, int]:
    """Return the 0-based position of each column that is read."""
    if unnamed_first is None:
        return header.where
    before = min(header.where.values()) - 1
    if before < 0:
        raise UnreadableFileError(
            f"{file.name}: the column without a heading before {header.cells[0]!r} is missing.",
            "Export the report again with all its columns.",
        )
    return {unnamed_first: before, **header.where}


def _lines_of(
    sheet: str, cells: SheetCells | PlainCells, header: Header, where: dict[str, int]
) -> tuple[pd.DataFrame, int]:
    """Return the lines below the header, and how often it is printed again among them."""
    merged = [
        (found, cells.cell(found[0], found[1]))
        for found in cells.merged
        if found[0] > header.row and found[:2] != found[2:]
    ]
    numbers, columns = cells.take_below(header.row, list(where.values()))
    table = dict(zip(where, columns, strict=True))
    lines = pd.DataFrame(table, index=pd.RangeIndex(len(numbers)), dtype=object, copy=False)
    lines.insert(0, SHEET, sheet)
    lines.insert(1, ROW, numbers)
    spread_in_lines(lines, merged, where)
    again = _headers_again(table, header, where)
    if again:
        lines = lines.drop(index=again).reset_index(drop=True)
    return lines, len(again)


def _headers_again(table: dict[str, np.ndarray], header: Header, where: dict[str, int]) -> list[int]:
    """Return the positions of the rows that are the header printed again."""
    positions = list(where.values())
    columns = list(table.values())
    if not columns:
        return []
    # Where the last column holds a number or text without letters no header stands, and mostly it does.
    candidates = [
        index
        for index, cell in enumerate(columns[-1].tolist())
        if cell is None or (isinstance(cell, str) and cell.lower() != cell.upper())
    ]
    return [
        index
        for index in candidates
        if is_printed_again([column[index] for column in columns], header, positions)
    ]


def _warnings_of_hidden(
    sheet: str, cells: SheetCells | PlainCells, lines: pd.DataFrame, where: dict[str, int]
) -> list[Problem]:
    """Return warnings of rows and columns that were read although a person does not see them."""
    rows = (
        [number for number in lines[ROW].tolist() if number in cells.hidden_rows] if cells.hidden_rows else []
    )
    columns = [
        f"{letters_of(position)} ({name})"
        for name, position in where.items()
        if any(first <= position <= last for first, last in cells.hidden_columns)
    ]
    return [
        Problem(
            problem=f"{_count(found, what)} read: {_listed(found)}.",
            remedy=f"Nothing to do if they belong to the report; otherwise delete the {what}s and drop the "
            "file again.",
            sheet=sheet,
            severity="warning",
        )
        for what, found in (("row", rows), ("column", columns))
        if found
    ]


def _count(found: Sequence[Any], what: str) -> str:
    return f"{count_of(len(found), f'hidden {what}')} {form_for(len(found), 'was', 'were')}"


def _listed(found: Sequence[Any]) -> str:
    shown = ", ".join(str(one) for one in found[:_LISTED])
    return f"{shown} …" if len(found) > _LISTED else shown
