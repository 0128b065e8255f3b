"""What a notice says. It contains no amounts: more people can read a mail than the database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

from shs_pipeline.base.months import month_after, month_text
from shs_pipeline.base.wording import count_of, form_for
from shs_pipeline.landing.places import errors_path
from shs_pipeline.metabase.versions import VersionWarning
from shs_pipeline.notices.statement_links import statement_key

if TYPE_CHECKING:
    from shs_pipeline.closing.closes import Close

Kind = Literal["rejected_file", "failed_run", "missing_source", "published_month", "published", "metabase"]

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST_SUBJECT = 150
_LONGEST_SENTENCE = 2000


@dataclass(frozen=True)
class Notice:
    """A notice for somebody.

    Attributes:
        key: ensures that it is sent only once.
        rep_name: the rep whom it concerns; None for the admins.
        payee_id: the same by id, which stays when the name changes.
        file_id: the rejected file that it is about.
        attachment: path in the landing zone of what goes with it.
    """

    kind: Kind
    key: str
    subject: str
    body: str
    rep_name: str | None = None
    payee_id: str | None = None
    file_id: int | None = None
    attachment: str | None = None


@dataclass(frozen=True)
class Rejection:
    """A rejected file, with its first error."""

    file_id: int
    path: str
    error_count: int
    problem: str
    remedy: str
    is_other_in_force: bool


@dataclass(frozen=True)
class FailedRun:
    """A run that failed.

    Attributes:
        what: what was run, for people.
        problem: the sentences that it failed with.
        day: when (UTC); the same failure is notified once a day.
    """

    run_id: str
    what: str
    problem: str
    day: date


def one_line(text: str, longest: int = _LONGEST_SENTENCE) -> str:
    """Return a text on one line, fit for a header: no line breaks, nothing unprintable, not too long."""
    line = " ".join(_UNPRINTABLE.sub(" ", text).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def subject_line(text: str) -> str:
    """Return a text as a subject."""
    return one_line(text, _LONGEST_SUBJECT)


def rejected(found: Rejection) -> Notice:
    """Return the notice of a rejected file, for the admins."""
    more = f" ({count_of(found.error_count - 1, 'more error')} in it.)" if found.error_count > 1 else ""
    in_force = (
        "The version loaded before stays in force." if found.is_other_in_force else "None of it was loaded."
    )
    body = (
        f"{one_line(found.path)} was rejected. {in_force}\n\n"
        f"What is wrong: {one_line(found.problem)}{more}\n"
        f"What to do: {one_line(found.remedy)}\n\n"
        "The error workbook marks every bad cell. Correct your original file and drop it over the old one."
    )
    return Notice(
        kind="rejected_file",
        key=f"rejected/{found.file_id}",
        subject=subject_line(f"Rejected: {found.path}"),
        body=body,
        file_id=found.file_id,
        attachment=errors_path(found.path),
    )


def failed(run: FailedRun, key: str) -> Notice:
    """Return the notice of a failed run, for the admins."""
    body = (
        f"A run failed: {one_line(run.what)}.\n\n{one_line(run.problem)}\n\n"
        "Published figures are unchanged. The next run tries again; shs doctor checks everything the system "
        f"needs.\nRun: {one_line(run.run_id)}"
    )
    return Notice("failed_run", key, subject_line(f"A run failed: {run.what}"), body)


def held(hold_id: int, problem: str, remedy: str) -> Notice:
    """Return the notice that a mass withdrawal is waiting for confirmation, for the admins."""
    body = (
        f"{one_line(problem)}\n\nWhat to do: {one_line(remedy)}\n\nNew and corrected files are still loaded."
    )
    return Notice("failed_run", f"held/{hold_id}", "Held: many loaded files are missing", body)


def held_build(hold_id: int, problem: str, remedy: str) -> Notice:
    """Return the notice that a build is held, for the admins."""
    body = (
        f"{one_line(problem)}\n\nWhat to do: {one_line(remedy)}\n\n"
        "The files are loaded; people still see the last publication, and no month closes."
    )
    return Notice("failed_run", f"held/{hold_id}", "Held: a build that would change what was paid", body)


def missing(source: str, months: Sequence[date], due_day: int) -> Notice:
    """Return the notice that months of a source are due and not there, for the admins."""
    last = month_text(months[-1])
    body = (
        f"No file from {source} is loaded for {month_spans(months)}. It was due on day {due_day} of the "
        f"following month.\n\nWhat to do: drop it into incoming/{source}/{last}/, or ask the supplier for it."
    )
    return Notice(
        kind="missing_source",
        key=f"missing/{source}/{last}",
        subject=subject_line(f"Missing: {source} {month_spans(months)}"),
        body=body,
    )


def metabase_version(found: VersionWarning) -> Notice:
    """Return the notice that Metabase's version is unsafe, unknown or near its end, for the admins."""
    remedy = found.remedy or "docs/metabase.md names the versions to use, and how to upgrade."
    return Notice(
        kind="metabase",
        key=f"metabase/{found.kind}/{one_line(found.tag, 100)}",
        subject=subject_line(found.problem),
        body=f"{one_line(found.problem)}\n\nWhat to do: {one_line(remedy)}",
    )


def published_for_rep(
    publication: int, rep: tuple[str, str], new: Sequence[date], changed: Sequence[date], address: str
) -> Notice:
    """Return the notice that a rep's months were published.

    Args:
        rep: id and name.
        address: of the dashboards; may be empty.
    """
    payee_id, rep_name = rep
    lines = [f"New: {month_spans(new)}"] if new else []
    lines += [f"Changed: {month_spans(changed)}"] if changed else []
    where = f"See them at {address}" if address else "See them in your dashboards."
    body = (
        "Your sales and commission for these commission months have been published.\n\n"
        + "\n".join(lines)
        + f"\n\n{where}"
    )
    return Notice(
        kind="published_month",
        key=f"published/{publication}/{payee_id}",
        subject=subject_line(f"Your figures for {month_spans([*new, *changed])}"),
        body=body,
        rep_name=rep_name,
        payee_id=payee_id,
    )


