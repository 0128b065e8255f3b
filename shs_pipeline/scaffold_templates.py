"""The texts of `shs new-source`; `$name`, `$title`, `$title_in_sql` and `$rows` are filled in."""

from __future__ import annotations

SOURCE = '''\
"""$title: say in one line what the file is.

From: who sends it, how often, as what kind of file; header in row 1.
Quirks: what a reader must know that the columns do not say (blank below, subtotals, two sheets …).
"""

from __future__ import annotations

import pandera.pandas as pa

from shs_pipeline import contract
from shs_pipeline.contract import headers_of
from shs_pipeline.grouped_report import is_total_row, reading_of
from shs_pipeline.reading import Reading, SourceFile
from shs_pipeline.source import Source
from shs_pipeline.workbook import read_table


class $rows(pa.DataFrameModel):
    """One row per invoice and item, named as delivered."""

    # Replace these by the columns of the file; what they mean becomes comments and documentation.
    customer_number: contract.Text = contract.identifier("Customer Number", "Customer: the territory key.")
    customer_name: contract.Text = contract.text("Customer Name", "Customer by name.", blank=True)
    zip_code: contract.Text = contract.zip_code("Zip", "Zip code.", blank=True)
    invoice_number: contract.Text = contract.identifier("Invoice Number", "Invoice number.")
    item: contract.Text = contract.identifier("Item", "Item.", blank=True)
    invoice_date: contract.Day = contract.day("Invoice Date", "Date of the invoice: the revenue date.")
    quantity: contract.Number = contract.quantity("Quantity", "Pieces, negative for a return.", blank=True)
    sales_amount: contract.Amount = contract.amount("Sales Amount", "USD sold, negative for a credit.")
    commission_rate: contract.Rate = contract.rate(
        "Commission Rate", "Commission rate as a factor.", blank=True
    )
    commission_amount: contract.Amount = contract.amount(
        "Commission Amount", "USD of commission, negative for a credit."
    )


def read_$name(file: SourceFile) -> Reading:
    """Read the lines of one report.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    table = read_table(file, headers_of($rows))
    is_total = is_total_row(table.lines, "Invoice Number", "Invoice Date")
    return reading_of(
        table, $rows, ~is_total, is_total=is_total, amounts=("Sales Amount", "Commission Amount")
    )


SOURCE = Source(
    name="$name",
    title="$title",
    rows=$rows,
    readers={".xlsx": read_$name},
    revenue_date="invoice_date",
    amounts=("sales_amount", "commission_amount"),
    same_line=("invoice_number", "item", "invoice_date", "sales_amount", "commission_amount"),
    customer_fields=("Customer Number",),
)
'''

SAMPLE = '''\
"""$title: say in one line what the sample shows."""

from __future__ import annotations

from decimal import Decimal

from shs_pipeline.samples.plan import Plan, SampleFile, cents
from shs_pipeline.samples.sheet import Kind, SheetWriter
from shs_pipeline.samples.world import CUSTOMERS

COLUMNS = {
    "Customer Number": Kind.IDENTIFIER,
    "Customer Name": Kind.NAME,
    "Zip": Kind.ZIP,
    "Invoice Number": Kind.IDENTIFIER,
    "Item": Kind.IDENTIFIER,
    "Invoice Date": Kind.DATE,
    "Quantity": Kind.NUMBER,
    "Sales Amount": Kind.MONEY,
    "Commission Rate": Kind.RATE,
    "Commission Amount": Kind.MONEY,
}


def $name(plan: Plan) -> SampleFile:
    """Make one report: header in row 1."""
    sheet = SheetWriter(plan, COLUMNS)
    for _ in range(plan.lines):
        sheet.line(_line(plan))
    if plan.has("total", 2):
        sheet.total("Customer Number", "Grand Total", sheet.lines, "Sales Amount", "Commission Amount")
    return sheet.sample(f"$title {plan.month:%Y-%m}.xlsx")


def _line(plan: Plan) -> dict[str, object]:
    customer = plan.rng.choice(CUSTOMERS)
    sold, rate = plan.sale(50, 2500), Decimal("0.07")
    return {
        "Customer Number": str(20000 + customer.number),
        "Customer Name": customer.name,
        "Zip": customer.zip,
        "Invoice Number": str(plan.number()),
        "Item": f"IT-{plan.rng.randint(10, 99)}",
        "Invoice Date": plan.revenue_day(),
        "Quantity": Decimal(plan.rng.choice((1, 1, 2, 5))).copy_sign(sold),
        "Sales Amount": sold,
        "Commission Rate": rate,
        "Commission Amount": cents(sold * rate),
    }
'''

