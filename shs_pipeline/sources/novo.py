"""Novo: monthly sales of surgical instruments.

From: Novo, one `.xlsx` a month, header in row 3, first column empty.
Quirks: customer PO numbers are text and are kept as typed (`4.5E10` is a real one); a
`Commission Percentage` below 1 is a factor, any other value a percentage.
"""

from __future__ import annotations

import pandera.pandas as pa

from shs_pipeline.files import contract
from shs_pipeline.files.grouped_report import report_reader
from shs_pipeline.files.source import Source


class NovoRows(pa.DataFrameModel):
    """One row per invoice and item, named as delivered."""

    salesperson_number: contract.Text = contract.identifier(
        "Salesperson Number", "Novo's number of the rep.", blank=True
    )
    ar_division_number: contract.Text = contract.identifier(
        "AR Division Number", "Novo's division.", blank=True
    )
    customer_number: contract.Text = contract.identifier("Customer Number", "Customer: the territory key.")
    bill_to_name: contract.Text = contract.text("Bill To Name", "Customer that is billed.", blank=True)
    ship_to_name: contract.Text = contract.text("Ship To Name", "Where it was shipped.", blank=True)
    invoice_number: contract.Text = contract.identifier("Invoice Number", "Invoice number.")
    invoice_date: contract.Day = contract.day("Invoice Date", "Date of the invoice: the revenue date.")
    customer_po_number: contract.Text = contract.identifier(
        "Customer PO Number", "Customer's order number, as typed.", blank=True
    )
    item_code: contract.Text = contract.identifier("Item Code", "Item.", blank=True)
    alias_item_number: contract.Text = contract.identifier(
        "Alias Item Number", "Customer's item number.", blank=True
    )
    item_code_description: contract.Text = contract.text(
        "Item Code Description", "Item in words.", blank=True, longest=contract.LONGEST_TEXT
    )
    quantity_ordered: contract.Number = contract.quantity("Quantity Ordered", "Pieces ordered.", blank=True)
    qty_shipped: contract.Number = contract.quantity("Qty Shipped", "Pieces shipped.", blank=True)
    quantity_backordered: contract.Number = contract.quantity(
        "Quantity Backordered", "Pieces on back order.", blank=True
    )
    unit_price: contract.Amount = contract.amount("Unit Price", "USD per piece.", blank=True)
    extension: contract.Amount = contract.amount("Extension", "USD sold, negative for a credit.")
    comment: contract.Text = contract.text("Comment", "Remark.", blank=True, longest=contract.LONGEST_TEXT)
    order_date: contract.Day = contract.day("Order Date", "Date of the order.", blank=True)
    sales_order_number: contract.Text = contract.identifier("Sales Order Number", "Order number.", blank=True)
    ship_to_state: contract.Text = contract.text("Ship To State", "State.", blank=True)
    ship_to_zip_code: contract.Text = contract.zip_code("Ship To Zip Code", "Zip code.", blank=True)
    udf_lotbus: contract.Text = contract.identifier("UD F LOTBUS", "Lot.", blank=True)
    commission_percentage: contract.Rate = contract.rate(
        "Commission Percentage", "Commission rate as a factor.", blank=True
    )
    commission_amount: contract.Amount = contract.amount(
        "Commission Amount", "USD of commission, negative for a credit."
    )


SOURCE = Source(
    name="novo",
    title="Novo",
    product_line="Surgical Instruments",
    rows=NovoRows,
    readers={
        ".xlsx": report_reader(
            NovoRows, keys=("Invoice Number", "Invoice Date"), amounts=("Extension", "Commission Amount")
        )
    },
    revenue_date="invoice_date",
    amounts=("extension", "commission_amount"),
    sale_key=("invoice_number", "item_code", "udf_lotbus", "invoice_date"),
    customer_fields=("Customer Number",),
    aliases=("NOVO DIRECT",),
)
