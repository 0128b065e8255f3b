"""Summit Medical's statements in layouts drawn by lot, drawn by other means, and as they were received."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from reportlab.lib import colors
from reportlab.lib.pagesizes import landscape, letter
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate, Table, TableStyle

from shs_pipeline.base.errors import UnreadableFileError
from shs_pipeline.files.reading import ROW, SHEET, Reading, SourceFile
from shs_pipeline.samples.statement_pdf import (
    PrintedRow,
    StatementLine,
    StatementPage,
    left_out_of,
    paginate,
    write_statement,
)
from shs_pipeline.samples.statement_style import StatementStyle, random_style
from shs_pipeline.supplier_pdf.statement import read_statement

CASES = Path(__file__).parents[1] / "cases" / "statements"
DAY = date(2025, 3, 31)
CODE = "4410.00 Streamline Hospital Services"
NAMES = (
    "Cedar Hill Clinic",
    "Saint Bartholomew University Medical Center of Greater Plano and Allen",
    "Total Care Clinic",
    "Lakeside Ambulatory Surgery Center at Rowlett",
    "O'Hill Memorial",
    "St. Oak Surgical Center, LLC",
    "Grand Lake Regional Medical Center and Affiliated Physicians",
    "21st Century Oncology",
    "Page Memorial Hospital",
)
INSERTED = (
    "Confidential", "Page 2 of 3", "* Price adjusted", "Summit Medical", "SHS-015", "1200 Elm Street",
    "4410.00 Streamline Hospital Services", "Suite 200", "continued on next page", "---------", "#1234",
    "Note: paid in April", "Thank you for your business", "Adjustments are listed overleaf", "Total", "Name",
    "Commission Statement", "ATTN: Billing", "End of report",
)  # fmt: skip
Row = tuple[object, ...]


def read(content: bytes) -> Reading:
    return read_statement(SourceFile("march.pdf", content))


def errors(reading: Reading) -> list[str]:
    return [problem.sentence for problem in reading.problems if problem.severity == "error"]


def amounts_read(content: bytes) -> list[tuple[Decimal, Decimal]] | None:
    """Return both amounts of each line, None where the statement is refused."""
    try:
        reading = read(content)
    except UnreadableFileError:
        return None
    if errors(reading):
        assert reading.lines.empty
        return None
    return [(row[-2], row[-1]) for row in rows(reading)]


def rows(reading: Reading) -> list[Row]:
    names = ["Row Labels", "St", "ZIP Code", "Invoice #", "Item"]
    names += ["Sum of Net Sales Amount", "Sum of Comm $"]
    return [tuple(row) for row in reading.lines[names].itertuples(index=False)]


def random_lines(luck: random.Random) -> list[StatementLine]:
    """Sales of a month, several of them of one client in a row."""
    lines: list[StatementLine] = []
    number = luck.randint(1000, 90000)
    count = luck.choice((2, 5, 12, 40))
    while len(lines) < count:
        name, state = luck.choice(NAMES), luck.choice(("TX", "OK", "NM", "MA"))
        zip_code = luck.choice(("75201", "02138", "2138", "75201-1234", "501"))
        for _ in range(luck.randint(1, 3)):
            number += luck.randint(1, 3)
            percent = luck.choice((Decimal(6), Decimal(12), Decimal("15.5")))
            net_sales = Decimal(luck.randint(-90000, 500000)).scaleb(-2)
            rate = (f"{percent:.2f}", f"{percent}%", f"{percent / 100}", f"{percent:.2f} %", "")
            lines.append(
                StatementLine(
                    name,
                    state,
                    zip_code,
                    luck.choice(("INV{}", "{}", "SM-{}")).format(number),
                    luck.choice(("IT-{}", "SM{}", "{}", "SM-{} KIT")).format(luck.randint(1, 999)),
                    net_sales,
                    luck.choice(rate),
                    (net_sales * percent / 100).quantize(Decimal("0.01"), ROUND_HALF_UP),
                    extra=luck.choice(("1/15/2025", "12", "Tray 3")),
                )
            )
    return lines


def drawn(seed: int) -> tuple[list[StatementLine], list[StatementPage], StatementStyle]:
    luck = random.Random(seed)
    style = random_style(luck)
    lines = random_lines(luck)
    return lines, paginate(lines, statement_date=DAY, rep_code=CODE, style=style), style


def written(pages: Sequence[StatementPage], style: StatementStyle) -> bytes:
    return write_statement(pages, statement_date=DAY, rep_code=CODE, style=style)


def check_drawn(seed: int) -> None:
    lines, pages, style = drawn(seed)

    reading = read(written(pages, style))

    assert reading.problems == []
    assert rows(reading) == [
        (
            line.client,
            *((line.state, line.zip_code) if style.place else (None, None)),
            line.invoice,
            line.item,
            line.net_sales,
            line.commission,
        )
        for line in lines
    ]
    assert reading.left_out == left_out_of(pages, style)
    assert list(zip(reading.lines[SHEET], reading.lines[ROW], strict=True)) == [
        (f"page {number}", row)
        for number, page in enumerate(pages, start=1)
        for row, printed in enumerate(page.rows, start=page.first_row(style))
        if printed.cells[1]
    ]


def check_changed(seed: int) -> None:
    """One printed amount that is changed, of a sale or of a total, rejects the file."""
    _, pages, style = drawn(seed)
    luck = random.Random(seed)
    printed = [
        (number, row, cell)
        for number, page in enumerate(pages)
        for row, printed_row in enumerate(page.rows)
        for cell in (3, 5)
        if printed_row.cells[cell]
    ]
    number, at, cell = luck.choice(printed)
    page = pages[number]
    row = page.rows[at]
    place = luck.choice([i for i, char in enumerate(row.cells[cell]) if char.isdigit()])
    digit = luck.choice([other for other in "123456789" if other != row.cells[cell][place]])
    amount = row.cells[cell][:place] + digit + row.cells[cell][place + 1 :]
    changed = replace(row, cells=(*row.cells[:cell], amount, *row.cells[cell + 1 :]))
    rest = (*page.rows[:at], changed, *page.rows[at + 1 :])
    pages = [*pages[:number], replace(page, rows=rest), *pages[number + 1 :]]

    assert amounts_read(written(pages, style)) is None


def check_inserted(seed: int) -> None:
    """A text that says nothing of a client leaves each name as it is, or rejects the file."""
    luck = random.Random(seed)
    lines, pages, style = drawn(seed)
    if luck.random() < 0.4:
        style = replace(style, place="", remarks=())
        pages = paginate(lines, statement_date=DAY, rep_code=CODE, style=style)
    number = luck.randrange(len(pages))
    printed = pages[number].rows
    at = luck.randint(0, len(printed))
    text = luck.choice(("", "", "   ")) + luck.choice(INSERTED)
    row = PrintedRow((text, *[""] * 5), gap=luck.choice((0, 9)))
    pages[number] = replace(pages[number], rows=(*printed[:at], row, *printed[at:]))

    try:
        reading = read(written(pages, style))
    except UnreadableFileError:
        return
    if not errors(reading):
        assert [row[0] for row in rows(reading)] == [line.client for line in lines]


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_what_was_drawn_in_any_layout_is_what_is_read(first: int) -> None:
    for seed in range(first, first + 10):
        check_drawn(seed)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(1000, 1400, 50))
def test_in_many_layouts_too_what_was_drawn_is_what_is_read(first: int) -> None:
    for seed in range(first, first + 50):
        check_drawn(seed)


@pytest.mark.parametrize("first", range(0, 20, 10))
def test_a_text_between_any_lines_changes_no_name_unseen(first: int) -> None:
    for seed in range(first, first + 10):
        check_inserted(seed)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(1000, 1200, 50))
def test_a_text_between_any_lines_of_many_layouts_changes_no_name_unseen(first: int) -> None:
    for seed in range(first, first + 50):
        check_inserted(seed)


@pytest.mark.parametrize("first", range(0, 20, 10))
def test_a_changed_amount_or_total_rejects_the_file_in_any_layout(first: int) -> None:
    for seed in range(first, first + 10):
        check_changed(seed)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(1000, 1200, 50))
def test_a_changed_amount_or_total_rejects_the_file_in_many_layouts(first: int) -> None:
    for seed in range(first, first + 50):
        check_changed(seed)


# --- as received ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "c"])
def test_statements_as_received_are_read_as_their_table_says(name: str) -> None:
    reading = read((CASES / f"{name}.pdf").read_bytes())

    with (CASES / f"{name}.csv").open(newline="") as file:
        texts = ("client", "state", "zip", "invoice", "item")
        expected = [
            (*(line[column] for column in texts), Decimal(line["net_sales"]), Decimal(line["comm"]))
            for line in csv.DictReader(file)
        ]
    assert reading.problems == []
    assert rows(reading) == expected
    assert set(reading.lines["CommRate"]) == {"12.00"}
    assert set(reading.lines["Statement Date"]) == {date(2025, 3, 1)}


@pytest.mark.parametrize(
    ("name", "client", "left_out"),
    [
        ("watermark", "Cedar Hill Clinic", {"watermark": 1}),
        ("footer", "Cedar Hill Clinic", {"page number or print date": 1}),
        ("wrapped_name", "Cedar Hill Clinic of Greater Plano", {}),
        ("glyphs", "Cedar Hill Clinic", {}),
    ],
)
def test_what_a_person_sees_on_the_page_is_read(name: str, client: str, left_out: dict[str, int]) -> None:
    reading = read((CASES / f"statement_{name}.pdf").read_bytes())

    assert reading.problems == []
    assert rows(reading) == [
        (client, "TX", "75201", "104882", "SM-100", Decimal("1234.50"), Decimal("86.42")),
        ("Lakefield Surgery", "MA", "02138", "104883", "SM-7", Decimal("-500.00"), Decimal("-35.00")),
    ]
    assert reading.left_out == left_out


# --- drawn by other means ------------------------------------------------------------------------

SALES: list[Row] = [
    ("Cedar Hill Clinic", "TX", "75201", "104882", "SM-100", Decimal("1234.50"), Decimal("86.42")),
    ("Lakeside Surgery Center", "MA", "02138", "104883", "SM-7", Decimal("-500.00"), Decimal("-35.00")),
    ("Mercy Hosp.", "OK", "73101", "104884", "SM-7", Decimal("80.00"), Decimal("5.60")),
]
TABLE = (
    ("Name\nState/ZIP", "Invoice #", "Item ID", "Net Sales\nAmount", "Comm\nRate", "Comm $"),
    ("Cedar Hill Clinic\nTX 75201", "104882", "SM-100", "1,234.50", "7.00", "86.42"),
    ("Lakeside Surgery Center\nMA 02138", "104883", "SM-7", "(500.00)", "7.00", "(35.00)"),
    ("Mercy Hosp.\nOK 73101", "104884", "SM-7", "80.00", "7.00", "5.60"),
    ("Total", "", "", "814.50", "", "57.02"),
)


def platypus(style: list[tuple[object, ...]], *, pagesize: tuple[float, float] = letter) -> bytes:
    """The table as reportlab's layout engine sets it, below a title."""
    target = io.BytesIO()
    sheet = getSampleStyleSheet()
    document = SimpleDocTemplate(target, pagesize=pagesize, invariant=1)
    titles = [Paragraph(text, sheet["Normal"]) for text in ("Summit Medical", "Statement", "March 31, 2025")]
    table = Table([list(row) for row in TABLE], style=TableStyle(style), repeatRows=1)
    document.build([*titles, table])
    return target.getvalue()


