"""Login roles: each active person of the accepted sales_reps workbook may log in to the database.

`marts.people` says who that is, `ops.logins` which role belongs to whom. A person is known by the
e-mail address, and by the name when only the address changed. A role is touched only if it stands
in `ops.logins` and has CONNECT on this very database: the books of a copied or restored database
name roles of the original, and those are left alone.

What must hold after a kill at any instant: a password in the store that the books name is the
role's password. So each password gets a name of its own, is stored first and takes force with the
commit; what is left behind is at worst a password that never was in force. Rights are taken away
first, of each person in a transaction of its own, which needs no store; then, with new sessions kept
out, open ones end; then logins are made and changed; roles go last.

A session holds its own role with an open `alter role current_user …`. So sessions of people who lose
a right end before their role is altered, and others when theirs turns out to be held.
"""

from __future__ import annotations

import difflib
import re
import secrets as random_secrets
import time
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, LiteralString
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import class_row

from shs_pipeline.casting import match_key
from shs_pipeline.database import is_changed_at_once
from shs_pipeline.errors import ShsError

if TYPE_CHECKING:
    from shs_pipeline.secret_store import SecretStore
    from shs_pipeline.settings import Settings

GROUPS = {"admin": "shs_admin", "user": "shs_rep"}
CONNECTIONS = {"admin": 20, "user": 10}
# Defaults of a session; what keeps people from writing are the grants, which a session cannot change.
ROLE_SETTINGS = {
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "60s",
    "statement_timeout": "60s",
    "max_parallel_workers_per_gather": "0",
    "work_mem": "16MB",
}
LOCK_SECONDS = 30
_END_SECONDS = 10
# How long a role is waited for that an open transaction has altered, before its sessions end.
_HELD_MILLISECONDS = 1000
_HELD_TRIES = 10
# Names of roles that services have, so that no person gets one of them (`metabase/roles.py`).
SERVICE_NAMES = ("metabase", "metabase reps")
# In the state of whatever the next sync does.
PENDING = "still to be"
PASSWORD_CHANGED = "password changed by the person, still to be set back"  # noqa: S105 - a state
_NAME_BYTES = 63
# Parts of an owner's URL that are the owner's own, or would override the login's.
_OWNERS_PARAMETERS = frozenset(
    ("user", "password", "passfile", "service", "servicefile", "sslcert", "sslkey", "sslpassword")
)


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


@dataclass(frozen=True)
class Person:
    """One row of `marts.people`; permission is `admin` or `user`."""

    email: str | None
    rep_name: str
    permission: str
    is_active: bool

    @property
    def may_log_in(self) -> bool:
        """Whether a login is due."""
        return self.is_active and bool(self.email and self.email.strip())


@dataclass(frozen=True)
class Login:
    """One row of `ops.logins` with what the server says of its role.

    Attributes:
        state: `active`, `disabled`, or `leaving` until the role is dropped.
        is_ours: the role exists and has CONNECT on this database.
        is_in_order: login, limit, settings and group are those of state and permission.
    """

    login_id: int
    role_name: str
    secret_name: str | None
    email: str
    rep_name: str
    permission: str
    state: str
    is_ours: bool
    is_in_order: bool


@dataclass(frozen=True)
class Access:
    """One person with the login, as `shs access` lists them; role_name None: there is no role."""

    rep_name: str
    email: str | None
    permission: str
    role_name: str | None
    state: str


# --- the two groups ----------------------------------------------------------------------


def ensure_roles(connection: psycopg.Connection) -> None:
    """Create the groups `shs_admin` and `shs_rep`, which belong to the server, where they are missing.

    Raises:
        ShsError: the owner may not create roles, or a group is a login or has rights of its own.
    """
    with _explained(connection):
        found = _groups(connection)
        for name in sorted(set(GROUPS.values()) - found):
            try:
                with connection.transaction():
                    connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(name)))
            except (errors.DuplicateObject, errors.UniqueViolation):
                continue  # another process was quicker
        _groups(connection)


