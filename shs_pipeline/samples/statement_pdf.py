"""Writes statements as Summit Medical prints them: borderless, paginated, with every known quirk."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

# Points from the left: text begins at the first three, amounts and rates end at the last three.
# The client column holds about 40 letters: longer names are printed over the invoice number.
_STARTS = (36.0, 206.0, 280.0)
_ENDS = (436.0, 494.0, 576.0)
_HEADING = (
    ("Client", "", "", "Net Sales", "Comm", ""),
    ("Name", "Invoice #", "Item ID", "Amount", "Rate", "Comm $"),
)
_FONT, _BOLD, _SIZE, _LINE_HEIGHT = "Helvetica", "Helvetica-Bold", 8.0, 11.0
_TOP = 756.0


@dataclass(frozen=True)
class StatementLine:
    """One sale as the supplier prints it.

    Attributes:
        net_sales: dollars, negative for a credit.
        comm_rate: as printed: `7%`, `7.0%`, `7,0%`, `0.07` or blank.
        commission: dollars, negative for a credit.
        zip_code: as printed: five digits, nine, or one short where the leading zero was lost.
        rep_code: another agency code than the statement's; its lines begin on a new page.
    """

    client: str
    state: str
    zip_code: str
    invoice: str
    item: str
    net_sales: Decimal
    comm_rate: str
    commission: Decimal
    rep_code: str | None = None


@dataclass(frozen=True)
class PrintedRow:
    """A line of a page: six cells, blank where nothing is printed."""

    cells: tuple[str, str, str, str, str, str]
    is_bold: bool = False


@dataclass(frozen=True)
class StatementPage:
    """One page: what stands above the rows, and the rows."""

    rep_code: str
    rows: tuple[PrintedRow, ...]
    statement_date: date | str
    has_heading: bool = True


@dataclass(frozen=True)
class StatementStyle:
    """How a statement is printed.

    Attributes:
        rows_per_page: printed rows on a page, a sale taking two; an odd number of rows parts a
            sale from its state-and-zip line when `keep_together` is off.
        keep_together: whether a sale and its state-and-zip line stay on one page.
        has_dollar_signs: `$1,234.50` instead of `1,234.50`.
        has_minus_signs: credits as `-123.45` instead of `(123.45)`.
        has_page_totals: a `Total for page` at the end of each page.
        has_client_totals: a `Total <client>` below the last of a client's lines in a row.
        has_rep_totals: a `Total <rep code>` below the last line of each code.
        grand_total: what is printed at the end, in dollars (net sales, commission), when it is not
            the sum; None prints the sum.
        has_grand_total: whether a grand total is printed at all.
    """

    rows_per_page: int = 56
    keep_together: bool = True
    has_dollar_signs: bool = False
    has_minus_signs: bool = False
    has_page_totals: bool = False
    has_client_totals: bool = False
    has_rep_totals: bool = False
    grand_total: tuple[Decimal, Decimal] | None = None
    has_grand_total: bool = True


def write_statement(
    pages_or_lines: Sequence[StatementLine] | Sequence[StatementPage],
    *,
    statement_date: date,
    rep_code: str,
    style: StatementStyle | None = None,
    password: str | None = None,
) -> bytes:
    """Write a statement; the same arguments give the same bytes.

    Args:
        pages_or_lines: the sales in print order, or pages as `paginate` makes them (and as a test
            may have changed them).
        statement_date: printed at the start of the third line of each page.
        rep_code: the agency's code below each column heading.
        style: how it is printed.
        password: locks the file.
    """
    lines = [item for item in pages_or_lines if isinstance(item, StatementLine)]
    pages = [item for item in pages_or_lines if isinstance(item, StatementPage)]
    if not pages:
        pages = paginate(lines, statement_date=statement_date, rep_code=rep_code, style=style)
    return _render(pages, password)


def paginate(
    lines: Sequence[StatementLine],
    *,
    statement_date: date,
    rep_code: str,
    style: StatementStyle | None = None,
) -> list[StatementPage]:
    """Divide the sales into pages of printed rows, with the totals that the style asks for."""
    style = style or StatementStyle()
    pages: list[StatementPage] = []
    for code, of_code in groupby(lines, key=lambda line: line.rep_code or rep_code):
        blocks = _blocks(list(of_code), code, style)
        pages += [StatementPage(code, rows, statement_date) for rows in _page_rows(blocks, style)]
    if not pages:
        pages.append(StatementPage(rep_code, (), statement_date))
    if style.has_grand_total:
        net_sales, commission = style.grand_total or (
            sum((line.net_sales for line in lines), Decimal(0)),
            sum((line.commission for line in lines), Decimal(0)),
        )
        total = _total("Total", net_sales, commission, style)
        pages[-1] = replace(pages[-1], rows=(*pages[-1].rows, total))
    return pages


@dataclass(frozen=True)
class _Block:
    """Rows that belong together, and the sale they are of (None for a total)."""

    rows: tuple[PrintedRow, ...]
    sale: StatementLine | None = None


def _blocks(lines: list[StatementLine], code: str, style: StatementStyle) -> Iterator[_Block]:
    for client, of_client in groupby(lines, key=lambda line: line.client):
        sales = list(of_client)
        for sale in sales:
            yield _Block((_sale_row(sale, style), _row(f"{sale.state} {sale.zip_code}")), sale)
        if style.has_client_totals:
            yield _Block((_total_of(f"Total {client}", sales, style),))
    if style.has_rep_totals:
        yield _Block((_total_of(f"Total {code}", lines, style),))


def _page_rows(blocks: Iterator[_Block], style: StatementStyle) -> Iterator[tuple[PrintedRow, ...]]:
    rows: list[PrintedRow] = []
    sales: list[StatementLine] = []

    def page() -> tuple[PrintedRow, ...]:
        done = [*rows, _total_of("Total for page", sales, style)] if style.has_page_totals else list(rows)
        rows.clear()
        sales.clear()
        return tuple(done)

    for block in blocks:
        if style.keep_together and rows and len(rows) + len(block.rows) > style.rows_per_page:
            yield page()
        for index, row in enumerate(block.rows):
            if len(rows) >= style.rows_per_page:
                yield page()
            rows.append(row)
            if index == 0 and block.sale is not None:
                sales.append(block.sale)
    if rows:
        yield page()


def _row(first: str) -> PrintedRow:
    return PrintedRow((first, "", "", "", "", ""))


def _sale_row(sale: StatementLine, style: StatementStyle) -> PrintedRow:
    net_sales, commission = _money(sale.net_sales, style), _money(sale.commission, style)
    return PrintedRow((sale.client, sale.invoice, sale.item, net_sales, sale.comm_rate, commission))


def _total_of(label: str, sales: Sequence[StatementLine], style: StatementStyle) -> PrintedRow:
    net_sales = sum((sale.net_sales for sale in sales), Decimal(0))
    return _total(label, net_sales, sum((sale.commission for sale in sales), Decimal(0)), style)


def _total(label: str, net_sales: Decimal, commission: Decimal, style: StatementStyle) -> PrintedRow:
    return PrintedRow((label, "", "", _money(net_sales, style), "", _money(commission, style)), is_bold=True)


def _money(amount: Decimal, style: StatementStyle) -> str:
    text = f"{'$' if style.has_dollar_signs else ''}{abs(amount):,.2f}"
    if amount >= 0:
        return text
    return f"-{text}" if style.has_minus_signs else f"({text})"


def _render(pages: Sequence[StatementPage], password: str | None) -> bytes:
    from reportlab.lib.pagesizes import letter
    from reportlab.pdfgen.canvas import Canvas

    target = io.BytesIO()
    # invariant: no creation time and no random id in the file.
    canvas = Canvas(target, pagesize=letter, invariant=1, pageCompression=1, encrypt=password)
    canvas.setTitle("Commission Statement")
    for page in pages:
        _Sheet(canvas, letter[0]).draw(page)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


class _Sheet:
    """The page being drawn, from the top down."""

    def __init__(self, canvas: Canvas, width: float) -> None:
        self._canvas = canvas
        self._width = width
        self._y = _TOP

    def draw(self, page: StatementPage) -> None:
        day = page.statement_date
        shown = day if isinstance(day, str) else f"{day.month}/{day.day}/{day.year}"
        title = ("Summit Medical Instruments", "Agency Commission Statement", f"{shown} All Agencies")
        for text in title:
            self._canvas.setFont(_BOLD, _SIZE + 2)
            self._canvas.drawCentredString(self._width / 2, self._y, text)
            self._y -= _LINE_HEIGHT + 2
        self._y -= _LINE_HEIGHT / 2
        for heading in _HEADING if page.has_heading else ():
            self._cells(heading, _BOLD)
        self._y -= 3
        if page.rep_code:
            self._cells((page.rep_code,), _FONT)
        for row in page.rows:
            self._cells(row.cells, _BOLD if row.is_bold else _FONT)

    def _cells(self, cells: Sequence[str], font: str) -> None:
        self._canvas.setFont(font, _SIZE)
        for text, x in zip(cells[:3], _STARTS, strict=False):
            if text:
                self._canvas.drawString(x, self._y, text)
        for text, x in zip(cells[3:], _ENDS, strict=False):
            if text:
                self._canvas.drawRightString(x, self._y, text)
        self._y -= _LINE_HEIGHT
