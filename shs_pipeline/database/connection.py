"""Connect to the database: wait for it, and recognise a lost connection."""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING

from pydantic import SecretStr

from shs_pipeline.database.address import place, url_text
from shs_pipeline.database.refusals import away, refusal, unusable_url

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS = 10

log = logging.getLogger(__name__)


def connect(url: str | SecretStr, wait_seconds: float = 0, name: str = "shs") -> psycopg.Connection:
    """Connect, waiting for a server that is away.

    Args:
        url: `postgresql://…`; its password never appears in an error or a log line.
        wait_seconds: how long to keep trying while nothing answers or the server starts.
        name: what the server calls the session; shown to whoever waits for it.

    Raises:
        ShsError: refused (password, unknown database), or still away after the wait.
    """
    import psycopg

    text = url_text(url)
    deadline = time.monotonic() + wait_seconds
    pause = 0.25
    while True:
        try:
            return psycopg.connect(
                text, connect_timeout=CONNECT_SECONDS, keepalives_idle=30, keepalives_interval=10,
                application_name=name,
            )  # fmt: skip
        except psycopg.ProgrammingError:
            raise unusable_url() from None
        except psycopg.OperationalError as error:
            known = refusal(text, error)
            if known is not None:
                raise known from None
            left = deadline - time.monotonic()
            if left <= 0:
                raise away(text, wait_seconds, error) from None
            log.warning("The database %s does not answer; waiting up to %.0f s more.", place(text), left)
        # A little chance, so that many waiting runs do not come back in the same instant.
        time.sleep(min(pause * random.uniform(0.8, 1.2), max(left, 0.05)))  # noqa: S311
        pause = min(pause * 2, 10)


def is_connection_lost(error: BaseException) -> bool:
    """Whether an error of a statement means that the server went away, so that a retry may help.

    A wrong statement, a broken constraint or a refused right is no lost connection.
    """
    import psycopg
    from psycopg import errors

    if isinstance(error, errors.AdminShutdown | errors.CrashShutdown | errors.CannotConnectNow):
        return True
    if isinstance(error, psycopg.OperationalError):
        # Class 08 is “connection exception”; libpq's own errors carry no code at all.
        return error.sqlstate is None or error.sqlstate.startswith("08")
    return isinstance(error, psycopg.InterfaceError) and "closed" in str(error)


def is_changed_at_once(error: BaseException) -> bool:
    """Whether two sessions changed the same row of the catalog at once, for which there is no code."""
    said = str(error)
    return getattr(error, "sqlstate", None) == "XX000" and "tuple concurrently" in said
