"""Loaded files whose printed totals differ from their lines, until a close has answered for them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, LiteralString

from psycopg.rows import class_row

from shs_pipeline.base.wording import count_of, dollars

if TYPE_CHECKING:
    import psycopg

# The close of a month, or of a later one, that had just this file among its inputs was told of it.
_DIFFERING: LiteralString = """
    select distinct on (files.path)
        files.path,
        totals.total ->> 'sheet' as sheet,
        (totals.total ->> 'row')::bigint as "row",
        totals.total ->> 'column' as "column",
        coalesce(totals.total ->> 'label', '') as label,
        (totals.total ->> 'printed')::numeric as printed,
        (totals.total ->> 'computed')::numeric as computed,
        jsonb_array_length(files.totals) as number_of
    from ops.files as files
    cross join lateral jsonb_array_elements(files.totals) as totals (total)
    where files.status = 'loaded'
        and not exists (
            select from ledger.closes
            where closes.kind = 'closed' and closes.pay_period >= files.commission_month
                and closes.inputs ->> files.path = files.sha256
        )
    order by files.path, (totals.total ->> 'row')::bigint
"""


@dataclass(frozen=True)
class DifferingTotal:
    """The first printed total of a file that differs from its lines.

    Attributes:
        label: what the file calls it; empty where it says nothing.
        printed, computed: amounts, as the column has them.
        number_of: how many of the file differ.
    """

    path: str
    sheet: str
    row: int
    column: str
    label: str
    printed: Decimal
    computed: Decimal
    number_of: int

    @property
    def words(self) -> str:
        """Where it is and what differs, as a sentence."""
        called = f" as {self.label}" if self.label else ""
        more = f" {count_of(self.number_of - 1, 'more total')} in it." if self.number_of > 1 else ""
        return (
            f"{self.sheet}, row {self.row}: {self.column} prints {dollars(self.printed)}{called}, but its "
            f"lines add up to {dollars(self.computed)}.{more}"
        )


def differing_totals(connection: psycopg.Connection) -> list[DifferingTotal]:
    """Return them, by path; none of tables that an older version made and no run has brought up to date."""
    row = connection.execute("select to_regclass('ledger.closes') is not null").fetchone()
    if not (row and row[0]):
        return []
    with connection.cursor(row_factory=class_row(DifferingTotal)) as cursor:
        return cursor.execute(_DIFFERING).fetchall()
