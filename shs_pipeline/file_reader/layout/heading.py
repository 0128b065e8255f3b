"""Which row of which sheet is the header: the one with the most headings above the most lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shs_pipeline.base.errors import UnreadableFileError
from shs_pipeline.casting.cells import CastError, is_blank, squeeze
from shs_pipeline.casting.days import day_of
from shs_pipeline.casting.kinds import CASTS
from shs_pipeline.files.reading import SourceFile
from shs_pipeline.files.workbook.book import Book
from shs_pipeline.files.workbook.header import HEADER_WITHIN, header_key
from shs_pipeline.files.workbook.places import letters_of
from shs_pipeline.files.workbook.table import read_sheet

_FEWEST = 3
_LONGEST = 120
_MARKS = frozenset("#%$№")


@dataclass(frozen=True)
class FoundHeader:
    """A header.

    Attributes:
        headings: by 0-based position, with single spaces; each is there once.
        left_out: columns that cannot be told by a heading, each with the reason.
    """

    sheet: str
    row: int
    headings: dict[int, str]
    left_out: tuple[str, ...]


def find_header(file: SourceFile) -> FoundHeader:
    """Return the header of the sheet that has most columns with something below them.

    Raises:
        UnreadableFileError: not a workbook, damaged, or no row looks like a header.
    """
    visible = [entry.name for entry in Book(file).sheets if entry.is_visible]
    found = [one for name in visible if (one := _of_sheet(file, name))]
    if not found:
        raise UnreadableFileError(
            f"{file.name}: no row within the first {HEADER_WITHIN} of a visible sheet looks like a header, "
            f"which needs at least {_FEWEST} different headings with lines below.",
            "If there are more rows above the header, delete some, or run the command without --from and "
            "write the columns by hand.",
        )
    return max(found, key=lambda header: len(header.headings))


def _of_sheet(file: SourceFile, name: str) -> FoundHeader | None:
    cells, (rows, upper_rows) = read_sheet(file, name)
    points = [_points(row) for row in rows]
    best = max(range(len(rows)), key=lambda number: points[number], default=0)
    if not rows or points[best] < _FEWEST:
        return None
    last, texts = best, _texts(rows[best])
    for upper, lower in ((best, best + 1), (best - 1, best)):
        if upper >= 0 and lower < len(rows) and _is_all_text(rows[upper]) and _is_all_text(rows[lower]):
            joined = _joined(_texts(upper_rows[upper]), _texts(rows[lower]))
            if len(_told(joined)) > len(_told(texts)):
                last, texts = lower, joined
    number = last + 1
    width = max((len(row) for row in rows), default=0)
    numbers = list(cells.numbers_below(number))[:1000]
    below = cells.columns_of(numbers, range(width))
    used = {at for at, column in enumerate(below) if not all(map(is_blank, column))}
    if len(used & _told(texts).keys()) < _FEWEST:
        return None
    return _without_doubtful(name, number, texts, used)


def _without_doubtful(sheet: str, row: int, texts: dict[int, str], used: set[int]) -> FoundHeader:
    told = _told(texts)
    counts = Counter(map(header_key, texts.values()))
    left_out = [f"column {letters_of(at)} has no heading" for at in sorted(used - texts.keys())]
    for at, text in texts.items():
        if counts[header_key(text)] > 1:
            left_out.append(f"column {letters_of(at)}: {text} is in the header more than once")
        elif at not in told:
            left_out.append(f"column {letters_of(at)}: its heading cannot be used in a model")
    return FoundHeader(sheet, row, told, tuple(left_out))


def _told(texts: dict[int, str]) -> dict[int, str]:
    """Return the headings by which a column can be told from all others."""
    counts = Counter(map(header_key, texts.values()))
    # dbt would take braces for its own templates.
    return {
        at: text
        for at, text in texts.items()
        if counts[header_key(text)] == 1 and not any(mark in text for mark in "{}")
    }


def _points(row: Sequence[Any]) -> int:
    """Return how many different headings a row holds; what can be no heading counts against it."""
    texts = _texts(row)
    others = sum(not is_blank(cell) for cell in row) - len(texts)
    return len({header_key(text) for text in texts.values()}) - 3 * others


def _texts(row: Sequence[Any]) -> dict[int, str]:
    return {at: squeeze(cell) for at, cell in enumerate(row) if _is_heading(cell)}


def _is_all_text(row: Sequence[Any]) -> bool:
    return len(_texts(row)) >= 2 and all(is_blank(cell) or _is_heading(cell) for cell in row)


def _is_heading(cell: Any) -> bool:
    if not isinstance(cell, str) or is_blank(cell) or len(cell) > _LONGEST:
        return False
    text = squeeze(cell)
    return text in _MARKS or (any(mark.isalpha() for mark in text) and not _is_value(text))


def _is_value(text: str) -> bool:
    for cast in (CASTS["amount"], day_of):
        try:
            cast(text)
        except CastError:
            continue
        return True
    return False


def _joined(upper: dict[int, str], lower: dict[int, str]) -> dict[int, str]:
    """Return the headings of two rows read as one, as `read_table` reads them."""
    return {
        at: " ".join(dict.fromkeys(filter(None, (upper.get(at), lower.get(at)))))
        for at in sorted({*upper, *lower})
    }
