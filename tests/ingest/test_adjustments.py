"""Adjustments in the landing zone: loaded, corrected and refused like any file, but never missing."""

from __future__ import annotations

import getpass
from hashlib import sha256
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.types.json import Jsonb

from shs_pipeline.ingest import checks
from shs_pipeline.ingest.overview import read_overview
from shs_pipeline.samples.workbook import write_workbook
from tests.sources.test_adjustments import GOOD, HEADER, MARCH

if TYPE_CHECKING:
    from tests.conftest import Zone

PATH = "incoming/adjustments/2025-03/march.xlsx"
DECEMBER = MARCH.replace(month=12)
REPS = ("Sales Rep Name", "Rep Category", "Email", "Permission", "Active")


def workbook(*rows: dict[str, object]) -> bytes:
    return write_workbook(
        {"March": [list(HEADER), *([{**GOOD, **row}.get(name) for name in HEADER] for row in rows)]}
    )


def drop_reps(zone: Zone, *more: tuple[object, ...]) -> None:
    rows = [
        ("Ann Gray", "Field", "ann@example.com", "user", "Yes"),
        ("Ada Head", "", "ada@example.com", "admin", "Yes"),
    ]
    zone.drop("reference/sales_reps.xlsx", write_workbook({"Reps": [list(REPS), *map(list, [*rows, *more])]}))


@pytest.fixture
def staffed(zone: Zone) -> Zone:
    """A zone with a rep and an admin."""
    drop_reps(zone)
    zone.run()
    return zone


def close(zone: Zone, month: str, kind: str = "closed", inputs: dict[str, str] | None = None) -> None:
    with psycopg.connect(zone.database_url) as owner:
        owner.execute(
            "insert into ledger.closes (close_no, kind, pay_period, publication_id, inputs)"
            " select coalesce(max(close_no), 0) + 1, %s, %s, 1, %s from ledger.closes",
            [kind, f"{month}-01", Jsonb(inputs or {})],
        )


def amounts(zone: Zone) -> list[tuple[str, int]]:
    return zone.query(
        "select path, amount::int from raw.adjustments inner join ops.files using (file_id)"
        " order by path, source_row"
    )


def test_a_file_is_loaded_corrected_and_withdrawn(staffed: Zone) -> None:
    staffed.drop(PATH, workbook({}, {"Amount": 5}))
    staffed.run()
    assert amounts(staffed) == [(PATH, 250), (PATH, 5)]

    staffed.drop(PATH, workbook({"Amount": 7}))
    staffed.run()
    assert amounts(staffed) == [(PATH, 7)]

    # The same bytes elsewhere are a copy; the same adjustment in a file of its own is another one.
    copy, other = PATH.replace("2025-03", "2025-04"), PATH.replace("march", "more")
    staffed.drop(copy, workbook({"Amount": 7}))
    staffed.drop(other, workbook({"Amount": 7, "Reference": "second"}))
    staffed.run()
    assert amounts(staffed) == [(PATH, 7), (other, 7)]
    assert "is identical to" in staffed.problem(copy)

    staffed.delete(PATH)
    staffed.run()
    staffed.run()
    assert amounts(staffed) == [(other, 7), (copy, 7)]


def test_a_rejected_file_has_an_error_workbook_and_loads_once_the_rep_is_there(staffed: Zone) -> None:
    staffed.drop(PATH, workbook({"Sales Rep Name": "Bo Marsh"}))
    staffed.run()
    assert amounts(staffed) == []
    assert "Nobody in sales_reps is called Bo Marsh." in staffed.problem(PATH)
    assert staffed.errors(PATH) is not None

    drop_reps(staffed, ("Bo Marsh", "Field", "bo@example.com", "user", "Yes"))
    staffed.run()
    assert amounts(staffed) == [(PATH, 250)]
    assert staffed.errors(PATH) is None


