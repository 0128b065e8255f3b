"""A backup's folder: written completely or not at all, and verified before it is used.

database.dump   the warehouse as `pg_dump` writes it, one snapshot
bucket.jsonl    a line for each file of the landing zone: path, bytes, etag, modified, sha256
backup.json     versions, and of each table the rows, of each mart the sums and a digest too
SHA256SUMS      checksums of the three, as `sha256sum` writes them
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.private_files import give_to_owner_of, private_file, sync_folder
from shs_pipeline.system.table_contents import TableContent

DUMP, BUCKET, SUMMARY, CHECKSUMS = "database.dump", "bucket.jsonl", "backup.json", "SHA256SUMS"
FORMAT = 1
_PREFIX = "shs-"
_MAKING = ".making-"
_PRIVATE_FOLDER = 0o700


@dataclass(frozen=True)
class Summary:
    """What `backup.json` says.

    Attributes:
        made_at: instant of the snapshot.
        program: version of this program; definitions: hash of the models, as in `marts.publications`.
        server: version of the server; dumped_by: of the `pg_dump`, both with the major version apart.
        publication_id: what people read then; None: nothing was published.
        tables: by `schema.table`.
    """

    made_at: str
    program: str
    definitions: str
    server: str
    server_major: int
    dumped_by: str
    dumped_by_major: int
    landing: str
    publication_id: int | None
    schemas: Sequence[str]
    tables: Mapping[str, TableContent]
    files: int
    bytes: int
    format: int = FORMAT


@contextmanager
def new_folder(into: Path) -> Iterator[Path]:
    """Yield a folder that is not a backup yet; it is gone afterwards unless it was settled."""
    with _writing(into):
        is_new = not into.exists()
        into.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        if is_new:
            give_to_owner_of(into.parent, into)
        place = os.open(into, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(place, fcntl.LOCK_EX)
            _remove_leftovers(into)
            making = Path(tempfile.mkdtemp(prefix=_MAKING, dir=into))
            held = os.open(making, os.O_RDONLY | os.O_DIRECTORY)
            # As long as this process lives, another backup does not take it for a leftover.
            fcntl.flock(held, fcntl.LOCK_EX)
        finally:
            os.close(place)
        try:
            yield making
        finally:
            os.close(held)
            shutil.rmtree(making, ignore_errors=True)


def _remove_leftovers(into: Path) -> None:
    """Remove what killed backups left; the folder of one that runs is locked and stays."""
    for folder in into.glob(f"{_MAKING}*"):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(descriptor)


def settle(making: Path, into: Path, summary: Summary) -> Path:
    """Complete the folder with summary and checksums, and give it its name, durably."""
    _write_text(making / SUMMARY, json.dumps(asdict(summary), indent=1, sort_keys=True) + "\n")
    lines = [f"{_checksum(making / name)}  {name}\n" for name in (BUCKET, DUMP, SUMMARY)]
    _write_text(making / CHECKSUMS, "".join(lines))
    sync_folder(making)
    base = f"{_PREFIX}{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
    number = 1
    while True:
        made = into / (base if number == 1 else f"{base}-{number}")
        if not made.exists():
            with suppress(FileExistsError):
                for path in (*making.iterdir(), making):
                    give_to_owner_of(into, path)
                making.rename(made)
                sync_folder(into)
                return made
        number += 1


@contextmanager
def _writing(into: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ShsError(
            f"The backup cannot be written to {into} ({error.strerror or error}).",
            "Nothing was written. Name one of your own folders on a disk with free space: shs backup FOLDER.",
        ) from None


def _write_text(path: Path, text: str) -> None:
    with private_file(path) as handle:
        handle.write(text.encode())


def _checksum(path: Path) -> str:
    with path.open("rb") as handle:
        return file_digest(handle, "sha256").hexdigest()


def read_backup(folder: Path) -> Summary:
    """Return what a backup says of itself, after all of its bytes were checked.

    Raises:
        ShsError: it is no backup, or not complete, or damaged, or of a later format.
    """
    expected = _expected(folder)
    for name in (BUCKET, DUMP, SUMMARY):
        try:
            is_whole = _checksum(folder / name) == expected.get(name)
        except OSError as error:
            raise _damaged(folder, f"{name} cannot be read ({error.strerror})") from None
        if not is_whole:
            raise _damaged(folder, f"{name} is not what was written")
    try:
        said = json.loads((folder / SUMMARY).read_bytes())
        if said["format"] > FORMAT:
            raise ShsError(
                f"The backup {folder} was written by a later version ({said['program']}).",
                "Restore it with that version or a newer one.",
            )
        tables = {name: TableContent(**content) for name, content in said.pop("tables").items()}
        return Summary(**said, tables=tables)
    except (KeyError, TypeError, ValueError):
        raise _damaged(folder, f"{SUMMARY} is not readable") from None


def _expected(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / CHECKSUMS).read_text(errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        inside = sorted(path.name for path in folder.glob(f"{_PREFIX}*")) if folder.is_dir() else []
        remedy = "Name a backup's folder, as shs backup printed it."
        raise ShsError(
            f"{folder} is not a complete backup: it has no {CHECKSUMS}.",
            f"Name the backup inside it, such as {folder / inside[-1]}." if inside else remedy,
        ) from None
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _damaged(folder: Path, what: str) -> ShsError:
    return ShsError(
        f"The backup {folder} is damaged: {what}.", "Nothing was changed. Restore another backup."
    )
