"""`shs payroll`: whom a closed month pays what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from shs_pipeline.closing.payroll_files import PayrollPayee
    from shs_pipeline.closing.statement import Statement

PANEL = "Data"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(payroll)


def payroll(
    month: Annotated[str, typer.Argument(metavar="YYYY-MM", help="Pay period; a month that is closed.")],
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write it as CSV.")] = None,
    xlsx: Annotated[
        Path | None, typer.Option("--xlsx", metavar="FILE", help="Write it as a workbook, with a journal.")
    ] = None,
) -> None:
    """Show whom a closed month pays what, or write the files that payroll gets.

    It is what was handed out under paid/ when the month was closed, to the byte.

    Examples: [bold]shs payroll 2026-10[/bold],
    [bold]shs payroll 2026-10 --csv payroll.csv[/bold]
    """
    from shs_pipeline.cli.arguments import month_typed
    from shs_pipeline.cli.close import check_any_publication
    from shs_pipeline.cli.terminal import results, write_file
    from shs_pipeline.closing.payroll import payroll_of
    from shs_pipeline.closing.payroll_files import payroll_csv, payroll_workbook
    from shs_pipeline.ingest.job import open_job
    from shs_pipeline.settings.settings import load_settings

    job = open_job(load_settings(), "payroll")
    check_any_publication(job)
    wanted = month_typed(month, "YYYY-MM")
    statements, payees = job.query(lambda connection: payroll_of(connection, wanted))
    if csv is None and xlsx is None:
        _show(results(), statements, payees)
    if csv is not None:
        write_file(csv, payroll_csv(statements, payees))
    if xlsx is not None:
        write_file(xlsx, payroll_workbook(statements, payees))


def _show(console: Console, statements: Sequence[Statement], payees: Mapping[str, PayrollPayee]) -> None:
    from shs_pipeline.base.wording import count_of, dollars
    from shs_pipeline.cli.table import table_of
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.closing.payroll_files import PayrollPayee

    table = table_of(
        "Name", "Payroll Code", "Paid As", "Paid", "This Year", "Pay Date",
        numbers=("Paid", "This Year"), prose=("Name",), least=("Paid As", "Payroll Code"),
    )  # fmt: skip
    paid, owed = Decimal(0), []
    for one in sorted(statements, key=lambda statement: (statement.rep_name, statement.payee_id)):
        amounts, payee = one.amounts, payees.get(one.payee_id, PayrollPayee())
        paid += amounts.paid
        if amounts.due < 0:
            owed.append(f"{one.rep_name} {dollars(-amounts.due)}")
            continue
        year = dollars(payee.paid_earlier + amounts.paid)
        table.add_row(
            one.rep_name, payee.payroll_code, payee.paid_as, dollars(amounts.paid), year, one.pay_date
        )
    table.show(console)
    say(console, f"Paid in all: {dollars(paid)} USD.")
    if owed:
        say(console, f"Owed to the company by {count_of(len(owed), 'payee')}: {', '.join(owed)}.", "yellow")
