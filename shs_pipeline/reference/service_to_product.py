"""Service to product: the product line of each QuickBooks service line."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pandera.pandas as pa

from shs_pipeline import contract
from shs_pipeline.casting import match_key
from shs_pipeline.reading import BadCells, Problem, Reading, SourceFile
from shs_pipeline.reference.cross_checks import duplicates, problem_at, row_of, unless
from shs_pipeline.reference.product_lines import PRODUCT_LINES
from shs_pipeline.reference.sheet import read_rows
from shs_pipeline.source import ReferenceTable


class ServiceToProductRows(pa.DataFrameModel):
    """One row per service line."""

    service_lines: contract.Text = contract.text("Service Lines", "Service line, as QuickBooks names it.")
    product_lines: contract.Text = contract.text("Product Lines", "Product line that its sales count for.")


def read_service_to_product(file: SourceFile) -> Reading:
    """Read the rows of one workbook.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    return read_rows(file, ServiceToProductRows)


def check_service_to_product(lines: pd.DataFrame, bad: BadCells) -> Sequence[Problem]:
    """Return the service lines that stand twice."""
    services, products = lines["service_lines"].tolist(), lines["product_lines"].tolist()
    keys = unless(bad.among(lines, "Service Lines"), [match_key(service or "") for service in services])
    return [
        problem_at(
            lines,
            again,
            "Service Lines",
            problem=f"The service line {services[again]} stands in row {row_of(lines, first)} already, there "
            f"for {products[first] or 'nothing'} and here for {products[again] or 'nothing'}.",
            remedy="Delete the row that does not hold.",
            value=services[again],
        )
        for first, again in duplicates(keys)
    ]


TABLE = ReferenceTable(
    name="service_to_product",
    title="Service to product",
    rows=ServiceToProductRows,
    readers={".xlsx": read_service_to_product},
    check=check_service_to_product,
    suggestions={"product_lines": PRODUCT_LINES},
)
