"""Tier thresholds: the sales of a year from which a rep is paid tier 2."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pandera.pandas as pa

from shs_pipeline import contract
from shs_pipeline.reading import BadCells, Problem, Reading, SourceFile
from shs_pipeline.reference.product_lines import PRODUCT_LINES, doubled_years
from shs_pipeline.reference.sheet import read_rows
from shs_pipeline.source import ReferenceTable


class TierThresholdsRows(pa.DataFrameModel):
    """One row per rep, product line and commission year."""

    sales_rep_name: contract.Text = contract.text("Sales Rep Name", "The rep, as in sales_reps.")
    product_line: contract.Text = contract.text("Product Line", "Product line.")
    year: contract.Whole = contract.whole(
        "Year",
        "Calendar year of the commission months, with four digits.",
        ge=2000,
        le=2099,
        remedy="Type the year with four digits, such as 2025.",
    )
    commission_tier_threshold: contract.Amount = contract.amount(
        "Commission tier threshold",
        "USD sold since January from which tier 2 is paid; 0 for the whole year.",
        ge=0,
        remedy="Type an amount that is not negative, such as 250000; 0 pays tier 2 from January on. "
        "Delete the row if tier 2 is never reached.",
    )


def read_tier_thresholds(file: SourceFile) -> Reading:
    """Read the rows of one workbook.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    return read_rows(file, TierThresholdsRows)


def check_tier_thresholds(lines: pd.DataFrame, bad: BadCells) -> Sequence[Problem]:
    """Return what is set twice for one (rep, product line, year)."""
    return doubled_years(lines, bad, "a threshold")


TABLE = ReferenceTable(
    name="tier_thresholds",
    title="Tier thresholds",
    rows=TierThresholdsRows,
    readers={".xlsx": read_tier_thresholds},
    check=check_tier_thresholds,
    suggestions={"sales_rep_name": ("sales_reps.sales_rep_name",), "product_line": PRODUCT_LINES},
)
