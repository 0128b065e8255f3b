"""A year as a finance manager plays it: real workbooks are dropped, and what is said is enough to decide by.

Names change and no cent moves; what does move is told with its amount before anybody is paid by it.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from shs_pipeline.files.copy_text import copy_lines_of
from shs_pipeline.files.reading import SourceFile
from shs_pipeline.files.source import read_file
from shs_pipeline.marts.build import build_marts
from shs_pipeline.marts.dry_build import findings_with
from shs_pipeline.marts.findings import Finding, published_findings
from shs_pipeline.marts.payout_diff import Comparison, compare_payouts
from shs_pipeline.marts.publications import state_at
from shs_pipeline.reference.registry import table_named
from shs_pipeline.sources.registry import source_named
from tests.conftest import Zone
from tests.helpers.office import workbook

# Not about the guard: what it would hold is accepted.
pytestmark = [pytest.mark.soak, pytest.mark.usefixtures("mass_changes_are_accepted")]

ANN, BO = "Ann Gray", "Bo Marsh"
SINCE = date(2024, 1, 1)
MONTHS = [date(2025, month, 1) for month in range(1, 4)]
MONTH_HEADERS = [f"{date(2025, month, 1):%B}" for month in range(1, 13)]


class Office:
    """The landing zone, as the finance manager fills it."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.tables: dict[str, list[dict[str, Any]]] = {
            "sales_reps": [
                {
                    "Sales Rep Name": name,
                    "Email": f"{name.split()[0].lower()}@example.com",
                    "Permission": "user",
                    "Active": "Yes",
                }
                for name in (ANN, BO)
            ],
            "commission_tiers": [self.rate(ANN, "30%", "40%"), self.rate(BO, "20%", "25%")],
            "tier_thresholds": [
                {"Sales Rep Name": rep, "Product Line": line, "Year": 2025, "Commission tier threshold": 150}
                for rep, line in ((ANN, "Trays"), (BO, "Trays"), (ANN, "Cygnus"))
            ],
            "business_objectives": [
                {"Sales Rep Name": rep, "Product Line": line, "Year": 2025}
                | dict.fromkeys(MONTH_HEADERS, 100)
                for rep, line in ((ANN, "Trays"), (BO, "Trays"), (ANN, "Cygnus"))
            ],
            "territories": [
                {
                    "Source": "cygnus",
                    "Customer field": "Name",
                    "Data field value": "North Clinic",
                    "Sales Rep Name": ANN,
                    "Valid from": SINCE,
                }
            ],
            "service_to_product": [{"Service Lines": "Trays", "Product Lines": "Trays"}],
        }
        for name in self.tables:
            self.drop_table(name)
        for month in MONTHS:
            self.sell(month)
        self.publish()

    @staticmethod
    def rate(rep: str, tier_1: Any, tier_2: Any, begin: date = SINCE) -> dict[str, Any]:
        return {
            "Sales Rep Name": rep, "Valid from": begin,
            "Commission tier 1 rate": tier_1, "Commission tier 2 rate": tier_2,
        }  # fmt: skip

    def table(self, name: str) -> bytes:
        return workbook(table_named(name), self.tables[name])

    def drop_table(self, name: str) -> None:
        self.zone.drop(f"reference/{name}.xlsx", self.table(name))

    def sell(self, month: date, *, rate: str = "0.1", name: str = "sales", only: str = "") -> str:
        """Drop a month of both sources; the sales of a month are the same sales, at whatever rate."""
        if only in ("", "quickbooks"):
            lines = [
                {
                    "Date": month, "Service Lines": "Trays", "Customer": "West Hospital",
                    "Amount line": amount, "Purchase price": amount / 2, "Quantity": 1,
                    "Num": f"{month:%y%m}{place}",
                    "Line order": 1, "Sales Rep Name": rep, "Product/Service": "Tray",
                }
                for place, (rep, amount) in enumerate([(ANN, 100), (ANN, 60), (BO, 90)])
            ]  # fmt: skip
            self.zone.drop(
                f"incoming/quickbooks/{month:%Y-%m}/{name}.xlsx", workbook(source_named("quickbooks"), lines)
            )
        path = f"incoming/cygnus/{month:%Y-%m}/{name}.xlsx"
        if only in ("", "cygnus"):
            lines = [
                {
                    "Sales Rep": "Ann", "Cust. ID": "7", "Cust- Name": "North", "Name": "North Clinic",
                    "Invoice": f"C{month:%y%m}{place}", "SKU": "A1", "Inv Date": month, "ClosedDate": month,
                    "Rep %": Decimal(rate), "Invoice Total": 200,
                    "Total Rep Due": Decimal(200) * Decimal(rate),
                }
                for place in range(3)
            ]  # fmt: skip
            self.zone.drop(path, workbook(source_named("cygnus"), lines))
        return path

    def check(self, name: str) -> list[Finding]:
        """What `shs check` says of a workbook before it is dropped."""
        table = table_named(name)
        outcome = read_file(table, SourceFile(f"{name}.xlsx", self.table(name)), 10_000_000)
        assert outcome.lines is not None, outcome.errors
        return findings_with(self.zone.database_url, table, copy_lines_of(table, outcome.lines), 15)

    def publish(self) -> Comparison | None:
        """Run, and return what changed since the publication before."""
        assert not [file.problem for report in self.zone.run() for file in report.rejected]
        build_marts(self.zone.database_url, self.zone.job().run_id)
        with psycopg.connect(self.zone.database_url) as connection:
            ((last,),) = connection.execute("select max(publication_id) from marts.publications").fetchall()
            if last == 1:
                return None
            first, second = (state_at(connection, f"#{number}") for number in (last - 1, last))
            return compare_payouts(connection, first, second)

    def findings(self) -> list[Finding]:
        with psycopg.connect(self.zone.database_url) as connection:
            return published_findings(connection)

    def payouts(self) -> dict[tuple[str, str, str], Decimal]:
        return {
            (rep, line, f"{month:%Y-%m}"): payout
            for rep, line, month, payout in self.zone.query(
                "select rep_name, product_line, commission_month, payout from marts.commission_payouts"
            )
        }


