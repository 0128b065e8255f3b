"""Commission tiers: the rep's share of what the company earns, and from when until when."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pandera.pandas as pa

from shs_pipeline.casting.cells import match_key
from shs_pipeline.files import contract
from shs_pipeline.files.reading import BadCells, Problem, Reading, SourceFile
from shs_pipeline.files.source import ReferenceTable
from shs_pipeline.reference import columns
from shs_pipeline.reference.columns import VALID_FROM, VALID_UNTIL
from shs_pipeline.reference.cross_checks import period_of, period_problems, unless, without_end
from shs_pipeline.reference.product_lines import PRODUCT_LINES
from shs_pipeline.reference.rates import as_percentage, mixed_rates
from shs_pipeline.reference.sheet import read_rows

_SHARE = "Type a percentage from 0% to 100%, such as 30%."
_RATES = ("Commission tier 1 rate", "Commission tier 2 rate")


class CommissionTiersRows(pa.DataFrameModel):
    """One row per rep, product line and period of validity."""

    sales_rep_name: contract.Text = columns.rep_name()
    product_line: contract.Text = contract.text(
        "Product Line",
        "Product line; blank for all. A row for the product line itself takes precedence.",
        blank=True,
    )
    valid_from: contract.Day = columns.valid_from("First commission month in which the rates apply.")
    valid_until: contract.Day = columns.valid_until("they no longer apply")
    commission_tier_1_rate: contract.Rate = contract.share(
        _RATES[0],
        "Share of the company's revenue that the rep is paid, as a factor from 0 to 1. Write both rates of a "
        "row alike; 1 without a percent sign is rejected, since it can also mean 1 %.",
        ge=0,
        le=1,
        remedy=_SHARE,
    )
    commission_tier_2_rate: contract.Rate = contract.share(
        _RATES[1],
        "The same once the year's threshold is reached, from 0 to 1; blank if it stays the same.",
        blank=True,
        ge=0,
        le=1,
        remedy=_SHARE,
    )
    note: contract.Text = columns.note()


def read_commission_tiers(file: SourceFile) -> Reading:
    """Read the rows of one workbook, with both rates of a row read alike.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    reading = read_rows(file, CommissionTiersRows, {VALID_UNTIL: without_end})
    reading.problems.extend(mixed_rates(reading.lines, _RATES))
    for header in _RATES:
        if header in reading.lines:
            cells = [as_percentage(cell) for cell in reading.lines[header]]
            reading.lines[header] = pd.Series(cells, dtype=object)
    return reading


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
    return period_problems(
        lines,
        keys,
        lambda earlier, later: (
            f"both set the rates of {reps[later]} for "
            f"{products[later] or 'all product lines'}: one {period_of(lines, earlier)}, "
            f"the other {period_of(lines, later)}."
        ),
    )


TABLE = ReferenceTable(
    name="commission_tiers",
    title="Commission tiers",
    rows=CommissionTiersRows,
    readers={".xlsx": read_commission_tiers},
    check=check_commission_tiers,
    suggestions={"sales_rep_name": ("sales_reps.sales_rep_name",), "product_line": PRODUCT_LINES},
)
