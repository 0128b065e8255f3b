"""Which versions of Metabase are safe to let people into.

From: Metabase's security advisories of August 2026 (CVE-2026-72898, GHSA-r495-55cx-fjh7) and of October 2026
(CVE-2026-103928), all of them exploitable without a login, and the releases that followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from shs_pipeline.errors import ShsError

OLDEST = 58
OLDEST_SAFE_PATCH: Mapping[int, int] = {58: 39, 59: 21, 60: 17, 61: 11, 62: 9, 63: 5, 64: 6, 65: 4}
"""By major version, the first patch without a known hole that needs no login."""
END_OF_LIFE: Mapping[int, date] = {58: date(2027, 2, 17)}
"""Long-term versions and the day on which their security fixes end."""
_WARN_DAYS = 90
# v0.58.39 is open source, v1.58.39.2 is Pro or Enterprise; a build of one's own says anything.
_TAG = re.compile(r"v[01]\.(\d+)\.(\d+)")


def check_version(properties: Mapping[str, Any], today: date) -> list[str]:
    """Return what an admin should know about the version of a Metabase.

    Args:
        properties: `/api/session/properties`.

    Raises:
        ShsError: the version has a known hole, or is older than what this is written for.
    """
    version = properties.get("version")
    tag = str(version.get("tag", "")) if isinstance(version, Mapping) else ""
    found = _TAG.match(tag)
    if found is None:
        said = f"says that it is version {tag!r}" if tag else "does not say its version"
        return [f"Metabase {said}, so nobody can tell whether it has known security holes."]
    major, patch = int(found[1]), int(found[2])
    if major < OLDEST:
        raise ShsError(
            f"Metabase {tag} is too old: v0.{OLDEST} is the first version this works with.",
            f"Back up its database, then upgrade to v0.{OLDEST}.{OLDEST_SAFE_PATCH[OLDEST]} or newer.",
        )
    if major not in OLDEST_SAFE_PATCH:
        newest = max(OLDEST_SAFE_PATCH)
        unknown = f"Metabase {tag} is newer than v0.{newest}, the last one this was checked against"
        return [f"{unknown}: run make smoke before you let people in."]
    safe = OLDEST_SAFE_PATCH[major]
    if patch < safe:
        raise ShsError(
            f"Metabase {tag} has security holes that need no login.",
            f"Upgrade to v0.{major}.{safe} or newer, then try again; back up its database first.",
        )
    return _end_of_life(tag, major, today)


def _end_of_life(tag: str, major: int, today: date) -> list[str]:
    end = END_OF_LIFE.get(major)
    if end is None or (end - today).days > _WARN_DAYS:
        return []
    verb = "ended" if end < today else "end"
    return [f"Security fixes for Metabase {tag} {verb} on {end.isoformat()}: plan the upgrade."]
