"""What the commands say of the marts: a build, the payouts, sales against objective, the uncredited."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from shs_pipeline.ingestion import Ingestion
    from shs_pipeline.marts_overview import MartsOverview, ObjectiveMonth
    from shs_pipeline.settings import Settings

_BAR_WIDTH = 40
_NO_THRESHOLD_SHOWN = 10


def build(console: Console, settings: Settings, job: Ingestion, *, full_refresh: bool = False) -> None:
    """Build the marts behind what was ingested, let the logins follow, and say what was done."""
    from shs_pipeline.access import logins_from_settings
    from shs_pipeline.cli.terminal import count_of, remarks, say
    from shs_pipeline.marts import marts_from_settings

    with remarks().status("Building the marts"):
        report = marts_from_settings(settings, job.run_id, full_refresh=full_refresh)
        changes = logins_from_settings(settings)
    number = report.publication.publication_id
    if report.was_current:
        say(console, f"The marts are up to date (publication {number}).")
    else:
        what = (
            "everything computed anew"
            if report.is_full_refresh
            else f"{count_of(report.slices, 'month')} of sources computed anew"
        )
        say(
            console,
            f"Publication {number}: {what}, {count_of(report.lines, 'line')}, in {report.seconds:.1f} s.",
        )
    for change in changes:
        say(console, f"  {change.detail}", "dim")


def show_marts(console: Console, job: Ingestion) -> None:
    """Print the last payouts, sales against objective and what is uncredited, each with its source."""
    from shs_pipeline.marts_overview import marts_overview

    overview = job.query(marts_overview)
    if not overview.months:
        return
    _show_payouts(console, overview)
    _show_objectives(console, overview)
    _show_no_threshold(console, overview)
    _show_uncredited(console, overview)


def _show_payouts(console: Console, overview: MartsOverview) -> None:
    from shs_pipeline.cli.terminal import cells, dollars, say, table_of
    from shs_pipeline.months import month_text

    headings = [f"Paid {month_text(month)}" for month in overview.months]
    last = overview.months[-1]
    if not overview.is_last_month_whole:
        headings[-1] += " so far"
    headings += [f"{last.year} to date", "Tier 2 held back", "No threshold set"]
    say(console, "Payouts in USD, by commission month (marts.commission_payouts)", "bold")
    table = table_of("Rep", *headings, numbers=headings)
    for rep in overview.payouts:
        amounts = (*rep.months, rep.year_to_date, rep.waiting, rep.no_threshold)
        table.add_row(*cells(rep.rep_name, *map(dollars, amounts)))
    console.print(table)
    if overview.payouts:
        name = overview.payouts[0].rep_name
        say(console, f'Why: shs explain --rep "{name}" --month {month_text(last)}\n', "dim")


def _show_objectives(console: Console, overview: MartsOverview) -> None:
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.marts_overview import coming_in_words, objectives_title, year_in_words

    say(console, objectives_title(overview), "bold")
    if overview.objectives:
        _show_objective_months(console, overview.objectives)
    if overview.year is not None:
        say(console, year_in_words(overview.year))
    say(console, f"{coming_in_words(overview)}\n", "dim")


def _show_objective_months(console: Console, months: Sequence[ObjectiveMonth]) -> None:
    from shs_pipeline.cli.terminal import cells, dollars, table_of
    from shs_pipeline.months import month_text

    table = table_of(
        "Month", "Sales", "Objective", "Attained", "", numbers=("Sales", "Objective", "Attained")
    )
    most = max([month.sales for month in months] + [month.objective for month in months], default=Decimal(0))
    for month in months:
        attained = f"{month.sales / month.objective:.1%}" if month.objective else "-"
        table.add_row(
            *cells(
                month_text(month.month), dollars(month.sales), dollars(month.objective), attained,
                bar(month.sales, month.objective, most),
            )
        )  # fmt: skip
    console.print(table)


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
    from shs_pipeline.cli.terminal import cells, dollars, say, table_of

    found = overview.no_threshold
    if not found:
        return
    year = overview.months[-1].year
    say(console, f"No threshold set for {year}: enter it in tier_thresholds, or tier 2 is never paid", "bold")
    numbers = ("Sales in USD", "Tier 2 not payable")
    table = table_of("Rep", "Product line", *numbers, numbers=numbers)
    for row in found[:_NO_THRESHOLD_SHOWN]:
        table.add_row(*cells(row.rep_name, row.product_line, dollars(row.sales), dollars(row.unpayable)))
    console.print(table)
    if len(found) > _NO_THRESHOLD_SHOWN:
        say(console, f"… and {len(found) - _NO_THRESHOLD_SHOWN} more.", "dim")


def _show_uncredited(console: Console, overview: MartsOverview) -> None:
    from shs_pipeline.cli.terminal import cells, dollars, say, table_of
    from shs_pipeline.marts_overview import REMEDIES

    if not overview.uncredited:
        say(console, "Every line is credited.", "green")
        return
    say(console, "Uncredited lines (marts.uncredited_sales)", "bold")
    numbers = ("Lines", "Sales in USD")
    table = table_of("Reason", *numbers, "To mend it", "The largest one", numbers=numbers)
    for found in overview.uncredited:
        table.add_row(
            *cells(
                found.reason, f"{found.lines:,}", dollars(found.sales), REMEDIES[found.reason], found.largest
            )
        )
    console.print(table)
