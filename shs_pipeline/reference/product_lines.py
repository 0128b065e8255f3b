"""The columns that name product lines, and the amounts that are set once a year for each."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from shs_pipeline.casting.cells import match_key
from shs_pipeline.files.reading import BadCells, Problem
from shs_pipeline.reference.cross_checks import overlaps, problem_at, row_of, unless, with_beginning

PRODUCT_LINES = (
    "service_to_product.product_lines",
    "commission_tiers.product_line",
    "tier_thresholds.product_line",
    "business_objectives.product_line",
)
"""The columns of the reference tables that name product lines."""


def doubled_years(lines: pd.DataFrame, bad: BadCells, what: str) -> Sequence[Problem]:
    """Return an error for each row whose (rep, product line, year) another row sets in the same months.

    Args:
        lines: (n, m) values with `sales_rep_name`, `product_line` and `year`, perhaps with a period.
        bad: cells that are reported already.
        what: what a row sets, such as `a threshold`.
    """
    entries = list(zip(lines["sales_rep_name"], lines["product_line"], lines["year"], strict=True))
    keys = unless(
        bad.among(lines, "Sales Rep Name", "Product Line", "Year"),
        [(match_key(rep or ""), match_key(product or ""), year) for rep, product, year in entries],
    )
    problems = []
    for first, again in overlaps(with_beginning(lines), keys):
        rep, product, year = entries[again]
        problems.append(
            problem_at(
                lines,
                again,
                "Year",
                problem=f"Rows {row_of(lines, first)} and {row_of(lines, again)} both set {what} of {rep} "
                f"for {product} in {year}.",
                remedy="Delete the wrong one, or correct its year or its period.",
                value=year,
            )
        )
    return problems
