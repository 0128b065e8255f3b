"""Builds in processes of their own that may kill themselves at a statement of dbt's.

Forks of the test's own process, which has dbt imported and its templates compiled: that takes as long as
two builds.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import Any, Literal

_FORKS = multiprocessing.get_context("fork")


class Building:
    """A process that builds the marts.

    Args:
        database: the owner's URL.
        die_before: the statement of dbt's, by number from 1, before which it kills itself; 0 for none; or
            `hold`: when a hold is to be recorded; or `commit`: when all of the publication is written.
        full_refresh: compute everything anew.
    """

    def __init__(
        self, database: str, die_before: int | Literal["hold", "commit"] = 0, *, full_refresh: bool = False
    ) -> None:
        self._here, there = _FORKS.Pipe(duplex=False)
        self._process = _FORKS.Process(target=_build, args=(database, die_before, full_refresh, there))
        self._process.start()
        there.close()

    def end(self) -> tuple[int, int | str | None]:
        """Wait; return the exit code and the number of statements, an error's text, or None when killed."""
        try:
            said = self._here.recv() if self._here.poll(120) else None
        except EOFError:
            said = None
        self._process.join(120)
        assert self._process.exitcode is not None
        return self._process.exitcode, said


def _build(database: str, die_before: int | Literal["hold", "commit"], full_refresh: bool, tell: Any) -> None:
    from dbt.adapters.postgres.connections import PostgresConnectionManager as Connections

    from shs_pipeline.marts import build

    original, calls = Connections.add_query, list[str]()

    def dying(self: Any, statement: str, *args: Any, **kwargs: Any) -> Any:
        is_publication_written = "lock table marts.publications" in "".join(calls[-1:])
        calls.append(statement)
        if len(calls) == die_before or (die_before == "commit" and is_publication_written):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, statement, *args, **kwargs)

    Connections.add_query = dying
    if die_before == "hold":
        build.hold = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    try:
        build.build_marts(database, "killed", full_refresh=full_refresh)
        tell.send(len(calls))
    except Exception as error:
        tell.send(repr(error))
        raise
