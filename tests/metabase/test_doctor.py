"""What `shs doctor` says of Metabase, and when the admins are told of its version."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.finding import Finding
from shs_pipeline.ingest.warehouse import ensure_tables
from shs_pipeline.metabase import checkup
from shs_pipeline.metabase.checkup import examined
from shs_pipeline.metabase.versions import END_OF_LIFE
from shs_pipeline.notices import outbox
from shs_pipeline.notices.metabase_version import version_notices
from shs_pipeline.settings.settings import Settings
from tests.helpers.fake_metabase import FakeMetabase, serving
from tests.helpers.metabase_house import House

DANA = "Dana Whitfield"


@pytest.fixture
def house(database: str, tmp_path: Path) -> Iterator[House]:
    with serving(FakeMetabase(has_mail=True)) as fake:
        found = House(database, fake, tmp_path)
        found.join(DANA)
        yield found


@pytest.fixture(scope="module")
def once_applied(
    shared_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[House, Callable[[], None]]]:
    with serving(FakeMetabase(has_mail=True)) as fake:
        found = House(shared_database, fake, tmp_path_factory.mktemp("applied"))
        found.join(DANA)
        found.apply()
        yield found, found.keep()


def points(house: House) -> dict[str, Finding]:
    return {f"{point.what}: {point.state}": point for point in examined(house.workplace)}


def test_without_a_metabase_there_is_nothing_to_say() -> None:
    assert list(checkup.checkup(Settings(metabase_url=""))) == [Finding("ok", "Metabase", "none is set")]


def test_one_that_nobody_set_up_is_a_failure(house: House) -> None:
    found = points(house)

    assert "becomes its administrator" in found["Metabase: fail"].found
    assert house.fake.writes == []


def test_one_that_is_in_order_is_all_ok_and_is_not_changed(applied: House) -> None:
    applied.fake.forget_requests()

    found = points(applied)

    assert {point.state for point in found.values()} == {"ok"}
    assert [point.what for point in found.values()] == [
        "Metabase version", "Metabase TLS", "Metabase sharing", "Metabase mail", "Metabase contents",
    ]  # fmt: skip
    assert applied.fake.writes == []


def test_an_unsafe_version_is_a_failure_and_nothing_is_sent_to_it(applied: House) -> None:
    applied.fake.tag = "v0.58.30"
    applied.fake.forget_requests()

    found = points(applied)

    assert "Upgrade to v0.58.39" in found["Metabase version: fail"].remedy
    assert [path for _, path, _ in applied.fake.requests] == ["/api/session/properties"]


def test_a_version_near_its_end_is_a_warning(applied: House) -> None:
    applied.day = END_OF_LIFE[58] - timedelta(days=30)

    assert "plan the upgrade" in points(applied)["Metabase version: warn"].found


def test_a_certificate_that_is_missing_is_a_failure(
    applied: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: str) -> None:
        raise ShsError("No root certificate.", "Name one.")

    monkeypatch.setattr(checkup, "server_of", refuse)

    assert points(applied)["Metabase TLS: fail"].remedy == "Name one."


@pytest.mark.parametrize("name", ["enable-public-sharing", "enable-embedding-static", "enable-embedding-sdk"])
def test_what_is_shared_without_a_login_is_a_failure_that_an_apply_ends(applied: House, name: str) -> None:
    applied.fake.settings[name] = True

    assert f"switched on: {name}." in points(applied)["Metabase sharing: fail"].found
    applied.apply()

    assert applied.fake.settings[name] is False
    assert "Metabase sharing: ok" in points(applied)


def test_what_the_environment_keeps_on_is_said_with_its_variable(applied: House) -> None:
    applied.fake.settings["enable-embedding-static"] = True
    applied.fake.fixed.add("enable-embedding-static")

    assert "MB_ENABLE_EMBEDDING_STATIC" in points(applied)["Metabase sharing: fail"].remedy
    assert any("MB_ENABLE_EMBEDDING_STATIC" in note for note in applied.apply().notes)


def test_without_smtp_it_warns(applied: House) -> None:
    applied.fake.has_mail = False

    assert "shs metabase links" in points(applied)["Metabase mail: warn"].remedy


def test_what_is_foreign_is_a_failure_and_what_is_to_be_changed_a_warning(applied: House) -> None:
    place = applied.fake.named("collections", DANA)["id"]
    company = applied.fake.named("databases", "Sales (admins)")["id"]
    applied.fake.cards[5000] = {
        "id": 5000, "name": "Everybody", "archived": False, "type": "question", "collection_id": place,
        "database_id": company, "editor": 1,
    }  # fmt: skip
    applied.fake.named("groups", f"Rep: {DANA}")["name"] = "Friends"

    found = points(applied)

    assert "the card Everybody" in found["Metabase contents: fail"].found
    assert "1 change" in found["Metabase contents: warn"].found


def test_a_metabase_that_does_not_answer_is_a_sentence(house: House) -> None:
    house.fake.dies_at = 1
    workplace = replace(house.workplace, wait_seconds=0)

    with pytest.raises(ShsError, match="cannot be reached"):
        list(examined(workplace))


# --- notices of the version --------------------------------------------------------------


@pytest.fixture
def books(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        ensure_tables(connection)
        yield connection


def test_a_version_is_told_once_and_again_when_it_changes(
    house: House, books: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "shs_pipeline.notices.outbox")
    day = date(2026, 12, 1)
    told = []
    for tag, today in [
        ("v0.58.30", day), ("v0.58.30", day + timedelta(days=1)), ("v0.58.39", day), ("v0.58.39", day),
        ("v0.58.39", date(2027, 2, 18)), ("v0.58.39", date(2027, 2, 19)), ("v0.65.4", date(2027, 2, 20)),
    ]:  # fmt: skip
        house.fake.tag = tag
        version_notices.__globals__["_asked"].cache_clear()
        warnings = version_notices(house.fake.url, today)
        told.append(outbox.record(books, today, 20, warnings=warnings))

    assert told == [1, 0, 1, 0, 1, 0, 0]
    subjects = [row[0] for row in books.execute("select subject from ops.notices order by notice_id")]
    assert "has security holes" in subjects[0]
    assert "end on 2027-02-17" in subjects[1]
    assert "ended on 2027-02-17" in subjects[2]
    events = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert events == [
        "SHS-EVENT metabase_version is=unsafe tag=v0.58.30",
        "SHS-EVENT metabase_version is=ending tag=v0.58.39",
        "SHS-EVENT metabase_version is=ended tag=v0.58.39",
    ]


def test_metabase_is_asked_for_its_version_once_an_hour_at_most(house: House) -> None:
    for _ in range(5):
        version_notices(house.fake.url, date(2027, 1, 1))

    assert len(house.fake.requests) <= 2  # the hour may end in between


def test_a_metabase_that_is_away_or_unset_is_no_notice(house: House) -> None:
    house.fake.dies_at = 1

    assert version_notices(house.fake.url, date(2027, 1, 2)) == []
    assert version_notices("", date(2027, 1, 2)) == []


def test_an_outbox_of_before_takes_the_new_kind(books: psycopg.Connection) -> None:
    books.execute("alter table ops.notices drop constraint notices_kind_check")
    books.execute("alter table ops.notices add constraint notices_kind_check check (kind in ('published'))")

    ensure_tables(books)

    books.execute("insert into ops.notices (kind, key, subject, body) values ('metabase', 'a', 'b', 'c')")
    with pytest.raises(psycopg.errors.CheckViolation):
        books.execute("insert into ops.notices (kind, key, subject, body) values ('other', 'd', 'b', 'c')")
