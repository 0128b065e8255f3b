"""One statement from bytes to rows: pages, date, two readings, and which of them is taken."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from shs_pipeline.errors import UnreadableFileError
from shs_pipeline.reading import ROW, SHEET, PrintedTotal, Problem, Reading, SourceFile
from shs_pipeline.statement_pdf import camelot_reader, coordinates
from shs_pipeline.statement_pdf.assembly import ASK_SUPPLIER, assemble
from shs_pipeline.statement_pdf.columns import Columns, find_columns
from shs_pipeline.statement_pdf.printed import (
    CELL_COLUMNS,
    CLIENT,
    DELIVERED_COLUMNS,
    STATE,
    STATEMENT_DATE,
    ZIP_CODE,
    CellLine,
    PrintedPage,
    Sale,
    Statement,
    sheet_of,
)
from shs_pipeline.statement_pdf.statement_date import statement_month
from shs_pipeline.statement_pdf.tie_out import AMOUNT_COLUMNS, TieOut

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 20  # places listed one by one before the rest is counted


@dataclass
class ReaderResult:
    """What one reader made of the statement, and whether that can be trusted.

    Attributes:
        name: the reader, for messages.
        failure: why there is no reading at all, else blank.
    """

    name: str
    statement: Statement = field(default_factory=Statement)
    totals: list[PrintedTotal] = field(default_factory=list)
    total_problems: list[Problem] = field(default_factory=list)
    sums: str = "nothing"
    failure: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether every line was understood and every printed total agrees."""
        return (
            not self.failure
            and not self.statement.problems
            and all(total.agrees for total in self.totals)
            and not any(problem.severity == "error" for problem in self.total_problems)
        )


def read_statement(file: SourceFile) -> Reading:
    """Read one Summit Medical statement.

    Args:
        file: the PDF as dropped.

    Returns:
        Lines with the columns of `DELIVERED_COLUMNS` (text as printed) and `Statement Date` (first
        of the statement's month), none when the file is rejected; `lines.attrs["reader"]` names the
        reader that was taken.

    Raises:
        UnreadableFileError: not a PDF, damaged, locked with a password, or only pictures of pages.
    """
    pages = coordinates.read_pages(file.content, file.name)
    if not any(page.lines for page in pages):
        raise UnreadableFileError(
            f"{file.name} holds pictures of pages and no text, like a scan.",
            "Ask the supplier for the statement as it came out of their system.",
        )
    columns = find_columns(pages)
    month, problems = statement_month(pages, columns)
    problems += _page_problems(pages, columns)
    by_place = _result("coordinate reader", coordinates.read_cells(pages, columns))
    by_camelot = _camelot_result(file.content, pages, columns)
    chosen, choice_problems = choose(by_camelot, by_place)
    problems += choice_problems
    if any(problem.severity == "error" for problem in problems):
        chosen_lines: Sequence[Sale] = ()
    else:
        chosen_lines = chosen.statement.sales
    left_out = {"total": len(chosen.statement.totals), "page number": chosen.statement.furniture}
    return Reading(
        lines=_frame(chosen_lines, month, chosen.name),
        left_out={reason: count for reason, count in left_out.items() if count},
        totals=chosen.totals,
        problems=problems,
    )


def choose(by_camelot: ReaderResult, by_place: ReaderResult) -> tuple[ReaderResult, list[Problem]]:
    """Take one of the two readings, or say why neither can be taken.

    Sums can agree while names and invoice numbers are mixed up: where a long name lies over the
    invoice number, camelot sorts their characters by position. So a whole camelot reading must
    also say the same as the coordinate reading. Where both are whole and differ only in how the
    same characters are divided, the coordinate reader is right: it knows which were drawn in one
    go. Where they see different characters or amounts, nobody knows, and the file is rejected.
    """
    if by_camelot.is_whole and by_place.is_whole:
        if _rows(by_camelot) == _rows(by_place):
            return by_camelot, by_camelot.total_problems
        return by_place, by_place.total_problems + _unexplained_differences(by_camelot, by_place)
    for result in (by_camelot, by_place):
        if result.is_whole:
            return result, result.total_problems
    return by_place, _rejection(by_camelot, by_place)


def _result(name: str, lines: list[CellLine]) -> ReaderResult:
    statement = assemble(lines)
    ties = TieOut(statement)
    sums = " and ".join(f"{ties.sums[column]:,.2f} ({column})" for column in AMOUNT_COLUMNS)
    return ReaderResult(name, statement, ties.totals(), ties.problems(), sums)


def _camelot_result(content: bytes, pages: list[PrintedPage], columns: dict[int, Columns]) -> ReaderResult:
    try:
        lines = camelot_reader.read_cells(content, pages, columns)
    except camelot_reader.CamelotError as error:
        return ReaderResult("camelot", failure=str(error))
    result = _result("camelot", lines)
    result.statement.problems += _lost_lines(lines, pages, columns)
    return result


def _lost_lines(
    lines: Sequence[CellLine], pages: Sequence[PrintedPage], columns: dict[int, Columns]
) -> list[Problem]:
    """Printed lines that camelot did not give: without an amount, no total would miss them."""
    given = {(line.page, line.line) for line in lines}
    return [
        Problem(f"Camelot lost this line: {line.text!r}.", ASK_SUPPLIER, page.sheet, line.number)
        for page in pages
        if page.number in columns
        for line in page.lines[columns[page.number].first_line :]
        if (page.number, line.number) not in given
    ]


