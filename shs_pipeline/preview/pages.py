"""A dashboard as a web page: each card's answer, ready for the template, which only lays it out."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from shs_pipeline.dashboards.model import Card, Click, Dashboard, Filter, Value, dashboards_for
from shs_pipeline.errors import ShsError
from shs_pipeline.preview import charts
from shs_pipeline.preview.values import NUMBERS, change_shown, shown
from shs_pipeline.preview.viewer import MOST_ROWS, Answer, Viewer, ask, ask_for_choices

if TYPE_CHECKING:
    import jinja2
    import psycopg

ROWS_SHOWN = 200
_SHORT_TEXT, _LONG_TEXT = 20, 34  # characters, from which on a cell may wrap and gets more room
Typed = Mapping[str, str]
"""The query of the address."""


@dataclass(frozen=True)
class Page:
    """What is sent: HTML, and the nonce of the one style element in it."""

    html: str
    nonce: str


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, and the address that it leads to."""

    text: str
    style: str
    href: str | None = None


def dashboard_page(viewer: Viewer, dashboard: Dashboard, typed: Typed) -> Page:
    """Return a dashboard, as this person gets it, as a page.

    Raises:
        ShsError: a filter has no value of its kind, or the database is away.
    """
    values = filter_values(dashboard, typed)
    tab = _tab(dashboard, typed)
    with viewer.reading() as connection:
        filters = [_filter(connection, one, values[one.key]) for one in dashboard.filters]
        cards = [
            _card(viewer, dashboard, card, ask(connection, card, values), values)
            for card in dashboard.cards
            if card.tab == tab
        ]
    tabs = [
        {
            "title": one.title,
            "href": address(dashboard.key, {**typed, "tab": one.key}),
            "is_open": one.key == tab,
        }
        for one in dashboard.tabs
    ]
    return _rendered(viewer, "dashboard.html", dashboard=dashboard, filters=filters, cards=cards,
                     tabs=tabs, tab=tab if dashboard.tabs else None)  # fmt: skip


def problem_page(viewer: Viewer, title: str, problem: str, remedy: str) -> Page:
    """Return a page that says what is wrong and what to do."""
    return _rendered(viewer, "problem.html", title=title, problem=problem, remedy=remedy, dashboard=None)


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


def _card(
    viewer: Viewer, dashboard: Dashboard, card: Card, answer: Answer, values: Mapping[str, Value | None]
) -> dict[str, Any]:
    content: dict[str, Any] = {"kind": "fault", "text": answer.fault}
    if answer.fault is None:
        content = _CONTENTS.get(card.display, _chart)(card, answer)
    if content["kind"] == "table":
        content |= _table(viewer, card, answer, values)
    export = address(dashboard.key, values, f"/{card.key}.csv") if card.is_exportable else None
    has_rows = content["kind"] not in ("empty", "fault")
    return {"card": card, "content": content, "export": export if has_rows else None}


def _empty(card: Card) -> dict[str, Any]:
    return {"kind": "empty", "text": card.empty}


def _number(card: Card, answer: Answer) -> dict[str, Any]:
    (last, *_), name = answer.rows or [()], _drawn(card)
    value = _of(card, last, name) if last else None
    if value is None:
        return _empty(card)
    return {"kind": "scalar", "text": shown(value, card.columns[name].format)}


def _trend(card: Card, answer: Answer) -> dict[str, Any]:
    """Hold the last period against the one before."""
    assert card.chart is not None
    assert card.chart.x is not None
    name, period = _drawn(card), card.chart.x
    rows = sorted(answer.rows, key=lambda row: _of(card, row, period))
    now = _of(card, rows[-1], name) if rows else None
    if now is None:
        return _empty(card)
    when = [shown(_of(card, row, period), card.columns[period].format) for row in rows]
    before = _of(card, rows[-2], name) if len(rows) > 1 else None
    how = card.columns[name].format
    found = {"kind": "trend", "text": shown(now, how), "period": when[-1], "change": None}
    if before is None:
        return {**found, "against": "nothing earlier to compare with"}
    direction = "up" if now > before else "down" if now < before else "same"
    change = change_shown(Decimal(now), Decimal(before))
    return {**found, "change": change, "direction": direction, "against": f"{when[-2]}: {shown(before, how)}"}


