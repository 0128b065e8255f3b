"""Checks of a source's state, each answered from the books.

They look at all months of the source as it is now, not at the last run, so that a good month does not hide a
bad one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Literal

from shs_pipeline.base.months import month_after, month_text, months_between
from shs_pipeline.base.wording import count_of, form_for
from shs_pipeline.landing.names import ADJUSTMENTS

if TYPE_CHECKING:
    import psycopg

CONTRACT_HOLDS = "contract_holds"
TOTALS_AGREE = "printed_totals_agree"
NOTHING_SHRANK = "nothing_shrank"
NO_MONTH_MISSING = "no_month_missing"
IN_FORCE = "a_version_is_in_force"
ERROR_WORKBOOK = "error workbook"
"""Header of the column with the address of an error workbook."""

SOURCE_CHECKS = {
    CONTRACT_HOLDS: "Every file in the bucket is loaded.",
    TOTALS_AGREE: "Every printed total equals the sum of its lines.",
    NOTHING_SHRANK: "No month lost more than half of its lines in its last change.",
    NO_MONTH_MISSING: "Every month that is due has a loaded file.",
}
REFERENCE_CHECKS = {
    CONTRACT_HOLDS: "The workbook in the bucket is in force.",
    IN_FORCE: "A version of the table has been accepted.",
}
UNKNOWN_CHECKS = {CONTRACT_HOLDS: "Every file is in a folder that is read."}


def checks_of(name: str) -> dict[str, str]:
    """Return the checks of a source, or of the adjustments, of which no month has to have any."""
    return {
        check: text
        for check, text in SOURCE_CHECKS.items()
        if (name, check) != (ADJUSTMENTS, NO_MONTH_MISSING)
    }


@dataclass(frozen=True)
class CheckOutcome:
    """The answer to one check.

    Attributes:
        sentence: what was found, with the remedy where it fails.
        rows: what it is about, as a table for people: column names first.
    """

    name: str
    has_passed: bool
    severity: Literal["error", "warning"]
    sentence: str
    rows: Sequence[Sequence[str]] = field(default_factory=tuple)


def check_source(connection: psycopg.Connection, name: str, today: date, due_day: int) -> list[CheckOutcome]:
    """Answer the checks of a source, or of the adjustments."""
    answers = [
        _contract_holds(connection, name),
        _totals_agree(connection, name),
        _nothing_shrank(connection, name),
    ]
    return answers if name == ADJUSTMENTS else [*answers, _no_month_missing(connection, name, today, due_day)]


def check_reference(connection: psycopg.Connection, name: str) -> list[CheckOutcome]:
    """Answer `REFERENCE_CHECKS` for a reference table."""
    row = connection.execute(
        "select in_force_from from reference.versions where table_name = %s and in_force_until is null",
        [name],
    ).fetchone()
    sentence = (
        f"The version of {row[0]:%Y-%m-%d %H:%M} UTC is in force."
        if row
        else f"No {name} table has been accepted yet; drop reference/{name}.xlsx."
    )
    return [_contract_holds(connection, name), CheckOutcome(IN_FORCE, row is not None, "error", sentence)]


def check_unknown_places(connection: psycopg.Connection) -> list[CheckOutcome]:
    """Answer `UNKNOWN_CHECKS`."""
    return [_contract_holds(connection, None)]


def rejected_by(connection: psycopg.Connection, name: str | None, run_id: str) -> list[tuple[str, str]]:
    """Return the files of a source or table that a run rejected: path and address of the error workbook.

    Args:
        name: None: of unknown places.
    """
    return connection.execute(
        "select path, coalesce(error_workbook, '') from ops.files"
        " where source is not distinct from %s and status = 'rejected' and run_id = %s order by path",
        [name, run_id],
    ).fetchall()


def last_due_month(today: date, due_day: int) -> date:
    """Return the last month whose files should be there: due on a day of the month after."""
    return month_after(today.replace(day=1), -1 if today.day >= due_day else -2)


def due_months(first: date, today: date, due_day: int) -> list[date]:
    """Return the months from `first` whose file should be there."""
    last = last_due_month(today, due_day)
    return months_between(first, last) if last >= first else []


def _contract_holds(connection: psycopg.Connection, name: str | None) -> CheckOutcome:
    rejected = connection.execute(
        "select path, error_count, coalesce(problem, ''), coalesce(remedy, ''), coalesce(error_workbook, '')"
        " from ops.files where source is not distinct from %s and status = 'rejected' order by path",
        [name],
    ).fetchall()
    if not rejected:
        return CheckOutcome(CONTRACT_HOLDS, True, "error", "No file is rejected.")
    path, count, problem, remedy, _ = rejected[0]
    rest = len(rejected) - 1
    more = f" {count_of(rest, 'more file')} {form_for(rest, 'is', 'are')} rejected." if rest else ""
    others = f" (And {count - 1} more in it.)" if count > 1 else ""
    header = ("file", "errors", "what is wrong", "how to fix it", ERROR_WORKBOOK)
    rows = [header, *([str(cell) for cell in row] for row in rejected)]
    return CheckOutcome(CONTRACT_HOLDS, False, "error", f"{path}: {problem} {remedy}{others}{more}", rows)


def _totals_agree(connection: psycopg.Connection, name: str) -> CheckOutcome:
    found = connection.execute(
        "select f.path, t ->> 'sheet', t ->> 'row', t ->> 'column', t ->> 'printed', t ->> 'computed',"
        " coalesce(t ->> 'label', ''), coalesce(t ->> 'covers', '')"
        " from ops.files as f cross join lateral jsonb_array_elements(f.totals) as t"
        " where f.source = %s and f.status = 'loaded' order by f.path, (t ->> 'row')::bigint",
        [name],
    ).fetchall()
    if not found:
        return CheckOutcome(TOTALS_AGREE, True, "warning", "Every printed total equals the sum of its lines.")
    path, sheet, row, column, printed, computed, label, covers = found[0]
    many = f"{count_of(len(found), 'total')} {form_for(len(found), 'differs', 'differ')}"
    sentence = (
        f"{path}, {sheet} row {row}: {column} prints {printed}{f' as {label}' if label else ''}, "
        f"its lines{f' ({covers})' if covers else ''} add up to {computed}; "
        f"ask the supplier which is right ({many})."
    )
    header = ("file", "sheet", "row", "column", "printed", "sum of the lines", "total", "lines it covers")
    return CheckOutcome(TOTALS_AGREE, False, "warning", sentence, [header, *found])


def _nothing_shrank(connection: psycopg.Connection, name: str) -> CheckOutcome:
    found = connection.execute(
        "select split_part(folder, '/', 2), rows_before::text, rows_in_force::text from ops.folders"
        " where folder like %s || '/%%' and rows_in_force * 2 < rows_before order by folder",
        [name],
    ).fetchall()
    if not found:
        return CheckOutcome(NOTHING_SHRANK, True, "warning", "No month lost more than half of its lines.")
    month, before, now = found[0]
    sentence = (
        f"{month} had {count_of(int(before), 'line')} and now has {int(now):,}; check whether a file was "
        "truncated or deleted by mistake. If this is right, materialize the partition again."
    )
    return CheckOutcome(
        NOTHING_SHRANK, False, "warning", sentence, [("month", "lines before", "lines now"), *found]
    )


def _no_month_missing(connection: psycopg.Connection, name: str, today: date, due_day: int) -> CheckOutcome:
    months = {
        month
        for (month,) in connection.execute(
            "select distinct commission_month from ops.files where source = %s and status = 'loaded'", [name]
        )
    }
    missing = [m for m in due_months(min(months), today, due_day) if m not in months] if months else []
    if not missing:
        sentence = "Every due month has a file." if months else "Nothing has been loaded yet."
        return CheckOutcome(NO_MONTH_MISSING, True, "warning", sentence)
    names = ", ".join(month_text(month) for month in missing)
    sentence = f"No file is loaded for {names}; drop it into incoming/{name}/{month_text(missing[0])}/."
    rows = [("month",), *((month_text(month),) for month in missing)]
    return CheckOutcome(NO_MONTH_MISSING, False, "warning", sentence, rows)
