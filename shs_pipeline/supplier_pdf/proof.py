"""Which reading of a statement proves itself.

The coordinate reader's is taken when every line found its place and its amounts tie out to every
printed total; camelot's where only that one does. Camelot's division is less sure where texts lie
over each other, so that of two whole readings it has a say on the characters and amounts alone.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from shs_pipeline.base.wording import count_of, form_for
from shs_pipeline.files.reading import PrintedTotal, Problem
from shs_pipeline.supplier_pdf import camelot_reader
from shs_pipeline.supplier_pdf.assembly import assemble
from shs_pipeline.supplier_pdf.camelot_reader import CamelotError, PageTable
from shs_pipeline.supplier_pdf.coordinates import SEND_PIVOT
from shs_pipeline.supplier_pdf.heading import Heading
from shs_pipeline.supplier_pdf.naming import DOUBT
from shs_pipeline.supplier_pdf.printed import (
    CLIENT,
    COMMISSION,
    INVOICE,
    ITEM,
    NET_SALES,
    RATE,
    CellLine,
    PrintedPage,
    Sale,
    Statement,
    is_rate,
    rate_of,
    sheet_of,
)
from shs_pipeline.supplier_pdf.tables import readings_of, tables_of
from shs_pipeline.supplier_pdf.tie_out import TieOut

COORDINATES, CAMELOT = "coordinate reader", "camelot"
_SHOWN = 20  # totals listed one by one before the rest is counted
_WRONG_TOTAL = (
    "Add up the lines on the page. If the total is wrong, ask Summit for a corrected statement; if it is "
    f"right: {SEND_PIVOT[0].lower()}{SEND_PIVOT[1:]}"
)


@dataclass
class Result:
    """What one reader made of the statement by one interpretation of its columns."""

    reader: str
    statement: Statement = field(default_factory=Statement)
    totals: list[PrintedTotal] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether every line was understood and every printed total agrees."""
        return not any(problem.severity == "error" for problem in self.problems)

    @property
    def is_in_doubt(self) -> bool:
        """Whether amounts tie out, and only the clients' names cannot be told for sure."""
        errors = [problem for problem in self.problems if problem.severity == "error"]
        return bool(errors) and all(problem.problem.startswith(DOUBT) for problem in errors)

    @property
    def rows(self) -> list[tuple[object, ...]]:
        """What would be loaded, to compare readings."""
        return [
            (*_texts(sale), sale.page, sale.line.line, sale.net_sales, sale.commission)
            for sale in self.statement.sales
        ]


def prove(content: bytes, pages: Sequence[PrintedPage], headings: Mapping[int, Heading]) -> Result:
    """Read a statement in every way that its heading allows, and take the one that proves itself.

    Args:
        content: bytes of the PDF.
        pages: its pages.
        headings: whole headings by page number.
    """
    first: tuple[Result, list[PageTable]] | None = None
    for heads in readings_of(headings):
        ways = [tables_of(pages, headings, head) for head in heads]
        results = [
            _result(COORDINATES, [line for table in tables for line in table.lines]) for tables in ways
        ]
        for result in results:
            _count_set_aside(result, pages)
        first = first or (results[0], ways[0])
        whole = [index for index, result in enumerate(results) if result.is_whole]
        in_doubt = max((r for r in results if r.is_in_doubt), key=_fitting_rates, default=None)
        most = max((_fitting_rates(results[index]) for index in whole), default=-1)
        if in_doubt is not None and _fitting_rates(in_doubt) > most:
            return in_doubt  # a less likely reading proves no name
        if whole:
            return _likeliest(results, ways, whole, content, pages, headings)
    assert first is not None
    return _with_second_opinion(*first, content, pages)


def _likeliest(
    results: Sequence[Result],
    ways: Sequence[list[PageTable]],
    whole: Sequence[int],
    content: bytes,
    pages: Sequence[PrintedPage],
    headings: Mapping[int, Heading],
) -> Result:
    """Of readings that all tie out, the one that the printed rates fit; none where they fit several."""
    most = max(_fitting_rates(results[index]) for index in whole)
    fitting = [index for index in whole if _fitting_rates(results[index]) == most]
    best = fitting[0]
    if any(results[index].rows != results[best].rows for index in fitting):
        results[best].problems.append(_ambiguous(ways[best], pages, headings))
        return results[best]
    return _with_second_opinion(results[best], ways[best], content, pages)


def _result(reader: str, lines: Sequence[CellLine]) -> Result:
    statement = assemble(lines)
    ties = TieOut(statement)
    totals = ties.totals()
    statement.left_out["text with an amount"] += len(ties.notes)
    statement.left_out = +statement.left_out
    problems = [*statement.problems, *ties.problems(), *_disagreements(totals, ties), *_swapped(statement)]
    return Result(reader, statement, totals, problems)


def _disagreements(totals: Sequence[PrintedTotal], ties: TieOut) -> list[Problem]:
    wrong = [total for total in totals if not total.agrees]
    problems = [
        Problem(
            f"{total.label or 'The total'!r} does not add up: {total.printed:,.2f} is printed, but the lines "
            f"it covers add up to {total.computed:,.2f}, and all lines to {ties.sums[total.column]:,.2f}.",
            _WRONG_TOTAL,
            total.sheet,
            total.row,
            total.column,
            f"{total.printed:,.2f}",
        )
        for total in wrong[:_SHOWN]
    ]
    if len(wrong) > _SHOWN:
        more = len(wrong) - _SHOWN
        said = f"{count_of(more, 'more total')} {form_for(more, 'does', 'do')} not add up."
        problems.append(Problem(said, _WRONG_TOTAL))
    return problems


