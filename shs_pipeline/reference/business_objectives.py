"""Business objectives: what a rep should sell, month by month."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pandera.pandas as pa

from shs_pipeline import contract
from shs_pipeline.reading import BadCells, Problem, Reading, SourceFile
from shs_pipeline.reference.product_lines import PRODUCT_LINES, doubled_years
from shs_pipeline.reference.sheet import read_rows
from shs_pipeline.source import ReferenceTable


def _objective(month: str) -> Any:
    return contract.amount(
        month,
        f"USD to be sold in {month}, by revenue month; blank for no objective.",
        blank=True,
        ge=0,
        remedy="Type an amount that is not negative, such as 25000, or leave the cell blank.",
    )


class BusinessObjectivesRows(pa.DataFrameModel):
    """One row per rep, product line and calendar year."""

    sales_rep_name: contract.Text = contract.text("Sales Rep Name", "The rep, as in sales_reps.")
    product_line: contract.Text = contract.text("Product Line", "Product line.")
    year: contract.Whole = contract.whole(
        "Year",
        "Calendar year of the revenue months, with four digits.",
        ge=2000,
        le=2099,
        remedy="Type the year with four digits, such as 2025.",
    )
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


def read_business_objectives(file: SourceFile) -> Reading:
    """Read the rows of one workbook.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    return read_rows(file, BusinessObjectivesRows)


def check_business_objectives(lines: pd.DataFrame, bad: BadCells) -> Sequence[Problem]:
    """Return what is set twice for one (rep, product line, year)."""
    return doubled_years(lines, bad, "the objectives")


TABLE = ReferenceTable(
    name="business_objectives",
    title="Business objectives",
    rows=BusinessObjectivesRows,
    readers={".xlsx": read_business_objectives},
    check=check_business_objectives,
    suggestions={"sales_rep_name": ("sales_reps.sales_rep_name",), "product_line": PRODUCT_LINES},
)
