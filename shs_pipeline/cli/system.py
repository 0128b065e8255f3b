"""Commands for the system as a whole: up, down, url, doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shs_pipeline.base.finding import Finding
from shs_pipeline.system.doctor import examine

if TYPE_CHECKING:
    from rich.console import Console


PANEL = "The system"


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command(rich_help_panel=PANEL)(up)
    app.command(rich_help_panel=PANEL)(down)
    app.command(rich_help_panel=PANEL)(url)
    app.command(rich_help_panel=PANEL)(doctor)


def up() -> None:
    """Run the database, Dagster and the dashboards until Ctrl-C.

    Files dropped into the landing zone are picked up within seconds. Anyone on
    this machine can see the dashboards, as the first admin sees them.

    Example: [bold]shs up[/bold], or a second, separate system: [bold]SHS_HOME=/srv/second shs up[/bold]
    """
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.settings.settings import load_settings
    from shs_pipeline.system.supervisor import up as run

    console = results()
    run(load_settings(), say=lambda line: say(console, line, is_copied=True))


def down() -> None:
    """Stop a running [bold]shs up[/bold] and its embedded database.

    Example: [bold]shs down[/bold]
    """
    from shs_pipeline.settings.settings import load_settings
    from shs_pipeline.system.supervisor import down as stop

    stopped = stop(load_settings())
    if stopped.system:
        typer.echo("The system was stopped.")
    if stopped.database:
        typer.echo("The embedded database was stopped.")
    if not (stopped.system or stopped.database):
        typer.echo("Nothing was running.")


def url(
    show: Annotated[
        bool, typer.Option("--show", help="Print the password too. Make sure nobody else can read it.")
    ] = False,
    passfile: Annotated[
        bool, typer.Option("--passfile", help="Put the password in a private file that the URL points to.")
    ] = False,
    dagster: Annotated[
        bool, typer.Option("--dagster", help="Print the URL of the database that holds Dagster's state.")
    ] = False,
) -> None:
    """Print the owner's database URL for other programs; starts the embedded database if needed.

    The password is left out unless you ask for it, because anyone on the machine
    can read command lines. With --passfile, psql and similar programs read it
    from a private file.

    Examples: [bold]psql "$(shs url --passfile)"[/bold], [bold]shs url --show[/bold]
    """
    from shs_pipeline.cli.terminal import remarks, say
    from shs_pipeline.database.databases import prepare
    from shs_pipeline.database.passfile import with_passfile, without_password
    from shs_pipeline.settings.settings import load_settings

    settings = load_settings()
    databases = prepare(settings)
    found = (databases.dagster_url if dagster else databases.warehouse_url).get_secret_value()
    if show or passfile:
        typer.echo(found if show else with_passfile(settings.home, found))
        return
    typer.echo(without_password(found))
    say(
        remarks(),
        "The password is left out. Use --show to print it, or --passfile to put it in a file for psql.",
        "dim",
    )


def doctor() -> None:
    """Check everything the system needs, and say how to fix any problem.

    Starts the embedded database if needed. Exit code 1 if a check fails; warnings
    do not count.

    Example: [bold]shs doctor[/bold]
    """
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    has_failed = False
    for finding in examine():
        _show(console, finding)
        has_failed = has_failed or finding.state == "fail"
    if has_failed:
        raise typer.Exit(1)


def _show(console: Console, finding: Finding) -> None:
    from rich.text import Text

    from shs_pipeline.base.printable import plain

    style = {"ok": "green", "warn": "yellow", "fail": "bold red"}[finding.state]
    console.print(Text.assemble((f"{finding.state:<5}", style), plain(f"{finding.what}: {finding.found}")))
    if finding.remedy:
        console.print(Text(f"     {plain(finding.remedy)}", style="dim"))
