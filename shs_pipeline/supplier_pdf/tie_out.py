"""Check printed totals against the lines that they cover."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import accumulate

from shs_pipeline.files.reading import PrintedTotal, Problem
from shs_pipeline.supplier_pdf.coordinates import SEND_PIVOT
from shs_pipeline.supplier_pdf.printed import (
    COMMISSION,
    NET_SALES,
    Sale,
    Statement,
    TotalLine,
    sheet_of,
    tidy,
)

AMOUNT_COLUMNS = (NET_SALES, COMMISSION)
_NOT_THE_NAME = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"^\W*(grand|report|statement|sub)?[- ]?(sub)?totals?\b:?( (for|of)\b)?:?",
        r"\b(sub)?totals?\b\W*$",
    )
)
_GRAND = re.compile(r"grand[- ]?totals?\b", re.IGNORECASE)
_PAGE_LABEL = re.compile(r"(this )?page( \d+)?:?", re.IGNORECASE)


class TieOut:
    """The totals of one statement.

    A page's or client's total covers what its label says, a client's perhaps only what came under
    this rep code or since the client's last total; the last total below all sales is the grand
    total. A total whose label says none of it covers the page, the client, the rep code, what came
    since a total before, or all so far: whichever agrees. Amounts without a word that calls them
    a total must agree with one of these, or they are none.
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
            "section": _run_starts(statement.sales, lambda sale: sale.section),
        }
        self._sections = sorted(set(self._starts["section"]))
        self.notes = [
            total for total in statement.totals if not total.is_named and not self._proves_itself(total)
        ]
        self._totals = [total for total in statement.totals if total not in self.notes]
        self._kinds = [self._kind(total) for total in self._totals]
        self._grand = {column: self._grand_total(column) for column in AMOUNT_COLUMNS}

    @property
    def sums(self) -> dict[str, Decimal]:
        """Sum of each amount column over all sales, in dollars."""
        return {column: running[-1] for column, running in self._sums.items()}

    def totals(self) -> list[PrintedTotal]:
        """Every printed amount of every total, beside the sum of the lines it covers."""
        return [
            PrintedTotal(sheet_of(total.page), total.line, total.label, column, printed, computed)
            for index, total in enumerate(self._totals)
            for column, printed in total.amounts.items()
            for computed in [self._computed(index, column, printed)]
        ]

    def problems(self) -> list[Problem]:
        """No grand total, or amounts that belong to no sale and to no total."""
        problems = [
            Problem(
                f"This line has amounts but is neither a sale nor a total that adds up: {total.label!r} "
                + " ".join(f"{amount:,.2f}" for amount in total.amounts.values()),
                SEND_PIVOT,
                sheet_of(total.page),
                total.line,
            )
            for total in self.notes
            if len(total.amounts) == len(AMOUNT_COLUMNS)
        ]
        missing = [column for column, index in self._grand.items() if index is None]
        if len(missing) == len(AMOUNT_COLUMNS):
            return [
                *problems,
                Problem(
                    "The statement ends without a grand total, so nothing proves that all of it was read.",
                    f"Check whether its last page is missing, and drop the complete statement. {SEND_PIVOT}",
                ),
            ]
        return problems + [
            Problem(
                f"The grand total prints no amount for {column!r}, so that column was not checked against "
                "it.",
                "Compare the loaded sum with the statement.",
                column=column,
                severity="warning",
            )
            for column in missing
        ]

    def _proves_itself(self, total: TotalLine) -> bool:
        """Whether amounts without a name are the sums of lines right above them."""
        end = total.sales_before
        if not total.amounts or not end:
            return False
        return any(
            all(self._sum(column, start, total) == amount for column, amount in total.amounts.items())
            and (len(total.amounts) == len(AMOUNT_COLUMNS) or not total.label)
            for start in (0, *(starts[end - 1] for starts in self._starts.values()))
        )

    def _kind(self, total: TotalLine) -> str:
        names = [tidy(part.sub("", total.label, count=1)).strip(":* ").casefold() for part in _NOT_THE_NAME]
        name = min(names, key=len)
        last = self._statement.sales[total.sales_before - 1] if total.sales_before else None
        if _GRAND.match(total.label):
            return "grand"
        if last is not None and _client(last) in names:
            return "client"
        if _PAGE_LABEL.fullmatch(name):
            return "page"
        is_section = name and any(
            heading.startswith(name) or name in heading for heading in self._statement.headings
        )
        return "section" if is_section else "plain"

    def _grand_total(self, column: str) -> int | None:
        """Index of the total that covers the whole statement: the last one, below all sales."""
        for index in range(len(self._kinds) - 1, -1, -1):
            total, kind = self._totals[index], self._kinds[index]
            if total.sales_before < len(self._statement.sales):
                return None
            if column not in total.amounts or kind in {"client", "page"}:
                continue
            if kind != "section" or total.amounts[column] == self.sums[column]:
                return index
        return None

    def _computed(self, index: int, column: str, printed: Decimal) -> Decimal:
        total, kind = self._totals[index], self._kinds[index]
        if kind == "grand" or index == self._grand[column]:
            return self._sums[column][-1]
        if kind == "client":
            starts = self._client_starts(index)
        elif kind == "page":
            starts = [self._start(total, kind)]
        else:
            earlier = sorted({other.sales_before for other in self._totals[:index]}, reverse=True)
            sections = [start for start in reversed(self._sections) if start < total.sales_before]
            starts = [*sections, *(self._start(total, each) for each in ("page", "client")), *earlier, 0]
        candidates = [self._sum(column, start, total) for start in starts]
        return printed if printed in candidates else candidates[0]

    def _client_starts(self, index: int) -> list[int]:
        """Where the client's lines may begin that a total of a client covers."""
        total = self._totals[index]
        first = self._start(total, "client")
        earlier = (
            other.sales_before
            for other, kind in zip(self._totals[:index], self._kinds, strict=False)
            if kind == "client" and other.label == total.label
        )
        return [first, max(first, self._start(total, "section")), max((first, *earlier))]

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
    return tidy(sale.client).casefold()
