"""`shs new-source`: the files of a source to come."""

from __future__ import annotations

from typing import Annotated

import typer

PANEL = "Development"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("new-source", rich_help_panel=PANEL)(new_source)


def new_source(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower case with underscores: acme_medical.")],
    title: Annotated[
        str | None, typer.Option(metavar="TITLE", help="Name for people; made from NAME by default.")
    ] = None,
) -> None:
    """Write the module, the sample and the test of a new source, and enter it where sources are listed.

    What is written works at once, with columns to be replaced by those of the real file.

    Example: [bold]shs new-source acme_medical --title "Acme Medical"[/bold]
    """
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.scaffold import scaffold
    from shs_pipeline.settings import project_root

    root = project_root()
    done = scaffold(root, name, title)
    console = results()
    for path in done.written:
        say(console, f"Written:  {path.relative_to(root)}")
    for path in done.edited:
        say(console, f"Edited:   {path.relative_to(root)}")
    say(console, "\nNext:", "bold")
    for number, step in enumerate(done.next_steps, start=1):
        say(console, f"  {number}. {step}")
