"""Free ports of this machine."""

from __future__ import annotations

import random
import socket

from shs_pipeline.base.errors import ShsError

HOST = "127.0.0.1"
# Below Linux's range for outgoing connections, so that no client holds the port at a later start.
PORTS = range(20000, 32000)


def is_free(port: int) -> bool:
    """Whether nobody listens on that port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    # Drawn at random: two homes made in the same second do not meet on one port.
    for port in random.sample(PORTS, 200):
        if is_free(port):
            return port
    raise ShsError(
        f"No port of {HOST} between {PORTS.start} and {PORTS.stop} is free.",
        "Stop other servers on this machine and try again.",
    )
