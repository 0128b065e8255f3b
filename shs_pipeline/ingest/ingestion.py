"""Ingestion: bring the warehouse in line with what a folder of the bucket contains now.

A folder is a source's partition, a reference table, or all the files in unknown places. Each is brought up to
date in one transaction behind its own lock, so that neither a kill at any instant nor a second run at the
same time can leave anything but the state before or the state after.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self, TypeVar

import psycopg

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.connection import connect, is_connection_lost
from shs_pipeline.database.databases import prepare
from shs_pipeline.database.faults import explained, is_disk_full, older_tables
from shs_pipeline.database.locks import LOAD, advisory_lock, advisory_xact_lock, lock_patiently, session_name
from shs_pipeline.file_reader.process import Limits
from shs_pipeline.file_reader.reader import BrokenOffError, FileReader
from shs_pipeline.ingest import bookkeeping as books
from shs_pipeline.ingest import holding
from shs_pipeline.ingest.changes import UNKNOWN_FOLDER, Folder, checked_against, fingerprint_of
from shs_pipeline.ingest.current_copies import without_copies
from shs_pipeline.ingest.drop_reading import DropReader, Fetched, ReadDrop, of_folder
from shs_pipeline.ingest.folder_report import FolderReport
from shs_pipeline.ingest.known_values import known_values
from shs_pipeline.ingest.settling import Settling
from shs_pipeline.ingest.warehouse import ensure_tables, has_tables
from shs_pipeline.landing.listing import Drop, under_unlisted
from shs_pipeline.landing.names import ADJUSTMENTS
from shs_pipeline.landing.zone import Landing, LandingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from shs_pipeline.ingest.holding import Doubt
    from shs_pipeline.settings.settings import Settings

_log = logging.getLogger(__name__)
Upcoming = tuple[Folder, "Sequence[Drop]"]
"""A folder that comes next, and the drops in it."""
Result = TypeVar("Result")
# How often a folder is begun when the server goes away or another run is in the way.
_TRIES, _PAUSE_SECONDS = 6, 0.5


@dataclass
class Ingestion:
    """Where to read from and to load into; as a context it keeps connection and reading process.

    Attributes:
        database_url: the owner's URL of the warehouse.
        wait_seconds: how long to wait for a database that is away.
        run_id: what the books name as the run.
        may_withdraw: whether a mass withdrawal was confirmed.
        limits: what reading one file may take.
        files: the process that reads files; without one, this starts its own and ends it.
        doubt: the mass withdrawal that this run met and held.
        is_lazy: whether lines are loaded while the process that reads them still makes the rest.
        failures: folders whose files could not be listed or fetched, with the reason.
        fetched: a file that was fetched ahead of its folder's turn.
    """

    landing: Landing
    database_url: str
    max_bytes: int
    wait_seconds: float
    run_id: str
    may_withdraw: bool = False
    limits: Limits = field(default_factory=Limits)
    files: FileReader = field(default=None, repr=False)  # type: ignore[assignment]
    doubt: Doubt | None = field(default=None, init=False)
    failures: dict[Folder, LandingError] = field(default_factory=dict, init=False)
    fetched: Fetched | None = field(default=None, init=False, repr=False)
    is_lazy: bool = field(default=True, init=False)
    _kept: psycopg.Connection | None = field(default=None, init=False)
    _depth: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._owns_files = self.files is None
        if self._owns_files:
            self.files = FileReader(self.limits)

    def __enter__(self) -> Self:
        """Keep one session, and the process that reads files, for all that is done in here."""
        self._depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        self._end_unless_kept()

    def _end_unless_kept(self) -> None:
        if not self._depth:
            self._drop_connection()
            if self._owns_files:
                self.files.close()

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
            limits=Limits(settings.read_seconds, settings.read_memory_mb),
        )

    def __repr__(self) -> str:
        """Leave out the URL, which holds a password."""
        return f"Ingestion({self.landing.url}, run {self.run_id})"

    def folder(self, folder: Folder, upcoming: Upcoming | None = None) -> FolderReport:
        """Bring one folder up to date, waiting for the database where it is away.

        Args:
            upcoming: the folder after it, with its drops: the first of them is read while the lines of
                this one are loaded.
        """
        started = time.monotonic()
        self.is_lazy = True
        try:
            report = self._patiently(lambda connection: _ingest(self, connection, folder, upcoming))
        finally:
            self._end_unless_kept()
        return replace(report, seconds=time.monotonic() - started)

    def look_for_doubt(
        self, connection: psycopg.Connection, drops: Sequence[Drop], changed: Iterable[Folder]
    ) -> Doubt | None:
        """Return why what is gone may not be withdrawn now, and note it in the books.

        Args:
            drops: everything that lies in the landing zone.
            changed: the folders that differ from the books.
        """
        doubt = None
        if not self.may_withdraw and holding.gone_from(connection, changed, drops):
            doubt = holding.doubt_of(connection, drops, self.run_id, self.landing.url)
        holding.note(connection, doubt)
        connection.commit()
        self.doubt = doubt or self.doubt
        return doubt

    def query(self, work: Callable[[psycopg.Connection], Result]) -> Result:
        """Ask something on a connection to a warehouse that has its tables; what it writes, it commits."""

        def asked(connection: psycopg.Connection) -> Result:
            found = work(connection)
            connection.rollback()  # a kept session holds nothing up until it is asked again
            return found

        return self._patiently(asked)

    def _patiently(self, work: Callable[[psycopg.Connection], Result]) -> Result:
        for left in range(_TRIES - 1, -1, -1):
            try:
                return work(self._connected())
            except BrokenOffError:
                # Nothing of it was loaded. Read to its end first, the file is rejected if it happens again.
                if not left:
                    raise
                self.is_lazy = False
            except psycopg.Error as error:
                if not left or not _is_worth_retrying(error, self.wait_seconds):
                    raise _as_sentence(error) from error
                _log.warning("The database aborted the load (%s); trying again.", type(error).__name__)
                time.sleep(_PAUSE_SECONDS)
            finally:
                if not self._depth or (self._kept is not None and self._kept.closed):
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
    # The books are brought to today's tables with the connection; the marts only by the next build.
    if older := older_tables(error):
        return older
    said = str(error).strip().splitlines() or [repr(error)]
    return ShsError(
        f"The database refused the load: {said[0]}",
        "Nothing was loaded. Check the server with `shs doctor`; the next run tries again.",
    )


@contextmanager
def _one_at_a_time(connection: psycopg.Connection, folder: Folder) -> Iterator[None]:
    """Hold the folder's lock: a second run of it waits, then finds the work done."""
    name = f"shs/folder/{folder.key}"
    lock_patiently(connection, advisory_lock(f"the folder {folder.key}", name))
    connection.commit()
    try:
        yield
    finally:
        if not connection.closed:
            connection.rollback()
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [name])
            connection.commit()


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