def _groups(connection: psycopg.Connection) -> set[str]:
    found = connection.execute(
        "select rolname, rolcanlogin or rolsuper or rolbypassrls or rolcreaterole or rolcreatedb"
        " or rolreplication from pg_roles where rolname = any(%s)",
        [list(GROUPS.values())],
    ).fetchall()
    for name, is_more in found:
        if is_more:
            raise ShsError(
                f"The role {name} of this server may log in or has special rights: it is not just a group.",
                f'Let an administrator run: alter role "{name}" nologin nosuperuser nobypassrls '
                "nocreaterole nocreatedb noreplication;",
            )
    return {name for name, _ in found}


# --- following the workbook --------------------------------------------------------------


def sync_logins(
    connection: psycopg.Connection, secrets: SecretStore, *, check_passwords: bool = False
) -> list[LoginChange]:
    """Make the login roles follow `marts.people`; without that table nothing is done.

    Safe to repeat, to kill, and to run twice at once. Sessions of people who lost a right are ended.

    Args:
        connection: the owner's, outside a transaction.
        secrets: gets a new password for each new or re-enabled login, and each that has none there.
        check_passwords: try each stored password, and give one that does not let in any more, since
            the person chose another, its force again.

    Raises:
        ShsError: the owner lacks a right, the store cannot be used, a role cannot be dropped, or
            another process holds the books; the next sync completes what this one left.
    """
    with _own_transactions(connection):
        if not _has_tables(connection):
            return []
        ensure_roles(connection)
        _close_database(connection)
        taken = _taken_away(connection, secrets)
        _end_sessions(connection)
        given = _patiently(connection, secrets, lambda changes: changes.give(_people(connection)))
        done = [*taken, given]
        if check_passwords:
            done += _passwords_mended(connection, secrets)
        changes = [change for each in done for change in each.changes] + _clean_up(connection, secrets)
    for problem in [problem for each in done for problem in each.problems]:  # the first one
        raise problem
    return changes


def logins_from_settings(settings: Settings) -> list[LoginChange]:
    """Do the same for what the settings name.

    Raises:
        ShsError: the database or the store cannot be used.
    """
    from shs_pipeline.database import connect, prepare
    from shs_pipeline.secret_store import secret_store

    url = prepare(settings).warehouse_url
    with connect(url, settings.database_wait_seconds) as connection:
        return sync_logins(connection, secret_store(settings))


def reset_password(connection: psycopg.Connection, secrets: SecretStore, person: str) -> LoginChange:
    """Give a person, by name or e-mail address, a new password, and end the open sessions.

    Raises:
        ShsError: nobody of that name may log in, and as for `sync_logins`.
    """
    with _own_transactions(connection):
        change = _patiently(
            connection, secrets, lambda changes: changes.renew(find_login(connection, person))
        )
        _clean_up(connection, secrets)
        return change.changes[0]


def drop_logins(connection: psycopg.Connection, secrets: SecretStore) -> list[LoginChange]:
    """Drop all login roles of this database with their passwords, as for taking the system down.

    Raises:
        ShsError: as for `sync_logins`.
    """
    with _own_transactions(connection):
        _taken_away(connection, secrets, people=[])
        return _clean_up(connection, secrets)


def find_login(connection: psycopg.Connection, person: str) -> Login:
    """Return the active login of a person, by name or e-mail address.

    Raises:
        ShsError: nobody of that name may log in; names who may be meant.
    """
    active = [login for login in _logins(connection) if login.state == "active" and login.is_ours]
    wanted = match_key(person)
    for login in active:
        if wanted in (match_key(login.rep_name), match_key(login.email)):
            return login
    near = difflib.get_close_matches(person, [login.rep_name for login in active], n=1)
    raise ShsError(
        f"Nobody called {person!r} may log in to the database.",
        f"Did you mean {near[0]}?"
        if near
        else "shs access lists who may; shs access sync brings it up to date.",
    )


def login_url(database_url: str, role: str, secret: str) -> str:
    """Return the connection URL of a login: the owner's server and database, another user."""
    parts = urlsplit(database_url)
    place = parts.netloc.rpartition("@")[2]
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in _OWNERS_PARAMETERS]
    user = f"{quote(role, safe='')}:{quote(secret, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{user}@{place}", query=urlencode(query, quote_via=quote)))


