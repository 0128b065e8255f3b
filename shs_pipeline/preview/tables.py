"""Answers as tables: each cell's text, its style and its link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from shs_pipeline.dashboards.model import Card, Column, Format
from shs_pipeline.preview.links import Spot, link, question
from shs_pipeline.preview.values import NUMBERS, shown
from shs_pipeline.preview.viewer import MOST_ROWS, Answer

ROWS_SHOWN = 200
ROWS_UNSCROLLED = 30
"""A table with more rows gets its own scroll bar."""
SUMS = ("total", "subtotal")
"""Kinds of rows that add others up."""
_SHORT_TEXT, _LONG_TEXT = 20, 34  # characters, from which on a cell may wrap and gets more room


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, its column's title, the address it leads to, and its bar's length."""

    text: str
    style: str
    title: str
    href: str | None = None
    share: Decimal | None = None


@dataclass(frozen=True)
class Line:
    """A row of a table; its kind is that of the card's `row_kind`."""

    cells: Sequence[Cell]
    kind: str = ""


def table(spot: Spot, card: Card, answer: Answer) -> dict[str, Any]:
    """Return a card's answer with links; of many rows the first, and all sums."""
    visible = [(name, column) for name, column in card.columns.items() if not column.hidden]
    lines: list[Line] = []
    plain = 0
    for row in answer.rows:
        named = dict(zip(card.columns, row, strict=True))
        kind = named[card.row_kind] if card.row_kind else None
        plain += kind not in SUMS
        if plain <= ROWS_SHOWN or kind in SUMS:
            lines.append(Line([_cell(spot, card, name, named) for name, _ in visible], _class(kind)))
    return {
        "heads": [_head(column) for _, column in visible],
        "rows": lines,
        "is_tall": len(lines) > ROWS_UNSCROLLED,
        "note": _note(card, plain, len(lines), answer.is_cut),
    }


def plain_table(card: Card, answer: Answer) -> dict[str, Any]:
    """Return the numbers behind a chart."""
    visible = [(place, column) for place, column in enumerate(card.columns.values()) if not column.hidden]
    return {
        "heads": [_head(column) for _, column in visible],
        "is_tall": len(answer.rows) > ROWS_UNSCROLLED,
        "rows": [Line([_plain_cell(one, row[place]) for place, one in visible]) for row in answer.rows],
    }


def style(how: Format, value: Any = None) -> str:
    """Return the classes of a cell."""
    if how == "share":
        return "number share"
    if how in NUMBERS:
        is_negative = isinstance(value, Decimal | int) and value < 0
        return "number negative" if is_negative else "number"
    if how == "state" and isinstance(value, str):
        return "state " + _class(value)
    return _text_style(value) if how == "text" else "short"


def _cell(spot: Spot, card: Card, name: str, row: Mapping[str, Any]) -> Cell:
    column = card.columns[name]
    look = style(column.format, row[name])
    if column.format == "question" and row[name] is not None:
        href = question(spot.viewer, str(row[name]))
        return Cell("Ask about it" if href else "", look, column.title, href)
    pale = str(row[card.pale_columns] or "").split(",") if card.pale_columns else ()
    return Cell(
        shown(row[name], column.format),
        f"{look} coming-in" if name in pale else look,
        column.title,
        link(spot, card, name, row),
        row[name] if column.format == "share" else None,
    )


def _plain_cell(column: Column, value: Any) -> Cell:
    return Cell(shown(value, column.format), style(column.format, value), column.title)


def _head(column: Column) -> dict[str, str]:
    return {"title": column.title, "style": style(column.format)}


def _note(card: Card, plain: int, lines: int, is_cut: bool) -> str | None:
    if is_cut:
        sums = "; choose fewer to see their sums" if card.row_kind else ""
        return f"The first {ROWS_SHOWN} of more than {MOST_ROWS:,} rows{sums}; scroll inside the table."
    if plain > ROWS_SHOWN:
        return f"The first {ROWS_SHOWN} of {plain:,} rows; scroll inside the table."
    return f"{plain:,} rows; scroll inside the table." if lines > ROWS_UNSCROLLED else None


def _text_style(value: Any) -> str:
    length = len(str(value)) if value is not None else 0
    return "long" if length > _LONG_TEXT else "text" if length > _SHORT_TEXT else "short"


def _class(kind: str | None) -> str:
    return "".join(sign if sign.isalnum() else "-" for sign in (kind or "").lower())
