"""Where the columns of a statement's page stand, and which text of a line belongs to which."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shs_pipeline.statement_pdf.printed import (
    CELL_COLUMNS,
    PrintedLine,
    PrintedPage,
    Run,
    amount_of,
    is_rate,
    tidy,
)

Band = tuple[float, float]  # left and right edge, points

_NEAR = 1.5  # points: two edges closer than this are meant to be one
_HEADING_WORDS = frozenset(
    {"client", "name", "invoice", "#", "item", "id", "net", "sales", "amount", "rate", "comm", "commission"}
    | {"$", "%"}
)
# In this order: "Comm Rate" is the rate.
_TELLING = dict(
    zip(
        CELL_COLUMNS,
        ({"name", "client"}, {"invoice"}, {"item"}, {"net", "sales"}, {"rate"}, {"comm", "commission"}),
        strict=True,
    )
)
_SPACE = 0.36  # of the font size: a gap up to this wide is a space between two words
_NO_SPACE = 0.12  # of the font size: a gap smaller than this is none


@dataclass(frozen=True)
class Columns:
    """The columns of one page.

    Attributes:
        first_line: index (0-based) of the first line below the heading.
        top: height above the page's lower edge that parts the heading from the lines, points.
        bands: where the six columns of `CELL_COLUMNS` usually begin and end.
        reach: the furthest that each column begins and ends on regular lines.
    """

    first_line: int
    top: float
    bands: tuple[Band, ...]
    reach: tuple[Band, ...]

    @property
    def boundaries(self) -> tuple[float, ...]:
        """Five x positions that part the six columns."""
        edges = [self.reach[1][0] - 1.0]
        for left, right in zip(self.reach[1:], self.reach[2:], strict=False):
            edges.append((left[1] + right[0]) / 2)
        return tuple(round(edge, 1) for edge in edges)


def find_columns(pages: Sequence[PrintedPage]) -> dict[int, Columns]:
    """Find the columns of every page that has a column heading.

    The heading says which column is which; the lines of all pages with the same heading say where
    the columns really begin and end.

    Returns:
        page number to its columns.
    """
    found = {page.number: heading for page in pages if (heading := _heading(page)) is not None}
    by_place: dict[tuple[Band, ...], list[PrintedPage]] = {}
    for page in pages:
        if page.number in found:
            place = tuple((round(x0), round(x1)) for x0, x1 in found[page.number].bands)
            by_place.setdefault(place, []).append(page)
    for alike in by_place.values():
        lines = [line for page in alike for line in page.lines[found[page.number].first_line :]]
        bands, reach = _learn(lines, found[alike[0].number].bands)
        for page in alike:
            found[page.number] = replace(found[page.number], bands=bands, reach=reach)
    return found


def cells_of_line(line: PrintedLine, columns: Columns) -> tuple[str, ...]:
    """Divide a line into the six cells of `CELL_COLUMNS`, blank where nothing is printed."""
    anchors = [band[0] for band in columns.bands[1:]]
    texts = _glue_signs(_join_words(line.runs, anchors))
    cells = _by_place(texts, columns)
    if _is_regular(cells) or not texts:
        return cells
    in_order = tuple(tidy(text.text) for text in texts)
    if len(in_order) == len(CELL_COLUMNS) and _is_regular(in_order):
        return in_order
    parted = _by_place(_part_at(texts, columns.bands[1][0]), columns)
    return parted if _is_regular(parted) else cells


def _heading(page: PrintedPage) -> Columns | None:
    for index, line in enumerate(page.lines):
        if not re.match(r"(client )?name\b", line.text, re.IGNORECASE):
            continue
        for first, last in ((index - 1, index), (index, index + 1), (index, index)):
            block = page.lines[max(first, 0) : last + 1]
            bands = _heading_bands(block)
            if bands is not None:
                below = page.lines[last + 1 : last + 2]
                top = (block[-1].y + below[0].y + below[0].runs[0].size) / 2 if below else block[-1].y
                return Columns(last + 1, round(top, 1), bands, bands)
    return None


def _heading_bands(block: Sequence[PrintedLine]) -> tuple[Band, ...] | None:
    words = [word for line in block for word in line.text.casefold().split()]
    if not set(words) <= _HEADING_WORDS:
        return None
    clusters: list[list[Run]] = []
    for run in sorted((run for line in block for run in line.runs), key=lambda item: item.x0):
        if clusters and run.x0 <= max(item.x1 for item in clusters[-1]):
            clusters[-1].append(run)
        else:
            clusters.append([run])
    named = [" ".join(run.text for run in cluster).casefold() for cluster in clusters]
    if [_meaning(name) for name in _joined(named, clusters)] != list(CELL_COLUMNS):
        return None
    return tuple((min(r.x0 for r in c), max(r.x1 for r in c)) for c in clusters)


def _joined(named: list[str], clusters: list[list[Run]]) -> list[str]:
    """Join the words of a heading cell that were drawn one by one (`Invoice` and `#`)."""
    index = 1
    while index < len(named):
        gap = min(r.x0 for r in clusters[index]) - max(r.x1 for r in clusters[index - 1])
        if gap <= _SPACE * clusters[index][0].size:
            named[index - 1] += " " + named.pop(index)
            clusters[index - 1] += clusters.pop(index)
        else:
            index += 1
    return named


def _meaning(name: str) -> str | None:
    """Which of `CELL_COLUMNS` a heading stands for."""
    words = set(name.split())
    return next((column for column, telling in _TELLING.items() if words & telling), None)


def _learn(
    lines: Sequence[PrintedLine], heading: tuple[Band, ...]
) -> tuple[tuple[Band, ...], tuple[Band, ...]]:
    """Usual and furthest edges of the columns on regular lines; the heading's where there is none."""
    anchors = [band[0] for band in heading[1:]]
    regular = []
    for line in lines:
        texts = _glue_signs(_join_words(line.runs, anchors))
        if len(texts) == len(CELL_COLUMNS) and _is_regular([text.text for text in texts]):
            regular.append(texts)
    if not regular:
        return heading, heading
    bands, reach = [], []
    for column in range(len(CELL_COLUMNS)):
        lefts = [round(texts[column].x0, 1) for texts in regular]
        rights = [round(texts[column].x1, 1) for texts in regular]
        bands.append((Counter(lefts).most_common(1)[0][0], Counter(rights).most_common(1)[0][0]))
        reach.append((min(lefts), max(rights)))
    return tuple(bands), tuple(reach)


