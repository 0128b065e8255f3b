"""Rows that show a text, or a few, and neither an amount nor a date: no lines, but remarks or headings.

Which of the two one is, `remarks.py` tells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shs_pipeline.casting.cells import CODE, CastError, is_blank, is_nan, match_key, show, squeeze
from shs_pipeline.casting.kinds import CASTS, IDENTIFIER_KINDS, TEXT_KINDS, Kind
from shs_pipeline.casting.sheet_values import merged_range
from shs_pipeline.files.contract import columns_of
from shs_pipeline.files.reading import ROW, SHEET
from shs_pipeline.files.remarks import SPREAD, says_remark

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

_FEW_CELLS = 2
_MONEY = re.compile(r"[.,$]|USD")
_MOST_PAGES = 100
_UNKNOWN = frozenset(("n/a", "na", "tbd", "tba", "pending", "unknown", "open"))
_LETTERS_OF_CURRENCY = 3
_MOST_PARTS = 6  # different cells of a remark that is spread over columns


def lone_texts(
    rows: pd.DataFrame,
    model: type[pa.DataFrameModel],
    among: pd.Series,
    amounts: Sequence[str],
    *,
    lines: pd.Series | None = None,
    is_grouped: bool = True,
) -> dict[int, str]:
    """Return the rows that show one text, and neither an amount nor a date, by 0-based position.

    A remark may be spread over cells (`Page | 2 | of | 3`) or, merged, stand in all of them. It may have a
    few other cells, none an amount or a date (`Approved by: | J. Smith`), where no line can take anything
    from it: below the last line, in a report without groups, or if one of them can only be a remark. A row of
    nothing but zeros, which formulas leave, is a remark as well.

    Args:
        among: (n,) which rows are looked at.
        amounts: columns of which a line has at least one.
        lines: (n,) which rows may be lines; None where any row with a cell may be one.
        is_grouped: whether lines take from rows above what they leave blank.
    """
    headers = [header for header in rows.columns if header not in (SHEET, ROW)]
    kinds = {column.header: column.kind for column in columns_of(model)}
    may_be = among.to_numpy(dtype=bool).copy()
    for column in amounts:
        at = may_be.nonzero()[0]
        cells = rows[column].to_numpy(dtype=object)[at].tolist()
        may_be[at] = [not cell or isinstance(cell, (str, date)) for cell in cells]
    few = None if lines is None else _FewCells(rows, headers, model, amounts, lines, is_grouped=is_grouped)
    found = {}
    places = may_be.nonzero()[0].tolist()
    for position, cells in zip(
        places, rows.loc[may_be, headers].to_numpy(dtype=object).tolist(), strict=True
    ):
        text = None
        if len(set(cells)) <= _MOST_PARTS + 2:
            text = _lone_text(headers, cells, kinds, amounts)
        if not text and few is not None:
            text = few.text_of(position, cells)
        if text:
            found[position] = text
    return found


class _FewCells:
    """Rows with a few cells of which none is an amount or a day."""

    def __init__(
        self,
        rows: pd.DataFrame,
        headers: Sequence[str],
        model: type[pa.DataFrameModel],
        amounts: Sequence[str],
        lines: pd.Series,
        *,
        is_grouped: bool,
    ) -> None:
        self._headers, self._is_grouped = headers, is_grouped
        self._kinds = {column.header: column.kind for column in columns_of(model)}
        self._keys = {
            column.header
            for column in columns_of(model)
            if column.is_required and column.kind in IDENTIFIER_KINDS
        }
        self._is_line = lines.to_numpy(dtype=bool)
        self._rows, self._amounts = rows, amounts

    @cached_property
    def _last(self) -> int:
        """Position of the last line with an amount; -1 where there is none."""
        columns = [self._rows[column].to_numpy(dtype=object) for column in self._amounts]
        for position in self._is_line.nonzero()[0][::-1].tolist():
            if any(_is_amount(column[position]) for column in columns):
                return int(position)
        return -1

    @cached_property
    def _most_below(self) -> int:
        """How many cells a remark below the last line may have."""
        columns = (self._rows[header].to_numpy(dtype=object) for header in self._headers)
        used = sum(any(cell is not None and not is_nan(cell) for cell in column) for column in columns)
        return max(_FEW_CELLS, used // 4)

    def text_of(self, position: int, cells: Sequence[Any]) -> str | None:
        """Return the text of such a row, `0` where it holds nothing but zeros; else None."""
        if not self._is_line[position]:
            return None  # It is left out for another reason.
        filled = {
            header: cell
            for header, cell in zip(self._headers, cells, strict=True)
            if not is_blank(cell) and not merged_range(cell) and (isinstance(cell, bool) or cell != 0)
        }
        if not filled:
            return "0" if any(not is_blank(cell) for cell in cells) else None
        if position > self._last and self._is_stamp(filled):
            return show(next(iter(filled.values())))
        texts = [cell for cell in filled.values() if isinstance(cell, str)]
        is_below = position > self._last
        is_free = is_below or not self._is_grouped or any(map(says_remark, texts))
        if not is_free or not texts or len(filled) > (self._most_below if is_below else _FEW_CELLS):
            return None
        says_total = any("total" in text.casefold() for text in texts)
        if any(self._is_data(header, cell, says_total=says_total) for header, cell in filled.items()):
            return None
        # What makes it a remark is its text, so that it is no heading either.
        joined = " ".join(dict.fromkeys(squeeze(show(cell)) for cell in filled.values()))
        return next(filter(says_remark, texts), joined)

    def _is_stamp(self, filled: Mapping[str, Any]) -> bool:
        """Whether nothing but a page number or a time of printing stands in a column of texts."""
        (header, cell), *others = filled.items()
        is_page = type(cell) is float and cell in range(1, _MOST_PAGES)
        return (
            not others
            and self._kinds.get(header, "text") in TEXT_KINDS
            and (is_page or isinstance(cell, date))
        )

    def _is_data(self, header: str, cell: Any, *, says_total: bool) -> bool:
        """Whether a cell is a day, a number in its column, money, or what identifies a line."""
        kind = self._kinds.get(header, "text")
        if isinstance(cell, bool) or not isinstance(cell, (str, float, int)):
            return True
        if kind not in TEXT_KINDS and _is_value(kind, cell):
            return True
        # An amount that cannot be read must not be left out with its row.
        if header in self._amounts and (_looks_like_amount(cell) or match_key(show(cell)) in _UNKNOWN):
            return True
        if header in self._keys and CODE.fullmatch(squeeze(show(cell))):
            return True
        return not says_total and _may_be_money(cell)


def _is_amount(cell: Any) -> bool:
    """Whether a cell in a column of amounts is one, good or bad, and not zero."""
    if isinstance(cell, str):
        return _looks_like_amount(cell)
    return cell is not None and not isinstance(cell, date) and cell != 0


def _looks_like_amount(cell: Any) -> bool:
    """Whether the text of an amount's cell has digits and no more letters than a currency: `12,50 EUR`."""
    text = str(cell)
    has_few_letters = sum(map(str.isalpha, text)) <= _LETTERS_OF_CURRENCY
    return has_few_letters and any(map(str.isdigit, text)) and not says_remark(text)


