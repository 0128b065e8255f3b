"""The embedded server's configuration."""

from __future__ import annotations

import subprocess

from shs_pipeline.database.ports import HOST

TEMP_FILE_LIMIT = "512MB"
_CONFIGURATION = """\
# Written by shs at each start. Change a setting with ALTER SYSTEM, which beats this file.
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
# Many, since whoever reaches the port takes one up before a password is asked; for a short time only.
max_connections = 300
authentication_timeout = '10s'
shared_buffers = '256MB'
work_mem = '16MB'
maintenance_work_mem = '128MB'
effective_cache_size = '1GB'
random_page_cost = 1.1
max_wal_size = '2GB'
# Not minimal: there a sequence that was made and drawn from in one transaction gives numbers twice after
# a crash.
wal_level = 'replica'
max_wal_senders = 0
fsync = on
# For everybody but the owner, and nobody else may lift it: no query fills the disk.
temp_file_limit = '{temp_file_limit}'
# Each worker has a limit of its own, so there are few; what a session asks for is not bounded otherwise.
max_worker_processes = 4
max_parallel_workers = 2
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %u@%d '
# Statements can hold passwords: none is logged, not even a failed one.
log_statement = 'none'
log_min_error_statement = 'panic'
client_connection_check_interval = '5s'
"""
# Settings by the version that brought them. Connections for the owner, whoever has taken the others; and at
# most 8 MB of notices that a listener does not fetch, which anybody may send.
_SINCE = {16: "reserved_connections = 20\n", 17: "max_notify_queue_pages = 1024\n"}
ACCESS = """\
# Written by shs. A password for everybody, from this machine only.
host all all 127.0.0.1/32 scram-sha-256
"""


def configuration(port: int, version: int) -> str:
    """Return the configuration for a server of that major version."""
    text = _CONFIGURATION.format(host=HOST, port=port, temp_file_limit=TEMP_FILE_LIMIT)
    return text + "".join(lines for since, lines in _SINCE.items() if version >= since)


def locale_options() -> list[str]:
    """Sort by code point, yet know the case of letters beyond ASCII where the system does."""
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout
    for name in ("C.UTF-8", "C.utf8", "en_US.UTF-8", "en_US.utf8"):
        if name in known.split():
            return ["--locale=C", f"--lc-ctype={name}"]
    return ["--locale=C"]
