"""Where on its sheets a workbook has its table, what its cells hold, and which workbooks are refused."""

from __future__ import annotations

import io
import random
import re
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from shs_pipeline.base.errors import UnreadableFileError
from shs_pipeline.casting.cells import ExcelError
from shs_pipeline.casting.columns import cast_cells
from shs_pipeline.casting.kinds import cast_amount
from shs_pipeline.casting.sheet_values import MergedText, SheetNumber
from shs_pipeline.files.reading import ROW, SHEET, SourceFile
from shs_pipeline.files.source import FileOutcome, read_file
from shs_pipeline.files.workbook.archive import Archive, check_is_workbook
from shs_pipeline.files.workbook.table import Table, counts_days_from_1904, read_table
from shs_pipeline.samples.workbook import NBSP, write_workbook
from shs_pipeline.sources.registry import source_named

HEADER: list[Any] = ["Invoice #", "Customer", "Amount"]
LINE: list[Any] = ["0042", "Cedar Clinic", 12.5]
MB = 1_000_000
Part = Callable[[str, bytes], bytes]


def workbook(*rows: Sequence[Any], sheet: str = "Report") -> bytes:
    return write_workbook({sheet: rows})


def read(content: bytes, **options: Any) -> Table:
    return read_table(SourceFile("july.xlsx", content), HEADER, **options)


def cells(table: Table, *names: str) -> list[list[Any]]:
    """The cells as a person sees them."""
    rows = table.lines[list(names or HEADER)].to_numpy(dtype=object).tolist()
    return [[as_seen(cell) for cell in row] for row in rows]


def as_seen(cell: Any) -> Any:
    if isinstance(cell, SheetNumber):
        return cell.shown or float(cell)
    return str(cell) if isinstance(cell, MergedText) else cell


def saved(book: openpyxl.Workbook) -> bytes:
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def repacked(content: bytes, change: Part | None = None, added: Mapping[str, bytes] | None = None) -> bytes:
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, change(name, part) if change else part)
        for name, part in (added or {}).items():
            new.writestr(name, part)
    return stream.getvalue()


def replaced(content: bytes, part: str, old: bytes, new: bytes) -> bytes:
    def change(name: str, body: bytes) -> bytes:
        if name == part:
            assert old in body
            return body.replace(old, new)
        return body

    return repacked(content, change)


def check(content: bytes, max_bytes: int = 50 * MB) -> None:
    check_is_workbook(SourceFile("july.xlsx", content), max_bytes)


# --- the header ---------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [1, 2, 7, 20])
def test_the_header_is_found_by_its_names_in_the_first_twenty_rows(row: int) -> None:
    titles: list[list[Any]] = [["Monthly report"], ["Amount", "in dollars"], [], [date(2025, 3, 31), 7]] * 5

    table = read(workbook(*titles[: row - 1], HEADER, LINE))

    assert table.header_row == row
    assert table.lines[ROW].tolist() == [row + 1]
    assert table.lines[SHEET].tolist() == ["Report"]
    assert cells(table) == [LINE]


def test_a_header_below_the_twentieth_row_is_not_looked_for() -> None:
    with pytest.raises(UnreadableFileError, match=r"july\.xlsx.*first 20.*Invoice #, Customer, Amount"):
        read(workbook(*[["title"]] * 20, HEADER, LINE))


@pytest.mark.parametrize(
    "header",
    [
        ["invoice #", "CUSTOMER", "Amount"],
        [" Invoice # ", f"Customer{NBSP}", "Amount\n"],
        [f"Invoice{NBSP}#", "customer  ", "\tAMOUNT"],
        ["Invoice  #", "Customer", "Amount\u200b"],
    ],
)
def test_header_names_are_compared_without_case_and_spaces(header: list[str]) -> None:
    table = read(workbook(header, LINE))

    assert table.problems == []
    assert cells(table) == [LINE]


def test_columns_may_come_in_any_order_with_others_between() -> None:
    table = read(
        workbook([None, "Amount", None, "Customer", "Notes", "Invoice #"], ["x", 1, 2, "C", "n", "7"])
    )

    assert table.problems == []
    assert cells(table) == [["7", "C", 1.0]]


