"""The difference between what Metabase should hold and what it holds, as changes in words; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shs_pipeline.metabase.desired import SETTINGS, Desired
from shs_pipeline.metabase.items import Item, content_hash
from shs_pipeline.metabase.observed import Observed, Placed
from shs_pipeline.metabase.people import Member, user_of
from shs_pipeline.metabase.permissions import collection_changes, data_changes, is_impersonated
from shs_pipeline.metabase.state import Known, ObjectKey

Action = Literal["make", "adopt", "change", "remove", "close", "permit", "invite", "readmit", "check"]
KINDS = ("database", "group", "collection", "card", "dashboard")
_NOUNS = {"database": "connection", "person": "person"}


@dataclass(frozen=True)
class Change:
    """One thing that is to be done.

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
    """All that is to be done, in the order of an apply.

    Attributes:
        notes: what a person should know and shs does not change.
    """

    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()

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
        """Return the ids of ours of a kind, by key."""
        return {
            key: found
            for of_kind, key in self.known
            if of_kind == kind and (found := self.id_of(kind, key)) is not None
        }


def difference(situation: Situation) -> Plan:
    """Return what is to be done."""
    changes = (
        *people_to_close(situation),
        *settings_to_write(situation),
        *_lock_down(situation),
        *item_changes(situation),
        *_grants(situation),
        *_checks(situation),
        *people_to_let_in(situation),
        *leftovers(situation),
    )
    return Plan(changes, tuple(_notes(situation)))


# --- things ------------------------------------------------------------------------------


def item_changes(situation: Situation, kinds: Collection[str] = KINDS) -> Iterator[Change]:
    """Yield what is to be made or changed of these kinds of things."""
    claimed: set[tuple[str, int | None]] = {(row.kind, row.metabase_id) for row in situation.known.values()}
    for item in situation.desired.items:
        if item.kind not in kinds:
            continue
        change = _item_change(item, situation, claimed)
        if change is not None:
            yield change


def _item_change(item: Item, situation: Situation, claimed: set[tuple[str, int | None]]) -> Change | None:
    row = situation.known.get(item.identity)
    found = situation.id_of(*item.identity)
    if found is None or row is None:
        other = _by_name(item, situation, claimed)
        if other is not None:
            claimed.add((item.kind, other))
            why = "" if row else "one of that name is there already"
            return Change("adopt", item.kind, item.key, item.name, other, why)
        return Change("make", item.kind, item.key, item.name, row.metabase_id if row else None)
    if row.content_hash != content_hash(item, situation.id_of):
        why = "its definition changed" if row.content_hash else "it was begun and is not complete"
        return Change("change", item.kind, item.key, item.name, found, why)
    drift = _drift(item, found, situation)
    return Change("change", item.kind, item.key, item.name, found, drift) if drift else None


def _by_name(item: Item, situation: Situation, claimed: set[tuple[str, int | None]]) -> int | None:
    seen = situation.seen
    home = situation.id_of(*item.home) if item.home else None
    match item.kind:
        case "database":
            named = [found for found, one in seen.databases.items() if one.get("name") == item.name]
        case "group":
            named = [
                found
                for found, one in seen.groups.items()
                if str(one.get("name", "")).casefold() == item.name.casefold()
                and not one.get("magic_group_type")
            ]
        case "collection":
            named = [
                found
                for found, one in seen.collections.items()
                if one.get("name") == item.name and not one.get("archived") and parent_of(one) == home
            ]
        case kind:
            named = [
                one.metabase_id
                for one in seen.placed.values()
                if (one.kind, one.name, one.collection_id) == (kind, item.name, home)
            ]
    return next((found for found in sorted(named) if (item.kind, found) not in claimed), None)


def parent_of(collection: Mapping[str, Any]) -> int | None:
    """Return the id of the collection around one, from its location `/1/2/`."""
    if isinstance(collection.get("parent_id"), int):
        return int(collection["parent_id"])
    steps = [step for step in str(collection.get("location") or "/").split("/") if step]
    return int(steps[-1]) if steps else None


