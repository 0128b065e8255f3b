"""The preview: what its pages show to whom, and what they refuse.

`SHS_SCREENSHOTS=docs/images` keeps pictures.
"""

from __future__ import annotations

import base64
import csv
import html
import http.client
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from starlette.testclient import TestClient

from shs_pipeline.base.errors import ShsError
from shs_pipeline.dashboards.model import Audience, Format
from shs_pipeline.dashboards.reading import dashboards_for, load_dashboards
from shs_pipeline.database.faults import older_tables
from shs_pipeline.landing.names import SOURCE_NAMES
from shs_pipeline.landing.zone import Landing
from shs_pipeline.people.access import drop_logins, sync_logins
from shs_pipeline.preview.links import question
from shs_pipeline.preview.server import PreviewServer
from shs_pipeline.preview.values import change_shown, shown
from shs_pipeline.preview.viewer import Viewer, ask, find_viewer
from shs_pipeline.settings.secret_store import FileSecrets
from tests.helpers.browser import browser, page_of

if TYPE_CHECKING:
    from httpx2 import Headers
    from playwright.sync_api import Browser, Page

    from tests.conftest import Zone

REP = "Dana Whitfield"
DESK, PHONE = 1440, 390
"""Widths of a window in pixels."""
AUDIENCES: tuple[Audience, ...] = ("rep", "admin")
SHS = str(Path(sys.executable).with_name("shs"))


class Site:
    """A preview: its pages are asked for directly, its server by browsers."""

    def __init__(self, viewer: Viewer, landing: str = "file:///nowhere") -> None:
        self.server = PreviewServer(viewer, Landing(landing), 0)
        self.viewer = viewer
        self._read: dict[str, str] = {}
        self.client = TestClient(self.server.app, self.server.url, False, follow_redirects=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def ask(self, path: str, *, method: str = "GET", host: str | None = None) -> tuple[int, str, Headers]:
        answer = self.client.request(
            method, self.server.url.rstrip("/") + path, headers={"Host": host} if host else {}
        )
        return answer.status_code, answer.text, answer.headers

    def read(self, path: str) -> str:
        """The text of a page, asked for once: it stays as it is."""
        if path not in self._read:
            status, content, _ = self.ask(path)
            assert status == 200, content
            self._read[path] = content
        return self._read[path]

    def page(self, key: str, **values: str) -> str:
        """The text of a page with what its charts say."""
        content = self.read(f"/d/{key}?{urlencode(values)}" if values else f"/d/{key}")
        assert 'class="fault"' not in content, content
        charts = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", content)
        return html.unescape(content + "".join(base64.b64decode(chart).decode() for chart in charts))

    @cached_property
    def every_page(self) -> list[tuple[str, str]]:
        """The name and text of each page; without the name of a tab it is the first one."""
        return [
            (f"{dashboard.key} {tab}", self.page(dashboard.key, **tab))
            for dashboard in dashboards_for(self.viewer.audience)
            for tab in ({}, *({"tab": tab.key} for tab in dashboard.tabs[1:]))
        ]


@pytest.fixture(scope="module")
def built(module_zone: Zone) -> Zone:
    """Every source in three months; for pictures in more of them, up to now."""
    from shs_pipeline.marts.build import build_marts
    from shs_pipeline.samples.tree import write_samples

    months = 22 if os.environ.get("SHS_SCREENSHOTS") else 3
    folder = Path(module_zone.url.removeprefix("file://").replace("%20", " "))
    write_samples(folder, months=months, lines=60 if months > 3 else 14, seed=1, until=date(2026, 10, 1))
    assert not [file for report in module_zone.run() for file in report.rejected]
    build_marts(module_zone.database_url, "first")
    return module_zone


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> FileSecrets:
    return FileSecrets(tmp_path_factory.mktemp("secrets") / "secrets.json")


@pytest.fixture(scope="module")
def sites(built: Zone, secrets: FileSecrets) -> Iterator[dict[Audience, Site]]:
    """The preview as a rep and as the first admin sees it."""
    with psycopg.connect(built.database_url, autocommit=True) as owner:
        sync_logins(owner, secrets)
        found: dict[Audience, Site] = {
            "rep": Site(find_viewer(owner, secrets, built.database_url, REP), built.url),
            "admin": Site(find_viewer(owner, secrets, built.database_url, None), built.url),
        }
        yield found
        for site in found.values():
            site.server.stop()
        drop_logins(owner, secrets)


# --- how values look -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "how", "text"),
    [
        (Decimal("1234.5"), "money", "$1,234.50"),
        (Decimal("-1234.505"), "money", "-$1,234.51"),
        (Decimal("-0.001"), "money", "$0.00"),
        (Decimal("0.07"), "percent", "7.0%"),
        (Decimal("1.362588"), "percent", "136.3%"),
        (Decimal("-0.00449"), "percent", "-0.4%"),
        (Decimal(1), "percent", "100.0%"),
        (Decimal(12), "percent", "1,200.0%"),
        (Decimal("0.070000"), "rate", "7.0%"),
        (Decimal("0.072500"), "rate", "7.25%"),
        (Decimal("0.333333"), "rate", "33.3333%"),
        (Decimal(1), "rate", "100.0%"),
        (date(2025, 3, 1), "month", "Mar 2025"),
        (date(2025, 3, 1), "year", "2025"),
        (date(2025, 3, 9), "date", "2025-03-09"),
        (datetime.fromisoformat("2025-03-09T23:30:00-02:00"), "timestamp", "2025-03-10 01:30"),
        (12345, "integer", "12,345"),
        (Decimal("2.500"), "number", "2.5"),
        (Decimal(100), "number", "100"),
        (None, "money", ""),
        ("<b>", "text", "<b>"),
    ],
)
def test_values_look_as_people_write_them(value: object, how: Format, text: str) -> None:
    assert shown(value, how) == text


