"""`shs new-source`: the code files of a new source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shs_pipeline.base.errors import ShsError

if TYPE_CHECKING:
    from rich.console import Console

    from shs_pipeline.file_reader.layout.model import Layout, Role
    from shs_pipeline.files.reading import SourceFile
    from shs_pipeline.files.source import FileOutcome

PANEL = "Development"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("new-source", rich_help_panel=PANEL)(new_source)


def new_source(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Lower case with underscores, such as acme_medical.")
    ],
    title: Annotated[
        str | None, typer.Option(metavar="TITLE", help="Display name; made from NAME by default.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="A real file (.xlsx) to guess the columns from."),
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Remove everything that was written and has not been edited since.")
    ] = False,
) -> None:
    """Add a new source: its module, sample, tests and models, and its entries in the lists.

    The new source works at once. With --from it reads that file, and marks what
    you have to decide; without it, replace the example columns with the real
    file's.

    Examples:
    [bold]shs new-source acme_medical --title "Acme Medical" --from "March report.xlsx"[/bold],
    [bold]shs new-source acme_medical --undo[/bold]
    """
    from shs_pipeline.cli.terminal import results
    from shs_pipeline.settings.settings import project_root

    console, root = results(), project_root()
    if undo:
        _undo(console, root, name, is_alone=title is None and file is None)
        return
    if file is None:
        _show_written(console, root, name, title, None)
    else:
        _from_file(console, root, name, title, file)


def _undo(console: Console, root: Path, name: str, *, is_alone: bool) -> None:
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.scaffold.record import undo

    if not is_alone:
        raise ShsError("--undo takes no other options.", f"Run shs new-source {name} --undo.")
    for place in undo(root, name, lambda: _check_nothing_is_loaded(name)):
        say(console, f"{'Removed' if not (root / place).exists() else 'As before'}:  {place}")


def _check_nothing_is_loaded(name: str) -> None:
    """Refuse to undo a source with loaded lines: without it, nothing could be published.

    Raises:
        ShsError: some of its files are loaded.
    """
    from shs_pipeline.database.connection import connect
    from shs_pipeline.database.databases import are_made, prepare
    from shs_pipeline.ingest.loaded_sources import loaded_sources
    from shs_pipeline.settings.settings import load_settings

    settings = load_settings()
    if not are_made(settings):
        return
    url = prepare(settings).warehouse_url.get_secret_value()
    with connect(url, settings.database_wait_seconds) as connection:
        loaded = [source for source in loaded_sources(connection) if source.name == name]
    if loaded:
        raise ShsError(
            f"{loaded[0].words}. Nothing was undone.",
            f"Delete what lies in incoming/{name}, withdraw its lines with `shs run --accept`, and try "
            "again.",
        )


def _from_file(console: Console, root: Path, name: str, title: str | None, path: Path) -> None:
    """Guess the layout in the reading process, write the source, and have it read the file."""
    from shs_pipeline.cli.arguments import file_content
    from shs_pipeline.files.reading import SourceFile
    from shs_pipeline.ingest.checking import file_reader
    from shs_pipeline.scaffold.new_source import check_can_be_scaffolded
    from shs_pipeline.settings.settings import load_settings

    settings = load_settings()
    check_can_be_scaffolded(root, name)
    dropped, most = SourceFile(path.name, file_content(path)), settings.max_file_mb * 2**20
    with file_reader(settings) as reader:
        layout = reader.layout(dropped, most)
    _show_layout(console, path.name, layout)
    _show_written(console, root, name, title, layout)
    # Another process: the first one was started before there was this source.
    with file_reader(settings) as reader:
        _show_proof(console, reader.read(name, _with_month(dropped, layout), most))


def _with_month(file: SourceFile, layout: Layout) -> SourceFile:
    """Return the file as it is dropped: one without a date names its revenue month."""
    from dataclasses import replace

    from shs_pipeline.base.months import today

    return file if layout.header_of("date") else replace(file, revenue_month=today().replace(day=1))


def _show_written(console: Console, root: Path, name: str, title: str | None, layout: Layout | None) -> None:
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.scaffold.new_source import scaffold

    done = scaffold(root, name, title, layout)
    for path in done.written:
        say(console, f"Written:  {path.relative_to(root)}")
    for path in done.edited:
        say(console, f"Edited:   {path.relative_to(root)}")
    if done.decisions:
        say(console, "\nFor you to decide, each in a marked line:", "bold")
        for place, what in done.decisions:
            say(console, f"  {place}: {what}", is_copied=True)
    say(console, "\nNext:", "bold")
    for number, step in enumerate(done.next_steps, start=1):
        say(console, f"  {number}. {step}", is_copied=True)


_ROLES: dict[Role, str] = {
    "customer": "territory key",
    "customer_name": "customer's name",
    "invoice": "invoice",
    "item": "item",
    "quantity": "quantity",
    "date": "revenue date",
    "sales": "dollars sold",
    "rate": "rate",
    "earned": "dollars earned",
    "rep": "rep, not used",
}


def _show_layout(console: Console, name: str, layout: Layout) -> None:
    """Print what was guessed, and why."""
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.table import table_of
    from shs_pipeline.cli.terminal import say

    say(console, f"Guessed from {name}, sheet {layout.sheet}, header in row {layout.header_row}:", "bold")
    table = table_of("Column", "Holds", "Because", "Is", prose=("Column", "Because", "Is"))
    for column in layout.columns:
        fits = f"{column.fitting} of {column.filled} cells" if column.filled else "no cell"
        once = ", printed once per group" if column.is_grouped else ""
        roles = [
            f"{said} ({'sure' if found.is_sure else 'a guess'})"
            for role, said in _ROLES.items()
            if (found := layout.roles.get(role)) and found.header == column.header
        ]
        table.add_row(column.header, column.kind, f"{fits}, {column.because}{once}", ", ".join(roles))
    table.show(console)
    for one in layout.left_out:
        say(console, f"Not read: {one}.", "yellow")
    rows = [count_of(layout.lines, "line"), count_of(layout.totals, "total")]
    if layout.plain_totals:
        rows.append(count_of(layout.plain_totals, "total") + " without a word")
    if layout.others:
        rows.append(count_of(layout.others, "other row"))
    say(console, f"{', '.join(rows)}.\n")


def _show_proof(console: Console, outcome: FileOutcome) -> None:
    """Print how the new source reads the file."""
    from shs_pipeline.base.wording import count_of, form_for
    from shs_pipeline.cli.check import show_errors
    from shs_pipeline.cli.terminal import say

    show_errors(console, outcome.problems)
    read = count_of(outcome.lines_found, "line")
    agree = sum(total.agrees for total in outcome.totals)
    of = count_of(len(outcome.totals), "printed total")
    totals = f"; {agree} of {of} {form_for(agree, 'matches', 'match')}" if outcome.totals else ""
    if outcome.errors:
        say(
            console,
            f"\nThe new source cannot read the file yet: {count_of(len(outcome.errors), 'error')}.",
            "bold red",
        )
    else:
        style = "green" if agree == len(outcome.totals) else "yellow"
        say(console, f"\nThe new source reads the file: {read}{totals}.", style)
