"""Which rows below a header are lines, totals, headings and remarks; what is printed once per group."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import pandas as pd

from shs_pipeline.casting.cells import is_blank, match_key, show
from shs_pipeline.casting.columns import cast_cells
from shs_pipeline.casting.kinds import Kind
from shs_pipeline.files.reading import ROW, SHEET
from shs_pipeline.files.total_words import ends_with_total, mentions_total

_NUMBERS: tuple[Kind, ...] = ("amount", "quantity", "rate")
_USUAL = 0.75  # quantile of the filled cells of a row that a usual line has
_FULL = 0.4  # share of them that a row has of which kinds are guessed
_PROVEN = 0.9  # share of the totals without a word that must add up
_LEAST_BLANK = 0.1  # share of the lines in which a column of groups is blank
_FEWEST_LINES = 2  # that a total covers if neither its words nor the rest of its row say that it is one

RowKind = Literal["line", "total", "plain total", "labelled total", "heading", "other"]
"""A labelled total has amounts and one text that need not mean total, such as `Summe`."""


def full_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that are filled as lines are: totals and remarks would blur a column's kind."""
    cells = rows.drop(columns=[SHEET, ROW])
    filled = (~cells.map(is_blank)).sum(axis="columns")
    says_total = cells.map(mentions_total).any(axis="columns")
    usual = filled[~says_total].quantile(_USUAL) if (~says_total).any() else 0
    return rows[(filled >= max(2, _FULL * usual)) & ~says_total]


@dataclass(frozen=True)
class _Row:
    """What is filled in a row, by heading."""

    filled: dict[str, Any]
    worded: frozenset[str]

    @property
    def headers(self) -> set[str]:
        """The headings of the filled cells, but for words in a column of numbers, such as a remark."""
        return {header for header, cell in self.filled.items() if header not in self.worded}

    @property
    def texts(self) -> set[str]:
        return {match_key(cell) for cell in self.filled.values() if isinstance(cell, str)}


def sort_rows(
    rows: pd.DataFrame, kinds: Mapping[str, Kind], keys: Collection[str], grouped: Collection[str] = ()
) -> list[RowKind]:
    """Return (n,) what each row is.

    Args:
        kinds: of each column.
        keys: columns of which a line has at least one and a total none, such as the invoice and its date.
        grouped: columns that are printed once for a group: a row of these alone is its heading.
    """
    headers = list(kinds)
    words = {header: cast_cells(rows[header].tolist(), kinds[header])[1] for header in headers}
    found = [
        _Row(
            {header: cell for header, cell in zip(headers, cells, strict=True) if not is_blank(cell)},
            frozenset(header for header in headers if kinds[header] in _NUMBERS and at in words[header]),
        )
        for at, cells in enumerate(rows[headers].to_numpy(dtype=object).tolist())
    ]
    return [_heading_or(_row_kind(row, kinds, keys), row, grouped) for row in found]


def _heading_or(kind: RowKind, row: _Row, grouped: Collection[str]) -> RowKind:
    is_heading = kind == "line" and len(row.filled) > 1 and row.filled.keys() <= set(grouped)
    return "heading" if is_heading else kind


def _row_kind(row: _Row, kinds: Mapping[str, Kind], keys: Collection[str]) -> RowKind:
    numbers, amounts, rates = (
        {header for header, kind in kinds.items() if kind in wanted}
        for wanted in (_NUMBERS, ("amount",), ("rate",))
    )
    has_amount = bool(amounts & row.headers)
    labels = [show(cell) for cell in row.filled.values() if mentions_total(cell)]
    has_key = any(key in row.filled and not mentions_total(row.filled[key]) for key in keys)
    if labels and not has_key and (has_amount or any(map(ends_with_total, labels))):
        return "total"
    if has_amount and row.filled.keys() <= numbers - rates - row.worded:
        return "plain total"
    if has_amount and _has_one_label(row.filled.keys() - numbers, row, keys):
        return "labelled total"
    if has_amount or numbers & row.headers or (has_key and len(row.filled) > len(keys)):
        return "line"
    return "heading" if len(row.texts) > 1 else "other"


