"""`SHS_STATEMENT_LINKS`: a payee is mailed links to the own statement, which nobody else gets to see."""

from __future__ import annotations

import json
import logging
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from aiosmtpd.smtp import Envelope, Session

from shs_pipeline.cli.notices import _as_json
from shs_pipeline.closing.handing_out import hand_out
from shs_pipeline.notices.outbox import recent
from shs_pipeline.notices.sending import Told, tell
from shs_pipeline.settings.settings import Settings
from shs_pipeline.system.doctor import _statement_links
from tests.conftest import S3Server, Zone, copies
from tests.helpers.closed_house import House
from tests.notices.test_notices import AnyPort, Inbox, text_of

pytestmark = pytest.mark.slow
ANN, BO, ADA = "ann@example.com", "bo@example.com", "ada@example.com"


@pytest.fixture(scope="module")
def paid(january_house: House, postgres_home: Path, s3_server: S3Server) -> Iterator[tuple[House, Zone]]:
    """January is closed, and handed out into a bucket."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment.items():
            patch.setenv(name, value)
        for house in copies(january_house, postgres_home):
            zone = Zone("s3://landing/statement links", house.url)
            hand_out(house.connection, zone.landing)
            yield house, zone


@pytest.fixture
def zone(paid: tuple[House, Zone]) -> Zone:
    """The closed company, of which nobody has been told."""
    _, zone = paid
    with psycopg.connect(zone.database_url) as owner:
        owner.execute("truncate ops.notice_mails, ops.mails, ops.notices")
        owner.execute("update ops.notice_marks set publication_id = 0, server_after = null")
        owner.execute("update reference.sales_reps set rep_category = 'Field' where email = %s", [BO])
    return zone


class Refusing(Inbox):
    """A server that repeats the links of a mail that it does not take."""

    async def handle_DATA(self, server: object, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await super().handle_DATA(server, session, envelope)
        links = links_in(text_of(self.mails[-1]))
        return f"451 looks like spam: {' '.join(links)}" if links else "250 taken"


def mailed(zone: Zone, links: str = "12h", inbox: Inbox | None = None) -> tuple[dict[str, str], Told]:
    """Let notices be told; return the text of each person's mail."""
    inbox = inbox or Inbox(0)
    controller = AnyPort(inbox, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        settings = Settings(
            landing=zone.url, statement_links=links, smtp_host="127.0.0.1", smtp_port=controller.port,
            mail_minutes=0, smtp_tls="none", smtp_sender="tracker@example.com",
        )  # fmt: skip
        told = tell(zone.job(), settings)
    finally:
        controller.stop()
    return {mail["To"]: text_of(mail) for mail in inbox.mails}, told


def links_in(text: str) -> list[str]:
    return re.findall(r"https?://\S*X-Amz-\S+", text)


def fetch(link: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(link, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def test_each_payee_gets_links_that_fetch_the_own_statement_and_no_other(zone: Zone) -> None:
    texts, _ = mailed(zone)

    assert set(texts) == {ANN, BO, ADA}
    assert "Your statement" in texts[ANN]
    assert "These links work for 12 hours at most" in texts[ANN]
    for address, payee in ((ANN, "P-ANN"), (BO, "P-BO")):
        found = [fetch(link) for link in links_in(texts[address])]
        paths = [f"paid/2025-01/statements/{payee}.{ending}" for ending in ("pdf", "xlsx")]
        assert found == [(200, zone.landing.read(path)) for path in paths]
    assert links_in(texts[ADA]) == []

    link = links_in(texts[ANN])[0]
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == ["43200"]
    assert fetch(link.replace("P-ANN", "P-BO"))[0] == 403
    assert fetch(link.replace("statements/P-ANN.pdf", "payroll.csv"))[0] == 403
    assert fetch(link.replace("Expires=43200", "Expires=604800"))[0] == 403
    assert fetch(link.partition("?")[0])[0] == 403


def test_a_link_ends(zone: Zone) -> None:
    link = zone.landing.link("paid/2025-01/statements/P-ANN.pdf", timedelta(seconds=2))
    assert fetch(link)[0] == 200

    time.sleep(3)

    assert fetch(link)[0] == 403


def test_doctor_says_that_links_of_a_session_end_with_it(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(landing=zone.url, statement_links="3d")
    assert (_statement_links(settings).state, _statement_links(settings).found) == ("ok", "work for 3 days")

    monkeypatch.setenv("AWS_SESSION_TOKEN", "of a role")

    found = _statement_links(settings)
    assert found.state == "warn"
    assert "end with its session" in found.found


def test_off_sends_none(zone: Zone) -> None:
    texts, _ = mailed(zone, "off")

    assert "Your statement" in texts[ANN]
    assert not any(links_in(text) for text in texts.values())


def test_a_link_is_in_no_table_no_log_and_nothing_that_is_shown(
    zone: Zone, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "shs_pipeline")
    refusing = Refusing(0)
    _, told = mailed(zone, inbox=refusing)
    assert links_in(text_of(refusing.to(ANN)[0]))

    with psycopg.connect(zone.database_url) as owner:
        shown = [_as_json(notice) for notice in recent(owner, 20)]
        tables = {
            name: str(owner.execute(f"select * from ops.{name}".encode()).fetchall())
            for name in ("notices", "notice_mails", "mails", "notice_marks")
        }
    assert "looks like spam: [link]" in tables["mails"]
    assert "looks like spam" in json.dumps(shown)
    said = [*tables.values(), json.dumps(shown), caplog.text, *map(str, told.trouble), *told.logged]
    assert not any("x-amz" in text.lower() for text in said)


def test_a_statement_is_not_mailed_before_it_is_handed_out(zone: Zone) -> None:
    with psycopg.connect(zone.database_url) as owner:
        owner.execute("alter table ledger.receipts rename to kept")
        owner.execute("create table ledger.receipts (like ledger.kept including all)")
    try:
        texts, _ = mailed(zone)
        assert not any("Your statement" in text for text in texts.values())
    finally:
        with psycopg.connect(zone.database_url) as owner:
            owner.execute("drop table ledger.receipts")
            owner.execute("alter table ledger.kept rename to receipts")

    texts, _ = mailed(zone)

    assert set(texts) == {ANN, BO}
    assert links_in(texts[ANN])


def test_what_is_no_longer_the_file_that_was_handed_out_gets_no_link(zone: Zone) -> None:
    path = "paid/2025-01/statements/P-ANN.pdf"
    content = zone.landing.read(path)
    assert content is not None
    zone.landing.write(path, zone.landing.read("paid/2025-01/statements/P-BO.pdf") or b"")
    try:
        texts, _ = mailed(zone)
    finally:
        zone.landing.write(path, content)

    (link,) = links_in(texts[ANN])
    assert urlsplit(link).path.endswith("P-ANN.xlsx")


def test_a_house_account_is_mailed_nothing_even_with_an_address(zone: Zone) -> None:
    with psycopg.connect(zone.database_url) as owner:
        owner.execute("update reference.sales_reps set rep_category = 'HOUSE' where email = %s", [BO])

    texts, _ = mailed(zone)

    assert set(texts) == {ANN, ADA}
