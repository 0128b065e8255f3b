"""Every close of a month and every reopening, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, LiteralString

from psycopg import sql
from psycopg.rows import class_row

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Close:
    """What a close came to, over all payees (USD); a reopening has no statements and comes to nothing.

    Attributes:
        kind: closed or reopened.
        restated_payees: how many statements have a restatement.
        replaces: of a reopening, the close that it takes back.
        folder: where its files are in the landing zone; None until they are handed out.
    """

    close_no: int
    kind: str
    pay_period: date
    approved_by: str | None
    actor: str | None
    pay_date: date | None
    folder: str | None
    publication_id: int
    replaces: int | None
    payees: int
    restated_payees: int
    paid: Decimal
    restated: Decimal
    carried_forward: Decimal


LAST_WORDS = sql.SQL("""
    select distinct on (pay_period) close_no, pay_period, kind from ledger.closes
    order by pay_period, close_no desc
""")
"""The last thing that was done with each month that was ever closed."""

IN_FORCE = sql.SQL("select close_no, pay_period from ({}) as last_words where kind = 'closed'").format(
    LAST_WORDS
)
"""The closes on which the closed months stand: those that nothing has taken back."""

_CLOSES: LiteralString = """
    select
        closes.close_no, closes.kind, closes.pay_period, closes.approved_by, closes.actor, closes.pay_date,
        receipts.folder, closes.publication_id, closes.replaces,
        count(statements.number) as payees,
        count(*) filter (where statements.restated <> 0) as restated_payees,
        coalesce(sum(statements.paid), 0.00) as paid,
        coalesce(sum(statements.restated), 0.00) as restated,
        coalesce(sum(statements.carried_forward), 0.00) as carried_forward
    from ledger.closes
    left join ledger.receipts using (close_no)
    left join ledger.statements using (close_no)
    where closes.close_no > %s
    group by closes.close_no, receipts.folder
    order by closes.close_no
"""


def close_in_force(connection: psycopg.Connection, month: date) -> int | None:
    """Return the close on which a pay period stands; None where it is open."""
    query = sql.SQL("select close_no from ({}) as in_force where pay_period = %s").format(IN_FORCE)
    row = connection.execute(query, [month]).fetchone()
    return row[0] if row else None


def closes_since(connection: psycopg.Connection, close_no: int = 0) -> list[Close]:
    """Return the closes and reopenings after one, in their order."""
    row = connection.execute("select to_regclass('ledger.receipts') is not null").fetchone()
    if not (row and row[0]):
        return []
    with connection.cursor(row_factory=class_row(Close)) as cursor:
        return cursor.execute(_CLOSES, [close_no]).fetchall()
