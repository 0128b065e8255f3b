"""Settling a folder: what was read of it is loaded or rejected, and what is gone is withdrawn.

All of it happens in the one transaction of the folder.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shs_pipeline import bookkeeping as books
from shs_pipeline.bookkeeping import FileReport, InForce
from shs_pipeline.copy_text import CopyLines
from shs_pipeline.landing import Landing, RefusedError, errors_path
from shs_pipeline.loading import copies_elsewhere, copy_lines, delete_lines, other_files_in_force
from shs_pipeline.reading import Problem
from shs_pipeline.source import FileOutcome, ReferenceTable, Source

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.changes import Folder
    from shs_pipeline.drop_reading import DropReader, ReadDrop
    from shs_pipeline.listing import Drop

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settling:
    """One folder in its transaction.

    Args:
        reader: writes the error workbook of what turns out to be a copy.
    """

    connection: psycopg.Connection
    landing: Landing
    folder: Folder
    reader: DropReader
    run_id: str

    def settle(
        self, reads: Sequence[ReadDrop], before: list[InForce], stays: Collection[str] = ()
    ) -> list[FileReport]:
        """Withdraw what is gone, then load or reject each file that is there.

        Args:
            before: what is in force; loses what has to give way to a file that changed places.
            stays: paths that are left as they are although they are not among what was read.
        """
        paths = [*stays, *(read.drop.path for read in reads)]
        for path in books.withdraw(self.connection, self.folder, paths, self.run_id):
            self._delete_errors(path)
        # A file that is in force already comes first: a newcomer is the copy, whatever its name.
        in_force = {known.path: known.sha256 for known in before}
        ordered = sorted(
            reads, key=lambda read: (in_force.get(read.drop.path) != read.sha256, read.drop.path)
        )
        reports = []
        for read in ordered:
            judged, blocked_by = _look_for_copies(self.connection, self.folder, read)
            if judged.lines is None:
                if blocked_by is not None:
                    self._give_way(read.drop.path, blocked_by, before)
                reports.append(self._reject(replace(read, outcome=judged), blocked_by))
            else:
                reports.append(self._load(replace(read, outcome=judged)))
        return sorted(reports, key=lambda report: report.path)

    def _give_way(self, path: str, twin: int, before: list[InForce]) -> None:
        """Take the old version of a path out of force where the file in its way waits for just that."""
        own = next((old for old in before if old.path == path), None)
        is_source = isinstance(self.folder.declaration, Source)
        if own is None or not is_source or not books.is_waited_for(self.connection, own.file_id, twin):
            return
        books.take_out_of_force(self.connection, self.folder, own.file_id, "superseded", self.run_id)
        before.remove(own)

    def _reject(self, read: ReadDrop, blocked_by: int | None) -> FileReport:
        """Book the rejection; the version of the file that loaded before stays in force."""
        path = errors_path(read.drop.path)
        uri: str | None = self.landing.uri(path)
        # Before the commit: if the run is killed between the two, the next one does both again.
        try:
            self.landing.write(path, read.error_workbook or self.reader.error_workbook(read))
        except RefusedError as error:
            _log.warning("No error workbook of %s: %s", read.drop.path, error.problem)
            said = Problem(f"Its error workbook could not be written. {error.problem}", error.remedy)
            problems = [*read.outcome.problems, replace(said, severity="warning")]
            read, uri = replace(read, outcome=replace(read.outcome, problems=problems)), None
        return books.book_rejection(self.connection, self._entry(read, uri), blocked_by)

    def _load(self, read: ReadDrop) -> FileReport:
        """Put the lines of a file in the place of those that its path had before."""
        declaration, lines = self.folder.declaration, read.outcome.lines
        assert declaration is not None
        assert isinstance(lines, CopyLines)
        is_source = isinstance(declaration, Source)
        schema = "raw" if is_source else "reference"
        own = books.file_in_force(self.connection, read.drop.path)
        report = books.book_load(self.connection, self._entry(read, None), lines.sums, own)
        if own is not None and (is_source or own.file_id == report.file_id):
            delete_lines(self.connection, schema, declaration, own.file_id)
        constants: dict[str, Any] = {"file_id": report.file_id}
        if is_source:
            constants["commission_month"] = self.folder.month
        copy_lines(self.connection, schema, declaration, lines, constants)
        if isinstance(declaration, ReferenceTable):
            books.put_in_force(self.connection, declaration.name, report.file_id)
        self._delete_errors(read.drop.path)
        return report

    def _delete_errors(self, path: str) -> None:
        try:
            self.landing.delete(errors_path(path))
        except RefusedError as error:
            # It is out of date, which harms nobody's figures.
            _log.warning("The error workbook of %s stays: %s", path, error.problem)

    def _entry(self, read: ReadDrop, errors_uri: str | None) -> books.Entry:
        return books.Entry(
            folder=self.folder,
            drop=read.drop,
            uri=self.landing.uri(read.drop.path if read.drop.problem else read.drop.key),
            errors_uri=errors_uri,
            sha256=read.sha256,
            outcome=read.outcome,
            run_id=self.run_id,
        )


def _look_for_copies(
    connection: psycopg.Connection, folder: Folder, read: ReadDrop
) -> tuple[FileOutcome, int | None]:
    """Return the outcome, turned into a rejection where the file is a copy, and of which file."""
    outcome, drop = read.outcome, read.drop
    if outcome.lines is None or folder.declaration is None:
        return outcome, None
    own = books.file_in_force(connection, drop.path)
    if own is not None and own.sha256 == read.sha256:
        # Judged when it was loaded: of two that are alike, the one that came later is the copy.
        return outcome, None
    if twin := books.loaded_with_bytes(connection, read.sha256, drop.path):
        return _as_copy(outcome, *_same_bytes(drop, twin)), twin.file_id
    if not isinstance(folder.declaration, Source) or drop.place.is_overlap_ok:
        return outcome, None
    return _look_for_same_lines(connection, folder.declaration, read, own)


def _look_for_same_lines(
    connection: psycopg.Connection, source: Source, read: ReadDrop, own: InForce | None
) -> tuple[FileOutcome, int | None]:
    """Return the outcome as `_look_for_copies`, by the lines of the source's other files."""
    outcome, drop = read.outcome, read.drop
    if not other_files_in_force(connection, source.name, drop.path):
        return outcome, None
    common, by_file = copies_elsewhere(connection, source, read.keys, own.file_id if own else None)
    if common * 2 <= len(read.keys):
        return outcome, None
    file_id = max(by_file, key=lambda key: (by_file[key], -key))
    twin = books.file_by_id(connection, file_id)
    return _as_copy(outcome, *_same_lines(drop, twin, common, len(read.keys))), file_id


def _same_bytes(drop: Drop, twin: InForce) -> tuple[str, str]:
    problem = f"{drop.path} holds the same bytes as {twin.path}, which is loaded."
    remedy = (
        "Delete one of the two: nothing is paid twice. If the other is the wrong one, delete that; "
        "this one is then read by itself."
    )
    return problem, remedy


def _same_lines(drop: Drop, twin: InForce, common: int, lines: int) -> tuple[str, str]:
    folder, _, name = drop.path.rpartition("/")
    problem = (
        f"{common} of the {lines} lines of {drop.path} are already loaded, most of them from {twin.path}: "
        "it looks like a corrected copy."
    )
    remedy = (
        "To replace that file, drop this one under its name, or delete it. If both count, drop this one as "
        f"{folder}/overlap=ok/{name}."
    )
    return problem, remedy


def _as_copy(outcome: FileOutcome, problem: str, remedy: str) -> FileOutcome:
    return replace(outcome, lines=None, problems=[Problem(problem, remedy), *outcome.problems])
