"""A role's password, in the form in which a statement may hold it."""

from __future__ import annotations

import psycopg
from psycopg import sql


def verifier(connection: psycopg.Connection, role_name: str, password: str) -> sql.Literal:
    """Return the SCRAM verifier of a password, for `alter role … password …`.

    It goes over the wire in place of the password: logs and statistics may keep statements.
    """
    made = connection.pgconn.encrypt_password(password.encode(), role_name.encode(), b"scram-sha-256")
    return sql.Literal(made.decode())