def list_access(
    connection: psycopg.Connection, secrets: SecretStore, *, check_passwords: bool = False
) -> list[Access]:
    """Return every person with the state of the login, by name, then logins of those who left.

    Args:
        connection: the owner's.
        secrets: where the passwords are kept.
        check_passwords: try each stored password at the server.
    """
    if not _has_tables(connection):
        return []
    stored = secrets.names()
    changed = (
        {login.role_name for login in _with_other_passwords(connection, secrets)} if check_passwords else ()
    )
    pairs, left = match_people(_people(connection), _logins(connection))
    listed = [
        Access(
            person.rep_name, person.email, person.permission, login.role_name if login else None,
            PASSWORD_CHANGED
            if login and login.role_name in changed
            else _state(person, login, login is not None and _is_stored(secrets, stored, login.secret_name)),
        )
        for person, login in pairs
    ]  # fmt: skip
    listed.sort(key=lambda access: match_key(access.rep_name))
    return listed + [
        Access(login.rep_name, login.email, login.permission, login.role_name, "left, still to be dropped")
        for login in left
    ]


def _state(person: Person, login: Login | None, has_secret: bool) -> str:
    if not person.may_log_in:
        why = "not active" if not person.is_active else "no e-mail address"
        return why if login is None or login.state != "active" else f"{why}, still to be disabled"
    if login is None or not login.is_ours or login.state != "active":
        return "login still to be made"
    if login.permission != person.permission or not login.is_in_order:
        return "login still to be changed"
    return "may log in" if has_secret else "password still to be made"


# --- who is who --------------------------------------------------------------------------


def match_people(
    people: Sequence[Person], logins: Sequence[Login]
) -> tuple[list[tuple[Person, Login | None]], list[Login]]:
    """Find each person's login: by address and name, else by address, else by name.

    The exact pairs come first: when somebody takes over the address of a person who stays listed,
    each keeps what is theirs, and the newcomer does not get the other's password.

    Returns:
        Each person with the login or None, and the logins that are nobody's.
    """
    waiting = sorted(people, key=lambda person: (not person.may_log_in, match_key(person.rep_name)))
    free = sorted(logins, key=lambda login: (login.state != "active", login.login_id))
    found: dict[Person, Login] = {}
    for by_email, by_name in ((True, True), (True, False), (False, True)):
        for person in waiting:
            if person in found:
                continue
            same = (
                login
                for login in free
                if (not by_email or match_key(login.email) == match_key(person.email or ""))
                and (not by_name or match_key(login.rep_name) == match_key(person.rep_name))
            )
            login = next(same, None)
            if login is not None:
                found[person] = login
                free.remove(login)
    return [(person, found.get(person)) for person in waiting], free


def _has_tables(connection: psycopg.Connection) -> bool:
    row = connection.execute(
        "select to_regclass('marts.people') is not null and to_regclass('ops.logins') is not null"
    ).fetchone()
    return bool(row and row[0])


def _people(connection: psycopg.Connection) -> list[Person]:
    with connection.cursor(row_factory=class_row(Person)) as cursor:
        cursor.execute("select distinct email, rep_name, permission, is_active from marts.people")
        return cursor.fetchall()


_LOGINS = """
select
    l.login_id, l.role_name, l.secret_name, l.email, l.rep_name, l.permission, l.state,
    exists (
        select from pg_database as d cross join aclexplode(d.datacl) as a
        where d.datname = current_database() and a.grantee = r.oid and a.privilege_type = 'CONNECT'
    ) as is_ours,
    coalesce(
        r.rolcanlogin = (l.state = 'active')
        and r.rolconnlimit = (%(limits)s::jsonb ->> l.permission)::int
        and (select array_agg(s order by s) from unnest(r.rolconfig) as s) = %(settings)s
        and not exists (
            select from pg_db_role_setting as s where s.setrole = r.oid and s.setdatabase <> 0
        )
        and (
            select coalesce(array_agg(distinct g.rolname::text), '{}')
            from pg_auth_members as m inner join pg_roles as g on g.oid = m.roleid
            where m.member = r.oid
        ) = case when l.state = 'active' then array[%(groups)s::jsonb ->> l.permission] else '{}' end,
        false
    ) as is_in_order
from ops.logins as l left join pg_roles as r on r.rolname = l.role_name
order by l.login_id
"""


