"""The variables by which dagster.yaml finds its storage."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit


def dagster_variables(database_url: str, storage: Path) -> dict[str, str]:
    """Return what `shs` tells Dagster of a database, and of the folder for what runs print."""
    owner = urlsplit(database_url)
    return {
        "SHS_DAGSTER_USER": unquote(owner.username or ""),
        "SHS_DAGSTER_PASSWORD": unquote(owner.password or ""),
        "SHS_DAGSTER_HOST": str(owner.hostname),
        "SHS_DAGSTER_PORT": str(owner.port),
        "SHS_DAGSTER_DATABASE": owner.path.strip("/"),
        "SHS_DAGSTER_STORAGE": str(storage),
    }
