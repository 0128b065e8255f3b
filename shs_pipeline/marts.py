"""The marts behind the raw tables: one dbt build at a time, and only when there is something to build.

While a build runs no load ends, so that it sees one state of the warehouse from its first model to
its publication. What changed is found by the models themselves (`changed_slices`);
here it is only asked whether anything may have.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from shs_pipeline.access import ensure_roles
from shs_pipeline.checks import last_due_month
from shs_pipeline.database import connect
from shs_pipeline.dbt_build import NodeResult, definition_hash, run_dbt
from shs_pipeline.errors import ShsError
from shs_pipeline.months import today
from shs_pipeline.warehouse import ensure_tables, has_tables

if TYPE_CHECKING:
    from shs_pipeline.settings import Settings

_PRIVATE = ("staging", "intermediate", "candidate")
_REBUILT = ("config.materialized:table", "config.materialized:publication", "test_type:data")
_ROWS_SHOWN = 5
_DEFAULT_DUE_DAY = 20


@dataclass(frozen=True)
class Publication:
    """What people read: the last build that was published."""

    publication_id: int
    definition_hash: str
    last_due_month: date
    books_at: datetime
    published_at: datetime


@dataclass(frozen=True)
class BuildReport:
    """What became of a build.

    Attributes:
        publication: what people read now.
        was_current: nothing had changed, so nothing was built.
        slices: commission months of sources that were computed anew.
        lines: their lines.
        nodes: every model and test that was run.
    """

    publication: Publication
    was_current: bool
    is_full_refresh: bool = False
    slices: int = 0
    lines: int = 0
    seconds: float = 0.0
    nodes: Sequence[NodeResult] = ()


class BuildError(ShsError):
    """A build whose models or tests failed: nothing of it was published.

    Attributes:
        nodes: every model and test that was run or skipped.
    """

    def __init__(self, problem: str, remedy: str, nodes: Sequence[NodeResult]) -> None:
        super().__init__(problem, remedy)
        self.nodes = nodes


def build_marts(
    database_url: str,
    run_id: str,
    *,
    full_refresh: bool = False,
    wait_seconds: float = 30,
    due_day: int = _DEFAULT_DUE_DAY,
) -> BuildReport:
    """Bring the marts up to date with the raw and reference tables, all of them or none.

    Args:
        database_url: the owner's URL of the warehouse.
        run_id: what the publication names as the run.
        full_refresh: compute everything anew, whatever changed.
        wait_seconds: how long to wait for a database that is away.
        due_day: day of the next month on which a month's files are due.

    Raises:
        BuildError: a model or test failed; what people read stays as it was.
        ShsError: the database cannot be used.
    """
    started = time.monotonic()
    with connect(database_url, wait_seconds) as connection, connect(database_url) as lock:
        connection.autocommit = True
        if not has_tables(connection):
            ensure_tables(connection)
        ensure_roles(connection)
        # A lock on a table, since anybody who may log in can hold an advisory lock. Each load notes its
        # folder before it commits, and waits there.
        lock.execute("lock table ops.folders in share row exclusive mode")
        plan = _plan(connection, full_refresh, due_day)
        if plan.is_current:
            assert plan.last is not None
            return BuildReport(plan.last, was_current=True)
        nodes = _build(connection, database_url, run_id, plan)
        return _report(connection, plan, nodes, time.monotonic() - started)


def marts_from_settings(settings: Settings, run_id: str, *, full_refresh: bool = False) -> BuildReport:
    """Build what the settings name, with the database started if it is the embedded one."""
    from shs_pipeline.database import prepare

    return build_marts(
        prepare(settings).warehouse_url.get_secret_value(),
        run_id,
        full_refresh=full_refresh,
        wait_seconds=settings.database_wait_seconds,
        due_day=settings.due_day,
    )


def last_publication(connection: psycopg.Connection) -> Publication | None:
    """Return the last build that was published, if there was one."""
    row = connection.execute("select to_regclass('marts.publications')").fetchone()
    if row is None or row[0] is None:
        return None
    found = connection.execute(
        "select publication_id, definition_hash, last_due_month, books_at, published_at"
        " from marts.publications order by publication_id desc limit 1"
    ).fetchone()
    return Publication(*found) if found else None


def pending_state(connection: psycopg.Connection, due_day: int) -> str | None:
    """Return what a build would be made from, or None where people read it already.

    Where nothing was ever loaded there is nothing to build.
    """
    plan = _plan(connection, False, due_day)
    if plan.is_current or (plan.last is None and not plan.has_files):
        return None
    return f"{plan.books_at.isoformat()} {plan.last_due_month} {definition_hash()}"


@dataclass(frozen=True)
class _Plan:
    last: Publication | None
    books_at: datetime
    last_due_month: date
    has_files: bool
    is_full_refresh: bool
    is_current: bool


def _plan(connection: psycopg.Connection, full_refresh: bool, due_day: int) -> _Plan:
    last = last_publication(connection)
    due = last_due_month(today(), due_day)
    row = connection.execute(
        "select coalesce(max(finished), 'epoch'::timestamptz), exists (select from ops.files) from ops.files"
    ).fetchone()
    assert row is not None
    books_at, has_files = row
    full = full_refresh or last is None or last.definition_hash != definition_hash()
    full = full or _is_rewritten(connection)
    is_current = not full and last is not None and (last.books_at, last.last_due_month) == (books_at, due)
    return _Plan(last, books_at, due, has_files, full, is_current)


def _is_rewritten(connection: psycopg.Connection) -> bool:
    """Whether the version of a reference table that was published from was read in again since.

    What it said before cannot be compared any more, so all is computed anew.
    """
    row = connection.execute(
        "with last as (select reference_versions, books_at from marts.publications"
        " order by publication_id desc limit 1)"
        " select exists (select from last cross join lateral jsonb_each_text(last.reference_versions)"
        " as version (table_name, file_id) inner join ops.files on files.file_id = version.file_id::bigint"
        " where files.finished > last.books_at and files.status = 'loaded')"
    ).fetchone()
    return bool(row and row[0])


def _build(
    connection: psycopg.Connection,
    database_url: str,
    run_id: str,
    plan: _Plan,
) -> list[NodeResult]:
    arguments = ["build", "--exclude-resource-type", "unit_test", "exposure"]
    if plan.is_full_refresh:
        for schema in _PRIVATE:
            connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(schema)))
        arguments.append("--full-refresh")
    else:
        # Views stay as they are until a model changes, and a change makes it a full refresh. To exclude
        # them would exclude the tests that read them, so what remains is named.
        arguments += ["--select", *_REBUILT]
    variables: dict[str, str | bool] = {
        "run_id": re.sub(r"[^A-Za-z0-9 :._-]", "", run_id),
        "definition_hash": definition_hash(),
        "is_redefined": plan.last is None or plan.last.definition_hash != definition_hash(),
        "last_due_month": plan.last_due_month.isoformat(),
        "books_at": plan.books_at.isoformat(),
    }
    nodes = run_dbt(arguments, database_url, variables)
    failed = [node for node in nodes if node.status == "error"]
    if failed:
        raise BuildError(
            "The marts were not published: " + " ".join(_sentence(connection, node) for node in failed),
            "People go on reading the last good state. Correct the lines or the model that is named, then "
            "run `shs run`.",
            nodes,
        )
    return nodes


def _sentence(connection: psycopg.Connection, node: NodeResult) -> str:
    """Return what failed, and for a test the rows that it found."""
    if node.kind != "test" or not node.failures:
        return f"The model {node.name} failed: {' '.join(node.message.split())}."
    rows = _offending_rows(connection, node)
    more = f" and {node.failures - len(rows)} more" if node.failures > len(rows) else ""
    return f"The test {node.name} found {node.failures}: {'; '.join(rows)}{more}."


def _offending_rows(connection: psycopg.Connection, node: NodeResult) -> list[str]:
    try:
        cursor = connection.execute(
            sql.SQL("select * from ({}) as found limit {}").format(sql.SQL(node.compiled), _ROWS_SHOWN)
        )
    except psycopg.Error as error:
        return [f"which could not be shown ({error.diag.message_primary})"]
    names = [column.name for column in cursor.description or ()]
    return [
        ", ".join(
            str(value) if name == "rule" else f"{name} {value}"
            for name, value in zip(names, row, strict=True)
        )
        for row in cursor
    ]


def _report(
    connection: psycopg.Connection, plan: _Plan, nodes: Sequence[NodeResult], seconds: float
) -> BuildReport:
    publication = last_publication(connection)
    assert publication is not None
    row = connection.execute(
        "select slices, lines from marts.publications where publication_id = %s", [publication.publication_id]
    ).fetchone()
    assert row is not None
    return BuildReport(
        publication, False, plan.is_full_refresh, slices=row[0], lines=row[1], seconds=seconds, nodes=nodes
    )