def _logins(connection: psycopg.Connection) -> list[Login]:
    from psycopg.types.json import Jsonb

    settings = sorted(f"{name}={value}" for name, value in ROLE_SETTINGS.items())
    with connection.cursor(row_factory=class_row(Login)) as cursor:
        cursor.execute(_LOGINS, {"limits": Jsonb(CONNECTIONS), "settings": settings, "groups": Jsonb(GROUPS)})
        return cursor.fetchall()


def _is_stored(secrets: SecretStore, stored: Collection[str], name: str | None) -> bool:
    # A list may lag behind, the single look does not.
    return name is not None and (name in stored or secrets.get(name) is not None)


# --- one transaction of changes ----------------------------------------------------------


class _HeldRoleError(Exception):
    """A role was altered by an open transaction, or by another one in the same moment."""


@contextmanager
def _changing(connection: psycopg.Connection, secrets: SecretStore) -> Iterator[_Changes]:
    """Let logins be changed in one transaction, alone; replaced passwords are forgotten after it.

    Raises:
        _HeldRoleError: nothing was changed, since a role is held.
    """
    changes = _Changes(connection, secrets)
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


def _patiently(
    connection: psycopg.Connection, secrets: SecretStore, step: Callable[[_Changes], None]
) -> _Changes:
    """Do a step in a transaction; where a role of ours is held, its sessions end and it is done again.

    Raises:
        ShsError: it is still held, by somebody whose session cannot be ended.
    """
    for attempt in range(_HELD_TRIES):
        changes = None
        try:
            with _changing(connection, secrets) as changes:
                step(changes)
        except _HeldRoleError:
            held = changes.touched if changes else ""
            time.sleep(0.02 * attempt)
            _kick_out(
                connection,
                [
                    login.role_name
                    for login in _logins(connection)
                    if login.is_ours and held in (login.role_name, "")
                ],
            )
        else:
            return changes
    raise ShsError(
        f"The role {held} is held by another session of the server, which goes on altering it.",
        "See in pg_stat_activity who that is; end it, then run shs access sync again.",
    )


def _taken_away(
    connection: psycopg.Connection, secrets: SecretStore, people: Sequence[Person] | None = None
) -> list[_Changes]:
    """Take rights away, of each person apart: who is held by something keeps nobody else in.

    Args:
        people: as for `_Changes.take_away`; None: those of the workbook.
    """

    def listed() -> Sequence[Person]:
        return _people(connection) if people is None else people

    done: list[_Changes] = []
    with _changing(connection, secrets):
        roles = losing(listed(), _logins(connection))
    for role_name in roles:
        try:
            _kick_out(connection, [role_name])
            done.append(_patiently(connection, secrets, partial(_take_away, listed, role_name)))
        except ShsError as problem:
            failed = _Changes(connection, secrets)
            failed.problems.append(problem)
            done.append(failed)
    return done


def _take_away(listed: Callable[[], Sequence[Person]], role_name: str, changes: _Changes) -> None:
    changes.take_away(listed(), role_name)


def losing(people: Sequence[Person], logins: Sequence[Login]) -> list[str]:
    """Return the roles whose rights are to be taken away or set right."""
    ours = [login for login in logins if login.is_ours]
    pairs, left = match_people(people, ours)
    found = [
        login.role_name
        for person, login in pairs
        if login is not None
        and (
            (login.state == "active" or not login.is_in_order)
            if not person.may_log_in
            else login.state == "active" and (login.permission != person.permission or not login.is_in_order)
        )
    ]
    return found + [login.role_name for login in left]