def _join_words(runs: Sequence[Run], anchors: Sequence[float]) -> list[Run]:
    """Join what was drawn word by word: the next run begins where the last one ended.

    A run that begins at the left edge of a column begins a cell, however close the last one is.
    """
    joined: list[Run] = []
    for run in sorted(runs, key=lambda item: item.order):
        last = joined[-1] if joined else None
        is_cell = any(abs(run.x0 - anchor) <= _NEAR for anchor in anchors)
        if last is None or is_cell or not _follows(last, run):
            joined.append(run)
            continue
        space = " " if run.x0 - last.x1 > _NO_SPACE * run.size else ""
        starts = last.starts + ((last.x1,) if space else ()) + run.starts
        joined[-1] = replace(last, text=last.text + space + run.text, x1=run.x1, starts=starts)
    return sorted(joined, key=lambda item: (item.x0, item.order))


def _follows(last: Run, run: Run) -> bool:
    return -_NO_SPACE * run.size <= run.x0 - last.x1 <= _SPACE * run.size


def _glue_signs(texts: list[Run]) -> list[Run]:
    """Give a `$` or parenthesis that stands apart to its amount."""
    glued: list[Run] = []
    opening: Run | None = None
    for text in texts:
        if text.text.strip() in {"$", "(", "$(", "($", "-", "-$"}:
            opening = text if opening is None else replace(opening, text=opening.text + text.text)
            continue
        if opening is not None:
            # The amount keeps its own left edge: the sign may stand at the far end of the column.
            if text.text[0] in "0123456789.($":
                text = replace(text, text=opening.text.strip() + text.text, starts=())
            else:
                glued.append(opening)
            opening = None
        if glued and text.text.strip() == ")":
            glued[-1] = replace(glued[-1], text=glued[-1].text + ")", x1=text.x1)
        else:
            glued.append(text)
    return glued if opening is None else [*glued, opening]


def _by_place(texts: Sequence[Run], columns: Columns) -> tuple[str, ...]:
    cells: list[list[str]] = [[] for _ in CELL_COLUMNS]
    for text in texts:
        cells[_column_of(text, columns)].append(text.text)
    return tuple(tidy(" ".join(cell)) for cell in cells)


def _column_of(text: Run, columns: Columns) -> int:
    """The column whose left or right edge is nearest; left of the invoices all is client."""
    if text.x0 < columns.bands[1][0] - _NEAR and text.x0 < columns.reach[1][0] - 0.5:
        return 0

    def distance(column: int) -> float:
        left, right = columns.bands[column]
        return min(abs(text.x0 - left), abs(text.x1 - right))

    return min(range(1, len(CELL_COLUMNS)), key=distance)


def _part_at(texts: list[Run], x: float) -> list[Run]:
    """Part a client name and an invoice number that were drawn in one go, without a space."""
    parted: list[Run] = []
    for text in texts:
        at = next((i for i, start in enumerate(text.starts) if i and abs(start - x) <= _NEAR), None)
        if at is None or not text.text[at:].strip() or " " in text.text[at:].strip():
            parted.append(text)
            continue
        parted.append(replace(text, text=text.text[:at], x1=text.starts[at], starts=text.starts[:at]))
        parted.append(replace(text, text=text.text[at:], x0=text.starts[at], starts=text.starts[at:]))
    return parted


def _is_regular(cells: Sequence[str]) -> bool:
    """Whether the cells are a whole sale line: nothing blank but the rate, amounts where due."""
    client, invoice, item, net_sales, rate, commission = cells
    return (
        bool(client and invoice and item)
        and amount_of(net_sales) is not None
        and amount_of(commission) is not None
        and (not rate or is_rate(rate))
    )
