"""Commission tiers: the rep's share of what the company earns, and from when until when."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pandera.pandas as pa

from shs_pipeline import contract
from shs_pipeline.casting import match_key
from shs_pipeline.reading import BadCells, Problem, Reading, SourceFile
from shs_pipeline.reference.cross_checks import (
    VALID_FROM,
    VALID_UNTIL,
    backward_periods,
    in_words,
    overlap_remedy,
    overlaps,
    period_of,
    problem_at,
    row_of,
    unless,
    without_end,
)
from shs_pipeline.reference.product_lines import PRODUCT_LINES
from shs_pipeline.reference.sheet import read_rows
from shs_pipeline.source import ReferenceTable

_SHARE = "Type a percentage from 0% to 100%, such as 30% or 0.3."


class CommissionTiersRows(pa.DataFrameModel):
    """One row per rep, product line and period of validity."""

    sales_rep_name: contract.Text = contract.text("Sales Rep Name", "The rep, as in sales_reps.")
    product_line: contract.Text = contract.text(
        "Product Line",
        "Product line; blank for all, but a row for the product line itself goes first.",
        blank=True,
    )
    valid_from: contract.Day = contract.day(VALID_FROM, "First commission month in which the rates count.")
    valid_until: contract.Day = contract.day(
        VALID_UNTIL,
        "First day on which they no longer count; blank, or a day such as 12/31/9999, for no end.",
        blank=True,
    )
    commission_tier_1_rate: contract.Rate = contract.share(
        "Commission tier 1 rate",
        "Share of the company's revenue that the rep is paid, as a factor from 0 to 1.",
        ge=0,
        le=1,
        remedy=_SHARE,
    )
    commission_tier_2_rate: contract.Rate = contract.share(
        "Commission tier 2 rate",
        "The same once the threshold of the year is reached, from 0 to 1; blank where it stays the same.",
        blank=True,
        ge=0,
        le=1,
        remedy=_SHARE,
    )


def read_commission_tiers(file: SourceFile) -> Reading:
    """Read the rows of one workbook.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    return read_rows(file, CommissionTiersRows, {VALID_UNTIL: without_end})


def check_commission_tiers(lines: pd.DataFrame, bad: BadCells) -> Sequence[Problem]:
    """Return periods that end before they begin, and those that overlap for one (rep, product line).

    A blank product line is a key of its own: a row for the product line goes before it, and does not
    overlap it.
    """
    reps, products = lines["sales_rep_name"].tolist(), lines["product_line"].tolist()
    pairs = [
        (match_key(rep or ""), match_key(product or "")) for rep, product in zip(reps, products, strict=True)
    ]
    keys = unless(bad.among(lines, "Sales Rep Name", "Product Line", VALID_FROM, VALID_UNTIL), pairs)
    return backward_periods(lines) + [
        problem_at(
            lines,
            later,
            VALID_FROM,
            problem=f"Rows {row_of(lines, earlier)} and {row_of(lines, later)} both set the rates of "
            f"{reps[later]} for {products[later] or 'all product lines'}: one {period_of(lines, earlier)}, "
            f"the other {period_of(lines, later)}.",
            remedy=overlap_remedy(lines, earlier, later),
            value=in_words(lines["valid_from"].iat[later]),
        )
        for earlier, later in overlaps(lines, keys)
    ]


TABLE = ReferenceTable(
    name="commission_tiers",
    title="Commission tiers",
    rows=CommissionTiersRows,
    readers={".xlsx": read_commission_tiers},
    check=check_commission_tiers,
    suggestions={"sales_rep_name": ("sales_reps.sales_rep_name",), "product_line": PRODUCT_LINES},
)
