"""Reference tables as workbooks that an admin edits and drops again.

What is exported and read again gives the same rows: numbers that Excel cannot hold exactly are
written as text, and text is never taken for a formula, a number or a date.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from shs_pipeline.casting.cells import exact, match_key
from shs_pipeline.casting.kinds import Kind
from shs_pipeline.files.contract import Column, columns_of
from shs_pipeline.reference.registry import all_tables
from shs_pipeline.reference.seal import sealed
from shs_pipeline.reference.sheet import PROPOSED

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.cell.cell import Cell
    from openpyxl.worksheet.worksheet import Worksheet

    from shs_pipeline.files.source import ReferenceTable

LISTS = "Lists"
"""Name of the hidden sheet of drop-down values: a list inside a cell's rule ends at 255 characters."""

_PROPOSED_HEADER = 4

_FORMATS: Mapping[Kind, str] = {
    "text": "@",
    "identifier": "@",
    "zip": "@",
    "amount": '"$"#,##0.00',
    "quantity": "General",
    "rate": "0.00%",
    "share": "0.00%",
    "whole": "0",
    "day": "mm/dd/yyyy",
    "flag": "@",
}
_PERCENT_DECIMALS = 2
_LAST_ROW = 1_048_576
_NARROWEST, _WIDEST, _EXTRA_WIDTH = 12, 48, 18
# XML holds no such characters.
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# Excel reads _x0041_ in a text as A.
_LIKE_AN_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")


Rows = Sequence[Mapping[str, object]]


def workbooks_of(current: Mapping[str, Rows], proposed: Mapping[str, Rows]) -> dict[str, bytes]:
    """Return the workbook of each reference table, by table; the same bytes for the same rows.

    Args:
        current: rows of all reference tables, by table and then by database name of the column.
        proposed: rows that tables lack, by table and then by heading of the column.
    """
    return {
        table.name: sealed(
            table.name,
            export_workbook(
                table, current[table.name], choices_of(table, current), proposed.get(table.name, ())
            ),
        )
        for table in all_tables()
    }


def choices_of(
    table: ReferenceTable, current: Mapping[str, Sequence[Mapping[str, object]]]
) -> dict[str, list[str]]:
    """Return the values of each drop-down list of a table.

    Args:
        current: rows of all reference tables, by table and then by database name of the column.

    Returns:
        values by database name of the column: the only ones there are in their own order, those of
        other tables sorted, each once whatever its case.
    """
    choices = {name: list(values) for name, values in table.choices.items()}
    for name, places in table.suggestions.items():
        found: dict[str, str] = {}
        for place in places:
            other, _, column = place.partition(".")
            for row in current.get(other, ()):
                if value := row.get(column):
                    found.setdefault(match_key(str(value)), str(value))
        choices[name] = [found[key] for key in sorted(found)]
    return choices


def export_workbook(
    table: ReferenceTable, rows: Rows, choices: Mapping[str, Sequence[str]], proposed: Rows = ()
) -> bytes:
    """Make the workbook of a reference table.

    Args:
        rows: values as the contract gives them, by database name.
        choices: values of the drop-down lists, by database name of the column (`choices_of`).
        proposed: rows that the table lacks, by heading, for a second sheet; days as `YYYY-MM-DD`. A heading
            that is none of the table's is a column at the right.

    Returns:
        the bytes of an `.xlsx` file which the table's own reader reads to the same rows.
    """
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = table.title
    columns = columns_of(table.rows)
    _write_header(sheet, columns, 1)
    for number, row in enumerate(rows, start=2):
        for place, column in enumerate(columns, start=1):
            if (value := row.get(column.name)) is not None:
                _write(sheet.cell(number, place), value, column.kind)
    _set_widths(sheet, columns, 1)
    sheets = {sheet: 1}
    if proposed:
        sheets[_propose(book, table, proposed)] = _PROPOSED_HEADER
    _add_lists(book, sheets, table, choices)
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = f"A1:{sheet.cell(len(rows) + 1, len(columns)).coordinate}"
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _propose(book: Workbook, table: ReferenceTable, proposed: Rows) -> Worksheet:
    """Write the rows that the table lacks; what a person must fill in is marked."""
    from openpyxl.styles import Font, PatternFill
    from openpyxl.utils import get_column_letter

    sheet = book.create_sheet(PROPOSED)
    columns = columns_of(table.rows)
    others = [name for name in proposed[0] if name not in {column.header for column in columns}]
    _write_text(sheet.cell(1, 1), "Rows that are missing, most money first")
    sheet.cell(1, 1).font = Font(name="Calibri", bold=True, size=14)
    _write_text(
        sheet.cell(2, 1),
        "Fill in the yellow cells. A row counts once they all are; the others are passed over. Save the "
        f"workbook as reference/{table.name}.xlsx.",
    )
    _write_header(sheet, columns, _PROPOSED_HEADER)
    for place, name in enumerate(others, start=len(columns) + 1):
        _write_text(sheet.cell(_PROPOSED_HEADER, place), name)
    for number, row in enumerate(proposed, start=_PROPOSED_HEADER + 1):
        for place, column in enumerate(columns, start=1):
            value, cell = row.get(column.header), sheet.cell(number, place)
            if value is not None:
                _write(cell, date.fromisoformat(str(value)) if column.kind == "day" else value, column.kind)
            elif column.is_required:
                cell.fill = PatternFill("solid", start_color="FFF2B3")
                cell.number_format = _FORMATS[column.kind]
        for place, name in enumerate(others, start=len(columns) + 1):
            if (value := row.get(name)) is not None:
                _write(sheet.cell(number, place), value, "amount")
    _set_widths(sheet, columns, _PROPOSED_HEADER)
    for place in range(len(columns) + 1, len(columns) + len(others) + 1):
        sheet.column_dimensions[get_column_letter(place)].width = _EXTRA_WIDTH
    sheet.freeze_panes = sheet.cell(_PROPOSED_HEADER + 1, 1)
    sheet.sheet_properties.tabColor = "E0A800"
    return sheet


