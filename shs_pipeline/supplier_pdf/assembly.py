"""From divided lines to sales and totals.

A line with amounts is a sale or a total. What stands below a sale at the names' edge is the rest of
its client's name, up to the state and zip. Any other text is left out and counted; where nobody can
tell a remark from a name, the line is a problem.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from shs_pipeline.files.reading import Problem
from shs_pipeline.supplier_pdf.coordinates import SEND_PIVOT
from shs_pipeline.supplier_pdf.names import Names
from shs_pipeline.supplier_pdf.naming import TEXT
from shs_pipeline.supplier_pdf.printed import (
    CLIENT,
    COMMISSION,
    INVOICE,
    ITEM,
    NET_SALES,
    PLACE,
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
from shs_pipeline.supplier_pdf.wording import (
    is_furniture,
    is_total,
    place_of,
    shape_of,
    without_numbers,
)

_AMOUNTS = (NET_SALES, COMMISSION)
_MOST_WORDS = 2  # of an invoice number
_MONEY = re.compile(r"\d\.\d\d(?!\d)")
FURNITURE, WATERMARK = "page number or print date", "watermark"


def assemble(lines: Sequence[CellLine]) -> Statement:
    """Make sales and totals of the lines of the table, in the order of the file."""
    builder = _Builder(lines)
    for index in range(len(lines)):
        builder.take(index)
    return builder.done()


class _Builder:
    """The lines so far; `names` gathers the names, which may go on above or below their sale."""

    def __init__(self, lines: Sequence[CellLine]) -> None:
        self.lines = lines
        self.statement = Statement()
        self.names = Names(self.statement, lines, is_block=_is_in_blocks(lines))
        self._repeated = _repeated_at_edges(lines)
        self._codes: set[str] = set()  # agency codes seen, and the form of those that hold a number
        self._label = ""  # of a total whose amounts stand on the next line
        self._page = 0

    def take(self, index: int) -> None:
        """Take in the next line as what it is."""
        line = self.lines[index]
        is_first, self._page = line.page != self._page, line.page
        label, self._label = self._label, ""
        if line.is_huge:
            self.statement.left_out[WATERMARK] += 1
        elif is_furniture(line.text) and not _MONEY.search(line.text):
            self._leave_out(line, FURNITURE, is_sure=any(char.isdigit() for char in line.text))
        elif _has_amounts(line):
            self._take_amounts(line, label)
        elif place := _place(line):
            self.names.take_place(line, place)
        elif index in self._repeated or line.is_title:
            self._leave_out(line, "" if line.is_title else FURNITURE)
        elif _is_broken_sale(line):
            self._take_sale(line)
        elif is_total(line.text) and self._is_label(index):
            self._label = line.text
        elif is_first and self._is_section(index):
            self._take_first(line)
        elif not self.names.take_text(line):
            self._take_heading(line)

    def done(self) -> Statement:
        """The statement, once all lines are taken."""
        self.names.finish()
        return self.statement

    def _leave_out(self, line: CellLine, reason: str, *, is_sure: bool = False) -> None:
        """Leave out what belongs to the page, but for a text that may be the rest of a name."""
        if (is_sure or not self.names.take_doubtful(line, reason)) and reason:
            self.statement.left_out[reason] += 1

    def _is_label(self, index: int) -> bool:
        """Whether the text that calls itself a total stands above the amounts, and in no name."""
        if not self.names.is_waiting:
            return True
        below = self.lines[index + 1 : index + 2]
        return any(_has_amounts(line) and not line[INVOICE] for line in below)

    def _take_heading(self, line: CellLine) -> None:
        """A text that may name what follows, or says nothing of it."""
        self.statement.headings.add(line.text.casefold())
        self.statement.left_out[TEXT] += 1

    def _take_first(self, line: CellLine) -> None:
        """The first line of a page: the agency's code, on the first page or where it was seen before."""
        if line.page == self.lines[0].page or self._is_code(line):
            self.statement.headings.add(line.text.casefold())
            self._codes.add(line.text.casefold())
            if any(char.isdigit() for char in line.text):
                self._codes.add(shape_of(line.text))
        else:
            self._take_heading(line)

    def _is_code(self, line: CellLine) -> bool:
        return line.text.casefold() in self._codes or shape_of(line.text) in self._codes

    def _is_section(self, index: int) -> bool:
        """Whether a page's first line is a rep code, and not part of a client's name."""
        line = self.lines[index]
        if self.names.is_block and index + 1 < len(self.lines):
            return not self.names.is_next(line, self.lines[index + 1])
        return not self.names.is_waiting or self._is_code(line)

    def _take_amounts(self, line: CellLine, label: str) -> None:
        text = tidy(" ".join(line[column] for column in (CLIENT, PLACE, INVOICE, ITEM)))
        is_sale_line = bool(line[INVOICE] and (line[CLIENT] or line[ITEM] or line[RATE]))
        if is_total(text) and not (line[INVOICE] and line[ITEM]):
            self._take_total(line, text, is_named=True)
        elif is_sale_line or (line[CLIENT] and line[ITEM] and line[RATE]):
            self._take_sale(line)
        else:
            self._take_total(line, tidy(f"{label} {text}"), is_named=bool(label))

    def _take_sale(self, line: CellLine) -> None:
        if not line[INVOICE]:
            self._problem(line, f"The sale line has no {INVOICE}: {line.text!r}.", INVOICE)
        if len(line[INVOICE].split()) > _MOST_WORDS:
            self._problem(line, "It is unclear which words are the invoice number.", INVOICE, line[INVOICE])
        for column in _AMOUNTS:
            if amount_of(line[column]) is None:
                self._problem(line, f"The sale line has no amount here: {line.text!r}.", column, line[column])
        if line[RATE] and not is_rate(line[RATE]):
            self._problem(line, f"The commission rate is not a rate: {line[RATE]!r}.", RATE, line[RATE])
        if line.is_muddled:
            self._problem(
                line,
                "The client's name is printed over the next column, in pieces, so that nobody can tell which "
                f"letters belong to it: {line.text!r}.",
                CLIENT,
                line[CLIENT],
            )
        net_sales, commission = (amount_of(line[column]) or Decimal(0) for column in _AMOUNTS)
        self.names.take_sale(Sale(line, "", net_sales, commission, section=len(self.statement.headings)))

    def _take_total(self, line: CellLine, label: str, *, is_named: bool) -> None:
        self.names.take_total(line, label)
        amounts = {}
        for column in _AMOUNTS:
            amount = amount_of(line[column])
            if amount is not None:
                amounts[column] = amount
            elif line[column] and is_named:
                self._problem(line, f"The total holds no amount here: {line.text!r}.", column, line[column])
        before = len(self.statement.sales)
        self.statement.totals.append(TotalLine(line.page, line.line, label, amounts, before, is_named))

    def _problem(
        self, line: CellLine, problem: str, column: str | None = None, value: str | None = None
    ) -> None:
        self.statement.problems.append(
            Problem(problem, SEND_PIVOT, sheet_of(line.page), line.line, column, value or None)
        )


