"""The checks: each one passing and failing, on books that ingestion wrote."""

from __future__ import annotations

import io
from datetime import date
from typing import TYPE_CHECKING

import openpyxl
import psycopg
import pytest

from shs_pipeline.ingest import checks
from shs_pipeline.ingest.changes import Folder, partition_folder
from shs_pipeline.ingest.checks import (
    CheckOutcome,
    check_reference,
    check_source,
    check_unknown_places,
    due_months,
)
from shs_pipeline.samples.broken import edited, place_of, with_bad_cell
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.samples.workbook import write_workbook

if TYPE_CHECKING:
    from tests.conftest import Zone

MARCH = date(2025, 3, 1)


def asked(zone: Zone, check: str, today: date = date(2025, 4, 1), source: str = "cygnus") -> CheckOutcome:
    with psycopg.connect(zone.database_url) as connection:
        outcomes = check_source(connection, source, today, 20)
    assert [outcome.name for outcome in outcomes] == list(checks.SOURCE_CHECKS)
    return next(outcome for outcome in outcomes if outcome.name == check)


def asked_of_table(zone: Zone, table: str = "service_to_product") -> dict[str, CheckOutcome]:
    with psycopg.connect(zone.database_url) as connection:
        outcomes = {outcome.name: outcome for outcome in check_reference(connection, table)}
    assert set(outcomes) == set(checks.REFERENCE_CHECKS)
    return outcomes


def broken(seed: int = 1) -> bytes:
    content = make_sample("cygnus", MARCH, lines=6, seed=seed).content
    return edited(
        content,
        {place_of(content, "Invoice Total", 5): "seven", place_of(content, "ClosedDate", 5): "soon"},
    )


@pytest.mark.parametrize(
    ("today", "last"),
    [
        (date(2025, 4, 19), date(2025, 2, 1)),
        (date(2025, 4, 20), date(2025, 3, 1)),
        (date(2025, 4, 30), date(2025, 3, 1)),
        (date(2025, 5, 1), date(2025, 3, 1)),
        (date(2025, 1, 19), None),
        (date(2025, 2, 20), date(2025, 1, 1)),
        (date(2026, 1, 1), date(2025, 11, 1)),
        (date(2026, 1, 20), date(2025, 12, 1)),
    ],
)
def test_a_month_is_due_from_a_day_of_the_month_after(today: date, last: date | None) -> None:
    due = due_months(date(2025, 1, 1), today, 20)

    assert due[:1] == ([date(2025, 1, 1)] if last else [])
    assert due[-1:] == ([last] if last else [])
    assert len(due) == ((last.year - 2025) * 12 + last.month if last else 0)


def test_without_any_file_nothing_fails(zone: Zone) -> None:
    zone.run()
    zone.job().query(lambda connection: None)

    assert all(asked(zone, name).has_passed for name in checks.SOURCE_CHECKS)


def test_the_contract_holds_while_no_file_is_rejected(zone: Zone) -> None:
    path = zone.drop_sample()
    zone.run()
    assert asked(zone, checks.CONTRACT_HOLDS).has_passed

    bad = [
        zone.drop("incoming/cygnus/2025-04/bad.xlsx", broken(2)),
        zone.drop("incoming/cygnus/2025-05/also bad.xlsx", broken(3)),
    ]
    zone.run()
    outcome = asked(zone, checks.CONTRACT_HOLDS)

    assert (outcome.has_passed, outcome.severity) == (False, "error")
    assert bad[0] in outcome.sentence
    assert "(And 1 more in it.)" in outcome.sentence
    assert "1 more file is rejected." in outcome.sentence
    assert [row[0] for row in outcome.rows[1:]] == bad
    assert all(len(row) == len(outcome.rows[0]) for row in outcome.rows)
    assert asked(zone, checks.CONTRACT_HOLDS, source="novo").has_passed

    for each in bad:
        zone.delete(each)
    zone.run()
    assert asked(zone, checks.CONTRACT_HOLDS).has_passed
    assert dict(zone.statuses())[path] == "loaded"


def test_a_good_month_does_not_hide_a_bad_one(zone: Zone) -> None:
    zone.drop("incoming/cygnus/2025-03/bad.xlsx", broken())
    zone.run()
    zone.drop_sample(month="2025-04")
    zone.run()

    assert not asked(zone, checks.CONTRACT_HOLDS).has_passed


def test_a_printed_total_that_differs_is_a_warning_with_both_amounts(zone: Zone) -> None:
    path = zone.drop_sample()
    zone.run()
    assert asked(zone, checks.TOTALS_AGREE).has_passed

    content = make_sample("cygnus", MARCH, lines=6, seed=1).content
    last = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0].max_row
    zone.drop(path, with_bad_cell(content, "Invoice Total", last, 1234))
    zone.run()
    outcome = asked(zone, checks.TOTALS_AGREE)

    assert (outcome.has_passed, outcome.severity) == (False, "warning")
    assert path in outcome.sentence
    assert f"row {last}: Invoice Total prints 1234" in outcome.sentence
    assert "ask the supplier which is right (1 total differs)." in outcome.sentence
    assert len(outcome.rows) == 2

    zone.delete(path)
    zone.run()
    assert asked(zone, checks.TOTALS_AGREE).has_passed


