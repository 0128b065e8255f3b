"""Rights as pure changes of Metabase's graphs, payloads of the real dashboards, and the client's manners."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from shs_pipeline.dashboards.model import GRID_COLUMNS
from shs_pipeline.dashboards.reading import dashboards_for
from shs_pipeline.metabase.client import ApiKey, MetabaseClient, MetabaseError
from shs_pipeline.metabase.items import Item, Link, Ref, content_hash, resolved
from shs_pipeline.metabase.payloads import dashboard_items
from shs_pipeline.metabase.permissions import collection_changes, data_changes
from shs_pipeline.metabase.server import server_of
from tests.helpers.fake_metabase import FakeMetabase, contract_errors, openapi, serving

EVERYBODY, ADMINISTRATORS, OURS, FOREIGN = 1, 2, 7, 8
CLOSED = {"view-data": "unrestricted", "create-queries": "no"}


def data(
    graph: dict[str, object], wanted: dict[tuple[int, int], str], **options: object
) -> dict[str, object]:
    given: dict[str, object] = {
        "everybody": EVERYBODY, "administrators": ADMINISTRATORS, "databases": [20, 30], "our_groups": {OURS},
        "groups": [EVERYBODY, ADMINISTRATORS, OURS, FOREIGN], "our_databases": {20}, "mode": "open",
        **options,
    }  # fmt: skip
    return data_changes({"revision": 1, "groups": graph}, wanted=wanted, **given)  # type: ignore[arg-type, return-value]


def test_what_is_left_out_of_a_graph_is_the_least_and_needs_no_change() -> None:
    graph = {
        "1": {"20": {"view-data": "unrestricted"}, "30": {}},
        "7": {"20": {"create-queries": "query-builder"}},
    }

    assert data(graph, {(OURS, 20): "query-builder"}) == {}


def test_all_users_and_our_groups_are_closed_everywhere_and_others_on_what_is_ours() -> None:
    is_open = {"create-queries": "query-builder-and-native"}
    graph = {
        str(group): {"20": is_open, "30": is_open} for group in (EVERYBODY, ADMINISTRATORS, OURS, FOREIGN)
    }

    assert data(graph, {}) == {
        "1": {"20": CLOSED, "30": CLOSED},
        "7": {"20": CLOSED, "30": CLOSED},
        "8": {"20": CLOSED},
    }


def test_a_right_by_schema_is_more_than_none() -> None:
    graph = {"1": {"20": {"create-queries": {"marts": {"5": "query-builder"}}}}}

    assert data(graph, {}) == {"1": {"20": CLOSED}}


def test_a_paid_metabase_blocks_what_is_not_given() -> None:
    wanted = {(OURS, 20): "query-builder"}

    found = data(
        {"1": {"20": {"view-data": "unrestricted"}}}, wanted, mode="impersonation", impersonated={(OURS, 20)}
    )

    assert found["1"] == {"20": {"view-data": "blocked", "create-queries": "no"}}
    assert found["7"] == {"20": {"view-data": "impersonated", "create-queries": "query-builder"}}


def test_collections_are_for_their_readers_only() -> None:
    graph = {"1": {"root": "write", "40": "read"}, "8": {"40": "write", "50": "write"}, "7": {"50": "read"}}

    found = collection_changes(
        {"revision": 1, "groups": graph},
        everybody=EVERYBODY, administrators=ADMINISTRATORS, groups=[EVERYBODY, ADMINISTRATORS, OURS, FOREIGN],
        collections=[40, 50], our_groups={OURS}, our_collections={40}, readers={(OURS, 40)},
    )  # fmt: skip

    assert found == {
        "1": {"root": "none", "40": "none"},
        "7": {"40": "read", "50": "none"},
        "8": {"40": "none"},
    }


# --- the real dashboards -----------------------------------------------------------------


@pytest.mark.parametrize("audience", ["rep", "admin"])
def test_each_card_and_dashboard_is_a_body_that_metabase_takes(audience: str) -> None:
    if not openapi():
        pytest.skip("Metabase's OpenAPI document is not there: set METABASE_OPENAPI to its path")
    items = dashboard_items(dashboards_for(audience), "rep/1", "rep/1")  # type: ignore[arg-type]
    ids = {item.identity: place for place, item in enumerate(items, 1)}
    ids |= {("collection", "rep/1"): 1001, ("database", "rep/1"): 1002}

    for item in items:
        body = resolved(item.body, lambda kind, key: ids[kind, key], str)
        verb, path = ("post", "/api/card") if item.kind == "card" else ("put", "/api/dashboard/1")
        assert contract_errors(verb, path, json.loads(json.dumps(body))) == [], item.key
        for one in body.get("dashcards", ()):
            assert one["col"] + one["size_x"] <= GRID_COLUMNS


def test_a_hash_changes_with_the_ids_of_what_is_referred_to_and_a_link_has_one() -> None:
    item = Item("dashboard", "d", "D", {"card": Ref("card", "c"), "to": Link("e", "x={{y}}")})
    ids = {("card", "c"): 1, ("dashboard", "e"): 2}

    assert content_hash(item, lambda kind, key: ids[kind, key]) != content_hash(item, lambda *_: 3)
    assert content_hash(item, lambda *_: None) is None
    assert resolved(item.body, lambda kind, key: ids[kind, key], str)["to"] == "/dashboard/2?x={{y}}"


# --- the client --------------------------------------------------------------------------


@pytest.fixture
def fake() -> Iterator[FakeMetabase]:
    with serving(FakeMetabase()) as found:
        yield found


def test_a_passing_fault_is_tried_again_where_that_is_harmless(fake: FakeMetabase) -> None:
    fake.answers = [("get", "/api/session/properties", 503, "starting")] * 2
    client = MetabaseClient(fake.url, pause_seconds=0)

    assert client.get("/api/session/properties")["setup-token"]
    fake.answers = [("post", "/api/session", 503, "starting")]
    with pytest.raises(MetabaseError, match="starting"):
        client.post("/api/session", {"username": "a", "password": "b"})
    assert client.writes == 1


def test_a_refusal_is_not_tried_again(fake: FakeMetabase) -> None:
    client = MetabaseClient(fake.url, ApiKey("mb_wrong"), pause_seconds=0)

    with pytest.raises(MetabaseError) as caught:
        client.get("/api/user/current")

    assert (caught.value.status, client.reads) == (401, 1)
    assert "mb_wrong" not in f"{caught.value} {client!r} {client.credentials!r}"


def test_a_question_that_fails_is_an_error_although_the_answer_is_a_success(fake: FakeMetabase) -> None:
    fake.answers = [("post", "/api/dataset", 202, {"status": "failed", "error": "no such table"})]

    with pytest.raises(MetabaseError, match="no such table"):
        MetabaseClient(fake.url, pause_seconds=0).ask({"database": 1})


def test_metabase_may_reach_the_warehouse_by_another_name() -> None:
    url = "postgresql://o:p@db.example.com:6000/sales%20db?sslmode=require"

    assert server_of(url, "postgres:5432").host == "postgres"
    found = server_of(url, "")
    assert (found.host, found.port, found.database, found.sslmode) == (
        "db.example.com", 6000, "sales db", "require",
    )  # fmt: skip
