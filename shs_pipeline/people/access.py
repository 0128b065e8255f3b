"""Login roles: each active person of the accepted sales_reps workbook may log in to the database.

Who belongs to which role is in `logins`. A role is touched only if it stands
in `ops.logins` and has CONNECT on this very database: the books of a copied or restored database
name roles of the original, and those are left alone.

Rights are taken away first, of each person in a transaction of its own, which needs no store; then,
with new sessions kept out, open ones end; then logins are made and changed; roles go last. What one
transaction does, and what holds when it is killed, is in `changes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.groups import (
    ensure_roles,
    rights_explained,
)
from shs_pipeline.people.changes import Changes, LoginChange, changing, patiently
from shs_pipeline.people.leavers import clean_up
from shs_pipeline.people.logins import (
    Login,
    Person,
    find_login,
    has_tables,
    lock_books,
    match_people,
    read_logins,
    read_people,
)
from shs_pipeline.people.passwords import with_other_passwords
from shs_pipeline.people.sessions import end_sessions, kick_out

if TYPE_CHECKING:
    from shs_pipeline.settings.secret_store import SecretStore
    from shs_pipeline.settings.settings import Settings


def sync_logins(
    connection: psycopg.Connection, secrets: SecretStore, *, check_passwords: bool = False
) -> list[LoginChange]:
    """Bring the login roles in line with `marts.people`; without that table nothing is done.

    Safe to repeat, to kill, and to run twice at once. Sessions of people who lost a right are ended.

    Args:
        connection: the owner's, outside a transaction.
        secrets: gets a new password for each new or re-enabled login, and each that has none there.
        check_passwords: try each stored password, and restore one that no longer works because the person
        changed it.

    Raises:
        ShsError: the owner lacks a right, the store cannot be used, a role cannot be dropped, or
            another process holds the books; the next sync completes what this one left.
    """
    with _own_transactions(connection):
        if not has_tables(connection):
            return []
        ensure_roles(connection)
        _close_database(connection)
        taken = _taken_away(connection, secrets)
        end_sessions(connection)
        given = patiently(connection, secrets, lambda changes: changes.give(read_people(connection)))
        done = [*taken, given]
        if check_passwords:
            done += _passwords_mended(connection, secrets)
        changes = [change for each in done for change in each.changes] + clean_up(connection, secrets)
    for problem in [problem for each in done for problem in each.problems]:  # the first one
        raise problem
    return changes


def logins_from_settings(settings: Settings) -> list[LoginChange]:
    """Do the same for what the settings name.

    Raises:
        ShsError: the database or the store cannot be used.
    """
    from shs_pipeline.database.connection import connect
    from shs_pipeline.database.databases import prepare
    from shs_pipeline.settings.secret_store import secret_store

    url = prepare(settings).warehouse_url
    with connect(url, settings.database_wait_seconds) as connection:
        return sync_logins(connection, secret_store(settings))


def reset_password(connection: psycopg.Connection, secrets: SecretStore, person: str) -> LoginChange:
    """Give a person, by name or email address, a new password, and end their open sessions.

    Raises:
        ShsError: nobody of that name may log in, and as for `sync_logins`.
    """
    with _own_transactions(connection):
        change = patiently(connection, secrets, lambda changes: changes.renew(find_login(connection, person)))
        clean_up(connection, secrets)
        return change.changes[0]


def drop_logins(connection: psycopg.Connection, secrets: SecretStore) -> list[LoginChange]:
    """Drop all login roles of this database with their passwords, as for taking the system down.

    Raises:
        ShsError: as for `sync_logins`.
    """
    with _own_transactions(connection):
        _taken_away(connection, secrets, people=[])
        return clean_up(connection, secrets)


def _taken_away(
    connection: psycopg.Connection, secrets: SecretStore, people: Sequence[Person] | None = None
) -> list[Changes]:
    """Take rights away, of each person apart: who is held by something keeps nobody else in.

    Args:
        people: as for `_Changes.take_away`; None: those of the workbook.
    """

    def listed() -> Sequence[Person]:
        return read_people(connection) if people is None else people

    done: list[Changes] = []
    with changing(connection, secrets):
        roles = losing(listed(), read_logins(connection))
    for role_name in roles:
        try:
            kick_out(connection, [role_name])
            done.append(patiently(connection, secrets, partial(_take_away, listed, role_name)))
        except ShsError as problem:
            failed = Changes(connection, secrets)
            failed.problems.append(problem)
            done.append(failed)
    return done


def _take_away(listed: Callable[[], Sequence[Person]], role_name: str, changes: Changes) -> None:
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


def _passwords_mended(connection: psycopg.Connection, secrets: SecretStore) -> list[Changes]:
    done = []
    for login in with_other_passwords(connection, secrets):
        kick_out(connection, [login.role_name])
        done.append(patiently(connection, secrets, partial(Changes.set_back, login=login)))
    return done


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
            f"({owner} does) and so cannot let people log in.",
            f'Let {owner} run: alter database "{connection.info.dbname}" owner to "{connection.info.user}";',
        )
    if is_open:
        name = sql.Identifier(connection.info.dbname)
        with connection.transaction():
            lock_books(connection)
            connection.execute(sql.SQL("revoke all on database {} from public").format(name))


@contextmanager
def _own_transactions(connection: psycopg.Connection) -> Iterator[None]:
    """Let each transaction be committed by its block, and explain what the server refuses."""
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise ValueError("the connection is in a transaction")
    before = connection.autocommit
    connection.autocommit = True
    try:
        with rights_explained(connection):
            yield
    finally:
        if not connection.closed:
            connection.autocommit = before
