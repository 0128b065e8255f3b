"""What payroll gets: one row per payee, a journal that adds up, and nobody with less than nothing."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shs_pipeline.base.errors import ShsError
from shs_pipeline.closing.payroll_files import PayrollPayee, payroll_csv, payroll_workbook
from shs_pipeline.closing.statement import Statement
from tests.helpers.statements import EXAMPLES, made_statement, statements

FEW = settings(max_examples=15, suppress_health_check=list(HealthCheck))
USUAL = EXAMPLES["usual"]()
DANA = {"P-0007": PayrollPayee(payroll_code="00042", paid_as="W-2", paid_earlier=Decimal("1000.50"))}


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def table(content: bytes, sheet: str) -> list[tuple[object, ...]]:
    """The rows of a sheet below its titles, the total last."""
    book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
    return list(book[sheet].iter_rows(min_row=5, values_only=True))


def cents(value: object) -> Decimal:
    return Decimal(str(value or 0)).quantize(Decimal("0.01"))


def owing(amount: str = "-90000.00", **changes: object) -> Statement:
    return replace(made_statement(brought_forward=Decimal(amount)), payee_id="P-0099", **changes)


def test_a_row_says_whom_to_pay_what_and_when() -> None:
    (row,) = rows(payroll_csv([USUAL], DANA))

    assert row == {
        "Payee ID": "P-0007",
        "Payroll Code": "00042",
        "Paid As": "W-2",
        "Name": "Dana Whitfield",
        "Pay Period": "2026-10",
        "Due": "6642.99",
        "Paid": "6642.99",
        "Carried Forward": "0.00",
        "Pay Date": "2026-11-15",
        "Paid This Year": "7643.49",
    }


def test_a_payee_whom_payroll_does_not_know_has_a_row_without_a_code() -> None:
    (row,) = rows(payroll_csv([USUAL], {}))

    assert (row["Payroll Code"], row["Paid As"], row["Paid"]) == ("", "", "6642.99")


def test_who_owes_the_company_is_listed_apart_and_never_paid_less_than_nothing() -> None:
    content = payroll_workbook([USUAL, owing()], DANA)

    assert [row["Payee ID"] for row in rows(payroll_csv([USUAL, owing()], DANA))] == ["P-0007"]
    assert [row[0] for row in table(content, "Payroll")] == ["P-0007", "Total"]
    (row, total) = table(content, "Owed to the company")
    assert (row[0], row[3], cents(row[5])) == ("P-0099", "Dana Whitfield", -owing().amounts.due)
    assert cents(total[5]) == cents(row[5]) > 0


def test_who_is_due_exactly_nothing_has_a_row() -> None:
    (row,) = rows(payroll_csv([EXAMPLES["empty"]()], {}))

    assert (row["Paid"], row["Due"]) == ("0.00", "0.00")


@FEW
@given(st.lists(statements(), min_size=1, max_size=4))
def test_the_journal_and_the_rows_come_to_what_is_paid(made: list[Statement]) -> None:
    made = [replace(statement, payee_id=f"P-{number}") for number, statement in enumerate(made)]
    content = payroll_workbook(made, {})
    paid = sum((statement.amounts.paid for statement in made), Decimal("0.00"))

    journal = table(content, "Journal")
    if journal:
        assert cents(journal[-1][2]) == sum((cents(row[2]) for row in journal[:-1]), Decimal("0.00")) == paid
    assert sum((Decimal(row["Paid"]) for row in rows(payroll_csv(made, {}))), Decimal("0.00")) == paid
    owed = table(content, "Owed to the company")
    assert sum(cents(row[5]) for row in owed[:-1]) == -sum(one.amounts.carried_forward for one in made)
    for row in table(content, "Payroll"):
        assert all(cents(amount) >= 0 for amount in row[5:8])


def test_the_journal_names_product_lines() -> None:
    journal = table(payroll_workbook([USUAL], DANA), "Journal")

    assert [row[:2] for row in journal] == [
        ("Earned", "Cygnus Scopes"),
        ("Earned", "Novo Implants"),
        ("Earned", "Surgical Trays"),
        ("Restated", "Cygnus Scopes"),
        ("Restated", "Surgical Trays"),
        ("Adjustments", None),
        ("Recovered draws", None),
        ("Paid", None),
    ]


def test_rows_are_in_the_same_order_whatever_the_statements_are_in() -> None:
    others = [replace(USUAL, payee_id=f"P-{number}", rep_name=name) for number, name in enumerate("cab")]

    assert payroll_csv(others, {}) == payroll_csv(others[::-1], {})
    assert payroll_workbook(others, {}) == payroll_workbook(others[::-1], {})
    assert [row["Name"] for row in rows(payroll_csv(others, {}))] == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["=1+1", "@SUM(A1)", "\x1b[2J\ud800"])
def test_a_name_does_nothing(name: str) -> None:
    statement = replace(USUAL, rep_name=name)
    payees = {"P-0007": PayrollPayee(payroll_code="=2+2")}
    (row,) = rows(payroll_csv([statement], payees))
    sheet = table(payroll_workbook([statement], payees), "Payroll")

    assert not row["Name"].startswith(("=", "@", "\x1b"))
    assert row["Payroll Code"] == "'=2+2"
    assert sheet[0][1] == "=2+2"


def test_a_code_keeps_its_zeros_and_several_pay_periods_are_refused() -> None:
    assert table(payroll_workbook([USUAL], DANA), "Payroll")[0][1] == "00042"
    with pytest.raises(ValueError, match="several pay periods: Sep 2026, Oct 2026"):
        payroll_workbook([USUAL, replace(USUAL, pay_period=USUAL.pay_period.replace(month=9))], {})


def test_a_statement_that_does_not_add_up_is_not_paid() -> None:
    wrong = replace(USUAL, lines=USUAL.lines[1:])

    for write in (payroll_csv, payroll_workbook):
        with pytest.raises(ShsError, match="does not add up"):
            write([wrong], {})


def test_a_month_without_statements_gives_empty_files() -> None:
    assert rows(payroll_csv([], {})) == []
    assert table(payroll_workbook([], {}), "Payroll") == []
