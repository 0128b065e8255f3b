"""A month that is closed stays as it was; what is learned later is restated in the open one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shs_pipeline.closing.checklist import edited_now
from shs_pipeline.closing.reading import read_statements
from shs_pipeline.dashboards.model import render_sql
from shs_pipeline.dashboards.reading import dashboards_for
from tests.engine.worlds import Change, Refuse, Withdraw
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
DOCS = (Path(__file__).parents[2] / "docs" / "close.md").read_text()


def test_a_closed_month_is_stated_paid_and_entered(house: House) -> None:
    assert house.states() == {"Jan": "closed", "Feb": "open"}
    assert house.statement("P-ANN", JANUARY) == {
        "state": "closed",
        "number": "2025-01-P-ANN-1",
        "replaces": None,
        "earned": "300.00",
        "restated": "0.00",
        "brought_forward": "0.00",
        "due": "300.00",
        "paid": "300.00",
        "carried_forward": "0.00",
    }
    assert house.statement("P-ANN", FEBRUARY)["state"] == "provisional"
    assert house.rows("select kind, payee_id, amount::text from ledger.entries order by 2") == [
        ("earned", "P-ANN", "300.00"),
        ("earned", "P-BO", "30.00"),
    ]
    assert house.rows("select approved_by, approved_by_id is null, pay_date, note from ledger.closes") == [
        ("Ada Head", False, date(2025, 2, 15), None)
    ]
    ((inputs,),) = house.rows("select inputs from ledger.closes")
    assert {"incoming/cygnus/2025-01/sales.xlsx", "reference/pay_periods.xlsx"} <= inputs.keys()
    assert house.rows("select rep_name, customer, paid::text from marts.statement_lines order by 1") == [
        ("Ann Gray", "North Clinic", "300.00"),
        ("Bo Marsh", "South Clinic", "30.00"),
    ]
    assert house.rows("select rep_name, paid::text, pay_date from marts.payroll order by 1") == [
        ("Ann Gray", "300.00", date(2025, 2, 15)),
        ("Bo Marsh", "30.00", date(2025, 2, 15)),
    ]


def test_what_changes_in_a_closed_month_is_restated_in_the_open_one(house: House) -> None:
    before = house.statement("P-ANN", JANUARY)

    house.do(month_file(JANUARY, "1200"))

    assert house.statement("P-ANN", JANUARY) == before
    assert house.statement("P-ANN", FEBRUARY) | {"earned": "60.00", "restated": "60.00", "due": "120.00"} == (
        house.statement("P-ANN", FEBRUARY)
    )
    assert house.rows(
        "select product_line, amount::text, words from marts.statement_items where kind = 'restated'"
    ) == [
        (
            "Cygnus",
            "60.00",
            (
                "Cygnus of January 2025 comes to 360.00 now; 300.00 had been settled. "
                "Why: 1 line with a corrected amount (sales.xlsx)."
            ),
        )
    ]
    # As the example of the docs has it, and as the page of the statement says why.
    february = house.statement("P-ANN", FEBRUARY)
    for name in ("earned", "restated", "due", "paid", "carried_forward"):
        assert f"| {name.replace('_', ' ')} | {before[name]} | {february[name]} |" in DOCS
    (page,) = (one for one in dashboards_for("admin") if one.key == "my_statement")
    (card,) = (one for one in page.cards if one.key == "changes")
    statement, values = render_sql(card, {"month": "2025-02", "rep": "Ann Gray"})
    (row,) = house.connection.execute(statement.encode(), values).fetchall()
    (item,) = (
        item
        for one in read_statements(house.connection, FEBRUARY)
        for item in one.items
        if item.kind == "restated"
    )
    house.connection.rollback()
    why = dict(zip(card.columns, row, strict=True))
    assert (why["earned_month"], why["product_line"], why["amount"]) == (JANUARY, "Cygnus", Decimal("60.00"))
    assert why["words"] == item.words

    # Closed in its turn, it is paid once.
    house.do(month_file(MARCH, "10"), Change("pay_periods", (closed(JANUARY), closed(FEBRUARY))))
    assert house.statement("P-ANN", FEBRUARY)["paid"] == "120.00"
    assert house.statement("P-ANN", MARCH)["restated"] == "0.00"


def test_what_is_owed_to_the_company_is_carried_from_month_to_month(house: House) -> None:
    """Ann's January is gone: 300 are taken back, of which February and March leave 210."""
    mistake = closed(FEBRUARY, note="The file of January was a mistake.")
    house.do(
        Withdraw("incoming/cygnus/2025-01/sales.xlsx"),
        month_file(MARCH, "100"),
        Change("pay_periods", (closed(JANUARY), mistake)),
    )

    february, march = house.statement("P-ANN", FEBRUARY), house.statement("P-ANN", MARCH)
    assert (february["due"], february["paid"], february["carried_forward"]) == ("-240.00", "0.00", "-240.00")
    assert f"February would come to {february['due']}" in DOCS
    assert (march["brought_forward"], march["earned"], march["due"]) == ("-240.00", "30.00", "-210.00")
    ((least,),) = house.rows("select min(paid) from marts.payroll")
    assert least == 0
    # Whoever sells nothing any more keeps a statement as long as something is owed.
    house.ask(closed(JANUARY), mistake, closed(MARCH), closed(APRIL, note="No files in April."))
    assert house.statement("P-ANN", APRIL)["carried_forward"] == "-210.00"


