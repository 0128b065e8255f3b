"""Who is who: the people of the workbook, the logins in the books, and which belongs to whom.

`marts.people` says who may log in, `ops.logins` which role belongs to whom. A person is identified by their
permanent id; a login from before there were ids, by the email address, or by name if only the address
changed.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from shs_pipeline.base.errors import ShsError
from shs_pipeline.casting.cells import match_key
from shs_pipeline.database.groups import (
    GROUPS,
    LOCK_SECONDS,
)
from shs_pipeline.people.rights import CONNECTIONS, ROLE_SETTINGS

if TYPE_CHECKING:
    from shs_pipeline.settings.secret_store import SecretStore


@dataclass(frozen=True)
class Person:
    """One row of `marts.people`; permission is `admin` or `user`."""

    email: str | None
    rep_name: str
    permission: str
    is_active: bool
    payee_id: str | None = None

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
    payee_id: str | None = None


def find_login(connection: psycopg.Connection, person: str) -> Login:
    """Return the active login of a person, by name or email address.

    Raises:
        ShsError: nobody of that name may log in; names who may be meant.
    """
    active = [login for login in read_logins(connection) if login.state == "active" and login.is_ours]
    wanted = match_key(person)
    for login in active:
        if wanted in (match_key(login.rep_name), match_key(login.email)):
            return login
    near = difflib.get_close_matches(person, [login.rep_name for login in active], n=1)
    raise ShsError(
        f"Nobody called {person!r} may log in to the database.",
        f"Did you mean {near[0]}?"
        if near
        else "shs access lists who can; shs access sync updates the logins.",
    )


def match_people(
    people: Sequence[Person], logins: Sequence[Login]
) -> tuple[list[tuple[Person, Login | None]], list[Login]]:
    """Find each person's login: by id; a login without one by address and name, by address, or by name.

    Of these the exact pairs come first: when somebody takes over the address of a person who stays listed,
    each keeps what is theirs, and the newcomer does not get the other's password.

    Returns:
        Each person with the login or None, and the logins that are nobody's.
    """
    waiting = sorted(people, key=lambda person: (not person.may_log_in, match_key(person.rep_name)))
    free = sorted(logins, key=lambda login: (login.state != "active", login.login_id))
    found: dict[Person, Login] = {}
    by_id = {login.payee_id: login for login in reversed(free) if login.payee_id}
    for person in waiting:
        if person.payee_id in by_id:
            found[person] = by_id.pop(person.payee_id)
            free.remove(found[person])
    for by_email, by_name in ((True, True), (True, False), (False, True)):
        for person in waiting:
            if person in found:
                continue
            same = (
                login
                for login in free
                if login.payee_id is None
                and (not by_email or match_key(login.email) == match_key(person.email or ""))
                and (not by_name or match_key(login.rep_name) == match_key(person.rep_name))
            )
            login = next(same, None)
            if login is not None:
                found[person] = login
                free.remove(login)
    return [(person, found.get(person)) for person in waiting], free


def has_tables(connection: psycopg.Connection) -> bool:
    """Whether people were published and the books of logins exist."""
    row = connection.execute(
        "select to_regclass('marts.people') is not null and to_regclass('ops.logins') is not null"
    ).fetchone()
    return bool(row and row[0])


def read_people(connection: psycopg.Connection) -> list[Person]:
    """Return everybody in the published workbook."""
    with connection.cursor(row_factory=class_row(Person)) as cursor:
        # As an older version published them they have neither an id nor a day on which a login ends.
        cursor.execute(
            "select distinct email, rep_name, permission, to_jsonb(p) ->> 'payee_id' as payee_id,"
            " is_active and coalesce((to_jsonb(p) ->> 'login_ends_on')::date > current_date, true)"
            "  as is_active from marts.people as p"
        )
        return cursor.fetchall()


_LOGINS = """
select
    l.login_id, l.role_name, l.secret_name, l.email, l.rep_name, l.permission, l.state, l.payee_id,
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


def read_logins(connection: psycopg.Connection) -> list[Login]:
    """Return the logins in the books with what the server says of their roles, oldest first."""
    from psycopg.types.json import Jsonb

    settings = sorted(f"{name}={value}" for name, value in ROLE_SETTINGS.items())
    with connection.cursor(row_factory=class_row(Login)) as cursor:
        cursor.execute(_LOGINS, {"limits": Jsonb(CONNECTIONS), "settings": settings, "groups": Jsonb(GROUPS)})
        return cursor.fetchall()


def is_stored(secrets: SecretStore, stored: Collection[str], name: str | None) -> bool:
    """Whether the store holds a password of that name, `stored` being the names it listed."""
    # A list may lag behind, the single look does not.
    return name is not None and (name in stored or secrets.get(name) is not None)


def lock_books(connection: psycopg.Connection) -> None:
    """Let nobody else change logins until this transaction ends: roles share rows of the catalog."""
    # A table and no advisory lock: those can be taken by everybody who may connect, for ever.
    connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(f"{LOCK_SECONDS}s")))
    connection.execute("lock table ops.logins in share row exclusive mode")
