"""Summit Medical's PDF statement: every quirk read right, every doubt rejected with its place."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from reportlab.lib.pagesizes import letter
from reportlab.pdfgen.canvas import Canvas

from shs_pipeline.base.errors import UnreadableFileError
from shs_pipeline.files.reading import ROW, SHEET, Reading, SourceFile
from shs_pipeline.samples.statement_pdf import (
    PrintedRow,
    StatementLine,
    StatementPage,
    paginate,
    write_statement,
)
from shs_pipeline.samples.statement_style import StatementStyle
from shs_pipeline.supplier_pdf import camelot_reader, columns, coordinates
from shs_pipeline.supplier_pdf.printed import (
    CLIENT,
    DELIVERED_COLUMNS,
    INVOICE,
    STATEMENT_DATE,
    CellLine,
    PrintedLine,
    amount_of,
    is_rate,
)
from shs_pipeline.supplier_pdf.statement import read_statement

DAY = date(2025, 3, 31)
LONG = "Saint Bartholomew University Medical Center of Greater Plano"
HEADINGS = ("Name", "Invoice #", "Item ID", "Amount", "Rate", "Comm $")


def sale(
    client: str = "Cedar Hill Clinic",
    net_sales: str = "1234.50",
    commission: str = "86.42",
    *,
    place: tuple[str, str] = ("TX", "75201"),
    invoice: str = "104882",
    item: str = "SM-100",
    comm_rate: str = "7%",
    rep_code: str | None = None,
) -> StatementLine:
    return StatementLine(
        client, *place, invoice, item, Decimal(net_sales), comm_rate, Decimal(commission), rep_code
    )


def three_sales() -> list[StatementLine]:
    return [
        sale(),
        sale("Lakeside Surgery Center", "-500.00", "-35.00", invoice="104883", place=("MA", "2138")),
        sale("Total Care Clinic", "80.00", "5.60", invoice="104884", item="SM-7"),
    ]


def write(lines: Sequence[Any], **style: Any) -> bytes:
    return write_statement(lines, statement_date=DAY, rep_code="SHS-014", style=StatementStyle(**style))


def pages_of(lines: Sequence[StatementLine], **style: Any) -> list[StatementPage]:
    return paginate(lines, statement_date=DAY, rep_code="SHS-014", style=StatementStyle(**style))


def read(content: bytes) -> Reading:
    return read_statement(SourceFile("march.pdf", content))


def errors(reading: Reading) -> list[str]:
    return [problem.problem for problem in reading.problems if problem.severity == "error"]


def cells(reading: Reading, column: str) -> list[object]:
    return list(reading.lines[column])


def with_rows(page: StatementPage, change: Callable[[list[PrintedRow]], list[PrintedRow]]) -> StatementPage:
    return replace(page, rows=tuple(change(list(page.rows))))


# --- what is read -----------------------------------------------------------------------------


def test_a_statement_gives_its_lines_as_printed_with_page_line_and_month() -> None:
    reading = read(write(three_sales()))

    assert reading.problems == []
    assert list(reading.lines.columns) == [SHEET, ROW, *DELIVERED_COLUMNS, STATEMENT_DATE]
    assert reading.lines.iloc[1].tolist() == [
        "page 1", 9, "Lakeside Surgery Center", "MA", "2138", "104883", "SM-100", "7%",
        Decimal("-500.00"), Decimal("-35.00"), date(2025, 3, 1),
    ]  # fmt: skip
    assert cells(reading, ROW) == [7, 9, 11]
    assert reading.left_out == {}
    assert reading.lines.attrs["reader"] == "coordinate reader"


def test_the_writer_gives_the_same_bytes_twice_and_the_reader_the_same_rows() -> None:
    content = write(three_sales(), page_total="Total for page")

    assert content == write(three_sales(), page_total="Total for page")
    assert read(content).lines.equals(read(content).lines)


@pytest.mark.parametrize(
    "style",
    [
        {},
        {"has_dollar_signs": True},
        {"sign": "-"},
        {"sign": "\u2013", "has_dollar_signs": True},
        {"sign": "trailing"},
    ],
)
def test_credits_tie_out_in_every_spelling(style: dict[str, Any]) -> None:
    reading = read(write(three_sales(), **style))

    assert errors(reading) == []
    assert cells(reading, "Sum of Net Sales Amount") == [
        Decimal("1234.50"),
        Decimal("-500.00"),
        Decimal("80.00"),
    ]
    assert [(total.printed, total.computed) for total in reading.totals] == [
        (Decimal("814.50"), Decimal("814.50")),
        (Decimal("57.02"), Decimal("57.02")),
    ]


def test_every_rate_and_zip_arrives_as_printed() -> None:
    rates = ["7%", "7.0%", "7,0%", "0.07", "7", ""]
    zips = ["75201", "2138", "75201-1234", "752011234", "501", "02138"]
    lines = [sale(comm_rate=rate, place=("NY", zip_code)) for rate, zip_code in zip(rates, zips, strict=True)]

    reading = read(write(lines))

    assert errors(reading) == []
    assert cells(reading, "CommRate") == [*rates[:-1], None]
    assert cells(reading, "ZIP Code") == zips


@pytest.mark.parametrize("length", range(30, 110, 4))
def test_a_client_name_of_any_length_keeps_its_letters_and_its_invoice(length: int) -> None:
    name = (LONG + " and the Neighbouring Counties of North Texas, Outpatient Wing")[:length].strip()

    reading = read(write([sale(name), sale(), sale(name, invoice="A-104/B")]))

    assert errors(reading) == []
    assert cells(reading, "Row Labels") == [name, "Cedar Hill Clinic", name]
    assert cells(reading, "Invoice #") == ["104882", "104882", "A-104/B"]
    assert cells(reading, "Item") == ["SM-100"] * 3


def seen_by_camelot(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[list[CellLine]], list[CellLine]]
) -> None:
    """Let camelot see something else."""
    real = camelot_reader.read_cells
    monkeypatch.setattr(camelot_reader, "read_cells", lambda *arguments: change(real(*arguments)))


def test_camelots_reading_is_not_taken_where_it_mixes_name_and_invoice_though_sums_agree(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def mixed(lines: list[CellLine]) -> list[CellLine]:
        return [
            replace(line, cells=line.cells | {CLIENT: "Cedar Hill", INVOICE: "1o04882"})
            if line[CLIENT] == "Cedar Hillo"
            else line
            for line in lines
        ]

    seen_by_camelot(monkeypatch, mixed)
    reading = read(write([sale("Cedar Hillo"), sale()]))

    assert errors(reading) == []
    assert cells(reading, "Row Labels") == ["Cedar Hillo", "Cedar Hill Clinic"]
    assert cells(reading, "Invoice #") == ["104882", "104882"]


def test_readers_that_see_different_characters_reject_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(lines: list[CellLine]) -> list[CellLine]:
        return [
            replace(line, cells=line.cells | {INVOICE: line[INVOICE].replace("104883", "104838X")})
            for line in lines
        ]

    seen_by_camelot(monkeypatch, other)
    reading = read(write(three_sales()))

    assert reading.lines.empty
    problem = reading.problems[0]
    assert (problem.sheet, problem.row, problem.column) == ("page 1", 9, "Invoice #")
    assert "'104838X'" in problem.problem
    assert "'104883'" in problem.problem


def test_a_page_break_between_a_sale_and_its_state_and_zip_is_read_over() -> None:
    lines = [sale(f"Clinic {number}", place=("TX", f"7520{number}")) for number in range(6)]

    reading = read(write(lines, rows_per_page=3, keep_together=False, page_total="Total for page"))

    assert errors(reading) == []
    assert cells(reading, "ZIP Code") == [f"7520{number}" for number in range(6)]
    assert cells(reading, SHEET) == ["page 1", "page 1", "page 2", "page 3", "page 3", "page 4"]
    assert all(total.agrees for total in reading.totals)


def test_a_page_without_rep_code_may_begin_with_the_state_and_zip_of_the_page_before() -> None:
    first, second = pages_of(three_sales()[:2], rows_per_page=3, keep_together=False)

    reading = read(write([first, replace(second, rep_code="")]))

    assert errors(reading) == []
    assert cells(reading, "St") == ["TX", "MA"]


def test_a_client_whose_name_begins_with_total_is_a_client() -> None:
    reading = read(
        write([sale("Total Care Clinic"), sale("Total Care Clinic")], client_total="Total {client}")
    )

    assert errors(reading) == []
    assert len(reading.lines) == 2
    assert [total.label for total in reading.totals][::2] == ["Total Total Care Clinic", "Total"]


def test_all_kinds_of_totals_are_held_against_their_own_lines() -> None:
    lines = [
        sale("Page Memorial Hospital", "1.00", "0.10"),
        sale(LONG, "2.00", "0.20"),
        sale(LONG, "4.00", "0.40"),
        sale("Page Memorial Hospital", "8.00", "0.80", rep_code="SHS-015"),
    ]

    reading = read(
        write(
            lines,
            rows_per_page=5,
            page_total="Total for page",
            client_total="Total {client}",
            has_rep_totals=True,
        )
    )

    assert errors(reading) == []
    net_sales = {(t.sheet, t.label): t.computed for t in reading.totals if "Net" in t.column}
    assert net_sales["page 2", f"Total {LONG}"] == Decimal("6.00")
    assert net_sales["page 2", "Total SHS-014"] == Decimal("7.00")
    assert net_sales["page 3", "Total SHS-015"] == Decimal("8.00")
    assert net_sales["page 3", "Total"] == Decimal("15.00")


def test_the_total_of_a_client_under_two_rep_codes_covers_the_lines_of_each() -> None:
    lines = [
        sale(LONG, "1.00", "0.10"),
        sale(LONG, "2.00", "0.20"),
        sale(LONG, "4.00", "0.40", rep_code="SHS-015"),
        sale(LONG, "8.00", "0.80", rep_code="SHS-015"),
    ]

    def with_total(net_sales: str, commission: str) -> Callable[[list[PrintedRow]], list[PrintedRow]]:
        cells = (f"Total {LONG}", "", "", net_sales, "", commission)
        return lambda rows: [*rows[:-2], replace(rows[-2], cells=cells), rows[-1]]

    first, second = pages_of(lines, client_total="Total {client}")
    reading = read(write([first, second]))
    net_sales = [total.computed for total in reading.totals if "Net" in total.column]
    assert errors(reading) == []
    assert net_sales == [Decimal("3.00"), Decimal("12.00"), Decimal("15.00")]

    without_first_total = replace(first, rows=first.rows[:-1])
    assert errors(read(write([without_first_total, with_rows(second, with_total("15.00", "1.50"))]))) == []

    wrong = read(write([first, with_rows(second, with_total("11.00", "1.10"))]))
    assert wrong.lines.empty
    assert "11.00" in errors(wrong)[0]


def test_a_second_rep_code_in_the_middle_of_a_page_begins_another_agency_code() -> None:
    def second_code(rows: list[PrintedRow]) -> list[PrintedRow]:
        return [*rows[:2], PrintedRow(("SHS-015", "", "", "", "", "")), *rows[2:]]

    reading = read(write([with_rows(pages_of(three_sales())[0], second_code)]))

    assert errors(reading) == []
    assert len(reading.lines) == 3


def test_a_statement_without_sales_and_a_zero_total_is_empty_and_whole() -> None:
    reading = read(write([]))

    assert errors(reading) == []
    assert reading.lines.empty


# --- layouts of other printing programs ---------------------------------------------------------


def drawn(rows: Sequence[Sequence[str]], draw: Callable[[Canvas, float, Sequence[str]], None]) -> bytes:
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=letter, invariant=1)
    canvas.setFont("Courier", 8)
    for index, title in enumerate(("Summit", "Statement", "3/31/2025 to all agencies")):
        canvas.drawCentredString(306, 760 - 12 * index, title)
    for index, row in enumerate(rows):
        draw(canvas, 710 - 12 * index, row)
    canvas.save()
    return target.getvalue()


ROWS = (
    ("Client", "", "", "Net Sales", "Comm", ""),
    HEADINGS,
    ("SHS-014",),
    ("Cedar Hill Clinic", "104882", "SM-100", "1,234.50", "7%", "86.42"),
    ("TX 75201",),
    ("Lakeside  Ambulatory Surgery", "104883", "SM-7 KIT", "(500.00)", "", "(35.00)"),
    ("MA 2138",),
    ("Total", "", "", "734.50", "", "51.42"),
)
LEFTS = (30.0, 180.0, 250.0, 330.0, 430.0, 500.0)


def as_padded_lines(canvas: Canvas, y: float, row: Sequence[str]) -> None:
    """Each line is one text, padded with spaces, as an old report writer prints it."""
    cells = [*row, *[""] * (6 - len(row))]
    canvas.drawString(30, y, "{:<32}{:<14}{:<16}{:>14}{:>10}{:>14}".format(*cells).rstrip())


def word_by_word(canvas: Canvas, y: float, row: Sequence[str]) -> None:
    for cell, left in zip(row, LEFTS, strict=False):
        for word in cell.split():
            canvas.drawString(left, y, word)
            left += 4.8 * (len(word) + 1) - 2.2


def left_aligned(canvas: Canvas, y: float, row: Sequence[str]) -> None:
    for cell, left in zip(row, LEFTS, strict=False):
        canvas.drawString(left, y, cell)


def with_dollars_apart(canvas: Canvas, y: float, row: Sequence[str]) -> None:
    for column, (cell, left) in enumerate(zip(row, LEFTS, strict=False)):
        is_amount = column in (3, 5) and amount_of(cell) is not None
        if is_amount:
            canvas.drawString(left, y, "$")
        canvas.drawRightString(left + 62, y, cell) if column > 2 else canvas.drawString(left, y, cell)


@pytest.mark.parametrize("draw", [as_padded_lines, word_by_word, left_aligned, with_dollars_apart])
def test_other_ways_to_print_the_same_statement_are_read(
    draw: Callable[[Canvas, float, Sequence[str]], None],
) -> None:
    reading = read(drawn(ROWS, draw))

    assert errors(reading) == []
    assert cells(reading, "Row Labels") in (
        ["Cedar Hill Clinic", "Lakeside Ambulatory Surgery"],
        ["Cedar Hill Clinic", "Lakeside  Ambulatory Surgery"],
    )
    assert cells(reading, "Invoice #") == ["104882", "104883"]
    assert cells(reading, "Item") == ["SM-100", "SM-7 KIT"]
    assert [amount_of(str(cell)) for cell in cells(reading, "Sum of Comm $")] == [
        Decimal("86.42"),
        Decimal("-35.00"),
    ]


@pytest.mark.parametrize(
    "name", ["Lakeside Ambulatory Surgery Ctr.", "St. Mary's Surgical Center No. 12"[1:]]
)
def test_a_name_that_touches_the_invoice_in_one_text_is_parted_from_it(name: str) -> None:
    assert len(name) == 32
    rows = [*ROWS[:5], (name, *ROWS[5][1:]), *ROWS[6:]]

    reading = read(drawn(rows, as_padded_lines))

    assert errors(reading) == []
    assert cells(reading, "Row Labels") == ["Cedar Hill Clinic", name]
    assert cells(reading, "Invoice #") == ["104882", "104883"]


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_page_that_is_turned_is_read_as_shown(angle: int) -> None:
    import pypdfium2

    content = write([sale(LONG), sale()])
    with coordinates.PDFIUM_LOCK:
        document = pypdfium2.PdfDocument(content)
        document[0].set_rotation(angle)
        target = io.BytesIO()
        document.save(target)
        document.close()

    reading = read(target.getvalue())

    assert errors(reading) == []
    assert cells(reading, "Row Labels") == [LONG, "Cedar Hill Clinic"]


# --- what is rejected ---------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"not a pdf", b"%PDF-1.4\ngarbage", write(three_sales())[:900]])
def test_what_is_no_whole_pdf_is_unreadable(content: bytes) -> None:
    with pytest.raises(UnreadableFileError, match=r"march\.pdf is not a PDF, or is damaged"):
        read(content)


def test_a_locked_statement_says_how_to_unlock_it() -> None:
    content = write_statement(three_sales(), statement_date=DAY, rep_code="SHS-014", password="open")

    with pytest.raises(UnreadableFileError, match=r"march\.pdf is protected with a password"):
        read(content)


def scanned(pages: int, *, text_pages: int = 0) -> bytes:
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    target = io.BytesIO()
    canvas = Canvas(target, pagesize=letter, invariant=1)
    for index in range(pages):
        if index < text_pages:
            canvas.drawString(50, 700, "Summit")
        else:
            canvas.drawImage(ImageReader(Image.new("RGB", (60, 80), "grey")), 0, 0, 612, 792)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


def test_a_scan_is_unreadable_and_a_scanned_page_among_others_is_named() -> None:
    with pytest.raises(UnreadableFileError, match="pictures of pages but no text"):
        read(scanned(2))


def test_a_scanned_page_among_others_is_named() -> None:
    import pypdfium2

    with coordinates.PDFIUM_LOCK:
        document = pypdfium2.PdfDocument(write(three_sales()))
        picture = pypdfium2.PdfDocument(scanned(1))
        document.import_pages(picture)
        target = io.BytesIO()
        document.save(target)
        for opened in (picture, document):
            opened.close()

    reading = read(target.getvalue())

    assert reading.lines.empty
    assert [(problem.sheet, problem.problem[:25]) for problem in reading.problems] == [
        ("page 2", "The page is a picture wit"),
    ]


def test_a_pdf_without_text_or_of_another_kind_says_so() -> None:
    def drawn_text(*texts: str) -> bytes:
        target = io.BytesIO()
        canvas = Canvas(target, pagesize=letter, invariant=1)
        for index, text in enumerate(texts):
            canvas.drawString(50, 700 - 12 * index, text)
        canvas.showPage()
        canvas.save()
        return target.getvalue()

    with pytest.raises(UnreadableFileError, match="contains no text: its pages are empty"):
        read(drawn_text())
    with pytest.raises(UnreadableFileError, match="has no column heading") as raised:
        read(drawn_text("Dear customer,", "please find our new prices 2025 attached."))
    assert "pivot export (.xlsx)" in raised.value.remedy
    with pytest.raises(UnreadableFileError, match=r"has no column for Sum of Net Sales Amount") as raised:
        read(
            drawn_text(
                "3/31/2025", "Name     Invoice #     Item ID     Comm Rate     Comm $", "A 1 2 7% 3.00"
            )
        )


@pytest.mark.parametrize("day", ["sometime in March", "13/45/2025", "31/03/2025", ""])
def test_a_missing_or_impossible_date_is_rejected_at_its_line(day: str) -> None:
    page = replace(pages_of(three_sales())[0], statement_date=day)

    reading = read(write([page]))

    assert reading.lines.empty
    problem = reading.problems[0]
    assert (problem.sheet, problem.row, problem.column) == ("page 1", 3, STATEMENT_DATE)


def test_pages_of_two_statements_are_rejected() -> None:
    first, second = pages_of(three_sales(), rows_per_page=4)

    reading = read(write([first, replace(second, statement_date=date(2025, 4, 30))]))

    assert reading.lines.empty
    assert [(problem.sheet, problem.row) for problem in reading.problems] == [("page 2", 3)]
    assert "3/31/2025" in errors(reading)[0]


def test_a_missing_grand_total_is_rejected_also_when_page_totals_are_there() -> None:
    for style in ({}, {"page_total": "Total for page"}, {"client_total": "Total {client}"}):
        reading = read(write(three_sales(), has_grand_total=False, **style))

        assert reading.lines.empty
        assert "without a grand total" in errors(reading)[0]


def test_a_wrong_grand_total_is_shown_with_the_sum_of_the_lines() -> None:
    reading = read(write(three_sales(), grand_total=(Decimal("999.00"), Decimal("57.02"))))

    assert reading.lines.empty
    [problem] = reading.problems
    assert "'Total' does not add up: 999.00 is printed" in problem.problem
    assert "814.50" in problem.problem
    assert (problem.sheet, problem.row, problem.column) == ("page 1", 13, "Sum of Net Sales Amount")
    assert "pivot export (.xlsx)" in problem.remedy


def test_a_wrong_page_total_is_rejected_though_the_grand_total_agrees() -> None:
    def wrong(rows: list[PrintedRow]) -> list[PrintedRow]:
        return [*rows[:-1], replace(rows[-1], cells=("Total for page", "", "", "1.00", "", "1.00"))]

    pages = pages_of(three_sales(), rows_per_page=4, page_total="Total for page")

    assert errors(read(write(pages))) == []
    reading = read(write([with_rows(pages[0], wrong), pages[1]]))
    assert reading.lines.empty
    assert {problem.sheet for problem in reading.problems} == {"page 1"}


@pytest.mark.parametrize(
    "remark",
    ["Adjustments are listed overleaf", "Freight", "* Price adjusted", "Lakeside Wing", "Page 2 of 3"],
)
def test_a_remark_below_a_client_is_left_out_and_counted(remark: str) -> None:
    reading = read(write([with_rows(pages_of(three_sales())[0], inserted(2, remark))]))

    assert errors(reading) == []
    assert cells(reading, "Row Labels") == [line.client for line in three_sales()]
    assert sum(reading.left_out.values()) == 1


def inserted(at: int, text: str) -> Callable[[list[PrintedRow]], list[PrintedRow]]:
    return lambda rows: [*rows[:at], PrintedRow((text, "", "", "", "", "")), *rows[at:]]


def test_between_a_name_and_its_place_stands_the_rest_of_the_name() -> None:
    page = pages_of(three_sales())[0]

    whole = read(write([with_rows(page, inserted(1, "of Greater Plano"))]))
    remark = read(write([with_rows(page, inserted(1, "* rebilled in April"))]))
    street = read(write([with_rows(page, inserted(1, "1200 Elm Street"))]))
    doubtful = read(write([with_rows(page, inserted(1, "Credit for invoice 104700"))]))

    assert cells(whole, "Row Labels")[0] == "Cedar Hill Clinic of Greater Plano"
    assert whole.left_out == {}
    for reading in (remark, street):
        assert cells(reading, "Row Labels")[0] == "Cedar Hill Clinic"
        assert reading.left_out == {"text without amounts": 1}
    assert doubtful.lines.empty
    assert (doubtful.problems[0].row, doubtful.problems[0].column) == (8, "Row Labels")
    assert "is a remark or part of the name" in errors(doubtful)[0]


def test_without_places_only_a_name_that_had_to_be_wrapped_goes_on() -> None:
    wrapped = write([sale(LONG), sale()], place="", wraps_names=True)
    page = pages_of([sale(), sale()], place="")[0]

    assert cells(read(wrapped), "Row Labels") == [LONG, "Cedar Hill Clinic"]
    doubtful = read(write([with_rows(page, inserted(1, "Lakeside Wing"))]))
    assert doubtful.lines.empty
    assert "is a remark or part of the name" in errors(doubtful)[0]
    assert read(write([with_rows(page, inserted(1, "* Price adjusted"))])).left_out == {
        "text without amounts": 1
    }


def test_a_sale_without_state_and_zip_among_others_is_a_warning_at_the_sale() -> None:
    for dropped, line in ((1, 7), (5, 11)):
        page = pages_of(three_sales())[0]

        reading = read(write([replace(page, rows=page.rows[:dropped] + page.rows[dropped + 1 :])]))

        assert errors(reading) == []
        assert len(reading.lines) == 3
        [problem] = reading.problems
        assert "no state and zip line" in problem.problem
        assert problem.row == line


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [(1, "", "Invoice #"), (3, "n/a", "Sum of Net Sales Amount"), (4, "seven", "CommRate")],
)
def test_a_sale_line_that_is_not_whole_is_named_by_column(column: int, value: str, named: str) -> None:
    def spoil(rows: list[PrintedRow]) -> list[PrintedRow]:
        changed = list(rows[2].cells)
        changed[column] = value
        return [*rows[:2], PrintedRow(tuple(changed)), *rows[3:]]  # type: ignore[arg-type]

    reading = read(write([with_rows(pages_of(three_sales())[0], spoil)]))

    assert reading.lines.empty
    assert (reading.problems[0].row, reading.problems[0].column) == (9, named)


def test_a_page_without_heading_goes_on_with_the_columns_before() -> None:
    first, second = pages_of(three_sales(), rows_per_page=4)

    reading = read(write([first, replace(second, has_heading=False)]))

    assert errors(reading) == []
    assert len(reading.lines) == 3


# --- two readers --------------------------------------------------------------------------------


def without_a_sale(lines: list[CellLine]) -> list[CellLine]:
    """Lose the second sale and its state-and-zip line."""
    at = next(index for index, line in enumerate(lines) if line[INVOICE] == "104883")
    return lines[:at] + lines[at + 2 :]


def test_a_row_that_camelot_loses_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    seen_by_camelot(monkeypatch, without_a_sale)

    reading = read(write(three_sales()))

    assert errors(reading) == []
    assert cells(reading, "Invoice #") == ["104882", "104883", "104884"]


def test_camelots_reading_is_taken_when_only_that_one_ties_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = columns.Columns.cells_of

    def lossy(self: columns.Columns, page: int, line: PrintedLine) -> CellLine:
        read = real(self, page, line)
        return replace(read, cells={}) if read[INVOICE] == "104883" else read

    monkeypatch.setattr(columns.Columns, "cells_of", lossy)

    reading = read(write(three_sales()))

    assert errors(reading) == []
    assert reading.lines.attrs["reader"] == "camelot"
    assert cells(reading, "Invoice #") == ["104882", "104883", "104884"]


@pytest.mark.parametrize("failure", [ValueError("boom"), MemoryError()])
def test_the_coordinate_reading_is_taken_when_camelot_fails(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    import camelot

    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(camelot, "read_pdf", fail)

    reading = read(write(three_sales()))

    assert errors(reading) == []
    assert reading.lines.attrs["reader"] == "coordinate reader"


def test_two_tables_on_one_page_are_not_taken_from_camelot(monkeypatch: pytest.MonkeyPatch) -> None:
    import camelot

    real = camelot.read_pdf
    monkeypatch.setattr(camelot, "read_pdf", lambda *a, **k: [*real(*a, **k), *real(*a, **k)])

    reading = read(write(three_sales()))

    assert errors(reading) == []
    assert reading.lines.attrs["reader"] == "coordinate reader"
    assert len(reading.lines) == 3


def test_two_statements_are_read_at_once_in_two_threads() -> None:
    contents = [write([sale(f"Clinic {n}", invoice=str(n))] * 30, rows_per_page=20) for n in range(4)]

    with ThreadPoolExecutor(4) as pool:
        readings = list(pool.map(read, contents))

    assert [set(cells(reading, "Invoice #")) for reading in readings] == [{"0"}, {"1"}, {"2"}, {"3"}]
    assert all(len(reading.lines) == 30 for reading in readings)


def test_importing_the_reader_leaves_the_heavy_libraries_alone() -> None:
    code = (
        "import sys, shs_pipeline.supplier_pdf.statement;"
        "print([m for m in ('camelot', 'pandas', 'pypdfium2', 'cv2') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.soak
def test_a_statement_of_more_than_a_hundred_pages_is_read_whole() -> None:
    names = ("Cedar Hill Clinic", LONG, "Total Care Clinic", "Lakeside Ambulatory Surgery Center at Rowl")
    lines = [
        sale(
            names[n % 4], f"{n * 7919 % 90000 - 9000}.{n % 100:02}", f"{n % 500}.07", invoice=str(100000 + n)
        )
        for n in range(1700)
    ]

    content = write(lines, rows_per_page=29, keep_together=False, page_total="Total for page")
    reading = read(content)

    assert errors(reading) == []
    assert reading.lines[SHEET].nunique() > 110
    assert cells(reading, "Invoice #") == [line.invoice for line in lines]
    assert cells(reading, "Row Labels") == [line.client for line in lines]
    assert sum(amount_of(str(cell)) or 0 for cell in cells(reading, "Sum of Net Sales Amount")) == sum(
        line.net_sales for line in lines
    )


# --- printed numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("$1,234.50", "1234.50"), ("(123.45)", "-123.45"), ("$(123.45)", "-123.45"), ("($123.45)", "-123.45"),
        ("-$123.45", "-123.45"), ("123.45-", "-123.45"), ("$ 5", "5"), (".50", "0.50"), ("0.00", "0"),
    ],
)  # fmt: skip
def test_printed_amounts(text: str, amount: str) -> None:
    assert amount_of(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "-", "$", "n/a", "12,34.50", "1.234,50", "7%", "1-2", "(-5)-", "12 SM"])
def test_what_is_no_amount(text: str) -> None:
    assert amount_of(text) is None


def test_printed_rates() -> None:
    assert all(is_rate(text) for text in ("7%", "7.0%", "7,0%", "0.07", "7", "7 %", ".07"))
    assert not any(is_rate(text) for text in ("", "%", "seven", "7%%", "1,234.50"))
