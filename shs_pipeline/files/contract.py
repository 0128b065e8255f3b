"""The contract of a file's rows: one Pandera model, from which everything else about them follows.

A model's fields are made by the functions below (`text`, `amount`, `day` …), which attach the kind
of cell that a column holds. From the model follow the header that is looked for, the casting of
each cell, the checks, the sentences for what is wrong, the raw table and the page in `docs/sources`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera import dtypes
from pandera.engines import numpy_engine, pandas_engine

from shs_pipeline.casting.cells import CastError, ExcelError, is_blank, show
from shs_pipeline.casting.columns import cast_cells
from shs_pipeline.casting.kinds import Kind
from shs_pipeline.files.reading import ROW, SHEET, CellsAt, Problem

# Pandera knows this type by its name only, so that it looks through all others, and tries an import that
# fails, for each column of each file: half the time of its checks.
pandas_engine.Engine.register_dtype(numpy_engine.Object, equivalents=[np.dtype(object)])


class _Cells(pandas_engine.DataType):
    """Python objects of one type, or None.

    Pandera's own Decimal and string types look at every cell by its text, which took half the time
    of a run over small files; casting has looked at each cell already.
    """

    type = np.dtype(object)
    holds: ClassVar[Any] = object

    def check(
        self, pandera_dtype: dtypes.DataType, data_container: pd.Series | None = None
    ) -> bool | list[bool]:
        """Return whether every cell is of the type, or which are."""
        cells = [] if data_container is None else data_container.tolist()
        if all(issubclass(found, (self.holds, NoneType)) for found in set(map(type, cells))):
            return True
        return [isinstance(cell, (self.holds, NoneType)) for cell in cells]


@pandas_engine.Engine.register_dtype
@dtypes.immutable
class Text(_Cells):
    """Text, an identifier or a zip code."""

    holds = str


@pandas_engine.Engine.register_dtype
@dtypes.immutable
class Exact(_Cells):
    """An exact number."""

    holds = Decimal


Amount = Exact
"""Dollars, exactly as the cell holds them."""
Number = Exact
"""A count, possibly fractional."""
Rate = Exact
"""A factor: 0.07 is 7 %."""


@pandas_engine.Engine.register_dtype
@dtypes.immutable
class Day(_Cells):
    """A calendar day."""

    holds = date


Whole = pd.Int64Dtype
Flag = pd.BooleanDtype

# Exact numbers have no scale in the database: Postgres would round to it without a word.
_SQL_TYPES: dict[Kind, str] = {
    "text": "text",
    "identifier": "text",
    "zip": "text",
    "amount": "numeric",
    "quantity": "numeric",
    "rate": "numeric",
    "share": "numeric",
    "whole": "bigint",
    "day": "date",
    "flag": "boolean",
}


LONGEST_NAME = 500
"""Characters of a name or any other text that a table may be searched by."""
LONGEST_TEXT = 32_767
"""Characters that a cell of Excel can hold: for descriptions and remarks."""
_LONGEST: dict[Kind, int] = {"text": LONGEST_NAME, "identifier": 200, "zip": 200}


def _field_maker(kind: Kind) -> Callable[..., Any]:
    def field(
        header: str,
        description: str,
        *,
        blank: bool = False,
        remedy: str | None = None,
        in_header: bool = True,
        longest: int | None = None,
        **checks: Any,
    ) -> Any:
        """Declare a column.

        Args:
            header: the column's name in the file; letters, digits, `%` and `$` are compared.
            description: what it means, with unit and sign; becomes the column's comment.
            blank: whether a cell may be empty.
            remedy: how to fix a value that fails the checks.
            in_header: whether a file without this column is rejected.
            longest: how many characters a text may have, where that is more than names have.
            checks: Pandera's own (`ge`, `isin`, `str_matches` …).
        """
        return pa.Field(
            alias=header,
            nullable=blank,
            description=description,
            metadata={
                "kind": kind,
                "remedy": remedy,
                "in_header": in_header,
                "longest": longest or _LONGEST.get(kind),
            },
            **checks,
        )

    return field


text = _field_maker("text")
identifier = _field_maker("identifier")
zip_code = _field_maker("zip")
amount = _field_maker("amount")
quantity = _field_maker("quantity")
rate = _field_maker("rate")
share = _field_maker("share")
whole = _field_maker("whole")
day = _field_maker("day")
flag = _field_maker("flag")


@dataclass(frozen=True)
class Column:
    """One column of a contract, as its users need it.

    Attributes:
        name: name in the database, lower case with underscores.
        header: name in the file.
        longest: characters that a text may have; None for what is no text.
    """

    name: str
    header: str
    kind: Kind
    description: str
    is_required: bool
    is_in_header: bool
    remedy: str | None
    longest: int | None

    @property
    def sql_type(self) -> str:
        """Type of the raw table's column."""
        return _SQL_TYPES[self.kind]


