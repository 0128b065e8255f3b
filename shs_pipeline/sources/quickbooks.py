"""QuickBooks: sales by service line, with the rep's name in the file.

From: the distributor's own QuickBooks, one `.xlsx` a month, header in row 5.
Quirks: transfers, shipping and rows without a quantity are not sales; they are left out before any
cell is checked, because footers and totals have no date. The margin is
`Amount line - Purchase price x Quantity`. One file covers several product lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import pandas as pd
import pandera.pandas as pa

from shs_pipeline.casting.amounts import within_digits
from shs_pipeline.casting.cells import CastError, ExcelError, is_blank, match_key, show
from shs_pipeline.casting.kinds import cast_quantity
from shs_pipeline.files import contract
from shs_pipeline.files.contract import headers_of
from shs_pipeline.files.grouped_report import is_total_row, reading_of
from shs_pipeline.files.reading import ROW, SHEET, BadCells, Problem, Reading, SourceFile
from shs_pipeline.files.source import Source
from shs_pipeline.files.workbook.table import read_table

TRANSFERS = "HHS Transfers Customer"


class QuickbooksRows(pa.DataFrameModel):
    """One row per line of a transaction, named as delivered."""

    date: contract.Day = contract.day("Date", "Date of the transaction: the revenue date.")
    service_lines: contract.Text = contract.text(
        "Service Lines", "Service line, mapped to a product line by service_to_product."
    )
    customer: contract.Text = contract.text("Customer", "Customer.", blank=True)
    transaction_type: contract.Text = contract.text("Transaction type", "Invoice, credit memo ….", blank=True)
    amount_line: contract.Amount = contract.amount("Amount line", "USD sold, negative for a credit.")
    purchase_price: contract.Amount = contract.amount(
        "Purchase price", "USD that one piece cost; blank counts as 0.", blank=True
    )
    quantity: contract.Number = contract.quantity("Quantity", "Pieces sold.")
    num: contract.Text = contract.identifier("Num", "Invoice number.", blank=True)
    line_order: contract.Number = contract.quantity("Line order", "Position in the transaction.", blank=True)
    purchase_description: contract.Text = contract.text(
        "Purchase description", "Item as bought.", blank=True, longest=contract.LONGEST_TEXT
    )
    description: contract.Text = contract.text(
        "Description", "Item as sold.", blank=True, longest=contract.LONGEST_TEXT
    )
    company_name: contract.Text = contract.text("Company name", "Customer's company.", blank=True)
    sales_rep_name: contract.Text = contract.text(
        "Sales Rep Name", "The rep who is credited; a line without one is listed as uncredited.", blank=True
    )
    sales_rep_territory: contract.Text = contract.text(
        "Sales Rep Territory", "Territory; not used.", blank=True
    )
    product_service: contract.Text = contract.text("Product/Service", "Item.", blank=True)


def read_quickbooks(file: SourceFile) -> Reading:
    """Read the sale lines of one export.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    table = read_table(file, headers_of(QuickbooksRows))
    rows = table.lines
    reasons = _reasons_to_leave_out(rows)
    is_total = is_total_row(rows, "Date")
    # A total that adds up quantities too has no reason to be left out, and yet is no line.
    is_line = (reasons == "") & ~is_total
    left_out = {reason: reasons == reason for reason in dict.fromkeys(reasons) if reason}
    reading = reading_of(
        table,
        QuickbooksRows,
        is_line,
        is_total=is_total,
        amounts=("Amount line",),
        left_out=left_out,
        is_covered=~is_total,
    )
    reading.problems += _unknown_service_lines(reading.lines, file)
    return reading


def check_quickbooks(lines: pd.DataFrame, bad: BadCells) -> Sequence[Problem]:
    """Return a warning for each amount that is not positive, and the margins that are no amounts."""
    return [*_warn_of_credits(lines), *_too_large_costs(lines, bad)]


def _warn_of_credits(lines: pd.DataFrame) -> Sequence[Problem]:
    return [
        Problem(
            problem="Amount line is not positive.",
            remedy="Nothing to do if this is a credit; otherwise correct it in QuickBooks.",
            sheet=line[SHEET],
            row=int(line[ROW]),
            column="Amount line",
            value=str(line["amount_line"]),
            severity="warning",
        )
        for line in lines[[SHEET, ROW, "amount_line"]].to_dict("records")
        if line["amount_line"] is not None and line["amount_line"] <= 0
    ]


def _too_large_costs(lines: pd.DataFrame, bad: BadCells) -> Iterator[Problem]:
    """Return an error for the line at which the costs have more digits than an amount can have."""
    is_bad = bad.among(lines, "Purchase price", "Quantity")
    sum_of_costs = Decimal(0)
    cells = zip(lines[SHEET], lines[ROW], lines["purchase_price"], lines["quantity"], is_bad, strict=True)
    for sheet, row, price, quantity, has_bad in cells:
        if not has_bad and price is not None and quantity is not None:
            sum_of_costs += abs(price * quantity)
            try:
                within_digits(round(sum_of_costs, 2))
            except CastError as error:
                yield Problem(
                    problem=f"Purchase price x Quantity ({quantity}), with the lines above, is too large. "
                    f"{error.problem}",
                    remedy="Correct the price or the quantity to match QuickBooks.",
                    sheet=sheet,
                    row=int(row),
                    column="Purchase price",
                    value=str(price),
                )
                return


def _reasons_to_leave_out(rows: pd.DataFrame) -> pd.Series:
    """Return (n,) why a row is no sale, or the empty string."""
    reasons = pd.Series([""] * len(rows), dtype=object, index=rows.index)
    is_shipping = rows["Purchase description"].map(
        lambda cell: isinstance(cell, str) and "shipping" in cell.casefold()
    )
    is_transfer = rows["Company name"].map(
        lambda cell: isinstance(cell, str) and match_key(cell) == match_key(TRANSFERS)
    )
    # The first reason that applies is the one that is counted.
    reasons[is_shipping.astype(bool)] = "Purchase description says shipping"
    reasons[is_transfer.astype(bool)] = f"Company name is {TRANSFERS}"
    reasons[rows["Quantity"].map(is_blank).astype(bool)] = "no Quantity"
    reasons[rows["Line order"].map(_is_zero).astype(bool)] = "Line order is 0"
    return reasons


def _is_zero(cell: object) -> bool:
    try:
        return not is_blank(cell) and cast_quantity(cell) == 0
    except CastError:
        return False


def _unknown_service_lines(lines: pd.DataFrame, file: SourceFile) -> list[Problem]:
    known = file.known.get("service_to_product", frozenset())
    return [
        Problem(
            problem=f"The service line {show(cell)!r} is not in the service-to-product map.",
            remedy="Add it with its product line to reference/service_to_product.xlsx (`shs reference "
            "export` writes the current one); this file is then read again automatically.",
            sheet=sheet,
            row=int(row),
            column="Service Lines",
            value=show(cell),
        )
        for sheet, row, cell in zip(lines[SHEET], lines[ROW], lines["Service Lines"], strict=True)
        if not (is_blank(cell) or isinstance(cell, ExcelError)) and match_key(show(cell)) not in known
    ]


SOURCE = Source(
    name="quickbooks",
    title="QuickBooks",
    product_line=None,
    rows=QuickbooksRows,
    readers={".xlsx": read_quickbooks},
    check=check_quickbooks,
    revenue_date="date",
    amounts=("amount_line",),
    sale_key=("num", "line_order", "product_service", "customer", "date"),
    needs=("service_to_product",),
)