def test_a_change_says_by_how_much() -> None:
    assert change_shown(Decimal("112.5"), Decimal(100)) == "+12.5%"
    assert change_shown(Decimal(-50), Decimal(-100)) == "+50.0%"
    assert change_shown(Decimal(1), Decimal(0)) == "was 0"


# --- what is shown -------------------------------------------------------------------------


@pytest.mark.parametrize("audience", AUDIENCES)
def test_every_page_shows_its_cards_with_their_descriptions(
    sites: dict[Audience, Site], audience: Audience
) -> None:
    for dashboard in dashboards_for(audience):
        text = sites[audience].page(dashboard.key)
        first_tab = dashboard.tabs[0].key if dashboard.tabs else None
        for card in dashboard.cards:
            is_shown = f'id="card-{card.key}"' in text and card.description in text
            assert is_shown == card.is_on(first_tab), card.key


def own_lines(built: Zone, source: str) -> list[str]:
    """All that the rep's own lines of a source hold."""
    return [
        text
        for (text,) in built.query(
            f"select history::text from marts.sales_history_{source} as history where rep_name = %s",
            REP,
        )
    ]


def test_a_rep_finds_nothing_of_others_on_any_page(built: Zone, sites: dict[Audience, Site]) -> None:
    people = {name for (name,) in built.query("select rep_name from marts.people") if name != REP}
    own = " ".join(text.lower() for source in SOURCE_NAMES for text in own_lines(built, source))
    texts = {
        text
        for (text,) in built.query(
            "select customer from marts.harmonised_sales"
            " union select invoice_number from marts.harmonised_sales"
        )
        # A short number may be anything, and one name may be the beginning of another.
        if text and len(text) > 5 and text.lower() not in own
    }
    assert len(texts) > 100

    for name, text in sites["rep"].every_page:
        assert not [person for person in people if person in text], name
        assert not [other for other in texts if f">{other.lower()}<" in text.lower()], name
        assert "margin" not in text.lower().replace("text-margin", ""), name


def test_a_rep_finds_nothing_of_others_in_any_export(built: Zone, sites: dict[Audience, Site]) -> None:
    people = {name for (name,) in built.query("select rep_name from marts.people") if name != REP}
    for dashboard in dashboards_for("rep"):
        for card in dashboard.cards:
            if card.is_exportable:
                status, text, _ = sites["rep"].ask(f"/d/{dashboard.key}/{card.key}.csv")
                assert status == 200
                assert not [person for person in people if person in text], card.key


def test_whatever_filter_a_rep_types_only_the_own_is_shown(sites: dict[Audience, Site]) -> None:
    own = sites["rep"].page("commission_report")
    tried = sites["rep"].page("commission_report", rep="Caleb Ostrander")

    assert "Caleb" not in tried
    assert re.findall(r"\$[\d,.]+", tried) == re.findall(r"\$[\d,.]+", own)


def test_an_admin_finds_everybody_and_the_margin(built: Zone, sites: dict[Audience, Site]) -> None:
    text = sites["admin"].page("commission_report")
    paid = built.query(
        "select distinct rep_name from marts.commission_payouts where commission_month >= '2026-01-01'"
    )

    assert all(name in text for (name,) in paid)
    assert "Margin" in sites["admin"].page("sales_performance")


def test_a_filter_narrows_the_page(built: Zone, sites: dict[Audience, Site]) -> None:
    text = sites["admin"].page("commission_report", rep=REP, year="2026")
    total = built.query(
        "select sum(payout) from marts.commission_payouts"
        " where rep_name = %s and commission_month >= '2026-01-01'",
        REP,
    )[0][0]

    assert f">${total:,.2f}<" in text
    assert "Caleb Ostrander</td>" not in text
    assert f'<option value="{REP}" selected>' in text


