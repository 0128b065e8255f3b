"""Whatever a rep can open in Metabase and is not provably the rep's own keeps the rep out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shs_pipeline.base.errors import ShsError
from tests.helpers.fake_metabase import FakeMetabase, serving
from tests.helpers.metabase_house import USER, House

DANA, MARCUS = "Dana Whitfield", "Marcus Oyelaran"


@pytest.fixture(scope="module")
def once_applied(
    shared_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[House, Callable[[], None]]]:
    with serving(FakeMetabase()) as fake:
        found = House(shared_database, fake, tmp_path_factory.mktemp("foreign"))
        found.join(DANA)
        found.join(MARCUS)
        found.apply()
        yield found, found.keep()


@pytest.fixture
def house(applied: House) -> House:
    """Two reps who are in."""
    return applied


class Room:
    """Puts things where Dana can open them, as an administrator of Metabase might."""

    def __init__(self, house: House) -> None:
        self.house, self.fake = house, house.fake
        self.place = self.fake.named("collections", DANA)["id"]
        self.company = self.fake.named("databases", "Sales (admins)")["id"]
        self.own = self.fake.named("databases", f"Sales of {DANA}")["id"]
        self.dana = self.fake.user("dana@example.com")["id"]
        self.ops = self.fake.user(USER)["id"]

    def card(self, database: int, **options: Any) -> dict[str, Any]:
        return self._put(
            self.fake.cards,
            {"type": "question", "collection_id": self.place, "database_id": database, **options},
        )

    def dashboard(self, dashcards: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
        dashcards = [{"id": number, **one} for number, one in enumerate(dashcards, 1)]
        return self._put(
            self.fake.dashboards,
            {"collection_id": self.place, "dashcards": dashcards, "tabs": [], **options},
        )

    def other(self, model: str, **options: Any) -> dict[str, Any]:
        return self._put(self.fake.others, {"model": model, "collection_id": self.place, **options})

    def collection(self, around: int | None = None, **options: Any) -> int:
        location = f"/{around}/" if around else "/"
        if around:
            location = f"{self.fake.collections[around]['location']}{around}/"
        return int(self._put(self.fake.collections, {"location": location, **options})["id"])

    def _put(self, things: dict[int, dict[str, Any]], thing: dict[str, Any]) -> dict[str, Any]:
        found = {"id": self.fake.new_id(), "name": "Theirs", "archived": False, "editor": self.ops, **thing}
        things[found["id"]] = found
        return found


@pytest.fixture
def room(house: House) -> Room:
    return Room(house)


def _in_dashboard(room: Room) -> None:
    board = room.dashboard([])
    card = room.card(room.company, dashboard_id=board["id"])
    board["dashcards"] = [{"id": 1, "card_id": card["id"]}]


def _below(room: Room) -> None:
    room.card(room.company, collection_id=room.collection(room.collection(room.place)))


def _below_in_trash(room: Room) -> None:
    room.card(room.company, collection_id=room.collection(room.place, archived=True), archived=True)


def _in_personal(room: Room) -> int:
    return room.collection(personal_owner_id=room.dana)


FOREIGN: dict[str, Callable[[Room], object]] = {
    "a question on the company's connection": lambda room: room.card(room.company),
    "one on another rep's": lambda room: room.card(
        room.fake.named("databases", f"Sales of {MARCUS}")["id"]
    ),
    "a model": lambda room: room.card(room.company, type="model"),
    "a metric, which the list gives no connection": lambda room: room.card(room.company, type="metric"),
    "a metric that says none at all": lambda room: room.card(room.company, type="metric", database_id=None),
    "a question that is saved in a dashboard": _in_dashboard,
    "a pinned one": lambda room: room.card(room.company, collection_position=1),
    "a dashboard with a card of elsewhere": lambda room: room.dashboard(
        [{"card_id": room.card(room.company, collection_id=None)["id"]}]
    ),
    "a dashboard with a second series of elsewhere": lambda room: room.dashboard(
        [{"card_id": None, "series": [room.card(room.company, collection_id=None)]}]
    ),
    "a dashboard with an action": lambda room: room.dashboard([{"card_id": None, "action_id": 3}]),
    "a dashboard with a card that is gone": lambda room: room.dashboard([{"card_id": 987_654}]),
    "a document": lambda room: room.other("document"),
    "a published table": lambda room: room.other("table"),
    "a transform": lambda room: room.other("transform"),
    "an axis of events": lambda room: room.other("timeline"),
    "a pulse": lambda room: room.other("pulse"),
    "a snippet": lambda room: room.other("snippet"),
    "something that does not exist yet": lambda room: room.other("hologram"),
    "a question two collections below": _below,
    "a question in the trash": lambda room: room.card(room.company, archived=True),
    "a question in a collection in the trash": _below_in_trash,
    "a question in the rep's personal collection": lambda room: room.card(
        room.company, collection_id=_in_personal(room)
    ),
    "one that the rep edited there": lambda room: room.card(
        room.company, collection_id=_in_personal(room), editor=room.dana
    ),
    "one below that": lambda room: room.card(
        room.company, collection_id=room.collection(_in_personal(room))
    ),
    "a document there that somebody else made": lambda room: room.other(
        "document", collection_id=_in_personal(room), editor=None, creator_id=room.ops
    ),
    "a document of somebody else there": lambda room: room.other(
        "document", collection_id=_in_personal(room)
    ),
}  # fmt: skip


@pytest.mark.parametrize("put", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_not_provably_the_reps_own_keeps_the_rep_out(
    room: Room, put: Callable[[Room], object]
) -> None:
    put(room)

    (foreign,) = room.house.plan().foreign
    with pytest.raises(ShsError, match="move what is not theirs elsewhere in Metabase"):
        room.house.apply()

    assert foreign.startswith(f"{DANA} will be locked out")
    assert not room.fake.users[room.dana]["is_active"]
    assert room.fake.user("marcus@example.com")["is_active"]
    room.fake.others.clear()
    room.fake.cards = {key: one for key, one in room.fake.cards.items() if one["name"] != "Theirs"}
    room.fake.dashboards = {key: one for key, one in room.fake.dashboards.items() if one["name"] != "Theirs"}
    room.house.apply()
    assert room.fake.users[room.dana]["is_active"]


OWN: dict[str, Callable[[Room], object]] = {
    "a question on the own connection": lambda room: room.card(room.own),
    "a model": lambda room: room.card(room.own, type="model"),
    "a metric": lambda room: room.card(room.own, type="metric"),
    "a question in the trash": lambda room: room.card(room.own, archived=True),
    "a dashboard of own cards and texts": lambda room: room.dashboard(
        [{"card_id": room.card(room.own)["id"], "series": [room.card(room.own)]}, {"card_id": None}]
    ),
    "own things in the personal collection": lambda room: (
        room.card(room.own, collection_id=_in_personal(room), editor=room.dana),
        room.dashboard([], collection_id=_in_personal(room), editor=room.dana),
        room.other("document", collection_id=_in_personal(room), editor=room.dana),
        room.other("document", collection_id=_in_personal(room), editor=None, creator_id=room.dana),
        room.other("timeline", collection_id=_in_personal(room), editor=None),
    ),
    "what is in the personal collection of nobody of ours": lambda room: room.card(
        room.company, collection_id=room.collection(personal_owner_id=room.ops)
    ),
    "what admins keep among their own": lambda room: room.card(
        room.company, collection_id=room.fake.named("collections", "Sales admins")["id"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("put", OWN.values(), ids=OWN.keys())
def test_what_asks_the_own_connection_only_is_in_nobodys_way(
    room: Room, put: Callable[[Room], object]
) -> None:
    put(room)

    assert room.house.plan().foreign == ()
    room.house.apply()

    assert room.fake.users[room.dana]["is_active"]


def test_it_is_found_on_the_last_page_of_a_long_list(room: Room) -> None:
    for _ in range(7):
        room.card(room.own)
    room.card(room.company)
    room.fake.page = 3

    assert "asks another connection" in room.house.plan().foreign[0]


def test_a_card_that_somebody_put_on_one_of_our_dashboards_goes_with_the_next_apply(room: Room) -> None:
    board = next(
        one for one in room.fake.dashboards.values()
        if (one["name"], one["collection_id"]) == ("First", room.place)
    )  # fmt: skip
    stray = room.card(room.company, collection_id=None)
    board["dashcards"].append({"id": 9999, "card_id": stray["id"], "series": []})
    board["editor"] = room.ops

    room.house.apply()

    assert stray["id"] not in [one["card_id"] for one in board["dashcards"]]
    assert room.fake.users[room.dana]["is_active"]


def test_an_unchanged_apply_reads_no_dashboard_of_ours(room: Room) -> None:
    room.fake.forget_requests()

    room.house.apply()

    assert not [path for _, path, _ in room.fake.requests if path.startswith(("/api/dashboard", "/api/card"))]
