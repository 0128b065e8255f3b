"""The contract: every error of a file in one pass, each at its cell, once, in the order of the file."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pandera.pandas as pa
import pytest

from shs_pipeline.casting.cells import ExcelError
from shs_pipeline.files import contract
from shs_pipeline.files.reading import ROW, SHEET, CellsAt, Problem


class Rows(pa.DataFrameModel):
    """One row of a made-up supplier."""

    customer: str = contract.text("Customer", "Customer.")
    invoice: str = contract.identifier("Invoice #", "Invoice number.", remedy="Ask the supplier.")
    zip_code: str = contract.zip_code("Zip", "Zip code.", blank=True)
    paid_on: contract.Day = contract.day("Paid", "Day of payment.")
    rate: contract.Rate = contract.rate("Rate", "Rate.", blank=True)
    share: contract.Rate = contract.share("Share", "Share.", blank=True)
    amount: contract.Amount = contract.amount("Amount", "USD sold.")
    pieces: contract.Number = contract.quantity("Pieces", "Pieces.", blank=True, ge=0)
    year: contract.Whole = contract.whole("Year", "Year.", blank=True, ge=2000, remedy="Type the year.")
    is_active: contract.Flag = contract.flag("Active", "Whether it counts.", blank=True, in_header=False)


GOOD: dict[str, Any] = {
    "Customer": " Cedar  Clinic", "Invoice #": 10482.0, "Zip": 2138.0, "Paid": "03/31/2025", "Rate": "7,0%",
    "Share": 1.0, "Amount": "($1,234.50)", "Pieces": 0.5, "Year": 2025.0, "Active": "Yes",
}  # fmt: skip


def lines(*changes: dict[str, Any], sheet: str = "Report", first_row: int = 5) -> pd.DataFrame:
    rows = [{**GOOD, **change} for change in changes]
    table = pd.DataFrame(rows, dtype=object)
    table.insert(0, SHEET, sheet)
    table.insert(1, ROW, range(first_row, first_row + len(rows)))
    return table


def places(problems: list[Problem]) -> list[tuple[int | None, str | None, str | None]]:
    return [(problem.row, problem.column, problem.value) for problem in problems]


def test_good_cells_become_exact_values_by_database_name() -> None:
    values, problems = contract.apply(Rows, lines({}))

    assert problems == []
    assert values.iloc[0].to_dict() == {
        SHEET: "Report", ROW: 5, "customer": "Cedar Clinic", "invoice": "10482", "zip_code": "02138",
        "paid_on": date(2025, 3, 31), "rate": Decimal("0.07"), "share": Decimal(1),
        "amount": Decimal("-1234.50"), "pieces": Decimal("0.5"), "year": 2025, "is_active": True,
    }  # fmt: skip


def test_every_error_is_found_in_one_pass_in_the_order_of_the_file() -> None:
    found = lines(
        {"Amount": "n/a", "Customer": None},
        {},
        {"Paid": "31/12/2025", "Zip": "12", "Rate": "much"},
        {"Invoice #": "", "Year": 1999.0, "Pieces": -1.0},
        {"Customer": "\u00a0", "Active": "perhaps", "Share": True},
    )

    _, problems = contract.apply(Rows, found)

    assert places(problems) == [
        (5, "Customer", None), (5, "Amount", "n/a"),
        (7, "Zip", "12"), (7, "Paid", "31/12/2025"), (7, "Rate", "much"),
        (8, "Invoice #", None), (8, "Pieces", "-1"), (8, "Year", "1999"),
        (9, "Customer", None), (9, "Share", "TRUE"), (9, "Active", "perhaps"),
    ]  # fmt: skip
    assert {problem.sheet for problem in problems} == {"Report"}
    assert {problem.severity for problem in problems} == {"error"}
    assert all(problem.problem and problem.remedy for problem in problems)


def test_a_remedy_of_the_column_beats_the_general_one() -> None:
    _, problems = contract.apply(Rows, lines({"Invoice #": None, "Customer": None, "Year": "soon"}))

    remedies = {problem.column: problem.remedy for problem in problems}
    assert remedies["Invoice #"] == "Ask the supplier."
    assert remedies["Year"] == "Type the year."
    assert "Fill in Customer" in remedies["Customer"]


@pytest.mark.parametrize("column", ["Amount", "Paid", "Invoice #"])
def test_a_bad_cell_of_a_required_column_is_not_reported_as_empty_too(column: str) -> None:
    bad = {"Amount": "x", "Paid": "x", "Invoice #": date(2025, 1, 1)}[column]

    _, problems = contract.apply(Rows, lines({column: bad}))

    assert [problem.column for problem in problems] == [column]
    assert "empty" not in problems[0].problem


@pytest.mark.parametrize("column", list(GOOD))
def test_an_excel_error_is_one_problem_in_any_column(column: str) -> None:
    _, problems = contract.apply(Rows, lines({}, {column: ExcelError("#REF!")}))

    assert places(problems) == [(6, column, "#REF!")]
    assert "#REF!" in problems[0].problem


def test_a_cell_that_the_reader_reported_is_not_reported_again() -> None:
    found = [Problem("Wrong.", "Mend it.", sheet="Report", row=5, column="Amount", value="x")]

    _, problems = contract.apply(Rows, lines({"Amount": "x", "Paid": None}), found)

    assert places(problems) == [(5, "Paid", None)]


def test_a_missing_column_is_no_problem_of_each_cell() -> None:
    table = lines({"Customer": None}, {"Customer": None, "Paid": "x"})

    _, problems = contract.apply(Rows, table, missing=frozenset({"Customer"}))

    assert places(problems) == [(6, "Paid", "x")]


def test_a_column_that_need_not_be_there_is_blank() -> None:
    values, problems = contract.apply(Rows, lines({}).drop(columns="Active"))

    assert problems == []
    assert values["is_active"].isna().all()


def test_a_cell_that_stands_elsewhere_is_reported_there_and_once() -> None:
    table = lines({"Paid": "x"}, {"Paid": "x"}, {"Paid": None}, {"Paid": None})

    _, problems = contract.apply(Rows, table, cells_at={"Paid": CellsAt("Date", [3, 3, 7, 7])})

    assert places(problems) == [(3, "Date", "x"), (7, "Date", None)]


def test_pages_are_in_the_order_of_their_numbers() -> None:
    table = pd.concat(
        [lines({"Amount": "x"}, sheet=f"page {page}") for page in (2, 9, 10)], ignore_index=True
    )

    _, problems = contract.apply(Rows, table)

    assert [problem.sheet for problem in problems] == ["page 2", "page 9", "page 10"]


@pytest.mark.parametrize("amount", ["0.12345678901", "1e99", "1" * 40, "12345678901.00"])
def test_an_amount_with_more_digits_than_amounts_have_is_refused_at_its_cell(amount: str) -> None:
    _, problems = contract.apply(Rows, lines({}, {"Amount": amount}))

    assert places(problems) == [(6, "Amount", amount)]
    assert "digits" in problems[0].problem


@pytest.mark.parametrize("amount", ["1234567890.99", 1 / 8192, 100 / 7, -0.00001, 0.0])
def test_any_amount_that_a_cell_may_hold_is_taken(amount: object) -> None:
    _, problems = contract.apply(Rows, lines({"Amount": amount, "Rate": "0.123456789012"}))

    assert problems == []


def test_no_lines_are_no_problem_of_the_contract() -> None:
    values, problems = contract.apply(Rows, lines({}).iloc[:0])

    assert problems == []
    assert len(values) == 0
    assert list(values) == [SHEET, ROW, *(column.name for column in contract.columns_of(Rows))]


def test_the_columns_say_what_the_database_and_the_docs_need() -> None:
    columns = contract.columns_of(Rows)

    assert {column.name: column.sql_type for column in columns} == {
        "customer": "text", "invoice": "text", "zip_code": "text", "paid_on": "date", "rate": "numeric",
        "share": "numeric", "amount": "numeric", "pieces": "numeric",
        "year": "bigint", "is_active": "boolean",
    }  # fmt: skip
    assert [column.header for column in columns] == list(GOOD)
    assert [column.header for column in columns if column.is_required] == [
        "Customer", "Invoice #", "Paid", "Amount",
    ]  # fmt: skip
    assert columns[6].description == "USD sold."
    assert contract.headers_of(Rows) == list(GOOD)[:-1]


@pytest.mark.parametrize(("column", "longest"), [("Customer", 500), ("Invoice #", 200), ("Zip", 200)])
def test_a_text_that_is_too_long_is_refused_at_its_cell(column: str, longest: int) -> None:
    _, problems = contract.apply(Rows, lines({column: "x" * longest}, {column: "x" * (longest + 1)}, {}))

    assert [(problem.row, problem.column) for problem in problems] == [(6, column)]
    assert f"{longest + 1:,}"[:3] in problems[0].problem or f"{longest + 1}" in problems[0].problem


def test_a_description_may_be_as_long_as_a_cell() -> None:
    class Long(pa.DataFrameModel):
        memo: contract.Text = contract.text("Memo", "Memo.", longest=contract.LONGEST_TEXT)

    rows = pd.DataFrame({SHEET: "Report", ROW: [5], "Memo": ["x" * 32_767]}, dtype=object)

    assert contract.apply(Long, rows)[1] == []