def _page_problems(pages: Sequence[PrintedPage], columns: dict[int, Columns]) -> list[Problem]:
    """Pages that hold a picture instead of text, or text without the column heading."""
    problems = []
    for page in pages:
        if page.has_picture:
            problem = "The page is a picture without text, like a scan."
        elif page.lines and page.number not in columns:
            problem = (
                "The page has no column heading "
                "(Client Name, Invoice #, Item ID, Net Sales Amount, Comm Rate, Comm $)."
            )
        else:
            continue
        problems.append(Problem(problem, ASK_SUPPLIER, page.sheet))
    return problems


def _rows(result: ReaderResult) -> list[tuple[int, int, tuple[str, ...]]]:
    sales = result.statement.sales
    return [(sale.page, sale.line, tuple(_plain(cell) for cell in _cells(sale))) for sale in sales]


def _cells(sale: Sale) -> tuple[str, ...]:
    return (*sale.cells, sale.state or "", sale.zip_code or "")


def _plain(text: str) -> str:
    """Text as both readers would spell it: ligatures, hyphens and spaces made equal."""
    return "".join(unicodedata.normalize("NFKC", text).replace("\u2010", "-").split())


def _unexplained_differences(by_camelot: ReaderResult, by_place: ReaderResult) -> list[Problem]:
    """Lines where camelot saw characters or amounts that the coordinate reader did not see."""
    placed = {(sale.page, sale.line): sale for sale in by_place.statement.sales}
    problems = []
    for sale in by_camelot.statement.sales:
        other = placed.get((sale.page, sale.line))
        if other is None:
            problems.append(_difference(sale, CLIENT, "".join(sale.cells), "nothing"))
            continue
        ink, other_ink = (Counter(_plain("".join(_cells(item)))) for item in (sale, other))
        amounts, other_amounts = ((item.net_sales, item.commission) for item in (sale, other))
        if ink != other_ink or amounts != other_amounts:
            column, ours, theirs = _first_difference(sale, other)
            problems.append(_difference(sale, column, ours, theirs))
    return problems


def _first_difference(sale: Sale, other: Sale) -> tuple[str, str, str]:
    cells = zip((*CELL_COLUMNS, STATE, ZIP_CODE), _cells(sale), _cells(other), strict=True)
    return next((cell for cell in cells if _plain(cell[1]) != _plain(cell[2])), (CLIENT, sale.cells[0], ""))


def _difference(sale: Sale, column: str, by_camelot: str, by_place: str) -> Problem:
    return Problem(
        f"The two readers see different text: camelot {by_camelot!r}, the coordinate reader {by_place!r}.",
        ASK_SUPPLIER,
        sheet_of(sale.page),
        sale.line,
        column,
        by_place,
    )


def _rejection(by_camelot: ReaderResult, by_place: ReaderResult) -> list[Problem]:
    """What keeps either reading from being taken: lines first, then totals, reader by reader."""
    problems = list(by_place.statement.problems)
    known = {(problem.sheet, problem.row) for problem in problems}
    further = [item for item in by_camelot.statement.problems if (item.sheet, item.row) not in known]
    if further or by_camelot.failure:
        problems.append(_summary(by_camelot, further))
    problems += by_place.total_problems
    for result, other in ((by_camelot, by_place), (by_place, by_camelot)):
        problems += _disagreements(result, other)
    return problems


def _summary(by_camelot: ReaderResult, further: list[Problem]) -> Problem:
    """Camelot's own troubles in one problem: they say little beside the coordinate reader's."""
    if by_camelot.failure:
        return Problem(f"Camelot could not read the statement: {by_camelot.failure}.", ASK_SUPPLIER)
    first = further[0]
    return Problem(
        f"Camelot's reading has {len(further)} more lines that are not whole, the first: {first.problem}",
        ASK_SUPPLIER,
        first.sheet,
        first.row,
        first.column,
        first.value,
    )


def _disagreements(result: ReaderResult, other: ReaderResult) -> list[Problem]:
    wrong = [total for total in result.totals if not total.agrees]
    problems = [
        Problem(
            f"By the {result.name}'s reading {total.label!r} does not add up: printed {total.printed:,.2f}, "
            f"the lines it covers add up to {total.computed:,.2f}. All lines: {result.sums} by the "
            f"{result.name}, {other.sums} by the {other.name}.",
            ASK_SUPPLIER,
            total.sheet,
            total.row,
            total.column,
            f"{total.printed:,.2f}",
        )
        for total in wrong[:_SHOWN]
    ]
    if len(wrong) > _SHOWN:
        problems.append(
            Problem(
                f"By the {result.name}'s reading {len(wrong) - _SHOWN} more totals do not add up.",
                ASK_SUPPLIER,
            )
        )
    return problems


def _frame(sales: Sequence[Sale], month: date | None, reader: str) -> pd.DataFrame:
    import pandas as pd

    header = [SHEET, ROW, *DELIVERED_COLUMNS, STATEMENT_DATE]
    rows = []
    for sale in sales:
        client, invoice, item, net_sales, rate, commission = sale.cells
        cells = (client, sale.state, sale.zip_code, invoice, item, rate or None, net_sales, commission)
        rows.append((sheet_of(sale.page), sale.line, *cells, month))
    lines = pd.DataFrame(rows, columns=header, dtype=object)
    lines.attrs["reader"] = reader
    return lines
