"""`shs diff`: what changed in the payouts between two published states, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import Console

    from shs_pipeline.marts.payout_diff import Comparison, PayoutChange

PANEL = "Data"
_LINES_SHOWN = 5
_POINT = "A time (2026-11-01, 2026-11-01T12:00; UTC), a publication (3) or a run id"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(diff)


def diff(
    first: Annotated[
        str, typer.Argument(metavar="A", help=f"{_POINT}; or held: what the build that is held would change.")
    ],
    second: Annotated[str, typer.Argument(metavar="[B]", help="Likewise; must be later than A.")] = "now",
    rep: Annotated[str | None, typer.Option("--rep", metavar="NAME", help="Only this rep.")] = None,
    month: Annotated[
        str | None,
        typer.Option(
            "--month", metavar="YYYY-MM", help="Only this commission month, or from A..B (2025-01..2025-03)."
        ),
    ] = None,
    lines: Annotated[
        int, typer.Option("--lines", metavar="N", min=0, help="How many lines to show for each reason.")
    ] = _LINES_SHOWN,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show which payouts changed between two published states, and why, to the cent.

    All months are commission months; all amounts are in US dollars. A month is new if nothing was
    published for it in A; otherwise it is restated. For a closed month, it says on which statements the
    payout stands now.

    Examples: [bold]shs diff 2026-11-01[/bold] until now, [bold]shs diff 2026-11-01 2026-11-15T12:00[/bold],
    between two publications: [bold]shs diff 2 3 --rep "Dana Whitfield"[/bold], only some months:
    [bold]shs diff 2 3 --month 2025-01..2025-09[/bold], what a held build would change:
    [bold]shs diff held[/bold], [bold]shs diff held --rep "Dana Whitfield" --month 2025-03[/bold]
    """
    from shs_pipeline.cli.arguments import months_typed
    from shs_pipeline.cli.explain import open_published
    from shs_pipeline.cli.held import show_held
    from shs_pipeline.cli.terminal import results
    from shs_pipeline.marts.explain import payee_named
    from shs_pipeline.marts.payout_diff import compare_payouts
    from shs_pipeline.marts.publications import state_at
    from shs_pipeline.settings.settings import load_settings

    months = months_typed(month, "--month") if month is not None else None
    if first.strip().casefold() == "held":
        show_held(rep, months, lines, as_json)
        return
    job = open_published(load_settings(), "diff")
    comparison = job.query(
        lambda connection: compare_payouts(
            connection,
            state_at(connection, first),
            state_at(connection, second),
            payee_named(connection, rep).payee_id if rep is not None else None,
            months,
        )
    )
    if as_json:
        typer.echo(json.dumps(_as_json(comparison), indent=2, default=str))
        return
    console = results()
    _show_summary(console, comparison)
    _show_rules(console, comparison)
    for change in comparison.changes:
        _show_change(console, change, lines)


def _show_summary(console: Console, comparison: Comparison) -> None:
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.marts.payout_diff import years_of
    from shs_pipeline.marts.publications import in_short

    if comparison.first == comparison.second:
        say(console, f"Nothing changed: both are {in_short(comparison.first)}.", "green")
        return
    say(console, f"From {in_short(comparison.first)} to {in_short(comparison.second)}:")
    if not comparison.changes:
        say(console, "Nothing changed in the payouts.", "green")
        return
    count = count_of(len(comparison.changes), "payout")
    say(console, f"{count} changed, {_signed(comparison.difference)} in all.", "bold")
    _show_total(console, "New", [change for change in comparison.changes if change.is_new])
    _show_total(console, "Restated", [change for change in comparison.changes if not change.is_new])
    years = years_of(comparison.changes)
    if len(years) > 1:
        by_year = ", ".join(f"{_signed(amount)} in {year}" for year, amount in years.items())
        say(console, f"By commission year: {by_year}.")


def _show_total(console: Console, what: str, changes: Sequence[PayoutChange]) -> None:
    """Print what the new months, or those that were published before, come to."""
    from decimal import Decimal

    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.notices.texts import month_spans

    total = sum((change.difference for change in changes), Decimal(0))
    months = month_spans(change.commission_month for change in changes)
    where = f" in {count_of(len(changes), 'payout')} of {months}" if changes else ""
    say(console, f"  {what + ':':<10}{_signed(total):>14}{where}")


_TITLES = {
    "commission_tiers": "Rates",
    "tier_thresholds": "Thresholds",
    "business_objectives": "Objectives",
}
_RULES_SHOWN = 20


def _show_rules(console: Console, comparison: Comparison) -> None:
    """Print the rates, thresholds and objectives that changed, also where no payout moved."""
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.marts.reference_history import kind_of, row_in_words

    for table, changes in comparison.rules.items():
        say(console, f"\n{_TITLES[table]} that changed", "bold")
        for change in changes[:_RULES_SHOWN]:
            kind = "" if kind_of(change) == "changed" else f"{kind_of(change)}: "
            say(console, f"  {kind}{row_in_words(table, change)}")
        if len(changes) > _RULES_SHOWN:
            say(console, f"  … and {len(changes) - _RULES_SHOWN} more: shs reference history {table}", "dim")


def _show_change(console: Console, change: PayoutChange, most: int) -> None:
    from shs_pipeline.base.months import month_text
    from shs_pipeline.base.wording import dollars
    from shs_pipeline.cli.reasons import show_reason
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.marts.line_changes import line_in_words
    from shs_pipeline.marts.payout_diff import part_in_words
    from shs_pipeline.marts.settlements import settled_in_words

    before = dollars(change.before) if change.before is not None else "no payout"
    after = dollars(change.after) if change.after is not None else "no payout"
    title = f"{change.rep_name}, {change.product_line}, {month_text(change.commission_month)}"
    say(console, f"\n{title}: {before} before, {after} now, {_signed(change.difference)}", "bold")
    for part in change.parts:
        lines = [(found.amount, line_in_words(found)) for found in part.lines[:most]]
        show_reason(console, part.amount, part_in_words(part), lines, len(part.lines))
    for settled in change.settled:
        say(console, f"  {settled_in_words(settled)}")


def _signed(amount: Decimal) -> str:
    return f"{amount:+,.2f}"


def _as_json(comparison: Comparison) -> dict[str, Any]:
    """Return everything; amounts are text, so that no program rounds them."""
    from dataclasses import asdict

    found = asdict(comparison)
    found["difference"] = comparison.difference
    found["new"], found["restated"] = comparison.new, comparison.restated
    for change, row in zip(comparison.changes, found["changes"], strict=True):
        row["difference"] = change.difference
    return found
