"""The statement as a workbook: the same words and figures, with sums that stay formulas."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from shs_pipeline.closing.sheets import (
    ACCENT,
    AMBER,
    GRAY,
    HEADER,
    Book,
    Look,
    finished,
    new_book,
    quoted,
    set_print,
    set_widths,
    write_header,
    write_section,
    write_title,
)
from shs_pipeline.closing.statement import Statement
from shs_pipeline.closing.statement_layout import Key, Layout, Section, Value, laid_out
from shs_pipeline.closing.statement_words import clean

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet


def statement_workbook(statement: Statement) -> bytes:
    """Return a statement as the bytes of an `.xlsx`: the same for the same statement.

    Raises:
        ShsError: it does not add up.
    """
    layout = laid_out(statement)
    made = new_book(f"{layout.title}, {layout.short}", layout.short, layout.receipt)
    first = made.book.create_sheet("Statement")
    for section in layout.sections[1:]:
        write_section(made, made.book.create_sheet(section.title), section)
    _link_product_lines(made, layout)
    _write_statement(made, first, layout, clean(statement.receipt))
    return finished(made)


# --- the first sheet -----------------------------------------------------------------------


def _write_statement(made: Book, sheet: Worksheet, layout: Layout, receipt: str) -> None:
    amounts = layout.sections[0]
    row = _write_facts(made, sheet, layout, receipt)
    name, amount, sentences = layout.headline
    headline = sheet.cell(row, 3)
    made.text(sheet.cell(row, 1), name, Look(True, 14, ACCENT))
    for number, sentence in enumerate(sentences, start=1):
        made.text(sheet.cell(row + number, 1), sentence)
    row += len(sentences) + 2
    write_title(made, sheet, row, amounts)
    write_header(made, sheet, row + 2, amounts.columns)
    start = row + 3
    for number, line in enumerate((*amounts.rows, *amounts.totals), start=start):
        for place, (value, column) in enumerate(zip(line, amounts.columns, strict=True), start=1):
            is_total = number >= start + len(amounts.rows)
            if place == 2:
                made.text(sheet.cell(number, place), str(value), Look(colour=GRAY, is_total=is_total))
            else:
                made.write(sheet.cell(number, place), value, column, is_total=is_total)
    _link_amounts(made, sheet, amounts, start)
    made.formula(headline, f"C{start + len(amounts.rows) + 1}", amount)
    made.paint(headline, Look(True, 20, number_format='"$"#,##0.00', align="right"))
    set_widths(sheet, [18, 58, 18])
    set_print(made, sheet, None)


def _write_facts(made: Book, sheet: Worksheet, layout: Layout, receipt: str) -> int:
    """Write the heading; returns the row where what is paid stands."""
    row = 3
    made.text(sheet.cell(1, 1), layout.title, Look(True, 10, ACCENT))
    made.text(sheet.cell(2, 1), layout.name, Look(True, 18))
    if layout.mark:
        made.text(sheet.cell(row, 1), layout.mark, Look(True, colour=AMBER, fill="FDEFD6"))
        row += 1
    for label, value in (*layout.facts, ("Receipt", receipt)):
        if value:
            row += 1
            made.text(sheet.cell(row, 1), label, Look(colour=GRAY))
            made.text(sheet.cell(row, 2), value)
    return row + 2


def _link_amounts(made: Book, sheet: Worksheet, section: Section, start: int) -> None:
    """Let the amounts be those of the other sheets, and the sum the sum of them."""
    keys: tuple[Key, ...] = ("product lines", "restated", "adjustments", "recovered", "brought forward")
    for number, (key, row) in enumerate(zip(keys, section.rows, strict=True), start=start):
        if key in made.totals:
            made.formula(sheet.cell(number, 3), made.totals[key], _amount(row[-1]))
    due = start + len(section.rows)
    formulas = (f"SUM(C{start}:C{due - 1})", f"MAX(C{due},0)", f"MIN(C{due},0)")
    for number, (formula, row) in enumerate(zip(formulas, section.totals, strict=True), start=due):
        made.formula(sheet.cell(number, 3), formula, _amount(row[-1]))


# --- the other sheets ----------------------------------------------------------------------


def _link_product_lines(made: Book, layout: Layout) -> None:
    """Let sales and what is paid be the sums of the lines, and what is earned the sum of the row."""
    sections = {section.key: section for section in layout.sections}
    lines = sections["lines"]
    if not (section := sections.get("product lines")):
        return
    sheet = made.book[section.title]
    places = {column.title: place for place, column in enumerate(section.columns)}
    ranges, first = {}, HEADER + 1
    for group in lines.groups:
        ranges[group.title] = first, first + len(group.rows) - 1
        first += len(group.rows)
    of_lines = {column.title: place for place, column in enumerate(lines.columns, start=1)}
    for number, row in enumerate(section.rows, start=HEADER + 1):
        if row[0] in ranges:
            top, bottom = ranges[str(row[0])]
            for title, source in (("Sales", "Sales"), ("Paid on lines", "Paid")):
                letter = sheet.cell(1, of_lines[source]).column_letter
                place = places[title]
                formula = f"SUM({quoted(lines.title)}!{letter}{top}:{letter}{bottom})"
                made.formula(sheet.cell(number, place + 1), formula, _amount(row[place]))
        paid, released, earned = (places[title] + 1 for title in ("Paid on lines", "Released", "Earned"))
        formula = f"{sheet.cell(number, paid).coordinate}+{sheet.cell(number, released).coordinate}"
        made.formula(sheet.cell(number, earned), formula, _amount(row[earned - 1]))


def _amount(value: Value) -> Decimal:
    assert isinstance(value, Decimal)
    return value
