"""The overview of the marts: whole months only, and what waits apart from what is never paid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

import psycopg
import pytest

from shs_pipeline.marts.overview import (
    MartsOverview,
    YearToDate,
    coming_in_words,
    marts_overview,
    objectives_title,
    year_in_words,
)
from tests.conftest import Zone

JANUARY, FEBRUARY, MARCH = (date(2025, month, 1) for month in (1, 2, 3))
EMPTY = MartsOverview((), False, (), None, (), None, (), (), ())


@pytest.fixture
def connection(built: Zone) -> Iterator[psycopg.Connection]:
    """All sources have loaded February, cygnus alone March; what a test changes is rolled back."""
    with psycopg.connect(built.database_url) as opened:
        yield opened
        opened.rollback()


def one(connection: psycopg.Connection, query: str) -> Decimal:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return Decimal(row[0])


@pytest.mark.slow
def test_objectives_and_the_year_end_with_the_last_complete_month(connection: psycopg.Connection) -> None:
    found = marts_overview(connection)

    assert found.last_complete == JANUARY
    assert [month.month for month in found.objectives] == [JANUARY]
    assert found.year is not None
    assert (found.year.first, found.year.last, found.year.sales_before) == (JANUARY, JANUARY, None)
    sold = "select sum(sales_actual) from marts.harmonised_sales where revenue_month = '2025-01-01'"
    assert found.year.sales == found.objectives[0].sales == one(connection, sold)
    # January is whole; what cygnus sold in February waits for the others.
    assert found.coming_in[0][0] == FEBRUARY
    assert "cygnus" not in found.coming_in[0][1]
    assert "ternio" in found.coming_in[0][1]
    assert found.months[-1] == MARCH
    assert not found.is_last_month_whole


@pytest.mark.slow
def test_the_year_before_is_compared_when_its_months_were_whole(connection: psycopg.Connection) -> None:
    connection.execute(
        "insert into marts.company_performance_monthly (product_line_id, product_line, month,"
        " sales_actual, rev_actual, payout, commission, shs_margin, uncredited_sales, uncredited_revenue)"
        " values ('L-1', 'Other', '2024-01-01', 100, 0, 0, 0, 0, 0, 0),"
        " ('L-1', 'Other', '2024-02-01', 7000, 0, 0, 0, 0, 0, 0)"
    )
    without = marts_overview(connection).year
    connection.execute("update marts.revenue_months set is_comparable = true where is_last_complete")

    with_it = marts_overview(connection).year

    assert without is not None
    assert with_it is not None
    assert (without.sales_before, with_it.sales_before) == (None, Decimal(100))
    assert without.sales == with_it.sales


@pytest.mark.slow
def test_what_no_threshold_releases_does_not_wait(connection: psycopg.Connection) -> None:
    found = marts_overview(connection)

    last = "commission_month = (select max(commission_month) from marts.commission_payouts as others"
    last += " where others.rep_name = p.rep_name and others.product_line = p.product_line)"
    for name, column in (("waiting", "releasable_balance"), ("no_threshold", "no_threshold_balance")):
        at_the_end = f"select sum({column}) from marts.commission_payouts as p where {last}"
        total = sum((getattr(rep, name) for rep in found.payouts), Decimal(0))
        assert total == one(connection, at_the_end) > 0
    listed = {(row.rep_name, row.product_line) for row in found.no_threshold}
    lacking = connection.execute(
        "select distinct rep_name, product_line from marts.commission_payouts where threshold is null"
    )
    assert listed == set(lacking)
    unpayable = sum((row.unpayable for row in found.no_threshold), Decimal(0))
    assert unpayable == sum((rep.no_threshold for rep in found.payouts), Decimal(0))


@pytest.mark.slow
def test_an_empty_warehouse_is_published_empty_and_has_no_complete_month(database: str) -> None:
    from shs_pipeline.marts.build import build_marts

    assert build_marts(database, "first").lines == 0
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) from marts.harmonised_sales").fetchone() == (0,)
        found = marts_overview(connection)

    assert found == replace(EMPTY, payouts=[], objectives=[], coming_in=[], no_threshold=[], uncredited=[])


def test_titles_name_the_last_complete_month_and_what_is_left_out() -> None:
    later = replace(EMPTY, last_complete=JANUARY, coming_in=[(FEBRUARY, "novo, ternio"), (MARCH, "novo")])

    assert objectives_title(EMPTY).endswith("by revenue month: no month is complete yet")
    assert objectives_title(later).endswith("to 2025-01, the last complete month")
    assert coming_in_words(EMPTY) == ""
    assert coming_in_words(later) == (
        "Still coming in: 2025-02, 2025-03. 2025-02 is waiting for a later file from novo, ternio."
    )


@pytest.mark.parametrize(
    ("objective", "before", "words"),
    [
        ("200", None, "2025-01 to 2025-03: 150.00 sold, 75.0% of the objective"),
        (
            "200",
            "120",
            ("2025-01 to 2025-03: 150.00 sold, 75.0% of the objective, +25.0% on the same months of 2024"),
        ),
        ("0", "0", "2025-01 to 2025-03: 150.00 sold"),
    ],
)
def test_a_year_is_held_against_what_there_is(objective: str, before: str | None, words: str) -> None:
    year = YearToDate(
        JANUARY, MARCH, Decimal(150), Decimal(objective), None if before is None else Decimal(before)
    )

    assert year_in_words(year) == words
