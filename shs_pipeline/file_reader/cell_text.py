"""What the cells behind a sale line say, in the file's own words, and where they are.

The file is only read. If a cell is not in its line's own row (it is written once for a group, or on the
invoice's row), the source's reader knows which row it is in.

Looked at: openpyxl and calamine, which give a cell's value by address, but not what a merged range or a
formula without a result comes to here, nor the header by its names; xlformat and q2numfmt, which render
number formats, but are in their first release. So a cell is shown as the reader read it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from shs_pipeline.base.months import month_text
from shs_pipeline.files.reading import ROW, SHEET, Reading, SourceFile
from shs_pipeline.sources.registry import source_named

if TYPE_CHECKING:
    from shs_pipeline.files.source import Source

Place = tuple[str, int]
"""Sheet (or page) and row (or line of the page), as `source_sheet` and `source_row`."""

# What the company earns is computed where the file does not print it (staging models).
_COMPUTED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "quickbooks": (("purchase_price", "quantity"), "Amount line - Purchase price x Quantity"),
    "ternio": ((), "7 % of Paid"),
}


@dataclass(frozen=True)
class CellText:
    """A cell and its text.

    Attributes:
        column: its header.
        place: `O7` in the sheet of the line; empty for a printed line and for what is computed.
        text: what it holds; text in quotes, to tell it from a number.
        remark: where it stands apart from its line, and why.
    """

    column: str
    place: str
    text: str
    remark: str = ""


def cells_of(source: str, file: SourceFile, places: Collection[Place]) -> dict[Place, list[CellText]]:
    """Return the cells of some lines of a file; of those that are not there, nothing.

    Args:
        source: whose file it is.

    Raises:
        UnreadableFileError: the file cannot be read.
    """
    is_pdf = PurePosixPath(file.name).suffix.lower() == ".pdf"
    return _printed_lines(file, places) if is_pdf else _cells(source_named(source), file, places)


# --- PDF -----------------------------------------------------------------------------------


def _printed_lines(file: SourceFile, places: Collection[Place]) -> dict[Place, list[CellText]]:
    from shs_pipeline.supplier_pdf.coordinates import read_pages

    printed = {
        (page.sheet, line.number): line.text
        for page in read_pages(file.content, file.name)
        for line in page.lines
    }
    dated = CellText("Revenue date", "", "the month of the statement date, printed at the top")
    return {
        (sheet, row): [CellText("Printed line", "", printed[sheet, row]), dated]
        for sheet, row in places
        if (sheet, row) in printed
    }


# --- Excel ---------------------------------------------------------------------------------


def _cells(source: Source, file: SourceFile, places: Collection[Place]) -> dict[Place, list[CellText]]:
    reading = source.readers[PurePosixPath(file.name).suffix.lower()](file)
    position_of = {
        (sheet, int(row)): position
        for position, (sheet, row) in enumerate(zip(reading.lines[SHEET], reading.lines[ROW], strict=True))
    }
    grids: dict[str, _Grid] = {}
    found: dict[Place, list[CellText]] = {}
    for place in sorted(places):
        if place in position_of:
            grid = grids.setdefault(place[0], _Grid(file.content, place[0], source))
            found[place] = _line_cells(source, file, reading, grid, place[1], position_of[place])
    return found


def _line_cells(
    source: Source, file: SourceFile, reading: Reading, grid: _Grid, row: int, position: int
) -> list[CellText]:
    inputs, formula = _COMPUTED.get(source.name, ((), ""))
    # A folder that names the revenue month says it for lines without a date, or beats the date.
    is_month_given = file.revenue_month is not None and (
        source.given_month_wins or source.revenue_date is None or not _has_date(source, reading, position)
    )
    names = [*source.amounts, *inputs]
    if source.revenue_date is not None and not is_month_given:
        names.append(source.revenue_date)
    cells = [_cell(source, reading, grid, name, row, position) for name in names]
    if formula:
        cells.append(CellText("Earned", "", f"computed: {formula}"))
    if is_month_given and file.revenue_month is not None:
        month = month_text(file.revenue_month)
        cells.append(CellText("Revenue month", "", f"{month}, from the folder rev={month}"))
    return cells


def _has_date(source: Source, reading: Reading, position: int) -> bool:
    from shs_pipeline.casting.cells import is_blank

    header = _header(source, source.revenue_date or "")
    return header in reading.lines and not is_blank(reading.lines[header].iat[position])


def _cell(source: Source, reading: Reading, grid: _Grid, name: str, row: int, position: int) -> CellText:
    header = _header(source, name)
    at = reading.cells_at.get(header)
    stands_in = int(at.rows[position]) if at is not None else row
    place, text = grid.cell(at.header if at is not None else header, stands_in)
    remark = ""
    if stands_in < row:
        remark = f"written once in row {stands_in} for the rows below it"
    elif stands_in > row:
        remark = f"in row {stands_in}, which belongs to this line"
    return CellText(header, place, text, remark)


def _header(source: Source, name: str) -> str:
    from shs_pipeline.files.contract import columns_of

    return next((column.header for column in columns_of(source.rows) if column.name == name), name)


class _Grid:
    """All cells of a sheet, found by header and row."""

    def __init__(self, content: bytes, sheet: str, source: Source) -> None:
        from shs_pipeline.files.contract import headers_of
        from shs_pipeline.files.workbook.header import HeaderNames
        from shs_pipeline.files.workbook.table import read_sheet

        self._cells, rows = read_sheet(SourceFile(sheet, content), sheet)
        self._where = HeaderNames(headers_of(source.rows)).find(*rows).where

    def cell(self, header: str, row: int) -> tuple[str, str]:
        """Return address and text of a cell; row counts from 1."""
        if header not in self._where:
            return "", "not in the file"
        from shs_pipeline.files.workbook.places import address

        column = self._where[header]
        return address(row, column), _text(self._cells.cell(row, column))


def _text(cell: Any) -> str:
    from shs_pipeline.casting.cells import show

    if cell is None or cell == "":
        return "empty"
    return f"'{cell}'" if isinstance(cell, str) else show(cell)
