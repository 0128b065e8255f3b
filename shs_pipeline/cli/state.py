"""The state of everything, as `shs status` shows it: what is where, what waits, what needs somebody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from shs_pipeline.errors import ShsError

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.dagster_books import DagsterBooks
    from shs_pipeline.ingestion import Ingestion
    from shs_pipeline.marts import Publication
    from shs_pipeline.notices.outbox import Shown
    from shs_pipeline.overview import Overview
    from shs_pipeline.settings import Settings

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
        uncredited: lines that are credited to nobody.
        stopped: sensors and schedules that somebody switched off.
        held: the mass withdrawal that waits to be confirmed.
        books: what Dagster has written down; None where it never ran.
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
    uncredited: int = 0
    stopped: Sequence[str] = ()
    held: ShsError | None = None
    books: DagsterBooks | None = None


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
    from shs_pipeline.automation import switched_off
    from shs_pipeline.cli.run import open_job
    from shs_pipeline.database import place, prepare
    from shs_pipeline.embedded_postgres import EmbeddedPostgres
    from shs_pipeline.holding import held_now
    from shs_pipeline.marts import last_publication, pending_state
    from shs_pipeline.months import today
    from shs_pipeline.notices.outbox import recent
    from shs_pipeline.overview import nothing_yet, read_overview
    from shs_pipeline.supervisor import running_system

    running = running_system(settings)
    ui = running.url if running else None
    server = EmbeddedPostgres(settings.home, settings.pg_bin)
    if settings.database_url is None and server.status().state == "not made yet":
        waiting, trouble = _folders_lying(settings)
        return State(ui, settings.landing, "not made yet", False, nothing_yet(today()), waiting, trouble)
    job = open_job(settings, "status", _PATIENCE_SECONDS)
    overview = job.query(lambda connection: read_overview(connection, today(), settings.due_day))
    publication = job.query(last_publication)
    pending = job.query(lambda connection: pending_state(connection, settings.due_day))
    notices = job.query(lambda connection: recent(connection, _NOTICES_SHOWN))
    uncredited = job.query(_uncredited)
    waiting, trouble = _waiting(job)
    return State(
        ui,
        settings.landing,
        place(job.database_url),
        job.query(_has_run),
        overview,
        waiting,
        trouble,
        publication,
        not pending,
        notices,
        uncredited,
        switched_off(prepare(settings).dagster_url),
        job.query(held_now),
        _books(settings),
    )


def _books(settings: Settings) -> DagsterBooks | None:
    from shs_pipeline.dagster_books import read_dagster_books
    from shs_pipeline.database import connect, prepare

    with connect(prepare(settings).dagster_url, _PATIENCE_SECONDS) as connection:
        return read_dagster_books(connection, settings.keep_runs)


def _waiting(job: Ingestion) -> tuple[list[str] | None, ShsError | None]:
    """Return the folders that changed, or why that is not known."""
    from shs_pipeline.run import changed_now

    try:
        return [folder.key for folder in changed_now(job)], None
    except ShsError as error:
        return None, error


def _folders_lying(settings: Settings) -> tuple[list[str] | None, ShsError | None]:
    """Return the folders that hold files, all of which wait where nothing was ever ingested."""
    from shs_pipeline.changes import folder_of
    from shs_pipeline.landing import Landing

    try:
        drops = Landing(settings.landing).drops()
    except ShsError as error:
        return None, error
    return sorted({folder_of(drop.place).key for drop in drops}), None


def concerns(state: State) -> Iterator[Concern]:
    """Yield what needs somebody's attention, the most urgent first."""
    from shs_pipeline.automation import how_to_start, told

    if state.trouble is not None:
        yield Concern(str(state.trouble), "shs doctor")
    if state.held is not None:
        yield Concern(str(state.held), "")
    if state.stopped:
        yield Concern(f"{told(state.stopped)} {how_to_start(state.ui)}", "")
    yield from _of_files(state)
    if state.publication and not state.is_published:
        by = "the running system builds them" if state.ui else "shs run"
        yield Concern("The marts are behind what is loaded", by)
    if state.publication:
        never = [entry.table for entry in state.overview.tables if entry.in_force_from is None]
        if never:
            yield Concern(f"Never accepted: {', '.join(never)}", "shs reference export DIR")
    if state.uncredited:
        yield Concern(f"{_counted(state.uncredited, 'line')} credited to nobody", "shs preview")
    if state.books and state.books.overdue:
        yield Concern("Dagster's old runs are not removed any more", "shs doctor")


