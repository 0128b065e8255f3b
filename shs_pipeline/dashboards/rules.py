"""Rules for a definition beyond the types of its values; each problem names its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from shs_pipeline.dashboards.model import GRID_COLUMNS
from shs_pipeline.dashboards.sql import SqlPart, columns_in, parse_sql

if TYPE_CHECKING:
    from shs_pipeline.dashboards.model import Card, Click, Dashboard

_CALENDARS: dict[str, tuple[str, ...]] = {
    "revenue": ("revenue month",),
    "commission": ("commission month",),
    "both": ("revenue month", "commission month"),
    "none": (),
}


def _card_problems(card: Card) -> Iterator[str]:
    """Yield what is wrong with a single card."""
    for words in _CALENDARS[card.calendar]:
        if words not in card.description.lower():
            yield f"description: it must say that it counts by {words}"
    if card.display not in ("table", "facts") and card.chart is None:
        yield f"chart: the display {card.display} needs one"
    for name in _named_columns(card):
        if name not in card.columns:
            yield f"columns: there is no column {name}, which chart, title, row kind or click name"
    linked = [column for click in card.clicks for column in click.columns]
    for column in sorted({column for column in linked if linked.count(column) > 1}):
        yield f"click: {column} leads to two places"
    if card.place.col + card.place.width > GRID_COLUMNS:
        yield f"place: it ends right of column {GRID_COLUMNS}"
    if card.is_model and card.tags:
        yield f"sql: a model has no filters, and this one names {card.tags[0]}"


def _named_columns(card: Card) -> Iterator[str]:
    if card.chart:
        yield from card.chart.columns
    yield from (name for name in (card.row_kind, card.pale_columns) if name)
    yield from columns_in(card.live_title or "")
    for click in card.clicks:
        yield from (*click.columns, *click.needs)
        for column in click.columns:
            for template in click.templates(column).values():
                yield from columns_in(template)


def dashboard_problems(dashboard: Dashboard) -> Iterator[str]:
    """Yield what is wrong with a single dashboard, its cards first."""
    for card in dashboard.cards:
        yield from (f"cards.{card.key}: {problem}" for problem in _card_problems(card))
    for name in ("filters", "cards", "tabs"):
        keys = [part.key for part in getattr(dashboard, name)]
        for key in sorted({key for key in keys if keys.count(key) > 1}):
            yield f"{name}: {key} is there twice"
    tabs: set[str | None] = {None, *(tab.key for tab in dashboard.tabs)}
    for card in dashboard.cards:
        if card.tab not in tabs:
            yield f"cards.{card.key}.tab: {card.tab} is none of the tabs"
        if not card.audience <= dashboard.audience:
            yield f"cards.{card.key}.audience: the dashboard is not for all of them"
    yield from _filter_problems(dashboard)
    for audience in sorted(dashboard.audience):
        yield from _overlaps(dashboard.for_audience(audience).cards)


def _filter_problems(dashboard: Dashboard) -> Iterator[str]:
    for one in dashboard.filters:
        users = [card for card in dashboard.cards if one.key in card.tags and card.audience & one.audience]
        if not users:
            yield f"filters.{one.key}: no card uses it"
        if one.required and one.default is None:
            yield f"filters.{one.key}: it is required but has no default"
    for card in dashboard.cards:
        for key in [key for click in card.clicks for key in click.keep]:
            if dashboard.filter_named(key) is None:
                yield f"cards.{card.key}.click.keep: {key} is none of the filters"
        for part in parse_sql(card.sql):
            yield from _tag_problems(dashboard, card, part)


def _tag_problems(dashboard: Dashboard, card: Card, part: SqlPart) -> Iterator[str]:
    for tag in part.tags:
        found = dashboard.filter_named(tag)
        if found is None:
            yield f"cards.{card.key}.sql: {tag} is none of the filters"
        elif not part.is_optional and not (found.required and card.audience <= found.audience):
            yield f"cards.{card.key}.sql: {tag} stands outside [[ ]] and may be without a value"


def _overlaps(cards: Sequence[Card]) -> Iterator[str]:
    for place, card in enumerate(cards):
        for other in cards[:place]:
            if card.shares_a_tab(other) and card.place.overlaps(other.place):
                yield f"cards.{card.key}.place: it overlaps {other.key}"


def click_problems(card: Card, dashboards: Mapping[str, Dashboard]) -> Iterator[str]:
    """Yield which of a card's links lead nowhere."""
    for click in card.clicks:
        yield from _target_problems(click, dashboards.get(click.dashboard))


def _target_problems(click: Click, target: Dashboard | None) -> Iterator[str]:
    if target is None:
        yield f"there is no dashboard {click.dashboard}"
        return
    named = [*click.keep, *(key for column in click.columns for key in click.templates(column))]
    for key in dict.fromkeys(named):
        if target.filter_named(key) is None:
            yield f"{target.key} has no filter {key}"
    # A card that differs by audience has a key for each.
    if click.card and not any(card.key.startswith(click.card) for card in target.cards):
        yield f"{target.key} has no card {click.card}"
