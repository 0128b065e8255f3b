"""The statement as a workbook and in a terminal: the same figures, sums that work, nothing that runs.

`SHS_SCREENSHOTS=docs/images` keeps a picture, if LibreOffice is installed.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from openpyxl.workbook.workbook import Workbook
from rich.cells import cell_len

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.wording import dollars
from shs_pipeline.closing.statement import Statement
from shs_pipeline.closing.statement_layout import below, laid_out, shown
from shs_pipeline.closing.statement_text import statement_text
from shs_pipeline.closing.statement_words import with_sign
from shs_pipeline.closing.statement_workbook import statement_workbook
from tests.helpers.libreoffice import SOFFICE, converted, pages_of
from tests.helpers.statements import EXAMPLES, made_statement, statements

FEW = settings(max_examples=15, suppress_health_check=list(HealthCheck))
CENT = Decimal("0.01")


def opened(content: bytes, *, values: bool) -> Workbook:
    return openpyxl.load_workbook(io.BytesIO(content), data_only=values)


def cents(value: object) -> Decimal:
    return Decimal(str(value or 0)).quantize(CENT, ROUND_HALF_UP)


def computed(book: Workbook, sheet: str, name: str) -> Decimal:
    """What a cell comes to: the few kinds of formulas that a statement has."""
    value = book[sheet][name].value
    if not (isinstance(value, str) and value.startswith("=")):
        return cents(value)
    inner = re.fullmatch(r"=ROUND\((.*),2\)", value)
    assert inner, value
    return expression(book, sheet, inner[1])


def expression(book: Workbook, sheet: str, text: str) -> Decimal:
    if found := re.fullmatch(r"SUM\((?:('?)([^!]+)\1!)?([A-Z]+)(\d+):\3(\d+)\)", text):
        other = found[2] or sheet
        rows = range(int(found[4]), int(found[5]) + 1)
        return sum((computed(book, other, f"{found[3]}{row}") for row in rows), Decimal("0.00"))
    if found := re.fullmatch(r"(MAX|MIN)\((\w+),0\)", text):
        return (max if found[1] == "MAX" else min)(computed(book, sheet, found[2]), Decimal("0.00"))
    if "+" in text:
        return sum((computed(book, sheet, name) for name in text.split("+")), Decimal("0.00"))
    other, _, name = text.rpartition("!")
    return computed(book, other.strip("'") or sheet, name)


def formulas(book: Workbook) -> list[tuple[str, str]]:
    return [
        (sheet.title, cell.coordinate)
        for sheet in book
        for row in sheet.iter_rows()
        for cell in row
        if cell.data_type == "f"
    ]


def amounts_of(book: Workbook) -> dict[str, Decimal]:
    """The amounts on the first sheet, by name."""
    rows = list(book["Statement"].iter_rows(values_only=True))
    start = next(place for place, row in enumerate(rows) if row[:3] == ("Amount", "What it is", "USD"))
    return {str(row[0]): cents(row[2]) for row in rows[start + 1 :]}


@FEW
@given(statement=statements())
def test_formulas_come_to_what_is_stored_with_them_and_to_the_amounts(statement: Statement) -> None:
    content = statement_workbook(statement)
    live, stored = opened(content, values=False), opened(content, values=True)

    places = formulas(live)
    assert len(places) > 5
    for sheet, name in places:
        assert stored[sheet][name].value is not None, (sheet, name)
        assert computed(live, sheet, name) == cents(stored[sheet][name].value), (sheet, name)
    amounts = statement.amounts
    assert amounts_of(stored) == {
        "Earned": amounts.earned,
        "Restated": amounts.restated,
        "Adjustments": amounts.adjustments,
        "Recovered": amounts.recovered,
        "Brought forward": amounts.brought_forward,
        "Due": amounts.due,
        "Paid": amounts.paid,
        "Carried forward": amounts.carried_forward,
    }


def test_a_changed_line_changes_what_is_paid() -> None:
    book = opened(statement_workbook(EXAMPLES["usual"]()), values=False)
    sheet = book["Statement"]
    paid = next(row[2].coordinate for row in sheet.iter_rows() if row[0].value == "Paid")
    before = computed(book, "Statement", paid)
    header = next(row for row in book["Lines"].iter_rows() if row[0].value == "Product line")
    column = next(cell.column_letter for cell in header if cell.value == "Paid")

    cell = book["Lines"][f"{column}{header[0].row + 1}"]
    cell.value = float(cents(cell.value) + 100)

    assert computed(book, "Statement", paid) == before + 100


@pytest.mark.parametrize(
    "example", [name if name != "many" else pytest.param(name, marks=pytest.mark.slow) for name in EXAMPLES]
)
def test_every_value_of_the_statement_is_in_the_workbook(example: str) -> None:
    layout = laid_out(EXAMPLES[example]())
    book = opened(statement_workbook(EXAMPLES[example]()), values=True)

    for section in layout.sections[1:]:
        rows = book[section.title].iter_rows(min_row=5, values_only=True)
        for row, wanted in zip(rows, section.rows, strict=False):
            for value, want, column in zip(row, wanted, section.columns, strict=False):
                if isinstance(want, Decimal):
                    assert Decimal(str(value)) == want, column.title
                elif column.shape in ("day", "month"):
                    assert value.date() == want
                else:
                    assert value == want
        assert book[section.title].max_row >= len(section.rows) + 4
    said = {str(cell) for row in book["Statement"].iter_rows(values_only=True) for cell in row if cell}
    assert {
        layout.name,
        layout.headline[0],
        *layout.headline[2],
        *(value for _, value in layout.facts),
    } <= said


@pytest.mark.parametrize(
    "name", ["=1+1", "+A1", "-2+3", "@SUM(A1)", '=HYPERLINK("http://x","y")', "#N/A", "1,5"]
)
def test_a_name_is_text_and_no_formula(name: str) -> None:
    statement = made_statement(lines=2, product_lines=[name], customers=[name], name=name)
    content = statement_workbook(statement)
    book = opened(content, values=False)

    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value == name]
    assert len(cells) >= 5
    assert {cell.data_type for cell in cells} == {"s"}
    assert not any(name in str(book[sheet][place].value) for sheet, place in formulas(book) if name != "1,5")


def test_what_nobody_can_see_and_no_xml_can_hold_breaks_nothing() -> None:
    odd = "A\x00B\ud800C\ufffeD_x0041_&<E>"
    content = statement_workbook(made_statement(lines=1, product_lines=[odd], customers=[odd], name=odd))
    book = opened(content, values=True)

    # Excel reads the escape as the letter that it stands for; openpyxl does not.
    value = book["Lines"]["C5"].value.replace("_x005F_", "_")
    assert value == "A\\x00B\\ud800C\ufffdD_x0041_&<E>"


def test_the_same_statement_gives_the_same_bytes_without_macros() -> None:
    content = statement_workbook(EXAMPLES["scripts"]())
    again = statement_workbook(EXAMPLES["scripts"]())

    assert content == again
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert not [name for name in archive.namelist() if "vba" in name.lower() or name.endswith(".bin")]
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_an_open_statement_is_marked() -> None:
    book = opened(statement_workbook(EXAMPLES["open"]()), values=True)

    assert str(book["Statement"]["A3"].value).startswith("Provisional")
    assert "Provisional" not in str(
        [*opened(statement_workbook(EXAMPLES["usual"]()), values=True)["Statement"].values]
    )


def test_sheets_print_with_their_heading_the_receipt_and_page_numbers() -> None:
    book = opened(statement_workbook(made_statement(name="Hill & Dale")), values=False)

    for sheet in book:
        assert sheet.oddFooter.right.text == "Page &P of &N"
        assert sheet.oddFooter.left.text == "Receipt 2026-10-1"
        assert sheet.oddHeader.left.text.startswith("Hill && Dale")
    assert book["Lines"].print_title_rows == "$4:$4"
    assert book["Lines"].freeze_panes == "A5"


# --- LibreOffice ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not SOFFICE, reason="LibreOffice is not installed")
def test_libreoffice_computes_the_same(tmp_path: Path) -> None:
    statement = EXAMPLES["usual"]()
    content = statement_workbook(statement)
    target = io.BytesIO()
    # Without the stored results it has to compute them.
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w") as archive:
        for member in source.infolist():
            archive.writestr(member, re.sub(rb"</f><v>[^<]*</v>", b"</f>", source.read(member)))

    stored = opened(content, values=True)
    computed_there = opened(converted(target.getvalue(), tmp_path, "xlsx"), values=True)

    for sheet, name in formulas(opened(content, values=False)):
        assert cents(computed_there[sheet][name].value) == cents(stored[sheet][name].value), (sheet, name)


@pytest.mark.slow
@pytest.mark.skipif(
    not (SOFFICE and os.environ.get("SHS_SCREENSHOTS")),
    reason="draws a picture for the docs with LibreOffice",
)
def test_a_picture_of_the_workbook(tmp_path: Path) -> None:
    from PIL import Image

    first, second, *_, last = pages_of(statement_workbook(EXAMPLES["usual"]()), tmp_path)
    shown = ((first, 440), (second, 160), (last, 300))
    parts = [page.crop((0, 0, page.width, high)) for page, high in shown]
    picture = Image.new(
        "RGB", (max(part.width for part in parts), sum(part.height for part in parts)), "white"
    )
    down = 0
    for part in parts:
        picture.paste(part, (0, down))
        down += part.height
    small = picture.quantize(64, method=Image.Quantize.FASTOCTREE)
    small.save(Path(os.environ["SHS_SCREENSHOTS"]) / "statement-workbook.png", optimize=True)


# --- the terminal --------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 80, 140])
@pytest.mark.parametrize("example", [name for name in EXAMPLES if name != "many"])
def test_the_terminal_says_the_same_words_and_figures(example: str, width: int) -> None:
    layout = laid_out(EXAMPLES[example]())
    lines = statement_text(EXAMPLES[example](), width)
    letters = "".join("".join(lines).split())

    name, amount, sentences = layout.headline
    said = [layout.name, layout.mark, name, with_sign(amount), *sentences, layout.receipt]
    said += [text for fact in layout.facts for text in fact]
    for section in layout.sections:
        said += [section.title, section.note]
        for row in section.rows:
            columns = zip(row, section.columns, strict=True)
            said += [
                below(row, section),
                *(shown(v, column) for v, column in columns if column.place == "column"),
            ]
        said += [
            dollars(value) for total in section.totals for value in total[2:3] if isinstance(value, Decimal)
        ]
    for text in said:
        for word in text.split():
            # Long words break, and so do their letters among those of other columns.
            assert word in letters or len(word) > 12, text


def test_the_terminal_keeps_to_the_width_and_hides_no_figure() -> None:
    statement = EXAMPLES["usual"]()

    assert max(map(cell_len, statement_text(statement, 100))) <= 100
    narrow = "\n".join(statement_text(statement, 20))
    assert all(dollars(line.sales) in narrow and dollars(line.paid) in narrow for line in statement.lines)
    assert "…" not in narrow


def test_a_name_does_not_move_the_cursor_or_set_colours() -> None:
    statement = made_statement(name="\x1b[2J[red]Dana[/red]", customers=["\x1b]0;x\x07[bold]Clinic"], lines=1)
    text = "\n".join(statement_text(statement, 100))

    assert "\x1b" not in text
    assert "\\x1b[2J[red]Dana[/red]" in text
    assert "[bold]Clinic" in text.replace("\n", "")


def test_neither_shows_what_does_not_add_up() -> None:
    statement = EXAMPLES["usual"]()
    wrong = replace(statement, items=statement.items[1:])

    for draw in (statement_workbook, lambda of: statement_text(of, 80)):
        with pytest.raises(ShsError, match="does not add up"):
            draw(wrong)
