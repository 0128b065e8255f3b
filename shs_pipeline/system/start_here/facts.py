"""What `START HERE.xlsx` is made from, read from the books and the marts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, LiteralString, TypeVar

from psycopg.rows import class_row

from shs_pipeline.base.errors import ShsError
from shs_pipeline.closing.checklist import Obstacle, has_closes, month_to_close, obstacles_now
from shs_pipeline.ingest.holding import held_now
from shs_pipeline.ingest.overview import Overview, SourceTotal, read_overview, source_totals
from shs_pipeline.marts.due import Publication, last_publication
from shs_pipeline.marts.findings import Finding, published_findings
from shs_pipeline.marts.guard import HeldBuild, held_build
from shs_pipeline.marts.proposals import Proposal, proposals
from shs_pipeline.system.printed_totals import DifferingTotal, differing_totals

if TYPE_CHECKING:
    import psycopg

Row = TypeVar("Row")
_PERIODS_SHOWN = 24
_PUBLICATIONS_SHOWN = 20
_PUBLICATIONS: LiteralString = """
    select
        publication_id,
        publications.published_at,
        publications.lines,
        count(distinct (payee_id, product_line, commission_month)) filter (where is_new) as new,
        coalesce(sum(amount) filter (where is_new), 0) as new_amount,
        count(distinct (payee_id, product_line, commission_month))
        filter (where not is_new and commission_month is not null) as restated,
        coalesce(sum(amount) filter (where not is_new), 0) as restated_amount,
        count(*)
        filter (where commission_month is null and words ~ '^[a-z_]+, (added|changed|removed): ') as rules
    from marts.publications
    left join marts.payout_changes using (publication_id)
    group by publication_id, publications.published_at, publications.lines
    order by publication_id desc
    limit %s
"""


@dataclass(frozen=True)
class UncreditedReason:
    """Lines that pay nobody, by reason; sales in USD."""

    reason: str
    lines: int
    sales: Decimal


@dataclass(frozen=True)
class PayPeriod:
    """A commission month as something that is paid: closed, open, or paid elsewhere."""

    pay_period: date
    state: str
    pay_date: date | None


@dataclass(frozen=True)
class PublishedBuild:
    """A publication: when it was, and what it changed.

    Attributes:
        new, new_amount: payouts of months of which nothing had been published, and what they come to (USD).
        restated, restated_amount: payouts that changed of all other months, and by how much in all (USD).
        rules: rates, thresholds and objectives that changed.
    """

    publication_id: int
    published_at: datetime
    lines: int
    new: int
    new_amount: Decimal
    restated: int
    restated_amount: Decimal
    rules: int


@dataclass(frozen=True)
class Facts:
    """All that is told.

    Attributes:
        day: on which they were read (UTC); from it follows what is due.
        totals: what is in force of each source.
        differing: files whose printed totals differ from their lines.
        withdrawal, build: what is held until somebody confirms it.
        to_close: the month that is to be closed next; None where none is.
        obstacles: what closes have to answer, of all months.
        periods, publications: the newest first.
    """

    landing: str
    day: date
    due_day: int
    overview: Overview
    totals: Sequence[SourceTotal]
    withdrawal: ShsError | None = None
    build: HeldBuild | None = None
    differing: Sequence[DifferingTotal] = ()
    publication: Publication | None = None
    proposals: Sequence[Proposal] = ()
    uncredited: Sequence[UncreditedReason] = ()
    findings: Sequence[Finding] = ()
    to_close: date | None = None
    obstacles: Sequence[Obstacle] = ()
    periods: Sequence[PayPeriod] = ()
    publications: Sequence[PublishedBuild] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever dropped that counts."""
        has_tables = any(entry.in_force_from for entry in self.overview.tables)
        return not has_tables and not any(total.files for total in self.totals)


def read_facts(connection: psycopg.Connection, landing: str, day: date, due_day: int) -> Facts:
    """Read everything, of the last publication where it is about sales and pay.

    Args:
        landing: address of the bucket.
        day: what counts as today (UTC).
        due_day: day of the next month on which a month's files are due.
    """
    publication = last_publication(connection)
    facts = Facts(
        landing,
        day,
        due_day,
        read_overview(connection, day, due_day),
        source_totals(connection),
        held_now(connection),
        held_build(connection),
        differing_totals(connection),
        publication,
    )
    if publication is None or not has_closes(connection):
        return facts
    return Facts(
        **vars(facts)
        | {
            "proposals": proposals(connection),
            "uncredited": _rows(
                connection,
                UncreditedReason,
                "select reason, count(*) as lines, sum(sales_actual) as sales from marts.uncredited_sales"
                " group by reason order by 3 desc, 1",
            ),
            "findings": published_findings(connection),
            "to_close": month_to_close(connection),
            "obstacles": obstacles_now(connection),
            "periods": _rows(
                connection,
                PayPeriod,
                "select pay_period, state, pay_date from marts.pay_periods order by pay_period desc limit %s",
                _PERIODS_SHOWN,
            ),
            "publications": _rows(connection, PublishedBuild, _PUBLICATIONS, _PUBLICATIONS_SHOWN),
        }
    )


def _rows(
    connection: psycopg.Connection, kind: type[Row], query: LiteralString, *values: object
) -> list[Row]:
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query, values).fetchall()
