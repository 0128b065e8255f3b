"""`shs close`, `shs statement`, `shs verify`: end a month, and what each payee is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shs_pipeline.base.errors import ShsError

if TYPE_CHECKING:
    from rich.console import Console

    from shs_pipeline.closing.checklist import Checklist, Obstacle
    from shs_pipeline.closing.statement import Statement
    from shs_pipeline.closing.workbook import Wish
    from shs_pipeline.ingest.ingestion import Ingestion
    from shs_pipeline.settings.settings import Settings

PANEL = "Data"
_SHOWN = 20
_AMOUNTS = (
    "earned", "restated", "adjustments", "recovered", "brought_forward", "due", "paid", "carried_forward",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(rich_help_panel=PANEL)(close)
    app.command(rich_help_panel=PANEL)(statement)
    app.command(rich_help_panel=PANEL)(verify)


def close(
    month: Annotated[str, typer.Argument(metavar="YYYY-MM", help="Commission month.")],
    *,
    approved_by: Annotated[
        str | None, typer.Option(metavar="NAME", help="The admin who approves it, as in sales_reps.")
    ] = None,
    pay_date: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="Day on which it is paid.")
    ] = None,
    note: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why it closes although something is missing.")
    ] = None,
    reopen: Annotated[
        bool, typer.Option("--reopen", help="Open the last closed month again; needs --note.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Only show the checklist.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Close without asking.")] = False,
) -> None:
    """Close a commission month: from then on it is paid and never changes.

    Shows what holds it up and what each rep is paid, asks, adds the month to the
    workbook pay_periods in the landing zone, and runs. What is learned later is
    restated in the month that is open then.

    Examples: [bold]shs close 2026-10 --check[/bold],
    [bold]shs close 2026-10 --approved-by "Ada Head" --pay-date 2026-11-15[/bold],
    [bold]shs close 2026-10 --reopen --note "Wrong rate"[/bold]
    """
    from shs_pipeline.cli.arguments import month_typed
    from shs_pipeline.cli.terminal import check_agreed, results
    from shs_pipeline.closing.asking import check_close, check_reopen
    from shs_pipeline.closing.workbook import Wish
    from shs_pipeline.ingest.job import open_job
    from shs_pipeline.settings.settings import load_settings

    wanted = month_typed(month, "MONTH")
    day = _day_typed(pay_date) if pay_date else None
    settings = load_settings()
    job = open_job(settings, "close")
    console = results()
    check_any_publication(job)
    found = _checklist(job, wanted)
    show_checklist(console, found, is_reopened=reopen)
    if check:
        return
    if reopen and not note:
        raise ShsError("A month is opened again only with a reason.", "Add --note TEXT.")
    if reopen:
        job.query(lambda connection: check_reopen(connection, wanted))
    else:
        job.query(lambda connection: check_close(connection, found, day))
        _check_close(job, found, approved_by, note)
    if not yes:
        check_agreed(f"{'Open' if reopen else 'Close'} {month}?")
    _ask(console, settings, job, Wish(wanted, approved_by, day, note, is_closed=not reopen))


def statement(
    rep: Annotated[str, typer.Option("--rep", metavar="NAME", help="The rep, or a payee id.")],
    month: Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="Pay period.")],
    pdf: Annotated[Path | None, typer.Option("--pdf", metavar="FILE", help="Write it as a PDF.")] = None,
    xlsx: Annotated[
        Path | None, typer.Option("--xlsx", metavar="FILE", help="Write it as a workbook.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="DAY", help="As it was known at the end of this day, or at a time."),
    ] = None,
) -> None:
    """Show a rep's statement for a month: a closed one from the ledger, an open one as provisional.

    Examples: [bold]shs statement --rep "Dana Whitfield" --month 2026-10[/bold],
    [bold]shs statement --rep "Dana Whitfield" --month 2026-10 --pdf dana.pdf[/bold],
    [bold]shs statement --rep "Dana Whitfield" --month 2026-10 --as-of 2026-11-05[/bold]
    """
    from shs_pipeline.cli.arguments import moment_typed, month_typed
    from shs_pipeline.cli.terminal import results, say, write_file
    from shs_pipeline.ingest.job import open_job
    from shs_pipeline.settings.settings import load_settings

    job = open_job(load_settings(), "statement")
    check_any_publication(job)
    wanted = month_typed(month, "--month")
    if as_of is None:
        found = statement_of(job, rep, wanted)
    else:
        found, known = _statement_at(job, rep, wanted, moment_typed(as_of, "--as-of"))
        say(results(), known, "bold")
    if pdf is None and xlsx is None:
        _show_statement(results(), found)
    if pdf is not None:
        from shs_pipeline.closing.statement_pdf import statement_pdf

        write_file(pdf, statement_pdf(found))
    if xlsx is not None:
        from shs_pipeline.closing.statement_workbook import statement_workbook

        write_file(xlsx, statement_workbook(found))


def verify() -> None:
    """Check that what was handed out under paid/ is what was closed, and that no receipt is missing.

    Example: [bold]shs verify[/bold]
    """
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.closing.verifying import verify as verified
    from shs_pipeline.ingest.job import open_job
    from shs_pipeline.settings.settings import load_settings

    job = open_job(load_settings(), "verify")
    check_any_publication(job)
    console = results()
    found = job.query(lambda connection: verified(connection, job.landing))
    for fault in found.faults:
        say(console, fault, "bold red")
    if found.faults:
        raise ShsError(
            f"What was handed out does not fit what was closed ({count_of(len(found.faults), 'fault')}).",
            "Bring the files back from the bucket's older versions or from a backup. `shs run` hands out "
            "what never was.",
        )
    files = count_of(found.files, "file")
    say(console, f"{count_of(found.receipts, 'receipt')} and {files} are as they were handed out.", "green")


def statement_of(job: Ingestion, rep: str, month: date) -> Statement:
    """Return the statement of a rep, by name or payee id.

    Raises:
        ShsError: there is none.
    """
    from shs_pipeline.closing.reading import read_statements

    return _own(job.query(lambda connection: read_statements(connection, month)), rep, month)


def _statement_at(job: Ingestion, rep: str, month: date, moment: datetime) -> tuple[Statement, str]:
    """Return the statement as it was known at a moment, and whence that is known."""
    from shs_pipeline.closing.reading_past import statements_at

    found, known = job.query(lambda connection: statements_at(connection, month, moment))
    return _own(found, rep, month, " as of then"), known


def _own(found: Sequence[Statement], rep: str, month: date, when: str = "") -> Statement:
    from shs_pipeline.base.months import month_text
    from shs_pipeline.casting.cells import match_key

    own = [one for one in found if match_key(rep) in (match_key(one.rep_name), match_key(one.payee_id))]
    if not own:
        raise ShsError(
            f"{rep} has no statement for {month_text(month)}{when}.",
            f"Statements of that month: {', '.join(one.rep_name for one in found) or 'none'}.",
        )
    return own[0]


# --- closing -------------------------------------------------------------------------------


def check_any_publication(job: Ingestion) -> None:
    """Refuse to speak of closes where nothing was published yet."""
    from shs_pipeline.closing.checklist import has_closes

    if not job.query(has_closes):
        raise ShsError("Nothing that could be closed has been published yet.", "Run `shs run` first.")


def _checklist(job: Ingestion, month: date) -> Checklist:
    from shs_pipeline.closing.checklist import read_checklist

    return job.query(lambda connection: read_checklist(connection, month))


def _check_close(job: Ingestion, found: Checklist, approved_by: str | None, note: str | None) -> None:
    """Refuse what the build would hold up, before anything is written."""
    from shs_pipeline.base.months import month_text
    from shs_pipeline.casting.cells import match_key
    from shs_pipeline.closing.checklist import active_admins

    if not approved_by:
        raise ShsError("Nobody approved the month.", 'Add --approved-by "NAME", an active admin.')
    admins = job.query(active_admins)
    if match_key(approved_by) not in map(match_key, admins):
        raise ShsError(
            f"{approved_by} is not the name of an active admin, so nothing was changed.",
            f"Active admins: {', '.join(admins) or 'none; sales_reps has to name one'}.",
        )
    unanswered = [obstacle for obstacle in found.obstacles if obstacle.is_waivable]
    if unanswered and not note and found.state != "closed":
        raise ShsError(
            f"{month_text(found.month)} was not closed: {unanswered[0].problem}",
            f"{unanswered[0].remedy} Here that is --note TEXT.",
        )


def _day_typed(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ShsError(f"--pay-date {text!r} is not a day.", "Write it as 2026-11-15.") from None


def _ask(console: Console, settings: Settings, job: Ingestion, wish: Wish) -> None:
    """Put the wish into the workbook, run, and say what became of it."""
    from shs_pipeline.base.months import month_text
    from shs_pipeline.cli.run import load_and_publish
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.closing.workbook import put_wish
    from shs_pipeline.marts.guard import HeldBuildError

    put_wish(job, wish)
    try:
        load_and_publish(console, settings, job)
    except HeldBuildError:
        say(
            console,
            f"{month_text(wish.month)} was not {'closed' if wish.is_closed else 'opened again'}.",
            "bold red",
        )
        raise
    found = _checklist(job, wish.month)
    if (found.state == "closed") == wish.is_closed:
        say(console, f"{month_text(wish.month)} is {found.state or 'open'}.", "green")
        return
    holding = next((obstacle for obstacle in found.obstacles if obstacle.is_holding), None)
    done = "not closed" if wish.is_closed else "not opened again"
    raise ShsError(
        f"{month_text(wish.month)} was {done}{': ' + holding.problem if holding else '.'}",
        holding.remedy if holding else "See what is rejected above.",
    )


# --- in words ------------------------------------------------------------------------------


def show_checklist(console: Console, found: Checklist, *, is_reopened: bool = False) -> None:
    """Print what is known of a month before it closes."""
    from shs_pipeline.base.months import month_text
    from shs_pipeline.base.wording import count_of, dollars
    from shs_pipeline.cli.terminal import say

    say(console, f"Commission month {month_text(found.month)}: {found.state or 'nothing there'}", "bold")
    if found.state == "closed" and not is_reopened:
        say(console, "It is closed already; what follows is what was stated.", "yellow")
    show_obstacles(console, found.obstacles)
    for group in found.uncredited:
        say(
            console,
            f"  {count_of(group.lines, 'line')} {group.reason}: {dollars(group.sales)} of sales",
            "yellow",
        )
    for words in found.restated[:_SHOWN]:
        say(console, f"  {words}")
    if len(found.restated) > _SHOWN:
        say(console, f"  … and {count_of(len(found.restated) - _SHOWN, 'more restatement')}.")
    _show_payees(console, found)


def show_obstacles(console: Console, obstacles: Sequence[Obstacle]) -> None:
    """Print what has to be answered, each with how to fix it."""
    from shs_pipeline.cli.terminal import say

    for obstacle in obstacles:
        say(console, f"  {obstacle.problem} {obstacle.remedy}", "yellow")


def _show_payees(console: Console, found: Checklist) -> None:
    from shs_pipeline.base.wording import dollars
    from shs_pipeline.cli.table import table_of

    headings = [name.replace("_", " ").capitalize() for name in _AMOUNTS]
    least = ("Recovered", "Adjustments", "Carried forward", "Brought forward")
    table = table_of("Rep", *headings, numbers=headings, least=least)
    for payee in found.payees:
        table.add_row(payee.rep_name, *(dollars(getattr(payee, name)) for name in _AMOUNTS))
    totals = (sum((getattr(payee, name) for payee in found.payees), Decimal(0)) for name in _AMOUNTS)
    table.add_row("All", *map(dollars, totals))
    table.show(console)


def _show_statement(console: Console, found: Statement) -> None:
    from shs_pipeline.base.wording import dollars
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.closing.statement_text import statement_text

    for line in statement_text(found, console.width):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    # The payee's copies leave out the names of files, which may name others.
    for item in found.items:
        if item.place:
            say(console, f"{dollars(item.amount)} is from {item.place}.", "dim", is_copied=True)
