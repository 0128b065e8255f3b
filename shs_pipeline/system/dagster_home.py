"""Dagster's home inside SHS_HOME, and the variables that its processes need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.private_files import make_private_folder
from shs_pipeline.base.whole_files import write_if_changed
from shs_pipeline.database.address import url_text
from shs_pipeline.database.databases import Databases, prepare

if TYPE_CHECKING:
    from shs_pipeline.settings.settings import Settings

# libpq reads these from the environment; Dagster's settings have no place for them.
_LIBPQ_VARIABLES = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "channel_binding": "PGCHANNELBINDING",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "options": "PGOPTIONS",
}


def dagster_environment(settings: Settings, databases: Databases | None = None) -> dict[str, str]:
    """Return the variables that Dagster's processes need, to be added to the environment.

    They carry the storage's address piece by piece (`dagster.yaml` names them) and all
    settings, so that every process of this system sees the same ones.

    Args:
        settings: the settings of this system.
        databases: what `prepare` returned; None prepares.
    """
    databases = databases or prepare(settings)
    parts = urlsplit(url_text(databases.dagster_url))
    host = parts.hostname or ""
    home = settings.home / "dagster"
    return {
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "SHS_DAGSTER_USER": unquote(parts.username or ""),
        "SHS_DAGSTER_PASSWORD": unquote(parts.password or ""),
        "SHS_DAGSTER_HOST": f"[{host}]" if ":" in host else host,
        "SHS_DAGSTER_PORT": str(parts.port or 5432),
        "SHS_DAGSTER_DATABASE": unquote(parts.path.lstrip("/")),
        "SHS_DAGSTER_STORAGE": str(home / "storage"),
        **_settings_environment(settings),
        **{_LIBPQ_VARIABLES[k]: v for k, v in parse_qsl(parts.query) if k in _LIBPQ_VARIABLES},
    }


def _settings_environment(settings: Settings) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in settings:
        place = settings.secret_places.get(name)
        if place is not None:
            # Each process reads it there: a secret in a file is in no environment.
            values[place.variable] = place.text
        elif value is not None:
            shown = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            values[f"SHS_{name.upper()}"] = shown
    return values


def write_dagster_home(settings: Settings, configuration: Path) -> Path:
    """Copy the instance configuration into this system's `DAGSTER_HOME` and return that folder.

    Args:
        settings: their `dagster_config` goes before the configuration given.
        configuration: the project's `dagster.yaml`.

    Raises:
        ShsError: there is no such file, or it cannot be read.
    """
    home = settings.home / "dagster"
    make_private_folder(home / "storage")
    source = settings.dagster_config or configuration
    try:
        write_if_changed(home / "dagster.yaml", source.read_text())
    except (FileNotFoundError, IsADirectoryError):
        raise ShsError(
            f"There is no file {source}.",
            "Correct SHS_DAGSTER_CONFIG, or run shs in the project folder.",
        ) from None
    return home
