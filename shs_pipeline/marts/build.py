"""Build the marts: one dbt build at a time, and only when there is something to build.

No load can finish while a build runs, so the build sees one state of the warehouse from its first model to
its publication.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.address import place
from shs_pipeline.database.connection import connect, is_connection_lost
from shs_pipeline.database.faults import explained
from shs_pipeline.database.groups import ensure_roles
from shs_pipeline.database.locks import BUILD, WAIT_SECONDS, lock_patiently, session_name
from shs_pipeline.ingest.loaded_sources import check_sources_are_known
from shs_pipeline.ingest.warehouse import ensure_tables, has_tables
from shs_pipeline.marts.blockers import readers_give_way
from shs_pipeline.marts.build_failures import failure_of, first_line
from shs_pipeline.marts.dbt_build import NodeResult, run_dbt
from shs_pipeline.marts.due import PRIVATE_SCHEMAS, Plan, Publication, last_publication, plan_build
from shs_pipeline.marts.guard import SHARE, HeldBuildError, held_build, hold, verdict_of, waits
from shs_pipeline.marts.identities import give_ids
from shs_pipeline.marts.noted_changes import note_changes
from shs_pipeline.marts.restated import Nobodys, RestatedMonth, nobodys, restated_months
from shs_pipeline.marts.restatement_reasons import note_reasons

if TYPE_CHECKING:
    from shs_pipeline.settings.settings import Settings

_REBUILT = ("config.materialized:table", "config.materialized:publication", "test_type:data")
_MODELS = "shs models"
_DEFAULT_DUE_DAY = 20
_DEFAULT_LEAVER_DAYS = 60


@dataclass(frozen=True)
class BuildReport:
    """The result of a build.

    Attributes:
        publication: what people read now.
        was_current: nothing had changed, so nothing was built.
        slices: commission months of sources that were recomputed.
        lines: their lines.
        nodes: every model and test that was run.
        restated: months published before in which it changed payouts, without the latest month.
        nobodys: what is credited to nobody now.
        accepted_by: who accepted what had been held; empty where nothing had to be.
    """

    publication: Publication
    was_current: bool
    is_full_refresh: bool = False
    slices: int = 0
    lines: int = 0
    seconds: float = 0.0
    nodes: Sequence[NodeResult] = ()
    restated: Sequence[RestatedMonth] = ()
    nobodys: Nobodys | None = None
    accepted_by: str = ""


def build_marts(
    database_url: str,
    run_id: str,
    *,
    full_refresh: bool = False,
    wait_seconds: float = 30,
    due_day: int = _DEFAULT_DUE_DAY,
    leaver_days: int = _DEFAULT_LEAVER_DAYS,
    lock_seconds: float = WAIT_SECONDS,
    accepted_by: str = "",
) -> BuildReport:
    """Bring the marts up to date with the raw and reference tables, all of them or none.

    Args:
        database_url: the owner's URL of the warehouse.
        run_id: what the publication names as the run.
        full_refresh: rebuild everything, whatever changed.
        wait_seconds: how long to wait for a database that is away.
        due_day: day of the next month on which a month's files are due.
        leaver_days: how long after the day on which a person left the login ends.
        lock_seconds: how long to wait for another build, or for loads.
        accepted_by: who accepts the build that is held now, and confirmed what this run has withdrawn;
            empty: nobody.

    Raises:
        HeldBuildError: it would change much of what was paid, or take much away, and nobody accepted that.
        BuildError: a model or test failed; what people read stays as it was.
        ShsError: the database cannot be used, was lost, or its disk is full; another run holds the books; or
            this version lacks a source with loaded files.
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
        plan = plan_build(connection, full_refresh, due_day)
        if plan.is_current:
            assert plan.last is not None
            note_changes(connection)
            return BuildReport(plan.last, was_current=True, nobodys=nobodys(connection))
        check_sources_are_known(connection)
        try:
            give_ids(connection)
        except psycopg.Error as error:
            raise explained(error) or error from None
        run = _Run(run_id, name, leaver_days, accepted_by)
        nodes = _build(connection, lock, database_url, run, plan)
        note_changes(connection)
        return _report(connection, plan, nodes, time.monotonic() - started)


@dataclass(frozen=True)
class _Run:
    """A build: the run as it is published, the session that holds the lock, and what was typed."""

    run_id: str
    name: str
    leaver_days: int
    accepted_by: str


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


def marts_from_settings(
    settings: Settings, run_id: str, *, full_refresh: bool = False, accepted_by: str = ""
) -> BuildReport:
    """Build what the settings name, with the database started if it is the embedded one."""
    from shs_pipeline.database.databases import prepare

    return build_marts(
        prepare(settings).warehouse_url.get_secret_value(),
        run_id,
        full_refresh=full_refresh,
        wait_seconds=settings.database_wait_seconds,
        due_day=settings.due_day,
        leaver_days=settings.leaver_days,
        accepted_by=accepted_by,
    )


