"""The numbers of publications: 1, 2, 3, whatever fails or is killed."""

from __future__ import annotations

import psycopg
import pytest

from shs_pipeline.marts import due
from shs_pipeline.marts.build import build_marts
from shs_pipeline.marts.build_failures import BuildError
from tests.conftest import Zone

pytestmark = pytest.mark.slow


def numbers(database: str) -> list[int]:
    with psycopg.connect(database) as connection:
        found = connection.execute("select publication_id from marts.publications order by published_at")
        return [number for (number,) in found]


def test_a_build_that_fails_late_leaves_no_gap_and_a_full_one_due(published: Zone) -> None:
    with psycopg.connect(published.database_url, autocommit=True) as owner:
        # What the publication replaces last cannot be replaced: its number is rolled back with it.
        owner.execute("create function forbidden() returns trigger language plpgsql as"
                      " $$ begin raise 'not today'; end $$")  # fmt: skip
        owner.execute("create trigger forbidden before insert or update or delete on marts.people"
                      " for each statement execute function forbidden()")  # fmt: skip
        with pytest.raises(BuildError, match="not today"):
            build_marts(published.database_url, "fails", full_refresh=True)
        owner.execute("drop trigger forbidden on marts.people")
        assert due.standing(owner, due_day=20).is_broken_off
    assert numbers(published.database_url) == [1]

    # A full one is what follows.
    assert build_marts(published.database_url, "second").is_full_refresh

    assert numbers(published.database_url) == [1, 2]
