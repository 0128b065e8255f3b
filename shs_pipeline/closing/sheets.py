"""Sections as sheets: values with their types, and sums as formulas that carry their result."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from shs_pipeline.closing.statement_layout import Column, Key, Section, Shape, Value, shown
from shs_pipeline.closing.statement_words import rate_shown
from shs_pipeline.file_reader.error_list import plain_text
from shs_pipeline.file_reader.same_bytes import bytes_of

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.cell.cell import Cell
    from openpyxl.worksheet.worksheet import Worksheet

_FORMATS: dict[Shape, str] = {
    "text": "@",
    "money": "#,##0.00",
    "rate": "0%",
    "month": "mmm yyyy",
    "day": "mmm d, yyyy",
    "tier": "0",
}
INK, GRAY, ACCENT, AMBER = "16232F", "5A6978", "23547F", "8A5A0B"
_WIDEST = 76
HEADER = 4
_LINE = 15
_HIGHEST = 400
_FORMULA = re.compile(r'(<c r="([A-Z]+[0-9]+)"[^>]*><f>[^<]*</f>)<v ?(?:/>|></v>)')


class Look(NamedTuple):
    """How a cell looks."""

    bold: bool = False
    size: int = 11
    colour: str = INK
    fill: str = ""
    number_format: str = "General"
    align: str = "left"
    wrap: bool = False
    is_header: bool = False
    is_total: bool = False


_PLAIN = Look()


@dataclass
class Book:
    """A workbook, and what its formulas come to.

    Attributes:
        header, footer: stand above and below each printed page.
        results: by name of the sheet and of the cell.
        totals: cells that other sheets refer to, by section.
    """

    book: Workbook
    header: str
    footer: str
    results: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    totals: dict[Key, str] = field(default_factory=dict)
    looks: dict[Look, Any] = field(default_factory=dict)

    def paint(self, cell: Cell, look: Look) -> None:
        """Give a cell its look; made once each, since a style costs far more than a cell."""
        if look not in self.looks:
            _paint(cell, look)
            self.looks[look] = cell._style
        cell._style = self.looks[look]

    def text(self, cell: Cell, text: str, look: Look = _PLAIN) -> None:
        """Write text: a name that begins with = is no formula, and #N/A no error."""
        cell.value = plain_text(text)
        cell.data_type = "s"
        self.paint(cell, look)

    def write(self, cell: Cell, value: Value, column: Column, *, is_total: bool = False) -> None:
        """Write a value as what it is, in the form in which it is shown everywhere."""
        if isinstance(value, str):
            self.text(cell, value, Look(is_total, wrap=len(value) > _WIDEST, is_total=is_total))
        elif value is not None:
            cell.value = value
            align = "right" if column.is_figure else "left"
            shape = _format(value, column)
            self.paint(cell, Look(is_total, number_format=shape, align=align, is_total=is_total))
        elif is_total:
            self.paint(cell, Look(is_total=True))

    def formula(self, cell: Cell, formula: str, result: Decimal) -> None:
        """Write a formula, rounded to the cent, with what it comes to."""
        cell.value = f"=ROUND({formula},2)"
        assert cell.parent is not None
        self.results[cell.parent.title, cell.coordinate] = result


# --- sections ------------------------------------------------------------------------------


def new_book(title: str, header: str, footer: str) -> Book:
    """Return a workbook without sheets."""
    from openpyxl import Workbook

    book = Workbook()
    del book[book.sheetnames[0]]
    book.properties.title = plain_text(title)
    book.properties.creator = "Sales Performance Tracker"
    return Book(book, header, footer)


def write_title(made: Book, sheet: Worksheet, row: int, section: Section) -> None:
    """Write the title of a section and the note below it."""
    made.text(sheet.cell(row, 1), section.title, Look(True, 13, ACCENT))
    made.text(sheet.cell(row + 1, 1), section.note, Look(colour=GRAY))


