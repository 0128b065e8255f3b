"""A cygnus report of given sales."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from shs_pipeline.files.contract import columns_of
from shs_pipeline.samples.workbook import write_workbook
from shs_pipeline.samples.world import customers_of
from shs_pipeline.sources.registry import source_named


class Sold(NamedTuple):
    """A line: invoice, dollars sold, rate in percent, and when it was paid."""

    number: int
    amount: int = 100
    rate: int = 20
    paid: date = date(2025, 1, 9)


def cygnus(*lines: Sold) -> bytes:
    """Return the workbook; its first line stands in row 5, and its customer is somebody's."""
    columns = columns_of(source_named("cygnus").rows)
    rows: list[list[Any]] = [["Cygnus"], [], [], [column.header for column in columns]]
    for line in lines:
        cells = {
            "cust_id": "C-1", "name": customers_of("cygnus")[0].name, "invoice": str(900000 + line.number),
            "sku": "CY-1", "closed_date": line.paid, "rep_percent": line.rate / 100,
            "invoice_total": line.amount, "total_rep_due": line.amount * line.rate / 100,
        }  # fmt: skip
        rows.append([cells.get(column.name) for column in columns])
    return write_workbook({"Report": rows})
