"""Where the logs of a command go, so that they never stand between the lines of its result.

On a terminal: to `<home>/logs/shs.log`. Without one (cron, a container, a pipe): what shs itself logs goes
to standard error, line by line; what libraries warn of goes to the file all the same.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from shs_pipeline.base.private_files import make_private_folder
from shs_pipeline.notices.logs import LOGGER as NOTICES
from shs_pipeline.notices.logs import log_to_stderr

if TYPE_CHECKING:
    from typing import TextIO

OURS = "shs_pipeline"
LARGEST = 10 * 1024 * 1024
_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def log_apart(folder: Callable[[], Path]) -> None:
    """Send the logs of this process where they belong.

    Args:
        folder: returns the folder of the log file; asked with the first line, since most commands log none.
    """
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    root.addHandler(_LogFile(folder))
    logging.captureWarnings(True)
    ours = logging.getLogger(OURS)
    if sys.stderr.isatty():
        # Somebody waits: what the command waits for is said, in one line each.
        ours.addHandler(_ToPerson())
        logging.getLogger(NOTICES).setLevel(logging.INFO)
        return
    ours.addHandler(_ToStderr())
    log_notices()


def log_notices() -> None:
    """Let the texts of notices go to standard error, where no person sits before it."""
    if not sys.stderr.isatty():
        log_to_stderr()


class _LogFile(logging.Handler):
    """Appends to a file that is made with the first line; where it cannot be written nothing is lost."""

    def __init__(self, folder: Callable[[], Path]) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT))
        self._folder = folder
        self._file: TextIO | None = None

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):
            self._file = self._file or self._opened()
            self._file.write(f"{self.format(record)}\n")
            self._file.flush()

    def _opened(self) -> TextIO:
        folder = self._folder()
        make_private_folder(folder)
        path = folder / "shs.log"
        if path.is_file() and path.stat().st_size > LARGEST:
            path.replace(path.with_suffix(".log.1"))
        return path.open("a", encoding="utf-8", errors="backslashreplace")


class _ToStderr(logging.Handler):
    """Writes warnings of shs itself to standard error, as plain lines."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()


class _ToPerson(logging.Handler):
    """Says on a terminal what is waited for; notices have a line of their own at the end."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        from shs_pipeline.cli.terminal import remarks, say

        if record.name.startswith(_WAITED_FOR):
            say(remarks(), record.getMessage(), "dim")


_WAITED_FOR = tuple(f"{OURS}.{name}" for name in ("database.", "ingest.ingestion", "system."))
