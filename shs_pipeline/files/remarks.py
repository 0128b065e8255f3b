"""Rows that are not data (remarks, footers, page numbers), and how they differ from group headings.

A row that shows one text, and neither an amount nor a date, is not a line: it is left out and counted. In
most reports that is all. In a grouped report such a text may also be a group heading: the client whose lines
follow with a blank in its column. Taking a remark for a heading, or a heading for a remark, credits sales to
the wrong rep, so it is a heading only if the file proves it:

1. Where the line below has its own value in that column, the text concerns no line.
2. The next printed total that is named after it, or after the group above, tells: `Total for Oak Clinic`
   further down makes `Oak Clinic` a heading, `Total for Mercy` makes it a remark among Mercy's lines.
3. What only a remark says (`Page 2 of 3`, `Continued`, a time of printing, `*** draft`) is one.
4. Where no group is above, or the total of the group above has been printed, it is a heading.
5. Where the report prints its groups on lines of their own, it is a heading; where it prints them
   on the first line of the group, a remark. The line below may go on with the document above: nothing
   more is said. It may begin another one: either is possible, and the file is refused. If the report
   does not show which, a warning names the row.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from shs_pipeline.files.casting.cells import CastError, is_blank, match_key, show, squeeze
from shs_pipeline.files.casting.days import day_of
from shs_pipeline.files.casting.kinds import CASTS, Kind
from shs_pipeline.files.contract import columns_of
from shs_pipeline.files.reading import ROW, SHEET, Problem
from shs_pipeline.files.sheet_values import merged_range

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

REMARK = "remark or footer"
"""Why such a row is left out."""

_FEW_CELLS = 2
_IDENTIFIER = re.compile(r"\S*[0-9]\S*")
_MONEY = re.compile(r"[.,$]|USD")
_MOST_PARTS = 6  # different cells of a remark that is spread over columns
_TEXT_KINDS = ("text", "identifier", "zip")

_PRINT = r"""
    page:?\ ?[0-9]+\b.*
    | [0-9]+\ ?(of|/)\ ?[0-9]+(\ pages?)?
    | ((report|statement|data)\ )?
      (printed|exported|created|generated|produced|prepared|run|report(ed)?|print|report\ run|as\ of)
      (\ date|\ time)?(\ ?:|\ (on|at|by|as\ of|date|time)\b).*
    | (accrual|cash)[\ -]basis\b.*
    | (strictly\ )?(confidential|proprietary)\b.*
    | (for\ )?internal\ use\ only\b.*
    | (\(c\)|©|copyright|all\ rights\ reserved)(\W.*)?
    | end\ of\ (report|statement|page|file|list|document)\b.*
