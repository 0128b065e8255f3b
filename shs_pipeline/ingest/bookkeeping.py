"""The books: `ops.files`, `ops.file_errors`, `ops.folders` and the versions of reference tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from psycopg import sql
from psycopg.types.json import Jsonb

from shs_pipeline.ingest.actors import actor_of
from shs_pipeline.ingest.folder_report import FileReport, FolderReport, InForce

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.files.reading import PrintedTotal, Problem
    from shs_pipeline.files.source import FileOutcome
    from shs_pipeline.ingest.changes import Folder
    from shs_pipeline.landing.listing import Drop

_IN_FORCE = "select file_id, path, sha256, rows_loaded, sums from ops.files where status = 'loaded'"


def in_force(connection: psycopg.Connection, folder: Folder) -> list[InForce]:
    """Return the files of a folder whose lines are in force."""
    query = f"{_IN_FORCE} and source is not distinct from %s and commission_month is not distinct from %s"
    return [InForce(*row) for row in connection.execute(query, [folder.name, folder.month])]


def file_in_force(connection: psycopg.Connection, path: str) -> InForce | None:
    """Return the version of a path that is in force."""
    row = connection.execute(f"{_IN_FORCE} and path = %s", [path]).fetchone()
    return InForce(*row) if row else None


def loaded_with_bytes(connection: psycopg.Connection, sha256: str, not_at: str) -> InForce | None:
    """Return the loaded file at another path that has these bytes."""
    row = connection.execute(f"{_IN_FORCE} and sha256 = %s and path <> %s", [sha256, not_at]).fetchone()
    return InForce(*row) if row else None


def file_by_id(connection: psycopg.Connection, file_id: int) -> InForce:
    """Return a loaded file."""
    row = connection.execute(f"{_IN_FORCE} and file_id = %s", [file_id]).fetchone()
    assert row is not None
    return InForce(*row)


def is_waited_for(connection: psycopg.Connection, own: int, twin: int) -> bool:
    """Whether the new file at the twin's path waits, maybe through others, for this one to go.

    Files that changed places each hold what another one had: none could ever be loaded.

    Args:
        own: version in force of a path whose new file is the copy of `twin`.
        twin: another file in force.
    """
    row = connection.execute(
        "with recursive chain (file_id) as (select %s::bigint union"
        " select waiting.blocked_by from chain inner join ops.files as held using (file_id)"
        " inner join ops.files as waiting on waiting.path = held.path"
        " where waiting.status = 'rejected' and waiting.blocked_by is not null)"
        " select exists (select from chain where file_id = %s)",
        [twin, own],
    ).fetchone()
    return bool(row and row[0])


def paths_lying(connection: psycopg.Connection, folder: Folder) -> list[str]:
    """Return the paths of a folder's files that are loaded or rejected."""
    rows = connection.execute(
        "select distinct path from ops.files where source is not distinct from %s"
        " and commission_month is not distinct from %s and status in ('loaded', 'rejected')",
        [folder.name, folder.month],
    )
    return [path for (path,) in rows]


def take_out_of_force(
    connection: psycopg.Connection,
    folder: Folder,
    file_id: int,
    status: Literal["superseded", "withdrawn"],
    run_id: str,
) -> None:
    """Delete the lines of a partition's file, and keep its row."""
    assert folder.name is not None
    delete = sql.SQL("delete from {} where file_id = %s").format(sql.Identifier("raw", folder.name))
    connection.execute(delete, [file_id])
    _close(connection, file_id, status, run_id)


def withdraw(connection: psycopg.Connection, folder: Folder, paths: Sequence[str], run_id: str) -> list[str]:
    """Take the files of a folder that are no longer there out of force; return their paths.

    A reference table that was deleted stays in force: its last good version holds until another.
    """
    gone = connection.execute(
        "select file_id, path, status from ops.files"
        " where source is not distinct from %s and commission_month is not distinct from %s"
        " and status in ('loaded', 'rejected') and path <> all(%s)",
        [folder.name, folder.month, list(paths)],
    ).fetchall()
    withdrawn = []
    for file_id, path, status in gone:
        if folder.is_reference and status == "loaded":
            continue
        if folder.is_partition and status == "loaded":
            take_out_of_force(connection, folder, file_id, "withdrawn", run_id)
        else:
            _close(connection, file_id, "withdrawn", run_id)
        withdrawn.append(path)
    return withdrawn


