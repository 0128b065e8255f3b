"""Check printed totals against the lines that they cover.

A total that is named (`C103 Total`, `Total for Mercy`) covers the lines of that name, whichever column
has it (in a grouped report, whichever of those that are printed once for a group): those above it since
the last total of that name, within its group of the columns further out, or, where totals stand above
their lines, those below. A total without a name, or with one that no line has, covers the lines back
to the beginning of some group, to an earlier total or to the top. Which of these is not printed, so
it agrees if one of them adds up to it; a wrong one is shown with the nearest.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import accumulate, chain
from typing import Any

import numpy as np
import pandas as pd

from shs_pipeline.casting.cells import is_blank, show
from shs_pipeline.casting.columns import cast_cells, names_of
from shs_pipeline.casting.kinds import Kind
from shs_pipeline.files.reading import ROW, SHEET, PrintedTotal
from shs_pipeline.files.total_words import names_in


@dataclass(frozen=True)
class _Total:
    """A row with a printed total."""

    position: int
    sheet: str
    row: int
    label: str
    column: str | None


def printed_totals(
    rows: pd.DataFrame,
    is_line: pd.Series,
    is_total: pd.Series,
    amounts: Sequence[str],
    written_once: Sequence[str] = (),
    *,
    kinds: Mapping[str, Kind] | None = None,
    is_fed_by: pd.Series | None = None,
    is_covered: pd.Series | None = None,
) -> list[PrintedTotal]:
    """Hold every printed total against the lines that it covers.

    Args:
        is_line: (n,) which rows are sale lines.
        is_total: (n,) which rows are totals.
        written_once: columns printed on the first row of a group, the outermost first.
        kinds: of the columns, by header: as which their names are read; text where nothing is said.
        is_fed_by: (n,) which rows pass these on, where that is more than the lines.
        is_covered: (n,) rows that a total may cover besides the sale lines.
    """
    totals = _totals_in(rows, is_total)
    if not totals:
        return []
    feeding = (is_line if is_fed_by is None else is_fed_by).tolist()
    masks = [is_line.tolist()]
    if is_covered is not None and not is_covered.equals(is_line):
        masks.insert(0, is_covered.tolist())
    groups = [_Groups(rows, mask, feeding, written_once, amounts, totals, kinds or {}) for mask in masks]
    found = []
    for column in amounts:
        cells = cast_cells(rows[column].tolist(), "amount")[0]
        sums = [_Sums(cells, mask, totals, group) for mask, group in zip(masks, groups, strict=True)]
        for total in totals:
            printed = cells[total.position]
            if printed is None or any(mask[total.position] for mask in masks):
                continue
            held = [each.held_against(total, printed) for each in sums]
            computed, covers = next((one for one in held if one[0] == printed), held[0])
            found.append(PrintedTotal(total.sheet, total.row, total.label, column, printed, computed, covers))
    return sorted(found, key=lambda total: total.row)


def _totals_in(rows: pd.DataFrame, is_total: pd.Series) -> list[_Total]:
    positions = is_total.to_numpy().nonzero()[0].tolist()
    cells = rows[is_total].to_numpy(dtype=object).tolist()
    return [
        _total_at(dict(zip(rows.columns, row, strict=True)), position)
        for row, position in zip(cells, positions, strict=True)
    ]


def _total_at(row: dict[Any, Any], position: int) -> _Total:
    texts = {
        str(header): cell
        for header, cell in row.items()
        if header not in (SHEET, ROW) and isinstance(cell, str) and not is_blank(cell)
    }
    says = next((header for header, cell in texts.items() if "total" in cell.casefold()), None)
    column = says or next(iter(texts), None)
    label = show(texts[column]) if column else "Total"
    return _Total(position, str(row[SHEET]), int(row[ROW]), label, column)


class _Groups:
    """Which lines have the names of totals, and where groups begin."""

    def __init__(
        self,
        rows: pd.DataFrame,
        is_covered: Sequence[bool],
        is_fed_by: Sequence[bool],
        written_once: Sequence[str],
        amounts: Sequence[str],
        totals: Sequence[_Total],
        kinds: Mapping[str, Kind],
    ) -> None:
        self._begins, self._kinds = {0}, kinds
        self._is_covered = np.array(is_covered, dtype=bool)
        self._covered = np.append(0, np.cumsum(self._is_covered))
        self._outer: dict[str, np.ndarray | list[int]] = {}
        self._places: dict[str, dict[str, list[int]]] = {}
        self._names = {total.position: names_in(total.label) for total in totals}
        wanted = {name for names in self._names.values() for name in names}
        self._namesakes: dict[str, list[int]] = {}
        for position in sorted(self._names):
            for name in self._names[position][:1]:
                self._namesakes.setdefault(name, []).append(position)
        passes_on = self._is_covered | np.array(is_fed_by, dtype=bool)
        names, codes = [""], np.zeros(len(rows), dtype=np.int64)
        outer = codes
        for column in written_once:
            outer = pd.factorize(outer * len(names) + codes)[0]
            names, codes = self._coded(rows, column)
            codes = self._filled(codes, passes_on)
            self._outer[column] = outer
            self._note(column, names, codes, wanted)
        for column in () if written_once else rows.columns:
            if column not in (SHEET, ROW, *amounts):
                self._note(column, *self._coded(rows, column), wanted)

    def _coded(self, rows: pd.DataFrame, column: str) -> tuple[list[str], np.ndarray]:
        return _coded(rows[column], self._kinds.get(column, "text"))

    def _filled(self, codes: np.ndarray, passes_on: np.ndarray) -> np.ndarray:
        """Return (n,) the names in force, and note the first line of each."""
        above = np.maximum.accumulate(np.where((codes > 0) & passes_on, np.arange(len(codes)), -1))
        covered = self._is_covered.nonzero()[0]
        is_first = np.diff(above[covered], prepend=-2) != 0
        self._begins.update(covered[is_first].tolist())
        return np.where(above >= 0, codes[above], 0)

    def _note(self, column: str, names: Sequence[str], codes: np.ndarray, wanted: set[str]) -> None:
        spelled: dict[str, list[str]] = {}
        for name, text in names_of(dict.fromkeys(wanted), self._kinds.get(column, "text")).items():
            spelled.setdefault(text, []).append(str(name))
        is_wanted = np.fromiter(map(spelled.__contains__, names), dtype=bool, count=len(names))
        at = (is_wanted[codes] & self._is_covered).nonzero()[0]
        at = at[np.argsort(codes[at], kind="stable")]
        groups = np.split(at, np.diff(codes[at]).nonzero()[0] + 1)
        found = {
            name: group.tolist() for group in groups if group.size for name in spelled[names[codes[group[0]]]]
        }
        if found:
            self._places[column] = found

    @cached_property
    def begins(self) -> list[int]:
        """The first lines of groups, in their order."""
        return sorted(self._begins)

    def covered_between(self, begin: int, end: int) -> int:
        """Return how many rows are covered from one up to another."""
        return int(self._covered[end] - self._covered[begin])

    def named_by(self, total: _Total) -> tuple[str, Iterator[list[int]]]:
        """Return the name of a total and the groups of lines it may mean, the likeliest first."""
        for name in self._names[total.position]:
            columns = [column for column, found in self._places.items() if name in found]
            columns.sort(key=lambda column: column != total.column)
            if columns:
                meant = (self._meant(column, name, total.position) for column in columns)
                return name, filter(None, chain.from_iterable(meant))
        return "", iter(())

    def _groups_around(self, column: str) -> list[int] | None:
        """Return (n,) the group of the columns further out that each row is in; None where there are none."""
        outer = self._outer.get(column)
        if isinstance(outer, np.ndarray):  # single ones are asked for now
            outer = self._outer[column] = outer.tolist()
        return outer

    def _meant(self, column: str, name: str, position: int) -> Iterator[list[int]]:
        """Yield the lines with this name in a column that a total in this row may mean.

        Each group is made when it is asked for: nearly always the first one is meant.
        """
        places, outer = self._places[column][name], self._groups_around(column)
        namesakes = self._namesakes.get(self._names[position][0], [])
        place = bisect_left(namesakes, position)
        last = namesakes[place - 1] if place else -1
        following = next((at for at in namesakes[place:] if at > position), len(self._is_covered))
        begin, cut, end = (bisect_left(places, at) for at in (last + 1, position, following))
        near, under = places[max(cut - 1, 0)], places[min(cut, len(places) - 1)]
        yield _alike(places[begin:cut], near, outer)
        yield _alike(places[:cut], near, outer)
        yield places[begin:cut]
        yield _alike(places[cut:end], under, outer)
        yield places[cut:end]
        yield places[:cut]
        yield places


def _alike(places: list[int], one: int, outer: list[int] | None) -> list[int]:
    """Return the lines that are within the same group of the columns further out as one of them."""
    return places if outer is None else [at for at in places if outer[at] == outer[one]]


def _coded(column: pd.Series, kind: Kind) -> tuple[list[str], np.ndarray]:
    """Return the names in a column, the empty one first, and (n,) which of them each cell is."""
    cells = column.to_numpy(dtype=object)
    # What is printed once for a group leaves nearly all cells of its column empty.
    filled = pd.notna(cells).nonzero()[0]
    own = cells[filled].tolist()
    numbers = {"": 0}
    code_of = {
        cell: numbers.setdefault(name, len(numbers))
        for cell, name in names_of(dict.fromkeys(own), kind).items()
    }
    codes = np.zeros(len(cells), dtype=np.int64)
    codes[filled] = np.fromiter(map(code_of.__getitem__, own), dtype=np.int64, count=len(own))
    return list(numbers), codes


class _Sums:
    """The sums of one amount column over groups of lines."""

    def __init__(
        self, cells: list[Any], is_covered: Sequence[bool], totals: Sequence[_Total], groups: _Groups
    ) -> None:
        zero = Decimal(0)
        self._amounts = [
            amount if covered and amount is not None else zero
            for amount, covered in zip(cells, is_covered, strict=True)
        ]
        self._running = list(accumulate(self._amounts, initial=zero))
        self._groups = groups
        self._printed = [
            total for total in totals if cells[total.position] is not None and not is_covered[total.position]
        ]
        self._above = {Decimal(0)}  # Running sums at which a group may have begun …
        self._below = Counter(self._running[total.position] for total in self._printed)  # … or may end.
        self._below[self._running[-1]] += 1
        self._begun = self._passed = 0
        self._last_total = Decimal(0)

    def held_against(self, total: _Total, printed: Decimal) -> tuple[Decimal, str]:
        """Return the sum of the lines that a total covers, and which these are where it names them.

        Totals are asked for in their order.
        """
        name, sets = self._groups.named_by(total)
        nearest: list[int] = []
        for lines in sets:
            if self._adds_up(lines, printed):
                return printed, f"{len(lines)} of {name}"
            nearest = nearest or lines
        if not nearest:
            return self._by_place(total.position, printed), ""
        added = sum(map(self._amounts.__getitem__, nearest), Decimal(0))
        return added, f"{len(nearest)} of {name}"

    def _adds_up(self, lines: list[int], printed: Decimal) -> bool:
        first, last = lines[0], lines[-1]
        if self._groups.covered_between(first, last + 1) == len(lines):
            return self._running[last + 1] - self._running[first] == printed
        return sum(map(self._amounts.__getitem__, lines), Decimal(0)) == printed

    def _by_place(self, position: int, printed: Decimal) -> Decimal:
        """Return the sum of the lines that a total covers by its place."""
        while (before := self._printed[self._passed].position) < position:
            self._last_total = self._running[before]
            self._below[self._last_total] -= 1
            self._above.add(self._last_total)
            self._passed += 1
        running = self._running[position]
        if running == printed:
            return printed  # mostly it is the last total, of all lines
        begun, self._begun = self._begun, bisect_left(self._groups.begins, position)
        self._above.update(map(self._running.__getitem__, self._groups.begins[begun : self._begun]))
        if running - printed in self._above or (printed and self._below[running + printed] > 0):
            return printed
        if running != self._last_total:
            return running - self._last_total
        # No line since the last total: it is a total of totals, and the group nearest to it is meant.
        groups = (running - mark for mark in self._above if mark != running)
        return min(groups, key=lambda group: abs(group - printed), default=Decimal(0))