def test_a_cell_of_the_commission_report_leads_to_its_lines(built: Zone, sites: dict[Audience, Site]) -> None:
    _, text, _ = sites["admin"].ask(f"/d/commission_report?{urlencode({'rep': REP})}")
    links = [html.unescape(link) for link in re.findall(r'href="(/d/payout_explained\?[^"]+)"', text)]
    line, month, amount = built.query(
        "select product_line, to_char(commission_month, 'YYYY-MM'), payout from marts.commission_payouts"
        " where rep_name = %s and commission_month >= '2026-01-01' order by payout desc limit 1",
        REP,
    )[0]
    back = "commission_report?" + urlencode({"rep": REP})
    wanted = "/d/payout_explained?" + urlencode(
        {"rep": REP, "product_line": line, "month": month, "back": back}
    )

    assert wanted in links
    _, page, _ = sites["admin"].ask(wanted)
    assert figures(page)[:2] == [f"${amount:,.2f}"] * 2


def figures(page: str) -> list[str]:
    """The big figures of a page, in their order."""
    return re.findall(r'class="big[^"]*">(?:<a [^>]*>)?([^<]+)<', page)


def links_of(page: str, card: str) -> list[str]:
    """The addresses in a card."""
    (section,) = re.findall(rf'id="card-{card}".*?</section>', page, re.DOTALL)
    return [html.unescape(link) for link in re.findall(r'href="([^"]+)"', section)]


def test_the_way_back_keeps_the_filters_of_the_report(sites: dict[Audience, Site]) -> None:
    _, report, _ = sites["admin"].ask(f"/d/commission_report?{urlencode({'rep': REP, 'year': '2026'})}")
    _, page, _ = sites["admin"].ask(links_of(report, "payout_by_month")[0])
    _, other_month, _ = sites["admin"].ask(links_of(page, "months")[0])

    for text in (page, other_month):
        assert "Back to Commission report" in text
        assert (
            f'class="back"><a href="/d/commission_report?{urlencode({"year": "2026", "rep": REP})}"'.replace(
                "&", "&amp;"
            )
            in text
        )


@pytest.mark.parametrize(
    "back",
    [
        "//evil.example",
        "admin?month=2026-01",
        "https://evil.example/",
        "commission_report?year=x",
        "?",
        "x" * 90,
    ],
)
def test_a_way_back_that_is_none_is_left_out(sites: dict[Audience, Site], back: str) -> None:
    _, text, _ = sites["rep"].ask(f"/d/payout_explained?{urlencode({'back': back})}")

    assert 'class="back"' not in text
    assert "evil.example" not in text.replace(f'value="{back}"', "").replace(quote(back, safe=""), "")


def test_previous_and_next_month_are_a_click_away(built: Zone, sites: dict[Audience, Site]) -> None:
    months = [month for (month,) in built.query(
        "select distinct to_char(commission_month, 'YYYY-MM') from marts.commission_payouts"
        " where rep_name = %s order by 1", REP,
    )]  # fmt: skip
    _, page, _ = sites["rep"].ask(f"/d/payout_explained?month={months[1]}")

    assert links_of(page, "months")[:2] == [
        f"/d/payout_explained?month={months[0]}", f"/d/payout_explained?month={months[2]}",
    ]  # fmt: skip


@pytest.mark.parametrize("audience", AUDIENCES)
def test_a_figure_leads_to_what_it_sums_up(sites: dict[Audience, Site], audience: Audience) -> None:
    site = sites[audience]
    page = site.read("/d/sales_performance")
    sales, revenue = figures(page)[:2]
    lines = site.read(links_of(page, f"sales_{audience}")[0].partition("#")[0])
    report = site.read(links_of(page, f"payout_{audience}")[0].partition("#")[0])

    assert figures(lines)[:2] == [sales, revenue]
    assert figures(page)[2] == figures(report)[0]


@pytest.mark.slow
@pytest.mark.parametrize("audience", ["rep", pytest.param("admin", marks=pytest.mark.soak)])
def test_every_link_leads_to_a_page_and_a_card_of_it(sites: dict[Audience, Site], audience: Audience) -> None:
    # One link of each kind: to the same page and card, with the same filters.
    kinds: dict[str, str] = {}
    for dashboard in dashboards_for(audience):
        page = sites[audience].read(f"/d/{dashboard.key}")
        for found in re.findall(r'href="(/d/[^"]+)"', page):
            link = html.unescape(found)
            kinds[re.sub(r"=[^&#]*", "", link)] = link
    assert len(kinds) > 10
    for link in kinds.values():
        path, _, anchor = link.partition("#")
        if ".csv" not in path:
            target = sites[audience].read(path)
            assert not anchor or f'id="{anchor}"' in target, link


@pytest.mark.parametrize("audience", AUDIENCES)
def test_every_page_says_as_of_when(built: Zone, sites: dict[Audience, Site], audience: Audience) -> None:
    published = built.query("select max(published_at) from marts.publications")[0][0]
    for name, text in sites[audience].every_page:
        assert f"<dd>{shown(published, 'timestamp')}</dd>" in text, name


