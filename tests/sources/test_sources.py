"""The nine sources: what a perfect reader makes of their files, column by column and quirk by quirk."""

from __future__ import annotations

import io
import re
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import openpyxl
import pytest

from shs_pipeline.files.contract import Column, columns_of
from shs_pipeline.files.reading import ROW, SHEET, Problem, SourceFile
from shs_pipeline.files.source import FileOutcome, read_file
from shs_pipeline.landing.names import SOURCE_NAMES
from shs_pipeline.samples.broken import edited, place_of
from shs_pipeline.samples.plan import Plan, SampleFile, month_after
from shs_pipeline.samples.summit_medical import summit_xlsx
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.samples.workbook import write_workbook
from shs_pipeline.samples.world import SERVICE_TO_PRODUCT
from shs_pipeline.sources.registry import all_sources, source_named

UNTIL = date(2025, 12, 1)
MONTHS = [month_after(UNTIL, -back) for back in range(24)]
DAY = date(2025, 3, 31)
KNOWN = {"service_to_product": frozenset(name.casefold() for name in (*SERVICE_TO_PRODUCT, "Consulting"))}
UNNAMED = {"ternio": ["Client Name"]}
GOOD: dict[str, dict[str, Any]] = {
    "cygnus": {
        "Sales Rep": "SHS 01", "Cust. ID": "C1", "Name": "Cedar Clinic", "Invoice": "I-1", "ClosedDate": DAY,
        "Invoice Total": 100, "Total Rep Due": 7,
    },
    "logiquip": {
        "Doc Num": "D-1", "Customer": "Cedar Clinic", "Ship To Zip": "75201", "Date Paid": DAY,
        "Comm Rate": 0.07, "Doc Amt": 100, "Comm Amt": 7,
    },
    "summit_medical": {
        "Row Labels": "Cedar Clinic", "St": "TX", "ZIP Code": "75201", "Invoice #": "I-1", "Item": "SM-1",
        "CommRate": 0.07, "Sum of Net Sales Amount": 100, "Sum of Comm $": 7,
    },
    "quickbooks": {
        "Date": DAY, "Service Lines": "Consulting", "Amount line": 100, "Quantity": 1, "Line order": 1,
        "Company name": "Cedar Clinic", "Sales Rep Name": "Ann Lee",
    },
    "inspektor": {"Date": DAY, "Document Number": "I-1", "Total": 100, "Formula": 7, "Name": "Ann Lee"},
    "sunoptic": {
        "Invoice ID": "I-1", "Invoice Date": DAY, "Customer ID": "C1", "Line Amount": 100, "Commission $": 7,
    },
    "ternio": {},
    "novo": {
        "Customer Number": "C1", "Invoice Number": "I-1", "Invoice Date": DAY, "Extension": 100,
        "Commission Percentage": 0.07, "Commission Amount": 7,
    },
    "chemence": {"Account Number": "C1", "Invoice Date": DAY, "Sales Total": 100, "Commission": 7},
}  # fmt: skip
TERNIO = ["Client Name", "Date", "Transaction Type", "Memo/Description", "Num", "Invoiced", "Paid"]
FLAT = ("inspektor", "sunoptic", "novo", "chemence")


def columns(source: str) -> tuple[Column, ...]:
    return columns_of(source_named(source).rows)


def header_of(source: str) -> list[str]:
    if source == "ternio":
        return TERNIO
    return [column.header for column in columns(source) if column.header != "Statement Date"]


def read(source: str, content: bytes, name: str = "july.xlsx", month: date | None = None) -> FileOutcome:
    return read_file(source_named(source), SourceFile(name, content, month, KNOWN), 50 << 20)


def file_of(source: str, *rows: dict[str, Any], header: list[str] | None = None) -> bytes:
    """A workbook with the header in row 1; an empty row is a blank one."""
    names = header or header_of(source)
    top = [None if name in UNNAMED.get(source, []) else name for name in names]
    return write_workbook({"Report": [top, *([row.get(name) for name in names] for row in rows)]})


def given_month(source: str) -> date | None:
    return date(2025, 3, 1) if source == "summit_medical" else None


def outcome_of(source: str, *rows: dict[str, Any]) -> FileOutcome:
    return read(source, file_of(source, *rows), month=given_month(source))


def good(source: str, **changes: Any) -> dict[str, Any]:
    return {**GOOD[source], **{name.replace("__", " "): value for name, value in changes.items()}}


def with_cells(source: str, changes: dict[str, Any]) -> dict[str, Any]:
    return {**GOOD[source], **changes}


def lines(outcome: FileOutcome, *names: str) -> list[list[Any]]:
    assert outcome.lines is not None, outcome.errors
    return outcome.lines[list(names)].to_numpy(dtype=object).tolist()


