"""What shs made in Metabase, kept in the warehouse: `ops.metabase_objects`.

An object is noted before it is made, without an id, and again when it has one and holds what it
should. After a crash in between, the next apply finds it in Metabase by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import errors, sql

from shs_pipeline.base.errors import ShsError

if TYPE_CHECKING:
    import psycopg

LOCK_SECONDS = 30
_LOCK = ("lock", "apply")

ObjectKey = tuple[str, str]
"""Kind and key of an object, as `("card", "rep/7/sales_performance/sales")`."""


@dataclass(frozen=True)
class Known:
    """One row of `ops.metabase_objects`.

    Attributes:
        metabase_id: None while it is being made.
        content_hash: of what was last written; empty until it was.
        is_made: it is ours to delete.
    """

    kind: str
    key: str
    metabase_id: int | None
    content_hash: str
    name: str
    is_made: bool


class ObjectStore:
    """The rows of `ops.metabase_objects`.

    Args:
        connection: the owner's, with autocommit: what was done stays noted, whatever comes next.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._rows = {
            (row[0], row[1]): Known(*row)
            for row in connection.execute(
                "select kind, key, metabase_id, content_hash, name, is_made from ops.metabase_objects"
                " where kind <> %s",
                [_LOCK[0]],
            )
        }

    def rows(self) -> dict[ObjectKey, Known]:
        """Return all rows."""
        return dict(self._rows)

    def get(self, kind: str, key: str) -> Known | None:
        """Return a row, None without one."""
        return self._rows.get((kind, key))

    def id_of(self, kind: str, key: str) -> int | None:
        """Return the id of an object in Metabase."""
        found = self.get(kind, key)
        return found.metabase_id if found else None

    def note_last_logins(self, users: Iterable[Mapping[str, Any]]) -> None:
        """Keep when people last logged in to Metabase.

        Args:
            users: as Metabase lists them.
        """
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "update ops.logins set last_login_at = %s where lower(email) = %s"
                " and last_login_at is distinct from %s::timestamptz",
                [
                    (user["last_login"], str(user.get("email", "")).lower(), user["last_login"])
                    for user in users
                    if user.get("last_login")
                ],
            )

    def note(
        self, kind: str, key: str, metabase_id: int | None, content_hash: str = "", name: str = "",
        is_made: bool = True,
    ) -> None:  # fmt: skip
        """Write a row."""
        known = Known(kind, key, metabase_id, content_hash, name, is_made)
        if self._rows.get((kind, key)) == known:
            return
        self._connection.execute(
            "insert into ops.metabase_objects (kind, key, metabase_id, content_hash, name, is_made)"
            " values (%s, %s, %s, %s, %s, %s) on conflict (kind, key) do update set metabase_id ="
            " excluded.metabase_id, content_hash = excluded.content_hash, name = excluded.name,"
            " is_made = excluded.is_made, changed_at = now()",
            [kind, key, metabase_id, content_hash, name, is_made],
        )
        self._rows[kind, key] = known

    def forget(self, kind: str, key: str) -> None:
        """Delete a row."""
        self._connection.execute("delete from ops.metabase_objects where kind = %s and key = %s", [kind, key])
        self._rows.pop((kind, key), None)

    def forget_all(self) -> None:
        """Delete all rows, as when Metabase is another one; logins are the database's and stay."""
        self._connection.execute(
            "delete from ops.metabase_objects where kind <> all(%s)", [[_LOCK[0], "role"]]
        )
        self._rows = {key: row for key, row in self._rows.items() if row.kind == "role"}


@contextmanager
def alone(connection: psycopg.Connection) -> Iterator[None]:
    """Let one apply or destroy run at a time.

    Args:
        connection: another one than that of the store; a transaction is held open on it.

    Raises:
        ShsError: another one is running.
    """
    # A row and no advisory lock: those can be taken by everybody who may connect.
    connection.execute(
        "insert into ops.metabase_objects (kind, key) values (%s, %s) on conflict do nothing", _LOCK
    )
    connection.commit()
    try:
        connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(f"{LOCK_SECONDS}s")))
        connection.execute("select from ops.metabase_objects where kind = %s and key = %s for update", _LOCK)
        yield
    except errors.LockNotAvailable:
        raise ShsError(
            f"Another process has been setting up Metabase for {LOCK_SECONDS} s.",
            "Try again when it has finished.",
        ) from None
    finally:
        if not connection.closed:
            connection.rollback()
