"""The cells of a sheet as its XML holds them, whoever wrote it and however.

Only cells that hold something take memory, so a stray one in the last row and column costs nothing.
What a person sees and cannot be read as a value (an Excel error, a formula that was never computed)
is an `ExcelError` at its cell, never an empty one. A text that shows nothing is no cell: every later step
may take a blank for `None`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

import numpy as np

from shs_pipeline.casting.cells import is_blank
from shs_pipeline.files.reading import SourceFile
from shs_pipeline.files.workbook.archive import damaged, local
from shs_pipeline.files.workbook.book import Book, parser_of
from shs_pipeline.files.workbook.places import (
    DIGITS,
    LAST_COLUMN,
    LAST_ROW,
    Range,
    beyond_the_sheet,
    column_of,
    corners_of,
)
from shs_pipeline.files.workbook.values import Values

Row = dict[int, Any]
"""What the cells of a row hold, by 0-based column."""
# Expat knows few encodings by itself, and says LookupError or ValueError for some others.
_NO_XML = (expat.ExpatError, LookupError, ValueError, OverflowError)
_OF_CELLS = frozenset(("sheetData", "row", "c", "f", "v", "is", "t", "rPh", "col", "mergeCell"))


@dataclass
class SheetCells:
    """What a sheet holds.

    Attributes:
        rows: by 1-based number, those with a cell that holds something; in the order of the sheet.
        merged: ranges of merged cells.
        hidden_rows: numbers of the rows that a person does not see, by hand or by a filter.
        hidden_columns: first and last 0-based column of each hidden stretch.
    """

    rows: dict[int, Row] = field(default_factory=dict)
    merged: list[Range] = field(default_factory=list)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)

    def first_rows(self, count: int) -> list[list[Any]]:
        """Return the cells of the first rows of the sheet, None for empty."""
        rows = [self.rows.get(number, {}) for number in range(1, count + 1)]
        width = max((max(row, default=-1) for row in rows), default=-1) + 1
        return [[row.get(column) for column in range(width)] for row in rows]

    def cell(self, row: int, column: int) -> Any:
        """Return what a cell holds, None for empty."""
        return self.rows.get(row, {}).get(column)

    def numbers_below(self, row: int) -> Sequence[int]:
        """Return the numbers of the rows below one that hold something."""
        return [number for number in self.rows if number > row]

    def columns_of(self, numbers: Sequence[int], columns: Sequence[int]) -> list[list[Any]]:
        """Return for each column the cells of some rows."""
        rows = [self.rows.get(number, {}) for number in numbers]
        return [[row.get(column) for row in rows] for column in columns]

    def take_below(self, row: int, columns: Sequence[int]) -> tuple[list[int], list[np.ndarray]]:
        """Return numbers and columns of the rows below one that are not blank in all of these columns."""
        numbers = [
            number
            for number, cells in self.rows.items()
            if number > row and any(not is_blank(cells.get(column)) for column in columns)
        ]
        found = self.columns_of(numbers, columns)
        return numbers, [np.fromiter(cells, dtype=object, count=len(cells)) for cells in found]


def read_cells(book: Book, xml: bytes) -> SheetCells:
    """Read a sheet.

    Raises:
        UnreadableFileError: damaged; a cell beyond the last row or column of Excel is named.
    """
    reader = _Reader(book)
    parser = parser_of(book.archive.file)
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(xml, True)
    except _NO_XML:
        raise damaged(book.archive.file) from None
    found = reader.sheet
    if any(number < before for number, before in _neighbours(found.rows)):
        found.rows = dict(sorted(found.rows.items()))
    return found


def merged_area(file: SourceFile) -> int:
    """Return how many cells the merged and the linked ranges of all sheets have together.

    Raises:
        UnreadableFileError: damaged.
    """
    book = Book(file)
    area = 0

    def start(name: str, found: dict[str, str]) -> None:
        nonlocal area
        if local(name) in {"mergeCell", "hyperlink"}:
            top, left, bottom, right = corners_of(file, found.get("ref", "A1"))
            area += (bottom - top + 1) * (right - left + 1)

    for entry in book.sheets:
        parser = parser_of(file)
        parser.StartElementHandler = start
        try:
            parser.Parse(book.archive.read(entry.part), True)
        except _NO_XML:
            raise damaged(file) from None
    return area


def _neighbours(rows: dict[int, Row]) -> Iterator[tuple[int, int]]:
    before = 0
    for number in rows:
        yield number, before
        before = number


class _Reader:
    """Takes the events of the parser, one element after another."""

    def __init__(self, book: Book) -> None:
        self.sheet = SheetCells()
        self._file = book.archive.file
        self._names: dict[str, str] = {}
        self._value_of = Values(book)
        self._columns: dict[str, int] = {}
        self._is_data = self._is_phonetic = self._is_text = False
        self._row = 0
        self._row_text = ""
        self._column = -1
        self._cells: Row = {}
        self._cell: dict[str, str] | None = None
        self._texts: list[str] = []
        self._has_formula = self._has_value = self._is_inline = False

    def start(self, name: str, found: dict[str, str]) -> None:
        """Take the start of an element."""
        what = self._names.get(name)
        if what is None:
            what = local(name)
            self._names[name] = what = what if what in _OF_CELLS else ""
        if self._cell is not None:
            self._start_in_cell(what)
        elif what == "c" and self._is_data:
            self._cell = found
            self._texts = []
            self._has_formula = self._has_value = self._is_inline = False
        elif what:
            self._start_around(what, found)

    def _start_in_cell(self, what: str) -> None:
        if what == "v":
            self._has_value = self._is_text = True
        elif what == "f":
            self._has_formula = True
        elif what == "is":
            self._is_inline = True
        elif what == "rPh":
            self._is_phonetic = True
        elif what == "t":
            self._is_text = self._is_inline and not self._is_phonetic

    def _start_around(self, what: str, found: dict[str, str]) -> None:
        if what == "row" and self._is_data:
            self._start_row(found)
        elif what == "sheetData":
            self._is_data = True
        elif what == "mergeCell":
            self.sheet.merged.append(corners_of(self._file, found.get("ref", "")))
        elif what == "col" and (_is_true(found.get("hidden")) or is_nothing(found.get("width"))):
            self.sheet.hidden_columns.append((int(found["min"]) - 1, int(found["max"]) - 1))

    def _start_row(self, found: dict[str, str]) -> None:
        number = found.get("r")
        self._row = int(number) if number else self._row + 1
        if not 0 < self._row <= LAST_ROW:
            raise beyond_the_sheet(self._file, f"row {self._row}")
        self._row_text = str(self._row)
        self._column = -1
        self._cells = self.sheet.rows.get(self._row, {})
        if _is_true(found.get("hidden")) or is_nothing(found.get("ht")):
            self.sheet.hidden_rows.add(self._row)

    def text(self, data: str) -> None:
        """Take a piece of text."""
        if self._is_text:
            self._texts.append(data)

    def end(self, name: str) -> None:
        """Take the end of an element."""
        what = self._names[name]
        if what in {"v", "t"}:
            self._is_text = False
        elif what == "c":
            if self._cell is not None:
                self._end_cell(self._cell)
                self._cell = None
        elif what == "rPh":
            self._is_phonetic = False
        elif what == "sheetData":
            self._is_data = False

    def _end_cell(self, found: dict[str, str]) -> None:
        place = found.get("r")
        if place:
            letters = place.rstrip(DIGITS)
            column = self._columns.get(letters)
            if column is None:
                column = self._columns[letters] = column_of(self._file, letters, place)
            row = place[len(letters) :]
            if row != self._row_text:
                self._move_to(place, row)
            self._column = column
        else:
            self._column += 1
            if self._column >= LAST_COLUMN:
                raise beyond_the_sheet(self._file, f"column {self._column + 1} of row {self._row}")
        if not (self._has_value or self._has_formula or self._is_inline):
            return
        raw = self._texts[0] if len(self._texts) == 1 else "".join(self._texts)
        value = self._value_of(found, raw, has_formula=self._has_formula, has_value=self._has_value)
        if value is not None and not (isinstance(value, str) and is_blank(value)):
            if not self._cells:
                self.sheet.rows[self._row] = self._cells
            self._cells[self._column] = value

    def _move_to(self, place: str, row: str) -> None:
        if not row or not 0 < int(row) <= LAST_ROW:
            raise beyond_the_sheet(self._file, place)
        self._row, self._row_text = int(row), row
        self._cells = self.sheet.rows.get(self._row, {})


def _is_true(text: str | None) -> bool:
    return text is not None and text.lower() in {"1", "true", "on"}


def is_nothing(size: str | None) -> bool:
    """Whether a height or width is 0, by which a row or column is hidden too."""
    try:
        return size is not None and float(size) == 0
    except ValueError:
        return False