@cache
def columns_of(model: type[pa.DataFrameModel]) -> tuple[Column, ...]:
    """Return the columns of a contract in the order of declaration."""
    by_header = {info.name: info.original_name for _, info in model.__fields__.values()}
    found = []
    for header, schema in model.to_schema().columns.items():
        metadata = schema.metadata or {}
        found.append(
            Column(
                name=by_header[header],
                header=header,
                kind=metadata["kind"],
                description=schema.description or "",
                is_required=not schema.nullable,
                is_in_header=metadata["in_header"],
                remedy=metadata["remedy"],
                longest=metadata["longest"],
            )
        )
    return tuple(found)


def apply(
    model: type[pa.DataFrameModel],
    lines: pd.DataFrame,
    found: Sequence[Problem] = (),
    missing: frozenset[str] = frozenset(),
    cells_at: Mapping[str, CellsAt] | None = None,
) -> tuple[pd.DataFrame, list[Problem]]:
    """Cast and check every cell of `lines` against the contract.

    Args:
        model: the contract.
        lines: (n, k) cells as delivered, columns named as in the file, with `SHEET` and `ROW`.
        found: problems that the reader found: no second one is reported for their cells.
        missing: columns that the file lacks, which is one problem and not one for each cell.
        cells_at: columns whose cells stand elsewhere than in the row of their line.

    Returns:
        (n, m) values, columns named as in the database, with `SHEET` and `ROW`; and every problem,
        in the order of the file. Where there are errors the values must not be used.
    """
    problems: list[Problem] = []
    reported = {(problem.sheet, problem.row, problem.column) for problem in found}
    where = _Whereabouts(lines, cells_at or {})
    columns = columns_of(model)
    values: dict[str, pd.Series] = {}
    for column in columns:
        if column.header not in lines:
            values[column.header] = _series([None] * len(lines), column.kind)
            continue
        cells = lines[column.header].tolist()
        cast, errors = cast_cells(cells, column.kind)
        errors |= _too_long(cast, column)
        as_read = lines[column.header].to_numpy(dtype=object)
        values[column.header] = _series(as_read if cast is cells else cast, column.kind)
        for position, error in errors.items():
            place = where.of(column.header, position)
            if place in reported:
                continue
            reported.add(place)
            # How a value is typed does not help where Excel shows none.
            is_error = isinstance(cells[position], ExcelError)
            remedy = error.remedy if is_error else column.remedy or error.remedy
            problems.append(_problem_at(place, error.problem, remedy, show(cells[position])))
    typed = pd.DataFrame(values, index=pd.RangeIndex(len(lines)))
    problems += _broken_checks(model, typed, lines, where, reported, missing)
    typed = typed.rename(columns={column.header: column.name for column in columns})
    typed.insert(0, SHEET, lines[SHEET].to_numpy())
    typed.insert(1, ROW, lines[ROW].to_numpy())
    order = {column.header: number for number, column in enumerate(columns)}
    problems.sort(key=lambda problem: order.get(problem.column or "", 0))
    return typed, in_file_order(problems)


