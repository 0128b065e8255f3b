"""Notices: what is told to whom, once each, and what a mail server does with it."""

from __future__ import annotations

import datetime as dt
import email.policy
import io
import ipaddress
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import dagster as dg
import openpyxl
import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from typer.testing import CliRunner

from assets.checks import REJECTED
from assets.warehouse import Warehouse
from sensors.notices import notices_sensor
from shs_pipeline.base.errors import ShsError
from shs_pipeline.cli.main import build_app
from shs_pipeline.ingest.warehouse import ensure_tables
from shs_pipeline.marts.identities import give_ids
from shs_pipeline.notices import mail as mail_module
from shs_pipeline.notices import outbox, sending
from shs_pipeline.notices.logs import LOGGER
from shs_pipeline.notices.mail_server import MailServer
from shs_pipeline.notices.sending import Told, send_test, tell
from shs_pipeline.notices.texts import FailedRun, Notice, month_spans
from shs_pipeline.samples.broken import with_bad_cell
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.settings.settings import Settings
from tests.conftest import Zone

PASSWORD = "canary-of-the-mail-server"
BROKEN = "incoming/cygnus/2025-03/March <b>\u00fcbersicht.xlsx"
TODAY = date(2025, 3, 10)  # January is due, February is not


# --- a mail server -----------------------------------------------------------------------


@dataclass
class Inbox:
    """A real mail server on 127.0.0.1, and what it took."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    most_bytes: int = 30 << 20

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        if len(envelope.content) > self.most_bytes:
            return "552 too large"
        found = BytesParser(policy=email.policy.default).parsebytes(envelope.content)
        assert isinstance(found, EmailMessage)
        found["X-Was-Encrypted"] = str(server.transport.get_extra_info("ssl_object") is not None)
        found["X-Login"] = str(session.authenticated)
        self.mails.append(found)
        return "250 taken"

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["To"] == address]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of an authority of our own for 127.0.0.1, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail of the tests")])
    public = key.public_key()
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path_factory.mktemp("certificate") / "mail.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


class AnyPort(Controller):
    """A server on a port that the system chooses."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


Serve = Callable[..., Inbox]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start mail servers, which end with the test."""
    running: list[Controller] = []

    def start(**options: Any) -> Inbox:
        inbox = Inbox(0)
        controller = AnyPort(inbox, hostname="127.0.0.1", port=0, **options)
        controller.start()
        running.append(controller)
        inbox.port = controller.port
        return inbox

    yield start
    for controller in running:
        controller.stop()


@pytest.fixture
def inbox(serve: Serve) -> Inbox:
    """A server without encryption and login."""
    return serve()


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def knows_password(
    server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    del server, session, envelope, mechanism
    return AuthResult(success=data.password == PASSWORD.encode() and data.login == b"shs", handled=False)


# --- a warehouse -------------------------------------------------------------------------


_MARTS = """
create schema marts;
create table marts.publications (
    publication_id bigint generated always as identity primary key,
    definition_hash text not null default '', last_due_month date not null default '2025-01-01',
    books_at timestamptz not null default 'epoch', published_at timestamptz not null default now(),
    reference_versions jsonb not null default '{}'
);
insert into marts.publications default values;
create table marts.people as
    select payees.payee_id, sales_rep_name as rep_name from reference.sales_reps
    inner join reference.payees on name_key = ops.match_key(sales_rep_name);
create table marts.commission_payouts (
    payee_id text, rep_name text, product_line_id text, product_line text, commission_month date,
    sales_actual numeric, payout numeric,
    cumulative_sales numeric default 0, commission_tier_1 numeric default 0,
    commission_tier_2_diff numeric default 0, deferred numeric default 0, released numeric default 0
);
create table marts.uncredited_sales as
    select * from (values (146603.50), (7.25)) as sold (sales_actual);
