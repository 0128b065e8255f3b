"""What a path in the landing zone says: whose file it is, for which month, and whether it counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Literal

from shs_pipeline.base.months import FIRST_MONTH, last_month, month_text, parse_month
from shs_pipeline.landing.names import INCOMING_NAMES, REFERENCE_NAMES

INCOMING, REFERENCE, REJECTED, PAID = "incoming", "reference", "rejected", "paid"
OURS = (REJECTED, PAID)
"""Folders that the system writes and never reads."""
CURRENT = f"{REFERENCE}/current"
"""Where the system writes the reference workbooks in force."""
START_HERE = "START HERE.xlsx"
"""Where the system writes the state of everything, for people who have only a browser and Excel."""
ERRORS_SUFFIX = ".errors.xlsx"
_REVENUE = re.compile(r"rev=(.+)", re.IGNORECASE)
_OVERLAP_OK, _EARLY_OK = "overlap=ok", "early=ok"
# What operating systems and Office leave beside people's files; nobody dropped these. A part that is
# just `.` or `..` is an S3 key gone wrong instead.
_LITTER = re.compile(
    r"(?:^|/)(?:\.(?!\.?(?:/|$))|~\$|(?:thumbs\.db|desktop\.ini|icon\r)(?:/|$))", re.IGNORECASE
)
# Names under which browsers, Office, and programs that copy or sync write a file before it is whole.
_UNDER_WAY = re.compile(
    r"\.(?:filepart|part|partial|crdownload|opdownload|download|ocdownload|cyberduckpart|aria2|bc!|!ut"
    r"|tmp|temp|upload|uploading|inprogress|incomplete|swp|lftp-pget-status)(?:/|$)"
    r"|(?:^|/)(?:~wr[a-z]\d+|~df[0-9a-f]+|~tmp|~syncthing~|unconfirmed \d+\.)"
    r"|\.(?:xlsx|pdf)\.[0-9a-f]{8}$|(?:^|/)[0-9a-f]{8}$",
    re.IGNORECASE,
)
# Longest name of a file on common file systems, and a bound for a key of S3 (1,024 with its prefix).
_LONGEST_NAME, _LONGEST_PATH = 255, 800
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Place:
    """What the place of a file says.

    Attributes:
        kind: a source's partition, a reference table, or `unknown`.
        name: source or reference table; None when unknown.
        is_overlap_ok, is_early_ok: what the folders `overlap=ok` and `early=ok` say is meant.
        problem, remedy: sentences for an unknown place.
    """

    kind: Literal["source", "reference", "unknown"]
    name: str | None = None
    commission_month: date | None = None
    revenue_month: date | None = None
    is_overlap_ok: bool = False
    is_early_ok: bool = False
    problem: str = ""
    remedy: str = ""


def errors_path(path: str) -> str:
    """Return where the error workbook of a dropped file is.

    A path that is too long for that, or that a store may not take, gets another name that follows from it.
    """
    parts = path.split("/")
    safe = [_UNPRINTABLE.sub("_", part) if part not in ("", ".", "..") else "_" for part in parts]
    mark = f"~{sha256(path.encode(errors='surrogateescape')).hexdigest()[:10]}"
    if safe != parts:
        safe[-1] += mark
    if len(f"{safe[-1]}{ERRORS_SUFFIX}".encode()) > _LONGEST_NAME:
        kept = _LONGEST_NAME - len(ERRORS_SUFFIX) - len(mark)
        safe[-1] = f"{safe[-1].encode()[:kept].decode(errors='ignore')}{mark}"
    joined = "/".join(safe)
    if len(joined.encode()) > _LONGEST_PATH:
        joined = f"long names/{mark}"
    return f"{REJECTED}/{joined}{ERRORS_SUFFIX}"


def place_of(path: str) -> Place:
    """Return what a landing-relative path says; an unknown place says why and what to do."""
    # A month's folder is read once, not once for each of its files.
    return _place_of_folder(path.rpartition("/")[0], last_month()) or _place_of_file(path)


@lru_cache(maxsize=10_000)
def _place_of_folder(folder: str, last: date) -> Place | None:
    """Return what the folder of a source's month says; with `last` the cache ends with the month."""
    del last
    parts = (*folder.split("/"), "any.xlsx")
    if len(parts) < 4 or parts[0] != INCOMING or parts[1] not in INCOMING_NAMES:
        return None
    place = _source_place(folder, parts)
    return place if place.kind == "source" else None


