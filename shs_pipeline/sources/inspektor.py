"""InspeKtor: sales by document, with the rep's name in the file.

From: InspeKtor, one `.xlsx` a month, header in row 1.
Quirks: `Name` is the rep (`Sales Rep` is not used); rows without a Name are not commissionable and
are left out.
"""

from __future__ import annotations

import pandera.pandas as pa

from shs_pipeline.casting.cells import is_blank
from shs_pipeline.files import contract
from shs_pipeline.files.contract import headers_of
from shs_pipeline.files.grouped_report import is_total_row, reading_of
from shs_pipeline.files.reading import Reading, SourceFile
from shs_pipeline.files.source import Source
from shs_pipeline.files.workbook.table import read_table


class InspektorRows(pa.DataFrameModel):
    """One row per document and item, named as delivered."""

    company: contract.Text = contract.text("Company", "Company that is billed.", blank=True)
    date: contract.Day = contract.day("Date", "Date of the document: the revenue date.")
    document_number: contract.Text = contract.identifier("Document Number", "Invoice number.")
    customer_project: contract.Text = contract.text("Customer:Project", "Customer and project.", blank=True)
    item_name: contract.Text = contract.text("Item: Name", "Item.", blank=True)
    description: contract.Text = contract.text(
        "Description", "Item in words.", blank=True, longest=contract.LONGEST_TEXT
    )
    quantity: contract.Number = contract.quantity("Quantity", "Pieces sold.", blank=True)
    total: contract.Amount = contract.amount("Total", "USD sold, negative for a credit.")
    commission_percent: contract.Rate = contract.rate(
        "Commission %", "Commission rate as a factor.", blank=True
    )
    formula: contract.Amount = contract.amount("Formula", "USD of commission, negative for a credit.")
    ship_to: contract.Text = contract.text("Ship To", "Where it was shipped.", blank=True)
    sales_rep: contract.Text = contract.text(
        "Sales Rep", "Not used: `Name` is the rep.", blank=True, in_header=False
    )
    name: contract.Text = contract.text("Name", "The rep who is credited.")


def read_inspektor(file: SourceFile) -> Reading:
    """Read the commissionable lines of one report.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    table = read_table(file, headers_of(InspektorRows), optional=["Sales Rep"])
    rows = table.lines
    is_total = is_total_row(rows, "Document Number", "Date")
    has_name = ~is_total & ~rows["Name"].map(is_blank).astype(bool)
    return reading_of(
        table,
        InspektorRows,
        has_name,
        is_total=is_total,
        amounts=("Total", "Formula"),
        left_out={"no Name": ~has_name & ~is_total},
        is_covered=~is_total,
        may_be_remark=~is_total,
    )


SOURCE = Source(
    name="inspektor",
    title="InspeKtor",
    product_line="InspeKtor",
    rows=InspektorRows,
    readers={".xlsx": read_inspektor},
    revenue_date="date",
    amounts=("total", "formula"),
    sale_key=("document_number", "item_name", "date"),
)
