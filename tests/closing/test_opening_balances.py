"""What was paid before the first close: as the workbook says, and what it comes to then is told before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from shs_pipeline.cli.explain import _show_lines, _show_payout
from shs_pipeline.closing.checks import SETTLED, check_closes
from shs_pipeline.landing.zone import Landing
from shs_pipeline.marts.explain import explain_payouts
from shs_pipeline.marts.guard import HeldBuildError
from shs_pipeline.marts.payout_diff import compare_payouts
from shs_pipeline.marts.publications import Published
from tests.engine.model import CommissionTier, OpeningBalance, TierThreshold
from tests.engine.worlds import LONG_AGO, Change, Drop, Withdraw, sale
from tests.helpers.closed_house import FEBRUARY, JANUARY, MARCH, House, closed, month_file, opened

pytestmark = pytest.mark.slow

DECEMBER = date(2024, 12, 1)
JUNE, JULY, AUGUST, SEPTEMBER = (date(2025, month, 1) for month in (6, 7, 8, 9))
PAGE = Path(__file__).parents[2] / "docs" / "close.md"
REACHED = ", paid now that the sales of the year have reached 50,000.00"
SAID = f"opening_balances says (row 3){REACHED}"


@dataclass(frozen=True)
class NotedBalance(OpeningBalance):
    note: str | None = None


def paid(name: str, month: date, amount: str, product_line: str = "Cygnus") -> OpeningBalance:
    return OpeningBalance(name, product_line, month, Decimal(amount))


def balances(*rows: OpeningBalance) -> Change:
    return Change("opening_balances", rows)


def test_the_workbook_says_what_was_paid_before_the_first_close(new_house: House, tmp_path: Path) -> None:
    house = new_house
    # December has no file: what was paid for it stands.
    rows = (paid("Ann Gray", JANUARY, "290"), paid("Bo Marsh", DECEMBER, "77"))
    house.do(
        balances(*rows, paid("Anne Grey", JANUARY, "1"), paid("Bo Marsh", FEBRUARY, "5")),
        Change("pay_periods", (closed(FEBRUARY, note="All right."),)),
    )
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
    assert house.states() == {"Jan": "paid elsewhere", "Feb": "closed"}
    assert house.statement("P-ANN", JANUARY) == {}
    entries = "select kind, earned_month, sum(amount)::text from ledger.entries group by 1, 2 order by 1, 2"
    assert house.rows(entries) == [
        ("earned", FEBRUARY, "90.00"),
        ("opening", JANUARY, "320.00"),
        ("opening without lines", DECEMBER, "77.00"),
        ("restated", JANUARY, "10.00"),
    ]
    # What came before is not known, so that there are the two amounts alone.
    assert house.rows("select words from ledger.entries where kind = 'restated'") == [
        ("Cygnus of January 2025 comes to 300.00 now; 290.00 had been settled.",)
    ]
    statement = house.statement("P-ANN", FEBRUARY)
    assert (statement["restated"], statement["paid"]) == ("10.00", "70.00")
    assert house.statement("P-BO", FEBRUARY)["paid"] == "30.00"
    page = PAGE.read_text()
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

    # Opened again, the first close begins anew.
    wrong = Change("pay_periods", (opened(FEBRUARY, "The balances were wrong."),))
    house.do(Withdraw("incoming/cygnus/2024-12/late.xlsx"), wrong)
    assert house.statement("P-BO", MARCH) == {}
    again = Change("pay_periods", (closed(FEBRUARY, note="One dollar was paid."),))
    house.do(month_file(MARCH, "10"), again)
    assert house.statement("P-ANN", FEBRUARY)["restated"] == "299.00"
    assert house.statement("P-BO", FEBRUARY)["restated"] == "0.00"


def begun(held_back: str, note: str | None = None) -> Change:
    """Ann's year up to June, as the example of docs/close.md has it."""
    row = NotedBalance("Ann Gray", "Cygnus", JUNE, Decimal(290), Decimal(41000), Decimal(held_back), note)
    return Change("opening_balances", (paid("Bo Marsh", JUNE, "0"), row))


