"""A restatement says why, in the words of `shs diff` without other names, and once closed for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from decimal import Decimal

import psycopg
import pytest

from shs_pipeline.marts.line_changes import LineChange, Reason
from shs_pipeline.marts.payout_diff import Part, PayoutChange
from shs_pipeline.marts.payout_states import Line
from shs_pipeline.marts.restatement_reasons import SHOWN, reasons_in_words
from tests.engine.model import CommissionTier, Territory
from tests.engine.worlds import LONG_AGO, Change, Drop, Withdraw, sale
from tests.helpers.closed_house import FEBRUARY, JANUARY, MARCH, House, closed, month_file, opened

pytestmark = pytest.mark.slow

LATE = Drop("cygnus", JANUARY, "late.xlsx", (sale("cygnus", "5000", "500", on=JANUARY, number=7),))


def why(
    house: House, payee: str = "P-ANN", month: date = FEBRUARY, relation: str = "marts.statement_items"
) -> str:
    """What the restatements of a statement say after the two amounts."""
    rows = house.rows(
        f"select words from {relation} where kind in ('restated', 'reclassified') and payee_id = %s"
        " and pay_period = %s order by earned_month",
        payee,
        month,
    )
    return " | ".join(words.partition(" had been settled.")[2].strip() for (words,) in rows)


def rate(percent: str) -> Change:
    """Ann's rate, and Bo's 30 %."""
    return Change(
        "commission_tiers",
        tuple(
            CommissionTier(name, None, LONG_AGO, None, Decimal(share) / 100, None)
            for name, share in (("Ann Gray", percent), ("Bo Marsh", "30"))
        ),
    )


@contextmanager
def no_more_room(house: House) -> Iterator[None]:
    """Let every publication fail at its end."""
    with psycopg.connect(house.url) as owner:
        owner.execute(
            "create function public.refuse() returns trigger language plpgsql as"
            " $$ begin raise exception 'no more room'; end $$"
        )
        owner.execute(
            "create trigger refused before insert on marts.publications"
            " for each statement execute function public.refuse()"
        )
    yield
    with psycopg.connect(house.url) as owner:
        owner.execute("drop function public.refuse() cascade")


def test_all_that_changed_since_the_last_close_is_frozen_by_the_next_one(house: House) -> None:
    house.do(month_file(JANUARY, "1200"))
    assert why(house) == "Why: 1 line with a corrected amount (sales.xlsx)."

    # Together with what an earlier publication brought, the largest first.
    house.do(LATE)
    both = "Why: 1 line added (late.xlsx): +150.00; 1 line with a corrected amount (sales.xlsx): +60.00."
    assert why(house) == both

    # A build that failed leaves no reason behind.
    with no_more_room(house), pytest.raises(Exception, match="no more room"):
        house.do(Withdraw(LATE.path), month_file(JANUARY, "1300"))

    # Nothing moves the payout, and the line is in another file.
    house.do(month_file(JANUARY, "1200"), replace(LATE, name="later.xlsx"))
    both = both.replace("late.xlsx", "later.xlsx")
    assert why(house) == both
    assert why(house, relation="history.statement_items") != ""

    # The publication that closes brings a change of its own.
    house.do(rate("31"), Change("pay_periods", (closed(JANUARY), closed(FEBRUARY))))
    assert house.states()["Feb"] == "closed"
    frozen = (
        "Why: 1 line added (later.xlsx): +155.00; "
        "1 line with a corrected amount, paid at 31 % instead of 30 % (sales.xlsx): +72.00."
    )
    assert why(house) == why(house, relation="ledger.entries") == frozen

    # The next statement tells what came since, and no build changes the closed one.
    house.do(rate("30"), month_file(MARCH, "10"))
    assert why(house, month=MARCH) == (
        "Why: 2 lines paid at 30 % instead of 31 %. | Why: 1 line paid at 30 % instead of 31 %."
    )
    assert why(house) == frozen

    # Opened again, it is open what came since January's close, also when everything is computed anew.
    house.do(
        Change("pay_periods", (closed(JANUARY), opened(FEBRUARY, "A rate was wrong."))), full_refresh=True
    )
    assert why(house) == both


def test_nobody_is_told_another_name(house: House) -> None:
    north, south = (
        Territory("cygnus", "Name", customer, rep, LONG_AGO, None)
        for customer, rep in (("North Clinic", "Bo Marsh"), ("South Clinic", "Bo Marsh"))
    )
    house.do(Change("territories", (north, south)))

    assert why(house) == "Why: 1 line re-credited to another rep."
    assert why(house, "P-BO") == "Why: 1 line re-credited from another rep."

    house.do(Change("territories", (replace(north, sales_rep_name="Zed Quill"), south)))
    assert why(house) == (
        "Why: 1 line no longer credited to anybody (the name in the file is not in sales_reps)."
    )
    assert why(house, "P-BO") == ""


def test_where_the_past_is_not_known_there_are_the_two_amounts_alone(house: House) -> None:
    """As after a database was lost."""
    with psycopg.connect(house.url) as owner:
        for mart in ("statements", "statement_items", "harmonised_sales", "commission_payouts"):
            owner.execute(f"delete from history.{mart}".encode())
        owner.execute("delete from marts.publications where publication_id < 3")
    house.do(month_file(JANUARY, "1200"))
    assert house.statement("P-ANN", FEBRUARY)["restated"] == "60.00"
    assert why(house) == ""


def line(file: str) -> LineChange:
    found = Line(
        *["x"] * 4, "Cygnus", "P-ANN", "Ann Gray", None, None, "credited", None, None, None,
        f"incoming/cygnus/2025-01/{file}", "Sheet1", 2, Decimal(1), Decimal(1), Decimal(1), None, None,
        Decimal(1), Decimal(0), JANUARY, JANUARY,
    )  # fmt: skip
    return LineChange(None, found, Decimal(1))


def change(*parts: Part, after: str) -> PayoutChange:
    return PayoutChange("P-ANN", "Ann Gray", "Cygnus", JANUARY, None, Decimal(after), parts)


def part(words: str, amount: str, *lines: LineChange, reason: Reason = "added") -> Part:
    return Part(reason, words, Decimal(amount), lines)


def test_reasons_are_short() -> None:
    many = [part(f"reason {number}", str(number), reason="tier 2") for number in range(1, SHOWN + 3)]
    assert reasons_in_words(change(*many, after="28"), Decimal(28)) == (
        "Why: reason 7: +7.00; reason 6: +6.00; reason 5: +5.00; reason 4: +4.00; reason 3: +3.00; "
        "and 2 more: +3.00."
    )
    files = [line(f"{name}.xlsx") for name in "aabcd"]
    nothing = part("5.00 more held back: no threshold", "0", reason="tier 2")
    assert reasons_in_words(change(part("added", "5", *files), nothing, after="5"), Decimal(5)) == (
        "Why: 5 lines added (a.xlsx, b.xlsx and 2 other files)."
    )


def test_a_reason_gives_no_amount_that_does_not_add_up() -> None:
    two = part("added", "200", line("a.xlsx")), part("moved here from Novo", "100", line("a.xlsx"))

    # 290.00 had been settled of which nothing could be computed.
    assert reasons_in_words(change(*two, after="300"), Decimal(10)) == (
        "Why: 1 line added (a.xlsx); 1 line moved here from Novo (a.xlsx)."
    )
    assert reasons_in_words(change(*two, after="301"), Decimal(301)) == ""
    assert reasons_in_words(None, Decimal(10)) == ""
