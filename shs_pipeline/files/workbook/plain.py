"""Large sheets of plain XML, read at once by columns of bytes instead of element by element.

Plain are rows of cells that hold numbers or numbers of shared texts, in order, each attribute in its usual
place, as nearly all programs write them. Every byte that matters is looked at: what is written otherwise
in any way (a formula, an error, another type, a comment, another quote) makes the sheet one for the
careful reader (`cells`), which knows all spellings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from xml.parsers import expat

import numpy as np

from shs_pipeline.files.casting.cells import is_blank
from shs_pipeline.files.casting.columns import blanks
from shs_pipeline.files.workbook.book import Book, SheetEntry
from shs_pipeline.files.workbook.cells import is_nothing, read_cells
from shs_pipeline.files.workbook.number_format import other_currency, shows_digits
from shs_pipeline.files.workbook.places import LAST_COLUMN, LAST_ROW, Range
from shs_pipeline.files.workbook.values import Values

LARGE = 2_000_000
"""Bytes of a sheet's XML from which on it is read like this."""
MOST_PLACES_PER_CELL = 8
"""Places between the first and the last cell, for each cell that is there."""
SMALL = 1_000_000
"""Places that are no matter, however few cells are there."""

_BEGIN, _END, _ROW, _ROW_END = b"<sheetData>", b"</sheetData>", b'<row r="', b"</row>"
_DECLARATIONS = (b"<?xml ", b"\xef\xbb\xbf<?xml ")
_CHUNK = 1 << 20
_PADDING = b" " * 32
_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[Ee][-+]?[0-9]+)?")
_EXACT_DIGITS = 15
"""So many digits are exact as a float, and so is their quotient by a power of ten."""

# Elements as they follow each other: begin and end, or both in one.
_OPEN_ROW, _EMPTY_ROW, _OPEN_CELL, _EMPTY_CELL, _VALUE, _END_VALUE, _END_CELL, _END_ROW = range(8)
_MAY_FOLLOW = np.zeros((8, 8), dtype=bool)
for _before, _after in {
    _OPEN_ROW: (_OPEN_CELL, _EMPTY_CELL, _END_ROW),
    _EMPTY_ROW: (_OPEN_ROW, _EMPTY_ROW),
    _OPEN_CELL: (_VALUE, _END_CELL),
    _EMPTY_CELL: (_OPEN_CELL, _EMPTY_CELL, _END_ROW),
    _VALUE: (_END_VALUE,),
    _END_VALUE: (_END_CELL,),
    _END_CELL: (_OPEN_CELL, _EMPTY_CELL, _END_ROW),
    _END_ROW: (_OPEN_ROW, _EMPTY_ROW),
}.items():
    _MAY_FOLLOW[_before, _after] = True


class _NotPlainError(Exception):
    """The sheet is one for the careful reader."""


@dataclass
class PlainCells:
    """What a plain sheet holds; the counterpart of `SheetCells`.

    Attributes:
        columns: of each column the cells of all rows from the first on, None for empty.
        height: rows up to the last one.
    """

    columns: list[np.ndarray]
    height: int
    merged: list[Range] = field(default_factory=list)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)

    def first_rows(self, count: int) -> list[list[Any]]:
        """Return the cells of the first rows of the sheet, None for empty."""
        rows = range(min(count, self.height))
        return [[column[row] for column in self.columns] for row in rows]

    def cell(self, row: int, column: int) -> Any:
        """Return what a cell holds, None for empty."""
        is_there = row <= self.height and column < len(self.columns)
        return self.columns[column][row - 1] if is_there else None

    def numbers_below(self, row: int) -> Sequence[int]:
        """Return the numbers of the rows below one."""
        return range(row + 1, self.height + 1)

    def columns_of(self, numbers: Sequence[int], columns: Sequence[int]) -> list[list[Any]]:
        """Return for each column the cells of some rows."""
        at = np.array(numbers, dtype=np.int64) - 1
        return [self._column(column)[at].tolist() for column in columns]

    def take_below(self, row: int, columns: Sequence[int]) -> tuple[list[int], list[np.ndarray]]:
        """Return numbers and columns of the rows below one that are not blank in all of these columns."""
        is_kept = np.ones(max(self.height - row, 0), dtype=bool)
        blank = np.arange(len(is_kept))
        # The amounts stand last and are hardly ever blank, so few rows are left to look at after them.
        for column in reversed(columns):
            blank = blank[blanks(self._column(column)[row:][blank])]
        is_kept[blank] = False
        numbers = (is_kept.nonzero()[0] + row + 1).tolist()
        return numbers, [self._column(column)[row:][is_kept] for column in columns]

    def _column(self, column: int) -> np.ndarray:
        return (
            self.columns[column] if column < len(self.columns) else np.full(self.height, None, dtype=object)
        )


