"""Who may log in, as `shs access` lists it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from shs_pipeline.casting.cells import match_key
from shs_pipeline.people.logins import (
    Login,
    Person,
    has_tables,
    is_stored,
    match_people,
    read_logins,
    read_people,
)
from shs_pipeline.people.passwords import with_other_passwords

if TYPE_CHECKING:
    from shs_pipeline.settings.secret_store import SecretStore


# In the state of whatever the next sync does.
PENDING = "still to be"
PASSWORD_CHANGED = "password changed by the person, still to be reset"  # noqa: S105 - a state


@dataclass(frozen=True)
class Access:
    """One person with the login, as `shs access` lists them; role_name None: there is no role."""

    rep_name: str
    email: str | None
    permission: str
    role_name: str | None
    state: str


def list_access(
    connection: psycopg.Connection, secrets: SecretStore, *, check_passwords: bool = False
) -> list[Access]:
    """Return every person with the state of the login, by name, then logins of those who left.

    Args:
        connection: the owner's.
        secrets: where the passwords are kept.
        check_passwords: try each stored password at the server.
    """
    if not has_tables(connection):
        return []
    stored = secrets.names()
    changed = (
        {login.role_name for login in with_other_passwords(connection, secrets)} if check_passwords else ()
    )
    pairs, left = match_people(read_people(connection), read_logins(connection))
    listed = [
        Access(
            person.rep_name, person.email, person.permission, login.role_name if login else None,
            PASSWORD_CHANGED
            if login and login.role_name in changed
            else _state(person, login, login is not None and is_stored(secrets, stored, login.secret_name)),
        )
        for person, login in pairs
    ]  # fmt: skip
    listed.sort(key=lambda access: match_key(access.rep_name))
    return listed + [
        Access(
            login.rep_name, login.email, login.permission, login.role_name, "left, role still to be dropped"
        )
        for login in left
    ]


def _state(person: Person, login: Login | None, has_secret: bool) -> str:
    if not person.may_log_in:
        why = "not active" if not person.is_active else "no email address"
        return why if login is None or login.state != "active" else f"{why}, login still to be disabled"
    if login is None or not login.is_ours or login.state != "active":
        return "login still to be created"
    if login.permission != person.permission or not login.is_in_order:
        return "login still to be changed"
    return "may log in" if has_secret else "password still to be created"
