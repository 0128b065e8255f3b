"""The long-running system: real Dagster processes around a tiny module of definitions."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sensors.run_host import ask as ask_host
from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.databases import prepare
from shs_pipeline.database.embedded_postgres import LOG_BYTES, EmbeddedPostgres
from shs_pipeline.database.ports import free_port
from shs_pipeline.settings.settings import Settings
from shs_pipeline.system import ports
from shs_pipeline.system.doctor import _automation
from shs_pipeline.system.running import running_system
from shs_pipeline.system.state import concerns, look
from shs_pipeline.system.supervisor import down, up

DEFINITIONS = """
import time

import dagster as dg

@dg.asset
def greeting(): ...

@dg.asset
def endless():
    time.sleep(600)

RUNNING = dg.DefaultSensorStatus.RUNNING

@dg.sensor(asset_selection=[greeting], default_status=RUNNING, minimum_interval_seconds=600)
def landing():
    return dg.SkipReason("nothing is there")

defs = dg.Definitions(assets=[greeting, endless], sensors=[landing], executor=dg.in_process_executor)
"""
LAUNCH = """
mutation ($asset: String!) { launchRun(executionParams: {
    selector: {
        repositoryLocationName: "shs", repositoryName: "__repository__", pipelineName: "__ASSET_JOB",
        assetSelection: [{path: [$asset]}]
    }, mode: "default", runConfigData: "{}"
}) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
TERMINATE = "mutation ($run: String!) { terminateRun(runId: $run) { __typename } }"
RUNS = "{ runsOrError { ... on Runs { results { runId rootRunId status } } } }"
SENSOR = "{ repositoriesOrError { ... on RepositoryConnection { nodes { sensors { id } } } } }"
STOP = "mutation ($sensor: String!) { stopSensor(id: $sensor) { __typename } }"
START = """
mutation { startSensor(sensorSelector: {
    repositoryLocationName: "shs", repositoryName: "__repository__", sensorName: "landing"
}) { __typename } }
"""
RUN = """
import sys
from pathlib import Path
from shs_pipeline.base.errors import ShsError
from shs_pipeline.settings.settings import Settings
from shs_pipeline.system import supervisor
supervisor.AUTOMATION_PAUSE = 1.0
try:
    settings = Settings(home=Path(sys.argv[1]))
    supervisor.up(settings, module=sys.argv[2], say=lambda line: print(line, flush=True))
except ShsError as error:
    print(error, flush=True)
    sys.exit(1)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home for all tests of this file, so that Dagster's tables are made once."""
    folder = tmp_path_factory.mktemp("system")
    (folder / "tiny_definitions.py").write_text(DEFINITIONS)
    (folder / "broken_definitions.py").write_text("import no_such_module_anywhere\n")
    home = folder / "home"
    yield home
    down(Settings(home=home))


def start(home: Path, module: str = "tiny_definitions") -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SHS_")}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(home), module],
        stdout=subprocess.PIPE, text=True, env={**environment, "PYTHONPATH": str(home.parent)},
    )  # fmt: skip


def read_until(process: subprocess.Popen[str], words: str) -> list[str]:
    assert process.stdout is not None
    seen: list[str] = []
    # Whoever waits for words that do not come should be told so.
    too_long = threading.Timer(120, process.kill)
    too_long.start()
    try:
        for line in process.stdout:
            seen.append(line.rstrip())
            if words in line:
                return seen
    finally:
        too_long.cancel()
    raise AssertionError(f"ended without saying {words!r}: {seen}")


def children(home: Path) -> dict[str, int]:
    record = running_system(Settings(home=home))
    assert record is not None
    names = {
        "sensors.run_host": "run-host",
        "code-server": "code-server",
        "sensors.guarded_webserver": "webserver",
        "dagster-daemon": "daemon",
        "shs_pipeline.preview": "preview",
    }
    return {
        name: int(pid)
        for pid, command in record.children.items()
        for word, name in names.items()
        if any(part.endswith(word) for part in command)
    }


