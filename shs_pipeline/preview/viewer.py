"""The viewer: queries run with a person's own login, so that the database decides what is shown."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import tuple_row

from shs_pipeline.base.errors import ShsError
from shs_pipeline.dashboards.model import Audience, Card, Value, render_sql
from shs_pipeline.database.faults import older_tables

if TYPE_CHECKING:
    from shs_pipeline.people.listing import Access
    from shs_pipeline.people.logins import Login
    from shs_pipeline.settings.secret_store import SecretStore

STATEMENT_SECONDS = 20
MOST_ROWS = 2000
"""Of a card's answer, as in Metabase."""
_CONNECTIONS = 4  # a rep's role may have ten, and Metabase wants some
_EXPORT_ROWS = 5000  # fetched at a time

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Answer:
    """What a card's question brought.

    Attributes:
        rows: values in the order of the card's columns.
        is_cut: there are more rows than `MOST_ROWS`.
        fault: what the database said instead of answering.
    """

    rows: Sequence[Row] = ()
    is_cut: bool = False
    fault: str | None = None


@dataclass(frozen=True)
class Viewer:
    """A person who may log in.

    Attributes:
        url: connection URL of the person's role; never shown.
        write_to: addresses of the admins who may log in, for questions.
    """

    name: str
    role: str
    audience: Audience
    url: str = field(repr=False)
    write_to: tuple[str, ...] = ()
    _free: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(_CONNECTIONS), repr=False, compare=False
    )

    @contextmanager
    def reading(self) -> Iterator[psycopg.Connection]:
        """Yield a connection in a read-only transaction that sees one state of the marts.

        Raises:
            ShsError: the database is away, or refuses the login.
        """
        with self._free, self._connected() as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield connection

    def _connected(self) -> psycopg.Connection:
        try:
            return psycopg.connect(
                self.url,
                connect_timeout=10,
                application_name="shs preview",
                options=f"-c statement_timeout={STATEMENT_SECONDS}s",
            )
        except psycopg.OperationalError:
            # What the driver says may hold parts of the URL.
            raise ShsError(
                f"{self.name} cannot log in to the database as {self.role} at the moment.",
                "Check that the database is running (shs status); if the login was changed, restart shs "
                "preview.",
            ) from None


def find_viewer(
    owner: psycopg.Connection, secrets: SecretStore, database_url: str, person: str | None
) -> Viewer:
    """Return the person who is to look: by name or e-mail address, the first admin by default.

    Args:
        owner: the owner's connection, which is used for this alone.

    Raises:
        ShsError: nobody of that name may log in, or the password is not in the store.
    """
    from shs_pipeline.people.passwords import login_url

    able = _able_to_log_in(owner, secrets)
    login = _login(owner, able, person)
    secret = secrets.get(login.secret_name) if login.secret_name else None
    if secret is None:
        raise ShsError(
            f"The password of {login.rep_name} is not in the store that SHS_SECRETS names.",
            "Correct SHS_SECRETS, or create a new password with shs access sync.",
        )
    audience: Audience = "admin" if login.permission == "admin" else "rep"
    url = login_url(database_url, login.role_name, secret)
    admins = tuple(one.email for one in able if one.permission == "admin" and one.email)
    return Viewer(login.rep_name, login.role_name, audience, url, admins)


def _able_to_log_in(owner: psycopg.Connection, secrets: SecretStore) -> list[Access]:
    from shs_pipeline.people.listing import list_access

    listed = list_access(owner, secrets)
    able = [access for access in listed if access.role_name and access.state == "may log in"]
    if not able:
        raise ShsError(
            "Nobody may log in to the database yet.",
            "Run shs access sync; if that creates no login, drop a sales_reps workbook and run shs run.",
        )
    return able


def _login(owner: psycopg.Connection, able: Sequence[Access], person: str | None) -> Login:
    from shs_pipeline.people.logins import find_login

    if person is not None:
        return find_login(owner, person)
    admins = [access.rep_name for access in able if access.permission == "admin"]
    if not admins:
        raise ShsError(
            "No admin may log in to the database yet.",
            'Give somebody the permission admin in sales_reps, or name a rep: shs preview --as "Name".',
        )
    return find_login(owner, admins[0])


def ask(connection: psycopg.Connection, card: Card, values: Mapping[str, Value | None]) -> Answer:
    """Run a card's question; what is wrong with it is part of the answer."""
    try:
        statement, parameters = render_sql(card, values)
        with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(statement.encode(), parameters)
            rows = cursor.fetchmany(MOST_ROWS + 1)
            _check_columns(card, cursor)
    except psycopg.Error as error:
        return Answer(fault=_said(error))
    except ShsError as error:
        return Answer(fault=str(error))
    return Answer(rows[:MOST_ROWS], is_cut=len(rows) > MOST_ROWS)


def ask_for_choices(connection: psycopg.Connection, statement: str) -> list[str]:
    """Return the choices of a filter, none if its question fails."""
    try:
        with connection.transaction():
            return [str(row[0]) for row in connection.execute(statement.encode()).fetchmany(MOST_ROWS)]
    except psycopg.Error:
        return []


def every_row(
    connection: psycopg.Connection, card: Card, values: Mapping[str, Value | None]
) -> Iterator[Row]:
    """Yield all rows of a card, however many."""
    statement, parameters = render_sql(card, values)
    with connection.cursor("export", row_factory=tuple_row) as cursor:
        cursor.itersize = _EXPORT_ROWS
        cursor.execute(statement.encode(), parameters)
        yield from cursor


def _check_columns(card: Card, cursor: psycopg.Cursor[Row]) -> None:
    found = [column.name for column in cursor.description or ()]
    if found != list(card.columns):
        raise ShsError(
            f"The SQL of {card.key} returns {', '.join(found)}.",
            f"Make the columns match the definition, in this order: {', '.join(card.columns)}.",
        )


def _said(error: psycopg.Error) -> str:
    if isinstance(error, psycopg.errors.QueryCanceled):
        return f"The query took longer than {STATEMENT_SECONDS} s and was stopped."
    if older := older_tables(error):
        return str(older)
    message = error.diag.message_primary or type(error).__name__
    return f"The database rejected the query: {message}."