def _rated(statement: Statement) -> list[Sale]:
    return [
        sale for sale in statement.sales if is_rate(sale.line[RATE]) and sale.net_sales and sale.commission
    ]


def _fitting_rates(result: Result) -> int:
    """How many sales have the commission that their rate says."""
    return sum(_fits(sale, sale) for sale in _rated(result.statement))


def _swapped(statement: Statement) -> list[Problem]:
    """Net sales and commission taken for each other tie out too; only the rates tell."""
    rated = _rated(statement)
    turned = [replace(sale, net_sales=sale.commission, commission=sale.net_sales) for sale in rated]
    fits = any(map(_fits, rated, rated))
    is_swapped = len(rated) > 1 and all(_fits(one, one) for one in turned) and not fits
    sales = statement.sales
    # Nobody earns more than what was sold; where no rate can be read, that has to tell.
    is_too_much = not fits and sum(abs(s.commission) for s in sales) > sum(abs(s.net_sales) for s in sales)
    if not is_swapped and not is_too_much:
        return []
    what = "rates fit the other way" if is_swapped else "the commission is more than the sales"
    problem = f"Net sales and commission seem to be swapped under their headings: {what}."
    return [Problem(problem, SEND_PIVOT, sheet_of(sales[0].page), sales[0].line.line, NET_SALES)]


def _fits(sale: Sale, _: Sale) -> bool:
    text = (rate_of(sale.line[RATE], sale.net_sales, sale.commission) or "").replace(",", ".")
    number = Decimal(text.rstrip("% ") or 0)
    rate = number / 100 if "%" in text or number >= 1 else number
    return abs(sale.net_sales * rate - sale.commission) <= Decimal("0.02")


def _ambiguous(
    tables: Sequence[PageTable], pages: Sequence[PrintedPage], headings: Mapping[int, Heading]
) -> Problem:
    page = tables[0].page
    heading = headings[page.number]
    line = pages[page.number - 1].lines[heading.first_line]
    return Problem(
        "The column heading can be read in two ways that give different lines, and both add up.",
        SEND_PIVOT,
        page.sheet,
        line.number,
        value=line.text,
    )


def _count_set_aside(result: Result, pages: Sequence[PrintedPage]) -> None:
    count = sum(bool(page.set_aside) for page in pages)
    if count:
        result.statement.left_out["watermark"] += count


def _with_second_opinion(
    ours: Result, tables: Sequence[PageTable], content: bytes, pages: Sequence[PrintedPage]
) -> Result:
    """Hold a reading against camelot's."""
    # Camelot knows nothing of text that lies on its side.
    if any(page.is_turned for page in pages):
        return ours
    try:
        lines = camelot_reader.read_cells(content, tables)
    except CamelotError:
        return ours
    theirs = _result(CAMELOT, lines)
    _count_set_aside(theirs, pages)
    seen = {(line.page, line.line) for line in lines}
    is_complete = all((line.page, line.line) in seen for table in tables for line in table.lines)
    if not theirs.is_whole or not is_complete:
        return ours
    if not ours.is_whole:
        return ours if ours.is_in_doubt else theirs
    ours.problems += _differences(ours, theirs, {page.number: page.set_aside for page in pages})
    return ours


def _differences(ours: Result, theirs: Result, aside: Mapping[int, str]) -> list[Problem]:
    """Sales where camelot saw other amounts, or characters that we did not see."""
    by_place = {(sale.page, sale.line.line): sale for sale in theirs.statement.sales}
    problems = []
    for sale in ours.statement.sales:
        other = by_place.get((sale.page, sale.line.line))
        if other is None:
            continue
        amounts = (sale.net_sales, sale.commission) != (other.net_sales, other.commission)
        ink, other_ink = _ink(sale), _ink(other)
        # What we set aside on purpose, camelot took for text; and what is drawn twice it counts twice.
        unexplained = (
            other_ink - ink - Counter(aside.get(sale.page, "")) if set(other_ink) != set(ink) else Counter()
        )
        if amounts or unexplained or ink - other_ink:
            problems.append(_difference(sale, other))
    return problems


def _texts(sale: Sale) -> tuple[str, ...]:
    return sale.client, sale.line[INVOICE], sale.line[ITEM], sale.state or "", sale.zip_code or ""


def _ink(sale: Sale) -> Counter[str]:
    """The characters of a sale as both readers would spell them."""
    plain = unicodedata.normalize("NFKC", "".join(_texts(sale)))
    return Counter(char for char in plain if char.isalnum())


def _difference(sale: Sale, other: Sale) -> Problem:
    pairs = [
        (CLIENT, sale.client, other.client),
        *(
            (column, sale.line[column], other.line[column])
            for column in (INVOICE, ITEM, NET_SALES, COMMISSION)
        ),
    ]
    column, text, other_text = next((pair for pair in pairs if pair[1] != pair[2]), pairs[0])
    return Problem(
        f"Two readers see different text here: {text!r} and (camelot) {other_text!r}.",
        SEND_PIVOT,
        sheet_of(sale.page),
        sale.line.line,
        column,
        text,
    )
