"""Lines of a source that this version does not have: an older one, or one in which it was undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.connection import connect
from shs_pipeline.ingest.loaded_sources import check_sources_are_known, loaded_sources
from shs_pipeline.marts.build import build_marts

if TYPE_CHECKING:
    from tests.conftest import Zone


def rename(zone: Zone, source: str, name: str) -> None:
    """Let the files of a source be those of another."""
    with connect(zone.database_url) as connection:
        connection.execute("update ops.files set source = %s where source = %s", [name, source])


def test_each_source_with_loaded_files_is_found(zone: Zone) -> None:
    first, gone = zone.drop_sample("novo", "2025-03"), zone.drop_sample("novo", "2025-04")
    zone.drop_sample("cygnus", "2025-03")
    zone.drop_references("sales_reps")
    zone.run()
    zone.delete(gone)
    zone.run()

    with connect(zone.database_url) as connection:
        found = {source.name: (source.files, source.path) for source in loaded_sources(connection)}
        check_sources_are_known(connection)

    assert list(found) == ["cygnus", "novo"]
    assert found["novo"] == (1, first)


def test_a_warehouse_without_tables_has_none(database: str) -> None:
    with connect(database) as connection:
        assert loaded_sources(connection) == []


@pytest.mark.parametrize(
    ("months", "said"),
    [
        (("2025-03",), "1 file of acme is loaded ({first})"),
        (("2025-03", "2025-04", "2025-05"), "3 files of acme are loaded ({first} and 2 more)"),
    ],
)
def test_what_is_loaded_of_an_unknown_source_is_said(zone: Zone, months: tuple[str, ...], said: str) -> None:
    first, *_ = (zone.drop_sample("novo", month) for month in months)
    zone.run()
    rename(zone, "novo", "acme")

    with connect(zone.database_url) as connection, pytest.raises(ShsError) as raised:
        check_sources_are_known(connection)

    assert raised.value.problem == (
        f"The marts were not published: {said.format(first=first)}, and this version has no such source."
    )
    assert "delete its files from incoming/acme" in raised.value.remedy


@pytest.mark.slow
@pytest.mark.parametrize("full_refresh", [False, True])
def test_nothing_is_published_without_them(published: Zone, full_refresh: bool) -> None:
    rename(published, "novo", "acme")
    published.drop_sample("cygnus", "2025-09")
    published.run()

    with connect(published.database_url) as connection:
        before = connection.execute("select max(publication_id) from marts.publications").fetchone()
        with pytest.raises(ShsError, match=r"of acme are loaded .* this version has no such source"):
            build_marts(published.database_url, "a run", full_refresh=full_refresh)
        assert connection.execute("select max(publication_id) from marts.publications").fetchone() == before

    rename(published, "acme", "novo")
    build_marts(published.database_url, "another run")
