"""Tier thresholds: the sales of a year from which a rep is paid tier 2."""

from __future__ import annotations

from functools import partial

import pandera.pandas as pa

from shs_pipeline.files import contract
from shs_pipeline.files.source import ReferenceTable
from shs_pipeline.reference import columns
from shs_pipeline.reference.product_lines import PRODUCT_LINES, doubled_years
from shs_pipeline.reference.sheet import rows_reader


class TierThresholdsRows(pa.DataFrameModel):
    """One row per rep, product line and commission year."""

    sales_rep_name: contract.Text = columns.rep_name()
    product_line: contract.Text = columns.product_line()
    year: contract.Whole = columns.year_of("commission months")
    commission_tier_threshold: contract.Amount = contract.amount(
        "Commission tier threshold",
        "Sales in USD since January from which tier 2 is paid; 0 pays it all year.",
        ge=0,
        remedy="Type an amount of 0 or more, such as 250000; 0 pays tier 2 from January on. Delete the row "
        "if there is no tier 2.",
    )
    note: contract.Text = columns.note()


TABLE = ReferenceTable(
    name="tier_thresholds",
    title="Tier thresholds",
    rows=TierThresholdsRows,
    readers={".xlsx": rows_reader(TierThresholdsRows)},
    check=partial(doubled_years, what="a threshold"),
    suggestions={"sales_rep_name": ("sales_reps.sales_rep_name",), "product_line": PRODUCT_LINES},
)
