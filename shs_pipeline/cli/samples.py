"""`shs samples` and `shs demo`: sample files for every source."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shs_pipeline.base.errors import ShsError
from shs_pipeline.cli.terminal import EXIT_REJECTED
from shs_pipeline.samples.demo import Recipe, fill

if TYPE_CHECKING:
    from rich.console import Console

    from shs_pipeline.files.source import Source
    from shs_pipeline.ingest.ingestion import Ingestion
    from shs_pipeline.settings.settings import Settings

PANEL = "Examples"
MOST_LINES = 1_000_000


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command(rich_help_panel=PANEL)(demo)
    app.command(rich_help_panel=PANEL)(samples)


def samples(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write the landing zone into.")],
    *,
    months: Annotated[int, typer.Option(min=1, help="How many commission months.")] = 12,
    lines: Annotated[int, typer.Option(min=1, max=MOST_LINES, help="Sale lines per file.")] = 60,
    seed: Annotated[
        int, typer.Option(help="A different seed gives different amounts, customers and flaws.")
    ] = 1,
    until: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM", help="Last month to write; by default the last complete one."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write into the folder even if it is not empty.")
    ] = False,
) -> None:
    """Write a landing zone of sample files for every source, plus the reference workbooks.

    The same options always give the same files, byte for byte.

    Example: [bold]shs samples /tmp/landing --months 6 --lines 200 --seed 3[/bold]
    """
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import remarks, results, say
    from shs_pipeline.samples.tree import write_samples

    recipe = _recipe(months, lines, seed, until)
    _check_directory(directory, force)
    try:
        with remarks().status(f"Writing {count_of(months, 'month')} of files"):
            tree = write_samples(directory, months=months, lines=lines, seed=seed, until=recipe.last)
    except OSError as error:
        raise ShsError(
            f"{error.filename or directory} cannot be written ({error.strerror}).", "Name another folder."
        ) from None
    console = results()
    _show_written(console, tree.files)
    say(
        console,
        f"{count_of(len(tree.files), 'file')} and {len(tree.reference)} reference workbooks in {directory}",
    )
    say(console, "To ingest them into a separate system with its own database:")
    landing = shlex.quote(str(directory.absolute()))
    home = shlex.quote(f"{directory.absolute()}-home")
    say(console, f"  SHS_HOME={home} SHS_LANDING={landing} shs run", is_copied=True)


def _check_directory(directory: Path, force: bool) -> None:
    if directory.exists() and not directory.is_dir():
        raise ShsError(f"{directory} is not a folder.", "Name a folder; it is created if it does not exist.")
    if not force and directory.is_dir() and any(directory.iterdir()):
        raise ShsError(
            f"{directory} is not empty.",
            "Name another folder, or add --force to replace files of the same name.",
        )


def _recipe(months: int, lines: int, seed: int, until: str | None) -> Recipe:
    from shs_pipeline.base.months import FIRST_MONTH, last_month, month_after, month_text, today
    from shs_pipeline.cli.arguments import month_typed

    last = month_typed(until, "--until") if until else month_after(today().replace(day=1), -1)
    if last > last_month() or month_after(last, 1 - months) < FIRST_MONTH:
        raise ShsError(
            f"{months} months up to {month_text(last)} are more than the system reads.",
            f"Stay between {month_text(FIRST_MONTH)} and {month_text(last_month())}.",
        )
    return Recipe(months, lines, seed, month_text(last))


def _show_written(console: Console, files: dict[str, int] | object) -> None:
    from shs_pipeline.cli.table import table_of

    assert isinstance(files, dict)
    counted: dict[str, tuple[int, int]] = {}
    for path, lines in files.items():
        source = path.split("/")[1]
        before = counted.get(source, (0, 0))
        counted[source] = (before[0] + 1, before[1] + lines)
    table = table_of("Source", "Files", "Lines", numbers=("Files", "Lines"))
    for source, (number, lines) in counted.items():
        table.add_row(source, number, f"{lines:,}")
    table.show(console)


def demo(
    months: Annotated[int, typer.Option(min=1, help="How many commission months.")] = 24,
    lines: Annotated[int, typer.Option(min=1, max=MOST_LINES, help="Sale lines per file.")] = 60,
    seed: Annotated[
        int, typer.Option(help="A different seed gives different amounts, customers and flaws.")
    ] = 1,
) -> None:
    """Fill an empty landing zone with sample files, ingest them, and show the results.

    Files already there are never changed: they are ingested as they are. Exit
    code 3 if a file is rejected.

    Examples: [bold]shs demo[/bold], or a smaller, separate one:
    [bold]SHS_HOME=/tmp/small shs demo --months 3[/bold]
    """
    from shs_pipeline.cli.marts import build, show_marts
    from shs_pipeline.cli.run import show_rejections
    from shs_pipeline.cli.terminal import results, say, shown_progress
    from shs_pipeline.ingest.job import open_job
    from shs_pipeline.ingest.run import run_changed
    from shs_pipeline.settings.settings import load_settings

    settings = load_settings()
    recipe = _recipe(months, lines, seed, None)
    console = results()
    with shown_progress("Starting the database") as progress:
        job = open_job(settings, "demo")
    with shown_progress("Writing files") as progress:
        remark = fill(settings, job.landing, recipe, progress)
    say(console, remark)
    with shown_progress("Looking for changes") as progress:
        reports = run_changed(job, progress)
    say(console, "")
    _show_loaded(console, job)
    is_rejected = show_rejections(console, job, reports)
    build(console, settings, job)
    show_marts(console, job)
    _show_addresses(console, settings, job)
    _show_what_to_try(console, job)
    if is_rejected:
        raise typer.Exit(EXIT_REJECTED)


def _show_loaded(console: Console, job: Ingestion) -> None:
    from decimal import Decimal

    from rich.text import Text

    from shs_pipeline.base.wording import dollars
    from shs_pipeline.cli.table import table_of
    from shs_pipeline.ingest.overview import source_totals
    from shs_pipeline.sources.registry import source_named

    numbers = ("Files", "Rejected", "Lines", "Left out", "Dollars sold", "Commission")
    table = table_of(
        "Source", *numbers, numbers=numbers, least=("Left out", "Files", "Commission", "Rejected")
    )
    totals = job.query(source_totals)
    all_sold: list[Decimal] = []
    all_earned: list[Decimal] = []
    for total in totals:
        source = source_named(total.source)
        sold, earned = total.sums.get(source.amounts[0]), total.sums.get(commission_column(source) or "")
        amounts = [dollars(amount) if amount is not None else "-" for amount in (sold, earned)]
        all_sold.append(sold or Decimal(0))
        all_earned.append(earned or Decimal(0))
        rejected = Text(str(total.rejected), style="bold red" if total.rejected else "")
        table.add_row(
            source.title, total.files, rejected, f"{total.lines:,}", f"{total.left_out:,}", *amounts
        )
    files, lines = sum(total.files for total in totals), sum(total.lines for total in totals)
    rejected_files, left_out = sum(t.rejected for t in totals), sum(t.left_out for t in totals)
    table.add_rule()
    counts = (files, rejected_files, f"{lines:,}", f"{left_out:,}")
    table.add_row(
        "All sources", *counts, dollars(sum(all_sold, Decimal(0))), dollars(sum(all_earned, Decimal(0)))
    )
    table.show(console)


def commission_column(source: Source) -> str | None:
    """Return the amount column that the contract describes as commission; not every file has one."""
    from shs_pipeline.files.contract import columns_of

    descriptions = {column.name: column.description.casefold() for column in columns_of(source.rows)}
    return next((name for name in source.amounts[1:] if "commission" in descriptions[name]), None)


def _show_addresses(console: Console, settings: Settings, job: Ingestion) -> None:
    from shs_pipeline.base.wording import shown_address
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.database.address import place
    from shs_pipeline.system.running import running_system

    running = running_system(settings)
    ui, dashboards = "make up starts it", "make up or shs preview shows them"
    if running:
        ui, dashboards = running.url, running.preview or dashboards
    say(console, "Where everything is:", "bold")
    say(console, f"  Landing zone  {shown_address(settings.landing)}", is_copied=True)
    say(console, f"  Database      {place(job.database_url)}, schema marts (URL: shs url)", is_copied=True)
    say(console, f"  Dagster UI    {ui}", is_copied=True)
    say(console, f"  Dashboards    {dashboards}", is_copied=True)


def _show_what_to_try(console: Console, job: Ingestion) -> None:
    from shs_pipeline.base.wording import shown_address
    from shs_pipeline.cli.terminal import say

    workbooks = [drop.path for drop in job.landing.drops("incoming/cygnus") if drop.path.endswith(".xlsx")]
    if not workbooks:
        return
    path = shown_address(job.landing.uri(workbooks[-1]))
    say(console, "\nThings to try next. Run shs run after each, or let make up notice it:", "bold")
    say(console, "  correct a file: change an amount in it and save it")
    say(console, "  break a file: type abc into an amount; shs errors says where it is and how to fix it")
    say(console, "  delete a file: its lines are withdrawn, and shs status reports the month as missing")
    say(console, f'  For example, use "{path}"', is_copied=True)
