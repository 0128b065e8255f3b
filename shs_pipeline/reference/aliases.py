"""Aliases: what a name that files or other workbooks use stands for.

A name is looked up here before anywhere else. A row for all sources, without dates and without a share is
a rename: the other workbooks can keep using the old name. Several rows for one rep's name divide its lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pandas as pd
import pandera.pandas as pa

from shs_pipeline.casting.cells import Cell, match_key
from shs_pipeline.files import contract
from shs_pipeline.files.reading import BadCells, Problem
from shs_pipeline.files.source import ReferenceTable
from shs_pipeline.reference import columns
from shs_pipeline.reference.columns import VALID_FROM, VALID_UNTIL
from shs_pipeline.reference.cross_checks import (
    backward_periods,
    in_force_by_day,
    on_day,
    problem_at,
    row_of,
    uneven_shares,
    without_end,
)
from shs_pipeline.reference.product_lines import PRODUCT_LINES
from shs_pipeline.reference.sheet import one_of, rows_reader
from shs_pipeline.sources.registry import all_sources

REP, PRODUCT_LINE, CUSTOMER = KINDS = ("rep", "product line", "customer")

_WHOLE = Decimal(1)


class AliasesRows(pa.DataFrameModel):
    """One row per name, what it means, and period of validity."""

    kind: contract.Text = contract.text(
        "Kind",
        "rep, product line or customer.",
        isin=list(KINDS),
        remedy="Type rep, product line or customer.",
    )
    source: contract.Text = contract.text(
        "Source",
        "Source whose lines the row concerns; blank for all.",
        blank=True,
        isin=[source.name for source in all_sources()],
        remedy="Type the name of a source as its folder is called, or leave the cell blank for all.",
    )
    name_in_file: contract.Text = contract.text("Name in File", "Name that files or other workbooks use.")
    means: contract.Text = contract.text("Means", "Name that it stands for.")
    share: contract.Rate = columns.share(
        "Share of the line, for a rep; the shares of a name add up to 100 % on every day; blank for 100 %."
    )
    valid_from: contract.Day = columns.valid_from(
        "First day on which the row counts; blank for no beginning.", optional=True
    )
    valid_until: contract.Day = columns.valid_until("it no longer counts", optional=True)
    note: contract.Text = columns.note()


def _source_spelled(cell: Cell) -> Cell:
    known = {
        match_key(spelling): source.name
        for source in all_sources()
        for spelling in (source.name, source.title, *source.aliases)
    }
    return known.get(match_key(cell), cell) if isinstance(cell, str) else cell


@dataclass(frozen=True)
class _Alias:
    """A row; `position` is its place in the table."""

    position: int
    kind: str
    source: str | None
    name: str
    means: str
    share: Decimal
    begin: date
    until: date

    @property
    def key(self) -> tuple[str, str | None, str]:
        """What one meaning at a time is wanted for."""
        return self.kind, self.source, match_key(self.name)


def check_aliases(lines: pd.DataFrame, bad: BadCells) -> Sequence[Problem]:
    """Return names that stand for themselves or for another alias, and shares that are not 100 % on a day."""
    is_bad = bad.among(lines, "Kind", "Source", "Name in File", "Means", "Share", VALID_FROM, VALID_UNTIL)
    rows = [row for row, skip in zip(_rows(lines), is_bad, strict=True) if row is not None and not skip]
    problems = backward_periods(lines)
    problems += [problem for row in rows for problem in _chain(lines, row, rows)]
    problems += [
        problem_at(
            lines,
            row.position,
            "Share",
            problem=f"Only the lines of a rep are divided, and this row gives a {row.kind} a share.",
            remedy="Leave Share blank.",
            value=f"{row.share * 100:f} %",
        )
        for row in rows
        if row.kind != REP and row.share != _WHOLE
    ]
    grouped: dict[tuple[str, str | None, str], list[_Alias]] = {}
    for row in rows:
        grouped.setdefault(row.key, []).append(row)
    return problems + [problem for group in grouped.values() for problem in _group_problems(lines, group)]


def _rows(lines: pd.DataFrame) -> Iterator[_Alias | None]:
    """Give each row; None for one without a name."""
    columns = (
        "kind", "source", "name_in_file", "means", "share", "valid_from", "valid_until",
    )  # fmt: skip
    for position, cells in enumerate(zip(*(lines[name].tolist() for name in columns), strict=True)):
        kind, source, name, means, share, begin, until = cells
        if not kind or not name or not means:
            yield None
            continue
        yield _Alias(
            position, kind, source, name, means, share or _WHOLE, begin or date.min, until or date.max
        )


def _chain(lines: pd.DataFrame, row: _Alias, rows: Sequence[_Alias]) -> Iterator[Problem]:
    """Give an error where what a name means is an alias itself."""
    for other in rows:
        if other.kind != row.kind or match_key(other.name) != match_key(row.means):
            continue
        if other.position == row.position:
            problem, remedy = f"{row.name} stands for itself.", "Delete the row."
        else:
            problem = (
                f"{row.name} means {row.means}, which row {row_of(lines, other.position)} says means "
                f"{other.means}: what a name means must not be an alias itself."
            )
            remedy = f"Put {other.means} into Means of this row, too, or delete one of the two rows."
        yield problem_at(lines, row.position, "Means", problem=problem, remedy=remedy, value=row.means)
        return


def _group_problems(lines: pd.DataFrame, group: Sequence[_Alias]) -> Iterator[Problem]:
    """Give an error for the rows of one name: meanings that overlap, and a day not divided wholly."""
    is_divided = group[0].kind == REP
    for day, places in in_force_by_day([(row.begin, row.until) for row in group]):
        rows = [group[place] for place in places]
        positions = [row.position for row in rows]
        last = rows[-1]
        is_clear = len({match_key(row.means) for row in rows}) == len(rows)
        if is_divided and is_clear:
            problem = uneven_shares(lines, positions, [row.share for row in rows], day, of=last.name)
        elif len(rows) == 1:
            problem = None
        else:
            problem = problem_at(
                lines,
                last.position,
                "Name in File",
                problem=f"{last.name} stands for more than one name {on_day(day)}, or twice for one (row "
                f"{', '.join(str(row_of(lines, position)) for position in positions)}).",
                remedy="Delete the wrong row, or set Valid until of one to Valid from of the other.",
                value=last.name,
            )
        if problem:
            yield problem
            return


TABLE = ReferenceTable(
    name="aliases",
    title="Aliases",
    rows=AliasesRows,
    readers={
        ".xlsx": rows_reader(
            AliasesRows, {"Kind": one_of(KINDS), "Source": _source_spelled, VALID_UNTIL: without_end}
        )
    },
    check=check_aliases,
    choices={"kind": KINDS, "source": tuple(source.name for source in all_sources())},
    suggestions={
        "means": (
            "sales_reps.sales_rep_name",
            *PRODUCT_LINES,
            "territories.data_field_value",
        ),
    },
)
