"""The system that runs for a home: its lock, its record, how to stop it, and leftovers of a killed one."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from shs_pipeline.base.errors import ShsError
from shs_pipeline.system.processes import STOP_SECONDS, command_line, signal_group

if TYPE_CHECKING:
    from shs_pipeline.settings.settings import Settings

log = logging.getLogger(__name__)

ANSWERED_BY_ADMINS = ("landing", "sources", "reference", "ledger")
"""The groups of the assets that files make; what is built from them fails with its run."""


@dataclass(frozen=True)
class RunningSystem:
    """What `<home>/up.json` records of a running `up`.

    Attributes:
        pid: the process of `up`.
        url: address of the Dagster UI.
        preview: address of the dashboards.
        children: command line of each child by its pid (as text).
    """

    pid: int
    url: str
    children: dict[str, list[str]] = field(default_factory=dict)
    preview: str = ""


def needs_you(url: str) -> str:
    """Return the page of Dagster's UI with the assets that files make, and whether their checks hold.

    Views of the catalogue are kept, and assets are found by their state, in Dagster+ only (ADR 0071).

    Args:
        url: address of the UI.
    """
    selected = quote(" or ".join(f"group:{name}" for name in ANSWERED_BY_ADMINS), safe=":")
    # Groups are drawn closed, without what is in them.
    opened = ",".join(f"global@global:{name}" for name in ANSWERED_BY_ADMINS)
    return f"{url}/asset-groups~{selected}/?expanded={opened}"


def running_system(settings: Settings) -> RunningSystem | None:
    """Return what runs for this home, None when no `up` is alive."""
    with only_one(settings.home) as is_ours:
        return None if is_ours else read_record(settings.home)


@contextmanager
def only_one(home: Path) -> Iterator[bool]:
    """Hold the lock of `up` for this home; False when another process holds it."""
    if not home.is_dir():
        yield True
        return
    with (home / "up.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def read_record(home: Path) -> RunningSystem | None:
    """Return what the last `up` of this home recorded, None without it."""
    try:
        return RunningSystem(**json.loads((home / "up.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def end(pid: int, home: Path) -> None:
    """Stop the `up` of a home and wait until it has ended.

    Raises:
        ShsError: it is another user's, or does not stop.
    """
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError:
        raise ShsError(
            f"The system in {home} was started by another user.", "Run shs down as that user or as root."
        ) from None
    except ProcessLookupError:
        pass
    deadline = time.monotonic() + STOP_SECONDS + 20
    while time.monotonic() < deadline:
        with only_one(home) as is_free_now:
            if is_free_now:
                return
        time.sleep(0.1)
    raise ShsError(
        f"The system in {home} (process {pid}) does not stop.", f"See the logs in {home / 'logs'}."
    )


def stop_leftovers(home: Path) -> None:
    """End children of an `up` that was killed, recognised by their whole command line."""
    record = read_record(home)
    children = {} if record is None else record.children
    for signal_sent in (signal.SIGTERM, signal.SIGKILL):
        alive = [int(pid) for pid, command in children.items() if command_line(int(pid)) == command]
        for pid in alive:
            log.warning("Ending process %s, left over from a system that was killed.", pid)
            signal_group(pid, signal_sent)
        deadline = time.monotonic() + 10
        while any(command_line(pid) for pid in alive) and time.monotonic() < deadline:
            time.sleep(0.1)
    (home / "up.json").unlink(missing_ok=True)
