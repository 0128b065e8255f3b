"""How far tier 2 is: what is foretold is what comes, when the lines that were assumed are really loaded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.conftest import copies
from tests.engine.model import CommissionTier, TierThreshold
from tests.engine.worlds import LONG_AGO, Change
from tests.helpers.closed_house import MARCH, House, month_file

pytestmark = pytest.mark.slow
PROGRESS = (
    "select state, missing, waiting, sales_a_month, next_1000_now, next_1000_after, projected_month, words"
    " from marts.tier_progress where payee_id = 'P-ANN' and commission_year = '2025-01-01'"
)
PAYOUTS = (
    "select commission_month, payout, deferred, released, tier_2_month from marts.commission_payouts"
    " where payee_id = 'P-ANN' order by commission_month"
)


@pytest.fixture
def house(first_house: House, postgres_home: Path) -> Iterator[House]:
    yield from copies(first_house, postgres_home)


def test_what_is_foretold_comes_when_the_assumed_lines_are_loaded(house: House) -> None:
    rates = tuple(
        CommissionTier(name, None, LONG_AGO, None, Decimal("0.3"), Decimal("0.4"))
        for name in ("Ann Gray", "Bo Marsh")
    )
    house.do(
        Change("commission_tiers", rates),
        Change("tier_thresholds", (TierThreshold("Ann Gray", "Cygnus", 2025, Decimal(5500)),)),
        *(month_file(date(2025, month, 1), "100") for month in (1, 2, 3)),
    )

    ((state, missing, waiting, pace, now, after, crossing, words),) = house.rows(PROGRESS)

    assert (state, missing, pace) == ("tier 1", Decimal("2500.00"), Decimal("1000.00"))
    assert words == f"Cygnus: $3,000 of $5,500; ${waiting.normalize():f} waits for it."
    assert crossing == date(2025, 6, 1)

    house.do(*(month_file(date(2025, month, 1), "100") for month in (4, 5, 6, 7)))

    payouts = {month: amounts for month, *amounts in house.rows(PAYOUTS)}
    april, may, june, july = (payouts[date(2025, month, 1)] for month in (4, 5, 6, 7))
    assert june[3] == crossing
    assert april[0] == now
    assert july[0] == after
    assert june[2] == waiting + april[1] + may[1] == 5 * Decimal("10.00")
    assert payouts[MARCH][1] == Decimal("10.00")
    assert house.rows(PROGRESS)[0][0] == "tier 2 open"
