"""Marts that were published with all digits, and the same after the upgrade that rounds each line."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import psycopg
import pytest

from shs_pipeline.marts.build import build_marts
from shs_pipeline.marts.payout_diff import compare_payouts
from shs_pipeline.marts.publications import state_at
from tests.conftest import Zone
from tests.marts.test_publications import numbers

pytestmark = pytest.mark.slow

# As the models before left them: amounts without a scale, and none of the columns that came with cents.
_OLD_AMOUNTS = {
    "harmonised_sales": ("sales_actual", "rev_actual"),
    "commission_payouts": ("sales_actual", "cumulative_sales"),
}
_NEW_COLUMNS = {
    "harmonised_sales": ("sales_before_rounding", "rev_before_rounding"),
    "commission_payouts": ("releasable_balance", "no_threshold_balance"),
}


@pytest.fixture
def old(published: Zone) -> tuple[Zone, tuple[str, date]]:
    """Marts of the version before, in which one payout of Ternio's is a cent higher; whose it is."""
    with psycopg.connect(published.database_url, autocommit=True) as owner:
        owner.execute(
            "drop view marts.payout_explanations, marts.uncredited_sales, marts.tier_progress,"
            " marts.rows_to_add"
        )
        owner.execute("drop schema candidate cascade")
        for mart, columns in _OLD_AMOUNTS.items():
            owner.execute(f"drop table if exists history.{mart}".encode())
            changes = [f"alter {name} type numeric" for name in columns]
            changes += [f"drop column {name}" for name in _NEW_COLUMNS[mart]]
            owner.execute(f"alter table marts.{mart} {', '.join(changes)}".encode())
        row = owner.execute(
            "update marts.harmonised_sales set rev_actual = rev_actual + 0.0041,"
            " commission_tier_1 = commission_tier_1 + 0.01 where line_id = (select line_id from"
            " marts.harmonised_sales where source = 'ternio' and credit_status = 'credited' limit 1)"
            " returning rep_name, commission_month"
        ).fetchone()
        assert row is not None
        owner.execute(
            "update marts.commission_payouts set commission_tier_1 = commission_tier_1 + 0.01,"
            " cumulative_sales = cumulative_sales - 0.003, payout = payout + 0.01"
            " where product_line = 'Miscellaneous' and rep_name = %s and commission_month = %s",
            row,
        )
        # In those days the column was an identity, whose sequence may be behind what was given.
        owner.execute(
            "alter table marts.publications alter column publication_id add generated always as identity"
        )
        owner.execute("update marts.publications set definition_hash = 'of the models before'")
    return published, row


def test_the_numbers_go_on_and_the_diff_tells_the_cents_that_the_rule_changed(
    old: tuple[Zone, tuple[str, date]],
) -> None:
    zone, (rep, month) = old

    report = build_marts(zone.database_url, "upgraded")

    assert report.is_full_refresh
    assert numbers(zone.database_url) == [1, 2]
    with psycopg.connect(zone.database_url) as connection:
        found = compare_payouts(connection, state_at(connection, "#1"), state_at(connection, "now"))
        removed = connection.execute(
            "select cumulative_sales from history.commission_payouts where change = 'removed'"
        ).fetchall()
    (change,) = found.changes
    assert (change.rep_name, change.product_line, change.commission_month) == (rep, "Miscellaneous", month)
    (part,) = change.parts
    assert (part.reason, part.words, part.amount) == (
        "rules",
        "calculated by changed rules",
        Decimal("-0.01"),
    )
    # What was published before is known with all its digits.
    assert [amount % Decimal("0.01") for (amount,) in removed] == [Decimal("0.007")]


def test_every_amount_of_money_in_a_mart_is_cents(published: Zone) -> None:
    """All numerics but rates, ratios, quantities and rounding; the suppliers' own columns stay."""
    others = {"quantity", "attainment", "share_reached", "tier_1_rate", "tier_2_rate", "credit_share"}
    columns = published.query(
        "select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute as a"
        " inner join pg_class as c on c.oid = a.attrelid where c.relnamespace = 'marts'::regnamespace"
        " and c.relkind in ('r', 'v') and a.attnum > 0 and a.atttypid = 'numeric'::regtype"
    )

    amounts = {
        (mart, name, kind)
        for mart, name, kind in columns
        if not mart.startswith("sales_history_") and name not in others and "rounding" not in name
    }

    assert len(amounts) > 30
    assert {kind for _, _, kind in amounts} == {"numeric(15,2)"}, amounts
    assert {kind for _, name, kind in columns if name.endswith("_rate")} >= {"numeric(9,6)"}
