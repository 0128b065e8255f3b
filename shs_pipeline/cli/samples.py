"""`shs samples` and `shs demo`: made-up files of all sources."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shs_pipeline.cli.terminal import EXIT_REJECTED
from shs_pipeline.errors import ShsError
from shs_pipeline.whole_files import write_whole

if TYPE_CHECKING:
    from rich.console import Console

    from shs_pipeline.ingestion import Ingestion
    from shs_pipeline.landing import Landing
    from shs_pipeline.settings import Settings
    from shs_pipeline.source import Source

PANEL = "Examples"
MOST_LINES = 1_000_000


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command(rich_help_panel=PANEL)(demo)
    app.command(rich_help_panel=PANEL)(samples)


@dataclass(frozen=True)
class Recipe:
    """What determines the files: the same recipe makes the same bytes.

    Attributes:
        until: the last commission month, `YYYY-MM`.
    """

    months: int
    lines: int
    seed: int
    until: str

    @property
    def last(self) -> date:
        """First day of the last commission month."""
        from shs_pipeline.months import parse_month

        month = parse_month(self.until)
        assert month is not None
        return month


def samples(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write the landing tree into.")],
    *,
    months: Annotated[int, typer.Option(min=1, help="How many commission months.")] = 12,
    lines: Annotated[int, typer.Option(min=1, max=MOST_LINES, help="Sale lines of each file.")] = 60,
    seed: Annotated[int, typer.Option(help="Another seed gives other amounts, customers and flaws.")] = 1,
    until: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Last month; the last complete one by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Write a landing tree of made-up files of all sources and the reference workbooks.

    The same options give the same bytes.

    Example: [bold]shs samples /tmp/landing --months 6 --lines 200 --seed 3[/bold]
    """
    from shs_pipeline.cli.terminal import count_of, remarks, results, say
    from shs_pipeline.samples import write_samples

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
    say(console, "To ingest them into a system of its own, apart from this one's database:")
    landing = shlex.quote(str(directory.absolute()))
    home = shlex.quote(f"{directory.absolute()}-home")
    say(console, f"  SHS_HOME={home} SHS_LANDING={landing} shs run", is_copied=True)


def _check_directory(directory: Path, force: bool) -> None:
    if directory.exists() and not directory.is_dir():
        raise ShsError(f"{directory} is not a folder.", "Name a folder; it is created if need be.")
    if not force and directory.is_dir() and any(directory.iterdir()):
        raise ShsError(
            f"{directory} is not empty.",
            "Name another folder, or add --force: files of the same name are then replaced.",
        )


def _recipe(months: int, lines: int, seed: int, until: str | None) -> Recipe:
    from shs_pipeline.cli.arguments import month_typed
    from shs_pipeline.months import FIRST_MONTH, last_month, month_after, month_text, today

    last = month_typed(until, "--until") if until else month_after(today().replace(day=1), -1)
    if last > last_month() or month_after(last, 1 - months) < FIRST_MONTH:
        raise ShsError(
            f"{months} months until {month_text(last)} are more than the system reads.",
            f"Stay between {month_text(FIRST_MONTH)} and {month_text(last_month())}.",
        )
    return Recipe(months, lines, seed, month_text(last))


def _show_written(console: Console, files: dict[str, int] | object) -> None:
    from shs_pipeline.cli.terminal import table_of

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


# --- the demo ----------------------------------------------------------------------------


def demo(
    months: Annotated[int, typer.Option(min=1, help="How many commission months.")] = 24,
    lines: Annotated[int, typer.Option(min=1, max=MOST_LINES, help="Sale lines of each file.")] = 60,
    seed: Annotated[int, typer.Option(help="Another seed gives other amounts, customers and flaws.")] = 1,
) -> None:
    """Fill an empty landing zone with made-up files, ingest them, and show what becomes of them.

    Files that are there already are never touched: they are ingested as they are. Ends with exit
    code 3 when a file is rejected.

    Examples: [bold]shs demo[/bold], and a small one beside it:
    [bold]SHS_HOME=/tmp/small shs demo --months 3[/bold]
    """
    from shs_pipeline.cli.marts import build, show_marts
    from shs_pipeline.cli.run import open_job, show_rejections
    from shs_pipeline.cli.terminal import results, say, shown_progress
    from shs_pipeline.run import run_changed
    from shs_pipeline.settings import load_settings

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


