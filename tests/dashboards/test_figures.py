"""The figures of the dashboards in small made-up worlds, against figures computed by hand.

In each the last month is unfinished, as it always is in practice: 6 % of its sales are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from shs_pipeline.dashboards.model import Audience, render_sql
from shs_pipeline.dashboards.reading import dashboards_for

if TYPE_CHECKING:
    from tests.conftest import Zone

ANA, BEN = "Ana Bell", "Ben Ortiz"
FILLERS: dict[str, Any] = {
    "text": "x",
    "date": date(2026, 1, 1),
    "timestamp with time zone": date(2026, 1, 1),
    "boolean": False,
}
"""What stands in a column that must hold something and does not matter."""


@dataclass
class World:
    """The marts with the rows of a test alone, within a transaction that is rolled back."""

    owner: psycopg.Connection
    columns: dict[str, list[tuple[str, str, bool]]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    def add(self, mart: str, **values: Any) -> None:
        columns = self._columns(mart)
        required = {name: FILLERS.get(kind, 0) for name, kind, is_required in columns if is_required}
        names = {"payee_id": values.get("rep_name"), "product_line_id": values.get("product_line")}
        ids = {column: names[column] for column, *_ in columns if names.get(column) is not None}
        if "credit_id" in required:
            ids["credit_id"] = f"line {next(self.numbers)}"
        row = {**required, **ids, **values}
        self.owner.execute(
            sql.SQL("insert into marts.{} ({}) values ({})").format(
                sql.Identifier(mart),
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(sql.Placeholder() * len(row)),
            ),
            list(row.values()),
        )

    def _columns(self, mart: str) -> list[tuple[str, str, bool]]:
        if mart not in self.columns:
            self.columns[mart] = self.owner.execute(
                "select column_name, data_type, is_nullable = 'NO' from information_schema.columns"
                " where table_schema = 'marts' and table_name = %s",
                (mart,),
            ).fetchall()
        return self.columns[mart]

    def months(self, first: date, complete: int, coming_in: int, before_start: int = 0) -> None:
        """Consecutive revenue months: before the first file, complete, and unfinished ones."""
        states = ["before_start"] * before_start + ["complete"] * complete + ["coming_in"] * coming_in
        for number, state in enumerate(states):
            is_comparable = number >= 12 and state == states[number - 12] == "complete"
            self.add(
                "revenue_months", month=later(first, number), state=state, is_complete=state == "complete",
                is_last_complete=state == "complete" and states[number + 1 : number + 2] != ["complete"],
                is_comparable=is_comparable,
            )  # fmt: skip

    def sold(self, month: date, sales: int, objective: int | None, payout: int, *, line: str = "Cygnus",
             rep: str = ANA) -> None:  # fmt: skip
        """A month of a rep and of the company, whose revenue is a tenth of its sales."""
        figures = {"product_line": line, "month": month, "sales_actual": sales, "payout": payout,
                   "commission": payout,
                   "rev_actual": Decimal(sales) / 10, "objective": objective}  # fmt: skip
        self.add("sales_performance_monthly", rep_name=rep, **figures)
        self.add("company_performance_monthly", **figures)

    def rows(
        self, dashboard: str, card: str, audience: Audience = "admin", **values: Any
    ) -> list[dict[str, Any]]:
        (page,) = [one for one in dashboards_for(audience) if one.key == dashboard]
        (found,) = [one for one in page.cards if one.key == card]
        statement, parameters = render_sql(found, values)
        cursor = self.owner.execute(statement.encode(), parameters)
        assert [column.name for column in cursor.description or ()] == list(found.columns)
        return [dict(zip(found.columns, row, strict=True)) for row in cursor.fetchall()]


def later(month: date, months: int) -> date:
    years, number = divmod(month.month - 1 + months, 12)
    return date(month.year + years, number + 1, 1)


@pytest.fixture
def world(built: Zone) -> Iterator[World]:
    with psycopg.connect(built.database_url) as owner:
        tables = owner.execute(
            "select string_agg(format('marts.%I', tablename), ', ') from pg_tables"
            " where schemaname = 'marts' and tablename not in ('people', 'publications')"
        ).fetchone()
        assert tables is not None
        owner.execute(f"truncate {tables[0]}".encode())
        yield World(owner)
        owner.rollback()


@pytest.fixture
def unfinished(world: World) -> World:
    """Two years; the revenue of January and February 2026 is complete, that of March has just begun."""
    world.months(date(2024, 12, 1), complete=15, coming_in=10)
    for month, sales, payout in ((1, 100, 9), (2, 200, 18), (3, 300, 27), (4, 400, 36)):
        world.sold(date(2025, month, 1), sales, objective=150, payout=payout)
    for month, sales, objective, payout in (
        (1, 110, 100, 10),
        (2, 220, 200, 20),
        (3, 18, 300, 30),
        (4, 0, 400, 1),
    ):
        world.sold(date(2026, month, 1), sales, objective, payout)
    for month in range(5, 13):
        world.sold(date(2026, month, 1), 0, objective=500, payout=0)
    return world


# --- sales performance: nothing unfinished is held against anything whole ------------------


@pytest.mark.parametrize("audience", ["rep", "admin"])
def test_year_to_date_ends_with_the_last_complete_month(unfinished: World, audience: Audience) -> None:
    sales = unfinished.rows("sales_performance", f"sales_{audience}", audience)
    revenue = unfinished.rows("sales_performance", f"revenue_{audience}", audience)
    (attained,) = unfinished.rows("sales_performance", f"attainment_{audience}", audience)

    assert [(row["period"], row["sales_actual"]) for row in sales] == [
        ("January to February 2025", 300), ("January to February 2026", 330),
    ]  # fmt: skip
    assert [row["rev_actual"] for row in revenue] == [30, 33]
    assert (attained["sales_actual"], attained["objective"]) == (330, 300)


def test_payouts_go_up_to_the_last_complete_commission_month(unfinished: World) -> None:
    # March's sales are unfinished, but all files of the commission month March are there; not those of April.
    rows = unfinished.rows("sales_performance", "payout_admin")

    assert [(row["period"], row["payout"]) for row in rows] == [
        ("January to March 2025", 54), ("January to March 2026", 60),
    ]  # fmt: skip


def test_the_margin_takes_revenue_and_commission_of_the_same_complete_months(unfinished: World) -> None:
    rows = unfinished.rows("sales_performance", "margin")

    assert [row["margin"] for row in rows] == [30 - 27, 33 - 30]


def test_an_unfinished_month_is_drawn_apart_from_complete_ones(unfinished: World) -> None:
    rows = {row["month"].month: row for row in unfinished.rows("sales_performance", "sales_by_month_admin")}

    assert [(rows[month]["sales_actual"], rows[month]["incomplete"]) for month in (2, 3, 4, 5)] == [
        (220, None), (None, 18), (None, 0), (None, None),
    ]  # fmt: skip
    assert rows[12]["objective"] == 500


def test_the_months_have_sums_of_complete_and_of_unfinished_ones_apart(unfinished: World) -> None:
    rows = {row["label"]: row for row in unfinished.rows("sales_performance", "monthly_table_admin")}
    whole, open_, both = (
        rows[name] for name in ("Total of complete months", "Still coming in", "Year so far")
    )

    assert (rows["Feb 2026"]["state"], rows["Feb 2026"]["attainment"]) == ("complete", Decimal("1.1"))
    assert (rows["Mar 2026"]["state"], rows["Mar 2026"]["row_kind"]) == ("still coming in", "coming in")
    assert (rows["Mar 2026"]["attainment"], rows["Mar 2026"]["margin"]) == (None, None)
    assert (rows["May 2026"]["state"], rows["May 2026"]["sales_actual"]) == ("not begun", None)
    assert (whole["sales_actual"], whole["objective"], whole["attainment"]) == (330, 300, Decimal("1.1"))
    assert (whole["payout"], whole["margin"], whole["row_kind"]) == (30, 3, "total")
    assert (open_["sales_actual"], open_["attainment"], open_["margin"]) == (18, None, None)
    assert (both["sales_actual"], both["payout"], both["attainment"]) == (348, 61, None)
    assert (whole["first_key"], whole["last_key"]) == ("2026-01", "2026-02")


def test_product_lines_are_held_against_their_own_complete_months(unfinished: World) -> None:
    for month, sales in ((date(2025, 1, 1), 50), (date(2026, 2, 1), 40), (date(2026, 3, 1), 7)):
        unfinished.sold(month, sales, objective=80, payout=0, line="Novo")

    cygnus, novo, total = unfinished.rows("sales_performance", "product_lines_admin")

    assert (cygnus["sales_actual"], cygnus["sales_before"], cygnus["change"]) == (330, 300, Decimal("0.1"))
    assert (novo["sales_actual"], novo["objective"], novo["attainment"]) == (40, 80, Decimal("0.5"))
    assert (novo["sales_before"], novo["change"]) == (50, Decimal("-0.2"))
    assert (total["product_line"], total["sales_actual"], total["sales_before"]) == ("Total", 370, 350)
    assert (total["attainment"], total["linked_product_line"]) == (round(Decimal(370) / 380, 6), None)
    assert total["period"] == "January to February 2026"
    bars = unfinished.rows("sales_performance", "sales_by_product_line_admin")
    assert [(row["product_line"], row["sales_actual"]) for row in bars] == [("Cygnus", 330), ("Novo", 40)]


def test_a_year_without_a_complete_month_compares_nothing(unfinished: World) -> None:
    unfinished.sold(date(2027, 1, 1), 5, objective=100, payout=0)

    for card in ("sales_admin", "revenue_admin", "margin", "attainment_admin", "product_lines_admin"):
        assert unfinished.rows("sales_performance", card, year=2027) == [], card


def test_the_latest_year_is_the_one_with_a_complete_month(world: World) -> None:
    world.months(date(2024, 12, 1), complete=13, coming_in=2)
    for month, sales in ((date(2025, 12, 1), 100), (date(2026, 1, 1), 6)):
        world.sold(month, sales, objective=100, payout=1)

    assert world.rows("sales_performance", "sales_admin")[-1]["period"] == "January to December 2025"


def test_a_year_that_began_before_the_first_file_is_compared_with_nothing(world: World) -> None:
    # The first file is of March 2025: it brought some late sales of January and February along.
    world.months(date(2025, 1, 1), complete=13, coming_in=2, before_start=2)
    for number in range(16):
        world.sold(later(date(2025, 1, 1), number), 100, objective=100, payout=5)

    first = world.rows("sales_performance", "sales_admin", year=2025)
    second = world.rows("sales_performance", "sales_admin", year=2026)
    months = {row["label"]: row for row in world.rows("sales_performance", "monthly_table_admin", year=2025)}

    assert [(row["period"], row["sales_actual"]) for row in first] == [("March to December 2025", 1000)]
    # January to March 2026, of which only March has a complete month a year before.
    assert [(row["period"], row["sales_actual"]) for row in second] == [("January to March 2026", 300)]
    assert (months["Feb 2025"]["state"], months["Feb 2025"]["attainment"]) == ("before the first file", None)


def test_nothing_is_complete_in_a_new_installation(world: World) -> None:
    world.months(date(2026, 1, 1), complete=0, coming_in=3, before_start=1)
    world.sold(date(2026, 2, 1), 100, objective=100, payout=5)

    assert world.rows("sales_performance", "sales_admin") == []
    assert {
        row["state"]
        for row in world.rows("sales_performance", "monthly_table_admin")
        if row["label"] == "Feb 2026"
    } == {"still coming in"}
    (facts,) = world.rows("sales_performance", "as_of")
    assert (facts["sales_through"], facts["coming_in"]) == (None, "every month")


def test_every_page_says_how_far_its_figures_go(unfinished: World) -> None:
    for audience in ("rep", "admin"):
        for dashboard in dashboards_for(audience):  # type: ignore[arg-type]
            (facts,) = unfinished.rows(dashboard.key, "as_of", audience)  # type: ignore[arg-type]
            assert facts["published_at"] is not None
            assert (facts["sales_through"], facts["payouts_through"]) == (date(2026, 2, 1), date(2026, 3, 1))
            assert facts["coming_in"] == "sales from March 2026, payouts from April 2026"


def test_explore_gives_unfinished_months_no_attainment_and_no_margin(unfinished: World) -> None:
    unfinished.owner.execute("update marts.sales_performance_monthly set attainment = 1")
    unfinished.owner.execute("update marts.company_performance_monthly set attainment = 1, shs_margin = 5")
    own = {row["month"]: row for row in unfinished.rows("explore", "sales_performance_monthly")}
    all_ = {row["month"]: row for row in unfinished.rows("explore", "company_performance_monthly")}

    february, march = date(2026, 2, 1), date(2026, 3, 1)
    assert (own[february]["attainment"], own[march]["attainment"], own[march]["state"]) == (
        1,
        None,
        "coming in",
    )
    assert (all_[february]["shs_margin"], all_[march]["shs_margin"]) == (5, None)


# --- the commission report -----------------------------------------------------------------


def pay(world: World, month: date, payout: int, *, rep: str = ANA, line: str = "Cygnus",
        threshold: int | None = 1000, tier: int = 1, diff: int = 0, balance: int = 0, released: int = 0,
        cumulative: int = 0, since: date | None = None) -> None:  # fmt: skip
    """A payout; of its difference all is held back in tier 1."""
    world.add(
        "commission_payouts", rep_name=rep, product_line=line, commission_month=month, payout=payout,
        threshold=threshold, tier=tier, tier_2_month=since, commission_tier_2_diff=diff,
        commission_tier_1=payout - released - (diff if tier == 2 else 0), deferred=diff if tier == 1 else 0,
        released=released, deferred_balance=balance, cumulative_sales=cumulative,
        releasable_balance=0 if threshold is None else balance,
        no_threshold_balance=balance if threshold is None else 0,
    )  # fmt: skip


@pytest.fixture
def paid(world: World) -> World:
    """Payouts of two years; the commission months up to March 2026 are complete, April has just begun."""
    world.months(date(2024, 12, 1), complete=15, coming_in=10)
    for month, amount in ((1, 9), (2, 18), (3, 27), (4, 36)):
        pay(world, date(2025, month, 1), amount, balance=40)
    for month, amount in ((1, 10), (2, 20), (3, 30), (4, 1)):
        pay(world, date(2026, month, 1), amount, balance=7, cumulative=400)
    pay(world, date(2026, 3, 1), 5, line="Novo", threshold=None, balance=90, cumulative=5000)
    pay(world, date(2026, 3, 1), 6, line="Ternio", tier=2, since=date(2026, 2, 1), cumulative=2000)
    return world


def test_paid_this_year_compares_complete_commission_months_only(paid: World) -> None:
    year = paid.rows("commission_report", "payout_to_date")
    latest = paid.rows("commission_report", "payout_last_month")

    assert [(row["period"], row["payout"]) for row in year] == [
        ("January to March 2025", 54), ("January to March 2026", 71),
    ]  # fmt: skip
    assert [(row["period"], row["payout"]) for row in latest] == [("February 2026", 20), ("March 2026", 41)]


def test_an_unfinished_commission_month_is_pale_in_table_and_chart(paid: World) -> None:
    rows = paid.rows("commission_report", "payout_by_month")
    parts = paid.rows("commission_report", "payout_parts")

    assert {row["coming_in"] for row in rows} == {"april"}
    assert [row["total"] for row in rows] == [61, 5, 6, 72]
    assert {row["part"] for row in parts if row["commission_month"] == date(2026, 4, 1)} == {
        "Still coming in"
    }
    assert "Still coming in" not in {row["part"] for row in parts if row["commission_month"].month < 4}


def test_deferred_is_only_what_can_be_released(paid: World) -> None:
    assert paid.rows("commission_report", "waiting") == [{"waiting": 7}]
    assert paid.rows("commission_report", "no_threshold") == [{"no_threshold_balance": 90}]
    assert paid.rows("commission_report", "in_tier_2") == [{"in_tier_2": 1, "product_lines": 2}]


def test_the_thresholds_keep_the_three_kinds_apart(paid: World) -> None:
    cygnus, novo, ternio, total = paid.rows("commission_report", "tiers")

    assert (cygnus["tier"], cygnus["waiting"], cygnus["missing_to_tier_2"]) == ("tier 1", 7, 600)
    assert (novo["tier"], novo["waiting"], novo["no_threshold_balance"]) == ("no threshold", 0, 90)
    assert (novo["missing_to_tier_2"], novo["threshold"]) == (None, None)
    assert (ternio["tier"], ternio["tier_2_month"]) == ("tier 2 open", date(2026, 2, 1))
    assert (total["row_kind"], total["waiting"], total["no_threshold_balance"]) == ("total", 7, 90)


def test_what_a_finished_year_leaves_below_its_threshold_waits_no_more(paid: World) -> None:
    assert paid.rows("commission_report", "waiting", year=2025) == [{"waiting": 0}]
    row, total = paid.rows("commission_report", "tiers", year=2025)
    assert (row["tier"], row["waiting"], row["lapsed"], total["lapsed"]) == ("not reached", 0, 40, 40)


@pytest.fixture
def stated(paid: World) -> World:
    """January 2026 is closed and changed since, by 2 until February closed and by -3 since; March is open."""
    for month, state in ((1, "closed"), (2, "closed"), (3, "open"), (4, "open")):
        paid.add("pay_periods", pay_period=date(2026, month, 1), state=state, pay_date=None)
    restated = {"rep_name": ANA, "product_line": "Cygnus", "kind": "restated"}
    for month, number, amount in ((2, "2026-02-A-1", 2), (3, None, -3)):
        period = date(2026, month, 1)
        paid.add("statement_items", **restated, number=number, amount=amount, pay_period=period,
                 earned_month=date(2026, 1, 1))  # fmt: skip
        paid.add("statement_items", **restated | {"kind": "earned"}, amount=20, pay_period=period,
                 earned_month=period)  # fmt: skip
    return paid


def test_a_closed_month_says_what_was_paid_and_restated_since(stated: World) -> None:
    rows = stated.rows("commission_report", "months")

    assert [
        (f"{row['commission_month']:%b}", row["state"], row["paid"], row["restated"], row["payout"])
        for row in rows
    ] == [
        ("Apr", "provisional", None, None, 1),
        ("Mar", "provisional", None, None, 41),
        ("Feb", "closed", 20, 0, 20),
        ("Jan", "closed", 11, -1, 10),
    ]
    # What is paid by another product line is none of Novo's.
    assert [row["month_key"] for row in stated.rows("commission_report", "months", product_line="Novo")] == [
        "2026-03"
    ]


def test_admins_see_what_holds_up_the_earliest_open_month_and_what_it_comes_to(stated: World) -> None:
    march, april = date(2026, 3, 1), date(2026, 4, 1)
    for month, subject, waivable, holding in (
        (march, "a", True, False), (march, "b", False, True), (april, "c", False, False),
    ):  # fmt: skip
        stated.add("close_checklist", pay_period=month, kind="missing", subject=subject,
                   problem=f"{subject} is missing.", is_waivable=waivable, is_holding=holding)  # fmt: skip
    for month, rep, due in ((march, ANA, 38), (march, BEN, -5), (april, ANA, 1)):
        stated.add("statements", payee_id=rep, rep_name=rep, pay_period=month, state="provisional",
                   earned=due, due=due, paid=max(due, 0), carried_forward=min(due, 0))  # fmt: skip

    listed = stated.rows("admin", "to_close")
    amounts = stated.rows("admin", "to_close_statements")

    assert [(row["period"], row["state"], row["problem"]) for row in listed] == [
        ("March 2026", "holds it up", "b is missing."),
        ("March 2026", "fix or note", "a is missing."),
    ]
    assert [(row["rep_name"], row["due"], row["paid"], row["carried_forward"]) for row in amounts] == [
        (ANA, 38, 38, 0), (BEN, -5, 0, -5), ("Total", 33, 38, -5),
    ]  # fmt: skip


def test_before_the_first_close_the_month_to_close_is_the_last_complete_one(paid: World) -> None:
    for month in (1, 2, 3, 4):
        period = date(2026, month, 1)
        paid.add("pay_periods", pay_period=period, state="open", pay_date=None)
        paid.add("close_checklist", pay_period=period, problem=f"{month}")

    assert [row["problem"] for row in paid.rows("admin", "to_close")] == ["3"]


def test_thresholds_to_set_are_a_task_for_admins(paid: World) -> None:
    pay(paid, date(2026, 2, 1), 1, rep=BEN, line="Novo", threshold=None, balance=3, cumulative=70)
    pay(paid, date(2025, 2, 1), 1, rep=BEN, line="Ternio", threshold=None, balance=8)
    paid.add("harmonised_sales", commission_month=date(2026, 4, 1), line_id="a")

    rows = paid.rows("admin", "thresholds_to_set")

    assert [(row["rep_name"], row["product_line"], row["no_threshold_balance"]) for row in rows] == [
        (ANA, "Novo", 90), (BEN, "Novo", 3), ("Total", None, 93),
    ]  # fmt: skip
    assert paid.rows("admin", "thresholds_count") == [{"to_set": 2}]


def test_top_movers_compare_complete_months_whatever_is_chosen(paid: World) -> None:
    for month, sales in ((2, 100), (3, 150), (4, 6)):
        paid.add("harmonised_sales", line_id=str(month), rep_name=ANA, product_line="Cygnus",
                 commission_month=date(2026, month, 1), sales_actual=sales)  # fmt: skip

    for values in ({}, {"month": "2026-04"}):
        (row,) = paid.rows("admin", "top_movers", **values)
        assert (row["period"], row["sales_before"], row["sales_actual"]) == ("March 2026", 100, 150)
    assert paid.rows("admin", "top_movers", month="2026-03") == [row]


def test_uncredited_sales_of_an_unfinished_month_are_pale(paid: World) -> None:
    for month in (3, 4):
        paid.add("harmonised_sales", line_id=str(month), credit_status="no_territory", sales_actual=10,
                 commission_month=date(2026, month, 1))  # fmt: skip

    rows = paid.rows("admin", "uncredited_by_month")

    assert [row["reason"] for row in rows] == ["no territory", "still coming in"]


# --- a payout, line by line ----------------------------------------------------------------


def line(world: World, key: str, product_line: str, month: date, rev: str, tier_1: str, diff: str, *,
         rate_1: str | None = "0.1", rate_2: str | None = "0.15") -> None:  # fmt: skip
    world.add(
        "harmonised_sales", line_id=key, source="cygnus", rep_name=ANA, product_line=product_line,
        credit_status="credited", customer=f"Clinic {key}", commission_month=month, revenue_month=month,
        revenue_date=month, sales_actual=Decimal(rev) * 10, rev_actual=Decimal(rev), tier_1_rate=rate_1,
        tier_2_rate=rate_2, commission_tier_1=Decimal(tier_1), commission_tier_2_diff=Decimal(diff),
    )  # fmt: skip


@pytest.fixture
def explained(world: World) -> World:
    """March 2026: Cygnus crosses and releases February's difference; Novo waits; Ternio has no threshold."""
    world.months(date(2024, 12, 1), complete=15, coming_in=10)
    february, march = date(2026, 2, 1), date(2026, 3, 1)
    line(world, "c1", "Cygnus", february, "100.00", "10.00", "5.00")
    line(world, "c2", "Cygnus", march, "200.00", "20.00", "10.00")
    line(world, "c3", "Cygnus", march, "-40.00", "-4.00", "-2.00")
    line(world, "n1", "Novo", march, "50.00", "5.00", "2.50")
    line(world, "n2", "Novo", march, "60.00", "6.00", "0.00", rate_2=None)
    line(world, "t1", "Ternio", march, "70.00", "7.00", "3.50")
    line(world, "u1", "Ternio", march, "80.00", "0.00", "0.00", rate_1=None, rate_2=None)
    pay(world, february, 10, diff=5, balance=5, cumulative=900)
    world.add("commission_payouts", rep_name=ANA, product_line="Cygnus", commission_month=march, tier=2,
              tier_2_month=march, threshold=1000, cumulative_sales=2600, commission_tier_1=16,
              commission_tier_2_diff=8, released=5, payout=29)  # fmt: skip
    world.add("commission_payouts", rep_name=ANA, product_line="Novo", commission_month=march, tier=1,
              threshold=45300, cumulative_sales=Decimal("4475.67"), commission_tier_1=11,
              commission_tier_2_diff=Decimal("2.5"), deferred=Decimal("2.5"), payout=11)  # fmt: skip
    world.add("commission_payouts", rep_name=ANA, product_line="Ternio", commission_month=march, tier=1,
              threshold=None, cumulative_sales=700, commission_tier_1=7,
              commission_tier_2_diff=Decimal("3.5"), deferred=Decimal("3.5"), payout=7)  # fmt: skip
    return world


