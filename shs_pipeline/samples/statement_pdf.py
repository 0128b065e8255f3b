"""Writes statements as Summit Medical prints them: borderless, paginated, in any of its layouts."""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING

from shs_pipeline.samples.statement_style import CLIENT, Column, StatementStyle

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

__all__ = [
    "PrintedRow",
    "StatementLine",
    "StatementPage",
    "StatementStyle",
    "left_out_of",
    "paginate",
    "write_statement",
]


@dataclass(frozen=True)
class StatementLine:
    """One sale as the supplier prints it.

    Attributes:
        net_sales: dollars, negative for a credit.
        comm_rate: as printed: `7%`, `7.0%`, `7,0%`, `0.07` or blank.
        commission: dollars, negative for a credit.
        zip_code: as printed: five digits, nine, or one short where the leading zero was lost.
        rep_code: another agency code than the statement's; its lines begin on a new page.
        city: printed where the style asks for it.
        extra: what a column that nobody knows holds.
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
    city: str = "Plano"
    extra: str = "1/15/2025"


@dataclass(frozen=True)
class PrintedRow:
    """A row of a page: its cells by `statement_style`'s places, blank where nothing is printed.

    Attributes:
        gap: points left free above it.
        is_remark: whether it is no part of the table.
    """

    cells: tuple[str, ...]
    is_bold: bool = False
    gap: float = 0.0
    is_remark: bool = False


@dataclass(frozen=True)
class StatementPage:
    """One page: what stands above the rows, and the rows."""

    rep_code: str
    rows: tuple[PrintedRow, ...]
    statement_date: date | str
    has_heading: bool = True
    footer: str = ""

    def first_row(self, style: StatementStyle) -> int:
        """Number (1-based) of the first printed row among the lines of the page that hold text."""
        heading = max((len(column.heading) for column in style.columns), default=0) if self.has_heading else 0
        return sum(bool(line) for line in style.title) + heading + bool(self.rep_code) + 1


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
        statement_date: printed in the title of each page.
        rep_code: the agency's code below the column heading.
        style: how it is printed.
        password: locks the file.
    """
    style = style or StatementStyle()
    lines = [item for item in pages_or_lines if isinstance(item, StatementLine)]
    pages = [item for item in pages_or_lines if isinstance(item, StatementPage)]
    if not pages:
        pages = paginate(lines, statement_date=statement_date, rep_code=rep_code, style=style)
    return _render(pages, style, password)


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
        total = _total(style.total_label.format(code=rep_code), net_sales, commission, style)
        pages[-1] = replace(pages[-1], rows=(*pages[-1].rows, total))
    return [_furnished(page, number, pages, style) for number, page in enumerate(pages, start=1)]


def left_out_of(pages: Sequence[StatementPage], style: StatementStyle) -> dict[str, int]:
    """What a reader leaves out of a statement, by reason."""
    counts = Counter(
        {
            "text without amounts": sum(row.is_remark for page in pages for row in page.rows),
            "page number or print date": sum(bool(page.footer) for page in pages),
            "watermark": len(pages) if style.mark else 0,
        }
    )
    return dict(+counts)


def _furnished(
    page: StatementPage, number: int, pages: Sequence[StatementPage], style: StatementStyle
) -> StatementPage:
    is_new = number == 1 or pages[number - 2].rep_code != page.rep_code
    is_shown = style.rep_code_on == "each" or (style.rep_code_on == "first" and is_new)
    return replace(
        page,
        rep_code=page.rep_code if is_shown else "",
        has_heading=style.has_heading_on_each_page or number == 1,
        footer=style.footer.format(page=number, pages=len(pages)),
    )


@dataclass(frozen=True)
class _Block:
    """Rows that belong together, and the sale they are of (None for a total)."""

    rows: tuple[PrintedRow, ...]
    sale: StatementLine | None = None


