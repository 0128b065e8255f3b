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

from shs_pipeline.casting.cells import CastError, is_blank, match_key, show, squeeze
from shs_pipeline.casting.days import day_of
from shs_pipeline.files.reading import ROW, SHEET, Problem

if TYPE_CHECKING:
    import pandas as pd

REMARK = "remark or footer"
"""Why such a row is left out."""


_PRINT = r"""
    page:?\ ?[0-9]+\b.*
    | [0-9]+\ ?(of|/)\ ?[0-9]+(\ pages?)?
    | ((report|statement|data)\ )?
      (printed|exported|created|generated|produced|prepared|run|report(ed)?|print|report\ run|as\ of)
      (\ date|\ time)?(\ ?:|\ (on|at|by|as\ of|date|time)\b|\ [0-9]{1,4}[-/][0-9]).*
    | (accrual|cash)[\ -]basis\b.*
    | (strictly\ )?(confidential|proprietary)\b.*
    | (for\ )?internal\ use\ only\b.*
    | (\(c\)|©|copyright|all\ rights\ reserved)(\W.*)?
    | end\ of\ (report|statement|page|file|list|document)\b.*
    | (total\ |number\ of\ )?[0-9][0-9,]*\ (records?|rows?|entries|transactions?)
      (\ (exported|found|listed|printed|returned|selected|in\ total))?
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
SPREAD = re.compile(_PRINT, re.VERBOSE)
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
