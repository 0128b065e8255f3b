"""One statement from bytes to rows: pages, heading, date, readings, and which of them is taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import UnreadableFileError
from shs_pipeline.files.reading import ROW, SHEET, Problem, Reading, SourceFile
from shs_pipeline.supplier_pdf import coordinates
from shs_pipeline.supplier_pdf.coordinates import SEND_PIVOT
from shs_pipeline.supplier_pdf.heading import Heading
from shs_pipeline.supplier_pdf.printed import (
    DELIVERED_COLUMNS,
    INVOICE,
    ITEM,
    RATE,
    STATEMENT_DATE,
    PrintedPage,
    Sale,
    rate_of,
    sheet_of,
)
from shs_pipeline.supplier_pdf.proof import prove
from shs_pipeline.supplier_pdf.statement_date import statement_month
from shs_pipeline.supplier_pdf.tables import find_headings

if TYPE_CHECKING:
    import pandas as pd

_MOST_UNREADABLE = 0.02  # of the characters


def read_statement(file: SourceFile) -> Reading:
    """Read one Summit Medical statement.

    Args:
        file: the PDF as dropped.

    Returns:
        Lines with the columns of `DELIVERED_COLUMNS` (amounts as decimals, all else as text) and
        `Statement Date` (first of the statement's month), none when the file is rejected;
        `lines.attrs["reader"]` names the reader that was taken.

    Raises:
        UnreadableFileError: not a PDF, damaged, locked, without text, or no commission statement.
    """
    pages = coordinates.read_pages(file.content, file.name)
    _check_text(pages, file.name)
    headings = find_headings(pages)
    _check_headings(pages, headings, file.name)
    month, problems = statement_month(pages, {number: item.first_line for number, item in headings.items()})
    problems += [
        Problem("The page is a picture without text, like a scan.", SEND_PIVOT, page.sheet)
        for page in pages
        if page.has_picture
    ]
    proven = prove(file.content, pages, headings)
    problems += proven.problems
    is_rejected = any(problem.severity == "error" for problem in problems)
    return Reading(
        lines=_frame(() if is_rejected else proven.statement.sales, month, proven.reader),
        left_out=dict(proven.statement.left_out),
        totals=proven.totals,
        problems=problems,
    )


def _check_text(pages: Sequence[PrintedPage], name: str) -> None:
    """Reject a file whose pages hold no text, or text that no program can read."""
    if not any(page.lines for page in pages):
        if any(page.has_picture for page in pages):
            problem = f"{name} contains pictures of pages but no text, like a scan."
        else:
            problem = f"{name} contains no text: its pages are empty."
        raise UnreadableFileError(problem, f"Drop the original PDF, not a scan of it. {SEND_PIVOT}")
    count = sum(len(run.text) for page in pages for line in page.lines for run in line.runs)
    if sum(page.unreadable for page in pages) > _MOST_UNREADABLE * count:
        raise UnreadableFileError(
            f"{name} cannot be read as text: its fonts lack the table that says which letters they print.",
            SEND_PIVOT,
        )


def _check_headings(pages: Sequence[PrintedPage], headings: dict[int, Heading], name: str) -> None:
    """Reject a file without a whole heading: nothing else that could be said of it would be the cause."""
    if any(not heading.missing for heading in headings.values()):
        return
    expected = "Name, Invoice #, Item ID, Net Sales Amount, Comm Rate, Comm $"
    if not headings:
        raise UnreadableFileError(
            f"{name} has no column heading ({expected}), so it is not a commission statement in a known "
            "layout.",
            f"Check that it is the right file. {SEND_PIVOT}",
        )
    number, heading = min(headings.items(), key=lambda item: len(item[1].missing))
    lines = pages[number - 1].lines[heading.first_line : heading.end]
    shown = " / ".join(line.text for line in lines)
    raise UnreadableFileError(
        f"{name}, {sheet_of(number)}, row {lines[0].number}: the column heading ({shown}) has no column for "
        f"{' and '.join(heading.missing)}; expected are {expected}.",
        SEND_PIVOT,
    )


def _frame(sales: Sequence[Sale], month: date | None, reader: str) -> pd.DataFrame:
    import pandas as pd

    header = [SHEET, ROW, *DELIVERED_COLUMNS, STATEMENT_DATE]
    rows = []
    for sale in sales:
        line = sale.line
        rate = rate_of(line[RATE], sale.net_sales, sale.commission)
        place = (sheet_of(line.page), line.line)
        texts = (sale.client, sale.state, sale.zip_code, line[INVOICE], line[ITEM] or None, rate)
        rows.append((*place, *texts, sale.net_sales, sale.commission, month))
    lines = pd.DataFrame(rows, columns=header, dtype=object)
    lines.attrs["reader"] = reader
    return lines
