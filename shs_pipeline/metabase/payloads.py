"""A dashboard's definition in Metabase's format: cards in SQL, their look, and their grid.

SQL, filters and texts are the definition's own. A list of choices is a card of its own, so that the
database answers it and everybody is offered only their own values.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from shs_pipeline.metabase.items import Item, Link, Ref

if TYPE_CHECKING:
    from shs_pipeline.dashboards.model import Card, Chart, Click, Column, Dashboard, Filter

CardKeys = Mapping[tuple[str, str], str]
"""Keys of cards in Metabase by the keys of their dashboard and their own."""

_TAG_IDS = uuid.UUID("6a0d1f52-5f0c-4b0e-9f5e-3b6a4b0c2d11")
_PARAMETER_TYPES = {"year": "number/=", "month": "string/=", "category": "string/=", "text": "string/="}
_CHOSEN_TYPES = {"year": "type/Integer"}
_DISPLAYS = {"trend": "smartscalar", "facts": "table"}
_TABLES = ("table", "facts")
_PALE = "#b9cde0"
# Metabase lays these over a row: it has no hatching, so what is still coming in is pale.
_ROW_COLOURS = {"total": "#9aa5b1", "subtotal": "#c4ccd6", "coming in": _PALE}
_NEGATIVE = "#b3402b"
_FORMATS: dict[str, dict[str, Any]] = {
    "money": {"number_style": "currency", "currency": "USD", "currency_style": "symbol",
              "currency_in_header": False, "decimals": 2},
    "percent": {"number_style": "percent", "decimals": 1},
    "rate": {"number_style": "percent", "decimals": 2},
    "share": {"number_style": "percent", "decimals": 0, "show_mini_bar": True},
    "integer": {"decimals": 0},
    # A year is a number without thousands, or the first day of it.
    "year": {"decimals": 0, "number_separators": ".", "date_style": "YYYY", "time_enabled": None},
    "month": {"date_style": "MMMM, YYYY", "date_abbreviate": True, "time_enabled": None},
    "date": {"date_style": "MMMM D, YYYY", "date_abbreviate": True, "time_enabled": None},
    "timestamp": {"date_style": "MMMM D, YYYY", "date_abbreviate": True, "time_enabled": "minutes"},
}  # fmt: skip


def dashboard_items(dashboards: Sequence[Dashboard], prefix: str, database: str) -> list[Item]:
    """Return dashboards and cards, cards first.

    Args:
        dashboards: as one audience gets them.
        prefix: key of the collection they lie in, with which the keys of all of them begin.
        database: key of the connection that answers them.
    """
    found: dict[tuple[str, str], Item] = {}
    keys = _card_keys(dashboards, prefix)
    for dashboard in dashboards:
        for one in (
            *_choice_cards(dashboard, prefix, database),
            *(_card(card, dashboard, prefix, database, keys) for card in dashboard.cards),
            _dashboard(dashboard, prefix, keys),
        ):
            found[one.identity] = one
    return sorted(found.values(), key=lambda item: item.kind != "card")


def _card_keys(dashboards: Sequence[Dashboard], prefix: str) -> CardKeys:
    """Return the key of each card; one that several dashboards show alike is one card in Metabase."""
    alike: dict[str, list[tuple[str, str]]] = {}
    for dashboard in dashboards:
        for card in dashboard.cards:
            place = (dashboard.key, card.key)
            # Nothing of a place matters, and without an id and a connection neither does whose it is.
            body = _card_body(card, dashboard, "", "", "")
            alike.setdefault(json.dumps(body, sort_keys=True, default=repr), []).append(place)
    keys: dict[tuple[str, str], str] = {}
    for text, places in alike.items():
        shared = f"{prefix}/shared/{places[0][1]}-{sha256(text.encode()).hexdigest()[:8]}"
        for dashboard_key, card_key in places:
            own = f"{prefix}/{dashboard_key}/{card_key}"
            keys[dashboard_key, card_key] = shared if len(places) > 1 else own
    return keys


def _card(card: Card, dashboard: Dashboard, prefix: str, database: str, keys: CardKeys) -> Item:
    key = keys[dashboard.key, card.key]
    return Item(
        "card", key, card.title, _card_body(card, dashboard, prefix, database, key), ("collection", prefix)
    )


def _card_body(card: Card, dashboard: Dashboard, prefix: str, database: str, key: str) -> dict[str, Any]:
    filters = [one for one in dashboard.filters if one.key in card.tags]
    return {
        **_question(card.title, card.sql, prefix, database, key, filters),
        "type": "model" if card.is_model else "question",
        "display": _DISPLAYS.get(card.display, card.display),
        "description": f"{card.description} If it is empty: {card.empty}",
        "visualization_settings": _settings(card),
    }


def _question(
    name: str, sql: str, prefix: str, database: str, key: str, filters: Sequence[Filter]
) -> dict[str, Any]:
    tags = {one.key: _tag(one, key) for one in filters}
    return {
        "name": name,
        "collection_id": Ref("collection", prefix),
        "dataset_query": {
            "lib/type": "mbql/query",
            "database": Ref("database", database),
            "stages": [{"lib/type": "mbql.stage/native", "native": sql.strip(), "template-tags": tags}],
        },
        "parameters": [
            {**_parameter(one), "id": tags[one.key]["id"], "target": ["variable", ["template-tag", one.key]]}
            for one in filters
        ],
        "archived": False,
    }


def _tag(one: Filter, key: str) -> dict[str, Any]:
    tag: dict[str, Any] = {
        "id": str(uuid.uuid5(_TAG_IDS, f"{key}/{one.key}")),
        "name": one.key,
        "display-name": one.title,
        "type": "number" if one.kind == "year" else "text",
    }
    if one.required:
        tag |= {"required": True, "default": one.default}
    return tag


def _parameter(one: Filter) -> dict[str, Any]:
    return {"name": one.title, "slug": one.key, "type": _PARAMETER_TYPES[one.kind]}


# --- how an answer looks -----------------------------------------------------------------


def _settings(card: Card) -> dict[str, Any]:
    columns = {_by_name(name): _column_settings(column) for name, column in card.columns.items()}
    settings: dict[str, Any] = {"column_settings": columns}
    if card.display in _TABLES:
        settings["table.columns"] = [
            # A question begins a mail, which Metabase cannot.
            {"name": name, "enabled": not column.hidden and column.format != "question"}
            for name, column in card.columns.items()
        ]
        settings["table.column_formatting"] = list(_colour_rules(card))
    if card.chart is not None:
        settings |= _chart_settings(card.display, card.chart, card.columns)
    return settings


def _colour_rules(card: Card) -> Iterator[dict[str, Any]]:
    """Yield what is told apart by colour: sums and unfinished months by row, negative amounts by cell."""
    amounts = [
        name for name, column in card.columns.items() if column.format == "money" and not column.hidden
    ]
    if amounts:
        yield _colour_rule(amounts, "<", 0, _NEGATIVE)
    if card.row_kind:
        for kind, colour in _ROW_COLOURS.items():
            yield {**_colour_rule([card.row_kind], "=", kind, colour), "highlight_row": True}


def _colour_rule(columns: Sequence[str], operator: str, value: str | int, colour: str) -> dict[str, Any]:
    return {"columns": list(columns), "type": "single", "operator": operator, "value": value, "color": colour,
            "highlight_row": False}  # fmt: skip


def _by_name(column: str) -> str:
    return f'["name","{column}"]'


def _column_settings(column: Column) -> dict[str, Any]:
    return {"column_title": column.title, **_FORMATS.get(column.format, {})}


def _chart_settings(display: str, chart: Chart, columns: Mapping[str, Column]) -> dict[str, Any]:
    match display:
        case "table" | "facts":
            return {}
        case "scalar":
            return {"scalar.field": chart.y[0]}
        case "trend":
            return {
                "scalar.field": chart.y[0],
                "scalar.comparisons": [{"id": "before", "type": "previousValue"}],
            }
        case "progress":
            return {"progress.value": chart.y[0], "progress.goal": chart.goal}
    settings: dict[str, Any] = {
        "graph.dimensions": [name for name in (chart.x, chart.series) if name],
        "graph.metrics": list(chart.y),
        "stackable.stack_type": "stacked" if chart.stacked else None,
    }
    pale: dict[str, dict[str, Any]] = {name: {"color": _PALE} for name in chart.pale}
    if not chart.series:
        pale = {
            name: {
                "title": columns[name].title,
                **_series_display(display, name, chart),
                **pale.get(name, {}),
            }
            for name in chart.y
        }
    return {**settings, "series_settings": pale} if pale else settings


def _series_display(display: str, name: str, chart: Chart) -> dict[str, Any]:
    return {"display": "line" if name in chart.lines else "bar"} if display == "combo" else {}


# --- the dashboard -----------------------------------------------------------------------


def _dashboard(dashboard: Dashboard, prefix: str, keys: CardKeys) -> Item:
    tab_ids = {tab.key: -1 - place for place, tab in enumerate(dashboard.tabs)}
    body = {
        "name": dashboard.title,
        "description": dashboard.description,
        "collection_id": Ref("collection", prefix),
        "collection_position": dashboard.order,
        "width": "full",
        "archived": False,
        "parameters": [_dashboard_parameter(one, prefix) for one in dashboard.filters],
        "tabs": [{"id": tab_ids[tab.key], "name": tab.title} for tab in dashboard.tabs],
        "dashcards": list(_dashcards(dashboard, prefix, tab_ids, keys)),
    }
    return Item("dashboard", f"{prefix}/{dashboard.key}", dashboard.title, body, ("collection", prefix))


def _dashboard_parameter(one: Filter, prefix: str) -> dict[str, Any]:
    parameter = {
        "id": one.key,
        **_parameter(one),
        "sectionId": "number" if one.kind == "year" else "string",
        "isMultiSelect": False,
    }
    if one.default is not None:
        parameter |= {"default": one.default, "required": one.required}
    if one.choices:
        parameter |= {
            "values_source_type": "static-list",
            "values_source_config": {"values": list(one.choices)},
            "values_query_type": "list",
        }
    elif one.choices_sql:
        chosen = ["field", "choice", {"base-type": _CHOSEN_TYPES.get(one.kind, "type/Text")}]
        parameter |= {
            "values_source_type": "card",
            "values_source_config": {
                "card_id": Ref("card", _choices_key(one, prefix)),
                "value_field": chosen,
            },
            "values_query_type": "list",
        }
    else:
        parameter["values_query_type"] = "none"
    return parameter


def _choices_key(one: Filter, prefix: str) -> str:
    # By its question, so that dashboards with the same filter share the card.
    return f"{prefix}/choices/{one.key}-{sha256(str(one.choices_sql).encode()).hexdigest()[:8]}"


def _choice_cards(dashboard: Dashboard, prefix: str, database: str) -> Iterator[Item]:
    for one in dashboard.filters:
        if not one.choices_sql:
            continue
        key = _choices_key(one, prefix)
        # Whatever its column is called, here it is `choice`.
        sql = f"select choices.choice from (\n{one.choices_sql.strip()}\n) as choices (choice)"  # noqa: S608
        name = f"Choices: {one.title}"
        body = {
            **_question(name, sql, prefix, database, key, ()),
            "type": "question",
            "display": "table",
            "description": f"The choices of the filter {one.title}.",
            "visualization_settings": {},
        }
        yield Item("card", key, name, body, ("collection", prefix))


def _dashcards(
    dashboard: Dashboard, prefix: str, tab_ids: Mapping[str, int], keys: CardKeys
) -> Iterator[dict[str, Any]]:
    """Yield the cards in their places; one without a tab stands on every tab."""
    places: list[tuple[Card, int | None]] = []
    for card in dashboard.cards:
        tab_ids_of_card = [tab_ids[card.tab]] if card.tab else list(tab_ids.values())
        places += [(card, tab_id) for tab_id in tab_ids_of_card or (None,)]
    for number, (card, tab_id) in enumerate(places):
        dashcard = _dashcard(-1 - number, card, dashboard, prefix, keys)
        yield dashcard if tab_id is None else {**dashcard, "dashboard_tab_id": tab_id}


def _dashcard(number: int, card: Card, dashboard: Dashboard, prefix: str, keys: CardKeys) -> dict[str, Any]:
    ref = Ref("card", keys[dashboard.key, card.key])
    return {
        "id": number,
        "card_id": ref,
        "row": card.place.row,
        "col": card.place.col,
        "size_x": card.place.width,
        "size_y": card.place.height,
        "series": [],
        "parameter_mappings": [
            {"parameter_id": tag, "card_id": ref, "target": ["variable", ["template-tag", tag]]}
            for tag in card.tags
        ],
        "visualization_settings": _click_settings(card, dashboard, prefix),
    }


def _click_settings(card: Card, dashboard: Dashboard, prefix: str) -> dict[str, Any]:
    links = {
        column: {
            "type": "link",
            "linkType": "url",
            "linkTemplate": Link(f"{prefix}/{click.dashboard}", _link_query(click, column, dashboard)),
        }
        for click in card.clicks
        # Metabase has no address for a card of a dashboard, so a link to the page itself would do nothing.
        if not (click.card and click.dashboard == dashboard.key)
        for column in click.columns
    }
    if not links:
        return {}
    if card.display in _TABLES:
        return {"column_settings": {_by_name(name): {"click_behavior": to} for name, to in links.items()}}
    return {"click_behavior": next(iter(links.values()))}


def _link_query(click: Click, column: str, dashboard: Dashboard) -> str:
    """Return what follows the question mark: columns of the row, and filters by their title."""
    parts = {
        name: re.sub(r"\{([a-z0-9_]+)\}", r"{{\1}}", template)
        for name, template in click.templates(column).items()
    }
    known = {one.key: one.title for one in dashboard.filters}
    parts |= {name: f"{{{{{known[name].lower()}}}}}" for name in click.keep if name in known}
    return "&".join(f"{name}={value}" for name, value in parts.items())
