"""The difference between Metabase's desired and current contents, as changes in words; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from shs_pipeline.metabase.contents import Placed
from shs_pipeline.metabase.desired import ALWAYS_THERE, SETTINGS_OFF
from shs_pipeline.metabase.isolation import foreign_things, unchecked
from shs_pipeline.metabase.items import Item, content_hash
from shs_pipeline.metabase.observed import Observed
from shs_pipeline.metabase.people_diff import people_to_close, people_to_let_in
from shs_pipeline.metabase.permissions import collection_changes, data_changes, is_impersonated
from shs_pipeline.metabase.situation import Change, Plan, Situation

KINDS = ("database", "group", "collection", "card", "dashboard")


def difference(situation: Situation) -> Plan:
    """Return the changes to make."""
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
    names = {one.key: one.rep_name for one in situation.desired.members}
    foreign = tuple(
        f"{names.get(key, 'Every rep')} will be locked out: {'; '.join(things[:3])}."
        for key, things in sorted(foreign_things(situation).items())
    )
    return Plan(changes, tuple(_notes(situation)), foreign)


# --- things ------------------------------------------------------------------------------


def item_changes(situation: Situation, kinds: Collection[str] = KINDS) -> Iterator[Change]:
    """Yield what to create or change among these kinds of objects."""
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
    seen = situation.seen
    for name in SETTINGS_OFF:
        # A version that does not have a setting refuses to write it; that of an older one is then off.
        is_on = seen.properties.get(name, name in ALWAYS_THERE) is not False
        if is_on and name not in seen.fixed_settings:
            yield Change("change", "setting", name, name, None, "to false")


def data_rights(situation: Situation, *, with_grants: bool = True) -> dict[str, Any]:
    """Return the part of the data permissions graph to write.

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
    """Return the part of the collection graph to write."""
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


def _notes(situation: Situation) -> Iterator[str]:
    for member in situation.desired.members:
        user_id = situation.user_of(member)
        user = situation.seen.users.get(user_id or 0, {})
        if member.permission == "user" and user.get("is_superuser"):
            yield (
                f"{member.rep_name} is an administrator of Metabase and sees everything there; shs never "
                "removes that."
            )
    for name in settings_left_on(situation.seen):
        variable = f"MB_{name.upper().replace('-', '_')}"
        yield f"{variable} is set in Metabase's environment, but should be false."


def settings_left_on(seen: Observed) -> list[str]:
    """Return the settings that Metabase's environment keeps on and that should be off."""
    return [
        name
        for name in SETTINGS_OFF
        if name in seen.fixed_settings and seen.properties.get(name, name in ALWAYS_THERE) is not False
    ]
