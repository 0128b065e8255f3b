"""What the sensor sees of the bucket: all of it, or the folders that were reported as changed."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from sensors.memory import Memory
from shs_pipeline.base.errors import ShsError
from shs_pipeline.ingest.actors import note_arrivals
from shs_pipeline.ingest.changes import (
    UNKNOWN_FOLDER,
    Books,
    Folder,
    changed_folders,
    folder_from_key,
    folder_of,
    read_books,
)
from shs_pipeline.ingest.drop_reading import QUIET_SECONDS
from shs_pipeline.ingest.holding import Doubt, gone_from, held
from shs_pipeline.ingest.ingestion import Ingestion
from shs_pipeline.landing.arrivals import ArrivalsQueue
from shs_pipeline.landing.listing import Drop
from shs_pipeline.landing.zone import Landing, place_of

# Listing a large bucket takes seconds and money: it gets a twentieth of the time, never more.
_SHARE_OF_TIME = 20
_QUIET_SECONDS = QUIET_SECONDS
# As many requests as fit into a look with ease; the other folders wait for the next.
_MOST_FOLDERS = 200


@dataclass(frozen=True)
class Sight:
    """What one look saw.

    Attributes:
        drops: the files that were listed.
        books: what the warehouse knows of their folders.
        looked_at: keys of the folders that were listed; None for all.
        still_written: keys of the folders with a file that was written to a moment ago.
        doubt: why nothing may be withdrawn now; None where there is no doubt.
    """

    drops: list[Drop]
    books: Books
    looked_at: frozenset[str] | None = None
    still_written: frozenset[str] = frozenset()
    doubt: Doubt | None = None

    @cached_property
    def changed(self) -> dict[Folder, str]:
        """Folders to ingest with their fingerprints, in the order in which to do it."""
        return changed_folders(self.drops, self.books, self.looked_at)

    @property
    def held(self) -> set[str]:
        """Keys of the folders that changed by nothing but what may not be withdrawn."""
        if self.doubt is None:
            return set()
        there = {folder_of(drop.place) for drop in self.drops}
        without = {folder_of(place_of(path)) for path in self.doubt.paths} - there
        known = self.books.fingerprints
        as_held = {f for f, state in self.changed.items() if known.get(f.key) == held(state)}
        return {folder.key for folder in without | as_held}

    @property
    def changed_keys(self) -> set[str]:
        """Keys of the folders to ingest."""
        return {folder.key for folder in self.changed}

    def unseen(self, keys: Iterable[str]) -> set[str]:
        """Return the keys of the folders that were not looked at."""
        return set() if self.looked_at is None else set(keys) - self.looked_at


def hear(queue: ArrivalsQueue, job: Ingestion, memory: Memory, now: float) -> str:
    """Remember the folders in which the queue says that something arrived, and in the books who brought it.

    The messages of the look before are taken off the queue, since the memory that came back names
    their folders. Returns why the queue cannot be heard, empty where it can.
    """
    try:
        queue.acknowledge(memory.batch)
        arrivals = queue.receive()
        job.query(lambda connection: note_arrivals(connection, arrivals.actors))
    except ShsError as error:
        return str(error)
    memory.batch = arrivals.batch
    memory.name({folder_of(place_of(path)).key for path in arrivals.paths}, now)
    return ""


def see_all(job: Ingestion, memory: Memory, now: float, at_latest: float = 0.0) -> Sight:
    """List the whole bucket.

    Args:
        at_latest: seconds after which it must be listed again, where a queue reports arrivals.

    Raises:
        ShsError: the bucket or the database cannot be reached.
    """
    books = job.query(read_books)
    started = time.monotonic()
    drops = job.landing.drops()
    memory.listed(books.references, now, (time.monotonic() - started) * _SHARE_OF_TIME, at_latest)
    sight = Sight(drops, books, still_written=_still_written(job.landing, drops))
    if sight.still_written & sight.changed_keys:
        # Shorter than to come again: Dagster's daemon takes five seconds from look to look.
        time.sleep(_QUIET_SECONDS)
        drops = job.landing.drops()
        sight = Sight(drops, books, still_written=_still_written(job.landing, drops))
    return _with_doubt(job, sight)


def see_named(job: Ingestion, memory: Memory, now: float, at_latest: float) -> Sight:
    """List only the folders that arrivals named, or all where that does not do.

    That is when it is time for it, when a file is in an unknown place, and when another version of a
    reference table came into force, against which the files of many folders may be checked.

    Args:
        at_latest: seconds from one listing of the whole bucket to the next.

    Raises:
        ShsError: the bucket or the database cannot be reached.
    """
    named = [key for key in memory.dirty if _may_be_listed(key)][:_MOST_FOLDERS]
    books = job.query(lambda connection: read_books(connection, named))
    is_wanted = UNKNOWN_FOLDER in memory.dirty or books.references != memory.references
    if now >= memory.whole_at or (is_wanted and now >= memory.not_before):
        return see_all(job, memory, now, at_latest)
    # Freed by what happened in another folder, of which alone there was a message.
    keys = frozenset({*named, *filter(_may_be_listed, books.freed)})
    drops = job.landing.drops_below({Folder(key).prefix for key in keys})
    return _with_doubt(job, Sight(drops, books, keys))


def _with_doubt(job: Ingestion, sight: Sight) -> Sight:
    """Look whether much is gone at once, for which the whole bucket is listed."""
    changed = list(sight.changed)
    is_whole = sight.looked_at is None
    if not is_whole and not job.query(lambda connection: gone_from(connection, changed, sight.drops)):
        return sight
    drops = sight.drops if is_whole else job.landing.drops()
    doubt = job.query(lambda connection: job.look_for_doubt(connection, drops, changed))
    return replace(sight, doubt=doubt)


def _still_written(landing: Landing, drops: Iterable[Drop]) -> frozenset[str]:
    """Return the folders with a file that was written to a moment ago; S3 shows only whole files."""
    if not landing.is_folder:
        return frozenset()
    now = time.time()
    return frozenset(
        folder_of(drop.place).key for drop in drops if 0 <= now - drop.modified.timestamp() < _QUIET_SECONDS
    )


def _may_be_listed(key: str) -> bool:
    """Whether a folder's files can be listed separately."""
    return key != UNKNOWN_FOLDER and folder_from_key(key) is not None