def write_section(made: Book, sheet: Worksheet, section: Section) -> None:
    """Fill a sheet with a section; its totals become sums."""
    write_title(made, sheet, 1, section)
    write_header(made, sheet, HEADER, section.columns)
    last = HEADER + len(section.rows)
    for number, row in enumerate(section.rows, start=HEADER + 1):
        for place, (value, column) in enumerate(zip(row, section.columns, strict=True), start=1):
            made.write(sheet.cell(number, place), value, column)
        longest = max((len(value) for value in row if isinstance(value, str)), default=0)
        if longest > _WIDEST:
            sheet.row_dimensions[number].height = min(_LINE * (longest // _WIDEST + 1), _HIGHEST)
    for total in section.totals:
        for place, (value, column) in enumerate(zip(total, section.columns, strict=True), start=1):
            cell = sheet.cell(last + 1, place)
            made.write(cell, value, column, is_total=True)
            if isinstance(value, Decimal):
                letter = cell.column_letter
                made.formula(cell, f"SUM({letter}{HEADER + 1}:{letter}{last})", value)
        made.totals[section.key] = f"{quoted(sheet.title)}!{cell.coordinate}"
    set_widths(sheet, [_width(section, place) for place in range(len(section.columns))])
    sheet.freeze_panes = sheet.cell(HEADER + 1, 1)
    if section.rows:
        sheet.auto_filter.ref = f"A{HEADER}:{sheet.cell(last, len(section.columns)).coordinate}"
    set_print(made, sheet, HEADER)


def quoted(title: str) -> str:
    """Return the name of a sheet as formulas spell it."""
    from openpyxl.utils import quote_sheetname

    return str(quote_sheetname(title))


# --- cells ---------------------------------------------------------------------------------


def _format(value: Value, column: Column) -> str:
    if column.shape == "rate" and isinstance(value, Decimal):
        digits = len(rate_shown(value).partition(".")[2].rstrip("%"))
        return f"0.{'0' * digits}%" if digits else "0%"
    return _FORMATS[column.shape]


def _paint(cell: Cell, look: Look) -> None:
    from openpyxl.styles import Alignment, Border, Font, PatternFill, Side

    cell.font = Font(name="Calibri", bold=look.bold, size=look.size, color=look.colour)
    cell.number_format = look.number_format
    # A day keeps its distance from an amount at its left.
    is_day = look.align == "left" and look.number_format != "General"
    cell.alignment = Alignment(horizontal=look.align, vertical="top", wrap_text=look.wrap, indent=int(is_day))
    if look.fill:
        cell.fill = PatternFill("solid", start_color=look.fill)
    line = Side("thin", color=GRAY)
    if look.is_header or look.is_total:
        cell.border = Border(bottom=line) if look.is_header else Border(top=line)


def write_header(made: Book, sheet: Worksheet, row: int, columns: Sequence[Column]) -> None:
    """Write the titles of the columns."""
    for place, column in enumerate(columns, start=1):
        align = "right" if column.is_figure else "left"
        shape = _FORMATS[column.shape] if column.shape in ("day", "month") else "General"
        look = Look(True, fill="DFEAF6", number_format=shape, align=align, is_header=True)
        made.text(sheet.cell(row, place), column.title, look)


def _width(section: Section, place: int) -> float:
    """Return how wide a column is; its header also has to hold the arrow of its filter."""
    column = section.columns[place]
    longest = max((len(shown(row[place], column)) for row in section.rows), default=0)
    totals = [len(shown(total[place], column if place else Column(""))) for total in section.totals]
    return min(max(longest + 2, len(column.title) + 5, *(total + 3 for total in totals), 9), _WIDEST)


def set_widths(sheet: Worksheet, widths: Sequence[float]) -> None:
    """Set the widths of the columns from the first on, in characters."""
    from openpyxl.utils import get_column_letter

    for place, width in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(place)].width = width


def set_print(made: Book, sheet: Worksheet, header: int | None) -> None:
    """Fit the sheet to the width of a page, with the statement, its receipt and the page's number."""
    sheet.sheet_view.showGridLines = False
    sheet.page_setup.orientation = "landscape" if header else "portrait"
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    if header:
        sheet.print_title_rows = f"{header}:{header}"
    # In headers and footers & begins a code.
    sheet.oddHeader.left.text = plain_text(made.header).replace("&", "&&")
    sheet.oddFooter.left.text = plain_text(made.footer).replace("&", "&&")
    sheet.oddFooter.right.text = "Page &P of &N"


# --- what formulas come to -----------------------------------------------------------------


def finished(made: Book) -> bytes:
    """Return a workbook as the same bytes every time, each formula with what it comes to.

    openpyxl leaves results to Excel, so that phones would show nothing.
    """
    content = bytes_of(made.book)
    names = {
        f"xl/worksheets/sheet{number}.xml": title
        for number, title in enumerate(made.book.sheetnames, start=1)
    }
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w") as archive:
        for member in source.infolist():
            data = source.read(member)
            if title := names.get(member.filename):
                data = _of_sheet(data.decode(), title, made.results).encode()
            archive.writestr(member, data)
    return target.getvalue()


def _of_sheet(xml: str, title: str, results: Mapping[tuple[str, str], Decimal]) -> str:
    return _FORMULA.sub(lambda found: f"{found[1]}<v>{results[title, found[2]]}</v>", xml)
