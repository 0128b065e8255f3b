"""Chemence: monthly sales by account.

From: Chemence, one `.xlsx` a month, header in row 4.
Quirks: title rows above the header; totals below the lines.
"""

from __future__ import annotations

import pandera.pandas as pa

from shs_pipeline.files import contract
from shs_pipeline.files.grouped_report import report_reader
from shs_pipeline.files.source import Source


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


SOURCE = Source(
    name="chemence",
    title="Chemence",
    product_line="Chemence",
    rows=ChemenceRows,
    readers={
        ".xlsx": report_reader(
            ChemenceRows, keys=("Account Number", "Invoice Date"), amounts=("Sales Total", "Commission")
        )
    },
    revenue_date="invoice_date",
    amounts=("sales_total", "commission"),
    sale_key=("source_id", "account_number", "part_number", "invoice_date"),
    customer_fields=("Account Number",),
)