def fill(settings: Settings, landing: Landing, recipe: Recipe, progress: object) -> str:
    """Write the demo's files into an empty landing zone; return one sentence on what was done.

    What was begun is noted first, so that a demo that was killed is completed by the next one.
    """
    from shs_pipeline.cli.terminal import count_of

    assert callable(progress)
    note = settings.home / "demo.json"
    begun = _noted(note, landing.url)
    there = {drop.path for drop in landing.drops()}
    if there and begun is None:
        whose = "file that is" if len(there) == 1 else "files that are"
        return (
            f"The landing zone holds {len(there)} {whose} not the demo's: nothing is written there, and what "
            "is there is ingested. For a demo, set SHS_HOME to another folder."
        )
    if there and begun is not None and begun[1]:
        return "The demo's files are in the landing zone already; what changed there is ingested."
    if there and begun is not None:
        recipe = begun[0]
    _write_note(note, landing.url, recipe, is_complete=False)
    paths = 0
    total = recipe.months * _source_count() + _reference_count()
    for path, content in _files(recipe):
        paths += 1
        progress(path, paths, total)
        if path not in there:
            landing.write(path, content)
    _write_note(note, landing.url, recipe, is_complete=True)
    months = count_of(recipe.months, "month")
    return f"{paths} made-up files are in the landing zone: {months} until {recipe.until}."


def _files(recipe: Recipe) -> Iterator[tuple[str, bytes]]:
    from shs_pipeline.months import month_after
    from shs_pipeline.samples import sample_files
    from shs_pipeline.samples.reference import reference_workbooks

    first = month_after(recipe.last, 1 - recipe.months)
    yield from reference_workbooks(first, recipe.last, recipe.lines).items()
    for sample in sample_files(months=recipe.months, lines=recipe.lines, seed=recipe.seed, until=recipe.last):
        yield sample.path, sample.content


def _source_count() -> int:
    from shs_pipeline.samples import SAMPLES

    return len(SAMPLES)


def _reference_count() -> int:
    from shs_pipeline.reference import NAMES

    return len(NAMES)


def _noted(note: Path, landing: str) -> tuple[Recipe, bool] | None:
    """Return what the demo wrote into this landing zone, and whether all of it."""
    try:
        kept = json.loads(note.read_text())
        if kept["landing"] != landing:
            return None
        return Recipe(**kept["recipe"]), bool(kept["is_complete"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_note(note: Path, landing: str, recipe: Recipe, *, is_complete: bool) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    write_whole(note, json.dumps({"landing": landing, "recipe": asdict(recipe), "is_complete": is_complete}))


def _show_loaded(console: Console, job: Ingestion) -> None:
    from decimal import Decimal

    from rich.text import Text

    from shs_pipeline.cli.terminal import dollars, table_of
    from shs_pipeline.overview import source_totals
    from shs_pipeline.sources import source_named

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
    from shs_pipeline.contract import columns_of

    descriptions = {column.name: column.description.casefold() for column in columns_of(source.rows)}
    return next((name for name in source.amounts[1:] if "commission" in descriptions[name]), None)


def _show_addresses(console: Console, settings: Settings, job: Ingestion) -> None:
    from shs_pipeline.cli.terminal import say, shown_address
    from shs_pipeline.database import place
    from shs_pipeline.supervisor import running_system

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
    from shs_pipeline.cli.terminal import say, shown_address

    workbooks = [drop.path for drop in job.landing.drops("incoming/cygnus") if drop.path.endswith(".xlsx")]
    if not workbooks:
        return
    path = shown_address(job.landing.uri(workbooks[-1]))
    say(console, "\nTry next, each time followed by shs run (or let make up notice it):", "bold")
    say(console, "  a corrected file: change an amount in it and save it")
    say(console, "  a broken one: type abc into an amount; shs errors then says where, and how to fix it")
    say(console, "  a deleted one: its lines are withdrawn, and shs status says that the month is missing")
    say(console, f'  For example "{path}"', is_copied=True)