class _Changes:
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
        pairs, left = match_people(people, [login for login in _logins(self.connection) if login.is_ours])
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
        listed = _logins(self.connection)
        logins = [login for login in listed if login.is_ours]
        pairs, _ = match_people(people, logins)
        numbers = self._forget([login for login in listed if not login.is_ours], pairs)
        handed_over = _names_of_newcomers(people, logins)
        names = self._names(pairs)
        self._rename([(login, names[person]) for person, login in pairs if login])
        stored = self.secrets.names()
        for person, login in pairs:
            if login is not None:
                self._record(person, login, names[person])
            if login is None and person.may_log_in:
                self._create(person, names[person], numbers.get(person))
            elif login is not None and person.may_log_in:
                is_safe = match_key(login.rep_name) not in handed_over - {match_key(person.rep_name)}
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
        said = "had another password than the stored one, which holds again"
        self._note("repaired", login.role_name, login.rep_name, said)

    # --- taking away

    def _disable(self, login: Login, state: str) -> None:
        if login.state == "active" or not login.is_in_order:
            self._define("alter role {} nologin password null", login.role_name)
            self._leave_groups(login.role_name)
            self._keep_from_services(login.role_name)
        if login.state == "active":
            self._note("disabled", login.role_name, login.rep_name, "may not log in any more")
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
            self._note("repaired", login.role_name, login.rep_name, "has the role's settings and group again")
            return
        # A prepared statement keeps the row policies of the time it was planned: such sessions end.
        self._execute(
            "update ops.logins set permission = %s, must_end_sessions = true, changed_at = now()"
            " where login_id = %s",
            permission, login.login_id,
        )  # fmt: skip
        self._note("permission", login.role_name, login.rep_name, f"is {permission} now")

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
            self._note("forgotten", login.role_name, login.rep_name, "is gone or belongs to another database")
        known, _ = match_people([person for person, login in pairs if login is None], gone)
        return {person: login.login_id for person, login in known if login is not None}

    def _names(self, pairs: Sequence[tuple[Person, Login | None]]) -> dict[Person, str]:
        """Choose the role's name for each person with or due for a login; a fitting one stays."""
        reserved = {role_base(self._database, name) for name in SERVICE_NAMES}
        held = {login.role_name for _, login in pairs if login} - reserved
        taken = {name for (name,) in self.connection.execute("select rolname from pg_roles")} - held
        taken |= reserved
        chosen: dict[Person, str] = {}
        moving: list[Person] = []
        for person, login in pairs:
            base = role_base(self._database, person.rep_name)
            fits = login is not None and re.fullmatch(rf"{re.escape(base)}(_[0-9]+)?", login.role_name)
            if login and fits and login.role_name not in reserved:
                chosen[person] = login.role_name
                taken.add(login.role_name)
            elif login or person.may_log_in:
                moving.append(person)
        for person in moving:
            chosen[person] = _free_name(role_base(self._database, person.rep_name), taken)
            taken.add(chosen[person])
        return chosen

    def _rename(self, wanted: Sequence[tuple[Login, str]]) -> None:
        moves = [(login, name) for login, name in wanted if login.role_name != name]
        # By way of a third name, so that two people can swap theirs.
        between = {login.login_id: f"shs_moving_{random_secrets.token_hex(12)}" for login, _ in moves}
        rename: LiteralString = "alter role {} rename to {}"
        for login, _ in moves:
            self._define(rename, login.role_name, sql.Identifier(between[login.login_id]))
        for login, name in moves:
            self._define(rename, between[login.login_id], sql.Identifier(name))
            self._note("renamed", name, login.rep_name, f"has another role name; it was {login.role_name}")

    def _record(self, person: Person, login: Login, role_name: str) -> None:
        email = person.email if person.email and person.email.strip() else login.email
        self._execute(
            "update ops.logins set role_name = %(role)s, email = %(email)s, rep_name = %(name)s,"
            " changed_at = now() where login_id = %(id)s"
            " and (role_name, email, rep_name) is distinct from (%(role)s, %(email)s, %(name)s)",
            id=login.login_id, role=role_name, email=email, name=person.rep_name,
        )  # fmt: skip
        if login.email != email:
            self._note("address", role_name, person.rep_name, f"has the address {email} now")

    def _create(self, person: Person, role_name: str, number: int | None) -> None:
        self._define("create role {} login", role_name)
        self._define("grant connect on database {1} to {0}", role_name, sql.Identifier(self._database))
        row = self._execute(
            "insert into ops.logins (login_id, role_name, email, rep_name, permission, state)"
            " overriding system value values ("
            "  coalesce(%s, nextval(pg_get_serial_sequence('ops.logins', 'login_id'))),"
            "  %s, %s, %s, %s, 'active') returning login_id",
            number, role_name, person.email, person.rep_name, person.permission,
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
        elif not _is_stored(self.secrets, stored, login.secret_name):
            self._set_password(login.login_id, role_name, login.secret_name)
            self._note("password", role_name, person.rep_name, "had no password in store and has a new one")

    # --- roles

    def _arrange(self, role_name: str, permission: str) -> None:
        """Give a role its limit, its settings and its group, and take away any other."""
        self._define(
            "alter role {} login inherit connection limit {}", role_name, sql.Literal(CONNECTIONS[permission])
        )
        databases = self._execute(
            "select d.datname from pg_db_role_setting as s inner join pg_roles as r on r.oid = s.setrole"
            " inner join pg_database as d on d.oid = s.setdatabase where r.rolname = %s",
            role_name,
        ).fetchall()
        for (name,) in databases:
            self._define("alter role {} in database {} reset all", role_name, sql.Identifier(name))
        self._define("alter role {} reset all", role_name)
        for name, value in ROLE_SETTINGS.items():
            self._define("alter role {} set {} = {}", role_name, sql.Identifier(name), sql.Literal(value))
        for group in self._leave_groups(role_name, but=GROUPS[permission]):
            problem = ShsError(
                f"The role {role_name} is a member of {group} by somebody else's grant.",
                f'Let an administrator of that server run: revoke "{group}" from "{role_name}" cascade;',
            )
            self.problems.append(problem)
        # Since 16 a membership can lend its rights without letting anybody become the group.
        options = " with inherit true, set false" if _is_since_16(self.connection) else ""
        grant = sql.SQL("grant {} to {}" + options)
        self._run(grant.format(sql.Identifier(GROUPS[permission]), sql.Identifier(role_name)))
        if permission != "user":
            self._keep_from_services(role_name)

    def _keep_from_services(self, role_name: str) -> None:
        """Let no service take on a role that is not, or no longer, a rep's."""
        held: LiteralString = (
            "select r.rolname from pg_auth_members as m"
            " inner join pg_roles as g on g.oid = m.roleid inner join pg_roles as r on r.oid = m.member"
            " inner join ops.impersonators as i on i.role_name = r.rolname where g.rolname = %s"
        )
        for (service,) in self._execute(held, role_name).fetchall():
            self._run(sql.SQL("revoke {} from {}").format(sql.Identifier(role_name), sql.Identifier(service)))

    def _leave_groups(self, role_name: str, but: str | None = None) -> list[str]:
        """Take a role out of all groups but one; return those that somebody else put it into."""
        held: LiteralString = (
            "select distinct g.rolname from pg_auth_members as m"
            " inner join pg_roles as g on g.oid = m.roleid inner join pg_roles as r on r.oid = m.member"
            " where r.rolname = %s and g.rolname is distinct from %s"
        )
        for (group,) in self._execute(held, role_name, but).fetchall():
            with suppress(errors.InsufficientPrivilege), self.connection.transaction():
                self._run(
                    sql.SQL("revoke {} from {}").format(sql.Identifier(group), sql.Identifier(role_name))
                )
        return [group for (group,) in self._execute(held, role_name, but)]

    def _set_password(self, login_id: int, role_name: str, old_secret: str | None) -> None:
        password = random_secrets.token_urlsafe(32)
        # A name used once: a stored password is never one of another time.
        name = f"{re.sub('[^A-Za-z0-9_.-]', '-', role_name)}/{random_secrets.token_hex(4)}"
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

    def _set_verifier(self, role_name: str, password: str) -> None:
        # The verifier goes over the wire, never the password: logs and statistics may keep statements.
        verifier = self.connection.pgconn.encrypt_password(
            password.encode(), role_name.encode(), b"scram-sha-256"
        )
        self._define("alter role {} password {}", role_name, sql.Literal(verifier.decode()))

    def _define(self, statement: LiteralString, role_name: str, *values: sql.Composable) -> None:
        self.touched = role_name
        self._run(sql.SQL(statement).format(sql.Identifier(role_name), *values))

    def _run(self, statement: sql.Composed) -> None:
        self.connection.execute(statement)

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


# --- passwords that people changed -------------------------------------------------------


def _with_other_passwords(connection: psycopg.Connection, secrets: SecretStore) -> list[Login]:
    """Return the active logins that the stored password does not let in.

    Only trying tells: what a role's password is, the server shows to nobody but its administrator.
    """
    found = []
    place = connection.info.get_parameters()
    for name in _OWNERS_PARAMETERS & place.keys():
        del place[name]
    for login in _logins(connection):
        secret = secrets.get(login.secret_name) if login.secret_name else None
        if login.state != "active" or not login.is_ours or secret is None:
            continue
        try:
            psycopg.connect(make_conninfo(**{**place, "user": login.role_name, "password": secret})).close()
        except psycopg.OperationalError as error:
            # Any other answer (too many connections) comes to those with the right password only.
            if "password authentication failed" in str(error):
                found.append(login)
    return found


def _passwords_mended(connection: psycopg.Connection, secrets: SecretStore) -> list[_Changes]:
    done = []
    for login in _with_other_passwords(connection, secrets):
        _kick_out(connection, [login.role_name])
        done.append(_patiently(connection, secrets, partial(_Changes.set_back, login=login)))
    return done


# --- after the commit --------------------------------------------------------------------


def _clean_up(connection: psycopg.Connection, secrets: SecretStore) -> list[LoginChange]:
    """End what may not go on, forget dead passwords, drop the roles of those who left."""
    _end_sessions(connection)
    dead = connection.execute(
        "select login_id, secret_name from ops.logins where state <> 'active' and secret_name is not null"
    ).fetchall()
    for login_id, name in dead:
        secrets.delete(name)
        connection.execute(
            "update ops.logins set secret_name = null where login_id = %s and secret_name = %s",
            [login_id, name],
        )
    return _drop_leavers(connection)


def _end_sessions(connection: psycopg.Connection) -> None:
    """End the sessions of logins that changed and of those that may not log in.

    Raises:
        ShsError: a session does not end.
    """
    marked = connection.execute(
        "select login_id, changed_at, role_name from ops.logins where must_end_sessions"
        " or state <> 'active' and role_name in (select usename from pg_stat_activity)"
    ).fetchall()
    roles = [login.role_name for login in _logins(connection) if login.is_ours]
    _terminate(connection, [role for _, _, role in marked if role in roles])
    for login_id, changed_at, _ in marked:
        connection.execute(
            "update ops.logins set must_end_sessions = false where login_id = %s and changed_at = %s"
            " and must_end_sessions",
            [login_id, changed_at],
        )


def _kick_out(connection: psycopg.Connection, roles: Sequence[str]) -> None:
    """End the sessions that these roles have now, and with them what their transactions hold."""
    if not roles:
        return
    with connection.transaction(force_rollback=True):
        borrow(connection, roles)
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = any(%s)",
            [list(roles)],
        )


