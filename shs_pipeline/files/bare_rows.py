"""Rows that can hardly be lines: they have few texts, and lack some cell that each line has or say total."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from shs_pipeline.casting.cells import CastError, is_blank, match_key, show
from shs_pipeline.casting.columns import blanks
from shs_pipeline.casting.kinds import CASTS, NUMBER_KINDS, TEXT_KINDS, Kind
from shs_pipeline.casting.sheet_values import MERGED_KINDS, merged_range
from shs_pipeline.files.contract import columns_of
from shs_pipeline.files.reading import ROW, SHEET
from shs_pipeline.files.total_words import ends_with_total, is_general, mention_total

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

MOST_TEXTS = 2


@dataclass(frozen=True)
class BareRow:
    """A row with few texts that lacks some cell that each line has, or says total beside a day.

    Attributes:
        labels: its texts, also those in columns of numbers and days.
        lacks: columns of which a line must have a cell in its own row.
        is_counted: whether it is a line, or a row that totals cover, unless it is a total.
        days: columns in which it has a day.
    """

    position: int
    labels: Mapping[str, str]
    numbers: Mapping[str, Decimal]
    lacks: Sequence[str]
    is_counted: bool
    days: Sequence[str] = ()

    @property
    def says_total(self) -> bool:
        """Whether it says that it is a total, and of no group: `Grand Total`."""
        return any(map(is_general, self.labels.values()))

    @property
    def key(self) -> str:
        """Its texts as one."""
        return " ".join(dict.fromkeys(map(match_key, self.labels.values())))


def bare_rows(
    rows: pd.DataFrame,
    model: type[pa.DataFrameModel],
    is_total: pd.Series,
    is_counted: pd.Series,
    amounts: Sequence[str],
    written_once: Sequence[str],
) -> list[BareRow]:
    """Return the rows with an amount that cannot be lines, or hardly.

    Args:
        rows: with amounts cast.
        is_total: (n,) which rows are totals by what they say.
        is_counted: (n,) which rows are lines, or covered by totals, as far as is known.
        amounts: columns with amounts.
        written_once: columns that are printed on the first row of a group.
    """
    columns = {column.header: column for column in columns_of(model)}
    own = [header for header in rows.columns if header not in (SHEET, ROW, *amounts, *written_once)]
    needed = [header for header in own if header in columns and columns[header].is_required]
    kinds: dict[str, Kind] = {
        header: columns[header].kind if header in columns else "text" for header in rows.columns
    }
    # Those come first of which a line has the most, so that few rows are left to look at.
    words = sorted(
        (header for header in kinds if header not in (SHEET, ROW) and kinds[header] not in NUMBER_KINDS),
        key=lambda header: (header in written_once, header not in needed),
    )
    at = _with_few_texts(rows, (~is_total).to_numpy(dtype=bool).nonzero()[0], words)
    if not len(at):
        return []
    others = is_counted.to_numpy(dtype=bool).copy()
    others[at] = False
    usual = [
        header for header in own if others.any() and not _blank_at(rows, header, others.nonzero()[0]).any()
    ]
    required = [header for header in written_once if header in columns and columns[header].is_required]
    of_other_group = _of_other_group(rows, written_once, required, others, at)
    at = at[_are_short(rows, at, {*needed, *usual}, words, kinds) | np.isin(at, list(of_other_group))]
    headers = [header for header in rows.columns if header not in (SHEET, ROW)]
    found = []
    for position, cells in zip(
        at.tolist(), rows[headers].iloc[at].to_numpy(dtype=object).tolist(), strict=True
    ):
        labels, numbers, days = _parts(dict(zip(headers, cells, strict=True)), kinds)
        has_amount = any(header in numbers for header in amounts)
        if has_amount and len(set(labels.values())) <= MOST_TEXTS:
            values = {*numbers, *days, *(header for header in labels if kinds[header] in TEXT_KINDS)}
            lacks = [header for header in needed if header not in values]
            lacks += of_other_group.get(position, ())
            row = BareRow(position, labels, numbers, lacks, bool(is_counted.iat[position]), days)
            if row.says_total or lacks or not values.issuperset(usual):
                found.append(row)
    return found


def _are_short(
    rows: pd.DataFrame,
    at: np.ndarray,
    usual: Collection[str],
    words: Sequence[str],
    kinds: Mapping[str, Kind],
) -> np.ndarray:
    """Return which of some rows lack a value that each line has, or say total."""
    is_short = np.zeros(len(at), dtype=bool)
    for header in usual:
        is_short |= _blank_at(rows, header, at)
        if kinds[header] not in TEXT_KINDS:
            is_short |= np.array([isinstance(cell, str) for cell in rows[header].to_numpy()[at]], dtype=bool)
    # A date may stand in the only cell that its total would lack.
    for header in words:
        is_short |= mention_total(rows[header].to_numpy(dtype=object)[at].tolist())
    return is_short


def _of_other_group(
    rows: pd.DataFrame,
    written_once: Sequence[str],
    required: Sequence[str],
    lines: np.ndarray,
    at: np.ndarray,
) -> dict[int, list[str]]:
    """Return, of the rows that begin a group, the required cells that only the group above them has.

    An invoice is that of one customer: below another customer's name, the number above is not this row's.
    A cell counts only if every line has it that prints the name.

    Args:
        written_once: columns that are printed on the first row of a group, the outermost first.
        required: those of them of which each line needs a value.
        lines: (n,) which rows are lines without doubt.
        at: positions of the rows that are asked about.
    """
    found: dict[int, list[str]] = {}
    for place, outer in enumerate(written_once):
        cells = rows[outer].to_numpy(dtype=object)
        is_printed = ~blanks(cells)
        printed = (is_printed & lines).nonzero()[0]
        inner = [
            header
            for header in written_once[place + 1 :]
            if header in required and len(printed) and not _blank_at(rows, header, printed).any()
        ]
        if not inner:
            continue
        last = np.maximum.accumulate(np.where(is_printed, np.arange(len(cells)), -1))
        for position in at[is_printed[at]].tolist():
            above = int(last[position - 1]) if position else -1
            if above >= 0 and match_key(show(cells[above])) != match_key(show(cells[position])):
                lacks = [header for header in inner if is_blank(rows[header].iat[position])]
                found.setdefault(position, []).extend(lacks)
    return {position: list(dict.fromkeys(lacks)) for position, lacks in found.items() if lacks}


def _with_few_texts(rows: pd.DataFrame, at: np.ndarray, words: Sequence[str]) -> np.ndarray:
    """Return those of some positions whose rows have few cells in the columns of texts and days."""
    texts = np.zeros(len(at), dtype=np.int64)
    for header in words:
        cells = rows[header].to_numpy(dtype=object)[at]
        is_shown = ~blanks(cells)
        if not MERGED_KINDS.isdisjoint(map(type, cells)):
            is_shown &= [not merged_range(cell) for cell in cells]
        texts += is_shown
        at, texts = at[texts <= MOST_TEXTS], texts[texts <= MOST_TEXTS]
    return at


def _blank_at(rows: pd.DataFrame, header: str, at: np.ndarray) -> np.ndarray:
    return blanks(rows[header].to_numpy(dtype=object)[at])


def _parts(
    cells: Mapping[str, Any], kinds: Mapping[str, Kind]
) -> tuple[dict[str, str], dict[str, Decimal], list[str]]:
    """Return texts, numbers, and columns with days of a row; nothing if it holds anything else.

    A day is something else, too, unless a text says total.
    """
    labels: dict[str, str] = {}
    numbers: dict[str, Decimal] = {}
    days: list[str] = []
    for header, cell in cells.items():
        if is_blank(cell) or (isinstance(cell, str) and merged_range(cell)):
            continue
        try:
            value = None if kinds[header] in TEXT_KINDS else CASTS[kinds[header]](cell)
        except CastError:
            value = None
        if isinstance(value, (Decimal, int)) and kinds[header] in NUMBER_KINDS:
            numbers[header] = Decimal(value)
        elif value is None and isinstance(cell, str):
            labels[header] = cell
        elif isinstance(value, date):
            days.append(header)
        else:
            return {}, {}, []
    if days and not any(map(ends_with_total, labels.values())):
        return {}, {}, []
    return labels, numbers, days
