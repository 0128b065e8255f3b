"""`shs drop`: put a file where its source and month belong."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shs_pipeline.base.errors import ShsError
from shs_pipeline.ingest.targets import Target, path_of, target_of

if TYPE_CHECKING:
    from shs_pipeline.landing.zone import Landing
    from shs_pipeline.settings.settings import Settings

PANEL = "Data"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(drop)


def drop(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file as the supplier sent it.")],
    *,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="NAME", help="Source or reference table; guessed by default."),
    ] = None,
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Commission month; guessed by default.")
    ] = None,
    revenue_month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Revenue month, if the file does not say.")
    ] = None,
    overlap_ok: Annotated[
        bool, typer.Option("--overlap-ok", help="Count it even though it looks like a corrected copy.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the existing file of the same name.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept the guesses without asking.")] = False,
) -> None:
    """Put a file into the right folder of the landing zone.

    Anything you leave out is guessed from the file's columns, name and dates. You
    see each guess with the reason for it, and nothing is copied until you agree.
    If several sources or months are possible, they are listed.

    Examples: [bold]shs drop "March report.xlsx"[/bold],
    [bold]shs drop "March report.xlsx" --source cygnus --month 2025-03[/bold],
    [bold]shs drop pivot.xlsx --source summit_medical --month 2025-04 --revenue-month 2025-03[/bold]
    """
    from shs_pipeline.cli.arguments import file_content, month_typed
    from shs_pipeline.files.reading import SourceFile
    from shs_pipeline.ingest.checking import file_reader
    from shs_pipeline.landing.zone import Landing
    from shs_pipeline.settings.settings import load_settings

    settings = load_settings()
    given = month_typed(month, "--month") if month else None
    revenue = month_typed(revenue_month, "--revenue-month") if revenue_month else None
    content = file_content(file)
    dropped = SourceFile(file.name, content, revenue_month=revenue)
    landing = Landing(settings.landing)
    with file_reader(settings) as reader:
        target = target_of(settings, reader, landing, dropped, source, given)
        path = path_of(target.declaration, file.name, target.month, target.revenue_month, overlap_ok)
        reader.check_can_be_opened(target.declaration.name, dropped, settings.max_file_mb * 2**20)
    if target.guessed and not yes:
        _confirm(target, path)
    elif target.guessed:
        _show_guess(target)
    _put(settings, landing, path, content, may_replace=replace)


def _show_guess(target: Target) -> None:
    from shs_pipeline.cli.terminal import results, say

    for line in target.guessed:
        say(results(), f"Guessed {line}.")


def _confirm(target: Target, path: str) -> None:
    """Show the guess and ask; where nobody can answer, say what would be done."""
    from shs_pipeline.cli.terminal import agrees, is_somebody_there, results, say

    _show_guess(target)
    if not is_somebody_there():
        raise ShsError(
            f"Nothing was dropped: the file would go to {path}, but there is nobody to confirm it.",
            f"Add --yes to accept the guess, or spell it out: {_said(target)}.",
        )
    say(results(), f"It would go to {path}", is_copied=True)
    if not agrees("Is this right?"):
        raise ShsError("Nothing was dropped.", f"Say where it belongs: {_said(target)}.")


def _said(target: Target) -> str:
    from shs_pipeline.base.months import month_text

    options = [f"--source {shlex.quote(target.declaration.name)}"]
    options += [f"--month {month_text(target.month)}"] if target.month else []
    options += [f"--revenue-month {month_text(target.revenue_month)}"] if target.revenue_month else []
    return " ".join(options)


def _put(settings: Settings, landing: Landing, path: str, content: bytes, *, may_replace: bool) -> None:
    from shs_pipeline.base.wording import shown_address
    from shs_pipeline.cli.terminal import results, say

    console = results()
    there = landing.read(path)
    if there == content:
        said = "The same file is already there"
    elif there is not None and not may_replace:
        raise ShsError(
            f"A different file is already there: {path}.",
            "Add --replace to replace that file and its lines with this one, or rename this file to add its "
            "lines to the others.",
        )
    else:
        landing.write(path, content)
        said = "Replaced" if there is not None else "Dropped"
    say(console, f"{said}: {shown_address(landing.uri(path))}", is_copied=True)
    say(console, _what_is_next(settings))


def _what_is_next(settings: Settings) -> str:
    from shs_pipeline.system.running import running_system

    running = running_system(settings)
    if running is None:
        return "Next: shs run ingests it now; shs up keeps watching the landing zone."
    return (
        f"It will be picked up within about {settings.sensor_seconds} s: see {running.url} or shs status. If "
        "it is rejected, shs errors says why."
    )
