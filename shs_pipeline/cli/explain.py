"""`shs explain`: how a payout came about, down to the cell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import Console

    from shs_pipeline.cell_text import CellText, FileText
    from shs_pipeline.explain import Payout, PayoutLine
    from shs_pipeline.ingestion import Ingestion
    from shs_pipeline.settings import Settings

PANEL = "Data"
_PATIENCE_SECONDS = 5
_NUMBERS = ("Sales", "Revenue", "Rates", "Tier 1", "Difference", "Paid")

Texts = Mapping[int, "FileText"]
"""What the files say, by file of the books."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(explain)


def explain(
    rep: Annotated[
        str,
        typer.Option("--rep", metavar="NAME", help="Name of the rep; upper and lower case do not matter."),
    ],
    month: Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="Commission month.")],
    line: Annotated[
        str | None, typer.Option("--line", metavar="NAME", help="Only this product line.")
    ] = None,
    cell: Annotated[bool, typer.Option("--cell", help="Show what the cells of the files say.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, for programs.")] = False,
) -> None:
    """Show how a payout came about: threshold, tiers, and the lines behind it with file, sheet and row.

    All months are commission months, all amounts US dollars.

    Examples: [bold]shs explain --rep "Dana Whitfield" --month 2025-03[/bold], one product line with its
    cells: [bold]shs explain --rep "dana whitfield" --line Cygnus --month 2025-03 --cell[/bold]
    """
    from shs_pipeline.cli.arguments import month_typed
    from shs_pipeline.cli.terminal import results
    from shs_pipeline.explain import explain_payouts
    from shs_pipeline.settings import load_settings

    first = month_typed(month, "--month")
    job = open_published(load_settings(), "explain")
    payouts = job.query(lambda connection: explain_payouts(connection, rep, first, line))
    texts = _read_files(job, payouts) if cell else {}
    if as_json:
        typer.echo(json.dumps([_as_json(payout, texts) for payout in payouts], indent=2, default=str))
        return
    console = results()
    for payout in payouts:
        _show_payout(console, payout)
        _show_lines(console, payout, texts)
    _show_total(console, payouts)


def open_published(settings: Settings, command: str) -> Ingestion:
    """Return what looks into the warehouse; one that was never made is not made by looking.

    Raises:
        ShsError: nothing was ever published here.
    """
    from shs_pipeline.cli.run import open_job
    from shs_pipeline.embedded_postgres import EmbeddedPostgres
    from shs_pipeline.explain import nothing_published

    server = EmbeddedPostgres(settings.home, settings.pg_bin)
    if settings.database_url is None and server.status().state == "not made yet":
        raise nothing_published()
    return open_job(settings, command, _PATIENCE_SECONDS)


def _read_files(job: Ingestion, payouts: Sequence[Payout]) -> Texts:
    from shs_pipeline.cell_text import loaded_files, read_cell_texts
    from shs_pipeline.file_reader.reader import FileReader

    places: dict[int, set[tuple[str, int]]] = {}
    for line in (line for payout in payouts for line in payout.lines):
        places.setdefault(line.file_id, set()).add((line.source_sheet, line.source_row))
    files = job.query(lambda connection: loaded_files(connection, list(places)))
    with FileReader(job.limits) as reader:
        return {
            file.file_id: read_cell_texts(job.landing, reader, file, places[file.file_id]) for file in files
        }


# --- in words ----------------------------------------------------------------------------


def _show_payout(console: Console, payout: Payout) -> None:
    from shs_pipeline.cli.terminal import dollars, say
    from shs_pipeline.explain import in_words
    from shs_pipeline.months import month_text

    month = month_text(payout.commission_month)
    title = f"{payout.rep_name}, {payout.product_line}, commission month {month}: {dollars(payout.payout)}"
    say(console, f"\n{title}", "bold")
    say(console, in_words(payout))
    for label, amount, remark in _parts(payout):
        say(console, f"  {label:<26}{dollars(amount):>14}{remark}")


def _parts(payout: Payout) -> list[tuple[str, Decimal, str]]:
    from shs_pipeline.explain import held_in_words

    paid_now = payout.commission_tier_2_diff - payout.deferred
    parts = [("Tier 1", payout.commission_tier_1, "")]
    held = held_in_words(payout)
    remark = f"  ({held})" if held else ""
    parts.append(("Difference to tier 2", paid_now, remark))
    if payout.tier_2_month == payout.commission_month or payout.released:
        parts.append(("Released, held back before", payout.released, ""))
    parts.append(("Payout", payout.payout, ""))
    parts.append(("Paid since January", payout.payout_ytd, ""))
    return parts


