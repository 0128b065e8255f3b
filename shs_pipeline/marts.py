"""The marts behind the raw tables: one dbt build at a time, and only when there is something to build.

While a build runs no load ends, so that it sees one state of the warehouse from its first model to
its publication. What changed is found by the models themselves (`changed_slices`);
here it is only asked whether anything may have. That follows from numbers, never from times.

The private schemas carry a mark, set by the publication of a full build and dropped with them: without
it whatever they hold may be half of something, and the next build makes them anew.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, LiteralString

import psycopg
from psycopg import sql

from shs_pipeline.access import ensure_roles
from shs_pipeline.blockers import Blockers, readers_give_way
from shs_pipeline.checks import last_due_month
from shs_pipeline.database import connect, is_connection_lost, place
from shs_pipeline.dbt_build import NodeResult, definition_hash, run_dbt
from shs_pipeline.errors import ShsError
from shs_pipeline.faults import disk_full_in_database, is_disk_full, says_disk_full
from shs_pipeline.locks import BUILD, WAIT_SECONDS, lock_patiently, session_name
from shs_pipeline.months import today
from shs_pipeline.warehouse import ensure_tables, has_tables

if TYPE_CHECKING:
    from shs_pipeline.settings import Settings

_PRIVATE = ("staging", "intermediate", "candidate")
# What macro `mark_private_schemas` writes. A delta build makes no views, so they are counted too.
_COMPLETE: LiteralString = """
    select count(*) = cardinality(%(schemas)s::text[]) from pg_namespace as private
    where
        nspname = any(%(schemas)s) and obj_description(oid, 'pg_namespace') = %(hash)s || ', ' || (
            select count(*) from pg_class where relnamespace = private.oid and relkind = 'v'
        ) || ' views'
"""
_REBUILT = ("config.materialized:table", "config.materialized:publication", "test_type:data")
_MODELS = "shs models"
_LOCK_TIMEOUT = "lock timeout"
_ROWS_SHOWN = 5
_DEFAULT_DUE_DAY = 20


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


@dataclass(frozen=True)
class BuildReport:
    """What became of a build.

    Attributes:
        publication: what people read now.
        was_current: nothing had changed, so nothing was built.
        slices: commission months of sources that were recomputed.
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
    lock_seconds: float = WAIT_SECONDS,
) -> BuildReport:
    """Bring the marts up to date with the raw and reference tables, all of them or none.

    Args:
        database_url: the owner's URL of the warehouse.
        run_id: what the publication names as the run.
        full_refresh: rebuild everything, whatever changed.
        wait_seconds: how long to wait for a database that is away.
        due_day: day of the next month on which a month's files are due.
        lock_seconds: how long to wait for another build, or for loads.

    Raises:
        BuildError: a model or test failed; what people read stays as it was.
        ShsError: the database cannot be used, was lost, or its disk is full; or another run holds the books.
    """
    started = time.monotonic()
    name = session_name("build", run_id)
    with connect(database_url, wait_seconds) as connection, connect(database_url, name=name) as lock:
        connection.autocommit = True
        if not has_tables(connection):
            ensure_tables(connection)
        ensure_roles(connection)
        _lock_books(lock, lock_seconds)
        _end_other_builds(connection)
        plan = _plan(connection, full_refresh, due_day)
        if plan.is_current:
            assert plan.last is not None
            return BuildReport(plan.last, was_current=True)
        nodes = _build(connection, lock, database_url, _Run(run_id, name), plan)
        return _report(connection, plan, nodes, time.monotonic() - started)


@dataclass(frozen=True)
class _Run:
    """A build: the run as it is published, and the name of the session that holds the lock."""

    run_id: str
    name: str


def _lock_books(lock: psycopg.Connection, seconds: float) -> None:
    """Take the lock of a build, which a session holds that is idle for as long as the build takes."""
    lock.execute(
        "select set_config(name, '0', false) from pg_settings"
        " where name in ('idle_in_transaction_session_timeout', 'statement_timeout', 'transaction_timeout')"
    )
    lock_patiently(lock, BUILD, seconds)


def _end_other_builds(connection: psycopg.Connection) -> None:
    """End what a build that is gone has left running, before it writes between the models of this one.

    Called by whoever holds the lock: any other session of a build has lost its own.
    """
    connection.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where datname = current_database() and pg_has_role(usename, current_user, 'member')"
        " and application_name like %s",
        [f"{_MODELS}%"],
    )


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
        "select publication_id, definition_hash, last_due_month,"
        " (to_jsonb(p) ->> 'books_version')::bigint, published_at"
        " from marts.publications as p order by publication_id desc limit 1"
    ).fetchone()
    return Publication(*found) if found else None


def pending_state(connection: psycopg.Connection, due_day: int) -> str | None:
    """Return what a build would be made from, or None where people read it already.

    Where nothing was ever loaded there is nothing to build.
    """
    plan = _plan(connection, False, due_day)
    if plan.is_current or (plan.last is None and not plan.has_files):
        return None
    behind = plan.last.publication_id if plan.last else 0
    return f"{behind} {plan.books_version} {plan.last_due_month} {definition_hash()}"


