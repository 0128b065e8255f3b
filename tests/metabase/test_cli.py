"""`shs metabase` as an operator types it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shs_pipeline.base.errors import ShsError
from shs_pipeline.cli import metabase as module
from shs_pipeline.cli.main import build_app
from tests.helpers.fake_metabase import FakeMetabase, serving
from tests.helpers.metabase_house import House


@pytest.fixture
def house(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with serving(FakeMetabase()) as fake:
        found = House(database, fake, tmp_path)
        found.join("Dana Whitfield")
        monkeypatch.setattr(module, "_workplace", lambda: found.workplace)
        yield found


def shs(*words: str) -> str:
    result = CliRunner().invoke(build_app(), ["metabase", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return " ".join(result.output.split())


def test_plan_apply_links_and_destroy_say_what_they_do(house: House) -> None:
    house.fake.tag = "v0.60.17"
    assert "make connection Sales of Dana Whitfield" in shs("plan")

    applied = shs("apply")

    assert "changes made in" in applied
    assert "Give each link below only to the person it is for" in applied
    assert "/auth/reset_password/" in applied
    assert "Metabase is up to date." in shs("plan")
    assert "Metabase is up to date." in shs("apply")
    assert "/auth/reset_password/" in shs("links", "Dana Whitfield")
    assert "removed" in shs("destroy", "--yes")
    assert house.fake.dashboards == {}


def test_before_v60_a_temporary_password_is_shown_with_what_to_do_and_in_no_log(house: House) -> None:
    applied = shs("apply")

    assert "No password yet: Dana Whitfield. Run shs metabase links" in applied
    with pytest.raises(ShsError, match="only has temporary passwords"):
        shs("links")
    assert not [path for verb, path in house.fake.writes if path.endswith("/password")]

    shown = shs("links", "--show")

    assert "change it under Account settings > Password" in shown
    assert "ShS-" in shown


def test_destroy_asks_for_a_yes(house: House) -> None:
    with pytest.raises(ShsError, match="--yes"):
        shs("destroy")

    assert house.fake.requests == []


def test_without_an_address_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHS_HOME", str(tmp_path))
    monkeypatch.setenv("SHS_METABASE_URL", "")

    with pytest.raises(ShsError, match="SHS_METABASE_URL"):
        shs("plan")


def test_links_for_nobody_is_a_sentence(house: House) -> None:
    with pytest.raises(ShsError, match="Nobody called 'Zoe'"):
        shs("links", "Zoe")