def _of_files(state: State) -> Iterator[Concern]:
    from shs_pipeline.months import month_text

    if rejected := state.overview.rejected:
        yield Concern(f"{_counted(len(rejected), 'file')} rejected now", "shs errors")
    missing = [
        f"{month.source} {month_text(month.month)}"
        for month in state.overview.months
        if month.state == "missing" and state.has_run
    ]
    if missing:
        yield Concern(f"{_counted(len(missing), 'month')} missing: {_named(missing)}", "shs drop FILE")
    if state.waiting:
        by = "the running system takes them up" if state.ui else "shs run ingests what changed"
        folders = _counted(len(state.waiting), "folder")
        yield Concern(f"{folders} changed since ({by}): {_named(state.waiting)}", "")


def _counted(count: int, noun: str) -> str:
    from shs_pipeline.cli.terminal import count_of

    return count_of(count, noun)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _has_run(connection: psycopg.Connection) -> bool:
    """Whether anything was ever ingested; a database alone is no run."""
    row = connection.execute("select exists (select from ops.folders)").fetchone()
    return bool(row and row[0])


def _uncredited(connection: psycopg.Connection) -> int:
    row = connection.execute("select to_regclass('marts.uncredited_sales')").fetchone()
    if row is None or row[0] is None:
        return 0
    counted = connection.execute("select count(*) from marts.uncredited_sales").fetchone()
    return int(counted[0]) if counted else 0


def as_json(settings: Settings, state: State) -> dict[str, Any]:
    """Return the state for programs."""
    from shs_pipeline.months import month_text

    return {
        "landing": state.landing,
        "database": state.database,
        "ui": state.ui,
        "home": str(settings.home),
        "attention": [{"what": concern.what, "command": concern.command} for concern in concerns(state)],
        "marts": {
            "publication": state.publication.publication_id,
            "published_at": state.publication.published_at.isoformat(),
            "is_current": state.is_published,
        }
        if state.publication
        else None,
        "months": [
            {
                "source": month.source,
                "month": month_text(month.month),
                "state": month.state,
                "files_loaded": month.loaded,
                "files_rejected": month.rejected,
                "lines": month.lines,
            }
            for month in state.overview.months
        ],
        "reference": [
            {
                "table": entry.table,
                "in_force_from": entry.in_force_from.isoformat() if entry.in_force_from else None,
                "lines": entry.lines,
            }
            for entry in state.overview.tables
        ],
        "rejected": [
            {
                "path": file.path,
                "errors": file.error_count,
                "problem": file.first.problem,
                "remedy": file.first.remedy,
                "error_workbook": file.error_workbook,
            }
            for file in state.overview.rejected
        ],
        "notices": [
            {
                "created_at": notice.created_at.isoformat(),
                "kind": notice.kind,
                "recipients": notice.recipients,
                "subject": notice.subject,
                "standing": notice.standing,
            }
            for notice in state.notices
        ],
        "waiting": list(state.waiting) if state.waiting is not None else None,
        "uncredited_lines": state.uncredited,
        "stopped": list(state.stopped),
        "trouble": str(state.trouble) if state.trouble else None,
        "held": str(state.held) if state.held else None,
        "dagster_books": asdict(state.books) if state.books else None,
    }
