"""Grouped reports: cells printed once per group, subtotal rows between the lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate
from typing import Any

import numpy as np
import pandas as pd

from shs_pipeline.casting import cast_cells, is_blank, show
from shs_pipeline.reading import ROW, SHEET, CellsAt, PrintedTotal, Reading
from shs_pipeline.workbook import Table


def says_total(cells: pd.Series) -> pd.Series:
    """Return (n,) booleans: which cells are text that contains the word total."""
    return cells.map(lambda cell: isinstance(cell, str) and "total" in cell.casefold()).astype(bool)


def is_total_row(rows: pd.DataFrame, *keys: str) -> pd.Series:
    """Return (n,) booleans: rows that say total somewhere and have nothing else in the key columns.

    An item may be called "Total knee kit": its row has a key, and is a line as long as it has one
    of them, since a line that lacks the other must be reported and not taken for a total.
    """
    is_total = pd.Series(True, index=rows.index)
    for key in keys:
        is_total &= rows[key].map(is_blank).astype(bool) | says_total(rows[key])
    candidates = rows[is_total]
    says = [_total_label(cells) is not None for cells in _cells(candidates)]
    return pd.Series(says, dtype=bool, index=candidates.index).reindex(rows.index, fill_value=False)


def fill_down(lines: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Give the blanks of `columns` the value above.

    Returns:
        the filled lines; and by column (n,) 1-based rows in which the cells are printed, which for
        those above the first printed one is the first row.
    """
    filled: dict[str, pd.Series] = {}
    rows = lines[ROW].to_numpy()
    printed_in: dict[str, np.ndarray] = {}
    for column in columns:
        cells = lines[column].to_numpy(dtype=object, copy=True)
        spaces = [cell for cell in set(cells) if isinstance(cell, str) and is_blank(cell)]
        if spaces:
            cells[np.isin(cells, spaces)] = None
        is_empty = pd.isna(cells)
        # The position of the last cell above that is filled; of the first cell where there is none.
        above = np.maximum.accumulate(np.where(is_empty, 0, np.arange(len(cells))))
        filled[column] = pd.Series(cells[above], dtype=object, index=lines.index)
        printed_in[column] = rows[above]
    return lines.assign(**filled), printed_in


def reading_of(
    table: Table,
    is_line: pd.Series,
    *,
    is_total: pd.Series,
    amounts: Sequence[str],
    left_out: dict[str, int] | None = None,
    is_covered: pd.Series | None = None,
    written_once: Sequence[str] = (),
    is_fed_by: pd.Series | None = None,
) -> Reading:
    """Return the sale lines of a table, with its totals held against the lines they cover.

    Args:
        is_line: (n,) which rows are sale lines.
        is_total: (n,) which rows are subtotals or totals.
        amounts: columns whose printed totals are compared.
        left_out: rows that are neither, by reason.
        is_covered: (n,) which rows the printed totals cover, where that is more than the sale lines.
        written_once: columns that are printed on the first row of a group.
        is_fed_by: (n,) which rows pass these on to the lines below, where that is more than the lines.
    """
    table_rows = with_amounts(table.lines, amounts)
    totals = printed_totals(table_rows, is_line if is_covered is None else is_covered, is_total, amounts)
    feeding = is_line if is_fed_by is None else is_fed_by
    rows, printed_in = fill_down(table_rows[feeding], written_once)
    kept = is_line[feeding].to_numpy()
    lines = rows[kept].reset_index(drop=True)
    cells_at = {column: CellsAt(column, places[kept]) for column, places in printed_in.items()}
    return Reading(lines, table.left_out | (left_out or {}), totals, table.problems, table.missing, cells_at)


def with_amounts(rows: pd.DataFrame, amounts: Sequence[str]) -> pd.DataFrame:
    """Return the rows with their amounts cast, once for the totals and the contract; bad cells stay."""
    cast = {}
    for column in amounts:
        cells = rows[column].tolist()
        values, errors = cast_cells(cells, "amount")
        for position in errors:
            values[position] = cells[position]
        cast[column] = pd.Series(values, dtype=object, index=rows.index)
    return rows.assign(**cast)


def printed_totals(
    rows: pd.DataFrame, is_line: pd.Series, is_total: pd.Series, amounts: Sequence[str]
) -> list[PrintedTotal]:
    """Hold every printed total against the lines that it covers.

    Which lines those are is not printed: a total covers the lines back to some earlier total or to
    the top, or, printed above its lines, those down to some later total or to the end. If one such
    group adds up to it, that is the one; else the nearest group above is shown.
    """
    places = {
        position: (str(sheet), int(row), _total_label(cells) or "Total")
        for position, sheet, row, cells in zip(
            is_total.to_numpy().nonzero()[0].tolist(),
            rows.loc[is_total, SHEET],
            rows.loc[is_total, ROW],
            _cells(rows[is_total]),
            strict=True,
        )
    }
    found = []
    lines = is_line.tolist()
    for column in amounts:
        found += _totals_of_column(cast_cells(rows[column].tolist(), "amount")[0], lines, places, column)
    return sorted(found, key=lambda total: total.row)


def _totals_of_column(
    cells: list[Any], is_line: list[bool], places: dict[int, tuple[str, int, str]], column: str
) -> list[PrintedTotal]:
    zero = Decimal(0)
    counted = [
        amount if is_counted and amount is not None else zero
        for amount, is_counted in zip(cells, is_line, strict=True)
    ]
    running = list(accumulate(counted, initial=zero))
    printed: list[tuple[int, Decimal]] = [
        (position, cells[position])
        for position in places
        if cells[position] is not None and not is_line[position]
    ]
    sums = [running[position] for position, _ in printed]  # Of all lines above each printed total.
    covered = _covered([amount for _, amount in printed], sums, running[-1])
    return [
        PrintedTotal(*places[position], column, amount, computed)
        for (position, amount), computed in zip(printed, covered, strict=True)
    ]


def _covered(printed: list[Decimal], sums: list[Decimal], end: Decimal) -> list[Decimal]:
    """Return for each printed total the sum of the lines that it covers."""
    above = {Decimal(0)}  # Running sums at which a group may have begun …
    below = Counter([*sums, end])  # … or may end.
    last_total = Decimal(0)
    covered = []
    for amount, running in zip(printed, sums, strict=True):
        below[running] -= 1
        if running - amount in above or (amount and below[running + amount] > 0):
            covered.append(amount)
        elif running != last_total:
            covered.append(running - last_total)
        else:
            # No line since the last total: it is a total of totals, and the group nearest to it is meant.
            groups = (running - mark for mark in above if mark != running)
            covered.append(min(groups, key=lambda group: abs(group - amount), default=Decimal(0)))
        above.add(running)
        last_total = running
    return covered


def _cells(rows: pd.DataFrame) -> list[list[Any]]:
    cells: list[list[Any]] = rows.drop(columns=[SHEET, ROW]).to_numpy(dtype=object).tolist()
    return cells


def _total_label(cells: Sequence[Any]) -> str | None:
    """Return the first text that says total."""
    return next((show(cell) for cell in cells if isinstance(cell, str) and "total" in cell.casefold()), None)