def test_each_sale_line_is_one_row_with_all_that_becomes_of_it(explained: World) -> None:
    rows = {row["customer"]: row for row in explained.rows("payout_explained", "lines", month="2026-03")}
    amounts = ("commission_tier_1", "commission_tier_2_diff", "held_back", "amount_paid")

    found = {name: tuple(rows[f"Clinic {name}"][column] for column in amounts) for name in
             ("c1", "c2", "c3", "n1", "n2", "t1", "u1")}  # fmt: skip
    assert found == {
        "c1": (None, 5, 0, 5),
        "c2": (20, 10, 0, 30),
        "c3": (-4, -2, 0, -6),
        "n1": (5, Decimal("2.5"), Decimal("2.5"), 5),
        "n2": (6, 0, 0, 6),
        "t1": (7, Decimal("3.5"), Decimal("3.5"), 7),
        "u1": (0, 0, 0, 0),
    }
    assert {name: rows[f"Clinic {name}"]["explanation"] for name in found} == {
        "c1": "Released: held back in February, threshold reached now.",
        "c2": "Both paid: tier 2 open since March.",
        "c3": "Both paid: tier 2 open since March.",
        "n1": "Difference deferred: $4,475.67 of $45,300.00 sold.",
        "n2": "Tier 1 only: there is no tier 2 rate.",
        "t1": "Difference not paid: no threshold is set.",
        "u1": "Pays nothing: no commission rate is set.",
    }


