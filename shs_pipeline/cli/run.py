"""`shs run`: ingest what changed, and report the results."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from shs_pipeline.cli.terminal import EXIT_REJECTED

if TYPE_CHECKING:
    import psycopg
    from rich.console import Console

    from shs_pipeline.files.reading import Problem
    from shs_pipeline.ingest.folder_report import FileReport, FolderReport
    from shs_pipeline.ingest.ingestion import Ingestion
    from shs_pipeline.ingest.overview import FileError
    from shs_pipeline.ingest.run import Progress
    from shs_pipeline.settings.settings import Settings

PANEL = "Data"
Item = TypeVar("Item")
_FOLDERS_SHOWN = 15
_REJECTIONS_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(run)


def run(
    everything: Annotated[bool, typer.Option("--all", help="Read every file again, changed or not.")] = False,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source", metavar="NAME", help="Only this source or reference table; can be repeated."
        ),
    ] = None,
    accept: Annotated[
        bool,
        typer.Option(
            "--accept",
            help="Confirm a large deletion: withdraw all missing files. Publish the build that is held.",
        ),
    ] = False,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Rebuild every mart, changed or not.")
    ] = False,
) -> None:
    """Ingest everything that changed in the landing zone, then build the marts.

    Needs no running system. Exit code 3 if a file is rejected, 0 if every file is
    loaded. A build that would change much of what was paid for closed months, or take
    many lines away, is held: nothing is published, and the exit code is 4.
    [bold]--accept[/bold] publishes just what [bold]shs diff held[/bold] shows; anything else is held again.

    Examples: [bold]shs run[/bold], [bold]shs run --source cygnus --source novo[/bold], or read everything
    again: [bold]shs run --all[/bold]
    """
    from shs_pipeline.cli.notices import tell_after_run, tell_of_failure
    from shs_pipeline.cli.terminal import remarks, results, say
    from shs_pipeline.ingest.job import open_job
    from shs_pipeline.ingest.run import trouble_of
    from shs_pipeline.marts.guard import HeldBuildError
    from shs_pipeline.reference.names import known_name
    from shs_pipeline.settings.settings import load_settings

    names = [known_name(name) for name in source or ()]
    settings = load_settings()
    job = open_job(settings, "run")
    job.may_withdraw = accept
    console = results()
    try:
        is_rejected = _run(console, settings, job, everything, names, full_refresh)
    except HeldBuildError:
        tell_after_run(console, settings, job)
        if (trouble := trouble_of(job)) is not None:
            say(remarks(), str(trouble), "bold red")
        raise
    except Exception as error:
        tell_of_failure(settings, job, error)
        raise
    trouble = trouble_of(job)
    if job.failures and trouble is not None:
        tell_of_failure(settings, job, trouble)
    else:
        # A run of some sources has not looked at the others.
        tell_after_run(console, settings, job, is_done=not names)
    if trouble is not None:
        raise trouble
    if is_rejected:
        raise typer.Exit(EXIT_REJECTED)


def load_and_publish(console: Console, settings: Settings, job: Ingestion) -> None:
    """Run behind what another command has just put into the landing zone, and tell whom it concerns.

    Raises:
        HeldBuildError: all is loaded, and nothing was published.
    """
    from shs_pipeline.cli.marts import build
    from shs_pipeline.cli.notices import tell_after_run
    from shs_pipeline.ingest.run import run_changed
    from shs_pipeline.marts.guard import HeldBuildError

    reports = run_changed(job)
    show_reports(console, reports)
    show_rejections(console, job, reports)
    try:
        build(console, settings, job)
    except HeldBuildError:
        tell_after_run(console, settings, job)
        raise
    tell_after_run(console, settings, job)


def _run(
    console: Console,
    settings: Settings,
    job: Ingestion,
    everything: bool,
    names: Sequence[str],
    full_refresh: bool,
) -> bool:
    """Ingest and build; return whether a file is rejected."""
    from shs_pipeline.cli.held import this_user
    from shs_pipeline.cli.marts import build
    from shs_pipeline.cli.terminal import say, shown_progress
    from shs_pipeline.system.start_here.writing import tell_bucket

    with shown_progress("Looking for changes") as progress:
        reports = _ingest(job, progress, everything, names)
    if not reports and not job.query(_has_files):
        tell_bucket(settings)
        _show_first_steps(console, settings)
        return False
    if not reports:
        say(console, "Nothing changed since the last run.")
    show_reports(console, reports)
    is_rejected = show_rejections(console, job, reports, names)
    accepted_by = this_user() if job.may_withdraw else ""
    build(console, settings, job, full_refresh=full_refresh, accepted_by=accepted_by)
    return is_rejected


def _has_files(connection: psycopg.Connection) -> bool:
    row = connection.execute("select exists (select from ops.files)").fetchone()
    return bool(row and row[0])


def _show_first_steps(console: Console, settings: Settings) -> None:
    from shs_pipeline.base.wording import shown_address
    from shs_pipeline.cli.terminal import say

    say(
        console,
        f"There are no files in {shown_address(settings.landing)} yet, so there is nothing to do.",
        "yellow",
    )
    say(
        console,
        "To begin, run shs drop FILE for each file and reference workbook, or shs demo for sample data.",
    )


def _ingest(job: Ingestion, progress: Progress, everything: bool, names: Sequence[str]) -> list[FolderReport]:
    from shs_pipeline.ingest.run import run_all, run_changed

    return (run_all if everything else run_changed)(job, progress, names or None)


# --- what became of it -------------------------------------------------------------------


def show_reports(console: Console, reports: Sequence[FolderReport]) -> None:
    """Print a row per folder; where there are many, a row per source."""
    from shs_pipeline.cli.table import table_of

    if not reports:
        return
    is_short = len(reports) <= _FOLDERS_SHOWN
    groups: dict[str, list[FolderReport]] = {}
    for report in sorted(reports, key=lambda report: _rank(report.folder.name)):
        label = report.folder.key if is_short else report.folder.name or "unknown places"
        groups.setdefault(label, []).append(report)
    numbers = ("Loaded", "Rejected", "Withdrawn", "Lines", "Left out")
    table = table_of(
        "Folder" if is_short else "Source", *numbers, "Sums in USD",
        numbers=numbers,
        prose=("Sums in USD",),
        least=("Sums in USD", "Withdrawn", "Left out"),
    )  # fmt: skip
    for label, group in groups.items():
        table.add_row(label, *_counts(group), _sums_shown(group))
    table.show(console)


def _rank(name: str | None) -> int:
    from shs_pipeline.landing.names import INCOMING_NAMES, REFERENCE_NAMES

    order = (*REFERENCE_NAMES, *INCOMING_NAMES)
    return order.index(name) if name in order else len(order)


def _counts(group: Sequence[FolderReport]) -> tuple[object, ...]:
    from rich.text import Text

    rejected = sum(len(report.rejected) for report in group)
    return (
        sum(len(report.loaded) for report in group),
        Text(str(rejected), style="bold red" if rejected else ""),
        sum(len(withdrawn_paths(report)) for report in group),
        f"{sum(report.rows_in_force for report in group):,}",
        f"{sum(sum(report.left_out.values()) for report in group):,}",
    )


def withdrawn_paths(report: FolderReport) -> list[str]:
    """Return the files of a source that were in force and are no longer there."""
    here = {*report.stays, *(file.path for file in report.files)}
    # A deleted reference table stays in force until another version comes.
    return [] if report.folder.is_reference else [old.path for old in report.before if old.path not in here]


def _sums_shown(group: Sequence[FolderReport]) -> str:
    from shs_pipeline.base.wording import dollars
    from shs_pipeline.files.contract import columns_of

    sums: dict[str, Decimal] = {}
    for report in group:
        for name, value in report.sums.items():
            sums[name] = sums.get(name, Decimal(0)) + value
    declaration = group[0].folder.declaration
    headers = {column.name: column.header for column in columns_of(declaration.rows)} if declaration else {}
    return ", ".join(f"{headers.get(name, name)} {dollars(value)}" for name, value in sums.items())


def show_rejections(
    console: Console, job: Ingestion, reports: Sequence[FolderReport], names: Collection[str] = ()
) -> bool:
    """Print every file rejected now, and what deserves a look in those that were loaded.

    Args:
        names: the sources and tables that count; all when empty.

    Returns:
        whether there is a rejected file.
    """
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.ingest.overview import rejected_now

    _show_withdrawn(console, reports)
    _show_totals(console, [file for report in reports for file in report.loaded])
    rejected = [file for file in job.query(rejected_now) if not names or file.name in names]
    if not rejected:
        return False
    say(console, f"{count_of(len(rejected), 'file')} rejected:", "bold red")
    for file in rejected[:_REJECTIONS_SHOWN]:
        show_rejection(console, file.path, file.error_count, file.first, file.error_workbook)
    if len(rejected) > _REJECTIONS_SHOWN:
        say(console, f"… and {len(rejected) - _REJECTIONS_SHOWN} more; shs errors lists them all.")
    return True


def show_rejection(
    console: Console, path: str, errors: int, first: FileError | Problem, error_workbook: str
) -> None:
    """Print a rejected file with its first error and where all of them are."""
    from shs_pipeline.base.wording import shown_address
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.ingest.overview import placed

    more = f" (and {errors - 1} more)" if errors > 1 else ""
    say(console, f"  {path}", "bold", is_copied=True)
    say(console, f"    {placed(first)}{first.problem} {first.remedy}{more}")
    if error_workbook:
        say(console, f"    Error workbook: {shown_address(error_workbook)}", "dim", is_copied=True)


def _show_withdrawn(console: Console, reports: Iterable[FolderReport]) -> None:
    paths = [path for report in reports for path in withdrawn_paths(report)]
    _show_some(console, paths, lambda path: f"Withdrawn because it was deleted: {path}", "yellow")


def _show_totals(console: Console, files: Iterable[FileReport]) -> None:
    wrong = [(file.path, total) for file in files for total in file.totals if not total.agrees]
    _show_some(
        console,
        wrong,
        lambda found: (
            f"{found[0]}, {found[1].sheet} row {found[1].row}: {found[1].column} prints "
            f"{found[1].printed}, its lines add up to {found[1].computed}; ask the supplier which is right."
        ),
        "yellow",
    )


def _show_some(console: Console, items: Sequence[Item], sentence: Callable[[Item], str], style: str) -> None:
    from shs_pipeline.cli.terminal import say

    for item in items[:_REJECTIONS_SHOWN]:
        say(console, sentence(item), style)
    if len(items) > _REJECTIONS_SHOWN:
        say(console, f"… and {len(items) - _REJECTIONS_SHOWN} more.", style)
