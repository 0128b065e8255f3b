"""An installation of before there were ids gets them at the next build, and its marts say what they said."""

from __future__ import annotations

import psycopg
import pytest

from shs_pipeline.marts.build import build_marts
from shs_pipeline.marts.payout_diff import compare_payouts
from shs_pipeline.marts.publications import state_at
from tests.conftest import Zone

pytestmark = pytest.mark.slow

# What came with the ids.
_NEW = {
    "harmonised_sales": (
        "credit_id", "payee_id", "product_line_id", "credit_share", "rep_meant", "rate_basis",
    ),
    "commission_payouts": ("payee_id", "product_line_id"),
    "sales_performance_monthly": ("payee_id", "product_line_id", "commission"),
    "people": (
        "payee_id", "payroll_code", "paid_as", "left_on", "pays_after_leaving", "login_ends_on",
    ),
}  # fmt: skip
_SAID = (
    "select rep_name, product_line, commission_month, payout from marts.commission_payouts order by 1, 2, 3"
)


@pytest.fixture
def old(published: Zone) -> Zone:
    """Marts and history as the version before left them, after a second publication of it."""
    published.drop_sample("cygnus", "2025-04", lines=5)
    published.run()
    build_marts(published.database_url, "second")
    with psycopg.connect(published.database_url, autocommit=True) as owner:
        owner.execute("drop view marts.payout_explanations, marts.uncredited_sales")
        owner.execute("drop schema candidate cascade")
        owner.execute("drop table marts.published_names")
        for mart, columns in _NEW.items():
            dropped = ", ".join(f"drop column {name} cascade" for name in columns)
            owner.execute(f"alter table marts.{mart} {dropped}".encode())
        for mart in ("harmonised_sales", "commission_payouts"):
            dropped = ", ".join(f"drop column {name}" for name in _NEW[mart])
            owner.execute(f"alter table history.{mart} {dropped}".encode())
        owner.execute("truncate reference.payee_names, reference.product_line_names")
        owner.execute("truncate reference.payees, reference.product_lines cascade")
        owner.execute("update marts.publications set definition_hash = 'of the models before'")
    return published


def test_the_next_build_gives_the_ids_and_pays_what_was_paid(old: Zone) -> None:
    before = old.query(_SAID)

    report = build_marts(old.database_url, "upgraded")

    assert report.is_full_refresh
    assert old.query(_SAID) == before
    assert old.query("select count(*) from marts.people where payee_id is null") == [(0,)]
    with psycopg.connect(old.database_url) as connection:
        first, second, third = (state_at(connection, f"#{number}") for number in (1, 2, 3))
        assert compare_payouts(connection, second, third).changes == []
        # The history of before has ids, so that its states are told apart by them.
        changes = compare_payouts(connection, first, third).changes
    assert {change.product_line for change in changes} == {"Cygnus"}
    assert build_marts(old.database_url, "nothing more").was_current
