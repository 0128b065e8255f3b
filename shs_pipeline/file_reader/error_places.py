"""The cell of a workbook at which a problem is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from shs_pipeline.casting.cells import is_blank
from shs_pipeline.files.reading import Problem
from shs_pipeline.files.workbook.header import HEADER_WITHIN, HeaderNames

if TYPE_CHECKING:
    from openpyxl.workbook.workbook import Workbook
    from openpyxl.worksheet.worksheet import Worksheet


class Place(NamedTuple):
    """The cell that a problem is shown at."""

    sheet: str
    row: int
    column: int


class _Sheet:
    """Where on one sheet the columns are.

    Args:
        names: columns that the header is found by.
        last_row: the header is not below this row.
        is_whole: whether `names` is all columns of the contract.
    """

    def __init__(self, page: Worksheet, names: HeaderNames, last_row: int, is_whole: bool) -> None:
        self.page = page
        self._merged = {
            (row, column): (merged.min_row, merged.min_col)
            for merged in page.merged_cells.ranges
            for row in range(merged.min_row, merged.max_row + 1)
            for column in range(merged.min_col, merged.max_col + 1)
        }
        self._first_filled: dict[int, int] = {}
        head: list[dict[int, str]] = [{} for _ in range(min(HEADER_WITHIN, last_row))]
        # Not `iter_rows`, which makes every cell between the first and a far one.
        for (row, column), cell in page._cells.items():
            if not is_blank(cell.value):
                self._first_filled[row] = min(column, self._first_filled.get(row, column))
                if row <= len(head) and cell.data_type == "s":
                    head[row - 1][column] = str(cell.value)
        width = max((max(row, default=0) for row in head), default=0)
        rows = [[row.get(column) for column in range(1, width + 1)] for row in head]
        header = names.find(rows, rows)
        self.header_row = header.row
        self.columns = {name: position + 1 for name, position in header.where.items()}
        self._unnamed = self._column_without_name() if is_whole else None

    def find(self, row: int, column: str | None) -> Place:
        """Return the cell, or what stands for it: the first of a merged range, of a row, of the header."""
        position = self.columns.get(column) if column else None
        if position is None and column and row != self.header_row:
            position = self._unnamed
        if position is None:
            position = self.first_filled(row)
        return Place(self.page.title, *self._merged.get((row, position), (row, position)))

    def first_filled(self, row: int) -> int:
        """Return the position of the first cell of a row that holds something, else 1."""
        return self._first_filled.get(row, 1)

    def _column_without_name(self) -> int | None:
        """Return the position of a column without heading before the first named one."""
        before = min(self.columns.values(), default=1) - 1
        if before and is_blank(self.page.cell(self.header_row, before).value):
            return before
        return None


def find_places(book: Workbook, problems: Sequence[Problem], columns: Sequence[str]) -> list[Place | None]:
    """Return the cell of each problem, None where it names no cell of the workbook."""
    pages = {page.title: page for page in book.worksheets}
    by_sheet: dict[str, list[Problem]] = {}
    for problem in problems:
        if problem.sheet is not None and problem.sheet in pages and _is_row(problem.row):
            by_sheet.setdefault(problem.sheet, []).append(problem)
    sheets = {}
    for title, found in by_sheet.items():
        named = columns or [problem.column for problem in found if problem.column]
        last_row = min(problem.row for problem in found if problem.row)
        sheets[title] = _Sheet(pages[title], HeaderNames([*dict.fromkeys(named)]), last_row, bool(columns))
    return [
        sheets[problem.sheet].find(problem.row, problem.column)
        if problem.sheet in sheets and problem.row and _is_row(problem.row)
        else None
        for problem in problems
    ]


def _is_row(row: int | None) -> bool:
    return row is not None and 1 <= row <= 1_048_576
