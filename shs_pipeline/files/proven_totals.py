"""Totals that no word names: a row is one if it cannot be a line and its numbers add up.

`Gesamtsumme`, `Overall Result`, `SUM:` or nothing at all: instead of a list of words, the row proves
itself. It lacks what every line has (its date, say), shows at most two texts and no date, and each of its
numbers is the sum of its column over the same lines above: all of them, those since an earlier total, or
those of a group. Of a single line this proves little, for the row may be the next line with cells missing:
then its one text must be a plain word, or name that line and say more. A row that is not proven is
refused as before.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
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
from shs_pipeline.files.casting.cells import CastError, is_blank, match_key, show
from shs_pipeline.files.casting.columns import blanks, cast_cells
from shs_pipeline.files.casting.kinds import CASTS, Kind
from shs_pipeline.files.contract import columns_of
from shs_pipeline.files.reading import ROW, SHEET, Problem
from shs_pipeline.files.sheet_values import merged_range

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

_MOST_TEXTS = 2
_MOST_PASSES = 9
_TEXTS: tuple[Kind, ...] = ("text", "identifier", "zip")
_NUMBERS: tuple[Kind, ...] = ("amount", "quantity", "rate", "share", "whole")
_RATES: tuple[Kind, ...] = ("rate", "share")
_IDENTIFIERS: tuple[Kind, ...] = ("identifier", "zip")
_NUMBERED = re.compile(r"\S*[0-9]\S*")


@dataclass
class ProvenTotals:
    """Which rows are totals by their numbers.

    Attributes:
        positions: 0-based.
        problems: errors for rows that look like totals and do not add up.
    """

    positions: set[int] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class _Bare:
    """A row without some cell that each line has, and with few texts.

    Attributes:
        labels: its texts, also those in columns of numbers and days.
        lacks: columns of which a line must have a cell in its own row.
        is_counted: whether it is a line, or a row that totals cover, unless it is a total.
    """

    position: int
    labels: Mapping[str, str]
    numbers: Mapping[str, Decimal]
    lacks: Sequence[str]
    is_counted: bool

    @property
    def key(self) -> str:
        """Its texts as one."""
        return " ".join(dict.fromkeys(map(match_key, self.labels.values())))


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
    masks = [is_line] if is_covered is None else [is_covered, is_line]
    bare = _bare_rows(rows, model, is_total, masks[0] | is_line, amounts, written_once)
    for _ in range(_MOST_PASSES):
        found = ProvenTotals()
        if not bare:
            return found
        report = _Report(rows, model, written_once, is_line, is_total, bare)
        proofs = [_Proof(report, mask, is_total, amounts) for mask in masks]
        for row in bare:
            if any(proof.holds_for(row) for proof in proofs):
                found.positions.add(row.position)
                for proof in proofs:
                    insort(proof.starts, row.position + 1)
            elif row.lacks and is_line.iat[row.position] and len(row.labels) < _MOST_TEXTS:
                found.problems += proofs[-1].problems_of(row, rows)
        # What is no total after all may be a line, and then later totals cover it.
        lines = {row.position for row in bare if row.is_counted and not row.lacks} - found.positions
        if not lines:
            return found
        bare = [row for row in bare if row.position not in lines]
    return ProvenTotals()


def _bare_rows(
    rows: pd.DataFrame,
    model: type[pa.DataFrameModel],
    is_total: pd.Series,
    is_counted: pd.Series,
    amounts: Sequence[str],
    written_once: Sequence[str],
) -> list[_Bare]:
    columns = {column.header: column for column in columns_of(model)}
    own = [header for header in rows.columns if header not in (SHEET, ROW, *amounts, *written_once)]
    needed = [header for header in own if header in columns and columns[header].is_required]
    kinds: dict[str, Kind] = {
        header: columns[header].kind if header in columns else "text" for header in rows.columns
    }
    at = _with_few_texts(rows, (~is_total).to_numpy(dtype=bool).nonzero()[0], kinds, needed)
    if not len(at):
        return []
    others = is_counted.to_numpy(dtype=bool).copy()
    others[at] = False
    usual = [
        header for header in own if others.any() and not _blank_at(rows, header, others.nonzero()[0]).any()
    ]
    is_short = np.zeros(len(at), dtype=bool)
    for header in {*needed, *usual}:
        is_short |= _blank_at(rows, header, at)
        if kinds[header] not in _TEXTS:
            is_short |= np.array([isinstance(cell, str) for cell in rows[header].to_numpy()[at]], dtype=bool)
    at = at[is_short]
    headers = [header for header in rows.columns if header not in (SHEET, ROW)]
    found = []
    for position, cells in zip(
        at.tolist(), rows[headers].iloc[at].to_numpy(dtype=object).tolist(), strict=True
    ):
        labels, numbers = _labels_and_numbers(dict(zip(headers, cells, strict=True)), kinds)
        has_amount = any(header in numbers for header in amounts)
        if has_amount and len(set(labels.values())) <= _MOST_TEXTS:
            values = {*numbers, *(header for header in labels if kinds[header] in _TEXTS)}
            if not values.issuperset((*needed, *usual)):
                lacks = [header for header in needed if header not in values]
                found.append(_Bare(position, labels, numbers, lacks, bool(is_counted.iat[position])))
    return found


def _with_few_texts(
    rows: pd.DataFrame, at: np.ndarray, kinds: Mapping[str, Kind], needed: Sequence[str]
) -> np.ndarray:
    """Return those of some positions whose rows have few texts and days."""
    texts = np.zeros(len(at), dtype=np.int64)
    words = [header for header in kinds if header not in (SHEET, ROW) and kinds[header] not in _NUMBERS]
    for header in sorted(words, key=lambda header: header not in needed):
        cells = rows[header].to_numpy(dtype=object)[at].tolist()
        is_copy = np.fromiter((bool(merged_range(cell)) for cell in cells), dtype=bool, count=len(cells))
        texts += ~blanks(cells) & ~is_copy
        at, texts = at[texts <= _MOST_TEXTS], texts[texts <= _MOST_TEXTS]
    return at


def _blank_at(rows: pd.DataFrame, header: str, at: np.ndarray) -> np.ndarray:
    return blanks(rows[header].to_numpy(dtype=object)[at])


def _labels_and_numbers(
    cells: Mapping[str, Any], kinds: Mapping[str, Kind]
) -> tuple[dict[str, str], dict[str, Decimal]]:
    """Return the texts and the numbers of a row; neither if it holds anything else, such as a day."""
    labels: dict[str, str] = {}
    numbers: dict[str, Decimal] = {}
    for header, cell in cells.items():
        if is_blank(cell) or (isinstance(cell, str) and merged_range(cell)):
            continue
        try:
            value = None if kinds[header] in _TEXTS else CASTS[kinds[header]](cell)
        except CastError:
            value = None
        if isinstance(value, (Decimal, int)) and kinds[header] in _NUMBERS:
            numbers[header] = Decimal(value)
        elif value is None and isinstance(cell, str):
            labels[header] = cell
        else:
            return {}, {}
    return labels, numbers


class _Report:
    """The rows that proofs look at: what names a line, and where groups begin."""

    def __init__(
        self,
        rows: pd.DataFrame,
        model: type[pa.DataFrameModel],
        written_once: Sequence[str],
        is_line: pd.Series,
        is_total: pd.Series,
        bare: Sequence[_Bare],
    ) -> None:
        self.rows = rows
        self.kinds = {column.header: column.kind for column in columns_of(model)}
        self.written_once = written_once
        is_own = is_line.to_numpy(dtype=bool).copy()
        is_own[[row.position for row in bare]] = False
        self.lines = is_own.nonzero()[0]
        self.bare = {row.position for row in bare}
        self.texts = Counter(row.key for row in bare)
        self._is_total = is_total.to_numpy(dtype=bool)

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
            if column in (SHEET, ROW) or self.kinds.get(column, "text") in (*_NUMBERS, "day", "flag"):
                continue
            at = int(self._printed_above[column][line]) if column in self.written_once else line
            cell = self.rows[column].iat[at] if at >= 0 else None
            if not is_blank(cell) and not isinstance(cell, date):
                yield column, match_key(show(cell))

    def named_in(self, row: _Bare, line: int) -> list[str]:
        """Return the columns whose name of a line some text of a row holds, and more than that."""
        texts = set(map(match_key, row.labels.values()))
        return [
            column
            for column, name in self.names_of(line)
            if name not in texts
            and any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) for text in texts)
        ]

    def is_other_line(self, row: _Bare, line: int) -> bool:
        """Whether a text identifies something else than a line, as that of a line with empty cells would."""
        own = dict(self.names_of(line))
        return any(
            self.kinds.get(column) in _IDENTIFIERS
            and _NUMBERED.fullmatch(text.strip()) is not None
            and own.get(column) != match_key(text)
            for column, text in row.labels.items()
        )

    def begin_of(self, column: str, line: int) -> int:
        """Return the first of the lines up to this one that have its name in a column."""
        cells, first = self.rows[column], line
        name = match_key(show(cells.iat[line]))
        for at in self.lines[: bisect_left(self.lines, line)][::-1].tolist():
            if is_blank(cells.iat[at]) or match_key(show(cells.iat[at])) != name:
                break
            first = at
        return first

    def may_be_heading(self, row: _Bare) -> bool:
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
        self.starts = sorted({0, *after_totals, *report.begins})

    def holds_for(self, row: _Bare) -> bool:
        """Whether a row is proven to be a total."""
        return any(self._is_total_of(row, start) for start in self._starts_for(row))

    def problems_of(self, row: _Bare, rows: pd.DataFrame) -> Iterator[Problem]:
        """Yield the error of a row that looks like a total, where there are lines above it."""
        sums = {
            header: self._running(header)[row.position] for header in self._amounts if header in row.numbers
        }
        wrong = [header for header, above in sums.items() if above != row.numbers[header]]
        empty = [column for column in row.lacks if column not in row.labels]
        if not empty or not wrong or not any(row.numbers.values()) or not self._count[row.position]:
            return
        header, above, printed = wrong[0], sums[wrong[0]], row.numbers[wrong[0]]
        kinds = self._report.kinds
        column = next((column for column in empty if kinds[column] == "day"), empty[0])
        yield Problem(
            problem=f"{column} is empty, so this is no sale line; and it is no total of the lines above, "
            f"whose {header} add up to {dollars(above)} and not to {dollars(printed)}.",
            remedy=f"If it is a sale line, fill in {column}. If it is a total, correct it or delete the row.",
            sheet=str(rows[SHEET].iat[row.position]),
            row=int(rows[ROW].iat[row.position]),
            column=column,
        )

    def _starts_for(self, row: _Bare) -> Iterator[int]:
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

    def _is_total_of(self, row: _Bare, start: int) -> bool:
        """Whether each number of a row is the sum of the lines from a start on, and that proves something."""
        count = self._count[row.position] - self._count[start]
        if not count:
            return False
        for header, number in row.numbers.items():
            if self._report.kinds.get(header) in _RATES:
                if count == 1:
                    return False
                continue
            running = self._running(header)
            if running[row.position] - running[start] != number:
                return False
        line = self._line_above(row.position) - 1
        if self._report.named_in(row, line):
            return True
        if self._report.is_other_line(row, line) or (count == 1 and not self._is_plain_word(row)):
            return False
        return self._report.texts[row.key] > 1 or not self._report.may_be_heading(row)

    def _is_plain_word(self, row: _Bare) -> bool:
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
