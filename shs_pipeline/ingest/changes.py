"""What changed in the bucket since it was last ingested: a pure comparison of two listings.

A folder's fingerprint hashes the path, size and etag of its files, and the versions of the
reference tables that its source is checked against. The one that was last ingested is in `ops.folders`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from shs_pipeline.base.months import month_after, month_text, months_between, parse_month
from shs_pipeline.landing.listing import Drop, under_unlisted
from shs_pipeline.landing.names import ADJUSTMENTS, INCOMING_NAMES, REFERENCE_NAMES
from shs_pipeline.landing.places import INCOMING, REFERENCE
from shs_pipeline.landing.zone import Place
from shs_pipeline.reference.registry import table_named
from shs_pipeline.sources.registry import incoming_named

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.files.source import Declaration

UNKNOWN_FOLDER = "unknown"
REOPENED = "reopened months"


@dataclass(frozen=True, order=True)
class Folder:
    """What is ingested as one unit: `cygnus/2025-03`, `reference/territories`, or `unknown`."""

    key: str

    @property
    def name(self) -> str | None:
        """Name of the source or reference table."""
        parts = self.key.split("/")
        return None if self.key == UNKNOWN_FOLDER else parts[1] if parts[0] == REFERENCE else parts[0]

    @property
    def month(self) -> date | None:
        """Commission month of a source's partition."""
        return parse_month(self.key.split("/")[1]) if self.is_partition else None

    @property
    def is_reference(self) -> bool:
        """Whether this is a reference table."""
        return self.key.startswith(f"{REFERENCE}/")

    @property
    def is_partition(self) -> bool:
        """Whether this is a source's commission month."""
        return not self.is_reference and self.key != UNKNOWN_FOLDER

    @property
    def prefix(self) -> str:
        """Where in the landing zone its files are; everywhere for unknown places."""
        if self.is_reference:
            return REFERENCE
        return f"{INCOMING}/{self.key}" if self.is_partition else ""

    @cached_property
    def declaration(self) -> Declaration | None:
        """How its files are read; None for unknown places, whose files are not read."""
        if self.name is None:
            return None
        return table_named(self.name) if self.is_reference else incoming_named(self.name)


def partition_folder(source: str, month: date) -> Folder:
    """Return the folder of a source's commission month."""
    return Folder(f"{source}/{month_text(month)}")


def reference_folder(table: str) -> Folder:
    """Return the folder of a reference table."""
    return Folder(f"{REFERENCE}/{table}")


@lru_cache(maxsize=10_000)
def folder_of(place: Place) -> Folder:
    """Return the folder that a file belongs to."""
    if place.kind == "source" and place.name and place.commission_month:
        return partition_folder(place.name, place.commission_month)
    if place.kind == "reference" and place.name:
        return reference_folder(place.name)
    return Folder(UNKNOWN_FOLDER)


def folder_from_key(key: str) -> Folder | None:
    """Return the folder of a key, or None if this version of the system knows no such folder."""
    if key == UNKNOWN_FOLDER:
        return Folder(key)
    first, _, second = key.partition("/")
    is_known = (
        second in REFERENCE_NAMES if first == REFERENCE else first in INCOMING_NAMES and parse_month(second)
    )
    return Folder(key) if is_known else None


def fingerprint_of(folder: Folder, drops: Iterable[Drop], references: Mapping[str, int]) -> str:
    """Return a hash of everything that the folder's lines follow from; empty when it has no file."""
    files = sorted(f"{drop.path}\x1f{drop.size}\x1f{drop.etag}" for drop in drops)
    if not files:
        return ""
    declaration = folder.declaration
    needs = getattr(declaration, "needs", ())
    versions = [f"{table}={references.get(table, 0)}" for table in needs]
    if folder.name == ADJUSTMENTS:
        # What was rejected in a closed month may count once it is opened again.
        versions.append(f"{REOPENED}={references.get(REOPENED, 0)}")
    return sha256("\x1e".join([*files, *versions]).encode()).hexdigest()


@dataclass(frozen=True)
class Books:
    """What the warehouse knows of the folders.

    Attributes:
        fingerprints: what was last ingested, by folder key.
        references: what the folders are checked against, as `checked_against` returns it.
        freed: folders with a file that was rejected as a copy, where the other one, or any file of
            the source that may have had the same lines, is no longer in force.
        written: etag of each file that the system itself wrote, by path.
    """

    fingerprints: Mapping[str, str]
    references: Mapping[str, int]
    freed: frozenset[str] = frozenset()
    written: Mapping[str, str] = field(default_factory=dict)

    def dropped(self, drops: Iterable[Drop]) -> list[Drop]:
        """Return the files that people dropped, without what the system itself wrote."""
        return [drop for drop in drops if self.written.get(drop.path) != drop.etag]