def test_product_lines_have_sums_and_the_total_is_the_payout(explained: World) -> None:
    rows = explained.rows("payout_explained", "lines", month="2026-03")
    sums = [(row["product_line"], row["amount_paid"], row["held_back"]) for row in rows if row["row_kind"]]

    assert sums == [
        ("Cygnus, sum", 29, 0), ("Novo, sum", 11, Decimal("2.5")), ("Ternio, sum", 7, Decimal("3.5")),
        ("Total", 47, 6),
    ]  # fmt: skip
    assert [row["row_kind"] for row in rows][-2:] == ["subtotal", "total"]
    assert explained.rows("payout_explained", "paid", month="2026-03") == [{"payout": 47}]
    assert explained.rows("payout_explained", "sum_of_lines", month="2026-03") == [{"amount_paid": 47}]
    assert explained.rows("payout_explained", "payouts", month="2026-03")[-1]["payout"] == 47
    # What was sold in February is not sold again in March, when its tier 2 is released.
    assert rows[-1]["sales_actual"] == (200 - 40 + 50 + 60 + 70 + 80) * 10


def test_what_waits_and_what_nothing_releases_are_two_figures(explained: World) -> None:
    assert explained.rows("payout_explained", "deferred_now", month="2026-03") == [
        {"deferred": Decimal("2.5")}
    ]
    assert explained.rows("payout_explained", "no_threshold_now", month="2026-03") == [
        {"no_threshold": Decimal("3.5")}
    ]
    assert explained.rows("payout_explained", "released_now", month="2026-03") == [{"released": 5}]