def test_a_rep_finds_no_columns_that_mean_nothing_to_them(sites: dict[Audience, Site]) -> None:
    for name, text in sites["rep"].every_page:
        for title in ("Sheet or page", "Row", "File", "Rep looked up", "Rep in the file", "Line"):
            assert f">{title}</th>" not in text, (name, title)


def test_an_unfinished_month_is_hatched_and_named(sites: dict[Audience, Site]) -> None:
    text = sites["rep"].page("sales_performance")

    assert "Sales, August to September 2026" in text
    assert 'class="coming-in"' in text
    assert 'fill="url(#coming-in)"' in text
    assert "still coming in" in text


def test_an_empty_card_says_why(sites: dict[Audience, Site]) -> None:
    text = sites["rep"].page("commission_report", year="1999")

    assert "Nothing was paid in this year, or none of its sale lines is credited yet." in text
    assert text.count('class="empty"') >= 5


def test_an_export_holds_all_rows_exactly(built: Zone, sites: dict[Audience, Site]) -> None:
    status, text, headers = sites["admin"].ask("/d/sales_history/lines_of_cygnus.csv?month=2026-10")
    rows = list(csv.DictReader(io.StringIO(text)))
    expected = built.query(
        "select count(*), sum(invoice_total) from marts.sales_history_cygnus"
        " where commission_month = '2026-10-01'"
    )[0]

    assert status == 200
    assert headers["Content-Disposition"] == 'attachment; filename="lines_of_cygnus.csv"'
    assert (len(rows), sum(Decimal(row["Invoice Total"]) for row in rows)) == expected


def test_a_text_that_begins_like_a_formula_is_defused_in_the_export() -> None:
    from shs_pipeline.preview.app import csv_of

    (page,) = [one for one in dashboards_for("admin") if one.key == "sale_lines"]
    (card,) = [one for one in page.cards if one.key == "product_lines"]
    texts = ("=HYPERLINK(1)", "\n=1", "\u00a0@sum", "\uff1d1", "-2+3", "a\x1b[2J\u202eb", "-5")
    amounts = (Decimal("-1.50"), Decimal("1E+2"), -3, None, Decimal(0), Decimal("-0.01"), 2)
    rows = [(None, text, 1, amount, amount) for text, amount in zip(texts, amounts, strict=True)]

    _, *lines = csv.reader(io.StringIO("".join(csv_of(card, iter(rows))), newline=""))

    assert [line[0] for line in lines] == [
        "'=HYPERLINK(1)", "'\n=1", "'\u00a0@sum", "'\uff1d1", "'-2+3", r"a\x1b[2J\u202eb", "-5",
    ]  # fmt: skip
    assert [line[-1] for line in lines] == ["-1.50", "1E+2", "-3", "", "0", "-0.01", "2"]


def test_a_long_answer_is_cut_on_the_page_and_says_so(sites: dict[Audience, Site]) -> None:
    text = sites["admin"].page("explore")

    assert "The first 200 of " in text
    assert text.count("<tr") < 250


def test_sums_stay_on_a_page_that_is_cut_and_out_of_its_export() -> None:
    from shs_pipeline.preview.app import csv_of
    from shs_pipeline.preview.links import Spot
    from shs_pipeline.preview.tables import table
    from shs_pipeline.preview.viewer import Answer

    (page,) = [one for one in dashboards_for("admin") if one.key == "sale_lines"]
    (card,) = [one for one in page.cards if one.key == "product_lines"]
    rows = [(None, f"Line {number}", 1, Decimal(1), Decimal(1)) for number in range(300)]
    total = ("total", "Total", 300, Decimal(300), Decimal(300))
    viewer = Viewer("A", "a", "admin", "")

    shown_rows = table(Spot(viewer, page, {}), card, Answer([*rows, total]))

    assert len(shown_rows["rows"]) == 201
    assert [cell.text for cell in shown_rows["rows"][-1].cells] == ["Total", "300", "$300.00", "$300.00"]
    assert shown_rows["note"] == "The first 200 of 300 rows; scroll inside the table."
    exported = "".join(csv_of(card, iter([*rows, total])))
    assert len(exported.splitlines()) == 301
    assert "Total" not in exported


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"search": "'; drop table marts.people; --"},
        {"search": "%s %(x)s {{rep}} [[ ]]"},
        {"rep": "x' or '1'='1"},
        {"search": "a' union select secret_name from ops.logins --"},
    ],
)
def test_sql_in_a_filter_has_no_effect(
    built: Zone, sites: dict[Audience, Site], values: dict[str, str]
) -> None:
    people = built.query("select count(*) from marts.people")

    text = sites["admin"].page("sales_history", **values)

    assert "No sale line of Cygnus matches" in text
    assert built.query("select count(*) from marts.people") == people


@pytest.mark.parametrize(
    "values", [{"year": "2025 or 1=1"}, {"year": "x"}, {"product_line": "x" * 300}, {"product_line": "a\0b"}]
)
def test_a_value_of_another_kind_is_refused_in_words(
    sites: dict[Audience, Site], values: dict[str, str]
) -> None:
    status, text, _ = sites["admin"].ask(f"/d/commission_report?{urlencode(values)}")

    assert status == 400
    assert "This page cannot be shown" in text
    assert "Traceback" not in text