def _has_one_label(texts: Collection[str], row: _Row, keys: Collection[str]) -> bool:
    """Whether words are all that a row has beside its numbers, and it lacks some key of a line."""
    labels = [row.filled[header] for header in texts]
    return len(labels) == 1 and not set(keys) <= set(texts) and re.search(r"\d", show(labels[0])) is None


def grouped_columns(
    rows: pd.DataFrame, sorted_rows: Sequence[RowKind], headers: Sequence[str], always: Collection[str]
) -> list[str]:
    """Return the columns that are printed once for a group, from left to right.

    A column that every line must have, such as the customer, and that is blank in many, is one. So is a
    column that is filled whenever such a one is and never between, or that stands left of it and is
    filled at the beginning of some of its groups only.

    Args:
        headers: text columns, from left to right.
        always: columns that every line needs a value of.
    """
    is_fed = [kind in ("line", "heading", "other") for kind in sorted_rows]
    is_line = [kind == "line" for kind, fed in zip(sorted_rows, is_fed, strict=True) if fed]
    filled = {
        header: [not is_blank(cell) for cell in rows[header][is_fed].tolist()]
        for header in (*headers, *always)
    }

    def is_gappy(header: str) -> bool:
        own = [full for full, line in zip(filled[header], is_line, strict=True) if line]
        first_line = is_line.index(True) if True in is_line else 0
        return (
            bool(own)
            and own.count(False) >= _LEAST_BLANK * len(own)
            and any(filled[header][: first_line + 1])
        )

    anchors = [header for header in headers if header in always and is_gappy(header)]
    if not anchors:
        return []

    def within(one: str, other: str) -> bool:
        pairs = zip(filled[one], filled[other], is_line, strict=True)
        return all(is_other for is_one, is_other, line in pairs if is_one and line)

    innermost = max(anchors, key=lambda header: sum(filled[header]))
    left_of = list(headers).index(anchors[0])
    return [
        header
        for place, header in enumerate(headers)
        if header in anchors
        or (
            is_gappy(header)
            and within(header, innermost)
            and (place < left_of or any(within(anchor, header) for anchor in anchors))
        )
    ]


def with_proven_totals(sorted_rows: Sequence[RowKind], amounts: Sequence[Decimal | None]) -> list[RowKind]:
    """Return what each row is; rows that no word makes a total are totals only as far as they add lines up.

    Rows of amounts alone are judged together: below the first line of a group they may as well be further
    lines, and none of these may get lost.

    Args:
        amounts: (n,) dollars sold.
    """
    found, proven = _added_up(sorted_rows, amounts)
    if proven and sum(proven) >= _PROVEN * len(proven):
        return found
    return _added_up(["line" if kind == "plain total" else kind for kind in sorted_rows], amounts)[0]


def _added_up(
    sorted_rows: Sequence[RowKind], amounts: Sequence[Decimal | None]
) -> tuple[list[RowKind], list[bool]]:
    """Return what each row is, with labelled totals told from lines, and whether each plain total adds up."""
    since_last, so_far = _Sum(), _Sum()
    found: list[RowKind] = []
    proven = []
    for kind, amount in zip(sorted_rows, amounts, strict=True):
        if kind == "labelled total":
            covered = [one.amount for one in (since_last, so_far) if one.lines >= _FEWEST_LINES]
            found.append("total" if amount in covered else "line")
        else:
            found.append(kind)
        if found[-1] == "line":
            since_last, so_far = since_last.with_line(amount), so_far.with_line(amount)
        elif kind == "plain total":
            proven.append(amount in (since_last.amount, so_far.amount))
        if found[-1] in ("total", "plain total"):
            since_last = _Sum()
    return found, proven


@dataclass(frozen=True)
class _Sum:
    """The lines that a total may cover."""

    amount: Decimal = Decimal(0)
    lines: int = 0

    def with_line(self, amount: Decimal | None) -> _Sum:
        return _Sum(self.amount + (amount or 0), self.lines + 1)
