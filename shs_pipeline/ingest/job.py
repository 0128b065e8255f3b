"""What the commands work with: the database and the landing zone from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shs_pipeline.ingest.ingestion import Ingestion
    from shs_pipeline.settings.settings import Settings


def open_job(settings: Settings, command: str, most_seconds: float | None = None) -> Ingestion:
    """Return what ingests or looks, with the database started if it is the embedded one.

    Args:
        command: what the books name as the run, with the time.
        most_seconds: wait no longer than this for a database that is away, whatever the settings say.
    """
    from datetime import UTC, datetime

    from shs_pipeline.ingest.ingestion import Ingestion

    seconds = settings.database_wait_seconds
    if most_seconds is not None:
        seconds = int(min(seconds, most_seconds))
    settings = settings.model_copy(update={"database_wait_seconds": seconds})
    return Ingestion.from_settings(settings, f"shs {command} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
