"""The state of everything, as `shs status` shows it: what is where, what waits, what needs attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import today
from shs_pipeline.base.wording import count_of, dollars
from shs_pipeline.landing.names import OPTIONAL_NAMES

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.closing.checklist import Obstacle, OpenPeriod
    from shs_pipeline.ingest.ingestion import Ingestion
    from shs_pipeline.ingest.overview import Overview
    from shs_pipeline.marts.due import Publication
    from shs_pipeline.marts.guard import HeldBuild
    from shs_pipeline.marts.restated import Nobodys
    from shs_pipeline.notices.outbox import Shown
    from shs_pipeline.settings.settings import Settings
    from shs_pipeline.system.dagster_books import DagsterBooks
    from shs_pipeline.system.printed_totals import DifferingTotal

_PATIENCE_SECONDS = 5
_NOTICES_SHOWN = 5
_NAMED = 6


@dataclass(frozen=True)
class State:
    """All that the command shows.

    Attributes:
        ui: address of the Dagster UI, None when it does not run.
        database: name and server, without a password.
        waiting: folders that changed and are not ingested yet; None where that is not known.
        trouble: why the landing zone cannot be listed.
        publication: what people read in the marts; None where nothing was ever published.
        is_published: whether people read everything that is loaded.
        notices: the last ones, the newest first.
        uncredited: what is credited to nobody.
        stopped: sensors and schedules that somebody switched off.
        held: the mass withdrawal that waits to be confirmed.
        held_build: the build that is held, and what it would change.
        books: what Dagster has written down; None where it never ran.
        held_closes: months that pay_periods closes and that are held up, each with the reason.
        edited_closes: closed months of which pay_periods says something else, each with what differs.
        findings: how much in the reference workbooks looks odd, and the USD that hang on it.
        period: which month is open and which is closed last; None where none was ever closed.
        unwritten: why START HERE.xlsx and the copies of reference workbooks could not be written.
        paid: what is said of files under `paid/` that do not belong there, or of a ledger to be read back.
        differing: files whose printed totals differ from their lines.
    """

    ui: str | None
    landing: str
    database: str
    has_run: bool
    overview: Overview
    waiting: Sequence[str] | None
    trouble: ShsError | None = None
    publication: Publication | None = None
    is_published: bool = False
    notices: Sequence[Shown] = ()
    uncredited: Nobodys | None = None
    stopped: Sequence[str] = ()
    held: ShsError | None = None
    books: DagsterBooks | None = None
    held_closes: Sequence[tuple[str, str]] = ()
    findings: tuple[int, Decimal] = (0, Decimal(0))
    period: OpenPeriod | None = None
    paid: Sequence[str] = ()
    held_build: HeldBuild | None = None
    unwritten: ShsError | None = None
    differing: Sequence[DifferingTotal] = ()
    edited_closes: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Concern:
    """Something that needs somebody's attention, and the command that shows more or settles it."""

    what: str
    command: str


def look(settings: Settings) -> State:
    """Return the state of everything; a system that never ran is not made by looking at it.

    Raises:
        ShsError: a database that cannot be reached.
    """
    from shs_pipeline.database.databases import are_made
    from shs_pipeline.ingest.overview import nothing_yet
    from shs_pipeline.system.running import running_system

    running = running_system(settings)
    ui = running.url if running else None
    if not are_made(settings):
        waiting, trouble = _folders_lying(settings)
        return State(ui, settings.landing, "not made yet", False, nothing_yet(today()), waiting, trouble)
    return _look_into(settings, ui)


def _look_into(settings: Settings, ui: str | None) -> State:
    """Return the state of a system with a database."""
    from shs_pipeline.closing.checklist import edited_now, holding_now
    from shs_pipeline.database.address import place
    from shs_pipeline.database.databases import prepare
    from shs_pipeline.ingest.current_copies import unwritten_now
    from shs_pipeline.ingest.holding import held_now
    from shs_pipeline.ingest.job import open_job
    from shs_pipeline.ingest.overview import read_overview
    from shs_pipeline.marts.due import last_publication, pending_state
    from shs_pipeline.marts.restated import nobodys
    from shs_pipeline.notices.outbox import recent
    from shs_pipeline.system.automation import switched_off
    from shs_pipeline.system.printed_totals import differing_totals

    with open_job(settings, "status", _PATIENCE_SECONDS) as job:
        waiting, trouble = _waiting(job)
        return State(
            ui,
            settings.landing,
            place(job.database_url),
            job.query(_has_run),
            job.query(lambda connection: read_overview(connection, today(), settings.due_day)),
            waiting,
            trouble,
            job.query(last_publication),
            not job.query(lambda connection: pending_state(connection, settings.due_day)),
            job.query(lambda connection: recent(connection, _NOTICES_SHOWN)),
            job.query(nobodys),
            switched_off(prepare(settings).dagster_url),
            job.query(held_now),
            _books(settings),
            job.query(lambda connection: _by_month(holding_now(connection))),
            job.query(_findings),
            job.query(_period),
            _paid(job) if trouble is None else (),
            _held_build(job),
            job.query(unwritten_now),
            job.query(differing_totals),
            job.query(lambda connection: _by_month(edited_now(connection))),
        )


def _held_build(job: Ingestion) -> HeldBuild | None:
    from shs_pipeline.marts.guard import held_build

    return job.query(held_build)


