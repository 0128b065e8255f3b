"""What reps can open: our collections and their contents, the trash, and personal collections.

Whoever may read a collection sees all rows that a card in it returns. So of everything there it is found out
which connections it asks; what cannot be found out is left open, and counts as foreign.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shs_pipeline.metabase.client import MetabaseClient
from shs_pipeline.metabase.transport import in_parallel

Object = Mapping[str, Any]
_CARD_MODELS = {"card": "card", "dataset": "model", "metric": "metric"}
# What people may keep in their personal collections because it contains no rows, such as timeline notes.
_ROWLESS = frozenset(("timeline", "snippet", "pulse"))
_PAGE = 1000


@dataclass(frozen=True)
class Placed:
    """A card or dashboard directly in one of our collections.

    Attributes:
        editor: id of the user who changed it last, None where Metabase does not say.
        database_id: the connection of a card.
    """

    kind: str
    metabase_id: int
    name: str
    collection_id: int
    editor: int | None = None
    database_id: int | None = None


@dataclass(frozen=True)
class Shown:
    """Something that can be opened by those who may read a collection, or by its owner.

    Attributes:
        what: in words, as `the card Payouts`.
        collection_id: of ours, around it at some distance.
        owner: id of the user whose personal collection it is in.
        databases: the connections it asks; None where that cannot be told.
    """

    what: str
    collection_id: int | None
    owner: int | None
    databases: frozenset[int] | None


@dataclass(frozen=True)
class Contents:
    """All that was found.

    Attributes:
        placed: cards and dashboards of our collections, by kind and id.
        shown: these and everything else that somebody of ours can open.
    """

    placed: Mapping[tuple[str, int], Placed] = field(default_factory=dict)
    shown: tuple[Shown, ...] = ()


@dataclass(frozen=True)
class Known:
    """What needs no check: our dashboards that nobody else has changed.

    Attributes:
        dashboards: ids of ours.
        editors: ids of the users that shs is or was.
    """

    dashboards: frozenset[int] = frozenset()
    editors: frozenset[int] = frozenset()

    def holds(self, item: Object) -> bool:
        """Whether a dashboard is as we wrote it."""
        return item["id"] in self.dashboards and _editor(item) in self.editors


@dataclass(frozen=True)
class _Room:
    """A collection that is listed, or the trash."""

    listed: int
    collection_id: int | None = None
    owner: int | None = None
    is_archived: bool = False


def read_contents(
    client: MetabaseClient,
    collections: Mapping[int, Object],
    ours: Collection[int],
    people: Collection[int],
    known: Known,
) -> Contents:
    """Read what is in and below our collections and in personal ones, including what is in the trash.

    Args:
        collections: all that are not archived, personal ones among them.
        ours: those whose content matters.
        people: ids of the users whose personal collections matter.
    """
    archived = {
        one["id"]: one
        for one in client.get("/api/collection", "list archived collections", archived=True)
        if isinstance(one.get("id"), int)
    }
    every = {**archived, **collections}
    rooms = [
        room
        for found in every
        if (room := _room(found, every, ours, people, is_archived=found not in collections)) is not None
    ]
    placed: dict[tuple[str, int], Placed] = {}
    shown: list[Shown] = []
    for room, items in zip(rooms, in_parallel(lambda room: _listed(client, room), rooms), strict=True):
        if room.listed in ours and not room.is_archived:
            placed.update(_placed(items, room.listed))
        shown += _shown(client, items, room, known)
    trash = client.get("/api/collection/trash", "show its trash").get("id")
    if isinstance(trash, int):
        for item in _listed(client, _Room(trash, is_archived=True)):
            home = _room(item.get("collection_id"), every, ours, people, is_archived=True)
            if home is not None:
                shown += _shown(client, [item], home, known)
    return Contents(placed, tuple(shown))


def _room(
    found: int | None,
    every: Mapping[int, Object],
    ours: Collection[int],
    people: Collection[int],
    *,
    is_archived: bool,
) -> _Room | None:
    """Return a collection as one whose content matters: ours, below one of ours, or a person's own."""
    if found is None or found not in every:
        return None
    for place in [found, *reversed(_around(every[found]))]:
        owner = every.get(place, {}).get("personal_owner_id")
        if place in ours:
            return _Room(found, collection_id=place, is_archived=is_archived)
        if owner in people:
            return _Room(found, owner=owner, is_archived=is_archived)
    return None


