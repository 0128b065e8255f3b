"""Ingestion: make the warehouse say what a folder of the bucket holds now.

A folder is a source's partition, a reference table, or all the files in unknown places. Each is
brought up to date in one transaction behind a lock of its own, so that a kill at any instant or a
second run at the same time leaves the state before or the state after, never one in between.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Self, TypeVar

import psycopg

from shs_pipeline import bookkeeping as books
from shs_pipeline.bookkeeping import FileReport, FolderReport, InForce
from shs_pipeline.casting import match_key
from shs_pipeline.changes import UNKNOWN_FOLDER, Folder, fingerprint_of, folder_of, reference_versions
from shs_pipeline.database import connect, is_connection_lost, prepare
from shs_pipeline.errors import ShsError
from shs_pipeline.faults import explained, is_disk_full
from shs_pipeline.landing import Drop, Landing, errors_path
from shs_pipeline.loading import (
    copies_elsewhere,
    copy_lines,
    delete_lines,
    line_keys,
    other_files_in_force,
    sums_of,
)
from shs_pipeline.locks import LOAD, lock_patiently, session_name
from shs_pipeline.reading import Problem, SourceFile
from shs_pipeline.source import Declaration, FileOutcome, ReferenceTable, Source, read_file
from shs_pipeline.warehouse import ensure_tables, has_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shs_pipeline.settings import Settings

_log = logging.getLogger(__name__)
Result = TypeVar("Result")
Known = Mapping[str, frozenset[str]]
# How often a folder is begun when the server goes away or another run is in the way.
_TRIES, _PAUSE_SECONDS = 6, 0.5
# With so few folders loaded, an empty landing zone is taken at its word.
_FOLDERS_AT_RISK = 3


@dataclass
class Ingestion:
    """Where to read from and to load into; as a context it keeps its connection between folders.

    Attributes:
        database_url: the owner's URL of the warehouse.
        wait_seconds: how long to wait for a database that is away.
        run_id: what the books name as the run.
        may_empty: whether an empty landing zone means that everything was deleted.
    """

    landing: Landing
    database_url: str
    max_bytes: int
    wait_seconds: float
    run_id: str
    may_empty: bool = False
    _kept: psycopg.Connection | None = field(default=None, init=False)
    _is_keeping: bool = field(default=False, init=False)

    def __enter__(self) -> Self:
        self._is_keeping = True
        return self

    def __exit__(self, *_: object) -> None:
        self._is_keeping = False
        self._drop_connection()

    @classmethod
    def from_settings(cls, settings: Settings, run_id: str) -> Ingestion:
        """Return what the settings name, with the database started if it is the embedded one.

        Raises:
            ShsError: the database cannot be reached.
        """
        return cls(
            landing=Landing(settings.landing),
            database_url=prepare(settings).warehouse_url.get_secret_value(),
            max_bytes=settings.max_file_mb * 2**20,
            wait_seconds=settings.database_wait_seconds,
            run_id=run_id,
        )

    def __repr__(self) -> str:
        """Leave out the URL, which holds a password."""
        return f"Ingestion({self.landing.url}, run {self.run_id})"

    def folder(self, folder: Folder) -> FolderReport:
        """Bring one folder up to date, waiting for the database where it is away."""
        started = time.monotonic()
        report = self._patiently(lambda connection: _ingest(self, connection, folder))
        return replace(report, seconds=time.monotonic() - started)

    def query(self, work: Callable[[psycopg.Connection], Result]) -> Result:
        """Run something that only reads, on a connection to a warehouse that has its tables."""
        return self._patiently(work)

    def _patiently(self, work: Callable[[psycopg.Connection], Result]) -> Result:
        for left in range(_TRIES - 1, -1, -1):
            try:
                return work(self._connected())
            except psycopg.Error as error:
                if not left or not _is_worth_retrying(error, self.wait_seconds):
                    raise _as_sentence(error) from error
                _log.warning("The database gave up the load (%s); trying again.", type(error).__name__)
                time.sleep(_PAUSE_SECONDS)
            finally:
                if not self._is_keeping or (self._kept is not None and self._kept.closed):
                    self._drop_connection()
        raise AssertionError("the last try returns or raises")

    def _connected(self) -> psycopg.Connection:
        """Return the connection that is open, or a new one to a warehouse that has its tables."""
        if self._kept is None:
            # The whole wait each time: a long load may lose the server after more than that.
            name = session_name("load", self.run_id)
            self._kept = connect(self.database_url, self.wait_seconds, name)
            if not has_tables(self._kept):
                ensure_tables(self._kept)
            self._kept.commit()
        # Also ends what an error left open.
        self._kept.rollback()
        return self._kept

    def _drop_connection(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def _is_worth_retrying(error: psycopg.Error, wait_seconds: float) -> bool:
    if isinstance(error, psycopg.errors.UniqueViolation):
        # Two runs that loaded the same bytes at once: the second one finds the first when it looks again.
        return error.diag.table_name == "files"
    if isinstance(error, psycopg.errors.DeadlockDetected):
        return True
    return wait_seconds > 0 and is_connection_lost(error)


def _as_sentence(error: psycopg.Error) -> ShsError:
    if is_disk_full(error) and (known := explained(error)):
        return known
    said = str(error).strip().splitlines() or [repr(error)]
    return ShsError(
        f"The database refused the load: {said[0]}",
        "Check the server with `shs doctor`; nothing was loaded, and the next run does it again.",
    )


@contextmanager
def _one_at_a_time(connection: psycopg.Connection, folder: Folder) -> Iterator[None]:
    """Hold the folder's lock: a second run of it waits, then finds the work done."""
    connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [f"shs/folder/{folder.key}"])
    connection.commit()
    try:
        yield
    finally:
        if not connection.closed:
            connection.rollback()
            connection.execute(
                "select pg_advisory_unlock(hashtextextended(%s, 0))", [f"shs/folder/{folder.key}"]
            )
            connection.commit()


