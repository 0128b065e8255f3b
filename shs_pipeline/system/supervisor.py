"""The long-running system: database, code server, webserver and daemon together.

`up` starts them in the order in which they need each other. The daemon comes last, once the
webserver shows the code location as loaded: started earlier it finds no sensors and looks again
only after a minute.

We looked at four libraries before keeping our own code. supervisord starts by priority and never waits for a
part
to answer (its open issue 122), and wants a daemon and a configuration file of its own. Circus waits a fixed
time after each start (`warmup_delay`), and every user of the machine reaches the TCP ports by which it is
controlled. Honcho starts everything at once. Procrastinate queues jobs; it runs no services. With each of
them we would still have to wait until a part answers, and to end what a killed `up` left behind.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.private_files import make_private_folder
from shs_pipeline.base.whole_files import write_whole
from shs_pipeline.database.databases import prepare
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.database.ports import HOST, is_free
from shs_pipeline.settings.settings import project_root
from shs_pipeline.system.automation import how_to_start, switched_off, told
from shs_pipeline.system.code_location import is_loaded
from shs_pipeline.system.dagster_home import dagster_environment, write_dagster_home
from shs_pipeline.system.ports import (
    PREVIEW,
    USUAL_PREVIEW_PORT,
    USUAL_WEB_PORT,
    claimed_port,
    instead_of,
    settle_ports,
)
from shs_pipeline.system.processes import (
    Child,
    how_it_ended,
    start,
    stop_all,
    stop_signals,
)
from shs_pipeline.system.running import (
    RunningSystem,
    end,
    needs_you,
    only_one,
    read_record,
    running_system,
    stop_leftovers,
)
from shs_pipeline.system.start_here.writing import tell_bucket

if TYPE_CHECKING:
    from shs_pipeline.settings.settings import Settings

LOCATION = "shs"
START_SECONDS = 180.0
PREVIEW_PAUSE = 30.0
AUTOMATION_PAUSE = 10.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stopped:
    """What `down` found running and stopped."""

    system: bool
    database: bool


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
        ShsError: already running, a part that does not start, or one that stopped unexpectedly.
    """
    if settings.code_server:
        raise ShsError(
            f"This system's services run separately (SHS_CODE_SERVER is {settings.code_server}).",
            "Start them as docs/containers.md describes; shs up is for machines without containers.",
        )
    _check_writable(settings.home)
    with only_one(settings.home) as is_ours:
        if not is_ours:
            raise _runs_already(settings)
        stop_leftovers(settings.home)
        with stop_signals() as stop:
            _System(settings, module, say, stop).run()