def places(problems: list[Problem]) -> list[tuple[int | None, str | None, str | None]]:
    return [(problem.row, problem.column, problem.value) for problem in problems]


# --- samples: the truth is known --------------------------------------------------------------


def read_sample(source: str, sample: SampleFile) -> FileOutcome:
    month = re.search(r"/rev=(\d{4})-(\d\d)/", sample.path)
    given = date(int(month[1]), int(month[2]), 1) if month else None
    return read(source, sample.content, sample.path.rpartition("/")[2], given)


def plain(value: object) -> object:
    return (" ".join(value.split()) or None) if isinstance(value, str) else value


def check_truth(source: str, month: date, count: int) -> None:
    sample = make_sample(source, month, lines=count, seed=11)

    outcome = read_sample(source, sample)

    assert outcome.errors == []
    names = [SHEET, ROW, *(column.name for column in columns(source))]
    headers = [SHEET, ROW, *(column.header for column in columns(source))]
    assert lines(outcome, *names) == [[plain(line.get(name)) for name in headers] for line in sample.lines]
    assert dict(outcome.left_out) == sample.left_out
    assert outcome.rows_read == len(sample.lines) + sum(sample.left_out.values())
    assert [total for total in outcome.totals if not total.agrees] == []


@pytest.mark.parametrize("source", [name for name in SOURCE_NAMES if name != "summit_medical"])
def test_two_years_of_samples_are_read_as_they_were_meant(source: str) -> None:
    for month in MONTHS:
        check_truth(source, month, 12)


@pytest.mark.parametrize("month", [*MONTHS[:6], MONTHS[11]])
def test_summit_statements_and_pivots_are_read_as_they_were_meant(month: date) -> None:
    check_truth("summit_medical", month, 12)


@pytest.mark.soak
@pytest.mark.parametrize("source", SOURCE_NAMES)
def test_two_years_of_longer_samples_are_read_as_they_were_meant(source: str) -> None:
    for month in MONTHS:
        check_truth(source, month, 60)


@pytest.mark.parametrize("source", SOURCE_NAMES)
def test_the_same_bytes_give_the_same_rows_in_the_same_order(source: str) -> None:
    sample = make_sample(source, UNTIL, lines=15, seed=3)
    first, second = read_sample(source, sample), read_sample(source, sample)

    assert first.lines is not None
    assert first.lines.equals(second.lines)
    assert list(first.totals) == list(second.totals)


# --- columns ----------------------------------------------------------------------------------


@cache
def broken_base(source: str) -> tuple[SampleFile, date | None]:
    """A sample workbook, its lines' rows known."""
    if source == "summit_medical":
        return summit_xlsx(Plan(source, UNTIL, 8, 5)), date(2025, 11, 1)
    return make_sample(source, date(2025, 10, 1), lines=8, seed=5), None


def required_in_header(source: str) -> list[str]:
    if source == "ternio":
        return TERNIO[1:]
    return [column.header for column in columns(source) if column.is_in_header]


@pytest.mark.parametrize(
    ("source", "missing"), [(source, name) for source in SOURCE_NAMES for name in required_in_header(source)]
)
def test_a_missing_column_is_one_problem_that_names_it(source: str, missing: str) -> None:
    header = [name for name in header_of(source) if name != missing]
    row = ternio_pair("A", 1, 1)[0] if source == "ternio" else GOOD[source]

    outcome = read(source, file_of(source, row, row, header=header), month=given_month(source))

    assert outcome.lines is None
    assert places(outcome.errors) == [(1, missing, None)]
    assert missing in outcome.errors[0].problem
    assert missing in outcome.errors[0].remedy


@pytest.mark.parametrize(("source", "name"), [("inspektor", "Sales Rep"), ("sunoptic", "Sales Rep Name")])
def test_a_column_that_is_not_used_may_be_missing(source: str, name: str) -> None:
    header = [each for each in header_of(source) if each != name]

    assert read(source, file_of(source, GOOD[source], header=header)).errors == []


BAD: dict[str, object] = {
    "amount": "n/a", "quantity": "n/a", "rate": "much", "day": "31/12/2025", "zip": "12", "identifier": DAY,
    "text": "#REF!",
}  # fmt: skip
IN_INVOICE_ROW = {"Invoice Date": "Date", "Memo/Description": "", "Num": "", "Invoiced": ""}


def cell_cases(values: dict[str, object]) -> list[tuple[str, str, object]]:
    return [
        (source, column.header, values[column.kind])
        for source in SOURCE_NAMES
        for column in columns(source)
        if column.header != "Statement Date"
    ]


