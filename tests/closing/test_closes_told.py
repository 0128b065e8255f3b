"""What explain, diff and status say of months that are closed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shs_pipeline.cli.main import build_app, problem_of
from shs_pipeline.closing.checklist import OpenPeriod, period_in_words
from shs_pipeline.marts.explain import explain_payouts
from shs_pipeline.marts.settlements import settled_payouts
from tests.conftest import copies
from tests.engine.worlds import Change
from tests.helpers.closed_house import DECEMBER, FEBRUARY, JANUARY, MARCH, House, closed, month_file

pytestmark = pytest.mark.slow

Said = Callable[..., str]


@pytest.fixture(scope="module")
def house(first_house: House, postgres_home: Path) -> Iterator[House]:
    """January and February are closed; January changed before February closed, and again afterwards.

    December was paid before the first close, and Bo sold nothing in January after all.
    """
    without_bo = month_file(JANUARY, "1100")
    both = closed(JANUARY), closed(FEBRUARY)
    for house in copies(first_house, postgres_home):
        house.do(month_file(DECEMBER, "10"), Change("pay_periods", both[:1]))
        house.do(month_file(JANUARY, "1200"), Change("pay_periods", both))
        house.do(replace(without_bo, drafts=without_bo.drafts[:1]))
        yield house


@pytest.fixture
def shs(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Said:
    """The command line; it returns what was said, or why not."""
    for name in [name for name in os.environ if name.startswith("SHS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("shs_pipeline.settings.settings.dotenv", dict)
    monkeypatch.setenv("SHS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SHS_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("SHS_DATABASE_URL", house.url)

    def said(*arguments: str) -> str:
        result = CliRunner().invoke(build_app(), arguments)
        problem = problem_of(result.exception) if result.exception else None
        return str(problem) if problem is not None else result.output

    return said


def test_a_payout_says_on_which_statements_it_stands(shs: Said) -> None:
    said = shs("explain", "--rep", "Ann Gray", "--month", "2025-01")

    assert "Ann Gray, Cygnus, commission month 2025-01: 330.00" in said
    assert (
        "  Paid: 300.00 on statement 2025-01-P-ANN-1 (January 2025).\n"
        "  Restated since: +60.00 on statement 2025-02-P-ANN-1 (February 2025).\n"
        "  Restated since: -30.00 on the statement of March 2025, which is still open.\n"
    ) in said
    assert "Paid: 3.00 before the first close.\n" in shs("explain", "--rep", "P-ANN", "--month", "2024-12")


def test_what_was_paid_and_is_no_payout_any_more_is_told(shs: Said) -> None:
    said = shs("explain", "--rep", "Bo Marsh", "--month", "2025-01")

    assert (
        "Bo Marsh has no payout in the commission month 2025-01. Cygnus: no payout now."
        " Paid: 30.00 on statement 2025-01-P-BO-1 (January 2025)."
        " Restated since: -30.00 on the statement of March 2025, which is still open."
    ) in said


def test_what_stands_on_statements_adds_up_to_the_payout(house: House) -> None:
    for month in (DECEMBER, JANUARY, FEBRUARY):
        (payout,) = explain_payouts(house.connection, "P-ANN", month)
        settled = settled_payouts(house.connection, [month])[payout.key]
        assert sum(part.amount for part in settled) == payout.payout
    house.connection.rollback()


def test_a_difference_in_a_closed_month_says_where_it_is_paid(shs: Said) -> None:
    said = shs("diff", "2", "now", "--month", "2025-01")

    ann, bo = said.index("Ann Gray, Cygnus, 2025-01"), said.index("Bo Marsh, Cygnus, 2025-01")
    assert "300.00 before, 330.00 now, +30.00" in said[ann:bo]
    assert "  Restated since: +60.00 on statement 2025-02-P-ANN-1 (February 2025).\n" in said[ann:bo]
    assert "30.00 before, no payout now, -30.00" in said[bo:]
    assert "  Restated since: -30.00 on the statement of March 2025, which is still open.\n" in said[bo:]
    changes = json.loads(shs("diff", "2", "now", "--month", "2025-01", "--json"))["changes"]
    assert [part["number"] for part in changes[0]["settled"]] == ["2025-01-P-ANN-1", "2025-02-P-ANN-1", None]


def test_the_status_says_which_month_is_closed_and_which_is_open(shs: Said, house: House) -> None:
    assert "closed up to 2025-02; no month is open" in shs("status")

    house.do(month_file(MARCH, "10"))

    said = shs("status")
    assert "Pay periods:   closed up to 2025-02; 2025-03 is open, its files are due on 2025-04-20, " in said
    assert json.loads(shs("status", "--json"))["pay_periods"]["open"] == "2025-03"
    unknown = OpenPeriod(JANUARY, FEBRUARY, date(2025, 3, 15), [])
    assert period_in_words(unknown, 5) == (
        "closed up to 2025-01; 2025-02 is open, its files are due on 2025-03-05, it is paid on 2025-03-15,"
        " nothing stands in the way of its close"
    )
    assert period_in_words(None, 5) == "no month was ever closed"


def test_of_an_open_month_nothing_is_said_to_be_paid(house: House) -> None:
    assert settled_payouts(house.connection, [MARCH]) == {}
    house.connection.rollback()
