"""`shs explain`: how a payout was calculated, down to the cell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import Console

    from shs_pipeline.file_reader.cell_text import CellText
    from shs_pipeline.file_reader.paid_cells import FileText
    from shs_pipeline.ingest.ingestion import Ingestion
    from shs_pipeline.marts.explain import Payout, PayoutLine
    from shs_pipeline.marts.explain_basis import Basis
    from shs_pipeline.marts.payout_states import Key
    from shs_pipeline.marts.settlements import Settled
    from shs_pipeline.settings.settings import Settings

PANEL = "Data"
_PATIENCE_SECONDS = 5
_OWNERS_SHOWN = 10
_NUMBERS = ("Sales", "Revenue", "Rates", "Tier 1", "Difference", "Paid")

Texts = Mapping[str, "FileText"]
"""What the files say, by file of the books."""
Settlements = Mapping["Key", Sequence["Settled"]]
"""What stands on statements, by payout."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(explain)


def explain(
    rep: Annotated[
        str,
        typer.Option("--rep", metavar="NAME", help="The rep's name, in upper or lower case."),
    ],
    month: Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="Commission month.")],
    line: Annotated[
        str | None, typer.Option("--line", metavar="NAME", help="Only this product line.")
    ] = None,
    cell: Annotated[bool, typer.Option("--cell", help="Show the cells in the files too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Explain a payout: threshold, tiers, the rows of rates and territories, and every line behind it.

    It also says what is missing in the reference workbooks, and what to type there;
    for a closed month, on which statement it was paid, and what was restated since.

    All months are commission months; all amounts are in US dollars.

    Examples: [bold]shs explain --rep "Dana Whitfield" --month 2025-03[/bold], one product line
    with its cells:
    [bold]shs explain --rep "dana whitfield" --line Cygnus --month 2025-03 --cell[/bold]
    """
    from shs_pipeline.cli.arguments import month_typed
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.marts.explain import explain_payouts
    from shs_pipeline.marts.explain_basis import basis_of, nobodys_in_words, nobodys_lines
    from shs_pipeline.marts.settlements import settled_payouts
    from shs_pipeline.settings.settings import load_settings

    first = month_typed(month, "--month")
    job = open_published(load_settings(), "explain")
    payouts = job.query(lambda connection: explain_payouts(connection, rep, first, line))
    bases = job.query(lambda connection: [basis_of(connection, payout) for payout in payouts])
    settled = job.query(lambda connection: settled_payouts(connection, [first]))
    texts = _read_files(job, payouts) if cell else {}
    if as_json:
        found = [_as_json(*each, settled, texts) for each in zip(payouts, bases, strict=True)]
        typer.echo(json.dumps(found, indent=2, default=str))
        return
    console = results()
    for payout, basis in zip(payouts, bases, strict=True):
        _show_payout(console, payout)
        _show_settled(console, settled.get(payout.key, ()))
        _show_basis(console, basis)
        _show_lines(console, payout, texts)
    if line is None:
        _show_gone(console, payouts, settled)
    _show_total(console, payouts)
    nobodys = job.query(lambda connection: nobodys_lines(connection, first))
    for number, sentence in enumerate(nobodys_in_words(nobodys, first)):
        say(console, f"\n{sentence}" if number == 0 else sentence, "yellow")


def open_published(settings: Settings, command: str) -> Ingestion:
    """Return what looks into the warehouse; one that was never made is not made by looking.

    Raises:
        ShsError: nothing was ever published here.
    """
    from shs_pipeline.database.databases import are_made
    from shs_pipeline.ingest.job import open_job
    from shs_pipeline.marts.explain import nothing_published

    if not are_made(settings):
        raise nothing_published()
    return open_job(settings, command, _PATIENCE_SECONDS)


def _read_files(job: Ingestion, payouts: Sequence[Payout]) -> Texts:
    from shs_pipeline.file_reader.paid_cells import loaded_files, read_cell_texts
    from shs_pipeline.file_reader.reader import FileReader

    places: dict[str, set[tuple[str, int]]] = {}
    for line in (line for payout in payouts for line in payout.lines):
        places.setdefault(line.source_file, set()).add((line.source_sheet, line.source_row))
    files = job.query(lambda connection: loaded_files(connection, list(places)))
    with FileReader(job.limits) as reader:
        return {file.path: read_cell_texts(job.landing, reader, file, places[file.path]) for file in files}


# --- in words ----------------------------------------------------------------------------


def _show_payout(console: Console, payout: Payout) -> None:
    from shs_pipeline.base.months import month_text
    from shs_pipeline.base.wording import dollars
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.marts.explain import in_words, opening_in_words

    month = month_text(payout.commission_month)
    title = f"{payout.rep_name}, {payout.product_line}, commission month {month}: {dollars(payout.payout)}"
    say(console, f"\n{title}", "bold")
    say(console, in_words(payout))
    if opening := opening_in_words(payout):
        say(console, opening)
    for label, amount, remark in _parts(payout):
        say(console, f"  {label:<26}{dollars(amount):>14}{remark}")


def _parts(payout: Payout) -> list[tuple[str, Decimal, str]]:
    from shs_pipeline.base.wording import dollars
    from shs_pipeline.marts.explain import held_in_words

    paid_now = payout.commission_tier_2_diff - payout.deferred
    parts = [("Tier 1", payout.commission_tier_1, "")]
    held = held_in_words(payout)
    remark = f"  ({held})" if held else ""
    parts.append(("Difference to tier 2", paid_now, remark))
    if payout.tier_2_month == payout.commission_month or payout.released:
        opening = f"  ({dollars(payout.opening_released)} of it as opening_balances says)"
        parts.append(
            ("Released, held back before", payout.released, opening if payout.opening_released else "")
        )
    parts.append(("Payout", payout.payout, ""))
    parts.append(("Paid since January", payout.payout_ytd, ""))
    return parts


def _show_settled(console: Console, settled: Sequence[Settled]) -> None:
    """Print on which statements the payout stands."""
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.marts.settlements import settled_in_words

    for part in settled:
        say(console, f"  {settled_in_words(part)}")


def _show_gone(console: Console, payouts: Sequence[Payout], settled: Settlements) -> None:
    """Print what was paid to the rep for product lines without a payout now."""
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.marts.settlements import gone_in_words

    shown = {payout.key for payout in payouts}
    for key, parts in settled.items():
        if key[0] == payouts[0].payee_id and key not in shown:
            title, *sentences = gone_in_words(parts)
            say(console, f"\n{title}", "bold")
            for sentence in sentences:
                say(console, f"  {sentence}")


def _show_basis(console: Console, basis: Basis) -> None:
    """Print the rows of the reference workbooks that the payout rests on, and what is missing."""
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.marts.explain_basis import alias_in_words, owner_in_words, rate_in_words

    for row in basis.rates:
        say(console, f"  Rate: {rate_in_words(row)}")
    for owner in basis.owners[:_OWNERS_SHOWN]:
        say(console, f"  Customer: {owner_in_words(owner)}", "dim")
    if len(basis.owners) > _OWNERS_SHOWN:
        more = count_of(len(basis.owners) - _OWNERS_SHOWN, "more customer")
        say(console, f"  … and {more}; --json names all", "dim")
    for alias in basis.aliases:
        say(console, f"  Alias: {alias_in_words(alias)}", "dim")
    for sentence in basis.missing:
        say(console, f"  Missing: {sentence}", "yellow")


def _show_lines(console: Console, payout: Payout, texts: Texts) -> None:
    """Print the lines file by file, and that they add up."""
    from shs_pipeline.base.wording import count_of, dollars
    from shs_pipeline.cli.terminal import say

    by_file: dict[str, list[PayoutLine]] = {}
    for line in payout.lines:
        by_file.setdefault(line.source_file, []).append(line)
    for path, lines in by_file.items():
        say(console, f"\n  {path}{_when(payout, lines[0])}", "cyan")
        _show_file(console, lines, texts)
    is_exact = payout.lines_total == payout.payout
    opening = " and what opening_balances says was held back" if payout.opening_released else ""
    total = f"{count_of(len(payout.lines), 'line')}{opening} add up to {dollars(payout.lines_total)}"
    end = ", the payout." if is_exact else f", but the payout is {dollars(payout.payout)}."
    say(console, f"  {total}{end}", "" if is_exact else "bold red")


def _when(payout: Payout, line: PayoutLine) -> str:
    from shs_pipeline.base.months import month_text

    if line.line_month == payout.commission_month:
        return ""
    return f"  (commission month {month_text(line.line_month)}, held back until now)"


def _show_file(console: Console, lines: Sequence[PayoutLine], texts: Texts) -> None:
    from shs_pipeline.base.wording import dollars
    from shs_pipeline.cli.table import table_of
    from shs_pipeline.cli.terminal import say
    from shs_pipeline.marts.explain import place_text, rates_in_words, rounded_in_words

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
    for trouble in {texts[line.source_file].trouble for line in lines if line.source_file in texts} - {""}:
        say(console, f"  {trouble}", "yellow")
    for line in lines:
        if line.source_file in texts:
            found = texts[line.source_file].cells.get((line.source_sheet, line.source_row), ())
            say(console, f"    {place_text(line.source_sheet, line.source_row)}: {cells_text(found)}")


def _is_page(line: PayoutLine) -> bool:
    return line.source_file.lower().endswith(".pdf")


def _unpaid(line: PayoutLine) -> str:
    """Return why the difference of a line is not paid: nothing where it is, or where there is none."""
    from shs_pipeline.marts.explain import UNPAID

    return UNPAID.get(line.fate, "") if line.difference else ""


def _show_total(console: Console, payouts: Sequence[Payout]) -> None:
    from decimal import Decimal

    from shs_pipeline.base.months import month_text
    from shs_pipeline.base.wording import count_of, dollars
    from shs_pipeline.cli.terminal import say

    if len(payouts) > 1:
        total = sum((payout.payout for payout in payouts), Decimal(0))
        month = month_text(payouts[0].commission_month)
        lines = count_of(len(payouts), "product line")
        say(console, f"\n{payouts[0].rep_name}, {month}, {lines}: {dollars(total)}", "bold")


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


def _as_json(payout: Payout, basis: Basis, settled: Settlements, texts: Texts) -> dict[str, Any]:
    """Return a payout with its lines; amounts are text, so that no program rounds them."""
    from dataclasses import asdict

    found = asdict(payout) | asdict(basis)
    found["settled"] = [asdict(part) for part in settled.get(payout.key, ())]
    for line, row in zip(payout.lines, found["lines"], strict=True):
        row["paid"] = line.paid
        if line.source_file in texts:
            text = texts[line.source_file]
            cells = text.cells.get((line.source_sheet, line.source_row), ())
            row |= {"file_trouble": text.trouble, "cells": [asdict(cell) for cell in cells]}
    return found