def _show_lines(console: Console, payout: Payout, texts: Texts) -> None:
    """Print the lines file by file, and that they add up."""
    from shs_pipeline.cli.terminal import count_of, dollars, say

    by_file: dict[str, list[PayoutLine]] = {}
    for line in payout.lines:
        by_file.setdefault(line.source_file, []).append(line)
    for path, lines in by_file.items():
        say(console, f"\n  {path}{_when(payout, lines[0])}", "cyan")
        _show_file(console, lines, texts)
    is_exact = payout.lines_total == payout.payout
    total = f"{count_of(len(payout.lines), 'line')} add up to {dollars(payout.lines_total)}"
    end = ", the payout." if is_exact else f", which is not the payout of {dollars(payout.payout)}."
    say(console, f"  {total}{end}", "" if is_exact else "bold red")


def _when(payout: Payout, line: PayoutLine) -> str:
    from shs_pipeline.months import month_text

    if line.line_month == payout.commission_month:
        return ""
    return f"  (commission month {month_text(line.line_month)}, held back until now)"


def _show_file(console: Console, lines: Sequence[PayoutLine], texts: Texts) -> None:
    from shs_pipeline.cli.terminal import dollars, say, table_of
    from shs_pipeline.explain import rates_in_words, rounded_in_words

    sheet, row = ("Page", "Line") if lines and _is_page(lines[0]) else ("Sheet", "Row")
    table = table_of(
        sheet, row, "Customer", "Invoice", "Sales", "Revenue", "Rates", "Tier 1", "Difference", "Paid",
        numbers=(*_NUMBERS, row),
        prose=("Customer",),
        least=("Rates", "Customer", "Sales", "Invoice", sheet, "Revenue"),
    )  # fmt: skip
    for line in lines:
        table.add_row(
            line.source_sheet.removeprefix("page ") if _is_page(line) else line.source_sheet,
            line.source_row,
            line.customer,
            line.invoice_number,
            rounded_in_words(line.sales_actual, line.sales_before_rounding),
            rounded_in_words(line.rev_actual, line.rev_before_rounding),
            rates_in_words(line.tier_1_rate, line.tier_2_rate),
            dollars(line.tier_1),
            f"{dollars(line.difference)} {_unpaid(line)}".strip(),
            dollars(line.paid),
        )
    table.show(console, margin=2)
    for trouble in {texts[line.file_id].trouble for line in lines if line.file_id in texts} - {""}:
        say(console, f"  {trouble}", "yellow")
    for line in lines:
        if line.file_id in texts:
            found = texts[line.file_id].cells.get((line.source_sheet, line.source_row), ())
            say(console, f"    {place_text(line.source_sheet, line.source_row)}: {cells_text(found)}")


def _is_page(line: PayoutLine) -> bool:
    return line.source_file.lower().endswith(".pdf")


def _unpaid(line: PayoutLine) -> str:
    """Return why the difference of a line is not paid: nothing where it is, or where there is none."""
    from shs_pipeline.explain import UNPAID

    return UNPAID.get(line.fate, "") if line.difference else ""


def _show_total(console: Console, payouts: Sequence[Payout]) -> None:
    from decimal import Decimal

    from shs_pipeline.cli.terminal import count_of, dollars, say
    from shs_pipeline.months import month_text

    if len(payouts) > 1:
        total = sum((payout.payout for payout in payouts), Decimal(0))
        month = month_text(payouts[0].commission_month)
        lines = count_of(len(payouts), "product line")
        say(console, f"\n{payouts[0].rep_name}, {month}, {lines}: {dollars(total)}", "bold")


def place_text(sheet: str, row: int) -> str:
    """Return where a line stands: `Report row 7`, `page 1 line 12`."""
    return f"{sheet} {'line' if sheet.startswith('page ') else 'row'} {row}"


def cells_text(found: Sequence[CellText]) -> str:
    """Return the cells of a line in one line."""
    if not found:
        return "this line is no longer in the file."
    parts = []
    for one in found:
        place = f" [{one.place}]" if one.place else ""
        remark = f" ({one.remark})" if one.remark else ""
        parts.append(f"{one.column}{place} = {one.text}{remark}")
    return "; ".join(parts)


# --- for programs ------------------------------------------------------------------------


def _as_json(payout: Payout, texts: Texts) -> dict[str, Any]:
    """Return a payout with its lines; amounts are text, so that no program rounds them."""
    from dataclasses import asdict

    found = asdict(payout)
    for line, row in zip(payout.lines, found["lines"], strict=True):
        row["paid"] = line.paid
        if line.file_id in texts:
            text = texts[line.file_id]
            cells = text.cells.get((line.source_sheet, line.source_row), ())
            row |= {"file_trouble": text.trouble, "cells": [asdict(cell) for cell in cells]}
    return found