def test_each_missing_column_is_one_problem_at_the_header() -> None:
    table = read(workbook([], ["Invoice #", "Customer"], ["1", "C"]))

    assert [(problem.row, problem.column) for problem in table.problems] == [(2, "Amount")]
    assert table.missing == {"Amount"}
    assert cells(table) == [["1", "C", None]]


def test_an_optional_column_may_be_missing_and_is_read_when_it_is_there() -> None:
    without = read(workbook(HEADER, LINE), optional=["Rep"])
    with_it = read(workbook([*HEADER, "Rep"], [*LINE, "Ann"]), optional=["Rep"])

    assert without.problems == []
    assert "Rep" not in without.lines
    assert cells(with_it, "Rep") == [["Ann"]]


def test_a_doubled_column_is_a_problem_and_a_doubled_other_column_is_none() -> None:
    doubled = read(workbook([*HEADER, "amount "], [*LINE, 1]))
    other = read(workbook([*HEADER, "Notes", "Notes"], [*LINE, 1, 2]))

    assert [(problem.column, problem.row) for problem in doubled.problems] == [("Amount", 1)]
    assert "twice" in doubled.problems[0].problem
    assert other.problems == []


def test_the_column_without_a_heading_is_the_one_before_the_first_named() -> None:
    content = workbook(["Report"], [], [None, None, *HEADER], [None, "Ann", *LINE])
    table = read(content, unnamed_first="Rep")

    assert cells(table, "Rep", *HEADER) == [["Ann", *LINE]]
    with pytest.raises(UnreadableFileError, match="without a heading"):
        read(workbook(HEADER, LINE), unnamed_first="Rep")


# --- the sheets ---------------------------------------------------------------------------------


def test_an_extra_sheet_is_no_matter_in_whatever_place() -> None:
    notes: list[list[Any]] = [["Prepared by finance"], ["Amount", "see below"]]
    for sheets in ({"Notes": notes, "Report": [HEADER, LINE]}, {"Report": [HEADER, LINE], "Notes": notes}):
        table = read(write_workbook(sheets))

        assert table.sheet == "Report"
        assert cells(table) == [LINE]


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_a_hidden_sheet_is_not_read_and_named_where_only_it_has_the_table(state: str) -> None:
    book = openpyxl.Workbook()
    book.active.title = "Old"
    for row in (HEADER, ["1", "old", 1]):
        book.active.append(row)
    book.active.sheet_state = state
    for row in (HEADER, LINE):
        (book["New"] if "New" in book.sheetnames else book.create_sheet("New")).append(row)
    assert cells(read(saved(book))) == [LINE]

    del book["New"]
    book.create_sheet("Notes").append(["nothing"])
    with pytest.raises(UnreadableFileError, match="hidden sheets: Old"):
        read(saved(book))


def test_two_sheets_with_the_table_are_refused_and_both_named() -> None:
    with pytest.raises(UnreadableFileError, match=r"'March' and 'April'"):
        read(write_workbook({"March": [HEADER, LINE], "Notes": [["x"]], "April": [[], HEADER, LINE]}))


def test_the_sheet_with_more_of_the_columns_is_the_table() -> None:
    table = read(write_workbook({"Summary": [["Customer", "Amount"], ["C", 1]], "Lines": [HEADER, LINE]}))

    assert table.sheet == "Lines"


@pytest.mark.parametrize("name", ["R&D", "it's", 'say "so"', "<all>", "März 2025", "a b"])
def test_a_sheet_may_have_any_name(name: str) -> None:
    book = openpyxl.Workbook()
    book.active.title = name
    for row in (HEADER, ["1", "#N/A", 1]):
        book.active.append(row)

    table = read(saved(book))

    assert table.lines[SHEET].tolist() == [name]
    assert cells(table) == [["1", ExcelError("#N/A"), 1.0]]


# --- the cells ----------------------------------------------------------------------------------


def test_blank_rows_are_skipped_and_rows_keep_their_numbers() -> None:
    table = read(workbook(HEADER, [], LINE, [None, " ", NBSP], [None, None, None, "beside"], LINE))

    assert table.lines[ROW].tolist() == [3, 6]
    assert cells(table) == [LINE, LINE]


