"""Dashboards as data: one readable YAML file each, for Metabase and the preview alike.

A card is a question in SQL on the marts with Metabase's template tags: `{{year}}` is a filter's value,
`[[and rep_name = {{rep}}]]` is left out where the filter has none. Months are texts `YYYY-MM`, years
whole numbers. Viewers see only what the database lets through; the audience only says which cards, columns
and filters make sense for whom. What must hold in a definition is in `rules.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from shs_pipeline.base.errors import ShsError
from shs_pipeline.dashboards.sql import parse_sql, with_placeholders

Audience = Literal["rep", "admin"]
Format = Literal[
    "money",
    "percent",
    "rate",
    "share",
    "year",
    "month",
    "date",
    "timestamp",
    "integer",
    "number",
    "text",
    "state",
    "question",
]
Display = Literal["scalar", "trend", "progress", "bar", "line", "combo", "table", "facts"]
Value = str | int
"""Of a filter: a year is a whole number, everything else is text."""
GRID_COLUMNS = 24
EVERYBODY: frozenset[Audience] = frozenset(("rep", "admin"))
_KEY = r"^[a-z][a-z0-9_]*$"
_LONGEST_TEXT = 200
Key = Annotated[str, Field(pattern=_KEY)]
Title = Annotated[str, Field(min_length=1)]
Sentence = Annotated[str, BeforeValidator(lambda text: " ".join(str(text).split())), Field(min_length=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Filter(_Frozen):
    """What a reader may choose on a dashboard.

    Attributes:
        kind: `year` (a whole number), `month` (text `YYYY-MM`), `category` (one of the choices) or
            `text` (anything).
        default: value to begin with.
        choices: fixed choices.
        choices_sql: question whose first column lists the choices, in their order.
        blank: what it means when nothing is chosen, as `latest year`.
        required: its tag may stand outside `[[ ]]`; there must be a default.
    """

    key: Key
    title: Title
    kind: Literal["year", "month", "text", "category"]
    default: Value | None = None
    choices: tuple[str, ...] = ()
    choices_sql: str | None = None
    blank: Title
    audience: frozenset[Audience] = EVERYBODY
    required: bool = False

    def parse(self, typed: str | None) -> Value | None:
        """Return the value that was typed, None for none.

        Raises:
            ShsError: it is no such value.
        """
        text = " ".join((typed or "").split())
        if not text:
            return None
        if self.kind == "year":
            if re.fullmatch(r"(19|20)[0-9]{2}", text):
                return int(text)
            raise ShsError(f"{self.title}: {text[:40]!r} is not a year.", "Type four digits, such as 2025.")
        if self.kind == "month" and not re.fullmatch(r"(19|20)[0-9]{2}-(0[1-9]|1[0-2])", text):
            raise ShsError(
                f"{self.title}: {text[:40]!r} is not a month.", "Type it as YYYY-MM, such as 2025-03."
            )
        if len(text) > _LONGEST_TEXT or "\0" in text:
            raise ShsError(f"{self.title} cannot be this text.", f"Type at most {_LONGEST_TEXT} characters.")
        return text


class Column(_Frozen):
    """A column of a card's answer, by its name in the SQL; `[Title, format]` or `Title` for short.

    Attributes:
        format: money is US dollars; a percent and a rate are factors (0.07 is 7 %), of which the rate is
            shown with all its digits; a share is a factor from 0 to 1, drawn as a bar; a year and a month are
            the first day of it; a state is one of few words that are told apart by colour; a question is what
            somebody may ask the admins about, shown as a link that begins a mail.
        hidden: for links and charts only.
        audience: hidden for everybody else.
    """

    title: Title
    format: Format = "text"
    hidden: bool = False
    audience: frozenset[Audience] = EVERYBODY

    @model_validator(mode="before")
    @classmethod
    def _in_full(cls, written: Any) -> Any:
        if isinstance(written, str):
            return {"title": written}
        if isinstance(written, list) and len(written) == 2:
            return {"title": written[0], "format": written[1]}
        return written


class Chart(_Frozen):
    """How an answer is drawn, by names of its columns.

    Attributes:
        x: along the axis; for `trend`, the period.
        y: what is drawn; for `scalar`, `trend` and `progress`, one.
        series: column that splits y into colours.
        lines: which of y a `combo` draws as lines; the rest are bars.
        goal: for `progress`, the column of the goal.
        stacked: bars of a series on top of each other.
        pale: which of y, or which values of the series, are drawn pale: they are still coming in.
        label: for `trend`, the column that names the period in words.
    """

    x: str | None = None
    y: tuple[str, ...]
    series: str | None = None
    lines: tuple[str, ...] = ()
    goal: str | None = None
    stacked: bool = False
    pale: tuple[str, ...] = ()
    label: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns it names."""
        named = (self.x, *self.y, self.series, *self.lines, self.goal, self.label)
        return tuple(name for name in named if name)