"""

# The workbook that is in force comes into force once more, as another version.
_SECOND_VERSION = """
with old as (
    update ops.files set status = 'superseded'
    where path = 'reference/sales_reps.xlsx' and status = 'loaded' returning *
),
new as (
    insert into ops.files (source, path, uri, bytes, etag, status, run_id, change_no)
    select source, path, uri, bytes, 'second', 'loaded', 'second', 0 from old
    returning file_id
),
ended as (
    update reference.versions set in_force_until = now()
    where table_name = 'sales_reps' and in_force_until is null returning table_name
),
lines as (
    insert into reference.sales_reps
        (file_id, source_sheet, source_row, sales_rep_name, rep_category, email, permission, active)
    select new.file_id, source_sheet, source_row, sales_rep_name, rep_category, email, permission, active
    from reference.sales_reps cross join new
)
insert into reference.versions (file_id, table_name, in_force_from)
select file_id, table_name, now() from new cross join ended
"""


@pytest.fixture(scope="module")
def built_zone(module_zone: Zone) -> Zone:
    """Cygnus in January and February, with payouts of two reps; a rejected file in March.

    Published by hand, since a build takes seconds; a real one is told in `test_secrets_canary.py`.
    """
    module_zone.drop_references("sales_reps")
    for month in ("2025-01", "2025-02"):
        module_zone.drop_sample("cygnus", month, lines=3, seed=int(month[-1]))
    sample = make_sample("cygnus", date(2025, 3, 1), lines=6, seed=3)
    row = int(str(sample.lines[2]["source_row"]))
    module_zone.drop(BROKEN, with_bad_cell(sample.content, "Invoice Total", row, "a lot"))
    module_zone.run()
    with psycopg.connect(module_zone.database_url) as owner:
        give_ids(owner)
        owner.execute(_MARTS)
        for month in (1, 2):
            owner.execute(
                "insert into marts.commission_payouts (payee_id, rep_name, commission_month,"
                " product_line_id, product_line, sales_actual, payout)"
                " select people.payee_id, rep_name, %s, product_line_id, product_line, 8123.45, 612.34"
                " from marts.people inner join reference.sales_reps on sales_rep_name = rep_name"
                " cross join reference.product_line_names as lines"
                " where lines.name_key = 'cygnus' and source_row %% 3 = %s",
                [date(2025, month, 1), month % 2],
            )
    return module_zone


@pytest.fixture
def zone(built_zone: Zone) -> Zone:
    """The warehouse with an empty outbox, to which everything so far is the past."""
    with psycopg.connect(built_zone.database_url) as owner:
        owner.execute("truncate ops.notice_mails, ops.mails, ops.notices")
        owner.execute(
            "update ops.notice_marks set begun_at = clock_timestamp(), server_tries = 0, server_after = null,"
            " file_id = (select max(file_id) from ops.files), hold_id = 0,"
            " publication_id = (select max(publication_id) from marts.publications)"
        )
        owner.execute(
            "update reference.sales_reps set active = true, permission = 'user', email ="
            " 'rep' || source_row || '@example.com'"
        )
        owner.execute(
            "update reference.sales_reps set permission = 'admin' where source_row in"
            " (select source_row from reference.sales_reps order by source_row desc limit 2)"
        )
    return built_zone


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    logger = logging.getLogger(LOGGER)
    yield
    logger.handlers.clear()
    logger.propagate, logger.level = True, logging.NOTSET


def settings_of(inbox: Inbox | None, **others: Any) -> Settings:
    mail = {"smtp_host": "127.0.0.1", "smtp_port": inbox.port, "smtp_tls": "none"} if inbox else {}
    return Settings(**({"smtp_sender": "Sales <tracker@example.com>"} | mail | others))


def tell_all(zone: Zone, settings: Settings, *runs: FailedRun, **options: Any) -> Told:
    return tell(zone.job(), settings, runs, **({"today": TODAY} | options))


def admins(zone: Zone) -> list[str]:
    found = zone.query(
        "select email from reference.sales_reps where permission = 'admin' order by source_row"
    )
    return [address for (address,) in found]


def nothing_is_past(zone: Zone) -> None:
    with psycopg.connect(zone.database_url) as owner:
        owner.execute("update ops.notice_marks set begun_at = '2020-01-01', file_id = 0, publication_id = 0")


def put(zone: Zone, *names: str, **fields: Any) -> None:
    """Put notices for the admins, or for the rep that is named, into the outbox."""
    with psycopg.connect(zone.database_url) as owner:
        put_with(owner, *names, **fields)


def put_with(owner: psycopg.Connection, *names: str, **fields: Any) -> None:
    for name in names:
        outbox._put(owner, [Notice("failed_run", f"test/{name}", name, f"Body of {name}.", **fields)])


def failed(name: str = "1", problem: str = "The disk is full.") -> FailedRun:
    return FailedRun(f"run {name}", "raw/cygnus", problem, TODAY)


def minutes_pass(zone: Zone, minutes: int) -> None:
    with psycopg.connect(zone.database_url) as owner:
        owner.execute(
            "update ops.mails set claimed_at = claimed_at - make_interval(mins => %(m)s),"
            " try_after = try_after - make_interval(mins => %(m)s)",
            {"m": minutes},
        )
        owner.execute("update ops.notice_marks set server_after = server_after - make_interval(mins => %s)",
                      [minutes])  # fmt: skip


def states(zone: Zone) -> list[tuple[str, str]]:
    return zone.query("select recipient, state from ops.mails order by mail_id")


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body()
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


# --- what is told ------------------------------------------------------------------------


def test_a_rejected_file_mails_the_admins_its_error_workbook(zone: Zone, inbox: Inbox) -> None:
    nothing_is_past(zone)
    with psycopg.connect(zone.database_url) as owner:  # published months are another test's
        owner.execute("update ops.notice_marks set publication_id = 1000")

    tell_all(zone, settings_of(inbox), today=date(2025, 2, 1))

    assert sorted(mail["To"] for mail in inbox.mails) == sorted(admins(zone))
    mail = inbox.mails[0]
    assert mail["Subject"] == f"Rejected: {BROKEN}"
    problem, remedy = zone.query("select problem, remedy from ops.files where status = 'rejected'")[0]
    assert problem in text_of(mail)
    assert remedy in text_of(mail)
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == f"{Path(BROKEN).name}.errors.xlsx"
    book = openpyxl.load_workbook(io.BytesIO(attached.get_content()))
    assert any("a lot" in str(cell) for row in book.worksheets[0].values for cell in row)


def test_the_books_are_asked_in_one_session_however_many_mails_go_out(
    zone: Zone, inbox: Inbox, sessions_begun: list[str]
) -> None:
    put(zone, "a", "b")

    tell_all(zone, settings_of(inbox))

    assert len(inbox.mails) == 2
    assert len(sessions_begun) == 1


def test_a_file_that_is_mended_before_the_mail_goes_out_is_not_told(zone: Zone, inbox: Inbox) -> None:
    nothing_is_past(zone)
    tell_all(zone, settings_of(inbox, smtp_port=1))
    with psycopg.connect(zone.database_url) as owner:
        owner.execute("update ops.mails set state = 'given_up'")  # so that nothing of it is on its way
        owner.execute("update ops.notice_mails set mail_id = null")
        owner.execute("update ops.files set status = 'superseded' where path = %s", [BROKEN])
    try:
        tell_all(zone, settings_of(inbox), at_once=True)
    finally:
        with psycopg.connect(zone.database_url) as owner:
            owner.execute("update ops.files set status = 'rejected' where path = %s", [BROKEN])

    assert ("rejected_file", "overtaken") in zone.query("select kind, state from ops.notices")
    assert inbox.mails
    assert not any("Rejected" in text_of(mail) for mail in inbox.mails)


def test_a_failed_run_is_told_once_a_day_however_often_it_fails(
    zone: Zone, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_of(inbox, mail_minutes=0)

    tell_all(zone, settings, failed("1"), failed("2"))
    tell_all(zone, settings, failed("3"))
    tell_all(zone, settings, failed("4", "Something else."))

    assert [len(inbox.to(address)) for address in admins(zone)] == [2, 2]
    assert "The disk is full." in text_of(inbox.mails[0])
    events = [r.getMessage() for r in caplog.records if "SHS-EVENT" in r.getMessage()]
    assert events == [f"SHS-EVENT run_failed run=run_{number}" for number in (1, 2, 3, 4)]


def test_a_source_is_told_missing_from_its_due_day_on(
    zone: Zone, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_of(inbox, mail_minutes=0)
    with psycopg.connect(zone.database_url) as owner:
        owner.execute("update ops.notice_marks set begun_at = '2025-03-01', publication_id = 1000")
        # No month has to have adjustments, whatever came in one.
        owner.execute(
            "insert into ops.files"
            " (source, commission_month, path, uri, bytes, etag, status, run_id, change_no)"
            " values ('adjustments', '2025-02-01', 'a.xlsx', 'a.xlsx', 1, '', 'loaded', 'run', 0)"
        )

    tell_all(zone, settings, today=date(2025, 4, 19))
    assert not inbox.mails

    for day in (20, 21):
        tell_all(zone, settings, today=date(2025, 4, day))
    assert [mail["Subject"] for mail in inbox.mails] == ["Missing: cygnus 2025-03"] * 2
    assert "incoming/cygnus/2025-03/" in text_of(inbox.mails[0])

    tell_all(zone, settings, today=date(2025, 5, 20))
    assert inbox.mails[-1]["Subject"] == "Missing: cygnus 2025-03 to 2025-04"
    events = [r.getMessage() for r in caplog.records if "SHS-EVENT" in r.getMessage()]
    assert events == [f"SHS-EVENT source_stale source=cygnus month=2025-0{month}" for month in (3, 4)]


def test_nothing_is_lost_that_came_while_the_clock_went_back(zone: Zone) -> None:
    """The outbox was made by a clock that was ahead; what came later bears earlier times."""
    with psycopg.connect(zone.database_url) as owner:
        owner.execute("update ops.notice_marks set begun_at = now() + interval '400 days'")
        past = owner.execute("select file_id, hold_id, publication_id from ops.notice_marks").fetchone()
        assert past is not None
        owner.execute(
            "update ops.notice_marks set file_id ="
            " (select min(file_id) - 1 from ops.files where path = %s), publication_id = publication_id - 1",
            [BROKEN],
        )
        owner.execute("insert into ops.holds (problem, remedy) values ('Files are gone.', 'Look.')")
    try:
        tell_all(zone, settings_of(None), today=date(2025, 3, 1))
        tell_all(zone, settings_of(None), today=date(2025, 4, 20))
    finally:
        with psycopg.connect(zone.database_url) as owner:
            owner.execute("delete from ops.holds")

    subjects = [subject for (subject,) in zone.query("select subject from ops.notices order by notice_id")]
    assert f"Rejected: {BROKEN}" in subjects
    assert "Held: many loaded files are missing" in subjects
    assert "Published: 2025-01 to 2025-02" in subjects
    assert "Missing: cygnus 2025-03" in subjects


def test_the_past_is_not_told_whatever_its_times_say(zone: Zone) -> None:
    with psycopg.connect(zone.database_url) as owner:
        owner.execute("update ops.notice_marks set begun_at = '2025-03-01'")
        # Read again, as every run does that reads the whole landing zone.
        owner.execute("update ops.files set rows_read = rows_read, finished = now() + interval '2 hours'")

    tell_all(zone, settings_of(None), today=date(2025, 3, 10))

    assert zone.query("select subject from ops.notices") == []


@pytest.mark.parametrize("was_there", [True, False])
def test_an_older_installation_mails_no_past_and_all_that_comes(zone: Zone, was_there: bool) -> None:
    """Its outbox had times only, or it had none."""
    with psycopg.connect(zone.database_url) as owner:
        if was_there:
            owner.execute("update ops.notice_marks set publication_id = 0, begun_at = clock_timestamp()")
            owner.execute("alter table ops.notice_marks drop column file_id, drop column hold_id")
        else:
            owner.execute("drop table ops.notice_marks")
        ensure_tables(owner)
        ensure_tables(owner)
    tell_all(zone, settings_of(None))
    assert zone.query("select subject from ops.notices") == []

    with psycopg.connect(zone.database_url) as owner:
        # With a time of before the outbox: only the number says that it is new.
        owner.execute(
            "insert into ops.files (path, uri, bytes, etag, status, run_id, first_seen) values"
            " ('incoming/new.xlsx', 'file:///new.xlsx', 1, 'e', 'rejected', 'run', '2020-01-01')"
        )
    try:
        tell_all(zone, settings_of(None))
        assert zone.query("select subject from ops.notices") == [("Rejected: incoming/new.xlsx",)]
    finally:
        with psycopg.connect(zone.database_url) as owner:
            owner.execute("truncate ops.notice_mails, ops.mails, ops.notices")
            owner.execute("delete from ops.files where path = 'incoming/new.xlsx'")


def test_each_rep_is_told_of_the_own_published_months_without_amounts(zone: Zone, inbox: Inbox) -> None:
    nothing_is_past(zone)
    settings = settings_of(
        inbox, metabase_url="http://metabase:3000", metabase_public_url="https://bi.example.com"
    )

    tell_all(zone, settings)

    months: dict[str, set[date]] = {}
    for rep_email, month in zone.query(
        "select distinct email, commission_month from marts.commission_payouts"
        " inner join reference.sales_reps on sales_rep_name = rep_name where permission = 'user'"
    ):
        months.setdefault(rep_email, set()).add(month)
    assert months
    for address, own in months.items():
        (mail,) = inbox.to(address)
        assert mail["Subject"] == f"Your figures for {month_spans(own)}"
        assert f"New: {month_spans(own)}\n" in text_of(mail)
        assert "https://bi.example.com" in text_of(mail)
    said = "".join(text_of(mail) for address in months for mail in inbox.to(address))
    for name, payout in zone.query("select rep_name, payout::text from marts.commission_payouts"):
        assert name not in said
        assert payout == "0.00" or payout not in said
    summary = text_of(inbox.to(admins(zone)[0])[0])
    assert "Publication 1: commission months 2025-01 to 2025-02." in summary
    assert "2 lines are credited to nobody." in summary
    assert "146" not in summary


def test_a_change_is_told_to_those_whose_amounts_it_changes_and_to_nobody_else(
    zone: Zone, inbox: Inbox
) -> None:
    (name, month), (other, others_month) = zone.query(
        "select rep_name, min(commission_month) from marts.commission_payouts group by 1 order by 1 limit 2"
    )
    publication = zone.query("select max(publication_id) from marts.publications")[0][0]
    with psycopg.connect(zone.database_url) as owner:
        columns = (
            "payee_id, rep_name, product_line_id, product_line, commission_month, sales_actual,"
            " cumulative_sales, commission_tier_1, commission_tier_2_diff, deferred, released, payout"
        )
        note = (
            f"insert into history.commission_payouts (publication_id, change, {columns})"
            " select %s, %s, payee_id, rep_name, product_line_id, product_line, commission_month,"
            " sales_actual, cumulative_sales + %s, commission_tier_1, commission_tier_2_diff, deferred,"
            " released, payout + %s"
            " from marts.commission_payouts where rep_name = %s and commission_month = %s"
        )
        # As the macros of dbt make it.
        owner.execute("create schema if not exists history")
        owner.execute(
            "create table history.commission_payouts as"
            " select 0::bigint as publication_id, '' as change, mart.* from marts.commission_payouts as mart"
            " limit 0"
        )
        owner.execute("update ops.notice_marks set publication_id = %s, file_id = 0", [publication])
        changes = [(name, month, 0, 5), (other, others_month, 5, 0)]
        for name_, month_, more_sales, more_payout in changes:
            owner.execute(note, [publication + 1, "removed", 0, 0, name_, month_])
            owner.execute(note, [publication + 1, "added", more_sales, more_payout, name_, month_])
        owner.execute(
            "insert into marts.publications overriding system value select (jsonb_populate_record(p,"
            " jsonb_build_object('publication_id', p.publication_id + 1, 'published_at', now()))).*"
            " from marts.publications as p order by publication_id desc limit 1"
        )
    try:
        tell_all(zone, settings_of(inbox))
    finally:
        with psycopg.connect(zone.database_url) as owner:
            owner.execute("drop schema history cascade")
            owner.execute("delete from marts.publications where publication_id > %s", [publication])

    told = zone.query("select rep_name, body from ops.notices where kind = 'published_month'")
    assert [told_name for told_name, _ in told] == [name]
    assert f"Changed: {month:%Y-%m}\n" in told[0][1]
    assert "New" not in told[0][1]


def test_marts_of_an_older_version_hold_back_only_the_news_of_publications(
    zone: Zone, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Between an upgrade and the next build nobody has an id; that build may be what fails."""
    nothing_is_past(zone)
    settings = settings_of(inbox, mail_minutes=0)
    with psycopg.connect(zone.database_url) as owner:
        owner.execute("alter table marts.people rename payee_id to not_there_yet")
    try:
        tell_all(zone, settings, failed())
    finally:
        with psycopg.connect(zone.database_url) as owner:
            owner.execute("alter table marts.people rename not_there_yet to payee_id")

    kinds = {kind for (kind,) in zone.query("select kind from ops.notices")}
    assert {"failed_run", "rejected_file"} <= kinds
    assert not any("published" in kind for kind in kinds)
    assert {mail["To"] for mail in inbox.mails} == set(admins(zone))
    assert "an older version of shs published it" in caplog.text
    assert "Run shs run" in caplog.text

    caplog.clear()
    tell_all(zone, settings)
    assert {mail["To"] for mail in inbox.mails} > set(admins(zone))
    assert "older version" not in caplog.text


