"""Large sheets of plain XML, which calamine reads in half the time that our own reader takes.

Calamine does not tell an error or a formula without a result from an empty cell, and makes room for
every cell between the first and the last. So it reads only what is proven to hold neither: each row of
the XML, without the digits in it, is one of a few shapes, and each shape is looked at by the parser.
Whatever the proof does not cover is no error: our own reader takes that sheet.
"""

from __future__ import annotations

import gc
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from operator import itemgetter
from typing import Any
from xml.parsers import expat

import numpy as np
from python_calamine import CalamineSheet, CalamineWorkbook

from shs_pipeline.workbook.book import Book, SheetEntry
from shs_pipeline.workbook.cells import LAST_COLUMN, LAST_ROW, Range, read_cells
from shs_pipeline.workbook.number_format import other_currency, shows_digits

LARGE = 2_000_000
"""Bytes of a sheet's XML from which on the proof is worth its time."""
MOST_SHAPES = 5_000
"""Shapes of rows that are looked at; where there are more, looking costs more than it saves."""
MOST_PLACES_PER_CELL = 8
"""Places between the first and the last cell, for each cell that is there."""
SMALL = 1_000_000
"""Places that are no matter, however few cells are there."""

_BEGIN, _END, _ROW, _ROW_END = b"<sheetData>", b"</sheetData>", b'<row r="', b"</row>"
_NO_HEIGHT = b' ht="0'
_NUMERIC = b"0123456789.-"
_KINDS = bytes.maketrans(b"123456789BCDEFGHIJKLMNOPQRSTUVWXYZ", b"0" * 9 + b"A" * 25)
"""Each digit as 0, each capital letter as A."""
_NONE_FOR_EMPTY: Callable[[Any, Any], Any] = {"": None}.get
_DECLARATIONS = (b"<?xml ", b"\xef\xbb\xbf<?xml ")


@dataclass
class PlainCells:
    """What a plain sheet holds; the counterpart of `SheetCells`.

    Attributes:
        rows: all rows from the first on, each as wide as the sheet, empty text for empty.
    """

    rows: list[list[Any]]
    merged: list[Range] = field(default_factory=list)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)

    def first_rows(self, count: int) -> list[list[Any]]:
        """Return the cells of the first rows of the sheet, None for empty."""
        return [[None if cell == "" else cell for cell in row] for row in self.rows[:count]]

    def cell(self, row: int, column: int) -> Any:
        """Return what a cell holds, None for empty."""
        cell = self.rows[row - 1][column] if row <= len(self.rows) and column < len(self.rows[0]) else None
        return None if cell == "" else cell

    def numbers_below(self, row: int) -> Sequence[int]:
        """Return the numbers of the rows below one."""
        return range(row + 1, len(self.rows) + 1)

    def columns_of(self, numbers: Sequence[int], columns: Sequence[int]) -> list[list[Any]]:
        """Return for each column the cells of some rows."""
        return [[self.cell(number, column) for number in numbers] for column in columns]

    def take_below(self, row: int, columns: Sequence[int]) -> tuple[list[int], list[np.ndarray]]:
        """Return numbers and columns of the rows below one that are not blank in all of these columns.

        The rows are let go, since a large sheet takes much memory.
        """
        rows = self.rows[row:]
        self.rows = self.rows[:row]
        numbers: list[int] = list(range(row + 1, row + 1 + len(rows)))
        blank: Sequence[int] = range(len(rows))
        # The amounts stand last and are hardly ever blank, so few rows are left to look at after them.
        for column in reversed(columns):
            blank = [index for index in blank if _is_blank(rows[index][column])]
        if blank:
            is_kept = [True] * len(rows)
            for index in blank:
                is_kept[index] = False
            rows, numbers = list(compress(rows, is_kept)), list(compress(numbers, is_kept))
        by_column = []
        for column in columns:
            cells = list(map(itemgetter(column), rows))
            filled = map(_NONE_FOR_EMPTY, cells, cells)
            by_column.append(np.fromiter(filled, dtype=object, count=len(cells)))
        return numbers, by_column


def read_plain(book: Book, entry: SheetEntry) -> PlainCells | None:
    """Read a sheet by calamine, if it is proven to be plain; None if our own reader has to."""
    if book.part != "xl/workbook.xml":
        return None
    if any(shows_digits(code) or other_currency(code) for code in book.formats):
        return None  # Calamine does not tell how a cell is shown.
    xml = book.archive.read(entry.part)
    end = _end_of_plain_rows(xml, len(book.formats))
    if end is None:
        return None
    around = read_cells(book, _without_rows(xml))
    del xml  # calamine unpacks it for itself
    rows = _read_by_calamine(book, entry, end)
    return None if rows is None else PlainCells(rows, around.merged, set(), around.hidden_columns)


def _read_by_calamine(book: Book, entry: SheetEntry, end: tuple[int, int]) -> list[list[Any]] | None:
    if [found.name for found in book.sheets].count(entry.name) != 1:
        return None
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(book.archive.file.content))
        sheet = workbook.get_sheet_by_name(entry.name)
        last = sheet.end
        # Beyond the end it has read another sheet than the one that was looked at.
        if last is None or last[0] >= end[0] or last[1] >= end[1]:
            return None
        return _rows_of(sheet)
    except (KeyboardInterrupt, SystemExit):
        raise
    # A panic of Rust is a BaseException. Our own reader says what is wrong with the file.
    except BaseException:  # noqa: BLE001
        return None


