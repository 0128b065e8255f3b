"""Addresses of the preview's pages: where a cell leads, and back to the page that it was clicked on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from shs_pipeline.base.errors import ShsError
from shs_pipeline.dashboards.model import Card, Dashboard, Value
from shs_pipeline.dashboards.reading import dashboards_for
from shs_pipeline.dashboards.sql import columns_in
from shs_pipeline.preview.viewer import Viewer

BACK = "back"
"""Of the query: the dashboard and the filters that a reader came from."""
Typed = Mapping[str, str]
"""The query of the address."""


@dataclass(frozen=True)
class Spot:
    """Where a reader is: a dashboard with its filters, and where they came from.

    Attributes:
        back: as it stands in the address, not checked.
    """

    viewer: Viewer
    dashboard: Dashboard
    values: Mapping[str, Value | None]
    back: str | None = None


def dashboard_named(viewer: Viewer, key: str) -> Dashboard:
    """Return what this person gets of a dashboard.

    Raises:
        KeyError: there is no such dashboard for this person.
    """
    return {one.key: one for one in dashboards_for(viewer.audience)}[key]


def filter_values(dashboard: Dashboard, typed: Typed) -> dict[str, Value | None]:
    """Return the value of each filter.

    Raises:
        ShsError: one is not of its kind.
    """
    found = {one.key: one.parse(typed.get(one.key)) for one in dashboard.filters}
    defaults = {one.key: one.default for one in dashboard.filters if one.key not in typed}
    return {key: defaults.get(key) if value is None else value for key, value in found.items()}


def address(key: str, values: Mapping[str, Any], name: str = "") -> str:
    """Return the address of a dashboard, or of a card's export."""
    query = urlencode({name: str(value) for name, value in values.items() if value not in (None, "")})
    return f"/d/{key}{name}" + (f"?{query}" if query else "")


def link(spot: Spot, card: Card, column: str, row: Mapping[str, Any]) -> str | None:
    """Return where a cell leads; a template whose column is blank leaves its filter out."""
    click = card.click_on(column)
    if click is None or any(row[name] is None for name in (column, *click.needs)):
        return None
    try:
        target = dashboard_named(spot.viewer, click.dashboard)
    except KeyError:
        return None
    found: dict[str, Any] = {key: spot.values.get(key) for key in click.keep}
    for key, template in click.templates(column).items():
        if all(row[name] is not None for name in columns_in(template)):
            found[key] = template.format_map(row)
    known = {one.key for one in target.filters}
    query = {key: value for key, value in found.items() if key in known}
    query[BACK] = spot.back if target.key == spot.dashboard.key else _origin(spot)
    return address(target.key, query) + _anchor(target, click.card)


def question(viewer: Viewer, about: str) -> str | None:
    """Return the address that begins a mail to the admins; None where nobody's address is known."""
    if not viewer.write_to:
        return None
    body = f"Payee: {viewer.name}\r\nAbout: {about}\r\n\r\nWhat looks wrong:\r\n"
    query = urlencode({"subject": "A question about my statement", "body": body}, quote_via=quote)
    return f"mailto:{quote(','.join(viewer.write_to), safe='@,')}?{query}"


def way_back(viewer: Viewer, typed: Typed) -> dict[str, str] | None:
    """Return title and address of the page that the reader came from, if the address says a real one."""
    key, _, query = typed.get(BACK, "").partition("?")
    try:
        origin = dashboard_named(viewer, key)
        values = filter_values(origin, dict(parse_qsl(query)))
    except (KeyError, ShsError):
        return None
    return {"title": origin.title, "href": address(key, values)}


def _origin(spot: Spot) -> str:
    query = urlencode({key: value for key, value in spot.values.items() if value not in (None, "")})
    return f"{spot.dashboard.key}?{query}"


def _anchor(target: Dashboard, card_key: str | None) -> str:
    # A card that differs by audience has a key for each.
    found = [card.key for card in target.cards if card_key and card.key.startswith(card_key)]
    return f"#card-{found[0]}" if found else ""
