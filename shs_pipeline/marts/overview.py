"""An overview of the marts for people: last payouts, sales against objective, and uncredited sales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from shs_pipeline.base.months import month_after, month_text, months_between

if TYPE_CHECKING:
    import psycopg

REMEDIES = {
    "no_tier_rate": "give the rep a rate in commission_tiers",
    "no_territory": "add the customer's owner to territories",
    "unknown_rep": "add the rep to sales_reps, or correct the name in the file or in territories",
}


@dataclass(frozen=True)
class RepPayouts:
    """What a rep is paid.

    Attributes:
        months: USD by commission month, in the order of `MartsOverview.months`.
        year_to_date: USD since January of the last of these months.
        waiting: USD of tier 2 held back at the end of it, to be paid once a threshold is reached.
        no_threshold: USD of tier 2 that no threshold is set for, so that it is never paid.
    """

    rep_name: str
    months: tuple[Decimal, ...]
    year_to_date: Decimal
    waiting: Decimal
    no_threshold: Decimal


@dataclass(frozen=True)
class ObjectiveMonth:
    """The company's sales and objective of a revenue month, in USD."""

    month: date
    sales: Decimal
    objective: Decimal


@dataclass(frozen=True)
class YearToDate:
    """The company's sales of the whole months of a year, in USD.

    Attributes:
        first, last: revenue months; the last is the last complete one.
        sales_before: of the same months of the year before; None where those were not whole.
    """

    first: date
    last: date
    sales: Decimal
    objective: Decimal
    sales_before: Decimal | None


