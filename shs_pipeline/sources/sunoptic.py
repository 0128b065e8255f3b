"""Sunoptic: monthly commission lines, one sheet.

From: Sunoptic, one `.xlsx` a month, header in row 1.
Quirks: the path may name the revenue month (`rev=YYYY-MM`), which then overrides the invoice date;
rows blank in all of the first fifteen columns are padding unless they contain text; `Ship Qty` can be
fractional.
"""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pandera.pandas as pa

from shs_pipeline.casting.cells import is_blank
from shs_pipeline.files import contract
from shs_pipeline.files.contract import headers_of
from shs_pipeline.files.grouped_report import is_total_row, reading_of, with_amounts
from shs_pipeline.files.reading import Reading, SourceFile
from shs_pipeline.files.source import Source
from shs_pipeline.files.workbook.table import read_table

AMOUNTS = ("Line Amount", "Commission $")
BLANK_IN_PADDING = 15


class SunopticRows(pa.DataFrameModel):
    """One row per invoice and item, named as delivered."""

    invoice_id: contract.Text = contract.identifier("Invoice ID", "Invoice number.")
    invoice_date: contract.Day = contract.day(
        "Invoice Date", "Date of the invoice: the revenue date unless the drop names a month."
    )
    customer_id: contract.Text = contract.identifier("Customer ID", "Customer: the territory key.")
    bill_name: contract.Text = contract.text("Bill Name", "Customer that is billed.", blank=True)
    sales_order_id: contract.Text = contract.identifier("Sales Order ID", "Order number.", blank=True)
    item_id: contract.Text = contract.identifier("Item ID", "Item.", blank=True)
    item_name: contract.Text = contract.text(
        "Item Name", "Item in words.", blank=True, longest=contract.LONGEST_TEXT
    )
    prod_fam: contract.Text = contract.text("Prod Fam", "Product family.", blank=True)
    unit_price: contract.Amount = contract.amount("Unit Price", "USD per piece.", blank=True)
    ship_qty: contract.Number = contract.quantity("Ship Qty", "Pieces, possibly fractional.", blank=True)
    customer_type: contract.Text = contract.text("Customer Type", "Kind of customer.", blank=True)
    ship_to_name: contract.Text = contract.text("Ship To Name", "Where it was shipped.", blank=True)
    address_ship_to: contract.Text = contract.text("Address Ship to", "Street.", blank=True)
    ship_to_city: contract.Text = contract.text("Ship To City", "City.", blank=True)
    ship_to_state: contract.Text = contract.text("Ship To State", "State.", blank=True)
    sales_rep_name: contract.Text = contract.text(
        "Sales Rep Name", "Usually blank; not used.", blank=True, in_header=False
    )
    line_amount: contract.Amount = contract.amount("Line Amount", "USD sold, negative for a credit.")
    commission_percent: contract.Rate = contract.rate(
        "Commission %", "Commission rate as a factor.", blank=True
    )
    commission_amount: contract.Amount = contract.amount(
        "Commission $", "USD of commission, negative for a credit."
    )


def read_sunoptic(file: SourceFile) -> Reading:
    """Read the lines of one report.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    table = read_table(file, headers_of(SunopticRows), optional=["Sales Rep Name"])
    rows = table.lines
    is_padding = rows[list(headers_of(SunopticRows)[:BLANK_IN_PADDING])].map(is_blank).all(axis="columns")
    is_total = ~is_padding & is_total_row(rows, "Invoice ID", "Invoice Date")
    return reading_of(
        table,
        SunopticRows,
        ~is_padding & ~is_total,
        is_total=is_total,
        amounts=AMOUNTS,
        left_out={"nothing but amounts": is_padding & rows.index.isin(_with_money(rows[is_padding]))},
        may_be_remark=~is_total,
    )


def _with_money(rows: pd.DataFrame) -> pd.Index:
    """Return which rows have an amount that is not 0, as formulas leave below the lines."""
    amounts = with_amounts(rows, AMOUNTS)[list(AMOUNTS)]
    is_money = amounts.map(lambda cell: isinstance(cell, Decimal) and cell != 0).any(axis="columns")
    return rows.index[is_money]


SOURCE = Source(
    name="sunoptic",
    title="Sunoptic",
    product_line="Sunoptic",
    rows=SunopticRows,
    readers={".xlsx": read_sunoptic},
    revenue_date="invoice_date",
    revenue_month_given={".xlsx": False},
    given_month_wins=True,
    amounts=("line_amount", "commission_amount"),
    sale_key=("invoice_id", "sales_order_id", "item_id", "invoice_date"),
    customer_fields=("Customer ID",),
    aliases=("Sunoptics",),
)
