"""Adjustments: what is paid or taken back besides commissions, approved by an admin.

From: the company's own admins, one or more `.xlsx` a month; `shs adjust` writes one.
Each row is one adjustment of one rep. It appears on the rep's [statement](../close.md#adjustments), never in
sales, attainment or tiers, and no month has to have any.

A `draw` is an advance: it is paid at once and recovered from what is due in later months. A `bonus` and a
`draw` are positive and a `clawback` is negative; a `correction`, an `expense` and an `other` may be either.

Refused, each with its cell: a rep whom sales_reps does not know, a house account, an approver who is not an
active admin, an amount of 0 or with more than two decimals, and a row that pays whoever brought the file. A
file in a closed month is refused as a whole; the sentence names the first open month. A product line that
nobody knows is paid, with a warning: it stands on the statement as typed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING

import pandera.pandas as pa

from shs_pipeline.base.months import month_after, month_text
from shs_pipeline.casting.cells import Cell, is_blank, match_key, show
from shs_pipeline.files import contract
from shs_pipeline.files.contract import headers_of
from shs_pipeline.files.grouped_report import is_total_row, reading_of
from shs_pipeline.files.reading import ROW, SHEET, BadCells, Problem, Reading, SourceFile
from shs_pipeline.files.source import MonthlyFiles
from shs_pipeline.files.workbook.table import read_table
from shs_pipeline.landing.names import ADJUSTMENTS

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("bonus", "correction", "draw", "clawback", "expense", "other")
DRAW = "draw"
REPS, FORMER_REPS, HOUSES, ADMINS = "reps", "former names of reps", "house accounts", "active admins"
PRODUCT_LINES = "product lines"
"""Names that a file is checked against, in `SourceFile.known`."""
CLOSED_UNTIL, IN_FORCE = "closed until", "SHA-256 of the files in force"
"""The last closed month, and the files that were checked when they were loaded."""
_POSITIVE, _NEGATIVE = ("bonus", DRAW), ("clawback",)
_REP, _AMOUNT, _KIND, _APPROVED_BY = "Sales Rep Name", "Amount", "Kind", "Approved By"
_PRODUCT_LINE = "Product Line"


class AdjustmentRows(pa.DataFrameModel):
    """One row per adjustment."""

    sales_rep_name: contract.Text = contract.text(_REP, "The rep who is paid, as in sales_reps.")
    product_line: contract.Text = contract.text(
        _PRODUCT_LINE, "Product line that it is about, if any.", blank=True, in_header=False
    )
    amount: contract.Amount = contract.amount(
        _AMOUNT,
        "USD in whole cents; negative for what is taken back.",
        remedy="Type dollars and cents, such as 250.00.",
    )
    kind: contract.Text = contract.text(
        _KIND,
        "bonus, correction, draw (an advance, recovered later), clawback, expense or other; in any case.",
        isin=list(KINDS),
        remedy=f"Type one of {', '.join(KINDS)}.",
    )
    reason: contract.Text = contract.text(
        "Reason",
        "Why, as the rep reads it on the statement.",
        longest=contract.LONGEST_TEXT,
        remedy="Type why it is paid or taken back: the rep reads it on the statement.",
    )
    approved_by: contract.Text = contract.text(
        _APPROVED_BY,
        "The active admin who approved it, as in sales_reps.",
        remedy="Type the name of an admin who is active, as in sales_reps.",
    )
    reference: contract.Text = contract.identifier(
        "Reference", "Number or name of what it refers to, for people.", blank=True, in_header=False
    )


def read_adjustments(file: SourceFile) -> Reading:
    """Read the adjustments of one file, and check them against what the system knows.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    table = read_table(file, headers_of(AdjustmentRows), optional=[_PRODUCT_LINE, "Reference"])
    is_total = is_total_row(table.lines, _REP, _KIND)
    reading = reading_of(table, AdjustmentRows, ~is_total, is_total=is_total, amounts=(_AMOUNT,))
    lines = reading.lines
    lines[_KIND] = (
        lines[_KIND].map(lambda cell: match_key(cell) if isinstance(cell, str) else cell).astype(object)
    )
    # A file that is in force was checked when it came: what it says was approved and may be paid by now.
    if sha256(file.content).hexdigest() not in file.known.get(IN_FORCE, ()):
        reading.problems += [*_of_month(file), *_of_reps(lines, file), *_of_approvers(lines, file)]
        reading.problems += _of_product_lines(lines, file)
    return reading


# --- against what is known -----------------------------------------------------------------


def _of_month(file: SourceFile) -> Iterator[Problem]:
    month = file.commission_month
    if file.revenue_month is not None:
        yield Problem(
            f"{file.name} is in a rev= folder, but adjustments have no revenue month.",
            f"Move it out of the rev= folder into incoming/{ADJUSTMENTS}/<YYYY-MM>/.",
        )
    closed_until = max(
        (date.fromisoformat(day) for day in file.known.get(CLOSED_UNTIL, ())), default=date.min
    )
    if month is not None and month <= closed_until:
        first_open = month_text(month_after(closed_until))
        yield Problem(
            f"{file.name} is in the folder of {month_text(month)}, which is closed: its statements never "
            "change.",
            f"Move it to incoming/{ADJUSTMENTS}/{first_open}/, the first month that is open.",
        )


