"""One transaction of changes to roles, books and passwords.

Invariant, even after a kill at any instant: a password in the store that the books name is the
role's password. So each password gets a name of its own, is stored first and takes force with the
commit; what is left behind is at worst a password that never was in force.

A session holds its own role with an open `alter role current_user …`. So sessions of people who lose
a right end before their role is altered, and others when theirs turns out to be held.
"""

from __future__ import annotations

import secrets as random_secrets
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

import psycopg
from psycopg import errors, sql

from shs_pipeline.base.errors import ShsError
from shs_pipeline.casting.cells import match_key
from shs_pipeline.database.connection import is_changed_at_once
from shs_pipeline.database.verifier import verifier
from shs_pipeline.people.logins import Login, Person, is_stored, lock_books, match_people, read_logins
from shs_pipeline.people.passwords import new_secret_name
from shs_pipeline.people.rights import alter, arrange, keep_from_services, leave_groups
from shs_pipeline.people.role_names import choose_names
from shs_pipeline.people.sessions import kick_out

if TYPE_CHECKING:
    from shs_pipeline.settings.secret_store import SecretStore


# How long a role is waited for that an open transaction has altered, before its sessions end.
_HELD_MILLISECONDS = 1000
_HELD_TRIES = 10


@dataclass(frozen=True)
class LoginChange:
    """One thing that was done for one person.

    Attributes:
        what: `created`, `renamed`, `address`, `permission`, `disabled`, `enabled`, `password`,
            `repaired`, `dropped` or `forgotten`.
        detail: the same as a sentence for people, without any secret.
    """

    what: str
    role_name: str
    rep_name: str
    detail: str


class _HeldRoleError(Exception):
    """A role was altered by an open transaction, or by another one in the same moment."""


@contextmanager
def changing(connection: psycopg.Connection, secrets: SecretStore) -> Iterator[Changes]:
    """Let logins be changed in one transaction, alone; replaced passwords are forgotten after it.

    Raises:
        _HeldRoleError: nothing was changed, since a role is held.
    """
    changes = Changes(connection, secrets)
    try:
        with connection.transaction():
            lock_books(connection)
            connection.execute(f"set local lock_timeout = {_HELD_MILLISECONDS}".encode())
            try:
                yield changes
            except (errors.LockNotAvailable, errors.InternalError) as error:
                if isinstance(error, errors.InternalError) and not is_changed_at_once(error):
                    raise
                raise _HeldRoleError from error
    except BaseException:
        # Were it only the answer to the commit that got lost, the next sync makes new passwords.
        for name in changes.new_secrets:
            with suppress(ShsError):
                secrets.delete(name)
        raise
    for name in changes.old_secrets:
        secrets.delete(name)


def patiently(
    connection: psycopg.Connection, secrets: SecretStore, step: Callable[[Changes], None]
) -> Changes:
    """Do a step in a transaction; where a role of ours is held, its sessions end and it is done again.

    Raises:
        ShsError: it is still held, by somebody whose session cannot be ended.
    """
    for attempt in range(_HELD_TRIES):
        changes = None
        try:
            with changing(connection, secrets) as changes:
                step(changes)
        except _HeldRoleError:
            held = changes.touched if changes else ""
            time.sleep(0.02 * attempt)
            kick_out(
                connection,
                [
                    login.role_name
                    for login in read_logins(connection)
                    if login.is_ours and held in (login.role_name, "")
                ],
            )
        else:
            return changes
    raise ShsError(
        f"The role {held} is locked by another session on the server that keeps altering it.",
        "Find that session in pg_stat_activity and end it, then run shs access sync again.",
    )


