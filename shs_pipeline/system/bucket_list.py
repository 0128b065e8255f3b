"""A backup's list of the bucket's files, and how the bucket differs from it later."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from shs_pipeline.base.private_files import private_file
from shs_pipeline.landing.places import written_by_system
from shs_pipeline.system.backup_folder import BUCKET
from shs_pipeline.system.table_contents import value_of

if TYPE_CHECKING:
    from shs_pipeline.landing.listing import Drop
    from shs_pipeline.landing.zone import Landing


@dataclass(frozen=True)
class BucketFile:
    """A file of the landing zone; sha256 is None where it was not read in this version."""

    path: str
    bytes: int
    etag: str
    modified: str
    sha256: str | None


@dataclass(frozen=True)
class BucketDifference:
    """How the bucket differs from the list in the backup, by path."""

    gone: Sequence[str]
    new: Sequence[str]
    changed: Sequence[str]


def write_bucket(
    connection: psycopg.Connection, landing: Landing, path: Path
) -> tuple[list[int], list[str], list[str]]:
    """List the bucket into a file; return the sizes, what is missing in it, and what is not read yet."""
    books = connection.execute(
        "select path, etag, bytes, sha256, status from ops.files where status in ('loaded', 'rejected')"
        if value_of(connection, "select to_regclass('ops.files') is not null")
        else "select null, null, null, null, null where false"
    ).fetchall()
    # Bytes that are read are known by their checksum; nothing is read for the list.
    checksums = {(name, etag, size): digest for name, etag, size, digest, _ in books}
    sizes: list[int] = []
    unread: list[str] = []
    listed: set[str] = set()
    with private_file(path) as handle:
        for drop in landing.drops():
            key = (drop.path, drop.etag, drop.size)
            found = BucketFile(drop.path, drop.size, drop.etag, drop.modified.isoformat(), checksums.get(key))
            handle.write(json.dumps(asdict(found), ensure_ascii=False).encode() + b"\n")
            sizes.append(drop.size)
            listed.add(drop.path)
            if key not in checksums and written_by_system(drop.path) is None:
                unread.append(drop.path)
    missing = [name for name, *_, status in books if status == "loaded" and name not in listed]
    return sizes, sorted(missing), unread


def read_bucket(folder: Path) -> Iterator[BucketFile]:
    """Yield the files that the bucket held, by path."""
    with (folder / BUCKET).open("rb") as handle:
        for line in handle:
            yield BucketFile(**json.loads(line))


def compare_bucket(
    landing: Landing, drops: Sequence[Drop], backed_up: Iterable[BucketFile]
) -> BucketDifference:
    """Return how the bucket differs from a list of it.

    An etag changes when a file is copied back, so a file of the same size with another one is
    read, where its checksum is known.

    Raises:
        ShsError: the bucket cannot be reached.
    """
    here = {drop.path: drop for drop in drops}
    gone, changed = [], []
    for known in backed_up:
        drop = here.pop(known.path, None)
        if drop is None:
            gone.append(known.path)
        elif not _is_same(landing, drop, known):
            changed.append(known.path)
    return BucketDifference(gone, sorted(here), changed)


def _is_same(landing: Landing, drop: Drop, known: BucketFile) -> bool:
    if drop.size != known.bytes:
        return False
    if drop.etag == known.etag:
        return True
    content = landing.read(drop.path) if known.sha256 else None
    return content is not None and sha256(content).hexdigest() == known.sha256