def _rows_of(sheet: CalamineSheet) -> list[list[Any]]:
    # A list for each row sets the search for cycles off again and again, which takes as long as the rest.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return sheet.to_python(skip_empty_area=False)
    finally:
        if was_enabled:
            gc.enable()


def _without_rows(xml: bytes) -> bytes:
    return xml[: xml.index(_BEGIN) + len(_BEGIN)] + xml[xml.rindex(_END) :]


def _end_of_plain_rows(xml: bytes, styles: int) -> tuple[int, int] | None:
    """Return how many rows and columns a sheet has if it is plain, else None."""
    begin, end = xml.find(_BEGIN), xml.rfind(_END)
    head = xml[: max(begin, 0)]
    is_utf8 = head.startswith(_DECLARATIONS) and b"utf-8" in head[: head.index(b"?>")].lower()
    # Comments and sections might hold what looks like rows.
    if not is_utf8 or end < begin or b"<!" in head or b"<!" in xml[end:]:
        return None
    shapes: dict[bytes, _Shape] = {}
    at, last, width, cells = begin + len(_BEGIN), 0, 0, 0
    while at < end:
        stop = xml.find(_ROW_END, at, end) + len(_ROW_END)
        row = xml[at:stop]
        found = row.translate(None, _NUMERIC)
        shape = shapes.get(found)
        if shape is None:
            shape = shapes[found] = _Shape.of(found) if len(shapes) < MOST_SHAPES else _Shape(is_plain=False)
            width = max(width, shape.width)
        number = shape.number_of(row, styles)
        if not last < number <= LAST_ROW:
            return None
        last, at = number, stop
        cells += shape.count
    is_dense = last * width <= max(cells * MOST_PLACES_PER_CELL, SMALL)
    return (last, width) if is_dense and not _has_longer_reference(xml, last) else None


def _has_longer_reference(xml: bytes, last: int) -> bool:
    """Whether a cell's reference has more digits than the last row: calamine would make room for it.

    That a row's cells end in its number is known, but so does `A15` in row 5.
    """
    kinds = xml.translate(_KINDS)
    mark = b"0" * (len(str(last)) + 1) + b'"'
    at = kinds.find(mark)
    while at >= 0:
        if kinds[max(at - len(mark), 0) : at].rstrip(b"0")[-1:] in {b"A", b""}:
            return True
        at = kinds.find(mark, at + 1)
    return False


@dataclass(frozen=True)
class _Shape:
    """The XML of a row without its digits.

    Attributes:
        references: of its cells, without the number of the row: `r="A`.
        count: of its cells.
        width: columns up to the last cell.
        has_height: whether the row says how high it is.
    """

    is_plain: bool
    references: tuple[bytes, ...] = ()
    count: int = 0
    width: int = 0
    has_height: bool = False

    def number_of(self, row: bytes, styles: int) -> int:
        """Return the number of a row of this shape if its cells say the same, else 0.

        Args:
            styles: of the workbook; a cell names its own by number.
        """
        # A row of no height is hidden.
        if not self.is_plain or not row.startswith(_ROW) or (self.has_height and _NO_HEIGHT in row):
            return 0
        number = row[len(_ROW) : row.index(b'"', len(_ROW))]
        mark = number + b'"'
        if not number.isdigit():
            return 0
        # The style of a cell may be the row's number too: in such rows each cell is looked at.
        is_surely_right = int(number) > styles and row.count(mark) == self.count + 1
        if not is_surely_right and any(reference + mark not in row for reference in self.references):
            return 0
        return int(number)

    @classmethod
    def of(cls, xml: bytes) -> _Shape:
        """Look at a row: nothing but cells with numbers, or with the number of a shared text."""
        letters: list[str] = []
        depth = 0

        def start(name: str, found: dict[str, str]) -> None:
            nonlocal depth
            depth += 1
            is_cell = name == "c" and depth == 2 and found.get("t", "n") in {"n", "s"}
            is_row = name == "row" and depth == 1 and "hidden" not in found
            if not (is_cell or is_row or (name == "v" and depth == 3 and not found)):
                raise ValueError(name)
            if is_cell:
                letters.append(found.get("r", ""))

        def end(_: str) -> None:
            nonlocal depth
            depth -= 1

        def text(data: str) -> None:
            if data not in {"E", "e", "E+", "e+"}:  # Of 1.5E-05.
                raise ValueError(data)

        parser = expat.ParserCreate()
        parser.StartElementHandler, parser.EndElementHandler = start, end
        parser.CharacterDataHandler = text
        try:
            if b"<!" in xml or b"<?" in xml or b"&" in xml or b"'" in xml:
                raise ValueError(xml)
            parser.Parse(xml, True)
            columns = [_column(text) for text in letters]
        except (expat.ExpatError, ValueError):
            return cls(is_plain=False)
        if columns != sorted(set(columns)):
            return cls(is_plain=False)
        references = tuple(f'r="{text}'.encode() for text in letters)
        width = max(columns, default=-1) + 1
        return cls(True, references, len(references), width, b" ht=" in xml)


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        if not "A" <= letter <= "Z":
            raise ValueError(letters)
        number = number * 26 + ord(letter) - 64
    if not 0 < number <= LAST_COLUMN:
        raise ValueError(letters)
    return number - 1


def _is_blank(cell: object) -> bool:
    return cell == "" or (isinstance(cell, str) and cell.isspace())
