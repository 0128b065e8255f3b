"""A small company whose months are closed: two reps, an admin, and cygnus with a file for each month."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.engine.model import CommissionTier, PayPeriod, SalesRep, Territory
from tests.engine.warehouse_rows import WarehouseRows
from tests.engine.worlds import LONG_AGO, Action, Change, Drop, State, sale

DECEMBER = date(2024, 12, 1)
JANUARY, FEBRUARY, MARCH, APRIL = (date(2025, month, 1) for month in (1, 2, 3, 4))
HEAD = SalesRep("Ada Head", "Office", "ada@example.com", "admin")
ANN = SalesRep("Ann Gray", "Field", "ann@example.com", payee_id="P-ANN")
BO = SalesRep("Bo Marsh", "Field", "bo@example.com", payee_id="P-BO")


def month_file(month: date, ann: str, bo: str = "100") -> Drop:
    """The file of a month: revenue of Ann's and of Bo's customer; each is paid 30 % of it."""
    lines = (
        sale("cygnus", str(Decimal(ann) * 10), ann, on=month),
        sale("cygnus", str(Decimal(bo) * 10), bo, on=month, customer="South Clinic", number=2),
    )
    return Drop("cygnus", month, "sales.xlsx", lines)


def closed(
    month: date, *, by: str = "Ada Head", paid: date | None = None, note: str | None = None
) -> PayPeriod:
    """A row of the workbook that closes a month."""
    return PayPeriod(month, "closed", by, paid, note)


def opened(month: date, note: str | None = None) -> PayPeriod:
    """A row that opens a month."""
    return PayPeriod(month, "open", None, None, note)


class House:
    """The company, in a database of its own; a copy of another one begins where that one is.

    Args:
        is_guarded: let builds be held; otherwise what would be held is accepted, whatever it is.
    """

    def __init__(self, url: str, state: State | None = None, *, is_guarded: bool = False) -> None:
        self.url = url
        self.is_guarded = is_guarded
        self.connection = psycopg.connect(url)
        self.warehouse = WarehouseRows(self.connection)
        self._builds = 0
        if state is not None:
            self.warehouse.state = deepcopy(state)
            return
        rates = tuple(
            CommissionTier(name, None, LONG_AGO, None, Decimal("0.3"), None)
            for name in ("Ann Gray", "Bo Marsh")
        )
        owners = (("North Clinic", "Ann Gray"), ("South Clinic", "Bo Marsh"))
        self.do(
            Change("sales_reps", (HEAD, ANN, BO)),
            Change("commission_tiers", rates),
            Change(
                "territories",
                tuple(Territory("cygnus", "Name", *owner, LONG_AGO, None) for owner in owners),
            ),
            month_file(JANUARY, "1000"),
            month_file(FEBRUARY, "200"),
        )

    def do(self, *actions: Action, full_refresh: bool = False, accepted_by: str = "") -> None:
        """Let something happen in the landing zone, and build."""
        from shs_pipeline.marts.build import build_marts

        self._builds += 1
        self.warehouse.apply(actions, f"build {self._builds}")
        with pytest.MonkeyPatch.context() as patch:
            if not self.is_guarded:
                patch.setattr("shs_pipeline.marts.build.verdict_of", lambda *_: None)
            build_marts(self.url, f"build {self._builds}", full_refresh=full_refresh, accepted_by=accepted_by)

    def ask(self, *rows: PayPeriod) -> None:
        """Drop the workbook of pay periods."""
        self.do(Change("pay_periods", rows))

    def rows(self, query: str, *values: object) -> Sequence[tuple[Any, ...]]:
        found = self.connection.execute(query.encode(), values).fetchall()
        self.connection.rollback()
        return found

    def statement(self, payee: str, month: date) -> dict[str, Any]:
        """The statement, its amounts as text."""
        names = (
            "state", "number", "replaces", "earned", "restated", "brought_forward", "due", "paid",
            "carried_forward",
        )  # fmt: skip
        rows = self.rows(
            f"select {', '.join(names)} from marts.statements where payee_id = %s and pay_period = %s",
            payee,
            month,
        )
        return {} if not rows else {
            name: str(cell) if isinstance(cell, Decimal) else cell
            for name, cell in zip(names, rows[0], strict=True)
        }  # fmt: skip

    def holding(self) -> Sequence[str]:
        """What holds up the closes that are asked for, as sentences."""
        return [
            f"{problem} {remedy}"
            for problem, remedy in self.rows(
                "select problem, remedy from marts.close_checklist where is_holding order by pay_period, kind"
            )
        ]

    def states(self) -> dict[str, str]:
        """The state of each month."""
        return {
            f"{month:%b}": state
            for month, state in self.rows("select pay_period, state from marts.pay_periods")
        }
