"""Settle a folder: load or reject what was read, and withdraw what is gone.

All of it happens in the one transaction of the folder.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shs_pipeline.files.reading import CopyLines, Problem
from shs_pipeline.files.source import MonthlyFiles, ReferenceTable, Source
from shs_pipeline.ingest import bookkeeping as books
from shs_pipeline.ingest.folder_report import FileReport, InForce
from shs_pipeline.ingest.loading import copy_lines, delete_lines
from shs_pipeline.ingest.own_adjustments import own_adjustments
from shs_pipeline.ingest.repeats import repeats_in, same_bytes
from shs_pipeline.landing.names import ADJUSTMENTS
from shs_pipeline.landing.places import errors_path
from shs_pipeline.landing.zone import Landing, RefusedError

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.ingest.changes import Folder
    from shs_pipeline.ingest.drop_reading import DropReader, ReadDrop

_log = logging.getLogger(__name__)


class _RefusedLinesError(Exception):
    """The lines may not count after all: the file is a copy of its twin, or pays who brought it."""

    def __init__(self, problems: Sequence[Problem], twin: InForce | None = None) -> None:
        super().__init__(problems[0].problem)
        self.problems, self.twin = problems, twin


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
            try:
                with self.connection.transaction():
                    report = self._settle(read)
            except _RefusedLinesError as refused:
                if refused.twin is not None:
                    self._give_way(read.drop.path, refused.twin.file_id, before)
                problems = [*refused.problems, *read.outcome.problems]
                rejected = replace(read, outcome=replace(read.outcome, lines=None, problems=problems))
                report = self._reject(rejected, refused.twin.file_id if refused.twin else None)
            if report.status == "loaded":
                self._delete_errors(read.drop.path)
            reports.append(report)
        return sorted(reports, key=lambda report: report.path)

    def _settle(self, read: ReadDrop) -> FileReport:
        """Load or reject a file.

        Raises:
            _RefusedLinesError: what was loaded of it is to be rolled back.
        """
        if read.outcome.lines is None or self.folder.declaration is None:
            return self._reject(read, None)
        own = books.file_in_force(self.connection, read.drop.path)
        # Judged when it was loaded: of two that are alike, the one that came later is the copy.
        is_judged = own is not None and own.sha256 == read.sha256
        if not is_judged and (twin := books.loaded_with_bytes(self.connection, read.sha256, read.drop.path)):
            raise _RefusedLinesError([same_bytes(read.drop, twin)], twin)
        report = self._load(read, own)
        source = self.folder.declaration
        if (
            source.name == ADJUSTMENTS
            and not is_judged
            and (own_rows := own_adjustments(self.connection, report))
        ):
            raise _RefusedLinesError(own_rows)
        if not isinstance(source, Source) or read.drop.place.is_overlap_ok:
            return report
        found = repeats_in(self.connection, source, report)
        if found is None:
            return report
        if found.makes_a_copy and not is_judged:
            raise _RefusedLinesError([found.as_copy()], found.twin)
        return books.book_warning(self.connection, report, found.as_warning())

    def _give_way(self, path: str, twin: int, before: list[InForce]) -> None:
        """Take the old version of a path out of force where the file in its way waits for just that."""
        own = next((old for old in before if old.path == path), None)
        is_monthly = isinstance(self.folder.declaration, MonthlyFiles)
        if own is None or not is_monthly or not books.is_waited_for(self.connection, own.file_id, twin):
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

    def _load(self, read: ReadDrop, own: InForce | None) -> FileReport:
        """Put the lines of a file in the place of those that its path had before."""
        declaration, lines = self.folder.declaration, read.outcome.lines
        assert declaration is not None
        assert isinstance(lines, CopyLines)
        is_monthly = isinstance(declaration, MonthlyFiles)
        schema = "raw" if is_monthly else "reference"
        report = books.book_load(self.connection, self._entry(read, None), lines.sums, own)
        if own is not None and (is_monthly or own.file_id == report.file_id):
            delete_lines(self.connection, schema, declaration, own.file_id)
        constants: dict[str, Any] = {"file_id": report.file_id}
        if is_monthly:
            constants["commission_month"] = self.folder.month
        copy_lines(self.connection, schema, declaration, lines, constants)
        if isinstance(declaration, ReferenceTable):
            books.put_in_force(self.connection, declaration.name, report.file_id)
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