class Changes:
    """What a transaction does to roles and books.

    Attributes:
        changes: what was done so far.
        problems: what could not be done, and did not keep the rest from being done.
        touched: the role that was altered last.
    """

    def __init__(self, connection: psycopg.Connection, secrets: SecretStore) -> None:
        self.connection = connection
        self.secrets = secrets
        self.changes: list[LoginChange] = []
        self.problems: list[ShsError] = []
        self.new_secrets: list[str] = []
        self.old_secrets: list[str] = []
        self.touched = ""
        self._database = connection.info.dbname

    def take_away(self, people: Sequence[Person], role_name: str) -> None:
        """Close a login whose person may not log in, or bring its rights in line with the permission."""
        pairs, left = match_people(people, [login for login in read_logins(self.connection) if login.is_ours])
        for person, login in pairs:
            if login is None or login.role_name != role_name:
                continue
            if not person.may_log_in:
                self._disable(login, "disabled")
            elif login.state == "active":
                self._permit(login, person.permission)
        for login in left:
            if login.role_name == role_name:
                self._disable(login, "leaving")

    def give(self, people: Sequence[Person]) -> None:
        """Make the logins that are due, and let names and addresses of the others follow."""
        listed = read_logins(self.connection)
        logins = [login for login in listed if login.is_ours]
        pairs, _ = match_people(people, logins)
        numbers = self._forget([login for login in listed if not login.is_ours], pairs)
        handed_over = _names_of_newcomers(people, logins)
        names = choose_names(self.connection, pairs)
        self._rename([(login, names[person]) for person, login in pairs if login])
        stored = self.secrets.names()
        for person, login in pairs:
            if login is not None:
                self._record(person, login, names[person])
            if login is None and person.may_log_in:
                self._create(person, names[person], numbers.get(person))
            elif login is not None and person.may_log_in:
                is_safe = login.payee_id is not None or (
                    match_key(login.rep_name) not in handed_over - {match_key(person.rep_name)}
                )
                self._open(person, login, names[person], stored if is_safe else None)

    def renew(self, login: Login) -> None:
        """Give a login a new password."""
        self._set_password(login.login_id, login.role_name, login.secret_name)
        self._note("password", login.role_name, login.rep_name, "has a new password")

    def set_back(self, login: Login) -> None:
        """Give a login the stored password again, and end the sessions of the other one."""
        password = self.secrets.get(login.secret_name or "")
        if password is None:
            return
        self._set_verifier(login.role_name, password)
        self._execute(
            "update ops.logins set must_end_sessions = true, changed_at = now() where login_id = %s",
            login.login_id,
        )
        said = "had a different password; the stored one was restored"
        self._note("repaired", login.role_name, login.rep_name, said)

    # --- taking away

    def _disable(self, login: Login, state: str) -> None:
        if login.state == "active" or not login.is_in_order:
            self._define("alter role {} nologin password null", login.role_name)
            leave_groups(self.connection, login.role_name)
            keep_from_services(self.connection, login.role_name)
        if login.state == "active":
            self._note("disabled", login.role_name, login.rep_name, "may no longer log in")
        self._execute(
            "update ops.logins set state = %s, changed_at = now(),"
            " must_end_sessions = must_end_sessions or state = 'active'"
            " where login_id = %s and state <> %s",
            state, login.login_id, state,
        )  # fmt: skip

    def _permit(self, login: Login, permission: str) -> None:
        if login.permission == permission and login.is_in_order:
            return
        self._arrange(login.role_name, permission)
        if login.permission == permission:
            self._note("repaired", login.role_name, login.rep_name, "has the role's settings and group back")
            return
        # A prepared statement keeps the row policies of the time it was planned: such sessions end.
        self._execute(
            "update ops.logins set permission = %s, must_end_sessions = true, changed_at = now()"
            " where login_id = %s",
            permission, login.login_id,
        )  # fmt: skip
        self._note("permission", login.role_name, login.rep_name, f"is now {permission}")

    # --- giving

    def _forget(
        self, gone: Sequence[Login], pairs: Sequence[tuple[Person, Login | None]]
    ) -> dict[Person, int]:
        """Strike roles from the books that are gone or another database's; their passwords stay.

        Returns:
            The number that a person without a login had, which the next one keeps: by it Metabase's
            objects are known.
        """
        for login in gone:
            self._execute("delete from ops.logins where login_id = %s", login.login_id)
            self._note(
                "forgotten",
                login.role_name,
                login.rep_name,
                "no longer exists or belongs to another database",
            )
        known, _ = match_people([person for person, login in pairs if login is None], gone)
        return {person: login.login_id for person, login in known if login is not None}

    def _rename(self, wanted: Sequence[tuple[Login, str]]) -> None:
        moves = [(login, name) for login, name in wanted if login.role_name != name]
        # By way of a third name, so that two people can swap theirs.
        between = {login.login_id: f"shs_moving_{random_secrets.token_hex(12)}" for login, _ in moves}
        rename: LiteralString = "alter role {} rename to {}"
        for login, _ in moves:
            self._define(rename, login.role_name, sql.Identifier(between[login.login_id]))
        for login, name in moves:
            self._define(rename, between[login.login_id], sql.Identifier(name))
            self._note("renamed", name, login.rep_name, f"has a new role name; it was {login.role_name}")

    def _record(self, person: Person, login: Login, role_name: str) -> None:
        email = person.email if person.email and person.email.strip() else login.email
        self._execute(
            "update ops.logins set role_name = %(role)s, email = %(email)s, rep_name = %(name)s,"
            " payee_id = %(payee)s, changed_at = now() where login_id = %(id)s"
            " and (role_name, email, rep_name, payee_id)"
            " is distinct from (%(role)s, %(email)s, %(name)s, %(payee)s)",
            id=login.login_id, role=role_name, email=email, name=person.rep_name, payee=person.payee_id,
        )  # fmt: skip
        if login.email != email:
            self._note("address", role_name, person.rep_name, f"now has the address {email}")

    def _create(self, person: Person, role_name: str, number: int | None) -> None:
        self._define("create role {} login", role_name)
        self._define("grant connect on database {1} to {0}", role_name, sql.Identifier(self._database))
        row = self._execute(
            "insert into ops.logins (login_id, role_name, email, rep_name, payee_id, permission, state)"
            " overriding system value values ("
            "  coalesce(%s, nextval(pg_get_serial_sequence('ops.logins', 'login_id'))),"
            "  %s, %s, %s, %s, %s, 'active') returning login_id",
            number, role_name, person.email, person.rep_name, person.payee_id, person.permission,
        ).fetchone()  # fmt: skip
        assert row is not None
        self._arrange(role_name, person.permission)
        self._set_password(row[0], role_name, None)
        self._note("created", role_name, person.rep_name, f"may log in as {person.permission}")

    def _open(self, person: Person, login: Login, role_name: str, stored: Collection[str] | None) -> None:
        """Let a known person in: again, or with another password if theirs is lost or another's.

        Args:
            stored: names of stored secrets; None: the password belongs to another person now.
        """
        if login.state != "active":
            self._arrange(role_name, person.permission)
            self._execute(
                "update ops.logins set state = 'active', permission = %s, changed_at = now()"
                " where login_id = %s",
                person.permission, login.login_id,
            )  # fmt: skip
            self._set_password(login.login_id, role_name, login.secret_name)
            self._note("enabled", role_name, person.rep_name, "may log in again, with a new password")
        elif stored is None:
            self._set_password(login.login_id, role_name, login.secret_name)
            self._note(
                "password", role_name, person.rep_name,
                f"took over the address of {login.rep_name} and has a new password",
            )  # fmt: skip
        elif not is_stored(self.secrets, stored, login.secret_name):
            self._set_password(login.login_id, role_name, login.secret_name)
            self._note("password", role_name, person.rep_name, "had no stored password and has a new one")

    def _set_password(self, login_id: int, role_name: str, old_secret: str | None) -> None:
        password = random_secrets.token_urlsafe(32)
        name = new_secret_name(role_name)
        self.new_secrets.append(name)
        self.secrets.put(name, password)
        self._set_verifier(role_name, password)
        self._execute(
            "update ops.logins set secret_name = %s, must_end_sessions = must_end_sessions or %s,"
            " changed_at = now() where login_id = %s",
            name, old_secret is not None, login_id,
        )  # fmt: skip
        if old_secret:
            self.old_secrets.append(old_secret)

    def _define(self, statement: LiteralString, role_name: str, *values: sql.Composable) -> None:
        self.touched = role_name
        alter(self.connection, statement, role_name, *values)

    def _arrange(self, role_name: str, permission: str) -> None:
        self.touched = role_name
        self.problems += arrange(self.connection, role_name, permission)

    def _set_verifier(self, role_name: str, password: str) -> None:
        self._define("alter role {} password {}", role_name, verifier(self.connection, role_name, password))

    def _execute(self, statement: LiteralString, *values: object, **named: object) -> psycopg.Cursor:
        return self.connection.execute(statement, named or values)

    def _note(self, what: str, role_name: str, rep_name: str, detail: str) -> None:
        self.changes.append(LoginChange(what, role_name, rep_name, f"{rep_name} ({role_name}) {detail}."))


def _names_of_newcomers(people: Sequence[Person], logins: Sequence[Login]) -> set[str]:
    """Return the names that are listed with an address of which no login is known.

    Whoever changed to such an address left the old one; with somebody else there, the password
    of that login is in two hands.
    """
    known = {match_key(login.email) for login in logins}
    return {match_key(person.rep_name) for person in people if match_key(person.email or "") not in known}