def _has_amounts(line: CellLine) -> bool:
    return any(amount_of(line[column]) is not None for column in _AMOUNTS)


def _is_broken_sale(line: CellLine) -> bool:
    """Whether a whole sale stands there but for its amounts."""
    return bool(
        line[CLIENT] and line[ITEM] and any(char.isdigit() for char in line[INVOICE]) and len(line.cells) > 3
    )


def _place(line: CellLine) -> tuple[str, str] | None:
    """State and zip of a line that holds nothing else, as printed."""
    return None if _has_amounts(line) else place_of(line.text)


def _is_in_blocks(lines: Sequence[CellLine]) -> bool:
    """Whether amounts stand beside the middle or the end of a client's lines, not beside the first."""
    sales = [
        line for line in lines if line[INVOICE] and all(amount_of(line[c]) is not None for c in _AMOUNTS)
    ]
    nameless = sum(not line[CLIENT] or place_of(line[CLIENT]) is not None for line in sales)
    return nameless * 2 > len(sales)


def _repeated_at_edges(lines: Sequence[CellLine]) -> set[int]:
    """Indexes of texts at the top or bottom of pages that other pages hold at the same height."""
    edges: dict[tuple[str, int], list[int]] = {}
    for index in _edge_lines(lines):
        line = lines[index]
        for height in (round(line.y / 3), round(line.y / 3 + 0.5)):
            edges.setdefault((without_numbers(line.text), height), []).append(index)
    return {
        index
        for indexes in edges.values()
        if len({lines[i].page for i in indexes}) > 1 and not _are_names(lines, indexes)
        for index in indexes
    }


def _are_names(lines: Sequence[CellLine], indexes: Sequence[int]) -> bool:
    """Whether repeated texts are the rest of one long name that happens to end several pages."""
    above = [lines[index - 1] for index in indexes if index]
    heads = {line[CLIENT] for line in above}
    return len(heads) == 1 and all(
        head.y - lines[index].y <= 2 * head.size for head, index in zip(above, indexes, strict=False)
    )


def _edge_lines(lines: Sequence[CellLine]) -> set[int]:
    """Indexes of texts below the last sale, total or place of their page."""
    found: set[int] = set()
    page_end = len(lines)
    for index in range(len(lines) - 1, -1, -1):
        line = lines[index]
        if index + 1 < len(lines) and lines[index + 1].page != line.page:
            page_end = index + 1
        if _has_amounts(line) or place_of(line.text):
            page_end = -1
        elif page_end >= 0:
            found.add(index)
    return found
