"""What a build that waits to be published would change: one more publication on top of the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, LiteralString

from psycopg import sql

from shs_pipeline.marts.payout_states import Line, PayoutRow, Upcoming, columns_of, has_history
from shs_pipeline.marts.publications import Published

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.marts.due import Plan

_COMPARED: Sequence[tuple[str, type[Line | PayoutRow]]] = (
    ("harmonised_sales", Line),
    ("commission_payouts", PayoutRow),
)
# The part of a mart that a build computes; all of it in a full refresh.
_COMPUTED: Mapping[str, LiteralString] = {
    "harmonised_sales": """exists (
        select from intermediate.changed_slices as scope
        where scope.source = mart.source and scope.commission_month = mart.commission_month
    )""",
    "commission_payouts": """exists (
        select from intermediate.touched_years as scope
        where scope.payee_id = mart.payee_id and scope.product_line_id = mart.product_line_id
            and scope.commission_year = date_trunc('year', mart.commission_month)
    )""",
}
_CHANGES: LiteralString = """
    (
        select {columns}, 'removed' as change from marts.{mart} as mart where {computed}
        except all select {columns}, 'removed' from candidate.{mart}
    )
    union all
    (
        select {columns}, 'added' from candidate.{mart}
        except all select {columns}, 'added' from marts.{mart} as mart where {computed}
    )
"""


def upcoming_of(connection: psycopg.Connection, plan: Plan) -> Upcoming | None:
    """Return what a build would change; None where nothing is published that it can be compared with.

    Args:
        plan: what the build was made from.
    """
    if plan.last is None or not _are_comparable(connection):
        return None
    lines, payouts = (_changes(mart, row_type, plan) for mart, row_type in _COMPARED)
    return Upcoming(Published(plan.last.publication_id + 1, "", datetime.now(UTC)), lines, payouts)


def _are_comparable(connection: psycopg.Connection) -> bool:
    """Whether the marts and their history have what is compared: an older version's may not."""
    if not has_history(connection):
        return False
    row = connection.execute(
        "select bool_and(exists (select from pg_attribute where not attisdropped"
        "  and attrelid = to_regclass(schema || '.' || mart) and attname = name))"
        " from unnest(%s::text[], %s::text[]) as wanted (mart, name)"
        " cross join (values ('marts'), ('history')) as schemas (schema)",
        [
            [mart for mart, row_type in _COMPARED for _ in row_type.__dataclass_fields__],
            [name for _, row_type in _COMPARED for name in row_type.__dataclass_fields__],
        ],
    ).fetchone()
    return bool(row and row[0])


def _changes(mart: str, row_type: type[Line | PayoutRow], plan: Plan) -> sql.Composed:
    return sql.SQL(_CHANGES).format(
        columns=columns_of(row_type),
        mart=sql.Identifier(mart),
        computed=sql.SQL("true" if plan.is_full_refresh else _COMPUTED[mart]),
    )
