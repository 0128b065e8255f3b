"""A process that has all large libraries imported and executes each run in a fork of itself.

A run that Dagster starts by default begins with an empty interpreter and imports for longer than it
works. `shs up` starts one host (`python -m sensors.run_host SOCKET`); `sensors.run_launcher` asks it,
over a socket that only its owner can reach, to carry out the command that a container of its own
would get (`dagster api execute_run …`). The project's own modules are never imported here: each run imports
them afresh, so that reloading the code location in Dagster's UI affects runs too.

Dagster has nothing that does this (ADR 0048): its executors can fork steps from a process with everything
imported (`forkserver` with `preload_modules`), but each of its run launchers starts every run in an empty
interpreter. `multiprocessing`'s forkserver serves only the program that started it; runs are asked for by the
daemon and the webserver, and outlive both.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import runpy
import selectors
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

# Whatever is not installed is left out: the run itself says what it misses.
LIBRARIES = (
    "dagster._cli",  # all that `python -m dagster` imports
    "dagster_postgres",
    "dagster_dbt",
    "psycopg",
    "numpy",
    "pandas",
    "pandera.pandas",
    "openpyxl",
    "obstore",
    "camelot",
    "pydantic_settings",
    "dbt.cli.main",
    "dbt.adapters.postgres",
)
# A program that connects and sends nothing must not keep other programs waiting.
_TALK_SECONDS = 5.0
_LOOK_SECONDS = 0.5
# A run that is told to end has this long to clear up: one that is suspended would never get to it.
_GRACE_SECONDS = 30.0
# Runs whose end is known, the latest: Dagster asks for those that it believes to be running.
_REMEMBERED = 10_000

log = logging.getLogger(__name__)


class RunHost:
    """Forks for runs, remembers how they ended, and ends them when asked.

    Args:
        path: where the socket is made; its folder belongs to this user alone.
        carry_out: what a fork does with its command; it never returns.
        grace_seconds: from when a run is told to end until it is killed.
    """

    def __init__(
        self,
        path: Path,
        carry_out: Callable[[list[str]], NoReturn],
        grace_seconds: float = _GRACE_SECONDS,
    ) -> None:
        self.path = path
        self._grace_seconds = grace_seconds
        self._carry_out = carry_out
        self._pids: dict[str, int] = {}
        self._killed_at: dict[str, float] = {}
        self._ended: dict[str, int] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def serve(self) -> None:
        """Answer requests until SIGTERM or SIGINT."""
        # Under its name once it listens: whoever sees it there can ask.
        made = self.path.with_name(f"{self.path.name}.new")
        self._listener.bind(str(made))
        self._listener.listen(16)
        made.rename(self.path)
        # Not select(), which takes no number above 1023.
        waiting = selectors.PollSelector()
        waiting.register(self._listener, selectors.EVENT_READ)
        while True:
            ready = waiting.select(_LOOK_SECONDS)
            self._collect()
            self._kill_overdue()
            if ready:
                connection, _ = self._listener.accept()
                with connection:
                    connection.settimeout(_TALK_SECONDS)
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        try:
            request = json.loads(_all_of(connection))
            reply = self._reply(request["do"], request["run"], request)
            connection.sendall(json.dumps(reply).encode())
            # Closing is not enough to say that this was all: a fork has the connection open too.
            connection.shutdown(socket.SHUT_WR)
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("A request was not understood: %s", error)

    def _reply(self, action: str, run: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if action == "start" and run not in self._pids and run not in self._ended:
            self._pids[run] = self._fork([str(word) for word in request["command"]])
        elif action == "end" and run in self._pids:
            with suppress(ProcessLookupError):
                os.kill(self._pids[run], signal.SIGTERM)
            self._killed_at.setdefault(run, time.monotonic() + self._grace_seconds)
        return {"pid": self._pids.get(run), "exit": self._ended.get(run)}

    def _fork(self, command: list[str]) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._listener.close()
            self._carry_out(command)
        return pid

    def _kill_overdue(self) -> None:
        """Kill the runs that were told to end and have not."""
        for run in [run for run, moment in self._killed_at.items() if time.monotonic() >= moment]:
            log.warning("Run %s did not end within %.0f s and was killed.", run, self._grace_seconds)
            del self._killed_at[run]
            with suppress(ProcessLookupError):
                os.kill(self._pids[run], signal.SIGKILL)

    def _collect(self) -> None:
        """Take note of the runs that ended."""
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                run = next((run for run, pid in self._pids.items() if pid == found[0]), None)
                if run is not None:
                    del self._pids[run]
                    self._killed_at.pop(run, None)
                    self._ended[run] = os.waitstatus_to_exitcode(found[1])
                    if len(self._ended) > _REMEMBERED:
                        del self._ended[next(iter(self._ended))]


def ask(path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Send a request to a host and return its reply: `pid` while the run lives, `exit` once it ended.

    Raises:
        OSError: nobody listens there.
        ValueError: the host ended before it replied.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TALK_SECONDS * 4)
        connection.connect(str(path))
        connection.sendall(json.dumps(request).encode())
        connection.shutdown(socket.SHUT_WR)
        reply: dict[str, Any] = json.loads(_all_of(connection))
    return reply


def _all_of(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def be_dagster(command: list[str]) -> NoReturn:
    """Be the program `dagster` with these arguments, in a fork."""
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler)
        sys.argv = list(command)
        runpy.run_module("dagster", run_name="__main__")
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        log.exception("A run ended with an error")
    finally:
        # Not sys.exit: what the host would do at its own end is not the fork's business.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def preload() -> None:
    """Import the libraries and let dbt warm up, so that forks find it done."""
    # Its pool of threads would not live on in the forks; nothing here computes with it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in LIBRARIES:
        with suppress(ModuleNotFoundError):
            importlib.import_module(name)
    with suppress(ModuleNotFoundError):
        _warm_dbt()
    # Collected in a fork, the host's objects would be copied page by page.
    gc.collect()
    gc.freeze()


def _warm_dbt() -> None:
    """Let dbt parse an empty project: it makes the readers of its own files at their first use."""
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    place = {
        "type": "postgres",
        "host": "-",
        "user": "-",
        "password": "",
        "port": 1,
        "dbname": "-",
        "schema": "-",
    }
    with tempfile.TemporaryDirectory(prefix="shs-dbt-") as folder:
        # JSON is YAML too.
        project = {"name": "empty", "version": "1.0", "profile": "empty"}
        profile = {"empty": {"target": "none", "outputs": {"none": {**place, "threads": 1}}}}
        (Path(folder) / "dbt_project.yml").write_text(json.dumps(project))
        (Path(folder) / "profiles.yml").write_text(json.dumps(profile))
        places = [f"--{kind}-dir={folder}" for kind in ("project", "profiles")]
        paths = [f"--{kind}-path={folder}" for kind in ("target", "log")]
        quiet = ["--no-send-anonymous-usage-stats", "--log-level=none", "--log-level-file=none"]
        dbtRunner().invoke(["parse", *places, *paths, *quiet])
        parsed = Path(folder) / "partial_parse.msgpack"
        if parsed.is_file():
            Manifest.from_msgpack(parsed.read_bytes())


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def main() -> None:
    """Import the libraries, then serve at the socket that the command line names."""
    # An exception out of a handler can get lost in the middle of an import; there is nothing to clear up yet.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    preload()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    # Not before: libraries that find a log configured write down how they set themselves up.
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    log.info("Ready for runs.")
    RunHost(Path(sys.argv[1]), be_dagster).serve()


if __name__ == "__main__":
    main()
