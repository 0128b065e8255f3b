"""The commands of docs/containers.md, and an operator who types them."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from tests.helpers.compose_services import (
    DAGSTER_SERVICES,
    ROOT,
    SERVICES,
    Machine,
    make_secrets,
    s3_service,
    secret_file,
)
from tests.helpers.fake_metabase import FakeMetabase

PAGE = (ROOT / "docs" / "containers.md").read_text().replace("\\\n", " ")
FIRST, LATER = PAGE.split("\n## Later on\n")
LATER, REST = LATER.split("\n## ", 1)
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_SECRETS = "/run/secrets/"


def documented_commands() -> list[tuple[str, list[str]]]:
    """The commands of the page that run in a container: the service, and what is run in it.

    Those of *Later on* are not among them: they follow one upon the other, and an operator types them.
    """
    text = FIRST + REST
    lines = [line for block in _BLOCK.findall(text) for line in block.splitlines()]
    lines += re.findall(r"`(docker compose (?:exec|run)[^`\n]+)`", _BLOCK.sub("", text))
    found = []
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[:3] in (["docker", "compose", "exec"], ["docker", "compose", "run"]):
            found.append(_inside(words[2:]))
    return found


def blocks_of(heading: str) -> list[list[str]]:
    """The lines of each block of commands below a heading of *Later on*."""
    (section,) = [part for part in LATER.split("\n### ") if part.startswith(f"{heading}\n")]
    return [block.splitlines() for block in _BLOCK.findall(section)]


def _inside(words: list[str]) -> tuple[str, list[str]]:
    """The service, and what is run in it, of `exec …` or `run …`."""
    place = next(number for number, word in enumerate(words) if word in SERVICES)
    # `run` starts with the entrypoint of the image.
    return words[place], ["shs", "exec", "--"] * (words[0] == "run") + words[place + 1 :]


@dataclass
class Operator:
    """Types commands in the checkout; what engine and networks would do is done to the machine.

    Attributes:
        server: stands for both services of PostgreSQL.
        called: what stands on the page, by what it is called here.
    """

    machine: Machine
    server: EmbeddedPostgres
    metabase: FakeMetabase
    called: dict[str, str] = field(default_factory=dict)
    landing: ExitStack = field(default_factory=ExitStack)

    def types(self, *lines: str) -> str:
        """Type lines, each of which has to succeed; return what was said."""
        said = ""
        for line in lines:
            for there, here in self.called.items():
                line = line.replace(there, here)
            words = shlex.split(line, comments=True)
            if words[:2] == ["docker", "compose"]:
                said += self._compose(words[2:])
            else:
                self._shell(words)
        return said

    def _shell(self, words: list[str]) -> None:
        checkout = self.machine.checkout
        if words[0] == "scripts/compose_secrets.sh":
            make_secrets(checkout)
            return
        assert words[0] in ("umask", "echo", "rm"), words
        subprocess.run(["bash", "-c", _quoted(words)], cwd=checkout, check=True)

    def _compose(self, words: list[str]) -> str:
        names = [word for word in words if word in SERVICES]
        if words[0] == "stop":
            for name in names:
                if name in DAGSTER_SERVICES:
                    self.machine.end(name)
            return ""
        if words[0] == "up":
            self._up(names, is_forced="--force-recreate" in words)
            return ""
        assert words[0] in ("exec", "run"), words
        return self._execute(words)

    def _up(self, names: list[str], *, is_forced: bool) -> None:
        if "s3" in names and is_forced:
            self.start_s3()
        if not names or "metabase" in names:
            self.metabase.tag = self._version()
        for script in ("bucket", "metabase-setup"):
            if not names or script in names:
                done = self.machine.run_script(script)
                assert done.returncode == 0, done.stderr
        for name in DAGSTER_SERVICES:
            if (not names or name in names) and (is_forced or name not in self.machine.running):
                self.machine.restart(name)

    def start_s3(self, port: int | None = None) -> None:
        """Start the S3 server on its volume, anew where it runs."""
        self.landing.close()
        found = s3_service(self.machine.checkout, self.machine.folder / "landing", port)
        self.machine.hosts["s3:8333"] = self.landing.enter_context(found)

    def restart(self, name: str) -> None:
        """Restart a service that keeps its name, and with it its address."""
        if name == "s3":
            self.start_s3(int(self.machine.hosts["s3:8333"].rpartition(":")[2]))
        elif name == "postgres":
            self.server.stop()
            self.server.ensure_running()
        else:
            self.machine.restart(name)

    def _version(self) -> str:
        said = self.machine.checkout / ".env"
        found = re.findall(
            r"^METABASE_VERSION=(\S+)$", said.read_text() if said.exists() else "", re.MULTILINE
        )
        pinned = re.search(r"METABASE_VERSION:-(v[\d.]+)", SERVICES["metabase"]["image"])
        assert pinned is not None
        return str(found[-1] if found else pinned[1])

    def _execute(self, words: list[str]) -> str:
        stdin: int | io.TextIOWrapper = subprocess.DEVNULL
        stdout: int | io.TextIOWrapper = subprocess.PIPE
        with ExitStack() as files:
            for mark, mode in (("<", "r"), (">", "w")):
                if mark in words:
                    place = words.index(mark)
                    opened = (
                        self._seen_inside(words[place + 1]) if mark == "<" else self._path(words[place + 1])
                    )
                    handle = files.enter_context(opened.open(mode))
                    stdin, stdout = (handle, stdout) if mark == "<" else (stdin, handle)
                    words = words[:place] + words[place + 2 :]
            name, inside = _inside(words)
            inside = [word.replace("/var/lib/shs", str(self.machine.home)) for word in inside]
            if name in ("postgres", "metabase-db"):
                done = self._in_database(inside, stdin, stdout)
            else:
                done = self.machine.execute(name, inside, stdin=stdin, stdout=stdout)
        said = (done.stdout or "") + done.stderr
        assert done.returncode == 0, (words, said)
        return said

    def _path(self, name: str) -> Path:
        return self.machine.checkout / name

    def _seen_inside(self, name: str) -> Path:
        """A file that is given to a container, with the secrets where they are here."""
        path = self._path(name)
        if path.suffix != ".sql":
            return path
        seen = self.machine.folder / path.name
        folder = secret_file(self.machine.checkout, "database_password").parent
        seen.write_text(path.read_text().replace(_SECRETS, f"{folder}/"))
        return seen

    def _in_database(
        self, words: list[str], stdin: int | io.TextIOWrapper, stdout: int | io.TextIOWrapper
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of PostgreSQL: as in its container, the server's socket asks for no password."""
        address = self.server.ensure_running()
        as_whom = [address.superuser if word == "metabase" and before == "-U" else word
                   for before, word in pairwise(words)]  # fmt: skip
        place = {"PGHOST": address.host, "PGPORT": str(address.port), "PGPASSWORD": address.password}
        return subprocess.run(
            [self.server.programs / words[0], *as_whom],
            env={**os.environ, **place}, cwd=self.machine.folder, stdin=stdin, stdout=stdout,
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip


def _quoted(words: list[str]) -> str:
    return " ".join(word if word in (">", ">>", "<") else shlex.quote(word) for word in words)
