"""Check that everything automatic is switched on: a stopped sensor stays off until somebody notices."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shs_pipeline.database.connection import connect

if TYPE_CHECKING:
    from pydantic import SecretStr

AUTOMATION = {
    "landing": "dropped files are not ingested",
    "notices": "no notices are sent",
    "books": "Dagster does not show what shs run did",
    "daily_checks": "nobody checks for due months",
    "daily_housekeeping": "Dagster's books keep growing",
}
"""The sensors and schedules that should always run, and what happens without them."""


def switched_off(dagster_url: SecretStr) -> list[str]:
    """Return those of `AUTOMATION` that somebody stopped, as Dagster's own database knows it.

    Raises:
        ShsError: that database cannot be reached.
    """
    with connect(dagster_url, name="shs automation") as connection:
        # Dagster makes its tables when it is first started.
        made = connection.execute("select to_regclass('instigators')").fetchone()
        if made is None or made[0] is None:
            return []
        bodies = connection.execute("select instigator_body from instigators where status = 'STOPPED'")
        names = {_name(body) for (body,) in bodies}
    return [name for name in AUTOMATION if name in names]


def told(names: Sequence[str]) -> str:
    """Return a sentence about what is switched off, and what does not happen as a result."""
    return f"Switched off in Dagster: {', '.join(f'{name} ({AUTOMATION[name]})' for name in names)}."


def how_to_start(ui: str | None) -> str:
    """Return how to switch them on again.

    Args:
        ui: address of Dagster's UI; None where it is not known to run.
    """
    if ui:
        return f"Switch it on again at {ui}/automation."
    return "Open Dagster's UI (shs up starts it) and switch it on again under Automation."


def _name(body: str) -> str:
    try:
        # Dagster stores the name of whatever starts runs under this key.
        return str(json.loads(body)["origin"]["job_name"])
    except (ValueError, TypeError, KeyError):
        return ""