def test_a_month_that_lost_more_than_half_of_its_lines_is_said_until_it_is_confirmed(zone: Zone) -> None:
    path = zone.drop_sample(lines=10)
    zone.run()
    assert asked(zone, checks.NOTHING_SHRANK).has_passed

    zone.drop(path, make_sample("cygnus", MARCH, lines=5, seed=2).content)
    zone.run()
    assert asked(zone, checks.NOTHING_SHRANK).has_passed

    zone.drop(path, make_sample("cygnus", MARCH, lines=2, seed=3).content)
    zone.run()
    outcome = asked(zone, checks.NOTHING_SHRANK)
    assert (outcome.has_passed, outcome.severity) == (False, "warning")
    assert "2025-03 had 5 lines and now has 2" in outcome.sentence
    assert outcome.rows[1:] == [("2025-03", "5", "2")]

    zone.job().folder(_march())
    assert asked(zone, checks.NOTHING_SHRANK).has_passed


def test_a_month_whose_files_were_all_deleted_shrank(zone: Zone) -> None:
    path = zone.drop_sample()
    zone.run()
    zone.delete(path)
    zone.run()

    assert "had 6 lines and now has 0" in asked(zone, checks.NOTHING_SHRANK).sentence
    assert asked(zone, checks.NOTHING_SHRANK, source="novo").has_passed


def test_what_shrank_is_still_said_when_the_same_run_read_the_folder_twice(zone: Zone) -> None:
    path = zone.drop_sample(lines=10)
    zone.run()
    zone.delete(path)
    zone.run("the run")

    zone.job("the run").folder(_march())

    assert not asked(zone, checks.NOTHING_SHRANK).has_passed


def test_a_rejected_correction_shrinks_nothing(zone: Zone) -> None:
    path = zone.drop_sample()
    zone.run()
    zone.drop(path, broken())
    zone.run()

    assert asked(zone, checks.NOTHING_SHRANK).has_passed


def test_a_month_that_is_due_and_has_no_loaded_file_is_missing(zone: Zone) -> None:
    for month in ("2025-01", "2025-03"):
        zone.drop_sample(month=month)
    zone.run()
    assert asked(zone, checks.NO_MONTH_MISSING, date(2025, 3, 19)).has_passed

    outcome = asked(zone, checks.NO_MONTH_MISSING, date(2025, 3, 20))
    assert (outcome.has_passed, outcome.severity) == (False, "warning")
    assert "No file is loaded for 2025-02; drop it into incoming/cygnus/2025-02/" in outcome.sentence
    assert list(outcome.rows[1:]) == [("2025-02",)]
    assert asked(zone, checks.NO_MONTH_MISSING, date(2025, 5, 20)).rows[1:] == [("2025-02",), ("2025-04",)]

    zone.drop("incoming/cygnus/2025-02/bad.xlsx", broken(2))
    zone.run()
    assert not asked(zone, checks.NO_MONTH_MISSING, date(2025, 3, 20)).has_passed

    zone.drop_sample(month="2025-02")
    zone.run()
    assert asked(zone, checks.NO_MONTH_MISSING, date(2025, 3, 20)).has_passed


def test_a_table_is_in_force_from_its_first_good_workbook_on(zone: Zone) -> None:
    zone.run()
    zone.job().query(lambda connection: None)
    outcome = asked_of_table(zone)[checks.IN_FORCE]
    assert (outcome.has_passed, outcome.severity) == (False, "error")
    assert "drop reference/service_to_product.xlsx" in outcome.sentence

    path = zone.drop("reference/service_to_product.xlsx", b"no workbook")
    zone.run()
    assert not asked_of_table(zone)[checks.IN_FORCE].has_passed
    assert path in asked_of_table(zone)[checks.CONTRACT_HOLDS].sentence

    good = write_workbook({"s": [["Service Lines", "Product Lines"], ["One", "Two"]]})
    zone.drop(path, good)
    zone.run()
    assert all(outcome.has_passed for outcome in asked_of_table(zone).values())

    zone.drop(path, b"no workbook")
    zone.run()
    outcomes = asked_of_table(zone)
    assert outcomes[checks.IN_FORCE].has_passed
    assert not outcomes[checks.CONTRACT_HOLDS].has_passed


def test_a_file_in_an_unknown_place_fails_the_check_of_the_places(zone: Zone) -> None:
    def outcome() -> CheckOutcome:
        with psycopg.connect(zone.database_url) as connection:
            [found] = check_unknown_places(connection)
        return found

    zone.drop_sample()
    zone.run()
    assert outcome().has_passed

    path = zone.drop("incoming/nobody/2025-03/a.xlsx", b"x")
    zone.run()
    assert not outcome().has_passed
    assert path in outcome().sentence
    assert asked(zone, checks.CONTRACT_HOLDS).has_passed


def _march() -> Folder:
    return partition_folder("cygnus", MARCH)
