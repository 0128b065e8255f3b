"""`shs status`: what needs attention, which months are there, and where everything is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from shs_pipeline.ingest.overview import Month, Overview
    from shs_pipeline.settings.settings import Settings
    from shs_pipeline.system.state import State

PANEL = "Data"
_LISTED = 20
_SIGNS = {
    "loaded": ("L", "green", "loaded"),
    "rejected": ("R", "bold red", "rejected, nothing loaded"),
    "both": ("LR", "yellow", "loaded, but another file was rejected"),
    "missing": ("M", "magenta", "missing (overdue)"),
    "nothing": ("·", "dim", "nothing expected"),
}


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(status)


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show what needs attention, each source's last twelve months, and where everything is.

    Examples: [bold]shs status[/bold], [bold]shs status --json | jq .rejected[/bold]
    """
    from shs_pipeline.cli.terminal import results
    from shs_pipeline.settings.settings import load_settings
    from shs_pipeline.system.state import look
    from shs_pipeline.system.state_json import state_as_json

    settings = load_settings()
    state = look(settings)
    if as_json:
        typer.echo(json.dumps(state_as_json(settings, state), indent=2))
        return
    console = results()
    if not state.has_run:
        _show_first_steps(console, state)
    _show_concerns(console, state)
    if state.has_run:
        _show_grid(console, state.overview.months)
        _show_tables(console, state.overview)
        _show_rejected(console, state)
    _show_places(console, settings, state)


def _show_first_steps(console: Console, state: State) -> None:
    from shs_pipeline.base.wording import shown_address
    from shs_pipeline.cli.terminal import say

    say(console, "Nothing has been ingested here yet. To begin:", "yellow")
    say(console, "  shs demo       creates sample files and ingests them")
    say(console, f"  shs drop FILE  puts a file into {shown_address(state.landing)}", is_copied=True)
    say(console, "  shs run        ingests the files there and builds the marts")
    say(console, "")


def _show_concerns(console: Console, state: State) -> None:
    from shs_pipeline.cli.held import show_changes
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.system.state import concerns

    found = list(concerns(state))
    if found:
        say(console, "Needs attention:", "bold")
        for concern in found:
            said = f"{concern.what.removesuffix('.')}: {concern.command}" if concern.command else concern.what
            say(console, f"  {said}", "yellow")
        if state.held_build is not None:
            show_changes(console, state.held_build)
    elif state.has_run:
        say(console, "Nothing needs attention: no file is rejected or missing.", "green")
    if not state.waiting and state.trouble is None:
        say(console, "Nothing in the landing zone is waiting to be ingested.", "green")


def _show_grid(console: Console, months: Sequence[Month]) -> None:
    from rich.text import Text

    from shs_pipeline.base.months import month_text
    from shs_pipeline.cli.table import table_of
    from shs_pipeline.cli.terminal import say

    by_source: dict[str, list[Month]] = {}
    for month in months:
        by_source.setdefault(month.source, []).append(month)
    shown = [month.month for month in next(iter(by_source.values()))]
    headings = [f"{month:%b}" for month in shown]
    # Where room is short, the oldest months go first; this one and the one before stay.
    table = table_of("Source", *headings, least=headings[:-2])
    for source, row in by_source.items():
        signs = (_SIGNS[month.state] for month in row)
        table.add_row(source, *(Text(sign, style=style) for sign, style, _ in signs))
    say(console, f"\nCommission months {month_text(shown[0])} to {month_text(shown[-1])}", "bold")
    table.show(console)
    seen = {month.state for month in months}
    legend = "; ".join(f"{sign} = {meaning}" for name, (sign, _, meaning) in _SIGNS.items() if name in seen)
    say(console, legend, "dim")


def _show_tables(console: Console, overview: Overview) -> None:
    from shs_pipeline.cli.table import table_of
    from shs_pipeline.cli.terminal import say

    say(console, "")
    table = table_of("Reference table", "In force since (UTC)", "Lines", numbers=("Lines",))
    for entry in overview.tables:
        since = f"{entry.in_force_from:%Y-%m-%d %H:%M}" if entry.in_force_from else "never accepted"
        table.add_row(entry.table, since, f"{entry.lines:,}" if entry.lines is not None else "")
    table.show(console)


def _show_rejected(console: Console, state: State) -> None:
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.run import show_rejection
    from shs_pipeline.cli.terminal import say

    rejected = state.overview.rejected
    if not rejected:
        return
    say(console, f"\n{count_of(len(rejected), 'file')} rejected now:", "bold red")
    for file in rejected[:_LISTED]:
        show_rejection(console, file.path, file.error_count, file.first, file.error_workbook)
    if len(rejected) > _LISTED:
        say(console, f"… and {len(rejected) - _LISTED} more; shs errors lists them all.")


def _show_places(console: Console, settings: Settings, state: State) -> None:
    from shs_pipeline.base.wording import shown_address
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.closing.checklist import period_in_words
    from shs_pipeline.system.dagster_books import kept_in_words
    from shs_pipeline.system.running import needs_you

    say(console, "")
    say(console, f"Landing zone:  {shown_address(state.landing)}", is_copied=True)
    say(
        console,
        f"Database:      {state.database}{' (URL: shs url)' if state.has_run else ''}",
        is_copied=True,
    )
    say(console, f"Dagster UI:    {state.ui or 'not running (start it with shs up)'}", is_copied=True)
    if state.ui:
        say(console, f"What needs you: {needs_you(state.ui)}", is_copied=True)
    say(console, f"State, logs:   {settings.home}", is_copied=True)
    if state.books:
        say(console, f"Dagster's log: {state.books.shown}; {kept_in_words(settings.keep_runs)}")
    if state.publication:
        last = state.publication
        published = f"publication {last.publication_id} of {last.published_at:%Y-%m-%d %H:%M %Z}"
        say(console, f"Marts:         {published}{'' if state.is_published else ', behind the loaded data'}")
    if state.has_run:
        say(console, f"Pay periods:   {period_in_words(state.period, settings.due_day)}")
    if state.notices:
        newest = state.notices[0]
        words = f"{newest.created_at:%Y-%m-%d %H:%M}, to {newest.recipients}: {newest.subject}"
        mail = "" if settings.smtp_host else " (no mail server is set)"
        say(console, f"Last notice:   {words}{mail}. All: shs notices", is_copied=True)
