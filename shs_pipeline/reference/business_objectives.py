"""Business objectives: how much a rep should sell, month by month."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pandera.pandas as pa

from shs_pipeline.files import contract
from shs_pipeline.files.reading import BadCells, Problem
from shs_pipeline.files.source import ReferenceTable
from shs_pipeline.reference import columns
from shs_pipeline.reference.cross_checks import backward_periods, without_end
from shs_pipeline.reference.product_lines import PRODUCT_LINES, doubled_years
from shs_pipeline.reference.sheet import rows_reader


def _objective(month: str) -> Any:
    return contract.amount(
        month,
        f"USD to be sold in {month}, by revenue month; blank for no objective.",
        blank=True,
        ge=0,
        remedy="Type an amount of 0 or more, such as 25000, or leave the cell blank.",
    )


class BusinessObjectivesRows(pa.DataFrameModel):
    """One row per rep, product line, calendar year and period of validity."""

    sales_rep_name: contract.Text = columns.rep_name()
    product_line: contract.Text = columns.product_line()
    year: contract.Whole = columns.year_of("revenue months")
    january: contract.Amount = _objective("January")
    february: contract.Amount = _objective("February")
    march: contract.Amount = _objective("March")
    april: contract.Amount = _objective("April")
    may: contract.Amount = _objective("May")
    june: contract.Amount = _objective("June")
    july: contract.Amount = _objective("July")
    august: contract.Amount = _objective("August")
    september: contract.Amount = _objective("September")
    october: contract.Amount = _objective("October")
    november: contract.Amount = _objective("November")
    december: contract.Amount = _objective("December")
    valid_from: contract.Day = columns.valid_from(
        "First month in which the row counts; blank for the whole year.", optional=True
    )
    valid_until: contract.Day = columns.valid_until("it no longer counts", optional=True)
    note: contract.Text = columns.note()


def check_business_objectives(lines: pd.DataFrame, bad: BadCells) -> Sequence[Problem]:
    """Return periods that end before they begin, and what is set twice for one month."""
    return [*backward_periods(lines), *doubled_years(lines, bad, "the objectives")]


TABLE = ReferenceTable(
    name="business_objectives",
    title="Business objectives",
    rows=BusinessObjectivesRows,
    readers={".xlsx": rows_reader(BusinessObjectivesRows, {columns.VALID_UNTIL: without_end})},
    check=check_business_objectives,
    suggestions={"sales_rep_name": ("sales_reps.sales_rep_name",), "product_line": PRODUCT_LINES},
)
