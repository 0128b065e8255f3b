"""The definitions of the dashboards: what must hold in them, and that every card answers rightly."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml  # type: ignore[import-untyped]

from shs_pipeline.access import drop_logins, sync_logins
from shs_pipeline.dashboards.model import (
    Audience,
    Card,
    Dashboard,
    dashboards_for,
    load_dashboards,
    read_dashboards,
    render_sql,
)
from shs_pipeline.errors import ShsError
from shs_pipeline.preview.viewer import Viewer, find_viewer
from shs_pipeline.secret_store import FileSecrets
from shs_pipeline.sources import NAMES as SOURCES

if TYPE_CHECKING:
    from tests.conftest import Zone

REP = "Dana Whitfield"
AUDIENCES: tuple[Audience, ...] = ("rep", "admin")
PLACE = {"col": 0, "width": 12, "height": 4}
SQL = "select rep_name, year from lines where true [[and year = {{year}}]] [[and rep_name = {{ rep }}]]"
SMALL = """
key: small
title: Small
description: A small one.
order: 1
filters:
  - {key: year, title: Year, kind: year, blank: latest}
  - {key: rep, title: Rep, kind: category, blank: all, audience: [admin]}
cards:
  - key: lines
    title: Lines
    description: By commission month.
    calendar: commission
    display: table
    sql: |
      select rep_name, year from lines
      where true [[and year = {{year}}]] [[and rep_name = {{ rep }}]] and name like '5%'
    columns: {rep_name: Rep, year: [Year, integer]}
    place: {row: 0, col: 0, width: 12, height: 4}
    empty: There is none.