def _ingest(
    job: Ingestion, connection: psycopg.Connection, folder: Folder, upcoming: Upcoming | None
) -> FolderReport:
    with _one_at_a_time(connection, folder), _collecting_no_garbage():
        # The listing comes after the lock, so that the last run to finish saw the latest state.
        listed = job.landing.drops(folder.prefix)
        _check_can_be_listed(folder, listed)
        references = checked_against(connection)
        known = known_values(connection, folder.declaration)
        gone = holding.gone_from(connection, [folder], listed)
        held = gone if _is_held(job, connection, folder, gone) else frozenset()
        drops = without_copies(job.landing, connection, of_folder(listed, folder))
        connection.commit()
        reader = DropReader(
            job.landing, job.files, folder, job.max_bytes, known, job.fetched, is_lazy=job.is_lazy
        )
        reads, under_way = reader.read_all(drops)
        job.fetched = _begin(job, connection, *upcoming) if upcoming else None
        with connection.transaction():
            _lock_for_load(connection, folder, reads)
            if folder.name == ADJUSTMENTS and (now := known_values(connection, folder.declaration)) != known:
                # A build has closed a month since.
                reads = reader.judged_again(reads, now)
            before = books.in_force(connection, folder)
            stays = held | {drop.path for drop in under_way} | _unlisted(connection, folder, listed)
            settling = Settling(connection, job.landing, folder, reader, job.run_id)
            files = settling.settle(reads, before, stays)
            report = FolderReport(
                folder, tuple(files), tuple(before), stays=frozenset(stays), is_held=bool(held)
            )
            # The etags are those of the listing: what changed since then is read by the next run.
            seen = fingerprint_of(folder, [read.drop for read in reads], references)
            # What is held stays due: its fingerprint is that of no folder.
            books.note_folder(connection, report, holding.held(seen) if held else seen, job.run_id)
        return report


def _begin(
    job: Ingestion, connection: psycopg.Connection, folder: Folder, drops: Sequence[Drop]
) -> Fetched | None:
    """Have the first file of a folder read while another folder is loaded; return what was fetched."""
    known = known_values(connection, folder.declaration)
    connection.commit()
    return DropReader(job.landing, job.files, folder, job.max_bytes, known).begin(drops)


def _check_can_be_listed(folder: Folder, listed: Sequence[Drop]) -> None:
    """Stop where it is not known what the folder holds.

    Raises:
        LandingError: says why it cannot be listed.
    """
    for drop in listed:
        if drop.is_folder and folder.is_partition and under_unlisted(folder.prefix, [drop.path]):
            raise LandingError(drop.problem, drop.remedy)


def _is_held(job: Ingestion, connection: psycopg.Connection, folder: Folder, gone: frozenset[str]) -> bool:
    """Whether files that are gone stay in force, since too much is gone at once."""
    if not gone:
        return False
    if job.doubt is None or not gone <= job.doubt.paths:
        job.look_for_doubt(connection, job.landing.drops(), [folder])
    return job.doubt is not None


def _unlisted(connection: psycopg.Connection, folder: Folder, listed: Sequence[Drop]) -> set[str]:
    """Return the paths in the books that lie in folders which cannot be listed."""
    folders = [drop.path for drop in listed if drop.is_folder]
    if not folders:
        return set()
    return {path for path in books.paths_lying(connection, folder) if under_unlisted(path, folders)}


def _lock_for_load(connection: psycopg.Connection, folder: Folder, reads: Sequence[ReadDrop]) -> None:
    """Let no other load of this source, or of these bytes, go on until this one is committed.

    A copy in another folder can then be seen: without it, two runs at once would load both.
    """
    name = folder.declaration.name if folder.declaration else UNKNOWN_FOLDER
    locks = [f"shs/load/{name}", *sorted(f"shs/bytes/{read.sha256}" for read in reads if read.sha256)]
    lock_patiently(connection, advisory_xact_lock(f"another load of {name}", locks))
    # A build shows one state of the books: it is let finish, and said to be waited for.
    lock_patiently(connection, LOAD)
