"""The sheet that lists what is wrong with a file, one problem per row."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from copy import copy
from functools import cache
from typing import TYPE_CHECKING, Any

from shs_pipeline.base.wording import count_of, form_for
from shs_pipeline.file_reader.error_places import Place
from shs_pipeline.files.reading import Problem

if TYPE_CHECKING:
    from openpyxl.cell.cell import Cell
    from openpyxl.worksheet.worksheet import Worksheet

HEADINGS = ("Severity", "Sheet", "Row", "Column", "Cell", "Value", "What is wrong", "How to fix it")
_WIDTHS = (10, 20, 8, 24, 9, 28, 56, 64)
HEADING_ROW = 5
_LINKED = 60_000  # A sheet of Excel holds 65,530 hyperlinks.
COLOURS = {"error": "FFFF9C9C", "warning": "FFFFE08A"}
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\n")


@cache
def fill_of(severity: str) -> Any:
    """Return the fill that stands for a severity."""
    from openpyxl.styles import PatternFill

    return PatternFill("solid", fgColor=COLOURS[severity])


def write_list(
    page: Worksheet,
    name: str,
    found: Sequence[tuple[Problem, Place | None]],
    unlisted: int,
    notes: Sequence[str],
) -> None:
    """Fill the sheet: what is wrong in all, then each problem with a link to its cell."""
    styles = _styles(page)
    problems = [problem for problem, _ in found]
    if unlisted > 0:
        more = f"{count_of(unlisted, 'more problem')} {form_for(unlisted, 'is', 'are')} not listed."
        notes = [*notes, f"{more} Fix these first."]
    summary = _summary(problems, unlisted)
    for row, (text, style) in enumerate(
        ((f"Errors in {name}", "title"), (summary, "text"), (" ".join(notes), "text")), start=1
    ):
        page.merge_cells(start_row=row, end_row=row, start_column=1, end_column=len(HEADINGS))
        _put(page.cell(row, 1), text, styles[style], styles[style])
        lines = math.ceil((len(text) or 1) / (0.8 * sum(_WIDTHS)))
        page.row_dimensions[row].height = (22 if row == 1 else 16) * lines
    for column, heading in enumerate(HEADINGS, start=1):
        _put(page.cell(HEADING_ROW, column), heading, styles["heading"], styles["heading"])
    for row, (problem, place) in enumerate(found, start=HEADING_ROW + 1):
        _write_problem(page, row, problem, place, styles)
    _lay_out(page, HEADING_ROW + len(problems))


def _write_problem(
    page: Worksheet, row: int, problem: Problem, place: Place | None, styles: Mapping[str, Any]
) -> None:
    from openpyxl.utils import get_column_letter, quote_sheetname
    from openpyxl.worksheet.hyperlink import Hyperlink

    coordinate = f"{get_column_letter(place.column)}{place.row}" if place else None
    texts = (
        problem.severity.capitalize(),
        problem.sheet,
        problem.row,
        problem.column,
        coordinate,
        problem.value,
        problem.problem,
        problem.remedy,
    )
    for column, text in enumerate(texts, start=1):
        cell = page.cell(row, column)
        if isinstance(text, int):
            cell.value, cell._style = text, styles["text"]
        else:
            _put(cell, text, styles["text"], styles["quoted"])
    page.cell(row, 1)._style = styles[problem.severity]
    if place is not None and row - HEADING_ROW <= _LINKED:
        cell = page.cell(row, 5)
        cell._style = styles["link"]
        cell.hyperlink = Hyperlink(ref="", location=f"{quote_sheetname(place.sheet)}!{coordinate}")


def _put(cell: Cell, text: str | None, style: Any, quoted: Any) -> None:
    """Write text as text, whatever it begins with: never as a formula, a number or an Excel error."""
    plain = plain_text(text) if text else None
    cell.value = plain
    if plain:
        cell.data_type = "s"
    cell._style = quoted if plain and plain.startswith(_FORMULA_STARTS) else style


def plain_text(text: str) -> str:
    """Return text that XML can hold and Excel shows as it is."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _ESCAPE.sub("_x005F_", _ILLEGAL.sub("\ufffd", text))


def _styles(page: Worksheet) -> dict[str, Any]:
    """Return the cell styles of the list, made once because a style costs far more than a cell."""
    from openpyxl.cell.cell import Cell
    from openpyxl.styles import Alignment, Font

    made = {}
    for name in ("text", "quoted", "title", "heading", "link", "error", "warning"):
        cell = Cell(page, row=1, column=1)
        cell.alignment = Alignment(wrap_text=True, vertical="center" if name == "heading" else "top")
        if name in COLOURS:
            cell.fill = fill_of(name)
        if name in ("title", "heading"):
            cell.font = Font(bold=True, size=14 if name == "title" else 11)
        if name == "link":
            cell.font = Font(color="FF0563C1", underline="single")
        cell.quotePrefix = name == "quoted"
        made[name] = copy(cell._style)
    return made


def _summary(problems: Sequence[Problem], unlisted: int) -> str:
    errors = sum(problem.severity == "error" for problem in problems)
    warned = len(problems) - errors
    counts = [
        count_of(count, what)
        for count, what in ((errors, "error"), (warned, "warning"))
        if count or (what == "error" and not warned)
    ]
    first = "Among the first problems: " if unlisted > 0 else ""
    if not errors:
        return f"{first}{' and '.join(counts)}. Rows with warnings still count."
    return (
        f"{first}{' and '.join(counts)}. No row of this file counts until every error is fixed. Correct the "
        "file, then drop it over the old one."
    )


def _lay_out(page: Worksheet, last_row: int) -> None:
    from openpyxl.utils import get_column_letter

    for column, width in enumerate(_WIDTHS, start=1):
        page.column_dimensions[get_column_letter(column)].width = width
    page.freeze_panes = page.cell(HEADING_ROW + 1, 1)
    page.auto_filter.ref = f"A{HEADING_ROW}:{get_column_letter(len(HEADINGS))}{last_row}"
    page.sheet_properties.tabColor = "FFC00000"
    page.print_title_rows = f"{HEADING_ROW}:{HEADING_ROW}"
    page.page_setup.orientation = "landscape"
    page.page_setup.fitToHeight = 0
    page.sheet_properties.pageSetUpPr.fitToPage = True
