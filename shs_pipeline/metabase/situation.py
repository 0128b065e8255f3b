"""Everything that the difference between desired and current contents depends on; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shs_pipeline.metabase.desired import Desired
from shs_pipeline.metabase.observed import Observed
from shs_pipeline.metabase.people import Member, user_of
from shs_pipeline.metabase.state import Known, ObjectKey

Action = Literal["make", "adopt", "change", "remove", "close", "permit", "invite", "readmit", "check"]
_NOUNS = {"database": "connection", "person": "person"}


@dataclass(frozen=True)
class Change:
    """One change to make.

    Attributes:
        metabase_id: of what is there already.
        why: in words; empty where the action says it all.
    """

    action: Action
    kind: str
    key: str
    name: str
    metabase_id: int | None = None
    why: str = ""

    @property
    def words(self) -> str:
        """The change as a sentence for people."""
        noun = _NOUNS.get(self.kind, self.kind)
        said = f"{self.action} {noun} {self.name}"
        return f"{said}: {self.why}" if self.why else said


@dataclass(frozen=True)
class Plan:
    """All changes to make, in the order of an apply.

    Attributes:
        notes: what a person should know and shs does not change.
        foreign: who will be kept out, since something is not provably their own.
    """

    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    def of(self, *kinds: str) -> tuple[Change, ...]:
        """Return the changes of these kinds."""
        return tuple(change for change in self.changes if change.kind in kinds)


@dataclass(frozen=True)
class Situation:
    """All that a difference follows from.

    Attributes:
        known: rows of `ops.metabase_objects`, none where Metabase is another one than before.
    """

    desired: Desired
    known: Mapping[ObjectKey, Known]
    seen: Observed
    our_users: frozenset[int] = field(default_factory=frozenset)

    def id_of(self, kind: str, key: str) -> int | None:
        """Return the id of an object that is there."""
        row = self.known.get((kind, key))
        if row is None or row.metabase_id is None:
            return None
        return row.metabase_id if self.is_there(kind, row.metabase_id) else None

    def is_there(self, kind: str, metabase_id: int) -> bool:
        """Whether an object is where it should be looked for."""
        match kind:
            case "database":
                return metabase_id in self.seen.databases
            case "group":
                return metabase_id in self.seen.groups
            case "collection":
                found = self.seen.collections.get(metabase_id)
                return found is not None and not found.get("archived")
            case _:
                return (kind, metabase_id) in self.seen.placed

    def ids(self, kind: str) -> dict[str, int]:
        """Return the ids of our objects of a kind, by key."""
        return {
            key: found
            for of_kind, key in self.known
            if of_kind == kind and (found := self.id_of(kind, key)) is not None
        }

    def user_of(self, member: Member) -> int | None:
        """Return the Metabase user of a person, None where there is none yet."""
        row = self.known.get(("person", member.key))
        return user_of(member, row.metabase_id if row else None, self.seen.users)

    def keys_of_users(self) -> dict[int, str]:
        """Return the key of the group of each person's user, by the user's id."""
        users = {self.user_of(member): member for member in self.desired.members}
        return {
            found: self.desired.groups_of[member.key]
            for found, member in users.items()
            if found is not None and not self.seen.users[found].get("is_superuser")
        }
