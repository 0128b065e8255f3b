"""`START HERE.xlsx` itself: a to-do list, and a sheet for each thing that it points to.

There are no formulas, and dates and amounts are values with formats that every language of Excel knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from shs_pipeline.base.wording import shown_address
from shs_pipeline.closing.sheets import (
    ACCENT,
    GRAY,
    INK,
    Book,
    Look,
    new_book,
    set_print,
    set_widths,
    write_header,
)
from shs_pipeline.file_reader.same_bytes import bytes_of
from shs_pipeline.landing.places import CURRENT, INCOMING, REFERENCE, START_HERE
from shs_pipeline.reference.seal import mark, sealed
from shs_pipeline.system.start_here.facts import Facts
from shs_pipeline.system.start_here.pages import DETAILS, SHEETS, TO_DO, Page
from shs_pipeline.system.start_here.to_do import (
    ODD,
    REJECTED_FILES,
    ROWS,
)

if TYPE_CHECKING:
    from openpyxl.cell.cell import Cell
    from openpyxl.worksheet.worksheet import Worksheet

_HEADER = 4
_LINE, _MOST_LINES = 15.0, 25
_FILLS = {
    "loaded": "DDEFE0", "rejected": "F8D0CC", "missing": "F8D0CC",
    "loaded; a newer file is rejected": "FCE9C8",
    "holds it up": "F8D0CC", "to settle": "FCE9C8", "settle or note": "FCE9C8",
}  # fmt: skip


def workbook(facts: Facts, found: Sequence[Page], at: datetime) -> bytes:
    """Return the workbook with its seal.

    Args:
        at: when it is written.
    """
    made = new_book("START HERE", "START HERE", f"{at:%Y-%m-%d %H:%M} UTC")
    number = f", publication {facts.publication.publication_id}" if facts.publication else ""
    note = (
        f"As of {at:%Y-%m-%d %H:%M} UTC{number}. The system rewrites this workbook whenever something "
        "changes; nothing typed here is read or kept."
    )
    for name, page in zip(SHEETS, [replace(found[0], note=note), *found[1:]], strict=True):
        sheet = made.book.create_sheet(name)
        _write(made, sheet, page)
        _set_colour(sheet, page)
    _add_help(made, made.book[TO_DO], facts)
    mark(made.book)
    return sealed(START_HERE, bytes_of(made.book))


def _write(made: Book, sheet: Worksheet, page: Page) -> None:
    made.text(sheet.cell(1, 1), page.title, Look(True, 16, ACCENT))
    sheet.row_dimensions[1].height = 2 * _LINE
    made.text(sheet.cell(2, 1), page.note, Look(colour=GRAY))
    write_header(made, sheet, _HEADER, page.columns)
    for number, row in enumerate(page.rows, start=_HEADER + 1):
        lines = 1
        for place, (value, column) in enumerate(zip(row, page.columns, strict=True), start=1):
            cell = sheet.cell(number, place)
            if isinstance(value, str):
                is_link = column.title == DETAILS and bool(value)
                colour = ACCENT if is_link else INK
                made.text(cell, value, Look(colour=colour, fill=_FILLS.get(value, ""), wrap=True))
                if is_link:
                    _link(cell, value)
                # A character of a proportional font is narrower than the width says; words leave gaps.
                lines = max(lines, -(-len(value) // max(page.widths[place - 1] - 2, 1)))
            else:
                made.write(cell, value, column)
        sheet.row_dimensions[number].height = _LINE * min(lines, _MOST_LINES) + 3
    if not page.rows and page.empty:
        made.text(sheet.cell(_HEADER + 1, 1), page.empty)
    set_widths(sheet, page.widths)
    sheet.freeze_panes = sheet.cell(_HEADER + 1, 1)
    if page.rows:
        last = sheet.cell(_HEADER + len(page.rows), len(page.columns)).coordinate
        sheet.auto_filter.ref = f"A{_HEADER}:{last}"
    set_print(made, sheet, _HEADER)


def _set_colour(sheet: Worksheet, page: Page) -> None:
    if sheet.title in (TO_DO, REJECTED_FILES, ROWS, ODD):
        sheet.sheet_properties.tabColor = "C0392B" if page.rows else "3C8D5A"


def _link(cell: Cell, sheet: str) -> None:
    from openpyxl.utils import quote_sheetname
    from openpyxl.worksheet.hyperlink import Hyperlink

    cell.hyperlink = Hyperlink(ref=cell.coordinate, location=f"{quote_sheetname(sheet)}!A1")


def _add_help(made: Book, sheet: Worksheet, facts: Facts) -> None:
    """Say below the list what the folders of the bucket are for."""
    row = sheet.max_row + 2
    made.text(sheet.cell(row, 2), "What the folders are for", Look(True, 13, ACCENT))
    sheet.row_dimensions[row].height = 2 * _LINE
    for place, (folder, words) in enumerate(_folders(facts), start=row + 1):
        made.text(sheet.cell(place, 2), folder, Look(True))
        made.text(sheet.cell(place, 3), words, Look(wrap=True))
        sheet.row_dimensions[place].height = _LINE * (1 + len(words) // 82) + 3


def _folders(facts: Facts) -> Iterable[tuple[str, str]]:
    yield "This folder", shown_address(facts.landing)
    yield (
        f"{INCOMING}/<source>/<YYYY-MM>/",
        "The suppliers' files, exactly as they arrived. Drop a corrected file under its old name.",
    )
    yield (
        f"{REFERENCE}/",
        "The reference workbooks: reps, rates, thresholds, objectives, customers, pay periods.",
    )
    yield (
        f"{CURRENT}/",
        f"A copy of each workbook in force. Edit it and save it one folder up, in {REFERENCE}/.",
    )
    yield "rejected/", "For each rejected file a workbook with every error marked."
    yield "paid/", "What closed months paid: statements, payroll, ledger. Never change anything here."
