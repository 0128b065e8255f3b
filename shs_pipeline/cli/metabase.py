"""`shs metabase`: set Metabase up as people and dashboards ask for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from shs_pipeline.errors import ShsError

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
        help="Set up Metabase: connections, groups, dashboards, rights and people.",
    )
    group.command("plan")(plan)
    group.command("apply")(apply)
    group.command("links")(links)
    group.command("destroy")(destroy)
    app.add_typer(group, name="metabase", rich_help_panel=PANEL)


def plan() -> None:
    """Show what an apply would change, without changing anything.

    Example: [bold]shs metabase plan[/bold]
    """
    from shs_pipeline.cli.terminal import count_of, results, say
    from shs_pipeline.metabase import provisioning

    found = provisioning.plan(_workplace())
    console = results()
    _show_notes(console, [*found.notes, *found.foreign])
    if not found.changes:
        say(console, "Metabase is up to date.", "green")
        return
    _show_changes(console, found.changes)
    say(console, f"{count_of(len(found.changes), 'change')}; shs metabase apply makes them.", "yellow")


def apply() -> None:
    """Bring Metabase up to date with the people and the dashboards; run again, it changes nothing.

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
            metavar="[PERSON]", help="Name or e-mail address; by default everybody who has never logged in."
        ),
    ] = "",
    show: Annotated[
        bool, typer.Option("--show", help="Show passwords also where they are kept, as in a log.")
    ] = False,
) -> None:
    """Make what people log in with for the first time, where Metabase sends no mails.

    A one-time address with which a person chooses a password; before v0.60 a temporary password.

    Example: [bold]shs metabase links "Dana Whitfield"[/bold]
    """
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.metabase import provisioning

    made = provisioning.links(_workplace(), person, hand_out=_shown_here(show))
    console = results()
    if not made:
        say(console, "Everybody has logged in before.", "green")
        return
    _show_links(console, made)


def destroy(
    yes: Annotated[bool, typer.Option("--yes", help="Confirm that all of it is to be removed.")] = False,
) -> None:
    """Remove what shs made in Metabase and nothing else; questions that people built on it go too.

    Example: [bold]shs metabase destroy --yes[/bold]
    """
    from shs_pipeline.cli.terminal import count_of, results, say
    from shs_pipeline.metabase import provisioning

    if not yes:
        raise ShsError(
            "This removes the dashboards, connections, groups and people that shs made, and what people "
            "built on them.",
            "Add --yes if that is what you want.",
        )
    report = provisioning.destroy_all(_workplace(), _tell)
    say(results(), f"{count_of(len(report.done), 'item')} removed.", "green")


def _shown_here(is_wanted: bool) -> HandOut:
    # A link works once; a password in a log works until its person changes it.
    return "all" if is_wanted or sys.stdout.isatty() else "links"


def _workplace() -> Workplace:
    from shs_pipeline.metabase.provisioning import Workplace
    from shs_pipeline.settings import load_settings

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
    from shs_pipeline.cli.terminal import count_of, say

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
            f"Without a password yet: {names}. shs metabase links makes what they log in with; with SMTP "
            "Metabase mails it itself.",
            "yellow",
        )


def _show_notes(console: Console, notes: Sequence[str]) -> None:
    from shs_pipeline.cli.terminal import say

    for note in notes:
        say(console, note, "yellow")


def _show_links(console: Console, made: Sequence[FirstLogin]) -> None:
    from shs_pipeline.cli.terminal import say, table_of

    if made[0].url:
        say(
            console,
            "Metabase sends no mails. Give each address below to its person only: whoever opens it first "
            "chooses the password. It works once, for 48 hours; shs metabase links makes new ones.",
        )
    else:
        say(
            console,
            "Metabase sends no mails, and before v0.60 it makes no one-time addresses. Give each password "
            "below to its person only, who changes it under Account settings > Password; it is shown this "
            "once. shs metabase links makes new ones.",
        )
    table = table_of("Person", "E-mail", "Address" if made[0].url else "Temporary password")
    for login in made:
        table.add_row(login.rep_name, login.email, login.url or login.password)
    table.show(console)
