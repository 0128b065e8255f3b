"""Territories: which rep owns which customer, and from when until when.

A row identifies the customer by one field of a source's files. Its value is read in the same way as
the source's own column, so that the two match: a zip that Excel turned into a number gets its zero
back, and an account number loses its `.0`. Several reps can share a customer: then their shares of each
day add up to 100 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from functools import cache

import pandas as pd
import pandera.pandas as pa

from shs_pipeline.casting.cells import CastError, Cell, ExcelError, is_blank, match_key, show, squeeze
from shs_pipeline.casting.kinds import CASTS, cast_zip
from shs_pipeline.files import contract
from shs_pipeline.files.contract import columns_of
from shs_pipeline.files.reading import ROW, SHEET, BadCells, Problem, Reading, SourceFile
from shs_pipeline.files.source import ReferenceTable, Source
from shs_pipeline.reference import columns
from shs_pipeline.reference.columns import VALID_FROM, VALID_UNTIL
from shs_pipeline.reference.cross_checks import (
    in_force_by_day,
    on_day,
    period_of,
    period_problems,
    problem_at,
    row_of,
    uneven_shares,
    unless,
    without_end,
)
from shs_pipeline.reference.sheet import read_rows
from shs_pipeline.sources.registry import all_sources

STEPPING_STONE = "SteppingStone"
"""The customer field that joins two columns of a file: `75201; Baylor Medical Center`."""

KEY = ("Source", "Customer field", "Data field value")


class TerritoriesRows(pa.DataFrameModel):
    """One row per customer of a source and period of validity."""

    source: contract.Text = contract.text("Source", "Source whose lines are credited; stored under its name.")
    customer_field: contract.Text = contract.text(
        "Customer field", "Field of the source that names the customer."
    )
    data_field_value: contract.Text = contract.text(
        "Data field value", "What the field contains for this customer; for SteppingStone, zip; customer."
    )
    sales_rep_name: contract.Text = columns.rep_name("The rep who owns the customer, as in sales_reps.")
    valid_from: contract.Day = columns.valid_from("First day on which the rep owns the customer.")
    valid_until: contract.Day = columns.valid_until("the rep no longer owns the customer")
    share: contract.Rate = columns.share(
        "Share of the customer's lines; a customer's shares add up to 100 % on every day; blank for 100 %."
    )
    note: contract.Text = columns.note()


def read_territories(file: SourceFile) -> Reading:
    """Read the rows of one workbook, with the customer's key as the source's lines have it.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    reading = read_rows(file, TerritoriesRows, {VALID_UNTIL: without_end})
    lines = reading.lines
    keys = []
    for sheet, row, *cells in zip(lines[SHEET], lines[ROW], *(lines[header] for header in KEY), strict=True):
        key, wrong = _normalised(cells)
        keys.append(key)
        if wrong is not None:
            place, error = wrong
            reading.problems.append(
                Problem(error.problem, error.remedy, sheet, int(row), KEY[place], show(cells[place]))
            )
    for place, header in enumerate(KEY):
        lines[header] = pd.Series([key[place] for key in keys], dtype=object)
    return reading


def check_territories(lines: pd.DataFrame, bad: BadCells) -> Sequence[Problem]:
    """Return periods that overlap or end before they begin, and shares that are not 100 % on a day."""
    sources, fields, values = (lines[n].tolist() for n in ("source", "customer_field", "data_field_value"))
    reps = lines["sales_rep_name"].tolist()
    owned = [
        tuple(match_key(part or "") for part in key) for key in zip(sources, fields, values, strict=True)
    ]
    keys = unless(bad.among(lines, *KEY, "Share", VALID_FROM, VALID_UNTIL), owned)
    shared = {key for key, share in zip(keys, lines["share"], strict=True) if key and share not in (None, 1)}
    problems = period_problems(
        lines,
        [None if key in shared else key for key in keys],
        lambda earlier, later: (
            f"overlap for {sources[later]}, {fields[later]} {values[later]!r}: "
            f"{reps[earlier]} owns it {period_of(lines, earlier)}, {reps[later]} {period_of(lines, later)}."
        ),
    )
    for key in shared:
        problems += _share_problems(lines, [place for place, other in enumerate(keys) if other == key])
    return problems


