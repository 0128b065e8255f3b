"""The payouts and lines of two published states, from the marts and their history.

A past state is today's rows, without what later publications added, with what they removed.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from psycopg import sql
from psycopg.rows import class_row

from shs_pipeline.marts.publications import Published

if TYPE_CHECKING:
    import psycopg

ZERO = Decimal("0.00")
Key = tuple[str, str, date]
"""Ids of payee and product line, commission month: a new name is no other payout."""
Year = tuple[str, str, int]
"""Ids of payee and product line, commission year."""


@dataclass(frozen=True)
class Line:
    """A credited line, or part of one, of `marts.harmonised_sales`, as far as a payout hangs on it."""

    credit_id: str
    line_id: str
    source: str
    product_line_id: str
    product_line: str
    payee_id: str | None
    rep_name: str | None
    rep_named: str | None
    rep_meant: str | None
    credit_status: str
    customer: str | None
    invoice_number: str | None
    item: str | None
    source_file: str
    source_sheet: str
    source_row: int
    credit_share: Decimal
    sales_actual: Decimal
    rev_actual: Decimal
    tier_1_rate: Decimal | None
    tier_2_rate: Decimal | None
    commission_tier_1: Decimal
    commission_tier_2_diff: Decimal
    revenue_date: date
    commission_month: date

    @property
    def key(self) -> Key | None:
        """The payout that it counts in, if it is somebody's."""
        if self.payee_id is None:
            return None
        return self.payee_id, self.product_line_id, self.commission_month

    @property
    def commission(self) -> Decimal:
        """Tier 1 and the difference, paid or not (USD)."""
        return self.commission_tier_1 + self.commission_tier_2_diff

    @property
    def sale(self) -> tuple[Hashable, ...]:
        """What stays the same when a file is corrected."""
        return (
            self.source, self.commission_month, self.invoice_number, self.item, self.customer,
            self.revenue_date,
        )  # fmt: skip

    @property
    def amounts(self) -> tuple[Decimal, Decimal]:
        """What was sold and what the company earns (USD)."""
        return self.sales_actual, self.rev_actual

    @property
    def rates(self) -> tuple[Decimal | None, Decimal | None]:
        """Of both tiers."""
        return self.tier_1_rate, self.tier_2_rate


@dataclass(frozen=True)
class PayoutRow:
    """A row of `marts.commission_payouts`, as far as it is compared."""

    payee_id: str
    rep_name: str
    product_line_id: str
    product_line: str
    commission_month: date
    cumulative_sales: Decimal
    threshold: Decimal | None
    tier_2_month: date | None
    deferred: Decimal
    released: Decimal
    payout: Decimal
    opening_month: date | None
    opening_sales: Decimal | None
    opening_held_back: Decimal | None

    @property
    def key(self) -> Key:
        """Ids of payee and product line, commission month."""
        return self.payee_id, self.product_line_id, self.commission_month


@dataclass(frozen=True)
class Upcoming:
    """What a build takes out of the marts and puts into them, before it is published.

    Attributes:
        state: its publication, as it will be.
        lines, payouts: queries for the columns of `Line` and `PayoutRow`, and `change` as in the history.
    """

    state: Published
    lines: sql.Composable
    payouts: sql.Composable


def moved_payouts(connection: psycopg.Connection, publication_id: int) -> list[tuple[date, Decimal]]:
    """Return commission month and difference (USD) of each payout that a publication moved."""
    return connection.execute(
        "select commission_month, sum(case change when 'added' then payout else -payout end) as difference"
        " from history.commission_payouts where publication_id = %s"
        " group by payee_id, product_line_id, commission_month"
        " having sum(case change when 'added' then payout else -payout end) <> 0",
        [publication_id],
    ).fetchall()


def has_history(connection: psycopg.Connection) -> bool:
    """Whether any publication has noted what it took out and put in."""
    row = connection.execute(
        "select to_regclass('history.commission_payouts'), to_regclass('history.harmonised_sales')"
    ).fetchone()
    return row is not None and None not in row


