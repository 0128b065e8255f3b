"""From divided lines to sales and totals; a line that fits nothing is a problem, never dropped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from shs_pipeline.reading import Problem
from shs_pipeline.statement_pdf.printed import (
    CELL_COLUMNS,
    CLIENT,
    COMMISSION,
    INVOICE,
    ITEM,
    NET_SALES,
    RATE,
    CellLine,
    Sale,
    Statement,
    TotalLine,
    amount_of,
    is_rate,
    sheet_of,
    tidy,
)

_STATE_AND_ZIP = re.compile(r"([A-Za-z]{2}),? +(\d{3,5}(?:-\d{4})?|\d{8,9})")
_TOTAL = re.compile(r"(grand )?totals?\b", re.IGNORECASE)
_PAGE_NUMBER = re.compile(r"page:? \d+( (of|/) \d+)?", re.IGNORECASE)
ASK_SUPPLIER = "Ask the supplier for a corrected statement, or send this one to whoever keeps the system."


def assemble(lines: Sequence[CellLine]) -> Statement:
    """Make sales and totals of the lines below the headings, in the order of the file.

    Each page begins with the agency's rep code; a sale line is followed by its client's state and
    zip, which may stand on the next page.
    """
    builder = _Builder(lines)
    for index in range(len(lines)):
        builder.take(index)
    builder.check_place_of_last_sale()
    return builder.statement


class _Builder:
    """The lines so far, and the sale whose state-and-zip line is still to come."""

    def __init__(self, lines: Sequence[CellLine]) -> None:
        self.lines = lines
        self.statement = Statement()
        self._shapes: set[str] = set()
        self._page = 0
        self._rep_code = ""

    def take(self, index: int) -> None:
        """Take in the next line as what it is."""
        line = self.lines[index]
        is_first, self._page = line.page != self._page, line.page
        if is_first and self._is_rep_code(index):
            self._take_rep_code(line)
        elif _is_total(line):
            self._take_total(line)
        elif _is_sale(line):
            self._take_sale(line)
        elif place := _place(line):
            self._take_place(line, place)
        elif _PAGE_NUMBER.fullmatch(line.text):
            self.statement.furniture += 1
        elif _is_alone(line) and _shape(line.text) in self._shapes:
            # It looks like the rep codes at the top of the pages: the next code begins mid-page.
            self._take_rep_code(line)
        else:
            self._problem(line, f"This line is not understood: {line.text!r}.", value=line.text)

    def _take_rep_code(self, line: CellLine) -> None:
        self._rep_code = line.text
        self.statement.rep_codes.add(line.text.casefold())
        self._shapes.add(_shape(line.text))

    def _is_rep_code(self, index: int) -> bool:
        """Whether a page's first line is its rep code: it is unless a page came without one."""
        line = self.lines[index]
        if _is_sale(line) or _is_total(line):
            return False
        if _place(line) is None or self._waiting() is None:
            return True
        following = self.lines[index + 1] if index + 1 < len(self.lines) else None
        return following is not None and following.page == line.page and _place(following) is not None

    def _waiting(self) -> Sale | None:
        last = self.statement.sales[-1] if self.statement.sales else None
        return last if last is not None and last.state is None else None

    def check_place_of_last_sale(self) -> None:
        """Report the last sale when no state-and-zip line came for it."""
        sale = self._waiting()
        if sale is not None:
            self.statement.problems.append(
                Problem(
                    f"The sale of {sale.cells[0]!r} has no line with state and zip below it.",
                    ASK_SUPPLIER,
                    sheet_of(sale.page),
                    sale.line,
                    CLIENT,
                    sale.cells[0],
                )
            )

    def _take_sale(self, line: CellLine) -> None:
        self.check_place_of_last_sale()
        cells = dict(zip(CELL_COLUMNS, line.cells, strict=True))
        for column in (CLIENT, INVOICE, ITEM):
            if not cells[column]:
                self._problem(line, f"The sale line has no {column}: {line.text!r}.", column)
        for column in (NET_SALES, COMMISSION):
            cell = cells[column]
            if amount_of(cell) is None:
                self._problem(line, f"The sale line has no amount here: {line.text!r}.", column, cell)
        if cells[RATE] and not is_rate(cells[RATE]):
            self._problem(line, f"The commission rate is not a rate: {cells[RATE]!r}.", RATE, cells[RATE])
        zero = Decimal(0)
        net_sales, commission = (amount_of(cells[column]) or zero for column in (NET_SALES, COMMISSION))
        sale = Sale(line.page, line.line, line.cells, net_sales, commission, self._rep_code)
        self.statement.sales.append(sale)

    def _take_place(self, line: CellLine, place: tuple[str, str]) -> None:
        sale = self._waiting()
        if sale is None:
            self._problem(line, f"State and zip stand below no sale line: {line.text!r}.", CLIENT, line.text)
            return
        sale.state, sale.zip_code = place

    def _take_total(self, line: CellLine) -> None:
        cells = dict(zip(CELL_COLUMNS, line.cells, strict=True))
        amounts = {}
        for column in (NET_SALES, COMMISSION):
            amount = amount_of(cells[column])
            if amount is not None:
                amounts[column] = amount
            elif cells[column]:
                self._problem(line, f"The total holds no amount here: {line.text!r}.", column, cells[column])
        label = tidy(" ".join(line.cells[:3]))
        sales_before = len(self.statement.sales)
        self.statement.totals.append(TotalLine(line.page, line.line, label, amounts, sales_before))

    def _problem(
        self, line: CellLine, problem: str, column: str | None = None, value: str | None = None
    ) -> None:
        self.statement.problems.append(
            Problem(problem, ASK_SUPPLIER, sheet_of(line.page), line.line, column, value)
        )


def _is_total(line: CellLine) -> bool:
    """A total has no invoice, item and rate; `Total Care Clinic` on a sale line is a client."""
    if not _TOTAL.match(line.text) or line.cells[4]:
        return False
    return not (line.cells[1] and line.cells[2])


def _is_sale(line: CellLine) -> bool:
    _, invoice, item, net_sales, rate, commission = line.cells
    return (
        bool((invoice and item) or rate or net_sales or commission)
        and not _is_total(line)
        and not (_PAGE_NUMBER.fullmatch(line.text))
    )


def _is_alone(line: CellLine) -> bool:
    return bool(line.cells[0]) and not any(line.cells[1:])


def _place(line: CellLine) -> tuple[str, str] | None:
    """State and zip of a line that holds nothing else, as printed."""
    match = _STATE_AND_ZIP.fullmatch(line.cells[0]) if _is_alone(line) else None
    return (match[1], match[2]) if match else None


def _shape(text: str) -> str:
    return re.sub(r"[A-Za-z]", "A", re.sub(r"\d", "9", text))
