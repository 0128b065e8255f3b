"""What the commands say of a build that is held: what it would change, and who accepts it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

    import psycopg
    from rich.console import Console

    from shs_pipeline.marts.guard import HeldBuild
    from shs_pipeline.marts.held_payouts import ShownPayout

_CAUSES_SHOWN = 20


def this_user() -> str:
    """Return who runs the command, for the books."""
    import os

    from shs_pipeline.landing.listing import owner_of

    return owner_of(os.getuid())


def show_changes(console: Console, held: HeldBuild, lines: int | None = None) -> None:
    """Print what a held build would change: amounts per rep and month, lines, and what causes it.

    Args:
        lines: how many lines to show for each reason; None: no reasons, as after a run.
    """
    from shs_pipeline.base.months import month_text
    from shs_pipeline.base.wording import dollars
    from shs_pipeline.cli.table import table_of
    from shs_pipeline.cli.terminal import say

    if held.payouts:
        say(console, "Closed months, in USD", "bold")
        numbers = ("Published", "Held", "Difference")
        table = table_of("Rep", "Month", "Product line", *numbers, numbers=numbers, least=("Product line",))
        for one in held.payouts:
            amounts = (dollars(one.published), dollars(one.held), f"{one.held - one.published:+,.2f}")
            table.add_row(one.rep_name, month_text(one.commission_month), one.product_line, *amounts)
        total = sum((one.held - one.published for one in held.payouts), Decimal(0))
        table.add_row("All", "", "", "", "", f"{total:+,.2f}")
        table.show(console)
    if lines is not None:
        for one in held.payouts:
            _show_reasons(console, one, lines)
    for title, found in (("Lines taken away", held.lost), ("What changed since", held.causes)):
        if found:
            say(console, f"{title}:", "bold")
        for words in found[:_CAUSES_SHOWN]:
            say(console, f"  {words}", is_copied=True)
        if len(found) > _CAUSES_SHOWN:
            say(console, f"  … and {len(found) - _CAUSES_SHOWN} more.")


def _show_reasons(console: Console, payout: ShownPayout, most: int) -> None:
    """Print why a payout would change, as `shs diff` does."""
    from shs_pipeline.base.months import month_text
    from shs_pipeline.cli.reasons import show_reason
    from shs_pipeline.cli.terminal import say

    if not payout.parts:
        return
    title = f"{payout.rep_name}, {payout.product_line}, {month_text(payout.commission_month)}"
    say(console, f"\n{title}: {payout.held - payout.published:+,.2f}", "bold")
    for part in payout.parts:
        shown = [(found.amount, found.words) for found in part.lines[:most]]
        show_reason(console, part.amount, part.words, shown, part.line_count)


def show_held(rep: str | None, months: tuple[date, date] | None, lines: int, as_json: bool) -> None:
    """Print the build that is held now, for `shs diff held`.

    Args:
        rep: the amounts of this rep only.
        months: the amounts of commission months from the first to the second only.
        lines: how many lines to show for each reason.
    """
    import json

    import typer

    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.ingest.job import open_job
    from shs_pipeline.marts.guard import held_build, payouts_of
    from shs_pipeline.settings.settings import load_settings

    def found(connection: psycopg.Connection) -> HeldBuild | None:
        held = held_build(connection)
        return held and replace(held, payouts=payouts_of(connection, held, rep, months))

    held = open_job(load_settings(), "diff").query(found)
    if as_json:
        typer.echo(json.dumps(held_as_json(held), indent=2))
        return
    console = results()
    if held is None:
        say(console, "No build is held.", "green")
        return
    say(console, held.problem, "yellow")
    if (rep or months) and not held.payouts:
        say(console, "None of the closed months asked for would change.")
    show_changes(console, held, lines)
    say(console, held.remedy)


def held_as_json(held: HeldBuild | None) -> dict[str, Any] | None:
    """Return a held build for programs; amounts are text."""
    from shs_pipeline.marts.held_payouts import as_json

    if held is None:
        return None
    return {
        "problem": held.problem,
        "remedy": held.remedy,
        "payouts": [
            shown | {"difference": str(one.held - one.published)}
            for one, shown in zip(held.payouts, as_json(held.payouts), strict=True)
        ],
        "lost": list(held.lost),
        "causes": list(held.causes),
    }