"""


def small(**changes: Any) -> dict[str, Any]:
    """The small definition with other values, by path: `cards__0__sql`."""
    content: dict[str, Any] = yaml.safe_load(SMALL)
    for path, value in changes.items():
        *steps, last = [int(step) if step.isdigit() else step for step in path.split("__")]
        found: Any = content
        for step in steps:
            found = found[step]
        found[last] = value
    return content


def read(content: dict[str, Any]) -> Dashboard:
    return read_dashboards({"small.yml": yaml.safe_dump(content)})[0]


# --- what must hold ------------------------------------------------------------------------


def test_there_are_the_six_dashboards_in_order() -> None:
    assert [one.key for one in load_dashboards()] == [
        "sales_performance", "commission_report", "payout_explained", "sales_history", "admin", "explore",
    ]  # fmt: skip
    assert "admin" not in [one.key for one in dashboards_for("rep")]


def test_sales_history_has_a_tab_for_each_source() -> None:
    (history,) = [one for one in load_dashboards() if one.key == "sales_history"]

    assert [tab.key for tab in history.tabs] == list(SOURCES)
    assert [card.tab for card in history.cards] == list(SOURCES)


def test_only_marts_are_asked() -> None:
    for card in every_card():
        relations = [word for word in card.sql.replace("(", " ").split() if "." in word]
        for schema in ("raw.", "ops.", "reference.", "staging.", "intermediate.", "candidate."):
            assert not [word for word in relations if word.startswith(schema)], card.key


def test_a_rep_gets_no_filter_and_no_clause_of_admins() -> None:
    for dashboard in dashboards_for("rep"):
        assert "rep" not in [one.key for one in dashboard.filters]
        for card in dashboard.cards:
            assert "rep" not in card.tags
            assert "company_performance" not in card.sql
            assert "margin" not in card.sql


def every_card() -> list[Card]:
    return [card for who in AUDIENCES for one in dashboards_for(who) for card in one.cards]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cards__0__sql": "select 1 from lines [[where a = {{month}}]]"}, "filters.year: no card uses it"),
        ({"cards__0__sql": SQL + "[[and {{month}} = 1]]"},
         "cards.lines.sql: month is none of the filters"),
        ({"filters__0__key": "Year"}, "filters.Year.key: String should match"),
        ({"cards__0__place": {"row": 0, "col": 20, "width": 8, "height": 4}}, "cards.lines: place: it ends"),
        ({"cards__0__description": "All of it."}, "cards.lines: description: it must say that it counts by"),
        ({"cards__0__colour": "red"}, "cards.lines.colour: Extra inputs are not permitted"),
        ({"cards__0__display": "pie"}, "cards.lines.display: Input should be"),
        ({"cards__0__display": "bar"}, "cards.lines: chart: the display bar needs one"),
        ({"cards__0__chart": {"y": ["sales"]}}, "cards.lines: columns: there is no column sales"),
        ({"cards__0__tab": "first"}, "cards.lines.tab: first is none of the tabs"),
        ({"cards__0__uses": ["figures"]}, "cards.lines.uses: there is no common query figures"),
        ({"cards__0__sql": "select [[{{year}}"}, "cards.lines: the SQL holds a [[ without its other half"),
        ({"cards__0__sql": "select [[1]]"}, "cards.lines: the optional clause [[1]] names no filter"),
        ({"cards__0__sql": "select {{year}} [[and {{rep}}]]"}, "cards.lines.sql: year stands outside [[ ]]"),
        ({"cards__0__click": {"dashboard": "other", "columns": {"year": {}}}},
         "cards.lines.click: there is no dashboard other"),
        ({"cards__0__click": {"dashboard": "small", "columns": {"year": {"month": "{year}"}}}},
         "cards.lines.click: small has no filter month"),
        ({"cards__0__click": {"dashboard": "small", "columns": {"year": {"year": "{month}"}}}},
         "cards.lines: columns: there is no column month"),
        ({"order": "first"}, "order: Input should be a valid integer"),
    ],
)  # fmt: skip
def test_a_wrong_definition_is_refused_with_file_and_key(changes: dict[str, Any], said: str) -> None:
    read(small())

    with pytest.raises(ShsError) as caught:
        read(small(**changes))

    assert "small.yml is wrong: " + said in caught.value.problem
    assert caught.value.remedy == "Correct shs_pipeline/dashboards/small.yml."


def test_cards_that_overlap_are_refused_unless_nobody_sees_both() -> None:
    content = small()
    content["cards"].append({**content["cards"][0], "key": "more", "audience": ["admin"]})
    with pytest.raises(ShsError, match=r"cards\.more\.place: it overlaps lines"):
        read(content)

    content["cards"][0]["audience"] = ["rep"]
    assert len(read(content).cards) == 2


def test_rows_that_an_audience_does_not_fill_are_closed() -> None:
    content = small()
    content["cards"][0]["audience"] = ["admin"]
    content["cards"].append({**small()["cards"][0], "key": "more", "place": {**PLACE, "row": 4}})
    dashboard = read(content)

    assert [card.place.row for card in dashboard.for_audience("admin").cards] == [0, 4]
    assert [card.place.row for card in dashboard.for_audience("rep").cards] == [0]


def test_no_yaml_is_refused() -> None:
    with pytest.raises(ShsError, match=r"small\.yml is wrong"):
        read_dashboards({"small.yml": "key: [1"})
    with pytest.raises(ShsError, match="it holds no mapping"):
        read_dashboards({"small.yml": "- 1"})


def test_two_files_may_not_have_one_key() -> None:
    with pytest.raises(ShsError, match=r"b\.yml|a\.yml"):
        read_dashboards({"a.yml": SMALL, "b.yml": SMALL})


# --- SQL -----------------------------------------------------------------------------------


def test_values_become_parameters_and_clauses_without_one_are_dropped() -> None:
    (card,) = read(small()).cards

    statement, values = render_sql(card, {"year": 2025, "rep": None})

    assert "and year = %(year)s" in statement
    assert "rep_name =" not in statement
    assert "like '5%%'" in statement
    assert values == {"year": 2025}


def test_a_value_is_never_part_of_the_sql() -> None:
    (card,) = read(small()).cards

    statement, values = render_sql(card, {"rep": "x' or true --"})

    assert "or true" not in statement
    assert values == {"rep": "x' or true --"}


@pytest.mark.parametrize(
    ("kind", "typed", "value"),
    [
        ("year", " 2025 ", 2025),
        ("month", "2025-03", "2025-03"),
        ("text", " a  b ", "a b"),
        ("year", "", None),
    ],
)
def test_filters_read_what_is_typed(kind: str, typed: str, value: object) -> None:
    (one, _) = read(small(filters__0__kind=kind)).filters

    assert one.parse(typed) == value


@pytest.mark.parametrize(
    ("kind", "typed"),
    [("year", "25"), ("year", "2025 or 1=1"), ("month", "2025-13"), ("month", "2025-03'"), ("text", "a\0b"),
     ("text", "x" * 201)],
)  # fmt: skip
def test_filters_refuse_what_is_no_such_value(kind: str, typed: str) -> None:
    (one, _) = read(small(filters__0__kind=kind)).filters

    with pytest.raises(ShsError, match="Year"):
        one.parse(typed)


# --- the answers ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people(built: Zone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Audience, Viewer]]:
    """A rep and the first admin, with logins of their own."""
    secrets = FileSecrets(tmp_path_factory.mktemp("secrets") / "secrets.json")
    with psycopg.connect(built.database_url, autocommit=True) as owner:
        sync_logins(owner, secrets)
        yield {
            "rep": find_viewer(owner, secrets, built.database_url, REP),
            "admin": find_viewer(owner, secrets, built.database_url, None),
        }
        drop_logins(owner, secrets)


def answers(viewer: Viewer, key: str, card: str, **values: Any) -> list[dict[str, Any]]:
    """The rows of a card as mappings."""
    (dashboard,) = [one for one in dashboards_for(viewer.audience) if one.key == key]
    (found,) = [one for one in dashboard.cards if one.key == card]
    with viewer.reading() as connection:
        statement, parameters = render_sql(found, values)
        cursor = connection.execute(statement.encode(), parameters)
        assert [column.name for column in cursor.description or ()] == list(found.columns)
        return [dict(zip(found.columns, row, strict=True)) for row in cursor]


@pytest.mark.parametrize("audience", AUDIENCES)
def test_every_card_answers_with_and_without_filters(
    people: dict[Audience, Viewer], audience: Audience
) -> None:
    chosen = {"year": 2025, "month": "2025-02", "product_line": "Cygnus", "rep": REP, "source": "cygnus",
              "search": "a"}  # fmt: skip
    silent = []
    for dashboard in dashboards_for(audience):
        for card in dashboard.cards:
            rows = answers(people[audience], dashboard.key, card.key)
            answers(people[audience], dashboard.key, card.key, **chosen)
            # A rep need not have a line of every source.
            if not rows and not (audience == "rep" and card.key.startswith("lines_of_")):
                silent.append(card.key)
    assert not silent


@pytest.mark.parametrize("audience", AUDIENCES)
def test_every_filter_offers_choices(people: dict[Audience, Viewer], audience: Audience) -> None:
    with people[audience].reading() as connection:
        for dashboard in dashboards_for(audience):
            for one in dashboard.filters:
                if one.choices_sql:
                    assert connection.execute(one.choices_sql.encode()).fetchall(), one.key


def test_the_totals_of_the_commission_report_are_those_of_the_mart(
    built: Zone, people: dict[Audience, Viewer]
) -> None:
    everybody = built.query("select sum(payout) from marts.commission_payouts")[0][0]
    own = built.query("select sum(payout) from marts.commission_payouts where rep_name = %s", REP)[0][0]
    january = built.query(
        "select sum(payout) from marts.commission_payouts where commission_month = '2025-01-01'"
        " and product_line = 'Cygnus'"
    )[0][0]

    by_line = answers(people["admin"], "commission_report", "payout_by_month")
    assert by_line[-1]["product_line"] == "Total"
    assert by_line[-1]["total"] == everybody > 0
    assert {row["product_line"]: row["january"] for row in by_line}["Cygnus"] == january
    assert answers(people["admin"], "commission_report", "payout_by_rep")[-1]["total"] == everybody
    assert answers(people["rep"], "commission_report", "payout_by_month")[-1]["total"] == own
    chosen = answers(people["admin"], "commission_report", "payout_by_month", rep=REP)
    assert chosen[-1]["total"] == own


def test_the_thresholds_say_what_is_missing(built: Zone, people: dict[Audience, Viewer]) -> None:
    rows = answers(people["admin"], "commission_report", "tiers")

    assert sum(row["deferred_balance"] for row in rows) == sum(
        row["deferred_balance"] for row in answers(people["admin"], "commission_report", "waiting")
    )
    assert {row["tier"] for row in rows} >= {"tier 1", "tier 2 open", "no threshold"}
    for row in rows:
        if row["tier"] == "tier 1":
            missing = row["threshold"] - row["cumulative_sales"]
            assert row["missing_to_tier_2"] == missing > 0
        else:
            assert row["missing_to_tier_2"] is None


def test_sales_performance_is_the_company_for_admins_and_the_own_for_reps(
    built: Zone, people: dict[Audience, Viewer]
) -> None:
    company = built.query(
        "select sum(sales_actual), sum(rev_actual), sum(rev_actual) from marts.harmonised_sales"
        " where revenue_month >= '2025-01-01'"
    )[0]
    paid = built.query("select sum(payout) from marts.commission_payouts")[0][0]
    own = built.query(
        "select sum(sales_actual) from marts.harmonised_sales"
        " where revenue_month >= '2025-01-01' and rep_name = %s",
        REP,
    )[0][0]
    admin, rep = people["admin"], people["rep"]

    assert answers(admin, "sales_performance", "sales_admin", year=2025)[-1]["sales_actual"] == company[0]
    assert answers(admin, "sales_performance", "margin", year=2025)[-1]["margin"] == company[1] - paid
    assert answers(rep, "sales_performance", "sales_rep", year=2025)[-1]["sales_actual"] == own
    chosen = answers(admin, "sales_performance", "sales_admin", year=2025, rep=REP)
    assert chosen[-1]["sales_actual"] == own


def test_the_change_is_against_the_same_months_of_the_year_before(
    built: Zone, people: dict[Audience, Viewer]
) -> None:
    last = built.query(
        "select max(month) from marts.company_performance_monthly"
        " where month >= '2025-01-01' and (sales_actual <> 0 or payout <> 0)"
    )[0][0]
    before = built.query(
        "select sum(sales_actual) from marts.company_performance_monthly"
        " where month >= '2024-01-01' and month <= %s",
        date(2024, last.month, 1),
    )[0][0]

    rows = answers(people["admin"], "sales_performance", "sales_admin", year=2025)

    assert [row["year"] for row in rows] == [date(2024, 1, 1), date(2025, 1, 1)]
    assert rows[0]["sales_actual"] == before


def test_the_lines_behind_a_payout_add_up_to_it(people: dict[Audience, Viewer]) -> None:
    cells = answers(people["admin"], "commission_report", "payout_by_month", rep=REP)
    for row in [row for row in cells if row["linked_product_line"] and row["february"] is not None]:
        values = {"month": "2025-02", "product_line": row["linked_product_line"], "rep": REP}
        lines = answers(people["admin"], "payout_explained", "lines", **values)
        assert sum((line["amount_paid"] for line in lines), Decimal(0)) == row["february"]
        assert answers(people["admin"], "payout_explained", "paid", **values) == [{"payout": row["february"]}]


@pytest.mark.parametrize("audience", AUDIENCES)
def test_sales_history_shows_each_line_once(
    built: Zone, people: dict[Audience, Viewer], audience: Audience
) -> None:
    for source in SOURCES:
        lines = built.query(
            "select count(*) from marts.harmonised_sales where source = %s and (%s or rep_name = %s)",
            source, audience == "admin", REP,
        )[0][0]  # fmt: skip
        rows = answers(people[audience], "sales_history", f"lines_of_{source}")
        assert len(rows) == lines


def test_a_search_finds_a_customer_in_any_case(built: Zone, people: dict[Audience, Viewer]) -> None:
    found = answers(people["admin"], "sales_history", "lines_of_cygnus")
    name = found[0]["cust_name"]

    rows = answers(people["admin"], "sales_history", "lines_of_cygnus", search=name.upper())

    assert rows
    assert all(name.lower() in str(row).lower() for row in rows)
    assert not answers(people["admin"], "sales_history", "lines_of_cygnus", search="Nobody's Clinic 4711")


def test_a_rep_cannot_ask_the_admins_questions(people: dict[Audience, Viewer]) -> None:
    for dashboard in dashboards_for("admin"):
        for card in dashboard.cards:
            if card.audience == {"admin"} and "company_performance" in card.sql + card.key:
                statement, parameters = render_sql(card, {})
                with (
                    people["rep"].reading() as connection,
                    pytest.raises(psycopg.errors.InsufficientPrivilege),
                ):
                    connection.execute(statement.encode(), parameters)


def test_whatever_a_rep_is_shown_by_the_admins_questions_is_the_own(
    people: dict[Audience, Viewer],
) -> None:
    # Row-level security decides, and not which definition somebody gets hold of.
    with people["rep"].reading() as connection:
        for dashboard in dashboards_for("admin"):
            for card in dashboard.cards:
                names = [name for name in card.columns if name == "rep_name"]
                statement, parameters = render_sql(card, {})
                try:
                    with connection.transaction():
                        rows = connection.execute(statement.encode(), parameters).fetchall()
                except psycopg.errors.InsufficientPrivilege:
                    continue
                place = list(card.columns).index("rep_name") if names else None
                if place is not None:
                    assert {row[place] for row in rows} <= {REP, "Total"}, card.key
