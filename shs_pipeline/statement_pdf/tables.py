"""The table of each page: which lines are its, and where its columns stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from shs_pipeline.statement_pdf.camelot_reader import PageTable
from shs_pipeline.statement_pdf.columns import Columns
from shs_pipeline.statement_pdf.heading import HeadColumn, Heading, find_heading
from shs_pipeline.statement_pdf.printed import PrintedLine, PrintedPage


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
    printed = {
        _spelt(line) for number, heading in headings.items() for line in _title(pages[number - 1], heading)
    }
    for page in pages:
        if page.number in headings:
            current, head = headings[page.number], heads[page.number]
        if current is None:
            continue
        below = page.lines[current.end :] if page.number in headings else page.lines
        lines = [line for line in below if _spelt(line) not in printed]
        by_place.setdefault(current.place, []).extend(lines)
        parts.append((page, head, current.place, lines))
    placed = {place: head for _, head, place, _ in parts}
    learned = {place: Columns.learned(head, by_place[place]) for place, head in placed.items()}
    return [
        PageTable(page, learned[place], [learned[place].cells_of(page.number, line) for line in lines])
        for page, _, place, lines in parts
    ]


def _title(page: PrintedPage, heading: Heading) -> Sequence[PrintedLine]:
    """The lines of a page down to the end of its heading: printed again elsewhere they say nothing new."""
    return page.lines[: heading.end]


def _spelt(line: PrintedLine) -> str:
    return line.text.casefold()
