"""A build that would change much of what was paid, or take much away, is held until somebody accepts it."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from shs_pipeline.base.months import today
from shs_pipeline.marts.build import build_marts
from shs_pipeline.marts.due import pending_state
from shs_pipeline.marts.guard import HeldBuild, HeldBuildError, held_build
from shs_pipeline.notices.outbox import record
from shs_pipeline.system.table_contents import read_contents
from tests.conftest import copies
from tests.engine.model import CommissionTier, Territory
from tests.engine.worlds import LONG_AGO, Action, Change, Drop, Withdraw, sale
from tests.helpers.closed_house import FEBRUARY, JANUARY, MARCH, House, closed, month_file
from tests.helpers.killed_build import Building

pytestmark = pytest.mark.slow

SALES = "incoming/cygnus/2025-01/sales.xlsx"


@dataclass(frozen=True)
class NotedTier(CommissionTier):
    note: str | None = None


def rates(ann: str, note: str | None = None, *more: NotedTier, until: date | None = None) -> Change:
    """The workbook of rates: Ann's, and Bo's 30 %."""
    return Change(
        "commission_tiers",
        (
            NotedTier("Ann Gray", None, LONG_AGO, until, Decimal(ann), None, note),
            NotedTier("Bo Marsh", None, LONG_AGO, None, Decimal("0.3"), None),
            *more,
        ),
    )


def owners(north: str) -> Change:
    """The workbook of territories."""
    return Change(
        "territories",
        tuple(
            Territory("cygnus", "Name", customer, rep, LONG_AGO, None)
            for customer, rep in (("North Clinic", north), ("South Clinic", "Bo Marsh"))
        ),
    )


@pytest.fixture(scope="module")
def january(january_house: House, postgres_home: Path) -> Iterator[House]:
    """January is closed, with 300.00 for Ann and 30.00 for Bo; February is open; nobody changes it."""
    for house in copies(january_house, postgres_home, is_guarded=True):
        notices(house)
        house.connection.close()
        yield house


def contents(house: House) -> object:
    """What people read and what was paid, as it stands; without what is shown of the books."""
    found = read_contents(house.connection, ["marts", "ledger", "history"])
    house.connection.rollback()
    of_books = ("marts.upload_", "marts.rejected_files", "marts.holds", "marts.logins")
    return {table: content for table, content in found.items() if not table.startswith(of_books)}


def refused(house: House, *actions: Action, accepted_by: str = "") -> HeldBuild:
    """Let something happen, and build; it is held, and nothing of what people read changes."""
    before = contents(house)
    with pytest.raises(HeldBuildError) as caught:
        house.do(*actions, accepted_by=accepted_by)
    assert contents(house) == before
    held = held_build(house.connection)
    house.connection.rollback()
    assert held is not None
    assert str(caught.value) == f"{held.problem} {held.remedy}"
    return held


def shown(held: HeldBuild) -> Sequence[tuple[str, str, str]]:
    return [(one.rep_name, str(one.published), str(one.held)) for one in held.payouts]


def notices(house: House) -> Sequence[tuple[str, str]]:
    """What is told of holds, after everything that happened was derived."""
    record(house.connection, today(), 20)
    house.connection.commit()
    return house.rows(
        "select subject, body from ops.notices where starts_with(key, 'held/') order by notice_id"
    )


def test_much_of_what_was_paid_is_held_until_just_that_is_accepted(house: House) -> None:
    both = Change("pay_periods", (closed(JANUARY), closed(FEBRUARY)))
    held = refused(house, month_file(JANUARY, "1400"), both)

    assert shown(held) == [("Ann Gray", "300.00", "420.00")]
    assert held.causes == [f"{SALES}: another version"]
    (part,) = held.payouts[0].parts
    assert (part.words, str(part.amount)) == ("1 line with a corrected amount", "120.00")
    (line,) = part.lines
    assert line.words.startswith(f"{SALES}, Sheet1 row ")
    assert line.words.endswith("at 30 % (before: revenue 1,000.00, sales 10,000.00, now 14,000.00)")
    assert held.problem == (
        "The build was held and nothing was published: closed months of Ann Gray (2025-01) would change by "
        "more than a tenth of what was paid for them."
    )
    assert house.rows("select status from ops.files where path = %s and status = 'loaded'", SALES)
    assert house.states()["Feb"] == "open"
    ((subject, body),) = notices(house)
    assert subject == "Held: a build that would change what was paid"
    assert "Ann Gray" in body
    assert "420" not in body

    # Twice at once, also in full, it is the same hold: nobody is told again.
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(build_marts, house.url, f"at once {in_full}", full_refresh=in_full)
            for in_full in (False, True)
        ]
    assert {str(run.exception()) for run in runs} == {f"{held.problem} {held.remedy}"}
    again = held_build(house.connection)
    house.connection.rollback()
    assert again is not None
    assert again.fingerprint == held.fingerprint
    assert len(notices(house)) == 1

    # What was shown is accepted, not what came meanwhile.
    other = refused(house, month_file(JANUARY, "1400", "200"), accepted_by="ada")
    assert shown(other) == [("Ann Gray", "300.00", "420.00"), ("Bo Marsh", "30.00", "60.00")]
    assert len(notices(house)) == 2
    house.do(month_file(MARCH, "10"), accepted_by="ada")

    assert house.states()["Feb"] == "closed"
    last = "select publication_id, accepted_by from marts.publications order by publication_id desc limit 1"
    ((publication, accepted_by),) = house.rows(last)
    assert accepted_by == "ada"
    assert house.rows(
        "select accepted_by, publication_id, ended_at is not null from ops.holds order by hold_id"
    ) == [(None, None, True), ("ada", publication, True)]
    # Accepted once: the next change is asked about again.
    refused(house, month_file(FEBRUARY, "500"))


def test_a_kill_before_the_hold_was_recorded_publishes_nothing_and_the_next_build_holds(house: House) -> None:
    house.warehouse.apply([month_file(JANUARY, "1400")], "killed")
    before = contents(house)

    assert Building(house.url, "hold").end() == (-signal.SIGKILL, None)

    assert contents(house) == before
    assert held_build(house.connection) is None
    held = refused(house)
    assert shown(held) == [("Ann Gray", "300.00", "420.00")]
    assert len(notices(house)) == 1


def test_a_folder_deleted_by_mistake_is_held_until_it_is_back(house: House) -> None:
    held = refused(house, Withdraw(SALES))

    assert shown(held) == [("Ann Gray", "300.00", "0.00"), ("Bo Marsh", "30.00", "0.00")]
    assert held.causes == [f"{SALES}: deleted"]
    pending = pending_state(house.connection, 20)
    house.connection.rollback()
    assert held.made_from == pending

    # A twentieth more is nothing to ask about.
    house.do(month_file(JANUARY, "1050"))

    assert house.statement("P-ANN", FEBRUARY)["restated"] == "15.00"
    assert house.rows("select accepted_by, ended_at is not null from ops.holds") == [(None, True)]
    assert house.rows("select distinct accepted_by from marts.publications") == [("",)]


def test_a_workbook_that_changes_a_closed_month_says_why_in_its_row(house: House) -> None:
    # Typed over instead of added: 6.7 % of what Ann was paid, and held all the same.
    held = refused(house, rates("0.32"))

    assert shown(held) == [("Ann Gray", "300.00", "320.00")]
    assert held.problem.endswith(
        "closed months (2025-01) would change because of commission_tiers, and no new Note says why."
    )
    (cause,) = held.causes
    row = "changed: Ann Gray, 2020-01-01: Commission tier 1 rate 30 % → 32 % (no new Note)"
    assert cause == f"reference/commission_tiers.xlsx, {row}"

    # Added as it should have been, it concerns the open month alone.
    later = NotedTier("Ann Gray", None, FEBRUARY, None, Decimal("0.32"), None)
    house.do(rates("0.3", None, later, until=FEBRUARY))
    assert house.statement("P-ANN", FEBRUARY)["earned"] == "64.00"

    # With a Note it goes on, whatever it comes to.
    house.do(rates("0.4", "Agreed with Ann, from January.", later, until=FEBRUARY))
    assert house.statement("P-ANN", FEBRUARY)["restated"] == "100.00"
    # A Note that was there already says nothing of what changes now.
    refused(house, rates("0.41", "Agreed with Ann, from January.", later, until=FEBRUARY))


def test_a_territory_moved_back_in_time_nets_to_nothing_and_is_held(house: House) -> None:
    held = refused(house, owners("Bo Marsh"))

    assert shown(held) == [("Ann Gray", "300.00", "0.00"), ("Bo Marsh", "30.00", "330.00")]
    assert "closed months of Ann Gray and Bo Marsh (2025-01) would change by more" in held.problem
    assert "because of territories" in held.problem


def test_a_note_speaks_for_no_file(house: House) -> None:
    """The rate has its Note, and Ann's lines are gone with it."""
    held = refused(house, rates("0.31", "Agreed."), Withdraw(SALES))

    assert "closed months of Ann Gray" in held.problem
    assert "no new Note" not in held.problem


