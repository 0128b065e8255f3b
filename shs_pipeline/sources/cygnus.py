"""Cygnus: monthly commission report, grouped by sales rep, customer and invoice.

From: Cygnus finance, one `.xlsx` a month, header in row 4 below the report's title.
Quirks: rep, customer and invoice are printed on the first row of a group and left blank below it;
rows with "Total" in the first column or in `Cust. ID`, an amount, and neither invoice, SKU nor date
are subtotals.
"""

from __future__ import annotations

import pandera.pandas as pa

from shs_pipeline.files import contract
from shs_pipeline.files.contract import headers_of
from shs_pipeline.files.grouped_report import is_total_of_group, reading_of
from shs_pipeline.files.reading import Reading, SourceFile
from shs_pipeline.files.source import Source
from shs_pipeline.files.workbook.table import read_table

AMOUNTS = ("Invoice Total", "Total Rep Due")
BLANK_IN_TOTALS = ["Invoice", "SKU", "Inv Date", "Due Date", "ClosedDate"]
WRITTEN_ONCE = ["Sales Rep", "Cust. ID", "Cust- Name", "Name", "Address", "City", "State", "Invoice"]


class CygnusRows(pa.DataFrameModel):
    """One row per invoice and item, named as delivered."""

    sales_rep: contract.Text = contract.text(
        "Sales Rep", "Rep as Cygnus names it; not used for crediting.", blank=True
    )
    cust_id: contract.Text = contract.identifier(
        "Cust. ID", "Cygnus's number of the billed customer.", blank=True
    )
    cust_name: contract.Text = contract.text("Cust- Name", "Billed customer.", blank=True)
    name: contract.Text = contract.text("Name", "Hospital or clinic served: the territory key.")
    address: contract.Text = contract.text("Address", "Street.", blank=True)
    city: contract.Text = contract.text("City", "City.", blank=True)
    state: contract.Text = contract.text("State", "State.", blank=True)
    invoice: contract.Text = contract.identifier("Invoice", "Invoice number.")
    sku: contract.Text = contract.identifier("SKU", "Item sold.", blank=True)
    inv_date: contract.Day = contract.day("Inv Date", "Date of the invoice.", blank=True)
    due_date: contract.Day = contract.day("Due Date", "Date the invoice is due.", blank=True)
    closed_date: contract.Day = contract.day("ClosedDate", "Date the invoice was paid: the revenue date.")
    days_past: contract.Number = contract.quantity(
        "Days Past", "Days paid after the due date; negative when early.", blank=True
    )
    rep_percent: contract.Rate = contract.rate("Rep %", "Commission rate as a factor.", blank=True)
    invoice_total: contract.Amount = contract.amount("Invoice Total", "USD sold, negative for a credit.")
    total_rep_due: contract.Amount = contract.amount(
        "Total Rep Due", "USD of commission earned, negative for a credit."
    )


def read_cygnus(file: SourceFile) -> Reading:
    """Read the lines of one report.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    table = read_table(file, headers_of(CygnusRows))
    rows = table.lines
    is_total = is_total_of_group(rows, ["Sales Rep", "Cust. ID"], BLANK_IN_TOTALS, AMOUNTS)
    return reading_of(
        table,
        CygnusRows,
        ~is_total,
        is_total=is_total,
        amounts=AMOUNTS,
        written_once=WRITTEN_ONCE,
    )


SOURCE = Source(
    name="cygnus",
    title="Cygnus",
    product_line="Cygnus",
    rows=CygnusRows,
    readers={".xlsx": read_cygnus},
    revenue_date="closed_date",
    amounts=("invoice_total", "total_rep_due"),
    sale_key=("invoice", "sku", "closed_date"),
    customer_fields=("Name",),
)