def _write_header(sheet: Worksheet, columns: Sequence[Column], row: int) -> None:
    from openpyxl.comments import Comment
    from openpyxl.styles import Font, PatternFill

    for place, column in enumerate(columns, start=1):
        cell = sheet.cell(row, place)
        _write_text(cell, column.header)
        cell.font = Font(name="Calibri", bold=True)
        cell.fill = PatternFill("solid", start_color="DDE6F0")
        may = "" if column.is_required else "\nMay be blank."
        cell.comment = Comment(f"{column.description}{may}", "shs", height=110, width=280)


def _write(cell: Cell, value: object, kind: Kind) -> None:
    """Put a value of the contract into a cell, with the number format of its kind."""
    number_format = _FORMATS[kind]
    if isinstance(value, bool):
        _write_text(cell, "Yes" if value else "No")
    elif isinstance(value, Decimal):
        number = float(value)
        if exact(number) == value:
            cell.value = number
        else:
            _write_text(cell, format(value, "f"))
        if kind in ("rate", "share"):
            number_format = _percent_format(value)
    elif isinstance(value, (int, date)):
        cell.value = value
    else:
        _write_text(cell, str(value))
    cell.number_format = number_format


def _write_text(cell: Cell, text: str) -> None:
    cell.value = _LIKE_AN_ESCAPE.sub("_x005F_", _UNWRITABLE.sub("", text))
    # openpyxl takes what begins with = for a formula, and #N/A for an error.
    cell.data_type = "s"


def _percent_format(share: Decimal) -> str:
    """Return a format that shows all decimals of a percentage, and at least two."""
    exponent = share.normalize().as_tuple().exponent
    decimals = -exponent - 2 if isinstance(exponent, int) else 0
    return f"0.{'0' * max(_PERCENT_DECIMALS, decimals)}%"


def _set_widths(sheet: Worksheet, columns: Sequence[Column], header: int) -> None:
    """Make columns as wide as their cells, and give cells still to be filled the format of their column."""
    from openpyxl.utils import get_column_letter

    for place, column in enumerate(columns, start=1):
        cells: list[Any] = [
            cell for (cell,) in sheet.iter_rows(header + 1, sheet.max_row, place, place, values_only=True)
        ]
        longest = max((len(str(cell)) for cell in cells if cell is not None), default=0)
        dimension = sheet.column_dimensions[get_column_letter(place)]
        # The header also has to hold the arrow of its filter.
        dimension.width = min(max(longest + 2, len(column.header) + 5, _NARROWEST), _WIDEST)
        dimension.number_format = _FORMATS[column.kind]


def _add_lists(
    book: Workbook,
    sheets: Mapping[Worksheet, int],
    table: ReferenceTable,
    choices: Mapping[str, Sequence[str]],
) -> None:
    """Add the drop-down lists; those of a fixed choice refuse other values, the others only ask.

    Args:
        sheets: those that get the lists, with the row of the header.
    """
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    lists = book.create_sheet(LISTS)
    lists.sheet_state = "hidden"
    columns = columns_of(table.rows)
    letters = {column.name: get_column_letter(place) for place, column in enumerate(columns, start=1)}
    for place, column in enumerate((c for c in columns if choices.get(c.name)), start=1):
        values = choices[column.name]
        is_fixed = column.name in table.choices
        # By its own heading the list would look like the table itself.
        for number, value in enumerate((f"Values of {column.header}", *values), start=1):
            _write_text(lists.cell(number, place), value)
        letter, target = get_column_letter(place), letters[column.name]
        for sheet, header in sheets.items():
            rule = DataValidation(
                type="list",
                formula1=f"{LISTS}!${letter}$2:${letter}${len(values) + 1}",
                sqref=f"{target}{header + 1}:{target}{_LAST_ROW}",
                allow_blank=not column.is_required,
                showErrorMessage=True,
                errorStyle="stop" if is_fixed else "warning",
                errorTitle=column.header,
                error="Choose a value from the list." if is_fixed else "This value is not in the list yet.",
            )
            sheet.add_data_validation(rule)