def _too_long(cast: Sequence[Any], column: Column) -> dict[int, CastError]:
    """Return an error for each text that is longer than its column takes, by position."""
    longest = column.longest
    if longest is None or max(map(len, filter(None, dict.fromkeys(cast))), default=0) <= longest:
        return {}
    return {
        position: CastError(
            f"This text has {len(cell):,} characters; {column.header} takes at most {longest:,}.",
            f"Keep only the {column.header}.",
        )
        for position, cell in enumerate(cast)
        if cell is not None and len(cell) > longest
    }


def missing_value(column: Column) -> tuple[str, str]:
    """Return problem and remedy for an empty cell of a column that must be filled."""
    return (
        f"{column.header} is empty.",
        column.remedy or f"Fill in {column.header}, or delete the whole row if it is not a sale line.",
    )


class _Whereabouts:
    """Where the cell of a column and line stands in the file: sheet, row, and header there."""

    def __init__(self, lines: pd.DataFrame, cells_at: Mapping[str, CellsAt]) -> None:
        self._sheets = lines[SHEET].tolist()
        self._rows = lines[ROW].tolist()
        self._cells_at = cells_at

    def of(self, header: str, position: int) -> tuple[str, int, str]:
        at = self._cells_at.get(header) or CellsAt(header, self._rows)
        return self._sheets[position], int(at.rows[position]), at.header


def _problem_at(place: tuple[str, int, str], problem: str, remedy: str, value: str | None) -> Problem:
    sheet, row, header = place
    return Problem(problem=problem, remedy=remedy, sheet=sheet, row=row, column=header, value=value)


def _series(values: list[Any] | np.ndarray, kind: Kind) -> pd.Series:
    if kind == "whole":
        return pd.Series(values, dtype="Int64")
    if kind == "flag":
        return pd.Series(values, dtype="boolean")
    return pd.Series(values, dtype=object)


def _broken_checks(
    model: type[pa.DataFrameModel],
    typed: pd.DataFrame,
    lines: pd.DataFrame,
    where: _Whereabouts,
    reported: set[tuple[str | None, int | None, str | None]],
    missing: frozenset[str],
) -> list[Problem]:
    if typed.empty:
        return []  # Pandera would find that a column without a cell holds no text.
    try:
        model.validate(typed, lazy=True)
    except pa.errors.SchemaErrors as broken:
        failures = broken.failure_cases
    else:
        return []
    by_header = {column.header: column for column in columns_of(model)}
    problems = []
    for failure in failures.itertuples():
        header, position = str(failure.column), failure.index
        if position is None or pd.isna(position):
            raise AssertionError(f"contract {model.__name__} contradicts itself: {failure}")
        position = int(position)
        place = where.of(header, position)
        if place in reported or header in missing:
            continue
        reported.add(place)
        cell = lines[header].iat[position] if header in lines else None
        problem, remedy = _sentence(by_header[header], str(failure.check), cell)
        problems.append(_problem_at(place, problem, remedy, None if is_blank(cell) else show(cell)))
    return problems


def _sentence(column: Column, check: str, cell: Any) -> tuple[str, str]:
    if check == "not_nullable":
        return missing_value(column)
    return (
        f"{column.header} does not contain what it should: {column.description}",
        column.remedy or f"Correct {column.header} to match the supplier's document.",
    )


def in_file_order(problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems by sheet and row; `page 10` comes after `page 9`."""

    def place(problem: Problem) -> tuple[list[tuple[int, str]], int]:
        parts = re.split(r"(\d+)", problem.sheet or "")
        return [(int(part), "") if part.isdecimal() else (0, part) for part in parts], problem.row or 0

    return sorted(problems, key=place)


def headers_of(model: type[pa.DataFrameModel]) -> Sequence[str]:
    """Return the column names that a file must have."""
    return [column.header for column in columns_of(model) if column.is_in_header]