@dataclass(frozen=True)
class Entry:
    """One drop as it is entered into the books.

    Attributes:
        uri: full address of the file.
        errors_uri: full address of its error workbook; None where it has none.
        sha256: of its bytes; empty where they were not read.
    """

    folder: Folder
    drop: Drop
    uri: str
    errors_uri: str | None
    sha256: str
    outcome: FileOutcome
    run_id: str


def book_rejection(connection: psycopg.Connection, entry: Entry, blocked_by: int | None) -> FileReport:
    """Book a rejected file and every error of it.

    Args:
        blocked_by: the file for whose sake it is rejected, if it is a copy.
    """
    row = _row(entry) | {
        "status": "rejected",
        "rows_loaded": 0,
        "sums": Jsonb({}),
        "blocked_by": blocked_by,
        "error_workbook": entry.errors_uri,
    }
    file_id = _book(connection, _rejected_now(connection, entry.drop.path), row, entry)
    return _report(file_id, row, {}, entry)


def book_load(
    connection: psycopg.Connection, entry: Entry, sums: Mapping[str, str], own: InForce | None
) -> FileReport:
    """Book a loaded file; what its path had in force, or rejected, before is superseded.

    Args:
        own: the version of the same path that was in force.
    """
    assert entry.outcome.lines is not None
    row = _row(entry) | {
        "status": "loaded",
        "rows_loaded": len(entry.outcome.lines),
        "sums": Jsonb(dict(sums)),
        "blocked_by": None,
        "error_workbook": None,
    }
    rejected = _rejected_now(connection, entry.drop.path)
    is_same = own is not None and own.sha256 == entry.sha256
    if own is not None and not is_same:
        _close(connection, own.file_id, "superseded", entry.run_id)
    if is_same and rejected is not None:
        _close(connection, rejected[0], "superseded", entry.run_id)
    known = (own.file_id, own.sha256) if own is not None and is_same else rejected
    file_id = _book(connection, known, row, entry)
    return _report(file_id, row, sums, entry)


def book_warning(connection: psycopg.Connection, report: FileReport, warning: Problem) -> FileReport:
    """Add a warning to a file that was just loaded."""
    connection.execute(
        "update ops.files set warning_count = warning_count + 1 where file_id = %s", [report.file_id]
    )
    _book_errors(connection, report.file_id, [warning], len(report.problems) + 1)
    return replace(report, problems=[*report.problems, warning])


def put_in_force(connection: psycopg.Connection, table: str, file_id: int) -> None:
    """Make a file the version in force of its reference table from now on."""
    # One moment for both, so that at any time just one version is in force.
    moment = connection.execute("select clock_timestamp()").fetchone()
    assert moment is not None
    connection.execute(
        "update reference.versions set in_force_until = %s"
        " where table_name = %s and in_force_until is null and file_id <> %s",
        [moment[0], table, file_id],
    )
    connection.execute(
        "insert into reference.versions (file_id, table_name, in_force_from)"
        " values (%s, %s, %s) on conflict (file_id) do nothing",
        [file_id, table, moment[0]],
    )


def note_folder(connection: psycopg.Connection, report: FolderReport, fingerprint: str, run_id: str) -> None:
    """Note the state of the folder that was ingested."""
    rows_before = sum(old.rows_loaded for old in report.before)
    connection.execute(
        "insert into ops.folders (folder, fingerprint, rows_in_force, rows_before, run_id)"
        " values (%s, %s, %s, %s, %s) on conflict (folder) do update set fingerprint = excluded.fingerprint,"
        " rows_in_force = excluded.rows_in_force,"
        # A run may read a folder twice; what it found at first is what was there before it.
        " rows_before = case when folders.run_id = excluded.run_id then folders.rows_before"
        " else excluded.rows_before end,"
        " run_id = excluded.run_id, finished = now()",
        [report.folder.key, fingerprint, report.rows_in_force, rows_before, run_id],
    )