def place_in_sample(source: str, header: str) -> tuple[str, int, str]:
    """Where the third line of the sample has this column: place, row, and name in the sheet."""
    sample, _ = broken_base(source)
    row = int(str(sample.lines[2]["source_row"]))
    if source == "ternio" and header in IN_INVOICE_ROW:
        row, header = row + 1, IN_INVOICE_ROW[header] or header
    if header == "Client Name":
        date_column = place_of(sample.content, "Date", row)[0]
        return f"{chr(ord(date_column) - 1)}{row}", row, header
    return place_of(sample.content, header, row), row, header


def check_one_bad_cell(source: str, header: str, bad: object) -> None:
    sample, month = broken_base(source)
    place, row, name = place_in_sample(source, header)

    outcome = read(source, edited(sample.content, {place: bad}), month=month)

    assert outcome.lines is None
    shown = "2025-03-31" if bad == DAY else bad
    assert places(outcome.errors) == [(row, name, shown)]
    assert outcome.errors[0].remedy


@pytest.mark.parametrize(("source", "header", "bad"), cell_cases(BAD))
def test_one_bad_value_in_any_column_is_one_error_at_its_cell(source: str, header: str, bad: object) -> None:
    check_one_bad_cell(source, header, bad)


def excel_errors() -> list[Any]:
    """One in any column of any source; `make test` tries one kind of column after the other."""
    cases, kinds = [], set[str]()
    for source, header, bad in cell_cases(dict.fromkeys(BAD, "#N/A")):
        (kind,) = (column.kind for column in columns(source) if column.header == header)
        marks = [pytest.mark.soak] if kind in kinds else []
        kinds.add(kind)
        cases.append(pytest.param(source, header, bad, marks=marks))
    return cases


@pytest.mark.parametrize(("source", "header", "bad"), excel_errors())
def test_an_excel_error_in_any_column_is_one_error_at_its_cell(source: str, header: str, bad: object) -> None:
    check_one_bad_cell(source, header, bad)


# What a blank means otherwise: inherited, no sale, a heading.
NOT_REPORTED = {
    ("quickbooks", "Quantity"), ("inspektor", "Name"), ("logiquip", "Comm Rate"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("source", "header"),
    [
        (source, column.header)
        for source in SOURCE_NAMES
        for column in columns(source)
        if source != "ternio" and column.is_required and (source, column.header) not in NOT_REPORTED
    ],
)
def test_a_line_without_its_key_is_an_error_and_never_dropped(source: str, header: str) -> None:
    without = {name: value for name, value in GOOD[source].items() if name != header}

    outcome = outcome_of(source, without)

    assert places(outcome.errors) == [(2, header, None)]


@pytest.mark.parametrize(
    ("source", "item", "key"),
    [
        ("chemence", "Description", "Account Number"),
        ("novo", "Item Code Description", "Invoice Number"),
        ("sunoptic", "Item Name", "Invoice ID"),
        ("inspektor", "Description", "Document Number"),
    ],
)
def test_a_line_without_its_key_is_no_total_though_its_item_says_total(
    source: str, item: str, key: str
) -> None:
    line = with_cells(source, {item: "Total knee kit"})

    assert outcome_of(source, line).errors == []
    assert places(outcome_of(source, with_cells(source, {item: "Total knee kit", key: None})).errors) == [
        (2, key, None)
    ]


def test_all_errors_of_a_file_are_found_in_one_pass_in_its_order() -> None:
    outcome = outcome_of(
        "chemence",
        good("chemence", Commission="x", Zip="1"),
        GOOD["chemence"],
        good("chemence", Account__Number=None, Invoice__Date="soon"),
        good("chemence", Sales__Total=None),
    )

    assert places(outcome.errors) == [
        (2, "Zip", "1"), (2, "Commission", "x"), (4, "Account Number", None), (4, "Invoice Date", "soon"),
        (5, "Sales Total", None),
    ]  # fmt: skip
    assert {problem.sheet for problem in outcome.errors} == {"Report"}


@pytest.mark.parametrize("source", SOURCE_NAMES)
def test_a_file_without_a_line_says_so(source: str) -> None:
    outcome = outcome_of(source)

    assert outcome.lines is None
    assert "no lines below its header" in outcome.errors[0].problem


def test_every_source_declares_columns_that_it_has() -> None:
    for source in all_sources():
        names = {column.name for column in columns(source.name)}

        assert {*source.amounts, *source.sale_key} <= names
        assert source.revenue_date in names
        assert all(column.description for column in columns(source.name))


def test_aliases_are_those_of_the_territory_table() -> None:
    assert {source.name: source.aliases for source in all_sources() if source.aliases} == {
        "sunoptic": ("Sunoptics",), "novo": ("NOVO DIRECT",),
    }  # fmt: skip


# --- totals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "total"),
    [
        ("cygnus", {"Sales Rep": "SHS 01 Total", "Invoice Total": 200.5, "Total Rep Due": 14}),
        ("cygnus", {"Cust. ID": "C1 Total", "Invoice Total": 200.5, "Total Rep Due": 14}),
        ("logiquip", {"Doc Num": "D-1 Total", "Doc Amt": 200.5, "Comm Amt": 14}),
        (
            "summit_medical",
            {"Row Labels": "Grand Total", "Sum of Net Sales Amount": 200.5, "Sum of Comm $": 14},
        ),
        ("quickbooks", {"Customer": "TOTAL", "Amount line": 200.5}),
        ("quickbooks", {"Date": "Total for Consulting", "Amount line": 200.5, "Quantity": 2}),
        ("inspektor", {"Company": "Overall Total", "Total": 200.5, "Formula": 14}),
        ("sunoptic", {"Invoice ID": "Grand Total", "Line Amount": 200.5, "Commission $": 14}),
        ("novo", {"Salesperson Number": "Total", "Extension": 200.5, "Commission Amount": 14}),
        ("chemence", {"Source": "Grand Total", "Sales Total": 200.5, "Commission": 14}),
    ],
)
def test_a_wrong_printed_total_is_no_line_and_no_error_and_shown_with_both_numbers(
    source: str, total: dict[str, Any]
) -> None:
    outcome = outcome_of(source, GOOD[source], GOOD[source], total)

    assert len(lines(outcome, ROW)) == 2
    assert outcome.errors == []
    assert [(t.row, t.printed, t.computed) for t in outcome.totals if not t.agrees] == [
        (4, Decimal("200.5"), Decimal(200))
    ]
    assert [t.agrees for t in outcome.totals] == [False, True][: len(outcome.totals)]