def _drift(item: Item, metabase_id: int, situation: Situation) -> str:
    """Return what was changed in Metabase by somebody else, empty for nothing."""
    seen = situation.seen
    match item.kind:
        case "database":
            return _database_drift(item, seen.databases[metabase_id])
        case "group":
            found: Mapping[str, Any] = seen.groups[metabase_id]
            return "" if found.get("name") == item.name else f"it was renamed {found.get('name')}"
        case "collection":
            found = seen.collections[metabase_id]
            if found.get("name") != item.name:
                return f"it was renamed {found.get('name')}"
            home = situation.id_of(*item.home) if item.home else None
            return "" if parent_of(found) == home else "it was moved"
        case _:
            return _placed_drift(item, seen.placed[item.kind, metabase_id], situation)


def _placed_drift(item: Item, placed: Placed, situation: Situation) -> str:
    home = situation.id_of(*item.home) if item.home else None
    if placed.collection_id != home:
        return "it was moved"
    if placed.editor is not None and placed.editor not in situation.our_users:
        return "it was edited in Metabase"
    return "" if placed.name == item.name else f"it was renamed {placed.name}"


def _database_drift(item: Item, found: Mapping[str, Any]) -> str:
    if found.get("name") != item.name:
        return f"it was renamed {found.get('name')}"
    details = found.get("details") or {}
    wanted = item.body["details"]
    for name in ("host", "port", "dbname", "user"):
        if name in details and str(details[name]) != str(wanted[name]):
            return f"its {name} is {details[name]} in Metabase"
    return ""


def leftovers(situation: Situation) -> Iterator[Change]:
    """Yield what is ours and no longer wanted, insides first."""
    wanted = {item.identity for item in situation.desired.items}
    for kind in reversed(KINDS):
        for (of_kind, key), row in sorted(situation.known.items()):
            if of_kind != kind or (kind, key) in wanted or _owner(key) in situation.desired.parked:
                continue
            yield Change("remove", kind, key, row.name or key, row.metabase_id)


def _owner(key: str) -> str:
    """Return the person's key that a key begins with: `rep/7` of `rep/7/sales_performance/sales`."""
    return "/".join(key.split("/")[:2])


# --- rights ------------------------------------------------------------------------------


def settings_to_write(situation: Situation) -> Iterator[Change]:
    """Yield the settings that are not as they should be; one that the environment fixes cannot be."""
    for name, value in SETTINGS.items():
        if situation.seen.properties.get(name) != value and name not in situation.seen.fixed_settings:
            yield Change("change", "setting", name, name, None, f"to {str(value).lower()}")


def data_rights(situation: Situation, *, with_grants: bool = True) -> dict[str, Any]:
    """Return what of the graph of data permissions is to be written.

    Args:
        with_grants: False leaves out what would let anybody ask more than before.
    """
    ids = {"database": situation.ids("database"), "group": situation.ids("group")}
    wanted: dict[tuple[int, int], str] = {}
    impersonated = set()
    for (group, database), right in situation.desired.create_queries.items():
        if group in ids["group"] and database in ids["database"]:
            pair = (ids["group"][group], ids["database"][database])
            wanted[pair] = right
            if is_impersonated(group, database, situation.desired.mode):
                impersonated.add(pair)
    changes = data_changes(
        situation.seen.data_graph,
        everybody=situation.seen.everybody,
        administrators=situation.seen.administrators,
        groups=situation.seen.groups,
        databases=situation.seen.databases,
        our_groups=set(ids["group"].values()),
        our_databases=set(ids["database"].values()),
        wanted=wanted,
        mode=situation.desired.mode,
        impersonated=impersonated,
    )
    if not with_grants:
        pairs = {(str(group), str(database)) for group, database in wanted}
        changes = _without(changes, pairs)
    return changes