def test_what_is_typed_is_never_markup(sites: dict[Audience, Site]) -> None:
    attack = '"><script>alert(1)</script>'
    for path in (f"/d/sales_history?search={quote(attack)}", f"/d/admin?source={quote(attack)}",
                 f"/d/{quote(attack)}", f"/d/commission_report?year={quote(attack)}"):  # fmt: skip
        _, text, _ = sites["admin"].ask(path)
        assert "<script" not in text


@pytest.mark.parametrize(
    "path",
    ["/d/nothing", "/nothing", "/d/admin", "/d/sales_history/nothing.csv", "/d/commission_report/tiers.csv",
     "/d/sales_performance/../../x", "/style.css/x", "//evil.example/"],
)  # fmt: skip
def test_an_unknown_page_is_a_404_page(sites: dict[Audience, Site], path: str) -> None:
    status, text, _ = sites["rep"].ask(path)

    assert status == 404
    assert "Page not found" in text
    assert "Commission report" in text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:80"])
def test_another_host_is_refused(sites: dict[Audience, Site], host: str) -> None:
    status, text, _ = sites["admin"].ask("/d/commission_report", host=host)

    assert status == 400
    assert "$" not in text


def test_localhost_is_this_host(sites: dict[Audience, Site]) -> None:
    site = sites["admin"]

    assert site.ask("/", host=f"localhost:{site.server.port}")[0] == 302


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_but_reading_is_understood(sites: dict[Audience, Site], method: str) -> None:
    assert sites["admin"].ask("/d/commission_report", method=method)[0] == 405


def test_head_sends_no_content(sites: dict[Audience, Site]) -> None:
    assert sites["admin"].ask("/d/commission_report", method="HEAD")[:2] == (200, "")


def test_pages_load_nothing_and_run_nothing(sites: dict[Audience, Site]) -> None:
    _, text, headers = sites["admin"].ask("/d/sales_performance")
    policy = headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["Cache-Control"] == "no-store"
    assert "<script" not in text
    assert not re.findall(r'(?:src|href)="(?!/|#|data:)', text)


def test_it_listens_on_loopback_only(sites: dict[Audience, Site]) -> None:
    server = sites["admin"].server
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", server.port))  # would be taken too if it listened everywhere


def test_a_viewer_can_write_nothing(sites: dict[Audience, Site]) -> None:
    with sites["admin"].viewer.reading() as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("create temporary table x (a int)")
    assert "postgresql" not in repr(sites["admin"].viewer)


def test_a_card_whose_sql_fails_says_so_and_the_others_answer(sites: dict[Audience, Site]) -> None:
    (page,) = (one for one in dashboards_for("admin") if one.key == "sales_performance")
    card = page.cards[1]
    with sites["admin"].viewer.reading() as connection:
        failed = ask(connection, card.model_copy(update={"sql": "select nothing from marts.people"}), {})
        other = ask(connection, card.model_copy(update={"sql": "select 1 as a, 2 as b"}), {})
        good = ask(connection, card, {})

    assert failed.fault == str(
        older_tables(psycopg.errors.UndefinedColumn('column "nothing" does not exist'))
    )
    assert other.fault is not None
    assert "The SQL of sales_admin returns a, b" in other.fault
    assert good.fault is None


def test_marts_of_an_older_version_are_said_on_the_page_and_in_its_exports(
    sites: dict[Audience, Site], built: Zone
) -> None:
    site = sites["admin"]
    dashboard, card = next(
        (dashboard, card)
        for dashboard in dashboards_for("admin")
        for card in dashboard.cards
        if card.is_exportable
    )
    with psycopg.connect(built.database_url, autocommit=True) as owner:
        owner.execute("alter schema marts rename to of_an_older_version")
        owner.execute("create schema marts; grant usage on schema marts to public")
        try:
            _, page, _ = site.ask(f"/d/{dashboard.key}")
            status, export, _ = site.ask(f"/d/{dashboard.key}/{card.key}.csv")
        finally:
            owner.execute("drop schema marts")
            owner.execute("alter schema of_an_older_version rename to marts")

    assert status in (400, 503)
    for said in (page, export):
        assert "The marts were published by an older version of shs" in said
        assert "Run shs run, which rebuilds them." in said
    assert "This is a bug" not in page + export