class Place(_Frozen):
    """Where a card stands on the grid of 24 columns; rows grow downwards."""

    row: int = Field(ge=0)
    col: int = Field(ge=0, lt=GRID_COLUMNS)
    width: int = Field(gt=0, le=GRID_COLUMNS)
    height: int = Field(gt=0, le=60)

    def overlaps(self, other: Place) -> bool:
        """Whether the two share a cell of the grid."""
        return (
            self.col < other.col + other.width
            and other.col < self.col + self.width
            and self.row < other.row + other.height
            and other.row < self.row + self.height
        )


class Click(_Frozen):
    """Where a cell leads.

    Attributes:
        dashboard: key of the target.
        filters: values of its filters as templates over the row's columns, as `{year}-03`.
        keep: filters whose value is handed on as it is.
        columns: cells that are links, by column, each with further filters.
        card: key of the card of the target that it leads to.
        needs: columns without which a cell leads nowhere.
    """

    dashboard: str
    filters: Mapping[str, str] = Field(default_factory=dict)
    keep: tuple[str, ...] = ()
    columns: Mapping[str, Mapping[str, str]] = Field(min_length=1)
    card: str | None = None
    needs: tuple[str, ...] = ()

    def templates(self, column: str) -> dict[str, str]:
        """Return the templates of the target's filters for a cell of this column."""
        return {**self.filters, **self.columns[column]}


def _listed(written: Any) -> Any:
    return written if isinstance(written, list | tuple) else [written]


class Tab(_Frozen):
    """A page of a dashboard."""

    key: Key
    title: Title


class Card(_Frozen):
    """A question with its place on the dashboard.

    Attributes:
        calendar: by which month it counts; the description must say so.
        sql: one `select` with template tags; what the dashboard has in common is in it already.
        live_title: the title where it can follow the answer: a template over its first row's columns.
        display: `facts` are the cells of one row, each with its title before it.
        chart: needed by all displays but `table` and `facts`.
        row_kind: hidden column that says which rows are no plain ones: `total`, `subtotal`, `coming in`.
        pale_columns: hidden column that lists the columns, comma-separated, which are still coming in.
        clicks: where its cells lead; a column has one.
        empty: why there may be nothing to show.
        tab: key of the tab, where the dashboard has tabs; none for a card on every tab.
        is_model: a curated relation for free analysis (a Metabase model: no template tags).
        is_exportable: the preview offers all rows as CSV.
    """

    key: Key
    title: Title
    live_title: Title | None = None
    description: Sentence
    calendar: Literal["revenue", "commission", "both", "none"]
    audience: frozenset[Audience] = EVERYBODY
    display: Display
    sql: str
    columns: Mapping[str, Column] = Field(min_length=1)
    chart: Chart | None = None
    place: Place
    row_kind: str | None = None
    pale_columns: str | None = None
    clicks: Annotated[tuple[Click, ...], BeforeValidator(_listed)] = Field(default=(), alias="click")
    empty: Sentence
    tab: str | None = None
    is_model: bool = False
    is_exportable: bool = False

    @property
    def tags(self) -> tuple[str, ...]:
        """Names of the filters in its SQL, each once."""
        return tuple(dict.fromkeys(tag for part in parse_sql(self.sql) for tag in part.tags))

    def click_on(self, column: str) -> Click | None:
        """Return where a cell of this column leads."""
        return next((one for one in self.clicks if column in one.columns), None)

    def is_on(self, tab: str | None) -> bool:
        """Whether it stands on this tab."""
        return self.tab is None or self.tab == tab

    def shares_a_tab(self, other: Card) -> bool:
        """Whether two cards of a dashboard are ever seen together."""
        return self.tab == other.tab or None in (self.tab, other.tab)

    @model_validator(mode="after")
    def _has_readable_sql(self) -> Card:
        parse_sql(self.sql)
        return self