def group_lives(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass(frozen=True)
class System:
    """A running system, and what it said until it ran."""

    process: subprocess.Popen[str]
    said: list[str]


@pytest.fixture(scope="module")
def systems() -> list[System]:
    """Those that were started, the last of which may still run."""
    return []


@pytest.fixture
def system(home: Path, systems: list[System]) -> System:
    """A system that runs: the one that a test before this one left, since each start takes half a minute."""
    if not systems or systems[-1].process.poll() is not None:
        process = start(home)
        systems.append(System(process, read_until(process, "Running.")))
    return systems[-1]


def test_it_starts_in_order_and_refuses_a_second(home: Path, system: System) -> None:
    said = system.said
    settings = Settings(home=home)
    running = running_system(settings)
    assert running is not None
    started = children(home)

    assert said[0] == "Database: ready."
    assert said[1] == "Code location: loaded."
    assert list(started) == ["run-host", "code-server", "webserver", "daemon", "preview"]
    assert any(line.startswith("Dashboards:") and running.preview in line for line in said)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(running.url, timeout=30) as page:
        assert page.status == 200
    with pytest.raises(ShsError, match="is already running at"):
        up(settings)
    shown = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=False).stdout
    assert EmbeddedPostgres(home).read_secrets().owner_password not in shown


def ask(home: Path, query: str, **variables: str) -> dict[str, Any]:
    record = running_system(Settings(home=home))
    assert record is not None
    request = urllib.request.Request(
        f"{record.url}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    assert "errors" not in found, found
    data: dict[str, Any] = found["data"]
    return data


def stop_the_sensor(home: Path) -> None:
    (sensor,) = ask(home, SENSOR)["repositoriesOrError"]["nodes"][0]["sensors"]
    ask(home, STOP, sensor=sensor["id"])


def statuses(home: Path, run: str) -> list[str]:
    """The status of a run and of those that repeat it, newest first."""
    found = ask(home, RUNS)["runsOrError"]["results"]
    return [each["status"] for each in found if run in (each["runId"], each["rootRunId"])]


def wait_until(home: Path, run: str, wanted: list[str]) -> None:
    deadline = time.monotonic() + 120
    while (found := statuses(home, run)) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.3)


def wait_until_it_runs(server: EmbeddedPostgres) -> None:
    deadline = time.monotonic() + 60
    while server.status().state != "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def process_of(home: Path, run: str) -> int:
    """The process id of a run, as the run host knows it."""
    record = running_system(Settings(home=home))
    assert record is not None
    host = next(command for command in record.children.values() if "sensors.run_host" in command)
    deadline = time.monotonic() + 60
    while (pid := ask_host(Path(host[-1]), {"do": "look", "run": run})["pid"]) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(pid)


@pytest.mark.soak
def test_a_run_is_a_fork_of_the_run_host_that_can_be_ended_and_is_repeated_when_it_was_killed(
    home: Path, system: System
) -> None:
    short = ask(home, LAUNCH, asset="greeting")["launchRun"]["run"]["runId"]
    wait_until(home, short, ["SUCCESS"])

    ended = ask(home, LAUNCH, asset="endless")["launchRun"]["run"]["runId"]
    wait_until(home, ended, ["STARTED"])
    assert ask(home, TERMINATE, run=ended)["terminateRun"]["__typename"] == "TerminateRunSuccess"
    wait_until(home, ended, ["CANCELED"])

    killed = ask(home, LAUNCH, asset="endless")["launchRun"]["run"]["runId"]
    wait_until(home, killed, ["STARTED"])
    os.kill(process_of(home, killed), signal.SIGKILL)
    wait_until(home, killed, ["STARTED", "FAILURE"])


def test_a_sensor_that_was_stopped_is_told_with_how_to_start_it(home: Path, system: System) -> None:
    settings = Settings(home=home)
    running = running_system(settings)
    assert running is not None
    ask(home, START)
    assert look(settings).stopped == []
    assert _automation(settings).state == "ok"

    stop_the_sensor(home)

    said = read_until(system.process, "Switched off")[-1]
    (concern,) = [one.what for one in concerns(look(settings)) if "Switched off" in one.what]
    finding = _automation(settings)
    told = "Switched off in Dagster: landing (dropped files are not ingested)."
    assert said == concern == f"{told} Switch it on again at {running.url}/automation."
    assert (finding.state, finding.found) == ("warn", told)
    assert finding.remedy == f"Switch it on again at {running.url}/automation."

    ask(home, START)
    read_until(system.process, "All sensors and schedules are switched on again.")
    assert look(settings).stopped == []