def test_a_definition_that_was_edited_is_read_anew(sites: dict[Audience, Site]) -> None:
    ask, state = sites["admin"].ask, sites["admin"].server.app.state
    ask("/")
    before = load_dashboards()
    ask("/")
    assert load_dashboards() is before

    state.written = 0.0
    ask("/")
    assert load_dashboards() is not before


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (
            psycopg.OperationalError("the connection is closed"),
            503,
            "The connection to the database was lost",
        ),
        (OSError(28, "No space left on device", "/tmp/x"), 503, "The disk is full"),
        (psycopg.DataError("odd"), 500, "This is a bug in the preview"),
        (ValueError("odd"), 500, "This is a bug in the preview"),
    ],
)
def test_what_fails_is_a_page_and_what_is_lost_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, said: str
) -> None:
    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr("shs_pipeline.preview.app.dashboard_content", failing)

    found, text, headers = Site(Nobody("A", "a", "rep", "")).ask("/d/commission_report")

    assert (found, headers["Cache-Control"]) == (status, "no-store")
    assert said in text
    assert "odd" not in text


class Nobody(Viewer):
    """A person whose questions no database answers."""

    left = threading.Event()

    @contextmanager
    def reading(self) -> Iterator[psycopg.Connection]:
        self.left.clear()
        try:
            yield None  # type: ignore[misc]
        finally:
            self.left.set()


ROW = ("x" * 5_000,) * 100
EXPORT = "/d/sales_history/lines_of_cygnus.csv"


def begun_export(
    monkeypatch: pytest.MonkeyPatch, rows: Iterator[tuple[Any, ...]]
) -> http.client.HTTPResponse:
    """The answer to somebody who exports these rows."""
    monkeypatch.setattr("shs_pipeline.preview.app.every_row", lambda *_: rows)
    connection = http.client.HTTPConnection(
        "127.0.0.1", Site(Nobody("A", "a", "admin", "")).server.port, timeout=60
    )
    connection.request("GET", EXPORT, headers={"Connection": "close"})
    return connection.getresponse()


def test_an_export_that_breaks_off_is_not_taken_for_a_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[tuple[Any, ...]]:
        yield from [ROW] * 20
        raise psycopg.OperationalError("the connection is closed")

    answer = begun_export(monkeypatch, broken())

    assert answer.status == 200
    with pytest.raises(http.client.IncompleteRead):
        answer.read()


