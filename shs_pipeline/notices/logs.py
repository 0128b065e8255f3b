"""Where the log of notices goes in our own processes: to standard error, as it is and line by line.

Dagster's code server and the command line have handlers that drop what is no warning, or break lines;
filters of logs look for whole lines.
"""

from __future__ import annotations

import logging
import sys

LOGGER = "shs_pipeline.notices"


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"{self.format(record)}\n")
        sys.stderr.flush()


def log_to_stderr() -> None:
    """Let the notices' log go to standard error from now on; a second call changes nothing."""
    logger = logging.getLogger(LOGGER)
    if not any(isinstance(handler, _ToStderr) for handler in logger.handlers):
        handler = _ToStderr()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
