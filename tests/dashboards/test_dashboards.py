"""The definitions of the dashboards: what must hold in them, and that every card answers rightly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml

from shs_pipeline.base.errors import ShsError
from shs_pipeline.dashboards.model import Audience, Card, Dashboard, render_sql
from shs_pipeline.dashboards.reading import dashboards_for, load_dashboards, read_dashboards
from shs_pipeline.ingest.overview import rejected_now
from shs_pipeline.landing.names import SOURCE_NAMES
from shs_pipeline.people.access import drop_logins, sync_logins
from shs_pipeline.preview.viewer import Viewer, find_viewer
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.settings.secret_store import FileSecrets

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


def test_there_are_the_eight_dashboards_in_order() -> None:
    assert [one.key for one in load_dashboards()] == [
        "my_statement", "sales_performance", "commission_report", "payout_explained", "sale_lines",
        "sales_history", "admin", "explore",
    ]  # fmt: skip
    assert "admin" not in [one.key for one in dashboards_for("rep")]


def test_sales_history_has_a_tab_for_each_source() -> None:
    (history,) = [one for one in load_dashboards() if one.key == "sales_history"]

    assert [tab.key for tab in history.tabs] == list(SOURCE_NAMES)
    assert [card.tab for card in history.cards] == [None, *SOURCE_NAMES]


@pytest.mark.parametrize("audience", AUDIENCES)
def test_every_dashboard_begins_with_how_far_its_figures_go(audience: Audience) -> None:
    for dashboard in dashboards_for(audience):
        first = min(dashboard.cards, key=lambda card: card.place.row)
        assert (first.key, first.tab) == ("as_of", None)


def test_the_first_card_of_the_admins_is_what_is_rejected() -> None:
    (admin,) = [one for one in dashboards_for("admin") if one.key == "admin"]
    first, second = sorted(admin.cards, key=lambda card: card.place.row)[:2]
    assert (first.key, second.key) == ("as_of", "rejected_files")
    assert list(second.columns)[:3] == ["path", "problem", "remedy"]


def test_nothing_is_called_a_line_that_is_a_product_line() -> None:
    # Sale lines and product lines are both everywhere; the word alone could be either.
    for dashboard in load_dashboards():
        words = [dashboard.title, dashboard.description, *(tab.title for tab in dashboard.tabs)]
        for card in dashboard.cards:
            words += [card.title, card.description, card.empty]
            # The columns of the sales history are called as the supplier calls them.
            if dashboard.key != "sales_history":
                words += [column.title for column in card.columns.values()]
        for text in words:
            plain = re.sub(r"(?i)\b(sale|product|service) lines?\b", "", text)
            assert not re.search(r"(?i)\blines?\b", plain), text


def test_a_card_without_a_tab_stands_on_every_tab() -> None:
    content = small(tabs=[{"key": "a", "title": "A"}, {"key": "b", "title": "B"}])
    content["cards"].append({**small()["cards"][0], "key": "more", "tab": "b"})
    with pytest.raises(ShsError, match=r"cards\.more\.place: it overlaps lines"):
        read(content)

    content["cards"][1]["place"] = {**PLACE, "row": 4}
    cards = read(content).cards
    assert [(card.is_on("a"), card.is_on("b")) for card in cards] == [(True, True), (False, True)]


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
        ({"cards__0__click": {"dashboard": "small", "columns": {"year": {}}, "card": "other"}},
         "cards.lines.click: small has no card other"),
        ({"cards__0__click": [{"dashboard": "small", "columns": {"year": {}}}] * 2},
         "cards.lines: click: year leads to two places"),
        ({"cards__0__live_title": "Lines, {period}"}, "cards.lines: columns: there is no column period"),
        ({"cards__0__row_kind": "kind"}, "cards.lines: columns: there is no column kind"),
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


SILENT = ("rejected_files", "repeated_lines", "held", "changes")


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
            # A rep need not have a sale line of every source; no file is rejected, nothing is held, no sale
            # is in two files, and nothing was ever closed, so that nothing changed afterwards.
            may_be_silent = audience == "rep" and card.key.startswith("lines_of_")
            if not rows and not may_be_silent and card.key not in SILENT:
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


def test_the_thresholds_say_what_is_missing(people: dict[Audience, Viewer]) -> None:
    *rows, total = answers(people["admin"], "commission_report", "tiers")
    (waiting,) = answers(people["admin"], "commission_report", "waiting")
    (unset,) = answers(people["admin"], "commission_report", "no_threshold")

    assert sum(row["waiting"] for row in rows) == total["waiting"] == waiting["waiting"] > 0
    assert total["no_threshold_balance"] == unset["no_threshold_balance"] > 0
    assert {row["tier"] for row in rows} >= {"tier 1", "tier 2 open", "no threshold"}
    for row in rows:
        if row["tier"] == "tier 1":
            missing = row["threshold"] - row["cumulative_sales"]
            assert row["missing_to_tier_2"] == missing > 0
        else:
            assert row["missing_to_tier_2"] is None
            assert row["waiting"] == 0


def test_sales_performance_is_the_company_for_admins_and_their_own_for_reps(
    built: Zone, people: dict[Audience, Viewer]
) -> None:
    # Every source has loaded February, so January's sales are complete, and so are February's payouts.
    january = "revenue_month = '2025-01-01'"
    company = built.query(
        f"select sum(sales_actual), sum(rev_actual) from marts.harmonised_sales where {january}"
    )
    # What is paid on January's sales, in whichever month.
    paid = built.query(
        "select sum(amount_paid) from marts.payout_explanations"
        " where date_trunc('month', revenue_date) = date '2025-01-01'"
    )
    own = built.query(
        f"select sum(sales_actual) from marts.harmonised_sales where {january} and rep_name = %s", REP
    )
    admin, rep = people["admin"], people["rep"]

    (sales,) = answers(admin, "sales_performance", "sales_admin", year=2025)
    assert (sales["period"], sales["sales_actual"]) == ("January 2025", company[0][0])
    (margin,) = answers(admin, "sales_performance", "margin", year=2025)
    assert margin["margin"] == company[0][1] - paid[0][0]
    assert answers(rep, "sales_performance", "sales_rep", year=2025)[-1]["sales_actual"] == own[0][0]
    chosen = answers(admin, "sales_performance", "sales_admin", year=2025, rep=REP)
    assert chosen[-1]["sales_actual"] == own[0][0]


@pytest.mark.parametrize("audience", AUDIENCES)
def test_a_month_leads_to_the_sale_lines_that_it_sums_up(
    people: dict[Audience, Viewer], audience: Audience
) -> None:
    for row in answers(people[audience], "sales_performance", f"monthly_table_{audience}"):
        if row["sales_actual"]:
            values = {"first_month": row["first_key"], "last_month": row["last_key"]}
            (sums,) = answers(people[audience], "sale_lines", "sales", **values)
            assert (sums["sales_actual"], sums["rev_actual"]) == (row["sales_actual"], row["rev_actual"])


@pytest.mark.parametrize("month", ["2025-01", "2025-02", "2025-03"])
def test_the_lines_behind_a_payout_add_up_to_it(people: dict[Audience, Viewer], month: str) -> None:
    payouts = answers(people["admin"], "payout_explained", "payouts", month=month)
    rows = answers(people["admin"], "payout_explained", "lines", month=month)
    amounts = ("commission_tier_1", "held_back", "amount_paid")

    def summed(kind: str | None, column: str) -> Decimal:
        return sum((row[column] or Decimal(0) for row in rows if row["row_kind"] == kind), Decimal(0))

    for column in amounts:
        assert summed(None, column) == summed("subtotal", column) == summed("total", column), column
    assert payouts[-1]["payout"] == summed("total", "amount_paid")
    assert payouts[-1]["deferred"] == summed("total", "held_back")
    by_line = {(row["rep_name"], row["product_line"]): row for row in payouts[:-1]}
    for row in [row for row in rows if row["row_kind"] == "subtotal"]:
        payout = by_line[row["rep_name"], row["product_line"].removesuffix(", sum")]
        assert (row["amount_paid"], row["held_back"]) == (payout["payout"], payout["deferred"])
    keys = [
        (row["source_file"], row["source_sheet"], row["source_row"]) for row in rows if not row["row_kind"]
    ]
    assert len(keys) == len(set(keys)) > 0
    assert all(row["explanation"] for row in rows if not row["row_kind"])


def test_a_click_on_the_report_leads_to_the_same_payout(people: dict[Audience, Viewer]) -> None:
    cells = answers(people["admin"], "commission_report", "payout_by_month", rep=REP)
    for row in [row for row in cells if row["linked_product_line"] and row["february"] is not None]:
        values = {"month": "2025-02", "product_line": row["linked_product_line"], "rep": REP}
        assert answers(people["admin"], "payout_explained", "paid", **values) == [{"payout": row["february"]}]
        assert (
            answers(people["admin"], "payout_explained", "lines", **values)[-1]["amount_paid"]
            == row["february"]
        )


@pytest.mark.parametrize("audience", AUDIENCES)
def test_sales_history_shows_each_line_once(
    built: Zone, people: dict[Audience, Viewer], audience: Audience
) -> None:
    for source in SOURCE_NAMES:
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
                    assert {row[place] for row in rows} <= {REP, "Total", None}, card.key


# --- rejected files ------------------------------------------------------------------------


def test_every_kind_of_rejected_file_is_on_the_first_card(published: Zone, tmp_path: Path) -> None:
    workbook = make_sample("cygnus", date(2025, 4, 1), lines=5, seed=1).content
    published.drop("incoming/cygnus/2025-04/broken.xlsx", b"no workbook")
    published.drop("incoming/nobody/2025-04/report.xlsx", workbook)
    published.drop("reference/tier_thresholds.xlsx", b"no workbook either")
    published.run()
    secrets = FileSecrets(tmp_path / "secrets.json")

    with psycopg.connect(published.database_url, autocommit=True) as owner:
        sync_logins(owner, secrets)
        try:
            admin = find_viewer(owner, secrets, published.database_url, None)
            rows = {row["path"]: row for row in answers(admin, "admin", "rejected_files")}
            count = answers(admin, "admin", "rejected_count")
            one = answers(admin, "admin", "rejected_files", source="cygnus")
            in_status = [file.path for file in rejected_now(owner)]
        finally:
            drop_logins(owner, secrets)

    assert set(rows) == set(in_status) == {
        "incoming/cygnus/2025-04/broken.xlsx", "incoming/nobody/2025-04/report.xlsx",
        "reference/tier_thresholds.xlsx",
    }  # fmt: skip
    assert count == [{"rejected_files": 3}]
    assert all(row["problem"] and row["remedy"] and row["since"] for row in rows.values())
    assert rows["incoming/cygnus/2025-04/broken.xlsx"]["month"] == date(2025, 4, 1)
    assert [row["path"] for row in one] == ["incoming/cygnus/2025-04/broken.xlsx"]


@pytest.mark.parametrize("audience", AUDIENCES)
def test_a_statement_adds_up_from_its_lines_to_what_is_paid(
    people: dict[Audience, Viewer], audience: Audience
) -> None:
    def ask(card: str) -> list[dict[str, Any]]:
        return answers(people[audience], "my_statement", card, month="2025-02", rep=REP)

    amounts = {row["part"]: row["amount"] for row in ask("parts")}
    lines = ask("lines")
    sums = {kind: [row for row in lines if row["row_kind"] == kind] for kind in (None, "subtotal", "total")}
    (year,) = (row for row in ask("months_of_the_year") if row["month_key"] == "2025-02")

    assert len(sums[None]) > 3
    assert sum(row["paid"] for row in sums[None]) == sums["total"][0]["paid"] == amounts["Earned"]
    for subtotal in sums["subtotal"]:
        own = [row for row in sums[None] if row["line_key"] == subtotal["line_key"]]
        assert sum(row["paid"] for row in own) == subtotal["paid"]
        assert sum(row["sales_actual"] or 0 for row in own) == subtotal["sales_actual"]
    assert amounts["Paid"] == ask("paid")[0]["paid"] == year["paid"] > 0
    for row in sums[None]:
        if row["rate"] is not None:
            assert abs(row["paid"] - row["rev_actual"] * row["rate"]) <= Decimal("0.01"), row


def test_what_waits_for_tier_2_is_what_the_payouts_hold_back(
    people: dict[Audience, Viewer],
) -> None:
    rows = answers(people["admin"], "my_statement", "towards_tier_2")
    with people["admin"].reading() as connection:
        latest = connection.execute(
            "select distinct on (payee_id, product_line_id) rep_name, product_line, releasable_balance"
            " from marts.commission_payouts where commission_month >= '2025-01-01'"
            " order by payee_id, product_line_id, commission_month desc"
        ).fetchall()

    assert {(row["rep_name"], row["product_line"]): row["waiting"] or 0 for row in rows} == {
        (rep, line): amount for rep, line, amount in latest
    }
