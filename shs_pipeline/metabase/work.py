"""What the steps of an apply share: where to write, the desired and current state, and what was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shs_pipeline.metabase.client import MetabaseClient
from shs_pipeline.metabase.contents import Placed
from shs_pipeline.metabase.desired import Desired
from shs_pipeline.metabase.items import Item
from shs_pipeline.metabase.observed import Observed, Scope, observe_again
from shs_pipeline.metabase.people import user_of
from shs_pipeline.metabase.situation import Situation
from shs_pipeline.metabase.state import ObjectStore

Tell = Callable[[str], None]
"""Takes what was just done, in words."""

PATHS = {
    "database": "/api/database",
    "group": "/api/permissions/group",
    "collection": "/api/collection",
    "card": "/api/card",
    "dashboard": "/api/dashboard",
}


@dataclass(frozen=True)
class FirstLogin:
    """With what a person gets in, where Metabase sends no mails.

    Attributes:
        url: an address with which the person chooses a password, once and within 48 hours.
        password: a temporary one, of a Metabase that makes no such addresses; empty otherwise.
    """

    rep_name: str
    email: str
    url: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"FirstLogin({self.rep_name!r})"


@dataclass
class Report:
    """What an apply did.

    Attributes:
        done: in words, in order.
        links: for people who were let in while Metabase sends no mails.
        waiting: people who were let in and have nothing to log in with yet.
        reads: requests that changed nothing.
    """

    done: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    links: list[FirstLogin] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    reads: int = 0
    writes: int = 0


def scope_of(store: ObjectStore, desired: Desired) -> Scope:
    """Return whose content to read."""
    rows = store.rows().values()
    ids = {
        kind: frozenset(row.metabase_id for row in rows if row.kind == kind and row.metabase_id)
        for kind in ("collection", "dashboard", "editor")
    }
    reps = [one for one in desired.members if desired.groups_of[one.key] in desired.identities]

    def people(users: Mapping[int, Mapping[str, Any]]) -> set[int]:
        found = {user_of(one, store.id_of("person", one.key), users) for one in reps}
        return {user_id for user_id in found if user_id is not None}

    return Scope(sorted(ids["collection"]), ids["dashboard"], ids["editor"], people)


def situation_of(store: ObjectStore, desired: Desired, seen: Observed) -> Situation:
    """Return all that a difference follows from; rows of another Metabase do not count."""
    known = store.rows()
    instance = known.get(("instance", "metabase"))
    if instance is not None and instance.name != seen.instance:
        known = {}
    editors = {row.metabase_id for (kind, _), row in known.items() if kind == "editor" and row.metabase_id}
    if seen.me is not None:
        editors.add(seen.me)
    return Situation(desired, known, seen, frozenset(editors))


@dataclass
class Work:
    """One apply or destroy.

    Attributes:
        seen: what is there, kept true while things are written.
        secret: gives a secret by its name.
    """

    client: MetabaseClient
    store: ObjectStore
    desired: Desired
    seen: Observed
    secret: Callable[[str], str]
    tell: Tell
    report: Report = field(default_factory=Report)

    @property
    def situation(self) -> Situation:
        """All as it is now."""
        return situation_of(self.store, self.desired, self.seen)

    def did(self, words: str) -> None:
        """Note what was done."""
        self.report.done.append(words)
        self.tell(words)

    def look_again(self) -> None:
        """Read back what decides who sees what, instead of trusting the responses."""
        self.seen = observe_again(self.client, self.seen, scope_of(self.store, self.desired))

    def see_item(self, item: Item, metabase_id: int, found: Mapping[str, Any]) -> None:
        """Take something that was just written for seen."""
        seen: Mapping[str, Any] = {**found, "id": metabase_id, "name": item.name}
        home = self.store.id_of(*item.home) if item.home else None
        match item.kind:
            case "database":
                see(self.seen.databases, metabase_id, seen)
            case "group":
                see(self.seen.groups, metabase_id, seen)
            case "collection":
                see(self.seen.collections, metabase_id, {**seen, "parent_id": home, "archived": False})
            case kind:
                placed = Placed(
                    kind, metabase_id, item.name, home or 0, self.seen.me, found.get("database_id")
                )
                see(self.seen.placed, (kind, metabase_id), placed)


def see(seen: Mapping[Any, Any], key: Any, value: Any) -> None:
    """Note something in what was read."""
    assert isinstance(seen, dict)
    seen[key] = value
