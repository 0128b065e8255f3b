"""`shs status`: where everything is, which months are there, what waits for somebody."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shs_pipeline.errors import ShsError

if TYPE_CHECKING:
    from rich.console import Console

    from shs_pipeline.marts import Publication
    from shs_pipeline.notices.outbox import Shown
    from shs_pipeline.overview import Month, Overview
    from shs_pipeline.settings import Settings

PANEL = "Data"
_PATIENCE_SECONDS = 5
_LISTED = 20
_NOTICES_SHOWN = 5
_SIGNS = {
    "loaded": ("L", "green", "loaded"),
    "rejected": ("R", "bold red", "rejected, nothing loaded"),
    "both": ("LR", "yellow", "loaded, and a rejected file beside it"),
    "missing": ("M", "magenta", "missing although due"),
    "nothing": ("·", "dim", "nothing expected"),
}


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(status)


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
        held: the mass withdrawal that waits to be confirmed.
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
    held: ShsError | None = None


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, for programs.")] = False,
) -> None:
    """Show addresses, the last twelve months of each source, rejected files and what waits for a run.

    Examples: [bold]shs status[/bold], [bold]shs status --json | jq .rejected[/bold]
    """
    from shs_pipeline.cli.terminal import results
    from shs_pipeline.settings import load_settings

    settings = load_settings()
    state = look(settings)
    if as_json:
        typer.echo(json.dumps(_as_json(settings, state), indent=2))
        return
    console = results()
    _show_places(console, settings, state)
    _show_grid(console, state.overview.months)
    _show_tables(console, state.overview)
    _show_open_ends(console, state)
    _show_notices(console, settings, state.notices)


def look(settings: Settings) -> State:
    """Return the state of everything; a system that never ran is not made by looking at it.

    Raises:
        ShsError: a database that cannot be reached.
    """
    from shs_pipeline.cli.run import open_job
    from shs_pipeline.database import place
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
    waiting, trouble = None, None
    try:
        from shs_pipeline.run import changed_now

        waiting = [folder.key for folder in changed_now(job)]
    except ShsError as error:
        trouble = error
    return State(
        ui,
        settings.landing,
        place(job.database_url),
        True,
        overview,
        waiting,
        trouble,
        publication,
        not pending,
        notices,
        job.query(held_now),
    )


def _folders_lying(settings: Settings) -> tuple[list[str] | None, ShsError | None]:
    """Return the folders that hold files, all of which wait where nothing was ever ingested."""
    from shs_pipeline.changes import folder_of
    from shs_pipeline.landing import Landing

    try:
        drops = Landing(settings.landing).drops()
    except ShsError as error:
        return None, error
    return sorted({folder_of(drop.place).key for drop in drops}), None


def _show_places(console: Console, settings: Settings, state: State) -> None:
    from shs_pipeline.cli.terminal import say, shown_address

    say(console, f"Landing zone:  {shown_address(state.landing)}")
    say(console, f"Database:      {state.database}{' (shs url prints its URL)' if state.has_run else ''}")
    say(console, f"Dagster UI:    {state.ui or 'not running (shs up starts it)'}")
    say(console, f"State:         {settings.home}")
    if state.publication:
        last = state.publication
        published = f"publication {last.publication_id}, {last.published_at:%Y-%m-%d %H:%M %Z}"
        behind = "" if state.is_published else ", behind what is loaded: the next run builds them"
        say(console, f"Marts:         {published}{behind}", "" if state.is_published else "yellow")
    if not state.has_run:
        say(
            console,
            "Nothing was ever ingested here: shs demo makes example data, shs run ingests files.",
            "yellow",
        )


def _show_grid(console: Console, months: Sequence[Month]) -> None:
    from rich.text import Text

    from shs_pipeline.cli.terminal import say, table_of
    from shs_pipeline.months import month_text

    by_source: dict[str, list[Month]] = {}
    for month in months:
        by_source.setdefault(month.source, []).append(month)
    shown = [month_text(month.month) for month in next(iter(by_source.values()))]
    table = table_of("Source", *(f"{name[2:4]}\n{name[5:]}" for name in shown))
    for source, row in by_source.items():
        signs = (_SIGNS[month.state] for month in row)
        table.add_row(Text(source), *(Text(sign, style=style) for sign, style, _ in signs))
    say(console, f"\nCommission months {shown[0]} to {shown[-1]}:")
    console.print(table)
    say(console, "; ".join(f"{sign} = {meaning}" for sign, _, meaning in _SIGNS.values()), "dim")


def _show_tables(console: Console, overview: Overview) -> None:
    from shs_pipeline.cli.terminal import cells, table_of

    table = table_of("Reference table", "In force since (UTC)", "Lines", numbers=("Lines",))
    for entry in overview.tables:
        since = f"{entry.in_force_from:%Y-%m-%d %H:%M}" if entry.in_force_from else "never accepted"
        table.add_row(*cells(entry.table, since, entry.lines))
    console.print(table)


def _show_open_ends(console: Console, state: State) -> None:
    from shs_pipeline.cli.run import show_rejection
    from shs_pipeline.cli.terminal import count_of, say

    rejected = state.overview.rejected
    if rejected:
        say(console, f"{count_of(len(rejected), 'file')} rejected now:", "bold red")
        for file in rejected[:_LISTED]:
            show_rejection(console, file.path, file.error_count, file.first, file.error_workbook)
        if len(rejected) > _LISTED:
            say(console, f"… and {len(rejected) - _LISTED} more: shs errors lists all of them.")
    else:
        say(console, "No file is rejected.", "green")
    if state.held is not None:
        say(console, str(state.held), "bold red")
    if state.trouble is not None:
        say(console, str(state.trouble), "bold red")
    elif state.waiting:
        names = ", ".join(state.waiting[:_LISTED]) + (" …" if len(state.waiting) > _LISTED else "")
        by = "the running system takes them up" if state.ui else "shs run ingests what changed"
        say(console, f"{count_of(len(state.waiting), 'folder')} changed since ({by}): {names}", "yellow")
    else:
        say(console, "Nothing in the landing zone waits to be ingested.", "green")


def _show_notices(console: Console, settings: Settings, notices: Sequence[Shown]) -> None:
    from shs_pipeline.cli.notices import show_notices
    from shs_pipeline.cli.terminal import say

    if not notices:
        return
    mail = (
        f"mailed by {settings.smtp_host}"
        if settings.smtp_host
        else "mailed to nobody: SHS_SMTP_HOST is not set"
    )
    say(console, f"\nThe last notices ({mail}; shs notices lists more):")
    show_notices(console, notices)


def _as_json(settings: Settings, state: State) -> dict[str, Any]:
    from shs_pipeline.months import month_text

    return {
        "landing": state.landing,
        "database": state.database,
        "ui": state.ui,
        "home": str(settings.home),
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
        "trouble": str(state.trouble) if state.trouble else None,
        "held": str(state.held) if state.held else None,
    }