@pytest.mark.parametrize("amount", ["Line Amount", "Customer ID"])
def test_an_excel_error_in_a_total_or_padding_row_is_no_matter(amount: str) -> None:
    sample = file_of(
        "sunoptic", GOOD["sunoptic"], {"Invoice ID": "Total", "Line Amount": 1}, {"Line Amount": 0}, {}
    )
    below = {place_of(sample, "Commission $", row): "#N/A" for row in (3, 4, 5)}

    outcome = read("sunoptic", edited(sample, {**below, place_of(sample, amount, 3): "#REF!"}))

    assert lines(outcome, ROW) == [[2]]


# --- cygnus -----------------------------------------------------------------------------------


def test_cygnus_lines_inherit_what_is_printed_once() -> None:
    outcome = outcome_of(
        "cygnus",
        good("cygnus", Address="1 Elm St", City="Plano", State="TX"),
        {"ClosedDate": DAY, "Invoice Total": 5, "Total Rep Due": 1, "Days Past": -3},
        {"Cust. ID": "C1 Total", "Invoice Total": 105, "Total Rep Due": 8},
        {"Cust. ID": "C2", "Name": "Total Care", "Invoice": 77.0, "ClosedDate": DAY, "Invoice Total": 1,
         "Total Rep Due": 1},
    )  # fmt: skip

    names = ("sales_rep", "cust_id", "name", "address", "city", "state", "invoice", "days_past")
    assert lines(outcome, *names) == [
        ["SHS 01", "C1", "Cedar Clinic", "1 Elm St", "Plano", "TX", "I-1", None],
        ["SHS 01", "C1", "Cedar Clinic", "1 Elm St", "Plano", "TX", "I-1", Decimal(-3)],
        ["SHS 01", "C2", "Total Care", "1 Elm St", "Plano", "TX", "77", None],
    ]


def test_a_bad_cell_that_lines_inherit_is_one_error_where_it_is_printed() -> None:
    line = {"ClosedDate": DAY, "Invoice Total": 5, "Total Rep Due": 1}

    bad = outcome_of("cygnus", good("cygnus", Invoice=DAY), line, line)
    blank = outcome_of("cygnus", good("cygnus", Name=None), line, line)

    assert places(bad.errors) == [(2, "Invoice", "2025-03-31")]
    assert places(blank.errors) == [(2, "Name", None)]


# --- logiquip ---------------------------------------------------------------------------------


HEADING = {"Doc Num": "D-2", "Customer": "Oak Clinic", "Ship To Zip": 2138.0, "Date Paid": "03-31-2025"}
CLASS = {"Item Class": "CARTS", "Comm Rate": "7,0%", "Doc Amt": 10, "Comm Amt": 0.7}


def test_logiquip_headings_only_feed_the_lines_below() -> None:
    outcome = outcome_of("logiquip", GOOD["logiquip"], HEADING, CLASS, {**CLASS, "Item Class": None})

    names = ("doc_num", "customer", "ship_to_zip", "date_paid", "item_class", "comm_rate")
    assert lines(outcome, *names)[1:] == [
        ["D-2", "Oak Clinic", "02138", DAY, "CARTS", Decimal("0.07")]
    ] * 2  # fmt: skip
    assert dict(outcome.left_out) == {}


