"""An overview of the books for people, by source, month and file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from shs_pipeline.base.months import month_after, months_between
from shs_pipeline.ingest.checks import due_months
from shs_pipeline.landing.names import ADJUSTMENTS, INCOMING_NAMES, REFERENCE_NAMES, SOURCE_NAMES

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.files.reading import Problem

MONTHS_SHOWN = 12

MonthState = Literal["loaded", "rejected", "both", "missing", "nothing"]


@dataclass(frozen=True)
class Month:
    """A commission month of a source.

    Attributes:
        is_due: whether a file should be there by now.
        lines: lines in force.
    """

    source: str
    month: date
    loaded: int
    rejected: int
    lines: int
    is_due: bool

    @property
    def state(self) -> MonthState:
        """What a person wants to know of it first."""
        if self.rejected:
            return "both" if self.loaded else "rejected"
        if self.loaded:
            return "loaded"
        return "missing" if self.is_due else "nothing"


@dataclass(frozen=True)
class TableState:
    """A reference table; `in_force_from` (UTC) and lines are None if no version was ever accepted."""

    table: str
    in_force_from: datetime | None
    lines: int | None


@dataclass(frozen=True)
class FileError:
    """One error or warning of a file, as the books keep it."""

    severity: str
    sheet: str | None
    row: int | None
    column: str | None
    value: str | None
    problem: str
    remedy: str


@dataclass(frozen=True)
class RejectedFile:
    """A file in the landing zone that is not loaded.

    Attributes:
        error_workbook: its full address.
        first: the first error.
    """

    file_id: int
    path: str
    name: str | None
    error_count: int
    error_workbook: str
    first: FileError


@dataclass(frozen=True)
class SourceTotal:
    """All that is in force of a source, and how many of its files are rejected."""

    source: str
    files: int
    rejected: int
    lines: int
    left_out: int
    sums: Mapping[str, Decimal]


@dataclass(frozen=True)
class Overview:
    """The state of everything.

    Attributes:
        months: every source times the shown months, in order.
    """

    months: Sequence[Month]
    tables: Sequence[TableState]
    rejected: Sequence[RejectedFile]


def nothing_yet(today: date) -> Overview:
    """Return the state of a system that never ran."""
    return Overview(
        months=_grid({}, {}, today, due_day=1),
        tables=[TableState(name, None, None) for name in REFERENCE_NAMES],
        rejected=[],
    )


def read_overview(connection: psycopg.Connection, today: date, due_day: int) -> Overview:
    """Read the state of everything.

    Args:
        due_day: day of the following month from which a missing file is reported.
    """
    counts = {
        (source, month): (loaded, rejected, lines)
        for source, month, loaded, rejected, lines in connection.execute(
            "select source, commission_month, count(*) filter (where status = 'loaded'),"
            " count(*) filter (where status = 'rejected'),"
            " coalesce(sum(rows_loaded) filter (where status = 'loaded'), 0)::bigint from ops.files"
            " where commission_month is not null and status in ('loaded', 'rejected') group by 1, 2"
        )
    }
    first_loaded: dict[str, date] = {}
    for (source, month), (loaded, _, _) in counts.items():
        if loaded:
            first_loaded[source] = min(month, first_loaded.get(source, month))
    return Overview(
        _grid(counts, first_loaded, today, due_day), _tables(connection), rejected_now(connection)
    )


def _grid(
    counts: Mapping[tuple[str, date], tuple[int, int, int]],
    first_loaded: Mapping[str, date],
    today: date,
    due_day: int,
) -> list[Month]:
    # Files may be dropped for months ahead; the shown months end with the last that has one.
    last = max([today.replace(day=1), *(month for _, month in counts)])
    months = months_between(month_after(last, 1 - MONTHS_SHOWN), last)
    grid = []
    # Adjustments are shown where there are any, and are never due.
    names = SOURCE_NAMES if not any(name == ADJUSTMENTS for name, _ in counts) else INCOMING_NAMES
    for source in names:
        first = first_loaded.get(source)
        due = set(due_months(first, today, due_day)) if first and source != ADJUSTMENTS else set()
        grid += [
            Month(source, month, *counts.get((source, month), (0, 0, 0)), is_due=month in due)
            for month in months
        ]
    return grid


def _tables(connection: psycopg.Connection) -> list[TableState]:
    found = {
        name: (in_force_from, lines)
        for name, in_force_from, lines in connection.execute(
            "select table_name, in_force_from, rows_loaded from reference.versions"
            " inner join ops.files using (file_id) where in_force_until is null"
        )
    }
    return [TableState(name, *found.get(name, (None, None))) for name in REFERENCE_NAMES]


def rejected_now(connection: psycopg.Connection) -> list[RejectedFile]:
    """Return the rejected files by path, each with its first error."""
    rows = connection.execute(
        'select f.file_id, f.path, f.source, f.error_count, f.error_workbook, e.severity, e.sheet, e."row",'
        ' e."column", e.value, coalesce(e.problem, f.problem), coalesce(e.remedy, f.remedy)'
        " from ops.files as f left join lateral (select * from ops.file_errors as every"
        " where every.file_id = f.file_id and every.severity = 'error' order by error_no limit 1) as e"
        " on true"
        " where f.status = 'rejected' order by f.path"
    )
    return [
        RejectedFile(file_id, path, name, count, workbook or "", FileError(*error))
        for file_id, path, name, count, workbook, *error in rows
    ]


def placed(found: FileError | Problem) -> str:
    """Return where an error is, as the beginning of its sentence; empty for the file as a whole."""
    parts = (found.sheet, f"row {found.row}" if found.row else None, found.column)
    place = ", ".join(part for part in parts if part)
    value = f" ({found.value})" if found.value and place else ""
    return f"{place}{value}: " if place else ""


def errors_of(connection: psycopg.Connection, file_id: int) -> list[FileError]:
    """Return every error and warning of a file, in the order of the file."""
    rows = connection.execute(
        'select severity, sheet, "row", "column", value, problem, remedy from ops.file_errors'
        " where file_id = %s order by error_no",
        [file_id],
    )
    return [FileError(*row) for row in rows]


def is_loaded(connection: psycopg.Connection, path_end: str) -> bool:
    """Whether a loaded file has this path, or one that ends in it."""
    row = connection.execute(
        "select 1 from ops.files where status = 'loaded' and right('/' || path, length(%(end)s) + 1) ="
        " '/' || %(end)s limit 1",
        {"end": path_end},
    ).fetchone()
    return row is not None


def source_totals(connection: psycopg.Connection) -> list[SourceTotal]:
    """Return what is in force of each source, in the order of the sources."""
    counted = {
        source: (files, rejected, lines, left_out)
        for source, files, rejected, lines, left_out in connection.execute(
            "select source, count(*) filter (where status = 'loaded'),"
            " count(*) filter (where status = 'rejected'),"
            " coalesce(sum(rows_loaded) filter (where status = 'loaded'), 0)::bigint,"
            " coalesce(sum((select sum(n::bigint) from jsonb_each_text(left_out) as each (reason, n)))"
            " filter (where status = 'loaded'), 0)::bigint"
            " from ops.files where status in ('loaded', 'rejected') group by source"
        )
    }
    sums: dict[str, dict[str, Decimal]] = {}
    for source, column, total in connection.execute(
        "select source, key, sum(value::numeric) from ops.files, jsonb_each_text(sums)"
        " where status = 'loaded' group by source, key"
    ):
        sums.setdefault(source, {})[column] = total
    return [SourceTotal(name, *counted.get(name, (0, 0, 0, 0)), sums.get(name, {})) for name in SOURCE_NAMES]
