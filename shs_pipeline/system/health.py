"""Whether this container's service works: `python -m shs_pipeline.system.health`.

One command for every service of the image. It finds what runs here and asks it the way a client would: the
webserver over HTTP, the code server over gRPC; the daemon leaves a heartbeat in Dagster's database.
Everything else is healthy as long as it runs. It imports little, since it is called
twice a minute.

Exit codes: 0 healthy, 1 not (with one line that says why).
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

ANSWER_SECONDS = 5.0
# The daemon leaves a sign every 30 s; two may be late.
SILENCE_SECONDS = 120
_LOOPBACK = "127.0.0.1"


def main() -> None:
    """Print what is wrong, if anything, and exit accordingly."""
    wrong = what_is_wrong()
    if wrong:
        print(wrong, file=sys.stderr)
    sys.exit(1 if wrong else 0)


def what_is_wrong(proc: Path = Path("/proc")) -> str:
    """Return what keeps the service from its work, empty when nothing does.

    Args:
        proc: where the processes of this container are shown.
    """
    for process, words in _processes(proc):
        if not words:
            return "A program is just starting."
        service = service_of(words)
        if service == "webserver":
            return _webserver(_option(words, "-p", "--port") or "3000")
        if service == "code":
            return _code_server(_option(words, "-p", "--port") or "4000")
        if service == "daemon":
            return _daemon(process)
        if service == "preparing":
            return "shs exec is still preparing."
    return ""


def service_of(words: Sequence[str]) -> str:
    """Return which service a command line is, `preparing` while `shs exec` has not become it.

    Args:
        words: as in `/proc/PID/cmdline`; a script begins with its interpreter.
    """
    names = [Path(word).name for word in words[:5]]
    if "shs" in names[:2] and "exec" in names[1:3]:
        return "preparing"
    if "dagster-webserver" in names[:2] or "sensors.guarded_webserver" in names:
        return "webserver"
    if "dagster-daemon" in names[:2] and "run" in words:
        return "daemon"
    if "dagster" in names[:3] and "code-server" in names[1:4]:
        return "code"
    return ""


def _processes(proc: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield the processes with their words, the oldest first; without words while one becomes a program."""
    for process in sorted((p for p in proc.iterdir() if p.name.isdigit()), key=lambda p: int(p.name)):
        try:
            text = (process / "cmdline").read_bytes().decode(errors="replace")
            # A process of the kernel and one that ended have no words either, but no program.
            (process / "exe").readlink()
        except OSError:
            continue  # or it is somebody else's
        yield process, text.rstrip("\0").split("\0") if text else []


def _option(words: Sequence[str], *names: str) -> str:
    for name, value in pairwise(words):
        if name in names:
            return value
    return ""


def _webserver(port: str) -> str:
    # A proxy of the environment has no business with this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{_LOOPBACK}:{port}/server_info", timeout=ANSWER_SECONDS):
            return ""
    except (urllib.error.URLError, OSError, ValueError) as error:
        return f"The webserver does not answer on port {port} ({error})."


def _code_server(port: str) -> str:
    import grpc

    # The standard health service, asked and answered as bytes: field 1 is the name, and the status (1).
    name = b"DagsterApi"
    with grpc.insecure_channel(f"{_LOOPBACK}:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        ask = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            answer = ask(b"\x0a" + bytes([len(name)]) + name, timeout=ANSWER_SECONDS)
        except grpc.RpcError as error:
            return f"The code server does not answer on port {port} ({error.code().name})."
    return "" if answer == b"\x08\x01" else "The code server does not serve."


def _daemon(process: Path) -> str:
    """Ask Dagster's database for the last sign of life, with the daemon's own way to get there."""
    import psycopg

    try:
        lines = (process / "environ").read_bytes().decode().split("\0")
        known = dict(line.split("=", 1) for line in lines if "=" in line)
        os.environ.update({name: value for name, value in known.items() if name.startswith("PGSSL")})
        with psycopg.connect(
            host=known["SHS_DAGSTER_HOST"].strip("[]"),
            port=known["SHS_DAGSTER_PORT"],
            dbname=known["SHS_DAGSTER_DATABASE"],
            user=known["SHS_DAGSTER_USER"],
            password=known["SHS_DAGSTER_PASSWORD"],
            connect_timeout=int(ANSWER_SECONDS),
            application_name="shs health",
        ) as connection:
            # Dagster writes UTC without a zone.
            silence = connection.execute(
                "select extract(epoch from now() at time zone 'utc' - max(timestamp)) from daemon_heartbeats"
            ).fetchone()
    except (OSError, KeyError, psycopg.Error) as error:
        return f"The daemon's heartbeat cannot be read ({type(error).__name__})."
    seconds = None if silence is None else silence[0]
    if seconds is None:
        return "The daemon has not sent a heartbeat yet."
    return "" if seconds < SILENCE_SECONDS else f"The daemon has sent no heartbeat for {seconds:.0f} s."


if __name__ == "__main__":
    main()