@pytest.mark.parametrize("column", list(HEADING))
def test_an_error_in_a_logiquip_heading_is_not_replaced_by_the_group_above(column: str) -> None:
    content = file_of("logiquip", GOOD["logiquip"], HEADING, CLASS, CLASS)

    outcome = read("logiquip", edited(content, {place_of(content, column, 3): "#N/A"}))

    assert places(outcome.errors) == [(3, column, "#N/A")]


def test_a_logiquip_row_with_amounts_and_no_rate_is_a_heading_and_counted() -> None:
    outcome = outcome_of("logiquip", GOOD["logiquip"], {"Doc Num": "D-2", "Doc Amt": 5, "Comm Amt": 1})

    assert len(lines(outcome, ROW)) == 1
    assert dict(outcome.left_out) == {"no Comm Rate": 1}


def test_a_logiquip_rate_that_is_an_excel_error_makes_no_heading() -> None:
    content = file_of("logiquip", GOOD["logiquip"])

    outcome = read("logiquip", edited(content, {place_of(content, "Comm Rate", 2): "#DIV/0!"}))

    assert places(outcome.errors) == [(2, "Comm Rate", "#DIV/0!")]


# --- summit_medical pivot ---------------------------------------------------------------------


def pivot(*rows: tuple[str | None, str | None, float]) -> FileOutcome:
    cells = (
        {
            "Row Labels": label,
            "Invoice #": invoice,
            "Sum of Net Sales Amount": amount,
            "Sum of Comm $": amount,
        }
        for label, invoice, amount in rows
    )
    return outcome_of("summit_medical", *cells)


def test_summit_subtotals_may_stand_below_their_lines() -> None:
    outcome = pivot(
        ("Oak", "1", 1), (None, "2", 2), ("Oak Total", None, 3), ("Elm", "3", 4), ("Elm Total", None, 4),
        ("Grand Total", None, 7),
    )  # fmt: skip

    assert lines(outcome, "client_name", "invoice_number") == [["Oak", "1"], ["Oak", "2"], ["Elm", "3"]]
    assert len(outcome.totals) == 6
    assert all(total.agrees for total in outcome.totals)


def test_summit_subtotals_may_stand_above_their_lines_and_name_the_client() -> None:
    outcome = pivot(
        ("Total Care", None, 3), (None, "1", 1), (None, "2", 2), ("Elm", None, 4), (None, "3", 4),
        ("Grand Total", None, 7),
    )  # fmt: skip

    assert lines(outcome, "client_name", "invoice_number") == [
        ["Total Care", "1"], ["Total Care", "2"], ["Elm", "3"],
    ]  # fmt: skip
    assert all(total.agrees for total in outcome.totals)


def test_an_error_in_the_label_of_a_summit_subtotal_that_feeds_lines_is_reported() -> None:
    content = file_of(
        "summit_medical",
        GOOD["summit_medical"],
        {"Sum of Comm $": 1},
        good("summit_medical", Row__Labels=None),
    )

    outcome = read(
        "summit_medical",
        edited(content, {place_of(content, "Row Labels", 3): "#N/A"}),
        month=date(2025, 3, 1),
    )

    assert places(outcome.errors) == [(3, "Row Labels", "#N/A")]


def test_a_summit_pivot_takes_its_revenue_date_from_the_drop() -> None:
    content = file_of("summit_medical", GOOD["summit_medical"])

    dated = read("summit_medical", content, month=date(2025, 3, 1))
    undated = read("summit_medical", content)

    assert lines(dated, "revenue_date") == [[date(2025, 3, 1)]]
    assert undated.lines is None
    assert "must name the revenue month" in undated.errors[0].problem
    assert "incoming/summit_medical/2025-04/rev=2025-03/july.xlsx" in undated.errors[0].remedy


def test_a_statement_dates_itself_and_takes_no_month() -> None:
    sample = next(
        sample
        for month in MONTHS
        if (sample := make_sample("summit_medical", month, lines=3, seed=1)).path.endswith(".pdf")
    )

    assert read("summit_medical", sample.content, "a.pdf").errors == []
    outcome = read("summit_medical", sample.content, "a.pdf", date(2025, 3, 1))
    assert outcome.lines is None
    assert "rev=" in outcome.errors[0].problem


