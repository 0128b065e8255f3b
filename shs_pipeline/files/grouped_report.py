"""From the rows of a table to its sale lines: totals, remarks, and cells printed once per group."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from shs_pipeline.casting.cells import is_blank
from shs_pipeline.casting.columns import blanks, cast_cells
from shs_pipeline.files.contract import columns_of, headers_of
from shs_pipeline.files.lone_texts import lone_texts
from shs_pipeline.files.printed_totals import printed_totals
from shs_pipeline.files.proven_totals import proven_totals
from shs_pipeline.files.reading import ROW, SHEET, CellsAt, PrintedTotal, Reading, SourceFile
from shs_pipeline.files.remarks import REMARK, tell_headings
from shs_pipeline.files.statistic_rows import STATISTIC
from shs_pipeline.files.total_words import (
    ends_with_total,
    is_general,
    mention_total,
    mentions_total,
    names_in,
    total_label,
)
from shs_pipeline.files.workbook.table import Table, read_table

if TYPE_CHECKING:
    import pandera.pandas as pa


def report_reader(
    model: type[pa.DataFrameModel], *, keys: Sequence[str], amounts: Sequence[str]
) -> Callable[[SourceFile], Reading]:
    """Return the reader of a report that has one line per row, and totals.

    Args:
        model: the contract.
        keys: headers of the cells that each line has and no total; see `is_total_row`.
        amounts: headers of what the totals add up.
    """

    def read(file: SourceFile) -> Reading:
        table = read_table(file, headers_of(model))
        is_total = is_total_row(table.lines, *keys)
        return reading_of(table, model, ~is_total, is_total=is_total, amounts=amounts)

    return read


def is_total_row(rows: pd.DataFrame, *keys: str) -> pd.Series:
    """Return (n,) booleans: rows that say total somewhere and have nothing else in the key columns.

    An item may be called "Total knee kit": its row has a key, and is a line as long as it has one
    of them, since a line that lacks the other must be reported and not taken for a total.
    """
    found = [
        position for position, cells in _blank_or_total(rows, keys) if total_label(cells.values()) is not None
    ]
    return _at(rows, found)


def is_total_of_group(
    rows: pd.DataFrame, labelled_in: Sequence[str], blank_in: Sequence[str], amounts: Sequence[str]
) -> pd.Series:
    """Return (n,) booleans: rows that say total in a column of groups, and are no lines.

    A group may be called "Total Ortho LLC": its row is a line or a heading, unless it has an amount and
    none of the cells that only lines have.

    Args:
        labelled_in: columns in which a total may say what it adds up; plain totals stand in any.
        blank_in: columns of which a line has at least one, and a total none.
        amounts: columns with amounts.
    """
    found = [
        position
        for position, cells in _blank_or_total(rows, blank_in)
        if _is_total_label(cells, labelled_in, amounts)
    ]
    return _at(rows, found)


def _blank_or_total(rows: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield position and cells of the rows that have nothing in some columns, or text that says total."""
    at = np.arange(len(rows))
    for column in columns:
        cells = rows[column].to_numpy(dtype=object)[at].tolist()
        at = at[blanks(cells) | mention_total(cells)]
    headers = [header for header in rows.columns if header not in (SHEET, ROW)]
    found = [rows[header].to_numpy(dtype=object)[at].tolist() for header in headers]
    for position, *cells in zip(at.tolist(), *found, strict=True):
        yield position, dict(zip(headers, cells, strict=True))


def _is_total_label(row: dict[Any, Any], labelled_in: Sequence[str], amounts: Sequence[str]) -> bool:
    has_amount = any(not is_blank(row[column]) for column in amounts)
    return any(
        (column in labelled_in and (has_amount or ends_with_total(cell))) or is_general(cell)
        for column, cell in row.items()
        if mentions_total(cell)
    )


