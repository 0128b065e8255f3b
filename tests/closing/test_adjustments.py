"""What is paid besides commissions: on the statement, in the ledger, and draws until they are recovered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.conftest import copies
from tests.engine.model import Adjustment
from tests.engine.worlds import Change, Withdraw, adjustments_file
from tests.helpers.closed_house import (
    ANN,
    APRIL,
    BO,
    FEBRUARY,
    HEAD,
    JANUARY,
    MARCH,
    House,
    closed,
    month_file,
    opened,
)

pytestmark = pytest.mark.slow
AMOUNTS = ("earned", "restated", "adjustments", "recovered", "brought_forward", "due", "paid", "draw_balance")


@pytest.fixture(scope="module")
def january(first_house: House, postgres_home: Path) -> Iterator[House]:
    """January is closed with a bonus of Ann's and a draw of Bo's; nobody changes it."""
    for house in copies(first_house, postgres_home):
        house.do(
            adjustments_file(
                JANUARY,
                Adjustment("Ann Gray", Decimal("50.25"), reference="T-7"),
                Adjustment("bo marsh", Decimal("100.00"), "draw", "Slow start!", product_line="cygnus"),
                Adjustment("Ann Gray", Decimal("-0.25"), "correction", "Rounding"),
            ),
            Change("pay_periods", (closed(JANUARY),)),
        )
        house.connection.close()
        yield house


def amounts(house: House, payee: str) -> dict[str, dict[str, str]]:
    """The amounts that are not 0, by month."""
    rows = house.rows(
        f"select to_char(pay_period, 'Mon'), {', '.join(AMOUNTS)} from marts.statements"
        " where payee_id = %s order by pay_period",
        payee,
    )
    return {
        month: {name: str(cell) for name, cell in zip(AMOUNTS, cells, strict=True) if cell}
        for month, *cells in rows
    }


def test_adjustments_are_stated_paid_and_entered_each_with_its_words(house: House) -> None:
    assert amounts(house, "P-ANN")["Jan"] == {
        "earned": "300.00",
        "adjustments": "50.00",
        "due": "350.00",
        "paid": "350.00",
    }
    assert house.rows(
        "select kind, product_line, item_no, words, amount::text from marts.statement_items"
        " where pay_period = %s and kind in ('adjustment', 'draw') order by rep_name, item_no",
        JANUARY,
    ) == [
        ("adjustment", "", 1, "Bonus: Trade fair. Reference T-7. Approved by Ada Head.", "50.25"),
        ("adjustment", "", 2, "Correction: Rounding. Approved by Ada Head.", "-0.25"),
        ("draw", "Cygnus", 1, "Draw: Slow start! Approved by Ada Head.", "100.00"),
    ]
    assert house.rows(
        "select kind, amount::text, place from ledger.entries where kind <> 'earned' order by place"
    ) == [
        ("adjustment", "50.25", "incoming/adjustments/2025-01/adjustments.xlsx, Sheet1, row 5"),
        ("draw", "100.00", "incoming/adjustments/2025-01/adjustments.xlsx, Sheet1, row 6"),
        ("adjustment", "-0.25", "incoming/adjustments/2025-01/adjustments.xlsx, Sheet1, row 7"),
    ]
    # They are no sales.
    assert house.rows("select distinct source from marts.upload_detail") == [("cygnus",)]


def test_draws_are_recovered_from_what_is_due_the_oldest_first_and_not_from_another_draw(
    house: House,
) -> None:
    house.do(
        adjustments_file(FEBRUARY, Adjustment("Bo Marsh", Decimal("40.00"), "draw", "Again")),
        month_file(MARCH, "100", "400"),
    )

    found = amounts(house, "P-BO")
    assert found == {
        "Jan": {
            "earned": "30.00", "adjustments": "100.00", "due": "130.00", "paid": "130.00",
            "draw_balance": "100.00",
        },
        "Feb": {
            "earned": "30.00", "adjustments": "40.00", "recovered": "-30.00", "due": "40.00",
            "paid": "40.00", "draw_balance": "110.00",
        },
        "Mar": {"earned": "120.00", "recovered": "-110.00", "due": "10.00", "paid": "10.00"},
    }  # fmt: skip
    taken = "Taken back of the draw of "
    assert house.rows(
        "select to_char(pay_period, 'Mon'), product_line, earned_month, words, amount::text"
        " from marts.statement_items where kind = 'recovered' order by pay_period, earned_month"
    ) == [
        ("Feb", "Cygnus", JANUARY, f"{taken}January 2025; 70.00 of it is left.", "-30.00"),
        ("Mar", "Cygnus", JANUARY, f"{taken}January 2025; nothing of it is left.", "-70.00"),
        ("Mar", "", FEBRUARY, f"{taken}February 2025; nothing of it is left.", "-40.00"),
    ]  # fmt: skip
    house.ask(closed(JANUARY), closed(FEBRUARY))
    assert amounts(house, "P-BO") == found


def test_what_is_taken_back_beyond_what_is_due_is_carried_and_recovers_nothing(house: House) -> None:
    house.do(
        adjustments_file(FEBRUARY, Adjustment("Bo Marsh", Decimal("-50.00"), "clawback", "Returned goods")),
        month_file(MARCH, "100", "100"),
    )

    found = amounts(house, "P-BO")
    assert found["Feb"] == {
        "earned": "30.00",
        "adjustments": "-50.00",
        "due": "-20.00",
        "draw_balance": "100.00",
    }
    # Draws come before what was carried forward.
    assert found["Mar"] == {
        "earned": "30.00", "recovered": "-30.00", "brought_forward": "-20.00", "due": "-20.00",
        "draw_balance": "70.00",
    }  # fmt: skip


def test_a_closed_month_keeps_its_adjustments_until_it_is_opened_again(house: House) -> None:
    before = amounts(house, "P-ANN"), amounts(house, "P-BO")
    house.do(Withdraw("incoming/adjustments/2025-01/adjustments.xlsx"))
    assert (amounts(house, "P-ANN"), amounts(house, "P-BO")) == before

    house.ask(opened(JANUARY, "No bonus after all."))
    assert "adjustments" not in amounts(house, "P-ANN")["Jan"]
    assert house.rows("select kind, sum(amount)::text from ledger.entries group by 1 order by 1") == [
        ("adjustment", "0.00"), ("draw", "0.00"), ("earned", "330.00"), ("reversal", "-330.00"),
    ]  # fmt: skip
    house.ask(closed(JANUARY))
    assert amounts(house, "P-BO")["Feb"] == {"earned": "30.00", "due": "30.00", "paid": "30.00"}
    assert house.rows("select count(*) from marts.statement_items where kind = 'adjustment'") == [(0,)]


def test_a_month_with_nothing_but_an_adjustment_has_a_statement_and_must_close_in_its_turn(
    house: House,
) -> None:
    taxi = Adjustment("Ann Gray", Decimal("10.00"), "expense", "Taxi")
    periods = closed(JANUARY), closed(FEBRUARY), closed(APRIL, note="No files.")
    house.do(adjustments_file(APRIL, taxi), Change("pay_periods", periods))

    assert amounts(house, "P-ANN")["Apr"] == {"adjustments": "10.00", "due": "10.00", "paid": "10.00"}
    assert house.states()["Apr"] == "closed"


def test_nobody_closes_a_month_that_pays_who_brought_its_file(house: House) -> None:
    house.warehouse.apply((adjustments_file(FEBRUARY, Adjustment("Ann Gray", Decimal("10.00"))),), "dropped")
    house.connection.execute(
        "update ops.files set actor = 'AROAX:ann@example.com' where source = 'adjustments'"
        " and commission_month = %s",
        [FEBRUARY],
    )
    house.connection.commit()
    house.ask(closed(JANUARY), closed(FEBRUARY, note="All the same."))

    assert house.states()["Feb"] == "open"
    (said,) = house.holding()
    assert said.startswith(
        "incoming/adjustments/2025-02/adjustments.xlsx pays Ann Gray 10.00, who brought the file"
    )


def test_a_rename_posts_nothing_and_keeps_adjustments_and_draws(house: House) -> None:
    before = amounts(house, "P-BO")
    assert "recovered" in before["Feb"]
    house.do(Change("sales_reps", (HEAD, ANN, replace(BO, sales_rep_name="Bo Moss"))))

    assert amounts(house, "P-BO") == before
    assert house.rows(
        "select to_char(pay_period, 'Mon'), rep_name from marts.statements where payee_id = 'P-BO' order by 2"
    ) == [("Jan", "Bo Marsh"), ("Feb", "Bo Moss")]


def test_the_statement_says_them_in_words_and_the_journal_has_them(house: House) -> None:
    from shs_pipeline.closing.handing_out import ledger_csv
    from shs_pipeline.closing.payroll_files import payroll_workbook
    from shs_pipeline.closing.reading import closed_statements, read_statements
    from shs_pipeline.closing.statement_pdf import statement_pdf
    from shs_pipeline.closing.statement_text import statement_text
    from shs_pipeline.closing.statement_workbook import statement_workbook

    ann, bo = closed_statements(house.connection, 1)
    said = "Bonus: Trade fair. Reference T-7. Approved by Ada Head."
    assert said in " ".join("\n".join(statement_text(ann, 120)).split())
    assert said in pdf_text(statement_pdf(ann))
    assert "$100.00 of earlier draws is still to be recovered." in pdf_text(statement_pdf(bo))
    assert said in {cell for row in cells_of(statement_workbook(ann))["Adjustments"] for cell in row}
    journal = cells_of(payroll_workbook([ann, bo], {}))["Journal"]
    assert {(row[0], row[1], row[2]) for row in journal} >= {
        ("Adjustments", None, 50),
        ("Adjustments", "Cygnus", 100),
    }
    assert b"incoming/adjustments/2025-01/adjustments.xlsx, Sheet1, row 6" in ledger_csv(house.connection, 1)
    # An open one says of what it is taken back.
    _, bo = read_statements(house.connection, FEBRUARY)
    assert "Taken back of the draw of January 2025; 70.00 of it is left." in pdf_text(statement_pdf(bo))
    # While everything is rebuilt, it is still there to be read.
    house.connection.execute("drop schema intermediate cascade")
    _, meanwhile = read_statements(house.connection, FEBRUARY)
    assert (meanwhile.amounts, meanwhile.items) == (bo.amounts, bo.items)


def test_the_draw_in_the_docs_is_what_the_system_computes(house: House) -> None:
    house.do(
        adjustments_file(FEBRUARY, Adjustment("Ann Gray", Decimal("500.00"), "draw")),
        month_file(FEBRUARY, "333.34"),
        month_file(MARCH, "1000"),
        month_file(APRIL, "1500"),
    )
    page = (Path(__file__).parents[2] / "docs" / "close.md").read_text()

    for name in ("earned", "adjustments", "recovered", "due", "paid", "draw_balance"):
        rows = house.rows(
            f"select {name} from marts.statements where payee_id = 'P-ANN' and pay_period > '2025-01-01'"
            " order by pay_period"
        )
        row = f"| {name.replace('_', ' ')} | {' | '.join(str(cell) for (cell,) in rows)} |"
        assert row in page


def pdf_text(content: bytes) -> str:
    import pypdfium2 as pdfium

    return " ".join(
        " ".join(page.get_textpage().get_text_range() for page in pdfium.PdfDocument(content)).split()
    )


def cells_of(content: bytes) -> dict[str, list[tuple[object, ...]]]:
    import io

    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book}


def test_the_same_adjustment_in_two_files_holds_up_the_close(house: House) -> None:
    bonus = Adjustment("Ann Gray", Decimal("80.00"), reason="Trade fair")
    house.do(
        adjustments_file(FEBRUARY, bonus, name="fair.xlsx"),
        adjustments_file(FEBRUARY, bonus, Adjustment("Bo Marsh", Decimal("1.00")), name="fair (1).xlsx"),
        Change("pay_periods", (closed(JANUARY), closed(FEBRUARY))),
    )

    assert house.states()["Feb"] == "open"
    (said,) = house.holding()
    assert said.startswith(
        "Ann Gray is paid 80.00 2 times for the same reason (Trade fair): incoming/adjustments/"
    )
    assert "fair (1).xlsx, row 5; incoming/adjustments/2025-02/fair.xlsx, row 5." in said

    house.ask(closed(JANUARY), closed(FEBRUARY, note="Two fairs."))
    assert house.states()["Feb"] == "closed"
    assert amounts(house, "P-ANN")["Feb"]["adjustments"] == "160.00"
