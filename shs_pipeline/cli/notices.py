"""`shs notices`: which notices were sent, and whether mail works."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from shs_pipeline.ingest.ingestion import Ingestion
    from shs_pipeline.notices.outbox import Shown
    from shs_pipeline.notices.sending import Told
    from shs_pipeline.settings.settings import Settings

PANEL = "Data"
_PATIENCE_SECONDS = 30
_LISTED = 20


def register(app: typer.Typer) -> None:
    """Add the group of commands to the program."""
    group = typer.Typer(rich_markup_mode="rich")
    group.command("send")(send)
    group.command("test")(test)

    @group.callback(invoke_without_command=True)
    def _notices(
        context: typer.Context,
        count: Annotated[
            int, typer.Option("--last", min=1, metavar="N", help="How many to list, newest first.")
        ] = _LISTED,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON, including the texts.")] = False,
    ) -> None:
        """List the notices sent: rejected files, failed runs, missing months, publications.

        Examples: [bold]shs notices --last 50[/bold], [bold]shs notices --json[/bold]
        """
        if context.invoked_subcommand is None:
            show(count, as_json)

    app.add_typer(group, name="notices", rich_help_panel=PANEL)


def show(count: int = _LISTED, as_json: bool = False) -> None:
    """Print the last notices, newest first."""
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.notices.outbox import recent

    _, job = _opened("notices")
    found = job.query(lambda connection: recent(connection, count))
    if as_json:
        typer.echo(json.dumps([_as_json(notice) for notice in found], indent=2))
        return
    console = results()
    if not found:
        say(console, "There are no notices yet. shs run and shs up send them when something happens.")
        return
    show_notices(console, found)


def send(
    now: Annotated[
        bool,
        typer.Option(
            "--now", help="Send now, without waiting for the pause between mails or the next retry."
        ),
    ] = False,
) -> None:
    """Check for new events and mail the notices that are due.

    The running system and [bold]shs run[/bold] do this automatically.

    Example: [bold]shs notices send --now[/bold]
    """
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.log import log_notices
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.notices.sending import tell

    settings, job = _opened("notices send")
    log_notices()
    told = tell(job, settings, at_once=now)
    console = results()
    say(console, f"{count_of(told.recorded, 'new notice')}, {count_of(told.mailed, 'mail')} sent.")
    show_told(console, told)
    if told.trouble:
        raise typer.Exit(1)


def test(
    recipient: Annotated[str, typer.Argument(metavar="ADDRESS", help="Your email address.")],
) -> None:
    """Send a test mail, or say why it cannot be sent.

    Example: [bold]shs notices test you@example.com[/bold]
    """
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.notices.sending import send_test
    from shs_pipeline.settings.settings import load_settings

    settings = load_settings()
    send_test(settings, recipient)
    say(results(), f"{settings.smtp_host} accepted the mail to {recipient}. Check the inbox.", "green")


def tell_after_run(console: Console, settings: Settings, job: Ingestion, *, is_done: bool = True) -> None:
    """Send notices about what `shs run` did; a mail that cannot be sent does not fail the run.

    Args:
        is_done: the run did everything there was to do.
    """
    from shs_pipeline.cli.log import log_notices
    from shs_pipeline.notices.sending import tell

    log_notices()
    show_told(console, tell(job, settings, is_done=is_done))


def tell_of_failure(settings: Settings, job: Ingestion, error: Exception) -> None:
    """Notify the admins that `shs run` failed, if the database can be reached."""
    from shs_pipeline.base.errors import ShsError
    from shs_pipeline.base.months import today
    from shs_pipeline.cli.log import log_notices
    from shs_pipeline.cli.terminal import remarks
    from shs_pipeline.notices.sending import tell
    from shs_pipeline.notices.texts import FailedRun

    said = str(error) if isinstance(error, ShsError) else f"A bug in shs ({type(error).__name__})."
    run = FailedRun(job.run_id, "shs run", said, today())
    log_notices()
    try:
        show_told(remarks(), tell(job, settings, [run]))
    except (ShsError, OSError):
        return  # the database is away, which the run itself says


def show_told(console: Console, told: Told) -> None:
    """Print in one line what happened to the notices."""
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import say

    if told.logged:
        say(console, f"{count_of(len(told.logged), 'notice')}, not mailed: shs notices", "dim")
    elif told.mailed:
        say(console, f"{count_of(told.mailed, 'mail')} sent: shs notices", "dim")
    for error in told.trouble[:1]:
        waiting = count_of(len(told.trouble), "mail")
        say(console, f"{waiting} not sent yet (shs notices). {error}", "yellow")


def show_notices(console: Console, notices: Sequence[Shown]) -> None:
    """Print notices as a table."""
    from shs_pipeline.cli.table import table_of

    table = table_of(
        "When (UTC)", "To", "What", "Sent", prose=("What", "Sent"), least=("Sent", "To"),
    )  # fmt: skip
    for notice in notices:
        table.add_row(
            f"{notice.created_at:%Y-%m-%d %H:%M}", notice.recipients, notice.subject, notice.standing
        )
    table.show(console)


def _as_json(notice: Shown) -> dict[str, str]:
    return {
        "created_at": notice.created_at.isoformat(),
        "kind": notice.kind,
        "recipients": notice.recipients,
        "subject": notice.subject,
        "body": notice.body,
        "standing": notice.standing,
    }


def _opened(command: str) -> tuple[Settings, Ingestion]:
    from shs_pipeline.ingest.job import open_job
    from shs_pipeline.settings.settings import load_settings

    settings = load_settings()
    return settings, open_job(settings, command, _PATIENCE_SECONDS)
