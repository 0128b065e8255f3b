"""Charts as SVG, drawn here by Vega-Lite: pages load no scripts and nothing from other sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from shs_pipeline.base.errors import ShsError
from shs_pipeline.preview.values import shown

if TYPE_CHECKING:
    from shs_pipeline.dashboards.model import Card, Chart, Format

CELL = (56, 52)
"""Width and height of a cell of the grid, in pixels of a page of usual width."""
NARROW = (330, 300)
"""Width and height of a chart on a phone."""
_PADDING = (32, 100)
_FORMATS: dict[str, str] = {"money": "$,.2~s", "percent": ".0%"}
_COLOURS = ["#2f6fab", "#e08a2e", "#4f9d69", "#9a6fb0", "#c8553d", "#5c7080", "#b5a642", "#3aa6a6"]
_HATCHED = "url(#coming-in)"
_HATCHING = (
    '<defs><pattern id="coming-in" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect width="6" height="6" fill="#e3ebf3"/>'
    '<rect width="2" height="6" fill="#8fb0cf"/></pattern></defs>'
)
_CONFIG: dict[str, Any] = {
    "font": "DejaVu Sans, Helvetica, Arial, sans-serif",
    "background": "white",
    "view": {"stroke": None},
    "range": {"category": _COLOURS},
    "axis": {
        "labelColor": "#4a5568",
        "titleColor": "#4a5568",
        "gridColor": "#e8ecf1",
        "domainColor": "#cbd3dc",
        "tickColor": "#cbd3dc",
        "labelFontSize": 11,
    },
    "legend": {"orient": "top", "title": None, "labelFontSize": 11, "columns": 3, "labelLimit": 160},
}


def renderer() -> Any:
    """Return the library that draws.

    Raises:
        ShsError: it is not installed, as in the image for the cloud.
    """
    try:
        import vl_convert
    except ModuleNotFoundError:
        raise ShsError(
            "The package vl-convert-python, which draws the charts, is not installed.",
            "Run make setup; an image gets it with --build-arg LOCK=requirements-local.lock.",
        ) from None
    return vl_convert


def svg(card: Card, rows: Sequence[Sequence[Any]], *, is_narrow: bool = False) -> str:
    """Return a bar, line or combo chart of a card's rows as SVG, for a page of usual width or a phone."""
    # No base URL is allowed: a chart holds its data, and must never fetch any.
    drawn: str = renderer().vegalite_to_svg(
        specification(card, rows, is_narrow=is_narrow), allowed_base_urls=[]
    )
    end_of_tag = drawn.index(">") + 1
    return drawn[:end_of_tag] + _HATCHING + drawn[end_of_tag:]


def specification(card: Card, rows: Sequence[Sequence[Any]], *, is_narrow: bool = False) -> dict[str, Any]:
    """Return the chart in Vega-Lite, with its data."""
    chart = card.chart
    assert chart is not None
    assert chart.x is not None
    width, height = NARROW if is_narrow else _room(card)
    named = [dict(zip(card.columns, row, strict=True)) for row in rows]
    points = _long(card, chart, named)
    is_horizontal = card.display == "bar" and card.columns[chart.x].format in ("text", "state")
    return {
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "config": _CONFIG,
        "data": {"values": points},
        "layer": [
            _layer(card, mark, _colours(card, chart, points), is_horizontal, is_narrow)
            for mark in _marks(card, chart)
        ],
    }


def _room(card: Card) -> tuple[int, int]:
    across, up = (
        cells * size - padding
        for cells, size, padding in zip((card.place.width, card.place.height), CELL, _PADDING, strict=True)
    )
    return across, up


def _long(card: Card, chart: Chart, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one entry per point: where, what (by colour), how much."""
    assert chart.x is not None
    whats = sorted({str(row[chart.series]) for row in rows} if chart.series else ())
    ranks = {what: rank for rank, what in enumerate(whats)}
    return [
        {
            "x": _label(row[chart.x], card.columns[chart.x].format),
            "what": str(row[chart.series]) if chart.series else card.columns[name].title,
            "mark": "line" if name in chart.lines or card.display == "line" else "bar",
            "rank": ranks.get(str(row[chart.series]), 0) if chart.series else 0,
            "amount": float(row[name]),  # pixels only; figures are shown from the exact value
        }
        for row in rows
        for name in chart.y
        if isinstance(row[name], Decimal | int)
    ]


def _label(value: Any, how: Format) -> str:
    return f"{value:%b %y}" if isinstance(value, date) and how == "month" else shown(value, how)


def _marks(card: Card, chart: Chart) -> list[str]:
    if card.display == "line":
        return ["line"]
    return ["bar", "line"] if chart.lines else ["bar"]


def _colours(card: Card, chart: Chart, points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how names become colours: what is still coming in is hatched, and the last."""
    pale = {card.columns[name].title if name in card.columns else name for name in chart.pale}
    named = (
        sorted({str(point["what"]) for point in points})
        if chart.series
        else [card.columns[name].title for name in chart.y]
    )
    # A name that is nowhere drawn needs no entry in the legend.
    drawn = {point["what"] for point in points}
    names = sorted((name for name in named if name in drawn), key=lambda name: name in pale)
    whole = iter(_COLOURS)
    scale = {"domain": names, "range": [_HATCHED if name in pale else next(whole) for name in names]}
    found: dict[str, Any] = {"field": "what", "type": "nominal", "scale": scale}
    if len(named) == 1:
        found["legend"] = None
    return found


def _layer(
    card: Card, mark: str, colours: Mapping[str, Any], is_horizontal: bool, is_narrow: bool
) -> dict[str, Any]:
    assert card.chart is not None
    how = card.columns[card.chart.y[0]].format
    place = {
        "field": "x",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {"labelAngle": 0, "labelLimit": 110 if is_narrow else 220, "labelOverlap": True},
    }
    amount = {
        "field": "amount",
        "type": "quantitative",
        "title": None,
        "axis": {"format": _FORMATS.get(how, ",~r"), "tickCount": 3 if is_narrow else 5},
        "stack": "zero" if card.chart.stacked and mark == "bar" else None,
    }
    shape: dict[str, Any] = {"type": mark}
    shape |= {"point": True, "strokeWidth": 2.5} if mark == "line" else {"cornerRadiusEnd": 2}
    across, up = (amount, place) if is_horizontal else (place, amount)
    return {
        "transform": [{"filter": f"datum.mark === '{mark}'"}],
        "mark": shape,
        "encoding": {"x": across, "y": up, "color": colours, "order": {"field": "rank"}},
    }
