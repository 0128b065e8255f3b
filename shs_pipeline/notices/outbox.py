"""The outbox: notices are in `ops.notices`, once each, and their recipients in `ops.notice_mails`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from shs_pipeline.base.months import month_text
from shs_pipeline.casting.cells import match_key
from shs_pipeline.marts.identities import read_payees
from shs_pipeline.notices import happenings
from shs_pipeline.notices.all_well import all_well
from shs_pipeline.notices.happenings import Mark
from shs_pipeline.notices.texts import FailedRun, Notice, one_line
from shs_pipeline.reference.sales_reps import HOUSE

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Person:
    """An active person of the accepted sales_reps workbook; the address is in lower case."""

    rep_name: str
    email: str
    is_admin: bool
    payee_id: str | None = None

    def is_meant(self, rep_name: str, payee_id: str | None) -> bool:
        """Whether a notice for a rep is this person's; one of before there were ids names only the rep."""
        if payee_id is not None:
            return payee_id == self.payee_id
        return match_key(rep_name) == match_key(self.rep_name)


@dataclass(frozen=True)
class Shown:
    """A notice as it is listed.

    Attributes:
        standing: its state, for people.
    """

    created_at: datetime
    kind: str
    recipients: str
    subject: str
    body: str
    standing: str


def record(
    connection: psycopg.Connection,
    today: date,
    due_day: int,
    address: str = "",
    runs: Sequence[FailedRun] = (),
    warnings: Sequence[Notice] = (),
    restate_notice: Decimal = Decimal("1.00"),
) -> int:
    """Record what happened since the last time; return how many notices are new.

    Any number of processes may do it at once. What went wrong is also one line of the log each, for
    alarms: `SHS-EVENT` with `run_failed`, `source_stale` or `metabase_version`, and at each look for as long
    as it lasts with `not_published`, all without names of people and amounts.

    Args:
        due_day: day of the next month on which a month's files are due.
        address: of the dashboards; may be empty.
        runs: runs that failed, known to nobody but the caller.
        warnings: of the version of Metabase.
        restate_notice: USD by which a payee's payouts of a closed month must move to be told.
    """
    for run in runs:
        log.warning("SHS-EVENT run_failed run=%s", "_".join(one_line(run.run_id).split()))
    with connection.transaction():
        # Whoever holds the row derives; the second one then finds everything derived.
        row = connection.execute(
            "select begun_at::date, file_id, hold_id, publication_id from ops.notice_marks for update"
        ).fetchone()
        assert row is not None
        mark = Mark(*row)
        if today < mark.begun_on:
            # The clock was ahead when the outbox was made: it cannot be younger than today.
            connection.execute("update ops.notice_marks set begun_at = %s::date", [today])
            mark = replace(mark, begun_on=today)
        _close_overtaken(connection)
        count = _put(connection, happenings.failed_runs(connection, runs))
        count += _put(connection, happenings.rejected_files(connection, mark))
        count += _put(connection, happenings.held_now(connection, mark))
        for source, month, notice in happenings.missing_sources(connection, mark, today, due_day):
            if _put(connection, [notice]):
                log.warning("SHS-EVENT source_stale source=%s month=%s", source, month_text(month))
                count += 1
        for notice in warnings:
            if _put(connection, [notice]):
                _, kind, tag = notice.key.split("/", 2)
                log.warning("SHS-EVENT metabase_version is=%s tag=%s", kind, "_".join(tag.split()))
                count += 1
        notices, last = happenings.published(connection, mark, address, restate_notice)
        count += _put(connection, notices)
        if last != mark.publication_id:
            connection.execute("update ops.notice_marks set publication_id = %s", [last])
    waiting = happenings.unpublished_since(connection)
    if waiting is not None:
        log.warning("SHS-EVENT not_published since=%s", waiting.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ"))
    return count


def record_all_well(connection: psycopg.Connection, last: date, address: str) -> int:
    """Record that all went well on a day, once for each; return how many notices are new.

    Args:
        last: the last day that may be told.
        address: of the dashboards; may be empty.
    """
    with connection.transaction():
        return _put(connection, all_well(connection, last, address))


def _put(connection: psycopg.Connection, notices: Sequence[Notice]) -> int:
    count = 0
    for notice in notices:
        count += connection.execute(
            "insert into ops.notices (kind, key, rep_name, payee_id, subject, body, file_id, attachment)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (key) do nothing",
            [
                notice.kind, notice.key, notice.rep_name, notice.payee_id, notice.subject,
                notice.body.replace("\x00", ""), notice.file_id, notice.attachment,
            ],
        ).rowcount  # fmt: skip
    return count


def _close_overtaken(connection: psycopg.Connection) -> None:
    """Drop notices of problems that were fixed before anyone was notified."""
    connection.execute(
        "update ops.notices as n set state = 'overtaken', settled_at = clock_timestamp()"
        " from ops.files as f where f.file_id = n.file_id and f.status <> 'rejected'"
        " and (n.state = 'new' or (n.state = 'addressed' and not exists (select from ops.notice_mails as m"
        " where m.notice_id = n.notice_id and m.mail_id is not null)))"
    )


def people(connection: psycopg.Connection) -> list[Person]:
    """Return everybody who may get notices: active people with an address.

    A rename may be accepted and not built yet, so the ids come from the workbooks themselves.
    """
    ids = read_payees(connection).listed
    rows = connection.execute(
        "select sales_rep_name, lower(btrim(email)), permission = 'admin'"
        " from reference.sales_reps inner join reference.versions using (file_id)"
        " where in_force_until is null and active and btrim(email) <> ''"
        # Nobody reads what a house account is told.
        " and ops.match_key(coalesce(rep_category, '')) <> ops.match_key(%s) order by source_row",
        [HOUSE],
    )
    return [Person(name, email, is_admin, ids.get(match_key(name))) for name, email, is_admin in rows]


def address(connection: psycopg.Connection) -> None:
    """Set the recipients of each new notice.

    One for the admins waits until there is an admin; one for a rep who may not log in is for nobody.
    """
    with connection.transaction():
        everybody = people(connection)
        admins = [person.email for person in everybody if person.is_admin]
        for notice_id, rep_name, payee_id in connection.execute(
            "select notice_id, rep_name, payee_id from ops.notices"
            " where state = 'new' order by notice_id for update"
        ).fetchall():
            emails = admins
            if rep_name is not None:
                emails = [person.email for person in everybody if person.is_meant(rep_name, payee_id)]
            if not emails and rep_name is None:
                continue
            for email in emails:
                connection.execute(
                    "insert into ops.notice_mails (notice_id, recipient) values (%s, %s)"
                    " on conflict do nothing",
                    [notice_id, email],
                )
            connection.execute(
                "update ops.notices set state = %s, settled_at = clock_timestamp() where notice_id = %s",
                ["addressed" if emails else "nobody", notice_id],
            )


def log_instead(connection: psycopg.Connection) -> list[str]:
    """Log the new notices, each once, because there is no mail server; return the subjects."""
    with connection.transaction():
        rows = connection.execute(
            "update ops.notices set state = 'logged', settled_at = clock_timestamp() where state = 'new'"
            " returning notice_id, rep_name, subject, body"
        ).fetchall()
        for _, rep_name, subject, body in sorted(rows, key=lambda row: row[0]):
            whom = "the admins" if rep_name is None else "a rep"
            log.info("Notice to %s: %s\n%s", whom, subject, body)
    return [subject for _, _, subject, _ in sorted(rows, key=lambda row: row[0])]


_STANDING = {
    "new": "waiting for an admin in sales_reps",
    "logged": "not mailed: no mail server is set",
    "overtaken": "fixed before it was mailed",
    "nobody": "not mailed: the rep may not log in",
}


def recent(connection: psycopg.Connection, count: int) -> list[Shown]:
    """Return the last notices, newest first."""
    rows = connection.execute(
        "select n.created_at, n.kind, coalesce(n.rep_name, 'admins'), n.subject, n.body, n.state,"
        " count(w.recipient), count(*) filter (where m.state = 'sent'),"
        " count(*) filter (where m.state = 'given_up'),"
        " (array_agg(m.last_error order by m.mail_id desc) filter (where m.last_error is not null))[1]"
        " from ops.notices as n left join ops.notice_mails as w using (notice_id)"
        " left join ops.mails as m using (mail_id) group by n.notice_id order by n.notice_id desc limit %s",
        [count],
    )
    return [
        Shown(created_at, kind, recipients, subject, body, _standing(*standing))
        for created_at, kind, recipients, subject, body, *standing in rows
    ]


def _standing(state: str, asked: int, sent: int, given_up: int, error: str | None) -> str:
    if state != "addressed":
        return _STANDING[state]
    waiting = asked - sent - given_up
    counts = ((sent, "mailed"), (waiting, "waiting"), (given_up, "given up"))
    shown = ", ".join(f"{count} {what}" for count, what in counts if count)
    return f"{shown}: {error}" if error and sent < asked else shown
