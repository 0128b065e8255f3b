"""Service to product: the product line of each QuickBooks service line."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pandera.pandas as pa

from shs_pipeline.casting.cells import match_key
from shs_pipeline.files import contract
from shs_pipeline.files.reading import BadCells, Problem
from shs_pipeline.files.source import ReferenceTable
from shs_pipeline.reference import columns
from shs_pipeline.reference.cross_checks import (
    backward_periods,
    overlaps,
    problem_at,
    row_of,
    unless,
    with_beginning,
    without_end,
)
from shs_pipeline.reference.product_lines import PRODUCT_LINES
from shs_pipeline.reference.sheet import rows_reader


class ServiceToProductRows(pa.DataFrameModel):
    """One row per service line and period of validity."""

    service_lines: contract.Text = contract.text("Service Lines", "Service line, as QuickBooks names it.")
    product_lines: contract.Text = contract.text("Product Lines", "Product line that its sales count for.")
    valid_from: contract.Day = columns.valid_from(
        "First commission month in which the row counts; blank for no beginning.", optional=True
    )
    valid_until: contract.Day = columns.valid_until("it no longer counts", optional=True)
    note: contract.Text = columns.note()


def check_service_to_product(lines: pd.DataFrame, bad: BadCells) -> Sequence[Problem]:
    """Return periods that end before they begin, and service lines with two rows for one month."""
    services, products = lines["service_lines"].tolist(), lines["product_lines"].tolist()
    keys = unless(bad.among(lines, "Service Lines"), [match_key(service or "") for service in services])
    return backward_periods(lines) + [
        problem_at(
            lines,
            again,
            "Service Lines",
            problem=f"The service line {services[again]} is already in row {row_of(lines, first)}, there "
            f"with {products[first] or 'no product line'} and here with "
            f"{products[again] or 'no product line'}.",
            remedy="Delete the wrong row, or set Valid until of one to Valid from of the other.",
            value=services[again],
        )
        for first, again in overlaps(with_beginning(lines), keys)
    ]


TABLE = ReferenceTable(
    name="service_to_product",
    title="Service to product",
    rows=ServiceToProductRows,
    readers={".xlsx": rows_reader(ServiceToProductRows, {columns.VALID_UNTIL: without_end})},
    check=check_service_to_product,
    suggestions={"product_lines": PRODUCT_LINES},
)
