"""Who may query and see what, as changes to Metabase's two permission graphs; pure.

A graph leaves out what is least: no `create-queries` means `no`, no collection means `none`. Whoever is
in two groups has the most of both, and everybody is in All Users: so All Users gets nothing anywhere,
and nobody but our own groups gets anything on what is ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from shs_pipeline.metabase.desired import REPS, ROLE_ATTRIBUTE, Mode

Graph = Mapping[str, Any]
Pair = tuple[int, int]


def data_changes(
    graph: Graph,
    *,
    everybody: int,
    administrators: int,
    groups: Iterable[int],
    databases: Iterable[int],
    our_groups: Collection[int],
    our_databases: Collection[int],
    wanted: Mapping[Pair, str],
    mode: Mode,
    impersonated: Collection[Pair] = (),
) -> dict[str, dict[str, dict[str, str]]]:
    """Return the part of the data permissions graph to write, empty if all is in order.

    Args:
        wanted: what may be asked, by group and database.
        impersonated: pairs of `wanted` whose questions run as the person's own role.
    """
    now = graph.get("groups", {})
    databases = list(databases)
    changes: dict[str, dict[str, dict[str, str]]] = {}
    for group in groups:
        if group == administrators:
            continue
        is_closed = group == everybody or group in our_groups
        of_group = now.get(str(group), {})
        for database in databases:
            if not (is_closed or database in our_databases):
                continue
            right = _right(wanted.get((group, database)), mode, (group, database) in impersonated)
            if _current(of_group.get(str(database), {}), mode) != right:
                changes.setdefault(str(group), {})[str(database)] = right
    return changes


def _right(asked: str | None, mode: Mode, is_impersonated: bool) -> dict[str, str]:
    if mode == "open":
        # There is no other value without a paid token: seeing is walled by connections and collections.
        return {"view-data": "unrestricted", "create-queries": asked or "no"}
    if asked is None:
        return {"view-data": "blocked", "create-queries": "no"}
    return {"view-data": "impersonated" if is_impersonated else "unrestricted", "create-queries": asked}


def _current(entry: Mapping[str, Any], mode: Mode) -> dict[str, Any]:
    least = "unrestricted" if mode == "open" else "blocked"
    view = entry.get("view-data", least)
    return {
        "view-data": least if mode == "open" else view,
        "create-queries": entry.get("create-queries", "no"),
    }


def impersonations(pairs: Iterable[Pair]) -> list[dict[str, Any]]:
    """Return what a paid Metabase wants beside the graph, for the connection of all reps."""
    return [
        {"group_id": group, "db_id": database, "attribute": ROLE_ATTRIBUTE}
        for group, database in sorted(pairs)
    ]


def is_impersonated(group_key: str, database_key: str, mode: Mode) -> bool:
    """Whether the questions of a group run as the person's own role."""
    return mode == "impersonation" and (group_key, database_key) == (REPS, REPS)


def collection_changes(
    graph: Graph,
    *,
    everybody: int,
    administrators: int,
    groups: Iterable[int],
    collections: Iterable[int],
    our_groups: Collection[int],
    our_collections: Collection[int],
    readers: Collection[Pair],
) -> dict[str, dict[str, str]]:
    """Return the part of the collection graph to write, empty if all is in order.

    Args:
        collections: all, without people's personal ones.
        readers: who may read what, by group and collection.
    """
    now = graph.get("groups", {})
    places = ["root", *(str(one) for one in collections)]
    ours = {str(one) for one in our_collections}
    changes: dict[str, dict[str, str]] = {}
    for group in groups:
        if group == administrators:
            continue
        is_closed = group == everybody or group in our_groups
        of_group = now.get(str(group), {})
        for place in places:
            if not (is_closed or place in ours):
                continue
            right = "read" if place != "root" and (group, int(place)) in readers else "none"
            if of_group.get(place, "none") != right:
                changes.setdefault(str(group), {})[place] = right
    return changes
