"""Builds in processes of their own that may kill themselves at a statement of dbt's.

Forks of a process that has dbt imported, as in `killed_ingestion`.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
from typing import Any, Literal

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["dbt.cli.main", "dbt.adapters.postgres", "psycopg"])


class Building:
    """A process that builds the marts.

    Args:
        database: the owner's URL.
        die_before: the statement of dbt's, by number from 1, before which it kills itself; 0 for none; or
            `hold`: when a hold is to be recorded.
        full_refresh: compute everything anew.
    """

    def __init__(
        self, database: str, die_before: int | Literal["hold"] = 0, *, full_refresh: bool = False
    ) -> None:
        self._here, there = _FORKS.Pipe(duplex=False)
        order = {"ORDER": (database, die_before, full_refresh), "TELL": there}
        self._process = _FORKS.Process(target=runpy.run_path, args=(__file__, order, "building"))
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


def _build(database: str, die_before: int | Literal["hold"], full_refresh: bool, tell: Any) -> None:
    from dbt.adapters.postgres.connections import PostgresConnectionManager as Connections

    from shs_pipeline.marts import build

    original, calls = Connections.add_query, []

    def dying(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        if len(calls) == die_before:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    Connections.add_query = dying
    if die_before == "hold":
        build.hold = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    try:
        build.build_marts(database, "killed", full_refresh=full_refresh)
        tell.send(len(calls))
    except Exception as error:
        tell.send(repr(error))
        raise


if __name__ == "building":
    _build(*globals()["ORDER"], globals()["TELL"])