def _may_be_money(cell: Any) -> bool:
    """Whether a number, or a text that is one, has cents or a mark of money."""
    if not isinstance(cell, str):
        return bool(abs(cell) >= 1 and cell != int(cell))
    return bool(_MONEY.search(cell)) and _is_value("amount", cell)


def _lone_text(
    headers: list[str], cells: list[Any], kinds: Mapping[str, Kind], amounts: Sequence[str]
) -> str | None:
    filled = {header: cell for header, cell in zip(headers, cells, strict=True) if not is_blank(cell)}
    parts = dict.fromkeys(squeeze(show(cell)) for cell in filled.values())
    if not parts or len(parts) > _MOST_PARTS:
        return None
    if len(parts) == 1 and all(isinstance(cell, str) for cell in filled.values()):
        is_value = any(
            _is_value(kinds.get(header, "text"), cell) or (header in amounts and _looks_like_amount(cell))
            for header, cell in filled.items()
        )
        return None if is_value else next(iter(parts))
    joined = " ".join(parts)
    has_amount = any(_is_value("amount", filled[header]) for header in amounts if header in filled)
    return joined if not has_amount and SPREAD.fullmatch(match_key(joined)) else None


def _is_value(kind: Kind, cell: Any) -> bool:
    """Whether a cell is what a column of numbers or days holds."""
    if kind in TEXT_KINDS:
        return False
    try:
        CASTS[kind](cell)
    except CastError:
        return False
    return True