def months_at(connection: psycopg.Connection, publication_id: int) -> set[date]:
    """Return the commission months that had a payout in the state of a publication; none before the first."""
    if publication_id < 1 or not has_history(connection):
        return set()
    rows = connection.execute(
        "select distinct commission_month from ("
        " select payee_id, product_line_id, commission_month, 1 as present from marts.commission_payouts"
        " union all select payee_id, product_line_id, commission_month,"
        "  case change when 'added' then -1 else 1 end"
        " from history.commission_payouts where publication_id > %s) as versions"
        " group by payee_id, product_line_id, commission_month having sum(present) > 0",
        [publication_id],
    )
    return {month for (month,) in rows}


def payouts_at(
    connection: psycopg.Connection,
    state: Published,
    first: Published,
    second: Published,
    upcoming: Upcoming | None = None,
) -> dict[Key, PayoutRow]:
    """Return the payouts of a state, of every year in which any differs between the two.

    Today's rows, without what later publications added, with what they removed; and of one that is upcoming
    the other way round.
    """
    query = sql.SQL("""
        with upcoming as (
            {upcoming}
        ),
        touched as (
            select distinct payee_id, product_line_id, date_trunc('year', commission_month) as commission_year
            from history.commission_payouts
            where publication_id > %(first)s and publication_id <= %(second)s
            union
            select payee_id, product_line_id, date_trunc('year', commission_month) from upcoming
        ),
        versions as (
            select {columns}, 1 as present from marts.commission_payouts
            union all
            select {columns}, case change when 'added' then -1 else 1 end
            from history.commission_payouts
            where publication_id > %(state)s
            union all
            select {columns}, case change when 'added' then 1 else -1 end
            from upcoming
            where %(is_upcoming)s
        )
        select {columns} from versions
        where (payee_id, product_line_id, date_trunc('year', commission_month)) in (select * from touched)
        group by {columns}
        having sum(present) > 0
    """).format(
        columns=columns_of(PayoutRow),
        upcoming=upcoming.payouts if upcoming else _none("commission_payouts", PayoutRow),
    )
    ids = {
        "state": state.publication_id,
        "first": first.publication_id,
        "second": second.publication_id,
        "is_upcoming": upcoming is not None and upcoming.state == state,
    }
    with connection.cursor(row_factory=class_row(PayoutRow)) as cursor:
        return {row.key: row for row in cursor.execute(query, ids)}


def changed_lines(
    connection: psycopg.Connection,
    first: Published,
    second: Published,
    months: Collection[date],
    upcoming: Upcoming | None = None,
) -> tuple[list[Line], list[Line]]:
    """Return the lines that only the first state has, and those that only the second has.

    What was added and removed again in between cancels out.

    Args:
        months: commission months; no line stands for one of another.
    """
    query = sql.SQL("""
        select {columns}
        from (
            select {columns}, change from history.harmonised_sales
            where publication_id > %(first)s and publication_id <= %(second)s
            union all
            select {columns}, change from ({upcoming}) as upcoming
        ) as changes
        where commission_month = any(%(months)s)
        group by {columns}
        having sum(case change when 'added' then 1 else -1 end) * %(sign)s > 0
        order by source_file, source_sheet, source_row, credit_id
    """).format(
        columns=columns_of(Line), upcoming=upcoming.lines if upcoming else _none("harmonised_sales", Line)
    )
    values = {
        "first": first.publication_id,
        "second": second.publication_id,
        "months": list(months),
    }
    with connection.cursor(row_factory=class_row(Line)) as cursor:
        removed = cursor.execute(query, {**values, "sign": -1}).fetchall()
        added = cursor.execute(query, {**values, "sign": 1}).fetchall()
    return removed, added


def _none(mart: str, row_type: type[Line | PayoutRow]) -> sql.Composed:
    """Return a relation like what is upcoming of a mart, without rows."""
    relation = sql.Identifier("marts", mart)
    return sql.SQL("select {}, '' as change from {} where false").format(columns_of(row_type), relation)


def columns_of(row_type: type[Line | PayoutRow]) -> sql.Composed:
    """Return the columns that are compared, as a select list."""
    return sql.SQL(", ").join(map(sql.Identifier, row_type.__dataclass_fields__))
