"""Opening balances: what was paid elsewhere for the months before the first one that closes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pandera.pandas as pa

from shs_pipeline.base.months import month_text
from shs_pipeline.files import contract
from shs_pipeline.files.casting.cells import match_key
from shs_pipeline.files.reading import BadCells, Problem
from shs_pipeline.files.source import ReferenceTable
from shs_pipeline.reference import columns
from shs_pipeline.reference.columns import COMMISSION_MONTH, first_of_month
from shs_pipeline.reference.cross_checks import duplicates, problem_at, row_of, unless
from shs_pipeline.reference.product_lines import PRODUCT_LINES
from shs_pipeline.reference.sheet import rows_reader

_UNUSED = ("Cumulative Sales", "Held Back")


class OpeningBalancesRows(pa.DataFrameModel):
    """One row per rep, product line and commission month that was paid before the first close."""

    sales_rep_name: contract.Text = columns.rep_name()
    product_line: contract.Text = columns.product_line()
    commission_month: contract.Day = columns.commission_month(
        "Commission month, as 2026-09 or any day of it; before the first month that closes."
    )
    paid: contract.Amount = contract.amount("Paid", "What the rep was paid for it, in USD; 0 for nothing.")
    cumulative_sales: contract.Amount = contract.amount(
        _UNUSED[0],
        "Leave it blank: the sales of the year come from the files.",
        blank=True,
        in_header=False,
    )
    held_back: contract.Amount = contract.amount(
        _UNUSED[1],
        "Leave it blank: what waits for tier 2 comes from the files.",
        blank=True,
        in_header=False,
    )
    note: contract.Text = columns.note()


def check_opening_balances(lines: pd.DataFrame, bad: BadCells) -> Sequence[Problem]:
    """Return rows that say a second time what was paid, and figures that only the files can give."""
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
    return doubled + [problem for header in _UNUSED for problem in _unused(lines, header)]


def _unused(lines: pd.DataFrame, header: str) -> Sequence[Problem]:
    name = header.lower().replace(" ", "_")
    amounts = lines[name].tolist() if name in lines else []
    return [
        problem_at(
            lines,
            position,
            header,
            problem=f"{header} is not taken from here, so the thresholds of the year would be wrong.",
            remedy="Leave it blank, and drop the files of the earlier months of the year: their sales count "
            "towards the threshold, and what they hold back is paid once it is reached.",
            value=amount,
        )
        for position, amount in enumerate(amounts)
        if amount is not None and not pd.isna(amount)
    ]


TABLE = ReferenceTable(
    name="opening_balances",
    title="Opening balances",
    rows=OpeningBalancesRows,
    readers={".xlsx": rows_reader(OpeningBalancesRows, {COMMISSION_MONTH: first_of_month})},
    check=check_opening_balances,
    suggestions={"sales_rep_name": ("sales_reps.sales_rep_name",), "product_line": PRODUCT_LINES},
)