@pytest.mark.parametrize(
    "source", [name for name in SOURCE_NAMES if name not in {"summit_medical", "sunoptic"}]
)
def test_a_source_that_dates_its_lines_takes_no_month_from_the_drop(source: str) -> None:
    rows = ternio_pair("A", 1, 1) if source == "ternio" else [GOOD[source]]
    outcome = read(source, file_of(source, *rows), month=date(2025, 3, 1))

    assert outcome.lines is None
    assert "rev= folder" in outcome.errors[0].problem
    assert "Move it out" in outcome.errors[0].remedy


# --- quickbooks -------------------------------------------------------------------------------


def test_quickbooks_rows_that_are_no_sales_are_counted_and_not_searched_for_errors() -> None:
    bad = {"Date": "never", "Amount line": "n/a", "Service Lines": "Nobody's"}
    outcome = outcome_of(
        "quickbooks",
        GOOD["quickbooks"],
        with_cells("quickbooks", {**bad, "Line order": 0}),
        with_cells("quickbooks", {**bad, "Line order": "0.0"}),
        with_cells("quickbooks", {**bad, "Quantity": " "}),
        with_cells("quickbooks", {**bad, "Company name": " hhs  transfers CUSTOMER"}),
        with_cells("quickbooks", {**bad, "Purchase description": "Inbound SHIPPING, freight"}),
        with_cells("quickbooks", {**bad, "Quantity": None, "Line order": 0}),
        {"Date": "Accrual Basis Tuesday"},
    )

    assert len(lines(outcome, ROW)) == 1
    assert dict(outcome.left_out) == {
        "Line order is 0": 3, "no Quantity": 2, "Company name is HHS Transfers Customer": 1,
        "Purchase description says shipping": 1,
    }  # fmt: skip
    assert outcome.rows_read == 8
    assert list(outcome.problems) == []


@pytest.mark.parametrize("column", ["Quantity", "Line order", "Company name", "Service Lines"])
def test_a_quickbooks_row_is_not_left_out_for_an_excel_error(column: str) -> None:
    content = file_of("quickbooks", GOOD["quickbooks"])

    outcome = read("quickbooks", edited(content, {place_of(content, column, 2): "#REF!"}))

    assert places(outcome.errors) == [(2, column, "#REF!")]


def test_a_quickbooks_file_whose_rows_are_all_no_sales_is_empty_and_no_error() -> None:
    outcome = outcome_of("quickbooks", good("quickbooks", Line__order=0))

    assert lines(outcome, ROW) == []
    assert dict(outcome.left_out) == {"Line order is 0": 1}


def test_an_unknown_service_line_is_named_with_how_to_add_it() -> None:
    outcome = outcome_of(
        "quickbooks",
        good("quickbooks", Service__Lines=" CONSULTING "),
        good("quickbooks", Service__Lines="Leasing", Date="soon"),
    )

    assert places(outcome.errors) == [(3, "Service Lines", "Leasing"), (3, "Date", "soon")]
    assert "'Leasing'" in outcome.errors[0].problem
    assert "service_to_product" in outcome.errors[0].remedy


@pytest.mark.parametrize("amount", [-5, 0, "(5.00)"])
def test_a_quickbooks_credit_is_a_warning_and_loads(amount: object) -> None:
    outcome = outcome_of("quickbooks", GOOD["quickbooks"], good("quickbooks", Amount__line=amount))

    assert len(lines(outcome, ROW)) == 2
    assert [(problem.row, problem.column, problem.severity) for problem in outcome.problems] == [
        (3, "Amount line", "warning")
    ]


def test_quickbooks_lines_may_spread_over_months_and_lack_price_and_rep() -> None:
    outcome = outcome_of(
        "quickbooks", good("quickbooks", Date="02/28/2025", Sales__Rep__Name=None), GOOD["quickbooks"]
    )

    assert lines(outcome, "revenue_date", "purchase_price", "sales_rep_name") == [
        [date(2025, 2, 28), None, None], [DAY, None, "Ann Lee"],
    ]  # fmt: skip


# --- inspektor --------------------------------------------------------------------------------


def test_inspektor_rows_without_a_name_are_left_out_counted_and_not_searched() -> None:
    outcome = outcome_of(
        "inspektor",
        good("inspektor", Name="Ann \u00a0  Lee"),
        with_cells("inspektor", {"Name": None, "Date": "never", "Total": 3}),
        with_cells("inspektor", {"Name": " ", "Description": "Total knee"}),
        {"Company": "Overall Total", "Total": 203, "Formula": 21},
    )

    assert lines(outcome, "name") == [["Ann Lee"]]
    assert dict(outcome.left_out) == {"no Name": 2}
    assert [total.agrees for total in outcome.totals] == [True, True]


def test_an_inspektor_name_that_is_an_excel_error_is_not_left_out() -> None:
    content = file_of("inspektor", GOOD["inspektor"])

    outcome = read("inspektor", edited(content, {place_of(content, "Name", 2): "#N/A"}))

    assert places(outcome.errors) == [(2, "Name", "#N/A")]


