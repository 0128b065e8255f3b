"""Totals that no word names: a row is one if it cannot be a line and its numbers add up.

`Gesamtsumme`, `Overall Result`, `SUM:` or nothing at all: instead of a list of words, the row proves
itself. It lacks what every line has (its date, say), shows at most two texts and no date, and each of its
numbers is the sum of its column over the same lines above: all of them, those since an earlier total, or
those of a group. Of a single line this proves little, for the row may be the next line with cells missing:
then its one text must be a plain word, or name that line and say more. A row that is not proven is
refused as before.

Rows of averages, counts and other periods are no lines either: they say so, or their numbers are averages.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from shs_pipeline.base.wording import dollars
from shs_pipeline.casting.cells import CODE, CastError, is_blank, match_key, show
from shs_pipeline.casting.columns import blanks, cast_cells
from shs_pipeline.casting.kinds import CASTS, IDENTIFIER_KINDS, NUMBER_KINDS, Kind
from shs_pipeline.files.bare_rows import MOST_TEXTS, BareRow, bare_rows
from shs_pipeline.files.contract import columns_of
from shs_pipeline.files.reading import ROW, SHEET, Problem
from shs_pipeline.files.statistic_rows import said_statistics
from shs_pipeline.files.total_words import ends_with_total, is_carried

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

_MOST_PASSES = 9
_FEWEST_AVERAGES = 2
_RATES: tuple[Kind, ...] = ("rate", "share")


@dataclass
class ProvenTotals:
    """Which rows are totals by their numbers.

    Attributes:
        positions: 0-based.
        statistics: rows of averages, counts and other periods, also among those that say total.
        problems: errors for rows that look like totals and do not add up.
    """

    positions: set[int] = field(default_factory=set)
    statistics: set[int] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def proven_totals(
    rows: pd.DataFrame,
    model: type[pa.DataFrameModel],
    is_line: pd.Series,
    is_total: pd.Series,
    amounts: Sequence[str],
    *,
    written_once: Sequence[str] = (),
    is_covered: pd.Series | None = None,
) -> ProvenTotals:
    """Find the rows that are totals although they do not say so.

    Args:
        rows: with amounts cast.
        is_line: (n,) which rows are sale lines as far as is known.
        is_total: (n,) which rows are totals by what they say.
        written_once: columns that are printed on the first row of a group.
        is_covered: (n,) rows that a total may cover besides the sale lines.
    """
    masks = [is_line] if is_covered is None or is_covered.equals(is_line) else [is_covered, is_line]
    bare = bare_rows(rows, model, is_total, masks[0] | is_line, amounts, written_once)
    statistics = said_statistics(rows, is_total, bare)
    bare = [row for row in bare if row.position not in statistics]
    is_said = rows.index.isin(list(statistics))
    masks, is_line, is_total = [mask & ~is_said for mask in masks], is_line & ~is_said, is_total | is_said
    known: set[str] = set()
    for _ in range(_MOST_PASSES):
        found = ProvenTotals(statistics=statistics)
        if not bare:
            return found
        report = _Report(rows, model, written_once, is_line, is_total, bare, known)
        proofs = [_Proof(report, mask, is_total, amounts) for mask in masks]
        counts = {row.position: _judged(row, proofs) for row in bare}
        found.positions.update(position for position, count in counts.items() if count)
        left = [row for row in bare if not counts[row.position]]
        # What is no total after all may be a line, and then later totals cover it.
        lines = {row.position for row in left if row.is_counted and not row.lacks and not row.days}
        sure = {row.key for row in bare if counts[row.position] > 1}
        if not lines and not any(row.key in sure - known for row in left):
            for row in left:
                if any(proof.is_average_of(row) for proof in proofs):
                    found.statistics.add(row.position)
                elif is_line.iat[row.position] and len(row.labels) < MOST_TEXTS:
                    found.problems += proofs[-1].problems_of(row, rows)
            return found
        known = sure
        bare = [row for row in bare if row.position not in lines]
    return ProvenTotals(statistics=statistics)


def _judged(row: BareRow, proofs: Sequence[_Proof]) -> int:
    """Return of how many lines a row is proven to be the total; lines of later totals may begin below it."""
    count = max(proof.lines_of(row) for proof in proofs)
    if count:
        for proof in proofs:
            insort(proof.starts, row.position + 1)
    return count


class _Report:
    """The rows that proofs look at: what names a line, where groups begin, and texts of proven totals."""

    def __init__(
        self,
        rows: pd.DataFrame,
        model: type[pa.DataFrameModel],
        written_once: Sequence[str],
        is_line: pd.Series,
        is_total: pd.Series,
        bare: Sequence[BareRow],
        known: Collection[str],
    ) -> None:
        self.rows, self.known = rows, known
        self.kinds = {column.header: column.kind for column in columns_of(model)}
        self.written_once = written_once
        is_own = is_line.to_numpy(dtype=bool).copy()
        is_own[[row.position for row in bare]] = False
        self.lines = is_own.nonzero()[0]
        self.bare = {row.position for row in bare}
        # No line: a total, or a reason to refuse the file.
        self.after_others = {row.position + 1 for row in bare if row.lacks}
        self.texts = Counter(row.key for row in bare)
        self._is_total = is_total.to_numpy(dtype=bool)
        self._runs: dict[str, np.ndarray] = {}

    @cached_property
    def begins(self) -> set[int]:
        """Positions at which the report prints something that it prints once for a group."""
        found: set[int] = set()
        for column in self.written_once:
            found.update(self.lines[~blanks(self.rows[column].to_numpy(dtype=object)[self.lines])].tolist())
        return found

    @cached_property
    def _printed_above(self) -> dict[str, np.ndarray]:
        """By column (n,) position of the last cell at or above, not looking at totals; -1 for none."""
        found = {}
        for column in self.written_once:
            is_printed = ~blanks(self.rows[column].to_numpy(dtype=object)) & ~self._is_total
            is_printed[list(self.bare)] = False
            found[column] = np.maximum.accumulate(np.where(is_printed, np.arange(len(is_printed)), -1))
        return found

    def names_of(self, line: int) -> Iterator[tuple[str, str]]:
        """Yield column and text of what names a line: its own cells and those that it inherits."""
        for column in self.rows.columns:
            if column in (SHEET, ROW) or self.kinds.get(column, "text") in (*NUMBER_KINDS, "day", "flag"):
                continue
            at = int(self._printed_above[column][line]) if column in self.written_once else line
            cell = self.rows[column].iat[at] if at >= 0 else None
            if name := self._name(column, cell):
                yield column, name

    def _name(self, column: str, cell: Any) -> str:
        """Return how a cell's name is compared: 10045.0 and `'10045` are one identifier."""
        if is_blank(cell) or isinstance(cell, date):
            return ""
        try:
            return match_key(CASTS[self.kinds.get(column, "text")](cell) or "")
        except CastError:
            return match_key(show(cell))

    def named_in(self, row: BareRow, line: int) -> list[str]:
        """Return the columns whose name of a line some text of a row holds, and more than that."""
        texts = set(map(match_key, row.labels.values()))
        return [
            column
            for column, name in self.names_of(line)
            if name not in texts
            and any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) for text in texts)
        ]

    def is_other_line(self, row: BareRow, line: int) -> bool:
        """Whether a text identifies something else than a line, as that of a line with empty cells would."""
        own = dict(self.names_of(line))
        return any(
            self.kinds.get(column) in IDENTIFIER_KINDS
            and CODE.fullmatch(text.strip()) is not None
            and own.get(column) != match_key(text)
            for column, text in row.labels.items()
        )

    def begin_of(self, column: str, line: int) -> int:
        """Return the first of the lines up to this one that have its name in a column."""
        place, cells = bisect_right(self.lines, line) - 1, self.rows[column]
        if place < 0 or self._name(column, cells.iat[self.lines[place]]) != self._name(
            column, cells.iat[line]
        ):
            return line
        return int(self._run_begins(column)[place])

    def _run_begins(self, column: str) -> np.ndarray:
        """Return for each line the first one of those right above it that have its name in a column."""
        if column not in self._runs:
            cells = self.rows[column].to_numpy(dtype=object)[self.lines].tolist()
            names = {cell: self._name(column, cell) for cell in dict.fromkeys(cells)}
            codes = {name: code for code, name in enumerate(dict.fromkeys(names.values()))}
            own = np.fromiter((codes[names[cell]] for cell in cells), dtype=np.int64, count=len(cells))
            begins = np.diff(own, prepend=-1) != 0
            self._runs[column] = self.lines[np.maximum.accumulate(np.where(begins, np.arange(len(own)), 0))]
        return self._runs[column]

    def may_be_heading(self, row: BareRow) -> bool:
        """Whether the lines below take something from a row that is no total."""
        place = bisect_left(self.lines, row.position)
        if place == len(self.lines):
            return False
        below = int(self.lines[place])
        return any(
            column in self.written_once and self._printed_above[column][below] < row.position
            for column in row.labels
        )


class _Proof:
    """Sums over the lines that totals may cover."""

    def __init__(
        self, report: _Report, is_covered: pd.Series, is_total: pd.Series, amounts: Sequence[str]
    ) -> None:
        covered = is_covered.to_numpy(dtype=bool).copy()
        covered[list(report.bare)] = False
        self._report, self._amounts = report, amounts
        self._covered = covered
        self._count = list(accumulate(covered.tolist(), initial=0))
        self._sums: dict[str, list[Decimal]] = {}
        self._marks: dict[tuple[str, ...], _Marks] = {}
        after_totals = (is_total.to_numpy(dtype=bool).nonzero()[0] + 1).tolist()
        self.starts = sorted({0, *after_totals, *report.after_others, *report.begins})

    def lines_of(self, row: BareRow) -> int:
        """Return of how many lines a row is proven to be the total."""
        starts = (start for start in self._starts_for(row) if self._is_total_of(row, start))
        return max((self._count[row.position] - self._count[start] for start in starts), default=0)

    def problems_of(self, row: BareRow, rows: pd.DataFrame) -> Iterator[Problem]:
        """Yield the error of a row that looks like a total, where there are lines above it."""
        sums = {
            header: self._running(header)[row.position] for header in self._amounts if header in row.numbers
        }
        wrong = [header for header, above in sums.items() if above != row.numbers[header]]
        empty = [column for column in row.lacks if column not in row.labels]
        if not (empty or row.days) or not wrong or not any(row.numbers.values()):
            return
        if not self._count[row.position]:
            return
        header, above, printed = wrong[0], sums[wrong[0]], row.numbers[wrong[0]]
        kinds = self._report.kinds
        column = next((column for column in empty if kinds[column] == "day"), (*empty, *row.days)[0])
        said, mending = f"{column} is empty, so this is no sale line", f"fill in {column}"
        if row.days:
            column = next(column for column, text in row.labels.items() if ends_with_total(text))
            said, mending = f"This row says {row.labels[column]!r}", f"correct its {column}"
        yield Problem(
            problem=f"{said}; and it is no total of the lines above, "
            f"whose {header} add up to {dollars(above)} and not to {dollars(printed)}.",
            remedy=f"If it is a sale line, {mending}. If it is a total, correct it or delete the row.",
            sheet=str(rows[SHEET].iat[row.position]),
            row=int(rows[ROW].iat[row.position]),
            column=column,
        )

    def _starts_for(self, row: BareRow) -> Iterator[int]:
        pattern = tuple(header for header in self._amounts if header in row.numbers)
        if pattern not in self._marks:
            self._marks[pattern] = _Marks([self._running(header) for header in pattern])
        yield from self._marks[pattern].find(
            self.starts, row.position, [row.numbers[header] for header in pattern]
        )
        if line := self._line_above(row.position):
            for column in self._report.named_in(row, line - 1):
                if column not in self._report.written_once:
                    yield self._report.begin_of(column, line - 1)

    def _is_total_of(self, row: BareRow, start: int) -> bool:
        """Whether each number of a row is the sum of the lines from a start on, and that proves something."""
        count = self._count[row.position] - self._count[start]
        if not count or not self._adds_up(row, start, has_rates=count > 1):
            return False
        line = self._line_above(row.position) - 1
        if self._report.named_in(row, line):
            return True
        is_known = row.key in self._report.known
        is_sure = count > 1 or is_known or row.says_total or (self._is_plain_word(row) and not row.days)
        if not is_sure or self._report.is_other_line(row, line):
            return False
        is_other = is_known or self._report.texts[row.key] > 1 or is_carried(row.key)
        return is_other or not self._report.may_be_heading(row)

    def is_average_of(self, row: BareRow) -> bool:
        """Whether the numbers of a row that says no more are averages of the same lines, to the cent.

        Two of them at least, and some with cents: a sale may well have a price that others have on average.
        """
        numbers = {
            header: number
            for header, number in row.numbers.items()
            if self._report.kinds.get(header) not in _RATES
        }
        end = self._line_above(row.position)
        is_odd = any(number != number.to_integral_value() for number in numbers.values())
        if not row.lacks or row.days or len(numbers) < _FEWEST_AVERAGES or not is_odd or not end:
            return False
        named = self._report.named_in(row, end - 1)
        if not named and not self._is_plain_word(row):
            return False
        starts = [0, self.starts[bisect_left(self.starts, end) - 1]]
        starts += [self._report.begin_of(column, end - 1) for column in named]
        return any(self._are_averages(numbers, start, row.position) for start in starts)

    def _are_averages(self, numbers: Mapping[str, Decimal], start: int, position: int) -> bool:
        count = self._count[position] - self._count[start]
        for header, number in numbers.items():
            average = (self._running(header)[position] - self._running(header)[start]) / max(count, 1)
            places = max(-int(number.as_tuple().exponent), 2)
            if abs(average - number) > Decimal(5).scaleb(-places - 1):
                return False
        return count > 1

    def _adds_up(self, row: BareRow, start: int, *, has_rates: bool) -> bool:
        """Whether the numbers of a row are the sums of the lines from a start on; rates are none."""
        for header, number in row.numbers.items():
            if self._report.kinds.get(header) in _RATES:
                if not has_rates:
                    return False
            elif self._running(header)[row.position] - self._running(header)[start] != number:
                return False
        return True

    def _is_plain_word(self, row: BareRow) -> bool:
        """Whether a row has one text, without digits, which is no value of its column."""
        if len(set(row.labels.values())) != 1 or any(mark.isdigit() for mark in row.key):
            return False
        lines = self._report.lines
        return not any(
            not is_blank(cell) and match_key(show(cell)) == row.key
            for column in row.labels
            for cell in self._report.rows[column].to_numpy(dtype=object)[lines].tolist()
        )

    def _line_above(self, position: int) -> int:
        """Return the position after the last covered line above; 0 where there is none."""
        return bisect_left(self._count, self._count[position])

    def _running(self, header: str) -> list[Decimal]:
        if header not in self._sums:
            kind = self._report.kinds.get(header, "amount")
            cells = self._report.rows[header].to_numpy(dtype=object)
            at = self._covered.nonzero()[0]
            values: list[Any] = [Decimal(0)] * len(cells)
            for place, value in zip(at.tolist(), cast_cells(cells[at].tolist(), kind)[0], strict=True):
                values[place] = Decimal(0) if value is None else Decimal(value)
            self._sums[header] = list(accumulate(values, initial=Decimal(0)))
        return self._sums[header]


class _Marks:
    """Where lines may begin that add up to some amounts."""

    def __init__(self, running: Sequence[list[Decimal]]) -> None:
        self._running = running
        self._places: dict[tuple[Decimal, ...], tuple[int, int]] = {}
        self._taken = 0

    def find(self, starts: Sequence[int], position: int, amounts: Sequence[Decimal]) -> Collection[int]:
        """Return the first and the last start above a position from which on lines add up to amounts."""
        while self._taken < len(starts) and starts[self._taken] <= position:
            start = starts[self._taken]
            sums = tuple(column[start] for column in self._running)
            first, _ = self._places.get(sums, (start, start))
            self._places[sums] = (first, start)
            self._taken += 1
        sought = tuple(
            column[position] - amount for column, amount in zip(self._running, amounts, strict=True)
        )
        return dict.fromkeys(self._places.get(sought, ()))
