"""`shs adjust`: pay a rep something besides commissions, or take something back."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from shs_pipeline.base.errors import ShsError

if TYPE_CHECKING:
    from datetime import date

    from rich.console import Console

    from shs_pipeline.ingest.ingestion import Ingestion
    from shs_pipeline.settings.settings import Settings

PANEL = "Data"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(adjust)


def adjust(
    *,
    rep: Annotated[str, typer.Option("--rep", metavar="NAME", help="The rep, as in sales_reps.")],
    month: Annotated[
        str, typer.Option("--month", metavar="YYYY-MM", help="Pay period; a month that is still open.")
    ],
    amount: Annotated[
        str, typer.Option("--amount", metavar="USD", help="What is paid; negative to take back.")
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, as the rep reads it.")],
    kind: Annotated[
        str,
        typer.Option(metavar="KIND", help="bonus, correction, draw, clawback, expense or other."),
    ] = "other",
    product_line: Annotated[
        str | None, typer.Option("--product-line", metavar="NAME", help="What it is about, if anything.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="TEXT", help="A number or name to find it by.")
    ] = None,
    approved_by: Annotated[
        str | None, typer.Option("--approved-by", metavar="NAME", help="The admin who approves it.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write it without asking.")] = False,
) -> None:
    """Pay a rep something besides commissions, or take something back.

    Shows the adjustment, asks, writes it as a new file into incoming/adjustments/, and
    runs. It is on the rep's statement of that month. A draw is an advance: it is paid
    at once and recovered from later months.

    Examples:
    [bold]shs adjust --rep "Dana Whitfield" --month 2026-10 --amount 250 --kind bonus
    --reason "Trade fair in Dallas" --approved-by "Ada Head"[/bold],
    [bold]shs adjust --rep "Dana Whitfield" --month 2026-10 --amount 500 --kind draw
    --reason "Slow start" --approved-by "Ada Head"[/bold],
    [bold]shs adjust --rep "Dana Whitfield" --month 2026-10 --amount -80 --kind clawback
    --reason "Returned in March" --reference RMA-7 --approved-by "Ada Head"[/bold]
    """
    from shs_pipeline.cli.arguments import month_typed
    from shs_pipeline.cli.terminal import check_agreed, results, say
    from shs_pipeline.closing.adjusting import adjustment_file
    from shs_pipeline.ingest.job import open_job
    from shs_pipeline.settings.settings import load_settings

    wanted = month_typed(month, "--month")
    if not approved_by:
        raise ShsError("Nobody approved the adjustment.", 'Add --approved-by "NAME", an active admin.')
    row = {
        "sales_rep_name": rep,
        "product_line": product_line,
        "amount": _amount_typed(amount),
        "kind": kind,
        "reason": reason,
        "approved_by": approved_by,
        "reference": reference,
    }
    settings = load_settings()
    job = open_job(settings, "adjust")
    path, content = adjustment_file(job, wanted, row)
    console = results()
    say(console, _in_words(row, month), "bold")
    if not yes:
        check_agreed("Write it?")
    job.landing.write(path, content)
    _run(console, settings, job, path)
    _show_statement(console, job, rep, wanted)


def _amount_typed(text: str) -> Decimal:
    from shs_pipeline.casting.amounts import amount_from_text
    from shs_pipeline.casting.cells import CastError

    try:
        amount = amount_from_text(text)
    except CastError as error:
        raise ShsError(f"--amount {text!r}: {error.problem}", error.remedy) from None
    if amount is None:
        raise ShsError("--amount is empty.", "Type dollars and cents, such as 250.00.")
    return amount


def _in_words(row: Mapping[str, object], month: str) -> str:
    """Return the adjustment as a sentence."""
    from shs_pipeline.base.wording import dollars

    amount = row["amount"]
    assert isinstance(amount, Decimal)
    of = f" for {row['product_line']}" if row["product_line"] else ""
    reference = f" Reference {row['reference']}." if row["reference"] else ""
    kind = str(row["kind"]).strip().capitalize()
    return (
        f"{kind} of {dollars(amount)} to {row['sales_rep_name']}{of} with {month}: {row['reason']}."
        f"{reference} Approved by {row['approved_by']}."
    )


def _run(console: Console, settings: Settings, job: Ingestion, path: str) -> None:
    """Load the file and publish.

    Raises:
        ShsError: it was rejected after all.
    """
    from shs_pipeline.cli.run import load_and_publish
    from shs_pipeline.ingest.overview import rejected_now

    load_and_publish(console, settings, job)
    rejected = next((file for file in job.query(rejected_now) if file.path == path), None)
    if rejected is not None:
        raise ShsError(
            f"{path} was rejected: {rejected.first.problem}", f"{rejected.first.remedy} Delete that file."
        )


def _show_statement(console: Console, job: Ingestion, rep: str, month: date) -> None:
    from shs_pipeline.base.months import month_text
    from shs_pipeline.base.wording import dollars
    from shs_pipeline.cli.close import statement_of
    from shs_pipeline.cli.terminal import say

    found = statement_of(job, rep, month)
    amounts = found.amounts
    say(
        console,
        f"{found.rep_name}, {month_text(month)}: adjustments of {dollars(amounts.adjustments)}, "
        f"{dollars(amounts.due)} due, {dollars(amounts.paid)} to be paid.",
        "green",
    )