# --- sunoptic ---------------------------------------------------------------------------------


def test_sunoptic_padding_is_dropped_and_quantities_may_be_fractional() -> None:
    padding = {"Line Amount": 0, "Commission %": 0.1, "Commission $": "x", "Sales Rep Name": "House"}

    outcome = outcome_of("sunoptic", good("sunoptic", Ship__Qty="0.5"), padding, {}, padding)

    assert lines(outcome, ROW, "ship_qty") == [[2, Decimal("0.5")]]
    assert dict(outcome.left_out) == {}


def test_a_sunoptic_row_with_any_of_the_first_fifteen_and_an_amount_is_a_line() -> None:
    for name in header_of("sunoptic")[:15]:
        cell = {"Unit Price": 1, "Ship Qty": 1, "Invoice Date": DAY}.get(name, "x")
        assert outcome_of("sunoptic", GOOD["sunoptic"], {name: cell, "Line Amount": 1}).errors


def test_the_month_of_the_drop_beats_the_invoice_date_of_sunoptic() -> None:
    content = file_of("sunoptic", GOOD["sunoptic"])

    assert lines(read("sunoptic", content, month=date(2025, 2, 1)), "revenue_date") == [[date(2025, 2, 1)]]
    assert lines(read("sunoptic", content), "revenue_date") == [[DAY]]


# --- ternio -----------------------------------------------------------------------------------


def ternio_pair(client: str | None, invoiced: object, paid: object, num: str = "77") -> list[dict[str, Any]]:
    return [
        {
            "Client Name": client, "Date": "03/31/2025", "Transaction Type": "Payment", "Num": "ACH1",
            "Paid": paid,
        },
        {
            "Date": "01/15/2025", "Transaction Type": "Invoice", "Num": num, "Invoiced": invoiced,
            "Memo/Description": f"Audit {num}",
        },
    ]  # fmt: skip


def test_ternio_pairs_are_one_sale_each_and_the_client_is_printed_once() -> None:
    outcome = outcome_of(
        "ternio",
        {"Client Name": "Total Care"},
        *ternio_pair(None, 100, 50),
        *ternio_pair(None, 10, 10, "78.0"),
        {"Client Name": "Total for Total Care", "Invoiced": 110, "Paid": 60},
        *ternio_pair("Oak Clinic", 5, 5, "79"),
        *ternio_pair(None, 6, 6, "80"),
        {"Client Name": "Total Oak Clinic", "Invoiced": 11, "Paid": 11},
        {"Client Name": "TOTAL", "Invoiced": 121, "Paid": 71},
    )

    names = (ROW, "client_name", "date", "invoice_date", "memo_description", "num", "invoiced", "paid")
    start, invoiced = DAY, date(2025, 1, 15)
    assert lines(outcome, *names) == [
        [3, "Total Care", start, invoiced, "Audit 77", "77", Decimal(100), Decimal(50)],
        [5, "Total Care", start, invoiced, "Audit 78.0", "78", Decimal(10), Decimal(10)],
        [8, "Oak Clinic", start, invoiced, "Audit 79", "79", Decimal(5), Decimal(5)],
        [10, "Oak Clinic", start, invoiced, "Audit 80", "80", Decimal(6), Decimal(6)],
    ]
    assert lines(outcome, "revenue_date") == [[DAY]] * 4
    assert len(outcome.totals) == 6
    assert all(total.agrees for total in outcome.totals)


PAYMENT, INVOICE = ternio_pair(None, 5, 5)
CLIENT = {"Client Name": "Oak Clinic"}


@pytest.mark.parametrize(
    ("rows", "row", "said"),
    [
        ([CLIENT, PAYMENT], 3, "no Invoice row below"),
        ([CLIENT, PAYMENT, PAYMENT, INVOICE], 3, "no Invoice row below"),
        ([CLIENT, INVOICE, PAYMENT, INVOICE], 3, "no Payment row above"),
        ([CLIENT, PAYMENT, INVOICE, INVOICE], 5, "no Payment row above"),
        ([CLIENT, PAYMENT, INVOICE, {**PAYMENT, "Transaction Type": "Refund"}], 5,
         "neither a Payment nor an Invoice"),
        ([CLIENT, {**PAYMENT, "Transaction Type": None}], 3, "neither a Payment nor an Invoice"),
    ],
)  # fmt: skip
def test_a_ternio_row_without_its_other_half_is_an_error_at_its_row(
    rows: list[dict[str, Any]], row: int, said: str
) -> None:
    outcome = outcome_of("ternio", *rows)

    (error,) = outcome.errors
    assert (error.row, error.column) == (row, "Transaction Type")
    assert said in error.problem


