"""Grouped reports: cells printed once per group, subtotal rows between the lines."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pandas as pd

from shs_pipeline.casting import CastError, cast_amount, is_blank, show
from shs_pipeline.reading import ROW, SHEET, PrintedTotal, Reading
from shs_pipeline.workbook import Table


def says_total(cells: pd.Series) -> pd.Series:
    """Return (n,) booleans: which cells are text that contains the word total."""
    return cells.map(lambda cell: isinstance(cell, str) and "total" in cell.casefold()).astype(bool)


def is_total_row(rows: pd.DataFrame, key: str) -> pd.Series:
    """Return (n,) booleans: rows that say total somewhere and have nothing else in the key column.

    An item may be called "Total knee kit"; its row has a key.
    """
    says = rows.drop(columns=[SHEET, ROW]).apply(says_total)
    return (rows[key].map(is_blank).astype(bool) | says[key]) & says.any(axis="columns")


def fill_down(lines: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the lines with the blanks of `columns` taking the value above."""
    filled = lines.copy()
    for column in columns:
        blank = filled[column].map(lambda cell: isinstance(cell, str) and not cell.strip()).astype(bool)
        filled[column] = filled[column].mask(blank, None).ffill()
    return filled


def reading_of(
    table: Table,
    is_line: pd.Series,
    *,
    is_total: pd.Series,
    amounts: Sequence[str],
    left_out: dict[str, int] | None = None,
    is_covered: pd.Series | None = None,
) -> Reading:
    """Return the sale lines of a table, with its totals held against the lines they cover.

    Args:
        is_line: (n,) which rows are sale lines.
        is_total: (n,) which rows are subtotals or totals.
        amounts: columns whose printed totals are compared.
        left_out: rows that are neither, by reason.
        is_covered: (n,) which rows the printed totals cover, where that is more than the sale lines.
    """
    lines = table.lines[is_line].reset_index(drop=True)
    dropped = set(table.lines.loc[~is_line, ROW])
    problems = [problem for problem in table.problems if problem.row not in dropped]
    totals = printed_totals(table.lines, is_line if is_covered is None else is_covered, is_total, amounts)
    return Reading(lines, left_out or {}, totals, problems, table.missing)


def printed_totals(
    rows: pd.DataFrame, is_line: pd.Series, is_total: pd.Series, amounts: Sequence[str]
) -> list[PrintedTotal]:
    """Hold every printed total against the lines that it covers.

    Which lines those are is not printed: a total covers the lines back to some earlier total, or to
    the top. If one such group adds up to it, that is the one; else the nearest group is shown.
    """
    found: list[PrintedTotal] = []
    for column in amounts:
        found += _totals_of_column(rows, is_line.tolist(), is_total.tolist(), column)
    return sorted(found, key=lambda total: total.row)


def _totals_of_column(
    rows: pd.DataFrame, is_line: list[bool], is_total: list[bool], column: str
) -> list[PrintedTotal]:
    running = last_mark = Decimal(0)
    marks = {last_mark}  # Running sums at which a group may have begun.
    found = []
    for position, cell in enumerate(rows[column].tolist()):
        if is_line[position]:
            running += _amount(cell) or 0
        elif is_total[position]:
            if (printed := _amount(cell)) is not None:
                computed = printed if running - printed in marks else running - last_mark
                row = rows.iloc[position]
                place = (str(row[SHEET]), int(row[ROW]), _label(row))
                found.append(PrintedTotal(*place, column, printed, computed))
            if running not in marks:
                last_mark = running
                marks.add(running)
    return found


def _amount(cell: object) -> Decimal | None:
    try:
        return cast_amount(cell) if cell is not None else None
    except CastError:
        return None


def _label(row: pd.Series) -> str:
    texts = (
        show(cell) for cell in row.drop([SHEET, ROW]) if isinstance(cell, str) and "total" in cell.casefold()
    )
    return next(texts, "Total")