@pytest.mark.parametrize(("above", "left"), [(0, 1), (3, 0), (2, 4)])
def test_the_table_may_begin_anywhere(above: int, left: int) -> None:
    pad = [None] * left

    table = read(workbook(*[[]] * above, [*pad, *HEADER], [], [*pad, *LINE]))

    assert table.header_row == above + 1
    assert table.lines[ROW].tolist() == [above + 3]
    assert cells(table) == [LINE]


def test_a_cell_left_of_the_header_shifts_no_column() -> None:
    table = read(workbook([None, None, *HEADER], ["note", None, *LINE]))

    assert cells(table) == [LINE]


def test_a_merged_cell_holds_its_value_for_each_row_of_its_range() -> None:
    book = openpyxl.Workbook()
    for row in (["Title"], HEADER, ["1", "C", 1], ["2", None, 2]):
        book.active.append(row)
    book.active.merge_cells("A1:C1")
    book.active.merge_cells("B3:B4")

    assert cells(read(saved(book))) == [["1", "C", 1.0], ["2", "C", 2.0]]


@pytest.mark.parametrize("code", ["#N/A", "#DIV/0!", "#REF!", "#NAME?", "#VALUE!", "#NULL!", "#NUM!"])
def test_an_excel_error_is_neither_empty_nor_text(code: str) -> None:
    book = openpyxl.Workbook()
    for row in (HEADER, ["1", code, code]):
        book.active.append(row)

    assert cells(read(saved(book))) == [["1", ExcelError(code), ExcelError(code)]]


def test_the_error_of_a_formula_is_found_by_its_stored_value() -> None:
    content = workbook(HEADER, ["1", "C", 77], ["2", "C", 5])
    failed = replaced(
        content,
        "xl/worksheets/sheet1.xml",
        b'<c r="C2"><v>77</v>',
        b'<c r="C2" s="0" t="e"><f>1/0</f><v>#DIV/0!</v>',
    )

    assert cells(read(failed)) == [["1", "C", ExcelError("#DIV/0!")], ["2", "C", 5.0]]


def test_a_row_of_nothing_but_errors_is_no_blank_row() -> None:
    book = openpyxl.Workbook()
    for row in (HEADER, LINE, ["#REF!", None, None], LINE):
        book.active.append(row)
    table = read(saved(book))

    assert table.lines[ROW].tolist() == [2, 3, 4]
    assert cells(table)[1] == [ExcelError("#REF!"), None, None]


def test_errors_above_the_header_and_beside_the_columns_are_no_matter() -> None:
    book = openpyxl.Workbook()
    for row in (["#N/A"], [*HEADER, "Check"], [*LINE, "#N/A"], [None, None, None, "#N/A"]):
        book.active.append(row)
    table = read(saved(book))

    assert table.problems == []
    assert cells(table) == [LINE]


@pytest.mark.parametrize(
    ("number", "code", "shown"),
    [
        (123, "00000", "00123"),
        (123456, "00000", "123456"),
        (0, "00000", "00000"),
        (42, "0000000;@", "0000042"),
        (-42, "0000000;-0000000", "-0000042"),
        (42, "[$-409]00000", "00042"),
        (42, "[Red]0000", "0042"),
        (123456789, r"000\-00\-0000", "123-45-6789"),
        (42, r"000\-00\-0000", "000-00-0042"),
        (42, '"A-"0000', "A-0042"),
        (21381234, r"[<=99999]00000;00000\-0000", "02138-1234"),
        (2138, r"[<=99999]00000;00000\-0000", "02138"),
        (42, "0", "42"),
        (42, "General", "42"),
        (42, "#,##0.00", "42"),
        (42.5, "0000", "42.5"),
    ],
)
def test_an_identifier_is_what_its_format_shows_and_an_amount_is_its_number(
    number: float, code: str, shown: str
) -> None:
    book = openpyxl.Workbook()
    for row in (HEADER, [number, "C", number], [number, "C", 2]):
        book.active.append(row)
    book.active["A2"].number_format = book.active["C2"].number_format = code

    first, second = read(saved(book)).lines[["Invoice #", "Amount"]].to_numpy(dtype=object).tolist()

    # Both rows hold one number, and are two identifiers.
    assert cast_cells([first[0], second[0]], "identifier")[0] == [shown, str(number).removesuffix(".0")]
    assert cast_amount(first[1]) == Decimal(str(number))