def read_plain(book: Book, entry: SheetEntry) -> PlainCells | None:
    """Read a sheet if it is plain; None if the careful reader has to."""
    if any(shows_digits(code) or other_currency(code) for code in book.formats):
        return None
    xml = book.archive.read(entry.part)
    begin, end = xml.find(_BEGIN), xml.rfind(_END)
    head, tail = xml[: max(begin, 0)], xml[end:]
    is_utf8 = head.startswith(_DECLARATIONS) and b"utf-8" in head[: head.index(b"?>")].lower()
    # Comments and sections might hold what looks like rows.
    if not is_utf8 or end < begin or b"<!" in head or b"<!" in tail:
        return None
    try:
        cells = _cells_between(xml, begin + len(_BEGIN), end)
        around = read_cells(book, head + _BEGIN + tail)
        del xml
        columns = _columns(book, cells)
    except _NotPlainError:
        return None
    height = int(cells["row"][-1]) if len(cells["row"]) else 0
    return PlainCells(columns, height, around.merged, set(), around.hidden_columns)


def _columns(book: Book, cells: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return the cells by column, as the careful reader gives them.

    Args:
        cells: what `_cells_of` found.
    """
    row, column = cells["row"] - 1, cells["column"]
    height, width = int(row[-1]) + 1 if len(row) else 0, int(column.max(initial=-1)) + 1
    if height * width > max(len(row) * MOST_PLACES_PER_CELL, SMALL):
        raise _NotPlainError
    shapers = [*Values(book).shapers, None]
    texts = np.array([*(None if is_blank(text) else text for text in book.texts), None], dtype=object)
    if (cells["number"][cells["is_text"]] >= len(texts) - 1).any():
        raise _NotPlainError
    style = np.minimum(cells["style"], len(shapers) - 1)
    is_shaped = np.array([shaper is not None for shaper in shapers])[style] & ~cells["is_text"]
    found = []
    by_column = np.argsort(column, kind="stable")
    begins = np.searchsorted(column[by_column], range(width + 1))
    for begin, end in pairwise(begins.tolist()):
        at = by_column[begin:end]
        made = np.full(height, None, dtype=object)
        is_text, number = cells["is_text"][at], cells["number"][at]
        made[row[at[~is_text]]] = number[~is_text].astype(object)
        made[row[at[is_text]]] = texts[number[is_text].astype(np.int64)]
        for shape in np.unique(style[at[is_shaped[at]]]).tolist():
            shaped = at[is_shaped[at] & (style[at] == shape)]
            made[row[shaped]] = _shaped(cells["number"][shaped], shapers[shape])
        found.append(made)
    return found


def _shaped(numbers: np.ndarray, shape: Callable[[float], Any]) -> np.ndarray:
    distinct, which = np.unique(numbers, return_inverse=True)
    made = np.empty(len(distinct), dtype=object)
    made[:] = [shape(number) for number in distinct.tolist()]
    return made[which]


def _cells_between(xml: bytes, at: int, end: int) -> dict[str, np.ndarray]:
    """Return row (from 1), column (from 0), style, whether it is a text, and number of each filled cell.

    Raises:
        _NotPlainError: something is written in an unusual way.
    """
    rests: set[bytes] = set()
    parts: list[dict[str, np.ndarray]] = []
    last = 0
    while at < end:
        stop = xml.find(_ROW_END, max(min(at + _CHUNK, end - len(_ROW_END)), at), end)
        stop = end if stop < 0 else stop + len(_ROW_END)
        rows = _Rows(xml[at:stop] + _PADDING)
        rows.check(rests, last)
        parts.append(rows.cells())
        last, at = rows.last, stop
    names = ("row", "column", "style", "is_text", "number")
    empty = {name: np.zeros(0, dtype=bool if name == "is_text" else np.int64) for name in names}
    return {name: np.concatenate([part[name] for part in parts or [empty]]) for name in names}


def _need(condition: np.ndarray | bool) -> None:
    if not np.all(condition):
        raise _NotPlainError


class _Rows:
    """Some whole rows: where each element begins, and of which kind it is.

    Args:
        xml: the rows, and `_PADDING`.
    """

    def __init__(self, xml: bytes) -> None:
        self._xml = xml
        self._bytes = np.frombuffer(xml, dtype=np.uint8)
        self._at = (self._bytes == ord("<")).nonzero()[0]
        self._next = np.append(self._at[1:], len(xml) - len(_PADDING))
        _need(not xml[: self._at[0] if len(self._at) else None].strip())
        kind, second = self._bytes[self._at + 1], self._bytes[self._at + 2]
        self._kind = np.full(len(self._at), -1, dtype=np.int8)
        self._kind[(kind == ord("v")) & (second == ord(">"))] = _VALUE
        for mark, code, name in (
            (b"v", _END_VALUE, b"v>"),
            (b"c", _END_CELL, b"c>"),
            (b"r", _END_ROW, b"row>"),
        ):
            ends = ((kind == ord("/")) & (second == ord(mark))).nonzero()[0]
            _need(self._holds(self._at[ends] + 2, name))
            _need(self._next[ends] == self._at[ends] + 2 + len(name))
            self._kind[ends] = code
        self._rows = (kind == ord("r")).nonzero()[0]
        self._cells = (kind == ord("c")).nonzero()[0]
        self.last = 0

    def _holds(self, at: np.ndarray, text: bytes) -> np.ndarray:
        """Return whether a text stands at each of some places."""
        found = self._bytes[at] == text[0]
        for step, mark in enumerate(text[1:], start=1):
            found &= self._bytes[at + step] == mark
        return found

    def check(self, rests: set[bytes], last: int) -> None:
        """Check rows and cells, and that they follow each other as they should.

        Args:
            rests: how rows go on after their number, as far as that is known to be plain.
            last: number of the row before.
        """
        self._read_rows(rests)
        _need(np.diff(self._row_numbers, prepend=last) > 0)
        self.last = int(self._row_numbers[-1]) if len(self._row_numbers) else last
        _need(self.last <= LAST_ROW)
        self._read_cells()
        _need(self._kind >= 0)
        _need(_MAY_FOLLOW[self._kind[:-1], self._kind[1:]])
        if len(self._kind):
            _need(self._kind[0] in (_OPEN_ROW, _EMPTY_ROW) and self._kind[-1] in (_END_ROW, _EMPTY_ROW))

    def _read_rows(self, rests: set[bytes]) -> None:
        begin = self._at[self._rows]
        _need(self._holds(begin, _ROW))
        self._digits_at = begin + len(_ROW)
        self._row_numbers, self._digits = self._whole(self._digits_at, most=7)
        quote = self._digits_at + self._digits
        _need(self._bytes[quote] == ord('"'))
        following = self._next[self._rows].tolist()
        for index, start, stop in zip(self._rows.tolist(), quote.tolist(), following, strict=True):
            rest = self._xml[start + 1 : stop]
            if rest not in rests:
                _check_rest(rest)
                rests.add(rest)
            self._kind[index] = _EMPTY_ROW if rest.endswith(b"/>") else _OPEN_ROW

    def _whole(self, at: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the whole numbers that begin at some places, and how many digits each has: at least one."""
        number, count = np.zeros(len(at), dtype=np.int64), np.zeros(len(at), dtype=np.int64)
        goes_on = np.ones(len(at), dtype=bool)
        for step in range(most):
            digit = self._bytes[at + step] - np.uint8(48)
            goes_on &= digit < 10
            if not goes_on.any():
                break
            number = np.where(goes_on, number * 10 + digit, number)
            count += goes_on
        _need(count > 0)
        return number, count

    def _read_cells(self) -> None:
        """Read the tag of each cell: its reference, then its style if it has one, then its type."""
        begin = self._at[self._cells]
        _need(self._holds(begin, b'<c r="'))
        is_row = np.zeros(len(self._at), dtype=np.int64)
        is_row[self._rows] = 1
        self._row_of = np.cumsum(is_row)[self._cells] - 1
        _need(self._row_of >= 0)
        at = begin + len(b'<c r="')
        self._column = np.full(len(at), -1, dtype=np.int64)
        goes_on = np.ones(len(at), dtype=bool)
        for _ in range(3):
            letter = self._bytes[at] - np.uint8(65)
            goes_on &= letter < 26
            self._column = np.where(goes_on, (self._column + 1) * 26 + letter, self._column)
            at = at + goes_on
        _need((self._column >= 0) & (self._column < LAST_COLUMN))
        _need(np.diff(self._row_of * LAST_COLUMN + self._column) > 0)
        digits, digits_at = self._digits[self._row_of], self._digits_at[self._row_of]
        for step in range(int(digits.max(initial=0))):
            _need((self._bytes[at + step] == self._bytes[digits_at + step]) | (step >= digits))
        at = at + digits
        _need(self._bytes[at] == ord('"'))
        at = self._read_type(self._read_style(at + 1))
        is_open = self._bytes[at] == ord(">")
        _need(is_open | self._holds(at, b"/>"))
        _need(self._next[self._cells] == at + 2 - is_open)
        self._kind[self._cells] = np.where(is_open, _OPEN_CELL, _EMPTY_CELL)

    def _read_style(self, at: np.ndarray) -> np.ndarray:
        self._style = np.full(len(at), np.iinfo(np.int64).max, dtype=np.int64)
        has = self._holds(at, b' s="').nonzero()[0]
        number, digits = self._whole(at[has] + 4, most=5)
        self._style[has] = number
        behind = at[has] + 4 + digits
        _need(self._bytes[behind] == ord('"'))
        at = at.copy()
        at[has] = behind + 1
        return at

    def _read_type(self, at: np.ndarray) -> np.ndarray:
        self._is_text = self._holds(at, b' t="s"')
        return at + 6 * (self._is_text | self._holds(at, b' t="n"'))

    def cells(self) -> dict[str, np.ndarray]:
        """Return the cells that hold something, as `_cells_between` does."""
        values = (self._kind == _VALUE).nonzero()[0]
        # The element before a value is its cell.
        cell = np.searchsorted(self._cells, values - 1)
        start, stop = self._at[values] + len(b"<v>"), self._at[values + 1]
        is_text = self._is_text[cell]
        number = np.empty(len(values))
        number[is_text], digits = self._whole(start[is_text], most=9)
        _need(digits == stop[is_text] - start[is_text])
        number[~is_text] = self._numbers(start[~is_text], stop[~is_text])
        return {
            "row": self._row_numbers[self._row_of[cell]],
            "column": self._column[cell].astype(np.int16),  # which is sorted fast
            "style": self._style[cell],
            "is_text": is_text,
            "number": number,
        }

    def _numbers(self, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        """Return the floats between some places: just those that Python reads there."""
        found = np.empty(len(start))
        is_negative = self._bytes[start] == ord("-")
        start = start + is_negative
        length = stop - start
        _need(length > 0)
        for size in np.unique(length).tolist():
            which = (length == size).nonzero()[0]
            found[which] = self._numbers_of(start[which], size)
        return np.where(is_negative, -found, found)

    def _numbers_of(self, start: np.ndarray, size: int) -> np.ndarray:
        """Return the numbers without sign that have so many digits, with at most one point among them."""
        found = np.empty(len(start))
        if size > _EXACT_DIGITS + 1:
            found[:] = [self._slowly(at, size) for at in start.tolist()]
            return found
        digits = self._bytes[start[:, None] + np.arange(size)] - np.uint8(48)
        others = (digits > 9).sum(axis=1)
        is_point = digits == 254  # "." is 46
        point = np.where(others == 0, size, is_point.argmax(axis=1))
        is_odd = (others > 1) | ((others == 1) & ~is_point.any(axis=1)) | (size - others > _EXACT_DIGITS)
        is_odd |= size == others
        point[is_odd] = -1
        for place in np.unique(point).tolist():
            which = (point == place).nonzero()[0]
            if place < 0:
                found[which] = [self._slowly(at, size) for at in start[which].tolist()]
                continue
            weights = 10.0 ** np.array([size - 1 - step - (step < place < size) for step in range(size)])
            rows = digits[which].astype(np.float64)
            if place < size:
                rows[:, place] = 0
            found[which] = rows @ weights / 10.0 ** (size - 1 - place if place < size else 0)
        return found

    def _slowly(self, at: int, size: int) -> float:
        text = self._xml[at : at + size]
        _need(_NUMBER.fullmatch(text) is not None and not text.startswith(b"-"))
        number = float(text)
        _need(np.isfinite(number))
        return number


def _check_rest(rest: bytes) -> None:
    """Check the tag of a row behind its number: nothing but attributes, and a row that is seen."""
    found: list[dict[str, str]] = []
    parser = expat.ParserCreate(encoding="utf-8")
    parser.StartElementHandler = lambda _, attributes: found.append(attributes)
    try:
        parser.Parse(b'<row r="1"' + rest + (b"" if rest.endswith(b"/>") else b"</row>"), True)
    except (expat.ExpatError, ValueError):
        raise _NotPlainError from None
    _need("hidden" not in found[0] and not is_nothing(found[0].get("ht")))
