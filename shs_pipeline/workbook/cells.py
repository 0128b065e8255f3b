"""The cells of a sheet as its XML holds them, whoever wrote it and however.

Only cells that hold something take memory, so a stray one in the last row and column costs nothing.
What a person sees and cannot be read as a value (an Excel error, a formula that was never computed)
is an `ExcelError` at its cell, never an empty one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from xml.parsers import expat

import numpy as np

from shs_pipeline.casting import ExcelError, UncomputedError, is_blank
from shs_pipeline.errors import UnreadableFileError
from shs_pipeline.reading import SourceFile
from shs_pipeline.sheet_values import SheetNumber
from shs_pipeline.workbook.archive import damaged, local
from shs_pipeline.workbook.book import Book, parser_of, unescaped
from shs_pipeline.workbook.number_format import (
    is_date,
    is_elapsed,
    other_currency,
    shown,
    shows_digits,
)

LAST_ROW, LAST_COLUMN = 1_048_576, 16_384
"""Rows and columns of a sheet of Excel."""

Row = dict[int, Any]
"""What the cells of a row hold, by 0-based column."""
Range = tuple[int, int, int, int]
"""First row, first column, last row, last column: rows from 1, columns from 0."""

_DIGITS = "0123456789"
_EPOCH, _EPOCH_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001
_LAST_DAY = 2_958_466
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


def corners_of(file: SourceFile, text: str) -> Range:
    """Return the range that a text such as `B5:C6` names.

    Raises:
        UnreadableFileError: there is no such place on a sheet.
    """
    corners = []
    for place in text.replace("$", "").split(":"):
        letters = place.rstrip(_DIGITS)
        row = place[len(letters) :]
        if not row or not 0 < int(row) <= LAST_ROW:
            raise _beyond(file, place)
        corners.append((int(row), column_of(file, letters, place)))
    rows, columns = [row for row, _ in corners], [column for _, column in corners]
    return min(rows), min(columns), max(rows), max(columns)


def column_of(file: SourceFile, letters: str, place: str) -> int:
    """Return the 0-based column of letters such as `AA`.

    Raises:
        UnreadableFileError: there is no such column on a sheet; names the place that has it.
    """
    number = 0
    for letter in letters if letters.isascii() and letters.isalpha() and len(letters) <= 3 else "ZZZZ":
        number = number * 26 + ord(letter.upper()) - 64
    if not 0 < number <= LAST_COLUMN:
        raise _beyond(file, place)
    return number - 1


def _beyond(file: SourceFile, place: str) -> UnreadableFileError:
    return UnreadableFileError(
        f"{file.name} has a cell at {place[:40]}, which is no place on a sheet of Excel: "
        f"these end at XFD{LAST_ROW}.",
        "Open it in Excel, save it as .xlsx and drop it again; or export the report again.",
    )


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
            raise _beyond(self._file, f"row {self._row}")
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
            letters = place.rstrip(_DIGITS)
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
                raise _beyond(self._file, f"column {self._column + 1} of row {self._row}")
        if not (self._has_value or self._has_formula or self._is_inline):
            return
        raw = self._texts[0] if len(self._texts) == 1 else "".join(self._texts)
        value = self._value_of(found, raw, has_formula=self._has_formula, has_value=self._has_value)
        if value is not None and value != "":
            if not self._cells:
                self.sheet.rows[self._row] = self._cells
            self._cells[self._column] = value

    def _move_to(self, place: str, row: str) -> None:
        if not row or not 0 < int(row) <= LAST_ROW:
            raise _beyond(self._file, place)
        self._row, self._row_text = int(row), row
        self._cells = self.sheet.rows.get(self._row, {})


class Values:
    """Makes a cell's value from its text: a number, a text, a date, a boolean or an error.

    A number with a format that shows it otherwise than by its digits, or in another currency than US
    dollars, is a `SheetNumber`.

    Attributes:
        shapers: for each cell style, what makes such a value of a number; None where it stays a float.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._epoch = _EPOCH_1904 if book.is_from_1904 else _EPOCH
        self._zero_is_no_result = book.is_computed_on_open
        self.shapers = [self._shaper(code) for code in book.formats]
        self._makers: dict[str, Callable[[str], Any]] = {
            "s": self._shared,
            "e": _error,
            "b": _flag,
            "d": _day,
        }

    def __call__(self, cell: dict[str, str], raw: str, *, has_formula: bool, has_value: bool) -> Any:
        """Return the value of a cell with these attributes and this text."""
        kind = cell.get("t", "n")
        if has_formula and self._is_no_result(kind, raw, has_value=has_value):
            return UncomputedError()
        if kind == "n":
            return self._number(cell, raw) if raw else None
        make = self._makers.get(kind, unescaped)
        return make(raw if make == unescaped else raw.strip())

    def _is_no_result(self, kind: str, raw: str, *, has_value: bool) -> bool:
        if kind == "str":
            return not has_value  # A formula may well give an empty text, which is then stored.
        text = raw.strip()
        if kind == "n" and text in {"0", "0.0"} and self._zero_is_no_result:
            return True
        return not text and kind != "e"

    def _shared(self, raw: str) -> str | None:
        if not raw:
            return None
        number = int(raw)
        if not 0 <= number < len(self._book.texts):
            raise damaged(self._book.archive.file)
        return self._book.texts[number]

    def _number(self, cell: dict[str, str], text: str) -> Any:
        try:
            number = float(text) if "_" not in text else math.nan
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            return ExcelError(text.strip()) if text.strip() else None
        style = cell.get("s")
        if style is None:
            return number
        place = int(style)
        shape = self.shapers[place] if 0 <= place < len(self.shapers) else None
        return number if shape is None else shape(number)

    def _shaper(self, code: str) -> Callable[[float], Any] | None:
        if is_date(code):
            return self._duration if is_elapsed(code) else self._moment
        currency = other_currency(code)
        if not shows_digits(code) and not currency:
            return None

        def as_shown(number: float) -> float:
            text = shown(number, code)
            return SheetNumber(number, text, currency=currency) if text or currency else number

        return as_shown

    def _moment(self, number: float) -> float | date | datetime | time:
        if not 0 <= number < _LAST_DAY:
            return number
        # Excel has the day 1900-02-29, which never was: days before it count one more.
        moment = self._epoch + timedelta(
            days=int(number) + (self._epoch is _EPOCH and 1 <= number < 60),
            seconds=round(number % 1 * 86_400),
        )
        if number < 1:
            return moment.time()
        return moment.date() if moment.time() == time() else moment

    def _duration(self, number: float) -> float | timedelta:
        return timedelta(seconds=round(number * 86_400)) if abs(number) < _LAST_DAY else number


def _error(text: str) -> ExcelError:
    return ExcelError(text or "of a formula")


def _flag(text: str) -> bool | ExcelError | None:
    known = {"1": True, "true": True, "0": False, "false": False}
    return known.get(text.lower(), ExcelError(text)) if text else None


def _day(text: str) -> date | datetime | str | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text or None
    return moment.date() if moment.time() == time() else moment


def _is_true(text: str | None) -> bool:
    return text is not None and text.lower() in {"1", "true", "on"}


def is_nothing(size: str | None) -> bool:
    """Whether a height or width is 0, by which a row or column is hidden too."""
    try:
        return size is not None and float(size) == 0
    except ValueError:
        return False


def address(row: int, column: int) -> str:
    """Return the name of a cell, such as `B5`; rows from 1, columns from 0."""
    return f"{letters_of(column)}{row}"


def letters_of(column: int) -> str:
    """Return the letters of a 0-based column."""
    letters, rest = "", column + 1
    while rest:
        rest, letter = divmod(rest - 1, 26)
        letters = chr(65 + letter) + letters
    return letters
