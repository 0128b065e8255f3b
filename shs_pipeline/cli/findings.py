"""What looks odd in the reference workbooks, as `shs check` shows it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError

if TYPE_CHECKING:
    from rich.console import Console

    from shs_pipeline.files.reading import CopyLines
    from shs_pipeline.files.source import Declaration, FileOutcome, ReferenceTable
    from shs_pipeline.marts.findings import Finding
    from shs_pipeline.settings.settings import Settings

_SHOWN = 25


def show_findings_with(
    console: Console, settings: Settings, declaration: Declaration, outcome: FileOutcome
) -> None:
    """Print the findings there would be with a workbook that would be loaded; of a source there are none."""
    from shs_pipeline.cli.terminal import remarks, say
    from shs_pipeline.files.reading import CopyLines
    from shs_pipeline.files.source import ReferenceTable

    if not isinstance(declaration, ReferenceTable) or not isinstance(outcome.lines, CopyLines):
        return
    try:
        found = _findings(settings, declaration, outcome.lines)
    except ShsError as error:
        say(remarks(), f"What would look odd could not be determined: {error}", "yellow")
        return
    if found is not None:
        _show(console, *found)


def _findings(
    settings: Settings, table: ReferenceTable, lines: CopyLines
) -> tuple[Sequence[Finding], Collection[str]] | None:
    """Return the findings with a workbook, and the ids of those there are without it.

    None where no database runs, or where nothing was ever published in it.
    """
    from shs_pipeline.database.connection import connect
    from shs_pipeline.ingest.checking import running_warehouse
    from shs_pipeline.marts.dry_build import findings_with
    from shs_pipeline.marts.due import last_publication
    from shs_pipeline.marts.findings import published_findings

    url = running_warehouse(settings)
    if url is None:
        return None
    with connect(url) as connection:
        if last_publication(connection) is None:
            return None
        known = {finding.finding_id for finding in published_findings(connection)}
    return findings_with(url, table, lines, settings.due_day), known


def _show(console: Console, found: Sequence[Finding], known: Collection[str]) -> None:
    from rich.text import Text

    from shs_pipeline.base.wording import count_of, dollars
    from shs_pipeline.cli.table import table_of
    from shs_pipeline.cli.terminal import say

    if not found:
        say(console, "Nothing would look odd in the reference workbooks.", "green")
        return
    new = [finding for finding in found if finding.finding_id not in known]
    amount = sum((finding.amount for finding in found), Decimal(0))
    say(
        console,
        f"{count_of(len(found), 'finding')} in all reference workbooks with it, {len(new)} of them new; "
        f"{dollars(amount)} USD at stake:",
        "yellow",
    )
    # What the workbook brings comes first.
    shown = [*new, *(finding for finding in found if finding.finding_id in known)][:_SHOWN]
    table = table_of(
        "", "At stake", "Where", "What looks odd", "How to fix it",
        numbers=("At stake",),
        prose=("Where", "What looks odd", "How to fix it"),
    )  # fmt: skip
    for finding in shown:
        mark = Text("new", style="bold yellow") if finding.finding_id not in known else ""
        row = f" row {finding.source_row}" if finding.source_row else ""
        where = f"{finding.table_name}{row}"
        table.add_row(mark, dollars(finding.amount), where, finding.problem, finding.remedy)
    table.show(console)
    if len(found) > len(shown):
        say(console, f"… and {len(found) - len(shown)} more: see the Admin dashboard.", "dim")