def test_the_past_of_an_installation_is_not_mailed(zone: Zone, inbox: Inbox) -> None:
    told = tell_all(zone, settings_of(inbox))

    assert told == Told()
    assert not inbox.mails


def test_without_a_mail_server_the_same_texts_go_to_the_log_once_and_are_never_mailed(
    zone: Zone, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    first = tell_all(zone, settings_of(None, smtp_sender=""), failed())
    second = tell_all(zone, settings_of(None, smtp_sender=""))
    tell_all(zone, settings_of(inbox))

    assert first.logged == ["A run failed: raw/cygnus"]
    assert second.logged == []
    assert sum("The disk is full." in record.getMessage() for record in caplog.records) == 1
    assert not inbox.mails


# --- to whom -----------------------------------------------------------------------------


def test_a_notice_waits_until_there_is_an_admin(zone: Zone, inbox: Inbox) -> None:
    with psycopg.connect(zone.database_url) as owner:
        owner.execute("update reference.sales_reps set permission = 'user'")
    tell_all(zone, settings_of(inbox), failed())
    assert not inbox.mails
    assert "waiting for an admin" in zone.job().query(lambda c: outbox.recent(c, 1))[0].standing

    with psycopg.connect(zone.database_url) as owner:
        owner.execute("update reference.sales_reps set permission = 'admin' where email = 'rep2@example.com'")
    tell_all(zone, settings_of(inbox))
    assert [mail["To"] for mail in inbox.mails] == ["rep2@example.com"]


def test_who_left_or_is_no_admin_any_more_gets_nothing_of_what_waits(zone: Zone, inbox: Inbox) -> None:
    left, demoted = admins(zone)
    tell_all(zone, settings_of(inbox, smtp_port=1), failed())
    with psycopg.connect(zone.database_url) as owner:
        owner.execute("update reference.sales_reps set active = false where email = %s", [left])
        owner.execute("update reference.sales_reps set permission = 'user' where email = %s", [demoted])

    tell_all(zone, settings_of(inbox), at_once=True)

    assert not inbox.mails
    assert {state for _, state in states(zone)} == {"given_up"}


def test_mail_that_waits_reaches_a_rep_who_was_renamed_and_no_build_came_since(zone: Zone) -> None:
    name, payee_id, email = zone.query(
        "select rep_name, people.payee_id, email from marts.people inner join reference.sales_reps"
        " on sales_rep_name = rep_name where permission = 'user' order by source_row limit 1"
    )[0]
    with psycopg.connect(zone.database_url) as owner:
        owner.execute(_SECOND_VERSION)
        owner.execute(
            "update reference.sales_reps set sales_rep_name = 'Dana Newname' where sales_rep_name = %s"
            " and file_id = (select max(file_id) from ops.files)",
            [name],
        )
        put_with(owner, "of the old name", rep_name=name, payee_id=payee_id)
        put_with(owner, "of nobody", rep_name=name, payee_id="P-00000")

        outbox.address(owner)

        found = owner.execute(
            "select subject, state, recipient from ops.notices left join ops.notice_mails using (notice_id)"
            " order by subject"
        ).fetchall()
        owner.rollback()
    assert found == [("of nobody", "nobody", None), ("of the old name", "addressed", email)]


def test_a_rep_who_may_not_log_in_is_told_nothing(zone: Zone, inbox: Inbox) -> None:
    name = zone.query("select sales_rep_name from reference.sales_reps order by source_row limit 1")[0][0]
    with psycopg.connect(zone.database_url) as owner:
        owner.execute("update reference.sales_reps set active = false where sales_rep_name = %s", [name])
    put(zone, "one", rep_name=name)

    tell_all(zone, settings_of(inbox))

    assert not inbox.mails
    assert zone.query("select state from ops.notices") == [("nobody",)]


# --- one mail, and one only --------------------------------------------------------------


def test_what_waits_for_one_person_is_one_mail_and_the_next_one_comes_later(zone: Zone, inbox: Inbox) -> None:
    settings = settings_of(inbox)
    put(zone, "first")
    tell_all(zone, settings)
    put(zone, "second", "third")
    tell_all(zone, settings)
    assert [mail["Subject"] for mail in inbox.mails] == ["first", "first"]

    minutes_pass(zone, 14)
    tell_all(zone, settings)
    assert len(inbox.mails) == 2

    minutes_pass(zone, 1)
    put(zone, "fourth")
    tell_all(zone, settings)

    assert [mail["Subject"] for mail in inbox.mails[2:]] == ["3 notices: 3 failed"] * 2
    assert all(f"Body of {name}." in text_of(inbox.mails[2]) for name in ("second", "third", "fourth"))
    tell_all(zone, settings, at_once=True)
    assert len(inbox.mails) == 4


def test_a_flood_is_a_mail_of_bounded_length(zone: Zone, inbox: Inbox) -> None:
    put(zone, *(f"notice {number}" for number in range(300)))

    tell_all(zone, settings_of(inbox))

    assert len(inbox.mails) == 2
    text = text_of(inbox.mails[0])
    assert "And 275 more:" in text
    assert "- notice 224\n" in text
    assert "notice 225\n" not in text
    assert "and 75 more" in text


def test_what_is_too_large_to_attach_is_named_by_its_path(
    zone: Zone, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_module, "MOST_ATTACHED_BYTES", 100)
    for name, size in (("large", 101), ("small", 60), ("also small", 41)):
        zone.drop(f"rejected/{name}.errors.xlsx", b"x" * size)
        put(zone, name, attachment=f"rejected/{name}.errors.xlsx")
    put(zone, "gone", attachment="rejected/gone.errors.xlsx")

    tell_all(zone, settings_of(inbox))

    names = [part.get_filename() for part in inbox.mails[0].iter_attachments()]
    assert names == ["small.errors.xlsx"]
    assert "(attached, and in the landing zone): rejected/small.errors.xlsx" in text_of(inbox.mails[0])
    for name in ("large", "also small", "gone"):
        assert f"(in the landing zone): rejected/{name}.errors.xlsx" in text_of(inbox.mails[0])


def test_a_mail_too_large_for_the_server_goes_without_its_attachments(zone: Zone, inbox: Inbox) -> None:
    inbox.most_bytes = 5000
    zone.drop("rejected/one.errors.xlsx", bytes(10_000))
    put(zone, "one", attachment="rejected/one.errors.xlsx")

    tell_all(zone, settings_of(inbox))

    assert len(inbox.mails) == 2
    assert not list(inbox.mails[0].iter_attachments())
    assert "rejected/one.errors.xlsx" in text_of(inbox.mails[0])


def test_two_processes_at_once_send_each_mail_once(zone: Zone, inbox: Inbox) -> None:
    nothing_is_past(zone)
    reps = [name for (name,) in zone.query("select sales_rep_name from reference.sales_reps")]
    for name in reps:
        put(zone, f"for {name}", rep_name=name)
    start = threading.Barrier(3)

    def work() -> None:
        start.wait()
        tell_all(zone, settings_of(inbox), failed())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    recipients = [mail["To"] for mail in inbox.mails]
    assert sorted(recipients) == sorted(set(recipients))
    assert len(recipients) == len(reps)
    assert {state for _, state in states(zone)} == {"sent"}


def test_a_process_that_was_killed_over_a_mail_sends_it_later_under_the_same_name(
    zone: Zone, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(zone.database_url) as owner:
        owner.execute(
            "update reference.sales_reps set permission = 'user' where email = %s", admins(zone)[:1]
        )
    put(zone, "one")
    settings = settings_of(inbox)
    with monkeypatch.context() as patch:
        patch.setattr(sending, "_settle", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            tell_all(zone, settings)  # the server took it, and nobody wrote that down

    tell_all(zone, settings)
    assert len(inbox.mails) == 1

    minutes_pass(zone, 11)
    tell_all(zone, settings)
    first, second = inbox.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert [state for _, state in states(zone)] == ["sent"]


def test_a_mail_that_kills_whoever_sends_it_is_not_sent_without_end(zone: Zone, inbox: Inbox) -> None:
    put(zone, "one")
    tell_all(zone, settings_of(inbox))
    with psycopg.connect(zone.database_url) as owner:
        owner.execute(
            "update ops.mails set state = 'sending', attempts = 3, claimed_at = now() - interval '1 hour'"
        )

    tell_all(zone, settings_of(inbox))

    assert len(inbox.mails) == 2
    assert {state for _, state in states(zone)} == {"given_up"}


# --- the server --------------------------------------------------------------------------


def test_a_server_that_is_away_gets_the_mail_later(zone: Zone, inbox: Inbox) -> None:
    away = settings_of(inbox, smtp_port=1)
    put(zone, "one")

    told = tell_all(zone, away)

    assert "cannot be reached" in str(told.trouble[0])
    assert tell_all(zone, settings_of(inbox)) == Told()  # left alone for a minute
    for minutes in (1, 2, 4):
        minutes_pass(zone, minutes)
        assert tell_all(zone, away).trouble
        minutes_pass(zone, minutes)
        assert not tell_all(zone, away).trouble
    minutes_pass(zone, 8)
    assert tell_all(zone, settings_of(inbox)).mailed == 2
    assert zone.query("select attempts from ops.mails") == [(1,), (1,)]
    assert zone.query("select server_tries from ops.notice_marks") == [(0,)]


def test_one_bad_address_holds_nobody_back(zone: Zone, inbox: Inbox) -> None:
    first, second = admins(zone)
    inbox.refused[first] = "550 no such mailbox"
    put(zone, "one")

    told = tell_all(zone, settings_of(inbox))

    assert [mail["To"] for mail in inbox.mails] == [second]
    assert "no such mailbox" in str(told.trouble[0])
    assert dict(states(zone)) == {first: "given_up", second: "sent"}
    assert "1 mailed, 1 given up" in zone.job().query(lambda c: outbox.recent(c, 1))[0].standing


def test_a_mailbox_that_is_full_is_tried_again_and_given_up_in_the_end(zone: Zone, inbox: Inbox) -> None:
    first, _ = admins(zone)
    inbox.refused[first] = "452 mailbox full"
    put(zone, "one")
    for _ in range(12):
        tell_all(zone, settings_of(inbox))
        assert dict(states(zone))[first] in ("waiting", "given_up")
        minutes_pass(zone, 60)
    assert dict(states(zone))[first] == "given_up"

    inbox.refused.clear()
    put(zone, "two")
    tell_all(zone, settings_of(inbox))
    assert [mail["Subject"] for mail in inbox.to(first)] == ["two"]


@pytest.mark.parametrize("address", ["m\u00fcller@example.com", 'a"b@example.com', "a(b)@example.com"])
def test_an_address_that_no_server_takes_holds_nobody_back(zone: Zone, inbox: Inbox, address: str) -> None:
    first, second = admins(zone)
    with psycopg.connect(zone.database_url) as owner:
        owner.execute("update reference.sales_reps set email = %s where email = %s", [address, first])
    put(zone, "one")

    tell_all(zone, settings_of(inbox))

    assert inbox.to(second)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_mail_is_encrypted_and_logged_in(
    serve: Serve, certificate: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    context = server_context(certificate)
    options: dict[str, Any] = {"authenticator": knows_password, "auth_required": True}
    if mode == "tls":  # the server knows of no encryption but its own STARTTLS
        inbox = serve(ssl_context=context, auth_require_tls=False, **options)
    else:
        inbox = serve(tls_context=context, require_starttls=True, **options)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    send_test(logged_in(inbox, mode), "you@example.com")

    (mail,) = inbox.mails
    assert (mail["X-Was-Encrypted"], mail["X-Login"]) == ("True", "True")
    assert mail["From"] == "Sales <tracker@example.com>"


def logged_in(inbox: Inbox, mode: str = "starttls", password: str = PASSWORD) -> Settings:
    return settings_of(inbox, smtp_tls=mode, smtp_user="shs", smtp_password=SecretStr(password))


def test_a_wrong_password_is_said_without_it_and_the_mail_waits(
    zone: Zone, serve: Serve, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = serve(tls_context=server_context(certificate), authenticator=knows_password, auth_required=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    put(zone, "one")

    for wrong, words in (
        ("hush hush", "rejected the user name and password (code 535)"),
        ("h\u00fcsch", "characters"),
    ):
        told = tell_all(zone, logged_in(inbox, password=wrong), at_once=True)
        assert words in str(told.trouble[0])
        assert wrong not in str(told.trouble[0])

    assert tell_all(zone, logged_in(inbox), at_once=True).mailed == 2


def test_the_server_is_checked_without_a_mail(
    serve: Serve, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = serve(tls_context=server_context(certificate), authenticator=knows_password, auth_required=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    MailServer(logged_in(inbox)).check()
    with pytest.raises(ShsError, match="rejected the user name and password"):
        MailServer(logged_in(inbox, password="hush hush")).check()

    assert inbox.mails == []


def test_without_starttls_nothing_is_sent_in_clear(inbox: Inbox) -> None:
    with pytest.raises(ShsError, match="does not offer STARTTLS"):
        send_test(settings_of(inbox, smtp_tls="starttls"), "you@example.com")


def test_a_certificate_of_an_unknown_authority_is_refused(serve: Serve, certificate: Path) -> None:
    inbox = serve(tls_context=server_context(certificate))

    with pytest.raises(ShsError, match=r"certificate .* cannot be verified"):
        send_test(settings_of(inbox, smtp_tls="starttls"), "you@example.com")


def test_tls_against_a_server_that_speaks_it_later_is_explained(inbox: Inbox) -> None:
    with pytest.raises(ShsError, match="does not work with SHS_SMTP_TLS=tls"):
        send_test(settings_of(inbox, smtp_tls="tls"), "you@example.com")


def test_no_header_can_be_put_into_a_mail(zone: Zone, inbox: Inbox) -> None:
    path = "rejected/a\r\nBcc: everybody@example.com\u2028.errors.xlsx"
    with psycopg.connect(zone.database_url) as owner:
        notice = Notice(
            "failed_run", "test/header", "a\r\nBcc: everybody@example.com", "text", attachment=path
        )
        outbox._put(owner, [notice])
    zone_job = zone.job()
    read = {path: b"x"}.get
    zone_job.landing.read = read  # type: ignore[method-assign]

    with pytest.raises(ShsError, match="is not an email address"):
        send_test(settings_of(inbox), "you@example.com\r\nBcc: everybody@example.com")
    tell(zone_job, settings_of(inbox), today=TODAY)

    assert not any(mail["Bcc"] for mail in inbox.mails)


# --- who does it when --------------------------------------------------------------------


@pytest.fixture
def installed(zone: Zone, inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Zone:
    """The warehouse as the settings name it."""
    values = {
        "SHS_HOME": str(tmp_path / "home"), "SHS_LANDING": zone.url, "SHS_DATABASE_URL": zone.database_url,
        "SHS_SMTP_HOST": "127.0.0.1", "SHS_SMTP_PORT": str(inbox.port), "SHS_SMTP_TLS": "none",
        "SHS_SMTP_SENDER": "tracker@example.com",
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return zone


def shs(*arguments: str) -> Any:
    return CliRunner().invoke(build_app(), list(arguments))


def test_the_commands_list_send_and_test(installed: Zone, inbox: Inbox) -> None:
    put(installed, "one")

    assert "2 mails sent" in shs("notices", "send").output
    assert "2 mailed" in shs("notices").output
    assert shs("notices", "test", "you@example.com").exit_code == 0
    assert inbox.mails[-1]["Subject"] == "Test: notices reach you"
    refused = shs("notices", "test", "nobody")
    assert isinstance(refused.exception, ShsError)
    assert "one" in shs("status").output


def test_a_run_that_fails_tells_the_admins(
    installed: Zone, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ShsError("The marts were not published.", "Correct the lines.")

    monkeypatch.setattr("shs_pipeline.cli.marts.build", fails)

    result = shs("run")

    assert isinstance(result.exception, ShsError)
    assert "SHS-EVENT run_failed run=shs_run_" in result.output
    assert "The marts were not published. Correct the lines." in text_of(inbox.to(admins(installed)[0])[0])


def test_a_run_tells_what_it_found(installed: Zone, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shs_pipeline.cli.marts.build", lambda *_, **__: None)
    installed.drop("incoming/cygnus/2025-02/nonsense.txt", b"nonsense")
    try:
        assert shs("run").exit_code == 3
    finally:
        installed.delete("incoming/cygnus/2025-02/nonsense.txt")
        shs("run")

    assert inbox.mails[0]["Subject"] == "Rejected: incoming/cygnus/2025-02/nonsense.txt"


@dg.op
def breaks() -> None:
    raise dg.Failure(description="No such column. Export the report again.", allow_retries=False)


@dg.job
def probe() -> None:
    breaks()


@dg.job
def other_probe() -> None:
    breaks()


def test_the_sensor_tells_failed_runs_each_once(installed: Zone, inbox: Inbox) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        probe.execute_in_process(instance=instance, raise_on_error=False)
        first = look(instance, None)
        assert not inbox.mails  # of before the first look
        run = probe.execute_in_process(instance=instance, raise_on_error=False)
        second = look(instance, first.cursor)
        third = look(instance, second.cursor)

    assert [len(inbox.to(address)) for address in admins(installed)] == [1, 1]
    assert "No such column. Export the report again." in text_of(inbox.mails[0])
    assert run.run_id in text_of(inbox.mails[0])
    assert "2 mails sent" in second.skip_reason.skip_message
    assert third.cursor == second.cursor


@dg.op
def rejects() -> None:
    raise dg.Failure(description="1 file rejected.", metadata={REJECTED: 1}, allow_retries=False)


@dg.job
def rejection() -> None:
    rejects()


@dg.job
def rejection_and_more() -> None:
    rejects()
    breaks()


def test_a_run_that_is_red_for_a_rejected_file_alone_is_told_by_the_file_and_no_alarm(
    installed: Zone, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = look(instance, None)
        rejection.execute_in_process(instance=instance, raise_on_error=False)
        second = look(instance, first.cursor)
        assert not inbox.mails
        assert "run_failed" not in caplog.text
        rejection_and_more.execute_in_process(instance=instance, raise_on_error=False)
        look(instance, second.cursor)

    assert len(inbox.to(admins(installed)[0])) == 1
    assert "No such column. Export the report again." in text_of(inbox.mails[0])
    assert "1 file rejected." not in text_of(inbox.mails[0])


def test_the_sensor_forgets_no_failed_run_while_the_database_is_away(
    installed: Zone, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = look(instance, None)
        probe.execute_in_process(instance=instance, raise_on_error=False)
        with monkeypatch.context() as patch:
            patch.setenv("SHS_DATABASE_URL", "postgresql://shs_owner:x@127.0.0.1:1/shs")
            second = look(instance, first.cursor)
        look(instance, second.cursor)

    assert "did not answer" in second.skip_reason.skip_message
    assert len(inbox.mails) == 2


@pytest.mark.usefixtures("installed", "inbox")
def test_a_failed_run_is_told_though_the_clock_stepped_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = look(instance, None)
        with monkeypatch.context() as ahead:
            ahead.setattr(time, "time", lambda real=time.time: real() + 7200)
            ahead.setattr("dagster._core.storage.runs.sql_run_storage.get_current_datetime", two_hours_ahead)
            probe.execute_in_process(instance=instance, raise_on_error=False)
        second = look(instance, first.cursor)
        other_probe.execute_in_process(instance=instance, raise_on_error=False)
        third = look(instance, second.cursor)

    assert all("1 new notice, " in each.skip_reason.skip_message for each in (second, third))


def two_hours_ahead() -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)


@pytest.mark.parametrize("cursor", ['{"after": "2026-01-01T00:00:00+00:00", "seen": []}', "x", ""])
def test_a_cursor_that_is_no_number_begins_anew(installed: Zone, inbox: Inbox, cursor: str) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        probe.execute_in_process(instance=instance, raise_on_error=False)
        first = look(instance, cursor)
        probe.execute_in_process(instance=instance, raise_on_error=False)
        look(instance, first.cursor)

    assert len(inbox.mails) == 2


def look(instance: dg.DagsterInstance, cursor: str | None) -> Any:
    context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"warehouse": Warehouse()})
    return notices_sensor()(context)
