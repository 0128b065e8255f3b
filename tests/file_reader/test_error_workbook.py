"""The error workbook: marks in a copy of the dropped workbook, and the list, whatever was dropped."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill
from openpyxl.workbook.defined_name import DefinedName

from shs_pipeline.file_reader import error_marks, error_workbook
from shs_pipeline.file_reader.error_list import HEADINGS
from shs_pipeline.file_reader.error_workbook import write_error_workbook
from shs_pipeline.files.reading import Problem

COLUMNS = ("Customer", "Invoice Date", "Amount")
SHEET_XML = "xl/worksheets/sheet1.xml"
RED, YELLOW = "FFFF9C9C", "FFFFE08A"


def dropped(change: Callable[[Any], None] | None = None) -> bytes:
    """Return a workbook with a title, the header in row 3 from column B on, and three lines."""
    book = openpyxl.Workbook()
    page = book.active
    page.title = "Sales March"
    page["B1"] = "Amount by customer"
    for column, name in enumerate(("Customer", " invoice  DATE", "Amount"), start=2):
        page.cell(3, column, name)
    lines = (
        ("Northgate Clinic", date(2025, 3, 1), 12.5),
        ("Éclair Zürich", "soon", 7),
        ("Bay", None, "=D4*2"),
    )
    for row, line in enumerate(lines, start=4):
        for column, value in enumerate(line, start=2):
            page.cell(row, column, value)
    if change is not None:
        change(book)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def problem(**place: Any) -> Problem:
    given = {
        "problem": "This is not a readable date.",
        "remedy": "Type the date as MM/DD/YYYY.",
        "sheet": "Sales March",
        "row": 5,
        "column": "Invoice Date",
        "value": "soon",
    }
    return Problem(**{**given, **place})


def opened(content: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(content), rich_text=True)


def listed(content: bytes) -> list[tuple[Any, ...]]:
    page = opened(content).worksheets[0]
    rows = list(page.iter_rows(min_row=5, max_col=len(HEADINGS), values_only=True))
    assert rows[0] == HEADINGS
    return rows[1:]


def filled(cell: Any) -> str | None:
    return cell.fill.fgColor.rgb if cell.fill.fill_type else None


def test_bad_cell_is_coloured_and_commented_and_a_good_one_is_not() -> None:
    page = opened(write_error_workbook("march.xlsx", dropped(), [problem()], columns=COLUMNS))["Sales March"]
    assert filled(page["C5"]) == RED
    assert "This is not a readable date. Type the date as MM/DD/YYYY." in page["C5"].comment.text
    assert filled(page["C4"]) is None
    assert page["C4"].comment is None


def test_first_sheet_lists_every_problem_with_a_link_to_its_cell() -> None:
    whole = Problem("The file is odd.", "Export it again.", severity="warning")
    content = write_error_workbook("in/march.xlsx", dropped(), [problem(), whole], columns=COLUMNS)
    book = opened(content)
    page = book.worksheets[0]
    assert page.title == "Errors"
    assert page["A1"].value == "Errors in in/march.xlsx"
    assert page["A2"].value.startswith("1 error and 1 warning. No row of this file counts")
    first = ("Error", "Sales March", 5, "Invoice Date", "C5", "soon", problem().problem, problem().remedy)
    assert listed(content) == [
        first,
        ("Warning", None, None, None, None, None, "The file is odd.", "Export it again."),
    ]
    assert page["E6"].hyperlink.location == "'Sales March'!C5"
    assert page.freeze_panes == "A6"
    assert page.auto_filter.ref == "A5:H7"
    assert page["G6"].alignment.wrap_text


def test_workbook_opens_at_the_list_and_no_other_sheet_is_selected() -> None:
    book = opened(write_error_workbook("march.xlsx", dropped(), [problem()]))
    assert book.active.title == "Errors"
    assert [bool(page.sheet_view.tabSelected) for page in book.worksheets] == [True, False]


def test_warning_is_yellow_and_an_error_in_the_same_cell_makes_it_red() -> None:
    warning = problem(row=4, severity="warning")
    both = [warning, problem(), problem(severity="warning", problem="It is late.")]
    page = opened(write_error_workbook("march.xlsx", dropped(), both))["Sales March"]
    assert filled(page["C4"]) == YELLOW
    assert filled(page["C5"]) == RED
    assert "Error in Invoice Date: This is not" in page["C5"].comment.text
    assert "Warning in Invoice Date: It is late." in page["C5"].comment.text


def test_missing_column_is_shown_at_the_first_cell_of_the_header() -> None:
    missing = problem(row=3, column="Quantity", value=None, problem="The column Quantity is missing.")
    content = write_error_workbook("march.xlsx", dropped(), [missing], columns=(*COLUMNS, "Quantity"))
    page = opened(content)["Sales March"]
    assert filled(page["B3"]) == RED
    assert "The column Quantity is missing." in page["B3"].comment.text
    assert listed(content)[0][3:5] == ("Quantity", "B3")


def test_problem_of_a_row_is_shown_at_its_first_filled_cell() -> None:
    content = write_error_workbook("march.xlsx", dropped(), [problem(column=None)], columns=COLUMNS)
    assert listed(content)[0][4] == "B5"


def test_column_without_heading_is_the_one_before_the_first_named() -> None:
    content = write_error_workbook("march.xlsx", dropped(), [problem(column="Client")], columns=COLUMNS)
    assert listed(content)[0][4] == "A5"


def test_header_is_the_row_with_the_most_columns_and_not_a_title_with_the_same_word() -> None:
    def title(book: Any) -> None:
        book.active["A1"] = "Amount"

    found = [problem(column="Amount", row=4), problem()]
    assert [line[4] for line in listed(write_error_workbook("m.xlsx", dropped(title), found))] == ["D4", "C5"]


def test_problem_in_a_merged_range_is_shown_at_its_top_left_cell() -> None:
    content = dropped(lambda book: book.active.merge_cells("C5:D6"))
    marked = write_error_workbook("march.xlsx", content, [problem(row=6, column="Amount")], columns=COLUMNS)
    page = opened(marked)["Sales March"]
    assert filled(page["C5"]) == RED
    assert page["C5"].comment is not None
    assert [str(merged) for merged in page.merged_cells.ranges] == ["C5:D6"]
    assert listed(marked)[0][4] == "C5"


def test_a_problem_elsewhere_than_in_a_cell_is_only_listed() -> None:
    odd = [problem(sheet="No such"), problem(row=None), problem(row=0), problem(row=2_000_000), problem()]
    content = write_error_workbook("march.xlsx", dropped(), odd, columns=COLUMNS)
    assert [line[4] for line in listed(content)] == [None, None, None, None, "C5"]


def test_what_the_file_holds_is_kept() -> None:
    def dress(book: Any) -> None:
        page = book.active
        page["C5"].comment = Comment("Ask the clinic.", "Ann")
        page["C5"].font = Font(bold=True)
        page["C5"].number_format = "0.00"
        page["D5"].comment = Comment("Checked.", "Ann")
        hidden = book.create_sheet("Notes")
        hidden["A1"] = "'=1+1"
        hidden.sheet_state = "hidden"
        book.defined_names["Rates"] = DefinedName("Rates", attr_text="'Sales March'!$D$4:$D$6")
        page.defined_names["Here"] = DefinedName("Here", attr_text="'Sales March'!$B$4")

    book = opened(write_error_workbook("march.xlsx", dropped(dress), [problem()], columns=COLUMNS))
    page = book["Sales March"]
    assert page["C5"].comment.text.startswith("Ask the clinic.\n")
    assert "not a readable date" in page["C5"].comment.text
    assert page["D5"].comment.text == "Checked."
    assert (page["C5"].value, page["C5"].font.bold, page["C5"].number_format) == ("soon", True, "0.00")
    assert page["D6"].value == "=D4*2"
    assert page["B5"].value == "Éclair Zürich"
    assert book["Notes"].sheet_state == "hidden"
    assert book.defined_names["Rates"].attr_text == "'Sales March'!$D$4:$D$6"
    assert "Here" in page.defined_names


def test_sheet_called_errors_is_kept_beside_the_list() -> None:
    content = dropped(lambda book: book.create_sheet("Errors"))
    book = opened(write_error_workbook("march.xlsx", content, [problem()]))
    assert book.sheetnames == ["Errors1", "Sales March", "Errors"]


@pytest.mark.parametrize("last_heading", ["How to fix it", "How to mend it"])
def test_marked_copy_that_was_mended_and_dropped_loses_its_old_marks(last_heading: str) -> None:
    def comment(book: Any) -> None:
        book.active["C5"].comment = Comment("Ask the clinic.", "Ann")

    first = write_error_workbook("m.xlsx", dropped(comment), [problem(), problem(row=4, column="Amount")])
    as_then = opened(first)
    as_then["Errors"]["H5"] = last_heading
    kept = io.BytesIO()
    as_then.save(kept)
    book = opened(write_error_workbook("m.xlsx", kept.getvalue(), [problem(row=6)], columns=COLUMNS))
    page = book["Sales March"]
    assert book.sheetnames == ["Errors", "Sales March"]
    assert [filled(page[name]) for name in ("C5", "D4", "C6")] == [None, None, RED]
    assert page["C5"].comment.text == "Ask the clinic."
    assert page["D4"].comment is None


@pytest.mark.parametrize("text", ["=1+1", "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1+1", "\r=1+1"])
def test_text_that_excel_could_run_is_written_as_quoted_text(text: str) -> None:
    injected = problem(value=text, problem=text, remedy=text, column=text)
    content = write_error_workbook(text, b"", [injected])
    page = opened(content).worksheets[0]
    for cell in (page["D6"], page["F6"], page["G6"], page["H6"]):
        assert cell.data_type == "s"
        assert cell.quotePrefix
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


def test_plain_text_is_not_quoted_and_an_excel_error_is_text() -> None:
    page = opened(write_error_workbook("m.xlsx", b"", [problem(value="#REF!"), problem()])).worksheets[0]
    assert (page["F6"].value, page["F6"].data_type, page["F7"].quotePrefix) == ("#REF!", "s", False)


def test_characters_that_xml_cannot_hold_are_replaced() -> None:
    bad = problem(value="a\x00b\x1fc\ud800d\uffffe", problem="Bell \x07.")
    content = write_error_workbook("m\x01.xlsx", dropped(), [bad], columns=COLUMNS)
    assert listed(content)[0][5:7] == ("a\ufffdb\ufffdc\ufffdd\ufffde", "Bell \ufffd.")
    assert "Bell \ufffd." in opened(content)["Sales March"]["C5"].comment.text


def test_text_of_any_script_and_excels_own_escapes_are_shown_as_they_are() -> None:
    found = [problem(value="日本 😀"), problem(value="_x0041_")]
    content = write_error_workbook("март.xlsx", dropped(), found)
    assert opened(content).worksheets[0]["A1"].value == "Errors in март.xlsx"
    assert listed(content)[0][5] == "日本 😀"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        # Excel reads `_x0041_` as A, and `_x005F_` as the underscore.
        assert b">_x005F_x0041_<" in archive.read(SHEET_XML)


def test_pdf_gets_the_list_alone_with_page_and_line() -> None:
    content = write_error_workbook("march.pdf", b"%PDF-1.7 ...", [problem(sheet="page 3", row=12)])
    assert opened(content).sheetnames == ["Errors"]
    assert listed(content)[0][:6] == ("Error", "page 3", 12, "Invoice Date", None, "soon")
    assert opened(content).worksheets[0]["A3"].value is None


def _without(name: str, content: bytes, replacement: bytes | None = None) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            if entry.filename != name:
                new.writestr(entry, old.read(entry))
            elif replacement is not None:
                new.writestr(entry, replacement)
    return target.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        b"no workbook",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        dropped()[:2500],
        _without("[Content_Types].xml", dropped()),
        _without("xl/workbook.xml", dropped()),
        _without(SHEET_XML, dropped(), b"<worksheet><sheetData><row"),
        _without(SHEET_XML, dropped(), b"no xml"),
        _without("xl/styles.xml", dropped(), b"<styleSheet/>"),
    ],
)
def test_file_that_cannot_be_copied_gets_the_list_alone(content: bytes) -> None:
    marked = write_error_workbook("march.xlsx", content, [problem()])
    assert opened(marked).sheetnames == ["Errors"]
    assert listed(marked)[0][6] == "This is not a readable date."


def test_problems_of_the_file_as_a_whole_need_no_copy() -> None:
    content = write_error_workbook("march.xlsx", dropped(), [Problem("It is a copy.", "Delete it.")])
    assert opened(content).sheetnames == ["Errors"]


def test_workbook_that_unpacks_to_more_than_the_limit_gets_the_list_and_the_reason() -> None:
    content = write_error_workbook("march.xlsx", dropped(), [problem()], max_unpacked=1_000)
    assert opened(content).sheetnames == ["Errors"]
    assert "unpacks to over 0 MB" in opened(content).worksheets[0]["A3"].value
    assert len(opened(write_error_workbook("march.xlsx", dropped(), [problem()])).sheetnames) == 2


def test_workbook_that_merges_a_whole_sheet_gets_the_list_and_the_reason() -> None:
    with zipfile.ZipFile(io.BytesIO(dropped())) as archive:
        xml = archive.read(SHEET_XML)
    merged = b'</sheetData><mergeCells count="1"><mergeCell ref="A8:XFD1048576"/></mergeCells>'
    bomb = _without(SHEET_XML, dropped(), xml.replace(b"</sheetData>", merged))
    content = write_error_workbook("march.xlsx", bomb, [problem()])
    assert opened(content).sheetnames == ["Errors"]
    assert "merges or links" in opened(content).worksheets[0]["A3"].value


def test_more_problems_than_limits_are_coloured_or_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_marks, "COMMENTED", 2)
    monkeypatch.setattr(error_workbook, "LISTED", 3)
    rows = [problem(row=row) for row in (4, 5, 6, 7, 8)]
    content = write_error_workbook("march.xlsx", dropped(), rows, columns=COLUMNS)
    page = opened(content)["Sales March"]
    assert [page.cell(row, 3).comment is not None for row in (4, 5, 6)] == [True, True, False]
    assert [filled(page.cell(row, 3)) for row in (4, 5, 6, 7)] == [RED, RED, RED, None]
    assert len(listed(content)) == 3
    notes = opened(content).worksheets[0]["A3"].value
    assert "Only the first 2 of 3 cells have a comment" in notes
    assert "2 more problems are not listed" in notes


def test_comment_stays_within_excels_limit_and_keeps_what_was_said() -> None:
    def comment(book: Any) -> None:
        book.active["C5"].comment = Comment("k" * 32_000, "Ann")

    many = [problem(problem=f"Problem {number} " + "x" * 300) for number in range(300)]
    page = opened(write_error_workbook("march.xlsx", dropped(comment), many))["Sales March"]
    text = page["C5"].comment.text
    assert len(text) < 32_767
    assert text.startswith("kkk")
    assert "Problem 0 " in text
    assert text.endswith("See the Errors sheet for the rest.")


def test_comment_boxes_are_numbered_once_in_the_whole_workbook() -> None:
    def second(book: Any) -> None:
        book.create_sheet("More").append(list(COLUMNS))

    many = [problem(row=row) for row in range(4, 1504)] + [problem(sheet="More", row=2)]
    content = write_error_workbook("march.xlsx", dropped(second), many, columns=COLUMNS)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        drawings = [archive.read(name) for name in sorted(archive.namelist()) if name.endswith(".vml")]
    numbers = [[int(number) for number in re.findall(rb"_x0000_s(\d+)", xml)] for xml in drawings]
    maps = [re.findall(rb'idmap[^>]*data="([\d,]+)"', xml)[0] for xml in drawings]
    assert [len(found) for found in numbers] == [1500, 1]
    assert len({number for found in numbers for number in found}) == 1501
    for found, blocks in zip(numbers, maps, strict=True):
        assert {number // 1024 for number in found} == {int(block) for block in blocks.split(b",")}


def test_fill_of_a_cell_that_shares_its_style_changes_that_cell_alone() -> None:
    def paint(book: Any) -> None:
        for row in (4, 5, 6):
            book.active.cell(row, 3).fill = PatternFill("solid", fgColor="FF00FF00")

    page = opened(write_error_workbook("march.xlsx", dropped(paint), [problem()]))["Sales March"]
    assert [filled(page.cell(row, 3)) for row in (4, 5, 6)] == ["FF00FF00", RED, "FF00FF00"]


def test_same_file_and_problems_give_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    program = (
        "import sys, hashlib\n"
        "from shs_pipeline.file_reader.error_workbook import write_error_workbook as write\n"
        "from shs_pipeline.files.reading import Problem\n"
        "found = [Problem('p', 'r', 'Sales March', row, 'Amount', 'v') for row in (4, 5, 6)]\n"
        "for content in (open(sys.argv[1], 'rb').read(), b'%PDF'):\n"
        "    print(hashlib.sha256(write('march.xlsx', content, found)).hexdigest())\n"
    )
    file = tmp_path / "march.xlsx"
    file.write_bytes(dropped())
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, str(file)],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "America/New_York"))
    }
    assert len(outputs) == 1
    content = write_error_workbook("m.xlsx", file.read_bytes(), [problem()])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"2000-01-01T00:00:00Z" in archive.read("docProps/core.xml")