def test_the_months_around_are_those_with_payouts_of_the_choice(explained: World) -> None:
    (all_,) = explained.rows("payout_explained", "months", month="2026-03")
    (novo,) = explained.rows("payout_explained", "months", month="2026-03", product_line="Novo")
    (first,) = explained.rows("payout_explained", "months", month="2026-02")

    assert (all_["previous_key"], all_["next_key"], all_["year"]) == ("2026-02", None, "2026")
    assert (novo["previous_key"], novo["next_key"]) == (None, None)
    assert (first["previous_key"], first["next_key"]) == (None, "2026-03")


# --- the sale lines behind a figure --------------------------------------------------------


def test_the_sale_lines_add_up_to_the_figure_that_leads_to_them(explained: World) -> None:
    values = {"first_month": "2026-02", "last_month": "2026-03"}
    (sums,) = explained.rows("sale_lines", "sales", **values)
    rows = explained.rows("sale_lines", "lines", **values)
    by_line = explained.rows("sale_lines", "product_lines", **values)

    assert (sums["sales_actual"], sums["sale_lines"]) == (sum(row["sales_actual"] for row in rows), len(rows))
    assert sums["period"] == "February 2026 to March 2026"
    assert by_line[-1]["sales_actual"] == sums["sales_actual"] == 5200
    assert [row["customer"] for row in explained.rows("sale_lines", "lines", "rep")] == ["Clinic c1"]
    assert explained.rows("sale_lines", "sales")[0]["period"] == "January 2026 to February 2026"