def _share_problems(lines: pd.DataFrame, rows: Sequence[int]) -> Iterator[Problem]:
    """Give an error for the rows of a shared customer on whose first such day one is needed."""
    names = ("valid_from", "valid_until", "share", "sales_rep_name", "source", "data_field_value")
    begins, untils, shares, reps, sources, values = (lines[name].tolist() for name in names)
    rows = [row for row in rows if begins[row] is not None and reps[row]]
    periods = [(begins[row], untils[row] or date.max) for row in rows]
    for day, places in in_force_by_day(periods):
        positions = [rows[place] for place in places]
        last = positions[-1]
        who = [match_key(reps[position]) for position in positions]
        if len(set(who)) < len(who):
            yield problem_at(
                lines,
                last,
                "Sales Rep Name",
                problem=f"{reps[last]} has two shares of {values[last]!r} {on_day(day)} (row "
                f"{', '.join(str(row_of(lines, position)) for position in positions)}).",
                remedy="Give each rep one row with the whole share, or correct Valid from and Valid until.",
                value=reps[last],
            )
            return
        of = f"{sources[last]} customer {values[last]!r}"
        portions = [shares[position] or Decimal(1) for position in positions]
        if problem := uneven_shares(lines, positions, portions, day, of=of):
            yield problem
            return


def _normalised(cells: Sequence[Cell]) -> tuple[list[Cell], tuple[int, CastError] | None]:
    """Bring source, customer field and value to their normal form.

    Each hangs on the one before it, so the work ends at the first that is blank or wrong.

    Returns:
        the three cells, and the place of the wrong one with what is wrong.
    """
    key, place = list(cells), 0
    if any(isinstance(cell, ExcelError) for cell in cells):
        return key, None  # The contract tells it.
    try:
        if not is_blank(cells[0]):
            source = _source_spelled(show(cells[0]))
            key[0], place = source.name, 1
            if not is_blank(cells[1]):
                field = _field_spelled(source, show(cells[1]))
                key[1], place = field, 2
                key[2] = None if is_blank(cells[2]) else _value_as_read(source, field, cells[2])
    except CastError as error:
        return key, (place, error)
    return key, None


def _source_spelled(text: str) -> Source:
    source = _sources_by_spelling().get(match_key(text))
    if source is None:
        raise CastError(f"{squeeze(text)} is not a source.", f"Type one of {_source_spellings()}.")
    if not source.customer_fields:
        raise CastError(
            f"{source.name} names the rep in its own files, so it has no territories.", "Delete the row."
        )
    return source


def _field_spelled(source: Source, text: str) -> str:
    fields = {match_key(field): field for field in source.customer_fields}
    if match_key(text) not in fields:
        raise CastError(
            f"{source.name} has no customer field {squeeze(text)}.",
            f"Type {' or '.join(source.customer_fields)}.",
        )
    return fields[match_key(text)]


def _value_as_read(source: Source, field: str, cell: Cell) -> Cell:
    """Return the value as it is read from the source's own files.

    Raises:
        CastError: it cannot stand in such a file.
    """
    if field == STEPPING_STONE:
        return _zip_and_customer(cell)
    kinds = {match_key(column.header): column.kind for column in columns_of(source.rows)}
    return CASTS[kinds.get(match_key(field), "text")](cell)


def _zip_and_customer(cell: Cell) -> str:
    zip_code, semicolon, customer = squeeze(show(cell)).partition(";")
    if not semicolon or not zip_code.strip() or not customer.strip():
        raise CastError(
            f"{STEPPING_STONE} is the zip and the customer with a semicolon between them.",
            "Type it like 75201; Baylor Medical Center, using Ship To Zip and Customer from the file.",
        )
    # The line's key has the five digits, also where the file has ZIP+4.
    digits = (cast_zip(zip_code) or "").split("-")[0]
    return f"{digits}; {customer.strip()}"


@cache
def _sources_by_spelling() -> dict[str, Source]:
    return {
        match_key(spelling): source
        for source in all_sources()
        for spelling in (source.name, source.title, *source.aliases)
    }


def _source_spellings() -> str:
    return ", ".join(
        " or ".join((source.name, *source.aliases)) for source in all_sources() if source.customer_fields
    )


TABLE = ReferenceTable(
    name="territories",
    title="Territories",
    rows=TerritoriesRows,
    readers={".xlsx": read_territories},
    check=check_territories,
    choices={
        "source": tuple(source.name for source in all_sources() if source.customer_fields),
        "customer_field": tuple(dict.fromkeys(f for source in all_sources() for f in source.customer_fields)),
    },
    suggestions={"sales_rep_name": ("sales_reps.sales_rep_name",)},
)
