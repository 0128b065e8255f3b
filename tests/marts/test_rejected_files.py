"""The mart of rejected files: every error that an admin has to see, at once, and nothing for others."""

from __future__ import annotations

import psycopg
import pytest

from shs_pipeline.ingest.overview import rejected_now
from shs_pipeline.marts.build import build_marts
from shs_pipeline.samples.broken import with_bad_cell
from tests.conftest import Zone

pytestmark = pytest.mark.slow


def rejected(zone: Zone) -> list[tuple[object, ...]]:
    return zone.query(
        'select path, source, month::text, sheet, "row", "column", value from marts.rejected_files'
        " order by path, error_no"
    )


@pytest.fixture
def with_rejections(published: Zone) -> Zone:
    """One file of each kind that can be rejected, after the last publication."""
    zone = published
    (path,) = (drop.path for drop in zone.landing.drops() if "cygnus/2025-03" in drop.path)
    content = zone.landing.read(path)
    assert content is not None
    bad = with_bad_cell(content, "Invoice Total", 5, "many")
    zone.delete(path)
    zone.drop("incoming/cygnus/2025-04/Cygnus.xlsx", with_bad_cell(bad, "ClosedDate", 5, "soon"))
    zone.drop("incoming/ternio/2025-03/no workbook.xlsx", b"no workbook")
    zone.drop("incoming/nobody/2025-03/lost.xlsx", content)
    zone.drop("reference/sales_reps.xlsx", b"no workbook either")
    zone.run()
    return zone


def test_every_error_is_there_without_a_build_and_goes_with_its_file(with_rejections: Zone) -> None:
    zone = with_rejections

    found = rejected(zone)

    places = {row[:3] for row in found}
    assert places == {
        ("incoming/cygnus/2025-04/Cygnus.xlsx", "cygnus", "2025-04-01"),
        ("incoming/ternio/2025-03/no workbook.xlsx", "ternio", "2025-03-01"),
        ("incoming/nobody/2025-03/lost.xlsx", None, None),
        ("reference/sales_reps.xlsx", "sales_reps", None),
    }
    cells = [row[4:] for row in found if row[1] == "cygnus"]
    assert sorted(cells, key=str) == [(5, "ClosedDate", "soon"), (5, "Invoice Total", "many")]
    said = zone.query(
        "select count(*) from marts.rejected_files where problem <> '' and remedy <> '' and since <= now()"
    )
    assert said == [(len(found),)]
    for path in {str(row[0]) for row in found}:
        zone.delete(path)
    zone.run()
    assert rejected(zone) == []


@pytest.mark.usefixtures("mass_changes_are_accepted")
def test_it_counts_the_files_and_errors_that_the_status_counts(with_rejections: Zone) -> None:
    zone = with_rejections
    with psycopg.connect(zone.database_url) as connection:
        status = {file.path: (file.error_count, file.first.problem) for file in rejected_now(connection)}

    mart = zone.query(
        "select path, max(errors), count(*), (array_agg(problem order by error_no))[1]"
        " from marts.rejected_files group by path"
    )

    assert {path: (errors, problem) for path, errors, _, problem in mart} == status
    assert [path for path, errors, rows, _ in mart if errors != rows] == []
    # A build changes nothing of it: the view reads the books.
    before = rejected(zone)
    build_marts(zone.database_url, "second", full_refresh=True)
    assert rejected(zone) == before


@pytest.mark.parametrize("role", ["shs_admin", "shs_rep"])
def test_admins_read_it_without_reading_the_books(with_rejections: Zone, role: str) -> None:
    with psycopg.connect(with_rejections.database_url) as connection:
        # Reading the marts is all that these two groups of logins may do.
        may_read = [
            connection.execute("select has_table_privilege(%s, %s, 'select')", [role, relation]).fetchone()
            for relation in ("marts.rejected_files", "ops.files", "ops.file_errors")
        ]
        owner = connection.execute(
            "select relowner = (select relowner from pg_class where oid = 'ops.files'::regclass)"
            " from pg_class where oid = 'marts.rejected_files'::regclass"
        ).fetchone()

    assert may_read == [(role == "shs_admin",), (False,), (False,)]
    assert owner == (True,)