def _progress(card: Card, answer: Answer) -> dict[str, Any]:
    assert card.chart is not None
    assert card.chart.goal is not None
    (row, *_), name, goal_name = answer.rows or [()], _drawn(card), card.chart.goal
    value, goal = (_of(card, row, each) if row else None for each in (name, goal_name))
    if value is None or not goal:
        return _empty(card)
    share = Decimal(value) / Decimal(goal)
    reached, wanted = (
        shown(number, card.columns[each].format) for each, number in ((name, value), (goal_name, goal))
    )
    return {
        "kind": "progress",
        "text": shown(share.quantize(Decimal("0.001")), "percent"),
        "share": float(min(max(share, Decimal(0)), Decimal(1))),
        "detail": f"{reached} of {wanted}",
    }


def _chart(card: Card, answer: Answer) -> dict[str, Any]:
    assert card.chart is not None
    if all(_of(card, row, name) is None for row in answer.rows for name in card.chart.y):
        return _empty(card)
    drawn = charts.svg(card, answer.rows)
    source = "data:image/svg+xml;base64," + base64.b64encode(drawn.encode()).decode()
    # An image, and not part of the page: whatever a label holds, it cannot become markup here.
    return {"kind": "chart", "source": source, **_plain_table(card, answer)}


def _has_table(card: Card, answer: Answer) -> dict[str, Any]:
    return {"kind": "table"} if answer.rows else _empty(card)


_CONTENTS = {"scalar": _number, "trend": _trend, "progress": _progress, "table": _has_table}


def _drawn(card: Card) -> str:
    assert card.chart is not None
    return card.chart.y[0]


def _of(card: Card, row: Sequence[Any], name: str) -> Any:
    return row[list(card.columns).index(name)]


def _plain_table(card: Card, answer: Answer) -> dict[str, Any]:
    return {
        "heads": [
            {"title": column.title, "style": _style(column.format)} for column in card.columns.values()
        ],
        "rows": [
            [
                Cell(shown(value, column.format), _style(column.format))
                for value, column in zip(row, card.columns.values(), strict=True)
            ]
            for row in answer.rows
        ],
    }


def _table(viewer: Viewer, card: Card, answer: Answer, values: Mapping[str, Value | None]) -> dict[str, Any]:
    visible = [(name, column) for name, column in card.columns.items() if not column.hidden]
    rows = []
    for row in answer.rows[:ROWS_SHOWN]:
        named = dict(zip(card.columns, row, strict=True))
        rows.append(
            [
                Cell(
                    shown(named[name], column.format),
                    _style(column.format, named[name]),
                    _link(viewer, card.click, name, named, values),
                )
                for name, column in visible
            ]
        )
    count = f"more than {MOST_ROWS:,}" if answer.is_cut else f"{len(answer.rows):,}"
    hidden = len(answer.rows) > ROWS_SHOWN
    return {
        "heads": [{"title": column.title, "style": _style(column.format)} for _, column in visible],
        "rows": rows,
        "note": f"The first {ROWS_SHOWN} of {count} rows." if hidden else None,
    }


def _style(how: str, value: Any = None) -> str:
    if how in NUMBERS:
        is_negative = isinstance(value, Decimal | int) and value < 0
        return "number negative" if is_negative else "number"
    if how == "state" and isinstance(value, str):
        return "state " + "".join(sign if sign.isalnum() else "-" for sign in value.lower())
    return _text_style(value) if how == "text" else "short"


def _text_style(value: Any) -> str:
    length = len(str(value)) if value is not None else 0
    return "long" if length > _LONG_TEXT else "text" if length > _SHORT_TEXT else "short"


def _link(
    viewer: Viewer,
    click: Click | None,
    column: str,
    row: Mapping[str, Any],
    values: Mapping[str, Value | None],
) -> str | None:
    """Return where a cell leads; a template whose column is blank leaves its filter out."""
    if click is None or column not in click.columns or row[column] is None:
        return None
    try:
        target = dashboard_named(viewer, click.dashboard)
    except KeyError:
        return None
    found: dict[str, Any] = {key: values.get(key) for key in click.keep}
    for key, template in click.templates(column).items():
        if all(row[name] is not None for name in Click.columns_in(template)):
            found[key] = template.format_map(row)
    known = {one.key for one in target.filters}
    return address(target.key, {key: value for key, value in found.items() if key in known})


# --- templates -----------------------------------------------------------------------------


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("shs_pipeline.preview"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _rendered(viewer: Viewer, template: str, **content: Any) -> Page:
    nonce = secrets.token_urlsafe(16)
    try:
        menu = dashboards_for(viewer.audience)
    except ShsError:
        menu = ()  # a definition is wrong, which the page itself says
    html = _templates().get_template(template).render(viewer=viewer, menu=menu, nonce=nonce, **content)
    return Page(html, nonce)
