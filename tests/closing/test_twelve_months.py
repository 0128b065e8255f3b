"""Twelve months, closed one by one from Excel, with all that comes up in a year.

After each step the statement on the screen, its PDF and its workbook, `shs explain`, `shs diff` and the marts
tell the same story.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pypdfium2
import pytest
from typer.testing import CliRunner

from shs_pipeline.base.wording import dollars
from shs_pipeline.cli.main import build_app
from shs_pipeline.marts.guard import HeldBuildError
from shs_pipeline.people.access import drop_logins
from shs_pipeline.reference.registry import table_named
from shs_pipeline.settings.secret_store import secret_store
from shs_pipeline.settings.settings import load_settings
from shs_pipeline.sources.registry import source_named
from tests.conftest import Zone
from tests.helpers.office import workbook

pytestmark = pytest.mark.soak

ADA, ANN, BO, CY = "Ada Head", "Ann Gray", "Bo Marsh", "Cy Dale"
JAN, FEB, MAR, APR, MAY, JUN, JUL, AUG, SEP, OCT, NOV, DEC = (date(2025, month, 1) for month in range(1, 13))
SINCE = date(2024, 1, 1)
AMOUNTS = (
    "earned", "restated", "adjustments", "recovered", "brought_forward", "due", "paid", "carried_forward"
)  # fmt: skip
CUSTOMERS = {"North Clinic": 3000, "South Clinic": 2000, "Twin Hospital": 1000, "East Clinic": 1000}


@dataclass
class Office:
    """The landing zone as the finance manager fills it, and the commands as she types them."""

    zone: Zone
    folder: Path
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def shs(self, *arguments: object) -> str:
        result = CliRunner().invoke(build_app(), [str(argument) for argument in arguments])
        assert result.exit_code == 0, (result.output, result.exception)
        return " ".join(result.output.split())

    def drop_table(self, name: str) -> None:
        self.zone.drop(f"reference/{name}.xlsx", workbook(table_named(name), self.tables[name]))

    def sell(self, month: date, name: str = "sales", **invoices: int) -> None:
        """Drop a file of cygnus; a tenth of each customer's invoice is the revenue."""
        totals = {
            customer: invoices.get(customer.split()[0].lower(), CUSTOMERS[customer]) for customer in CUSTOMERS
        }
        if name != "sales":
            totals = {
                customer: total
                for customer, total in totals.items()
                if customer.split()[0].lower() in invoices
            }
        rows = [
            {
                "Sales Rep": "House", "Cust. ID": "7", "Cust- Name": customer.split()[0], "Name": customer,
                "Invoice": f"{name[0]}{month:%y%m}{customer[0]}", "SKU": "A1", "Inv Date": month,
                "ClosedDate": month, "Rep %": Decimal("0.1"), "Invoice Total": total,
                "Total Rep Due": Decimal(total) / 10,
            }
            for customer, total in totals.items() if total
        ]  # fmt: skip
        self.zone.drop(f"incoming/cygnus/{month:%Y-%m}/{name}.xlsx", workbook(source_named("cygnus"), rows))

    def close(self, month: date, note: str | None = None, *, state: str = "closed") -> str:
        """Add the month to the workbook, or change its row, and run."""
        rows = self.tables.setdefault("pay_periods", [])
        rows[:] = [row for row in rows if row["Commission Month"] != month]
        rows.append(
            {
                "Commission Month": month, "State": state, "Approved By": ADA,
                "Pay Date": date(month.year + month.month // 12, month.month % 12 + 1, 15), "Note": note,
            }
        )  # fmt: skip
        self.drop_table("pay_periods")
        return self.shs("run")

    def run(self, *, held_for: str = "") -> str:
        """Run; a build that is held is looked at, found right and accepted."""
        if not held_for:
            return self.shs("run")
        result = CliRunner().invoke(build_app(), ["run"])
        assert isinstance(result.exception, HeldBuildError), (result.output, result.exception)
        assert held_for in result.output
        return self.shs("run", "--accept")

    def told(self, closed: date, rep: str, was: str, now: str, moved: str) -> None:
        """`shs diff` and `shs explain` of a closed month, and the open month's statement, tell what moved."""
        ((last,),) = self.zone.query("select max(publication_id) from marts.publications")
        ((number,),) = self.zone.query(
            "select number from marts.statements where rep_name = %s and pay_period = %s", rep, closed
        )
        ((pay_period, words),) = self.zone.query(
            "select pay_period, words from marts.statement_items where kind in ('restated', 'reclassified')"
            " and rep_name = %s and earned_month = %s",
            rep,
            closed,
        )
        paid = f"Paid: {was} on statement {number} ({closed:%B %Y})."
        since = f"since: {moved} on the statement of {pay_period:%B %Y}, which is still open."
        diff = self.shs("diff", str(last - 1), str(last))
        assert f"{rep}, Cygnus, {closed:%Y-%m}: {was} before, {now} now, {moved}" in diff
        explained = self.shs("explain", "--rep", rep, "--month", f"{closed:%Y-%m}")
        assert f"commission month {closed:%Y-%m}: {now}" in explained
        for said in (diff, explained):
            assert paid in said
            assert since in said
        assert f"comes to {now} now; {was} had been settled. Why: " in words
        assert words in self.shs("statement", "--rep", rep, "--month", f"{pay_period:%Y-%m}")

    def statement(self, rep: str, month: date) -> dict[str, Any]:
        """The row of the mart; the same amounts stand in the text, the PDF and the workbook."""
        columns = ("number", *AMOUNTS)
        (row,) = self.zone.query(
            f"select {', '.join(columns)} from marts.statements where rep_name = %s and pay_period = %s",
            rep,
            month,
        )
        one = dict(zip(columns, row, strict=True))
        pdf, xlsx = self.folder / "one.pdf", self.folder / "one.xlsx"
        asked = ("statement", "--rep", rep, "--month", f"{month:%Y-%m}")
        text = self.shs(*asked)
        self.shs(*asked, "--pdf", pdf, "--xlsx", xlsx)
        with pypdfium2.PdfDocument(pdf) as document:
            printed = " ".join(page.get_textpage().get_text_range() for page in document)
        cells = {
            str(cell)
            for sheet in openpyxl.load_workbook(xlsx, data_only=True)
            for line in sheet.iter_rows(values_only=True)
            for cell in line
            if cell is not None
        }
        amounts = [one[name] for name in AMOUNTS if one[name]]
        for amount in amounts:
            assert dollars(amount).strip("-") in text.replace("-", ""), (amount, text)
            assert f"{abs(amount):,.2f}" in printed, (amount, printed)
            assert any(_is(cell, amount) for cell in cells), (amount, cells)
        if one["number"]:
            assert one["number"] in text
            assert one["number"] in printed
        return one


def _is(cell: str, amount: Decimal) -> bool:
    return re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", cell) is not None and round(Decimal(cell), 2) == amount


@pytest.fixture
def office(zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setattr("shs_pipeline.settings.settings.dotenv", dict)
    monkeypatch.setenv("SHS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SHS_LANDING", zone.url)
    monkeypatch.setenv("SHS_DATABASE_URL", zone.database_url)
    monkeypatch.setenv("COLUMNS", "400")
    office = Office(zone, tmp_path)
    office.tables = {
        "sales_reps": [
            {"Sales Rep Name": name, "Email": f"{name[:3].lower().strip()}@example.com", "Active": "Yes",
             "Permission": "admin" if name == ADA else "user"}
            for name in (ADA, ANN, BO, CY)
        ],
        "commission_tiers": [
            {"Sales Rep Name": ANN, "Valid from": SINCE, "Commission tier 1 rate": "30%"},
            {"Sales Rep Name": BO, "Valid from": SINCE,
             "Commission tier 1 rate": "20%", "Commission tier 2 rate": "25%"},
            {"Sales Rep Name": CY, "Valid from": SINCE, "Commission tier 1 rate": "25%"},
        ],
        "tier_thresholds": [
            {"Sales Rep Name": BO, "Product Line": "Cygnus", "Year": 2025, "Commission tier threshold": 10000}
        ],
        "territories": [
            {"Source": "cygnus", "Customer field": "Name", "Data field value": customer,
             "Sales Rep Name": rep, "Valid from": SINCE}
            for customer, rep in zip(CUSTOMERS, (ANN, BO, ANN, CY), strict=True)
        ],
    }  # fmt: skip
    for name in office.tables:
        office.drop_table(name)
    yield office
    with psycopg.connect(zone.database_url, autocommit=True) as owner:
        drop_logins(owner, secret_store(load_settings()))


def check(office: Office, rep: str, month: date, **amounts: str) -> None:
    """Hold a statement against what is not 0 in it."""
    one = office.statement(rep, month)
    assert {name: str(one[name]) for name in AMOUNTS if one[name]} == amounts


def the_first_quarter_is_closed_month_by_month(office: Office) -> None:
    for month in (JAN, FEB, MAR):
        office.sell(month)
        assert f"Handed out: paid/{month:%Y-%m}/ (3 statements)" in office.close(month)
        check(office, ANN, month, earned="120.00", due="120.00", paid="120.00")
        check(office, BO, month, earned="40.00", due="40.00", paid="40.00")
        check(office, CY, month, earned="25.00", due="25.00", paid="25.00")


def a_file_of_march_comes_late(office: Office) -> None:
    office.sell(MAR, "late", north=300)
    office.sell(APR)
    office.run()

    check(office, ANN, MAR, earned="120.00", due="120.00", paid="120.00")
    check(office, ANN, APR, earned="120.00", restated="9.00", due="129.00", paid="129.00")
    office.told(MAR, ANN, "120.00", "129.00", "+9.00")
    office.close(APR)
    check(office, ANN, APR, earned="120.00", restated="9.00", due="129.00", paid="129.00")


def a_file_is_corrected_after_pay_day(office: Office) -> None:
    """Bo's tier 2 opens in May: 5 % of what January to May brought was held back until then."""
    office.sell(APR, south=2100)
    office.sell(MAY)
    office.run()

    check(office, BO, APR, earned="40.00", due="40.00", paid="40.00")
    # 40.00, and 10.00 + 10.00 + 10.00 + 10.50 + 10.00 of the difference.
    check(office, BO, MAY, earned="90.50", restated="2.00", due="92.50", paid="92.50")
    office.told(APR, BO, "40.00", "42.00", "+2.00")
    office.close(MAY)


def a_customer_is_shared_from_june_on(office: Office) -> None:
    twin = office.tables["territories"][2]
    twin["Valid until"] = JUN
    for rep, share in ((ANN, "60%"), (BO, "40%")):
        office.tables["territories"].append(
            twin | {"Sales Rep Name": rep, "Valid from": JUN, "Valid until": None, "Share": share}
        )
    office.drop_table("territories")
    office.sell(JUN)
    office.close(JUN)

    check(office, ANN, JUN, earned="108.00", due="108.00", paid="108.00")
    check(office, BO, JUN, earned="60.00", due="60.00", paid="60.00")


def a_territory_moves_back_in_time(office: Office) -> None:
    """South Clinic is Ann's since June, which is paid: she gets 60.00, and Bo gives back 50.00."""
    south = office.tables["territories"][1]
    south["Valid until"] = JUN
    office.tables["territories"].append(
        south | {"Sales Rep Name": ANN, "Valid from": JUN, "Valid until": None}
    )
    office.drop_table("territories")
    office.sell(JUL)
    office.run(held_for="reference/territories.xlsx")

    check(office, ANN, JUL, earned="168.00", restated="60.00", due="228.00", paid="228.00")
    check(office, BO, JUL, earned="10.00", restated="-50.00", due="-40.00", carried_forward="-40.00")
    office.told(JUN, ANN, "108.00", "168.00", "+60.00")
    office.told(JUN, BO, "60.00", "10.00", "-50.00")
    office.close(JUL)
    ((paid,),) = office.zone.query(
        "select paid from marts.payroll where rep_name = %s and pay_period = %s", BO, JUL
    )
    assert paid == 0


def a_rate_changes_for_a_month_that_is_closed(office: Office) -> None:
    """A Note in each changed row says why, so nothing is held."""
    ann = office.tables["commission_tiers"][0]
    ann |= {"Valid until": JUL, "Note": "Agreed on in July."}
    office.tables["commission_tiers"].append(
        ann | {"Valid from": JUL, "Valid until": None, "Commission tier 1 rate": "31%"}
    )
    office.drop_table("commission_tiers")
    office.sell(AUG)
    office.run()

    check(office, ANN, AUG, earned="173.60", restated="5.60", due="179.20", paid="179.20")
    check(office, BO, AUG, earned="10.00", brought_forward="-40.00", due="-30.00", carried_forward="-30.00")
    office.told(JUL, ANN, "168.00", "173.60", "+5.60")
    office.close(AUG)


def somebody_leaves_and_owes_money(office: Office) -> None:
    """What East Clinic gave back in September was sold before Cy left."""
    office.tables["sales_reps"][3]["Left On"] = SEP
    office.drop_table("sales_reps")
    office.sell(SEP, east=-3000)
    office.close(SEP)

    check(office, CY, SEP, earned="-75.00", due="-75.00", carried_forward="-75.00")
    check(office, ANN, SEP, earned="173.60", due="173.60", paid="173.60")


def the_last_month_is_opened_again(office: Office) -> None:
    office.close(SEP, "North Clinic's invoice was wrong.", state="open")
    office.sell(SEP, east=-3000, north=3100)
    office.run()
    check(office, ANN, SEP, earned="176.70", due="176.70", paid="176.70")
    office.close(SEP, "North Clinic's invoice is right now.")

    check(office, ANN, SEP, earned="176.70", due="176.70", paid="176.70")
    ((number, replaces),) = office.zone.query(
        "select number, replaces from marts.statements where rep_name = %s and pay_period = %s", ANN, SEP
    )
    assert number.endswith("-2")
    assert replaces == number.removesuffix("2") + "1"


def somebody_gets_an_advance(office: Office) -> None:
    """It is paid at once, and taken back of what December brings."""
    office.sell(OCT, east=0)
    office.close(OCT)
    check(office, BO, OCT, earned="10.00", brought_forward="-20.00", due="-10.00", carried_forward="-10.00")

    office.sell(NOV, east=0)
    office.shs(
        "adjust", "--rep", BO, "--month", "2025-11", "--amount", "100", "--kind", "draw",
        "--reason", "Advance on December", "--approved-by", ADA, "--yes",
    )  # fmt: skip
    office.close(NOV)
    bo = {"earned": "10.00", "adjustments": "100.00", "brought_forward": "-10.00"}
    check(office, BO, NOV, **bo, due="100.00", paid="100.00")
    assert "Advance on December" in office.shs("statement", "--rep", BO, "--month", "2025-11")

    office.sell(DEC, east=0)
    office.close(DEC)
    check(office, BO, DEC, earned="10.00", recovered="-10.00")
    for month in (OCT, NOV, DEC):
        check(office, ANN, month, earned="173.60", due="173.60", paid="173.60")
        check(office, CY, month, brought_forward="-75.00", due="-75.00", carried_forward="-75.00")


def the_year_adds_up(office: Office) -> None:
    query = office.zone.query
    assert query("select count(*) from marts.pay_periods where state = 'closed'") == [(12,)]
    assert "are as they were handed out" in office.shs("verify")
    # What each month comes to now is what the ledger has of it.
    assert (
        query(
            "select rep_name, commission_month, payout from marts.commission_payouts"
            " full join (select payee_id, earned_month as commission_month, sum(amount) as settled"
            " from ledger.entries where kind not in ('adjustment', 'draw', 'recovered')"
            " group by 1, 2) as ledger"
            " using (payee_id, commission_month)"
            " where payout is distinct from settled"
        )
        == []
    )
    years = dict(query("select rep_name, sum(paid) from marts.payroll group by 1"))
    payouts = dict(query("select rep_name, sum(payout) from marts.commission_payouts group by 1"))
    assert years[ANN] == payouts[ANN]
    # What is still to come: 90.00 of Bo's advance, and what Cy owes.
    assert years[BO] - 90 == payouts[BO]
    assert years[CY] - 75 == payouts[CY]


def test_a_year_is_closed_month_by_month(office: Office, subtests: pytest.Subtests) -> None:
    for step in (
        the_first_quarter_is_closed_month_by_month,
        a_file_of_march_comes_late,
        a_file_is_corrected_after_pay_day,
        a_customer_is_shared_from_june_on,
        a_territory_moves_back_in_time,
        a_rate_changes_for_a_month_that_is_closed,
        somebody_leaves_and_owes_money,
        the_last_month_is_opened_again,
        somebody_gets_an_advance,
        the_year_adds_up,
    ):
        with subtests.test(step.__name__.replace("_", " ")):
            step(office)
