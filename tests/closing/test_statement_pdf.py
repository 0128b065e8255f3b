"""The statement on paper: what it says, that it adds up, and that nothing breaks it.

`SHS_SCREENSHOTS=docs/images` keeps pictures.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import unicodedata
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shs_pipeline.base.errors import ShsError
from shs_pipeline.closing.statement import Statement
from shs_pipeline.closing.statement_layout import Layout, Section, below, differences, laid_out, shown
from shs_pipeline.closing.statement_pdf import Paper, statement_pdf
from shs_pipeline.closing.statement_words import rate_shown, with_sign
from tests.helpers.statements import EXAMPLES, made_statement, statements

# A file that draws each kind of statement takes a moment; what is drawn at random takes many.
FEW = settings(max_examples=12, suppress_health_check=list(HealthCheck))


def texts(content: bytes) -> list[str]:
    """The text of each page, with minus signs as they are typed and letters in one form."""
    pages = []
    for page in pdfium.PdfDocument(content):
        text = page.get_textpage().get_text_range()
        pages.append(unicodedata.normalize("NFKC", text).replace("\u2212", "-").replace("\r", ""))
    return pages


def words(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip()


def drawn(content: bytes) -> str:
    return words(" ".join(texts(content)))


def amounts_after(name: str, text: str) -> list[Decimal]:
    """The amounts in the line that begins with a name."""
    lines = [line for line in text.splitlines() if line.startswith(name)]
    found = re.findall(r"(?<![\w.,-])-?[\d,]+\.\d\d(?![\d%])", lines[-1])
    return [Decimal(one.replace(",", "")) for one in found]


def every_word(layout: Layout) -> list[str]:
    """What a page has to say, in any order."""
    name, amount, sentences = layout.headline
    said = [layout.name, layout.mark, name, with_sign(amount), *sentences, layout.receipt]
    for label, value in layout.facts:
        said += [label, value]
    for section in layout.sections:
        said += [section.title, section.note, *cells(section)]
    return [one for one in said if one]


def cells(section: Section) -> list[str]:
    said = []
    for row in section.rows:
        said.append(below(row, section))
        columns = zip(row, section.columns, strict=True)
        said += [shown(value, column) for value, column in columns if column.place == "column"]
    return said


# --- adding up -----------------------------------------------------------------------------


@FEW
@given(statement=statements(), paper=st.sampled_from(["letter", "a4"]))
def test_the_printed_amounts_add_up(statement: Statement, paper: Paper) -> None:
    pages = texts(statement_pdf(statement, paper=paper))
    text = "\n".join(pages)
    first = text[text.index("How it adds up") : text.index("Earned, by product line")]
    (earned,), (restated,), (adjustments,) = (
        amounts_after(name, first) for name in ("Earned", "Restated", "Adjustments")
    )
    (recovered,), (brought,) = amounts_after("Recovered", first), amounts_after("Brought forward", first)
    (due,), (paid,) = amounts_after("Due", first), amounts_after("Paid", first)
    (carried,) = amounts_after("Carried forward", first)

    assert earned + restated + adjustments + recovered + brought == due == paid + carried
    assert paid == max(due, Decimal(0))
    assert f"${paid:,.2f}" in text[: text.index("How it adds up")]

    second = text[text.index("Earned, by product line") :]
    second = re.split(r"\r?\n(?:Restated|Adjustments|Recovered|Brought forward|Lines)\r?\n", second)[0]
    rows = [amounts_after(state.product_line, second) for state in statement.product_lines]
    totals = amounts_after("Earned", second)
    assert [sum(column) for column in zip(*rows, strict=True)] == totals
    assert totals[-1] == earned
    assert all(lines + released == all_of for _, lines, released, all_of in rows)


@FEW
@given(statement=statements())
def test_the_printed_lines_add_up_to_what_the_product_lines_say(statement: Statement) -> None:
    pages = texts(statement_pdf(statement))
    text = "\n".join(pages)
    lines = text[text.rindex("credited in Oct 2026.") :]
    section = laid_out(statement).sections[-1]
    for group in section.groups:
        sales, revenue, paid, held_back = amounts_after(group.title, lines)
        of = [line for line in statement.lines if line.product_line == group.title]
        assert (sales, paid) == (sum(line.sales for line in of), sum(line.paid for line in of))
        assert (revenue, held_back) == (sum(line.revenue for line in of), sum(line.held_back for line in of))
    assert len(re.findall(r"Invoice INV-\d{5} ", lines)) == len(statement.lines)


def test_what_does_not_add_up_is_not_printed() -> None:
    statement = EXAMPLES["usual"]()
    wrong = replace(statement, amounts=replace(statement.amounts, earned=Decimal("1.00")))

    assert differences(statement) == []
    with pytest.raises(ShsError, match=r"Dana Whitfield for Oct 2026 does not add up: .* not 1\.00"):
        statement_pdf(wrong)


@pytest.mark.parametrize("part", ["lines", "items", "product_lines"])
def test_a_part_that_is_missing_is_noticed(part: str) -> None:
    statement = EXAMPLES["usual"]()

    assert differences(replace(statement, **{part: getattr(statement, part)[1:]}))


# --- what it says --------------------------------------------------------------------------


@pytest.mark.parametrize("example", [name for name in EXAMPLES if name != "many"])
def test_every_word_and_figure_is_printed(example: str) -> None:
    statement = EXAMPLES[example]()
    text = drawn(statement_pdf(statement))
    letters = text.replace(" ", "")

    for one in every_word(laid_out(statement)):
        for word in words(one).split():
            # A long word breaks over lines; one from right to left is read back in either order.
            if len(word) < 30 and not any(unicodedata.bidirectional(each) in ("R", "AL") for each in word):
                assert word in letters, one


def test_names_in_other_scripts_are_printed_letter_by_letter() -> None:
    statement = EXAMPLES["scripts"]()
    letters = set(drawn(statement_pdf(statement)))

    wanted = {letter for line in statement.lines for letter in words(line.customer)}
    assert wanted - letters == set()
    assert "\ufffd" not in letters


def test_a_letter_that_no_font_has_is_replaced_and_not_dropped() -> None:
    statement = made_statement(customers=["Clinic \U00013000 North"], lines=1, product_lines=["Trays"])

    assert "Clinic \ufffd North" in drawn(statement_pdf(statement))


def test_what_nobody_can_see_is_written_out() -> None:
    statement = made_statement(
        customers=["A\x00B\ud800C\ufffeD\u202eE"], lines=1, product_lines=["Trays"], name="Tab\there"
    )
    text = drawn(statement_pdf(statement))

    assert "A\\x00B\\ud800C\ufffdD\\u202eE" in text
    assert "Tab here" in text


def test_an_open_statement_is_marked_on_every_page() -> None:
    open_one, closed = EXAMPLES["open"](), EXAMPLES["usual"]()

    assert all("Provisional" in page for page in texts(statement_pdf(open_one)))
    assert not any("Provisional" in page for page in texts(statement_pdf(closed)))
    assert "To be paid so far" in drawn(statement_pdf(open_one))
    assert "2026-10-P-0007-1" not in drawn(statement_pdf(open_one))


def test_pages_are_numbered_and_name_the_receipt_and_the_statement() -> None:
    pages = texts(statement_pdf(EXAMPLES["usual"]()))

    assert len(pages) > 2
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page
        assert "Receipt 2026-10-1" in page
        assert "2026-10-P-0007-1" in page


def test_who_asked_for_the_close_is_named_beside_who_approved_it() -> None:
    by = dict(laid_out(EXAMPLES["usual"]()).facts)

    assert (by["Approved by"], by["Closed by"]) == ("Harriet Lindqvist", "harriet.lindqvist")
    assert {"Approved by", "Closed by"}.isdisjoint(dict(laid_out(EXAMPLES["open"]()).facts))


def test_headings_are_repeated_and_stand_above_something() -> None:
    pages = texts(statement_pdf(made_statement(21, lines=200)))

    for page in pages[2:]:
        assert words(page).startswith(
            "Dana Whitfield · Oct 2026 · statement 2026-10-P-0007-1 Date Customer Sales"
        )
    for page in pages:
        rows = [line for line in page.splitlines() if line.strip()]
        body = [row for row in rows if not row.startswith(("Receipt", "Page"))]
        assert not body[-1].endswith(("continued", "Held back", "Lines", "Novo Implants"))


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"tier": 1, "threshold": Decimal(120_000), "held_back": Decimal(540)},
         ("Tier 1: 86,000.00 of the 120,000.00 threshold sold this year. "
          "540.00 is held back until it is reached.")),
        ({"tier": 1, "threshold": None, "held_back": Decimal("0.00")},
         "Tier 1: 86,000.00 sold this year; no threshold is set."),
        ({"tier": 2, "threshold": Decimal(80_000), "held_back": Decimal("0.00")},
         "Tier 2: 86,000.00 sold this year; the threshold of 80,000.00 has been reached."),
    ],
)  # fmt: skip
def test_tier_threshold_and_what_waits_are_said_in_words(state: dict[str, Decimal], sentence: str) -> None:
    statement = made_statement(lines=3, product_lines=["Trays"])
    changed = replace(statement.product_lines[0], sales_to_date=Decimal(86_000), **state)

    assert sentence in drawn(statement_pdf(replace(statement, product_lines=(changed,))))


def test_a_negative_statement_says_what_is_carried_forward() -> None:
    text = drawn(statement_pdf(EXAMPLES["negative"]()))

    assert "$0.00" in text
    assert "$6,305.40 is carried forward and will be deducted from later months." in text


@pytest.mark.parametrize(
    ("rate", "text"),
    [("0.07", "7%"), ("0.1250", "12.5%"), ("1", "100%"), ("0", "0%"), ("0.333333", "33.3333%")],
)
def test_a_rate_has_no_digits_that_say_nothing(rate: str, text: str) -> None:
    assert rate_shown(Decimal(rate)) == text


# --- the file ------------------------------------------------------------------------------


def test_the_same_statement_gives_the_same_bytes() -> None:
    script = (
        "import sys, hashlib, types; tests = types.ModuleType('tests'); tests.__path__ = [sys.argv[1]];"
        "sys.modules['tests'] = tests;"
        "from tests.helpers.statements import EXAMPLES;"
        "from shs_pipeline.closing.statement_pdf import statement_pdf;"
        "sys.stdout.buffer.write(statement_pdf(EXAMPLES['scripts']()))"
    )
    # After others, and in a process of its own.
    statement_pdf(EXAMPLES["usual"]())
    here = statement_pdf(EXAMPLES["scripts"]())
    there = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parents[1])], capture_output=True, check=True
    ).stdout

    assert here == there
    assert statement_pdf(EXAMPLES["usual"]()) != here


def test_all_fonts_are_embedded_in_part() -> None:
    content = statement_pdf(EXAMPLES["scripts"]())
    names = set(re.findall(rb"/BaseFont /([\w+-]+)", content))

    assert {
        name.partition(b"+")[0] != b"" and b"+" in name for name in names if b"Helvetica" not in name
    } == {True}
    assert {name.partition(b"+")[2].split(b"-")[0] for name in names} >= {b"SourceSans3", b"KurintoSansJP"}
    assert len(content) < 400_000


@pytest.mark.soak
def test_three_thousand_lines_are_printed() -> None:
    pages = texts(statement_pdf(EXAMPLES["many"]()))

    assert sum(len(re.findall(r"^Oct \d+, 2026 ", page, re.MULTILINE)) for page in pages) == 3_000
    assert f"Page {len(pages)} of {len(pages)}" in pages[-1]


def test_a_reason_longer_than_a_page_goes_on() -> None:
    statement = EXAMPLES["usual"]()
    words_of = " ".join(f"word{number}" for number in range(2_000))
    items = (replace(statement.items[0], words=words_of), *statement.items[1:])
    text = drawn(statement_pdf(replace(statement, items=items)))

    assert all(f"word{number}" in text for number in (0, 999, 1_999))


def test_pictures_of_the_first_page_show_something() -> None:
    document = pdfium.PdfDocument(statement_pdf(EXAMPLES["usual"]()))
    picture = document[0].render(scale=1.25).to_pil().convert("RGB")

    assert len(picture.getcolors(1 << 20) or []) > 50
    if folder := os.environ.get("SHS_SCREENSHOTS"):
        from PIL import Image

        small = picture.quantize(64, method=Image.Quantize.FASTOCTREE)
        target = io.BytesIO()
        small.save(target, "PNG", optimize=True)
        (Path(folder) / "statement.png").write_bytes(target.getvalue())
