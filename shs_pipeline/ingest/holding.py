"""Hold mass withdrawals: a network share that is only partly there looks as if its files were deleted.

A run withdraws the lines of files that are no longer there. If that is a lot, nothing is withdrawn until
somebody confirms it or the files are back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import month_text
from shs_pipeline.base.wording import count_of, form_for
from shs_pipeline.landing.listing import Drop, under_unlisted

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.ingest.changes import Folder

SHARE = 10
"""More than one line in so many is held."""
SMALL = 3
"""With at most so many files loaded, only the last file of a source is."""
_NAMED = 5


@dataclass(frozen=True)
class Loaded:
    """A loaded file of a source."""

    path: str
    source: str
    month: date
    lines: int
    size: int


@dataclass(frozen=True)
class Doubt:
    """A withdrawal that is held.

    Attributes:
        paths: the loaded files that are not there.
    """

    problem: str
    remedy: str
    paths: frozenset[str]

    @property
    def error(self) -> ShsError:
        """The same as what a command or a run fails with."""
        return ShsError(self.problem, self.remedy)


def held(fingerprint: str) -> str:
    """Return the fingerprint of a folder from which something is held; it is that of no folder."""
    return f"held {fingerprint}"


def gone_from(
    connection: psycopg.Connection, folders: Iterable[Folder], drops: Sequence[Drop]
) -> frozenset[str]:
    """Return the loaded files of some partitions that are not among the drops."""
    partitions = [folder for folder in folders if folder.is_partition]
    if not partitions:
        return frozenset()
    rows = connection.execute(
        "select path from ops.files where status = 'loaded' and (source, commission_month) in"
        " (select * from unnest(%s::text[], %s::date[]))",
        [[folder.name for folder in partitions], [folder.month for folder in partitions]],
    )
    listed = {drop.path for drop in drops}
    unlisted = [drop.path for drop in drops if drop.is_folder]
    return frozenset(path for (path,) in rows if path not in listed and not under_unlisted(path, unlisted))


def doubt_of(connection: psycopg.Connection, drops: Sequence[Drop], run_id: str, where: str) -> Doubt | None:
    """Return why nothing may be withdrawn now; None if the missing files may have been deleted.

    Args:
        drops: everything that lies in the landing zone.
        run_id: the run that would withdraw it; what it has withdrawn already counts.
        where: the landing zone's address.
    """
    loaded = [
        Loaded(*row)
        for row in connection.execute(
            "select path, source, commission_month, rows_loaded, bytes from ops.files"
            " where status = 'loaded' and commission_month is not null"
        )
    ]
    row = connection.execute(
        "select coalesce(sum(rows_loaded), 0)::bigint from ops.files"
        " where status = 'withdrawn' and run_id = %s and commission_month is not null",
        [run_id],
    ).fetchone()
    before = int(row[0]) if row else 0
    lying: dict[str, str] = dict(
        # A copy is rejected for the sake of the file before it: once that is gone, it takes its place.
        connection.execute(
            "select path, etag from ops.files where status = 'rejected' and blocked_by is null"
        ).fetchall()
    )
    new = [drop for drop in drops if lying.get(drop.path) != drop.etag]
    lost = _lost(loaded, drops, new)
    lines, total = sum(file.lines for file in lost) + before, sum(file.lines for file in loaded) + before
    wiped = sorted({file.source for file in lost} - {file.source for file in loaded if file not in lost})
    is_much = lines * SHARE > total and len(loaded) > SMALL
    if not lost or not (is_much or wiped):
        return None
    return Doubt(*_said(lost, lines, total, wiped, where), frozenset(file.path for file in lost))


def _lost(loaded: Sequence[Loaded], drops: Sequence[Drop], new: Iterable[Drop]) -> set[Loaded]:
    """Return the loaded files that are gone, and that no new file seems to be in the place of.

    A file of the same size elsewhere in the source is taken for the one that was moved, and another new
    one in its folder for what replaces it: each for one.

    Args:
        new: the drops that were not rejected before, but for copies.
    """
    listed = {drop.path for drop in drops}
    unlisted = [drop.path for drop in drops if drop.is_folder]
    gone = [file for file in loaded if file.path not in listed and not under_unlisted(file.path, unlisted)]
    if not gone:
        return set()
    known = {file.path for file in loaded}
    fresh = [drop for drop in new if drop.path not in known and not drop.problem]
    places = [(drop.place, drop.size) for drop in fresh if drop.place.kind == "source"]
    moved = Counter((place.name, size) for place, size in places)
    lost = set()
    for file in gone:
        if moved[file.source, file.size]:
            moved[file.source, file.size] -= 1
        else:
            lost.add(file)
    replacing = Counter(
        (place.name, place.commission_month) for place, size in places if moved[place.name, size]
    )
    for file in sorted(lost, key=lambda file: file.path):
        if replacing[file.source, file.month]:
            replacing[file.source, file.month] -= 1
            lost.discard(file)
    return lost


def _said(
    lost: Collection[Loaded], lines: int, total: int, wiped: Sequence[str], where: str
) -> tuple[str, str]:
    folders = sorted({f"{file.source}/{month_text(file.month)}" for file in lost})
    named = ", ".join(folders[:_NAMED]) + (f" and {len(folders) - _NAMED} more" if folders[_NAMED:] else "")
    files = f"{count_of(len(lost), 'loaded file')} {form_for(len(lost), 'is', 'are')}"
    every = f", among them every file of {', '.join(wiped)}" if wiped else ""
    problem = (
        f"{files} no longer in the landing zone {where} ({named}){every}: {lines:,} of {total:,} loaded "
        "lines would be withdrawn. Nothing was withdrawn."
    )
    remedy = (
        "Check that the whole share is mounted and that SHS_LANDING names the right place, and put the files "
        "back. If they were deleted on purpose, confirm it with `shs run --accept`."
    )
    return problem, remedy


def note(connection: psycopg.Connection, doubt: Doubt | None) -> None:
    """Record that withdrawals are held (once, for as long as they are), or that they no longer are."""
    with connection.transaction():
        if doubt is None:
            if held_now(connection) is not None:
                connection.execute(
                    "update ops.holds set ended_at = now() where kind = 'withdrawal' and is_open"
                )
            return
        connection.execute(
            "insert into ops.holds (problem, remedy) values (%s, %s) on conflict (kind) where is_open"
            " do update set problem = excluded.problem, remedy = excluded.remedy"
            " where holds.problem <> excluded.problem",
            [doubt.problem, doubt.remedy],
        )


def held_now(connection: psycopg.Connection) -> ShsError | None:
    """Return what is held, as the books know it."""
    row = connection.execute(
        "select problem, remedy from ops.holds where kind = 'withdrawal' and is_open"
    ).fetchone()
    return ShsError(*row) if row else None
