"""Which Metabase versions are safe to use.

From: Metabase's security advisories of August 2026 (CVE-2026-72898, GHSA-r495-55cx-fjh7) and of October 2026
(CVE-2026-103928), all of them exploitable without a login, and the releases that followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from shs_pipeline.base.errors import ShsError

OLDEST = 58
OLDEST_SAFE_PATCH: Mapping[int, int] = {58: 39, 59: 21, 60: 17, 61: 11, 62: 9, 63: 5, 64: 6, 65: 4}
"""By major version, the first patch without a known hole that needs no login."""
END_OF_LIFE: Mapping[int, date] = {
    58: date(2027, 2, 17),
    59: date(2026, 9, 1), 60: date(2026, 9, 1), 61: date(2026, 9, 1), 62: date(2026, 9, 1),
    63: date(2026, 11, 1), 64: date(2026, 11, 17),
}  # fmt: skip
"""The day on which a version's security fixes end, by Metabase's own table; 58 is long-term."""
_WARN_DAYS = 90
# v0.58.39 is open source, v1.58.39.2 is Pro or Enterprise; a build of one's own says anything.
_TAG = re.compile(r"v[01]\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class VersionWarning:
    """What to know about a version.

    Attributes:
        kind: `unsafe` versions are refused.
        remedy: empty where the problem says what to do.
    """

    kind: Literal["unsafe", "unknown", "untried", "ending", "ended"]
    tag: str
    problem: str
    remedy: str = ""


def tag_of(properties: Mapping[str, Any]) -> str:
    """Return the version as Metabase names it, empty where it does not."""
    version = properties.get("version")
    return str(version.get("tag") or "") if isinstance(version, Mapping) else ""


def major_of(properties: Mapping[str, Any]) -> int | None:
    """Return the major version, None where Metabase does not say it."""
    found = _TAG.match(tag_of(properties))
    return int(found[1]) if found else None


def judged(properties: Mapping[str, Any], today: date) -> VersionWarning | None:
    """Return what to know about a Metabase's version, None for nothing.

    Args:
        properties: `/api/session/properties`.
    """
    tag = tag_of(properties)
    found = _TAG.match(tag)
    if found is None:
        said = f"says that it is version {tag!r}" if tag else "does not say its version"
        return VersionWarning(
            "unknown", tag, f"Metabase {said}, so it is unknown whether it has known security holes."
        )
    major, patch = int(found[1]), int(found[2])
    if major < OLDEST:
        return VersionWarning(
            "unsafe", tag, f"Metabase {tag} is too old: v0.{OLDEST} is the first supported version.",
            f"Back up its database, then upgrade to v0.{OLDEST}.{OLDEST_SAFE_PATCH[OLDEST]} or newer.",
        )  # fmt: skip
    if major not in OLDEST_SAFE_PATCH:
        newest = max(OLDEST_SAFE_PATCH)
        unknown = f"Metabase {tag} is newer than v0.{newest}, the last one this was checked against"
        return VersionWarning("untried", tag, f"{unknown}: run make smoke before you let people in.")
    safe = OLDEST_SAFE_PATCH[major]
    if patch < safe:
        return VersionWarning(
            "unsafe", tag, f"Metabase {tag} has security holes that can be exploited without a login.",
            f"Upgrade to v0.{major}.{safe} or newer, then try again; back up its database first.",
        )  # fmt: skip
    return _end_of_life(tag, major, today)


def check_version(properties: Mapping[str, Any], today: date) -> list[str]:
    """Return what an admin should know about the version of a Metabase.

    Args:
        properties: `/api/session/properties`.

    Raises:
        ShsError: the version has a known hole, or is older than what this is written for.
    """
    found = judged(properties, today)
    if found is None:
        return []
    if found.kind == "unsafe":
        raise ShsError(found.problem, found.remedy)
    return [found.problem]


def _end_of_life(tag: str, major: int, today: date) -> VersionWarning | None:
    end = END_OF_LIFE.get(major)
    if end is None or (end - today).days > _WARN_DAYS:
        return None
    kind: Literal["ending", "ended"] = "ended" if end < today else "ending"
    verb = "ended" if kind == "ended" else "end"
    problem = f"Security fixes for Metabase {tag} {verb} on {end.isoformat()}: plan the upgrade."
    return VersionWarning(kind, tag, problem)