def _build(
    connection: psycopg.Connection, lock: psycopg.Connection, database_url: str, run: _Run, plan: Plan
) -> list[NodeResult]:
    arguments = ["build", "--exclude-resource-type", "unit_test", "exposure"]
    if plan.is_full_refresh:
        _drop_private_schemas(connection)
        arguments += _full_refresh(plan)
    else:
        # Views stay as they are until a model changes, and a change makes it a full refresh. To exclude
        # them would exclude the tests that read them, so what remains is named.
        arguments += ["--select", *_REBUILT]
    variables = _variables(connection, run, plan)
    models = session_name("models", run.run_id)
    try:
        with readers_give_way(database_url, models) as blockers:
            nodes = run_dbt(arguments, database_url, variables, models)
            if waits(nodes):
                accepted = _judged(connection, run, plan, nodes)
                variables |= {"is_judged": True, "accepted_by": _plain(accepted)}
                again = ["statement_items"] if note_reasons(connection, plan) else []
                arguments = ["build", "--select", *again, "publications", *_full_refresh(plan)]
                published = {
                    node.unique_id: node for node in run_dbt(arguments, database_url, variables, models)
                }
                nodes = [*(node for node in nodes if node.unique_id not in published), *published.values()]
    except BaseException as error:
        with suppress(psycopg.Error):
            _end_other_builds(connection)
        if isinstance(error, ShsError):
            _check_lock(lock, database_url)
        raise
    failed = [node for node in nodes if node.status == "error"]
    if failed:
        _check_lock(lock, database_url)
        raise failure_of(connection, nodes, failed, database_url, blockers)
    return nodes


def _next_number(connection: psycopg.Connection, last: Publication | None) -> int:
    """Return the next publication's number: a ledger that was read back knows those of a lost database."""
    row = connection.execute("select coalesce(max(publication_id), 0) from ledger.closes").fetchone()
    assert row is not None
    return max(last.publication_id if last else 0, int(row[0])) + 1


def _variables(connection: psycopg.Connection, run: _Run, plan: Plan) -> dict[str, str | bool | int]:
    return {
        "run_id": _plain(run.run_id),
        "build_name": run.name,
        "publication_id": _next_number(connection, plan.last),
        "definition_hash": plan.definition_hash,
        "is_redefined": plan.is_redefined,
        "last_due_month": plan.last_due_month.isoformat(),
        "leaver_days": run.leaver_days,
        "held_share": SHARE,
        "books_version": plan.books_version,
        "books_at": plan.books_at.isoformat(),
    }


def _full_refresh(plan: Plan) -> list[str]:
    return ["--full-refresh"] if plan.is_full_refresh else []


def _plain(text: str) -> str:
    """Return a text that can stand in SQL."""
    return re.sub(r"[^A-Za-z0-9 :._@-]", "", text)


def _judged(connection: psycopg.Connection, run: _Run, plan: Plan, nodes: Sequence[NodeResult]) -> str:
    """Return who accepted what a build does; nobody where it may be published by itself.

    Raises:
        HeldBuildError: it may not, and nobody accepted just this.
    """
    verdict = verdict_of(connection, plan, run.run_id if run.accepted_by else "")
    if verdict is None:
        return ""
    seen = held_build(connection)
    if run.accepted_by and seen is not None and seen.fingerprint == verdict.fingerprint:
        return run.accepted_by
    hold(connection, verdict)
    raise HeldBuildError(verdict, nodes)


def _drop_private_schemas(connection: psycopg.Connection) -> None:
    with connection.transaction():
        connection.execute("set local client_min_messages = warning")
        for schema in PRIVATE_SCHEMAS:
            connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(schema)))


def _check_lock(lock: psycopg.Connection, database_url: str) -> None:
    """Report a build that failed because its database went away: the models are not to blame.

    Raises:
        ShsError: the session that held the lock has ended.
    """
    try:
        lock.execute("select 1")
    except psycopg.Error as error:
        if not is_connection_lost(error):
            raise
        raise ShsError(
            f"The database {place(database_url)} was lost while the marts were built: {first_line(error)}.",
            "Nothing was published; people still see the last good state. Run `shs run` when the database is "
            "back.",
        ) from None


def _report(
    connection: psycopg.Connection, plan: Plan, nodes: Sequence[NodeResult], seconds: float
) -> BuildReport:
    publication = last_publication(connection)
    assert publication is not None
    row = connection.execute(
        "select slices, lines, accepted_by from marts.publications where publication_id = %s",
        [publication.publication_id],
    ).fetchone()
    assert row is not None
    return BuildReport(
        publication,
        False,
        plan.is_full_refresh,
        slices=row[0],
        lines=row[1],
        seconds=seconds,
        nodes=nodes,
        restated=restated_months(connection, publication.publication_id),
        nobodys=nobodys(connection),
        accepted_by=row[2],
    )
