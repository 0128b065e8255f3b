"""Two logins for one database owner, so that its password can change while work is under way.

The owner cannot log in. Two logins stand for it, and each of their sessions becomes the owner at once
(`alter role … set role`), so that whatever either makes belongs to the owner. A secret names the login
in force. A rotation gives the other one a new password and names it; the one before stays valid until
the next rotation, and with it every run that began with it.

`python -m shs_pipeline.database.owner_logins ensure` makes true what the secret says, `… rotate` changes it.
Both work as the server's own administrator, who is not needed for anything else: `docs/deploy.md`.
"""

from __future__ import annotations

import json
import os
import random
import secrets as random_secrets
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, LiteralString
from urllib.parse import quote, urlsplit, urlunsplit

from shs_pipeline.base.errors import ShsError

if TYPE_CHECKING:
    import psycopg

# ECS gives a container that others wait for two minutes.
WAIT_SECONDS = 90.0
_SUFFIXES = ("_a", "_b")
_PASSWORD_BYTES = 30
# To see and end what the other login of the same owner has running.
_POWERS = ("pg_read_all_stats", "pg_signal_backend")
_TRIES = 20
_PAUSE_SECONDS = 0.3


@dataclass(frozen=True)
class Account:
    """A user of the server with the password, which printing does not show."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Server:
    """One server and what has to be on it.

    Attributes:
        url: of the first database, without a user.
        administrator: the server's own; needs no superuser's rights, only to create roles and databases.
        owner: the role to which the databases belong.
        databases: by name, made where they are missing.
        manages_roles: whether the owner makes logins and databases itself.
        login: the login in force, as its secret names it.
    """

    url: str
    administrator: Account
    owner: str
    databases: tuple[str, ...]
    manages_roles: bool
    login: Account


def server_from(environ: Mapping[str, str]) -> Server:
    """Read the server from the variables of the task (`LOGINS_…`).

    Raises:
        ShsError: one is missing, or the secret names a login that is none of the owner's two.
    """

    def value(name: str) -> str:
        found = environ.get(f"LOGINS_{name}", "")
        if not found:
            raise ShsError(
                f"LOGINS_{name} is not set.", "It is set by the task definition; docs/deploy.md, Secrets."
            )
        return found

    server = Server(
        url=value("URL"),
        administrator=Account(value("ADMINISTRATOR"), value("ADMINISTRATOR_PASSWORD")),
        owner=value("OWNER"),
        databases=tuple(value("DATABASES").split(",")),
        manages_roles=environ.get("LOGINS_MANAGES_ROLES") == "true",
        login=Account(value("USER"), value("PASSWORD")),
    )
    if server.login.user not in logins_of(server.owner):
        raise ShsError(
            f"The secret names the login {server.login.user}, which is not one of {server.owner}'s.",
            f"Set its field username to {' or '.join(logins_of(server.owner))}.",
        )
    return server


def logins_of(owner: str) -> tuple[str, str]:
    """Return the names of the two logins of an owner."""
    first, second = (f"{owner}{suffix}" for suffix in _SUFFIXES)
    return first, second


def ensure(server: Server) -> None:
    """Make owner, logins and databases what they should be, and the password of the secret valid.

    Safe to repeat, to kill, and to run several times at once; it changes no other password.

    Raises:
        ShsError: the server cannot be reached, or refuses.
    """
    with _as_administrator(server) as connection:
        _patiently(lambda: _make_roles(connection, server))
        _patiently(lambda: _set_password(connection, server.login))
        for name in server.databases:
            _patiently(lambda name=name: _own_database(connection, name, server.owner))  # type: ignore[misc]
    _prove(server, server.login)


def rotate(server: Server, store: Callable[[Account], None]) -> Account:
    """Give the other login a new password, see that it works, and let the secret name it.

    Killed at any instant, the secret names a login that works.

    Args:
        store: writes the new login into the secret.

    Returns:
        The new login.
    """
    ensure(server)
    (other,) = set(logins_of(server.owner)) - {server.login.user}
    new = Account(other, random_secrets.token_urlsafe(_PASSWORD_BYTES))
    with _as_administrator(server) as connection:
        _patiently(lambda: _set_password(connection, new))
    _prove(server, new)
    store(new)
    return new


def _as_administrator(server: Server) -> psycopg.Connection:
    from shs_pipeline.database.connection import connect

    connection = connect(_url(server, server.administrator), WAIT_SECONDS, "shs logins")
    connection.autocommit = True
    return connection


def _url(server: Server, account: Account) -> str:
    parts = urlsplit(server.url)
    user = f"{quote(account.user, safe='')}:{quote(account.password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc}"))


def _make_roles(connection: psycopg.Connection, server: Server) -> None:
    power: LiteralString = "createrole createdb" if server.manages_roles else "nocreaterole nocreatedb"
    _make_role(connection, server.owner)
    _run(connection, "alter role {} with nologin " + power, server.owner)
    # To hand databases over to it, its giver has to be a member.
    _run(connection, "grant {} to current_user", server.owner)
    for login in logins_of(server.owner):
        _make_role(connection, login)
        _run(connection, "alter role {} with login nocreaterole nocreatedb", login)
        _run(connection, "grant {} to {}", server.owner, login)
        _run(connection, "alter role {} set role = {}", login, server.owner)
    if server.manages_roles:
        for group in _POWERS:
            _run(connection, "grant {} to {}", group, server.owner)


def _make_role(connection: psycopg.Connection, name: str) -> None:
    if not connection.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone():
        _run(connection, "create role {}", name)


def _set_password(connection: psycopg.Connection, account: Account) -> None:
    from psycopg import sql

    from shs_pipeline.database.verifier import verifier

    made = verifier(connection, account.user, account.password)
    connection.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(account.user), made))


def _own_database(connection: psycopg.Connection, name: str, owner: str) -> None:
    row = connection.execute(
        "select rolname from pg_database inner join pg_roles on pg_roles.oid = datdba where datname = %s",
        [name],
    ).fetchone()
    if row is None:
        _run(connection, "create database {} owner {}", name, owner)
    elif row[0] != owner:
        _run(connection, "alter database {} owner to {}", name, owner)
    # As its owner: the right of the one who gave it away has gone with it.
    _run(connection, "set role {}", owner)
    try:
        _run(connection, "revoke all on database {} from public", name)
    finally:
        connection.execute("reset role")


def _run(connection: psycopg.Connection, statement: LiteralString, *names: str) -> None:
    from psycopg import sql

    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _patiently(step: Callable[[], None]) -> None:
    """Take a step again that another task took at the same moment."""
    from psycopg import errors

    collided = (
        errors.DuplicateObject,
        errors.DuplicateDatabase,
        errors.UniqueViolation,
        errors.InternalError_,
    )
    for tries in range(_TRIES):
        try:
            return step()
        except errors.InsufficientPrivilege as error:
            raise ShsError(
                f"The server's administrator may not do this: {error.diag.message_primary}.",
                "Use the master user of RDS, or a role with createrole and createdb.",
            ) from None
        except collided:
            if tries == _TRIES - 1:
                raise
            # Of random length, so that those who collided do not do so again.
            time.sleep(random.uniform(0, _PAUSE_SECONDS))  # noqa: S311 - nothing secret
    return None


def _prove(server: Server, account: Account) -> None:
    """See that a login works, and that its sessions are the owner's."""
    from shs_pipeline.database.connection import connect

    with connect(_url(server, account), 0, "shs logins") as connection:
        row = connection.execute("select current_user").fetchone()
    if row is None or row[0] != server.owner:
        raise ShsError(
            f"Sessions of {account.user} do not become {server.owner}.",
            f"Remove the setting that gives it another role: alter role {account.user} in database … reset "
            "role.",
        )


def _into_secret(identifier: str) -> Callable[[Account], None]:
    def store(account: Account) -> None:
        from shs_pipeline.settings.aws import aws_client

        client, faults = aws_client("LOGINS_SECRET")
        text = json.dumps({"username": account.user, "password": account.password})
        try:
            client.put_secret_value(SecretId=identifier, SecretString=text)
        except faults as error:
            # `from None`, and the code alone: what was sent must not be repeated.
            code = getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__
            raise ShsError(
                f"The new password could not be written into its secret ({code}); the old one stays valid.",
                "Check the permission secretsmanager:PutSecretValue, then rotate again.",
            ) from None

    return store


def main(words: list[str]) -> None:
    """Do what the first word says with the server of the task's variables."""
    try:
        server = server_from(os.environ)
        if words == ["ensure"]:
            ensure(server)
            print(f"{server.login.user} may log in as {server.owner}.")
        elif words == ["rotate"] and os.environ.get("LOGINS_SECRET"):
            new = rotate(server, _into_secret(os.environ["LOGINS_SECRET"]))
            print(f"{new.user} is in force; {server.login.user} stays valid until the next rotation.")
        else:
            sys.exit("Say ensure, or rotate with LOGINS_SECRET set.")
    except ShsError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
