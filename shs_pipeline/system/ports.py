"""The ports on which a system answers."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from pathlib import Path

from shs_pipeline.base.whole_files import write_whole
from shs_pipeline.database.ports import HOST, free_port, is_free

USUAL_WEB_PORT = 3000
USUAL_PREVIEW_PORT = 8642
PREVIEW = "preview"


def settle_ports(home: Path, held: ExitStack) -> dict[str, int]:
    """Return the port of each part: the recorded or usual one as long as it is free.

    Args:
        home: the system's home, where the ports are recorded.
        held: keeps other systems of this machine from settling on the same ports until it is closed.
    """
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
        ports[name] = port if is_usable and _claim(port, held) else claimed_port(held)
    write_whole(path, json.dumps(ports))
    return ports


def claimed_port(held: ExitStack) -> int:
    """Return a free port that no other system has settled on."""
    while not _claim(port := free_port(), held):
        pass
    return port


def _claim(port: int, held: ExitStack) -> bool:
    """Claim a port for this process; False when another system has settled on it.

    A webserver listens only after seconds of imports, and until then its port looks free to a second system.
    The claim is the UDP port of the same number: nobody else needs it, and it ends with the process.
    """
    claim = socket.socket(type=socket.SOCK_DGRAM)
    try:
        claim.bind((HOST, port))
    except OSError:
        claim.close()
        return False
    held.enter_context(claim)
    return True


def instead_of(usual: int, port: int) -> str:
    """Return the reason for another port than the usual one, as an addition to the address."""
    return "" if port == usual or is_free(usual) else f" (port {usual} is taken)"