@pytest.mark.parametrize("valign", ["TOP", "MIDDLE", "BOTTOM"])
@pytest.mark.parametrize("pagesize", [letter, landscape(letter)])
def test_a_table_whose_cells_stand_at_any_height_is_read(valign: str, pagesize: tuple[float, float]) -> None:
    aligned: list[tuple[object, ...]] = [
        ("VALIGN", (0, 0), (-1, -1), valign),
        ("ALIGN", (3, 0), (-1, -1), "RIGHT"),
    ]

    reading = read(platypus(aligned, pagesize=pagesize))

    assert errors(reading) == []
    assert rows(reading) == SALES


def test_white_headings_on_a_dark_band_are_seen() -> None:
    dark: list[tuple[object, ...]] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("BACKGROUND", (0, 0), (-1, 0), colors.navy),
        ("TEXTCOLOR", (0, 0), (-1, 0), colors.white),
        ("ALIGN", (3, 0), (-1, -1), "RIGHT"),
    ]

    assert rows(read(platypus(dark))) == SALES


def raw_pdf(content: str) -> bytes:
    """A PDF of one page, written by hand."""
    stream = content.encode("latin-1")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [-10 -20 602 772] /Contents 4 0 R"
            b" /Resources << /Font << /F1 5 0 R >> >> >>"
        ),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    target = io.BytesIO()
    target.write(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(target.tell())
        target.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = target.tell()
    target.write(
        b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    )
    target.write(b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start)
    return target.getvalue()


def kerned(text: str) -> str:
    """A text as one operator with its spaces as gaps, as word processors write it."""
    escaped = text.replace("(", r"\(").replace(")", r"\)")
    return "[" + " -278 ".join(f"({word})" for word in escaped.split(" ")) + "] TJ"


def spaced(text: str) -> str:
    escaped = text.replace("(", r"\(").replace(")", r"\)")
    return f"0.6 Tc ({escaped}) Tj 0 Tc"


@pytest.mark.parametrize("show", [kerned, spaced])
@pytest.mark.parametrize("twice", [False, True])
def test_content_written_by_hand_is_read(show: Callable[[str], str], *, twice: bool) -> None:
    lefts = (36, 210, 290, 370, 450, 510)
    parts = ["BT /F1 9 Tf"]

    def put(text: str, x: float, y: float) -> None:
        # Some print bold by printing twice, a hair to the right.
        shifts = (0, 0.3) if twice else (0,)
        parts.extend(f"1 0 0 1 {x + shift} {y} Tm {show(text)}" for shift in shifts)

    for index, title in enumerate(("Summit Medical", "Statement", "Statement Date: 2025-03-31")):
        put(title, 240, 740 - 12 * index)
    y = 690
    for row in TABLE:
        for line in range(2):
            for cell, left in zip(row, lefts, strict=True):
                texts = cell.split("\n")
                if line < len(texts) and texts[line]:
                    put(texts[line], left, y - 11 * line)
        y -= 26
    parts.append("ET")

    reading = read(raw_pdf("\n".join(parts)))

    assert errors(reading) == []
    assert rows(reading) == SALES


def test_words_without_any_order_are_read() -> None:
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=letter, invariant=1)
    canvas.setFont("Times-Roman", 9)
    words: list[tuple[float, float, str]] = [
        (250, 760, "Summit"),
        (250, 748, "Statement"),
        (250, 736, "3/31/2025"),
    ]
    lefts, y = (36, 210, 290, 370, 450, 510), 700
    for row in TABLE:
        for cell, left in zip(row, lefts, strict=True):
            for line, text in enumerate(cell.split("\n")):
                x = float(left)
                for word in text.split():
                    words.append((x, y - 11 * line, word))
                    x += canvas.stringWidth(f"{word} ", "Times-Roman", 9)
        y -= 24
    random.Random(7).shuffle(words)
    for x, height, word in words:
        canvas.drawString(x, height, word)
    canvas.save()

    reading = read(target.getvalue())

    assert errors(reading) == []
    assert rows(reading) == SALES


def test_columns_that_fit_two_headings_are_proved_by_the_totals_and_rates() -> None:
    """Two columns are called Amount: only one is net sales."""
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=landscape(letter), invariant=1)
    table = (
        ("Name", "Invoice #", "Item ID", "Amount", "Amount", "Comm %", "Comm $"),
        ("Cedar Hill Clinic", "104882", "SM-100", "2,000.00", "1,234.50", "7%", "86.42"),
        ("Mercy Hosp.", "104884", "SM-7", "100.00", "80.00", "7%", "5.60"),
        ("Total", "", "", "2,100.00", "1,314.50", "", "92.02"),
    )
    canvas.drawString(300, 590, "3/31/2025")
    for index, row in enumerate(table):
        for cell, left in zip(row, (36, 230, 310, 400, 490, 580, 660), strict=True):
            canvas.drawString(left, 560 - 14 * index, cell)
    canvas.save()

    assert list(read(target.getvalue()).lines["Sum of Net Sales Amount"]) == [
        Decimal("1234.50"),
        Decimal("80.00"),
    ]