def test_a_product_line_that_nobody_knows_is_loaded_with_a_warning(staffed: Zone) -> None:
    services = [["Service Lines", "Product Lines"], ["Trays", "Consulting"]]
    staffed.drop("reference/service_to_product.xlsx", write_workbook({"Services": services}))
    staffed.run()
    staffed.drop(PATH, workbook({"Product Line": "Consultng"}, {"Product Line": "consulting"}))
    staffed.run()

    assert amounts(staffed) == [(PATH, 250), (PATH, 250)]
    (warning,) = staffed.query('select severity, "row", problem, remedy from ops.file_errors')
    assert warning[:2] == ("warning", 2)
    assert "No product line is called Consultng" in warning[2]
    assert "Did you mean Consulting?" in warning[3]


def test_a_correction_in_a_closed_month_is_refused_until_the_month_is_opened_again(staffed: Zone) -> None:
    staffed.drop(PATH, workbook({}))
    staffed.run()
    close(staffed, "2025-03")
    staffed.drop(PATH, workbook({"Amount": 300}))
    staffed.run()
    assert amounts(staffed) == [(PATH, 250)]
    assert "2025-03, which is closed" in staffed.problem(PATH)
    assert "incoming/adjustments/2025-04/" in staffed.problem(PATH)
    assert staffed.run() == []

    close(staffed, "2025-03", "reopened")
    staffed.run()
    assert amounts(staffed) == [(PATH, 300)]
    assert staffed.problem(PATH) == ""


def test_what_a_month_was_closed_with_is_not_refused_by_new_books(staffed: Zone) -> None:
    """The database was lost: the ledger is read back, and the files are read anew."""
    content, other = workbook({}), PATH.replace("march", "other")
    close(staffed, "2025-03", inputs={PATH: sha256(content).hexdigest()})
    staffed.drop(PATH, content)
    staffed.drop(other, workbook({"Amount": 1}))
    staffed.run()

    assert amounts(staffed) == [(PATH, 250)]
    assert "which is closed" in staffed.problem(other)


def test_nobody_brings_a_file_that_pays_them(staffed: Zone) -> None:
    me = getpass.getuser()
    drop_reps(staffed, ("Cy Marsh", "Field", f"{me}@example.com", "user", "Yes"))
    staffed.drop(PATH, workbook({}, {"Sales Rep Name": "cy marsh"}))
    staffed.run()

    assert amounts(staffed) == []
    assert staffed.query('select "row", "column", problem from ops.file_errors') == [
        (3, "Sales Rep Name", f"cy marsh brought this file ({me}), and nobody adjusts their own pay.")
    ]


@pytest.mark.parametrize(
    ("actor", "email", "name", "is_own"),
    [
        ("ann", "ann@example.com", "Ann Gray", True),
        ("AWS:AROAX:Ann@Example.com", "ann@example.com", "Ann Gray", True),
        ("ann.gray", "sales7@example.com", "Ann  Gray", True),
        ("EXAMPLE\\ann", "ann@example.com", "Ann Gray", True),
        ("ada", "ann@example.com", "Ann Gray", False),
        ("annette", "ann@example.com", "Ann Gray", False),
        (None, "ann@example.com", "Ann Gray", False),
        ("ann", None, "Ann Gray", False),
    ],
)
def test_an_actor_is_a_person_by_address_or_name(
    zone: Zone, actor: str | None, email: str | None, name: str, is_own: bool
) -> None:
    assert zone.query("select ops.is_actor(%s, %s, %s)", actor, email, name) == [(is_own,)]


def test_no_month_of_adjustments_is_ever_missing(staffed: Zone) -> None:
    staffed.drop(PATH, workbook({}))
    staffed.run()
    with psycopg.connect(staffed.database_url) as connection:
        outcomes = checks.check_source(connection, "adjustments", MARCH.replace(year=2026), 1)
        overview = read_overview(connection, DECEMBER, 1)
    assert [outcome.name for outcome in outcomes] == list(checks.checks_of("adjustments"))
    assert checks.NO_MONTH_MISSING not in checks.checks_of("adjustments")
    assert checks.NO_MONTH_MISSING in checks.checks_of("cygnus")
    own = [month for month in overview.months if month.source == "adjustments"]
    assert {month.state for month in own} == {"nothing", "loaded"}
