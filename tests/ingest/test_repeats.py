"""Sales that two files of a source have: a copy is rejected, fewer are told with their sum."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import psycopg
import pytest

from shs_pipeline.ingest.run import run_all
from shs_pipeline.ingest.warehouse import ensure_tables, has_tables
from shs_pipeline.sources.registry import all_sources
from tests.helpers.cygnus_lines import Sold, cygnus

if TYPE_CHECKING:
    from tests.conftest import Zone

JANUARY, MARCH = "incoming/cygnus/2025-01/january.xlsx", "incoming/cygnus/2025-03/march.xlsx"


def warnings(zone: Zone, path: str) -> list[str]:
    rows = zone.query(
        "select e.problem from ops.file_errors as e inner join ops.files as f using (file_id)"
        " where f.path = %s and f.status = 'loaded' and e.severity = 'warning'",
        path,
    )
    counted = zone.query("select warning_count from ops.files where path = %s and status = 'loaded'", path)
    assert counted == [(len(rows),)]
    return [problem for (problem,) in rows]


def test_the_same_sales_at_another_rate_are_a_copy_told_with_both_amounts(zone: Zone) -> None:
    zone.drop(JANUARY, cygnus(*(Sold(number, rate=20) for number in range(5))))
    zone.drop(MARCH, cygnus(*(Sold(number, rate=21) for number in range(5))))
    zone.run()

    assert dict(zone.statuses()) == {JANUARY: "loaded", MARCH: "rejected"}
    said = zone.problem(MARCH)
    assert f"5 of the 5 lines in {MARCH} are already loaded, most of them from {JANUARY}" in said
    assert "Invoice Total 500.00 here and 500.00 there; Total Rep Due 105.00 here and 100.00 there" in said
    assert zone.query("select count(*), sum(total_rep_due) from raw.cygnus") == [(5, Decimal(100))]


def test_a_rejected_copy_leaves_the_version_that_loaded_before_in_force(zone: Zone) -> None:
    zone.drop(JANUARY, cygnus(Sold(1), Sold(2)))
    zone.drop(MARCH, cygnus(Sold(7, 700)))
    zone.run()

    zone.drop(MARCH, cygnus(Sold(1, rate=30), Sold(2)))
    zone.run()

    assert zone.query("select sum(invoice_total) from raw.cygnus") == [(Decimal(900),)]
    assert sorted(zone.statuses()) == [(JANUARY, "loaded"), (MARCH, "loaded"), (MARCH, "rejected")]


def test_two_of_five_sales_of_another_month_are_loaded_and_told_with_their_sum(zone: Zone) -> None:
    zone.drop(JANUARY, cygnus(Sold(1, 100), Sold(2, 250), Sold(3)))
    march = cygnus(Sold(1, 100), Sold(2, 260), Sold(11), Sold(12), Sold(13))
    zone.drop(MARCH, march)
    zone.run()

    assert dict(zone.statuses()) == {JANUARY: "loaded", MARCH: "loaded"}
    (said,) = warnings(zone, MARCH)
    assert said.startswith(
        f"2 of the 5 lines in {MARCH} are sales that {JANUARY} already has, and both count."
    )
    assert "Invoice Total 360.00 here and 350.00 there; Total Rep Due 72.00 here and 70.00 there." in said
    # A rerun says the same, once.
    run_all(zone.job())
    assert warnings(zone, MARCH) == [said]

    zone.delete(JANUARY)
    zone.run()
    run_all(zone.job())
    assert warnings(zone, MARCH) == []


@pytest.mark.parametrize(
    ("january", "march"),
    [
        pytest.param([Sold(1)], [Sold(1, paid=date(2025, 3, 1))], id="an instalment"),
        pytest.param([Sold(1)], [Sold(1, -100)], id="a credit"),
        pytest.param([Sold(1)], [Sold(1, -100), Sold(1, 120)], id="billed anew after a credit"),
        pytest.param([Sold(1)], [Sold(1, 120), Sold(1, -100)], id="the credit below the new bill"),
        pytest.param([], [Sold(1), Sold(1), Sold(1)], id="twins in one file"),
        pytest.param([Sold(1)], [Sold(2), Sold(3)], id="other invoices"),
    ],
)
def test_what_is_no_repeat(zone: Zone, january: list[Sold], march: list[Sold]) -> None:
    zone.drop(JANUARY, cygnus(Sold(99), *january))
    zone.drop(MARCH, cygnus(*march))
    zone.run()

    assert dict(zone.statuses()) == {JANUARY: "loaded", MARCH: "loaded"}
    assert warnings(zone, MARCH) == []


def test_a_credit_in_a_month_between_allows_the_sale_again_and_a_later_one_does_not(zone: Zone) -> None:
    february, april = MARCH.replace("03", "02"), MARCH.replace("03", "04")
    zone.drop(JANUARY, cygnus(Sold(1), Sold(99)))
    zone.drop(february, cygnus(Sold(1, -100), Sold(98)))
    zone.drop(MARCH, cygnus(Sold(1), Sold(97)))
    zone.drop(april, cygnus(Sold(1), Sold(96)))
    zone.run()

    assert warnings(zone, MARCH) == []
    (said,) = warnings(zone, april)
    assert said.startswith(f"1 of the 2 lines in {april} is a sale that {MARCH} already has")


def test_of_twins_as_many_are_repeated_as_the_other_file_has(zone: Zone) -> None:
    zone.drop(JANUARY, cygnus(Sold(1), Sold(2)))
    zone.drop(MARCH, cygnus(Sold(1, 10), Sold(1, 20), Sold(1, 40), Sold(5)))
    zone.run()

    (said,) = warnings(zone, MARCH)
    assert said.startswith("1 of the 4 lines")
    assert "Invoice Total 10.00 here and 100.00 there" in said


def test_a_copy_that_both_count_for_says_nothing(zone: Zone) -> None:
    second = "incoming/cygnus/2025-03/overlap=ok/second.xlsx"
    zone.drop(JANUARY, cygnus(Sold(1), Sold(2)))
    zone.drop(second, cygnus(Sold(1), Sold(2, rate=21)))
    zone.run()

    assert dict(zone.statuses()) == {JANUARY: "loaded", second: "loaded"}
    assert warnings(zone, second) == []


def test_a_sale_and_a_commission_of_opposite_sign_are_a_warning(zone: Zone) -> None:
    zone.drop(JANUARY, cygnus(Sold(1), Sold(2, rate=-20), Sold(3, -100), Sold(4, rate=0)))
    zone.run()

    assert warnings(zone, JANUARY) == ["Total Rep Due (-20) has the opposite sign of Invoice Total (100)."]


def test_tables_of_before_get_the_keys_that_a_load_computes(zone: Zone) -> None:
    zone.drop_references("service_to_product")
    for source in all_sources():
        zone.drop_sample(source.name)
    zone.run()
    tables = [f"raw.{source.name}" for source in all_sources()]
    keys = {
        table: zone.query(f"select file_id, source_row, sale_key from {table} order by 1, 2")
        for table in tables
    }
    with psycopg.connect(zone.database_url, autocommit=True) as owner:
        for table in tables:
            owner.execute(f"alter table {table} drop column sale_key, add column line_key bigint".encode())
        owner.execute("comment on schema raw is 'of before'")
        (before,) = owner.execute("select max(change_no) from ops.files").fetchone() or ()

        ensure_tables(owner)

        assert has_tables(owner)
        ensure_tables(owner)
        # The months are computed again, since the ids of their lines may be others.
        changed = owner.execute(
            "select distinct source from ops.files where change_no > %s", [before]
        ).fetchall()
        assert {name for (name,) in changed} == {source.name for source in all_sources()}
    for table in tables:
        assert zone.query(f"select file_id, source_row, sale_key from {table} order by 1, 2") == keys[table]
        name = table.partition(".")[2]
        assert zone.query(
            "select count(*) from information_schema.columns where table_schema = 'raw' and table_name = %s"
            " and column_name = 'line_key'",
            name,
        ) == [(0,)]
