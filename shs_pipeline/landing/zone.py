"""The landing zone: which files are where, and what their place says about them.

One URL, a folder (`file:///…`) or S3 (`s3://bucket/prefix`). Everything under `incoming/` and `reference/`
belongs to admins and is never changed; everything under `rejected/` and `paid/` belongs to the system.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, unquote

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.private_files import make_folders, make_private_folder, set_mode
from shs_pipeline.base.whole_files import write_whole
from shs_pipeline.landing.listing import (
    Drop,
    as_drops,
    drop_of_meta,
    drop_of_stat,
    etag_of,
    list_bucket,
    list_folder,
)
from shs_pipeline.landing.places import (
    ERRORS_SUFFIX,
    INCOMING,
    REFERENCE,
    REJECTED,
    Place,
    errors_path,
    is_of_an_admin,
    place_of,
)

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, S3Store

__all__ = [
    "ERRORS_SUFFIX",
    "INCOMING",
    "REFERENCE",
    "REJECTED",
    "Drop",
    "Landing",
    "LandingError",
    "Place",
    "RefusedError",
    "errors_path",
    "is_of_an_admin",
    "place_of",
]

# An S3 that does not answer is said within a minute or so, instead of the library's three; a large
# file over a slow line still has the time that it needs.
_TIMEOUTS = {"connect_timeout": "10s", "timeout": "300s"}
_RETRIES, _RETRY_SECONDS = 4, 30
# Each folder is a request of its own, and most of its time is the way there and back.
_LISTINGS_AT_ONCE = 8
# Given any options, the library reads none of these from the environment.
_CLIENT_VARIABLES = ("allow_http", "allow_invalid_certificates", "proxy_url", "connect_timeout", "timeout")

_CREDENTIALS = "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give them access to the bucket."
_S3_ANSWERS = (
    ("NoSuchBucket", "The bucket of {url} does not exist.", "Create it, or correct SHS_LANDING."),
    ("InvalidAccessKeyId", "The store at {url} does not know the access key.", _CREDENTIALS),
    ("SignatureDoesNotMatch", "The store at {url} rejects the secret key.", _CREDENTIALS),
    ("AccessDenied", "The store at {url} denies access to these credentials.", _CREDENTIALS),
    (
        "builder error",
        "The store at {url} is not asked, since AWS_ENDPOINT_URL is no address, or one without encryption.",
        "Correct it; if http:// is meant, as for a store on this machine, set AWS_ALLOW_HTTP=true.",
    ),
)


class LandingError(ShsError):
    """The landing zone, or a file of it, cannot be reached."""


class RefusedError(LandingError):
    """The landing zone can be reached, but refuses this one operation."""


class Landing:
    """The landing zone behind its URL.

    Args:
        url: `file:///…` or `s3://…`; the credentials of S3 come from the usual AWS variables.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    @cached_property
    def _folder(self) -> Path:
        folder = Path(unquote(self.url.removeprefix("file://")))
        try:
            make_private_folder(folder)
        except OSError as error:
            raise LandingError(
                f"The landing zone {self.url} cannot be created ({error.strerror}).",
                "Set SHS_LANDING to a folder that this user may write to.",
            ) from None
        return folder

    @cached_property
    def _store(self) -> ObjectStore:
        from obstore.store import from_url

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

        What cannot be read, or is in a folder that cannot be listed, is included with its problem.

        Raises:
            LandingError: the landing zone cannot be reached.
        """
        with _reaching(self.url):
            if self.is_folder:
                return as_drops(list_folder(self._folder, under))
            return as_drops(list_bucket(self._store, self.url, under))

    def drops_below(self, folders: Iterable[str]) -> list[Drop]:
        """List the dropped files under these folders only, by path; no folder is inside another.

        Raises:
            LandingError: the landing zone cannot be reached.
        """
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_LISTINGS_AT_ONCE) as pool:
            found = [drop for drops in pool.map(self.drops, set(folders)) for drop in drops]
        return sorted(found, key=lambda drop: drop.path)

    def drop_at(self, path: str) -> Drop | None:
        """Return the file at a path, None where there is none; whether it can be read is not asked."""
        import obstore

        with _reaching(self.url):
            try:
                if self.is_folder:
                    return drop_of_stat(path, (self._folder / path).stat())
                return drop_of_meta(obstore.head(self._store, path))
            except (FileNotFoundError, NotADirectoryError):
                return None

    def folders(self, under: str) -> set[str]:
        """Return the names of the folders in a folder; in a bucket only what holds something is one."""
        import obstore

        with _reaching(self.url):
            if self.is_folder:
                place = self._folder / under
                return {each.name for each in place.iterdir() if each.is_dir()} if place.is_dir() else set()
            found = obstore.list_with_delimiter(self._store, under)["common_prefixes"]
            return {prefix.rstrip("/").rpartition("/")[2] for prefix in found}

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file, or None when it is gone; by its key, or by the path of its drop."""
        with _reaching(self.url):
            found = self._read(path)
        if found is None and not path.isascii():
            # In the books its name is composed; a Mac may have stored it decomposed.
            drops = self.drops(path.rpartition("/")[0])
            key = next((drop.key for drop in drops if drop.path == path != drop.key), None)
            return None if key is None else self.read(key)
        return found

    def _read(self, key: str) -> bytes | None:
        try:
            if self.is_folder:
                return (self._folder / key).read_bytes()
            import obstore

            return bytes(obstore.get(self._store, key).bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def link(self, path: str, life: timedelta) -> str:
        """Return a secret: an address by which anybody can fetch this one file of a bucket for a while.

        Nothing is asked of the bucket. The link ends with the session of the credentials, if they have one.

        Raises:
            LandingError: there are no credentials to sign with.
        """
        import obstore

        with _reaching(self.url):
            return obstore.sign(cast("S3Store", self._store), "GET", path, life)

    def write(self, path: str, content: bytes) -> str:
        """Put a file there whole or not at all; return its etag."""
        import obstore

        with _reaching(self.url):
            if self.is_folder:
                place = self._folder / path
                # Whoever works with the landing zone, its group perhaps, works with this file too.
                mode = stat.S_IMODE(self._folder.stat().st_mode)
                make_folders(place.parent, mode)
                write_whole(place, content)
                set_mode(place, mode & 0o666 | 0o600)
                return etag_of(place.stat())
            return obstore.put(self._store, path, content)["e_tag"] or ""

    def delete(self, path: str) -> None:
        """Delete a file if it is there."""
        import obstore

        with _reaching(self.url):
            try:
                if self.is_folder:
                    (self._folder / path).unlink()
                else:
                    obstore.delete(self._store, path)
            except (FileNotFoundError, NotADirectoryError):
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


def _unreachable(url: str, error: Exception) -> LandingError:
    said = str(error).strip()
    if isinstance(error, OSError) and url.startswith("file://"):
        why = (error.strerror or said).lower()
        return RefusedError(
            f"The user that runs this system cannot use {error.filename or url} in the landing zone ({why}).",
            "Give that user permission to read the landing zone, to write to rejected/, reference/current/, "
            "paid/ and START HERE.xlsx, and check that its disk is mounted and not full.",
        )
    for sign, problem, remedy in _S3_ANSWERS:
        if sign in said:
            kind = RefusedError if sign == "AccessDenied" else LandingError
            return kind(problem.format(url=url), remedy)
    first_line = said.splitlines()[0][:300] if said else type(error).__name__
    return LandingError(
        f"The landing zone {url} cannot be reached: {first_line}",
        "Check SHS_LANDING, the network and the credentials (AWS_* variables), then run again.",
    )
