"""`shs metabase`: set up Metabase for the people and dashboards we have."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from shs_pipeline.base.errors import ShsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from shs_pipeline.metabase.letting_in import HandOut
    from shs_pipeline.metabase.provisioning import Workplace
    from shs_pipeline.metabase.situation import Change
    from shs_pipeline.metabase.work import FirstLogin, Report

PANEL = "Data"
_SHOWN = 40


def register(app: typer.Typer) -> None:
    """Add the group of commands to the program."""
    group = typer.Typer(
        rich_markup_mode="rich",
        no_args_is_help=True,
        help="Set up Metabase: connections, groups, dashboards, permissions and people.",
    )
    group.command("plan")(plan)
    group.command("apply")(apply)
    group.command("links")(links)
    group.command("destroy")(destroy)
    app.add_typer(group, name="metabase", rich_help_panel=PANEL)


def plan() -> None:
    """Show what apply would change, without changing anything.

    Example: [bold]shs metabase plan[/bold]
    """
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.metabase import provisioning

    found = provisioning.plan(_workplace())
    console = results()
    _show_notes(console, [*found.notes, *found.foreign])
    if not found.changes:
        say(console, "Metabase is up to date.", "green")
        return
    _show_changes(console, found.changes)
    say(console, f"{count_of(len(found.changes), 'change')}. Run shs metabase apply to make them.", "yellow")


def apply() -> None:
    """Bring Metabase up to date with the people and dashboards. Safe to repeat: a second run changes nothing.

    Example: [bold]shs metabase apply[/bold]
    """
    from shs_pipeline.cli.terminal import results
    from shs_pipeline.metabase import provisioning

    report = provisioning.apply_all(_workplace(), _tell, hand_out=_shown_here(False))
    console = results()
    _show_report(console, report)
    if report.links:
        _show_links(console, report.links)


def links(
    person: Annotated[
        str,
        typer.Argument(
            metavar="[PERSON]", help="Name or email address; by default everybody who has never logged in."
        ),
    ] = "",
    show: Annotated[
        bool,
        typer.Option("--show", help="Show passwords even where the output may be kept, such as in a log."),
    ] = False,
) -> None:
    """Create first-time logins, for a Metabase that sends no mail.

    Each is a one-time link for choosing a password or, before v0.60, a temporary
    password.

    Example: [bold]shs metabase links "Dana Whitfield"[/bold]
    """
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.metabase import provisioning

    made = provisioning.links(_workplace(), person, hand_out=_shown_here(show))
    console = results()
    if not made:
        say(console, "Everybody has already logged in.", "green")
        return
    _show_links(console, made)


def destroy(
    yes: Annotated[bool, typer.Option("--yes", help="Confirm that everything should be removed.")] = False,
) -> None:
    """Remove what shs created in Metabase, along with questions people built on it, and nothing else.

    Example: [bold]shs metabase destroy --yes[/bold]
    """
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.metabase import provisioning

    if not yes:
        raise ShsError(
            "This removes the dashboards, connections, groups and people that shs created, and whatever "
            "people built on them.",
            "Add --yes if that is what you want.",
        )
    report = provisioning.destroy_all(_workplace(), _tell)
    say(results(), f"{count_of(len(report.done), 'item')} removed.", "green")


def _shown_here(is_wanted: bool) -> HandOut:
    # A link works once; a password in a log works until its person changes it.
    return "all" if is_wanted or sys.stdout.isatty() else "links"


def _workplace() -> Workplace:
    from shs_pipeline.metabase.provisioning import Workplace
    from shs_pipeline.settings.settings import load_settings

    return Workplace.from_settings(load_settings())


def _tell(words: str) -> None:
    from shs_pipeline.cli.terminal import remarks, say

    say(remarks(), words)


def _show_changes(console: Console, changes: Sequence[Change]) -> None:
    from shs_pipeline.cli.terminal import say

    for change in changes[:_SHOWN]:
        say(console, change.words)
    if len(changes) > _SHOWN:
        counts: dict[str, int] = {}
        for change in changes[_SHOWN:]:
            label = f"{change.action} {change.kind}"
            counts[label] = counts.get(label, 0) + 1
        rest = ", ".join(f"{label} ({count})" for label, count in sorted(counts.items()))
        say(console, f"… and {rest}")


def _show_report(console: Console, report: Report) -> None:
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import say

    _show_notes(console, report.notes)
    if report.done:
        requests = count_of(report.reads + report.writes, "request")
        say(console, f"{count_of(len(report.done), 'change')} made in {requests}.", "green")
    else:
        say(console, "Metabase is up to date.", "green")
    if report.waiting:
        names = ", ".join(report.waiting)
        say(
            console,
            f"No password yet: {names}. Run shs metabase links to create their first login, or set up SMTP "
            "in Metabase so that it mails them.",
            "yellow",
        )


def _show_notes(console: Console, notes: Sequence[str]) -> None:
    from shs_pipeline.cli.terminal import say

    for note in notes:
        say(console, note, "yellow")


def _show_links(console: Console, made: Sequence[FirstLogin]) -> None:
    from shs_pipeline.cli.table import table_of
    from shs_pipeline.cli.terminal import say

    if made[0].url:
        say(
            console,
            "Metabase sends no mail. Give each link below only to the person it is for: whoever opens it "
            "first chooses the password. A link works once, within 48 hours; shs metabase links creates new "
            "ones.",
        )
    else:
        say(
            console,
            "Metabase sends no mail, and before v0.60 it has no one-time links. Give each password below "
            "only to the person it is for, who should change it under Account settings > Password. It is "
            "shown only this once; shs metabase links creates new ones.",
        )
    table = table_of("Person", "E-mail", "Address" if made[0].url else "Temporary password")
    for login in made:
        table.add_row(login.rep_name, login.email, login.url or login.password)
    table.show(console)
