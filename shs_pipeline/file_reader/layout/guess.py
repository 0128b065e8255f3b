"""From the bytes of a workbook to its layout; runs in the reading process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import PurePosixPath

import pandas as pd

from shs_pipeline.base.errors import UnreadableFileError
from shs_pipeline.casting.cells import is_blank, show
from shs_pipeline.casting.columns import cast_cells
from shs_pipeline.casting.kinds import Kind
from shs_pipeline.file_reader.layout.heading import find_header
from shs_pipeline.file_reader.layout.kinds import kind_of
from shs_pipeline.file_reader.layout.model import GuessedColumn, GuessedRole, Layout
from shs_pipeline.file_reader.layout.roles import guess_roles
from shs_pipeline.file_reader.layout.rows import (
    RowKind,
    full_rows,
    grouped_columns,
    sort_rows,
    with_proven_totals,
)
from shs_pipeline.files.contract import LONGEST_NAME
from shs_pipeline.files.reading import SourceFile
from shs_pipeline.files.workbook.archive import check_is_workbook
from shs_pipeline.files.workbook.table import read_table

_BY_HAND = "or run the command without --from and write the columns by hand."
_INSTEAD = {
    ".pdf": "Ask the supplier for the same report as an Excel workbook, " + _BY_HAND,
    ".csv": "Open it in Excel, format columns of numbers and zip codes as Text, save it as .xlsx, "
    + _BY_HAND,
    ".xls": "Save it in Excel as .xlsx, " + _BY_HAND,
    ".xlsm": "Save it in Excel as .xlsx, without its macros.",
}
_MOST_RATES = 4


def guess_layout(file: SourceFile, max_bytes: int) -> Layout:
    """Return what a workbook of an unknown source looks like.

    Args:
        max_bytes: size limit of a file.

    Raises:
        UnreadableFileError: not a workbook, no header, no line, or no column of dollars.
    """
    _check_can_be_guessed(file, max_bytes)
    header = find_header(file)
    headings = list(header.headings.values())
    table = read_table(file, headings)
    rows = table.lines
    kinds = _kinds_of(full_rows(rows), headings)
    roles = guess_roles(full_rows(rows), {name: kind for name, (kind, _, _) in kinds.items()})
    plain_kinds = {name: kind for name, (kind, _, _) in kinds.items()}
    keys = [roles[role].header for role in ("invoice", "date", "item") if role in roles]
    _check_is_report(file, plain_kinds)
    sold = cast_cells(rows[roles["sales"].header].tolist(), "amount")[0]

    def sort(grouped: Sequence[str] = ()) -> list[RowKind]:
        return with_proven_totals(sort_rows(rows, plain_kinds, keys, grouped), sold)

    grouped = _grouped(rows, sort(), plain_kinds, roles)
    sorted_rows = sort(grouped)
    lines = rows[[kind == "line" for kind in sorted_rows]]
    if lines.empty:
        raise UnreadableFileError(
            f"{file.name} has no lines below its header.", "Use the file of a month with sales."
        )
    columns = _columns(lines, header.headings, kinds, grouped)
    counts = Counter(sorted_rows)
    return Layout(
        sheet=table.sheet,
        header_row=table.header_row,
        columns=columns,
        roles=roles,
        lines=counts["line"],
        totals=counts["total"],
        plain_totals=counts["plain total"],
        others=counts["heading"] + counts["other"],
        has_headings=counts["heading"] > 0 and bool(grouped),
        rates=_rates(lines, roles.get("rate")),
        left_out=header.left_out,
    )


def _check_can_be_guessed(file: SourceFile, max_bytes: int) -> None:
    extension = PurePosixPath(file.name).suffix.lower()
    if extension != ".xlsx":
        raise UnreadableFileError(
            f"{file.name} is not an .xlsx workbook; columns can only be guessed from one.",
            _INSTEAD.get(extension, "Save it as .xlsx, " + _BY_HAND),
        )
    if not file.content:
        raise UnreadableFileError(f"{file.name} is empty (0 bytes).", "Export it again.")
    if len(file.content) > max_bytes:
        raise UnreadableFileError(
            f"{file.name} is larger than the limit of {max_bytes / 2**20:.0f} MB.",
            "Keep a few hundred of its lines, which is enough to guess from, and try again.",
        )
    check_is_workbook(file, max_bytes)


def _check_is_report(file: SourceFile, kinds: Mapping[str, Kind]) -> None:
    if "amount" not in kinds.values():
        listed = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        raise UnreadableFileError(
            f"{file.name}: no column contains dollar amounts, so it is not a sales report: {listed}.",
            "Check that the right sheet comes first, or run without --from and write the columns by hand.",
        )


def _kinds_of(rows: pd.DataFrame, headings: Sequence[str]) -> dict[str, tuple[Kind, int, str]]:
    return {
        name: kind_of(name, [cell for cell in rows[name].tolist() if not is_blank(cell)]) for name in headings
    }


def _grouped(
    rows: pd.DataFrame,
    sorted_rows: Sequence[RowKind],
    kinds: Mapping[str, Kind],
    roles: Mapping[str, GuessedRole],
) -> list[str]:
    texts = [name for name, kind in kinds.items() if kind in ("text", "identifier", "zip", "day")]
    always = {
        roles[role].header for role in ("customer", "customer_name", "invoice", "date") if role in roles
    }
    return grouped_columns(rows, sorted_rows, texts, always)


def _columns(
    lines: pd.DataFrame,
    headings: Mapping[int, str],
    kinds: Mapping[str, tuple[Kind, int, str]],
    grouped: Collection[str],
) -> tuple[GuessedColumn, ...]:
    found = []
    for position, name in headings.items():
        kind, _, because = kinds[name]
        cells = [cell for cell in lines[name].tolist() if not is_blank(cell)]
        column = GuessedColumn(
            name, position, kind, len(cells), len(cells) - len(cast_cells(cells, kind)[1]), because
        )
        found.append(
            replace(
                column,
                is_grouped=name in grouped,
                is_blank=len(cells) < len(lines) and name not in grouped,
                is_long=kind == "text" and any(len(show(cell)) > LONGEST_NAME // 3 for cell in cells),
            )
        )
    return tuple(found)


def _rates(lines: pd.DataFrame, rate: GuessedRole | None) -> tuple[str, ...]:
    if rate is None:
        return ()
    factors = [factor for factor in cast_cells(lines[rate.header].tolist(), "rate")[0] if factor]
    return tuple(str(Decimal(factor)) for factor, _ in Counter(factors).most_common(_MOST_RATES))
