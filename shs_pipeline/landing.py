"""The landing zone: what lies where, and what its place says about it.

One URL, a folder (`file:///…`) or S3 (`s3://bucket/prefix`). Everything under `incoming/` and
`reference/` is an admin's and never changed; everything under `rejected/` is the system's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import quote, unquote

from shs_pipeline.errors import ShsError
from shs_pipeline.months import FIRST_MONTH, last_month, month_text, parse_month
from shs_pipeline.reference import NAMES as REFERENCE_NAMES
from shs_pipeline.sources import NAMES as SOURCE_NAMES

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, ObjectStore

INCOMING, REFERENCE, REJECTED = "incoming", "reference", "rejected"
ERRORS_SUFFIX = ".errors.xlsx"
_REVENUE = re.compile(r"rev=(.+)", re.IGNORECASE)
_OVERLAP_OK = "overlap=ok"
# What operating systems and Office leave beside people's files; nobody dropped these.
_LITTER = re.compile(r"(?:^|/)(?:\.|~\$|(?:thumbs\.db|desktop\.ini)(?:/|$))", re.IGNORECASE)
# An S3 that does not answer is said within a minute or so, instead of the library's three; a large
# file over a slow line still has the time that it needs.
_TIMEOUTS = {"connect_timeout": "10s", "timeout": "300s"}
_RETRIES, _RETRY_SECONDS = 4, 30
# Each folder is a request of its own, and most of its time is the way there and back.
_LISTINGS_AT_ONCE = 8
# Given any options, the library reads none of these from the environment.
_CLIENT_VARIABLES = ("allow_http", "allow_invalid_certificates", "proxy_url", "connect_timeout", "timeout")

_CREDENTIALS = "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or let them use the bucket."
_S3_ANSWERS = (
    ("NoSuchBucket", "The bucket of {url} does not exist.", "Create it, or correct SHS_LANDING."),
    ("InvalidAccessKeyId", "The store of {url} does not know the access key.", _CREDENTIALS),
    ("SignatureDoesNotMatch", "The store of {url} refuses the secret key.", _CREDENTIALS),
    ("AccessDenied", "The store of {url} denies access to these credentials.", _CREDENTIALS),
)


@dataclass(frozen=True)
class Place:
    """What the place of a file says.

    Attributes:
        kind: a source's partition, a reference table, or `unknown`.
        name: source or reference table; None when unknown.
        problem, remedy: sentences for an unknown place.
    """

    kind: Literal["source", "reference", "unknown"]
    name: str | None = None
    commission_month: date | None = None
    revenue_month: date | None = None
    is_overlap_ok: bool = False
    problem: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Drop:
    """One file that an admin dropped, as the listing shows it."""

    path: str
    size: int
    etag: str
    modified: datetime

    @property
    def place(self) -> Place:
        """What the path says."""
        return place_of(self.path)


class Landing:
    """The landing zone behind its URL.

    Args:
        url: `file:///…` or `s3://…`; the credentials of S3 come from the usual AWS variables.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    @cached_property
    def _store(self) -> ObjectStore:
        from pathlib import Path

        from obstore.store import LocalStore, from_url

        if self.url.startswith("file://"):
            folder = Path(unquote(self.url.removeprefix("file://")))
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ShsError(
                    f"The landing zone {self.url} cannot be made ({error.strerror}).",
                    "Set SHS_LANDING to a folder that this user may write.",
                ) from None
            return LocalStore(prefix=folder)
        return from_url(
            self.url,
            client_options=_client_options(),
            retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)},
        )

    @property
    def is_folder(self) -> bool:
        """Whether files appear here while they are still being written."""
        return self.url.startswith("file://")

    def uri(self, path: str) -> str:
        """Return the full address of a path."""
        return f"{self.url}/{quote(path) if self.is_folder else path}"

    def drops(self, under: str = "") -> list[Drop]:
        """List the dropped files under a folder, by path; all of them by default.

        Raises:
            ShsError: the landing zone cannot be reached.
        """
        with _reaching(self.url):
            found = [
                Drop(meta["path"], meta["size"], meta["e_tag"] or "", meta["last_modified"])
                for meta in self._metas(under)
                if not _is_litter(meta["path"]) and not self._is_marker(meta)
            ]
        return sorted(found, key=lambda drop: drop.path)

    def drops_below(self, folders: Iterable[str]) -> list[Drop]:
        """List the dropped files under just these folders, by path; none lies within another.

        Raises:
            ShsError: the landing zone cannot be reached.
        """
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_LISTINGS_AT_ONCE) as pool:
            found = [drop for drops in pool.map(self.drops, set(folders)) for drop in drops]
        return sorted(found, key=lambda drop: drop.path)

    def _is_marker(self, meta: ObjectMeta) -> bool:
        """Whether this is a folder that was made in an S3 console: an empty object called `folder/`.

        The listing comes without the slash.
        """
        return not self.is_folder and meta["size"] == 0 and not PurePosixPath(meta["path"]).suffix

    def _metas(self, under: str) -> Iterator[ObjectMeta]:
        import obstore

        if under:
            prefixes = [under]
        else:
            # `rejected/` grows with time and is never read.
            top = obstore.list_with_delimiter(self._store)
            yield from top["objects"]
            prefixes = [prefix for prefix in top["common_prefixes"] if prefix != REJECTED]
        for prefix in prefixes:
            for chunk in obstore.list(self._store, prefix=prefix, chunk_size=1000):
                yield from chunk

    def holds_anything(self) -> bool:
        """Whether an admin's file lies anywhere in the landing zone."""
        with _reaching(self.url):
            return any(not _is_litter(meta["path"]) for meta in self._metas(""))

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file, or None when it is gone."""
        import obstore

        with _reaching(self.url):
            try:
                return bytes(obstore.get(self._store, path).bytes())
            except FileNotFoundError:
                return None

    def write(self, path: str, content: bytes) -> None:
        """Put a file there whole or not at all."""
        import obstore

        with _reaching(self.url):
            obstore.put(self._store, path, content)

    def delete(self, path: str) -> None:
        """Delete a file if it is there."""
        import obstore

        with _reaching(self.url):
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                return


class _reaching:  # noqa: N801 - reads as a phrase: `with _reaching(url)`.
    """Turn what the object store raises into a sentence."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        from obstore.exceptions import BaseError

        if isinstance(error, (BaseError, OSError, ValueError)):
            raise _unreachable(self.url, error) from error