@pytest.mark.parametrize(
    "change",
    [
        "update ledger.statements set paid = 1, due = 1",
        "delete from ledger.entries",
        "truncate ledger.statement_lines",
        "update ledger.closes set note = 'x'",
        "delete from ledger.statement_product_lines",
    ],
)
def test_nobody_changes_the_ledger(january: House, change: str) -> None:
    with (
        psycopg.connect(january.url) as owner,
        pytest.raises(psycopg.Error, match="the ledger is never changed"),
    ):
        owner.execute(change.encode())


def test_the_last_closed_month_is_opened_again_with_a_note(house: House) -> None:
    before = house.statement("P-ANN", JANUARY)
    house.ask(opened(JANUARY, "A rate was wrong."))

    assert house.states()["Jan"] == "open"
    assert house.statement("P-ANN", JANUARY)["state"] == "provisional"
    assert house.rows("select kind, sum(amount)::text from ledger.entries group by 1 order by 1") == [
        ("earned", "330.00"),
        ("reversal", "-330.00"),
    ]
    assert house.rows("select count(*) from marts.payroll") == [(0,)]

    house.ask(closed(JANUARY))
    again = house.statement("P-ANN", JANUARY)
    assert again == before | {"number": "2025-01-P-ANN-2", "replaces": "2025-01-P-ANN-1"}
    assert house.rows("select kind, close_no, replaces from ledger.closes order by 2") == [
        ("closed", 1, None),
        ("reopened", 2, 1),
        ("closed", 3, 1),
    ]


def test_a_month_that_was_opened_again_is_not_paid_elsewhere_unless_its_row_is_gone(house: House) -> None:
    reopened = opened(JANUARY, "A rate was wrong.")
    house.ask(reopened)

    house.ask(reopened, closed(FEBRUARY))
    assert house.states() == {"Jan": "open", "Feb": "open"}
    (said,) = house.holding()
    assert said.startswith("2025-02 cannot close before 2025-01, which has lines and is still open.")
    assert house.rows("select count(*) from ledger.entries where kind = 'opening'") == [(0,)]

    house.ask(closed(FEBRUARY))
    assert house.states() == {"Jan": "paid elsewhere", "Feb": "closed"}
    assert house.statement("P-ANN", FEBRUARY)["due"] == "60.00"


def test_an_edit_to_the_row_of_a_closed_month_changes_nothing_and_is_told(house: House) -> None:
    def told() -> Sequence[tuple[Any, ...]]:
        return house.rows("select kind, problem, remedy, is_holding from marts.close_checklist"
                          " where kind = 'closed otherwise'")  # fmt: skip

    was, paid = house.statement("P-ANN", JANUARY), date(2025, 2, 15)
    ada = replace(HEAD, sales_rep_name="Ada Head-Moss")
    house.do(
        Change("sales_reps", (ada, ANN, BO)),
        Change("pay_periods", (closed(JANUARY, by=" ada  HEAD-moss", paid=paid, note="  "),)),
    )
    assert told() == []

    house.ask(closed(JANUARY, by="Bo Marsh", note="Paid\nlate."), closed(FEBRUARY, by=ada.sales_rep_name))
    sentence = (
        "Row 2 of pay_periods says something else than 2025-01 was closed with (Approved By Bo Marsh "
        "instead of Ada Head; Pay Date (blank) instead of 02/15/2025; Note Paid late. instead of "
        "(blank)), and a closed month keeps what it was closed with."
    )
    remedy = (
        "Put the row back as it was. Or open the month again, if it is the last closed one, and close it "
        "with what the row says."
    )
    assert told() == [("closed otherwise", sentence, remedy, False)]
    # It holds nothing up.
    assert house.states()["Feb"] == "closed"
    assert [found.problem for found in edited_now(house.connection)] == [sentence]
    house.connection.rollback()
    assert house.rows(
        "select problem, column_name, amount, is_silenced from marts.reference_findings where rule = 'closed'"
    ) == [(sentence, "Approved By", 0, False)]
    assert house.statement("P-ANN", JANUARY) == was


