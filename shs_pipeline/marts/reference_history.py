"""The history of a reference table: who changed which rows, and what that did to pay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from psycopg.rows import class_row

from shs_pipeline.base.wording import count_of
from shs_pipeline.casting.cells import match_key
from shs_pipeline.files.contract import columns_of
from shs_pipeline.ingest.reference_rows import AcceptedVersion, Row, rows_of, versions_of
from shs_pipeline.marts.payout_states import ZERO, has_history, moved_payouts
from shs_pipeline.reference.registry import table_named

if TYPE_CHECKING:
    import psycopg

Standing = Literal["published", "first publication", "waiting", "overtaken"]

# What names a row, so that a row with another value is one that changed; the sooner a key, the surer.
_KEYS: Mapping[str, Sequence[Sequence[str]]] = {
    "sales_reps": [["sales_rep_name"], ["payee_id"], ["email"]],
    "commission_tiers": [["sales_rep_name", "product_line", "valid_from"]],
    "tier_thresholds": [["sales_rep_name", "product_line", "year"]],
    "business_objectives": [["sales_rep_name", "product_line", "year", "valid_from"]],
    "territories": [["source", "customer_field", "data_field_value", "valid_from"]],
    "service_to_product": [["service_lines", "valid_from"]],
    "aliases": [["kind", "source", "name_in_file", "valid_from"]],
    "opening_balances": [["sales_rep_name", "product_line", "commission_month"]],
}


@dataclass(frozen=True)
class RowChange:
    """A row before and after; None where there was none."""

    before: Row | None
    after: Row | None


@dataclass(frozen=True)
class Effect:
    """What a publication did to the payouts (USD).

    Attributes:
        payouts: how many changed; by rep, product line and commission month.
        together: what else the publication brought, so that not all of it follows from the version.
    """

    publication_id: int
    published_at: datetime
    payouts: int
    amount: Decimal
    together: Sequence[str]


@dataclass(frozen=True)
class TableVersion:
    """An accepted version of a reference table.

    Attributes:
        number: 1 is the first.
        changes: rows that the version before did not have, or had otherwise; all of the first version.
        standing: whether it was published; overtaken: by the next version, before any build.
        effect: of the publication; None where there was none.
    """

    number: int
    accepted: AcceptedVersion
    changes: Sequence[RowChange]
    standing: Standing
    effect: Effect | None

    def count(self, kind: Literal["added", "changed", "removed"]) -> int:
        """Return how many rows were added, changed or removed."""
        return sum(kind_of(change) == kind for change in self.changes)


def kind_of(change: RowChange) -> Literal["added", "changed", "removed"]:
    """Return what happened to a row."""
    if change.before is None:
        return "added"
    return "removed" if change.after is None else "changed"


def table_history(connection: psycopg.Connection, table: str) -> list[TableVersion]:
    """Return every accepted version of a reference table, the newest first."""
    publications = _publications(connection)
    found: list[TableVersion] = []
    before: list[Row] = []
    overtaken: list[str] = []
    for number, version in enumerate(versions_of(connection, table), start=1):
        rows = rows_of(connection, table, version.file_id)
        place = _place_of(publications, table, version.file_id)
        effect = _effect(connection, place, table, overtaken) if place else None
        if place:
            standing: Standing = "published" if place[0] else "first publication"
            overtaken = []
        else:
            standing = "waiting" if version.in_force_until is None else "overtaken"
            overtaken.append(f"version {number}")
        found.append(TableVersion(number, version, row_changes(table, before, rows), standing, effect))
        before = rows
    return found[::-1]


def row_changes(table: str, before: Sequence[Row], after: Sequence[Row]) -> list[RowChange]:
    """Return the rows that two versions do not share, a row and what became of it together."""
    columns = list((after or before or [{}])[0])
    gone, come = _without_common(before, after), _without_common(after, before)
    changes: list[RowChange] = []
    for key in _KEYS.get(table, [columns[:1]]):
        waiting: dict[tuple[str, ...], list[Row]] = {}
        for row in reversed(come):
            waiting.setdefault(_key_of(row, key), []).append(row)
        left = []
        for row in gone:
            same = waiting.get(_key_of(row, key)) if any(row.get(name) for name in key) else None
            if same:
                changes.append(RowChange(row, same.pop()))
            else:
                left.append(row)
        gone = left
        still = {id(row) for rows in waiting.values() for row in rows}
        come = [row for row in come if id(row) in still]
    return [*changes, *(RowChange(None, row) for row in come), *(RowChange(row, None) for row in gone)]


def changes_between(connection: psycopg.Connection, table: str, first: int, second: int) -> list[RowChange]:
    """Return the rows of a reference table that differ between the states of two publications."""
    found: dict[int, int | None] = dict(
        connection.execute(
            "select publication_id, (reference_versions ->> %s)::bigint from marts.publications"
            " where publication_id in (%s, %s)",
            [table, first, second],
        ).fetchall()
    )
    if found.get(first) == found.get(second):
        return []
    before, after = (
        rows_of(connection, table, file_id) if (file_id := found.get(publication)) is not None else []
        for publication in (first, second)
    )
    return row_changes(table, before, after)


def key_columns(table: str) -> Sequence[str]:
    """Return the columns that name a row of a table, surest first."""
    return _KEYS[table][0]


def row_in_words(table: str, change: RowChange) -> str:
    """Return what names a row and what it says; of a changed one each cell as it was and is."""
    row = change.after or change.before or {}
    key = _KEYS.get(table, [list(row)[:1]])[0]
    names, cells = [], []
    for column in columns_of(table_named(table).rows):
        now = _shown(row.get(column.name), column.kind)
        was = now if change.before is None else _shown(change.before.get(column.name), column.kind)
        if was != now:
            cells.append(f"{column.header} {was or '(blank)'} → {now or '(blank)'}")
        elif now and column.name in key:
            names.append(now)
        elif now and kind_of(change) != "changed":
            cells.append(f"{column.header} {now}")
    return f"{', '.join(names)}: {', '.join(cells)}" if cells else ", ".join(names)


def _shown(value: object, kind: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, Decimal):
        return f"{(value * 100).normalize():f} %" if kind in ("rate", "share") else f"{value:,.2f}"
    return str(value)


def effect_in_words(version: TableVersion) -> str:
    """Return what a version did to pay, and what else was published with it."""
    if version.standing == "waiting":
        return "Not published yet: shs run builds the marts."
    effect = version.effect
    if effect is None:
        return "Replaced by the next version before anything was published with it."
    when = f"Publication {effect.publication_id} ({effect.published_at:%Y-%m-%d %H:%M})"
    if version.standing == "first publication":
        return f"{when}, the first, was made with it."
    if not effect.payouts:
        return f"{when}: no payout changed."
    said = f"{when}: {count_of(effect.payouts, 'payout')} changed, {effect.amount:+,.2f} in all"
    return f"{said}, together with {_listed(effect.together)}." if effect.together else f"{said}."


# --- publications --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Publication:
    publication_id: int
    published_at: datetime
    books_at: datetime
    definition_hash: str
    versions: Mapping[str, int]


_Place = tuple["_Publication | None", "_Publication"]
"""A publication after the one before it."""


def _publications(connection: psycopg.Connection) -> list[_Publication]:
    row = connection.execute("select to_regclass('marts.publications')").fetchone()
    if row is None or row[0] is None:
        return []
    with connection.cursor(row_factory=class_row(_Publication)) as cursor:
        return cursor.execute(
            "select publication_id, published_at, definition_hash, reference_versions as versions,"
            # A table of an older version has the column only from its next publication on.
            " coalesce((to_jsonb(p) ->> 'books_at')::timestamptz, published_at) as books_at"
            " from marts.publications as p order by publication_id"
        ).fetchall()


def _place_of(publications: Sequence[_Publication], table: str, file_id: int) -> _Place | None:
    """Return the first publication that was made with a version."""
    before = None
    for publication in publications:
        if publication.versions.get(table) == file_id:
            return before, publication
        before = publication
    return None


def _effect(connection: psycopg.Connection, place: _Place, table: str, overtaken: Sequence[str]) -> Effect:
    before, publication = place
    moved = []
    if before is not None and has_history(connection):
        moved = [difference for _, difference in moved_payouts(connection, publication.publication_id)]
    together = _together(connection, before, publication, table) if before is not None else []
    together = [*overtaken, *together]
    return Effect(
        publication.publication_id, publication.published_at, len(moved), sum(moved, ZERO), together
    )


def _together(
    connection: psycopg.Connection, before: _Publication, publication: _Publication, table: str
) -> list[str]:
    """Return what else changed between two publications."""
    tables = [
        other
        for other in sorted({*before.versions, *publication.versions} - {table})
        if before.versions.get(other) != publication.versions.get(other)
    ]
    row = connection.execute(
        "select count(distinct path) from ops.files where commission_month is not null and ("
        " (status <> 'rejected' and first_seen > %(after)s and first_seen <= %(until)s)"
        " or (status in ('superseded', 'withdrawn') and rows_loaded > 0"
        "  and finished > %(after)s and finished <= %(until)s))",
        {"after": before.books_at, "until": publication.books_at},
    ).fetchone()
    files = [count_of(row[0], "changed file")] if row and row[0] else []
    is_new = before.definition_hash != publication.definition_hash
    return [*tables, *files, *(["a new version of shs"] if is_new else [])]


# --- rows ----------------------------------------------------------------------------------


def _without_common(rows: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    """Return the rows that the others do not have; of equal rows as many as are too many."""
    left = Counter(tuple(row.values()) for row in others)
    found = []
    for row in rows:
        values = tuple(row.values())
        if left[values]:
            left[values] -= 1
        else:
            found.append(row)
    return found


def _key_of(row: Row, key: Sequence[str]) -> tuple[str, ...]:
    return tuple(match_key(str(row.get(name) or "")) for name in key)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