def _blocks(lines: list[StatementLine], code: str, style: StatementStyle) -> Iterator[_Block]:
    luck = random.Random(style.luck)
    for client, of_client in groupby(lines, key=lambda line: line.client):
        sales = list(of_client)
        for sale in sales:
            yield _Block(tuple(_sale_rows(sale, style)), sale)
            if style.remarks and luck.random() < 0.15:
                remark = (luck.choice(style.remarks), *[""] * 5)
                yield _Block((PrintedRow(remark, gap=style.sale_gap, is_remark=True),))
        if style.client_total:
            yield _Block((_total_of(style.client_total.format(client=client), sales, style),))
    if style.has_rep_totals:
        yield _Block((_total_of(f"Total {code}", lines, style),))


def _page_rows(blocks: Iterator[_Block], style: StatementStyle) -> Iterator[tuple[PrintedRow, ...]]:
    rows: list[PrintedRow] = []
    sales: list[StatementLine] = []

    def page() -> tuple[PrintedRow, ...]:
        done = [*rows, _total_of(style.page_total, sales, style)] if style.page_total else list(rows)
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


def _sale_rows(sale: StatementLine, style: StatementStyle) -> Iterator[PrintedRow]:
    """The sale's line, the rest of a long name, and the place."""
    first, *rest = _wrapped(sale.client, style)
    net_sales, commission = _money(sale.net_sales, style), _money(sale.commission, style)
    cells = (first, sale.invoice, sale.item, net_sales, sale.comm_rate, commission, sale.extra)
    yield PrintedRow(cells, gap=style.sale_gap)
    for text in rest:
        yield PrintedRow((text, *[""] * 5))
    if style.place:
        place = style.place.format(city=sale.city, state=sale.state, zip=sale.zip_code)
        yield PrintedRow((place, *[""] * 5))


def _wrapped(name: str, style: StatementStyle) -> list[str]:
    from reportlab.lib.utils import simpleSplit

    if not style.wraps_names:
        return [name]
    column = next(column for column in style.columns if column.holds == CLIENT)
    return list(simpleSplit(name, style.font, style.size, column.right - column.left))


def _total_of(label: str, sales: Sequence[StatementLine], style: StatementStyle) -> PrintedRow:
    net_sales = sum((sale.net_sales for sale in sales), Decimal(0))
    return _total(label, net_sales, sum((sale.commission for sale in sales), Decimal(0)), style)


def _total(label: str, net_sales: Decimal, commission: Decimal, style: StatementStyle) -> PrintedRow:
    cells = (label, "", "", _money(net_sales, style), "", _money(commission, style))
    return PrintedRow(cells, is_bold=True, gap=style.sale_gap)


def _money(amount: Decimal, style: StatementStyle) -> str:
    text = f"{'$' if style.has_dollar_signs else ''}{abs(amount):,.2f}"
    if amount >= 0:
        return text
    return {"()": f"({text})", "trailing": f"{text}-"}.get(style.sign, f"{style.sign}{text}")


def _render(pages: Sequence[StatementPage], style: StatementStyle, password: str | None) -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    target = io.BytesIO()
    width, height = style.page
    # reportlab turns the paper itself where the viewer is to turn the page.
    paper = (height, width) if style.turned == "shown" else style.page
    # invariant: no creation time and no random id in the file.
    canvas = Canvas(target, pagesize=paper, invariant=1, pageCompression=1, encrypt=password)
    canvas.setTitle("Commission Statement")
    luck = random.Random(style.luck)
    for page in pages:
        if style.turned:
            canvas.setPageRotation(90 if style.turned == "viewer" else 0)
            canvas.translate(height, 0)
            canvas.rotate(90)
        _draw_mark(canvas, style)
        _draw(canvas, _Sheet(canvas, style).texts_of(page), style, luck)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


@dataclass(frozen=True)
class _Text:
    text: str
    x: float
    y: float
    font: str
    size: float