def test_a_ternio_payment_is_not_paired_with_the_invoice_of_another_client() -> None:
    outcome = outcome_of("ternio", CLIENT, PAYMENT, {"Client Name": "Elm Clinic"}, INVOICE)

    assert [problem.row for problem in outcome.errors] == [3, 5]


def test_a_ternio_line_without_a_client_is_an_error() -> None:
    assert places(outcome_of("ternio", PAYMENT, INVOICE).errors) == [(2, "Client Name", None)]


def test_errors_of_a_ternio_invoice_stand_in_its_own_row() -> None:
    outcome = outcome_of("ternio", CLIENT, PAYMENT, {**INVOICE, "Date": "soon", "Invoiced": "x", "Num": None})

    assert sorted(places(outcome.errors), key=str) == [
        (4, "Date", "soon"), (4, "Invoiced", "x"), (4, "Num", None),
    ]  # fmt: skip


# --- novo and chemence ------------------------------------------------------------------------


def test_novo_order_numbers_survive_as_typed() -> None:
    numbers = ["4.5E10", "00123", "1E5", "PO 7"]

    outcome = outcome_of("novo", *(with_cells("novo", {"Customer PO Number": number}) for number in numbers))

    assert lines(outcome, "customer_po_number") == [[number] for number in numbers]


def test_a_novo_percentage_below_one_is_a_factor_and_any_other_a_percent() -> None:
    rates = {0.07: "0.07", 7: "0.07", "7%": "0.07", "7,5%": "0.075", 1: "0.01", 0.999: "0.999", 0: "0"}

    outcome = outcome_of("novo", *(with_cells("novo", {"Commission Percentage": rate}) for rate in rates))

    assert lines(outcome, "commission_percentage") == [[Decimal(rate)] for rate in rates.values()]


def test_chemence_parts_zips_and_credits_keep_their_form() -> None:
    line = with_cells("chemence", {"Part #": "00042", "Zip": 2138.0, "Sales Total": "($1,000.00)"})

    assert lines(outcome_of("chemence", line), "part_number", "zip_code", "sales_total") == [
        ["00042", "02138", Decimal("-1000.00")]
    ]


# --- what would not fit the marts -------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCE_NAMES)
def test_an_amount_that_fits_no_mart_is_refused_at_its_cell(source: str) -> None:
    amounts = [column.header for column in columns(source) if column.kind == "amount"]
    for header in amounts:
        for bad in (912345678901234, "$12,345,678,901.00", -1e10):
            if source == "ternio":
                payment, invoice = ternio_pair("A", 1, 1)
                rows = [{**payment, **({header: bad} if header == "Paid" else {})}]
                rows += [{**invoice, **({header: bad} if header == "Invoiced" else {})}]
            else:
                rows = [with_cells(source, {header: bad})]

            (error,) = outcome_of(source, *rows).errors

            assert error.column == header
            assert "10 digits" in error.problem


@pytest.mark.parametrize("source", FLAT)
def test_lines_that_add_up_to_more_than_fits_are_refused_together(source: str) -> None:
    header = source_named(source).amounts[0]
    name = next(column.header for column in columns(source) if column.name == header)
    line = with_cells(source, {name: 9_999_999_999})

    assert outcome_of(source, line).errors == []
    (error,) = outcome_of(source, line, with_cells(source, {name: -9_999_999_999})).errors
    assert name in error.problem


def test_a_cost_that_fits_no_mart_is_refused() -> None:
    cells = {"Purchase price": 9_000_000, "Quantity": 600}

    assert outcome_of("quickbooks", with_cells("quickbooks", cells)).errors == []
    (error,) = outcome_of("quickbooks", *[with_cells("quickbooks", cells)] * 2).errors
    assert (error.row, error.column) == (3, "Purchase price")
    (error,) = outcome_of("quickbooks", with_cells("quickbooks", {**cells, "Quantity": 6_000_000})).errors
    assert "too large" in error.problem


@pytest.mark.parametrize(("code", "is_refused"), [("[$€-407] #,##0.00", True), ("[$$-409]#,##0.00", False)])
def test_an_amount_that_excel_shows_in_euros_rejects_the_file(code: str, is_refused: bool) -> None:
    book = openpyxl.load_workbook(io.BytesIO(file_of("cygnus", good("cygnus"))))
    column = header_of("cygnus").index("Invoice Total") + 1
    book.active.cell(2, column).number_format = code  # type: ignore[union-attr]
    content = io.BytesIO()
    book.save(content)

    outcome = read("cygnus", content.getvalue())

    assert [(found.row, found.column) for found in outcome.errors] == (
        [(2, "Invoice Total")] if is_refused else []
    )