@dataclass(frozen=True)
class Standing:
    """How the marts stand to the books.

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
    plan = _plan(connection, False, due_day)
    is_redefined = plan.last is None or plan.last.definition_hash != definition_hash()
    row = connection.execute(
        "select coalesce(max(application_name), '') from pg_stat_activity inner join pg_locks using (pid)"
        " where datname = current_database() and relation = 'ops.folders'::regclass and granted"
        " and mode = 'ShareRowExclusiveLock'"
    ).fetchone()
    return Standing(
        plan.last,
        not plan.is_current and (plan.last is not None or plan.has_files),
        plan.is_full_refresh,
        not is_redefined and not _is_complete(connection),
        row[0] if row else "",
    )


@dataclass(frozen=True)
class _Plan:
    last: Publication | None
    books_version: int
    books_at: datetime
    last_due_month: date
    has_files: bool
    is_full_refresh: bool
    is_current: bool


def _plan(connection: psycopg.Connection, full_refresh: bool, due_day: int) -> _Plan:
    last = last_publication(connection)
    due = last_due_month(today(), due_day)
    row = connection.execute(
        "select coalesce(max(change_no), 0), coalesce(max(finished), 'epoch'::timestamptz),"
        " exists (select from ops.files) from ops.files"
    ).fetchone()
    assert row is not None
    books_version, books_at, has_files = row
    full = full_refresh or last is None or last.definition_hash != definition_hash()
    full = full or not _is_complete(connection) or _is_rewritten(connection, last)
    is_current = (
        not full and last is not None and (last.books_version, last.last_due_month) == (books_version, due)
    )
    return _Plan(last, books_version, books_at, due, has_files, full, is_current)


def _is_complete(connection: psycopg.Connection) -> bool:
    """Whether the private schemas hold all that a delta build relies on, of these models."""
    values = {"schemas": list(_PRIVATE), "hash": definition_hash()}
    row = connection.execute(_COMPLETE, values).fetchone()
    return bool(row and row[0])


def _is_rewritten(connection: psycopg.Connection, last: Publication | None) -> bool:
    """Whether the version of a reference table that was published from was read in again since.

    What it said before cannot be compared any more, so all is computed anew.
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


def _build(
    connection: psycopg.Connection, lock: psycopg.Connection, database_url: str, run: _Run, plan: _Plan
) -> list[NodeResult]:
    arguments = ["build", "--exclude-resource-type", "unit_test", "exposure"]
    if plan.is_full_refresh:
        _drop_private_schemas(connection)
        arguments.append("--full-refresh")
    else:
        # Views stay as they are until a model changes, and a change makes it a full refresh. To exclude
        # them would exclude the tests that read them, so what remains is named.
        arguments += ["--select", *_REBUILT]
    variables: dict[str, str | bool | int] = {
        "run_id": re.sub(r"[^A-Za-z0-9 :._-]", "", run.run_id),
        "build_name": run.name,
        "definition_hash": definition_hash(),
        "is_redefined": plan.last is None or plan.last.definition_hash != definition_hash(),
        "last_due_month": plan.last_due_month.isoformat(),
        "books_version": plan.books_version,
        "books_at": plan.books_at.isoformat(),
    }
    models = session_name("models", run.run_id)
    try:
        with readers_give_way(database_url, models) as blockers:
            nodes = run_dbt(arguments, database_url, variables, models)
    except BaseException as error:
        with suppress(psycopg.Error):
            _end_other_builds(connection)
        if isinstance(error, ShsError):
            _check_lock(lock, database_url)
        raise
    failed = [node for node in nodes if node.status == "error"]
    if failed:
        _check_lock(lock, database_url)
        raise _failure(connection, nodes, failed, database_url, blockers)
    return nodes


def _drop_private_schemas(connection: psycopg.Connection) -> None:
    with connection.transaction():
        connection.execute("set local client_min_messages = warning")
        for schema in _PRIVATE:
            connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(schema)))


def _check_lock(lock: psycopg.Connection, database_url: str) -> None:
    """Say so where the build failed since its database went away: the models are not to blame.

    Raises:
        ShsError: the session that held the lock has ended.
    """
    try:
        lock.execute("select 1")
    except psycopg.Error as error:
        if not is_connection_lost(error):
            raise
        raise ShsError(
            f"The database {place(database_url)} was lost while the marts were built: {_first_line(error)}.",
            "Nothing was published, people go on reading the last good state. Run `shs run` when it is back.",
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].strip().rstrip(".")


def _failure(
    connection: psycopg.Connection,
    nodes: Sequence[NodeResult],
    failed: Sequence[NodeResult],
    database_url: str,
    blockers: Blockers,
) -> ShsError:
    for node in failed:
        if says_disk_full(node.message):
            return BuildError(*disk_full_in_database(place(database_url), node.message), nodes)
        if _LOCK_TIMEOUT in node.message and blockers.others:
            return BuildError(*_held_up(blockers.others), nodes)
    sentences = []
    for node in failed:
        try:
            sentences.append(_sentence(connection, node))
        except psycopg.Error as error:
            if is_disk_full(error):
                return BuildError(*disk_full_in_database(place(database_url), _first_line(error)), nodes)
            raise
    return BuildError(
        "The marts were not published: " + " ".join(sentences),
        "People go on reading the last good state. Correct the lines or the model that is named, then "
        "run `shs run`.",
        nodes,
    )


def _held_up(holders: Sequence[str]) -> tuple[str, str]:
    return (
        f"The marts were not published: {' and '.join(holders)} held a mart that was to be made anew.",
        "People go on reading the last good state. End that session, or wait for it, then run `shs run`.",
    )


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