def _terminate(connection: psycopg.Connection, roles: Sequence[str]) -> None:
    if not roles:
        return
    # Who ends a session needs the rights of its role: borrowed, and given back by the rollback.
    with connection.transaction(force_rollback=True):
        borrow(connection, roles)
        deadline = time.monotonic() + _END_SECONDS
        quiet = 0
        # Twice nothing: a login that was being checked when the role was closed may still appear.
        while quiet < 2:
            connection.execute("select pg_stat_clear_snapshot()")
            ended = connection.execute(
                "select usename, pg_terminate_backend(pid) from pg_stat_activity where usename = any(%s)",
                [list(roles)],
            ).fetchall()
            quiet = 0 if ended else quiet + 1
            if ended and time.monotonic() > deadline:
                raise ShsError(
                    f"A session of {ended[0][0]} does not end, also after {_END_SECONDS} s.",
                    "Run shs access sync again; if that does not help, restart the database server.",
                )
            time.sleep(0.05)


def _drop_leavers(connection: psycopg.Connection) -> list[LoginChange]:
    dropped: list[LoginChange] = []
    stuck: list[str] = []
    with connection.transaction():
        lock_books(connection)
        for login in [login for login in _logins(connection) if login.state == "leaving"]:
            try:
                with connection.transaction():
                    _drop_role(connection, login)
                said = f"{login.rep_name} ({login.role_name}) left; the role is dropped."
                dropped.append(LoginChange("dropped", login.role_name, login.rep_name, said))
            except errors.DependentObjectsStillExist:
                stuck.append(login.role_name)
    if stuck:
        raise ShsError(
            f"The roles {', '.join(stuck)} cannot log in any more and cannot be dropped: they own things or "
            "have rights in other databases of the server.",
            "Let an administrator run there: reassign owned by <role> to <owner>; drop owned by <role>; "
            "then run shs access sync.",
        )
    return dropped


