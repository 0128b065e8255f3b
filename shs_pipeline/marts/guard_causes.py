"""What changed since the last publication and may have moved closed months: files, and rows of workbooks.

A row that is new or another one now, with a Note that is new too, says why by itself. A row that was taken
away can say nothing; a new row for the same name speaks for it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from shs_pipeline.base.months import month_after
from shs_pipeline.base.wording import count_of
from shs_pipeline.casting.cells import match_key
from shs_pipeline.ingest.reference_rows import Row, rows_of
from shs_pipeline.marts.reference_history import RowChange, key_columns, kind_of, row_changes, row_in_words

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.marts.due import Plan, Publication

# The workbooks from which payouts follow, with the columns from which they do not.
_TABLES = {
    "sales_reps": ("email", "permission", "payroll_code", "paid_as"),
    "commission_tiers": (),
    "tier_thresholds": (),
    "territories": (),
    "service_to_product": (),
    "aliases": (),
    "opening_balances": ("paid",),
}
_TIMES = ("valid_from", "valid_until", "year", "commission_month")
_FILES_SHOWN = 20
_NOTHING_PUBLISHED = (
    "nothing is published, so files and workbooks are compared with what the ledger says was paid"
)


@dataclass(frozen=True)
class _Cause:
    """A changed row.

    Attributes:
        payees: whom it names; None where it names nobody and may concern all.
    """

    table: str
    words: str
    payees: frozenset[str] | None
    has_note: bool

    def concerns(self, payee_id: str) -> bool:
        return self.payees is None or payee_id in self.payees


@dataclass(frozen=True)
class Causes:
    """What changed since the last publication.

    Attributes:
        others: files of months that count in what moved, and a new version of shs, in words.
    """

    others: Sequence[str]
    _rows: Sequence[_Cause]

    @property
    def words(self) -> list[str]:
        """All of them, as people are shown them."""
        rows = [
            f"reference/{one.table}.xlsx, {one.words}{'' if one.has_note else ' (no new Note)'}"
            for one in self._rows
        ]
        return [*self.others, *rows]

    def are_unsaid(self, payee_id: str) -> bool:
        """Whether a row that concerns a payee changed, and no Note says why."""
        return not all(one.has_note for one in self._of(payee_id))

    def are_said(self, payee_id: str) -> bool:
        """Whether rows that concern a payee changed, and each has a Note that says why."""
        own = self._of(payee_id)
        return bool(own) and all(one.has_note for one in own)

    def unsaid_tables(self, payees: Collection[str]) -> list[str]:
        """Return the workbooks with changes that concern some payees and say nothing."""
        return sorted({one.table for payee in payees for one in self._of(payee) if not one.has_note})

    def _of(self, payee_id: str) -> Sequence[_Cause]:
        """Return the rows that concern a payee; all of them where none does, since something must have."""
        return [one for one in self._rows if one.concerns(payee_id)] or self._rows


def causes_of(connection: psycopg.Connection, plan: Plan, months: Sequence[date]) -> Causes:
    """Return what changed since the last publication and may have moved payouts of some months.

    Args:
        plan: what the build was made from.
        months: those that moved; without any, all files that changed are told.
    """
    if plan.last is None:
        return Causes([_NOTHING_PUBLISHED] if months else [], [])
    span = (min(months).replace(month=1), max(months)) if months else (date.min, date.max)
    others = _files(connection, plan.last, *span)
    if plan.definition_hash != plan.last.definition_hash:
        others.append("a new version of shs")
    if not months:
        return Causes(others, [])
    ids: dict[str, str] = dict(
        connection.execute("select name_key, payee_id from reference.payee_names").fetchall()
    )
    rows: list[_Cause] = []
    for table, before, now in _versions(connection, plan.last):
        old, new = ([] if one is None else rows_of(connection, table, one) for one in (before, now))
        rows += _causes(table, row_changes(table, old, new), ids, month_after(max(months)))
    return Causes(others, rows)


def _versions(connection: psycopg.Connection, last: Publication) -> list[tuple[str, int | None, int | None]]:
    """Return the workbooks in force that are others than those of a publication, with both files."""
    return connection.execute(
        "select table_name, published.file_id, now.file_id"
        " from (select * from reference.versions where in_force_until is null) as now"
        " full join (select name as table_name, file_id::bigint as file_id from marts.publications"
        "  cross join lateral jsonb_each_text(reference_versions) as versions (name, file_id)"
        "  where publication_id = %s) as published using (table_name)"
        " where now.file_id is distinct from published.file_id and table_name = any(%s)"
        " order by table_name",
        [last.publication_id, list(_TABLES)],
    ).fetchall()


def _causes(table: str, changes: Sequence[RowChange], ids: dict[str, str], end: date) -> list[_Cause]:
    noted = {
        _names(table, change.after)
        for change in changes
        if change.after is not None and _has_new_note(change)
    }
    return [
        _Cause(
            table,
            f"{kind_of(change)}: {row_in_words(table, change)}",
            _concerned(change, ids),
            _has_new_note(change) or (change.after is None and _names(table, change.before or {}) in noted),
        )
        for change in changes
        if _matters(table, change) and _begins(change) < end
    ]


def _has_new_note(change: RowChange) -> bool:
    note = (change.after or {}).get("note")
    return bool(note) and note != (change.before or {}).get("note")


def _matters(table: str, change: RowChange) -> bool:
    """Whether a payout can follow from what changed."""
    without = {"note", *_TABLES[table]}
    before, now = (
        None
        if row is None or (table == "opening_balances" and row["cumulative_sales"] is None)
        else {name: value for name, value in row.items() if name not in without}
        for row in (change.before, change.after)
    )
    return before != now


def _begins(change: RowChange) -> date:
    """Return the first day on which a change can count."""
    rows = [row for row in (change.before, change.after) if row is not None]
    same = len(rows) > 1 and {name for name in rows[0] if rows[0][name] != rows[1][name]}
    if same and same <= {"valid_until", "note"}:
        # A row that ends on another day is the same one until the first of them.
        ends = [row["valid_until"] for row in rows]
        return min(end for end in ends if isinstance(end, date))
    return min(_day(row) for row in rows)


def _day(row: Row) -> date:
    if isinstance(year := row.get("year"), int | Decimal):
        return date(int(year), 1, 1)
    begin = row.get("valid_from") or row.get("commission_month")
    return begin if isinstance(begin, date) else date.min


def _names(table: str, row: Row) -> tuple[str, ...]:
    return tuple(match_key(str(row.get(name) or "")) for name in key_columns(table) if name not in _TIMES)


def _concerned(change: RowChange, ids: dict[str, str]) -> frozenset[str] | None:
    rows = [row for row in (change.before, change.after) if row is not None]
    if "sales_rep_name" not in rows[0]:
        return None
    keys = [match_key(str(row["sales_rep_name"] or "")) for row in rows]
    # A name that nobody has yet may be anybody's.
    return frozenset(ids[key] for key in keys) if all(key in ids for key in keys) else None


def _files(connection: psycopg.Connection, last: Publication, first: date, until: date) -> list[str]:
    """Return the files of some months that changed since a publication, in words."""
    rows = connection.execute(
        "select path, bool_or(status = 'loaded'), bool_or(status in ('superseded', 'withdrawn')"
        "  and rows_loaded > 0), bool_or(status = 'rejected'), max(actor) filter (where status = 'loaded')"
        " from ops.files where change_no > %s and commission_month between %s and %s"
        " group by path order by path",
        [last.books_version or 0, first, until],
    ).fetchall()
    said = [
        f"{path}: {_file_words(*states)}{f' (by {actor})' if actor else ''}"
        for path, *states, actor in rows
        if any(states[:2])
    ]
    more = len(said) - _FILES_SHOWN
    return [*said[:_FILES_SHOWN], *([f"and {count_of(more, 'more file')}"] if more > 0 else [])]


def _file_words(is_loaded: bool, is_gone: bool, is_rejected: bool) -> str:
    if not is_loaded:
        return "rejected, so it no longer counts" if is_rejected else "deleted"
    return "another version" if is_gone else "new, or read again"
