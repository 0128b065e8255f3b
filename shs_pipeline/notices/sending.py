"""Turn the outbox into mails and deliver them, from any number of processes at once.

A mail is claimed by one process before it is sent and marked afterwards. A process that is killed
between the two leaves it claimed; it is sent again after ten minutes, with the same Message-ID. Everything
waiting for one person goes into one mail; the next follows `SHS_MAIL_MINUTES` later.

Mails are made and sent by the standard library (`email`, `smtplib`). No queue does the rest (ADR 0048):
procrastinate and pgqueuer send one message per job from a worker that runs all the time, and outbox libraries
belong to Django or to a broker. Most of the work here is deciding what each person gets, and when.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import today as day_it_is
from shs_pipeline.notices import outbox
from shs_pipeline.notices.mail import Item, compose, compose_test
from shs_pipeline.notices.mail_server import MailRefusedError, MailServer, MailServerError, mail_server
from shs_pipeline.notices.metabase_version import version_notices
from shs_pipeline.notices.outbox import Person
from shs_pipeline.notices.statement_links import STATEMENT, links_in_words
from shs_pipeline.notices.texts import FailedRun

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.ingest.ingestion import Ingestion
    from shs_pipeline.landing.zone import Landing
    from shs_pipeline.settings.settings import Settings

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LAST_PAUSE = 60.0, 3600.0
# Eight pauses that double and four of an hour: six hours.
_MOST_ATTEMPTS = 12
_CLAIMED_MINUTES = 10
# Whether a mail went out before its process was killed is not known: it is not sent without end.
_MOST_UNKNOWN = 3


@dataclass
class Told:
    """What happened to the notices.

    Attributes:
        recorded: notices that are new.
        logged: subjects of those that went to the log, since there is no mail server.
        mailed: mails that a server took.
        trouble: what kept the other mails from being sent; they wait.
    """

    recorded: int = 0
    logged: list[str] = field(default_factory=list)
    mailed: int = 0
    trouble: list[ShsError] = field(default_factory=list)


@dataclass(frozen=True)
class _Mail:
    mail_id: int
    recipient: str
    message_id: str
    attempts: int


def tell(
    job: Ingestion,
    settings: Settings,
    runs: Sequence[FailedRun] = (),
    *,
    seconds: float | None = None,
    at_once: bool = False,
    is_done: bool = False,
    today: date | None = None,
) -> Told:
    """Record what happened and send notices: by mail, or in the log if there is no mail server.

    Args:
        job: the warehouse, and the landing zone with the error workbooks.
        runs: runs that failed.
        seconds: begin no further mail after so long; the rest waits for the next time.
        at_once: do not wait for the pause after a mail or after a failure.
        is_done: a run has just loaded and published all there is, so that today may be told as well.
        today: the day it is (UTC).

    Raises:
        ShsError: the database cannot be used. A mail server that cannot be is no error: mails wait.
    """
    address = settings.metabase_public_url or settings.metabase_url
    day = today or day_it_is()
    told = Told()
    warnings = version_notices(settings.metabase_url, day)
    with job:
        told.recorded = job.query(
            lambda c: outbox.record(
                c, day, settings.due_day, address, runs, warnings, settings.restate_notice
            )
        )
        if settings.notice_ok:
            last = day if is_done else day - timedelta(days=1)
            told.recorded += job.query(lambda c: outbox.record_all_well(c, last, address))
        server = mail_server(settings)
        if server is None:
            told.logged = job.query(outbox.log_instead)
            return told
        deadline = time.monotonic() + seconds if seconds is not None else None
        try:
            job.query(lambda c: _send_all(c, job, server, settings, at_once, deadline, told))
        finally:
            server.close()
    return told


def send_test(settings: Settings, recipient: str) -> None:
    """Send a test mail.

    Raises:
        ShsError: no server is set, or it rejects the mail.
    """
    server = mail_server(settings)
    if server is None:
        raise ShsError("No mail server is set.", "Set SHS_SMTP_HOST and SHS_SMTP_SENDER (docs/notices.md).")
    try:
        mark = sha256(f"test {recipient} {time.time_ns()}".encode()).hexdigest()[:32]
        message = compose_test(server.sender, recipient, _message_id(server, mark))
        server.send(message, recipient)
    except ValueError:
        raise ShsError(
            f"{recipient} is not an email address.", "Type an address such as you@example.com."
        ) from None
    finally:
        server.close()


def _send_all(
    connection: psycopg.Connection,
    job: Ingestion,
    server: MailServer,
    settings: Settings,
    at_once: bool,
    deadline: float | None,
    told: Told,
) -> None:
    outbox.address(connection)
    everybody = {person.email: person for person in outbox.people(connection)}
    connection.rollback()
    tried: list[int] = []
    while deadline is None or time.monotonic() < deadline:
        mail = _claim(connection, server, settings, at_once, tried)
        if mail is None:
            return
        tried.append(mail.mail_id)
        try:
            if _send(
                connection, job.landing, settings.statement_links, server, mail, everybody.get(mail.recipient)
            ):
                told.mailed += 1
        except MailServerError as error:
            _wait_for_server(connection, mail, error)
            log.warning("SHS-EVENT mail_failed %s", error.problem)
            told.trouble.append(error)
            return
        except MailRefusedError as error:
            _put_back(connection, mail, error)
            told.trouble.append(error)


def _claim(
    connection: psycopg.Connection, server: MailServer, settings: Settings, at_once: bool, tried: list[int]
) -> _Mail | None:
    """Return a mail that this process alone is to send now: an earlier one again, or a new one."""
    with connection.transaction():
        # Held for milliseconds. Without it, two processes could each make a mail for one person.
        connection.execute("lock table ops.mails in share row exclusive mode")
        row = connection.execute("select server_after > clock_timestamp() from ops.notice_marks").fetchone()
        if row and row[0] and not at_once:
            return None
        connection.execute(
            "update ops.mails set state = 'given_up', last_error = 'Every process that sent it was ended.'"
            " where state = 'sending' and attempts >= %s"
            " and claimed_at < clock_timestamp() - make_interval(mins => %s)",
            [_MOST_UNKNOWN, _CLAIMED_MINUTES],
        )
        mail_id = _open_mail(connection, at_once, tried)
        mail_id = mail_id or _new_mail(connection, server, settings, at_once)
        if mail_id is None:
            return None
        found = connection.execute(
            "update ops.mails set state = 'sending', claimed_at = clock_timestamp(), attempts = attempts + 1"
            " where mail_id = %s returning mail_id, recipient, message_id, attempts",
            [mail_id],
        ).fetchone()
        assert found is not None
        return _Mail(*found)


def _open_mail(connection: psycopg.Connection, at_once: bool, tried: list[int]) -> int | None:
    row = connection.execute(
        "select mail_id from ops.mails where mail_id <> all(%(tried)s) and ("
        " (state = 'waiting' and (%(at_once)s or coalesce(try_after <= clock_timestamp(), true)))"
        " or (state = 'sending' and claimed_at < clock_timestamp() - make_interval(mins => %(mins)s)))"
        " order by mail_id limit 1",
        {"tried": tried, "at_once": at_once, "mins": _CLAIMED_MINUTES},
    ).fetchone()
    return row[0] if row else None


def _new_mail(
    connection: psycopg.Connection, server: MailServer, settings: Settings, at_once: bool
) -> int | None:
    """Make one mail of all that waits for a person who got none a moment ago.

    With links, a statement is told as soon as it is handed out, a moment after its month was closed.
    """
    row = connection.execute(
        "select w.recipient, array_agg(n.notice_id order by n.notice_id), array_agg(n.key order by n.key)"
        " from ops.notice_mails as w inner join ops.notices as n using (notice_id)"
        " where w.mail_id is null and n.state = 'addressed' and not exists ("
        " select from ops.mails as m where m.recipient = w.recipient and (m.state in ('sending', 'waiting')"
        " or (not %s and m.claimed_at > clock_timestamp() - make_interval(mins => %s))))"
        " and (not %s or split_part(n.key, '/', 1) <> %s or exists (select from ledger.receipts"
        " where close_no::text = split_part(n.key, '/', 2)))"
        " group by w.recipient order by min(n.notice_id) limit 1",
        [at_once, settings.mail_minutes, settings.statement_links is not None, STATEMENT],
    ).fetchone()
    if row is None:
        return None
    recipient, notices, keys = row
    mark = sha256("\n".join([recipient, *keys]).encode()).hexdigest()[:32]
    made = connection.execute(
        "insert into ops.mails (recipient, message_id, state) values (%s, %s, 'waiting') returning mail_id",
        [recipient, _message_id(server, mark)],
    ).fetchone()
    assert made is not None
    connection.execute(
        "update ops.notice_mails set mail_id = %s where recipient = %s and notice_id = any(%s)",
        [made[0], recipient, notices],
    )
    return int(made[0])


def _send(
    connection: psycopg.Connection,
    landing: Landing,
    link_life: timedelta | None,
    server: MailServer,
    mail: _Mail,
    person: Person | None,
) -> bool:
    """Send a claimed mail; False where its recipient may not get it any more.

    Raises:
        MailServerError, MailRefusedError: it was not taken.
    """
    items = _items_for(connection, mail, person, landing, link_life)
    connection.rollback()
    if not items:
        _settle(connection, mail, "given_up", "The person may no longer see this notice.")
        return False
    try:
        _hand_over(server, mail, items, landing.read)
    except ValueError:
        raise MailRefusedError("The person's address cannot be used in a mail.", is_final=True) from None
    _settle(connection, mail, "sent", None)
    return True


def _hand_over(
    server: MailServer, mail: _Mail, items: Sequence[Item], read: Callable[[str], bytes | None]
) -> None:
    def composed(reading: Callable[[str], bytes | None]) -> None:
        message = compose(
            items,
            sender=server.sender,
            recipient=mail.recipient,
            message_id=mail.message_id,
            read=reading,
        )
        server.send(message, mail.recipient)

    try:
        composed(read)
    except MailRefusedError as error:
        if not error.is_too_large:
            raise
        composed(lambda _: None)


def _items_for(
    connection: psycopg.Connection,
    mail: _Mail,
    person: Person | None,
    landing: Landing,
    link_life: timedelta | None,
) -> list[Item]:
    """Return the contents of a mail, without what the person may no longer know.

    Between the notice and the mail somebody may have left, or be no admin any longer.
    """
    if person is None:
        return []
    rows = connection.execute(
        "select n.kind, n.subject, n.body, n.attachment, n.key, n.rep_name, n.payee_id"
        " from ops.notices as n"
        " inner join ops.notice_mails as w using (notice_id) where w.mail_id = %s order by n.notice_id",
        [mail.mail_id],
    ).fetchall()

    def links(key: str, payee_id: str | None) -> str:
        return links_in_words(connection, landing, key, payee_id, link_life) if link_life else ""

    return [
        Item(kind, subject, body, attachment, links(key, payee_id))
        for kind, subject, body, attachment, key, rep_name, payee_id in rows
        if (person.is_admin if rep_name is None else person.is_meant(rep_name, payee_id))
    ]


def _settle(connection: psycopg.Connection, mail: _Mail, state: str, error: str | None) -> None:
    with connection.transaction():
        connection.execute(
            "update ops.mails set state = %s, last_error = %s,"
            " sent_at = case when %s = 'sent' then clock_timestamp() end where mail_id = %s",
            [state, error, state, mail.mail_id],
        )
        if state == "sent":
            connection.execute(
                "update ops.notice_marks set server_tries = 0, server_after = null where server_tries > 0"
            )


def _put_back(connection: psycopg.Connection, mail: _Mail, error: MailRefusedError) -> None:
    """Try a mail again later, twice as late each time, or give it up."""
    if error.is_final or mail.attempts >= _MOST_ATTEMPTS:
        _settle(connection, mail, "given_up", error.problem)
        return
    with connection.transaction():
        connection.execute(
            "update ops.mails set state = 'waiting', last_error = %s,"
            " try_after = clock_timestamp() + make_interval(secs => %s) where mail_id = %s",
            [error.problem, _pause(mail.attempts), mail.mail_id],
        )


def _wait_for_server(connection: psycopg.Connection, mail: _Mail, error: MailServerError) -> None:
    """Leave the server alone for a while; it is no fault of the mail, which waits as long as it takes."""
    with connection.transaction():
        connection.execute(
            "update ops.mails set state = 'waiting', attempts = attempts - 1, last_error = %s"
            " where mail_id = %s",
            [error.problem, mail.mail_id],
        )
        row = connection.execute(
            "update ops.notice_marks set server_tries = server_tries + 1 returning server_tries"
        ).fetchone()
        connection.execute(
            "update ops.notice_marks set server_after = clock_timestamp() + make_interval(secs => %s)",
            [_pause(row[0] if row else 1)],
        )


def _pause(tries: int) -> float:
    return min(_FIRST_PAUSE * 2.0 ** min(tries - 1, 10), _LAST_PAUSE)


def _message_id(server: MailServer, mark: str) -> str:
    return f"<{mark}@{server.sender_address.rpartition('@')[2]}>"
