"""What each sheet of `START HERE.xlsx` says, without any time of writing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date

from shs_pipeline.base.months import month_text
from shs_pipeline.base.wording import count_of, shown_address
from shs_pipeline.closing.statement_layout import Column, Value
from shs_pipeline.ingest.checks import last_due_month
from shs_pipeline.ingest.overview import placed
from shs_pipeline.landing.places import REFERENCE, current_path
from shs_pipeline.system.start_here.facts import Facts, PublishedBuild
from shs_pipeline.system.start_here.to_do import (
    BUILDS,
    MONTHS,
    ODD,
    PERIODS,
    REJECTED_FILES,
    ROWS,
    Task,
)

TO_DO, TABLES = "To do", "Reference workbooks"
SHEETS = (TO_DO, MONTHS, REJECTED_FILES, ROWS, PERIODS, ODD, TABLES, BUILDS)
"""Names of the sheets in their order; by them the workbook is known again after somebody saved it."""
_ODD_REMEDY = f"Correct the rows on the sheet {ODD}, or type into Note why the month closes anyway."
DETAILS = "Details on sheet"
_STATES = {
    "loaded": "loaded",
    "rejected": "rejected",
    "both": "loaded; a newer file is rejected",
    "missing": "missing",
    "nothing": "",
}


@dataclass(frozen=True)
class Page:
    """A sheet: a table with a title, a sentence below it, and what is said where there are no rows.

    Attributes:
        widths: of the columns, in characters; texts are wrapped in them.
    """

    title: str
    note: str
    columns: Sequence[Column]
    widths: Sequence[int]
    rows: Sequence[Sequence[Value]]
    empty: str


def pages(facts: Facts, to_do: Sequence[Task]) -> list[Page]:
    """Return all sheets in their order, without any time of writing."""
    return [
        _to_do(to_do),
        _months(facts),
        _rejected(facts),
        _rows_to_add(facts),
        _periods(facts),
        _odd(facts),
        _tables(facts),
        _publications(facts),
    ]


def _to_do(to_do: Sequence[Task]) -> Page:
    return Page(
        "What to do now",
        "",
        (Column("No."), Column("What"), Column("How"), Column(DETAILS)),
        (5, 52, 84, 18),
        [(str(number), task.what, task.how, task.sheet) for number, task in enumerate(to_do, start=1)],
        "Nothing: every file is loaded, no month is missing, and every sale is credited.",
    )


def _months(facts: Facts) -> Page:
    by_source: dict[str, list[str]] = {}
    for month in facts.overview.months:
        is_coming = month.state == "nothing" and month.month > last_due_month(facts.day, facts.due_day)
        by_source.setdefault(month.source, []).append("not due yet" if is_coming else _STATES[month.state])
    shown = list(dict.fromkeys(month.month for month in facts.overview.months))
    totals = {total.source: total for total in facts.totals}
    rows = []
    for source, states in by_source.items():
        total = totals.get(source)
        rows.append((source, *states, total.files if total else None, total.lines if total else None))
    return Page(
        "Sources and months",
        f"By commission month. A month is missing from day {facts.due_day} of the month after it, if no file "
        "of it is loaded; a source is expected from its first loaded month on.",
        (
            Column("Source"),
            *(Column(month_text(month)) for month in shown),
            Column("Files", "tier"),
            Column("Lines", "tier"),
        ),
        (18, *(13 for _ in shown), 10, 10),
        rows,
        "",
    )


def _rejected(facts: Facts) -> Page:
    return Page(
        "Rejected files",
        "Nothing of a rejected file counts; the version before it stays in force. Drop the corrected file "
        "in its place, and it leaves this list.",
        (
            Column("File"),
            Column("Errors", "tier"),
            Column("Where"),
            Column("What is wrong"),
            Column("How to fix it"),
            Column("Workbook with every error marked"),
        ),
        (44, 8, 26, 50, 50, 50),
        [
            (
                file.path,
                file.error_count,
                placed(file.first).removesuffix(": "),
                file.first.problem,
                file.first.remedy,
                shown_address(file.error_workbook).removeprefix(f"{shown_address(facts.landing)}/"),
            )
            for file in facts.overview.rejected
        ],
        "No file is rejected.",
    )


def _rows_to_add(facts: Facts) -> Page:
    parts = [
        f"{one.reason.replace('_', ' ')}: {count_of(one.lines, 'line')}, ${one.sales:,.2f}"
        for one in facts.uncredited
    ]
    said = f" Lines that pay nobody: {'; '.join(parts)}." if parts else " Every line is credited."
    return Page(
        "Rows that the reference workbooks lack, most money first",
        "Each workbook in reference/current/ has these rows ready on its second sheet." + said,
        (
            Column("Workbook"),
            Column("For"),
            Column("Sales, USD", "money"),
            Column("Lines", "tier"),
            Column("Since", "month"),
            Column("Row to type"),
        ),
        (18, 38, 15, 9, 11, 100),
        [
            (
                row.table_name,
                row.customer or ", ".join(filter(None, (row.rep_name, row.product_line))),
                row.sales_actual,
                row.lines,
                row.first_month,
                row.row_to_type,
            )
            for row in facts.proposals
        ],
        "No row is missing.",
    )


def _periods(facts: Facts) -> Page:
    closed = max((period.pay_period for period in facts.periods if period.state == "closed"), default=None)
    said = f"Closed until {month_text(closed)}." if closed else "No month was ever closed."
    if facts.to_close is not None:
        said += f" {month_text(facts.to_close)} is to be closed next: add its row to pay_periods.xlsx."
    answers = [
        (
            found.pay_period,
            "holds it up" if found.is_holding else "settle or note" if found.is_waivable else "to settle",
            found.problem,
            _ODD_REMEDY if found.kind == "findings" else found.remedy,
        )
        for found in facts.obstacles
        if found.is_holding or found.pay_period == facts.to_close
    ]
    periods = [(period.pay_period, period.state, _paid_on(period.pay_date), "") for period in facts.periods]
    return Page(
        "Pay periods",
        said,
        (Column("Month", "month"), Column("State"), Column("What its close has to answer"), Column("How")),
        (12, 16, 80, 80),
        [*answers, *periods],
        "No month has lines yet.",
    )


def _paid_on(day: date | None) -> str:
    return f"Paid on {day:%Y-%m-%d}." if day else ""


def _odd(facts: Facts) -> Page:
    return Page(
        "Odd entries in the reference workbooks, most money first",
        "None of them stops anything. Correct the row, or write a Note in it if it is intended: then it "
        "leaves this list.",
        (
            Column("At stake, USD", "money"),
            Column("Workbook"),
            Column("Row", "tier"),
            Column("Column"),
            Column("Value"),
            Column("What looks odd"),
            Column("How to fix it"),
        ),
        (15, 20, 7, 24, 26, 70, 60),
        [
            (
                found.amount,
                found.table_name,
                found.source_row,
                found.column_name,
                found.value,
                found.problem,
                found.remedy,
            )
            for found in facts.findings
        ],
        "Nothing looks odd.",
    )


def _tables(facts: Facts) -> Page:
    return Page(
        "Reference workbooks",
        f"To change one, open its copy, correct it, and save it under the same name in {REFERENCE}/.",
        (Column("Workbook"), Column("In force since (UTC)"), Column("Rows", "tier"), Column("Copy to edit")),
        (24, 24, 9, 44),
        [
            (
                entry.table,
                f"{entry.in_force_from:%Y-%m-%d %H:%M}" if entry.in_force_from else "not dropped yet",
                entry.lines,
                current_path(entry.table),
            )
            for entry in facts.overview.tables
        ],
        "",
    )


def _publications(facts: Facts) -> Page:
    return Page(
        "Publications",
        "The last changes of the figures that people read. The dashboard Admin has every change "
        "with its reason.",
        (
            Column("No.", "tier"),
            Column("Published (UTC)"),
            Column("Sale lines", "tier"),
            Column("What changed in the payouts"),
        ),
        (8, 20, 12, 100),
        [
            (
                one.publication_id,
                f"{one.published_at.astimezone(UTC):%Y-%m-%d %H:%M}",
                one.lines,
                _changed(one),
            )
            for one in facts.publications
        ],
        "Nothing was published yet.",
    )


def _changed(one: PublishedBuild) -> str:
    parts = []
    if one.new:
        parts.append(f"{count_of(one.new, 'payout')} of new months, {one.new_amount:+,.2f}")
    if one.restated:
        parts.append(f"{count_of(one.restated, 'payout')} restated, {one.restated_amount:+,.2f}")
    if one.rules:
        parts.append(f"{count_of(one.rules, 'row')} of rates, thresholds and objectives changed")
    return "; ".join(parts)