@dataclass(frozen=True)
class NoThreshold:
    """A rep's product line that has sales in a commission year and no threshold (USD).

    Attributes:
        unpayable: tier 2 differences, which are never paid without one.
    """

    rep_name: str
    product_line: str
    sales: Decimal
    unpayable: Decimal


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
        is_last_month_whole: whether every source that is waited for has loaded the last of them.
        last_complete: the last revenue month whose sales are all in (`marts.revenue_months`).
        objectives: up to this month: an unfinished month is held against nothing.
        year: of this month; None where no month is complete.
        coming_in: later months that have sales, and the sources that they wait for.
        no_threshold: of the year of the last paid month, what is lost first.
    """

    months: tuple[date, ...]
    is_last_month_whole: bool
    payouts: Sequence[RepPayouts]
    last_complete: date | None
    objectives: Sequence[ObjectiveMonth]
    year: YearToDate | None
    coming_in: Sequence[tuple[date, str]]
    no_threshold: Sequence[NoThreshold]
    uncredited: Sequence[Uncredited]


def marts_overview(
    connection: psycopg.Connection, *, payout_months: int = 3, objective_months: int = 12
) -> MartsOverview:
    """Read the overview, as the owner or an admin.

    Args:
        payout_months: how many commission months of payouts.
        objective_months: how many revenue months, up to the last complete one.
    """
    row = connection.execute("select max(commission_month) from marts.commission_payouts").fetchone()
    last: date | None = row[0] if row else None
    months = tuple(months_between(month_after(last, 1 - payout_months), last)) if last else ()
    complete = _last_complete(connection)
    return MartsOverview(
        months=months,
        is_last_month_whole=complete is not None and last is not None and month_after(complete, 1) >= last,
        payouts=_payouts(connection, months),
        last_complete=complete,
        objectives=_objectives(connection, complete, objective_months),
        year=_year_to_date(connection, complete),
        coming_in=_coming_in(connection),
        no_threshold=_no_threshold(connection, last),
        uncredited=_uncredited(connection),
    )


def objectives_title(overview: MartsOverview) -> str:
    """Return what stands above the months that are held against an objective."""
    title = "Sales against objective in USD, by revenue month"
    if overview.last_complete is None:
        return f"{title}: no month is complete yet"
    return f"{title}, to {month_text(overview.last_complete)}, the last complete month"


def year_in_words(year: YearToDate) -> str:
    """Return how the year goes: against its objective, and against the year before."""
    first, last = month_text(year.first), month_text(year.last)
    parts = [f"{first if first == last else f'{first} to {last}'}: {year.sales:,.2f} sold"]
    if year.objective > 0:
        parts.append(f"{year.sales / year.objective:.1%} of the objective")
    if year.sales_before is not None and year.sales_before > 0:
        parts.append(f"{year.sales / year.sales_before - 1:+.1%} on the same months of {year.last.year - 1}")
    return ", ".join(parts)


def coming_in_words(overview: MartsOverview) -> str:
    """Return which months are left out, and why; empty where none is."""
    if not overview.coming_in:
        return ""
    months = ", ".join(month_text(month) for month, _ in overview.coming_in)
    waiting = overview.coming_in[0][1]
    first = month_text(overview.coming_in[0][0])
    return f"Still coming in: {months}. {first} is waiting for a later file from {waiting}."


def _payouts(connection: psycopg.Connection, months: Sequence[date]) -> list[RepPayouts]:
    if not months:
        return []
    last = months[-1]
    cursor = connection.execute(
        "with by_month as ("
        " select rep_name, commission_month, sum(payout) as payout from marts.commission_payouts"
        " where commission_month >= %(from)s and commission_month <= %(last)s"
        " group by rep_name, commission_month),"
        " balances as (select distinct on (payee_id, product_line_id) * from marts.commission_payouts"
        " where commission_month >= %(january)s and commission_month <= %(last)s"
        " order by payee_id, product_line_id, commission_month desc)"
        " select rep_name, array(select coalesce((select payout from by_month as m"
        " where m.rep_name = r.rep_name and m.commission_month = wanted), 0)"
        " from unnest(%(months)s::date[]) with ordinality as w (wanted, place) order by place),"
        " coalesce(sum(payout) filter (where commission_month >= %(january)s), 0),"
        " coalesce((select sum(releasable_balance) from balances as b where b.rep_name = r.rep_name), 0),"
        " coalesce((select sum(no_threshold_balance) from balances as b where b.rep_name = r.rep_name), 0)"
        " from by_month as r group by rep_name order by 3 desc, 1",
        {
            "from": min(months[0], last.replace(month=1)),
            "january": last.replace(month=1),
            "last": last,
            "months": list(months),
        },
    )
    return [RepPayouts(name, tuple(paid), *amounts) for name, paid, *amounts in cursor]


def _last_complete(connection: psycopg.Connection) -> date | None:
    row = connection.execute("select month from marts.revenue_months where is_last_complete").fetchone()
    return row[0] if row else None


def _objectives(connection: psycopg.Connection, last: date | None, count: int) -> list[ObjectiveMonth]:
    cursor = connection.execute(
        "select month, sum(sales_actual), coalesce(sum(objective), 0) from marts.company_performance_monthly"
        " inner join marts.revenue_months using (month) where is_complete and month <= %s"
        " group by month order by month desc limit %s",
        [last, count],
    )
    return [ObjectiveMonth(*row) for row in reversed(cursor.fetchall())]


def _year_to_date(connection: psycopg.Connection, last: date | None) -> YearToDate | None:
    """Add up the complete months of the year; against the year before those that were whole there too."""
    if last is None:
        return None
    row = connection.execute(
        "with months as (select month, bool_and(is_comparable) over () as is_comparable"
        " from marts.revenue_months where is_complete and month >= %(january)s and month <= %(last)s)"
        " select min(month), coalesce(sum(sales_actual), 0), coalesce(sum(objective), 0),"
        " case when bool_and(is_comparable) then (select coalesce(sum(before.sales_actual), 0)"
        " from marts.company_performance_monthly as before"
        " inner join months on before.month = months.month - interval '1 year') end"
        " from months left join marts.company_performance_monthly using (month)",
        {"january": last.replace(month=1), "last": last},
    ).fetchone()
    assert row is not None
    first, sales, objective, before = row
    return YearToDate(first, last, sales, objective, before)


def _coming_in(connection: psycopg.Connection) -> list[tuple[date, str]]:
    cursor = connection.execute(
        "select month, case when sources_complete = 0 then 'every source' else waiting_for end"
        " from marts.revenue_months where state = 'coming_in' and waiting_for is not null"
        " and exists (select from marts.company_performance_monthly as sold"
        " where sold.month = revenue_months.month and sold.sales_actual <> 0) order by month"
    )
    return list(cursor)


def _no_threshold(connection: psycopg.Connection, last: date | None) -> list[NoThreshold]:
    if last is None:
        return []
    cursor = connection.execute(
        "select rep_name, product_line,"
        " (array_agg(cumulative_sales order by commission_month desc))[1],"
        " (array_agg(no_threshold_balance order by commission_month desc))[1] from marts.commission_payouts"
        " where threshold is null and commission_month >= %s and commission_month <= %s"
        " group by rep_name, product_line order by 4 desc, 3 desc, 1, 2",
        [last.replace(month=1), last],
    )
    return [NoThreshold(*row) for row in cursor]


def _uncredited(connection: psycopg.Connection) -> list[Uncredited]:
    cursor = connection.execute(
        "select reason, count(*), sum(sales_actual), (array_agg("
        "source_file || ', ' || source_sheet || ' row ' || source_row"
        " || ': ' || coalesce(territory, rep_named, 'no rep named')"
        " order by abs(sales_actual) desc, line_id))[1]"
        " from marts.uncredited_sales group by reason order by 2 desc"
    )
    return [Uncredited(*row) for row in cursor]