OTHER_CURRENCIES = [
    ("[$€-407] #,##0.00", "€"), ('#,##0.00 "EUR"', "EUR"), ("[$£-809]#,##0.00", "£"), ('"CAD" 0.00', "CAD"),
    ("[$CHF] #,##0.00", "CHF"), ("¥#,##0", "¥"), (r"\€0.00", "€"), ('0.00 "kr"', "KR"), ('"C$"0.00', "C$"),
    (r"_-* #,##0.00\ [$€-407]_-;-* #,##0.00\ [$€-407]_-;_-* \"-\"??\ [$€-407]_-;_-@_-", "€"),
    ("[$zł-415] 0.00", "zł"), ("[$$-1009]#,##0.00", "CA$"), ("[$R$ -416]0.00", "R$"), ("[$CAD]0;-0", "CAD"),
]  # fmt: skip
DOLLARS = [
    "General", "0.00", "#,##0.00;[Red]-#,##0.00", "$#,##0.00", "[$$-409]#,##0.00", "[$-409]#,##0.00", "0%",
    "[$USD] 0.00", '0.00 "USD"', "[$US$-409]0.00", '_($* #,##0.00_);_($* \\(#,##0.00\\);_($* "-"??_);_(@_)',
    "_(* #,##0.00_);_(* \\(#,##0.00\\)", '0.00" due"', "_€0.00", "[>=1000]#,##0.00;0.00",
]  # fmt: skip


def shown_as(code: str, amount: float = 12.5) -> bytes:
    book = openpyxl.Workbook()
    for row in (HEADER, ["A", "C", amount], ["B", "D", amount]):
        book.active.append(row)
    book.active["C2"].number_format = code
    return saved(book)


@pytest.mark.parametrize(("code", "currency"), OTHER_CURRENCIES)
@pytest.mark.parametrize("amount", [12.5, 12, -3])
def test_an_amount_shown_in_another_currency_is_refused_at_its_cell(
    code: str, currency: str, amount: float
) -> None:
    amounts = read(shown_as(code, amount)).lines["Amount"].tolist()

    values, errors = cast_cells(amounts, "amount")

    assert values == [None, Decimal(str(amount))], "the other cell holds the same number, in dollars"
    assert f"not an amount in US dollars: it is in another currency ({currency})" in errors[0].problem
    assert errors.keys() == {0}


@pytest.mark.parametrize("code", DOLLARS)
def test_an_amount_shown_in_dollars_or_in_no_currency_is_read(code: str) -> None:
    amounts = read(shown_as(code)).lines["Amount"].tolist()

    assert cast_cells(amounts, "amount") == ([Decimal("12.5")] * 2, {})


def test_the_fast_reader_leaves_other_currencies_to_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shs_pipeline.files.workbook.table.LARGE", 0)

    amounts = read(shown_as("[$€-407] #,##0.00")).lines["Amount"].tolist()

    assert cast_cells(amounts, "amount")[1].keys() == {0}


def test_zeros_and_errors_are_found_where_programs_write_prefixed_elements() -> None:
    book = openpyxl.Workbook()
    for row in (HEADER, [42, "#N/A", 1]):
        book.active.append(row)
    book.active["A2"].number_format = "0000"

    def prefixed(name: str, part: bytes) -> bytes:
        if name.startswith("xl/worksheets/sheet") or name == "xl/styles.xml":
            part = re.sub(rb"<(/?)([a-zA-Z])", rb"<\1x:\2", part).replace(b'xmlns="', b'xmlns:x="')
        return part

    assert cells(read(repacked(saved(book), prefixed))) == [["0042", ExcelError("#N/A"), 1.0]]


def test_a_style_without_number_format_shifts_no_other() -> None:
    book = openpyxl.Workbook()
    for row in (HEADER, [42, "C", 1]):
        book.active.append(row)
    book.active["A2"].number_format = "0000"

    def without(name: str, part: bytes) -> bytes:
        return part.replace(b'<xf numFmtId="0" ', b"<xf ") if name == "xl/styles.xml" else part

    assert cells(read(repacked(saved(book), without))) == [["0042", "C", 1.0]]