@dataclass
class _Read:
    """A drop that was read: what it holds, before it is known whether it may be loaded."""

    drop: Drop
    content: bytes
    sha256: str
    outcome: FileOutcome
    keys: list[int] = field(default_factory=list)
    error_workbook: bytes | None = None


@contextmanager
def _collecting_no_garbage() -> Iterator[None]:
    """Pause the search for reference cycles, which takes a seventh of the time of a large load."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _ingest(job: Ingestion, connection: psycopg.Connection, folder: Folder) -> FolderReport:
    with _one_at_a_time(connection, folder), _collecting_no_garbage():
        # The listing comes after the lock, so that the last run to finish saw the latest state.
        drops = [drop for drop in job.landing.drops(folder.prefix) if folder_of(drop.place) == folder]
        references = reference_versions(connection)
        known = known_values(connection, folder.declaration)
        if not drops:
            _check_is_not_lost(job, connection)
        connection.commit()
        reads = [read for drop in drops if (read := _read(job, folder, drop, known))]
        with connection.transaction():
            _lock_for_load(connection, folder, reads)
            before = books.in_force(connection, folder)
            files = _settle(job, connection, folder, reads, before)
            report = FolderReport(folder=folder, files=tuple(files), before=tuple(before))
            # The etags are those of the listing: what changed since then is read by the next run.
            seen = [read.drop for read in reads]
            books.note_folder(connection, report, fingerprint_of(folder, seen, references), job.run_id)
        return report


def _check_is_not_lost(job: Ingestion, connection: psycopg.Connection) -> None:
    """Stop where an empty folder more likely means that the landing zone itself is gone.

    Raises:
        ShsError: nothing at all lies there, but much was loaded from it.
    """
    row = connection.execute("select count(*) from ops.folders where fingerprint <> ''").fetchone()
    count = int(row[0]) if row else 0
    if count > _FOLDERS_AT_RISK and not job.may_empty and not job.landing.holds_anything():
        raise ShsError(
            f"The landing zone {job.landing.url} is empty, but {count} folders were loaded from it.",
            "Check that the share is mounted and that SHS_LANDING names the right bucket and prefix; if "
            "everything was meant to be deleted, say so with `shs run --all`.",
        )


def known_values(connection: psycopg.Connection, declaration: Declaration | None) -> Known:
    """Return the reference values that the files of a declaration are checked against, for comparing."""
    needs = declaration.needs if isinstance(declaration, Source) else ()
    known = {}
    for table in needs:
        if table == "service_to_product":
            rows = connection.execute(
                "select service_lines from reference.service_to_product"
                " inner join reference.versions using (file_id) where in_force_until is null"
            )
            known[table] = frozenset(match_key(name) for (name,) in rows)
    return known


def _read(job: Ingestion, folder: Folder, drop: Drop, known: Known) -> _Read | None:
    """Read one drop; None when it is gone since the listing."""
    if drop.size > job.max_bytes:
        # Not fetched: its size alone rejects it.
        content, digest = b"", ""
        size, limit = drop.size / 2**20, job.max_bytes / 2**20
        outcome = FileOutcome.rejected(
            Problem(
                problem=f"{drop.path} has {size:.1f} MB, more than the limit of {limit:.0f} MB.",
                remedy="Split it into several files, or have SHS_MAX_FILE_MB raised.",
            )
        )
        return _Read(drop, content, digest, outcome)
    found = job.landing.read(drop.path)
    if found is None:
        return None
    digest = sha256(found).hexdigest()
    if folder.declaration is None:
        place = drop.place
        return _Read(drop, found, digest, FileOutcome.rejected(Problem(place.problem, place.remedy)))
    file = SourceFile(PurePosixPath(drop.path).name, found, drop.place.revenue_month, known)
    outcome = read_file(folder.declaration, file, job.max_bytes)
    read = _Read(drop, found, digest, outcome)
    if outcome.lines is None:
        # Before the locks: marking a large workbook takes a while.
        read.error_workbook = _error_workbook(folder, read)
    elif isinstance(folder.declaration, Source):
        read.keys = line_keys(folder.declaration, outcome.lines)
    return read


def _error_workbook(folder: Folder, read: _Read) -> bytes:
    from shs_pipeline.contract import columns_of
    from shs_pipeline.error_workbook import write_error_workbook

    columns = columns_of(folder.declaration.rows) if folder.declaration else ()
    return write_error_workbook(
        PurePosixPath(read.drop.path).name,
        read.content,
        read.outcome.problems,
        columns=[column.header for column in columns],
    )


def _lock_for_load(connection: psycopg.Connection, folder: Folder, reads: Sequence[_Read]) -> None:
    """Let no other load of this source, or of these bytes, go on until this one is committed.

    A copy in another folder can then be seen: without it, two runs at once would load both.
    """
    name = folder.declaration.name if folder.declaration else UNKNOWN_FOLDER
    locks = [f"shs/load/{name}", *sorted(f"shs/bytes/{read.sha256}" for read in reads if read.sha256)]
    connection.execute(
        "select pg_advisory_xact_lock(hashtextextended(name, 0))"
        " from unnest(%s::text[]) with ordinality as lock (name, place) order by place",
        [locks],
    )
    # A build shows one state of the books: it is let finish, and said to be waited for.
    lock_patiently(connection, LOAD)


def _settle(
    job: Ingestion,
    connection: psycopg.Connection,
    folder: Folder,
    reads: Sequence[_Read],
    before: list[InForce],
) -> list[FileReport]:
    """Withdraw what is gone, then load or reject each file that is there.

    Args:
        before: what is in force; loses what has to give way to a file that changed places.
    """
    for path in books.withdraw(connection, folder, [read.drop.path for read in reads], job.run_id):
        job.landing.delete(errors_path(path))
    # A file that is in force already comes first: a newcomer is the copy, whatever its name.
    in_force = {known.path: known.sha256 for known in before}
    ordered = sorted(reads, key=lambda read: (in_force.get(read.drop.path) != read.sha256, read.drop.path))
    reports = []
    for read in ordered:
        judged, blocked_by = _look_for_copies(connection, folder, read)
        if judged.lines is None:
            if blocked_by is not None:
                _give_way(job, connection, folder, read.drop.path, blocked_by, before)
            reports.append(_reject(job, connection, folder, replace(read, outcome=judged), blocked_by))
        else:
            reports.append(_load(job, connection, folder, replace(read, outcome=judged)))
    return sorted(reports, key=lambda report: report.path)


def _look_for_copies(
    connection: psycopg.Connection, folder: Folder, read: _Read
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
    connection: psycopg.Connection, source: Source, read: _Read, own: InForce | None
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


def _give_way(
    job: Ingestion,
    connection: psycopg.Connection,
    folder: Folder,
    path: str,
    twin: int,
    before: list[InForce],
) -> None:
    """Take the old version of a path out of force where the file in its way waits for just that."""
    own = next((old for old in before if old.path == path), None)
    is_source = isinstance(folder.declaration, Source)
    if own is None or not is_source or not books.is_waited_for(connection, own.file_id, twin):
        return
    books.take_out_of_force(connection, folder, own.file_id, "superseded", job.run_id)
    before.remove(own)


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


def _reject(
    job: Ingestion, connection: psycopg.Connection, folder: Folder, read: _Read, blocked_by: int | None
) -> FileReport:
    """Book the rejection; the version of the file that loaded before stays in force."""
    # Before the commit: if the run is killed between the two, the next one does both again.
    job.landing.write(errors_path(read.drop.path), read.error_workbook or _error_workbook(folder, read))
    return books.book_rejection(connection, _entry(job, folder, read), blocked_by)


def _entry(job: Ingestion, folder: Folder, read: _Read) -> books.Entry:
    return books.Entry(
        folder=folder,
        drop=read.drop,
        uri=job.landing.uri(read.drop.path),
        errors_uri=job.landing.uri(errors_path(read.drop.path)),
        sha256=read.sha256,
        outcome=read.outcome,
        run_id=job.run_id,
    )


def _load(job: Ingestion, connection: psycopg.Connection, folder: Folder, read: _Read) -> FileReport:
    """Put the lines of a file in the place of those that its path had before."""
    declaration, lines = folder.declaration, read.outcome.lines
    assert declaration is not None
    assert lines is not None
    is_source = isinstance(declaration, Source)
    schema = "raw" if is_source else "reference"
    sums = sums_of(declaration, lines) if isinstance(declaration, Source) else {}
    own = books.file_in_force(connection, read.drop.path)
    report = books.book_load(connection, _entry(job, folder, read), sums, own)
    if own is not None and (is_source or own.file_id == report.file_id):
        delete_lines(connection, schema, declaration, own.file_id)
    constants: dict[str, Any] = {"file_id": report.file_id}
    if is_source:
        constants["commission_month"] = folder.month
        lines = lines.assign(line_key=read.keys)
    copy_lines(connection, schema, declaration, lines, constants)
    if isinstance(declaration, ReferenceTable):
        books.put_in_force(connection, declaration.name, report.file_id)
    job.landing.delete(errors_path(read.drop.path))
    return report
