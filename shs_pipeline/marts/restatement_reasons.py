"""Why closed months now come to a different amount, in the words of `shs diff`, for statements.

The close enters the words into the ledger, so they are noted before the publication: what the build makes of
the closed months is compared with what the last close settled. The model of the items then reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, LiteralString

from psycopg.rows import class_row

from shs_pipeline.base.wording import count_of
from shs_pipeline.marts.payout_diff import Part, PayoutChange, changed_payouts, part_for_payee
from shs_pipeline.marts.publications import Published
from shs_pipeline.marts.upcoming import upcoming_of

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.marts.due import Plan
    from shs_pipeline.marts.payout_states import Key

SHOWN = 5
"""How many reasons an item gives, those that move most."""
_FILES_SHOWN = 2
_ITEMS: LiteralString = """
    select items.payee_id, items.product_line_id, items.earned_month, items.amount, bounds.settled_by
    from candidate.statement_items as items
    cross join intermediate.close_bounds as bounds
    where items.kind in ('restated', 'reclassified') and items.pay_period > bounds.closed_until
        and bounds.settled_by is not null
"""


@dataclass(frozen=True)
class _Restated:
    """A restatement of a build that is not published yet (USD)."""

    payee_id: str
    product_line_id: str
    earned_month: date
    amount: Decimal
    settled_by: int

    @property
    def key(self) -> Key:
        return self.payee_id, self.product_line_id, self.earned_month


def note_reasons(connection: psycopg.Connection, plan: Plan) -> bool:
    """Note the reasons of all restatements of a build that waits to be published.

    Args:
        plan: what the build was made from.

    Returns:
        False if there are none, so that no item has to be written again.
    """
    with connection.cursor(row_factory=class_row(_Restated)) as cursor:
        items = cursor.execute(_ITEMS).fetchall()
    if not items:
        return False
    changes = _changes(connection, plan, items)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("delete from ops.restatement_reasons")
        cursor.executemany(
            "insert into ops.restatement_reasons"
            " (payee_id, product_line_id, earned_month, settled_by, amount, words)"
            " values (%s, %s, %s, %s, %s, %s)",
            [
                (
                    *item.key,
                    item.settled_by,
                    item.amount,
                    reasons_in_words(changes.get(item.key), item.amount),
                )
                for item in items
            ],
        )
    return True


def reasons_in_words(change: PayoutChange | None, amount: Decimal) -> str:
    """Return why a closed month is restated, as a sentence for the payee; empty if that is not known.

    Args:
        change: of the payout since the last close.
        amount: what is restated (USD). It is something else than the change where amounts were settled of
            which nothing could be computed; then no reason is given an amount.
    """
    if change is None or not change.is_explained:
        return ""
    parts = sorted(
        (part for part in change.parts if part.amount), key=lambda part: (-abs(part.amount), part.words)
    )
    has_amounts = len(parts) > 1 and change.difference == amount
    said = [_said(part, has_amounts) for part in parts[:SHOWN]]
    rest = parts[SHOWN:]
    if rest:
        more = f": {sum(part.amount for part in rest):+,.2f}" if has_amounts else ""
        said.append(f"and {len(rest)} more{more}")
    return f"Why: {'; '.join(said)}." if said else ""


def _said(part: Part, has_amount: bool) -> str:
    files = _files(part)
    where = f" ({files})" if files else ""
    return f"{part_for_payee(part)}{where}{f': {part.amount:+,.2f}' if has_amount else ''}"


def _files(part: Part) -> str:
    """Return the files that brought, corrected or lost lines; all of them are the payee's own lines."""
    if part.reason not in ("added", "removed", "corrected"):
        return ""
    names = list(dict.fromkeys(PurePosixPath(found.shown.source_file).name for found in part.lines))
    more = len(names) - _FILES_SHOWN
    if more > 0:
        return f"{', '.join(names[:_FILES_SHOWN])} and {count_of(more, 'other file')}"
    return " and ".join(names)


def _changes(
    connection: psycopg.Connection, plan: Plan, items: Sequence[_Restated]
) -> Mapping[Key, PayoutChange]:
    """Return how the restated payouts differ from the last close; nothing if that is no longer known."""
    settled, upcoming = _publication(connection, items[0].settled_by), upcoming_of(connection, plan)
    if settled is None or upcoming is None:
        return {}
    wanted = {item.key for item in items}
    return changed_payouts(connection, settled, upcoming.state, wanted.__contains__, upcoming)


def _publication(connection: psycopg.Connection, publication_id: int) -> Published | None:
    """Return a publication; None where there is none: its database was lost."""
    row = connection.execute("select to_regclass('marts.publications') is not null").fetchone()
    if not (row and row[0]):
        return None
    with connection.cursor(row_factory=class_row(Published)) as cursor:
        return cursor.execute(
            "select publication_id, run_id, published_at from marts.publications where publication_id = %s",
            [publication_id],
        ).fetchone()
