"""`shs close` and `shs statement`, as an admin meets them."""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import psycopg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from shs_pipeline.base.errors import ShsError
from shs_pipeline.cli.main import _code_of, build_app
from shs_pipeline.closing.workbook import Wish, put_wish
from shs_pipeline.landing.zone import Landing
from shs_pipeline.marts.guard import HeldBuildError
from shs_pipeline.people.access import drop_logins
from shs_pipeline.settings.secret_store import secret_store
from shs_pipeline.settings.settings import load_settings
from tests.conftest import _fresh_database

if TYPE_CHECKING:
    from tests.conftest import Zone

pytestmark = pytest.mark.slow


def shs(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


def said(*arguments: object) -> str:
    result = shs(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return " ".join(result.output.split())


def refused(*arguments: object) -> str:
    result = shs(*arguments)
    assert isinstance(result.exception, ShsError), (result.output, result.exception)
    return str(result.exception)


@pytest.fixture
def company(published: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Zone]:
    """The published company, as the settings name it."""
    for name in [name for name in os.environ if name.startswith("SHS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("shs_pipeline.settings.settings.dotenv", dict)
    monkeypatch.setenv("SHS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SHS_LANDING", published.url)
    monkeypatch.setenv("SHS_DATABASE_URL", published.database_url)
    yield published
    with psycopg.connect(published.database_url, autocommit=True) as owner:
        drop_logins(owner, secret_store(load_settings()))


def _check_payroll(zone: Zone, folder: Path) -> None:
    """What payroll gets once more is what was handed out; an open month pays nobody."""
    ((total,),) = zone.query("select sum(paid) from marts.payroll where pay_period = '2025-01-01'")
    assert f"Paid in all: {total:,.2f} USD." in said("payroll", "2025-01")
    for ending in ("csv", "xlsx"):
        said("payroll", "2025-01", f"--{ending}", folder / f"payroll.{ending}")
        handed_out = zone.folder / "paid" / "2025-01" / f"payroll.{ending}"
        assert (folder / f"payroll.{ending}").read_bytes() == handed_out.read_bytes()
    assert "2025-02 is not closed, so nobody is paid for it yet." in refused("payroll", "2025-02")


def _check_edited_workbook(zone: Zone, rep: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the workbook may not say is told everywhere: another pay date, and a close by a rep."""
    path = zone.folder / "reference" / "pay_periods.xlsx"
    book = openpyxl.load_workbook(path)
    row, next_one = (row for row in book.worksheets[0].iter_rows(min_row=2, max_row=3))
    assert row[1].value == "closed"
    row[3].value = date(2025, 2, 20)
    next_one[1].value, next_one[2].value = "closed", rep
    edited = zone.folder.parent / "pay_periods.xlsx"
    book.save(edited)
    told = (
        f"Row {row[0].row} of pay_periods says something else than 2025-01 was closed with (Pay Date "
        "02/20/2025 instead of 02/15/2025), and a closed month keeps what it was closed with"
    )
    with monkeypatch.context() as wide:
        wide.setenv("COLUMNS", "400")
        assert told in said("check", edited)
        assert told not in said("status")
        path.write_bytes(edited.read_bytes())
        for asked in (("run",), ("status",)):
            shown = said(*asked)
            assert told in shown, asked
            assert f"2025-02 is not closed: {rep} is not the name of an active admin" in shown
        assert told in said("close", "2025-01", "--check")


def test_a_month_is_checked_closed_and_stated(
    company: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = company
    ((admin,),) = zone.query(
        "select rep_name from marts.people where permission = 'admin' and is_active order by 1 limit 1"
    )
    ((rep, payee, due),) = zone.query(
        "select rep_name, payee_id, due from marts.statements where pay_period = '2025-01-01'"
        " order by due desc limit 1"
    )

    checked = said("close", "2025-01", "--check")
    assert "Commission month 2025-01: open" in checked
    assert f"{due:,.2f}" in checked
    assert "Nobody approved the month" in refused("close", "2025-01", "--yes")
    noted = ("--note", "Theo has no rate yet.")
    assert "there is nobody to confirm it" in refused("close", "2025-01", "--approved-by", admin, *noted)
    assert zone.query("select count(*) from ledger.closes") == [(0,)]

    before = (zone.folder / "reference" / "pay_periods.xlsx").read_bytes()
    wrong = refused("close", "2025-01", "--approved-by", rep, "--yes")
    assert f"{rep} is not the name of an active admin, so nothing was changed. Active admins: " in wrong
    assert admin in wrong
    assert (zone.folder / "reference" / "pay_periods.xlsx").read_bytes() == before

    # The company has a rep without a rate, with money at stake.
    asked = ("close", "2025-01", "--approved-by", admin, "--pay-date", "2025-02-15", "--yes")
    assert "2025-01 was not closed: " in refused(*asked)
    assert "findings in the reference workbooks are open" in refused(*asked)
    closed = said(*asked, *noted)
    assert "2025-01 is closed." in closed
    # Whom it concerns is told at once, and not by the next run.
    told = "select count(*) from ops.notices where subject like %s"
    ((statements,),) = zone.query("select count(*) from ledger.statements")
    assert zone.query(told, "Your statement of January 2025%") == [(statements,)]
    me = getpass.getuser()
    assert zone.query("select approved_by, actor from ledger.closes") == [(admin, me)]
    receipt = json.loads((zone.folder / "paid" / "2025-01" / "receipt.json").read_text())
    assert (receipt["approved_by"], receipt["actor"]) == (admin, me)
    sheet = openpyxl.load_workbook(zone.folder / "reference" / "pay_periods.xlsx").worksheets[0]
    row = next(row for row in sheet.iter_rows(min_row=2, values_only=True) if row[1] == "closed")
    assert (f"{row[0]:%Y-%m}", row[2], f"{row[3]:%Y-%m-%d}") == ("2025-01", admin, "2025-02-15")

    shown = said("statement", "--rep", rep.upper(), "--month", "2025-01")
    assert f"2025-01-{payee}-1" in shown
    assert f"Approved by {admin} Closed by {me}" in shown
    assert f"{due:,.2f}" in shown
    assert "rovisional" in said("statement", "--rep", payee, "--month", "2025-02")
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    of_then = said("statement", "--rep", rep, "--month", "2025-01", "--as-of", today)
    assert "from the ledger: closed on" in of_then
    assert f"2025-01-{payee}-1" in of_then
    long_ago = ("statement", "--rep", rep, "--month", "2025-01", "--as-of", "2024-01-01")
    assert "of open months only what this database has published is known" in refused(*long_ago)
    assert "has no statement for 2025-01" in refused("statement", "--rep", "Nobody", "--month", "2025-01")
    pdf, xlsx = tmp_path / "one.pdf", tmp_path / "one.xlsx"
    said("statement", "--rep", rep, "--month", "2025-01", "--pdf", pdf, "--xlsx", xlsx)
    assert pdf.read_bytes().startswith(b"%PDF")
    assert openpyxl.load_workbook(xlsx).sheetnames

    # A file of the closed month is gone: held, shown, and published once it is accepted.
    next((zone.folder / "incoming" / "cygnus" / "2025-01").iterdir()).unlink()
    run = shs("run")
    assert isinstance(run.exception, HeldBuildError)
    assert _code_of(run.exception) == 4
    assert "Withdrawn because it was deleted" in run.output
    assert "/cygnus/2025-01/" in run.output.partition("What changed since:")[2]
    assert "closed months of " in said("status")
    shown = json.loads(said("diff", "held", "--json"))
    assert {one["commission_month"] for one in shown["payouts"]} == {"2025-01-01"}
    assert all(Decimal(one["difference"]) for one in shown["payouts"])
    assert f"{Decimal(shown['payouts'][0]['difference']):+,.2f}" in said("diff", "held")
    part = shown["payouts"][0]["parts"][0]
    lines = said("diff", "held", "--lines", "1")
    assert part["words"] in lines
    assert "/cygnus/2025-01/" in lines.partition(part["words"])[2]
    assert (f"… {part['line_count'] - 1} more" in lines) == (part["line_count"] > 1)
    one = shown["payouts"][0]["rep_name"]
    of_one = json.loads(said("diff", "held", "--rep", one.upper(), "--month", "2025-01", "--json"))
    assert of_one["payouts"] == [each for each in shown["payouts"] if each["rep_name"] == one]
    assert "None of the closed months asked for would change." in said("diff", "held", "--month", "2025-02")
    assert "There is no rep called 'Nobody'" in refused("diff", "held", "--rep", "Nobody")
    assert f"Accepted by {me}." in said("run", "--accept")
    assert "No build is held." in said("diff", "held")

    _check_payroll(zone, tmp_path)
    assert "are as they were handed out" in said("verify")
    zone.drop("paid/2025-01/Corrections.xlsx", b"a workbook")
    stray = "paid/2025-01/Corrections.xlsx was not handed out by a close. Nothing under paid/ is read:"
    assert stray in said("status")
    assert stray in shs("verify").output.replace("\n", " ")
    zone.delete("paid/2025-01/Corrections.xlsx")
    (zone.folder / "paid" / "2025-01" / "payroll.csv").unlink()
    assert "does not fit what was closed (1 fault)" in refused("verify")

    _check_edited_workbook(zone, rep, monkeypatch)

    # What is refused is asked of no later run either.
    before = (zone.folder / "reference" / "pay_periods.xlsx").read_bytes()
    reopen = ("--reopen", "--note", "Why.", "--yes")
    assert "2025-02 is not closed, so it cannot be opened again." in refused("close", "2025-02", *reopen)
    by = ("--approved-by", admin, *noted, "--yes")
    assert "2025-01 is closed already, with the pay date 2025-02-15, so nothing was changed." in refused(
        "close", "2025-01", *by, "--pay-date", "2025-02-20"
    )
    assert "2024-12 is before 2025-01, the first month that was closed" in refused("close", "2024-12", *by)
    assert "2025-02 has lines or adjustments and is still open. Close 2025-02 first." in refused(
        "close", "2025-03", *by
    )
    assert (zone.folder / "reference" / "pay_periods.xlsx").read_bytes() == before

    assert "only with a reason" in refused("close", "2025-01", "--reopen", "--yes")
    assert "2025-01 is open." in said("close", "2025-01", "--reopen", "--note", "Wrong rate.", "--yes")


@pytest.mark.soak
def test_a_new_database_begins_with_what_was_paid_and_states_it_with_the_same_bytes(
    company: Zone, postgres_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((admin,),) = company.query(
        "select rep_name from marts.people where permission = 'admin' and is_active order by 1 limit 1"
    )
    ((rep,),) = company.query(
        "select rep_name from marts.statements where pay_period = '2025-01-01' order by due desc limit 1"
    )
    said("close", "2025-01", "--approved-by", admin, "--note", "Theo has no rate yet.", "--yes")
    first, again = tmp_path / "first.pdf", tmp_path / "again.pdf"
    said("statement", "--rep", rep, "--month", "2025-01", "--pdf", first)

    for database in _fresh_database(postgres_home):
        monkeypatch.setenv("SHS_DATABASE_URL", database)
        assert "The database has no ledger, but paid/ holds receipts" in said("status")
        ran = said("run")
        assert "The ledger was empty and was read back from paid/: 1 close, the last of 2025-01." in ran
        said("statement", "--rep", rep, "--month", "2025-01", "--pdf", again)
        assert again.read_bytes() == first.read_bytes()
        assert "read back" not in shs("run").output
        with psycopg.connect(database, autocommit=True) as owner:
            drop_logins(owner, secret_store(load_settings()))


def test_an_adjustment_is_shown_written_loaded_and_stated(company: Zone) -> None:
    zone = company
    ((admin,),) = zone.query(
        "select rep_name from marts.people where permission = 'admin' and is_active order by 1 limit 1"
    )
    ((rep, due),) = zone.query(
        "select rep_name, due from marts.statements where pay_period = '2025-02-01' order by due desc limit 1"
    )
    row = ("adjust", "--month", "2025-02", "--reason", "Trade fair in Dallas")
    bonus = (*row, "--rep", rep, "--amount", "$250.00", "--kind", "Bonus", "--approved-by", admin)
    folder = zone.folder / "incoming" / "adjustments" / "2025-02"

    assert "Nobody approved the adjustment" in refused(*row, "--rep", rep, "--amount", "1", "--yes")
    assert f"{rep} is not the name of an active admin" in refused(*bonus[:-1], rep, "--yes")
    assert "more than two digits" in refused(*bonus, "--amount", "1.005", "--yes")
    assert "not an amount" in refused(*bonus, "--amount", "much", "--yes")
    assert "Type one of bonus" in refused(*bonus, "--kind", "gift", "--yes")
    meant = refused(*bonus, "--rep", f"{rep}x", "--yes")
    assert meant.startswith(
        f"Nothing was written: Nobody in sales_reps is called {rep}x. Did you mean {rep}?"
    )
    assert "there is nobody to confirm it" in refused(*bonus)
    assert not folder.exists()

    shown = said(*bonus, "--reference", "TF-25", "--yes")
    assert (
        f"Bonus of 250.00 to {rep} with 2025-02: Trade fair in Dallas. Reference TF-25. Approved by {admin}."
    ) in shown
    assert f"{rep}, 2025-02: adjustments of 250.00, {due + 250:,.2f} due" in shown
    said(*row, "--rep", rep, "--amount", "-50", "--approved-by", admin, "--yes")
    assert sorted(path.name for path in folder.iterdir()) == ["adjustment 1.xlsx", "adjustment 2.xlsx"]
    statement = said("statement", "--rep", rep, "--month", "2025-02")
    assert "Bonus: Trade fair" in statement
    assert "TF-25" in statement
    assert "250.00 is from incoming/adjustments/2025-02/adjustment 1.xlsx, Adjustments, row 2." in statement
    assert zone.query("select adjustments, due from marts.statements where rep_name = %s"
                      " and pay_period = '2025-02-01'", rep) == [(200, due + 200)]  # fmt: skip


def test_of_two_who_close_different_months_at_once_no_row_is_lost(
    company: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Landing.write

    def slowly(self: Landing, path: str, content: bytes) -> str:
        time.sleep(0.5)
        return write(self, path, content)

    monkeypatch.setattr(Landing, "write", slowly)

    def ask(month: date) -> str:
        try:
            put_wish(company.job(), Wish(month, "Harriet Lindqvist", None, None))
        except ShsError as error:
            return str(error)
        return "written"

    with ThreadPoolExecutor() as threads:
        said = sorted(threads.map(ask, (date(2025, 1, 1), date(2025, 2, 1))))

    assert said[0].startswith("reference/pay_periods.xlsx was changed and is not in force yet"), said
    assert said[1] == "written"