def test_strict_workbooks_are_read() -> None:
    def strict(name: str, part: bytes) -> bytes:
        for old, new in (
            (b"http://schemas.openxmlformats.org/spreadsheetml/2006/main", b"spreadsheetml/main"),
            (b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
             b"officeDocument/relationships"),
        ):  # fmt: skip
            part = part.replace(old, b"http://purl.oclc.org/ooxml/" + new)
        return part

    book = openpyxl.Workbook()
    for row in (HEADER, ["1", "#N/A", 1.5]):
        book.active.append(row)
    content = repacked(saved(book), strict)
    check(content)

    assert cells(read(content)) == [["1", ExcelError("#N/A"), 1.5]]


# --- days that count from 1904 --------------------------------------------------------------------


def _chemence(*days: Any, from_1904: bool) -> FileOutcome:
    source = source_named("chemence")
    header = [column.header for column in _columns("chemence")]
    book = openpyxl.Workbook()
    if from_1904:
        book.epoch = CALENDAR_MAC_1904
    book.active.append(header)
    for day in days:
        line = {"Account Number": "1", "Invoice Date": day, "Sales Total": 1, "Commission": 1}
        book.active.append([line.get(name) for name in header])
    content = saved(book)
    assert counts_days_from_1904(SourceFile("a.xlsx", content)) is from_1904
    return read_file(source, SourceFile("a.xlsx", content), 50 * MB)


def _columns(source: str) -> Any:
    from shs_pipeline.files.contract import columns_of

    return columns_of(source_named(source).rows)


def test_days_are_right_in_workbooks_that_count_from_1904_also_as_plain_numbers() -> None:
    day = date(2025, 3, 31)
    for from_1904, number in ((True, 44285), (False, 45747)):
        outcome = _chemence(day, number, f"{number}.0", "03/31/2025", from_1904=from_1904)

        assert outcome.lines is not None
        assert outcome.lines["invoice_date"].tolist() == [day] * 4


# --- what is refused ------------------------------------------------------------------------------


def test_a_good_workbook_passes() -> None:
    check(workbook(HEADER, LINE))


@pytest.mark.parametrize(
    "content",
    [
        b"Invoice #,Customer,Amount\n1,C,2\n",
        b"PK\x03\x04 but no archive",
        b"\x00" * 1000,
        workbook(HEADER, LINE)[:-100],
        workbook(HEADER, LINE)[:1500],
    ],
)
def test_what_is_no_whole_archive_is_refused_as_damaged(content: bytes) -> None:
    with pytest.raises(UnreadableFileError, match=r"july\.xlsx is not an Excel workbook, or is damaged"):
        check(content)


def test_an_archive_without_a_workbook_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("letter.txt", "hello")

    with pytest.raises(UnreadableFileError, match="damaged"):
        check(stream.getvalue())


def test_a_workbook_with_a_password_says_how_to_remove_it() -> None:
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600
    with pytest.raises(UnreadableFileError, match=r"password.*Protect Workbook"):
        check(ole + "EncryptedPackage".encode("utf-16-le") + b"\x00" * 600)
    with pytest.raises(UnreadableFileError, match=r"old \.xls format.*Save it in Excel as \.xlsx"):
        check(ole + "Workbook".encode("utf-16-le"))


@pytest.mark.parametrize("part", ["xl/vbaProject.bin", "xl/VBAPROJECT.BIN", "vbaProject.bin"])
def test_macros_inside_a_workbook_are_refused(part: str) -> None:
    with pytest.raises(UnreadableFileError, match="contains macros"):
        check(repacked(workbook(HEADER, LINE), added={part: b"Sub Auto_Open()"}))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("july.xlsm", b"x", "with macros"),
        ("july.xls", b"x", r"not a \.xlsx file, the only kind that cygnus takes"),
        ("july.csv", b"x", r"not a \.xlsx file"),
        ("july", b"x", r"not a \.xlsx file"),
        ("july.pdf", b"x", r"not a \.xlsx file"),
        ("july.xlsx", b"", r"is empty \(0 bytes\)"),
        ("JULY.XLSX", b"x", "damaged"),
        ("july.xlsx", b"x" * (2 << 20), r"has 2\.0 MB, more than the limit of 1 MB"),
    ],
)
def test_the_wrong_kind_of_file_is_one_problem_with_a_remedy(name: str, content: bytes, said: str) -> None:
    outcome = read_file(source_named("cygnus"), SourceFile(name, content), 1 << 20)

    assert outcome.lines is None
    (problem,) = outcome.problems
    assert re.search(said, problem.problem)
    assert problem.remedy
    assert problem.sheet is None