def moved(change: Comparison | None) -> dict[tuple[str, str, str], Decimal]:
    """What changed in the payouts, by rep, product line and month."""
    assert change is not None
    return {
        (one.rep_name, one.product_line, f"{one.commission_month:%Y-%m}"): one.difference
        for one in change.changes
    }


def the_year_begins_with_nothing_to_say(office: Office) -> None:
    assert office.findings() == []
    assert office.payouts() == {
        (ANN, "Trays", month): Decimal("32.00") for month in ("2025-01", "2025-02", "2025-03")
    } | {(ANN, "Cygnus", month): Decimal("24.00") for month in ("2025-01", "2025-02", "2025-03")} | {
        (BO, "Trays", "2025-01"): Decimal("9.00"),
        (BO, "Trays", "2025-02"): Decimal("13.50"),
        (BO, "Trays", "2025-03"): Decimal("11.25"),
    }


def a_rep_is_renamed_in_one_workbook_and_then_in_all(office: Office) -> None:
    office.tables["sales_reps"][0]["Sales Rep Name"] = "Ann Moss"
    assert office.check("sales_reps") == []
    office.drop_table("sales_reps")
    assert moved(office.publish()) == {}
    assert {rep for rep, _, _ in office.payouts()} == {"Ann Moss", BO}

    for name in ("commission_tiers", "tier_thresholds", "business_objectives", "territories"):
        for row in office.tables[name]:
            if row["Sales Rep Name"] == ANN:
                row["Sales Rep Name"] = "Ann Moss"
        office.drop_table(name)
    assert moved(office.publish()) == {}
    assert office.findings() == []


def a_typo_in_one_workbook_is_told_with_its_money(office: Office) -> None:
    owner = office.tables["territories"][0]
    owner["Sales Rep Name"] = "Ann Mos"

    (told,) = office.check("territories")
    assert (told.table_name, told.value, told.nearest_name) == ("territories", "Ann Mos", "Ann Moss")
    assert told.amount == Decimal("72.00")
    office.drop_table("territories")
    taken = moved(office.publish())
    assert sum(taken.values()) == -told.amount
    assert [finding.amount for finding in office.findings()] == [told.amount]

    owner["Sales Rep Name"] = "Ann Moss"
    assert office.check("territories") == []
    office.drop_table("territories")
    assert sum(moved(office.publish()).values()) == told.amount
    assert office.findings() == []


def a_product_line_is_renamed_by_one_row(office: Office) -> None:
    office.tables["aliases"] = [{"Kind": "product line", "Name in File": "Trays", "Means": "Tray Systems"}]
    assert office.check("aliases") == []
    office.drop_table("aliases")
    assert moved(office.publish()) == {}
    assert {line for _, line, _ in office.payouts()} == {"Tray Systems", "Cygnus"}
    assert office.findings() == []