def down(settings: Settings) -> Stopped:
    """Stop a running `up` and the embedded database of this home.

    Raises:
        ShsError: a process that cannot be stopped.
    """
    system = running_system(settings)
    if system is not None:
        end(system.pid, settings.home)
    elif settings.home.is_dir():
        stop_leftovers(settings.home)
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
        self.children: list[Child] = []
        self.server = None if settings.database_url else EmbeddedPostgres(self.home, settings.pg_bin)
        self.claims = ExitStack()
        ports = settle_ports(self.home, self.claims)
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
            # Whoever begins with an empty bucket finds in it what to do.
            tell_bucket(self.settings)
            self.environment = {
                **os.environ, **dagster_environment(self.settings, databases), "PYTHONUNBUFFERED": "1",
                "SHS_DAGSTER_RUN_HOST": str(self.runs / "socket"),
            }  # fmt: skip
            self._start_all()
            self._watch()
        finally:
            if self.children:
                self.say("Stopping …")
                # The daemon early, so that it launches nothing more; the code server's runs last.
                stop_all(self.children)
            if was_started and self.server is not None:
                self.server.stop()
            (self.home / "up.json").unlink(missing_ok=True)
            self.claims.close()
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
        self.say(f"Dagster UI:    {self.url}{instead_of(USUAL_WEB_PORT, self.web_port)}")
        self.say(f"What needs you: {needs_you(self.url)}")
        preview = f"{self.preview_url}{instead_of(USUAL_PREVIEW_PORT, self.preview_port)}"
        self.say(f"Dashboards:    {preview} as an admin sees them, once something is published")
        self.say(f"Landing zone:  {_shown_address(self.settings.landing)}")
        self.say(f"Logs:          {self.home / 'logs'}")
        self.say("Running. Anyone on this machine can open these pages. Press Ctrl-C to stop everything.")

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
        self._start("run-host", "-m", "sensors.run_host", str(self.runs / "socket"))

    def _start_code_server(self, workspace: Path) -> None:
        del workspace
        child = self._start(
            "code-server", "-m", "dagster", "code-server", "start",
            "--host", HOST, "--port", str(self.code_port), "--module-name", self.module,
            "--working-directory", str(project_root()), "--location-name", LOCATION,
            "--use-python-environment-entry-point", "--log-format", "rich",
        )  # fmt: skip
        self._wait_for(child, lambda: _answers(self.code_port))

    def _start_webserver(self, workspace: Path) -> None:
        child = self._start(
            "webserver", "-m", "sensors.guarded_webserver", "--host", HOST, "--port", str(self.web_port),
            "--workspace", str(workspace),
        )  # fmt: skip
        code_log = self.home / "logs" / "code-server.log"
        self._wait_for(child, lambda: is_loaded(self.url, self.module, str(code_log)))
        self.say("Code location: loaded.")

    def _start_daemon(self, workspace: Path) -> None:
        program = Path(sysconfig.get_path("scripts")) / "dagster-daemon"
        self._start("daemon", str(program), "run", "--workspace", str(workspace))

    def _start_preview(self, workspace: Path | None = None) -> None:
        del workspace
        # It waits until there is something to show.
        self._start(PREVIEW, "-m", "shs_pipeline.preview", str(self.preview_port))

    def _start(self, name: str, *arguments: str) -> Child:
        log_file = self.home / "logs" / f"{name}.log"
        child = start(name, arguments, log_file, project_root(), self.environment)
        self.children.append(child)
        self._record()
        return child

    def _record(self) -> None:
        children = {str(child.process.pid): child.command for child in self.children}
        record = RunningSystem(os.getpid(), self.url, children, self.preview_url)
        write_whole(self.home / "up.json", json.dumps(asdict(record)))

    def _wait_for(self, child: Child, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.stop.is_set():
            self._check_children()
            if is_ready():
                return
            if time.monotonic() > deadline:
                raise ShsError(
                    f"The {child.name} did not answer within {START_SECONDS:.0f} s.",
                    f"See {child.log_file}, then start again.",
                )
            self.stop.wait(0.1)

    def _watch(self) -> None:
        while not self.stop.wait(1.0):
            self._check_children()
            self._look_after_database()
            self._look_after_preview()
            self._look_at_automation()

    def _look_after_database(self) -> None:
        if self.server is None:
            return
        if self.server.status().state == "stopped":
            self.say("The database had stopped; starting it again.")
            self.server.ensure_running()
        # Each login that fails writes a line, the password right or wrong.
        self.server.rotate_log()

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
                f"{told(found)} {how_to_start(self.url)}"
                if found
                else "All sensors and schedules are switched on again."
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
        self.say(f"The dashboards stopped; starting them again (see {ended[0].log_file}).")
        if not is_free(self.preview_port):
            self.preview_port = claimed_port(self.claims)
            self.preview_url = f"http://{HOST}:{self.preview_port}"
            self.say(f"Another program uses their port. Dashboards: {self.preview_url}")
        self._start_preview()

    def _check_children(self) -> None:
        for child in self.children:
            code = child.process.poll()
            if code is not None and child.name != PREVIEW:
                raise ShsError(
                    f"The {child.name} stopped unexpectedly ({how_it_ended(code)}), so everything was "
                    "stopped.",
                    f"See the end of {child.log_file}, then start again.",
                )


def _runs_already(settings: Settings) -> ShsError:
    record = read_record(settings.home)
    where = f" at {record.url}" if record else ""
    return ShsError(
        f"The system in {settings.home} is already running{where}.",
        "Stop it with shs down, or set SHS_HOME to another folder to run a second one.",
    )


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
            "Make that folder writable, free some space on its disk, or set SHS_HOME to another folder.",
        ) from None


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((HOST, port)) == 0
