"""`shs diff`: what changed in the payouts between two published states, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import Console

    from shs_pipeline.payout_diff import Comparison, Line, LineChange, Part, PayoutChange

PANEL = "Data"
_LINES_SHOWN = 5
_POINT = "A time (2026-11-01, 2026-11-01T12:00; UTC), a publication (3) or a run id"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(diff)


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help=f"{_POINT}.")],
    second: Annotated[str, typer.Argument(metavar="[B]", help="The same, later than A.")] = "now",
    rep: Annotated[str | None, typer.Option("--rep", metavar="NAME", help="Only this rep.")] = None,
    lines: Annotated[
        int, typer.Option("--lines", metavar="N", min=0, help="Lines shown for each reason.")
    ] = _LINES_SHOWN,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, for programs.")] = False,
) -> None:
    """Say which payouts changed between two published states, and why, to the cent.

    All months are commission months, all amounts US dollars.

    Examples: [bold]shs diff 2026-11-01[/bold] until now, [bold]shs diff 2026-11-01 2026-11-15T12:00[/bold],
    between two publications: [bold]shs diff 2 3 --rep "Dana Whitfield"[/bold]
    """
    from shs_pipeline.cli.explain import open_published
    from shs_pipeline.cli.terminal import results
    from shs_pipeline.explain import rep_named
    from shs_pipeline.payout_diff import compare_payouts, state_at
    from shs_pipeline.settings import load_settings

    job = open_published(load_settings(), "diff")
    comparison = job.query(
        lambda connection: compare_payouts(
            connection,
            state_at(connection, first),
            state_at(connection, second),
            rep_named(connection, rep) if rep is not None else None,
        )
    )
    if as_json:
        typer.echo(json.dumps(_as_json(comparison), indent=2, default=str))
        return
    console = results()
    _show_summary(console, comparison)
    for change in comparison.changes:
        _show_change(console, change, lines)


def _show_summary(console: Console, comparison: Comparison) -> None:
    from shs_pipeline.cli.terminal import count_of, say
    from shs_pipeline.payout_diff import in_short, years_of

    if comparison.first == comparison.second:
        say(console, f"Nothing changed: both are {in_short(comparison.first)}.", "green")
        return
    say(console, f"From {in_short(comparison.first)} to {in_short(comparison.second)}:")
    if not comparison.changes:
        say(console, "Nothing changed in the payouts.", "green")
        return
    count = count_of(len(comparison.changes), "payout")
    say(console, f"{count} changed, {_signed(comparison.difference)} in all.", "bold")
    years = years_of(comparison.changes)
    if len(years) > 1:
        by_year = ", ".join(f"{_signed(amount)} in {year}" for year, amount in years.items())
        say(console, f"By commission year: {by_year}.")


def _show_change(console: Console, change: PayoutChange, most: int) -> None:
    from shs_pipeline.cli.terminal import dollars, say
    from shs_pipeline.months import month_text

    before = dollars(change.before) if change.before is not None else "no payout"
    after = dollars(change.after) if change.after is not None else "no payout"
    title = f"{change.rep_name}, {change.product_line}, {month_text(change.commission_month)}"
    say(console, f"\n{title}: {before} before, {after} now, {_signed(change.difference)}", "bold")
    for part in change.parts:
        say(console, f"  {_signed(part.amount):>12}  {_part_words(part)}")
        for found in part.lines[:most]:
            say(console, f"      {_signed(found.amount):>12}  {_line_words(found)}", "dim")
        rest = part.lines[most:]
        if rest:
            more = sum((found.amount for found in rest), start=part.amount * 0)
            say(console, f"      {_signed(more):>12}  … {len(rest)} more", "dim")


def _part_words(part: Part) -> str:
    from shs_pipeline.cli.terminal import count_of

    return f"{count_of(len(part.lines), 'line')} {part.words}" if part.lines else part.words


def _line_words(found: LineChange) -> str:
    from shs_pipeline.cli.explain import place_text
    from shs_pipeline.explain import exact, rates_in_words

    line = found.shown
    about = [f"invoice {line.invoice_number}" if line.invoice_number else "", line.customer or ""]
    revenue = f"revenue {exact(line.rev_actual)} at {rates_in_words(*line.rates)}"
    if found.before is not None and found.after is not None:
        revenue += _earlier(found.before, found.after)
    place = f"{line.source_file}, {place_text(line.source_sheet, line.source_row)}"
    return ", ".join(part for part in (place, *about, revenue) if part)


def _earlier(before: Line, after: Line) -> str:
    """Return what the amounts were, where they were others."""
    from shs_pipeline.explain import exact

    said = []
    if before.rev_actual != after.rev_actual:
        said.append(f"revenue {exact(before.rev_actual)}")
    if before.sales_actual != after.sales_actual:
        said.append(f"sales {exact(before.sales_actual)}, now {exact(after.sales_actual)}")
    return f" (before: {', '.join(said)})" if said else ""


def _signed(amount: Decimal) -> str:
    return f"{amount:+,.2f}"


def _as_json(comparison: Comparison) -> dict[str, Any]:
    """Return everything; amounts are text, so that no program rounds them."""
    from dataclasses import asdict

    found = asdict(comparison)
    found["difference"] = comparison.difference
    for change, row in zip(comparison.changes, found["changes"], strict=True):
        row["difference"] = change.difference
    return found