def published_for_admins(
    first: int, last: int, reps_by_month: Sequence[tuple[date, int]], address: str, uncredited: int = 0
) -> Notice:
    """Return the summary of what was published, for the admins.

    Args:
        first, last: the first and the last publication that it is about.
        reps_by_month: how many reps have new or changed figures in each commission month.
        uncredited: how many lines are credited to nobody.
    """
    number = f"Publication {last}" if first == last else f"Publications {first} to {last}"
    months = month_spans([month for month, _ in reps_by_month])
    listed = "\n".join(
        f"{month_text(month)}: {count_of(count, 'rep')} with new or changed figures"
        for month, count in reps_by_month
    )
    body = f"{number}: commission months {months}.\n\n{listed}\n\n"
    body += "Each of these reps is told about their own months."
    if uncredited:
        lines = f"{count_of(uncredited, 'line')} {form_for(uncredited, 'is', 'are')}"
        body += f"\n{lines} credited to nobody. The Admin dashboard and shs status show their sum."
    body += f"\nshs diff {first - 1} {last} shows what changed and why." if first > 1 else ""
    body += f"\nDashboards: {address}" if address else ""
    return Notice("published", f"published/{last}", subject_line(f"Published: {months}"), body)


def statement_for_rep(
    close_no: int, rep: tuple[str, str], number: str, month: date, address: str, *, is_replaced: bool
) -> Notice:
    """Return the notice that a rep's statement of a closed month is there.

    Args:
        rep: id and name.
        address: of the dashboards; may be empty.
        is_replaced: the rep was told of an earlier statement of the month, which came to something else.
    """
    payee_id, rep_name = rep
    what = "was replaced" if is_replaced else "is there"
    body = f"{month:%B %Y} is closed, and your statement {number} is there."
    if is_replaced:
        body += " It replaces the one that you had: the month was opened again."
    body += f"\n\nSee it at {address}" if address else "\n\nSee it in your dashboards."
    return Notice(
        kind="published_month",
        key=statement_key(close_no, payee_id),
        subject=f"Your statement of {month:%B %Y} {what}",
        body=body,
        rep_name=rep_name,
        payee_id=payee_id,
    )


def closed_for_admins(close: Close) -> Notice:
    """Return the notice that a month was closed or opened again, for the admins."""
    month, text = f"{close.pay_period:%B %Y}", month_text(close.pay_period)
    if close.kind == "reopened":
        body = (
            f"{month} was opened again; equal and opposite entries take back what was entered for it.\n\n"
            f"What to do: close it again when it is right. shs close {text} --check shows what it comes to."
        )
        return Notice("published", f"closed/{close.close_no}", f"{month} is open again", body)
    what = f"{month} is closed: {count_of(close.payees, 'payee')}, {close.restated_payees} restated"
    approved = f"Approved by {one_line(close.approved_by)}. " if close.approved_by else ""
    body = (
        f"{what}.\n\n{approved}The mart payroll holds what is to be paid; the files are under paid/ in the "
        "landing zone."
    )
    return Notice("published", f"closed/{close.close_no}", what, body)


def restated(first: int, last: int, payees_by_month: Sequence[tuple[date, int]]) -> Notice:
    """Return the notice that closed months come to something else now, for the admins.

    Args:
        first, last: the first and the last publication that it is about.
        payees_by_month: whose payouts moved by more than SHS_RESTATE_NOTICE.
    """
    months = month_spans([month for month, _ in payees_by_month])
    listed = "\n".join(f"{month_text(month)}: {count_of(count, 'payee')}" for month, count in payees_by_month)
    body = (
        f"Payouts of closed months changed:\n\n{listed}\n\nThe statements of these months stay as they are; "
        "the difference is restated in the earliest open month.\n\n"
        f"What to do: shs diff {first - 1} {last} shows what changed and why. If it is a mistake, correct "
        "the file or the workbook before the open month is closed."
    )
    return Notice("published", f"restated/{last}", subject_line(f"Restated: {months}"), body)


def findings(publication: int, count_by_table: Sequence[tuple[str, int]], address: str) -> Notice:
    """Return the notice that the reference workbooks have new findings with money at stake, for the admins.

    Args:
        count_by_table: how many there are in each workbook.
    """
    count = sum(number for _, number in count_by_table)
    things = f"{count_of(count, 'thing')} {form_for(count, 'looks', 'look')}"
    listed = "\n".join(f"{table}: {number}" for table, number in count_by_table)
    body = f"Since publication {publication}, {things} odd in the reference workbooks, with money at stake."
    body += (
        f"\n\n{listed}\n\nWhat to do: the Admin dashboard shows each, how to fix it and what is at stake. "
        "Correct the workbook and drop it again, or write a Note in the row if it is intended."
    )
    body += f"\nDashboards: {address}" if address else ""
    tables = ", ".join(table for table, _ in count_by_table)
    return Notice("published", f"findings/{publication}", subject_line(f"Looks odd: {tables}"), body)


def month_spans(months: Iterable[date]) -> str:
    """Return months as `2025-01 to 2025-04, 2025-06`."""
    spans: list[list[date]] = []
    for month in sorted(set(months)):
        if spans and month_after(spans[-1][-1]) == month:
            spans[-1].append(month)
        else:
            spans.append([month])
    return ", ".join(
        month_text(span[0]) if len(span) == 1 else f"{month_text(span[0])} to {month_text(span[-1])}"
        for span in spans
    )