def test_a_month_closes_in_its_turn_with_an_admin_and_what_holds_it_up_settled_or_noted(
    house: House,
) -> None:
    """Nothing is closed, or opened again, as long as something holds it up; each thing has its sentence."""
    north, south = house.warehouse.state.reference.territories
    path = "incoming/cygnus/2025-02/sales.xlsx"
    house.warehouse.connection.execute(
        "update ops.files set totals = %s where path = %s and status = 'loaded'",
        ['[{"column": "Sales", "printed": "7", "computed": "8"}]', path],
    )

    # January is left out, February by nobody who may, with a file and a name that are wrong; March after it.
    house.do(
        Change("territories", (replace(north, sales_rep_name="Ann Grey"), south)),
        Refuse(path),
        month_file(MARCH, "100"),
        Change("pay_periods", (closed(FEBRUARY, by="Ann Gray"), closed(MARCH))),
    )
    assert house.states() == {"Jan": "closed", "Feb": "open", "Mar": "open"}
    said = house.holding()
    first_words = (
        "2025-01 is closed, but pay_periods does not say closed of it",
        "Ann Gray is not the name of an active admin, so nobody has approved 2025-02.",
        "1 finding in the reference workbooks is open, with 390.00 at stake.",
        f"{path} prints Sales of 7 where its lines add up to 8.",
        f"{path} is rejected, so its lines do not count.",
        "2025-03 cannot close before 2025-02, which has lines and is still open.",
    )
    for words in first_words:
        assert any(one.startswith(words) for one in said), (words, said)
    assert all(one.startswith(first_words) for one in said), said
    (left_out,) = (one for one in said if one.startswith(first_words[0]))
    assert "has a Note that says why" in left_out

    # Open, but not why: the same. The name is settled, the file is still there.
    house.do(
        Change("territories", (north, south)),
        Change("pay_periods", (opened(JANUARY), closed(FEBRUARY), closed(MARCH))),
    )
    assert house.states() == {"Jan": "closed", "Feb": "open", "Mar": "open"}
    said = house.holding()
    assert left_out in said
    for words in first_words:
        assert any(one.startswith(words) for one in said) == (words not in first_words[1:3]), (words, said)

    house.ask(closed(JANUARY), closed(FEBRUARY, note="Agreed with Cygnus."), closed(MARCH))
    assert house.states() == {"Jan": "closed", "Feb": "closed", "Mar": "closed"}
    assert house.holding() == []
    assert house.rows("select note from ledger.closes order by close_no") == [
        (None,), ("Agreed with Cygnus.",), (None,),
    ]  # fmt: skip


def test_of_the_totals_that_differ_the_first_is_told_with_its_own_amounts(house: House) -> None:
    path = "incoming/cygnus/2025-02/sales.xlsx"
    totals = [
        {"row": "12", "column": "Revenue", "printed": "6", "computed": "9"},
        {"row": "9", "column": "Sales", "printed": "7", "computed": "8"},
        {"row": "13", "column": "Sales", "printed": "5", "computed": "4"},
    ]
    for number, more, by in (
        (2, "1 more total that differs", "Ann Gray"),
        (3, "2 more totals that differ", "Bo Marsh"),
    ):
        house.warehouse.connection.execute(
            "update ops.files set totals = %s where path = %s and status = 'loaded'",
            [json.dumps(totals[:number]), path],
        )

        house.ask(closed(JANUARY), closed(FEBRUARY, by=by))

        (told,) = [one for one in house.holding() if one.startswith(path)]
        assert told.startswith(f"{path} prints Sales of 7 where its lines add up to 8, and {more}. Ask")


def test_a_close_and_its_publication_are_one(house: House) -> None:
    house.connection.execute(
        "create function public.refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'no more room'; end $$"
    )
    house.connection.execute(
        "create trigger refused before insert on ledger.statement_lines"
        " for each statement execute function public.refuse()"
    )
    house.connection.commit()
    before = house.rows("select max(publication_id), count(*) from marts.publications")

    with pytest.raises(Exception, match="no more room"):
        house.ask(closed(JANUARY), closed(FEBRUARY))

    assert house.rows("select max(publication_id), count(*) from marts.publications") == before
    assert house.rows("select count(*) from ledger.closes") == [(1,)]
    assert house.states()["Feb"] == "open"