def collection_rights(situation: Situation, *, with_grants: bool = True) -> dict[str, Any]:
    """Return what of the graph of collections is to be written."""
    groups, collections = situation.ids("group"), situation.ids("collection")
    readers = {
        (groups[group], collections[collection])
        for group, collection in situation.desired.readers
        if group in groups and collection in collections
    }
    changes = collection_changes(
        situation.seen.collection_graph,
        everybody=situation.seen.everybody,
        administrators=situation.seen.administrators,
        groups=situation.seen.groups,
        collections=[found for found, one in situation.seen.collections.items() if not one.get("archived")],
        our_groups=set(groups.values()),
        our_collections=set(collections.values()),
        readers=readers,
    )
    if not with_grants:
        changes = _without(changes, {(str(group), str(place)) for group, place in readers})
    return changes


def _without(changes: dict[str, Any], pairs: set[tuple[str, str]]) -> dict[str, Any]:
    kept = {
        group: {place: right for place, right in rights.items() if (group, place) not in pairs}
        for group, rights in changes.items()
    }
    return {group: rights for group, rights in kept.items() if rights}


def _lock_down(situation: Situation) -> Iterator[Change]:
    for kind, changes in (
        ("data", data_rights(situation, with_grants=False)),
        ("collections", collection_rights(situation, with_grants=False)),
    ):
        for group, places in changes.items():
            name = str(situation.seen.groups[int(group)].get("name"))
            yield Change(
                "close",
                f"{kind} right",
                group,
                f"of the group {name}",
                None,
                _places(situation, kind, places),
            )


def _grants(situation: Situation) -> Iterator[Change]:
    """Yield what groups that are there are still to be given; new ones are given theirs when made."""
    for kind, changes, closed in (
        ("data", data_rights(situation), data_rights(situation, with_grants=False)),
        ("collections", collection_rights(situation), collection_rights(situation, with_grants=False)),
    ):
        for group, places in changes.items():
            given = {place: right for place, right in places.items() if place not in closed.get(group, {})}
            if given:
                name = str(situation.seen.groups[int(group)].get("name"))
                where = _places(situation, kind, given)
                yield Change("permit", f"{kind} right", group, f"of the group {name}", None, where)


