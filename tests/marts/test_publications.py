"""The numbers of publications: 1, 2, 3, whatever fails, is killed, or was there before."""

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


def test_a_build_that_fails_late_leaves_no_gap(published: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(published.database_url, autocommit=True) as owner:
        # What the publication replaces last cannot be replaced: its number is rolled back with it.
        owner.execute("create function forbidden() returns trigger language plpgsql as"
                      " $$ begin raise 'not today'; end $$")  # fmt: skip
        owner.execute("create trigger forbidden before insert or update or delete on marts.people"
                      " for each statement execute function forbidden()")  # fmt: skip
        with pytest.raises(BuildError, match="not today"):
            build_marts(published.database_url, "fails", full_refresh=True)
        owner.execute("drop trigger forbidden on marts.people")
    assert numbers(published.database_url) == [1]

    build_marts(published.database_url, "second", full_refresh=True)

    assert numbers(published.database_url) == [1, 2]


def test_an_older_installation_goes_on_with_its_numbers(
    published: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the column is an identity, whose sequence may be behind what was given."""
    with psycopg.connect(published.database_url, autocommit=True) as owner:
        owner.execute(
            "alter table marts.publications alter column publication_id add generated always as identity"
        )
    monkeypatch.setattr(due, "definition_hash", lambda: "another")

    build_marts(published.database_url, "second")

    assert numbers(published.database_url) == [1, 2]
