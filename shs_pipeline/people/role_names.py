"""The names of login roles: `<database>_<name in ASCII>`, each once on the server."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

import psycopg

from shs_pipeline.people.logins import Login, Person

# Names of roles that services have, so that no person gets one of them (`metabase/roles.py`).
SERVICE_NAMES = ("metabase", "metabase reps")
_NAME_BYTES = 63


def choose_names(
    connection: psycopg.Connection, pairs: Sequence[tuple[Person, Login | None]]
) -> dict[Person, str]:
    """Choose the role's name for each person with or due for a login; a fitting one stays."""
    database = connection.info.dbname
    reserved = {role_base(database, name) for name in SERVICE_NAMES}
    held = {login.role_name for _, login in pairs if login} - reserved
    taken = {name for (name,) in connection.execute("select rolname from pg_roles")} - held
    taken |= reserved
    chosen: dict[Person, str] = {}
    moving: list[Person] = []
    for person, login in pairs:
        base = role_base(database, person.rep_name)
        fits = login is not None and re.fullmatch(rf"{re.escape(base)}(_[0-9]+)?", login.role_name)
        if login and fits and login.role_name not in reserved:
            chosen[person] = login.role_name
            taken.add(login.role_name)
        elif login or person.may_log_in:
            moving.append(person)
    for person in moving:
        chosen[person] = _free_name(role_base(database, person.rep_name), taken)
        taken.add(chosen[person])
    return chosen


def role_base(database: str, rep_name: str) -> str:
    """Return `<database>_<name in ASCII>`, short enough to take a number behind it."""
    plain = unicodedata.normalize("NFKD", rep_name.casefold()).encode("ascii", "ignore").decode()
    slug = re.sub("[^a-z0-9]+", "_", plain).strip("_") or "person"
    start = database.encode()[:36].decode(errors="ignore")
    # The server keeps names with pg_ for itself.
    start = f"db_{start}" if start.startswith("pg_") else start
    return f"{start}_{slug}".encode()[: _NAME_BYTES - 5].decode().rstrip("_")


def _free_name(base: str, taken: Collection[str]) -> str:
    if base not in taken:
        return base
    number = 2
    while f"{base}_{number}" in taken:
        number += 1
    return f"{base}_{number}"
