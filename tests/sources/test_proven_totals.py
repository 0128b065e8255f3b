"""A total is known by its sum, whatever it is called; what does not add up is refused and never dropped."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from shs_pipeline.files.contract import columns_of
from shs_pipeline.files.reading import SourceFile
from shs_pipeline.files.source import FileOutcome, read_file
from shs_pipeline.samples.workbook import write_workbook
from shs_pipeline.sources.registry import source_named

DAY = date(2025, 3, 14)
LABELS = ("Gesamtsumme", "Overall Result", "SUM:", None)
# The columns of who, date and amounts, the first column, and what else a line of each source holds.
SHAPES: dict[str, tuple[str, str, tuple[str, ...], dict[str, Any]]] = {
    "cygnus": ("Name", "ClosedDate", ("Invoice Total", "Total Rep Due"), {"Invoice": "I-1", "SKU": "s"}),
    "inspektor": ("Name", "Date", ("Total", "Formula"), {"Document Number": "I-1"}),
    "sunoptic": ("Customer ID", "Invoice Date", ("Line Amount", "Commission $"), {"Invoice ID": "I-1"}),
    "novo": ("Customer Number", "Invoice Date", ("Extension", "Commission Amount"), {"Invoice Number": "I"}),
    "chemence": ("Account Number", "Invoice Date", ("Sales Total", "Commission"), {"Part #": "P-1"}),
    "ternio": ("Client Name", "Date", ("Invoiced", "Paid"), {}),
}  # fmt: skip
SALES = (("Ann", 100, 7), ("Ann", 30, 3), ("Bo", 45, 2))


def header_of(source: str) -> list[str]:
    if source == "ternio":
        return ["Client Name", "Date", "Transaction Type", "Memo/Description", "Num", "Invoiced", "Paid"]
    return [column.header for column in columns_of(source_named(source).rows) if column.is_in_header]


def lines_of(source: str, sales: tuple[tuple[str, int, int], ...] = SALES) -> list[dict[str, Any]]:
    who, day, amounts, others = SHAPES[source]
    if source != "ternio":
        return [{who: n, day: DAY, **dict(zip(amounts, a, strict=True)), **others} for n, *a in sales]
    return [
        row
        for name, invoiced, paid in sales
        for row in (
            {who: name, day: DAY, "Transaction Type": "Payment", "Paid": paid},
            {day: DAY, "Transaction Type": "Invoice", "Num": "1", "Invoiced": invoiced},
        )
    ]


def total(source: str, label: str | None, *amounts: int, column: str | None = None) -> dict[str, Any]:
    return {column or header_of(source)[0]: label, **dict(zip(SHAPES[source][2], amounts, strict=False))}


def read(source: str, rows: list[dict[str, Any]]) -> FileOutcome:
    names = header_of(source)
    top = [None if name == "Client Name" else name for name in names]
    content = write_workbook({"Report": [top, *([row.get(name) for name in names] for row in rows)]})
    return read_file(source_named(source), SourceFile("july.xlsx", content), 1 << 20)


@pytest.mark.parametrize("source", SHAPES)
def test_a_row_that_adds_up_is_a_total_whatever_it_is_called(source: str) -> None:
    who, rows = SHAPES[source][0], lines_of(source)
    cut = len(rows) * 2 // 3
    for label in LABELS:
        groups = [f"Ann {label}", f"Bo {label}"] if label else ["Ann Summe", "Bo Summe"]
        subtotals = [total(source, name, *sums, column=who)
                     for name, sums in zip(groups, ((130, 10), (45, 2)), strict=True)]  # fmt: skip
        printed = [*rows[:cut], subtotals[0], *rows[cut:], subtotals[1], total(source, label, 175, 12)]

        outcome = read(source, printed)

        assert outcome.lines is not None, (label, outcome.errors)
        assert len(outcome.lines) == len(SALES)
        assert [(one.printed, one.agrees) for one in outcome.totals] == [
            (amount, True) for amount in (130, 10, 45, 2, 175, 12)
        ]
        assert outcome.left_out == {}


@pytest.mark.parametrize("source", SHAPES)
def test_a_row_that_does_not_add_up_is_refused_with_the_sum(source: str) -> None:
    day, amounts = SHAPES[source][1:3]
    label_column = {"inspektor": "Name", "sunoptic": "Customer ID"}.get(source)

    for place, wrong in enumerate(((176, 12), (175, 13))):
        outcome = read(source, [*lines_of(source), total(source, "Summe", *wrong, column=label_column)])

        assert outcome.lines is None
        (said,) = [problem.problem for problem in outcome.errors if problem.column == day]
        assert said.startswith(f"{day} is empty")
        assert f"whose {amounts[place]} add up to {(175, 12)[place]}.00 and not to" in said


@pytest.mark.parametrize("source", ["cygnus", "novo", "chemence", "sunoptic"])
@pytest.mark.parametrize("kept", ["who", "others"])
def test_a_line_that_lost_its_date_is_no_total_of_the_line_above(source: str, kept: str) -> None:
    """It has the same amounts, and an invoice, an item or a customer of its own."""
    who, _, amounts, others = SHAPES[source]
    same = dict(zip(amounts, (100, 7), strict=True))
    own = {who: "C-2"} if kept == "who" else dict.fromkeys(others, "X-2")

    outcome = read(source, [*lines_of(source, SALES[:1]), {**own, **same}])

    assert outcome.lines is None
    assert {problem.row for problem in outcome.errors} == {3}


STATISTICS = (
    ("Average", 58.33, 4), ("Avg.", 60, 5), ("Count:", 3, 3), ("# of invoices", 3, 3), ("Total Count", 3, 3),
    ("Minimum", 30, 2), ("Max", 100, 7), ("Grand average", 58.33, 4),
    ("YTD Total", 900, 70), ("Prior month total", 900, 70), ("Year to date sales", 900, 70),
    ("% of total", 1, 1), ("Total invoices", 3, 3),
)  # fmt: skip


@pytest.mark.parametrize("source", SHAPES)
def test_averages_and_counts_are_left_out_and_counted(source: str) -> None:
    rows = [total(source, label, *numbers) for label, *numbers in STATISTICS]  # type: ignore[arg-type]

    outcome = read(source, [*lines_of(source), total(source, "Total", 175, 12), *rows])

    assert outcome.lines is not None, outcome.errors
    assert len(outcome.lines) == len(SALES)
    assert outcome.left_out == {"average, count or other period": len(STATISTICS)}
    assert [one.agrees for one in outcome.totals] == [True, True]


def test_total_invoices_may_be_the_total_of_the_invoices() -> None:
    rows = [
        *lines_of("novo"),
        total("novo", "Total invoices", 175, 12),
        total("novo", "Prior Care Total", 9, 1),
    ]

    assert [one.agrees for one in read("novo", rows).totals] == [True, True, False, False]


def test_sums_carried_forward_are_totals_even_where_they_might_be_a_heading() -> None:
    line = {"Agency": "A", "Doc Num": "D1", "Customer": "Oak", "Ship To Zip": "75201", "Date Paid": DAY}
    line |= {"Item Class": "a", "Comm Rate": 0.07, "Doc Amt": 100, "Comm Amt": 7}
    more = {"Item Class": "b", "Comm Rate": 0.07, "Doc Amt": 30, "Comm Amt": 3}
    carried, brought = (
        {"Agency": f"{how} forward", "Doc Amt": 130, "Comm Amt": 10} for how in ("Carried", "Brought")
    )

    outcome = read("logiquip", [line, more, carried, brought, {**more, "Item Class": "c"}])

    assert outcome.lines is not None, outcome.errors
    assert outcome.lines["agency"].tolist() == ["A"] * 3
    assert [one.agrees for one in outcome.totals] == [True] * 4


@pytest.mark.parametrize("source", ["cygnus", "novo", "chemence", "sunoptic"])
def test_averages_in_other_words_are_known_by_their_numbers(source: str) -> None:
    who, lines = SHAPES[source][0], lines_of(source)
    for label, *numbers in (("Durchschnitt", 58.33, 4), ("Moyenne", 58.3333333333, 4)):
        outcome = read(source, [*lines, total(source, label, *numbers)])  # type: ignore[arg-type]

        assert outcome.left_out == {"average, count or other period": 1}, outcome.errors

    first, second, third = lines_of(source, (("Bo", 45, 2), ("Ann", 100, 7), ("Ann", 31, 4)))
    group = [first, second, third, total(source, "Ann Mittel", 65.5, 5.5, column=who)]  # type: ignore[arg-type]
    assert read(source, group).left_out == {"average, count or other period": 1}


@pytest.mark.parametrize("source", ["cygnus", "novo", "chemence", "sunoptic"])
@pytest.mark.parametrize(
    ("label", "numbers"),
    [
        ("Max", (100, 7)),
        ("Cal", (58.34, 4)),
        ("Cal", (58.33,)),
        ("Ann", (58.33, 4)),
        ("Average Joe", (60, 4)),
    ],
)
def test_what_may_be_a_line_is_not_taken_for_an_average(
    source: str, label: str, numbers: tuple[float, ...]
) -> None:
    row = total(source, label, *numbers, column=SHAPES[source][0])  # type: ignore[arg-type]

    assert read(source, [*lines_of(source), row]).lines is None


def test_no_line_is_the_average_of_lines_with_round_prices() -> None:
    row = {"Customer Number": "Cal", "Extension": 200, "Commission Amount": 14}

    assert read("novo", [*lines_of("novo", (("Ann", 100, 7), ("Bo", 300, 21))), row]).lines is None


@pytest.mark.parametrize("source", SHAPES)
def test_a_total_with_a_date_is_no_line(source: str) -> None:
    day = SHAPES[source][1]
    for label, date_of in (("Total", DAY), ("Grand Total", "3/31/2025"), ("Total as of", DAY)):
        outcome = read(source, [*lines_of(source), {**total(source, label, 175, 12), day: date_of}])

        assert outcome.lines is not None, (label, outcome.errors)
        assert len(outcome.lines) == len(SALES)
        assert [one.agrees for one in outcome.totals] == [True, True]


@pytest.mark.parametrize("source", ["cygnus", "novo", "chemence", "sunoptic"])
def test_a_total_with_a_date_that_does_not_add_up_is_refused_and_a_customer_called_total_is_not(
    source: str,
) -> None:
    who, day, amounts, _ = SHAPES[source]
    wrong = {**total(source, "Total", 176, 12), day: DAY}
    of_group = {**total(source, "Bo Total", 46, 2), day: DAY}
    customer = {**lines_of(source)[2], who: "Fitness Total"}

    said = [one.problem for one in read(source, [*lines_of(source), wrong]).errors]
    assert f"This row says 'Total'; and it is no total of the lines above, whose {amounts[0]} add" in said[0]
    assert read(source, [*lines_of(source), of_group]).lines is None
    outcome = read(source, [*lines_of(source)[:2], customer])
    assert outcome.lines is not None
    assert len(outcome.lines) == len(SALES)


def test_a_group_with_the_amounts_of_the_one_above_is_no_total_of_it() -> None:
    """The lines below take their customer from it."""
    head = {"Customer": "Oak", "Doc Amt": 100, "Comm Amt": 7}
    one = {"Doc Num": "D1", "Customer": "Mercy", "Ship To Zip": "75201", "Date Paid": DAY}
    one |= {"Item Class": "a", "Comm Rate": 0.07, "Doc Amt": 100, "Comm Amt": 7}
    other = {**one, "Doc Num": "D2", "Customer": None}

    outcome = read("logiquip", [one, head, other])

    assert outcome.lines is not None, outcome.errors
    assert outcome.lines["customer"].tolist() == ["Mercy", "Oak"]


def test_the_total_of_an_invoice_in_a_tabular_pivot_is_no_line() -> None:
    line = {"Row Labels": "Mercy", "St": "TX", "ZIP Code": "75201", "Invoice #": "I-1", "Item": "a"}
    line |= {"CommRate": 0.07, "Sum of Net Sales Amount": 100, "Sum of Comm $": 7}
    subtotal = {"Invoice #": "I-1 Result", "Sum of Net Sales Amount": 200, "Sum of Comm $": 14}
    rows = [line, {**line, "Row Labels": None, "Item": "b"}, subtotal]
    names = header_of("summit_medical")
    content = write_workbook({"Report": [names, *([row.get(name) for name in names] for row in rows)]})

    outcome = read_file(source_named("summit_medical"), SourceFile("a.xlsx", content, DAY), 1 << 20)

    assert outcome.lines is not None, outcome.errors
    assert outcome.lines["item_id"].tolist() == ["a", "b"]


def test_money_in_padding_is_counted() -> None:
    padding = {"Line Amount": 50}

    assert read("sunoptic", [*lines_of("sunoptic"), padding, {"Line Amount": 0}]).left_out == {
        "nothing but amounts": 1
    }


@pytest.mark.parametrize("source", ["novo", "chemence", "sunoptic"])
def test_subtotals_without_a_text_prove_those_of_single_lines(source: str) -> None:
    first, second, third = lines_of(source)
    label = {"sunoptic": "Bill Name"}.get(source)
    empty = total(source, None, 130, 10, column=label), total(source, None, 45, 2, column=label)

    printed = read(source, [third, empty[1], first, second, empty[0]])
    alone = read(source, [third, empty[1]])

    assert printed.lines is not None, printed.errors
    assert len(printed.lines) == 3
    assert alone.lines is None or source == "sunoptic"  # its rows without a text are padding


def test_a_total_names_its_lines_in_whatever_form_their_identifier_is() -> None:
    forms = zip(lines_of("chemence"), ("'10045", "10045.0"), strict=False)
    first, second = ({**row, "Account Number": cell} for row, cell in forms)
    other = {**lines_of("chemence")[2], "Account Number": 10362.0}
    rows = [other, first, second, total("chemence", "10045 Summe", 130, 10)]

    outcome = read("chemence", rows)

    assert outcome.lines is not None, outcome.errors
    assert outcome.lines["account_number"].tolist() == ["10362", "10045", "10045"]


def test_a_subtotal_named_after_an_identifier_agrees_in_whatever_form_its_lines_have_it() -> None:
    forms = (10045.0, "'10045", "10045.0", "10045 ")
    rows = [{**lines_of("chemence")[0], "Account Number": form, "Invoice Date": DAY} for form in forms]
    other = {**rows[0], "Account Number": "0010045"}
    subtotals = [total("chemence", f"{name} Total", 400, 28) for name in ("10045", "10045.0")]
    wrong = total("chemence", "0010045 Total", 400, 28)

    outcome = read("chemence", [*rows[:2], other, *rows[2:], *subtotals[:1], wrong])

    assert outcome.lines is not None, outcome.errors
    assert [(one.label, one.computed) for one in outcome.totals if one.column == "Sales Total"] == [
        ("10045 Total", 400), ("0010045 Total", 100),
    ]  # fmt: skip
    assert all(one.agrees for one in read("chemence", [*rows[:2], other, *rows[2:], subtotals[1]]).totals)


def test_a_subtotal_named_after_a_zip_code_agrees_without_its_zero() -> None:
    line = {"Agency": "A", "Doc Num": "D1", "Customer": "Oak", "Ship To Zip": 2138, "Date Paid": DAY}
    line |= {"Item Class": "a", "Comm Rate": 0.07, "Doc Amt": 100, "Comm Amt": 7}
    other = {**line, "Doc Num": "D2", "Customer": "Elm", "Ship To Zip": "75201", "Doc Amt": 50}
    rows = [line, {**line, "Doc Num": "D3", "Ship To Zip": "02138"}, other]
    names = ("2138 Total", "02138 Total")
    rows += [{"Customer": name, "Doc Amt": 200, "Comm Amt": 14} for name in names]

    assert [one.agrees for one in read("logiquip", rows).totals] == [True] * 4
