"""A line keeps its id when its file is corrected and across the upgrade; sales of two files are listed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import psycopg
import pytest

from shs_pipeline.marts.build import build_marts
from shs_pipeline.marts.payout_diff import Comparison, compare_payouts
from shs_pipeline.marts.publications import state_at
from shs_pipeline.sources.registry import all_sources
from tests.conftest import Zone
from tests.helpers.cygnus_lines import Sold, cygnus

pytestmark = pytest.mark.slow

APRIL = "incoming/cygnus/2025-04/april.xlsx"


def compared(zone: Zone, first: int, second: int) -> Comparison:
    with psycopg.connect(zone.database_url) as connection:
        return compare_payouts(connection, *(state_at(connection, f"#{n}") for n in (first, second)))


def ids(zone: Zone, path: str) -> dict[int, str]:
    """The id of each line of a file by its row."""
    return dict(
        zone.query(
            "select source_row, line_id from marts.harmonised_sales where source_file = %s order by 1", path
        )
    )


def built(zone: Zone, run_id: str) -> None:
    zone.run()
    build_marts(zone.database_url, run_id)


def test_the_upgrade_gives_new_ids_and_tells_no_line_as_removed_and_added(published: Zone) -> None:
    zone = published
    old_id = "files.file_id || '/' || source_sheet || '/' || source_row"
    with psycopg.connect(zone.database_url, autocommit=True) as owner:
        owner.execute(
            f"update marts.harmonised_sales as mart set line_id = {old_id}, credit_id = {old_id}"
            " from ops.files where path = source_file and status = 'loaded'".encode()
        )
        for source in all_sources():
            owner.execute(f"alter table raw.{source.name} drop column sale_key cascade".encode())
            owner.execute(f"alter table raw.{source.name} add column line_key bigint default 0".encode())
            owner.execute(f"create view staging.stg_{source.name} as table raw.{source.name}".encode())
        owner.execute("comment on schema raw is 'of before'")
        owner.execute("update marts.publications set definition_hash = 'of the models before'")
    paid = "select payee_id, product_line_id, commission_month, payout from marts.commission_payouts"
    before = sorted(zone.query(paid))

    report = build_marts(zone.database_url, "upgraded")

    assert report.is_full_refresh
    assert sorted(zone.query(paid)) == before
    assert zone.query("select count(*) from marts.harmonised_sales where line_id !~ '^[a-z_]+/2025-'") == [
        (0,)
    ]
    assert zone.query("select count(*) from history.harmonised_sales") == [(0,)]
    assert compared(zone, 1, 2).changes == []
    assert build_marts(zone.database_url, "nothing more").was_current


def test_a_corrected_file_keeps_the_ids_of_its_lines_and_two_files_with_a_sale_are_listed(
    published: Zone,
) -> None:
    zone = published
    zone.drop(APRIL, cygnus(Sold(1), Sold(2), Sold(2, 250), Sold(3)))
    built(zone, "second")
    first = ids(zone, APRIL)
    assert len(set(first.values())) == 4

    # Under another name, with a row more above and another amount of the second twin.
    renamed = APRIL.replace("april", "corrected")
    zone.delete(APRIL)
    zone.drop(renamed, cygnus(Sold(9), Sold(1), Sold(2), Sold(2, 300), Sold(3)))
    # Once more in another month, at another rate; and a credit, which is no repeat.
    may = zone.drop(
        "incoming/cygnus/2025-05/may.xlsx", cygnus(Sold(1, rate=30), Sold(3, -100), Sold(11), Sold(12))
    )
    built(zone, "third")

    second = ids(zone, renamed)
    assert [second[row + 1] for row in first] == list(first.values())
    (change,) = (one for one in compared(zone, 2, 3).changes if one.commission_month == date(2025, 4, 1))
    lines = {(part.reason, line.shown.source_row) for part in change.parts for line in part.lines}
    assert lines == {("added", 5), ("corrected", 8)}

    found = (
        "select source_file, source_row, first_file, first_row, sales_actual, rev_actual, first_rev_actual,"
        " commission, is_overlap_ok from marts.repeated_lines"
    )
    ((*row, commission, is_meant),) = zone.query(found)
    assert row == [may, 5, renamed, 6, Decimal(100), Decimal(30), Decimal(20)]
    assert not is_meant
    assert commission > 0
    assert zone.query(
        "select sum(amount_paid) from marts.payout_explanations where source_file = %s and source_row = 5",
        may,
    ) == [(commission,)]

    zone.delete(may)
    built(zone, "fourth")
    assert zone.query(found) == []
