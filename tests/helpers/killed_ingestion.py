"""Ingestion in processes of their own that may kill themselves: forks of one that has imported it.

An interpreter of its own for each would import for longer than it ingests; a fork of the tests' process
would inherit the threads of the libraries that it has used.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import runpy
import signal
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

from shs_pipeline.ingest.changes import Folder
from shs_pipeline.ingest.ingestion import Ingestion
from shs_pipeline.ingest.run import run_changed
from shs_pipeline.landing.zone import Landing

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__, "pandas", "pandera.pandas", "openpyxl", "psycopg"])


class Ingesting:
    """A process that ingests what changed, or one folder.

    Args:
        landing: URL of the landing zone.
        database: the owner's URL.
        where: `module:name` of a function, before or after whose n-th call the process kills itself.
        folder: key of the only folder that is ingested; what is printed of it is in `said`.
    """

    def __init__(
        self, landing: str, database: str, where: str = "", when: str = "", nth: int = 1, folder: str = ""
    ) -> None:
        self._here, there = _FORKS.Pipe(duplex=False)
        order = Order(landing, database, where, when, nth, folder)
        # By path: another package called `tests` is installed with metabase-api.
        script = (__file__, {"ORDER": astuple(order), "TELL": there}, "ingesting")
        self._process = _FORKS.Process(target=runpy.run_path, args=script)
        self._process.start()
        there.close()

    def end(self) -> tuple[int, tuple[int, int] | str | None]:
        """Wait; return the exit code and files loaded and rejected, an error's text, or None when killed."""
        try:
            said = self._here.recv() if self._here.poll(120) else None
        except EOFError:
            said = None
        self._process.join(120)
        assert self._process.exitcode is not None
        return self._process.exitcode, said


@dataclass(frozen=True)
class Order:
    """What a process is to do."""

    landing: str
    database: str
    where: str
    when: str
    nth: int
    folder: str


def _ingest(order: Order, tell: Any) -> None:
    if order.where:
        _plan_death(order)
    job = Ingestion(
        Landing(order.landing), order.database, 50 << 20, 30.0, f"process {os.getpid()}", may_withdraw=True
    )
    try:
        reports = [job.folder(Folder(order.folder))] if order.folder else run_changed(job)
        tell.send((sum(len(r.loaded) for r in reports), sum(len(r.rejected) for r in reports)))
    except Exception as error:
        tell.send(repr(error))
        raise


def _plan_death(order: Order) -> None:
    module, _, names = order.where.partition(":")
    owner = importlib.import_module(module)
    *outer, name = names.split(".")
    for part in outer:
        owner = getattr(owner, part)
    original: Callable[..., Any] = getattr(owner, name)
    calls: list[None] = []

    def dying(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        if order.when == "before" and len(calls) == order.nth:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if order.when == "after" and len(calls) == order.nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


if __name__ == "ingesting":
    _ingest(Order(*globals()["ORDER"]), globals()["TELL"])