def test_a_reader_who_leaves_an_export_gives_the_connection_back(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = begun_export(monkeypatch, repeat(ROW))
    assert answer.read(1)
    assert not Nobody.left.is_set()
    answer.close()

    assert Nobody.left.wait(60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_whatever_question_still_runs(number: signal.Signals) -> None:
    program = """
import time
from shs_pipeline.landing.zone import Landing
from shs_pipeline.preview import app, server, viewer

def endless(*_):
    print("asked", flush=True)
    time.sleep(600)

app.dashboard_content = endless
preview = server.PreviewServer(viewer.Viewer("A", "a", "admin", ""), Landing("file:///nowhere"), 0)
print(preview.port, flush=True)
preview.serve_forever()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(process.stdout.readline()), timeout=60)
        connection.request("GET", f"/d/{dashboards_for('admin')[0].key}")
        assert process.stdout.readline() == "asked\n"
        process.send_signal(number)
        try:
            process.wait(60)
        finally:
            process.kill()
            connection.close()
    assert process.returncode == -number


# --- who looks -----------------------------------------------------------------------------


def test_the_first_admin_looks_by_default(sites: dict[Audience, Site]) -> None:
    assert (sites["admin"].viewer.name, sites["admin"].viewer.audience) == ("Harriet Lindqvist", "admin")


def test_a_person_without_login_is_named_with_who_is_meant(
    built: Zone, sites: dict[Audience, Site], secrets: FileSecrets
) -> None:
    with psycopg.connect(built.database_url, autocommit=True) as owner:
        with pytest.raises(ShsError, match=r"Nobody called 'Dana Whitfeld' may log in.*Did you mean Dana"):
            find_viewer(owner, secrets, built.database_url, "Dana Whitfeld")
        # Her line stays in the workbook, and her login ended.
        with pytest.raises(ShsError, match="Nobody called 'Gwen Talbot' may log in"):
            find_viewer(owner, secrets, built.database_url, "Gwen Talbot")


def test_without_any_login_the_remedy_is_to_make_them(
    built: Zone, sites: dict[Audience, Site], tmp_path: Path
) -> None:
    empty = FileSecrets(tmp_path / "none.json")
    with (
        psycopg.connect(built.database_url, autocommit=True) as owner,
        pytest.raises(ShsError, match="Run shs access sync"),
    ):
        find_viewer(owner, empty, built.database_url, None)


def test_a_login_that_ended_is_a_page_that_says_so(sites: dict[Audience, Site]) -> None:
    viewer = sites["rep"].viewer
    gone = Site(replace(viewer, url=viewer.url.replace(viewer.role, "nobody_at_all")))
    try:
        status, text, _ = gone.ask("/d/commission_report")
    finally:
        gone.server.stop()

    assert status == 400
    assert "Dana Whitfield cannot log in to the database" in text
    assert "postgresql://" not in text


def test_a_taken_port_is_said(sites: dict[Audience, Site]) -> None:
    server = sites["admin"].server
    with pytest.raises(ShsError, match=rf"Port {server.port} of this machine cannot be used"):
        PreviewServer(sites["admin"].viewer, Landing("file:///nowhere"), server.port)


# --- in a browser --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize(
    ("audience", "read_aloud_at", "most_tabs"),
    [
        ("rep", PHONE, 1),
        ("admin", None, 1),
        pytest.param("rep", PHONE, 3, marks=pytest.mark.soak),
        pytest.param("rep", DESK, 3, marks=pytest.mark.soak),
        pytest.param("admin", DESK, 3, marks=pytest.mark.soak),
        pytest.param("admin", PHONE, 3, marks=pytest.mark.soak),
    ],
)
def test_every_dashboard_stands_in_a_browser(
    sites: dict[Audience, Site],
    chromium: Browser,
    audience: Audience,
    read_aloud_at: int | None,
    most_tabs: int,
) -> None:
    """Each page is opened once and looked at as wide as a desk and as a phone; at one of the two by Axe.

    What an admin sees stands in the same cards and tables, so `make soak` has Axe look at their long pages,
    and at more tabs of all.
    """
    site, said, asked = sites[audience], list[str](), set[str]()
    with page_of(chromium, DESK) as page:
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: asked.add(request.url))
        shown = [
            (dashboard, tab.key if tab else None)
            for dashboard in dashboards_for(audience)
            for tab in dashboard.tabs[:most_tabs] or (None,)
        ]
        for dashboard, tab in shown:
            page.set_viewport_size({"width": DESK, "height": 900})
            page.goto(f"{site.server.url}d/{dashboard.key}{f'?tab={tab}' if tab else ''}")
            assert page.locator("h1").inner_text() == dashboard.title
            assert page.locator("section.card").count() > 1
            for width in (DESK, PHONE):
                page.set_viewport_size({"width": width, "height": 900})
                _look(page)
                if width == read_aloud_at:
                    # Contrast, names for screen readers, order of headings: WCAG 2 A and AA, best practices.
                    assert Axe().run(page).response["violations"] == []
                if not dashboard.tabs or tab == dashboard.tabs[0].key:
                    end, height = ("-phone", 1_600) if width == PHONE else ("", 2_100)
                    keep(page, f"preview-{dashboard.key}-{audience}{end}", height)
    assert not said
    assert all(url.startswith((site.server.url, "data:")) for url in asked)


def _look(page: Page) -> None:
    """What holds at any width: nothing is cut, and charts are as large as they were drawn."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate(_CUT) == []
    assert page.evaluate("window.innerWidth > 600") or page.evaluate(_TOO_SMALL_FOR_A_FINGER) == []
    assert page.evaluate(_POOR_CHARTS) == []


_CUT = """
    [...document.querySelectorAll("section *")].filter(part => {
        const edge = part.closest("section").getBoundingClientRect().right;
        const isHidden = part.closest("details, .scroll, .facts h2, .facts .description");
        return !isHidden && part.getBoundingClientRect().right > edge + 1;
    }).concat([...document.querySelectorAll(".scroll")].filter(part =>
        // On a phone a table has no columns that could be out of sight.
        window.innerWidth < 600 && part.clientWidth && part.scrollWidth > part.clientWidth + 1
    )).map(part => part.outerHTML.slice(0, 100))
"""

# A chart that is shrunk to a third has labels that nobody can read.
_POOR_CHARTS = """
    [...document.querySelectorAll("section img")].filter(image =>
        !(image.complete && image.naturalWidth > 100 && image.clientWidth > 0.8 * image.naturalWidth)
    ).map(image => image.alt)
"""

_TOO_SMALL_FOR_A_FINGER = """
    [...document.querySelectorAll("a:not(.skip), button, select, input, summary")].filter(part => {
        const { width, height } = part.getBoundingClientRect();
        return width && height && height < 44;
    }).map(part => part.outerHTML.slice(0, 100))
"""


@pytest.mark.slow
def test_a_click_on_an_amount_leads_to_the_same_amount(
    sites: dict[Audience, Site], chromium: Browser
) -> None:
    with page_of(chromium, 1440) as page:
        page.goto(f"{sites['rep'].server.url}d/commission_report")
        cell = page.locator("#card-payout_by_month tbody tr").first.locator("a").first
        amount = cell.inner_text()
        cell.click()

        expect(page.locator("h1")).to_have_text("Payout explained")
        assert page.locator("#card-paid .big").inner_text() == amount
        assert page.locator("#card-sum_of_lines .big").inner_text() == amount
        assert page.locator("#card-lines tr.total td").nth(10).inner_text() == amount

        page.get_by_role("link", name="Back to Commission report").click()
        assert page.locator("#card-payout_by_month tbody tr").first.locator("a").first.inner_text() == amount


@pytest.mark.slow
def test_the_month_and_whether_it_may_still_change_stay_in_view(
    sites: dict[Audience, Site], chromium: Browser
) -> None:
    with page_of(chromium, 390) as page:
        page.goto(f"{sites['rep'].server.url}d/my_statement")
        standing = page.locator(".standing")
        assert re.fullmatch(
            r"[A-Z][a-z]{2} 20\d\d · provisional · as of 20\d\d-\d\d-\d\d \d\d:\d\d UTC",
            standing.inner_text(),
        )
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")

        box = standing.bounding_box()
        assert box is not None
        assert 0 <= box["y"] < 10


@pytest.mark.slow
def test_a_page_can_be_read_by_keyboard(sites: dict[Audience, Site], chromium: Browser) -> None:
    with page_of(chromium, 1440) as page:
        page.goto(f"{sites['rep'].server.url}d/payout_explained")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the figures"
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("#main$"))
        table = page.get_by_role("region", name="The sale lines behind it").locator(".scroll")
        table.focus()
        page.keyboard.press("ArrowRight")
        # The page forbids code from texts, and so Playwright's own waiting for a condition.
        deadline = time.monotonic() + 30
        while not table.evaluate("part => part.scrollLeft") and time.monotonic() < deadline:
            page.wait_for_timeout(50)
        assert table.evaluate("part => part.scrollLeft") > 0


@pytest.mark.slow
def test_a_filter_is_chosen_in_the_browser(sites: dict[Audience, Site], chromium: Browser) -> None:
    with page_of(chromium, 1440) as page:
        page.goto(f"{sites['admin'].server.url}d/sales_history?tab=novo")
        page.get_by_label("Rep").select_option(REP)
        page.get_by_role("button", name="Show").click()

        expect(page).to_have_url(re.compile("[?&]rep="))
        assert page.locator('.tabs a[aria-current="page"]').inner_text() == "Novo"
        names = page.locator("#card-lines_of_novo tbody tr td:first-child").all_inner_texts()
        assert set(names) <= {REP}


def test_a_question_begins_a_mail_to_the_admins_that_says_what_it_is_about() -> None:
    viewer = Viewer("Zoë & Co", "zoe", "rep", "", ("ada@example.com", "cy@example.com"))

    address, _, query = (question(viewer, "October 2026, Cygnus, invoice 7 & 8") or "").partition("?")

    assert address == "mailto:ada@example.com,cy@example.com"
    said = dict(parse_qsl(query))
    assert said["subject"] == "A question about my statement"
    assert said["body"].splitlines()[:2] == ["Payee: Zoë & Co", "About: October 2026, Cygnus, invoice 7 & 8"]
    assert "+" not in query  # mail programs show it as it is
    assert question(replace(viewer, write_to=()), "anything") is None


def test_questions_go_to_the_admins_who_may_log_in(
    built: Zone, sites: dict[Audience, Site], secrets: FileSecrets
) -> None:
    asked = sites["rep"].viewer.write_to
    assert len(asked) > 1
    with psycopg.connect(built.database_url) as owner:
        owner.execute("update marts.people set is_active = false where email = %s", [asked[0]])

        assert find_viewer(owner, secrets, built.database_url, REP).write_to == asked[1:]

        owner.rollback()


@pytest.mark.slow
def test_a_printed_page_has_its_figures_and_nothing_to_click(
    sites: dict[Audience, Site], chromium: Browser
) -> None:
    with page_of(chromium, 800) as page:
        page.goto(f"{sites['rep'].server.url}d/my_statement")
        page.emulate_media(media="print")

        assert page.locator("#card-paid .big").is_visible()
        for part in ("header", ".filters", ".files"):
            assert not page.locator(part).is_visible()
        # All rows, not those that fit into a window.
        assert page.evaluate(
            "[...document.querySelectorAll('.scroll')].every(box => box.scrollHeight <= box.clientHeight + 1)"
        )


def keep(page: Page, name: str, height: int = 2_100) -> None:
    """Keep a picture of the page where `SHS_SCREENSHOTS` says, in few colours: it is a document."""
    if folder := os.environ.get("SHS_SCREENSHOTS"):
        from PIL import Image

        Path(folder).mkdir(parents=True, exist_ok=True)
        picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
        picture = picture.crop((0, 0, picture.width, min(picture.height, height)))
        picture.quantize(256, method=Image.Quantize.FASTOCTREE).save(
            Path(folder) / f"{name}.png", optimize=True
        )


# --- the command ---------------------------------------------------------------------------


def run_shs(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment: dict[str, Any] = {**os.environ, "SHS_HOME": str(home)}
    for name in ("SHS_LANDING", "SHS_DATABASE_URL", "SHS_SECRETS"):
        environment.pop(name, None)
    return subprocess.run(
        [SHS, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_without_anything_published_the_command_says_what_to_do(tmp_path: Path) -> None:
    done = run_shs(tmp_path / "none", "preview")

    assert done.returncode == 1
    assert "No payouts have been published here yet." in done.stderr
    assert "shs run" in done.stderr
    assert not (tmp_path / "none" / "postgres").exists()
