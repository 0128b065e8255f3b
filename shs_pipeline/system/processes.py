"""The processes of a running system: starting, signalling, recognising and stopping them.

Each child leads its own session, so that Ctrl-C reaches only the parent and stopping a child reaches
its workers too.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from shs_pipeline.base.private_files import make_private_folder

LARGEST_LOG = 10 * 1024 * 1024
STOP_SECONDS = 25.0

log = logging.getLogger(__name__)


@dataclass
class Child:
    """A part of the system that runs; `command` is its whole command line."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes]
    log_file: Path


def start(
    name: str, arguments: Sequence[str], log_file: Path, folder: Path, environment: Mapping[str, str]
) -> Child:
    """Start Python with these arguments in a folder, in a session of its own, its output in the log."""
    command = [sys.executable, *arguments]
    with _open_log(log_file) as sink:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
            cwd=folder, env=environment, start_new_session=True,
        )  # fmt: skip
    return Child(name, command, process, log_file)


def stop_all(children: Sequence[Child]) -> None:
    """Stop children and their workers, the last one first; kill those that do not stop in time."""
    for child in reversed(children):
        signal_group(child.process.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while any(_group_lives(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    for child in children:
        if _group_lives(child):
            log.warning("The %s did not stop in time and was killed.", child.name)
            signal_group(child.process.pid, signal.SIGKILL)
        child.process.wait()


def command_line(pid: int) -> list[str]:
    """Return a process's arguments, empty when it does not live (or cannot be seen)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    except (OSError, UnicodeDecodeError):
        if Path("/proc/self").exists():
            return []
    shown = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return shown.stdout.split()


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a child and its workers, as far as they live."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _group_lives(child: Child) -> bool:
    child.process.poll()  # reaps the leader, which would count as alive otherwise
    try:
        os.killpg(child.process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return child.process.returncode is None
    return True


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Turn Ctrl-C, SIGTERM and a closed terminal into an event, for as long as this lasts."""
    stop = threading.Event()

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, ask_to_stop) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _open_log(path: Path) -> IO[bytes]:
    make_private_folder(path.parent)
    if path.is_file() and path.stat().st_size > LARGEST_LOG:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def how_it_ended(code: int) -> str:
    """Return how a process ended, in words."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
