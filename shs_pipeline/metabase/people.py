"""Who may use Metabase: everybody who may log in to the database, according to `ops.logins`.

`login_id` stays the same when a name or an address changes, so it is what a person is known by here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.rows import class_row

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Member:
    """One person with a login.

    Attributes:
        permission: `admin` or `user`.
        is_active: False for somebody who may come back: what the person has in Metabase stays, unused.
    """

    login_id: int
    rep_name: str
    email: str
    permission: str
    role_name: str
    secret_name: str | None
    is_active: bool

    @property
    def key(self) -> str:
        """What the person's objects are known by."""
        return f"rep/{self.login_id}"

    @property
    def address(self) -> str:
        """The address as Metabase keeps it."""
        return self.email.strip().lower()

    @property
    def names(self) -> tuple[str | None, str | None]:
        """First and last name; Metabase takes none that is blank."""
        first, _, last = " ".join(self.rep_name.split()).rpartition(" ")
        return first or None, last or None


def read_members(connection: psycopg.Connection) -> list[Member]:
    """Return everybody with a login, by `login_id`; those who left are not among them."""
    with connection.cursor(row_factory=class_row(Member)) as cursor:
        cursor.execute(
            "select login_id, rep_name, email, permission, role_name, secret_name,"
            " state = 'active' as is_active from ops.logins"
            " where state in ('active', 'disabled') order by login_id"
        )
        return cursor.fetchall()


def display_names(members: Iterable[Member]) -> dict[str, str]:
    """Return a name for each person by key, told apart by number where two are called the same."""
    listed = list(members)
    counts: dict[str, int] = {}
    for member in listed:
        counts[member.rep_name.casefold()] = counts.get(member.rep_name.casefold(), 0) + 1
    return {
        member.key: member.rep_name
        if counts[member.rep_name.casefold()] == 1
        else f"{member.rep_name} ({member.login_id})"
        for member in listed
    }


def user_of(member: Member, user_id: int | None, users: Mapping[int, Mapping[str, Any]]) -> int | None:
    """Return the Metabase user of a person: the one known, else the one with the address."""
    if user_id in users:
        return user_id
    return next(
        (found for found, user in users.items() if str(user.get("email", "")).lower() == member.address), None
    )


def without_login(users: Iterable[Mapping[str, Any]], addresses: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return the active users of these addresses who have never logged in."""
    return [
        user
        for user in users
        if user.get("is_active", True)
        and not user.get("last_login")
        and str(user.get("email", "")).lower() in addresses
    ]