class _Sheet:
    """The page being laid out, from the top down."""

    def __init__(self, canvas: Canvas, style: StatementStyle) -> None:
        self._canvas = canvas
        self._style = style
        self._y = style.page[1] - style.top
        self._texts: list[_Text] = []

    def texts_of(self, page: StatementPage) -> list[_Text]:
        style = self._style
        width = style.page[0]
        for title in style.title:
            text = title.format(date=style.dated(page.statement_date))
            self._put(text, width / 2, "centre", style.bold, style.size + 2)
            self._y -= style.size + 5
        self._y -= style.line_height / 2
        if page.has_heading:
            for index in range(max(len(column.heading) for column in style.columns)):
                for column in style.columns:
                    text = column.heading[index] if index < len(column.heading) else ""
                    self._cell(text, column, style.bold, column.heading_align)
                self._y -= style.line_height
        self._y -= 3
        for row in (*([PrintedRow((page.rep_code,))] if page.rep_code else []), *page.rows):
            self._y -= row.gap
            for column in style.columns:
                text = row.cells[column.holds] if column.holds < len(row.cells) else ""
                self._cell(text, column, style.bold if row.is_bold else style.font, column.align)
            self._y -= style.line_height
        self._y = 24.0
        self._put(page.footer, width / 2, "centre", style.font, style.size)
        return self._texts

    def _cell(self, text: str, column: Column, font: str, align: str) -> None:
        x = {"left": column.left, "right": column.right, "centre": (column.left + column.right) / 2}[align]
        self._put(text, x, align, font, self._style.size)

    def _put(self, text: str, x: float, align: str, font: str, size: float) -> None:
        if text.strip():
            wide = self._canvas.stringWidth(text, font, size)
            x -= {"left": 0.0, "right": wide, "centre": wide / 2}[align]
            self._texts.append(_Text(text, x, self._y, font, size))


def _draw(canvas: Canvas, texts: list[_Text], style: StatementStyle, luck: random.Random) -> None:
    if style.drawn in {"words", "letters", "shuffled"}:
        texts = [part for text in texts for part in _parts(canvas, text, style.drawn == "letters")]
    if style.drawn == "shuffled":
        luck.shuffle(texts)
    if style.drawn == "columns":
        texts = sorted(texts, key=lambda text: (round(text.x / 40), -text.y))
    for text in texts:
        canvas.setFont(text.font, text.size)
        canvas.drawString(text.x, text.y, text.text)


def _parts(canvas: Canvas, text: _Text, by_letter: bool) -> Iterator[_Text]:
    """The words or letters of a text, each where it stands."""
    start = 0
    parts = list(text.text) if by_letter else text.text.split(" ")
    for part in parts:
        x = text.x + canvas.stringWidth(text.text[:start], text.font, text.size)
        if part.strip():
            yield replace(text, text=part, x=x)
        start += len(part) + (not by_letter)


def _draw_mark(canvas: Canvas, style: StatementStyle) -> None:
    """Text that is no part of the table."""
    width, height = style.page
    canvas.saveState()
    if style.mark == "slanted":
        canvas.setFillGray(0.5)
        canvas.translate(width / 4, height / 4)
        canvas.rotate(40)
        canvas.setFont("Helvetica-Bold", 90)
        canvas.drawString(0, 0, "COPY")
    elif style.mark == "huge":
        canvas.setFillGray(0.6)
        canvas.setFont("Helvetica-Bold", 60)
        canvas.drawCentredString(width / 2, height / 2, "DUPLICATE")
    elif style.mark == "pale":
        canvas.setFillGray(0.9)
        canvas.setFont("Helvetica", style.size)
        canvas.drawString(style.columns[0].left + 3, height / 2, "Confidential 99.99")
    elif style.mark == "white":
        canvas.setFillGray(1)
        canvas.drawString(style.columns[0].left, height / 2, "internal 12.00 key")
    elif style.mark == "invisible":
        hidden = canvas.beginText(style.columns[0].left, height / 2)
        hidden.setTextRenderMode(3)
        hidden.textOut("searchable text of a scan 12.00")
        canvas.drawText(hidden)
    canvas.restoreState()
