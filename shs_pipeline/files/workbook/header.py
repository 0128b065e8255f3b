"""Finding the header of a table by its names: letters, digits, `%` and `$` count, nothing else does."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from shs_pipeline.casting.cells import match_key
from shs_pipeline.files.reading import Problem

HEADER_WITHIN = 20
"""Rows of a sheet in which the header is looked for."""
LEAST_LIKENESS = 0.6
"""How alike two headers must be for one to be named as what the other may be (difflib's ratio)."""

_DOLLARS = re.compile(r"(?<![a-z])(?:in )?(?:us ?\$|usd|us dollars?|dollars?)(?![a-z])", re.IGNORECASE)
# A rate and an amount may differ in these alone: `Commission %` and `Commission $`.
_TELLING = frozenset("%$")


@lru_cache(maxsize=4096)
def header_key(text: str) -> str:
    """Return the form in which headers are compared: `Closed Date:` is `closeddate`, `Rep %` is `rep%`."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(mark for mark in plain if mark.isalnum() or mark in _TELLING)


@dataclass(frozen=True)
class Header:
    """A row that is taken for the header.

    Attributes:
        row: 1-based; the lower one where the header is printed over two rows.
        cells: its texts, None for what is no text.
        where: 0-based position of each column that was found.
        doubled: columns that it names more than once.
        printed: by position, the texts that stand there as header, to know it when it is printed again.
    """

    row: int = 0
    cells: Sequence[str | None] = ()
    where: dict[str, int] = field(default_factory=dict)
    doubled: Sequence[str] = ()
    printed: Sequence[frozenset[str]] = ()


class HeaderNames:
    """The columns of a contract, as a header may spell them.

    Args:
        columns: header names that must be there.
        optional: header names that may be missing.
    """

    def __init__(self, columns: Sequence[str], optional: Sequence[str] = ()) -> None:
        self.columns, self.optional = tuple(columns), tuple(optional)
        names = (*columns, *optional)
        # From the strictest spelling to the freest. What two columns share identifies neither: with both
        # `Commission %` and `Commission $`, nobody knows what `Commission` is.
        alike = Counter(map(_letters, names))
        tellable = [name for name in names if alike[_letters(name)] == 1]
        self._by_spelling: list[tuple[Callable[[str], str], dict[str, str]]] = [
            (match_key, _unique(match_key, names)),
            (header_key, _unique(header_key, names)),
            (_without_dollar, _unique(_without_dollar, tellable)),
        ]

    def match(self, cells: Sequence[Any]) -> tuple[dict[str, int], list[str]]:
        """Return where in a row the columns stand, and which stand there twice.

        The strictest spelling wins: where `Amount` and `Amount:` both stand, `Amount` is the column.
        """
        where: dict[str, int] = {}
        doubled: list[str] = []
        free = [position for position, cell in enumerate(cells) if isinstance(cell, str) and cell]
        for spelling, names in self._by_spelling:
            found: dict[str, int] = {}
            left = []
            for position in free:
                name = names.get(spelling(cells[position]))
                if name is None:
                    left.append(position)
                elif name in found:
                    doubled.append(name)
                elif name not in where:
                    found[name] = position
            where |= found
            free = left
        order = {name: number for number, name in enumerate((*self.columns, *self.optional))}
        return dict(sorted(where.items(), key=lambda item: order[item[0]])), doubled

    def find(self, rows: Sequence[Sequence[Any]], upper_rows: Sequence[Sequence[Any]]) -> Header:
        """Return the row with the most columns; two rows joined where only these have all columns.

        Args:
            rows: first rows of a sheet.
            upper_rows: the same rows as they count above another, with headings spread across columns.
        """
        best = Header()
        for number, row in enumerate(rows, start=1):
            best = self._better(best, number, row, [_printed(row)])
        if len(set(best.where) & set(self.columns)) < len(self.columns):
            for number, (upper, lower) in enumerate(zip(upper_rows, rows[1:], strict=False), start=2):
                joined = self._better(best, number, _joined(upper, lower), [_printed(upper), _printed(lower)])
                if joined is not best and set(self.columns) <= set(joined.where):
                    return joined
        return best

    def _better(
        self, best: Header, number: int, row: Sequence[Any], printed: list[list[str | None]]
    ) -> Header:
        where, doubled = self.match(row)
        if len(where) <= len(best.where):
            return best
        cells = _printed(row)
        pieces = [
            frozenset(header_key(text) for text in texts if text)
            for texts in zip(cells, *(_padded(texts, len(cells)) for texts in printed), strict=True)
        ]
        return Header(number, cells, where, doubled, pieces)

    def problems(self, sheet: str, header: Header) -> list[Problem]:
        """Return what is missing in a header and what stands there twice."""
        taken = set(header.where.values())
        others = [text for place, text in enumerate(header.cells) if text and place not in taken]
        return [
            *(_doubled(sheet, header.row, name) for name in dict.fromkeys(header.doubled)),
            *(
                _missing(sheet, header.row, name, _nearest(name, others))
                for name in self.columns
                if name not in header.where
            ),
        ]


def is_printed_again(cells: Sequence[Any], header: Header, positions: Sequence[int]) -> bool:
    """Whether a row below the header is that header again, whole or in part.

    Args:
        cells: of the row, one for each position.
        positions: where in the sheet they stand.
    """
    filled = [
        (cell, header.printed[position] if position < len(header.printed) else frozenset())
        for cell, position in zip(cells, positions, strict=True)
        if cell is not None and cell != "" and not (isinstance(cell, str) and cell.isspace())
    ]
    same = sum(1 for cell, printed in filled if isinstance(cell, str) and header_key(cell) in printed)
    # A page number may stand beside it.
    return same > 0 and (same == len(filled) or (same >= 2 and same == len(filled) - 1))


def _unique(spelling: Callable[[str], str], names: Sequence[str]) -> dict[str, str]:
    """Return the names by their spelling, without those that share one."""
    count = Counter(map(spelling, names))
    return {spelling(name): name for name in names if spelling(name) and count[spelling(name)] == 1}


@lru_cache(maxsize=4096)
def _without_dollar(text: str) -> str:
    return header_key(_DOLLARS.sub(" ", text)).replace("$", "")


def _letters(text: str) -> str:
    return _without_dollar(text).replace("%", "")


def _printed(row: Sequence[Any]) -> list[str | None]:
    return [cell if isinstance(cell, str) and cell.strip() else None for cell in row]


def _padded(texts: list[str | None], width: int) -> list[str | None]:
    return texts[:width] + [None] * (width - len(texts))


def _joined(upper: Sequence[Any], lower: Sequence[Any]) -> list[str | None]:
    width = max(len(upper), len(lower))
    pairs = zip(_padded(_printed(upper), width), _padded(_printed(lower), width), strict=True)
    # A cell that is merged over both rows holds one text.
    return [" ".join(dict.fromkeys(text for text in pair if text)) or None for pair in pairs]


def _nearest(name: str, others: Sequence[str]) -> str | None:
    """Return the header that is most like a missing one, if any is like it."""
    by_key = {header_key(other): other for other in reversed(others)}
    found = difflib.get_close_matches(header_key(name), by_key, n=1, cutoff=LEAST_LIKENESS)
    return " ".join(by_key[found[0]].split()) if found else None


def _missing(sheet: str, row: int, name: str, nearest: str | None) -> Problem:
    if nearest is None:
        problem = f"The column {name} is missing."
        remedy = f"Add the column {name} to the header row, or export the report again with that column."
    else:
        problem = f"The column {name} is missing, but there is a column {nearest}."
        remedy = f"If that is the one, rename it to {name}; otherwise export the report again with {name}."
    return Problem(problem=problem, remedy=remedy, sheet=sheet, row=row, column=name)


def _doubled(sheet: str, row: int, name: str) -> Problem:
    return Problem(
        problem=f"The column {name} is in the header twice.",
        remedy="Delete or rename the one that does not belong.",
        sheet=sheet,
        row=row,
        column=name,
    )
