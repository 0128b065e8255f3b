"""Shared parts of the definitions: common SQL and cards, and cards repeated per source.

`common` holds named queries, `common.yml` those of all dashboards; a card with `uses: [figures]` begins
with them as CTEs. A common query may differ by audience (`rep: …`, `admin: …`): a card for both then
becomes one card for each, which may have a place of its own each. `use: as_of` stands for the card of
that name in `common.yml`. A card with `per_source: true` becomes a tab with a card for each source, with
the source's own columns.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from shs_pipeline.sources.registry import all_sources

COMMON = "common.yml"
"""What dashboards share; no dashboard itself."""
_FORMATS = {"amount": "money", "rate": "rate", "share": "percent", "quantity": "number",
            "whole": "integer", "day": "date"}  # fmt: skip
_ABOVE = ("rep_name", "product_line", "commission_month", "revenue_date")
_BELOW = ("credit_status", "source_file", "source_sheet", "source_row")
_SHARED: dict[str, Any] = {
    "rep_name": {"title": "Credited to", "audience": ["admin"]},
    "product_line": "Product line",
    "commission_month": ["Commission month", "month"],
    "revenue_date": ["Revenue date", "date"],
    "credit_status": ["Credit", "state"],
    # To a rep a file, a sheet and a row mean nothing; the tab and the month say what it is.
    "source_file": {"title": "File", "audience": ["admin"]},
    "source_sheet": {"title": "Sheet or page", "audience": ["admin"]},
    "source_row": {"title": "Row", "format": "integer", "audience": ["admin"]},
}


def compose(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a definition in full: no `common`, `use`, `uses` or `per_source` in it.

    Raises:
        ValueError: a card uses a common query that is not there.
        KeyError: there is no common card of this name.
    """
    full = dict(content)
    shared = _shared()
    queries = {**shared["queries"], "source_titles": _source_titles(), **full.pop("common", {})}
    cards: list[dict[str, Any]] = []
    for written in full.get("cards", ()):
        card = {**shared["cards"][written["use"]], "key": written["use"]} if "use" in written else written
        if "audience" in full:
            card = {"audience": full["audience"], **card}
        if card.get("per_source"):
            full["tabs"] = [{"key": source.name, "title": source.title} for source in all_sources()]
            cards += _per_source(card)
        else:
            cards += _with_common(card, queries)
    full["cards"] = cards
    return full


def _shared() -> dict[str, Any]:
    import yaml

    text = (resources.files("shs_pipeline.dashboards") / COMMON).read_text(encoding="utf-8")
    shared: dict[str, Any] = yaml.safe_load(text)
    return shared


def _source_titles() -> str:
    rows = ", ".join(f"('{source.name}', '{source.title}')" for source in all_sources())
    return f"select * from (values {rows}) as titles (source, source_title)"  # noqa: S608 - our own names


def _with_common(card: Mapping[str, Any], common: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    names = card.get("uses", ())
    for name in names:
        if name not in common:
            raise ValueError(f"cards.{card.get('key')}.uses: there is no common query {name}")
    own = {key: value for key, value in card.items() if key != "uses"}
    audiences = card.get("audience", ["rep", "admin"])
    is_split = len(audiences) > 1 and any(isinstance(common[name], Mapping) for name in names)
    if not is_split:
        yield {**own, "sql": _sql(card, common, audiences[0])}
        return
    for audience in audiences:
        yield {
            **own,
            "key": f"{card['key']}_{audience}",
            "audience": [audience],
            "place": card["place"].get(audience, card["place"]),
            "sql": _sql(card, common, audience),
        }


def _sql(card: Mapping[str, Any], common: Mapping[str, Any], audience: str) -> str:
    ctes = []
    for name in card.get("uses", ()):
        query = common[name][audience] if isinstance(common[name], Mapping) else common[name]
        ctes.append(f"{name} as (\n{textwrap.indent(query.strip(), '    ')}\n)")
    text = str(card.get("sql", "")).strip()
    return f"with {', '.join(ctes)}\n{text}\n" if ctes else f"{text}\n"


def _per_source(card: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    from shs_pipeline.files.contract import columns_of

    own = {key: value for key, value in card.items() if key != "per_source"}
    for source in all_sources():
        theirs = columns_of(source.rows)
        # As in history_model: a shared column of the same name as one of the source's has a prefix.
        taken = {column.name for column in theirs}
        shared = {name: f"shared_{name}" if name in taken else name for name in _SHARED}
        columns: dict[str, Any] = {shared[name]: _SHARED[name] for name in _ABOVE}
        columns |= {column.name: [column.header, _FORMATS.get(column.kind, "text")] for column in theirs}
        columns |= {shared[name]: _SHARED[name] for name in _BELOW}
        words = {"{source}": source.name, "{title}": source.title, "{columns}": ",\n    ".join(columns)}
        words |= {f"{{{name}}}": column for name, column in shared.items()}
        yield {
            **{key: _filled(value, words) for key, value in own.items()},
            "columns": columns,
            "tab": source.name,
        }


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    for word, meaning in words.items():
        value = value.replace(word, meaning)
    return value
