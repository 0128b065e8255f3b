"""List the landing zone, one entry per file, whatever its name and whoever may read it.

A file that cannot be read (a name the store will not return, a broken link, a folder nobody may list) is an
entry with its own problem. It never stops the listing of other files.
"""

from __future__ import annotations

import os
import pwd
import re
import stat
import time
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shs_pipeline.landing.places import OURS, Place, is_litter, is_under_way, place_of

if TYPE_CHECKING:
    from obstore.store import ObjectStore

# An upload takes hours at most; what is older was left behind.
LEFT_OVER_SECONDS = 24 * 3600
_UNTELLABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffd]")
_RENAME = "Rename the file, or delete it."


@dataclass(frozen=True)
class Drop:
    """One file that an admin dropped, as the listing shows it.

    Attributes:
        path: what it is called for people and in the books: as composed Unicode (NFC), on any system.
        key: what the store calls it.
        problem, remedy: why it cannot be read whatever it holds; empty for most.
        is_folder: it stands for a folder that cannot be listed, and may hold anything.
        actor: who owns the file in a folder; empty on S3, whose listing names the bucket's own account.
    """

    path: str
    size: int
    etag: str
    modified: datetime
    key: str = ""
    problem: str = ""
    remedy: str = ""
    is_folder: bool = False
    actor: str = ""

    @property
    def place(self) -> Place:
        """What the path says."""
        return place_of(self.path)


def as_drops(found: Iterable[Drop]) -> list[Drop]:
    """Return what counts of a listing, by path: without litter and uploads under way, each path once."""
    by_path: dict[str, Drop] = {}
    for drop in found:
        if is_litter(drop.key) or (is_under_way(drop.key) and not (drop := _left_over(drop)).problem):
            continue
        drop = _told(drop)
        other = by_path.get(drop.path)
        by_path[drop.path] = drop if other is None else _twice(other, drop)
    return sorted(by_path.values(), key=lambda drop: drop.path)


def under_unlisted(path: str, unlisted: Iterable[str]) -> bool:
    """Whether a path is in one of the folders that could not be listed."""
    return any(path == folder or path.startswith(f"{folder}/") or not folder for folder in unlisted)


def _left_over(drop: Drop) -> Drop:
    if time.time() - drop.modified.timestamp() < LEFT_OVER_SECONDS:
        return drop
    return replace(
        drop,
        problem=f"{shown(drop.key)} is named like an upload in progress, but has not changed for more than a "
        "day.",
        remedy="Upload the file again under its own name, and delete this one.",
    )


def _told(drop: Drop) -> Drop:
    """Return a drop under the name that people see, with what is wrong with its name."""
    problem, remedy = (drop.problem, drop.remedy) if drop.problem else name_refused(drop.key) or ("", "")
    return replace(drop, path=shown(drop.key), problem=problem, remedy=remedy)


def name_refused(key: str) -> tuple[str, str] | None:
    """Return why a file of this name can never be read, and the remedy; None for a name that is fine."""
    path = shown(key)
    if any(part in ("", ".", "..") for part in key.split("/")):
        problem = (
            f"The key {path} begins with a slash, or contains //, /./ or /../, so the file cannot be read."
        )
        return problem, _RENAME
    if _UNTELLABLE.search(key):
        return f"The name of {path} contains characters that cannot be printed, or is not UTF-8.", _RENAME
    return None


def shown(key: str) -> str:
    """Return a key as people see it: composed, and what cannot be printed as its code."""
    composed = key if key.isascii() else unicodedata.normalize("NFC", key)
    return _UNTELLABLE.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", composed)


def _twice(one: Drop, two: Drop) -> Drop:
    """Return the drop that says that two names look the same."""
    etag = sha256("\n".join(sorted((one.etag, two.etag))).encode()).hexdigest()
    return replace(
        max(one, two, key=lambda drop: drop.modified),
        etag=etag,
        problem=f"Two files are called {one.path}: the names look the same but are stored differently, as "
        "Macs and PCs store accents.",
        remedy="Delete or rename the one that does not count.",
    )


