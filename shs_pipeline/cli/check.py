"""`shs check`: hold a file against its contract without loading it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from shs_pipeline.cli.terminal import EXIT_REJECTED
from shs_pipeline.errors import ShsError, UnreadableFileError
from shs_pipeline.whole_files import write_whole

if TYPE_CHECKING:
    from rich.console import Console

    from shs_pipeline.file_reader.reader import FileReader
    from shs_pipeline.landing import Place
    from shs_pipeline.overview import FileError
    from shs_pipeline.reading import Problem, SourceFile
    from shs_pipeline.settings import Settings
    from shs_pipeline.source import Declaration, FileOutcome

PANEL = "Data"
_MAP = "service_to_product"
_SHOWN = 50

Known = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Subject:
    """What is checked.

    Attributes:
        because: how it is known what the file is.
        commission_month, is_early_ok: what its place in the landing zone says, if it lies there.
    """

    declaration: Declaration
    because: str
    revenue_month: date | None = None
    commission_month: date | None = None
    is_early_ok: bool = False


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(check)


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A supplier's file or a reference workbook.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="NAME", help="Source or reference table; by default its columns say it."
        ),
    ] = None,
    revenue_month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Revenue month that the drop would name.")
    ] = None,
    errors_to: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write the marked error workbook here (.xlsx).")
    ] = None,
) -> None:
    """Check a file without loading it: every problem, the sums, the printed totals.

    Ends with exit code 3 when the file would be rejected. Whether it is a copy of a loaded file is
    checked only when it is ingested.

    Examples: [bold]shs check "March report.xlsx"[/bold],
    [bold]shs check report.xlsx --source novo --errors-to errors.xlsx[/bold]
    """
    from shs_pipeline.cli.arguments import file_content, month_typed
    from shs_pipeline.cli.terminal import results
    from shs_pipeline.reading import Problem, SourceFile
    from shs_pipeline.settings import load_settings
    from shs_pipeline.source import FileOutcome

    settings = load_settings()
    given = month_typed(revenue_month, "--revenue-month") if revenue_month else None
    dropped = SourceFile(file.name, file_content(file))
    console = results()
    subject: Subject | None = None
    with file_reader(settings) as reader:
        try:
            subject = _subject(settings, reader, file, dropped, source, given)
            outcome = _judged(console, settings, reader, subject, dropped)
        except UnreadableFileError as error:
            outcome = FileOutcome.rejected(Problem(error.problem, error.remedy))
        if source is None and (refusal := _refusal_of_place(settings, file)):
            outcome = replace(outcome, problems=[refusal, *outcome.problems])
        _show_outcome(console, subject, outcome)
        if errors_to is not None:
            _write_errors(console, reader, errors_to, dropped, outcome)
    if outcome.errors:
        raise typer.Exit(EXIT_REJECTED)


def file_reader(settings: Settings) -> FileReader:
    """Return what reads files within the limits that the settings say."""
    from shs_pipeline.file_reader.process import Limits
    from shs_pipeline.file_reader.reader import FileReader

    return FileReader(Limits(settings.read_seconds, settings.read_memory_mb))


def _judged(
    console: Console, settings: Settings, reader: FileReader, subject: Subject, file: SourceFile
) -> FileOutcome:
    from shs_pipeline.cli.terminal import remarks, say

    declaration = subject.declaration
    say(console, f"{file.name} is checked as {declaration.name} ({subject.because}).")
    known, doubts = known_values(settings, reader, declaration)
    for doubt in doubts:
        say(remarks(), doubt, "yellow")
    month = subject.revenue_month or _stand_in_month(declaration, file.name)
    whole = replace(
        file,
        revenue_month=month,
        known=known,
        commission_month=subject.commission_month,
        is_early_ok=subject.is_early_ok,
    )
    return reader.read(declaration.name, whole, settings.max_file_mb * 2**20)


def _subject(
    settings: Settings,
    reader: FileReader,
    path: Path,
    file: SourceFile,
    source: str | None,
    given: date | None,
) -> Subject:
    from shs_pipeline.cli.arguments import declaration_named

    place = _place_in_landing(settings, path)
    month = given or (place.revenue_month if place else None)
    if source is not None:
        name, because = source, "as told"
    elif place is not None and place.name is not None:
        name, because = place.name, "it is in that folder"
    else:
        found = reader.guess(file, settings.max_file_mb * 2**20)
        name = found.declaration
        because = (
            f"it has {found.found} of its {found.wanted} columns"
            if found.wanted
            else "only that source sends such files"
        )
    subject = Subject(declaration_named(name), because, month)
    if place is not None and place.name == subject.declaration.name:
        return replace(subject, commission_month=place.commission_month, is_early_ok=place.is_early_ok)
    return subject


def _place_in_landing(settings: Settings, path: Path) -> Place | None:
    """Return what the place of a file in the landing zone says; None for a file elsewhere."""
    from shs_pipeline.landing import place_of

    key = _key_in_landing(settings, path)
    return None if key is None else place_of(key)


def _key_in_landing(settings: Settings, path: Path) -> str | None:
    from shs_pipeline.cli.terminal import shown_address

    root = Path(shown_address(settings.landing))
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return None


def _refusal_of_place(settings: Settings, path: Path) -> Problem | None:
    """Return why a file of the landing zone is rejected where it lies, whatever it holds."""
    from shs_pipeline.landing import is_of_an_admin, place_of
    from shs_pipeline.listing import name_refused
    from shs_pipeline.reading import Problem

    key = _key_in_landing(settings, path)
    if key is None or not is_of_an_admin(key):
        return None
    if refused := name_refused(key):
        return Problem(*refused)
    place = place_of(key)
    return Problem(place.problem, place.remedy) if place.kind == "unknown" else None


def _stand_in_month(declaration: Declaration, name: str) -> date | None:
    """Return a month for a file whose drop must name one, so that the rest of it can be checked."""
    from shs_pipeline.cli.terminal import remarks, say
    from shs_pipeline.months import today
    from shs_pipeline.source import Source

    extension = PurePosixPath(name).suffix.lower()
    if not isinstance(declaration, Source) or not declaration.revenue_month_given.get(extension):
        return None
    say(remarks(), f"{name} has no date in it: drop it with --revenue-month YYYY-MM.", "yellow")
    return today().replace(day=1)


# --- what the file is checked against ----------------------------------------------------


def known_values(settings: Settings, reader: FileReader, declaration: Declaration) -> tuple[Known, list[str]]:
    """Return the reference values that a reader needs, and what cannot be checked for lack of them.

    They come from the database if it is running, else from the workbook in the landing zone.
    """
    if _MAP not in getattr(declaration, "needs", ()):
        return {}, []
    known = _from_database(settings, declaration) or _from_landing(settings, reader)
    if known is not None:
        return known, []
    doubt = (
        f"Service lines are not checked: no {_MAP} table is in force, and none that can be read lies in the "
        "landing zone."
    )
    from shs_pipeline.reading import Everything

    return {_MAP: Everything()}, [doubt]


def _from_database(settings: Settings, declaration: Declaration) -> Known | None:
    """Return the values in force; None without a running database, which is not started for this."""
    import psycopg

    from shs_pipeline.database import connect, prepare, server_url
    from shs_pipeline.embedded_postgres import EmbeddedPostgres
    from shs_pipeline.ingestion import known_values

    url = server_url(settings)
    try:
        if url is None:
            if EmbeddedPostgres(settings.home, settings.pg_bin).status().state != "running":
                return None
            url = prepare(settings).warehouse_url
        with connect(url) as connection:
            known = known_values(connection, declaration)
    except (ShsError, psycopg.Error):  # away, or without tables so far
        return None
    return known if known.get(_MAP) else None


def _from_landing(settings: Settings, reader: FileReader) -> Known | None:
    """Return the values of the workbook in the landing zone, if one is there that can be read."""
    from shs_pipeline.casting import match_key
    from shs_pipeline.copy_text import CopyLines
    from shs_pipeline.landing import REFERENCE, Landing
    from shs_pipeline.reading import SourceFile

    path = f"{REFERENCE}/{_MAP}.xlsx"
    try:
        content = Landing(settings.landing).read(path)
    except ShsError:
        return None
    if content is None:
        return None
    outcome = reader.read(_MAP, SourceFile(path, content), settings.max_file_mb * 2**20, ["service_lines"])
    if not isinstance(outcome.lines, CopyLines):
        return None
    return {_MAP: frozenset(match_key(name) for name in outcome.lines.cells["service_lines"])}


# --- what was found ----------------------------------------------------------------------


def _show_outcome(console: Console, subject: Subject | None, outcome: FileOutcome) -> None:
    from shs_pipeline.cli.terminal import count_of, say

    show_errors(console, outcome.problems)
    if outcome.rows_read:
        left_out = ", ".join(f"{count} left out ({why})" for why, count in outcome.left_out.items())
        say(console, f"{count_of(outcome.rows_read, 'line')} read{', ' + left_out if left_out else ''}.")
    if subject is not None:
        _show_sums(console, subject.declaration, outcome)
    _show_totals(console, outcome)
    warnings = len(outcome.problems) - len(outcome.errors)
    also = f" ({count_of(warnings, 'warning')})" if warnings else ""
    if outcome.errors:
        say(console, f"It would be rejected: {count_of(len(outcome.errors), 'error')}{also}.", "bold red")
    else:
        say(console, f"It would be loaded{also}.", "green")


def show_errors(console: Console, found: Iterable[Problem | FileError], limit: int = _SHOWN) -> None:
    """Print problems as a table: sheet, row, column, value, what is wrong, how to fix it."""
    from rich.text import Text

    from shs_pipeline.cli.terminal import say, table_of

    rows: Sequence[Problem | FileError] = list(found)
    if not rows:
        return
    table = table_of(
        "Sheet", "Row", "Column", "Value", "What is wrong", "How to fix it",
        numbers=("Row",),
        prose=("Sheet", "Column", "Value", "What is wrong", "How to fix it"),
    )  # fmt: skip
    for one in rows[:limit]:
        style = "red" if one.severity == "error" else "yellow"
        problem = Text(one.problem, style=style)
        table.add_row(one.sheet, one.row, one.column, one.value, problem, one.remedy)
    table.show(console)
    if len(rows) > limit:
        say(console, f"… and {len(rows) - limit} more; the error workbook has all of them.", "dim")


def _show_sums(console: Console, declaration: Declaration, outcome: FileOutcome) -> None:
    from shs_pipeline.cli.terminal import dollars, say
    from shs_pipeline.contract import columns_of
    from shs_pipeline.copy_text import CopyLines
    from shs_pipeline.source import Source

    if not isinstance(outcome.lines, CopyLines) or not isinstance(declaration, Source):
        return
    from decimal import Decimal

    headers = {column.name: column.header for column in columns_of(declaration.rows)}
    sums = ", ".join(f"{headers[n]} {dollars(Decimal(v))}" for n, v in outcome.lines.sums.items())
    say(console, f"Sums: {sums} USD.")


def _show_totals(console: Console, outcome: FileOutcome) -> None:
    from shs_pipeline.cli.terminal import count_of, dollars, say, table_of

    if not outcome.totals:
        return
    differing = [total for total in outcome.totals if not total.agrees]
    if not differing:
        all_of_them = (
            f"All {len(outcome.totals)} printed totals agree"
            if outcome.totals[1:]
            else "The printed total agrees"
        )
        say(console, f"{all_of_them} with the lines.", "green")
        return
    say(console, f"{len(differing)} of {count_of(len(outcome.totals), 'printed total')} differ:", "yellow")
    table = table_of(
        "Sheet", "Row", "Total", "Column", "Printed", "Sum of lines",
        numbers=("Row", "Printed", "Sum of lines"),
        prose=("Sheet", "Total", "Column"),
        least=("Sheet", "Column"),
    )  # fmt: skip
    for total in differing[:_SHOWN]:
        amounts = (dollars(total.printed), dollars(total.computed))
        table.add_row(total.sheet, total.row, total.label, total.column, *amounts)
    table.show(console)


def _write_errors(
    console: Console, reader: FileReader, path: Path, file: SourceFile, outcome: FileOutcome
) -> None:
    from shs_pipeline.cli.terminal import say

    if path.suffix.lower() != ".xlsx":
        raise ShsError(
            f"{path} is not the name of a workbook.", "Use a name that ends in .xlsx after --errors-to."
        )
    if not outcome.problems:
        say(console, "There is no error to write into a workbook.")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, reader.error_workbook(file.name, file.content, outcome.problems))
    except OSError as error:
        raise ShsError(f"{path} cannot be written ({error.strerror}).", "Name another place.") from None
    say(console, f"Error workbook: {path}", is_copied=True)