def a_rate_is_typed_over_instead_of_added(office: Office) -> None:
    rate = office.tables["commission_tiers"][0]
    rate["Commission tier 1 rate"], rate["Commission tier 2 rate"] = "32%", "90%"
    (told,) = office.check("commission_tiers")
    assert (told.rule, told.value) == ("rate", "90 %")

    rate["Commission tier 2 rate"] = "42%"
    assert office.check("commission_tiers") == []
    office.drop_table("commission_tiers")
    change = office.publish()
    assert change is not None
    # Two points more on 80.00 and 60.00 of revenue in each of three months: all of it was paid before.
    assert sum(moved(change).values()) == Decimal("8.40")
    assert not any(one.is_new for one in change.changes)
    assert {part.reason for one in change.changes for part in one.parts} == {"rate"}

    rate["Commission tier 1 rate"], rate["Commission tier 2 rate"] = "30%", "40%"
    office.drop_table("commission_tiers")
    assert sum(moved(office.publish()).values()) == Decimal("-8.40")


def a_threshold_for_a_product_line_that_is_nobodys(office: Office) -> None:
    threshold = office.tables["tier_thresholds"][2]
    threshold["Product Line"] = "Cygnuss"
    told = {finding.rule: finding for finding in office.check("tier_thresholds")}
    assert told["unknown_name"].nearest_name == "Cygnus"
    # 10 % more of 60.00 in each of three months.
    assert told["unknown_name"].amount == Decimal("18.00")
    threshold["Product Line"] = "Cygnus"
    assert office.check("tier_thresholds") == []


def somebody_leaves_and_the_rates_are_deleted(office: Office) -> None:
    rates = office.tables["commission_tiers"]
    bo = rates.pop()
    (told,) = [finding for finding in office.check("commission_tiers") if finding.amount]
    assert told.amount == Decimal("33.75")
    assert told.rule == "taken_away"
    assert "If the rep left, enter Left On in sales_reps instead." in told.remedy

    office.tables["sales_reps"][1]["Left On"] = date(2025, 4, 1)
    office.drop_table("sales_reps")
    assert moved(office.publish()) == {}
    assert office.check("commission_tiers") == []
    office.drop_table("commission_tiers")
    assert moved(office.publish()) == {}

    # A return that comes in after the last day takes the last rates.
    line = {
        "Date": date(2025, 4, 20), "Service Lines": "Trays", "Amount line": -90, "Purchase price": 45,
        "Quantity": -1, "Num": "R1", "Sales Rep Name": BO, "Product/Service": "Tray",
    }  # fmt: skip
    office.zone.drop("incoming/quickbooks/2025-04/returns.xlsx", workbook(source_named("quickbooks"), [line]))
    assert moved(office.publish()) == {(BO, "Tray Systems", "2025-04"): Decimal("-11.25")}
    rates.append(bo)


def a_service_moves_from_a_month_on(office: Office) -> None:
    office.tables["service_to_product"] = [
        {"Service Lines": "Trays", "Product Lines": "Trays", "Valid until": date(2025, 3, 1)},
        {"Service Lines": "Trays", "Product Lines": "Cygnus", "Valid from": date(2025, 3, 1)},
    ]
    office.drop_table("service_to_product")
    moved_lines = moved(office.publish())
    assert {month for _, _, month in moved_lines} <= {"2025-03", "2025-04"}
    assert moved_lines["Ann Moss", "Tray Systems", "2025-03"] == Decimal("-32.00")
    assert moved_lines["Ann Moss", "Cygnus", "2025-03"] == Decimal("32.00")

    office.tables["service_to_product"] = [{"Service Lines": "Trays", "Product Lines": "Trays"}]
    office.drop_table("service_to_product")
    office.publish()


def a_corrected_statement_under_a_new_name_is_not_paid_twice(office: Office) -> None:
    before = office.payouts()
    path = office.sell(date(2025, 3, 1), rate="0.105", name="corrected", only="cygnus")
    office.zone.run()
    said = office.zone.problem(path)
    assert "sales.xlsx" in said
    assert "63.00" in said
    assert "60.00" in said
    build_marts(office.zone.database_url, "after the copy")
    assert office.payouts() == before

    # Over the old name it is a correction: only the difference moves.
    office.zone.delete(path)
    office.sell(date(2025, 3, 1), rate="0.105", only="cygnus")
    assert moved(office.publish()) == {("Ann Moss", "Cygnus", "2025-03"): Decimal("1.20")}


def test_a_year_as_a_finance_manager_plays_it(zone: Zone, subtests: pytest.Subtests) -> None:
    office = Office(zone)
    for step in (
        the_year_begins_with_nothing_to_say,
        a_rep_is_renamed_in_one_workbook_and_then_in_all,
        a_typo_in_one_workbook_is_told_with_its_money,
        a_product_line_is_renamed_by_one_row,
        a_rate_is_typed_over_instead_of_added,
        a_threshold_for_a_product_line_that_is_nobodys,
        somebody_leaves_and_the_rates_are_deleted,
        a_service_moves_from_a_month_on,
        a_corrected_statement_under_a_new_name_is_not_paid_twice,
    ):
        with subtests.test(step.__name__.replace("_", " ")):
            step(office)
