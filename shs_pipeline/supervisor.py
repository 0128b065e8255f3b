"""The long-running system: database, code server, webserver and daemon as one thing.

`up` starts them in the order in which they need each other. The daemon comes last, once the
webserver shows the code location as loaded: started earlier it finds no sensors and looks again
only after a minute. Each child leads its own session, so that Ctrl-C reaches only this process and
stopping reaches the child's workers too.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote

from shs_pipeline.automation import how_to_start, switched_off, told
from shs_pipeline.database import dagster_environment, prepare, write_dagster_home
from shs_pipeline.embedded_postgres import HOST, EmbeddedPostgres, free_port, is_free
from shs_pipeline.errors import ShsError
from shs_pipeline.private_files import make_private_folder
from shs_pipeline.settings import project_root
from shs_pipeline.whole_files import write_whole

if TYPE_CHECKING:
    from shs_pipeline.settings import Settings

LOCATION = "shs"
USUAL_WEB_PORT = 3000
USUAL_PREVIEW_PORT = 8642
PREVIEW = "preview"
START_SECONDS = 180.0
STOP_SECONDS = 25.0
LARGEST_LOG = 10 * 1024 * 1024
PREVIEW_PAUSE = 30.0
AUTOMATION_PAUSE = 10.0

_LOADED = """
{ workspaceOrError {
    __typename
    ... on Workspace { locationEntries { loadStatus locationOrLoadError {
        __typename ... on PythonError { message } } } }
    ... on PythonError { message } } }
