"""Passwords of logins: how each is stored, the URL that holds it, and whether it is still the role's."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import make_conninfo

from shs_pipeline.people.logins import Login, read_logins

if TYPE_CHECKING:
    from shs_pipeline.settings.secret_store import SecretStore


# Parts of an owner's URL that are the owner's own, or would override the login's.
_OWNERS_PARAMETERS = frozenset(
    ("user", "password", "passfile", "service", "servicefile", "sslcert", "sslkey", "sslpassword")
)


def new_secret_name(role_name: str) -> str:
    """Return a name for a role's next password, used once: a stored one is never one of another time."""
    return f"{re.sub('[^A-Za-z0-9_.-]', '-', role_name)}/{secrets.token_hex(4)}"


def login_url(database_url: str, role: str, secret: str) -> str:
    """Return the connection URL of a login: the owner's server and database, another user."""
    parts = urlsplit(database_url)
    place = parts.netloc.rpartition("@")[2]
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in _OWNERS_PARAMETERS]
    user = f"{quote(role, safe='')}:{quote(secret, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{user}@{place}", query=urlencode(query, quote_via=quote)))


def with_other_passwords(connection: psycopg.Connection, store: SecretStore) -> list[Login]:
    """Return the active logins that the stored password does not let in.

    Only trying tells: what a role's password is, the server shows to nobody but its administrator.
    """
    found = []
    place = connection.info.get_parameters()
    for name in _OWNERS_PARAMETERS & place.keys():
        del place[name]
    for login in read_logins(connection):
        secret = store.get(login.secret_name) if login.secret_name else None
        if login.state != "active" or not login.is_ours or secret is None:
            continue
        try:
            psycopg.connect(make_conninfo(**{**place, "user": login.role_name, "password": secret})).close()
        except psycopg.OperationalError as error:
            # Any other answer (too many connections) comes to those with the right password only.
            if "password authentication failed" in str(error):
                found.append(login)
    return found