TEST = '''\
"""$title: what its reader makes of good and of bad files."""

from __future__ import annotations

from datetime import date

import pytest

from shs_pipeline.contract import columns_of, headers_of
from shs_pipeline.reading import SourceFile
from shs_pipeline.samples import make_sample
from shs_pipeline.samples.broken import place_of, with_bad_cell
from shs_pipeline.source import FileOutcome, read_file
from shs_pipeline.sources.$name import SOURCE, $rows

MAX_BYTES = 50 * 2**20


def read(content: bytes) -> FileOutcome:
    return read_file(SOURCE, SourceFile("report.xlsx", content), MAX_BYTES)


@pytest.mark.parametrize("month", range(1, 13))
def test_every_line_is_read_as_it_was_written(month: int) -> None:
    sample = make_sample("$name", date(2025, month, 1), lines=40, seed=1)

    outcome = read(sample.content)

    assert outcome.errors == []
    assert outcome.lines is not None
    assert all(total.agrees for total in outcome.totals)
    for column in columns_of($rows):
        found = outcome.lines[column.name].tolist()
        assert found == [line[column.header] for line in sample.lines], column.header


def test_a_bad_amount_rejects_the_file_and_is_placed() -> None:
    sample = make_sample("$name", date(2025, 3, 1), lines=10, seed=1)
    row = int(str(sample.lines[4]["source_row"]))

    outcome = read(with_bad_cell(sample.content, "Sales Amount", row, "abc"))

    assert outcome.lines is None
    assert [(error.row, error.column) for error in outcome.errors] == [(row, "Sales Amount")]


@pytest.mark.parametrize("header", headers_of($rows))
def test_a_missing_column_is_named(header: str) -> None:
    sample = make_sample("$name", date(2025, 3, 1), lines=5, seed=1)
    header_row = min(int(str(line["source_row"])) for line in sample.lines) - 1
    place = place_of(sample.content, header, header_row)
    del place  # the header is there before it is taken away

    outcome = read(with_bad_cell(sample.content, header, header_row, "something else"))

    assert [error.column for error in outcome.errors] == [header]
'''

STAGING_SQL = """\
with

lines as (

    select * from {{ source('raw', '$name') }}

)

select
    lines.file_id,
    lines.source_sheet,
    lines.source_row,
    '$name' as source,
    '$title_in_sql' as product_line,
    null::text as rep_in_file,
    'Customer Number: ' || lines.customer_number as territory_1,
    null::text as territory_2,
    null::text as territory_3,
    coalesce(lines.customer_name, lines.customer_number) as customer,
    lines.invoice_number as invoice_number,
    lines.item as item,
    lines.quantity as quantity,
    lines.sales_amount as sales_actual,
    lines.commission_amount as rev_actual,
    false as is_rep_in_file,
    date_trunc('month', lines.revenue_date)::date as territory_date,
    lines.revenue_date,
    lines.commission_month

from lines
"""

STAGING_YML = """\
sources:
  - name: raw
    schema: raw
    description: The parsed, validated lines of every source, as delivered.
    tables:
      - name: $name
        config:
          meta:
            dagster:
              asset_key: ["raw", "$name"]

models:
  - name: stg_$name
    description: >
      One row per line of $title, in the columns that all sources share. sales_actual is
      Sales Amount, rev_actual Commission Amount; the rep is the owner of the Customer Number.
"""
