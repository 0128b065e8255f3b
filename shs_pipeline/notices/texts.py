"""What a notice says. Without amounts: mail is read by more eyes than the database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from shs_pipeline.landing import errors_path
from shs_pipeline.metabase.versions import VersionWarning
from shs_pipeline.months import month_after, month_text

Kind = Literal["rejected_file", "failed_run", "missing_source", "published_month", "published", "metabase"]

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST_SUBJECT = 150
_LONGEST_SENTENCE = 2000


@dataclass(frozen=True)
class Notice:
    """One thing that somebody is to be told.

    Attributes:
        key: by which it is told once.
        rep_name: the rep whom it concerns; None for the admins.
        file_id: the rejected file that it is about.
        attachment: path in the landing zone of what goes with it.
    """

    kind: Kind
    key: str
    subject: str
    body: str
    rep_name: str | None = None
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
        day: when (UTC); the same failure is told once a day.
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
    more = f" ({found.error_count - 1} more errors in it.)" if found.error_count > 1 else ""
    in_force = (
        "The version of it that was loaded before stays in force."
        if found.is_other_in_force
        else "Nothing of it is loaded."
    )
    body = (
        f"{one_line(found.path)} was rejected. {in_force}\n\n"
        f"What is wrong: {one_line(found.problem)}{more}\n"
        f"What to do: {one_line(found.remedy)}\n\n"
        "The error workbook marks every bad cell. Correct your own file and drop it over the old one."
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
        "What people read stays as it was. The next run does the same work again; shs doctor checks "
        f"everything the system needs.\nRun: {one_line(run.run_id)}"
    )
    return Notice("failed_run", key, subject_line(f"A run failed: {run.what}"), body)


def held(hold_id: int, problem: str, remedy: str) -> Notice:
    """Return the notice that a mass withdrawal waits to be confirmed, for the admins."""
    body = (
        f"{one_line(problem)}\n\nWhat to do: {one_line(remedy)}\n\nFiles that are new or corrected are "
        "loaded meanwhile."
    )
    return Notice("failed_run", f"held/{hold_id}", "Held: many loaded files are gone", body)


def missing(source: str, months: Sequence[date], due_day: int) -> Notice:
    """Return the notice that months of a source are due and not there, for the admins."""
    last = month_text(months[-1])
    body = (
        f"No file of {source} is loaded for {month_spans(months)}. It was due on day {due_day} of the month "
        f"after.\n\nWhat to do: drop it into incoming/{source}/{last}/, or ask the supplier for it."
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
    publication: int, rep_name: str, new: Sequence[date], changed: Sequence[date], address: str
) -> Notice:
    """Return the notice that a rep's months were published.

    Args:
        address: of the dashboards; may be empty.
    """
    lines = [f"New: {month_spans(new)}"] if new else []
    lines += [f"Changed: {month_spans(changed)}"] if changed else []
    where = f"See them at {address}" if address else "See them in your dashboards."
    body = (
        "Your sales and commission for these commission months were published.\n\n"
        + "\n".join(lines)
        + f"\n\n{where}"
    )
    return Notice(
        kind="published_month",
        key=f"published/{publication}/{rep_name}",
        subject=subject_line(f"Your figures for {month_spans([*new, *changed])}"),
        body=body,
        rep_name=rep_name,
    )


def published_for_admins(
    first: int, last: int, reps_by_month: Sequence[tuple[date, int]], address: str
) -> Notice:
    """Return the summary of what was published, for the admins.

    Args:
        first, last: the first and the last publication that it is about.
        reps_by_month: how many reps have new or changed figures in each commission month.
    """
    number = f"Publication {last}" if first == last else f"Publications {first} to {last}"
    months = month_spans([month for month, _ in reps_by_month])
    listed = "\n".join(
        f"{month_text(month)}: {count} {'rep' if count == 1 else 'reps'} with new or changed figures"
        for month, count in reps_by_month
    )
    body = f"{number}: commission months {months}.\n\n{listed}\n\n"
    body += "Each of these reps is told about their own months."
    body += f"\nshs diff {first - 1} {last} says what changed and why." if first > 1 else ""
    body += f"\nDashboards: {address}" if address else ""
    return Notice("published", f"published/{last}", subject_line(f"Published: {months}"), body)


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
