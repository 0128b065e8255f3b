"""Logiquip: monthly commission detail, one block of lines per document.

From: Logiquip finance, one `.xlsx` a month, header in row 2.
Quirks: agency, rep, document and item class are printed once and left blank below; a row without
`Comm Rate` is a group heading and only passes its cells on; rows with "Total" in `Doc Num`, or in
another group column with nothing but amounts, are subtotals; there are unnamed filler columns.
"""

from __future__ import annotations

import pandera.pandas as pa

from shs_pipeline.files import contract
from shs_pipeline.files.contract import headers_of
from shs_pipeline.files.grouped_report import is_empty_in, is_total_of_group, reading_of
from shs_pipeline.files.reading import Reading, SourceFile
from shs_pipeline.files.source import Source
from shs_pipeline.files.total_words import says_total
from shs_pipeline.files.workbook.table import read_table

AMOUNTS = ("Doc Amt", "Comm Amt")
WRITTEN_ONCE = [
    "Agency",
    "Rep",
    "Doc Num",
    "Customer",
    "PO Number",
    "Ship To Zip",
    "Date Paid",
    "Contract",
    "Item Class",
]


class LogiquipRows(pa.DataFrameModel):
    """One row per document and item class, named as delivered."""

    agency: contract.Text = contract.text("Agency", "Agency that is paid.", blank=True)
    rep: contract.Text = contract.text("Rep", "Rep as Logiquip names it; not used for crediting.", blank=True)
    doc_num: contract.Text = contract.identifier("Doc Num", "Invoice number.")
    customer: contract.Text = contract.text("Customer", "Customer: second half of the territory key.")
    po_number: contract.Text = contract.identifier(
        "PO Number", "Customer's order number, as typed.", blank=True
    )
    ship_to_zip: contract.Text = contract.zip_code(
        "Ship To Zip", "Five-digit zip: first half of the territory key."
    )
    date_paid: contract.Day = contract.day("Date Paid", "Date of payment: the revenue date.")
    contract_: contract.Text = contract.text("Contract", "Purchasing contract.", blank=True)
    item_class: contract.Text = contract.text("Item Class", "Kind of item.", blank=True)
    comm_rate: contract.Rate = contract.rate("Comm Rate", "Commission rate as a factor.")
    doc_amt: contract.Amount = contract.amount("Doc Amt", "USD sold, negative for a credit.")
    comm_amt: contract.Amount = contract.amount("Comm Amt", "USD of commission, negative for a credit.")


def read_logiquip(file: SourceFile) -> Reading:
    """Read the lines of one statement.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    table = read_table(file, headers_of(LogiquipRows))
    rows = table.lines
    has_rate = ~is_empty_in(rows, ["Comm Rate"])
    is_total = is_total_of_group(
        rows, WRITTEN_ONCE[:4], ["Doc Num", "Date Paid", "Item Class", "Comm Rate"], AMOUNTS
    )
    is_total |= says_total(rows["Doc Num"]) & (~has_rate | is_empty_in(rows, ["Date Paid", "Item Class"]))
    return reading_of(
        table,
        LogiquipRows,
        ~is_total & has_rate,
        is_total=is_total,
        amounts=AMOUNTS,
        # Plain headings look like no data; those with amounts might have been sales.
        left_out={"no Comm Rate": ~is_total & ~has_rate & ~is_empty_in(rows, AMOUNTS)},
        written_once=WRITTEN_ONCE,
        is_fed_by=~is_total,
    )


SOURCE = Source(
    name="logiquip",
    title="Logiquip",
    product_line="Logiquip",
    rows=LogiquipRows,
    readers={".xlsx": read_logiquip},
    revenue_date="date_paid",
    amounts=("doc_amt", "comm_amt"),
    sale_key=("doc_num", "item_class", "date_paid"),
    customer_fields=("SteppingStone",),
)