# --- a folder ----------------------------------------------------------------------------------------


def list_folder(root: Path, under: str = "") -> Iterator[Drop]:
    """Yield every file below a folder of the landing zone; `rejected/` and `paid/` are left out.

    Raises:
        OSError: the landing zone itself cannot be listed.
    """
    if under and not (root / under).is_dir():
        # Not `exists`: the listing reports what may not be accessed.
        try:
            (root / under).stat()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            yield _unlisted(under, error)
            return
    if not under:
        os.scandir(root).close()
    yield from _walk(root, under, _above(root, under))


def _above(root: Path, under: str) -> frozenset[tuple[int, int]]:
    """Return the folders in which one lies: a link to any of them is a loop wherever the listing begins."""
    parents = (root / under, *(root / under).parents)[1:] if under else ()
    found = [place.stat() for place in parents if place == root or root in place.parents]
    return frozenset((each.st_dev, each.st_ino) for each in found)


_DEEPEST = 40  # folders within folders; the deepest that is read is four


def _walk(root: Path, folder: str, above: frozenset[tuple[int, int]]) -> Iterator[Drop]:
    place = os.path.join(root, folder) if folder else str(root)  # noqa: PTH118 - a name may be no UTF-8
    try:
        own = os.stat(place)  # noqa: PTH116
        if (own.st_dev, own.st_ino) in above or len(above) > _DEEPEST:
            yield _unreadable(folder, "is a link to a folder that contains it.", is_folder=False)
            return
        with os.scandir(place) as entries:
            found = list(entries)
    except FileNotFoundError:
        return
    except OSError as error:
        yield _unlisted(folder, error)
        return
    within = above | {(own.st_dev, own.st_ino)}
    for entry in found:
        key = f"{folder}/{entry.name}" if folder else entry.name
        if key in OURS:
            continue
        try:
            if entry.is_dir():
                yield from _walk(root, key, within)
            else:
                yield from _file(key, entry)
        except OSError as error:
            yield _unreadable(key, f"cannot be accessed: {_reason(error)}.", is_folder=False)


def _file(key: str, entry: os.DirEntry[str]) -> Iterator[Drop]:
    try:
        found = entry.stat()
    except FileNotFoundError:
        if entry.is_symlink():
            yield _unreadable(key, "is a broken link.", is_folder=False)
        return
    drop = drop_of_stat(key, found)
    if not stat.S_ISREG(found.st_mode):
        yield _unreadable(key, "is not a file but a pipe, a socket or a device.", is_folder=False)
    elif not _may_read(entry.path):
        problem = f"{shown(key)} cannot be read by the user that runs this system (permission denied)."
        remedy = "Give that user permission to read it."
        # Another etag than it has when it may be read, since a changed right changes no time.
        yield replace(drop, etag=f"{drop.etag} unread", problem=problem, remedy=remedy)
    else:
        yield drop


def etag_of(found: os.stat_result) -> str:
    """Return the etag of a file in a folder, as obstore writes it: so the books know older ones, too."""
    return f'"{found.st_ino:x}-{found.st_mtime_ns // 1000:x}-{found.st_size:x}"'


def drop_of_stat(key: str, found: os.stat_result) -> Drop:
    """Return a file of a folder as the system describes it."""
    modified = datetime.fromtimestamp(found.st_mtime, UTC)
    return Drop(key, found.st_size, etag_of(found), modified, key, actor=owner_of(found.st_uid))