def test_a_year_goes_on_from_what_was_sold_and_held_back(new_house: House) -> None:
    house = new_house
    rates = CommissionTier("Ann Gray", None, LONG_AGO, None, Decimal("0.3"), Decimal("0.4"))
    limit = TierThreshold("Ann Gray", "Cygnus", 2025, Decimal(50000))
    house.do(
        Change("commission_tiers", (rates,)), Change("tier_thresholds", (limit,)), begun("310.25"),
        month_file(JULY, "400"), month_file(AUGUST, "600"),
    )  # fmt: skip

    shown = house.rows(
        "select to_char(commission_month, '| YYYY-MM | ')"
        " || concat_ws(' | ', to_char(sales_actual, 'FM99,990.00'), to_char(cumulative_sales, 'FM99,990.00'),"
        " tier, to_char(deferred, 'FM990.00'), to_char(released, 'FM990.00'),"
        " to_char(deferred_balance, 'FM990.00'), to_char(payout, 'FM990.00')) || ' |'"
        " from marts.commission_payouts where payee_id = 'P-ANN' and commission_month >= %s"
        " order by commission_month",
        JULY,
    )
    assert "\n".join(row for (row,) in shown) in PAGE.read_text()
    # The files of January and February are paid as before, and count for nothing later.
    assert house.rows(
        "select cumulative_sales::text, payout::text, opening_row from marts.commission_payouts"
        " where payee_id = 'P-ANN' and commission_month <= %s order by commission_month",
        FEBRUARY,
    ) == [("10000.00", "300.00", None), ("12000.00", "60.00", None)]
    place = "concat_ws(' ', source_file, source_sheet, source_row)"
    assert house.rows(
        f"select amount_paid::text, {place}, explanation from marts.payout_explanations"
        " where part = 'released' and payee_id = 'P-ANN' order by source_row"
    ) == [
        ("310.25", "reference/opening_balances.xlsx Sheet1 3", f"Held back by the end of 2025-06 as {SAID}"),
        ("40.00", "incoming/cygnus/2025-07/sales.xlsx Sheet1 5", f"Held back in 2025-07{REACHED}"),
    ]
    (payout,) = explain_payouts(house.connection, "Ann Gray", AUGUST)
    paper = StringIO()
    console = Console(file=paper, width=200)
    _show_payout(console, payout)
    _show_lines(console, payout, {})
    said = paper.getvalue()
    assert (
        "\n2025 continues from 41,000.00 sold and 310.25 held back up to 2025-06, as opening_balances "
        "says (row 3).\n"
    ) in said
    assert "350.25  (310.25 of it as opening_balances says)\n" in said
    assert "2 lines and what opening_balances says was held back add up to 590.25, the payout.\n" in said
    house.connection.rollback()

    # A file that says more of these months than the workbook is told, and counts for nothing later.
    # Closed or not, the year goes on to rest on the workbook.
    both = closed(JULY, note="All right."), closed(AUGUST, note="All right.")
    house.do(month_file(FEBRUARY, "3200"), Change("pay_periods", both))
    ((problem,),) = house.rows("select problem from marts.reference_findings where rule = 'opening_sales'")
    assert problem == (
        "Cumulative Sales of Ann Gray for Cygnus up to 2025-06 is 41,000.00, and the lines of these months "
        "alone come to 42,000.00."
    )
    assert house.statement("P-ANN", AUGUST)["paid"] == "590.25"
    house.is_guarded = True
    with pytest.raises(HeldBuildError, match="opening_balances"):
        house.do(begun("300.25"))
    house.do(begun("300.25", "Mistyped."))
    assert house.statement("P-ANN", SEPTEMBER)["restated"] == "-10.00"
    first, second = (
        Published(*row)
        for row in house.rows(
            "select publication_id, run_id, published_at from marts.publications"
            " order by publication_id desc limit 2"
        )[::-1]
    )
    (change,) = compare_payouts(house.connection, first, second).changes
    (part,) = change.parts
    assert (change.commission_month, part.amount) == (AUGUST, Decimal("-10.00"))
    assert part.words.endswith(
        "opening_balances says 41,000.00 sold and 300.25 held back up to 2025-06 instead of 41,000.00 sold "
        "and 310.25 held back up to 2025-06"
    )