class Dashboard(_Frozen):
    """A page of cards with its filters.

    Attributes:
        title_for_admins: its title for admins, where that is another one.
        order: among the dashboards.
        is_statement: its filters `month` and `rep` choose a statement, which is offered as a file.
        tabs: in their order; none for a dashboard of one page.
    """

    key: Key
    title: Title
    title_for_admins: Title | None = None
    description: Sentence
    order: int
    is_statement: bool = False
    audience: frozenset[Audience] = EVERYBODY
    filters: tuple[Filter, ...] = ()
    tabs: tuple[Tab, ...] = ()
    cards: tuple[Card, ...] = Field(min_length=1)

    def filter_named(self, key: str) -> Filter | None:
        """Return a filter by its key."""
        return next((one for one in self.filters if one.key == key), None)

    def for_audience(self, audience: Audience) -> Dashboard:
        """Return what this audience gets: its filters and cards, without the clauses of other filters."""
        filters = tuple(one for one in self.filters if audience in one.audience)
        known = {one.key for one in filters}
        kept = [_card_for(card, audience, known) for card in self.cards if audience in card.audience]
        cards = tuple(_moved_up(card, kept) for card in kept)
        used = {card.tab for card in cards}
        tabs = tuple(tab for tab in self.tabs if tab.key in used)
        title = self.title_for_admins if audience == "admin" and self.title_for_admins else self.title
        return self.model_copy(update={"title": title, "filters": filters, "cards": cards, "tabs": tabs})


def render_sql(card: Card, values: Mapping[str, Value | None]) -> tuple[str, dict[str, Value]]:
    """Return the card's SQL with placeholders for psycopg, and their values.

    A value is never part of the text. Clauses in `[[ ]]` without a value are left out.

    Raises:
        ShsError: a filter that is needed has no value.
    """
    given: dict[str, Value] = {name: value for name, value in values.items() if value not in (None, "")}  # type: ignore[misc]
    texts: list[str] = []
    used: dict[str, Value] = {}
    for part in parse_sql(card.sql):
        missing = [tag for tag in part.tags if tag not in given]
        if missing and part.is_optional:
            continue
        if missing:
            raise ShsError(
                f"{card.title} needs a value for {missing[0]}.", "Choose one at the top of the page."
            )
        used.update((tag, given[tag]) for tag in part.tags)
        texts.append(with_placeholders(part.text))
    return "".join(texts), used


def _card_for(card: Card, audience: Audience, filters: set[str]) -> Card:
    kept = [
        f"[[{part.text}]]" if part.is_optional else part.text
        for part in parse_sql(card.sql)
        if not part.is_optional or set(part.tags) <= filters
    ]
    columns = {
        name: column if audience in column.audience else column.model_copy(update={"hidden": True})
        for name, column in card.columns.items()
    }
    return card.model_copy(update={"sql": "".join(kept), "columns": columns})


def _moved_up(card: Card, cards: Sequence[Card]) -> Card:
    """Close the rows that are empty without the cards of others."""
    taken = {
        row
        for other in cards
        if other.shares_a_tab(card)
        for row in range(other.place.row, other.place.row + other.place.height)
    }
    empty = sum(row not in taken for row in range(card.place.row))
    place = card.place.model_copy(update={"row": card.place.row - empty})
    return card.model_copy(update={"place": place})
