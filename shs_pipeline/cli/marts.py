"""What the commands say of the marts: a build, the payouts, sales against objective, the uncredited."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from shs_pipeline.closing.handing_out import HandedOut
    from shs_pipeline.ingest.ingestion import Ingestion
    from shs_pipeline.marts.build import BuildReport
    from shs_pipeline.marts.overview import MartsOverview, ObjectiveMonth
    from shs_pipeline.settings.settings import Settings

_BAR_WIDTH = 30
_NO_THRESHOLD_SHOWN = 10
_LOGINS_SHOWN = 3


def build(
    console: Console,
    settings: Settings,
    job: Ingestion,
    *,
    full_refresh: bool = False,
    accepted_by: str = "",
) -> None:
    """Build the marts behind what was ingested, let the logins follow, and say what was done.

    Raises:
        HeldBuildError: nothing was published; what it would change is on the console.
    """
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.held import show_changes
    from shs_pipeline.cli.terminal import remarks, say
    from shs_pipeline.closing.handing_out import hand_out_from_settings
    from shs_pipeline.closing.recovery import read_back_from_settings
    from shs_pipeline.marts.build import marts_from_settings
    from shs_pipeline.marts.guard import HeldBuildError
    from shs_pipeline.people.access import logins_from_settings
    from shs_pipeline.system.start_here.writing import bucket_told

    if read_back := read_back_from_settings(settings):
        say(console, read_back.in_words(), "bold")
    try:
        with remarks().status("Building the marts"), bucket_told(settings):
            report = marts_from_settings(
                settings, job.run_id, full_refresh=full_refresh, accepted_by=accepted_by
            )
            changes = logins_from_settings(settings)
            handed_out = hand_out_from_settings(settings)
    except HeldBuildError as error:
        show_changes(console, error.held)
        raise
    _show_build(console, report)
    _show_closes(console, job, handed_out)
    for change in changes[:_LOGINS_SHOWN]:
        say(console, f"  {change.detail}", "dim")
    if len(changes) > _LOGINS_SHOWN:
        rest = count_of(len(changes) - _LOGINS_SHOWN, "more login")
        say(console, f"  … and {rest} changed; shs access lists them all.", "dim")


def _show_build(console: Console, report: BuildReport) -> None:
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.marts.restated import nobodys_in_words, restated_in_words

    number = report.publication.publication_id
    if report.was_current:
        say(console, f"The marts are up to date (publication {number}).")
    else:
        months = f"{count_of(report.slices, 'month')} of sources"
        what = "everything rebuilt" if report.is_full_refresh else f"{months} rebuilt"
        lines = count_of(report.lines, "line")
        done = f"{what}, {lines}" if report.slices else "no line changed"
        by = f" Accepted by {report.accepted_by}." if report.accepted_by else ""
        say(console, f"Publication {number}: {done}, in {report.seconds:.1f} s.{by}")
    for sentence in restated_in_words(report.restated):
        say(console, f"  {sentence}", "bold")
    if report.restated:
        say(console, f"  Why: shs diff {number - 1} {number}", "dim", is_copied=True)
    if unpaid := nobodys_in_words(report.nobodys):
        say(console, f"{unpaid}: shs preview, dashboard Admin", "yellow")


def _show_closes(console: Console, job: Ingestion, handed_out: Sequence[HandedOut]) -> None:
    """Say what was handed out, and what holds up the closes that pay_periods asks for."""
    from shs_pipeline.base.months import month_text
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.closing.checklist import edited_now, holding_now

    for one in handed_out:
        statements = count_of(one.statements, "statement")
        say(console, f"Handed out: {one.folder}/ ({statements})", is_copied=True)
    for obstacle in job.query(holding_now):
        month = month_text(obstacle.pay_period)
        say(console, f"{month} is not closed: {obstacle.problem} {obstacle.remedy}", "yellow")
    for edited in job.query(edited_now):
        say(console, f"{edited.problem} {edited.remedy}", "yellow")


def show_marts(console: Console, job: Ingestion) -> None:
    """Print the last payouts, sales against objective and what is uncredited, each with its source."""
    from shs_pipeline.marts.overview import marts_overview

    overview = job.query(marts_overview)
    if not overview.months:
        return
    _show_payouts(console, overview)
    _show_objectives(console, overview)
    _show_no_threshold(console, overview)
    _show_uncredited(console, overview)


def _show_payouts(console: Console, overview: MartsOverview) -> None:
    from shs_pipeline.base.months import month_text
    from shs_pipeline.base.wording import dollars
    from shs_pipeline.cli.table import table_of
    from shs_pipeline.cli.terminal import say

    headings = [f"Paid {month_text(month)}" for month in overview.months]
    last = overview.months[-1]
    if not overview.is_last_month_whole:
        headings[-1] += " so far"
    least = ["No threshold set", *headings[:-1]]
    headings += [f"{last.year} to date", "Tier 2 held back", "No threshold set"]
    say(console, "\nPayouts in USD, by commission month", "bold")
    table = table_of("Rep", *headings, numbers=headings, least=least)
    for rep in overview.payouts:
        amounts = (*rep.months, rep.year_to_date, rep.waiting, rep.no_threshold)
        table.add_row(rep.rep_name, *map(dollars, amounts))
    table.show(console)
    if overview.payouts:
        name = overview.payouts[0].rep_name
        say(console, f'Why: shs explain --rep "{name}" --month {month_text(last)}\n', "dim", is_copied=True)


def _show_objectives(console: Console, overview: MartsOverview) -> None:
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.marts.overview import coming_in_words, objectives_title, year_in_words

    say(console, objectives_title(overview), "bold")
    if overview.objectives:
        _show_objective_months(console, overview.objectives)
    if overview.year is not None:
        say(console, year_in_words(overview.year))
    say(console, f"{coming_in_words(overview)}\n", "dim")


def _show_objective_months(console: Console, months: Sequence[ObjectiveMonth]) -> None:
    from shs_pipeline.base.months import month_text
    from shs_pipeline.base.wording import dollars
    from shs_pipeline.cli.table import table_of

    numbers = ("Sales", "Objective", "Attained")
    table = table_of("Month", *numbers, "", numbers=numbers, least=("",))
    most = max([month.sales for month in months] + [month.objective for month in months], default=Decimal(0))
    for month in months:
        attained = f"{month.sales / month.objective:.1%}" if month.objective else "-"
        amounts = (dollars(month.sales), dollars(month.objective))
        table.add_row(month_text(month.month), *amounts, attained, bar(month.sales, month.objective, most))
    table.show(console)


def bar(sales: Decimal, objective: Decimal, most: Decimal, width: int = _BAR_WIDTH) -> str:
    """Return sales as a bar, with a mark where the objective stands; `most` fills the width."""
    if most <= 0:
        return ""
    filled = int(max(sales, Decimal(0)) * width / most)
    text = "█" * filled + " " * (width - filled)
    if objective <= 0:
        return text.rstrip()
    mark = min(int(objective * width / most), width - 1)
    return (text[:mark] + "│" + text[mark + 1 :]).rstrip()


def _show_no_threshold(console: Console, overview: MartsOverview) -> None:
    from shs_pipeline.base.wording import dollars
    from shs_pipeline.cli.table import table_of
    from shs_pipeline.cli.terminal import say

    found = overview.no_threshold
    if not found:
        return
    year = overview.months[-1].year
    say(console, f"No threshold set for {year}: add it to tier_thresholds, or tier 2 is never paid", "bold")
    numbers = ("Sales in USD", "Tier 2 not payable")
    table = table_of("Rep", "Product line", *numbers, numbers=numbers)
    for row in found[:_NO_THRESHOLD_SHOWN]:
        table.add_row(row.rep_name, row.product_line, dollars(row.sales), dollars(row.unpayable))
    table.show(console)
    if len(found) > _NO_THRESHOLD_SHOWN:
        say(console, f"… and {len(found) - _NO_THRESHOLD_SHOWN} more.", "dim")


def _show_uncredited(console: Console, overview: MartsOverview) -> None:
    from shs_pipeline.base.wording import dollars
    from shs_pipeline.cli.table import table_of
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.marts.overview import REMEDIES

    if not overview.uncredited:
        say(console, "Every line is credited to a rep.", "green")
        return
    say(console, "Lines credited to nobody", "bold")
    numbers = ("Lines", "Sales in USD")
    prose = ("How to fix it", "Largest")
    table = table_of("Reason", *numbers, *prose, numbers=numbers, prose=prose, least=prose[::-1])
    for found in overview.uncredited:
        counts = (f"{found.lines:,}", dollars(found.sales))
        table.add_row(found.reason, *counts, REMEDIES[found.reason], found.largest)
    table.show(console)
    say(
        console,
        "The full list is in marts.uncredited_sales and on the Admin dashboard (shs preview).\n",
        "dim",
    )
