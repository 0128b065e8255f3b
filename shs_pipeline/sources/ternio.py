"""Ternio: QuickBooks export "payments by client", a payment row followed by the invoice it settles.

From: Ternio, one `.xlsx` a month, header in row 5, the client's column without a heading.
Quirks: the client is printed once, on a line of its own or on the first payment; rows that start
with "Total" are subtotals; one payment and the invoice below it are one sale, of which the company
earns 7 % of what was paid.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pandera.pandas as pa

from shs_pipeline import contract
from shs_pipeline.casting import is_blank, match_key, show
from shs_pipeline.grouped_report import fill_down, printed_totals
from shs_pipeline.reading import ROW, SHEET, CellsAt, Problem, Reading, SourceFile
from shs_pipeline.source import Source
from shs_pipeline.workbook import read_table

CLIENT = "Client Name"
HEADER = ["Date", "Transaction Type", "Memo/Description", "Num", "Invoiced", "Paid"]
INVOICE_ROW, CLIENT_ROW = "row of the invoice", "row of the client"
TOTAL = r"(grand )?totals?(:| for .*)?"
FROM_INVOICE = ["Memo/Description", "Num", "Invoiced"]


class TernioRows(pa.DataFrameModel):
    """One row per payment with the invoice that it settles; `source_row` is the payment's."""

    client_name: contract.Text = contract.text(
        CLIENT, "Client, from the column without a heading: the territory key.", in_header=False
    )
    date: contract.Day = contract.day("Date", "Date of the payment: the revenue date.")
    invoice_date: contract.Day = contract.day(
        "Invoice Date", "Date of the invoice, from the row below the payment.", in_header=False
    )
    memo_description: contract.Text = contract.text("Memo/Description", "Memo of the invoice.", blank=True)
    num: contract.Text = contract.identifier("Num", "Invoice number.")
    invoiced: contract.Amount = contract.amount("Invoiced", "USD of the invoice.")
    paid: contract.Amount = contract.amount("Paid", "USD paid: the sale.")


def read_ternio(file: SourceFile) -> Reading:
    """Read the pairs of payment and invoice of one export.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    table = read_table(file, HEADER, unnamed_first=CLIENT)
    if table.missing:
        return Reading(_no_lines(), problems=table.problems, missing=table.missing)
    is_total = _is_total(table.lines)
    rows, printed_in = fill_down(table.lines[~is_total], [CLIENT])
    rows[CLIENT_ROW] = printed_in[CLIENT]
    rows = rows[~rows[HEADER].map(is_blank).all(axis="columns")]
    lines, problems = _pairs(rows)
    totals = printed_totals(table.lines, ~is_total, is_total, ("Invoiced", "Paid"))
    invoice_rows = lines.pop(INVOICE_ROW).tolist()
    cells_at = {name: CellsAt(name, invoice_rows) for name in FROM_INVOICE}
    cells_at["Invoice Date"] = CellsAt("Date", invoice_rows)
    cells_at[CLIENT] = CellsAt(CLIENT, lines.pop(CLIENT_ROW).tolist())
    return Reading(
        lines, table.left_out, totals=totals, problems=[*table.problems, *problems], cells_at=cells_at
    )


def _is_total(rows: pd.DataFrame) -> pd.Series:
    """Return (n,) booleans: which rows are totals and not the line of a client such as `Total Care`."""
    labels = rows[CLIENT].map(lambda cell: match_key(cell) if isinstance(cell, str) else "")
    has_amount = ~rows[["Invoiced", "Paid"]].map(is_blank).all(axis="columns")
    says = labels.str.fullmatch(TOTAL) | (labels.str.match("(grand )?totals?\\b") & has_amount)
    return says & rows["Transaction Type"].map(is_blank).astype(bool)


def _pairs(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem]]:
    """Join each payment with the invoice row right below it."""
    lines: list[dict[str, Any]] = []
    problems: list[Problem] = []
    payment: dict[str, Any] | None = None
    for row in rows.to_dict("records"):
        kind = match_key(show(row["Transaction Type"] or ""))
        if kind == "invoice" and payment is not None and _client(row) == _client(payment):
            lines.append(
                {
                    **payment,
                    **{name: row[name] for name in FROM_INVOICE},
                    "Invoice Date": row["Date"],
                    INVOICE_ROW: row[ROW],
                }
            )
            payment = None
            continue
        if payment is not None:
            problems.append(_unpaired(payment))
            payment = None
        if kind == "payment":
            payment = row
        elif kind == "invoice":
            problems.append(_invoice_alone(row))
        else:
            problems.append(_unknown_type(row))
    if payment is not None:
        problems.append(_unpaired(payment))
    return pd.DataFrame(lines, columns=_no_lines().columns, dtype=object), problems


def _client(row: dict[str, Any]) -> str:
    return match_key(show(row[CLIENT] or ""))


def _no_lines() -> pd.DataFrame:
    return pd.DataFrame(
        columns=[SHEET, ROW, CLIENT, *HEADER, "Invoice Date", INVOICE_ROW, CLIENT_ROW], dtype=object
    )


def _at_type(row: dict[str, Any], problem: str, remedy: str) -> Problem:
    return Problem(
        problem=problem,
        remedy=remedy,
        sheet=row[SHEET],
        row=int(row[ROW]),
        column="Transaction Type",
        value=show(row["Transaction Type"] or ""),
    )


def _unpaired(row: dict[str, Any]) -> Problem:
    return _at_type(
        row,
        "This payment has no Invoice row below it.",
        "Insert the row of the invoice that it settles right below it, or delete the payment.",
    )


def _invoice_alone(row: dict[str, Any]) -> Problem:
    return _at_type(
        row,
        "This invoice has no Payment row above it.",
        "Insert the row of its payment right above it, or delete the invoice.",
    )


def _unknown_type(row: dict[str, Any]) -> Problem:
    return _at_type(
        row,
        "This row is neither a Payment nor an Invoice.",
        "Correct the Transaction Type, or delete the row if it is no sale.",
    )


SOURCE = Source(
    name="ternio",
    title="Ternio",
    rows=TernioRows,
    readers={".xlsx": read_ternio},
    revenue_date="date",
    amounts=("paid", "invoiced"),
    same_line=("num", "date", "invoice_date", "invoiced", "paid"),
    customer_fields=("Client Name",),
)
