"""What the cells behind a sale line say, in the file's own words, and where they stand.

The file is only read. Where a cell stands elsewhere than in the row of its line (it is written once
for a group, or on the row of the invoice), the source's own reader knows in which row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from shs_pipeline.errors import UnreadableFileError
from shs_pipeline.months import month_text
from shs_pipeline.reading import ROW, SHEET, Reading, SourceFile
from shs_pipeline.sources import source_named

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.file_reader.reader import FileReader
    from shs_pipeline.landing import Landing
    from shs_pipeline.source import Source

Place = tuple[str, int]
"""Sheet (or page) and row (or line of the page), as `source_sheet` and `source_row`."""

# What the company earns is computed where the file does not print it (staging models).
_COMPUTED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "quickbooks": (("purchase_price", "quantity"), "Amount line - Purchase price x Quantity"),
    "ternio": ((), "7 % of Paid"),
}


@dataclass(frozen=True)
class LoadedFile:
    """A file as it was when its lines were loaded; `revenue_month` is the one that its folder names."""

    file_id: int
    source: str
    path: str
    sha256: str
    revenue_month: date | None
    loaded_at: datetime


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


@dataclass(frozen=True)
class FileText:
    """The cells of some lines of a file.

    Attributes:
        trouble: a sentence, if the file is not as it was loaded or cannot be read; else empty.
        cells: of each line that was found.
    """

    trouble: str = ""
    cells: Mapping[Place, Sequence[CellText]] = field(default_factory=dict)


def loaded_files(connection: psycopg.Connection, file_ids: Collection[int]) -> list[LoadedFile]:
    """Return what the books know of some files."""
    rows = connection.execute(
        "select file_id, source, path, sha256, revenue_month, finished from ops.files"
        " where file_id = any(%s) order by path",
        [list(file_ids)],
    )
    return [LoadedFile(*row) for row in rows]


def read_cell_texts(
    landing: Landing, reader: FileReader, file: LoadedFile, places: Collection[Place]
) -> FileText:
    """Read the cells of some lines of a file in the landing zone.

    Raises:
        ShsError: the landing zone cannot be reached.
    """
    content = landing.read(file.path)
    if content is None:
        return FileText(f"{file.path} is no longer in the landing zone, so its cells cannot be shown.")
    trouble = ""
    if sha256(content).hexdigest() != file.sha256:
        trouble = (
            f"{file.path} has changed since it was loaded on {file.loaded_at:%Y-%m-%d %H:%M} UTC: "
            "the cells are those of today's file, not those that were paid."
        )
    named = SourceFile(PurePosixPath(file.path).name, content, file.revenue_month)
    try:
        return FileText(trouble, reader.cells(file.source, named, places))
    except UnreadableFileError as error:
        return FileText(f"{trouble} {error.problem}".strip())


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
    from shs_pipeline.statement_pdf.coordinates import read_pages

    printed = {
        (page.sheet, line.number): line.text
        for page in read_pages(file.content, file.name)
        for line in page.lines
    }
    dated = CellText("Revenue date", "", "the month of the statement's date, which is printed at its head")
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
        cells.append(CellText("Revenue month", "", f"{month}, named by the folder rev={month}"))
    return cells


def _has_date(source: Source, reading: Reading, position: int) -> bool:
    from shs_pipeline.casting import is_blank

    header = _header(source, source.revenue_date or "")
    return header in reading.lines and not is_blank(reading.lines[header].iat[position])


def _cell(source: Source, reading: Reading, grid: _Grid, name: str, row: int, position: int) -> CellText:
    header = _header(source, name)
    at = reading.cells_at.get(header)
    stands_in = int(at.rows[position]) if at is not None else row
    place, text = grid.cell(at.header if at is not None else header, stands_in)
    remark = ""
    if stands_in < row:
        remark = f"written once in row {stands_in}, for the rows below it"
    elif stands_in > row:
        remark = f"in row {stands_in}, which belongs to this line"
    return CellText(header, place, text, remark)


def _header(source: Source, name: str) -> str:
    from shs_pipeline.contract import columns_of

    return next((column.header for column in columns_of(source.rows) if column.name == name), name)


class _Grid:
    """All cells of a sheet, found by header and row."""

    def __init__(self, content: bytes, sheet: str, source: Source) -> None:
        from shs_pipeline.contract import headers_of
        from shs_pipeline.workbook import HeaderNames, read_sheet

        self._cells, rows = read_sheet(SourceFile(sheet, content), sheet)
        self._where = HeaderNames(headers_of(source.rows)).find(*rows).where

    def cell(self, header: str, row: int) -> tuple[str, str]:
        """Return address and text of a cell; row counts from 1."""
        if header not in self._where:
            return "", "not in the file"
        column = self._where[header]
        return f"{_letters(column)}{row}", _text(self._cells.cell(row, column))


def _letters(column: int) -> str:
    """Return the letters of a column that counts from 0."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _text(cell: Any) -> str:
    from shs_pipeline.casting import show

    if cell is None or cell == "":
        return "empty"
    return f"'{cell}'" if isinstance(cell, str) else show(cell)
