"""`shs backup` and `shs restore`: save the warehouse to a folder, and load it back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from shs_pipeline.base.errors import ShsError
    from shs_pipeline.system.backup import Backup
    from shs_pipeline.system.bucket_list import BucketDifference
    from shs_pipeline.system.restore import Restored

PANEL = "The system"
_PATHS_SHOWN = 10
_LOGINS_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(rich_help_panel=PANEL)(backup)
    app.command(rich_help_panel=PANEL)(restore)


def backup(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDER]", help="Where to create the backup folder; SHS_HOME/backups by default."
        ),
    ] = None,
) -> None:
    """Back up the warehouse and a list of the bucket's files into a new folder.

    The folder appears only once it is complete. It holds no passwords, and not
    the bucket's files themselves.

    Examples: [bold]shs backup[/bold], or onto another disk: [bold]shs backup /mnt/backups[/bold]
    """
    from shs_pipeline.cli.terminal import results
    from shs_pipeline.settings.settings import load_settings
    from shs_pipeline.system.backup import backup_from_settings

    made = backup_from_settings(load_settings(), folder.absolute() if folder else None)
    _show_backup(results(), made)


def restore(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The backup's folder, as shs backup printed it.")
    ],
) -> None:
    """Restore a backup into the empty database named in the settings, and let people log in again.

    Refused if the warehouse holds anything. Logins whose passwords are not in the
    store get new ones.

    Example: [bold]shs restore var/backups/shs-2025-03-01T020000Z[/bold]
    """
    from shs_pipeline.cli.main import EXIT_PROBLEM
    from shs_pipeline.cli.terminal import results
    from shs_pipeline.settings.settings import load_settings
    from shs_pipeline.system.restore import restore_from_settings

    restored = restore_from_settings(load_settings(), folder.absolute())
    _show_restored(results(), restored)
    if restored.login_problem or restored.bucket_problem:
        raise typer.Exit(EXIT_PROBLEM)


def _show_backup(console: Console, made: Backup) -> None:
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import say

    summary = made.summary
    rows = sum(table.rows for table in summary.tables.values())
    size = sum(path.stat().st_size for path in made.folder.iterdir())
    say(console, f"Backed up to {made.folder}", "green")
    say(
        console,
        f"{count_of(rows, 'row')} in {count_of(len(summary.tables), 'table')}, {size / 1e6:,.1f} MB; "
        f"the list of the bucket names {count_of(summary.files, 'file')}.",
    )
    if summary.publication_id is None:
        say(console, "No marts have been published yet.", "yellow")
    _show_paths(console, "Loaded, but no longer in the bucket", made.missing)
    _show_paths(console, "In the bucket, but not ingested yet (shs run ingests it)", made.unread)


def _show_restored(console: Console, restored: Restored) -> None:
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import say

    summary = restored.summary
    rows = sum(table.rows for table in summary.tables.values())
    say(console, f"Restored the state of {summary.made_at}: {count_of(rows, 'row')}.", "green")
    say(console, "Checked against the backup: every table's rows, and every mart's sums and contents, match.")
    _show_logins(console, restored)
    if restored.bucket is not None:
        _show_bucket(console, restored.bucket)
        _show_next_run(console, restored)
    else:
        _show_problem(console, restored.bucket_problem)


def _show_logins(console: Console, restored: Restored) -> None:
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import say

    if restored.login_problem is not None:
        _show_problem(console, restored.login_problem)
        say(
            console,
            "The data is restored. Fix this, then run shs access sync to create the logins.",
            "yellow",
        )
        return
    # The books name roles of where the backup was made; that those are not touched needs no line for each.
    changes = [change for change in restored.logins if change.what != "forgotten"]
    for change in changes[:_LOGINS_SHOWN]:
        say(console, change.detail, "dim")
    if len(changes) > _LOGINS_SHOWN:
        say(
            console,
            f"… and {count_of(len(changes) - _LOGINS_SHOWN, 'more change')}; shs access lists everyone.",
        )
    if any(change.what in ("created", "password", "enabled") for change in changes):
        say(
            console,
            "New passwords were created. shs access url PERSON --show prints a person's URL with theirs.",
        )


def _show_bucket(console: Console, difference: BucketDifference) -> None:
    from shs_pipeline.cli.terminal import say

    if not (difference.gone or difference.new or difference.changed):
        say(console, "The bucket holds the same files as at the time of the backup.")
    _show_paths(console, "No longer in the bucket", difference.gone)
    _show_paths(console, "Changed since", difference.changed)
    _show_paths(console, "New since", difference.new)


def _show_next_run(console: Console, restored: Restored) -> None:
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import say

    _show_paths(console, "The next shs run reads", restored.next_folders, "folder")
    if restored.is_redefined:
        say(console, "The models have changed since the backup, so the next shs run rebuilds every mart.")
    elif not restored.next_folders:
        say(console, f"The next shs run finds nothing new in {count_of(restored.summary.files, 'file')}.")


def _show_paths(console: Console, title: str, paths: Sequence[str], noun: str = "file") -> None:
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import say

    if not paths:
        return
    say(console, f"{title}: {count_of(len(paths), noun)}.", "yellow")
    for path in paths[:_PATHS_SHOWN]:
        say(console, f"  {path}")
    if len(paths) > _PATHS_SHOWN:
        say(console, f"  … and {len(paths) - _PATHS_SHOWN} more.")


def _show_problem(console: Console, problem: ShsError | None) -> None:
    from shs_pipeline.cli.terminal import say

    if problem is not None:
        say(console, f"{problem.problem} {problem.remedy}", "bold red")
