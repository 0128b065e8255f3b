"""What a sheet's cells hold, in whatever way its XML is written."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shs_pipeline.base.errors import UnreadableFileError
from shs_pipeline.casting.cells import ExcelError, UncomputedError
from shs_pipeline.files.reading import SourceFile
from shs_pipeline.files.workbook import plain, plain_rows
from shs_pipeline.files.workbook.book import Book, plain_texts, texts_of
from shs_pipeline.files.workbook.cells import SheetCells, read_cells
from shs_pipeline.samples.workbook import column_letters, write_workbook

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
TEXTS = ["Cedar Clinic", "Oak & Elm"]


def archive(sheet: str | bytes, **parts: str | bytes) -> bytes:
    """A workbook of the least parts; `workbook`, `styles` and `texts` may be given."""
    links = (
        f'<Relationship Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="r2" Type="{OFFICE}/styles" Target="styles.xml"/>'
        f'<Relationship Id="r3" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/>'
    )
    texts = "".join(f"<si><t>{text.replace('&', '&amp;')}</t></si>" for text in TEXTS)
    content: dict[str, str | bytes] = {
        "xl/workbook.xml": parts.get("workbook")
        or f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
        '<sheet name="Report" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}">{links}</Relationships>',
        "xl/worksheets/sheet1.xml": sheet,
        "xl/styles.xml": parts.get("styles", f'<styleSheet xmlns="{MAIN}"/>'),
        "xl/sharedStrings.xml": parts.get("texts", f'<sst xmlns="{MAIN}">{texts}</sst>'),
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        for name, body in content.items():
            target.writestr(name, body)
    return stream.getvalue()


def sheet_of(rows: str) -> str:
    return f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'


def read(content: bytes) -> SheetCells:
    book = Book(SourceFile("july.xlsx", content))
    return read_cells(book, book.archive.read(book.sheets[0].part))


def only_cell(cell: str, **parts: str | bytes) -> Any:
    rows = read(archive(sheet_of(f'<row r="1">{cell}</row>'), **parts)).rows
    return rows.get(1, {}).get(0)


@pytest.mark.parametrize(
    "cell",
    [
        '<c r="A1" t="e"><v>#N/A</v></c>',
        "<c r='A1' t='e'><v>#N/A</v></c>",
        '<c  t = "e"\n r = "A1" ><v >#N/A</v ></c >',
        '<c t="e"><v>#N/A</v></c>',
        '<c r="A1" t="&#101;"><v>#N/A</v></c>',
        '<c r="A1" t="e"><f>VLOOKUP(1,B:B,1)</f><v>#N/A</v></c>',
        '<c r="A1" t="e"><!-- <v>1</v> --><v>#N<!-- -->/A</v></c>',
        '<c r="A1" t="e"><v><![CDATA[#N/A]]></v></c>',
        f'<x:c xmlns:x="{MAIN}" r="A1" t="e"><x:v>#N/A</x:v></x:c>',
        f'<c xmlns="{MAIN}" r="A1" t="e"><v>#N/A</v><extLst><ext uri="x"/></extLst></c>',
    ],
)
def test_an_excel_error_is_found_however_it_is_written(cell: str) -> None:
    assert only_cell(cell) == ExcelError("#N/A")


@pytest.mark.parametrize("number", ["NaN", "INF", "-INF", "inf", "1_000", "12,5", "abc"])
def test_what_is_no_number_where_one_should_be_is_an_error_and_not_empty(number: str) -> None:
    assert only_cell(f'<c r="A1"><v>{number}</v></c>') == ExcelError(number)


@pytest.mark.parametrize(
    "inside",
    [
        "<f>B1*2</f>",
        "<f>B1*2</f><v></v>",
        "<f>B1*2</f><v/>",
        "<f>B1*2</f><v> </v>",
        "<f/>",
        '<f t="shared" si="0"/>',
        '<f t="array" ref="A1:A3">B1:B3</f>',
        "<f><![CDATA[B1*2]]></f>",
        "<f>B1*2</f><!-- <v>1</v> -->",
    ],
)
@pytest.mark.parametrize("kind", ["", ' t="n"', ' t="b"', ' t="s"'])
def test_a_formula_without_its_result_is_not_empty(inside: str, kind: str) -> None:
    assert only_cell(f'<c r="A1"{kind}>{inside}</c>') == UncomputedError()


def test_a_formula_with_its_result_is_the_result_and_may_be_an_empty_text() -> None:
    assert only_cell('<c r="A1"><f>B1</f><v>0</v></c>') == 0.0
    assert only_cell('<c r="A1" t="str"><f>B1</f><v>yes</v></c>') == "yes"
    assert only_cell('<c r="A1" t="str"><f>B1</f><v></v></c>') is None
    assert only_cell('<c r="A1" t="str"><f>B1</f></c>') == UncomputedError()


def test_zero_is_no_result_where_the_program_that_wrote_it_cannot_compute() -> None:
    asks = (
        f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="S" sheetId="1" r:id="r1"/>'
        '</sheets><calcPr calcId="124519" fullCalcOnLoad="1"/></workbook>'
    )

    assert only_cell('<c r="A1"><f>B1*2</f><v>0</v></c>', workbook=asks) == UncomputedError()
    assert only_cell('<c r="A1"><f>B1*2</f><v>7</v></c>', workbook=asks) == 7.0
    assert only_cell('<c r="A1"><v>0</v></c>', workbook=asks) == 0.0


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('<c r="A1" t="s"><v>1</v></c>', "Oak & Elm"),
        ('<c r="A1" t="inlineStr"><is><t>Oak &amp; Elm</t></is></c>', "Oak & Elm"),
        (
            '<c r="A1" t="inlineStr"><is><r><rPr><b/></rPr><t>Oak</t></r><r><t> Elm</t></r></is></c>',
            "Oak Elm",
        ),
        (
            '<c r="A1" t="inlineStr"><is><t>東京</t><rPh sb="0" eb="2"><t>トウキョウ</t></rPh></is></c>',
            "東京",
        ),
        ('<c r="A1" t="inlineStr"><is><t xml:space="preserve"> a </t></is></c>', " a "),
        ('<c r="A1" t="inlineStr"><is><t>a_x000A_b_x005F_x000A_</t></is></c>', "a\nb_x000A_"),
        ('<c r="A1" t="inlineStr"><is><t>_xD83D__xDE00_</t></is></c>', "😀"),
        ('<c r="A1" t="inlineStr"><is><t>NaN</t></is></c>', "NaN"),
        ('<c r="A1" t="str"><v>#N/A is a text</v></c>', "#N/A is a text"),
    ],
)
def test_texts_are_what_a_person_reads(cell: str, text: str) -> None:
    assert only_cell(cell) == text


def test_shared_texts_are_read_like_others() -> None:
    texts = (
        f'<sst xmlns="{MAIN}"><si><r><t>Ce</t></r><r><t xml:space="preserve">dar </t></r>'
        "<rPh><t>x</t></rPh><phoneticPr/></si><si/><si><t>a_x000D_</t></si></sst>"
    )

    assert [only_cell(f'<c r="A1" t="s"><v>{number}</v></c>', texts=texts) for number in range(3)] == [
        "Cedar ",
        None,
        "a\r",
    ]
    with pytest.raises(UnreadableFileError, match="damaged"):
        only_cell('<c r="A1" t="s"><v>3</v></c>', texts=texts)


def test_dates_flags_and_moments() -> None:
    codes = ["m/d/yyyy", "[$-409]d\\-mmm;@", "h:mm", '"Day "0', "yyyy-mm-dd hh:mm"]
    formats = "".join(
        f'<numFmt numFmtId="{164 + n}" formatCode="{escaped(c)}"/>' for n, c in enumerate(codes)
    )
    styles = "".join(f'<xf numFmtId="{number}"/>' for number in (0, 14, 164, 165, 166, 167, 168))
    parts = {
        "styles": f'<styleSheet xmlns="{MAIN}"><numFmts>{formats}</numFmts><cellStyleXfs><xf numFmtId="9"/>'
        f"</cellStyleXfs><cellXfs>{styles}</cellXfs></styleSheet>"
    }

    def styled(style: int, number: str) -> Any:
        return only_cell(f'<c r="A1" s="{style}"><v>{number}</v></c>', **parts)

    assert [styled(style, "45747") for style in range(4)] == [45747.0, *[date(2025, 3, 31)] * 3]
    assert styled(4, "0.5") == time(12)
    assert float(styled(5, "45747")) == 45747.0
    assert styled(6, "45747.25") == datetime(2025, 3, 31, 6)  # noqa: DTZ001
    assert styled(1, "-3") == -3.0
    assert styled(99, "7") == 7.0
    assert only_cell('<c r="A1" t="b"><v>1</v></c>') is True
    assert only_cell('<c r="A1" t="d"><v>2025-03-31</v></c>') == date(2025, 3, 31)


def escaped(code: str) -> str:
    return code.replace('"', "&quot;")


def test_places_come_from_references_or_by_counting() -> None:
    found = read(
        archive(
            sheet_of(
                "<row><c><v>1</v></c><c/><c><v>3</v></c></row>"
                '<row r="4"><c r="C4"><v>4</v></c><c><v>5</v></c></row><row><c><v>6</v></c></row>'
            )
        )
    )

    assert found.rows == {1: {0: 1.0, 2: 3.0}, 4: {2: 4.0, 3: 5.0}, 5: {0: 6.0}}


def test_rows_out_of_order_are_put_in_order_and_the_dimension_is_not_believed() -> None:
    rows = '<row r="9"><c r="A9"><v>9</v></c></row><row r="2"><c r="B2"><v>2</v></c></row>'
    xml = sheet_of(rows).replace("<sheetData>", '<dimension ref="A1:A1"/><sheetData>')

    assert list(read(archive(xml)).rows.items()) == [(2, {1: 2.0}), (9, {0: 9.0})]


def test_rows_and_columns_are_hidden_by_word_or_by_having_no_size() -> None:
    xml = sheet_of(
        '<row r="1" hidden="1"/><row r="2" hidden="true"/><row r="3" ht="0" customHeight="1"/>'
        '<row r="4" hidden="0"/><row r="5" ht="15"/>'
    ).replace(
        "<sheetData>",
        '<cols><col min="1" max="2" hidden="1"/><col min="3" max="3" width="0"/>'
        '<col min="4" max="9" width="9"/>'
        "</cols><sheetData>",
    )

    found = read(archive(xml))

    assert found.hidden_rows == {1, 2, 3}
    assert found.hidden_columns == [(0, 1), (2, 2)]


@pytest.mark.parametrize("place", ["XFE1", "A1048577", "AAAA1", "A0", "1", "A", "ZZZZZZ99999999999", "Ä1"])
def test_a_cell_beyond_any_sheet_is_named_and_refused(place: str) -> None:
    with pytest.raises(UnreadableFileError, match=f"a cell at {place}, which does not exist"):
        read(archive(sheet_of(f'<row r="1"><c r="{place}"><v>1</v></c></row>')))


def test_cells_in_the_last_row_and_column_take_no_room_between() -> None:
    found = read(
        archive(
            sheet_of(
                '<row r="1"><c r="A1"><v>1</v></c><c r="XFD1"><v>2</v></c></row>'
                '<row r="1048576"><c r="XFD1048576"><v>3</v></c></row>'
            )
        )
    )

    assert found.rows == {1: {0: 1.0, 16383: 2.0}, 1048576: {16383: 3.0}}


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "iso-8859-1", "windows-1252"]
)
def test_parts_may_have_any_encoding(encoding: str) -> None:
    xml = sheet_of(
        '<row r="1"><c r="A1" t="inlineStr"><is><t>März</t></is></c><c r="B1" t="e"><v>#REF!</v></c></row>'
    )
    named = {"utf-8-sig": "utf-8", "utf-16-be": "utf-16"}.get(encoding, encoding)
    body = f'<?xml version="1.0" encoding="{named}"?>{xml}'.encode(encoding)
    if encoding == "utf-16-be":
        body = b"\xfe\xff" + body

    assert read(archive(body)).rows == {1: {0: "März", 1: ExcelError("#REF!")}}


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE w SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE w [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    ],
)
@pytest.mark.parametrize("part", ["sheet", "workbook", "styles", "texts"])
def test_a_part_with_a_document_type_is_refused_as_a_bomb(document: str, part: str) -> None:
    body = document + sheet_of('<row r="1"><c r="A1" t="s"><v>0</v></c></row>')

    with pytest.raises(UnreadableFileError, match="XML bombs"):
        read(
            archive(body)
            if part == "sheet"
            else archive(sheet_of('<row><c t="s"><v>0</v></c></row>'), **{part: body})
        )


# --- two readers, one sheet ------------------------------------------------------------------------

CELL = st.one_of(
    st.none(),
    st.integers(-(10**6), 10**6),
    st.floats(-1e9, 1e9, allow_nan=False).map(lambda number: round(number, 4)),
    st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=8),
)
ROWS = st.lists(st.lists(CELL, max_size=6), max_size=8)


@settings(max_examples=60)
@given(ROWS)
def test_the_fast_reader_and_our_own_read_the_same(rows: list[list[Any]]) -> None:
    content = write_workbook({"Report": rows})
    book = Book(SourceFile("july.xlsx", content))
    xml = book.archive.read(book.sheets[0].part)
    fast = plain.read_plain(book, book.sheets[0])

    assert fast is not None
    assert same(fast, read_cells(book, xml))


UNSEEN = ["", " ", "\t\n", "\u00a0", "\u200b", "\u3164", "_x0000_", " \ufeff "]


def test_a_text_that_shows_nothing_is_no_cell() -> None:
    shared = "".join(f'<si><t xml:space="preserve">{text}</t></si>' for text in [*UNSEEN, "seen", "\u200bx"])
    cells = "".join(f'<c r="A{row}" t="s"><v>{row - 1}</v></c>|' for row in range(1, len(UNSEEN) + 3))
    rows = "".join(f'<row r="{row}">{cell}</row>' for row, cell in enumerate(cells.split("|")[:-1], start=1))
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    texts = f'{head}<sst xmlns="{MAIN}">{shared}</sst>'
    book = Book(SourceFile("july.xlsx", archive(head + sheet_of(rows), texts=texts)))

    fast = plain.read_plain(book, book.sheets[0])

    first = len(UNSEEN) + 1
    assert fast is not None
    assert fast.columns[0].tolist() == [*[None] * len(UNSEEN), "seen", "\u200bx"]
    careful = read_cells(book, book.archive.read(book.sheets[0].part)).rows
    assert {number: row for number, row in careful.items() if row} == {
        first: {0: "seen"},
        first + 1: {0: "\u200bx"},
    }


@pytest.mark.parametrize("text", UNSEEN)
def test_a_text_inside_a_cell_that_shows_nothing_is_no_cell(text: str) -> None:
    inline = f'<c r="A1" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
    result = f'<c r="B1" t="str"><f>""</f><v>{text}</v></c><c r="C1"><v>7</v></c>'

    assert read(archive(sheet_of(f'<row r="1">{inline}{result}</row>'))).rows == {1: {2: 7.0}}


def same(fast: plain.PlainCells, ours: SheetCells) -> bool:
    """Whether two readers found the same: values, types, ranges and what is hidden."""
    found: dict[int, dict[int, Any]] = {}
    for place, column in enumerate(fast.columns):
        for number, cell in enumerate(column.tolist(), start=1):
            if cell is not None:
                found.setdefault(number, {})[place] = cell
    return repr({number: sorted(row.items()) for number, row in sorted(found.items())}) == repr(
        {number: sorted(row.items()) for number, row in ours.rows.items() if row}
    ) and (fast.merged, fast.hidden_rows, fast.hidden_columns) == (
        ours.merged,
        ours.hidden_rows,
        ours.hidden_columns,
    )


NUMBERS = [
    "0", "-0", "7", "007", "1.50", "-12.5", ".5", "5.", "-.5", ".", "-", "--5", "1-2", "1.2.3", "+5", "1E5",
    "1.5E-05", "1e400", "278.16999999999996", "0.1234567890123456789", "999999999999999", "9999999999999999",
    "123456789012345.6", "45717", "45717.75", "0.25", "59", "60", "2958466", "-3", "NaN", "INF", " 5", "5 ",
    "1_0", "", "&#53;", "1,5", "0x10",
]  # fmt: skip
CELLS = [
    '<c r="{at}"><v>{number}</v></c>', '<c r="{at}" s="{style}"><v>{number}</v></c>',
    '<c r="{at}" s="{style}" t="s"><v>{text}</v></c>', '<c r="{at}" t="s"><v>{text}</v></c>',
    '<c r="{at}" t="n"><v>{number}</v></c>', '<c r="{at}" s="{style}"/>', '<c r="{at}"></c>',
    '<c r="{at}"><v>7</v></c> ', "<c r='{at}'><v>7</v></c>", '<c r="{at}" t="b"><v>1</v></c>',
    '<c r="{at}" t="e"><v>#N/A</v></c>', '<c r="{at}" t="str"><v>x</v></c>', '<c r="{at}"><f>1+1</f></c>',
    '<c r="{at}"><f>1+1</f><v>2</v></c>', '<c r="{at}" t="inlineStr"><is><t>x</t></is></c>',
    '<c t="s" r="{at}"><v>{text}</v></c>', '<c r="{at}" cm="1"><v>7</v></c>', "<c><v>7</v></c>",
    '<c r="{at}" t="d"><v>2025-03-31</v></c>', '<c r="{at}"><v><!-- 1 -->7</v></c>', '<c r="{at}"/>',
    '<c r="{at}"><v>7</v></c><!-- 9 -->', '<x:c r="{at}"><x:v>7</x:v></x:c>', '<c r="{at}"><v/></c>',
    '<c r="${at}"><v>7</v></c>', '<c r="{at}0"><v>7</v></c>', '<c r="{at}"><v >7</v ></c >',
]  # fmt: skip
ROW_TAGS = [
    '<row r="{n}">', '<row r="{n}" spans="1:6" ht="15" x14ac:dyDescent="0.25">', '<row r="{n}" hidden="1">',
    '<row r="{n}" ht="0">', '<row r="{n}" ht="0.75">', "<row>", "<row r='{n}'>", '<row r="0{n}">',
    '<row r="{n}">a', '<row r="{n}" hidden="0">', '<row spans="1:6" r="{n}">',
]  # fmt: skip
STYLES = (
    f'<styleSheet xmlns="{MAIN}"><cellXfs count="4"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/>'
    '<xf numFmtId="46"/><xf numFmtId="18"/><xf numFmtId="10"/></cellXfs></styleSheet>'
)
RICH = (
    f'<sst xmlns="{MAIN}"><si><t>Cedar Clinic</t></si><si><r><t>Oak </t></r><r><t>&amp; Elm</t></r></si>'
    '<si><t/></si><si><t xml:space="preserve"> x </t></si><si><t>a_x000D_b</t></si>'
    "<si><t>y</t><rPh><t>why</t></rPh></si><si><t>   </t></si></sst>"
)


def odd_sheet(luck: Any, oddness: float) -> str:
    """A sheet of plain rows, in which some cells, numbers and rows are written otherwise."""

    def one_of(choices: list[str], usual: int) -> str:
        odd = luck.random() < oddness
        return str(luck.choice(choices if odd else choices[:usual]))

    rows, number = [], 0
    for _ in range(luck.randint(0, 12)):
        number += 1 if luck.random() < 0.8 else luck.randint(-1 if oddness else 1, 5)
        cells = []
        for column in sorted(luck.sample([0, 1, 2, 5, 25, 26, 701, 702], luck.randint(0, 5))):
            at = f"{column_letters(column + 1)}{number}"
            values = {"number": one_of(NUMBERS[3:7] + NUMBERS, 4), "text": luck.randint(0, 6)}
            cells.append(one_of(CELLS, 7).format(at=at, style=luck.randint(0, 7), **values))
        if luck.random() < oddness / 4:
            luck.shuffle(cells)
        tag = one_of(ROW_TAGS, 2).format(n=number)
        rows.append(f"{tag[:-1]}/>" if not cells and tag.endswith(">") else f"{tag}{''.join(cells)}</row>")
    behind = luck.choice(["", '<mergeCells count="1"><mergeCell ref="A1:B2"/></mergeCells>'])
    before = luck.choice(["", '<cols><col min="2" max="3" hidden="1"/></cols>'])
    return (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<worksheet xmlns="{MAIN}" xmlns:x="{MAIN}"'
        f' xmlns:x14ac="ac">{before}<sheetData>{"".join(rows)}</sheetData>{behind}</worksheet>'
    )


def differ(luck: Any, oddness: float) -> str:
    """Read an odd sheet in both ways; say `plain` or `careful` for how it is read, and compare."""
    workbook = (
        f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><workbookPr date1904="{luck.randint(0, 1)}"/><sheets>'
        '<sheet name="Report" sheetId="1" r:id="r1"/></sheets></workbook>'
    )
    sheet = odd_sheet(luck, oddness)
    book = Book(SourceFile("july.xlsx", archive(sheet, workbook=workbook, styles=STYLES, texts=RICH)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_rows, "_CHUNK", luck.choice([1, 100, 1000]))
        fast = plain.read_plain(book, book.sheets[0])
    if fast is None:
        return "careful"
    assert same(fast, read_cells(book, sheet.encode())), sheet
    return "plain"


PIECES = [
    "<si><t>", "</t></si>", "</t></si><si><t>", '</t></si><si><t xml:space="preserve">', "Cedar", " ",
    "&amp;", "&lt;", "&amp;lt;", "&#65;", "_x000D_", "é", "\t", "\n", "\r\n", "\x01", "]]>", "]]", ">",
    "<t/>", "<si/>", "<r>", "</r>", "<!-- -->", "</t></si>\n<si><t>", "\ufffe", "'", '"', "&apos;", "&nbsp;",
    "<rPh><t>x</t></rPh>",
]  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES[2:8] + PIECES), max_size=12), st.booleans())
def test_plain_shared_texts_are_what_the_parser_reads(pieces: list[str], is_whole: bool) -> None:
    body = "".join(["<si><t>", *pieces, "</t></si>"] if is_whole else pieces)
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<sst xmlns="{MAIN}" count="3" uniqueCount="2">'
    xml = f"{head}{body}</sst>".encode()
    found = plain_texts(xml)

    assert found is None or found == texts_of(SourceFile("july.xlsx", b""), xml)
    if set(pieces) <= set(PIECES[2:8]) and is_whole:
        assert found is not None


@settings(max_examples=150)
@given(st.randoms(use_true_random=False), st.sampled_from([0.0, 0.03, 0.3]))
def test_what_the_fast_reader_takes_it_reads_like_the_careful_one(luck: Any, oddness: float) -> None:
    how = differ(luck, oddness)

    assert how == "plain" or oddness > 0


@settings(max_examples=60)
@given(ROWS, st.randoms(use_true_random=False))
def test_another_spelling_of_the_same_xml_is_read_the_same(rows: list[list[Any]], luck: Any) -> None:
    content = write_workbook({"Report": rows})
    name = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        parts = {part: source.read(part) for part in source.namelist()}
    before = read(content)
    parts[name] = respelled(parts[name].decode(), luck)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        for part, body in parts.items():
            target.writestr(part, body)

    assert read(stream.getvalue()) == before


def respelled(xml: str, luck: Any) -> bytes:
    """The same XML with other quotes, spaces, prefixes, comments, references and encoding."""
    xml = xml.partition("?>")[2]
    steps: list[Callable[[str], str]] = [
        lambda text: re.sub(r'(\w+)="([^"<>\']*)"', r"\1 = '\2'", text),
        lambda text: text.replace("</c>", "\n</c >").replace("<v>", "<v\t>"),
        lambda text: re.sub(r"<(/?)(\w)", r"<\1x:\2", text).replace("xmlns=", "xmlns:x="),
        lambda text: re.sub(r"(</?v>)", r"<!-- <v>9</v> -->\1", text),
        lambda text: re.sub(r"<v>([^<]*)</v>", r"<v><![CDATA[\1]]></v>", text),
        lambda text: re.sub(r'(<c[^>]*) t="s"', r'\1 t="&#115;"', text),
    ]
    # A prefix goes first: later steps name elements, and find none then, which is as well.
    for step in luck.sample(steps, luck.randint(0, len(steps))):
        xml = step(xml)
    return xml.encode("utf-16") if luck.random() < 0.3 else xml.encode()


PLAIN_ROW = '<row r="{n}"><c r="A{n}"><v>{n}</v></c><c r="B{n}" s="3" t="s"><v>0</v></c></row>'


def proven(xml: bytes) -> tuple[int, int] | None:
    """Rows and columns of a sheet that is taken for plain."""
    book = Book(SourceFile("july.xlsx", archive(xml)))
    found = plain.read_plain(book, book.sheets[0])
    return None if found is None else (found.height, len(found.columns))


def declared(rows: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n{sheet_of(rows)}'.encode()


def test_where_no_thread_can_begin_the_parts_are_read_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_memory(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(plain_rows, "_CHUNK", 100)
    monkeypatch.setattr("threading.Thread.start", no_memory)

    assert proven(declared("".join(PLAIN_ROW.format(n=n) for n in range(1, 60)))) == (59, 2)


def test_plain_rows_are_proven_with_their_last_row_and_column() -> None:
    assert proven(declared("".join(PLAIN_ROW.format(n=n) for n in range(1, 60)))) == (59, 2)
    assert proven(
        declared('<row r="3" spans="1:2" ht="15"><c r="A3" s="3"/><c r="B3"><v>1</v></c></row>')
    ) == (3, 2)


@pytest.mark.parametrize(
    "row",
    [
        '<row r="3"><c r="A3" t="e"><v>#N/A</v></c></row>',
        "<row r=\"3\"><c r='A3' t='e'><v>1</v></c></row>",
        '<row r="3"><c r="A3" t="&#101;"><v>1</v></c></row>',
        '<row r="3"><c r="A3"><f>1+1</f></c></row>',
        '<row r="3"><c r="A3"><f>1+1</f><v>2</v></c></row>',
        '<row r="3"><c r="A3"><v>NaN</v></c></row>',
        '<row r="3"><c r="A3"><v>INF</v></c></row>',
        '<row r="3"><c r="A3"><v><![CDATA[3]]></v></c></row>',
        '<row r="3"><!-- --><c r="A3"><v>3</v></c></row>',
        '<row r="3"><c r="A3" t="inlineStr"><is><t>3</t></is></c></row>',
        '<row r="3"><c><v>3</v></c></row>',
        '<row r="3"><c r="A4"><v>3</v></c></row>',
        '<row r="3"><c r="A1048573"><v>3</v></c></row>',
        '<row r="3"><c r="XFE3"><v>3</v></c></row>',
        '<row r="3"><c r="A3"><v>3</v></c><c r="A3"><v>3</v></c></row>',
        '<row r="3" hidden="1"><c r="A3"><v>3</v></c></row>',
        '<row r="3" ht="0"><c r="A3"><v>3</v></c></row>',
        '<row r="2"><c r="A2"><v>3</v></c></row>',
        '<row><c r="A3"><v>3</v></c></row>',
        '<x:row r="3"><x:c r="A3"><x:v>3</x:v></x:c></x:row>',
        '<row r="1048576"><c r="A1048576"><v>3</v></c><c r="ZZ1048576"><v>3</v></c></row>',
        '<row r="3"><c r="A3"><v>3</v></c>',
    ],
)
@pytest.mark.parametrize("chunk", [1, 1 << 20])  # each row read on its own, and all together
def test_whatever_is_not_plain_is_not_proven(row: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_rows, "_CHUNK", chunk)
    before = "".join(PLAIN_ROW.format(n=n) for n in (1, 2))

    assert proven(declared(before)) == (2, 2)
    assert proven(declared(before + row)) is None


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1"])
def test_only_utf8_is_proven(encoding: str) -> None:
    xml = declared(PLAIN_ROW.format(n=1)).decode().replace("UTF-8", encoding)

    assert proven(xml.encode(encoding)) is None


def test_letters_of_columns() -> None:
    assert [column_letters(number) for number in (1, 26, 27, 702, 703)] == ["A", "Z", "AA", "ZZ", "AAA"]
