"""Large sheets of plain XML, read at once by columns of bytes instead of element by element.

Plain are rows of cells that hold numbers or numbers of shared texts, in order, each attribute in its usual
place, as nearly all programs write them. Every byte that matters is looked at: what is written otherwise
in any way (a formula, an error, another type, a comment, another quote) makes the sheet one for the
careful reader (`cells`), which knows all spellings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from shs_pipeline.casting.cells import is_blank
from shs_pipeline.casting.columns import blanks
from shs_pipeline.files.workbook.book import Book, SheetEntry
from shs_pipeline.files.workbook.cells import read_cells
from shs_pipeline.files.workbook.number_format import other_currency, shows_digits
from shs_pipeline.files.workbook.places import Range
from shs_pipeline.files.workbook.plain_rows import NotPlainError, cells_between
from shs_pipeline.files.workbook.values import Values

LARGE = 2_000_000
"""Bytes of a sheet's XML from which on it is read like this."""
MOST_PLACES_PER_CELL = 8
"""Places between the first and the last cell, for each cell that is there."""
SMALL = 1_000_000
"""Places that are no matter, however few cells are there."""

_BEGIN, _END = b"<sheetData>", b"</sheetData>"
_DECLARATIONS = (b"<?xml ", b"\xef\xbb\xbf<?xml ")


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
        cells = cells_between(xml, begin + len(_BEGIN), end)
        around = read_cells(book, head + _BEGIN + tail)
        del xml
        columns = _columns(book, cells)
    except NotPlainError:
        return None
    height = int(cells["row"][-1]) if len(cells["row"]) else 0
    return PlainCells(columns, height, around.merged, set(), around.hidden_columns)


def _columns(book: Book, cells: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return the cells by column, as the careful reader gives them.

    Args:
        cells: what `cells_between` found.
    """
    row, column = cells["row"] - 1, cells["column"]
    height, width = int(row[-1]) + 1 if len(row) else 0, int(column.max(initial=-1)) + 1
    if height * width > max(len(row) * MOST_PLACES_PER_CELL, SMALL):
        raise NotPlainError
    shapers = [*Values(book).shapers, None]
    texts = np.array([*(None if is_blank(text) else text for text in book.texts), None], dtype=object)
    if (cells["number"][cells["is_text"]] >= len(texts) - 1).any():
        raise NotPlainError
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
        shaped = at[is_shaped[at]]
        for shape in np.bincount(style[shaped]).nonzero()[0].tolist():
            alike, shaper = shaped[style[shaped] == shape], shapers[shape]
            assert shaper is not None
            made[row[alike]] = _shaped(cells["number"][alike], shaper)
        found.append(made)
    return found


def _shaped(numbers: np.ndarray, shape: Callable[[float], Any]) -> np.ndarray:
    which, distinct = pd.factorize(numbers)
    made = np.empty(len(distinct), dtype=object)
    made[:] = [shape(number) for number in distinct.tolist()]
    return made[which]
