"""`shs reference`: the reference tables as workbooks."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.whole_files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rich.console import Console

    from shs_pipeline.ingest.ingestion import Ingestion
    from shs_pipeline.ingest.reference_rows import AcceptedVersion
    from shs_pipeline.marts.reference_history import TableVersion

PANEL = "Data"


def register(app: typer.Typer) -> None:
    """Add the group of commands to the program."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    group.command("export")(export)
    group.command("history")(history)

    @group.callback()
    def _reference() -> None:
        """Reference tables: reps, tiers, thresholds, objectives, territories, services."""

    app.add_typer(group, name="reference", rich_help_panel=PANEL)


def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write the workbooks into.")],
    force: Annotated[bool, typer.Option("--force", help="Replace existing workbooks.")] = False,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="DAY",
            help="As they were at the end of a day (2026-11-01), or at a time (2026-11-01T12:00; UTC).",
        ),
    ] = None,
) -> None:
    """Export each reference table in force as a workbook to edit and drop again.

    A table that has no accepted version yet becomes a workbook with headers only.

    Examples: [bold]shs reference export tables[/bold], edit, then
    [bold]shs drop tables/territories.xlsx --source territories --replace[/bold]; as they were:
    [bold]shs reference export before --as-of 2026-10-31[/bold]
    """
    from shs_pipeline.cli.arguments import moment_typed
    from shs_pipeline.ingest.job import open_job
    from shs_pipeline.ingest.reference_rows import table_rows, version_at
    from shs_pipeline.landing.names import REFERENCE_NAMES
    from shs_pipeline.settings.settings import load_settings

    at = moment_typed(as_of, "--as-of") if as_of is not None else None
    paths = {name: directory / f"{name}.xlsx" for name in REFERENCE_NAMES}
    _check_free(directory, [] if force else list(paths.values()))
    job = open_job(load_settings(), "reference export")
    versions = job.query(lambda connection: {name: version_at(connection, name, at) for name in paths})
    if at is not None and not any(versions.values()):
        raise _nothing_at(at, job)
    current = job.query(lambda connection: {name: table_rows(connection, name, at) for name in paths})
    _export(paths, current, versions, at)


def _nothing_at(at: datetime, job: Ingestion) -> ShsError:
    """Return what to say where no table had a version at a moment."""
    first = job.query(
        lambda connection: connection.execute(
            "select in_force_from, table_name from reference.versions order by 1, 2 limit 1"
        ).fetchone()
    )
    problem = f"No reference table was in force at {at:%Y-%m-%d %H:%M} UTC."
    if first is None:
        return ShsError(problem, "None has been accepted so far; shs check FILE says what is wrong with one.")
    return ShsError(problem, f"The first version, of {first[1]}, is of {first[0]:%Y-%m-%d %H:%M} UTC.")


def _export(
    paths: Mapping[str, Path],
    current: Mapping[str, Sequence[Mapping[str, object]]],
    versions: Mapping[str, AcceptedVersion | None],
    at: datetime | None,
) -> None:
    from shs_pipeline.cli.table import table_of
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.reference.export import workbooks_of

    books = workbooks_of(current, {})
    console = results()
    if at is not None:
        say(console, f"The reference tables as they were at {at:%Y-%m-%d %H:%M} UTC:")
    since = "In force since (UTC)"
    shown = table_of("Workbook", "Lines", since, numbers=("Lines",), least=(since,))
    for name, content in books.items():
        _write(paths[name], content)
        version = versions[name]
        begun = f"{version.in_force_from:%Y-%m-%d %H:%M}" if version else None
        shown.add_row(paths[name], len(current[name]) or "headers only", begun)
    shown.show(console)
    first = next(iter(paths))
    command = f"shs drop {shlex.quote(str(paths[first]))} --source {first} --replace"
    say(console, f"Edit a workbook and drop it again: {command}", is_copied=True)


# --- what became of a table ----------------------------------------------------------------


def history(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Reference table, such as territories.")],
    rows: Annotated[
        int, typer.Option("--rows", metavar="N", min=0, help="How many changed rows to show of each version.")
    ] = 0,
    last: Annotated[
        int, typer.Option("--last", metavar="N", min=1, help="How many versions to show, newest first.")
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show who changed a reference table, when, which rows, and what it did to pay.

    Times are UTC. A payout that one publication changed may have several reasons: what else was published
    with the version is named.

    Examples: [bold]shs reference history commission_tiers[/bold],
    with the rows: [bold]shs reference history territories --rows 20 --last 1[/bold]
    """
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.ingest.job import open_job
    from shs_pipeline.marts.reference_history import table_history
    from shs_pipeline.reference.names import table_meant
    from shs_pipeline.settings.settings import load_settings

    name = table_meant(table)
    job = open_job(load_settings(), "reference history")
    found = job.query(lambda connection: table_history(connection, name))
    if as_json:
        typer.echo(json.dumps([_as_json(version) for version in found[:last]], indent=2, default=str))
        return
    console = results()
    if not found:
        say(console, f"No version of {name} has been accepted yet. shs errors says whether one was rejected.")
    for version in found[:last]:
        _show_version(console, name, version, rows)
    if len(found) > last:
        say(console, f"\n… and {len(found) - last} earlier; --last {len(found)} shows all.", "dim")


def _show_version(console: Console, table: str, version: TableVersion, most: int) -> None:
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.marts.reference_history import effect_in_words, kind_of, row_in_words

    accepted = version.accepted
    by = accepted.actor or "(not recorded)"
    say(console, f"\nVersion {version.number}, {accepted.in_force_from:%Y-%m-%d %H:%M}, by {by}", "bold")
    counts = f"{version.count('added'):,} added, {version.count('changed'):,} changed"
    say(console, f"  {count_of(accepted.rows, 'row')}: {counts}, {version.count('removed'):,} removed")
    say(console, f"  {effect_in_words(version)}")
    for change in version.changes[:most]:
        say(console, f"    {kind_of(change)}: {row_in_words(table, change)}", "dim")
    if most and len(version.changes) > most:
        say(console, f"    … and {len(version.changes) - most} more", "dim")


def _as_json(version: TableVersion) -> dict[str, Any]:
    from dataclasses import asdict

    from shs_pipeline.marts.reference_history import effect_in_words

    return {
        "version": version.number,
        **asdict(version.accepted),
        "standing": version.standing,
        "changes": [asdict(change) for change in version.changes],
        "effect": asdict(version.effect) if version.effect else None,
        "in_words": effect_in_words(version),
    }


# --- files ---------------------------------------------------------------------------------


def _check_free(directory: Path, paths: list[Path]) -> None:
    if directory.exists() and not directory.is_dir():
        raise ShsError(f"{directory} is not a folder.", "Name a folder; it is created if it does not exist.")
    there = [path.name for path in paths if path.exists()]
    if there:
        raise ShsError(
            f"{directory} already contains {', '.join(there)}.",
            "Name another folder, or add --force to replace them.",
        )


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise ShsError(f"{path} cannot be written ({error.strerror}).", "Name another folder.") from None
