"""A dashboard as a web page: each card's answer, prepared for the template."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from shs_pipeline.dashboards.model import Card, Dashboard, Filter, Value
from shs_pipeline.preview import charts
from shs_pipeline.preview.links import BACK, Spot, Typed, address, filter_values, link, question, way_back
from shs_pipeline.preview.statements import MEDIA_TYPES
from shs_pipeline.preview.tables import plain_table, table
from shs_pipeline.preview.values import change_shown, shown
from shs_pipeline.preview.viewer import Answer, Viewer, ask, ask_for_choices

if TYPE_CHECKING:
    import psycopg


def dashboard_content(viewer: Viewer, dashboard: Dashboard, typed: Typed) -> dict[str, Any]:
    """Return what `dashboard.html` lays out: a dashboard as this person gets it.

    Raises:
        ShsError: a filter has no value of its kind, or the database is away.
    """
    spot = Spot(viewer, dashboard, filter_values(dashboard, typed), typed.get(BACK))
    tab = _tab(dashboard, typed)
    with viewer.reading() as connection:
        filters = [_filter(connection, one, spot.values[one.key]) for one in dashboard.filters]
        cards = [
            _card(spot, card, ask(connection, card, spot.values))
            for card in dashboard.cards
            if card.is_on(tab)
        ]
    tabs = [
        {
            "title": one.title,
            "href": address(dashboard.key, {**typed, "tab": one.key}),
            "is_open": one.key == tab,
        }
        for one in dashboard.tabs
    ]
    kept = {"tab": tab if dashboard.tabs else None, BACK: typed.get(BACK)}
    return {
        "dashboard": dashboard,
        "filters": filters,
        "cards": cards,
        "tabs": tabs,
        "kept": {name: value for name, value in kept.items() if value},
        "reset": address(dashboard.key, kept),
        "back": way_back(viewer, typed),
        "files": _files(spot) if dashboard.is_statement else (),
        "question": question(viewer, _chosen(spot)) if dashboard.is_statement else None,
        "standing": _standing(cards) if dashboard.is_statement else "",
    }


def _standing(cards: Sequence[Mapping[str, Any]]) -> str:
    """Return what stays in view of a statement: its month, whether that may still change, and as of when."""
    contents = [card["content"] for card in cards if card["content"]["kind"] == "facts"]
    facts = {cell.title: cell.text for content in contents for cell in content["rows"][0].cells}
    named = [facts.get("Pay period"), facts.get("State")]
    as_of = f"as of {facts['As of (UTC)']} UTC" if facts.get("As of (UTC)") else None
    return " · ".join(text for text in (*named, as_of) if text)


def _files(spot: Spot) -> list[dict[str, str]]:
    """Return what the statement is offered as; nothing until an admin has chosen whose it is."""
    if spot.viewer.audience == "admin" and not spot.values.get("rep"):
        return []
    titles = {"pdf": "PDF", "xlsx": "Workbook"}
    key = spot.dashboard.key
    return [
        {"title": titles[ending], "href": address(key, spot.values, f"/statement.{ending}")}
        for ending in MEDIA_TYPES
    ]


def _chosen(spot: Spot) -> str:
    return f"statement of {spot.values.get('month') or 'the latest month'}"


def _tab(dashboard: Dashboard, typed: Typed) -> str | None:
    keys = [tab.key for tab in dashboard.tabs]
    wanted = typed.get("tab")
    return wanted if wanted in keys else next(iter(keys), None)


def _filter(connection: psycopg.Connection, one: Filter, value: Value | None) -> dict[str, Any]:
    choices = list(one.choices) or (ask_for_choices(connection, one.choices_sql) if one.choices_sql else [])
    chosen = "" if value is None else str(value)
    if choices and chosen and chosen not in choices:
        choices.insert(0, chosen)
    return {"key": one.key, "title": one.title, "blank": one.blank, "choices": choices, "value": chosen}


# --- cards ---------------------------------------------------------------------------------


def _card(spot: Spot, card: Card, answer: Answer) -> dict[str, Any]:
    content: dict[str, Any] = {"kind": "fault", "text": answer.fault}
    if answer.fault is None:
        content = _CONTENTS.get(card.display, _chart)(spot, card, answer)
    has_rows = content["kind"] not in ("empty", "fault")
    export = address(spot.dashboard.key, spot.values, f"/{card.key}.csv") if card.is_exportable else None
    return {
        "card": card,
        "title": _title(card, answer),
        "content": content,
        "href": _main_link(spot, card, answer) if has_rows else None,
        "export": export if has_rows else None,
    }


def _title(card: Card, answer: Answer) -> str:
    if card.live_title is None or not answer.rows:
        return card.title
    named = dict(zip(card.columns, answer.rows[-1], strict=True))
    return card.live_title.format_map(named)


def _main_link(spot: Spot, card: Card, answer: Answer) -> str | None:
    """Return where the figure of a card leads that shows one."""
    if card.chart is None or not answer.rows:
        return None
    return link(spot, card, _drawn(card), dict(zip(card.columns, answer.rows[-1], strict=True)))


def _empty(card: Card) -> dict[str, Any]:
    return {"kind": "empty", "text": card.empty}


def _number(_: Spot, card: Card, answer: Answer) -> dict[str, Any]:
    (last, *_rest), name = answer.rows or [()], _drawn(card)
    value = _of(card, last, name) if last else None
    if value is None:
        return _empty(card)
    return {"kind": "scalar", "text": shown(value, card.columns[name].format), "is_negative": _is_low(value)}


def _trend(_: Spot, card: Card, answer: Answer) -> dict[str, Any]:
    """Hold the last period against the one before."""
    assert card.chart is not None
    assert card.chart.x is not None
    name, period = _drawn(card), card.chart.x
    label = card.chart.label or period
    rows = sorted(answer.rows, key=lambda row: _of(card, row, period))
    now = _of(card, rows[-1], name) if rows else None
    if now is None:
        return _empty(card)
    before = _of(card, rows[-2], name) if len(rows) > 1 else None
    how = card.columns[name].format
    found = {"kind": "trend", "text": shown(now, how), "is_negative": _is_low(now), "change": None}
    if before is None:
        return {
            **found,
            "against": "The earlier months are not complete, so there is nothing to compare with.",
        }
    direction = "up" if now > before else "down" if now < before else "same"
    change = change_shown(Decimal(now), Decimal(before))
    when = shown(_of(card, rows[-2], label), card.columns[label].format)
    return {**found, "change": change, "direction": direction, "against": f"{when}: {shown(before, how)}"}


def _progress(_: Spot, card: Card, answer: Answer) -> dict[str, Any]:
    """Hold a number against its goal: counts as `3 of 9`, amounts as a percentage."""
    assert card.chart is not None
    assert card.chart.goal is not None
    (row, *_rest), name, goal_name = answer.rows or [()], _drawn(card), card.chart.goal
    value, goal = (_of(card, row, each) if row else None for each in (name, goal_name))
    if value is None or not goal:
        return _empty(card)
    share = Decimal(value) / Decimal(goal)
    percent, parts = shown(share, "percent"), _parts(card, (name, value), (goal_name, goal))
    is_count = card.columns[name].format == "integer"
    return {
        "kind": "progress",
        "text": parts if is_count else percent,
        "is_negative": _is_low(value),
        "share": float(min(max(share, Decimal(0)), Decimal(1))),
        "detail": percent if is_count else parts,
    }


def _parts(card: Card, *parts: tuple[str, Any]) -> str:
    return " of ".join(shown(value, card.columns[name].format) for name, value in parts)


def _chart(_: Spot, card: Card, answer: Answer) -> dict[str, Any]:
    assert card.chart is not None
    if all(_of(card, row, name) is None for row in answer.rows for name in card.chart.y):
        return _empty(card)
    # Images, and not part of the page: whatever a label holds, it cannot become markup here.
    return {
        "kind": "chart",
        "wide": _image(charts.svg(card, answer.rows)),
        "narrow": _image(charts.svg(card, answer.rows, is_narrow=True)),
        **plain_table(card, answer),
    }


def _image(drawn: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(drawn.encode()).decode()


def _table(spot: Spot, card: Card, answer: Answer) -> dict[str, Any]:
    return {"kind": "table", **table(spot, card, answer)} if answer.rows else _empty(card)


def _facts(spot: Spot, card: Card, answer: Answer) -> dict[str, Any]:
    return {"kind": "facts", **table(spot, card, answer)} if answer.rows else _empty(card)


_CONTENTS = {"scalar": _number, "trend": _trend, "progress": _progress, "table": _table, "facts": _facts}


def _drawn(card: Card) -> str:
    assert card.chart is not None
    return card.chart.y[0]


def _of(card: Card, row: Sequence[Any], name: str) -> Any:
    return row[list(card.columns).index(name)]


def _is_low(value: Any) -> bool:
    return isinstance(value, Decimal | int) and value < 0
