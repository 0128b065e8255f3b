"""Ternio: QuickBooks export "payments by client", a payment row followed by the invoice it settles.

From: Ternio, one `.xlsx` a month, header in row 5, the client's column without a heading.
Quirks: the client is printed once, on its own line or with the first payment; rows that start
or end with "Total" are subtotals; a payment and the invoice below it are one sale, and the company
earns 7 % of the payment.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pandera.pandas as pa

from shs_pipeline.casting.cells import match_key, show
from shs_pipeline.files import contract
from shs_pipeline.files.grouped_report import (
    agreed,
    filled_lines,
    is_empty_in,
    is_total_of_group,
    total_names,
    with_amounts,
)
from shs_pipeline.files.lone_texts import lone_texts
from shs_pipeline.files.printed_totals import printed_totals
from shs_pipeline.files.proven_totals import proven_totals
from shs_pipeline.files.reading import ROW, SHEET, CellsAt, Problem, Reading, SourceFile
from shs_pipeline.files.remarks import REMARK, tell_headings
from shs_pipeline.files.source import Source
from shs_pipeline.files.statistic_rows import STATISTIC
from shs_pipeline.files.workbook.table import read_table

CLIENT = "Client Name"
AMOUNTS = ("Invoiced", "Paid")
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
    memo_description: contract.Text = contract.text(
        "Memo/Description", "Memo of the invoice.", blank=True, longest=contract.LONGEST_TEXT
    )
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
    rows = with_amounts(table.lines, AMOUNTS)
    is_total = _is_total(rows)
    kinds = rows["Transaction Type"].map(lambda cell: match_key(show(cell or "")))
    is_of_pair = kinds.isin(["payment", "invoice"])
    lone = lone_texts(rows, TernioRows, ~is_total & ~is_of_pair, AMOUNTS, lines=~is_total, is_grouped=True)
    is_line = ~is_total & ~is_empty_in(rows, HEADER) & ~rows.index.isin(list(lone))
    proven = proven_totals(rows, TernioRows, is_line, is_total, AMOUNTS, written_once=[CLIENT])
    is_proven, is_statistic = (
        rows.index.isin(list(found)) for found in (proven.positions, proven.statistics)
    )
    is_line, is_total = is_line & ~is_proven & ~is_statistic, (is_total | is_proven) & ~is_statistic
    headings = tell_headings(
        rows,
        lone,
        [CLIENT],
        is_line=is_line.tolist(),
        is_fed_by=(~is_total & ~is_statistic).tolist(),
        totals=total_names(rows, is_total),
        own_rows=True,
    )
    is_fed_by = ~is_total & ~is_statistic & ~rows.index.isin(list(headings.remarks))
    parts, printed_in = filled_lines(rows, is_line, is_fed_by, [CLIENT])
    parts[CLIENT_ROW] = printed_in[CLIENT]
    lines, problems = _pairs(parts)
    totals = printed_totals(rows, is_line, is_total, AMOUNTS, written_once=[CLIENT], is_fed_by=is_fed_by)
    left_out = {REMARK: headings.remarks, STATISTIC: proven.statistics}
    return Reading(
        lines,
        table.left_out | {reason: len(found) for reason, found in left_out.items() if found},
        agreed(totals, rows, proven.positions),
        [*table.problems, *proven.problems, *headings.problems, *problems],
        cells_at=_cells_at(lines),
    )


def _cells_at(lines: pd.DataFrame) -> dict[str, CellsAt]:
    """Return where the cells of the client and of the invoice stand, and drop these columns of `lines`."""
    invoice_rows = lines.pop(INVOICE_ROW).tolist()
    found = {name: CellsAt(name, invoice_rows) for name in FROM_INVOICE}
    found["Invoice Date"] = CellsAt("Date", invoice_rows)
    found[CLIENT] = CellsAt(CLIENT, lines.pop(CLIENT_ROW).tolist())
    return found


def _is_total(rows: pd.DataFrame) -> pd.Series:
    """Return (n,) booleans: which rows are totals and not the line of a client such as `Total Care`."""
    labels = rows[CLIENT].map(lambda cell: match_key(cell) if isinstance(cell, str) else "")
    says = labels.str.fullmatch(TOTAL)
    blank_in = ["Date", "Transaction Type", "Memo/Description", "Num"]
    return is_total_of_group(rows, [CLIENT], blank_in, AMOUNTS) & (says | ~is_empty_in(rows, AMOUNTS)) | (
        says & is_empty_in(rows, ["Transaction Type"])
    )


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
        "Insert the invoice row right below it, or delete the payment.",
    )


def _invoice_alone(row: dict[str, Any]) -> Problem:
    return _at_type(
        row,
        "This invoice has no Payment row above it.",
        "Insert its payment row right above it, or delete the invoice.",
    )


def _unknown_type(row: dict[str, Any]) -> Problem:
    return _at_type(
        row,
        "This row is neither a Payment nor an Invoice.",
        "Correct the Transaction Type, or delete the row if it is not a sale.",
    )


SOURCE = Source(
    name="ternio",
    title="Ternio",
    product_line="Miscellaneous",
    rows=TernioRows,
    readers={".xlsx": read_ternio},
    revenue_date="date",
    amounts=("paid", "invoiced"),
    sale_key=("num", "invoice_date", "date"),
    customer_fields=("Client Name",),
)
