"""`make smoke` on the fake: the acceptance checks pass on what is sound and find what is not.

And the whole of it on real data: the fake's connections run their SQL in the database, with the roles
and passwords that it was given.
"""

from __future__ import annotations

import decimal
import importlib.util
import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from shs_pipeline.base.errors import ShsError
from shs_pipeline.dashboards.reading import dashboards_for
from shs_pipeline.database.databases import prepare
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.metabase import provisioning
from shs_pipeline.metabase.calls import calls_of, missing_calls
from shs_pipeline.metabase.descriptions import describe
from shs_pipeline.metabase.provisioning import Workplace
from shs_pipeline.metabase.sign_in import Account
from shs_pipeline.people.access import drop_logins, sync_logins
from shs_pipeline.settings.secret_store import FileSecrets
from shs_pipeline.settings.settings import Settings
from tests.conftest import Zone
from tests.helpers.fake_metabase import FakeMetabase, openapi, serving
from tests.helpers.metabase_house import PASSWORD, USER, House

ROOT = Path(__file__).parents[2]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("smoke_metabase", ROOT / "scripts/smoke_metabase.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["smoke_metabase"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


smoke_metabase = _script()


def _needs_document() -> None:
    if not openapi():
        pytest.skip("Metabase's OpenAPI document is not there: set METABASE_OPENAPI to its path")


def test_every_call_that_is_used_is_in_metabases_own_document() -> None:
    _needs_document()

    assert missing_calls(openapi(), [*calls_of(60), *smoke_metabase.CHECKING_CALLS]) == []
    assert missing_calls(openapi(), [("post", "/api/dashboard/{id}/cards")]) == [
        "POST /api/dashboard/{id}/cards"
    ]


@pytest.fixture
def house(database: str, tmp_path: Path) -> Iterator[House]:
    with serving(FakeMetabase()) as fake:
        found = House(database, fake, tmp_path)
        found.join("Dana Whitfield")
        found.join("Marcus Oyelaran")
        yield found


def test_what_is_sound_passes_and_nothing_is_left_behind(house: House) -> None:
    _needs_document()

    findings = smoke_metabase.smoke(house.workplace, lambda _: None)

    assert findings.failed == []
    assert findings.passed > 15
    guests = [user for user in house.fake.users.values() if user["email"].startswith("shs-smoke")]
    assert len(guests) == 2
    assert not any(user["is_active"] for user in guests)


def test_a_card_that_may_be_opened_by_others_is_found(house: House) -> None:
    _needs_document()
    house.apply()
    real = house.fake.may_see
    house.fake.may_see = lambda user_id: real(user_id) | set(house.fake.cards)  # type: ignore[method-assign]

    findings = smoke_metabase.smoke(house.workplace, lambda _: None)

    assert any("is refused /api/card/" in failed for failed in findings.failed)


def test_a_metabase_without_a_call_is_refused_before_anything_is_changed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.fake, "document", lambda _: {"paths": {"/api/card": {"post": {}}}})

    with pytest.raises(ShsError, match="lacks GET /api/session/properties"):
        smoke_metabase.smoke(house.workplace, lambda _: None)

    assert house.fake.databases == {}


@pytest.mark.slow
def test_metabase_can_be_set_up_before_anything_was_ever_built(tmp_path: Path) -> None:
    home = tmp_path / "home"
    url = prepare(Settings(home=home, landing="", database_url=None)).warehouse_url.get_secret_value()
    try:
        with serving(FakeMetabase()) as fake:
            fake.run_sql = run_sql
            workplace = Workplace(
                fake.url, _account(), FileSecrets(tmp_path / "secrets.json"), url,
                {"rep": dashboards_for("rep"), "admin": dashboards_for("admin")}, wait_seconds=0,
                today=lambda: date(2026, 5, 1),
            )  # fmt: skip
            provisioning.apply_all(workplace)

            assert [one["name"] for one in fake.databases.values()] == ["Sales (admins)"]
            assert not fake.problems
    finally:
        EmbeddedPostgres(home).stop()


# --- the real dashboards on real rows ----------------------------------------------------


@pytest.fixture(scope="module")
def zone(built: Zone) -> Iterator[Zone]:
    """The made-up company, with a login for each person."""
    store = FileSecrets(built.folder.parent / "secrets.json")
    with psycopg.connect(built.database_url, autocommit=True) as owner:
        sync_logins(owner, store)
        yield built
        drop_logins(owner, store)


def run_sql(details: dict[str, Any], sql: str) -> list[list[Any]]:
    with psycopg.connect(
        host=details["host"], port=details["port"], dbname=details["dbname"], user=details["user"],
        password=details["password"],
    ) as connection:  # fmt: skip
        rows = connection.execute(sql.encode()).fetchall()
    return [[str(cell) if isinstance(cell, decimal.Decimal) else cell for cell in row] for row in rows]


@pytest.mark.soak
def test_every_card_of_every_rep_answers_with_own_rows_in_the_database(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the end of a version's security fixes comes near, apply adds a note.
    monkeypatch.setattr(provisioning, "today", lambda: date(2026, 10, 1))
    store = FileSecrets(zone.folder.parent / "secrets.json")
    with serving(FakeMetabase()) as fake:
        fake.run_sql = run_sql
        workplace = Workplace(
            fake.url, _account(), store, zone.database_url,
            {"rep": dashboards_for("rep"), "admin": dashboards_for("admin")}, wait_seconds=0, pause_seconds=0,
            describe=describe, today=lambda: date(2026, 5, 1),
        )  # fmt: skip
        try:
            report = provisioning.apply_all(workplace)
            assert report.notes == []
            fake.forget_requests()
            assert provisioning.apply_all(workplace).done == []
            assert fake.writes == []
            assert not fake.problems
            _check_cards(fake)
            _check_descriptions(fake)
        finally:
            provisioning.destroy_all(workplace)


def _account() -> Account:
    return Account(USER, SecretStr(PASSWORD))


def _check_cards(fake: FakeMetabase) -> None:
    reps = [one for one in fake.databases.values() if one["name"].startswith("Sales of ")]
    for database in [*reps[:2], fake.named("databases", "Sales (admins)")]:
        for card in [one for one in fake.cards.values() if one["database_id"] == database["id"]]:
            answer = f"select to_jsonb(answer) ->> 'rep_name', answer.* from ({_unfiltered(card)}) as answer"
            rows = run_sql(database["details"], answer)
            if database in reps:
                own = database["name"].removeprefix("Sales of ")
                assert {row[0] for row in rows} <= {own, None}, (card["name"], own)


def _check_descriptions(fake: FakeMetabase) -> None:
    tables = {table["name"]: table for table in fake.named("databases", "Sales (admins)")["tables"]}
    payouts = tables["commission_payouts"]
    assert payouts["description"].startswith("One row per rep, product line and commission month")
    fields = {one["name"]: one for one in payouts["fields"]}
    assert fields["payout"]["semantic_type"] == "type/Currency"
    assert fields["rep_name"]["description"]


def _unfiltered(card: dict[str, Any]) -> str:
    """The SQL of a card without any filter."""
    text = card["dataset_query"]["stages"][0]["native"]
    return re.sub(r"\[\[.*?\]\]", "", text, flags=re.DOTALL)
