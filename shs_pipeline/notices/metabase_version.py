"""Check whether the running Metabase is safe to use, and notify once per change."""

from __future__ import annotations

import time
from datetime import date
from functools import lru_cache

from shs_pipeline.metabase.client import content_of
from shs_pipeline.metabase.transport import NoAnswerError, Transport
from shs_pipeline.metabase.versions import VersionWarning, judged
from shs_pipeline.notices.texts import Notice, metabase_version

_SECONDS = 3.0
_PAUSE_SECONDS = 3600


def version_notices(url: str, today: date) -> list[Notice]:
    """Return the notice of a version that is unsafe, unknown or near its end; asked once an hour at most.

    A Metabase that does not answer is no reason for a notice: it may be restarting.

    Args:
        url: of Metabase; empty for none.
    """
    if not url:
        return []
    found = _asked(url, today, int(time.monotonic() // _PAUSE_SECONDS))
    return [metabase_version(found)] if found is not None else []


@lru_cache(maxsize=8)
def _asked(url: str, today: date, hour: int) -> VersionWarning | None:
    way = Transport(url, {}, _SECONDS, _SECONDS)
    try:
        answer = way.send("get", "/api/session/properties", None)
    except NoAnswerError:
        return None
    finally:
        way.close()
    properties = content_of(answer) if answer.status_code == 200 else None
    return judged(properties, today) if isinstance(properties, dict) else None