def _place_of_file(path: str) -> Place:
    if path == START_HERE:
        return _unknown(
            f"{path} is not the workbook that the system writes there. Nothing is read from it.",
            f"Move it to {INCOMING}/<source>/<YYYY-MM>/, or a reference workbook to {REFERENCE}/. The next "
            "run then writes the right one.",
        )
    parts = tuple(path.split("/"))
    if parts[0] == REFERENCE:
        return _reference_place(path, parts)
    if parts[0] != INCOMING or len(parts) < 3:
        return _unknown(
            f"{path} is not in a folder that is read.",
            f"Move it to {INCOMING}/<source>/<YYYY-MM>/, or a reference workbook to {REFERENCE}/.",
        )
    if parts[1] not in INCOMING_NAMES:
        return _unknown(
            f"{path}: there is no source called {parts[1]!r}.",
            f"Move it under one of {', '.join(INCOMING_NAMES)} in {INCOMING}/.",
        )
    return _source_place(path, parts)


def _source_place(path: str, parts: tuple[str, ...]) -> Place:
    source = parts[1]
    month = parse_month(parts[2])
    if len(parts) == 3 or month is None:
        return _unknown(
            f"{path}: {parts[2]!r} is not a commission month."
            if len(parts) > 3
            else f"{path} is not in a month's folder.",
            f"Move it to {INCOMING}/{source}/<YYYY-MM>/, such as {INCOMING}/{source}/2025-03/.",
        )
    if not FIRST_MONTH <= month <= last_month():
        return _unknown(
            f"{path}: the commission month {parts[2]} is out of range.",
            f"Move it to a month from {month_text(FIRST_MONTH)} to {month_text(last_month())}.",
        )
    revenue_month, meant = None, set()
    for folder in parts[3:-1]:
        given = _REVENUE.fullmatch(folder)
        if given and revenue_month is None and (revenue_month := parse_month(given.group(1))):
            continue
        if folder in (_OVERLAP_OK, _EARLY_OK):
            meant.add(folder)
            continue
        return _unknown(
            f"{path}: the folder name {folder!r} is unknown.",
            f"Move the file up into {'/'.join(parts[:3])}/, or name the revenue month as rev=<YYYY-MM>.",
        )
    return Place("source", source, month, revenue_month, _OVERLAP_OK in meant, _EARLY_OK in meant)


def _reference_place(path: str, parts: tuple[str, ...]) -> Place:
    name = PurePosixPath(path).stem.lower()
    if parts[1] == CURRENT.rpartition("/")[2] and len(parts) > 2:
        return _misplaced_in_current(path, name)
    if len(parts) == 2 and name in REFERENCE_NAMES and parts[1] == f"{name}.xlsx":
        return Place("reference", name)
    return _unknown(
        f"{path} is not a reference table.",
        f"The reference tables are {', '.join(f'{REFERENCE}/{table}.xlsx' for table in REFERENCE_NAMES)}.",
    )


def _misplaced_in_current(path: str, name: str) -> Place:
    """Return what to say of a file beside the copies that the system writes, or of a changed copy."""
    table = name if name in REFERENCE_NAMES else "<table>"
    again = "" if not written_by_system(path) else "; the next run then writes the copy again"
    what = "was changed by hand" if again else "is not one of the copies that the system writes"
    return _unknown(
        f"{path} {what}. Nothing is read from {CURRENT}/.",
        f"To put it in force, move it to {REFERENCE}/{table}.xlsx{again}.",
    )


def current_path(table: str) -> str:
    """Return where the copy of a reference table in force is."""
    return f"{CURRENT}/{table}.xlsx"


def keep_path(source: str, month: date) -> str:
    """Return the file that stands for a month's folder: a bucket has no empty ones."""
    return f"{INCOMING}/{source}/{month_text(month)}/.keep"


def written_by_system(path: str) -> str | None:
    """Return what the system writes at a path, a reference table's copy or `START HERE.xlsx`, or None."""
    if path == START_HERE:
        return START_HERE
    return next((table for table in REFERENCE_NAMES if path == current_path(table)), None)


def is_of_an_admin(path: str) -> bool:
    """Whether a landing-relative path can be a dropped file: neither litter, ours, nor a mere folder."""
    is_ours = path.split("/", 1)[0] in OURS or written_by_system(path) is not None
    return not (path.endswith("/") or is_ours or is_litter(path) or not path)


def _unknown(problem: str, remedy: str) -> Place:
    return Place("unknown", problem=problem, remedy=remedy)


def is_litter(path: str) -> bool:
    """Whether a file is one that operating systems and Office leave beside people's files."""
    return _LITTER.search(path) is not None


def is_under_way(path: str) -> bool:
    """Whether a file has the name of one that is still being uploaded, downloaded or saved."""
    return _UNDER_WAY.search(path) is not None
