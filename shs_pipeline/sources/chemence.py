"""Chemence: monthly sales by account.

From: Chemence, one `.xlsx` a month, header in row 4.
Quirks: title rows above the header; totals below the lines.
"""

from __future__ import annotations

import pandera.pandas as pa

from shs_pipeline import contract
from shs_pipeline.contract import headers_of
from shs_pipeline.grouped_report import is_total_row, reading_of
from shs_pipeline.reading import Reading, SourceFile
from shs_pipeline.source import Source
from shs_pipeline.workbook import read_table


class ChemenceRows(pa.DataFrameModel):
    """One row per account, item and invoice date, named as delivered."""

    source: contract.Text = contract.text("Source", "Channel of the sale.", blank=True)
    sales_group: contract.Text = contract.text("Sales Group", "Sales group.", blank=True)
    source_id: contract.Text = contract.identifier("Source ID", "Number in the channel.", blank=True)
    account_number: contract.Text = contract.identifier("Account Number", "Customer: the territory key.")
    account_name: contract.Text = contract.text("Account Name", "Customer by name.", blank=True)
    street: contract.Text = contract.text("Street", "Street.", blank=True)
    city: contract.Text = contract.text("City", "City.", blank=True)
    state: contract.Text = contract.text("State", "State.", blank=True)
    zip_code: contract.Text = contract.zip_code("Zip", "Zip code.", blank=True)
    description: contract.Text = contract.text(
        "Description", "Item in words.", blank=True, longest=contract.LONGEST_TEXT
    )
    part_number: contract.Text = contract.identifier("Part #", "Item.", blank=True)
    invoice_date: contract.Day = contract.day("Invoice Date", "Date of the invoice: the revenue date.")
    qty_shipped: contract.Number = contract.quantity("Qty Shipped", "Pieces shipped.", blank=True)
    uom: contract.Text = contract.text("UOM", "Unit of measure.", blank=True)
    sales_price: contract.Amount = contract.amount("Sales Price", "USD per unit as sold.", blank=True)
    sales_total: contract.Amount = contract.amount("Sales Total", "USD sold, negative for a credit.")
    commission: contract.Amount = contract.amount("Commission", "USD of commission, negative for a credit.")
    unit_price: contract.Amount = contract.amount("Unit Price", "USD per piece.", blank=True)
    agreement: contract.Text = contract.text("Agreement", "Price agreement.", blank=True)


def read_chemence(file: SourceFile) -> Reading:
    """Read the lines of one report.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    table = read_table(file, headers_of(ChemenceRows))
    rows = table.lines
    is_total = is_total_row(rows, "Account Number", "Invoice Date")
    return reading_of(
        table, ChemenceRows, ~is_total, is_total=is_total, amounts=("Sales Total", "Commission")
    )


SOURCE = Source(
    name="chemence",
    title="Chemence",
    rows=ChemenceRows,
    readers={".xlsx": read_chemence},
    revenue_date="invoice_date",
    amounts=("sales_total", "commission"),
    same_line=("account_number", "invoice_date", "part_number", "qty_shipped", "sales_total", "commission"),
    customer_fields=("Account Number",),
)
