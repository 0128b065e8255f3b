"""Summit Medical: a PDF statement, or a pivot export of the same lines as a workbook.

From: Summit Medical. The PDF is borderless and paginated, and dates itself; the pivot carries no
date, so its path names the revenue month (`rev=YYYY-MM`).
Quirks: the PDF's layout varies, so columns are recognised by the words above them, and a reading counts
if it adds up to the printed totals; a long client name runs into the next column or continues on
the next line, above the state and zip; page numbers and remarks are left out. In the pivot the client
is printed once, and rows without St, ZIP Code, Invoice #, Item and CommRate are subtotals, or,
without an amount, the client of the lines below.
"""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa

from shs_pipeline.casting.cells import is_blank, match_key
from shs_pipeline.files import contract
from shs_pipeline.files.contract import headers_of
from shs_pipeline.files.grouped_report import has_amount, is_empty_in, reading_of
from shs_pipeline.files.reading import Reading, SourceFile
from shs_pipeline.files.source import Source
from shs_pipeline.files.total_words import ends_with_total, is_general, names_in
from shs_pipeline.files.workbook.table import read_table

AMOUNTS = ("Sum of Net Sales Amount", "Sum of Comm $")
BLANK_IN_SUBTOTALS = ["St", "ZIP Code", "Invoice #", "Item", "CommRate"]


class SummitMedicalRows(pa.DataFrameModel):
    """One row per invoice and item, named as in the pivot export."""

    client_name: contract.Text = contract.text("Row Labels", "Client Name: the first territory key.")
    state: contract.Text = contract.text("St", "State: the last territory key.", blank=True)
    zip_code: contract.Text = contract.zip_code("ZIP Code", "ZIP Code: the second territory key.", blank=True)
    invoice_number: contract.Text = contract.identifier("Invoice #", "Invoice number.")
    item_id: contract.Text = contract.identifier("Item", "Item ID.", blank=True)
    comm_rate: contract.Rate = contract.rate("CommRate", "Commission rate as a factor.", blank=True)
    net_sales_amount: contract.Amount = contract.amount(
        "Sum of Net Sales Amount", "USD sold, negative for a credit."
    )
    comm_amount: contract.Amount = contract.amount(
        "Sum of Comm $", "USD of commission, negative for a credit."
    )
    statement_month: contract.Day = contract.day(
        "Statement Date", "First day of the month of the PDF's statement date.", blank=True, in_header=False
    )


def read_pivot(file: SourceFile) -> Reading:
    """Read the lines of one pivot export.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    table = read_table(file, headers_of(SummitMedicalRows))
    rows = table.lines
    is_subtotal = is_empty_in(rows, BLANK_IN_SUBTOTALS)
    says = rows["Row Labels"].map(lambda cell: isinstance(cell, str) and ends_with_total(cell)).astype(bool)
    is_total = is_subtotal & (has_amount(rows, AMOUNTS) | says)
    return reading_of(
        table,
        SummitMedicalRows,
        ~is_subtotal,
        is_total=is_total,
        amounts=AMOUNTS,
        written_once=["Row Labels"],
        # The client's name is printed on the first line, on the subtotal above it, or alone.
        is_fed_by=~is_total | _names_client(rows["Row Labels"]),
    )


def _names_client(labels: pd.Series) -> pd.Series:
    """Return (n,) booleans: labels that are names of clients, and not `Oak Clinic Total`."""
    keys = {match_key(cell) for cell in labels if isinstance(cell, str)}
    return labels.map(
        lambda cell: (
            not isinstance(cell, str)
            or not (is_general(cell) or (ends_with_total(cell) and keys.intersection(names_in(cell)[:1])))
        )
    ).astype(bool) & ~labels.map(is_blank).astype(bool)


def read_pdf(file: SourceFile) -> Reading:
    """Read the lines of one PDF statement.

    Raises:
        UnreadableFileError: no PDF that can be read, or no commission statement.
    """
    from shs_pipeline.supplier_pdf.statement import read_statement

    return read_statement(file)


SOURCE = Source(
    name="summit_medical",
    title="Summit Medical",
    product_line="Summit Medical",
    rows=SummitMedicalRows,
    readers={".xlsx": read_pivot, ".pdf": read_pdf},
    revenue_date="statement_month",
    revenue_month_given={".xlsx": True},
    amounts=("net_sales_amount", "comm_amount"),
    sale_key=("invoice_number", "item_id"),
    customer_fields=("Client Name", "ZIP Code", "State"),
)