def _around(collection: Object) -> list[int]:
    """Return the ids of the collections around one, the outermost first, from its location `/1/2/`."""
    steps = [int(step) for step in str(collection.get("location") or "/").split("/") if step.isdigit()]
    parent = collection.get("parent_id")
    return [*steps, parent] if isinstance(parent, int) and parent not in steps else steps


def _listed(client: MetabaseClient, room: _Room) -> list[Object]:
    """Return all items of a collection, questions that are saved in dashboards too, page by page."""
    options: dict[str, Any] = {"show_dashboard_questions": True}
    if room.is_archived:
        options["archived"] = True
    return list(pages(client, f"/api/collection/{room.listed}/items", "list a collection", **options))


def pages(client: MetabaseClient, path: str, what: str, **query: Any) -> Iterator[Object]:
    """Yield what a list holds, however Metabase cuts it into pages."""
    found = 0
    while True:
        offset = {"limit": _PAGE, "offset": found} if found else {}
        answer = client.get(path, what, **query, **offset)
        if not isinstance(answer, Mapping):
            yield from answer
            return
        yield from answer["data"]
        found += len(answer["data"])
        if not answer["data"] or found >= (answer.get("total") or 0):
            return


def _placed(items: Iterable[Object], collection_id: int) -> dict[tuple[str, int], Placed]:
    found = {}
    for item in items:
        kind = "card" if item.get("model") in _CARD_MODELS else str(item.get("model"))
        # A question saved in a dashboard is not one of ours, even if it has the same name.
        if kind in ("card", "dashboard") and not item.get("archived") and not item.get("dashboard_id"):
            found[kind, item["id"]] = Placed(
                kind, item["id"], item["name"], collection_id, _editor(item), item.get("database_id")
            )
    return found


def _editor(item: Object) -> int | None:
    found: int | None = (item.get("last-edit-info") or {}).get("id")
    return found


# --- which connections a thing asks ------------------------------------------------------


def _shown(client: MetabaseClient, items: Iterable[Object], room: _Room, known: Known) -> Iterator[Shown]:
    for item in items:
        model = str(item.get("model"))
        if model == "collection":
            continue  # a room of its own
        if room.owner is not None and _is_own_doing(client, item, model, room.owner):
            continue
        what = f"the {_CARD_MODELS.get(model, model)} {item.get('name')}"
        if room.is_archived:
            what += " in the trash"
        yield Shown(what, room.collection_id, room.owner, _databases(client, item, model, known))


def _is_own_doing(client: MetabaseClient, item: Object, model: str, owner: int) -> bool:
    """Whether a person made something of what the person may see; a card says itself what it asks."""
    if model in _CARD_MODELS:
        return False
    editor = _editor(item)
    if model == "document" and editor is None:
        # Nobody is known to have changed it since it was made.
        editor = client.get(f"/api/document/{item['id']}", "show a document").get("creator_id")
    return model in _ROWLESS or editor == owner


def _databases(client: MetabaseClient, item: Object, model: str, known: Known) -> frozenset[int] | None:
    if model in _CARD_MODELS:
        return _of_card(item) or _of_card(client.get(f"/api/card/{item['id']}", "show a card"))
    if model == "dashboard":
        if known.holds(item):
            return frozenset()
        return _of_dashboard(client.get(f"/api/dashboard/{item['id']}", "show a dashboard"))
    # A document does not say which cards are in it; whatever comes later is not known here.
    return None


def _of_card(card: Object | None) -> frozenset[int] | None:
    found = (card or {}).get("database_id")
    return frozenset((found,)) if isinstance(found, int) else None


def _of_dashboard(dashboard: Object) -> frozenset[int] | None:
    found: set[int] = set()
    for dashcard in dashboard.get("dashcards") or ():
        if dashcard.get("action_id"):
            return None
        cards = [dashcard.get("card"), *(dashcard.get("series") or ())]
        if dashcard.get("card_id") is None:
            cards = cards[1:]  # a text, a heading or a link
        for card in cards:
            databases = _of_card(card)
            if databases is None:
                return None
            found |= databases
    return frozenset(found)
