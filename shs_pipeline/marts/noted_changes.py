"""What each publication changed in the payouts, noted right after it in the words of `shs diff`.

It is told from the history, which the publication itself writes, so it cannot be part of it. What a killed
process left out, the next build notes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from psycopg import sql
from psycopg.rows import class_row

from shs_pipeline.marts.payout_diff import Comparison, compare_payouts, part_for_payee
from shs_pipeline.marts.payout_states import ZERO
from shs_pipeline.marts.publications import Published
from shs_pipeline.marts.reference_history import kind_of, row_in_words

if TYPE_CHECKING:
    import psycopg

KEPT = 50
"""Of how many publications it is kept."""
NOBODY = "(nobody)"
"""The payee of a change that moved no payout: no id can begin like that."""
_FIRST = "This is the first publication: there is nothing before it to compare with."


class _Row(NamedTuple):
    payee_id: str
    rep_name: str
    product_line: str
    words: str
    payout_before: Decimal | None
    payout_now: Decimal | None
    amount: Decimal
    is_new: bool
    commission_month: date | None


_COLUMNS = ("publication_id", "change_no", *_Row._fields, "published_at")


def note_changes(connection: psycopg.Connection) -> None:
    """Note what the last publication changed, unless that was done, in the books and in the mart."""
    with connection.cursor(row_factory=class_row(Published)) as cursor:
        last, *before = cursor.execute(
            "select publication_id, run_id, published_at from marts.publications"
            " order by publication_id desc limit 2"
        ).fetchall()
    noted = connection.execute(
        "select from ops.payout_changes where publication_id = %s limit 1", [last.publication_id]
    ).fetchone()
    if noted is not None:
        return
    rows = list(_rows(compare_payouts(connection, before[0], last))) if before else [_said(_FIRST)]
    with connection.transaction():
        for schema in ("ops", "marts"):
            table = sql.Identifier(schema, "payout_changes")
            connection.execute(
                sql.SQL("delete from {} where publication_id <= %s").format(table),
                [last.publication_id - KEPT],
            )
            with connection.cursor() as cursor:
                cursor.executemany(
                    sql.SQL("insert into {} ({}) values ({})").format(
                        table,
                        sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)),
                        sql.SQL(", ").join(sql.Placeholder() * len(_COLUMNS)),
                    ),
                    [
                        (last.publication_id, number, *row, last.published_at)
                        for number, row in enumerate(rows, start=1)
                    ],
                )


def _rows(found: Comparison) -> Iterator[_Row]:
    for change in found.changes:
        for part in change.parts:
            yield _Row(
                change.payee_id,
                change.rep_name,
                change.product_line,
                part_for_payee(part),
                change.before,
                change.after,
                part.amount,
                change.is_new,
                change.commission_month,
            )
    for table, changes in found.rules.items():
        for row in changes:
            yield _said(f"{table}, {kind_of(row)}: {row_in_words(table, row)}")
    if not found.changes and not found.rules:
        yield _said("Nothing changed in the payouts.")


def _said(words: str) -> _Row:
    """Return a row about no payout."""
    return _Row(NOBODY, "", "", words, None, None, ZERO, False, None)