@lru_cache(maxsize=1000)
def owner_of(uid: int) -> str:
    """Return the name of a user of this machine; the number of one that it does not know."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _may_read(path: str) -> bool:
    is_effective = os.access in os.supports_effective_ids
    return os.access(path, os.R_OK, effective_ids=is_effective)


def _unlisted(folder: str, error: OSError) -> Drop:
    return _unreadable(folder, f"is a folder that cannot be listed: {_reason(error)}.", is_folder=True)


def _unreadable(key: str, what: str, *, is_folder: bool) -> Drop:
    remedy = (
        "Give the user that runs this system permission to list and read it; what was loaded from it stays "
        "in force."
        if is_folder
        else "Delete it, or replace it with the file itself."
    )
    problem = f"{shown(key)} {what}"
    etag = f"unread {sha256(problem.encode()).hexdigest()[:16]}"
    return Drop(key, 0, etag, datetime.fromtimestamp(0, UTC), key, problem, remedy, is_folder)


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


# --- a bucket ----------------------------------------------------------------------------------------


def list_bucket(store: ObjectStore, url: str, under: str = "") -> Iterator[Drop]:
    """Yield every object below a prefix of the landing zone on S3; `rejected/` and `paid/` are left out.

    The fast client refuses a whole listing for one key that it cannot hold; another one then does it.

    Raises:
        Exception: whatever either client raises.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from obstore.exceptions import BaseError

    try:
        found = list(_listed_by_obstore(store, under))
    except (BaseError, ValueError) as error:
        if not _is_about_a_name(error):
            raise
        try:
            found = list(_listed_by_boto(url, under))
        except (BotoCoreError, ClientError) as refusal:
            raise ValueError(str(refusal)) from refusal
    # A folder that was made in a console is an empty object called `folder/`, the slash of which is lost.
    yield from (drop for drop in found if drop.size or Path(drop.key).suffix)


def _is_about_a_name(error: Exception) -> bool:
    from obstore.exceptions import InvalidPathError

    said = str(error).lower()
    if "<code>" in said:
        return False  # The store itself refused, in its XML.
    return isinstance(error, InvalidPathError) or any(
        sign in said for sign in ("path", "segment", "xml", "deserial", "invalid list response", "utf-8")
    )


def _listed_by_obstore(store: ObjectStore, under: str) -> Iterator[Drop]:
    import obstore

    prefixes: Iterable[str] = [under]
    if not under:
        # These grow with time and are never read.
        top = obstore.list_with_delimiter(store)
        yield from map(drop_of_meta, top["objects"])
        prefixes = [prefix for prefix in top["common_prefixes"] if prefix not in OURS]
    for prefix in prefixes:
        for chunk in obstore.list(store, prefix=prefix, chunk_size=1000):
            yield from map(drop_of_meta, chunk)


def drop_of_meta(meta: Any) -> Drop:
    """Return a file as obstore describes it."""
    path = meta["path"]
    return Drop(path, meta["size"], meta["e_tag"] or "", meta["last_modified"], path)


def _listed_by_boto(url: str, under: str) -> Iterator[Drop]:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    start = f"{prefix}/" if prefix else ""
    pages = _client().get_paginator("list_objects_v2")
    prefixes = [f"{start}{under}/"]
    if not under:
        prefixes = []
        for page in pages.paginate(Bucket=bucket, Prefix=start, Delimiter="/"):
            yield from (_of_object(found, start) for found in page.get("Contents", ()))
            prefixes += [found["Prefix"] for found in page.get("CommonPrefixes", ())]
    for each in prefixes:
        if each.removeprefix(start).rstrip("/") not in OURS:
            for page in pages.paginate(Bucket=bucket, Prefix=each):
                yield from (_of_object(found, start) for found in page.get("Contents", ()))


def _of_object(found: Any, start: str) -> Drop:
    key = str(found["Key"]).removeprefix(start)
    if key.endswith("/") and not found["Size"]:
        key = key.rstrip("/") or "/"
    return Drop(key, found["Size"], found["ETag"], found["LastModified"], key)


def _client() -> Any:
    import boto3
    from botocore.config import Config

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    style = "path" if endpoint else "auto"
    # A session of its own: the shared one keeps the credentials that it saw first.
    return boto3.Session().client(
        "s3",
        region_name=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        endpoint_url=endpoint,
        verify=os.environ.get("AWS_ALLOW_INVALID_CERTIFICATES", "").lower() not in ("1", "true"),
        config=Config(s3={"addressing_style": style}, connect_timeout=10, retries={"total_max_attempts": 4}),
    )