def _drop_role(connection: psycopg.Connection, login: Login) -> None:
    if login.is_ours:
        role = sql.Identifier(login.role_name)
        borrow(connection, [login.role_name])
        # First hand over what it owns, so that dropping takes away rights and never data.
        connection.execute(sql.SQL("reassign owned by {} to current_user").format(role))
        connection.execute(sql.SQL("drop owned by {}").format(role))
        connection.execute(sql.SQL("drop role {}").format(role))
    connection.execute("delete from ops.logins where login_id = %s", [login.login_id])


def borrow(connection: psycopg.Connection, roles: Sequence[str]) -> None:
    """Give the owner the rights of these roles, in a transaction that is rolled back or drops them."""
    options = " with inherit true, set false" if _is_since_16(connection) else ""
    for role in roles:
        connection.execute(sql.SQL("grant {} to current_user" + options).format(sql.Identifier(role)))


# --- the connection ----------------------------------------------------------------------


def _close_database(connection: psycopg.Connection) -> None:
    """Take from PUBLIC what it has on the database by default: to connect and to make temporary tables.

    Raises:
        ShsError: the user of the connection does not own the database.
    """
    row = connection.execute(
        "select pg_has_role(datdba, 'usage'), exists (select from"
        " aclexplode(coalesce(datacl, acldefault('d', datdba))) where grantee = 0),"
        " (select rolname from pg_roles where oid = datdba)"
        " from pg_database where datname = current_database()"
    ).fetchone()
    assert row is not None
    is_owner, is_open, owner = row
    if not is_owner:
        raise ShsError(
            f"The user {connection.info.user} does not own the database {connection.info.dbname} "
            f"({owner} does) and cannot let people in.",
            f'Let {owner} run: alter database "{connection.info.dbname}" owner to "{connection.info.user}";',
        )
    if is_open:
        name = sql.Identifier(connection.info.dbname)
        with connection.transaction():
            lock_books(connection)
            connection.execute(sql.SQL("revoke all on database {} from public").format(name))


