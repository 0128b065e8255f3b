"""Create and change objects: connections one after another, cards and dashboards a few at once.

A thing is noted before it is made and again when it is complete, so that after a kill at any moment the next
apply finds by name what the last one was making.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from shs_pipeline.metabase import diff
from shs_pipeline.metabase.client import MetabaseError
from shs_pipeline.metabase.items import Item, content_hash, resolved, secrets_in
from shs_pipeline.metabase.situation import Change
from shs_pipeline.metabase.transport import in_parallel
from shs_pipeline.metabase.work import PATHS, Work

# Of these, each one writes rights of all groups or all connections, which Metabase does under one lock.
_ONE_BY_ONE = ("database", "group", "collection")


class Writer:
    """Makes what is missing and changes what is different.

    Args:
        close_database: takes a new connection from everybody.
    """

    def __init__(self, work: Work, close_database: Callable[[int], None]) -> None:
        self._work = work
        self._close_database = close_database
        self._empty: set[int] = set()

    def make_things(self) -> None:
        """Make and change all, in an order in which each finds what it refers to."""
        for kind in diff.KINDS:
            self._make(kind)
        # One that was deleted for good was made with another id: those that link to it say the new one.
        self._make("dashboard")

    def _make(self, kind: str) -> None:
        work = self._work
        items = {item.key: item for item in work.desired.items if item.kind == kind}
        changes = list(diff.item_changes(work.situation, [kind]))

        def write(change: Change) -> str:
            self._write(change, items[change.key])
            return change.words

        if kind == "dashboard":
            # All of them first, empty: a click may lead from each to each.
            list(in_parallel(lambda change: self._make_shell(change, items[change.key]), changes))
        for words in map(write, changes) if kind in _ONE_BY_ONE else in_parallel(write, changes):
            work.did(words)

    def remove_leftovers(self) -> None:
        """Remove what is ours and no longer wanted."""
        store = self._work.store
        for change in list(diff.leftovers(self._work.situation)):
            row = store.get(change.kind, change.key)
            if row and row.is_made and row.metabase_id is not None:
                self._remove(change.kind, row.metabase_id, change.name)
                self._work.did(change.words)
            store.forget(change.kind, change.key)
        wanted = set(self._work.desired.identities)
        for kind, key in store.rows():
            if kind == "isolation" and key not in wanted | self._work.desired.parked:
                store.forget(kind, key)

    def _remove(self, kind: str, metabase_id: int, name: str) -> None:
        client, path = self._work.client, f"{PATHS[kind]}/{metabase_id}"
        if kind == "collection":
            try:
                client.put(path, {"archived": True}, f"archive the collection {name}")
            except MetabaseError as error:
                if error.status != 404:
                    raise
            # Where it cannot be deleted, because other people put something into it, it stays in the trash.
            with suppress(MetabaseError):
                client.delete(path, f"delete the collection {name}")
            return
        client.delete(path, f"delete the {kind} {name}")

    # --- one thing

    def _write(self, change: Change, item: Item) -> None:
        store = self._work.store
        row = store.get(item.kind, item.key)
        is_made = row.is_made if row else change.action == "make"
        for name in secrets_in(item.body.get("details", {})):
            self._work.client.never_shown(self._work.secret(name))
        metabase_id = change.metabase_id
        if item.kind == "dashboard":
            if store.id_of(item.kind, item.key) is None:
                self._make_shell(change, item)
            metabase_id = store.id_of(item.kind, item.key)
        if metabase_id is None:
            store.note(item.kind, item.key, None, "", item.name, is_made)
            made = f"make the {item.kind} {item.name}"
            found = self._work.client.post(PATHS[item.kind], self._body(item), made)
            metabase_id = int(found["id"])
        else:
            found = self._put(item, metabase_id)
            if found is None:  # it is gone for good
                store.forget(item.kind, item.key)
                self._write(Change("make", item.kind, item.key, item.name), item)
                return
        self._note_written(item, metabase_id, found, is_made)

    def _note_written(self, item: Item, metabase_id: int, found: Any, is_made: bool) -> None:
        store = self._work.store
        self._work.see_item(item, metabase_id, found if isinstance(found, Mapping) else {})
        if item.kind == "database":
            store.note(item.kind, item.key, metabase_id, "", item.name, is_made)
            self._close_database(metabase_id)
        mark = content_hash(item, store.id_of) or ""
        store.note(item.kind, item.key, metabase_id, mark, item.name, is_made)

    def _body(self, item: Item) -> Any:
        return resolved(item.body, self._work.store.id_of, self._work.secret)

    def _put(self, item: Item, metabase_id: int) -> Any:
        body = self._body(item)
        if item.kind == "dashboard" and metabase_id not in self._empty:
            body = self._with_ids_kept(body, metabase_id)
        elif item.kind == "collection":
            body["archived"] = False
        elif item.kind == "database":
            body = {
                name: value for name, value in body.items() if name not in ("is_full_sync", "is_on_demand")
            }
        try:
            return self._work.client.put(
                f"{PATHS[item.kind]}/{metabase_id}", body, f"write the {item.kind} {item.name}"
            )
        except MetabaseError as error:
            if error.status == 404 and "API endpoint" not in error.said:
                return None
            raise

    def _make_shell(self, change: Change, item: Item) -> None:
        """Make a dashboard without cards, so that others can refer to it, or note the one that is there."""
        store = self._work.store
        row = store.get(item.kind, item.key)
        if row is not None and row.metabase_id is not None and not self._is_gone(change, row.metabase_id):
            return
        is_made = row.is_made if row else change.action == "make"
        metabase_id = change.metabase_id if change.action == "adopt" else None
        if metabase_id is None:
            store.note(item.kind, item.key, None, "", item.name, is_made)
            shell = {name: item.body[name] for name in ("name", "description", "collection_id")}
            body = resolved(shell, store.id_of, self._work.secret)
            made = f"make the dashboard {item.name}"
            metabase_id = int(self._work.client.post(PATHS["dashboard"], body, made)["id"])
            self._empty.add(metabase_id)
        store.note(item.kind, item.key, metabase_id, "", item.name, is_made)
        self._work.see_item(item, metabase_id, {})

    def _is_gone(self, change: Change, metabase_id: int) -> bool:
        """Whether a dashboard that is not where it should be is deleted for good, and not in the trash."""
        if change.action != "make":
            return False
        try:
            self._work.client.get(f"{PATHS['dashboard']}/{metabase_id}", f"show the dashboard {change.name}")
        except MetabaseError as error:
            if error.status == 404:
                return True
            raise
        return False

    def _with_ids_kept(self, body: dict[str, Any], metabase_id: int) -> dict[str, Any]:
        """Give tabs and cards of a dashboard the ids they have: subscriptions refer to them."""
        try:
            now = self._work.client.get(f"/api/dashboard/{metabase_id}", f"show the dashboard {body['name']}")
        except MetabaseError as error:
            if error.status == 404:
                return body
            raise
        tabs = {tab["name"]: tab["id"] for tab in now.get("tabs") or ()}
        cards = {one.get("card_id"): one["id"] for one in now.get("dashcards") or ()}
        new_tabs = {tab["id"]: tabs.get(tab["name"], tab["id"]) for tab in body["tabs"]}
        dashcards = []
        for one in body["dashcards"]:
            kept = {**one, "id": cards.pop(one["card_id"], one["id"])}
            if "dashboard_tab_id" in one:
                kept["dashboard_tab_id"] = new_tabs[one["dashboard_tab_id"]]
            dashcards.append(kept)
        return {
            **body,
            "tabs": [{**tab, "id": new_tabs[tab["id"]]} for tab in body["tabs"]],
            "dashcards": dashcards,
        }
