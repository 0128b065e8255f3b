"""`shs errors`: what is wrong with the currently rejected files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from shs_pipeline.base.errors import ShsError

if TYPE_CHECKING:
    from shs_pipeline.ingest.overview import FileError, RejectedFile
    from shs_pipeline.settings.settings import Settings

PANEL = "Data"
_PATIENCE_SECONDS = 5
_PLACE = ("sheet", "row", "column", "value")
_HEADER = ("file", "severity", *_PLACE, "what is wrong", "how to fix it", "error workbook")

Found = Sequence[tuple["RejectedFile", Sequence["FileError"]]]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(errors)


def errors(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="Only this file: its path, or the end of its path.")
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print all errors as CSV, for Excel and programs.")
    ] = False,
) -> None:
    """List the errors in the currently rejected files, and where their error workbooks are.

    Examples: [bold]shs errors[/bold], [bold]shs errors 2025-03/report.xlsx[/bold],
    [bold]shs errors --csv > errors.csv[/bold]
    """
    from shs_pipeline.base.wording import count_of, shown_address
    from shs_pipeline.cli.check import show_errors
    from shs_pipeline.cli.csv_output import print_csv
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.database.databases import are_made
    from shs_pipeline.settings.settings import load_settings

    settings = load_settings()
    found = _find(settings, file)
    if as_csv:
        print_csv(_HEADER, _csv_rows(found))
        return
    console = results()
    if not found:
        say(console, "No file is rejected.", "green")
        if not are_made(settings):
            say(
                console, "Nothing has been ingested here yet. Run shs drop FILE and shs run, or try shs demo."
            )
    for rejected, rows in found:
        count = count_of(rejected.error_count, "error")
        say(console, f"{rejected.path}: {count}", "bold", is_copied=True)
        show_errors(console, rows)
        if rejected.error_workbook:
            say(console, f"Error workbook: {shown_address(rejected.error_workbook)}", is_copied=True)
        say(console, "")


def _find(settings: Settings, file: str | None) -> Found:
    from shs_pipeline.database.databases import are_made
    from shs_pipeline.ingest.job import open_job
    from shs_pipeline.ingest.overview import errors_of, is_loaded, rejected_now

    if not are_made(settings):
        if file is not None:
            raise _not_rejected(file, [])
        return []
    job = open_job(settings, "errors", _PATIENCE_SECONDS)
    rejected = job.query(rejected_now)
    if file is not None:
        end = _path_end(file, settings.landing)
        everything, rejected = rejected, [one for one in rejected if f"/{one.path}".endswith(f"/{end}")]
        if not rejected and job.query(lambda connection: is_loaded(connection, end)):
            raise ShsError(f"{file} was not rejected: it is loaded.", "There is nothing to fix.")
        if not rejected:
            raise _not_rejected(file, everything)
    return job.query(lambda connection: [(one, errors_of(connection, one.file_id)) for one in rejected])


def _path_end(file: str, landing: str) -> str:
    """Return a path relative to the landing zone, also where the full one was typed."""
    from shs_pipeline.base.wording import shown_address

    return file.removeprefix(landing).removeprefix(shown_address(landing)).strip("/")


def _not_rejected(file: str, rejected: Sequence[RejectedFile]) -> ShsError:
    names = ", ".join(one.path for one in rejected[:10])
    remedy = (
        f"Rejected now: {names}."
        if rejected
        else "No file is currently rejected; shs run ingests what changed."
    )
    return ShsError(f"No rejected file has the path {file}.", remedy)


def _csv_rows(found: Found) -> Iterator[Sequence[object]]:
    for rejected, rows in found:
        for row in rows:
            place = (row.severity, row.sheet, row.row, row.column, row.value)
            yield (rejected.path, *place, row.problem, row.remedy, rejected.error_workbook)
