"""Printed totals held against the lines that they cover."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import accumulate

from shs_pipeline.reading import PrintedTotal, Problem
from shs_pipeline.statement_pdf.assembly import ASK_SUPPLIER
from shs_pipeline.statement_pdf.printed import (
    COMMISSION,
    NET_SALES,
    Sale,
    Statement,
    TotalLine,
    sheet_of,
    tidy,
)

AMOUNT_COLUMNS = (NET_SALES, COMMISSION)
_LEADING = re.compile(r"^(grand )?totals?\b:?( (for|of)\b)?:?\s*", re.IGNORECASE)
_PAGE_LABEL = re.compile(r"(this )?page( \d+)?( totals?)?:?", re.IGNORECASE)


class TieOut:
    """The totals of one statement.

    A page, client or rep total covers what its label says, a client's perhaps only what came under
    this rep code or since the client's last total; the last total below all sales is the grand
    total. A total whose label says none of it covers the page, the client, the rep code, what came
    since the total before, or all so far: whichever agrees.
    """

    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self._sums = {
            NET_SALES: _running(sale.net_sales for sale in statement.sales),
            COMMISSION: _running(sale.commission for sale in statement.sales),
        }
        self._starts = {
            "page": _run_starts(statement.sales, lambda sale: sale.page),
            "client": _run_starts(statement.sales, _client),
            "rep": _run_starts(statement.sales, lambda sale: sale.rep_code),
        }
        self._kinds = [self._kind(total) for total in statement.totals]
        self._grand = {column: self._grand_total(column) for column in AMOUNT_COLUMNS}

    @property
    def sums(self) -> dict[str, Decimal]:
        """Sum of each amount column over all sales, in dollars."""
        return {column: running[-1] for column, running in self._sums.items()}

    def totals(self) -> list[PrintedTotal]:
        """Every printed amount of every total, beside the sum of the lines it covers."""
        return [
            PrintedTotal(sheet_of(total.page), total.line, total.label, column, printed, computed)
            for index, total in enumerate(self._statement.totals)
            for column, printed in total.amounts.items()
            for computed in [self._computed(index, column, printed)]
        ]

    def problems(self) -> list[Problem]:
        """An error when no grand total is printed, a warning when it lacks one of the two amounts."""
        missing = [column for column, index in self._grand.items() if index is None]
        if len(missing) == len(AMOUNT_COLUMNS):
            return [
                Problem(
                    "The statement ends without a grand total, so nothing proves that it was read whole.",
                    "Ask the supplier for the whole statement, up to the line that starts with 'Total'.",
                )
            ]
        return [
            Problem(
                f"The grand total prints no amount for {column!r}, so that column is not held against it.",
                ASK_SUPPLIER,
                column=column,
                severity="warning",
            )
            for column in missing
        ]

    def _kind(self, total: TotalLine) -> str:
        name = tidy(_LEADING.sub("", total.label)).casefold()
        last = self._statement.sales[total.sales_before - 1] if total.sales_before else None
        if total.label.casefold().startswith("grand"):
            return "grand"
        if last is not None and name == _client(last):
            return "client"
        if _PAGE_LABEL.fullmatch(name):
            return "page"
        return "rep" if name in self._statement.rep_codes else "plain"

    def _grand_total(self, column: str) -> int | None:
        """Index of the total that covers the whole statement: the last one, below all sales."""
        covering = {"grand", "plain"} | ({"rep"} if len(self._statement.rep_codes) == 1 else set())
        for index in range(len(self._kinds) - 1, -1, -1):
            total = self._statement.totals[index]
            if total.sales_before < len(self._statement.sales):
                return None
            if column in total.amounts and self._kinds[index] in covering:
                return index
        return None

    def _computed(self, index: int, column: str, printed: Decimal) -> Decimal:
        total, kind = self._statement.totals[index], self._kinds[index]
        if kind == "grand" or index == self._grand[column]:
            return self._sums[column][-1]
        if kind == "client":
            starts = self._client_starts(index)
        elif kind == "plain":
            since_last = self._statement.totals[index - 1].sales_before if index else 0
            starts = [*(self._start(total, each) for each in ("page", "client", "rep")), since_last, 0]
        else:
            starts = [self._start(total, kind)]
        candidates = [self._sum(column, start, total) for start in starts]
        return printed if printed in candidates else candidates[0]

    def _client_starts(self, index: int) -> list[int]:
        """Where the client's lines may begin that a total of a client covers."""
        total = self._statement.totals[index]
        first = self._start(total, "client")
        earlier = (
            other.sales_before
            for other, kind in zip(self._statement.totals[:index], self._kinds, strict=False)
            if kind == "client" and other.label == total.label
        )
        return [first, max(first, self._start(total, "rep")), max((first, *earlier))]

    def _start(self, total: TotalLine, kind: str) -> int:
        """Index of the first of the sales right above the total that belong to it."""
        end = total.sales_before
        if end == 0 or (kind == "page" and self._statement.sales[end - 1].page != total.page):
            return end
        return self._starts[kind][end - 1]

    def _sum(self, column: str, start: int, total: TotalLine) -> Decimal:
        return self._sums[column][total.sales_before] - self._sums[column][start]


def _running(amounts: Iterable[Decimal]) -> list[Decimal]:
    """Sum of the first 0, 1, 2 … amounts."""
    return list(accumulate(amounts, initial=Decimal("0.00")))


def _run_starts(sales: Sequence[Sale], key: Callable[[Sale], object]) -> list[int]:
    """For each sale, the index where its unbroken run of the same key begins."""
    starts: list[int] = []
    for index, sale in enumerate(sales):
        is_same = index > 0 and key(sales[index - 1]) == key(sale)
        starts.append(starts[-1] if is_same else index)
    return starts


def _client(sale: Sale) -> str:
    return tidy(sale.cells[0]).casefold()