def _row(entry: Entry) -> dict[str, Any]:
    outcome = entry.outcome
    errors = outcome.errors
    return {
        "source": entry.folder.name,
        "commission_month": entry.folder.month,
        "revenue_month": entry.drop.place.revenue_month,
        "path": entry.drop.path,
        "uri": entry.uri,
        "sha256": entry.sha256 or None,
        "bytes": entry.drop.size,
        "etag": entry.drop.etag,
        "rows_read": outcome.rows_read,
        "left_out": Jsonb(dict(outcome.left_out)),
        "totals": Jsonb([_total(total) for total in outcome.totals if not total.agrees]),
        "error_count": len(errors),
        "warning_count": len(outcome.problems) - len(errors),
        "problem": _storable(errors[0].sentence) if errors else None,
        "remedy": _storable(errors[0].remedy) if errors else None,
        "run_id": entry.run_id,
    }


def _total(total: PrintedTotal) -> dict[str, Any]:
    return {
        "sheet": _storable(total.sheet),
        "row": total.row,
        "label": _storable(total.label),
        "column": total.column,
        "printed": str(total.printed),
        "computed": str(total.computed),
        "covers": _storable(total.covers),
    }


def _storable(text: str) -> str:
    """Return a text without the one character that PostgreSQL cannot hold."""
    return text.replace("\x00", "")


def _rejected_now(connection: psycopg.Connection, path: str) -> tuple[int, str] | None:
    row = connection.execute(
        "select file_id, coalesce(sha256, etag) from ops.files where path = %s and status = 'rejected'",
        [path],
    ).fetchone()
    return (int(row[0]), row[1]) if row else None


def _book(
    connection: psycopg.Connection, known: tuple[int, str] | None, row: dict[str, Any], entry: Entry
) -> int:
    """Write the row of a drop: over the one that these bytes have, else as a new one.

    Args:
        known: id and hash (etag where the file was not read) of the row that this path has in the
            same standing.
    """
    names = list(row)
    identifiers = sql.SQL(", ").join(map(sql.Identifier, names))
    places = sql.SQL(", ").join(sql.Placeholder() * len(names))
    values = [row[name] for name in names]
    actor = actor_of(connection, entry.drop)
    if known is not None and known[1] == (row["sha256"] or row["etag"]):
        # Whoever brought these bytes first did it.
        update = sql.SQL(
            "update ops.files set ({}) = row ({}), actor = coalesce(actor, %s), finished = clock_timestamp()"
            " where file_id = %s"
        )
        connection.execute(update.format(identifiers, places), [*values, actor, known[0]])
        connection.execute("delete from ops.file_errors where file_id = %s", [known[0]])
        file_id = known[0]
    else:
        if known is not None:
            _close(connection, known[0], "superseded", entry.run_id)
        insert = sql.SQL(
            "insert into ops.files ({}, actor, finished) values ({}, %s, clock_timestamp()) returning file_id"
        )
        found = connection.execute(insert.format(identifiers, places), [*values, actor]).fetchone()
        assert found is not None
        file_id = int(found[0])
    _book_errors(connection, file_id, entry.outcome.problems)
    return file_id


def _book_errors(
    connection: psycopg.Connection, file_id: int, problems: Sequence[Problem], first: int = 1
) -> None:
    if not problems:
        return
    statement = (
        'copy ops.file_errors (file_id, error_no, severity, sheet, "row", "column", value, problem, remedy)'
        " from stdin"
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for number, found in enumerate(problems, start=first):
            texts = (found.sheet, found.row, found.column, found.value, found.problem, found.remedy)
            cleaned = [_storable(text) if isinstance(text, str) else text for text in texts]
            copy.write_row((file_id, number, found.severity, *cleaned))


def _close(connection: psycopg.Connection, file_id: int, status: str, run_id: str) -> None:
    connection.execute(
        "update ops.files set status = %s, run_id = %s, finished = clock_timestamp() where file_id = %s",
        [status, run_id, file_id],
    )


def _report(file_id: int, row: Mapping[str, Any], sums: Mapping[str, str], entry: Entry) -> FileReport:
    return FileReport(
        file_id=file_id,
        path=entry.drop.path,
        status=row["status"],
        sha256=entry.sha256,
        rows_read=row["rows_read"],
        rows_loaded=row["rows_loaded"],
        left_out=entry.outcome.left_out,
        sums=sums,
        totals=entry.outcome.totals,
        problems=entry.outcome.problems,
        error_workbook=row["error_workbook"],
    )