def _places(situation: Situation, kind: str, places: Mapping[str, Any]) -> str:
    seen: Mapping[int, Mapping[str, Any]] = (
        situation.seen.databases if kind == "data" else situation.seen.collections
    )
    names = [
        "Our analytics" if place == "root" else str(seen.get(int(place), {}).get("name", place))
        for place in places
    ]
    shown = ", ".join(sorted(names)[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _checks(situation: Situation) -> Iterator[Change]:
    names = {item.key: item.name for item in situation.desired.items if item.kind == "database"}
    for key in unchecked(situation):
        yield Change("check", "isolation", key, names[key], None, "the connection shows only their own rows")


def foreign_cards(situation: Situation) -> dict[str, str]:
    """Return what is wrong with a rep's collection, by key: a card in it asks another connection."""
    found: dict[str, str] = {}
    collections = {place: key for key, place in situation.ids("collection").items()}
    for placed in situation.seen.placed.values():
        key = collections.get(placed.collection_id, "")
        if key not in situation.desired.identities or placed.database_id is None:
            continue
        if placed.database_id != situation.id_of("database", key):
            found[key] = f"the card {placed.name} in its collection asks another connection"
    return found


def unchecked(situation: Situation) -> list[str]:
    """Return the keys of connections that are yet to show that they answer as the right person."""
    found = []
    for key, (role, rep) in situation.desired.identities.items():
        row = situation.known.get(("isolation", key))
        if row is None or row.content_hash != identity_mark(situation, key, role, rep):
            found.append(key)
    return found


def identity_mark(situation: Situation, key: str, role: str, rep: str | None) -> str:
    """Return what a passed check stands for: this connection, written so, with this role and rep."""
    row = situation.known.get(("database", key))
    return f"{row.metabase_id if row else None} {row.content_hash if row else ''} {role} {rep}"


# --- people ------------------------------------------------------------------------------


def people_to_close(situation: Situation) -> Iterator[Change]:
    """Yield whose access ends: people who left, and memberships that show more than their own."""
    present = {member.key for member in situation.desired.members}
    for (kind, key), row in sorted(situation.known.items()):
        if kind != "person" or key in present or row.metabase_id is None:
            continue
        user = situation.seen.users.get(row.metabase_id)
        if user is None or user.get("is_superuser"):
            continue
        if user.get("is_active", True):
            yield Change("close", "person", key, row.name, row.metabase_id, "may not log in any more")
    yield from _stray_memberships(situation)


def _stray_memberships(situation: Situation) -> Iterator[Change]:
    seen = situation.seen
    groups = situation.ids("group")
    wanted: dict[int, int | None] = {}
    for member in situation.desired.members:
        user_id = user_of(member, _user_id(situation, member), seen.users)
        if user_id is not None:
            wanted[user_id] = groups.get(situation.desired.groups_of[member.key])
    ours = set(groups.values())
    for group, members in sorted(seen.memberships.items()):
        if group in (seen.everybody, seen.administrators):
            continue
        for user_id, membership_id in sorted(members.items()):
            is_wanted = user_id in wanted and wanted[user_id] == group
            if not is_wanted and (group in ours or user_id in wanted):
                name = str(seen.users.get(user_id, {}).get("email", user_id))
                where = str(seen.groups.get(group, {}).get("name", group))
                yield Change("close", "membership", str(membership_id), name, membership_id, f"in {where}")


def _user_id(situation: Situation, member: Member) -> int | None:
    row = situation.known.get(("person", member.key))
    return row.metabase_id if row else None


def people_to_let_in(situation: Situation) -> Iterator[Change]:
    """Yield who is to be invited, let in again or changed."""
    groups = situation.ids("group")
    for member in situation.desired.members:
        user_id = user_of(member, _user_id(situation, member), situation.seen.users)
        if user_id is None:
            yield Change("invite", "person", member.key, member.rep_name, None, member.address)
            continue
        user = situation.seen.users[user_id]
        group = groups.get(situation.desired.groups_of[member.key])
        if not user.get("is_active", True):
            yield Change("readmit", "person", member.key, member.rep_name, user_id)
            continue
        why = _person_drift(situation, member, user, group)
        if why:
            yield Change("change", "person", member.key, member.rep_name, user_id, why)


def _person_drift(situation: Situation, member: Member, user: Mapping[str, Any], group: int | None) -> str:
    first, last = member.names
    if str(user.get("email", "")).lower() != member.address:
        return f"the address is {member.address} now"
    if (user.get("first_name") or None, user.get("last_name") or None) != (first, last):
        return f"the name is {member.rep_name} now"
    if group is None or user["id"] not in situation.seen.memberships.get(group, {}):
        return "the group is another now"
    row = situation.known.get(("person", member.key))
    if row is None or row.metabase_id != user["id"]:
        return "this address is there already"
    return "" if row.content_hash == person_mark(situation.desired, member) else "the details changed"


def person_mark(desired: Desired, member: Member) -> str:
    """Return what of a person Metabase holds; the role counts where it is impersonated."""
    role = member.role_name if desired.mode == "impersonation" else ""
    return " ".join([desired.groups_of[member.key], member.address, member.rep_name, role]).strip()


def _notes(situation: Situation) -> Iterator[str]:
    for member in situation.desired.members:
        user_id = user_of(member, _user_id(situation, member), situation.seen.users)
        user = situation.seen.users.get(user_id or 0, {})
        if member.permission == "user" and user.get("is_superuser"):
            yield (
                f"{member.rep_name} is an administrator of Metabase and sees everything there; shs never "
                "takes that away."
            )
    for name in SETTINGS:
        if name in situation.seen.fixed_settings and situation.seen.properties.get(name) != SETTINGS[name]:
            variable = f"MB_{name.upper().replace('-', '_')}"
            yield f"Metabase's environment fixes {variable}, which should be {str(SETTINGS[name]).lower()}."
