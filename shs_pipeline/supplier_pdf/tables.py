"""The table of each page: which lines belong to it, and where its columns are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import dropwhile

from shs_pipeline.supplier_pdf.camelot_reader import PageTable
from shs_pipeline.supplier_pdf.columns import Columns
from shs_pipeline.supplier_pdf.heading import HeadColumn, Heading, find_heading
from shs_pipeline.supplier_pdf.printed import CellLine, PrintedLine, PrintedPage
from shs_pipeline.supplier_pdf.wording import without_numbers

_SAME_HEIGHT = 0.5  # line heights


def find_headings(pages: Sequence[PrintedPage]) -> dict[int, Heading]:
    """The heading of every page that has one; whole ones hide those that only come near."""
    found = {page.number: heading for page in pages if (heading := find_heading(page)) is not None}
    whole = {number: heading for number, heading in found.items() if not heading.missing}
    return whole or found


Reading = Mapping[int, Sequence[HeadColumn]]  # page number to what its columns mean


def readings_of(headings: Mapping[int, Heading]) -> Iterator[list[Reading]]:
    """Ways to understand the columns: the likeliest, several where they are as likely; then each other."""
    yield [
        {number: item.readings[min(way, len(item.readings) - 1)] for number, item in headings.items()}
        for way in range(max(len(item.readings) for item in headings.values()))
    ]
    for way in range(max(len(item.others) for item in headings.values())):
        yield [
            {
                number: item.others[min(way, len(item.others) - 1)] if item.others else item.readings[0]
                for number, item in headings.items()
            }
        ]


def tables_of(
    pages: Sequence[PrintedPage], headings: Mapping[int, Heading], heads: Reading
) -> list[PageTable]:
    """Divide the lines of all pages from the first heading on.

    A page without a heading goes on with the columns of the page before.

    Args:
        pages: all pages.
        headings: as `find_headings` gives them.
        heads: what the columns of each heading mean.
    """
    by_place: dict[object, list[PrintedLine]] = {}
    current: Heading | None = None
    parts: list[tuple[PrintedPage, Sequence[HeadColumn], object, Sequence[PrintedLine]]] = []
    head: Sequence[HeadColumn] = ()
    titles = _Titles(pages, headings)
    for page in pages:
        is_first = current is None
        if page.number in headings:
            current, head = headings[page.number], heads[page.number]
        if current is None:
            continue
        below = page.lines[current.end :] if is_first else titles.below(page)
        lines = [line for line in below if not titles.is_in_place(line)]
        by_place.setdefault(current.place, []).extend(lines)
        parts.append((page, head, current.place, lines))
    placed = {place: head for _, head, place, _ in parts}
    learned = {place: Columns.learned(head, by_place[place]) for place, head in placed.items()}
    return [
        PageTable(page, learned[place], [_cells(learned[place], page, line, titles) for line in lines])
        for page, _, place, lines in parts
    ]


def _cells(columns: Columns, page: PrintedPage, line: PrintedLine, titles: _Titles) -> CellLine:
    return replace(columns.cells_of(page.number, line), is_title=titles.is_known(line))


class _Titles:
    """The lines down to the end of each page's heading: printed again they say nothing new.

    Where they stand at another height than on their page, they may be part of a client's name.
    """

    def __init__(self, pages: Sequence[PrintedPage], headings: Mapping[int, Heading]) -> None:
        self._headings = headings
        self._heights: dict[str, list[float]] = {}
        first = min(headings)
        for number, heading in headings.items():
            start = 0 if number == first else heading.first_line
            for line in pages[number - 1].lines[start : heading.end]:
                self._heights.setdefault(without_numbers(line.text), []).append(line.y)

    def below(self, page: PrintedPage) -> Sequence[PrintedLine]:
        """The lines of a further page without the titles above them."""
        heading = self._headings.get(page.number)
        above = page.lines[: heading.first_line] if heading else ()
        unknown = [line for line in above if not self.is_known(line)]
        rest = page.lines[heading.end :] if heading else page.lines
        return [*unknown, *dropwhile(self.is_known, rest)]

    def is_known(self, line: PrintedLine) -> bool:
        """Whether a title or heading has the same words."""
        return without_numbers(line.text) in self._heights

    def is_in_place(self, line: PrintedLine) -> bool:
        """Whether it is one, at the height at which it stands on its page."""
        return any(
            abs(line.y - height) <= _SAME_HEIGHT * line.runs[0].size
            for height in self._heights.get(without_numbers(line.text), ())
        )