def _client_options() -> ClientConfig:
    given = {name: os.environ.get(f"AWS_{name.upper()}") for name in _CLIENT_VARIABLES}
    return cast("ClientConfig", _TIMEOUTS | {name: value for name, value in given.items() if value})


def _unreachable(url: str, error: Exception) -> ShsError:
    from obstore.exceptions import InvalidPathError

    said = str(error).strip()
    if isinstance(error, InvalidPathError):
        found = re.search(r'[Pp]ath "(.*?)"', said, re.DOTALL)
        name = found.group(1) if found else said
        return ShsError(
            f"The landing zone {url} holds a file whose name cannot be read: {name!r}.",
            "Give it a name without line breaks, tabs and other unprintable characters.",
        )
    for sign, problem, remedy in _S3_ANSWERS:
        if sign in said:
            return ShsError(problem.format(url=url), remedy)
    first_line = said.splitlines()[0][:300] if said else type(error).__name__
    return ShsError(
        f"The landing zone {url} cannot be reached: {first_line}",
        "Check SHS_LANDING, the network and the credentials (AWS_* variables), then run again.",
    )


def errors_path(path: str) -> str:
    """Return where the error workbook of a dropped file lies."""
    return f"{REJECTED}/{path}{ERRORS_SUFFIX}"


def place_of(path: str) -> Place:
    """Return what a landing-relative path says; an unknown place says why and what to do."""
    # A month's folder is read once, not once for each of its files.
    return _place_of_folder(path.rpartition("/")[0], last_month()) or _place_of_file(path)


@lru_cache(maxsize=10_000)
def _place_of_folder(folder: str, last: date) -> Place | None:
    """Return what the folder of a source's month says; with `last` the cache ends with the month."""
    del last
    parts = PurePosixPath(folder, "any.xlsx").parts
    if len(parts) < 4 or parts[0] != INCOMING or parts[1] not in SOURCE_NAMES:
        return None
    place = _source_place(folder, parts)
    return place if place.kind == "source" else None


def _place_of_file(path: str) -> Place:
    parts = PurePosixPath(path).parts
    if parts[0] == REFERENCE:
        return _reference_place(path, parts)
    if parts[0] != INCOMING or len(parts) < 3:
        return _unknown(
            f"{path} lies in no folder that is read.",
            f"Move it to {INCOMING}/<source>/<YYYY-MM>/, or a reference workbook to {REFERENCE}/.",
        )
    if parts[1] not in SOURCE_NAMES:
        return _unknown(
            f"{path}: there is no source called {parts[1]!r}.",
            f"Move it under one of {', '.join(SOURCE_NAMES)} in {INCOMING}/.",
        )
    return _source_place(path, parts)


def _source_place(path: str, parts: tuple[str, ...]) -> Place:
    source = parts[1]
    month = parse_month(parts[2])
    if len(parts) == 3 or month is None:
        return _unknown(
            f"{path}: {parts[2]!r} is not a commission month."
            if len(parts) > 3
            else f"{path} lies in no month.",
            f"Move it to {INCOMING}/{source}/<YYYY-MM>/, such as {INCOMING}/{source}/2025-03/.",
        )
    if not FIRST_MONTH <= month <= last_month():
        return _unknown(
            f"{path}: the commission month {parts[2]} is out of range.",
            f"Move it to a month from {month_text(FIRST_MONTH)} to {month_text(last_month())}.",
        )
    revenue_month, is_overlap_ok = None, False
    for folder in parts[3:-1]:
        given = _REVENUE.fullmatch(folder)
        if given and revenue_month is None and (revenue_month := parse_month(given.group(1))):
            continue
        if folder == _OVERLAP_OK:
            is_overlap_ok = True
            continue
        return _unknown(
            f"{path}: the folder {folder!r} says nothing known.",
            f"Move the file up into {'/'.join(parts[:3])}/, or name the revenue month as rev=<YYYY-MM>.",
        )
    return Place("source", source, month, revenue_month, is_overlap_ok)


def _reference_place(path: str, parts: tuple[str, ...]) -> Place:
    name = PurePosixPath(path).stem.lower()
    if len(parts) == 2 and name in REFERENCE_NAMES and parts[1] == f"{name}.xlsx":
        return Place("reference", name)
    return _unknown(
        f"{path} is no reference table.",
        f"Reference tables are {', '.join(f'{REFERENCE}/{table}.xlsx' for table in REFERENCE_NAMES)}.",
    )


def is_of_an_admin(path: str) -> bool:
    """Whether a landing-relative path can be a dropped file: neither litter, ours, nor a mere folder."""
    return not (path.endswith("/") or path.startswith(f"{REJECTED}/") or _is_litter(path) or not path)


def _unknown(problem: str, remedy: str) -> Place:
    return Place("unknown", problem=problem, remedy=remedy)


def _is_litter(path: str) -> bool:
    return _LITTER.search(path) is not None