def _of_reps(lines: pd.DataFrame, file: SourceFile) -> Iterator[Problem]:
    reps, houses = file.known.get(REPS), _keys(file.known.get(HOUSES, ()))
    if reps is None:
        return
    known = _keys(reps) | _keys(file.known.get(FORMER_REPS, ()))
    for sheet, row, name in _filled(lines, _REP):
        if match_key(name) in houses:
            yield Problem(
                f"{name} is a house account, which is paid nothing.",
                "Name the rep whom it pays.",
                sheet, row, _REP, name,
            )  # fmt: skip
        elif match_key(name) not in known:
            yield Problem(
                f"Nobody in sales_reps is called {name}.",
                f"{_meant(name, reps)}Correct the name, or add the rep to reference/sales_reps.xlsx; this "
                "file is then read again automatically.",
                sheet, row, _REP, name,
            )  # fmt: skip


def _of_approvers(lines: pd.DataFrame, file: SourceFile) -> Iterator[Problem]:
    admins = file.known.get(ADMINS)
    if admins is None:
        return
    for sheet, row, name in _filled(lines, _APPROVED_BY):
        if match_key(name) not in _keys(admins):
            yield Problem(
                f"{name} is not the name of an active admin, so nobody has approved this adjustment.",
                "Type the name of an active admin: "
                f"{', '.join(sorted(admins)) or 'sales_reps has to name one'}.",
                sheet, row, _APPROVED_BY, name,
            )  # fmt: skip


def _of_product_lines(lines: pd.DataFrame, file: SourceFile) -> Iterator[Problem]:
    known = file.known.get(PRODUCT_LINES)
    if not known:
        # A file is read by itself, as `shs check` does without a database.
        return
    for sheet, row, name in _filled(lines, _PRODUCT_LINE):
        if match_key(name) not in _keys(known):
            yield Problem(
                f"No product line is called {name}; the adjustment is paid, and stands on the statement "
                "under that name.",
                f"{_meant(name, known)}Correct the name, or leave the cell blank.",
                sheet, row, _PRODUCT_LINE, name, severity="warning",
            )  # fmt: skip


def _meant(typed: str, names: frozenset[str]) -> str:
    """Return `Did you mean …? ` with the nearest name; empty where none is near."""
    near = difflib.get_close_matches(match_key(typed), _keys(names), n=1)
    return next((f"Did you mean {name}? " for name in sorted(names) if near == [match_key(name)]), "")


def _keys(names: Sequence[str] | frozenset[str]) -> set[str]:
    return {match_key(name) for name in names}


def _filled(lines: pd.DataFrame, header: str) -> Iterator[tuple[str, int, str]]:
    """Yield sheet, row and text of the cells of a column that hold text; none of one that is left out."""
    if header not in lines:
        return
    cells: Iterator[tuple[str, int, Cell]] = zip(lines[SHEET], lines[ROW], lines[header], strict=True)
    for sheet, row, cell in cells:
        if isinstance(cell, str) and not is_blank(cell):
            yield sheet, int(row), show(cell).strip()


# --- what contracts of single cells cannot say ---------------------------------------------


def check_adjustments(lines: pd.DataFrame, bad: BadCells) -> Sequence[Problem]:
    """Return the amounts that are no whole cents, that are 0, or whose sign does not fit their kind."""
    is_bad = bad.among(lines, _AMOUNT, _KIND)
    cells = zip(lines[SHEET], lines[ROW], lines["amount"], lines["kind"], is_bad, strict=True)
    return [
        Problem(*said, sheet=sheet, row=int(row), column=_AMOUNT, value=str(amount))
        for sheet, row, amount, kind, is_skipped in cells
        if not is_skipped and amount is not None and (said := _of_amount(amount, kind))
    ]


def _of_amount(amount: Decimal, kind: str) -> tuple[str, str] | None:
    """Return problem and remedy of an amount; None where it is fine."""
    if amount != round(amount, 2):
        return (
            "The amount has more than two digits after the decimal point.",
            "Type dollars and cents, such as 250.00.",
        )
    if amount == 0:
        return (
            "The amount is 0, so there is nothing to pay or to take back.",
            "Type the amount, or delete the row.",
        )
    if kind in _POSITIVE and amount < 0:
        return (
            f"A {kind} is paid, but this amount is negative.",
            "Type it without the minus, or as a clawback.",
        )
    if kind in _NEGATIVE and amount > 0:
        return (
            f"A {kind} is taken back, but this amount is positive.",
            f"Type it as -{amount:.2f}, or as a correction.",
        )
    return None


ADJUSTMENT_FILES = MonthlyFiles(
    name=ADJUSTMENTS,
    title="Adjustments",
    rows=AdjustmentRows,
    readers={".xlsx": read_adjustments},
    check=check_adjustments,
    amounts=("amount",),
    needs=("sales_reps", "aliases"),
)
