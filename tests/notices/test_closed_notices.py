"""What is told of closed months: once each, to those whom it concerns, and without amounts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from shs_pipeline.notices.outbox import record
from tests.conftest import copies
from tests.helpers.closed_house import JANUARY, House, closed, month_file, opened

pytestmark = pytest.mark.slow

Told = list[tuple[str, str]]


def look(house: House) -> Told:
    """Let notices be recorded; return subject and recipient of what is new about closed months."""
    before = house.rows("select coalesce(max(notice_id), 0) from ops.notices")[0][0]
    with psycopg.connect(house.url) as connection:
        record(connection, date(2025, 2, 10), 20, restate_notice=Decimal("1.00"))
    return house.rows(
        "select subject, coalesce(rep_name, 'admins') from ops.notices where notice_id > %s"
        " and key ~ '^(closed|statement|restated)/' order by notice_id",
        before,
    )


def record_and_die(house: House) -> None:
    with psycopg.connect(house.url) as connection, connection.transaction():
        record(connection, date(2025, 2, 10), 20)
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def told(first_house: House, postgres_home: Path) -> Iterator[tuple[House, dict[str, Told]]]:
    """January is closed, changed, opened again and closed again; what was told after each step."""
    for house in copies(first_house, postgres_home):
        told = {"published": look(house)}
        house.ask(closed(JANUARY))
        with pytest.raises(KeyboardInterrupt):
            record_and_die(house)
        told |= {"closed": look(house), "nothing": look(house)}
        house.do(month_file(JANUARY, "1001"))
        told["changed a little"] = look(house)
        house.do(month_file(JANUARY, "1200"))
        told |= {"changed": look(house), "nothing since": look(house)}
        house.ask(opened(JANUARY, "The file was wrong."))
        told["opened"] = look(house)
        house.ask(closed(JANUARY))
        told["closed again"] = look(house)
        yield house, told


def test_a_close_is_told_once_to_each_payee_and_the_admins_also_after_a_kill(
    told: tuple[House, dict[str, Told]],
) -> None:
    _, said = told

    assert said["published"] == said["nothing"] == []
    assert said["closed"] == [
        ("January 2025 is closed: 2 payees, 0 restated", "admins"),
        ("Your statement of January 2025 is there", "Ann Gray"),
        ("Your statement of January 2025 is there", "Bo Marsh"),
    ]


def test_a_closed_month_that_changes_is_told_to_admins_where_it_moves_enough(
    told: tuple[House, dict[str, Told]],
) -> None:
    _, said = told

    assert said["changed a little"] == said["nothing since"] == []
    assert said["changed"] == [("Restated: 2025-01", "admins")]


def test_closed_again_only_statements_that_came_to_something_else_are_told(
    told: tuple[House, dict[str, Told]],
) -> None:
    _, said = told

    assert said["opened"] == [("January 2025 is open again", "admins")]
    # Bo's came to the same.
    assert said["closed again"] == [
        ("January 2025 is closed: 2 payees, 0 restated", "admins"),
        ("Your statement of January 2025 was replaced", "Ann Gray"),
    ]


def test_no_amount_and_no_other_name_is_in_a_mail(told: tuple[House, dict[str, Told]]) -> None:
    house, _ = told
    bodies = house.rows(
        "select coalesce(rep_name, 'admins'), body from ops.notices"
        " where key ~ '^(closed|statement|restated)/'"
    )

    for whom, body in bodies:
        assert not re.search(r"\d\.\d\d", body), body
        others = {"Ann Gray", "Bo Marsh"} - {whom}
        assert not any(name in body for name in others), body
    numbers = {body.partition("statement ")[2].partition(" ")[0] for _, body in bodies} - {""}
    assert {"2025-01-P-ANN-1", "2025-01-P-BO-1", "2025-01-P-ANN-2"} <= numbers
