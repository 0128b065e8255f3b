"""Read the files of a folder, before it is known whether they may be loaded."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from shs_pipeline.files.reading import Problem, SourceFile
from shs_pipeline.files.source import FileOutcome
from shs_pipeline.ingest.changes import folder_of
from shs_pipeline.ingest.known_values import Known
from shs_pipeline.landing.listing import Drop
from shs_pipeline.landing.zone import LandingError

if TYPE_CHECKING:
    from shs_pipeline.file_reader.reader import FileReader
    from shs_pipeline.ingest.changes import Folder
    from shs_pipeline.landing.zone import Landing

_log = logging.getLogger(__name__)

QUIET_SECONDS = 2.0
"""A file in a folder appears while it is still being copied; it counts when it has been quiet so long."""
_MOST_WAITS = 5

Fetched = tuple[Drop, bytes]


@dataclass
class ReadDrop:
    """A drop that was read, before it is known whether it may be loaded."""

    drop: Drop
    content: bytes
    sha256: str
    outcome: FileOutcome
    error_workbook: bytes | None = None


@dataclass
class DropReader:
    """Reads the drops of one folder.

    Args:
        files: the process that looks into them.
        max_bytes: size limit of a file.
        known: reference values that they are checked against.
        fetched: one of them that was fetched before.
        is_lazy: whether the lines of the last one may come while they are loaded.
    """

    landing: Landing
    files: FileReader
    folder: Folder
    max_bytes: int
    known: Known
    fetched: Fetched | None = None
    is_lazy: bool = False

    def begin(self, drops: Sequence[Drop]) -> Fetched | None:
        """Have the first of the drops read while the caller does something else; return what was fetched.

        Nothing is concluded from that: `read_all` of a later reader looks again what is there, and has
        it read then unless it is the very same bytes.
        """
        first = next((drop for drop in drops if not drop.problem and drop.size <= self.max_bytes), None)
        if first is None or self.folder.declaration is None:
            return None
        with suppress(LandingError):
            content = self.landing.read(first.key or first.path)
            if content is not None:
                self.files.begin(
                    self.folder.declaration.name, _file(first, content, self.known), self.max_bytes
                )

                return first, content
        return None

    def _content(self, drop: Drop) -> bytes | None:
        # In a folder, a file may be written to without a trace in its etag.
        if self.fetched is not None and not self.landing.is_folder:
            before, content = self.fetched
            if (before.key, before.path, before.etag) == (drop.key, drop.path, drop.etag):
                return content
        return self.landing.read(drop.key or drop.path)

    def read_all(self, drops: Sequence[Drop]) -> tuple[list[ReadDrop], list[Drop]]:
        """Read the drops; return those that were, and those that are still being written.

        What is gone since the listing is in neither. A file that is whole is taken at once; one that cannot
        be loaded, and was written to a moment ago, may just not be whole yet.
        """
        reads = [read for drop in drops if (read := self._read(drop))]
        unsure = [read.drop.path for read in reads if self._may_be_under_way(read)]
        for _ in range(_MOST_WAITS if unsure else 0):
            time.sleep(QUIET_SECONDS)
            now = {drop.path: drop for drop in self.landing.drops(self.folder.prefix)}
            again = [now[path] for path in unsure if path in now]
            fresh = [read for drop in again if (read := self._read(drop))]
            reads = [read for read in reads if read.drop.path not in unsure] + fresh
            unsure = [read.drop.path for read in fresh if self._may_be_under_way(read)]
            if not unsure:
                break
        for path in unsure:
            _log.warning("%s is still being written; the next run will read it.", path)
        return (
            [read for read in reads if read.drop.path not in unsure],
            [read.drop for read in reads if read.drop.path in unsure],
        )

    def judged_again(self, reads: Sequence[ReadDrop], known: Known) -> list[ReadDrop]:
        """Return the drops, those that were read checked against other values."""
        self.known = known
        return [self._judged(read.drop, read.content) if read.content else read for read in reads]

    def _may_be_under_way(self, read: ReadDrop) -> bool:
        is_fresh = 0 <= time.time() - read.drop.modified.timestamp() < QUIET_SECONDS
        return self.landing.is_folder and is_fresh and read.outcome.lines is None

    def _read(self, drop: Drop) -> ReadDrop | None:
        if drop.problem:
            return ReadDrop(drop, b"", "", _rejected(drop.problem, drop.remedy))
        if drop.size > self.max_bytes:
            # Not fetched: its size alone rejects it.
            size, limit = drop.size / 2**20, self.max_bytes / 2**20
            problem = f"{drop.path} has {size:.1f} MB, more than the limit of {limit:.0f} MB."
            again = f" and run shs run --all --source {self.folder.name}" if self.folder.name else ""
            remedy = f"Split it into several files, or have SHS_MAX_FILE_MB raised{again}."
            return ReadDrop(drop, b"", "", _rejected(problem, remedy))
        content = self._content(drop)
        if content is None:
            return None if self._is_gone(drop) else ReadDrop(drop, b"", "", _cannot_be_fetched(drop))
        return self._judged(drop, content)

    def _is_gone(self, drop: Drop) -> bool:
        listed = self.landing.drops(self.folder.prefix)
        return (drop.path, drop.etag) not in {(found.path, found.etag) for found in listed}

    def _judged(self, drop: Drop, content: bytes) -> ReadDrop:
        digest = sha256(content).hexdigest()
        declaration, place = self.folder.declaration, drop.place
        if declaration is None:
            return ReadDrop(drop, content, digest, _rejected(place.problem, place.remedy))
        file = _file(drop, content, self.known)
        outcome = self.files.read(declaration.name, file, self.max_bytes, is_lazy=self.is_lazy)
        read = ReadDrop(drop, content, digest, outcome)
        if read.outcome.lines is None:
            # Before the locks: marking a large workbook takes a while.
            read.error_workbook = self.error_workbook(read)
        return read

    def error_workbook(self, read: ReadDrop) -> bytes:
        """Return the workbook that shows what is wrong with a file."""
        from shs_pipeline.files.contract import columns_of

        declaration = self.folder.declaration
        columns = [column.header for column in columns_of(declaration.rows)] if declaration else []
        name = PurePosixPath(read.drop.path).name
        return self.files.error_workbook(name, read.content, read.outcome.problems, columns)


def _file(drop: Drop, content: bytes, known: Known) -> SourceFile:
    place = drop.place
    return SourceFile(
        name=PurePosixPath(drop.path).name,
        content=content,
        revenue_month=place.revenue_month,
        known=known,
        commission_month=place.commission_month,
        is_early_ok=place.is_early_ok,
    )


def of_folder(drops: Sequence[Drop], folder: Folder) -> list[Drop]:
    """Return the drops that belong to a folder."""
    return [drop for drop in drops if folder_of(drop.place) == folder]


def _rejected(problem: str, remedy: str) -> FileOutcome:
    return FileOutcome.rejected(Problem(problem, remedy))


def _cannot_be_fetched(drop: Drop) -> FileOutcome:
    return _rejected(
        f"{drop.path} is listed, but the landing zone does not return it under this name.",
        "Rename it, or upload it again.",
    )
