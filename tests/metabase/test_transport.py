"""Requests to Metabase: a few at once, over connections that stay open."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shs_pipeline.metabase.client import MetabaseClient, MetabaseError, Session
from shs_pipeline.metabase.transport import AT_ONCE, Transport, in_parallel
from tests.helpers.fake_metabase import FakeMetabase, serving
from tests.helpers.metabase_house import House


@pytest.fixture
def fake() -> Iterator[FakeMetabase]:
    with serving(FakeMetabase()) as found:
        yield found


def test_requests_one_after_another_share_a_connection(fake: FakeMetabase) -> None:
    client = MetabaseClient(fake.url)

    for _ in range(20):
        client.get("/api/session/properties")

    assert fake.connections == 1
    client.close()
    client.get("/api/session/properties")
    assert fake.connections == 2


def test_the_list_of_authorities_is_read_once_for_all_clients(
    fake: FakeMetabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    MetabaseClient(fake.url).get("/api/session/properties")
    monkeypatch.delattr("ssl.create_default_context")

    assert MetabaseClient(fake.url).get("/api/session/properties")


def test_an_apply_makes_a_few_connections_and_writes_a_few_things_at_once(
    fake: FakeMetabase, database: str, tmp_path: Path
) -> None:
    house = House(database, fake, tmp_path)
    for name in ("Dana Whitfield", "Marcus Oyelaran", "Priya Venkatesan"):
        house.join(name)
    fake.pause = lambda verb, path: 0.02 if path == "/api/card" else 0.0

    house.apply()

    assert 1 < fake.most_at_once <= AT_ONCE
    # One client before the login, one with the session, two with the key.
    assert fake.connections <= 3 + 2 * AT_ONCE


@pytest.mark.parametrize("is_refused", [False, True])
def test_an_apply_leaves_no_connection_open(
    fake: FakeMetabase, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_refused: bool
) -> None:
    house = House(database, fake, tmp_path)
    house.join("Dana Whitfield")
    made: list[Transport] = []
    begin = Transport._opened
    monkeypatch.setattr(Transport, "_opened", lambda self: (made.append(self), begin(self))[1])
    if is_refused:
        fake.answers = [("post", "/api/card", 400, "no")]

    with pytest.raises(MetabaseError, match="no") if is_refused else contextlib.nullcontext():
        house.apply()

    assert len(set(made)) == 3, "before the login, with the session, with the key"
    assert [one for one in made if one._verbs is not None] == []


def test_what_a_login_sets_as_a_cookie_signs_nothing_else(
    fake: FakeMetabase, database: str, tmp_path: Path
) -> None:
    house = House(database, fake, tmp_path)
    house.apply()
    client = MetabaseClient(fake.url)
    body = {"username": "ops@example.com", "password": "very-secret-0perator"}
    session = client.post("/api/session", body)["id"]

    with pytest.raises(MetabaseError, match="401"):
        client.get("/api/user/current")

    assert client.signed(Session(session)).get("/api/user/current")["is_superuser"]
    assert not fake.problems


def test_each_connection_of_a_dead_server_is_a_sentence(fake: FakeMetabase) -> None:
    fake.dies_at = 1
    client = MetabaseClient(fake.url, pause_seconds=0)

    with pytest.raises(MetabaseError, match="cannot be reached"):
        client.get("/api/session/properties")
    fake.dies_at = None

    assert client.get("/api/session/properties")["has-user-setup"] is False


def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_said(fake: FakeMetabase) -> None:
    fake.pause = lambda verb, path: 0.5
    client = MetabaseClient(fake.url, pause_seconds=0, seconds=0.05)

    with pytest.raises(MetabaseError, match=r"no answer within 0\.05 s"):
        client.post("/api/session", {"username": "a", "password": "b"})


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "http://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_a_sentence(
    fake: FakeMetabase, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy)

    with pytest.raises(MetabaseError, match="cannot be reached"):
        MetabaseClient(fake.url, pause_seconds=0).get("/api/session/properties")


# --- several at once ---------------------------------------------------------------------


def test_results_come_in_order_and_so_many_are_worked_on_at_once() -> None:
    gate = threading.Barrier(AT_ONCE, timeout=20)

    def work(number: int) -> int:
        gate.wait()
        return number * 2

    assert list(in_parallel(work, range(AT_ONCE * 3))) == [number * 2 for number in range(AT_ONCE * 3)]


def test_the_first_error_ends_it_and_what_has_begun_is_finished() -> None:
    begun: list[int] = []
    finished: list[int] = []
    gate = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number == 2:
            gate.set()
            raise ValueError("two")
        gate.wait(20)
        time.sleep(0.05)  # all of them would take seconds, so that the end comes first on a busy machine too
        finished.append(number)
        return number

    with pytest.raises(ValueError, match="two"):
        list(in_parallel(work, range(1000)))

    assert len(begun) < 1000
    assert sorted(begun) == sorted([*finished, 2])


def test_nothing_is_nothing() -> None:
    assert list(in_parallel(str, [])) == []
