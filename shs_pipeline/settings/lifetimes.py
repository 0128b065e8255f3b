"""Lifetimes in settings: `off`, hours (`12h`) or days (`3d`)."""

from __future__ import annotations

import re
from datetime import timedelta

from shs_pipeline.base.wording import count_of

SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=7)
"""S3 refuses a link that was signed for longer than a week."""


def lifetime(text: str) -> timedelta | None:
    """Return how long something lives, None for `off`.

    Raises:
        ValueError: neither `off` nor a lifetime from an hour to a week.
    """
    if text.strip().lower() == "off":
        return None
    found = re.fullmatch(r"([0-9]{1,4})\s*([hd])", text.strip().lower())
    if found is None:
        raise ValueError("is neither off nor a lifetime such as 12h or 3d")
    life = timedelta(hours=int(found[1]) * (24 if found[2] == "d" else 1))
    if not SHORTEST <= life <= LONGEST:
        raise ValueError("is not between 1h and 7d, the longest that S3 signs for")
    return life


def in_words(life: timedelta) -> str:
    """Return `12 hours`, `1 day`, `3 days`."""
    hours = int(life.total_seconds()) // 3600
    count, unit = (hours // 24, "day") if hours % 24 == 0 else (hours, "hour")
    return count_of(count, unit)
