"""Whether a build is due, and whether it must rebuild everything.

What changed is found by the models themselves (`changed_slices`); here it is only asked whether anything may
have. That follows from numbers, never from times.

The private schemas carry a mark, set by the publication of a full build and dropped with them: without it,
what they contain may be incomplete, and the next build recreates them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import LiteralString

import psycopg

from shs_pipeline.base.months import today
from shs_pipeline.ingest.checks import last_due_month
from shs_pipeline.marts.dbt_build import definition_hash

PRIVATE_SCHEMAS = ("staging", "intermediate", "candidate")
# What macro `mark_private_schemas` writes. A delta build makes no views, so they are counted too.
_COMPLETE: LiteralString = """
    select count(*) = cardinality(%(schemas)s::text[]) from pg_namespace as private
    where
        nspname = any(%(schemas)s) and obj_description(oid, 'pg_namespace') = %(hash)s || ', ' || (
            select count(*) from pg_class where relnamespace = private.oid and relkind = 'v'
        ) || ' views'
"""


@dataclass(frozen=True)
class Publication:
    """What people read: the last build that was published.

    Attributes:
        books_version: number of the last change of the books that it shows; None in an older version's.
    """

    publication_id: int
    definition_hash: str
    last_due_month: date
    books_version: int | None
    published_at: datetime


def last_publication(connection: psycopg.Connection) -> Publication | None:
    """Return the last build that was published, if there was one."""
    row = connection.execute("select to_regclass('marts.publications')").fetchone()
    if row is None or row[0] is None:
        return None
    found = connection.execute(
        "select publication_id, definition_hash, last_due_month,"
        " (to_jsonb(p) ->> 'books_version')::bigint, published_at"
        " from marts.publications as p order by publication_id desc limit 1"
    ).fetchone()
    return Publication(*found) if found else None


def pending_state(connection: psycopg.Connection, due_day: int) -> str | None:
    """Return what a build would be made from, or None where people read it already.

    Where nothing was ever loaded there is nothing to build.
    """
    plan = plan_build(connection, False, due_day)
    if plan.is_current or (plan.last is None and not plan.has_files):
        return None
    return plan.made_from


@dataclass(frozen=True)
class Standing:
    """How up to date the marts are with the books.

    Attributes:
        last: what people read.
        is_due: the next run builds something.
        is_full: it builds everything; `is_broken_off`: since a full build was begun and not finished.
        builder: the session that builds now, empty where none does.
    """

    last: Publication | None
    is_due: bool
    is_full: bool
    is_broken_off: bool
    builder: str = ""


def standing(connection: psycopg.Connection, due_day: int) -> Standing:
    """Return how the marts stand to the books."""
    plan = plan_build(connection, False, due_day)
    row = connection.execute(
        "select coalesce(max(application_name), '') from pg_stat_activity inner join pg_locks using (pid)"
        " where datname = current_database() and relation = 'ops.folders'::regclass and granted"
        " and mode = 'ShareRowExclusiveLock'"
    ).fetchone()
    return Standing(
        plan.last,
        not plan.is_current and (plan.last is not None or plan.has_files),
        plan.is_full_refresh,
        not plan.is_redefined and not _is_complete(connection),
        row[0] if row else "",
    )


@dataclass(frozen=True)
class Plan:
    """What a build would be made from, and how much of it."""

    last: Publication | None
    books_version: int
    books_at: datetime
    last_due_month: date
    has_files: bool
    definition_hash: str
    is_redefined: bool
    is_full_refresh: bool
    is_current: bool

    @property
    def made_from(self) -> str:
        """What a build would be made from, and what it would follow."""
        behind = self.last.publication_id if self.last else 0
        return f"{behind} {self.books_version} {self.last_due_month} {self.definition_hash}"


def plan_build(connection: psycopg.Connection, full_refresh: bool, due_day: int) -> Plan:
    """Compare the books with what was published last."""
    last = last_publication(connection)
    due = last_due_month(today(), due_day)
    row = connection.execute(
        "select coalesce(max(change_no), 0), coalesce(max(finished), 'epoch'::timestamptz),"
        " exists (select from ops.files) from ops.files"
    ).fetchone()
    assert row is not None
    books_version, books_at, has_files = row
    models = definition_hash()
    redefined = last is None or last.definition_hash != models
    full = full_refresh or redefined or not _is_complete(connection) or _is_rewritten(connection, last)
    is_current = (
        not full and last is not None and (last.books_version, last.last_due_month) == (books_version, due)
    )
    return Plan(last, books_version, books_at, due, has_files, models, redefined, full, is_current)


def _is_complete(connection: psycopg.Connection) -> bool:
    """Whether the private schemas hold all that a delta build relies on, of these models."""
    values = {"schemas": list(PRIVATE_SCHEMAS), "hash": definition_hash()}
    row = connection.execute(_COMPLETE, values).fetchone()
    return bool(row and row[0])


def _is_rewritten(connection: psycopg.Connection, last: Publication | None) -> bool:
    """Whether the version of a reference table that was published from was read in again since.

    What it said before can no longer be compared, so everything is recomputed.
    """
    if last is None:
        return False
    row = connection.execute(
        "select exists (select from marts.publications cross join lateral"
        " jsonb_each_text(reference_versions) as version (table_name, file_id)"
        " inner join ops.files on files.file_id = version.file_id::bigint"
        " where publication_id = %s and files.change_no > %s and files.status = 'loaded')",
        [last.publication_id, last.books_version or 0],
    ).fetchone()
    return bool(row and row[0])