def test_a_log_that_grows_while_it_runs_is_put_aside(home: Path, system: System) -> None:
    log = EmbeddedPostgres(home).log_file
    old = log.with_name("postgres.log.1")
    with log.open("ab") as handle:
        handle.truncate(LOG_BYTES + 1)

    deadline = time.monotonic() + 60
    while log.stat().st_size > LOG_BYTES and time.monotonic() < deadline:
        time.sleep(0.1)

    assert old.stat().st_size > LOG_BYTES
    assert log.stat().st_size < LOG_BYTES
    assert system.process.poll() is None


def test_down_stops_all_of_it_and_the_runs(home: Path, system: System) -> None:
    settings = Settings(home=home)
    started = children(home)
    stop_the_sensor(home)

    stopped = down(settings)

    assert stopped.system
    assert system.process.wait(60) == 0
    assert not any(group_lives(pid) for pid in started.values())
    assert running_system(settings) is None
    assert EmbeddedPostgres(home).status().state == "stopped"
    assert not down(settings).system
    # Told without a running system too.
    assert look(settings).stopped == ["landing"]
    assert "shs up starts it" in _automation(settings).remedy
    down(settings)


@pytest.mark.soak
def test_a_stopped_database_comes_back_and_a_part_that_dies_takes_the_rest_along(
    home: Path, request: pytest.FixtureRequest
) -> None:
    settings = Settings(home=home)
    if look(settings).stopped != ["landing"]:  # as the test before leaves it
        request.getfixturevalue("system")
        stop_the_sensor(home)
    down(settings)
    prepare(settings)  # somebody else's start: the server is not up's to stop
    process = start(home)
    read_until(process, "Running.")
    read_until(process, "Switched off in Dagster: landing")
    started = children(home)
    EmbeddedPostgres(home).stop()
    # Started again by the system, or by the preview, whoever misses it first.
    wait_until_it_runs(EmbeddedPostgres(home))
    os.kill(started["preview"], signal.SIGKILL)
    read_until(process, "The dashboards stopped; starting them again")

    os.kill(started["daemon"], signal.SIGKILL)

    said = read_until(process, "stopped unexpectedly")[-1]
    assert "The daemon stopped unexpectedly (killed by SIGKILL)" in said
    assert str(home / "logs" / "daemon.log") in said
    assert process.wait(60) == 1
    assert not any(group_lives(pid) for pid in started.values())
    assert EmbeddedPostgres(home).status().state == "running"


def test_what_a_killed_system_left_is_cleared(home: Path) -> None:
    process = start(home)
    read_until(process, "Database: ready.")
    deadline = time.monotonic() + 60
    while "code-server" not in (started := children(home)) and time.monotonic() < deadline:
        time.sleep(0.1)

    process.kill()
    process.wait()
    assert group_lives(started["code-server"])
    down(Settings(home=home))

    while group_lives(started["code-server"]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not group_lives(started["code-server"])
    assert not (home / "up.json").exists()
    assert {"code_server", "webserver", "preview"} == set(json.loads((home / "ports.json").read_text()))


def test_a_home_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ShsError, match="Nothing can be written to") as found:
        up(Settings(home=tmp_path / "file" / "home"))

    assert "SHS_HOME" in found.value.remedy


def test_a_port_that_is_taken_is_said_and_another_one_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setattr(ports, "USUAL_PREVIEW_PORT", taken)

        with ExitStack() as held:
            port = ports.settle_ports(tmp_path, held)["preview"]

        assert port != taken
        with ExitStack() as held:
            assert ports.settle_ports(tmp_path, held)["preview"] == port
        assert ports.instead_of(taken, port) == f" (port {taken} is taken)"


def test_two_systems_that_start_together_settle_on_different_ports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither listens yet: each webserver imports for seconds first.
    monkeypatch.setattr(ports, "USUAL_WEB_PORT", free_port())
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()

    with ExitStack() as first, ExitStack() as second:
        one = ports.settle_ports(tmp_path / "one", first)
        two = ports.settle_ports(tmp_path / "two", second)

        assert one["webserver"] == ports.USUAL_WEB_PORT
        assert not set(one.values()) & set(two.values())
    with ExitStack() as later:
        assert ports.settle_ports(tmp_path / "one", later) == one


@pytest.mark.soak
def test_definitions_that_do_not_load_are_said_in_one_sentence(home: Path) -> None:
    process = start(home, "broken_definitions")

    said = read_until(process, "cannot be loaded")[-1]

    assert "broken_definitions" in said
    assert "no_such_module_anywhere" in said
    assert process.wait(60) == 1
