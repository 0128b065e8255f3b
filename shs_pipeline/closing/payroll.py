"""What payroll gets for a closed month, read from the ledger."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, LiteralString

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import month_text
from shs_pipeline.closing.closes import close_in_force
from shs_pipeline.closing.payroll_files import PayrollPayee
from shs_pipeline.closing.reading import closed_statements

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.closing.statement import Statement

# Paid earlier: by what was known when the month was closed, so that the file is the same for ever.
_PAYEES: LiteralString = """
    select
        payee_id, payroll_code, paid_as,
        coalesce((
            select sum(earlier.paid) from ledger.statements as earlier
            where
                earlier.payee_id = statements.payee_id
                and earlier.close_no < statements.close_no
                and earlier.pay_date < statements.pay_date
                and date_trunc('year', earlier.pay_date) = date_trunc('year', statements.pay_date)
                and not exists (
                    select from ledger.closes as reopened
                    where reopened.kind = 'reopened' and reopened.replaces = earlier.close_no
                        and reopened.close_no < statements.close_no
                )
        ), 0.00)
    from ledger.statements where close_no = %(close_no)s
"""


def payees_of(connection: psycopg.Connection, close_no: int) -> dict[str, PayrollPayee]:
    """Return what payroll knew of each payee when the month was closed, by id."""
    return {
        payee_id: PayrollPayee(payroll_code=code or "", paid_as=paid_as or "", paid_earlier=earlier)
        for payee_id, code, paid_as, earlier in connection.execute(_PAYEES, {"close_no": close_no})
    }


def payroll_of(
    connection: psycopg.Connection, month: date
) -> tuple[list[Statement], dict[str, PayrollPayee]]:
    """Return the statements of a closed month, and what payroll knows of their payees, by id.

    Raises:
        ShsError: the month is not closed.
    """
    close_no = close_in_force(connection, month)
    if close_no is None:
        raise ShsError(
            f"{month_text(month)} is not closed, so nobody is paid for it yet.",
            f"`shs close {month_text(month)} --check` shows what it comes to.",
        )
    return closed_statements(connection, close_no), payees_of(connection, close_no)
