"""How a card looks in Metabase."""

from __future__ import annotations

from typing import Any

from shs_pipeline.dashboards.reading import dashboards_for
from shs_pipeline.metabase.payloads import dashboard_items


def looks_of(key: str) -> dict[str, Any]:
    (card,) = (
        one
        for one in dashboard_items(dashboards_for("rep"), "rep/1", "rep/1")
        if one.key == f"rep/1/my_statement/{key}"
    )
    looks: dict[str, Any] = card.body["visualization_settings"]
    return looks


def shown_columns(looks: dict[str, Any]) -> list[str]:
    return [column["name"] for column in looks["table.columns"] if column["enabled"]]


def test_a_share_is_a_small_bar_and_a_mail_that_metabase_cannot_begin_is_no_column() -> None:
    progress = looks_of("towards_tier_2")
    assert progress["column_settings"]['["name","share_reached"]']["show_mini_bar"] is True
    assert "words" in shown_columns(progress)

    lines = shown_columns(looks_of("lines"))
    assert "paid" in lines
    assert "question" not in lines


def test_my_statement_is_the_first_pinned_item_of_a_reps_collection() -> None:
    dashboards = [
        one for one in dashboard_items(dashboards_for("rep"), "rep/1", "rep/1") if one.kind == "dashboard"
    ]
    first = min(dashboards, key=lambda one: one.body["collection_position"])
    assert first.name == "My statement"
    assert first.body["collection_position"] > 0
