"""The rows of a large sheet of plain XML, read at once from their bytes, some side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from xml.parsers import expat

import numpy as np

from shs_pipeline.files.workbook.cells import is_nothing
from shs_pipeline.files.workbook.places import LAST_COLUMN, LAST_ROW

_Read = TypeVar("_Read")

_ROW, _ROW_END = b'<row r="', b"</row>"
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


class NotPlainError(Exception):
    """The sheet is one for the careful reader."""


def cells_between(xml: bytes, at: int, end: int) -> dict[str, np.ndarray]:
    """Return row (from 1), column (from 0), style, whether it is a text, and number of each filled cell.

    Raises:
        NotPlainError: something is written in an unusual way.
    """
    rests: set[bytes] = set()

    def read(place: tuple[int, int]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        rows = _Rows(xml[slice(*place)] + _PADDING)
        rows.check(rests)
        return rows.numbers, rows.cells()

    numbers, parts = [], []
    for found, cells in _side_by_side(read, _places(xml, at, end)):
        numbers.append(found)
        parts.append(cells)
    _need(np.diff(np.concatenate(numbers or [np.zeros(0)]), prepend=0) > 0)
    names = ("row", "column", "style", "is_text", "number")
    empty = {name: np.zeros(0, dtype=bool if name == "is_text" else np.int64) for name in names}
    return {name: np.concatenate([part[name] for part in parts or [empty]]) for name in names}


def _places(xml: bytes, at: int, end: int) -> list[tuple[int, int]]:
    """Return where parts of whole rows begin and end."""
    places = []
    while at < end:
        stop = xml.find(_ROW_END, max(min(at + _CHUNK, end - len(_ROW_END)), at), end)
        stop = end if stop < 0 else stop + len(_ROW_END)
        places.append((at, stop))
        at = stop
    return places


def _side_by_side(
    read: Callable[[tuple[int, int]], _Read], places: Sequence[tuple[int, int]]
) -> Iterator[_Read]:
    """Read parts in their order, two at a time: numpy lets others work meanwhile."""
    threads = ThreadPoolExecutor(2)
    try:
        try:
            found = threads.map(read, places)
        except RuntimeError:  # no memory for a thread
            found = map(read, places)
        yield from found
    finally:
        threads.shutdown(cancel_futures=True)


def _need(condition: np.ndarray | bool) -> None:
    if not np.all(condition):
        raise NotPlainError


class _Rows:
    """Some whole rows: where each element begins, and of which kind it is.

    Args:
        xml: the rows, and `_PADDING`.

    Attributes:
        numbers: of the rows, once they are checked.
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

    def _holds(self, at: np.ndarray, text: bytes) -> np.ndarray:
        """Return whether a text stands at each of some places."""
        found = self._bytes[at] == text[0]
        for step, mark in enumerate(text[1:], start=1):
            found &= self._bytes[at + step] == mark
        return found

    def check(self, rests: set[bytes]) -> None:
        """Check rows and cells, and that cells follow each other as they should.

        Args:
            rests: how rows go on after their number, as far as that is known to be plain.
        """
        self._read_rows(rests)
        _need(self.numbers <= LAST_ROW)
        self._read_cells()
        _need(self._kind >= 0)
        _need(_MAY_FOLLOW[self._kind[:-1], self._kind[1:]])
        if len(self._kind):
            _need(self._kind[0] in (_OPEN_ROW, _EMPTY_ROW) and self._kind[-1] in (_END_ROW, _EMPTY_ROW))

    def _read_rows(self, rests: set[bytes]) -> None:
        begin = self._at[self._rows]
        _need(self._holds(begin, _ROW))
        self._digits_at = begin + len(_ROW)
        self.numbers, self._digits = self._whole(self._digits_at, most=7)
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
        """Return the cells that hold something, as `cells_between` does."""
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
            "row": self.numbers[self._row_of[cell]],
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
        raise NotPlainError from None
    _need("hidden" not in found[0] and not is_nothing(found[0].get("ht")))