def read_books(connection: psycopg.Connection, only: Collection[str] | None = None) -> Books:
    """Read what the warehouse knows, in a few small queries.

    Args:
        only: keys of the folders whose fingerprints are read, beside those of the freed ones; all by
            default.
    """
    freed = connection.execute(
        "select copy.path from ops.files as copy"
        " inner join ops.files as original on original.file_id = copy.blocked_by"
        " where copy.status = 'rejected' and (original.status <> 'loaded' or exists ("
        "select from ops.files as gone where gone.source = copy.source and gone.change_no > copy.change_no"
        " and gone.status in ('superseded', 'withdrawn') and gone.rows_loaded > 0))"
    )
    from shs_pipeline.landing.zone import place_of

    freed_keys = frozenset(folder_of(place_of(path)).key for (path,) in freed)
    fingerprints = (
        connection.execute("select folder, fingerprint from ops.folders")
        if only is None
        else connection.execute(
            "select folder, fingerprint from ops.folders where folder = any(%s)", [[*only, *freed_keys]]
        )
    )
    written: dict[str, str] = dict(connection.execute("select path, etag from ops.written").fetchall())
    return Books(dict(fingerprints.fetchall()), checked_against(connection), freed_keys, written)


def reference_versions(connection: psycopg.Connection) -> dict[str, int]:
    """Return the file_id of the version in force of each reference table."""
    rows = connection.execute(
        "select table_name, file_id from reference.versions where in_force_until is null"
    )
    return {name: int(file_id) for name, file_id in rows}


def checked_against(connection: psycopg.Connection) -> dict[str, int]:
    """Return `reference_versions`, and how often a month was opened again."""
    rows = connection.execute(
        "select table_name, file_id from reference.versions where in_force_until is null"
        " union all select %s, count(*) from ledger.closes where kind = 'reopened'",
        [REOPENED],
    )
    return {name: int(number) for name, number in rows}


def changed_folders(
    drops: Sequence[Drop], books: Books, only: Collection[str] | None = None
) -> dict[Folder, str]:
    """Return the folders to ingest with their fingerprints now, in the order in which to do it.

    Reference tables come first, since other folders are checked against them; then folders that
    lost files, so that a file that was moved is withdrawn before it is seen again; then by month.

    Args:
        only: keys of the folders that were listed; all by default.
    """
    groups: dict[str, list[Drop]] = {}
    for drop in books.dropped(drops):
        groups.setdefault(folder_of(drop.place).key, []).append(drop)
    gone = [key for key, fingerprint in books.fingerprints.items() if fingerprint and key not in groups]
    unlisted = [drop.path for drop in drops if drop.is_folder]
    changed: dict[Folder, str] = {}
    for key in {*groups, *gone}:
        folder = folder_from_key(key)
        if folder is None or (only is not None and key not in only):
            continue
        if folder.is_partition and under_unlisted(folder.prefix, unlisted):
            continue  # what it holds is not known
        now = fingerprint_of(folder, groups.get(key, ()), books.references)
        if now != books.fingerprints.get(key, "") or key in books.freed:
            changed[folder] = now
    ordered = sorted(changed, key=lambda folder: (*_rank(folder, folder.key in gone), folder.key))
    return {folder: changed[folder] for folder in ordered}


def _rank(folder: Folder, is_gone: bool) -> tuple[int, str]:
    if folder.is_reference:
        return (0, "")
    return (1 if is_gone else 2, month_text(folder.month) if folder.month else "~")


@dataclass(frozen=True)
class PlannedRun:
    """What one run ingests: reference tables, the unknown places, or sources over a range of months."""

    names: tuple[str, ...]
    first: date | None = None
    last: date | None = None

    def folders(self) -> list[Folder]:
        """Return every folder that the run ingests."""
        if self.first is None or self.last is None:
            return [
                Folder(UNKNOWN_FOLDER) if n == UNKNOWN_FOLDER else reference_folder(n) for n in self.names
            ]
        months = months_between(self.first, self.last)
        return [partition_folder(name, month) for name in self.names for month in months]


def plan_runs(folders: Sequence[Folder]) -> list[PlannedRun]:
    """Group changed folders into as few runs as possible.

    Consecutive months of a source are one range, and sources with the same range share a run: a
    first load of everything is one run for the sources, and so is the close of a month. Sources
    that are checked against a reference table that changes now wait for the next look.
    """
    runs = []
    tables = tuple(folder.name for folder in folders if folder.is_reference and folder.name)
    if tables:
        runs.append(PlannedRun(tables))
    months: dict[str, list[date]] = {}
    for folder in folders:
        if not (folder.is_partition and folder.name and folder.month):
            continue
        if not set(tables) & set(incoming_named(folder.name).needs):
            months.setdefault(folder.name, []).append(folder.month)
    ranges: dict[tuple[date, date], list[str]] = {}
    for name, wanted in months.items():
        for span in _spans(sorted(wanted)):
            ranges.setdefault(span, []).append(name)
    runs += [
        PlannedRun(tuple(sorted(names, key=INCOMING_NAMES.index)), *span)
        for span, names in sorted(ranges.items())
    ]
    if any(folder.key == UNKNOWN_FOLDER for folder in folders):
        runs.append(PlannedRun((UNKNOWN_FOLDER,)))
    return runs


def _spans(months: Sequence[date]) -> list[tuple[date, date]]:
    """Return the first and last of each unbroken row of months."""
    spans: list[tuple[date, date]] = []
    for month in months:
        if spans and month_after(spans[-1][1]) == month:
            spans[-1] = (spans[-1][0], month)
        else:
            spans.append((month, month))
    return spans
