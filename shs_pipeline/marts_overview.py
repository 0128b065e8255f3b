"""A look at the marts for people: last payouts, sales against objective, and what is uncredited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from shs_pipeline.months import month_after, months_between

if TYPE_CHECKING:
    import psycopg

REMEDIES = {
    "no_tier_rate": "give the rep a rate in commission_tiers",
    "no_territory": "name the customer's owner in territories",
    "unknown_rep": "add the rep to sales_reps, or correct the name in the file or in territories",
}


@dataclass(frozen=True)
class RepPayouts:
    """What a rep is paid.

    Attributes:
        months: USD by commission month, in the order of `MartsOverview.months`.
        year_to_date: USD since January of the last of these months.
        waiting: USD of tier 2 held back at the end of it.
    """

    rep_name: str
    months: tuple[Decimal, ...]
    year_to_date: Decimal
    waiting: Decimal


@dataclass(frozen=True)
class ObjectiveMonth:
    """The company's sales and objective of a revenue month, in USD."""

    month: date
    sales: Decimal
    objective: Decimal


@dataclass(frozen=True)
class Uncredited:
    """Lines that are not credited for one reason, with the place of the largest one."""

    reason: str
    lines: int
    sales: Decimal
    largest: str


@dataclass(frozen=True)
class MartsOverview:
    """What people would look at first.

    Attributes:
        months: the last commission months that were paid.
    """

    months: tuple[date, ...]
    payouts: Sequence[RepPayouts]
    objectives: Sequence[ObjectiveMonth]
    uncredited: Sequence[Uncredited]


def marts_overview(
    connection: psycopg.Connection, *, payout_months: int = 3, objective_months: int = 12
) -> MartsOverview:
    """Read the overview, as the owner or an admin.

    Args:
        payout_months: how many commission months of payouts.
        objective_months: how many revenue months, up to the last one that has sales.
    """
    row = connection.execute("select max(commission_month) from marts.commission_payouts").fetchone()
    last: date | None = row[0] if row else None
    months = tuple(months_between(month_after(last, 1 - payout_months), last)) if last else ()
    return MartsOverview(
        months,
        _payouts(connection, months),
        _objectives(connection, objective_months),
        _uncredited(connection),
    )


def _payouts(connection: psycopg.Connection, months: Sequence[date]) -> list[RepPayouts]:
    if not months:
        return []
    last = months[-1]
    cursor = connection.execute(
        "with by_month as ("
        " select rep_name, commission_month, sum(payout) as payout, sum(deferred - released) as waiting"
        " from marts.commission_payouts where commission_month >= %(from)s and commission_month <= %(last)s"
        " group by rep_name, commission_month)"
        " select rep_name, array(select coalesce((select payout from by_month as m"
        " where m.rep_name = r.rep_name and m.commission_month = wanted), 0)"
        " from unnest(%(months)s::date[]) with ordinality as w (wanted, place) order by place),"
        " coalesce(sum(payout) filter (where commission_month >= %(january)s), 0),"
        " coalesce(sum(waiting) filter (where commission_month >= %(january)s), 0)"
        " from by_month as r group by rep_name order by 3 desc, 1",
        {
            "from": min(months[0], last.replace(month=1)),
            "january": last.replace(month=1),
            "last": last,
            "months": list(months),
        },
    )
    return [RepPayouts(name, tuple(paid), to_date, waiting) for name, paid, to_date, waiting in cursor]


def _objectives(connection: psycopg.Connection, count: int) -> list[ObjectiveMonth]:
    cursor = connection.execute(
        "select month, sum(sales_actual), coalesce(sum(objective), 0) from marts.company_performance_monthly"
        " where month <= (select max(revenue_month) from marts.harmonised_sales)"
        " group by month order by month desc limit %s",
        [count],
    )
    return [ObjectiveMonth(*row) for row in reversed(cursor.fetchall())]


def _uncredited(connection: psycopg.Connection) -> list[Uncredited]:
    cursor = connection.execute(
        "select reason, count(*), sum(sales_actual), (array_agg("
        "source_file || ', ' || source_sheet || ' row ' || source_row"
        " || ': ' || coalesce(territory, rep_named, 'no rep named')"
        " order by abs(sales_actual) desc, line_id))[1]"
        " from marts.uncredited_sales group by reason order by 2 desc"
    )
    return [Uncredited(*row) for row in cursor]