# --- bombs ------------------------------------------------------------------------------------------


def bomb(size: int) -> bytes:
    filler = b"<!--" + b" " * size + b"-->"
    return repacked(
        workbook(HEADER, LINE),
        lambda name, part: part.replace(b"<sheetData>", filler + b"<sheetData>"),
    )


def declaring(content: bytes, size: int) -> bytes:
    """The archive with another unpacked size of the sheet in both of its headers."""
    changed = bytearray(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entry = archive.getinfo("xl/worksheets/sheet1.xml")
        real = struct.pack("<II", entry.compress_size, entry.file_size)
    at = -1
    while (at := changed.find(real, at + 1)) >= 0:
        changed[at + 4 : at + 8] = struct.pack("<I", size)
    return bytes(changed)


def test_a_workbook_that_unpacks_to_more_than_its_limit_is_a_bomb() -> None:
    content = bomb(25 * MB)

    check(content, max_bytes=2 * MB)
    with pytest.raises(UnreadableFileError, match="unpacks to more than 20 MB, like a zip bomb"):
        check(content, max_bytes=1 * MB)


def test_a_bomb_whose_header_names_a_small_size_is_never_unpacked_to_more() -> None:
    content = declaring(bomb(25 * MB), 1000)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.getinfo("xl/worksheets/sheet1.xml").file_size == 1000

    tracemalloc.start()
    with pytest.raises(UnreadableFileError, match="damaged"):
        Archive(SourceFile("bomb.xlsx", content)).read("xl/worksheets/sheet1.xml")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10 * MB


def test_a_small_file_that_unpacks_to_a_hundred_times_its_size_is_a_bomb() -> None:
    content = bomb(110 * MB)

    assert len(content) < MB
    with pytest.raises(UnreadableFileError, match="zip bomb"):
        check(content)


# --- damage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part", ["xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/_rels/workbook.xml.rels"]
)
def test_a_workbook_with_a_broken_part_is_refused_without_a_traceback(part: str) -> None:
    content = repacked(
        workbook(HEADER, LINE), lambda name, body: body[: len(body) // 2] if name == part else body
    )

    with pytest.raises(UnreadableFileError):
        read(content)


def test_whatever_bytes_are_damaged_the_file_is_read_or_refused() -> None:
    luck = random.Random(7)
    content = workbook(HEADER, *[LINE] * 5)
    for _ in range(150):
        changed = bytearray(content)
        for _ in range(luck.randint(1, 4)):
            changed[luck.randrange(len(changed))] = luck.randrange(256)
        outcome = read_file(source_named("chemence"), SourceFile("july.xlsx", bytes(changed)), MB)

        assert outcome.errors


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/styles.xml"])
def test_whatever_is_wrong_in_its_xml_the_file_is_read_or_refused(part: str) -> None:
    luck = random.Random(7)

    def spoilt(name: str, body: bytes) -> bytes:
        if name != part:
            return body
        at = luck.randrange(len(body))
        return (
            body[:at] + luck.choice((b"", b"<", b'"', b"&", b"9", b"\x00")) + body[at + luck.randint(0, 3) :]
        )

    for _ in range(60):
        outcome = read_file(
            source_named("chemence"), SourceFile("july.xlsx", repacked(workbook(HEADER, LINE), spoilt)), MB
        )

        assert outcome.errors


def test_deflate_packs_no_tighter_than_the_check_assumes() -> None:
    packed = zlib.compress(b"\x00" * 10 * MB, 9)

    assert 10 * MB / len(packed) < 1032
