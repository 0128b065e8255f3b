"""How a statement looks: everything that its format leaves open, and a way to draw it by lot."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

CLIENT, INVOICE, ITEM, NET_SALES, RATE, COMMISSION, EXTRA = range(7)
"""Places of the columns in the cells of a printed row."""

Align = Literal["left", "centre", "right"]
Drawn = Literal["cells", "words", "letters", "shuffled", "columns"]


@dataclass(frozen=True)
class Column:
    """One printed column.

    Attributes:
        holds: which cell of a row is printed there.
        heading: words above it, line by line.
        left, right: edges, points from the page's left.
    """

    holds: int
    heading: tuple[str, ...]
    left: float
    right: float
    align: Align
    heading_align: Align


# The client column holds about 40 letters: longer names are printed over the invoice number.
_PLAIN = (
    Column(CLIENT, ("Client", "Name"), 36, 200, "left", "left"),
    Column(INVOICE, ("", "Invoice #"), 206, 270, "left", "left"),
    Column(ITEM, ("", "Item ID"), 280, 350, "left", "left"),
    Column(NET_SALES, ("Net Sales", "Amount"), 360, 436, "right", "right"),
    Column(RATE, ("Comm", "Rate"), 450, 494, "right", "right"),
    Column(COMMISSION, ("", "Comm $"), 510, 576, "right", "right"),
)


@dataclass(frozen=True)
class StatementStyle:
    """How a statement is printed.

    Attributes:
        page: width and height, points.
        columns: from left to right.
        rows_per_page: printed rows on a page, a sale taking two; an odd number of rows parts a
            sale from its state-and-zip line when `keep_together` is off.
        keep_together: whether a sale and its state-and-zip line stay on one page.
        sign: how credits are printed: `(1.00)`, `-1.00`, en dash, `1.00-`.
        place: how state and zip are printed; blank: not at all.
        title: lines above the heading; `{date}` is the statement date.
        date_form: for `strftime`, or blank for `3/31/2025`.
        total_label, client_total, page_total: labels; `{client}` is the client; blank: no such total.
        has_rep_totals: a `Total <rep code>` below the last line of each code.
        grand_total: what is printed at the end, in dollars (net sales, commission), when it is not
            the sum; None prints the sum.
        has_grand_total: whether a grand total is printed at all.
        rep_code_on: the pages that print the agency's code.
        footer: printed at the foot of each page; `{page}` and `{pages}` are filled in.
        remarks: printed below some clients.
        wraps_names: a long name goes on in the next line; else it is printed over the next column.
        mark: text that is no part of the table, drawn slanted, huge, pale, white or invisible.
        drawn: in one go, by words, by letters, words of a page in any order, or column by column.
        turned: the page is printed on its side; and shown so, or turned back by the viewer.
    """

    page: tuple[float, float] = (612.0, 792.0)
    font: str = "Helvetica"
    bold: str = "Helvetica-Bold"
    size: float = 8.0
    line_height: float = 11.0
    top: float = 36.0
    sale_gap: float = 0.0
    columns: tuple[Column, ...] = _PLAIN
    has_heading_on_each_page: bool = True
    rows_per_page: int = 56
    keep_together: bool = True
    has_dollar_signs: bool = False
    sign: Literal["()", "-", "\u2013", "trailing"] = "()"
    place: str = "{state} {zip}"
    title: tuple[str, ...] = (
        "Summit Medical Instruments",
        "Agency Commission Statement",
        "{date} All Agencies",
    )
    date_form: str = ""
    total_label: str = "Total"
    client_total: str = ""
    page_total: str = ""
    has_rep_totals: bool = False
    grand_total: tuple[Decimal, Decimal] | None = None
    has_grand_total: bool = True
    rep_code_on: Literal["each", "first", "none"] = "each"
    footer: str = ""
    remarks: tuple[str, ...] = ()
    wraps_names: bool = False
    mark: Literal["", "slanted", "huge", "pale", "white", "invisible"] = ""
    drawn: Drawn = "cells"
    turned: Literal["", "shown", "viewer"] = ""
    luck: int = field(default=0)

    def dated(self, day: date | str) -> str:
        """The statement date as it is printed."""
        if isinstance(day, str):
            return day
        return day.strftime(self.date_form) if self.date_form else f"{day.month}/{day.day}/{day.year}"


_HEADINGS: dict[int, Sequence[tuple[str, ...]]] = {
    CLIENT: (
        ("Name", "State/ZIP"), ("Name", "St Zip"), ("Name", "City, State Zip"), ("Name",), ("Client", "Name"),
        ("Client Name",), ("Client Name", "State/Zip"), ("Customer", "Name"), ("Name", "ST / Zip Code"),
        ("Customer Name", "State & ZIP"), ("Client", "Name", "State/ZIP"), ("NAME", "STATE/ZIP"), ("Name:",),
    ),
    INVOICE: (
        ("Invoice #",), ("Inv #",), ("Invoice No.",), ("Invoice",), ("Invoice", "Number"), ("Inv.", "No."),
        ("INVOICE #",), ("Inv. Nbr",), ("Invoice", "#"), ("Invoice ID",),
    ),
    ITEM: (
        ("Item ID",), ("Item",), ("Item Number",), ("Item #",), ("Item", "No."), ("Part #",), ("Product ID",),
        ("ITEM ID",), ("Item", "ID"), ("SKU",), ("Item Code",),
    ),
    NET_SALES: (
        ("Net Sales", "Amount"), ("Net Sales Amount",), ("Net", "Sales"), ("Net Sales",), ("Net Sales Amt",),
        ("Net", "Sales", "Amount"), ("Net Sales Amount", "(USD)"), ("Sales", "Amount"), ("Net Amount",),
        ("Amount",), ("Net Sales $",), ("NET SALES", "AMOUNT"), ("Net Sls", "Amt"), ("Sales",),
    ),
    RATE: (
        ("Comm Rate",), ("Comm", "Rate"), ("Rate",), ("Comm %",), ("Comm.", "Rate"), ("Commission", "Rate"),
        ("Comm Rate", "(%)"), ("%",), ("Rate", "%"), ("COMM", "RATE"), ("Comm", "%"), ("Comm Pct",),
    ),
    COMMISSION: (
        ("Comm $",), ("Comm", "$"), ("Commission",), ("Comm Amt",), ("Commission", "Amount"), ("Comm",),
        ("Comm.", "Amount"), ("Commission $",), ("Comm $", "(USD)"), ("Commission", "Due"), ("COMM $",),
    ),
    EXTRA: (("Inv", "Date"), ("Qty",), ("Description",), ("PO #",)),
}  # fmt: skip
_ORDERS = (
    (CLIENT, INVOICE, ITEM, NET_SALES, RATE, COMMISSION),
    (CLIENT, ITEM, INVOICE, NET_SALES, RATE, COMMISSION),
    (CLIENT, INVOICE, ITEM, RATE, NET_SALES, COMMISSION),
    (CLIENT, INVOICE, ITEM, NET_SALES, COMMISSION, RATE),
    (INVOICE, CLIENT, ITEM, NET_SALES, RATE, COMMISSION),
    (CLIENT, INVOICE, EXTRA, ITEM, NET_SALES, RATE, COMMISSION),
)
_LETTERS = {INVOICE: 11, ITEM: 10, NET_SALES: 13, RATE: 8, COMMISSION: 12, EXTRA: 12}
_PAGES = ((612.0, 792.0), (612.0, 792.0), (595.3, 841.9), (792.0, 612.0), (841.9, 595.3), (612.0, 1008.0))
_TITLES = (
    ("Summit Medical LLC", "Sales Rep Commission Statement", "{date} 10:22:33 AM"),
    ("Summit Medical Instruments", "Agency Commission Statement", "{date} All Agencies"),
    ("Summit Medical, Inc.", "Commission Statement", "Statement Date: {date}"),
    ("Summit Medical", "815 Northwest Parkway, St. Paul, MN 55121", "Agency Commission Report", "{date}"),
    ("Commission Statement for {date}",),
    ("Summit Medical LLC", "Commissions for the period ending {date}"),
    ("Summit Medical", "Commission Statement", "{date}", "Printed 6/2/2026 8:15 AM"),
    ("Summit Medical", "Statement", "As of {date}", "", "Confidential"),
)
_DATES = ("", "", "", "%m/%d/%Y", "%m/%d/%y", "%B %d, %Y", "%d-%b-%Y", "%Y-%m-%d", "%b %d, %Y", "%m-%d-%Y")
_FONTS = (
    ("Helvetica", "Helvetica-Bold"),
    ("Helvetica", "Helvetica-Bold"),
    ("Times-Roman", "Times-Bold"),
    ("Courier", "Courier-Bold"),
)
_PLACES = ("{state} {zip}", "{state} {zip}", "{state}, {zip}", "{city}, {state} {zip}", "{state}  {zip}")
_TOTALS = ("Total", "Totals", "Grand Total:", "Total for {code}", "TOTAL", "Report Total", "")
_CLIENT_TOTALS = ("", "", "Total {client}", "{client} Total", "Subtotal", "Total for {client}")
_FOOTERS = (
    "", "", "Page {page} of {pages}", "Page {page}", "{page} / {pages}", "Page: {page}", "Page {page} of ?",
    "Summit Medical LLC      Page {page} of {pages}", "Printed 6/2/2026 10:15 AM      Page {page}",
)  # fmt: skip
_REMARKS = (
    "* Price adjusted per agreement", "Note: credit for a returned item", "Freight is not commissionable",
    "Adjustments are listed overleaf", "*** see attached ***", "Rebilled", "Thank you for your business",
)  # fmt: skip


def random_style(luck: random.Random, *, has_places: bool | None = None) -> StatementStyle:
    """Draw a look by lot.

    Args:
        luck: the same state gives the same style.
        has_places: whether state and zip are printed; None leaves it to luck, rarely not.
    """
    if has_places is None:
        has_places = luck.random() < 0.9
    page = luck.choice(_PAGES)
    font, bold = luck.choice(_FONTS)
    drawn: Drawn = luck.choice(("cells", "cells", "words", "letters", "shuffled", "columns"))
    size = luck.choice((6.5, 7, 7.5, 8, 8.5, 9)) if page[0] < 700 else luck.choice((8, 9, 10))
    if font == "Courier":
        size = min(size, 6.5 if page[0] < 700 else 8)
    line_height = round(size * luck.uniform(1.2, 1.5), 1)
    columns = _columns(luck, font, size, page[0], are_apart=drawn in {"words", "letters", "shuffled"})
    lead = columns[0].holds == CLIENT and drawn != "shuffled"
    room = page[1] - 36 - 8 * (size + 6) - 4 * line_height - 60
    sale_gap = luck.choice((0.0, 0.0, 2.0, 3.5))
    return StatementStyle(
        page=page,
        font=font,
        bold=bold if luck.random() < 0.6 else font,
        size=size,
        line_height=line_height,
        top=luck.choice((30.0, 36.0, 54.0)),
        sale_gap=sale_gap,
        columns=columns,
        has_heading_on_each_page=luck.random() < 0.75,
        rows_per_page=int(room / (line_height + sale_gap)) - luck.randint(0, 6),
        keep_together=luck.random() < 0.6,
        has_dollar_signs=luck.random() < 0.25,
        sign=luck.choice(("()", "()", "-", "\u2013", "trailing")),
        place=luck.choice(_PLACES) if has_places else "",
        **_labels(luck),
        remarks=tuple(luck.sample(_REMARKS, 2)) if has_places and luck.random() < 0.3 else (),
        wraps_names=not lead or luck.random() < 0.5,
        mark=luck.choice(("", "", "", "slanted", "huge", "pale", "white", "invisible")),
        drawn=drawn,
        turned=luck.choice(("", "", "", "", "", "", "", "", "shown", "viewer")),
        luck=luck.randrange(1 << 30),
    )


def _labels(luck: random.Random) -> dict[str, Any]:
    """Draw what is written around the lines."""
    return {
        "title": luck.choice(_TITLES),
        "date_form": luck.choice(_DATES),
        "total_label": luck.choice(_TOTALS),
        "client_total": luck.choice(_CLIENT_TOTALS),
        "page_total": luck.choice(("", "", "", "Total for page", "Page Total:")),
        "rep_code_on": luck.choice(("each", "first", "none")),
        "footer": luck.choice(_FOOTERS),
    }


def _columns(
    luck: random.Random, font: str, size: float, width: float, *, are_apart: bool
) -> tuple[Column, ...]:
    """Columns side by side, wide enough for what they hold; the names take the rest.

    `are_apart` keeps headings from running into each other, which only texts drawn in one go survive.
    """
    order = luck.choice(_ORDERS if luck.random() < 0.4 else _ORDERS[:1])
    letter = size * (0.6 if font == "Courier" else 0.56)
    margin, gap = luck.choice((24.0, 36.0, 48.0)), luck.uniform(1.2, 2.5) * letter
    fixed = sum(_LETTERS[column] * letter + gap for column in order if column != CLIENT)
    names = min(width - 2 * margin - fixed - gap, 48 * letter)
    headings = {
        column: luck.choice(
            [
                words
                for words in _HEADINGS[column]
                if not are_apart or max(map(len, words)) <= _LETTERS.get(column, 20) - 2
            ]
        )
        for column in order
    }
    if headings[NET_SALES] == ("Amount",) and headings[COMMISSION][-1] == "Amount":
        headings[COMMISSION] = ("Comm $",)
    lines, is_low = max(map(len, headings.values())), luck.random() < 0.4
    text_heads: tuple[Align, ...] = ("left", "left", "centre")
    number_heads: tuple[Align, ...] = ("right", "right", "centre", "left")
    aligned: dict[int, Align] = {RATE: luck.choice(("right", "right", "centre"))}
    columns, left = [], margin
    for column in order:
        wide = names if column == CLIENT else _LETTERS[column] * letter
        blank = ("",) * (lines - len(headings[column]))
        heading = blank + headings[column] if is_low and column != CLIENT else headings[column] + blank
        is_number = column in {NET_SALES, RATE, COMMISSION}
        align: Align = aligned.get(column, "right") if is_number else "left"
        heads = number_heads if is_number else ("left",) if column == CLIENT else text_heads
        columns.append(Column(column, heading, left, left + wide, align, luck.choice(heads)))
        left += wide + gap
    return tuple(columns)
