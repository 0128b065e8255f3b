"""Write permissions: who may read which data and which collection.

Metabase keeps them as two graphs with a revision; only our own pairs of group and place are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shs_pipeline.base.wording import count_of
from shs_pipeline.metabase import diff
from shs_pipeline.metabase.client import MetabaseError
from shs_pipeline.metabase.permissions import impersonations, is_impersonated
from shs_pipeline.metabase.work import Work

_GRAPHS = {"data": "/api/permissions/graph", "collections": "/api/collection/graph"}
_GRAPH_ATTEMPTS = 3


class RightsWriter:
    """Revokes and grants permissions."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def close_database(self, database_id: int) -> None:
        """Take a new connection from everybody at once: the first one of a Metabase is open to all."""
        is_open = self._work.desired.mode == "open"
        right = {"view-data": "unrestricted" if is_open else "blocked", "create-queries": "no"}
        now = self._work.seen.data_graph.get("groups", {})
        groups = [
            str(group)
            for group in self._work.seen.groups
            if group != self._work.seen.administrators and str(database_id) not in now.get(str(group), {})
        ]
        if groups:
            self._put_graph("data", {group: {str(database_id): right} for group in groups})

    def put_rights(self, *, with_grants: bool) -> None:
        """Take away and close what differs; with_grants gives too."""
        for kind, changes in (
            ("data", diff.data_rights(self._work.situation, with_grants=with_grants)),
            ("collections", diff.collection_rights(self._work.situation, with_grants=with_grants)),
        ):
            if changes:
                self._put_graph(kind, changes)
                rights = count_of(sum(len(places) for places in changes.values()), "right")
                action = "write" if with_grants else "close"
                self._work.did(f"{action} {rights} on {kind} of {count_of(len(changes), 'group')}")

    def _put_graph(self, kind: str, changes: Mapping[str, Mapping[str, Any]]) -> None:
        graph = self._work.seen.data_graph if kind == "data" else self._work.seen.collection_graph
        body: dict[str, Any] = {"groups": changes}
        attempt = 1
        while True:
            body["revision"] = graph["revision"]
            if kind == "data" and (pairs := self._impersonated(changes)):
                body["impersonations"] = impersonations(pairs)
            try:
                found = self._work.client.put(_GRAPHS[kind], body, f"write rights on {kind}", skip_graph=True)
                break
            except MetabaseError as error:
                if error.status != 409 or attempt == _GRAPH_ATTEMPTS:
                    raise
            # Somebody else changed it meanwhile; only our own pairs are written, so theirs stay.
            attempt += 1
            graph["revision"] = self._work.client.get(_GRAPHS[kind], f"show rights on {kind}")["revision"]  # type: ignore[index]
        _merge(graph, changes, found)

    def _impersonated(self, changes: Mapping[str, Mapping[str, Any]]) -> list[tuple[int, int]]:
        situation = self._work.situation
        found = []
        for group, database in self._work.desired.create_queries:
            if not is_impersonated(group, database, self._work.desired.mode):
                continue
            group_id, database_id = situation.id_of("group", group), situation.id_of("database", database)
            if group_id and database_id and str(database_id) in changes.get(str(group_id), {}):
                found.append((group_id, database_id))
        return found


def _merge(graph: Any, changes: Mapping[str, Mapping[str, Any]], answer: Any) -> None:
    for group, places in changes.items():
        graph.setdefault("groups", {}).setdefault(group, {}).update(places)
    if isinstance(answer, Mapping) and "revision" in answer:
        graph["revision"] = answer["revision"]