"""

log = logging.getLogger(__name__)


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


@dataclass(frozen=True)
class Stopped:
    """What `down` found running and stopped."""

    system: bool
    database: bool


@dataclass
class _Child:
    name: str
    command: list[str]
    process: subprocess.Popen[bytes]
    log_file: Path


def up(
    settings: Settings,
    module: str = "shs_pipeline.definitions",
    say: Callable[[str], None] = print,
) -> None:
    """Run the system until Ctrl-C, SIGTERM, or the end of one of its parts.

    Args:
        settings: home, landing zone and database of this system.
        module: the module with Dagster's definitions.
        say: shows one line of progress to the person at the terminal.

    Raises:
        ShsError: already running, a part that does not start, or one that ended by itself.
    """
    if settings.code_server:
        raise ShsError(
            f"The services of this system run apart (SHS_CODE_SERVER is {settings.code_server}).",
            "Start them as docs/containers.md says; shs up is for a machine without containers.",
        )
    _check_writable(settings.home)
    with _only_one(settings.home) as is_ours:
        if not is_ours:
            raise _runs_already(settings)
        _stop_leftovers(settings.home)
        with _stop_signals() as stop:
            _System(settings, module, say, stop).run()


def running_system(settings: Settings) -> RunningSystem | None:
    """Return what runs for this home, None when no `up` is alive."""
    with _only_one(settings.home) as is_ours:
        return None if is_ours else _read_record(settings.home)


def down(settings: Settings) -> Stopped:
    """Stop a running `up` and the embedded database of this home.

    Raises:
        ShsError: a process that cannot be stopped.
    """
    system = running_system(settings)
    if system is not None:
        _end(system.pid, settings.home)
    elif settings.home.is_dir():
        _stop_leftovers(settings.home)
    database = EmbeddedPostgres(settings.home, settings.pg_bin).stop()
    return Stopped(system is not None, database)


class _System:
    """One run of `up`: start in order, watch, stop in reverse order."""

    def __init__(
        self, settings: Settings, module: str, say: Callable[[str], None], stop: threading.Event
    ) -> None:
        self.settings = settings
        self.module = module
        self.say = say
        self.stop = stop
        self.home = settings.home
        self.children: list[_Child] = []
        self.server = None if settings.database_url else EmbeddedPostgres(self.home, settings.pg_bin)
        ports = _settle_ports(self.home)
        self.code_port, self.web_port, self.preview_port = (
            ports["code_server"],
            ports["webserver"],
            ports[PREVIEW],
        )
        self.url = f"http://{HOST}:{self.web_port}"
        self.preview_url = f"http://{HOST}:{self.preview_port}"
        self.next_preview = 0.0
        self.next_automation = 0.0
        self.switched_off: list[str] = []
        # In the system's folder for such things: the path of a socket may have a hundred letters.
        self.runs = Path(tempfile.mkdtemp(prefix="shs-runs-"))

    def run(self) -> None:
        was_started = False
        try:
            self._record()
            databases = prepare(self.settings)
            was_started = databases.was_started
            self.dagster_url = databases.dagster_url
            self.say("Database: ready.")
            self.environment = {
                **os.environ, **dagster_environment(self.settings, databases), "PYTHONUNBUFFERED": "1",
                "SHS_DAGSTER_RUN_HOST": str(self.runs / "socket"),
            }  # fmt: skip
            self._start_all()
            self._watch()
        finally:
            self._stop_all()
            if was_started and self.server is not None:
                self.server.stop()
            (self.home / "up.json").unlink(missing_ok=True)
            shutil.rmtree(self.runs, ignore_errors=True)
        self.say("Stopped.")

    def _start_all(self) -> None:
        workspace = self._write_workspace()
        # The run host imports while the others start; it is waited for by the first run.
        steps = (
            self._start_run_host, self._start_code_server, self._start_webserver, self._start_daemon,
            self._start_preview,
        )  # fmt: skip
        for step in steps:
            if self.stop.is_set():
                return
            step(workspace)
        if self.stop.is_set():
            return
        self.say(f"Dagster UI:    {self.url}{_instead_of(USUAL_WEB_PORT, self.web_port)}")
        preview = f"{self.preview_url}{_instead_of(USUAL_PREVIEW_PORT, self.preview_port)}"
        self.say(f"Dashboards:    {preview} as an admin sees them, once something is published")
        self.say(f"Landing zone:  {_shown_address(self.settings.landing)}")
        self.say(f"Logs:          {self.home / 'logs'}")
        self.say("Running. Anybody on this machine can open these pages. Ctrl-C stops everything.")

    def _write_workspace(self) -> Path:
        configuration = project_root() / "dagster.yaml"
        if not configuration.is_file():
            raise ShsError(
                f"There is no dagster.yaml in {project_root()}.",
                "Run shs up in the project folder.",
            )
        workspace = write_dagster_home(self.settings, configuration) / "workspace.yaml"
        server = {"host": HOST, "port": self.code_port, "location_name": LOCATION}
        # JSON is YAML too.
        write_whole(workspace, json.dumps({"load_from": [{"grpc_server": server}]}))
        return workspace

    def _start_run_host(self, workspace: Path) -> None:
        del workspace
        self._start("run-host", "sensors.run_host", str(self.runs / "socket"))

    def _start_code_server(self, workspace: Path) -> None:
        del workspace
        child = self._start(
            "code-server", "dagster", "code-server", "start", "--host", HOST, "--port", str(self.code_port),
            "--module-name", self.module, "--working-directory", str(project_root()),
            "--location-name", LOCATION, "--use-python-environment-entry-point", "--log-format", "rich",
        )  # fmt: skip
        self._wait_for(child, lambda: _answers(self.code_port))

    def _start_webserver(self, workspace: Path) -> None:
        child = self._start(
            "webserver", "sensors.guarded_webserver", "--host", HOST, "--port", str(self.web_port),
            "--workspace", str(workspace),
        )  # fmt: skip
        self._wait_for(child, self._is_loaded)
        self.say("Code location: loaded.")

    def _start_daemon(self, workspace: Path) -> None:
        self._start("daemon", "dagster._daemon", "run", "--workspace", str(workspace))

    def _start_preview(self, workspace: Path | None = None) -> None:
        del workspace
        # It waits by itself until there is something to show.
        self._start(PREVIEW, "shs_pipeline.preview", str(self.preview_port))

    def _is_loaded(self) -> bool:
        entries = _locations(self.url)
        if not entries or any(entry["loadStatus"] != "LOADED" for entry in entries):
            return False
        found = entries[0]["locationOrLoadError"]
        if found and found["__typename"] == "PythonError":
            lines = [line for line in found["message"].splitlines() if line.strip()] or ["no message"]
            raise ShsError(
                f"The module {self.module} cannot be loaded: {lines[-1].strip()}",
                f"Fix what {self.home / 'logs' / 'code-server.log'} shows and start again.",
            )
        return True

    def _start(self, name: str, *arguments: str) -> _Child:
        log_file = self.home / "logs" / f"{name}.log"
        command = [sys.executable, "-m", *arguments]
        with _open_log(log_file) as sink:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                cwd=project_root(), env=self.environment, start_new_session=True,
            )  # fmt: skip
        child = _Child(name, command, process, log_file)
        self.children.append(child)
        self._record()
        return child

    def _record(self) -> None:
        children = {str(child.process.pid): child.command for child in self.children}
        record = RunningSystem(os.getpid(), self.url, children, self.preview_url)
        write_whole(self.home / "up.json", json.dumps(asdict(record)))

    def _wait_for(self, child: _Child, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.stop.is_set():
            self._check_children()
            if is_ready():
                return
            if time.monotonic() > deadline:
                raise ShsError(
                    f"The {child.name} does not answer after {START_SECONDS:.0f} s.",
                    f"Look at {child.log_file}, then start again.",
                )
            self.stop.wait(0.1)

    def _watch(self) -> None:
        while not self.stop.wait(1.0):
            self._check_children()
            if self.server is not None and self.server.status().state == "stopped":
                self.say("The database had stopped; starting it again.")
                self.server.ensure_running()
            self._look_after_preview()
            self._look_at_automation()

    def _look_at_automation(self) -> None:
        """Say which sensors and schedules are switched off, once each time that it changes."""
        if time.monotonic() < self.next_automation:
            return
        self.next_automation = time.monotonic() + AUTOMATION_PAUSE
        try:
            found = switched_off(self.dagster_url)
        except ShsError:
            return  # the database is away, which the parts that need it tell
        if found != self.switched_off:
            self.switched_off = found
            self.say(
                f"{told(found)} {how_to_start(self.url)}" if found else "All sensors and schedules run again."
            )

    def _look_after_preview(self) -> None:
        """Start the dashboards again when they ended: the rest does not depend on them."""
        ended = [
            child for child in self.children if child.name == PREVIEW and child.process.poll() is not None
        ]
        if not ended or time.monotonic() < self.next_preview:
            return
        self.next_preview = time.monotonic() + PREVIEW_PAUSE
        self.children.remove(ended[0])
        self.say(f"The dashboards ended; starting them again (see {ended[0].log_file}).")
        if not is_free(self.preview_port):
            self.preview_port = free_port()
            self.preview_url = f"http://{HOST}:{self.preview_port}"
            self.say(f"Their port is taken by another program. Dashboards: {self.preview_url}")
        self._start_preview()

    def _check_children(self) -> None:
        for child in self.children:
            code = child.process.poll()
            if code is not None and child.name != PREVIEW:
                raise ShsError(
                    f"The {child.name} ended by itself ({_how_it_ended(code)}), so everything was stopped.",
                    f"Look at the end of {child.log_file}, then start again.",
                )

    def _stop_all(self) -> None:
        if not self.children:
            return
        self.say("Stopping …")
        # The daemon first, so that it launches nothing more; the code server's runs last.
        for child in reversed(self.children):
            _signal_group(child.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(_group_lives(child) for child in self.children) and time.monotonic() < deadline:
            time.sleep(0.1)
        for child in self.children:
            if _group_lives(child):
                log.warning("The %s did not stop in time and is killed.", child.name)
                _signal_group(child.process.pid, signal.SIGKILL)
            child.process.wait()


# --- one at a time, and what a killed one left ----------------------------------------------


@contextmanager
def _only_one(home: Path) -> Iterator[bool]:
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


def _runs_already(settings: Settings) -> ShsError:
    record = _read_record(settings.home)
    where = f" at {record.url}" if record else ""
    return ShsError(
        f"The system of {settings.home} is already running{where}.",
        "Stop it with shs down, or set SHS_HOME to another folder to run a second one.",
    )


def _read_record(home: Path) -> RunningSystem | None:
    try:
        return RunningSystem(**json.loads((home / "up.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _end(pid: int, home: Path) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError:
        raise ShsError(
            f"The system of {home} was started by another user.", "Run shs down as that user or as root."
        ) from None
    except ProcessLookupError:
        pass
    deadline = time.monotonic() + STOP_SECONDS + 20
    while time.monotonic() < deadline:
        with _only_one(home) as is_free_now:
            if is_free_now:
                return
        time.sleep(0.1)
    raise ShsError(f"The system of {home} (process {pid}) does not stop.", f"Look at {home / 'logs'}.")


def _stop_leftovers(home: Path) -> None:
    """End children of an `up` that was killed, recognised by their whole command line."""
    record = _read_record(home)
    children = {} if record is None else record.children
    for signal_sent in (signal.SIGTERM, signal.SIGKILL):
        alive = [int(pid) for pid, command in children.items() if _command_line(int(pid)) == command]
        for pid in alive:
            log.warning("Ending process %s, left by a system that was killed.", pid)
            _signal_group(pid, signal_sent)
        deadline = time.monotonic() + 10
        while any(_command_line(pid) for pid in alive) and time.monotonic() < deadline:
            time.sleep(0.1)
    (home / "up.json").unlink(missing_ok=True)


def _command_line(pid: int) -> list[str]:
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


def _signal_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _group_lives(child: _Child) -> bool:
    child.process.poll()  # reaps the leader, which would count as alive otherwise
    try:
        os.killpg(child.process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return child.process.returncode is None
    return True


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
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


# --- ports, logs, questions -----------------------------------------------------------------


def _settle_ports(home: Path) -> dict[str, int]:
    """Return the port of each part: the recorded or usual one as long as it is free."""
    path = home / "ports.json"
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        known = {}
    usual = {"code_server": None, "webserver": USUAL_WEB_PORT, PREVIEW: USUAL_PREVIEW_PORT}
    ports: dict[str, int] = {}
    for name, usual_port in usual.items():
        port = known.get(name, usual_port)
        is_usable = isinstance(port, int) and port not in ports.values() and is_free(port)
        ports[name] = port if is_usable else free_port()
    write_whole(path, json.dumps(ports))
    return ports


def _instead_of(usual: int, port: int) -> str:
    return "" if port == usual or is_free(usual) else f" (port {usual} is taken)"


def _shown_address(landing: str) -> str:
    return unquote(landing.removeprefix("file://")) if landing.startswith("file://") else landing


def _check_writable(home: Path) -> None:
    """Make the home if it is not there.

    Raises:
        ShsError: nothing can be written there.
    """
    try:
        make_private_folder(home)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise ShsError(
            f"Nothing can be written to {home} ({error.strerror}), where the system keeps its state.",
            "Make that folder writable, or make room on its disk; or set SHS_HOME to another folder.",
        ) from None


def _open_log(path: Path) -> IO[bytes]:
    make_private_folder(path.parent)
    if path.is_file() and path.stat().st_size > LARGEST_LOG:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((HOST, port)) == 0


def _locations(url: str) -> list[dict[str, Any]]:
    """Return the code locations as the webserver sees them, empty while it does not answer."""
    workspace = (_ask(url, _LOADED) or {}).get("workspaceOrError") or {}
    entries: list[dict[str, Any]] = workspace.get("locationEntries", [])
    return entries


def _ask(url: str, query: str) -> dict[str, Any] | None:
    """Return what Dagster's webserver answers; None while it does not."""
    request = urllib.request.Request(  # noqa: S310 - our own webserver
        f"{url}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    # A proxy of the environment has no business with 127.0.0.1.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            found: dict[str, Any] | None = json.load(answer)["data"]
    except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError):
        return None
    return found


def _how_it_ended(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
