"""What was paid before the first close: as the workbook says, and what it comes to then is told before."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from shs_pipeline.closing.checks import SETTLED, check_closes
from shs_pipeline.landing.zone import Landing
from tests.engine.model import OpeningBalance
from tests.engine.worlds import Change, Drop, Withdraw, sale
from tests.helpers.closed_house import FEBRUARY, JANUARY, MARCH, House, closed, month_file, opened

pytestmark = pytest.mark.slow

DECEMBER = date(2024, 12, 1)


def paid(name: str, month: date, amount: str, product_line: str = "Cygnus") -> OpeningBalance:
    return OpeningBalance(name, product_line, month, Decimal(amount))


def balances(*rows: OpeningBalance) -> Change:
    return Change("opening_balances", rows)


def test_the_workbook_says_what_was_paid_before_the_first_close(database: str, tmp_path: Path) -> None:
    house = House(database)
    # December has no file: what was paid for it stands.
    rows = (paid("Ann Gray", JANUARY, "290"), paid("Bo Marsh", DECEMBER, "77"))
    house.do(balances(*rows, paid("Anne Grey", JANUARY, "1"), paid("Bo Marsh", FEBRUARY, "5")))
    house.ask(closed(FEBRUARY, note="All right."))
    month, rep = house.holding()
    assert month.startswith(
        "opening_balances says what was paid for 2025-02, which is not before 2025-02, the"
    )
    assert rep.startswith(
        "opening_balances names Anne Grey, whom sales_reps does not list. Type the name as in"
    )

    house.do(balances(*rows), Change("pay_periods", (closed(FEBRUARY),)))
    (said,) = house.holding()
    assert said.startswith(
        "Ann Gray: opening_balances says 290.00 was paid where 300.00 is computed (Cygnus of 2025-01). The "
        "first statement restates 10.00."
    )

    house.ask(closed(FEBRUARY, note="Ten dollars are still due."))
    entries = "select kind, earned_month, sum(amount)::text from ledger.entries group by 1, 2 order by 1, 2"
    assert house.rows(entries) == [
        ("earned", FEBRUARY, "90.00"),
        ("opening", JANUARY, "320.00"),
        ("opening without lines", DECEMBER, "77.00"),
        ("restated", JANUARY, "10.00"),
    ]
    statement = house.statement("P-ANN", FEBRUARY)
    assert (statement["restated"], statement["paid"]) == ("10.00", "70.00")
    assert house.statement("P-BO", FEBRUARY)["paid"] == "30.00"
    page = (Path(__file__).parents[2] / "docs" / "close.md").read_text()
    assert f"Ann's statement for February restates {statement['restated']}." in page
    assert "| Ann Gray | Cygnus | 2025-01 | 290.00 |" in page

    # The workbook counts no more, and says so; what comes to light later is a restatement.
    line = sale("cygnus", "3000", "300", on=DECEMBER, customer="South Clinic", number=9)
    house.do(balances(paid("Ann Gray", JANUARY, "1")), Drop("cygnus", DECEMBER, "late.xlsx", (line,)))
    assert house.statement("P-BO", MARCH)["restated"] == "13.00"
    assert "P-ANN" not in str(house.rows("select payee_id from marts.statement_items where kind = 'restated'"
                                         " and number is null"))  # fmt: skip
    ((problem,),) = house.rows("select problem from marts.reference_findings where rule = 'settled'")
    assert problem.startswith("1 row says something else than the ledger about what was paid before 2025-02")
    settled = next(
        outcome
        for outcome in check_closes(house.connection, Landing(tmp_path.as_uri()))
        if outcome.name == SETTLED
    )
    assert settled.has_passed
    house.do(Withdraw("incoming/cygnus/2024-12/late.xlsx"))
    assert house.statement("P-BO", MARCH) == {}

    # Opened again, the first close begins anew.
    house.ask(opened(FEBRUARY, "The balances were wrong."))
    house.do(month_file(MARCH, "10"))
    house.ask(closed(FEBRUARY, note="One dollar was paid."))
    assert house.statement("P-ANN", FEBRUARY)["restated"] == "299.00"
    assert house.statement("P-BO", FEBRUARY)["restated"] == "0.00"
    house.connection.close()
