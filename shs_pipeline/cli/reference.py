"""`shs reference`: the reference tables as workbooks."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from shs_pipeline.errors import ShsError
from shs_pipeline.whole_files import write_whole

PANEL = "Data"


def register(app: typer.Typer) -> None:
    """Add the group of commands to the program."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    group.command("export")(export)

    @group.callback()
    def _reference() -> None:
        """Reference tables: reps, tiers, thresholds, objectives, territories, services."""

    app.add_typer(group, name="reference", rich_help_panel=PANEL)


def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write the workbooks into.")],
    force: Annotated[bool, typer.Option("--force", help="Replace workbooks that are there.")] = False,
) -> None:
    """Write the version in force of each reference table as a workbook to edit and drop again.

    A table that was never accepted becomes a workbook with headers only.

    Example: [bold]shs reference export tables[/bold], edit, then
    [bold]shs drop tables/territories.xlsx --source territories --replace[/bold]
    """
    from shs_pipeline.cli.run import open_job
    from shs_pipeline.cli.terminal import results, say, table_of
    from shs_pipeline.overview import table_rows
    from shs_pipeline.reference import NAMES, all_tables
    from shs_pipeline.reference_export import choices_of, export_workbook
    from shs_pipeline.settings import load_settings

    paths = {name: directory / f"{name}.xlsx" for name in NAMES}
    _check_free(directory, [] if force else list(paths.values()))
    job = open_job(load_settings(), "reference export")
    current = job.query(lambda connection: {name: table_rows(connection, name) for name in NAMES})
    books = {
        table.name: export_workbook(table, current[table.name], choices_of(table, current))
        for table in all_tables()
    }
    shown = table_of("Workbook", "Lines", numbers=("Lines",))
    for name, content in books.items():
        _write(paths[name], content)
        shown.add_row(paths[name], len(current[name]) or "headers only")
    console = results()
    shown.show(console)
    command = f"shs drop {shlex.quote(str(paths[NAMES[0]]))} --source {NAMES[0]} --replace"
    say(console, f"Edit one and drop it again: {command}", is_copied=True)


def _check_free(directory: Path, paths: list[Path]) -> None:
    if directory.exists() and not directory.is_dir():
        raise ShsError(f"{directory} is not a folder.", "Name a folder; it is created if need be.")
    there = [path.name for path in paths if path.exists()]
    if there:
        raise ShsError(
            f"{directory} holds {', '.join(there)} already.",
            "Name another folder, or add --force to replace them.",
        )


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise ShsError(f"{path} cannot be written ({error.strerror}).", "Name another folder.") from None
