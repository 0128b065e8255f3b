"""What the books say about a folder, in the shape of the report of the run that ingested it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from shs_pipeline.files.reading import Problem
from shs_pipeline.ingest.folder_report import FileReport, FolderReport, InForce
from shs_pipeline.ingest.overview import errors_of

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.ingest.changes import Folder

_ERRORS_SHOWN = 51


@dataclass(frozen=True)
class Ingested:
    """When the books last wrote down a folder, without looking at a clock.

    Attributes:
        run_id: the run that did.
        mark: another one whenever the folder was ingested again.
    """

    run_id: str
    mark: str


def ingested_folders(connection: psycopg.Connection) -> dict[str, Ingested]:
    """Return every folder that was ever ingested, by its key."""
    rows = connection.execute("select folder, run_id, fingerprint, rows_in_force from ops.folders")
    return {
        folder: Ingested(run_id, _mark(run_id, fingerprint, rows))
        for folder, run_id, fingerprint, rows in rows
    }


def _mark(*parts: object) -> str:
    return sha256("\n".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()[:10]


def lines_before(connection: psycopg.Connection, folder: Folder) -> int:
    """Return how many lines of a folder were in force before it was last ingested."""
    row = connection.execute("select rows_before from ops.folders where folder = %s", [folder.key]).fetchone()
    return int(row[0]) if row else 0


def folder_report(connection: psycopg.Connection, folder: Folder) -> FolderReport:
    """Return the files of a folder as the books have them now."""
    rows = connection.execute(
        "select file_id, path, status, coalesce(sha256, ''), coalesce(rows_read, 0),"
        " coalesce(rows_loaded, 0), left_out, sums, error_workbook from ops.files"
        " where source is not distinct from %s and commission_month is not distinct from %s"
        " and status in ('loaded', 'rejected') order by path, file_id",
        [folder.name, folder.month],
    ).fetchall()
    rejected = {path for _, path, status, *_ in rows if status == "rejected"}
    files: list[FileReport] = []
    kept: list[InForce] = []
    for file_id, path, status, digest, read, loaded, left_out, sums, workbook in rows:
        if status == "loaded" and path in rejected:
            kept.append(InForce(file_id, path, digest, loaded, sums or {}))
            continue
        problems = _errors(connection, file_id) if status == "rejected" else ()
        files.append(
            FileReport(
                file_id,
                path,
                status,
                digest,
                read,
                loaded,
                _counts(left_out),
                sums or {},
                (),
                problems,
                workbook,
            )
        )
    return FolderReport(folder, tuple(files), tuple(kept))


def _counts(left_out: Mapping[str, int] | None) -> dict[str, int]:
    return {reason: int(count) for reason, count in (left_out or {}).items()}


def _errors(connection: psycopg.Connection, file_id: int) -> Sequence[Problem]:
    found = [one for one in errors_of(connection, file_id) if one.severity == "error"]
    return [
        Problem(one.problem, one.remedy, one.sheet, one.row, one.column, one.value)
        for one in found[:_ERRORS_SHOWN]
    ]