def test_many_lines_taken_away_are_held_though_no_month_is_closed(new_house: House) -> None:
    def file(month: date, lines: int) -> Drop:
        return Drop(
            "cygnus", month, "sales.xlsx",
            tuple(sale("cygnus", "10", on=month, number=number) for number in range(lines)),
        )  # fmt: skip

    house = new_house
    house.is_guarded = True
    months = [date(2025, month, 1) for month in range(3, 8)]
    house.do(*(file(month, 6) for month in months))  # 34 lines with January's and February's

    held = refused(house, file(months[0], 2))
    assert held.problem.endswith(": 4 of the 34 published lines would be taken away (cygnus 2025-03).")
    assert held.lost == ["cygnus 2025-03: 2 of 6 lines left"]
    assert not held.payouts

    # Fewer are no question, and neither are as many under other names.
    dropped = file(months[1], 6)
    house.do(file(months[0], 3), Withdraw(dropped.path), replace(dropped, name="corrected.xlsx"))
    # What was confirmed as a withdrawal is not asked again.
    house.do(Withdraw(file(months[2], 6).path), accepted_by="ada")


def test_a_small_world_is_corrected_without_a_question(house: House) -> None:
    """Two files are all there is: half of the lines of one month are no mass change."""
    house.do(Withdraw("incoming/cygnus/2025-02/sales.xlsx"))

    assert house.rows("select count(*) from ops.holds") == [(0,)]


def test_a_new_version_that_pays_otherwise_is_held(house: House) -> None:
    """As if an older version had come to another amount, and published it."""
    with psycopg.connect(house.url) as owner:
        owner.execute("update marts.commission_payouts set payout = 200 where payee_id = 'P-ANN'")
        owner.execute("update marts.publications set definition_hash = 'older'")

    held = refused(house)

    assert ("Ann Gray", "200.00", "300.00") in shown(held)
    assert held.causes == ["a new version of shs"]
