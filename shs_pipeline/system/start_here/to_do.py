"""The to-do list of `START HERE.xlsx`: for people without a terminal, the most urgent first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from shs_pipeline.base.months import month_after, month_text
from shs_pipeline.base.wording import count_of, dollars, form_for
from shs_pipeline.ingest.overview import RejectedFile, placed
from shs_pipeline.landing.names import OPTIONAL_NAMES, SOURCE_NAMES
from shs_pipeline.landing.places import CURRENT, INCOMING, REFERENCE, current_path
from shs_pipeline.marts.proposals import Proposal
from shs_pipeline.reference.export import PROPOSED
from shs_pipeline.system.printed_totals import DifferingTotal
from shs_pipeline.system.start_here.facts import Facts

MONTHS, REJECTED_FILES, ROWS, PERIODS, ODD, BUILDS = (
    "Months", "Rejected files", "Rows to add", "Pay periods", "Odd entries", "Publications",
)  # fmt: skip
"""Names of the sheets to which a task points."""
_FILES_NAMED, _MONTHS_NAMED = 10, 3


@dataclass(frozen=True)
class Task:
    """Something to do.

    Attributes:
        what: as one would say it to a colleague.
        how: where to click or what to type.
        sheet: the sheet with the details; empty where there are none.
    """

    what: str
    how: str
    sheet: str = ""


def tasks(facts: Facts) -> list[Task]:
    """Return what is to be done, the most urgent first; empty where nothing is."""
    found = [*_first_steps(facts)]
    if found:
        return [*_held(facts), *_rejected(facts.overview.rejected), *found]
    return [
        *_held(facts),
        *_rejected(facts.overview.rejected),
        *_differing(facts.differing),
        *_missing(facts),
        *_rows_to_add(facts.proposals),
        *_close(facts),
        *_odd(facts),
    ]


def _first_steps(facts: Facts) -> Iterator[Task]:
    never = [
        entry.table
        for entry in facts.overview.tables
        if entry.in_force_from is None and entry.table not in OPTIONAL_NAMES
    ]
    if never:
        names = ", ".join(f"{table}.xlsx" for table in never)
        yield Task(
            f"Fill in {count_of(len(never), 'reference workbook')}: {names}",
            f"Take each from {CURRENT}/, fill it in, and save it under the same name in {REFERENCE}/. Point "
            "at a heading to read what belongs below it.",
        )
    if not any(total.files for total in facts.totals):
        month = month_text(month_after(facts.day.replace(day=1), -1))
        yield Task(
            "Drop the suppliers' first files",
            f"Each source has a folder for each month: {INCOMING}/{SOURCE_NAMES[0]}/{month}/, for example. "
            "Copy the files into them exactly as they arrived.",
        )


def _held(facts: Facts) -> Iterator[Task]:
    if facts.withdrawal is not None:
        yield Task(facts.withdrawal.problem, facts.withdrawal.remedy)
    if facts.build is not None:
        yield Task(facts.build.problem, facts.build.remedy)


def _rejected(files: Sequence[RejectedFile]) -> Iterator[Task]:
    for file in files[:_FILES_NAMED]:
        more = f" {count_of(file.error_count - 1, 'more error')} in it." if file.error_count > 1 else ""
        marked = " The error workbook marks every bad cell." if file.first.row else ""
        yield Task(
            f"Fix {file.path}: it was rejected",
            f"{placed(file.first)}{file.first.problem} {file.first.remedy}{more}{marked}",
            REJECTED_FILES,
        )
    if (rest := len(files) - _FILES_NAMED) > 0:
        yield Task(
            f"Fix {count_of(rest, 'more rejected file')}",
            "They are listed with the reason and what to do.",
            REJECTED_FILES,
        )


def _differing(files: Sequence[DifferingTotal]) -> Iterator[Task]:
    how = "Ask the supplier which is right, and drop the corrected file over it."
    for file in files[:_FILES_NAMED]:
        yield Task(f"Printed totals of {file.path} differ from its lines", f"{file.words} {how}")
    if (rest := len(files) - _FILES_NAMED) > 0:
        yield Task(f"Printed totals of {count_of(rest, 'more file')} differ from their lines", how)


def _missing(facts: Facts) -> Iterator[Task]:
    by_month: dict[date, list[str]] = {}
    for found in facts.overview.months:
        if found.state == "missing":
            by_month.setdefault(found.month, []).append(found.source)
    latest = sorted(by_month, reverse=True)
    for month in latest[:_MONTHS_NAMED]:
        sources = by_month[month]
        folder = f"{INCOMING}/{sources[0]}/{month_text(month)}/"
        one = len(sources) == 1
        yield Task(
            f"Get the {'file' if one else 'files'} for {month_text(month)} from {', '.join(sources)}",
            f"Drop it into {folder}." if one else f"Drop each into its folder, such as {folder}.",
            MONTHS,
        )
    if rest := latest[_MONTHS_NAMED:]:
        yield Task(
            f"Get the missing files of {count_of(len(rest), 'earlier month')}",
            "The sheet Months says which sources.",
            MONTHS,
        )


_WHAT = {
    "territories": ("customer without an owner", "customers without an owner", "Type the rep who owns each."),
    "sales_reps": (
        "name that sales_reps does not know",
        "names that sales_reps does not know",
        "Fill in what is missing; if a name is just another spelling, add a row to aliases.xlsx instead.",
    ),
    "commission_tiers": ("rep without a rate", "reps or product lines without a rate", "Type the rates."),
    "tier_thresholds": (
        "product line without a threshold, so tier 2 is never paid on it",
        "product lines without a threshold, so tier 2 is never paid on them",
        "Type each threshold.",
    ),
}


def _rows_to_add(found: Sequence[Proposal]) -> Iterator[Task]:
    by_table: dict[str, list[Proposal]] = {}
    for proposal in found:
        by_table.setdefault(proposal.table_name, []).append(proposal)
    sales = {table: sum((row.sales_actual for row in rows), Decimal(0)) for table, rows in by_table.items()}
    # A threshold comes last: without it a rep is paid less, and without the others nothing.
    for table in sorted(sales, key=lambda table: (table == "tier_thresholds", -sales[table])):
        one, many, fill_in = _WHAT[table]
        count = len(by_table[table])
        yield Task(
            f"Settle {count} {form_for(count, one, many)} (${dollars(sales[table])} in sales)",
            f"Open {current_path(table)}: its sheet {PROPOSED} has the rows ready. {fill_in} "
            f"Then save the workbook as {REFERENCE}/{table}.xlsx.",
            ROWS,
        )


def _close(facts: Facts) -> Iterator[Task]:
    for obstacle in facts.obstacles:
        if obstacle.is_holding:
            held_up = month_text(obstacle.pay_period)
            yield Task(f"{held_up} could not be closed: {obstacle.problem}", obstacle.remedy, PERIODS)
    month, closed = facts.to_close, any(period.state == "closed" for period in facts.periods)
    if month is None or any(found.is_holding and found.pay_period == month for found in facts.obstacles):
        return
    answers = [found for found in facts.obstacles if found.pay_period == month]
    first = "" if closed else " Months before the first one that is closed count as paid elsewhere."
    how = (
        f"Open {current_path('pay_periods')}, add a row with {month_text(month)}, closed, and the name of "
        f"the admin who approves it, and save the workbook as {REFERENCE}/pay_periods.xlsx.{first}"
    )
    if not answers:
        yield Task(f"Close {month_text(month)}: nothing stands in the way", how, PERIODS)
        return
    things = count_of(len(answers), "thing")
    if all(found.is_waivable for found in answers):
        how += (
            f" Before that settle what the sheet {PERIODS} lists, or write into the row's Note why it closes."
        )
    else:
        how = f"Some of the {things} must be settled first. Then: {how}"
    yield Task(f"Close {month_text(month)}: {things} to answer first", how, PERIODS)


def _odd(facts: Facts) -> Iterator[Task]:
    if facts.findings:
        at_stake = sum((finding.amount for finding in facts.findings), Decimal(0))
        yield Task(
            f"Look at odd entries in the reference workbooks: {len(facts.findings)}, "
            f"${dollars(at_stake)} at stake",
            "Correct the row, or write a Note in it if it is intended.",
            ODD,
        )