"""
_ALONE = r"""
    [\W_]+
    | (?!\(blank\))(\*|-|=|~|_|\(|\[|<|>|†|‡|§|®|\.\.|//|\#{2}).*
    | (continued|cont'?d|cont\.)(\W.*)?
    | .*\(?\b(continued|cont'?d|cont\.)\)?
    | (draft|preliminary|unaudited|sample|void|duplicate)(\ (report|statement|copy|version|only))?
    | (notes?|remarks?|comments?|disclaimer|legend|footnotes?|n\.?b\.?|attention|questions\??)
      (\ [0-9]+)?\ ?[:.-].*
    | (notes?|remarks?|disclaimer|legend|footnotes?)
    | (please|note\ that|see\ (notes?|cover|attached|page|next|below|above|also|sheet)|thank\ you
      |(all\ )?(amounts?|prices|figures|sales|values|totals|rates)\ (in|are|is|do|includes?|excludes?|may)
      |subject\ to|this\ (report|statement|page|document)|for\ questions|questions|if\ you\ have
      |does\ not\ include|excludes|includes|(report|statement)\ (date|period)|period:?)\b.*
"""
_SPREAD = re.compile(_PRINT, re.VERBOSE)
_REMARK = re.compile(f"{_PRINT} | {_ALONE}", re.VERBOSE)
_CLOCK = re.compile(r"(?<![0-9:])[0-9]{1,2}:[0-5][0-9](?![0-9])")
_DATE = re.compile(
    r"(?<![0-9])(?:[0-9]{1,2}[/-][0-9]{1,2}[/-](?:[0-9]{4}|[0-9]{2})|[0-9]{4}-[0-9]{2}-[0-9]{2})(?![0-9])"
    r"|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? [0-9]{1,2}(?:st|nd|rd|th)?,? [0-9]{4}\b"
)
_ADDRESS = re.compile(r"www\.|https?:|\S@\S+\.\S|\(?[0-9]{3}\)?[ -.][0-9]{3}[-.][0-9]{4}")


def says_remark(text: str) -> bool:
    """Whether a text alone in its row can only be a remark, in any report."""
    key = match_key(text)
    return any(
        (_REMARK.fullmatch(key), _CLOCK.search(key), _DATE.search(key), _ADDRESS.search(key), _is_day(key))
    )


def _is_day(text: str) -> bool:
    try:
        return day_of(text) is not None
    except CastError:
        return False


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
        may_be &= np.array([not cell or isinstance(cell, str) for cell in rows[column]], dtype=bool)
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
            if column.is_required and column.kind in ("identifier", "zip")
        }
        has_amount = np.zeros(len(rows), dtype=bool)
        for column in amounts:
            has_amount |= np.array([cell is not None and cell != 0 for cell in rows[column]], dtype=bool)
        self._is_line = lines.to_numpy(dtype=bool)
        self._last = int((self._is_line & has_amount).nonzero()[0].max(initial=-1))
        used = int(rows[list(headers)].notna().any().sum())
        self._most_below = max(_FEW_CELLS, used // 4)

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
        texts = [cell for cell in filled.values() if isinstance(cell, str)]
        is_below = position > self._last
        is_free = is_below or not self._is_grouped or any(map(says_remark, texts))
        if not is_free or not texts or len(filled) > (self._most_below if is_below else _FEW_CELLS):
            return None
        says_total = any("total" in text.casefold() for text in texts)
        if any(self._is_data(header, cell, says_total=says_total) for header, cell in filled.items()):
            return None
        return " ".join(dict.fromkeys(squeeze(show(cell)) for cell in filled.values()))

    def _is_data(self, header: str, cell: Any, *, says_total: bool) -> bool:
        """Whether a cell is a day, a number in its column, money, or what identifies a line."""
        kind = self._kinds.get(header, "text")
        if isinstance(cell, bool) or not isinstance(cell, (str, float, int)):
            return True
        if kind not in _TEXT_KINDS and _is_value(kind, cell):
            return True
        if header in self._keys and _IDENTIFIER.fullmatch(squeeze(show(cell))):
            return True
        return not says_total and _may_be_money(cell)


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
        is_value = any(_is_value(kinds.get(header, "text"), cell) for header, cell in filled.items())
        return None if is_value else next(iter(parts))
    joined = " ".join(parts)
    has_amount = any(header in filled for header in amounts)
    return joined if not has_amount and _SPREAD.fullmatch(match_key(joined)) else None


def _is_value(kind: Kind, cell: Any) -> bool:
    """Whether a cell is what a column of numbers or days holds."""
    if kind in _TEXT_KINDS:
        return False
    try:
        CASTS[kind](cell)
    except CastError:
        return False
    return True


@dataclass
class Headings:
    """Which of the rows with one text are headings of groups, and which remarks.

    Attributes:
        remarks: positions of the remarks.
        problems: rows of which it cannot be told.
    """

    remarks: set[int] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def tell_headings(
    rows: pd.DataFrame,
    lone: Mapping[int, str],
    written_once: Sequence[str],
    *,
    is_line: Sequence[bool],
    is_fed_by: Sequence[bool],
    totals: Mapping[int, Collection[str]],
    required: Collection[str] = (),
    own_rows: bool = False,
) -> Headings:
    """Tell headings from remarks, by the rules at the top of this module.

    Args:
        lone: texts that stand alone in their rows, by position.
        written_once: columns that are printed once for a group, the outermost first.
        is_line: (n,) which rows are lines.
        is_fed_by: (n,) which rows pass cells on to the lines below, lines and `lone` ones included.
        totals: what each total row may be named after, as `match_key` gives it, by position.
        required: columns of which every line must have the right value.
        own_rows: whether the report prints groups on rows of their own by its nature.
    """
    found = Headings(remarks=set(lone))
    cells = {column: rows[column].tolist() for column in written_once}
    column_of = {
        position: column
        for position in lone
        for column in written_once
        if is_fed_by[position] and not is_blank(cells[column][position])
    }
    for column in dict.fromkeys(column_of.values()):
        mine = {position: lone[position] for position, name in column_of.items() if name == column}
        judge = _Judge(rows, column, cells, mine, set(lone), is_line, is_fed_by, totals, own_rows)
        judge.go_down(required)
        found.remarks -= judge.headings
        found.problems += judge.problems
    return found


class _Judge:
    """Goes down one column that is written once, and sorts its lone texts."""

    def __init__(
        self,
        rows: pd.DataFrame,
        column: str,
        cells: Mapping[str, list[Any]],
        lone: Mapping[int, str],
        all_lone: Collection[int],
        is_line: Sequence[bool],
        is_fed_by: Sequence[bool],
        totals: Mapping[int, Collection[str]],
        own_rows: bool,
    ) -> None:
        self._rows, self._column, self._cells, self._lone = rows, column, cells, lone
        self._all_lone, self._is_line, self._is_fed_by, self._totals = all_lone, is_line, is_fed_by, totals
        own = cells[column]
        self._own_rows = own_rows or not any(
            not is_blank(own[position])
            for position in range(len(own))
            if is_fed_by[position] and position not in all_lone
        )
        self._totals_of: dict[str, list[int]] = {}
        for position in sorted(totals):
            for name in totals[position]:
                self._totals_of.setdefault(name, []).append(position)
        self.headings: set[int] = set()
        self.problems: list[Problem] = []
        self._current: str | None = None
        self._closed_at = -1
        self._pending: list[int] = []

    def go_down(self, required: Collection[str]) -> None:
        """Sort the texts of the column; see `tell_headings` for `required`."""
        own = self._cells[self._column]
        for position, cell in enumerate(own):
            if position in self._lone:
                self._pending.append(position)
            elif self._is_fed_by[position] and position not in self._all_lone and not is_blank(cell):
                self._pending, self._current = [], match_key(show(cell))
            elif position in self._totals and self._current in self._totals[position]:
                self._closed_at = position
            if self._is_line[position] and self._pending and position not in self._lone:
                heading = self._heading_for(position, required)
                if heading is not None:
                    self.headings.add(heading)
                    self._current = match_key(self._lone[heading])
                self._pending = []

    def _heading_for(self, line: int, required: Collection[str]) -> int | None:
        """Return the one of the texts above a line that is its heading, if any is."""
        texts = {at: match_key(self._lone[at]) for at in self._pending}
        texts = {at: text for at, text in texts.items() if text != self._current}
        if not texts:
            return None
        named = [(self._next_total(text, line), at) for at, text in texts.items()]
        own = self._next_total(self._current, line)
        nearest, heading = min(named)
        if nearest is not None and nearest < own:
            return heading
        if own < _NEVER:
            return None
        doubtful = [at for at in texts if not says_remark(self._lone[at])]
        if not doubtful:
            return None
        if self._current is None or self._own_rows or self._closed_at > self._last_line_before(line):
            return doubtful[-1]
        self._say_doubt(doubtful[-1], line, required)
        return None

    def _next_total(self, name: str | None, after: int) -> int:
        places = self._totals_of.get(name or "", [])
        index = bisect_right(places, after)
        return places[index] if index < len(places) else _NEVER

    def _last_line_before(self, line: int) -> int:
        return next((at for at in range(line - 1, -1, -1) if self._is_line[at]), -1)

    def _say_doubt(self, at: int, line: int, required: Collection[str]) -> None:
        others = [column for column in self._cells if column != self._column and column in required]
        begins = any(
            not is_blank(self._cells[column][row])
            for column in others
            for row in range(at + 1, line + 1)
            if self._is_fed_by[row]
        )
        if others and not begins:
            return  # The line below goes on with the same document, so nothing new has begun.
        text, group = squeeze(self._lone[at]), show(self._current)
        is_error = self._column in required and bool(others)
        taken = "" if is_error else f" It was taken as a remark, so they count for {group!r}."
        self.problems.append(
            Problem(
                problem=f"This text is alone in its row. It may be a remark, or the {self._column} of the "
                f"lines below, which have none of their own.{taken}",
                remedy=f"If it is a remark, delete the row. If not, type {text!r} into the {self._column} "
                "cell of the first line below.",
                sheet=str(self._rows[SHEET].iat[at]),
                row=int(self._rows[ROW].iat[at]),
                column=self._column,
                value=text,
                severity="error" if is_error else "warning",
            )
        )


_NEVER = 1 << 62