def is_empty_in(rows: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Return (n,) booleans: rows without a cell in any of these columns."""
    is_empty = np.ones(len(rows), dtype=bool)
    for column in columns:
        is_empty &= blanks(rows[column].to_numpy(dtype=object))
    return pd.Series(is_empty, index=rows.index)


def has_amount(rows: pd.DataFrame, amounts: Sequence[str]) -> pd.Series:
    """Return (n,) booleans: rows with a cell in a column of amounts that is not just any text."""
    found = pd.Series(False, index=rows.index)
    for column in amounts:
        cells = rows[column].tolist()
        bad = cast_cells(cells, "amount")[1]
        found |= np.array(
            [
                not is_blank(cell) and not (position in bad and isinstance(cell, str))
                for position, cell in enumerate(cells)
            ],
            dtype=bool,
        )
    return found


def filled_lines(
    rows: pd.DataFrame, is_line: pd.Series, is_fed_by: pd.Series, written_once: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return the lines, the blanks of `written_once` with the value above.

    Args:
        is_line: (n,) which rows are lines.
        is_fed_by: (n,) which rows pass cells on to those below: the lines, and maybe others.
        written_once: columns that are printed on the first row of a group.

    Returns:
        (m, k) the lines; and by column (m,) 1-based rows in which the cells are printed, which for those
        above the first printed one is the first row.
    """
    feeding = is_fed_by.to_numpy(dtype=bool).nonzero()[0]
    is_kept = is_line.to_numpy(dtype=bool)[feeding]
    lines = rows.iloc[feeding[is_kept]].reset_index(drop=True)
    printed_in: dict[str, np.ndarray] = {}
    for column in written_once:
        cells = rows[column].to_numpy(dtype=object)[feeding]
        is_empty = blanks(cells)
        # The position of the last cell above that is filled; of the first cell where there is none.
        above = np.maximum.accumulate(np.where(is_empty, 0, np.arange(len(cells))))[is_kept]
        filled = cells[above]
        filled[is_empty[above]] = None
        lines[column] = pd.Series(filled, dtype=object)
        printed_in[column] = rows[ROW].to_numpy()[feeding[above]]
    return lines, printed_in


def reading_of(
    table: Table,
    model: type[pa.DataFrameModel],
    is_line: pd.Series,
    *,
    is_total: pd.Series,
    amounts: Sequence[str],
    left_out: Mapping[str, pd.Series] | None = None,
    may_be_remark: pd.Series | None = None,
    is_covered: pd.Series | None = None,
    written_once: Sequence[str] = (),
    is_fed_by: pd.Series | None = None,
) -> Reading:
    """Return the sale lines of a table, without remarks, its totals held against the lines they cover.

    Args:
        model: the contract.
        is_line: (n,) which rows are sale lines, as far as remarks are not looked at.
        is_total: (n,) which rows are subtotals or totals.
        amounts: columns whose printed totals are compared; a line has at least one of them.
        left_out: (n,) which rows are neither, by reason.
        may_be_remark: (n,) which rows may be remarks, where that is more than lines and what feeds them.
        is_covered: (n,) which rows the printed totals cover, where that is more than the sale lines.
        written_once: columns that are printed on the first row of a group, the outermost first.
        is_fed_by: (n,) which rows pass these on to the lines below, where that is more than the lines.
    """
    rows = with_amounts(table.lines, amounts)
    is_fed_by = is_line if is_fed_by is None else is_fed_by
    among = (is_line | is_fed_by) & ~is_total if may_be_remark is None else may_be_remark
    lone = lone_texts(rows, model, among, amounts, lines=is_line, is_grouped=bool(written_once))
    stands_alone = _at(rows, lone)
    is_line = is_line & ~stands_alone
    covered = is_line if is_covered is None else is_covered & ~stands_alone
    proven = proven_totals(
        rows, model, is_line, is_total, amounts, written_once=written_once, is_covered=covered
    )
    is_proven, is_statistic = _at(rows, proven.positions), _at(rows, proven.statistics)
    is_other = is_proven | is_statistic
    is_line, is_fed_by, covered = is_line & ~is_other, is_fed_by & ~is_other, covered & ~is_other
    is_total = (is_total | is_proven) & ~is_statistic
    headings = tell_headings(
        rows,
        lone,
        written_once,
        is_line=is_line.tolist(),
        is_fed_by=is_fed_by.tolist(),
        totals=total_names(rows, is_total),
        required={column.header for column in columns_of(model) if column.is_required},
    )
    is_fed_by = is_fed_by & ~_at(rows, headings.remarks)
    kinds = {column.header: column.kind for column in columns_of(model)}
    totals = printed_totals(
        rows, is_line, is_total, amounts, written_once, kinds=kinds, is_fed_by=is_fed_by, is_covered=covered
    )
    lines, printed_in = filled_lines(rows, is_line, is_fed_by, written_once)
    return Reading(
        lines,
        table.left_out
        | _counted(left_out or {}, stands_alone | is_other, headings.remarks, proven.statistics),
        agreed(totals, rows, proven.positions),
        [*table.problems, *proven.problems, *headings.problems],
        table.missing,
        {column: CellsAt(column, numbers) for column, numbers in printed_in.items()},
    )


def _counted(
    left_out: Mapping[str, pd.Series],
    is_other: pd.Series,
    remarks: Collection[int],
    statistics: Collection[int],
) -> dict[str, int]:
    """Return how many rows are left out for each reason, without remarks, totals and averages."""
    counts = {reason: int((rest & ~is_other).sum()) for reason, rest in left_out.items()}
    counts |= {REMARK: len(remarks), STATISTIC: len(statistics)}
    return {reason: count for reason, count in counts.items() if count}


def agreed(totals: Sequence[PrintedTotal], rows: pd.DataFrame, proven: Collection[int]) -> list[PrintedTotal]:
    """Return printed totals, of which those that are proven agree with the lines that prove them."""
    numbers = set(rows[ROW].to_numpy()[list(proven)].tolist())
    return [
        replace(total, computed=total.printed, covers="") if total.row in numbers else total
        for total in totals
    ]


def total_names(rows: pd.DataFrame, is_total: pd.Series) -> dict[int, list[str]]:
    """Return what each total row may be named after, by 0-based position."""
    positions = is_total.to_numpy().nonzero()[0].tolist()
    cells = rows[is_total].drop(columns=[SHEET, ROW]).to_numpy(dtype=object).tolist()
    labels = {position: total_label(row) for position, row in zip(positions, cells, strict=True)}
    return {position: names_in(label) for position, label in labels.items() if label}


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


def _at(rows: pd.DataFrame, positions: Collection[int]) -> pd.Series:
    """Return (n,) booleans: true at these positions."""
    found = np.zeros(len(rows), dtype=bool)
    found[list(positions)] = True
    return pd.Series(found, index=rows.index)
