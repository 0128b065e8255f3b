"""What is known about the embedded server without asking it: its pid file and that process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shs_pipeline.database.server_account import refuse_others


@dataclass(frozen=True)
class ServerStatus:
    """What is known of the server without asking it."""

    state: Literal["running", "starting", "stopped", "not made yet"]
    port: int | None = None
    pid: int | None = None


def read_status(data: Path) -> ServerStatus:
    """Look at the data folder and at the process it names.

    Raises:
        ShsError: the folder is somebody else's.
    """
    if not (data / "PG_VERSION").is_file():
        return ServerStatus("not made yet")
    lines = _pid_file_lines(data)
    if len(lines) < 4 or not _is_postgres(int(lines[0])):
        return ServerStatus("stopped")
    is_ready = len(lines) > 7 and lines[7].strip() == "ready"
    return ServerStatus("running" if is_ready else "starting", int(lines[3]), int(lines[0]))


def remove_foreign_pid_file(data: Path) -> None:
    """Remove the pid file of a server that does not live: PostgreSQL waits for whoever has its pid now."""
    # After a restart of a container the pid often is somebody else's.
    lines = _pid_file_lines(data)
    if lines and not _is_postgres(int(lines[0])) and not _lives_in(data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _pid_file_lines(data: Path) -> list[str]:
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except PermissionError:
        refuse_others(data)
        raise
    except OSError:
        return []
    return lines if lines and lines[0].strip().isdigit() else []


def _is_postgres(pid: int) -> bool:
    """Whether a process of that id lives and, where the system tells, is PostgreSQL."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition(" (")[2].rpartition(") ")
    except OSError:
        return not Path("/proc/self").exists()
    # A killed server may stay as a zombie for ever where nobody reaps (a container without init).
    return name.startswith("postgres") and not rest.startswith(("Z", "X"))


def _lives_in(folder: Path) -> bool:
    """Whether any process works in that folder (a server's processes always do)."""
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink() == folder.resolve():
                return True
        except OSError:
            continue
    return not Path("/proc/self").exists()
