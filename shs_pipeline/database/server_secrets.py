"""Port and passwords of the embedded server, in `<home>/secrets/postgres.json` (mode 600)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.private_files import give_to_owner_of, private_file


@dataclass(frozen=True)
class Secrets:
    """What the file holds."""

    port: int
    superuser_password: str = field(repr=False)
    owner_password: str = field(repr=False)


def secrets_file(home: Path) -> Path:
    """Return the file of a home."""
    return home / "secrets" / "postgres.json"


def read_secrets(home: Path, data: Path) -> Secrets:
    """Return the passwords and the port.

    Raises:
        ShsError: the file is gone, damaged, or belongs to somebody else.
    """
    path = secrets_file(home)
    try:
        return Secrets(**json.loads(path.read_text()))
    except PermissionError:
        raise ShsError(
            f"The passwords of the embedded database ({path}) belong to another user.",
            f"Run this as the user that owns {home}, or set SHS_HOME to one of your own folders.",
        ) from None
    except (OSError, ValueError, TypeError):
        raise ShsError(
            f"The data folder {data} is there, but its password file {path} cannot be read.",
            f"Restore that file from a backup, or move {data} away to start empty.",
        ) from None


def write_secrets(home: Path, values: Secrets) -> None:
    """Write the file, whole and durably."""
    path = secrets_file(home)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with private_file(fresh) as handle:
        handle.write(json.dumps(asdict(values)).encode())
    give_to_owner_of(home, fresh)
    fresh.replace(path)
