"""What a publication changed, in words: noted with it, told to admins, and to reps of their own payouts."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest

from shs_pipeline.marts.build import build_marts
from shs_pipeline.marts.payout_diff import Part, part_for_payee
from tests.conftest import Zone

pytestmark = pytest.mark.slow

_NOTED = "select publication_id, change_no, payee_id, words, amount from {}.payout_changes order by 1, 2"


def noted(zone: Zone, schema: str = "marts") -> list[tuple[object, ...]]:
    return zone.query(_NOTED.format(schema))


def test_each_publication_notes_its_changes_once_and_a_killed_one_is_made_up_for(published: Zone) -> None:
    zone = published
    first = noted(zone)
    assert [words for *_, words, _ in first] == [
        "This is the first publication: there is nothing before it to compare with."
    ]
    before = dict(
        zone.query(
            "select payee_id || product_line || commission_month, payout from marts.commission_payouts"
        )
    )
    zone.delete(next(drop.path for drop in zone.landing.drops() if "cygnus/2025-02" in drop.path))
    zone.run()

    build_marts(zone.database_url, "second")

    after = dict(
        zone.query(
            "select payee_id || product_line || commission_month, payout from marts.commission_payouts"
        )
    )
    moved = {
        key: after.get(key, 0) - before.get(key, 0)
        for key in {*before, *after}
        if after.get(key, 0) != before.get(key, 0)
    }
    assert moved
    assert moved == dict(
        zone.query(
            "select payee_id || product_line || commission_month, sum(amount) from marts.payout_changes"
            " where publication_id = 2 group by 1 having sum(amount) <> 0"
        )
    )
    second = noted(zone)
    assert any("removed" in str(words) for *_, words, _ in second)
    build_marts(zone.database_url, "again")
    assert noted(zone) == noted(zone, "ops") == second

    with psycopg.connect(zone.database_url) as connection:
        for schema in ("ops", "marts"):
            connection.execute(f"delete from {schema}.payout_changes where publication_id = 2")
    build_marts(zone.database_url, "after a kill")
    assert noted(zone) == second


@pytest.mark.parametrize(
    ("told", "to_a_payee"),
    [
        ("re-credited from Dana Whitfield", "re-credited from another rep"),
        ("re-credited to Theo Marsh", "re-credited to another rep"),
        (
            "now credited, previously to nobody (Theo (jr.) is not in sales_reps)",
            "now credited, previously to nobody (the name in the file is not in sales_reps)",
        ),
        (
            "no longer credited to anybody (the file names no rep)",
            "no longer credited to anybody (the file names no rep)",
        ),
        ("removed", "removed"),
    ],
)
def test_a_payee_is_told_no_other_names(told: str, to_a_payee: str) -> None:
    assert part_for_payee(Part("removed", told, Decimal(1))) == to_a_payee


def test_what_is_held_and_who_logs_in_is_for_admins_alone(built: Zone) -> None:
    may_read = {
        (role, mart): built.query("select has_table_privilege(%s, %s, 'select')", role, f"marts.{mart}")[0][0]
        for role in ("shs_admin", "shs_rep")
        for mart in ("holds", "logins", "rows_to_add", "payout_changes")
    }

    assert {mart for (role, mart), may in may_read.items() if may and role == "shs_rep"} == {"payout_changes"}
    assert all(may for (role, _), may in may_read.items() if role == "shs_admin")
