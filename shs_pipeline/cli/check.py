"""`shs check`: check a file against its contract without loading it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shs_pipeline.base.errors import ShsError, UnreadableFileError
from shs_pipeline.base.whole_files import write_whole
from shs_pipeline.cli.findings import show_findings_with
from shs_pipeline.cli.terminal import EXIT_REJECTED
from shs_pipeline.ingest.checking import Subject, file_reader, judge, refusal_of_place, subject_of

if TYPE_CHECKING:
    from rich.console import Console

    from shs_pipeline.file_reader.reader import FileReader
    from shs_pipeline.files.reading import Problem, SourceFile
    from shs_pipeline.files.source import Declaration, FileOutcome
    from shs_pipeline.ingest.overview import FileError

PANEL = "Data"
_SHOWN = 50


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(check)


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A supplier's file or a reference workbook.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="NAME", help="Source or reference table; by default guessed from its columns."
        ),
    ] = None,
    revenue_month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Revenue month you would give to shs drop.")
    ] = None,
    errors_to: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Write a workbook with the errors marked here (.xlsx)."),
    ] = None,
) -> None:
    """Check a file without loading it: every problem, the sums and the printed totals.

    For a reference workbook, it also shows what would look odd across all of them,
    with the money at stake.

    Exit code 3 if the file would be rejected. Whether it duplicates a loaded file
    is checked only during ingestion.

    Examples: [bold]shs check "March report.xlsx"[/bold],
    [bold]shs check report.xlsx --source novo --errors-to errors.xlsx[/bold]
    """
    from shs_pipeline.cli.arguments import file_content, month_typed
    from shs_pipeline.cli.terminal import remarks, results, say
    from shs_pipeline.files.reading import Problem, SourceFile
    from shs_pipeline.files.source import FileOutcome
    from shs_pipeline.settings.settings import load_settings

    settings = load_settings()
    given = month_typed(revenue_month, "--revenue-month") if revenue_month else None
    dropped = SourceFile(file.name, file_content(file))
    console = results()
    subject: Subject | None = None
    with file_reader(settings) as reader:
        try:
            subject = subject_of(settings, reader, file, dropped, source, given)
            say(console, f"{file.name} is checked as {subject.declaration.name} ({subject.because}).")
            outcome, doubts = judge(settings, reader, subject, dropped)
            for doubt in doubts:
                say(remarks(), doubt, "yellow")
        except UnreadableFileError as error:
            outcome = FileOutcome.rejected(Problem(error.problem, error.remedy))
        if source is None and (refusal := refusal_of_place(settings, file)):
            outcome = replace(outcome, problems=[refusal, *outcome.problems])
        _show_outcome(console, subject, outcome)
        if subject is not None:
            show_findings_with(console, settings, subject.declaration, outcome)
        if errors_to is not None:
            _write_errors(console, reader, errors_to, dropped, outcome)
    if outcome.errors:
        raise typer.Exit(EXIT_REJECTED)


def _show_outcome(console: Console, subject: Subject | None, outcome: FileOutcome) -> None:
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import say

    show_errors(console, outcome.problems)
    if outcome.rows_read:
        left_out = ", ".join(f"{count:,} ({why})" for why, count in outcome.left_out.items())
        lines = count_of(outcome.lines_found, "line")
        say(console, f"{lines} found{'; left out: ' + left_out if left_out else ''}.")
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

    from shs_pipeline.cli.table import table_of
    from shs_pipeline.cli.terminal import say

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
        say(console, f"… and {len(rows) - limit} more; the error workbook lists them all.", "dim")


def _show_sums(console: Console, declaration: Declaration, outcome: FileOutcome) -> None:
    from shs_pipeline.base.wording import dollars
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.files.contract import columns_of
    from shs_pipeline.files.reading import CopyLines
    from shs_pipeline.files.source import MonthlyFiles

    if not isinstance(outcome.lines, CopyLines) or not isinstance(declaration, MonthlyFiles):
        return
    from decimal import Decimal

    headers = {column.name: column.header for column in columns_of(declaration.rows)}
    sums = ", ".join(f"{headers[n]} {dollars(Decimal(v))}" for n, v in outcome.lines.sums.items())
    say(console, f"Sums: {sums} USD.")


def _show_totals(console: Console, outcome: FileOutcome) -> None:
    from shs_pipeline.base.wording import count_of, dollars, form_for
    from shs_pipeline.cli.table import table_of
    from shs_pipeline.cli.terminal import say

    if not outcome.totals:
        return
    differing = [total for total in outcome.totals if not total.agrees]
    if not differing:
        all_of_them = (
            f"All {len(outcome.totals)} printed totals match"
            if outcome.totals[1:]
            else "The printed total matches"
        )
        say(console, f"{all_of_them} the lines.", "green")
        return
    say(
        console,
        f"{len(differing)} of {count_of(len(outcome.totals), 'printed total')} "
        f"{form_for(len(differing), 'does', 'do')} not match the lines:",
        "yellow",
    )
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
        raise ShsError(f"{path} is not a workbook name.", "Give --errors-to a file name that ends in .xlsx.")
    if not outcome.problems:
        say(console, "There are no errors, so no error workbook was written.")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, reader.error_workbook(file.name, file.content, outcome.problems))
    except OSError as error:
        raise ShsError(f"{path} cannot be written ({error.strerror}).", "Choose another place.") from None
    say(console, f"Error workbook: {path}", is_copied=True)
