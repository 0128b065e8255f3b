"""What payroll gets at a close: whom to pay what, and a journal. Nobody is ever paid less than nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from shs_pipeline.base.months import month_text
from shs_pipeline.base.printable import csv_cell
from shs_pipeline.base.wording import count_of
from shs_pipeline.closing.sheets import finished, new_book, write_section
from shs_pipeline.closing.statement import Kind, Statement
from shs_pipeline.closing.statement_layout import Column, Group, Key, Section, Value, laid_out, sums
from shs_pipeline.closing.statement_words import clean, month_shown

_NOTHING = Decimal("0.00")


@dataclass(frozen=True, kw_only=True)
class PayrollPayee:
    """What payroll knows of a payee.

    Attributes:
        payroll_code: as in sales_reps; may be empty.
        paid_as: `W-2`, `1099` or `none`; may be empty.
        paid_earlier: USD paid with earlier pay dates of the same calendar year.
    """

    payroll_code: str = ""
    paid_as: str = ""
    paid_earlier: Decimal = _NOTHING


_NOBODY = PayrollPayee()
_COLUMNS = (
    Column("Payee ID"),
    Column("Payroll Code"),
    Column("Paid As"),
    Column("Name"),
    Column("Pay Period", "month"),
    Column("Due", "money"),
    Column("Paid", "money"),
    Column("Carried Forward", "money"),
    Column("Pay Date", "day"),
    Column("Paid This Year", "money"),
)


def payroll_csv(statements: Sequence[Statement], payees: Mapping[str, PayrollPayee]) -> bytes:
    """Return one row for each payee who is due nothing or more, as CSV in UTF-8.

    Args:
        statements: those of one pay period.
        payees: by id; the code of somebody who is not among them is blank.

    Raises:
        ShsError: a statement does not add up.
    """
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(column.title for column in _COLUMNS)
    for row in _rows(statements, payees):
        writer.writerow(_csv_value(value, column) for value, column in zip(row, _COLUMNS, strict=True))
    return target.getvalue().encode()


def payroll_workbook(statements: Sequence[Statement], payees: Mapping[str, PayrollPayee]) -> bytes:
    """Return the same rows as an `.xlsx`, with a journal and what is owed to the company.

    Args:
        statements: those of one pay period.
        payees: by id, as for `payroll_csv`.

    Raises:
        ShsError: a statement does not add up.
    """
    period = _period(statements)
    title = f"Payroll {period}"
    receipts = sorted({clean(statement.receipt) for statement in statements} - {""})
    made = new_book(
        title, title, f"Receipt {', '.join(receipts)}" if receipts else "Not closed: no receipt yet"
    )
    sections = (_payroll(statements, payees, period), _journal(statements, period), _owed(statements, payees))
    for section in sections:
        write_section(made, made.book.create_sheet(section.title), section)
    return finished(made)


def _period(statements: Sequence[Statement]) -> str:
    """Return the pay period as people read it."""
    periods = sorted({statement.pay_period for statement in statements})
    if len(periods) > 1:
        raise ValueError(f"statements of several pay periods: {', '.join(map(month_shown, periods))}")
    return month_shown(periods[0]) if periods else "no pay period"


def _csv_value(value: Value, column: Column) -> str:
    if isinstance(value, Decimal):
        return f"{value:.2f}"
    if column.shape == "month" and isinstance(value, date):
        return month_text(value)
    return csv_cell(value)


# --- the sheets ----------------------------------------------------------------------------


def _rows(
    statements: Sequence[Statement], payees: Mapping[str, PayrollPayee]
) -> tuple[tuple[Value, ...], ...]:
    """Return the rows of payroll by payroll code, then name and id."""
    rows = []
    for statement in statements:
        laid_out(statement)  # refuses what does not add up
        if statement.amounts.due < 0:
            continue
        payee, amounts = payees.get(statement.payee_id, _NOBODY), statement.amounts
        rows.append(
            (
                *_who(statement, payee),
                statement.pay_period,
                amounts.due,
                amounts.paid,
                amounts.carried_forward,
                statement.pay_date,
                payee.paid_earlier + amounts.paid,
            )
        )
    return tuple(sorted(rows, key=lambda row: (row[1], row[3], row[0])))


def _who(statement: Statement, payee: PayrollPayee) -> tuple[str, str, str, str]:
    return (
        clean(statement.payee_id),
        clean(payee.payroll_code),
        clean(payee.paid_as),
        clean(statement.rep_name),
    )


def _payroll(statements: Sequence[Statement], payees: Mapping[str, PayrollPayee], period: str) -> Section:
    note = "In US dollars. Whoever owes the company something is not listed here but on the last sheet."
    return _section("payroll", "Payroll", f"{period}. {note}", _COLUMNS, _rows(statements, payees), "Total")


_JOURNAL: tuple[tuple[str, tuple[Kind, ...]], ...] = (
    ("Restated", ("restated", "reclassified")),
    ("Adjustments", ("adjustment", "draw")),
)


def _journal(statements: Sequence[Statement], period: str) -> Section:
    """Return what is paid, by reason and product line; what is carried forward is paid later, or never."""
    sums_of: dict[tuple[str, str], Decimal] = {}

    def add(reason: str, product_line: str, amount: Decimal) -> None:
        sums_of[reason, product_line] = sums_of.get((reason, product_line), _NOTHING) + amount

    for statement in statements:
        for state in statement.product_lines:
            add("Earned", clean(state.product_line), state.earned)
        for reason, kinds in _JOURNAL:
            for item in statement.items:
                if item.kind in kinds:
                    add(reason, clean(item.product_line), item.amount)
        add("Recovered draws", "", statement.amounts.recovered)
        add("Brought forward", "", statement.amounts.brought_forward)
        add("Carried forward", "", -statement.amounts.carried_forward)
    reasons = ("Earned", "Restated", "Adjustments", "Recovered draws", "Brought forward", "Carried forward")
    rows = sorted(
        ((reason, line or None, amount) for (reason, line), amount in sums_of.items() if amount),
        key=lambda row: (reasons.index(row[0]), row[1] or ""),
    )
    columns = (Column("Reason"), Column("Product line"), Column("USD", "money"))
    note = (
        f"{period}. What is carried forward is not paid, so it is added back: the total is what payroll pays."
    )
    return _section("journal", "Journal", note, columns, tuple(rows), "Paid")


def _owed(statements: Sequence[Statement], payees: Mapping[str, PayrollPayee]) -> Section:
    columns = (*_COLUMNS[:5], Column("Owed", "money"), _COLUMNS[-1])
    rows = []
    for statement in statements:
        if statement.amounts.due < 0:
            payee = payees.get(statement.payee_id, _NOBODY)
            owed = -statement.amounts.due
            rows.append((*_who(statement, payee), statement.pay_period, owed, payee.paid_earlier))
    rows.sort(key=lambda row: (row[3], row[0]))
    note = f"{count_of(len(rows), 'payee')}: deducted from later statements, and not paid by payroll."
    return _section("owed", "Owed to the company", note, columns, tuple(rows), "Total")


def _section(
    key: Key,
    title: str,
    note: str,
    columns: tuple[Column, ...],
    rows: tuple[tuple[Value, ...], ...],
    name: str,
) -> Section:
    total = ((name, *sums(rows, columns)[1:]),) if rows else ()
    return Section(key, title, note, columns, (Group("", rows),), total)
