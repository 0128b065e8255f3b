"""The services of docker-compose.yml as processes of this machine, each with what the file gives it."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest
import yaml

from shs_pipeline.database.ports import free_port
from shs_pipeline.system.health import what_is_wrong

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
SHS = str(PROGRAMS / "shs")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DAGSTER_SERVICES = ("code", "webserver", "daemon")
ENDED = (0, -signal.SIGTERM, 128 + signal.SIGTERM)
"""Exit codes of a service that was asked to end."""


def wait_for(what: Callable[[], Any], seconds: float = 900) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)
    return found


def checkout_with_secrets(folder: Path) -> Path:
    """A checkout with the secrets made, as a newcomer has it after the first command."""
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "compose_secrets.sh", folder / "scripts")
    shutil.copy(ROOT / "docker-compose.yml", folder)
    shutil.copytree(ROOT / "deploy" / "compose", folder / "deploy" / "compose")
    make_secrets(folder)
    return folder


def make_secrets(folder: Path) -> str:
    script = folder / "scripts" / "compose_secrets.sh"
    return subprocess.run(["bash", script], capture_output=True, text=True, check=True).stdout


def secret_file(folder: Path, name: str) -> Path:
    return folder / COMPOSE["secrets"][name]["file"]


def with_defaults(text: str) -> str:
    """A text of the compose file as compose reads it where nothing else is set."""
    return re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", text)


def seen(folder: Path, *pids: int) -> Path:
    """The processes as a container shows them: these and no others of this machine."""
    for pid in pids:
        (folder / str(pid)).symlink_to(f"/proc/{pid}")
    return folder


def free_low_port() -> int:
    """A free port below those that the system gives out; 10,000 above, SeaweedFS takes one for gRPC."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as one, socket.socket() as other, suppress(OSError):
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10_000))
            return port


def answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def s3_service(checkout: Path, folder: Path, port: int | None = None) -> Iterator[str]:
    """The S3 server with the options of docker-compose.yml, on free ports; yields its `host:port`.

    Args:
        port: of the gateway, where others know it already.
    """
    weed = PROGRAMS / "weed"
    if not weed.is_file():
        pytest.skip("SeaweedFS is not installed")
    s3, master, volume, filer = port or free_low_port(), *(free_low_port() for _ in range(3))
    (folder / "data").mkdir(parents=True, exist_ok=True)
    told = [
        re.sub(r"/run/secrets/(\w+)", lambda found: str(secret_file(checkout, found[1])), word)
        .replace("0.0.0.0", "127.0.0.1")
        .replace("8333", str(s3))
        for word in SERVICES["s3"]["command"]
    ]
    with (folder / "s3.log").open("ab") as log:
        process = subprocess.Popen(
            # What the start script of the image puts in front.
            [weed, "-logtostderr=true", told[0], "-dir=data", "-master.volumePreallocate", *told[1:],
             f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"],
            cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        check = str(SERVICES["s3"]["healthcheck"]["test"][-1]).replace("8333", str(s3))
        wait_for(lambda: answers(check) or process.poll() is not None)
        assert process.poll() is None, (folder / "s3.log").read_text()[-3000:]
        yield f"127.0.0.1:{s3}"
    finally:
        process.kill()
        process.wait()


@dataclass
class Machine:
    """What stands for the containers, their volumes and their network.

    Attributes:
        checkout: with the secrets.
        folder: holds the volumes, by their place in the containers, and the logs.
        hosts: `host:port` on this machine by that of the compose file.
        mail_port: of what stands for the mail server.
    """

    checkout: Path
    folder: Path
    hosts: dict[str, str]
    mail_port: str
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hosts = {**self.hosts, "code:4000": f"127.0.0.1:{free_port()}"}
        self.web_port = str(free_port())

    @property
    def home(self) -> Path:
        return self.folder / "state"

    def environment(self, name: str) -> dict[str, str]:
        """What the compose file gives a service, and the image every one; nothing of this process's own."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SHS_", "AWS_", "DAGSTER_"))}
        image = {"SHS_HOME": str(self.home), "HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        given = dict(SERVICES[name].get("environment", {}))
        if given.get("SHS_SMTP_HOST") == "mail":
            given |= {"SHS_SMTP_HOST": "127.0.0.1", "SHS_SMTP_PORT": self.mail_port}
        return {**kept, **image, **{key: self._here(str(value)) for key, value in given.items()}}

    def _here(self, value: str) -> str:
        value = with_defaults(value)
        value = re.sub(r"/run/secrets/(\w+)", lambda one: str(secret_file(self.checkout, one[1])), value)
        value = value.replace("/var/lib/shs-people", str(self.folder / "people"))
        for there, here in self.hosts.items():
            value = value.replace(there, here)
        return value

    def start(self, name: str) -> None:
        changed = {
            "0.0.0.0": "127.0.0.1",
            "/app": str(ROOT),
            "4000": self.hosts["code:4000"].partition(":")[2],
            "3000": self.web_port,
        }
        command = [changed.get(word, word) for word in SERVICES[name]["command"]]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [SHS, "exec", "--", *command], env=self.environment(name), stdout=log, stderr=log,
                cwd=self.folder,
            )  # fmt: skip

    def run_script(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run a service that ends by itself: the script that the compose file mounts."""
        (mount,) = [one for one in SERVICES[name]["volumes"] if one.startswith("./deploy/")]
        script = self.checkout / mount.partition(":")[0]
        return subprocess.run(
            [sys.executable, script], env={**self.environment(name), "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def execute(
        self, name: str, words: list[str], *, stdin: int | IO[str] = subprocess.DEVNULL,
        stdout: int | IO[str] = subprocess.PIPE,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a command in the container of a service, as `docker compose exec` and `run` do."""
        return subprocess.run(
            words, env={**self.environment(name), "PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
            cwd=self.folder, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip

    def start_all(self) -> None:
        """As `depends_on` has it: the code first, the others once it is healthy."""
        self.start("code")
        wait_for(lambda: self.wrong("code") == "")
        for name in ("webserver", "daemon"):
            self.start(name)
        for name in ("webserver", "daemon"):
            wait_for(lambda name=name: self.wrong(name) == "")

    def restart(self, name: str) -> None:
        if name in self.running:
            self.end(name)
        self.start(name)
        wait_for(lambda: self.wrong(name) == "")

    def end(self, name: str) -> None:
        """Ask a service to end; it does so by itself."""
        process = self.running.pop(name)
        process.terminate()
        assert process.wait(90) in ENDED, name

    def wrong(self, name: str) -> str:
        """What the health check of a service says."""
        process = self.running[name]
        assert process.poll() is None, (self.folder / f"{name}.log").read_text()[-3000:]
        processes = self.folder / f"proc-{name}-{process.pid}"
        if not processes.is_dir():
            processes.mkdir()
            seen(processes, process.pid)
        return what_is_wrong(processes)

    def locations(self) -> list[dict[str, Any]]:
        entries = "locationEntries { name loadStatus locationOrLoadError { __typename } }"
        query = f"{{ workspaceOrError {{ ... on Workspace {{ {entries} }} }} }}"
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.web_port}/graphql",
            json.dumps({"query": query}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["workspaceOrError"]["locationEntries"]
        return found

    def status_for(self, host: str) -> int:
        """What the webserver answers whoever calls it by this name."""
        connection = http.client.HTTPConnection("127.0.0.1", int(self.web_port), timeout=30)
        try:
            connection.request("GET", "/", headers={"Host": host})
            return connection.getresponse().status
        finally:
            connection.close()

    def code_servers_of(self, name: str) -> list[str]:
        """Command lines of the code servers that a service started for itself."""
        found, parents = [], {self.running[name].pid}
        for process in sorted(Path("/proc").iterdir(), key=lambda one: one.name.zfill(9)):
            with suppress(OSError, ValueError):
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                if parent in parents:
                    parents.add(int(process.name))
                    found.append((process / "cmdline").read_text().replace("\0", " "))
        return [line for line in found if " api grpc" in line]

    def stop(self) -> dict[str, int]:
        for process in reversed(self.running.values()):
            process.terminate()
        try:
            return {name: process.wait(90) for name, process in self.running.items()}
        finally:
            for process in self.running.values():
                process.kill()

    def logs(self) -> str:
        return "\n".join(f"{log.name}\n{log.read_text()[-2000:]}" for log in self.folder.glob("*.log"))
