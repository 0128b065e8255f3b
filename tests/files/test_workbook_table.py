"""What belongs to the table of a workbook: its header, merged and hidden cells, further sheets, cases."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from shs_pipeline.base.errors import UnreadableFileError
from shs_pipeline.casting.cells import CastError
from shs_pipeline.casting.columns import cast_cells
from shs_pipeline.casting.kinds import cast_amount
from shs_pipeline.files.contract import columns_of
from shs_pipeline.files.reading import ROW, SourceFile
from shs_pipeline.files.source import FileOutcome, read_file
from shs_pipeline.files.workbook.archive import check_is_workbook
from shs_pipeline.files.workbook.header import HeaderNames, header_key
from shs_pipeline.files.workbook.table import Table, read_table
from shs_pipeline.landing.names import SOURCE_NAMES
from shs_pipeline.reference.registry import all_tables, table_named
from shs_pipeline.samples.workbook import write_workbook
from shs_pipeline.sources.registry import all_sources, source_named

CASES = Path(__file__).parents[1] / "cases" / "workbooks"
HEADER: list[Any] = ["Invoice #", "Closed", "Customer", "Rep %", "Amount"]
DAY = date(2025, 3, 31)
LINE: list[Any] = ["A-1", DAY, "Cedar Clinic", 0.07, 12.5]
MB = 1_000_000


def read(content: bytes, columns: Sequence[str] = HEADER, **options: Any) -> Table:
    return read_table(SourceFile("july.xlsx", content), columns, **options)


def book_of(*rows: Sequence[Any], change: Callable[[Any], None] | None = None) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if change is not None:
        change(book.active)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def column(table: Table, name: str) -> list[Any]:
    return [str(cell) if isinstance(cell, str) else cell for cell in table.lines[name]]


# --- the header -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        ["Invoice", "CLOSED:", "customer*", "Rep%", "Amount"],
        ["INVOICE #", "Closed ", "Cus\u00adtomer", "Rep  %", "\u200eAmount\u200f"],
        ["Invoice\n#", "- Closed -", "(Customer)", "rep. %", "A m o u n t"],
        ["Ｉnvoice", "Closed.", "Customer", "REP ％", "Amount $"],  # noqa: RUF001
        ["Invoice", "Closed", "Customer", "Rep %", "Amount (in USD)"],
    ],
)
def test_letters_and_digits_make_the_header(header: list[str]) -> None:
    table = read(write_workbook({"S": [header, LINE]}))

    assert table.problems == []
    assert [column(table, name)[0] for name in HEADER] == LINE


def test_a_rate_is_not_the_amount_of_the_same_name() -> None:
    names = HeaderNames(["Commission %", "Commission $", "Total"])

    assert names.match(["Comm", "Commission ($)", "Commission (%)"])[0] == {
        "Commission %": 2,
        "Commission $": 1,
    }
    assert names.match(["Commission", "Total $"])[0] == {"Total": 1}
    assert HeaderNames(["Commission"]).match(["Commission %"])[0] == {}
    assert HeaderNames(["Commission"]).match(["Commission $"])[0] == {"Commission": 0}


def test_the_strictest_spelling_is_the_column() -> None:
    names = HeaderNames(["Amount", "Customer"])

    assert names.match(["Amount:", "Amount", "customer", "Customer."]) == ({"Amount": 1, "Customer": 2}, [])
    assert names.match(["Amount:", "Amount.", "Customer"])[1] == ["Amount"]


def test_no_two_columns_of_a_contract_are_one_header() -> None:
    for declared in (*all_sources(), *all_tables()):
        headers = [found.header for found in columns_of(declared.rows)]
        assert all(header_key(one) != header_key(other) for one, other in combinations(headers, 2))
        where, doubled = HeaderNames(headers).match(headers)
        assert (list(where), doubled) == (headers, []), declared.name


def test_a_missing_column_is_named_with_the_nearest_and_never_taken_for_it() -> None:
    header = ["Invoice #", "Close Dt", "Customer", "Rep %", "Notes"]
    table = read(write_workbook({"S": [["Report"], header, LINE]}), ["Invoice #", "ClosedDate", *HEADER[2:]])

    closed, amount = table.problems
    assert closed.problem == "The column ClosedDate is missing, but there is a column Close Dt."
    assert (closed.column, closed.row) == ("ClosedDate", 2)
    assert amount.problem == "The column Amount is missing."
    assert column(table, "ClosedDate") == [None]


def test_a_header_over_two_rows_is_read_where_only_both_make_it() -> None:
    upper = ["Invoice", None, "Customer", "Commission", None, None]
    lower = ["#", "Closed", None, "%", "$", "Base"]
    columns = ["Invoice #", "Closed", "Customer", "Commission %", "Commission $"]

    def merge(sheet: Any) -> None:
        sheet.merge_cells("D2:E2")
        sheet.merge_cells("C2:C3")

    table = read(book_of(["Report"], upper, lower, [*LINE, 99], change=merge), columns)

    assert (table.header_row, table.problems) == (3, [])
    assert [column(table, name)[0] for name in columns][:4] == LINE[:4]
    assert column(table, "Commission $") == [12.5]


def test_the_header_printed_again_is_left_out_and_counted() -> None:
    pages = [["Page 2", *[None] * 4], ["INVOICE #", "Closed", "Customer", "Rep %", "Amount"]]
    part = [None, "Closed", None, None, "Amount"]
    beside = ["Page 3", *HEADER[1:]]
    table = read(write_workbook({"S": [HEADER, LINE, *pages, LINE, part, LINE, beside, LINE]}))

    assert table.left_out == {"header printed again": 3}
    assert table.lines[ROW].tolist() == [2, 3, 5, 7, 9]  # Of the page's title the source takes care.


def test_a_line_that_has_a_header_s_word_is_a_line() -> None:
    table = read(write_workbook({"S": [HEADER, ["Amount", DAY, "Customer", 0.07, 1]]}))

    assert table.left_out == {}
    assert len(table.lines) == 1


# --- merged cells -----------------------------------------------------------------------------------


def test_a_merged_cell_holds_for_each_row_and_its_amount_never_twice() -> None:
    def merge(sheet: Any) -> None:
        for letter in "ABCDE":
            sheet.merge_cells(f"{letter}3:{letter}4")

    rows = [["Report"], [*HEADER, "Item"], [*LINE, "x"], [None] * 5 + ["y"]]
    table = read(book_of(*rows, change=merge), [*HEADER, "Item"])

    for name in HEADER[:3]:
        assert column(table, name)[0] == column(table, name)[1] == LINE[HEADER.index(name)]
    assert cast_cells(column_raw(table, "Rep %"), "rate")[1] == {}
    assert cast_cells(column_raw(table, "Invoice #"), "identifier")[0] == ["A-1", "A-1"]
    values, errors = cast_cells(column_raw(table, "Amount"), "amount")
    assert (values[1], list(errors)) == (None, [1])
    assert "E3:E4" in errors[1].problem
    assert "Unmerge" in errors[1].remedy


def column_raw(table: Table, name: str) -> list[Any]:
    return table.lines[name].tolist()


def test_an_amount_as_text_counts_once_too() -> None:
    table = read(
        book_of(
            HEADER, [*LINE[:4], "$5.00"], ["A-2", DAY, "C", 0.07], change=lambda s: s.merge_cells("E2:E3")
        )
    )

    assert cast_amount(column_raw(table, "Amount")[0]) == 5
    assert list(cast_cells(column_raw(table, "Amount"), "amount")[1]) == [1]
    with pytest.raises(CastError):
        raise cast_cells(column_raw(table, "Amount"), "amount")[1][1]


def test_a_line_two_rows_tall_is_one_line() -> None:
    def merge(sheet: Any) -> None:
        for letter in "ABCDE":
            sheet.merge_cells(f"{letter}2:{letter}3")

    table = read(book_of(HEADER, LINE, [None] * 5, ["A-2", *LINE[1:]], change=merge))

    assert table.lines[ROW].tolist() == [2, 4]


def test_a_value_merged_across_columns_holds_in_each_and_a_title_once() -> None:
    rows = [
        HEADER,
        ["A-1", DAY, "Cedar Clinic", None, 1],
        ["Page 2 of 3", None, None, None, None],
        ["Total Cedar", None, None, None, 1],
        ["Total Care", None, DAY, 0.07, 1],
    ]

    def merge(sheet: Any) -> None:
        for place in ("C2:D2", "A3:E3", "A4:C4", "A5:B5"):
            sheet.merge_cells(place)

    table = read(book_of(*rows, change=merge))

    assert column(table, "Rep %") == ["Cedar Clinic", None, None, 0.07]
    assert column(table, "Closed") == [DAY, None, None, "Total Care"]
    assert column(table, "Customer") == ["Cedar Clinic", None, None, DAY]
    assert column(table, "Amount") == [1.0, None, 1.0, 1.0]


def test_a_value_merged_from_an_unread_column_belongs_to_the_first_read_one() -> None:
    rows = [[None, *HEADER], ["A-1", None, *LINE[1:]]]
    table = read(book_of(*rows, change=lambda sheet: sheet.merge_cells("A2:B2")))

    assert column(table, "Invoice #") == ["A-1"]


# --- what is hidden -----------------------------------------------------------------------------------


def test_hidden_rows_and_columns_are_read_with_a_warning_that_counts_them() -> None:
    def hide(sheet: Any) -> None:
        for number in (3, 5, 9):
            sheet.row_dimensions[number].hidden = True
        sheet.column_dimensions["D"].hidden = True
        sheet.column_dimensions["J"].hidden = True

    table = read(book_of(HEADER, *[LINE] * 5, change=hide))

    assert len(table.lines) == 5
    assert [problem.severity for problem in table.problems] == ["warning", "warning"]
    assert table.problems[0].problem == "2 hidden rows were read: 3, 5."
    assert table.problems[1].problem == "1 hidden column was read: D (Rep %)."


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_a_hidden_sheet_with_lines_is_a_warning(state: str) -> None:
    def add(sheet: Any) -> None:
        old = sheet.parent.create_sheet("Old")
        for row in (HEADER, LINE):
            old.append(row)
        old.sheet_state = state

    table = read(book_of(HEADER, LINE, change=add))

    assert len(table.lines) == 1
    assert [problem.severity for problem in table.problems] == ["warning"]
    assert "hidden sheet 'Old'" in table.problems[0].problem


# --- further sheets -------------------------------------------------------------------------------------

SALES = [HEADER, LINE, ["A-2", DAY, "Oak", 0.07, 3.5]]


@pytest.mark.parametrize(
    "other",
    [
        SALES,
        [["Report of August"], [], *SALES],
        [row[:4] for row in SALES],
        [[*row, "x"] for row in SALES],
        [list(reversed(row)) for row in SALES],
        SALES[1:],
        [["continued"], *SALES[1:2]],
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_second_sheet_with_lines_is_named_and_refused(other: list[list[Any]], is_first: bool) -> None:
    sheets = {"More": other, "Sales": SALES} if is_first else {"Sales": SALES, "More": other}

    with pytest.raises(UnreadableFileError, match=r"'Sales'.*'More'|'More'.*'Sales'") as refused:
        read(write_workbook({**sheets, "Notes": [["by finance"]]}))

    assert "one sheet below one header" in refused.value.remedy
    assert "delete" not in refused.value.remedy.lower()


@pytest.mark.parametrize(
    "other",
    [
        [],
        [["Prepared by finance"], ["Amount", "see below"]],
        [HEADER],  # A template.
        [["Please fill in"], HEADER],
        [["Customer", "Amount"], ["Cedar Clinic", 12.5], ["Total", 12.5]],
        [["Customer", "Amount", "Rep %"], ["Cedar Clinic", 12.5, 0.07]],
        [["Month", "Sales"], [DAY, 3], [DAY, 4]],
        [["Customer", "City", "Zip"], ["Cedar Clinic", "Boston", "02138"]],
        [["Report date", DAY], ["Rate", 0.07]],
        [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]],
    ],
)
def test_a_harmless_extra_sheet_refuses_nothing(other: list[list[Any]]) -> None:
    for sheets in ({"Sales": SALES, "Extra": other}, {"Extra": other, "Sales": SALES}):
        table = read(write_workbook(sheets))

        assert (table.sheet, table.problems) == ("Sales", [])
        assert len(table.lines) == 2


# --- the archive ----------------------------------------------------------------------------------------


def renamed(content: bytes, names: dict[str, str], texts: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            body = old.read(name)
            for before, after in texts.items():
                body = body.replace(before.encode(), after.encode())
            new.writestr(names.get(name, name), body)
    return stream.getvalue()


SHEET_PART, BOOK_PART, RELS = "xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels"


@pytest.mark.parametrize(
    ("names", "texts"),
    [
        ({SHEET_PART: "xl/Worksheets/SHEET1.XML"}, {}),
        ({BOOK_PART: "XL/Workbook.xml", RELS: "xl/_RELS/workbook.XML.rels"}, {}),
        ({}, {'"worksheets/sheet1.xml"': '"/xl/worksheets/sheet1.xml"'}),
        ({}, {'"worksheets/sheet1.xml"': '"../xl/./worksheets/sheet1.xml"'}),
        ({SHEET_PART: "data/one.xml"}, {'"worksheets/sheet1.xml"': '"/data/one.xml"'}),
        (
            {BOOK_PART: "xl/book.xml", RELS: "xl/_rels/book.xml.rels"},
            {"xl/workbook.xml": "xl/book.xml"},
        ),
        ({name: name.replace("/", "\\") for name in (SHEET_PART, BOOK_PART, RELS)}, {}),
    ],
)
def test_parts_are_found_by_their_links_without_case(names: dict[str, str], texts: dict[str, str]) -> None:
    content = renamed(write_workbook({"S": SALES}), names, texts)
    check_is_workbook(SourceFile("july.xlsx", content), 50 * MB)

    assert len(read(content).lines) == 2


def test_a_part_that_is_there_twice_is_damage() -> None:
    content = renamed(
        write_workbook({"S": SALES, "T": []}), {"xl/worksheets/sheet2.xml": "xl/worksheets/SHEET1.xml"}, {}
    )

    with pytest.raises(UnreadableFileError, match="damaged"):
        check_is_workbook(SourceFile("july.xlsx", content), 50 * MB)


def test_a_binary_workbook_says_what_it_is() -> None:
    content = renamed(write_workbook({"S": SALES}), {BOOK_PART: "xl/workbook.bin"}, {})

    with pytest.raises(UnreadableFileError, match=r"\.xlsb"):
        check_is_workbook(SourceFile("july.xlsx", content), 50 * MB)


# --- inputs that went wrong once --------------------------------------------------------------------------


class _Everything(frozenset[str]):
    def __contains__(self, _: object) -> bool:
        return True


def outcome(name: str, source: str, revenue_month: date | None = None) -> FileOutcome:
    declared = source_named(source) if source in SOURCE_NAMES else table_named(source)
    file = SourceFile(name, (CASES / name).read_bytes(), revenue_month, {"service_to_product": _Everything()})
    return read_file(declared, file, 50 * MB)


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("cygnus_formula_no_value.xlsx", "cygnus", ["row 5, Name", "never calculated"]),
        ("commission_tiers_formula_no_value.xlsx", "commission_tiers", ["Valid until", "tier 2", "save it"]),
        ("quickbooks_error_single_quotes.xlsx", "quickbooks", ["Purchase price (#N/A)", "Quantity (#REF!)"]),
        ("quickbooks_error_no_refs.xlsx", "quickbooks", ["Purchase price (#N/A)", "Quantity (#REF!)"]),
        ("quickbooks_nan_quantity.xlsx", "quickbooks", ["row 5, Quantity (NaN)"]),
        ("cygnus_two_months_two_sheets.xlsx", "cygnus", ["'September' and 'August'"]),
        ("cygnus_page_split_sheet2.xlsx", "cygnus", ["'Report' and 'Sheet2'"]),
        ("cygnus_cell_reference_overflow.xlsx", "cygnus", ["row 4294967299"]),
    ],
)
def test_what_must_be_refused_is_refused_with_its_place(name: str, source: str, said: list[str]) -> None:
    found = outcome(name, source)

    assert found.lines is None
    text = " ".join(f"{problem.sentence} {problem.remedy}" for problem in found.errors)
    assert all(part in text for part in said), text


def test_what_must_be_read_is_read_as_a_person_sees_it() -> None:
    merged = outcome("inspektor_merged_name.xlsx", "inspektor").lines
    zeros = outcome("sunoptic_id_zero_format.xlsx", "sunoptic", date(2025, 1, 1)).lines
    stray = outcome("quickbooks_stray_cells.xlsx", "quickbooks").lines
    other_case = outcome("quickbooks_part_name_case.xlsx", "quickbooks").lines

    assert merged is not None
    assert len(merged) == 3
    assert merged["name"].notna().all()
    assert zeros is not None
    assert "0000042" in zeros["customer_id"].tolist()
    assert stray is not None
    assert other_case is not None
    assert len(stray) == len(other_case) == 3


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("cygnus", "header_spelling"),
        ("sunoptic", "header_spelling"),
        ("cygnus", "repeated_header"),
        ("sunoptic", "repeated_header"),
        ("summit_medical", "repeated_header"),
    ],
)
def test_a_header_spelled_otherwise_or_printed_again_changes_no_line(source: str, kind: str) -> None:
    month = None if source == "cygnus" else date(2025, 1, 1)
    base, other = (outcome(f"{name}.xlsx", source, month) for name in (source, f"{source}-{kind}"))

    assert base.lines is not None
    assert other.lines is not None
    places = ["source_sheet", "source_row"]
    assert other.lines.drop(columns=places).equals(base.lines.drop(columns=places))
    assert other.left_out.keys() == ({"header printed again"} if kind == "repeated_header" else set())