def lock_books(connection: psycopg.Connection) -> None:
    """Let nobody else change logins until this transaction ends: roles share rows of the catalog."""
    # A table and no advisory lock: those can be taken by everybody who may connect, for ever.
    connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(f"{LOCK_SECONDS}s")))
    connection.execute("lock table ops.logins in share row exclusive mode")


@contextmanager
def _own_transactions(connection: psycopg.Connection) -> Iterator[None]:
    """Let each transaction be committed by its block, and explain what the server refuses."""
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise ValueError("the connection is in a transaction")
    before = connection.autocommit
    connection.autocommit = True
    try:
        with _explained(connection):
            yield
    finally:
        if not connection.closed:
            connection.autocommit = before


@contextmanager
def _explained(connection: psycopg.Connection) -> Iterator[None]:
    try:
        yield
    except errors.InsufficientPrivilege as error:
        user = connection.info.user
        raise ShsError(
            f"The user {user} of the database may not manage login roles ({error.diag.message_primary}).",
            f'Let an administrator of that server run: alter role "{user}" createrole; '
            f'and, where the groups exist: grant shs_admin, shs_rep to "{user}" with admin option;',
        ) from None
    except errors.InternalError as error:
        if not is_changed_at_once(error):
            raise
        raise ShsError(
            "Another command changed the same role or group of the database in this moment.",
            "Run shs access sync again.",
        ) from None
    except errors.LockNotAvailable:
        raise ShsError(
            f"Another process has been changing the logins for {LOCK_SECONDS} s.",
            "Try again when it is done.",
        ) from None


def _is_since_16(connection: psycopg.Connection) -> bool:
    return connection.info.server_version >= 160000