def _books(settings: Settings) -> DagsterBooks | None:
    from shs_pipeline.database.connection import connect
    from shs_pipeline.database.databases import prepare
    from shs_pipeline.system.dagster_books import read_dagster_books

    with connect(prepare(settings).dagster_url, _PATIENCE_SECONDS) as connection:
        return read_dagster_books(connection, settings.keep_runs)


def _waiting(job: Ingestion) -> tuple[list[str] | None, ShsError | None]:
    """Return the folders that changed, or why that is not known."""
    from shs_pipeline.ingest.run import changed_now

    try:
        return [folder.key for folder in changed_now(job)], None
    except ShsError as error:
        return None, error


def _folders_lying(settings: Settings) -> tuple[list[str] | None, ShsError | None]:
    """Return the folders that hold files, all of which wait where nothing was ever ingested."""
    from shs_pipeline.ingest.changes import folder_of
    from shs_pipeline.landing.zone import Landing

    try:
        drops = Landing(settings.landing).drops()
    except ShsError as error:
        return None, error
    return sorted({folder_of(drop.place).key for drop in drops}), None


def concerns(state: State) -> Iterator[Concern]:
    """Yield what needs somebody's attention, the most urgent first."""
    from shs_pipeline.system.automation import how_to_start, told

    if state.trouble is not None:
        yield Concern(str(state.trouble), "")
    if state.held is not None:
        yield Concern(str(state.held), "")
    if state.held_build is not None:
        yield Concern(f"{state.held_build.problem} {state.held_build.remedy}", "")
    if state.stopped:
        yield Concern(f"{told(state.stopped)} {how_to_start(state.ui)}", "")
    yield from _of_files(state)
    if state.unwritten is not None:
        yield Concern(f"START HERE.xlsx and reference/current/ are out of date. {state.unwritten}", "")
    yield from _of_closes(state)
    if state.publication and not state.is_published and state.held_build is None:
        by = "the running system builds them" if state.ui else "shs run"
        yield Concern("The marts are behind the loaded data", by)
    yield from _of_workbooks(state)
    if state.books and state.books.overdue:
        yield Concern("Dagster's old runs are no longer removed", "shs doctor")


def _of_closes(state: State) -> Iterator[Concern]:
    for month, problem in state.held_closes:
        yield Concern(f"{month} is not closed: {problem}", f"shs close {month} --check")
    for month, problem in state.edited_closes:
        yield Concern(problem, f"shs close {month} --check")
    for found in state.paid[:_NAMED]:
        yield Concern(found, "")
    if len(state.paid) > _NAMED:
        yield Concern(
            f"… and {count_of(len(state.paid) - _NAMED, 'more file')} that no close has handed out",
            "shs verify",
        )


def _of_workbooks(state: State) -> Iterator[Concern]:
    from shs_pipeline.marts.restated import nobodys_in_words

    if state.publication:
        never = [
            entry.table
            for entry in state.overview.tables
            if entry.in_force_from is None and entry.table not in OPTIONAL_NAMES
        ]
        if never:
            yield Concern(f"No accepted version yet: {', '.join(never)}", "shs reference export DIR")
    if words := nobodys_in_words(state.uncredited):
        yield Concern(words, "shs preview")
    if state.findings[0]:
        found, amount = state.findings
        what = f"{count_of(found, 'finding')} in the reference workbooks, {dollars(amount)} USD at stake"
        yield Concern(what, "shs preview")


def _of_files(state: State) -> Iterator[Concern]:
    from shs_pipeline.base.months import month_text

    if rejected := state.overview.rejected:
        yield Concern(f"{count_of(len(rejected), 'file')} rejected now", "shs errors")
    missing = [
        f"{month.source} {month_text(month.month)}"
        for month in state.overview.months
        if month.state == "missing" and state.has_run
    ]
    if missing:
        yield Concern(f"{count_of(len(missing), 'month')} missing: {_named(missing)}", "shs drop FILE")
    if state.differing:
        files = f"{count_of(len(state.differing), 'file')} whose printed totals differ from the lines"
        yield Concern(f"{files}: {_named([found.path for found in state.differing])}", "shs check FILE")
    if state.waiting:
        by = "the running system ingests them" if state.ui else "shs run ingests what changed"
        folders = count_of(len(state.waiting), "folder")
        yield Concern(f"{folders} changed since the last run ({by}): {_named(state.waiting)}", "")


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _has_run(connection: psycopg.Connection) -> bool:
    """Whether anything was ever ingested; a database alone is no run."""
    row = connection.execute("select exists (select from ops.folders)").fetchone()
    return bool(row and row[0])


def _by_month(found: Sequence[Obstacle]) -> list[tuple[str, str]]:
    from shs_pipeline.base.months import month_text

    return [(month_text(one.pay_period), one.problem) for one in found]


def _paid(job: Ingestion) -> Sequence[str]:
    from shs_pipeline.closing.recovery import is_to_be_read_back
    from shs_pipeline.closing.verifying import strays

    if job.query(lambda connection: is_to_be_read_back(connection, job.landing)):
        return ["The database has no ledger, but paid/ holds receipts: the next run reads the ledger back"]
    return job.query(lambda connection: strays(connection, job.landing))


def _period(connection: psycopg.Connection) -> OpenPeriod | None:
    from shs_pipeline.closing.checklist import open_period

    return open_period(connection)


def _findings(connection: psycopg.Connection) -> tuple[int, Decimal]:
    from shs_pipeline.marts.findings import published_findings

    found = published_findings(connection)
    return len(found), sum((finding.amount for finding in found), Decimal(0))
