"""The database is lost and the bucket is left: what was paid is read back, and everything else computed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.closing.handing_out import hand_out
from shs_pipeline.closing.reading import read_statements
from shs_pipeline.closing.recovery import ReadBack, read_back
from shs_pipeline.closing.statement_pdf import statement_pdf
from shs_pipeline.closing.statement_workbook import statement_workbook
from shs_pipeline.closing.verifying import verify
from shs_pipeline.landing.zone import Landing
from shs_pipeline.marts.guard import HeldBuildError, held_build, payouts_of
from shs_pipeline.notices.closed_months import closes
from tests.conftest import copies
from tests.engine.model import Adjustment, Alias, CommissionTier, SalesRep, Territory
from tests.engine.worlds import LONG_AGO, Action, Change, Drop, State, adjustments_file, sale
from tests.helpers.closed_house import (
    APRIL,
    FEBRUARY,
    JANUARY,
    MARCH,
    House,
    closed,
    month_file,
    opened,
)
from tests.helpers.marts_of import marts_of

pytestmark = pytest.mark.slow

# Nobody typed an id for Cy, who is known again by the address alone.
CY = SalesRep("Cy Reed", "Field", "cy@example.com")
PAY_DATE = date(2025, 2, 15)
WHY = " Why: 1 line with a corrected amount (sales.xlsx)."
TABLES = (
    "closes", "statements", "entries", "statement_product_lines", "statement_lines", "identities", "receipts",
)  # fmt: skip


@dataclass(frozen=True)
class Company:
    """A company with closed months, and the landing zone in which they were handed out."""

    house: House
    folder: Path

    @property
    def landing(self) -> Landing:
        return Landing(self.folder.as_uri())


def with_name(house: House, name: str, old: str = "") -> tuple[Change, ...]:
    """Cy under a name, in all workbooks."""
    now = house.warehouse.state.reference
    reps = tuple(rep for rep in now.sales_reps if rep.sales_rep_name != old)
    tiers = tuple(row for row in now.commission_tiers if row.sales_rep_name != old)
    owners = tuple(row for row in now.territories if row.sales_rep_name != old)
    return (
        Change("sales_reps", (*reps, replace(CY, sales_rep_name=name))),
        Change(
            "commission_tiers", (*tiers, CommissionTier(name, None, LONG_AGO, None, Decimal("0.2"), None))
        ),
        Change("territories", (*owners, Territory("cygnus", "Name", "East Clinic", name, LONG_AGO, None))),
    )


def of_cy(month: date, revenue: str) -> Drop:
    line = sale("cygnus", str(Decimal(revenue) * 10), revenue, on=month, customer="East Clinic", number=3)
    return Drop("cygnus", month, "east.xlsx", (line,))


@pytest.fixture(scope="module")
def lost(
    first_house: House, postgres_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Company]:
    """Three closes, two restatements, a month opened again, a renamed rep, an aliased product line."""
    folder = tmp_path_factory.mktemp("lost") / "landing"
    january, february = closed(JANUARY, paid=PAY_DATE), closed(FEBRUARY, note='Said "yes",\nthen no.')
    for house in copies(first_house, postgres_home):
        company = Company(house, folder)
        house.do(
            *with_name(house, "Cy Reed"),
            of_cy(JANUARY, "500"),
            of_cy(FEBRUARY, "10"),
            month_file(MARCH, "50"),
            Change("pay_periods", (replace(january, note="As agreed."),)),
        )
        house.do(
            *with_name(house, "Cy Lee", "Cy Reed"),
            # An older name of a product line that comes first by the alphabet, and second by its age.
            Change("aliases", (Alias("product line", None, "Alder", "Cygnus"),)),
            month_file(JANUARY, "1200"),
            # Paid with February, and recovered from March.
            adjustments_file(FEBRUARY, Adjustment("Ann Gray", Decimal(10), "draw")),
            Change("pay_periods", (january, february, closed(MARCH))),
        )
        hand_out(house.connection, company.landing)
        house.ask(january, february, opened(MARCH, "A late file."))
        hand_out(house.connection, company.landing)
        house.do(of_cy(JANUARY, "900"), Change("pay_periods", (january, february, closed(MARCH))))
        hand_out(house.connection, company.landing)
        house.do(of_cy(FEBRUARY, "20"))
        house.connection.close()
        yield Company(House(house.url, house.warehouse.state), folder)


@pytest.fixture
def bucket(lost: Company, tmp_path: Path) -> Path:
    """A copy of the landing zone, to be damaged."""
    shutil.copytree(lost.folder, tmp_path / "landing")
    return tmp_path / "landing"


def documents(connection: psycopg.Connection) -> dict[tuple[str, date], tuple[bytes, bytes]]:
    """PDF and workbook of every closed statement."""
    found = {
        (one.payee_id, month): (statement_pdf(one), statement_workbook(one))
        for month in (JANUARY, FEBRUARY, MARCH)
        for one in read_statements(connection, month)
    }
    connection.rollback()
    return found


def items(house: House) -> Sequence[tuple[Any, ...]]:
    """Whose restatements stand on which statements, and what is said of the reason."""
    return house.rows(
        "select case rep_name when 'Cy Lee' then 'P-CY' when 'Cy Reed' then 'P-CY' else payee_id end, number,"
        " split_part(words, ' had been settled.', 2)"
        " from marts.statement_items where kind in ('restated', 'reclassified')"
        " order by pay_period, payee_id, product_line, earned_month"
    )


def ledger_of(connection: psycopg.Connection) -> dict[str, list[str]]:
    found = {
        table: [row for (row,) in connection.execute(f"select r::text from ledger.{table} as r order by 1")]
        for table in TABLES
    }
    connection.rollback()
    return found


def what_lies_there(state: State) -> list[Action]:
    """The files and workbooks as they are now."""
    workbooks = [Change(table, rows) for table, rows in dict(state.reference.past).items()]
    return [*workbooks, *(loaded.drop for loaded in state.files.values())]


def test_what_was_paid_is_read_back_and_the_rest_comes_out_the_same(lost: Company, database: str) -> None:
    house = House(database, State(), is_guarded=True)

    done = read_back(house.connection, lost.landing)
    house.connection.commit()
    assert done == ReadBack(5, MARCH)
    page = (Path(__file__).parents[2] / "docs" / "close.md").read_text()
    assert f"    {done.in_words()}\n" in page
    assert ledger_of(house.connection) == ledger_of(lost.house.connection)

    # Cy was paid half of what this comes to. Nothing is published to compare with, but the ledger says so.
    with pytest.raises(
        HeldBuildError, match=r"closed months of Cy Lee \(2025-02\) would change by more than"
    ):
        house.do(*what_lies_there(lost.house.warehouse.state))
    held = held_build(house.connection)
    house.connection.rollback()
    assert held is not None
    assert [(one.rep_name, one.published, one.held) for one in held.payouts] == [("Cy Lee", 2, 4)]
    assert held.causes == [
        "nothing is published, so files and workbooks are compared with what the ledger says was paid"
    ]
    assert house.rows("select to_regclass('marts.statements')") == [(None,)]
    assert payouts_of(house.connection, held, "CY REED", None) == held.payouts
    assert payouts_of(house.connection, held, "Ann Gray", None) == []
    with pytest.raises(ShsError, match=r"no rep called 'Zed'. Reps whose payouts would change: Cy Lee"):
        payouts_of(house.connection, held, "Zed", None)
    house.connection.rollback()
    house.do(accepted_by="ada")

    before, after = marts_of(lost.house.connection), marts_of(house.connection)
    assert [table for table in before if before[table] != after.get(table)] == ["statement_items"]
    # Why it is restated is in the ledger of what was closed; the history behind the open month is lost.
    was, now = items(lost.house), items(house)
    assert ("P-ANN", "2025-02-P-ANN-1", WHY) in was
    assert ("P-CY", None, WHY.replace("sales", "east")) in was
    assert [(payee, number, "" if number is None else why) for payee, number, why in was] == now
    assert documents(house.connection) == documents(lost.house.connection)
    assert len(documents(house.connection)) == 9
    # Later restatements are what they would have been, whatever Cy was called when he was given an id.
    cy = [
        (name, str(restated))
        for name, restated in house.rows(
            "select rep_name, restated from marts.statements where pay_period = %s and restated <> 0", APRIL
        )
    ]
    assert cy == [("Cy Lee", "2.00")]
    assert verify(house.connection, lost.landing).faults == []
    # Nobody is told a second time of what was closed then.
    assert closes(lost.house.connection, (1, 99), "dashboards") != []
    assert closes(house.connection, (1, 99), "dashboards") == []
    # Nothing is left to be read back, and the next close goes on where the chain ended.
    assert read_back(house.connection, lost.landing) is None
    numbers = house.rows("select max(publication_id) > (select max(publication_id) from ledger.closes)"
                         " from marts.publications")  # fmt: skip
    assert numbers == [(True,)]
    house.connection.close()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file that was changed": (
        lambda paid: (paid / "2025-02" / "payroll.csv").write_text("x"),
        "paid/2025-02/payroll.csv is not the file that was handed out.",
    ),
    "a file that is gone": (
        lambda paid: (paid / "2025-01" / "statements" / "P-ANN.pdf").unlink(),
        "paid/2025-01/statements/P-ANN.pdf is gone.",
    ),
    "a month that is gone": (
        lambda paid: shutil.rmtree(paid / "2025-02"),
        "Receipt 2 is missing before paid/2025-03/",
    ),
    "a reopening that is gone": (
        lambda paid: shutil.rmtree(paid / "2025-03-reopened"),
        "Receipt 4 is missing before paid/2025-03-2/",
    ),
    "the last receipt is gone": (
        lambda paid: (paid / "2025-03-2" / "receipt.json").unlink(),
        "paid/2025-03-2/receipt.json is gone.",
    ),
    "a receipt that says nothing": (
        lambda paid: (paid / "2025-01" / "receipt.json").write_text("{}"),
        "paid/2025-01/receipt.json is not a receipt that was handed out.",
    ),
    "a receipt that was changed": (
        lambda paid: reworded(paid / "2025-01" / "receipt.json"),
        "paid/2025-02/receipt.json does not follow the one in paid/2025-01/: one of the two was changed.",
    ),
    "a folder that was copied": (
        lambda paid: shutil.copytree(paid / "2025-01", paid / "2025-01 (copy)"),
        "paid/2025-01/ and paid/2025-01 (copy)/ both have receipt 1.",
    ),
}


@pytest.mark.parametrize(("damage", "sentence"), DAMAGES.values(), ids=DAMAGES)
def test_what_does_not_fit_stops_with_a_sentence_and_enters_nothing(
    bucket: Path, empty_tables: str, damage: Callable[[Path], object], sentence: str
) -> None:
    damage(bucket / "paid")
    with psycopg.connect(empty_tables) as connection:
        with pytest.raises(ShsError) as refused:
            read_back(connection, Landing(bucket.as_uri()))
        assert connection.execute("select count(*) from ledger.closes").fetchone() == (0,)
    assert sentence in str(refused.value)
    assert "nothing was published" in str(refused.value)
    assert "restore the last backup" in str(refused.value)


def reworded(receipt: Path) -> None:
    content = json.loads(receipt.read_text())
    receipt.write_text(json.dumps({**content, "approved_by": "Somebody Else"}))


def test_an_interrupted_reading_leaves_nothing(
    lost: Company, empty_tables: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "shs_pipeline.closing.recovery.ledger_csv", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with psycopg.connect(empty_tables) as connection:
        with pytest.raises(KeyboardInterrupt):
            read_back(connection, lost.landing)
        assert connection.execute("select count(*) from ledger.closes").fetchone() == (0,)


def test_a_database_from_before_a_close_writes_over_nothing(house: House, bucket: Path) -> None:
    before = (bucket / "paid" / "2025-01" / "receipt.json").read_bytes()
    landing = Landing(bucket.as_uri())

    with pytest.raises(ShsError, match=r"paid/2025-01/ holds what another close handed out for 2025-01"):
        hand_out(house.connection, landing)

    assert (bucket / "paid" / "2025-01" / "receipt.json").read_bytes() == before
    assert "paid/2025-03/receipt.json was not handed out by a close." in " ".join(
        verify(house.connection, landing).faults
    )
