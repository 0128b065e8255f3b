"""Opening balances: what was paid before the first month that closes, and where a year stood by then."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pandas as pd
import pandera.pandas as pa

from shs_pipeline.base.months import month_text
from shs_pipeline.casting.cells import match_key
from shs_pipeline.files import contract
from shs_pipeline.files.reading import BadCells, Problem
from shs_pipeline.files.source import ReferenceTable
from shs_pipeline.reference import columns
from shs_pipeline.reference.columns import COMMISSION_MONTH, first_of_month
from shs_pipeline.reference.cross_checks import duplicates, problem_at, row_of, unless
from shs_pipeline.reference.product_lines import PRODUCT_LINES
from shs_pipeline.reference.sheet import rows_reader

_CUMULATIVE_SALES, _HELD_BACK = "Cumulative Sales", "Held Back"
_CENT = Decimal("0.01")


class OpeningBalancesRows(pa.DataFrameModel):
    """One row per rep, product line and commission month that was paid before the first close."""

    sales_rep_name: contract.Text = columns.rep_name()
    product_line: contract.Text = columns.product_line()
    commission_month: contract.Day = columns.commission_month(
        "Commission month, as 2026-09 or any day of it; before the first month that closes."
    )
    paid: contract.Amount = contract.amount("Paid", "What the rep was paid for it, in USD; 0 for nothing.")
    cumulative_sales: contract.Amount = contract.amount(
        _CUMULATIVE_SALES,
        "Sales of the rep and product line since January, including the month itself, in USD; later months "
        "continue from it. Blank if the files of the whole year are there.",
        blank=True,
        in_header=False,
    )
    held_back: contract.Amount = contract.amount(
        _HELD_BACK,
        "What is still held back for tier 2 at the end of the month, in USD; it is paid once the sales of "
        "the year reach the threshold. Blank is 0.",
        blank=True,
        in_header=False,
    )
    note: contract.Text = columns.note()


def check_opening_balances(lines: pd.DataFrame, bad: BadCells) -> Sequence[Problem]:
    """Return rows that say a second time what was paid, and figures from which no year can go on."""
    names = zip(lines["sales_rep_name"], lines["product_line"], lines["commission_month"], strict=True)
    entries = [(rep or "", product or "", month) for rep, product, month in names]
    keys = unless(
        bad.among(lines, "Sales Rep Name", "Product Line", COMMISSION_MONTH),
        [(match_key(rep), match_key(product), month) for rep, product, month in entries],
    )
    doubled = [
        problem_at(
            lines,
            again,
            COMMISSION_MONTH,
            problem=f"Row {row_of(lines, first)} already says what {entries[again][0]} was paid for "
            f"{entries[again][1]} in {month_text(entries[again][2])}.",
            remedy="Delete one of the two rows.",
            value=month_text(entries[again][2]),
        )
        for first, again in duplicates(keys)
    ]
    return [*doubled, *_amounts_below_a_cent(lines), *_held_back_problems(lines)]


def _amounts_of(lines: pd.DataFrame, header: str) -> list[Decimal | None]:
    """Return (n,) the amounts of a column, None where it is blank."""
    name = header.lower().replace(" ", "_")
    cells = lines[name].tolist() if name in lines else [None] * len(lines)
    return [None if cell is None or pd.isna(cell) else cell for cell in cells]


def _amounts_below_a_cent(lines: pd.DataFrame) -> list[Problem]:
    return [
        problem_at(
            lines,
            position,
            header,
            problem=f"{header} is {amount}, which is not in whole cents.",
            remedy="Type dollars and cents, such as 250.00.",
            value=amount,
        )
        for header in (_CUMULATIVE_SALES, _HELD_BACK)
        for position, amount in enumerate(_amounts_of(lines, header))
        if amount is not None and amount % _CENT
    ]


def _held_back_problems(lines: pd.DataFrame) -> list[Problem]:
    """Return what is held back where nobody knows the sales, or where it is less than nothing unsaid."""
    amounts = zip(_amounts_of(lines, _CUMULATIVE_SALES), _amounts_of(lines, _HELD_BACK), strict=True)
    notes = lines["note"].tolist() if "note" in lines else [None] * len(lines)
    found = []
    for position, (sales, held_back) in enumerate(amounts):
        if held_back is None:
            continue
        if sales is None:
            problem = "Held Back has no Cumulative Sales beside it, so nobody knows when it is paid."
            remedy = "Type the sales since January into Cumulative Sales, or leave both blank."
        elif held_back < 0 and not notes[position]:
            problem = f"Held Back is {held_back}, so reaching the threshold would take money away."
            remedy = "Type it without the sign. If returns brought it below zero, say so in Note."
        else:
            continue
        found.append(problem_at(lines, position, _HELD_BACK, problem=problem, remedy=remedy, value=held_back))
    return found


TABLE = ReferenceTable(
    name="opening_balances",
    title="Opening balances",
    rows=OpeningBalancesRows,
    readers={".xlsx": rows_reader(OpeningBalancesRows, {COMMISSION_MONTH: first_of_month})},
    check=check_opening_balances,
    suggestions={"sales_rep_name": ("sales_reps.sales_rep_name",), "product_line": PRODUCT_LINES},
)
