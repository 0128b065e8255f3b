"""Pay periods: the commission months that are closed, who approved each, and when it is paid."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pandera.pandas as pa

from shs_pipeline.base.months import month_text
from shs_pipeline.files import contract
from shs_pipeline.files.reading import BadCells, Problem
from shs_pipeline.files.source import ReferenceTable
from shs_pipeline.reference import columns
from shs_pipeline.reference.cross_checks import duplicates, in_words, problem_at, row_of, unless
from shs_pipeline.reference.sheet import one_of, rows_reader

OPEN, CLOSED = STATES = ("open", "closed")
_MONTH, _STATE, _APPROVED_BY, _PAY_DATE = columns.COMMISSION_MONTH, "State", "Approved By", "Pay Date"


class PayPeriodsRows(pa.DataFrameModel):
    """One row per commission month."""

    commission_month: contract.Day = columns.commission_month(
        "Commission month, as 2026-10 or any day of it; a month that is not listed is open."
    )
    state: contract.Text = contract.text(
        _STATE,
        "closed: approved and paid, never changed again. open: not yet.",
        isin=list(STATES),
        remedy="Type open or closed.",
    )
    approved_by: contract.Text = contract.text(
        _APPROVED_BY, "The active admin who approved what is paid, as in sales_reps.", blank=True
    )
    pay_date: contract.Day = contract.day(_PAY_DATE, "Day on which it is paid.", blank=True)
    note: contract.Text = contract.text(
        "Note",
        "Why it closes although something is missing, or why the last closed month is opened again.",
        blank=True,
        in_header=False,
        longest=contract.LONGEST_TEXT,
    )


def check_pay_periods(lines: pd.DataFrame, bad: BadCells) -> Sequence[Problem]:
    """Return months that stand there twice, closed ones nobody approved, and pay dates before the month."""
    months = lines["commission_month"].tolist()
    keys = unless(bad.among(lines, _MONTH), months)
    doubled = [
        problem_at(
            lines,
            again,
            _MONTH,
            problem=f"The month {month_text(months[again])} is already in row {row_of(lines, first)}.",
            remedy="Delete one of the two rows.",
            value=month_text(months[again]),
        )
        for first, again in duplicates(keys)
    ]
    return doubled + [problem for position in range(len(lines)) for problem in _of_row(lines, position, bad)]


def _of_row(lines: pd.DataFrame, position: int, bad: BadCells) -> Sequence[Problem]:
    row = lines.iloc[[position]]
    month, pay_date = row["commission_month"].iat[0], row["pay_date"].iat[0]
    found = []
    is_unapproved = row["state"].iat[0] == CLOSED and not row["approved_by"].iat[0]
    if is_unapproved and not bad.among(row, _STATE, _APPROVED_BY)[0]:
        found.append(
            problem_at(
                lines,
                position,
                _APPROVED_BY,
                problem="The month is closed, but nobody is named who approved it.",
                remedy="Type the name of an active admin, as in sales_reps.",
            )
        )
    if month and pay_date and pay_date < month and not bad.among(row, _MONTH, _PAY_DATE)[0]:
        found.append(
            problem_at(
                lines,
                position,
                _PAY_DATE,
                problem=f"The pay date {in_words(pay_date)} is before the commission month "
                f"{month_text(month)}.",
                remedy="Correct the pay date, or the month.",
                value=in_words(pay_date),
            )
        )
    return found


TABLE = ReferenceTable(
    name="pay_periods",
    title="Pay periods",
    rows=PayPeriodsRows,
    readers={".xlsx": rows_reader(PayPeriodsRows, {_MONTH: columns.first_of_month, _STATE: one_of(STATES)})},
    check=check_pay_periods,
    choices={"state": STATES},
    suggestions={"approved_by": ("sales_reps.sales_rep_name",)},
)
