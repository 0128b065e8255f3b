"""The process in whose forks runs are carried out, and the launcher that asks it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sensors.run_host import LIBRARIES, ask

# A host whose forks sleep, or end with a code, as they are told. Where it may, it has more files open than
# select() can tell apart.
HOST = """
import os, resource, signal, sys, time
from pathlib import Path
from sensors.run_host import RunHost

# Whoever started the tests may have had it ignored, which is handed down.
signal.signal(signal.SIGTERM, signal.SIG_DFL)

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
open_files = []
if most == resource.RLIM_INFINITY or most >= 2048:
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, most))
    open_files = [open(os.devnull) for _ in range(1024)]

def carry_out(command):
    what, number = command
    if what == "sleep":
        time.sleep(float(number))
    os._exit(int(number) if what == "exit" else 0)

RunHost(Path(sys.argv[1]), carry_out, grace_seconds=0.5).serve()
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("host") / "socket"
    process = subprocess.Popen([sys.executable, "-c", HOST, str(path)], start_new_session=True)
    until(path.exists)
    yield path
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def run() -> str:
    """A run that the host of all tests here has not seen."""
    return str(uuid4())


def until(question: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 30
    while not (answer := question()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


def start(host: Path, run: str, *command: str) -> dict[str, Any]:
    return ask(host, {"do": "start", "run": run, "command": command})


def state_of(pid: int) -> str:
    """The letter that the kernel gives for what a process does: T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def look(host: Path, run: str) -> dict[str, Any]:
    return ask(host, {"do": "look", "run": run})


@pytest.mark.parametrize("code", ["0", "3"])
def test_how_a_run_ended_is_known(host: Path, run: str, code: str) -> None:
    assert start(host, run, "exit", code)["pid"]

    until(lambda: look(host, run)["pid"] is None)

    assert look(host, run) == {"pid": None, "exit": int(code)}


def test_a_run_that_was_killed_is_known_to_have_ended(host: Path, run: str) -> None:
    os.kill(start(host, run, "sleep", "60")["pid"], signal.SIGKILL)

    until(lambda: look(host, run)["exit"] is not None)

    assert look(host, run) == {"pid": None, "exit": -signal.SIGKILL}


def test_a_run_ends_when_asked_and_the_others_go_on(host: Path, run: str) -> None:
    start(host, run, "sleep", "60")
    other = start(host, f"{run}-other", "sleep", "60")["pid"]

    assert ask(host, {"do": "end", "run": run})["pid"] is not None

    until(lambda: look(host, run)["pid"] is None)
    assert look(host, f"{run}-other") == {"pid": other, "exit": None}


def test_a_suspended_run_is_killed_when_it_is_told_to_end_and_does_not(host: Path, run: str) -> None:
    pid = start(host, run, "sleep", "60")["pid"]
    os.kill(pid, signal.SIGSTOP)
    # Of two signals that wait, the lower number comes first: SIGTERM would win.
    until(lambda: state_of(pid) == "T")

    ask(host, {"do": "end", "run": run})

    assert until(lambda: look(host, run)["exit"]) == -signal.SIGKILL


def test_a_request_that_comes_twice_starts_one_process(host: Path, run: str) -> None:
    first = start(host, run, "sleep", "60")

    assert start(host, run, "sleep", "60") == first


def test_a_request_that_comes_again_after_the_end_starts_nothing(host: Path, run: str) -> None:
    start(host, run, "exit", "3")
    until(lambda: look(host, run)["exit"] is not None)

    assert start(host, run, "exit", "0") == {"pid": None, "exit": 3}


def test_an_unknown_run_is_neither_running_nor_ended(host: Path) -> None:
    assert look(host, "never seen") == {"pid": None, "exit": None}
    assert ask(host, {"do": "end", "run": "never seen"})["pid"] is None


@pytest.mark.parametrize("said", [b"", b"no JSON", b"[]", b'{"do": "start", "run": "a"}'])
def test_nonsense_does_not_end_the_host(host: Path, run: str, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(host))
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""

    assert start(host, run, "exit", "0")["pid"]


@pytest.mark.slow
def test_the_host_imports_what_takes_long_and_nothing_of_ours(tmp_path: Path) -> None:
    # A module of ours that the host had read would be old after a reload of the code location.
    seen = """
import sys
from sensors import run_host
run_host.preload()
import os, threading
# A fork takes along the thread that forks, and no other.
assert threading.active_count() == 1
assert not os.path.isdir("/proc/self/task") or len(os.listdir("/proc/self/task")) == 1
print(*sys.modules)
"""
    shown = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True).stdout
    modules = set(shown.split())

    assert set(LIBRARIES) <= modules
    ours = {name for name in modules if name.split(".")[0] in ("shs_pipeline", "assets", "sensors")}
    assert ours == {"sensors", "sensors.run_host"}


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.5, 1.5])
def test_it_ends_when_asked_also_while_it_imports(tmp_path: Path, seconds: float) -> None:
    process = subprocess.Popen([sys.executable, "-m", "sensors.run_host", str(tmp_path / "socket")])
    try:
        until(lambda: "sensors.run_host" in Path(f"/proc/{process.pid}/cmdline").read_text())
        time.sleep(seconds)

        process.terminate()

        assert process.wait(30) in (-signal.SIGTERM, 0)
    finally:
        process.kill()
