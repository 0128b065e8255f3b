"""A name changes and no cent with it: in one workbook or in all, with old files as they are."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shs_pipeline.marts.build import build_marts
from shs_pipeline.marts.explain import explain_payouts
from shs_pipeline.marts.explain_basis import alias_in_words, basis_of
from shs_pipeline.marts.payout_diff import compare_payouts
from shs_pipeline.marts.publications import state_at
from tests.conftest import _fresh_database
from tests.engine.model import Alias, CommissionTier, SalesRep, ServiceToProduct, Territory, TierThreshold
from tests.engine.payouts import compute
from tests.engine.warehouse_rows import WarehouseRows
from tests.engine.worlds import LONG_AGO, Change, Drop, State, sale
from tests.marts.test_against_engine import check_marts

pytestmark = pytest.mark.slow

JANUARY, FEBRUARY = date(2025, 1, 1), date(2025, 2, 1)
ANN = SalesRep("Ann Gray", "Field", "ann@example.com")
BO = SalesRep("Bo Marsh", "Field", "bo@example.com")
PAYOUTS = (
    "select payee_id, product_line_id, commission_month, payout"
    " from marts.commission_payouts order by 1, 2, 3"
)


class House:
    """A warehouse of two months with rates, a threshold that is crossed, and a service map.

    A copy of another one begins where that one is.
    """

    def __init__(self, connection: psycopg.Connection, url: str, state: State | None = None) -> None:
        self.connection, self.url = connection, url
        self.warehouse = WarehouseRows(connection)
        if state is not None:
            self.warehouse.state = deepcopy(state)
            return
        rates = [
            CommissionTier(name, line, LONG_AGO, None, Decimal("0.3"), Decimal("0.4"))
            for name, line in (("Ann Gray", None), ("Bo Marsh", None), ("Ann Gray", "Trays"))
        ]
        self.change(
            "first",
            Change("sales_reps", (ANN, BO)),
            Change("commission_tiers", tuple(rates)),
            Change("tier_thresholds", (TierThreshold("Ann Gray", "Trays", 2025, Decimal(150)),)),
            Change("territories", (Territory("cygnus", "Name", "North Clinic", "Ann Gray", LONG_AGO, None),)),
            Change(
                "service_to_product", (ServiceToProduct("Trays", "Trays"), ServiceToProduct("Kits", "Kits"))
            ),
            *(
                Drop(source, month, "sales.xlsx", tuple(lines))
                for month in (JANUARY, FEBRUARY)
                for source, lines in (
                    ("cygnus", [sale("cygnus", "500", "50", on=month)]),
                    (
                        "quickbooks",
                        [
                            sale("quickbooks", "100", "33.33", on=month, service_lines="Trays"),
                            sale("quickbooks", "70", "7", on=month, service_lines="Kits", rep="Bo Marsh"),
                        ],
                    ),
                )
            ),
        )

    def change(self, run_id: str, *actions: Any) -> None:
        """Apply, build, and hold the marts against the engine."""
        self.warehouse.apply(actions, run_id)
        build_marts(self.url, run_id)
        results = compute(self.warehouse.state.raw_lines(), self.warehouse.state.reference)
        check_marts(self.connection, results, self.warehouse.state.reference, run_id)

    def rows(self, query: str) -> list[Any]:
        """Read the marts."""
        found = self.connection.execute(query.encode()).fetchall()
        self.connection.rollback()
        return found

    def differences(self) -> list[Any]:
        """What the last publication changed in the payouts, as `shs diff` says it."""
        ((last,),) = self.rows("select max(publication_id) from marts.publications")
        first, second = (state_at(self.connection, f"#{number}") for number in (last - 1, last))
        changes = compare_payouts(self.connection, first, second).changes
        self.connection.rollback()
        return [(change.rep_name, change.product_line, change.difference) for change in changes]


@pytest.fixture(scope="module")
def first(postgres_home: Path) -> Iterator[House]:
    """The house as it is first published; nobody changes it."""
    for url in _fresh_database(postgres_home):
        with psycopg.connect(url) as connection:
            made = House(connection, url)
        yield made


@pytest.fixture
def house(first: House, postgres_home: Path) -> Iterator[House]:
    """A copy of it."""
    for url in _fresh_database(postgres_home, copy_of=first.url):
        with psycopg.connect(url) as connection:
            yield House(connection, url, first.warehouse.state)


def renamed(rows: tuple[Any, ...], column: str, old: str, new: str) -> tuple[Any, ...]:
    return tuple(replace(row, **{column: new}) if getattr(row, column) == old else row for row in rows)


def test_a_rename_of_a_person_or_a_product_line_pays_and_takes_back_nothing(house: House) -> None:
    before, reference = house.rows(PAYOUTS), house.warehouse.state.reference
    ((ann,),) = house.rows("select payee_id from marts.people where rep_name = 'Ann Gray'")
    assert sum(row[-1] for row in before) > 0

    # The person in one workbook, known again by the address; in the others; by an alias; by the id.
    # The product line by one row, and then in the map as well.
    moss = replace(ANN, sales_rep_name="Ann Moss")
    trays = Alias("product line", None, "Trays", "Sterile Trays")
    house.change("in one workbook", Change("sales_reps", (moss, BO)), Change("aliases", (trays,)))
    assert house.rows(PAYOUTS) == before
    assert house.differences() == []
    assert house.rows("select distinct rep_name from marts.commission_payouts order by 1") == [
        ("Ann Moss",), ("Bo Marsh",),
    ]  # fmt: skip
    shown = house.rows("select distinct product_line from marts.commission_payouts order by 1")
    assert shown == [("Cygnus",), ("Kits",), ("Sterile Trays",)]

    services = ServiceToProduct("Trays", "Sterile Trays"), ServiceToProduct("Kits", "Kits")
    house.change(
        "in all workbooks",
        *(
            Change(table, renamed(getattr(reference, table), "sales_rep_name", "Ann Gray", "Ann Moss"))
            for table in ("commission_tiers", "tier_thresholds", "territories")
        ),
        Change("service_to_product", services),
    )
    assert house.rows(PAYOUTS) == before
    assert house.differences() == []

    fox = SalesRep("Ann Fox", "Field", "ann.fox@example.com")
    alias = Alias("rep", None, "Ann Moss", "Ann Fox")
    house.change("by an alias", Change("sales_reps", (BO, fox)), Change("aliases", (trays, alias)))
    assert house.rows(PAYOUTS) == before
    assert house.differences() == []

    # The engine does not know the ids that the system gave.
    lee = SalesRep("Ann Lee", "Field", "ann.lee@example.com", payee_id=ann)
    house.warehouse.apply((Change("sales_reps", (BO, lee)),), "by the id")
    build_marts(house.url, "by the id")
    assert house.rows(PAYOUTS) == before
    assert house.rows("select payee_id, rep_name from marts.people where rep_name <> 'Bo Marsh'") == [
        (ann, "Ann Lee")
    ]


def test_an_alias_credits_old_files_without_their_being_dropped_again(house: House) -> None:
    shares = (
        Alias("rep", "quickbooks", "Bo Marsh", "Ann Gray", Decimal("0.6"), FEBRUARY),
        Alias("rep", "quickbooks", "Bo Marsh", "Cy New", Decimal("0.4"), FEBRUARY),
    )
    house.change("shares", Change("aliases", shares))
    parts = (
        "select rep_name, credit_share, sales_actual from marts.harmonised_sales where rep_meant is not null"
    )
    assert sorted(house.rows(parts), key=str) == [
        ("Ann Gray", Decimal("0.6"), Decimal("42.00")), (None, Decimal("0.4"), Decimal("28.00")),
    ]  # fmt: skip

    ((month, line),) = house.rows(
        "select commission_month, product_line from marts.harmonised_sales"
        " where rep_meant is not null and rep_name = 'Ann Gray'"
    )
    payouts = explain_payouts(house.connection, "Ann Gray", month)
    (basis,) = (basis_of(house.connection, one) for one in payouts if one.product_line == line)
    house.connection.rollback()
    (said,) = map(alias_in_words, basis.aliases)
    assert said == (
        "Bo Marsh means Ann Gray from 2025-02-01: reference/aliases.xlsx, "
        f"row {basis.aliases[0].source_row} (1 line)"
    )

    house.change("listed", Change("sales_reps", (ANN, BO, SalesRep("Cy New", None, "cy@example.com"))))
    assert [row[0] for row in sorted(house.rows(parts), key=str)] == ["Ann Gray", "Cy New"]


def test_the_deleted_rates_of_a_leaver_still_pay_what_was_sold_before(house: House) -> None:
    before, tiers = house.rows(PAYOUTS), house.warehouse.state.reference.commission_tiers
    left = replace(BO, active=False, left_on=date(2025, 2, 15))
    house.change(
        "left",
        Change("sales_reps", (ANN, left)),
        Change("commission_tiers", tuple(row for row in tiers if row.sales_rep_name != "Bo Marsh")),
    )
    assert house.rows(PAYOUTS) == before

    house.change("still here", Change("sales_reps", (ANN, BO)))
    assert house.differences() == [("Bo Marsh", "Kits", Decimal("-2.10"))] * 2
