"""Merged cells: Excel keeps their value in the first cell, and a person sees it in the whole range.

The rules, for the rows below the header:
- Down a column, the value holds for each row of the range that has something of its own. A row that has
  nothing but its part of merged cells is the second half of a tall line, and no line.
- Across columns, in a row with other cells, it holds for each column. A title, a remark or a total
  (text alone, or text that says total) is written across columns for its length: it stays once, in the
  first column that is read.
- An amount or a quantity never counts twice: the copies know their range, and the contract refuses
  them in such columns (`casting`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from shs_pipeline.casting.sheet_values import MergedText, SheetNumber
from shs_pipeline.files.reading import ROW
from shs_pipeline.files.workbook.places import Range, address


def spread_in_lines(lines: pd.DataFrame, merged: Sequence[tuple[Range, Any]], where: dict[str, int]) -> None:
    """Give the cells of merged ranges their value, in place.

    Args:
        lines: rows that have something of their own in a column that is read.
        merged: ranges below the header, each with the value of its first cell.
        where: 0-based position of each column.
    """
    if not merged or lines.empty:
        return
    numbers = lines[ROW].to_numpy()
    columns = {name: lines[name].to_numpy(dtype=object, copy=True) for name in where}
    is_filled = _filled_counts(columns)
    for found, value in merged:
        top, left, bottom, right = found
        names = [name for name, position in where.items() if left <= position <= right]
        if not names or value is None:
            continue
        first, last = np.searchsorted(numbers, (top, bottom + 1))
        for index in range(int(first), int(last)):
            is_first_row = int(numbers[index]) == top
            own = is_filled[index] - (is_first_row and where[names[0]] == left)
            is_data = own and not (_says_total(value) and _has_figures_only(columns, index, names[0]))
            for name in names if is_data else names[:1]:
                if columns[name][index] is None:
                    is_first = is_first_row and name == names[0]
                    columns[name][index] = value if is_first else _copy(value, found)
    for name, cells in columns.items():
        lines[name] = pd.Series(cells, dtype=object, index=lines.index)


def spread_in_header(
    rows: list[list[Any]], merged: Sequence[Range]
) -> tuple[list[list[Any]], list[list[Any]]]:
    """Return the first rows of a sheet with merged cells spread down, and spread down and across.

    A heading across columns names them together with the row below it; by itself it names the first.
    """
    down, across = [list(row) for row in rows], [list(row) for row in rows]
    for top, left, bottom, right in merged:
        if top > len(rows) or left >= len(rows[top - 1]):
            continue
        value = rows[top - 1][left]
        for lower in range(top - 1, min(bottom, len(rows))):
            stop = min(right + 1, len(rows[lower]))
            down[lower][left] = value
            across[lower][left:stop] = [value] * (stop - left)
    return down, across


def _filled_counts(columns: dict[str, np.ndarray]) -> list[int]:
    """Return how many cells of each row hold something."""
    filled = [np.array([cell is not None for cell in cells]) for cells in columns.values()]
    counts: list[int] = np.sum(filled, axis=0).tolist()
    return counts


def _says_total(value: Any) -> bool:
    return isinstance(value, str) and "total" in value.casefold()


def _has_figures_only(columns: dict[str, np.ndarray], index: int, label: str) -> bool:
    """Whether a row holds numbers beside its label, as a total does, and neither date nor text."""
    for name, cells in columns.items():
        cell = cells[index]
        if name == label or cell is None or isinstance(cell, float):
            continue
        if not isinstance(cell, str) or any(mark.isalpha() for mark in cell) or cell.count("/") == 2:
            return False
    return True


def _copy(value: Any, found: Range) -> Any:
    top, left, bottom, right = found
    name = f"{address(top, left)}:{address(bottom, right)}"
    if isinstance(value, str):
        return MergedText(value, name)
    if isinstance(value, float):
        return (value if isinstance(value, SheetNumber) else SheetNumber(value)).merged_in(name)
    return value
