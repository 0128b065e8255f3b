"""What changed since the last run: the comparison of listing and books, and its order."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from shs_pipeline.ingest.changes import (
    Books,
    Folder,
    changed_folders,
    fingerprint_of,
    folder_from_key,
    folder_of,
    partition_folder,
    plan_runs,
    read_books,
    reference_folder,
)
from shs_pipeline.ingest.run import changed_now
from shs_pipeline.landing.listing import Drop
from shs_pipeline.landing.zone import place_of

if TYPE_CHECKING:
    from tests.conftest import Zone

MARCH = date(2025, 3, 1)
NOTHING = Books({}, {})


def drop(path: str, etag: str = "1", size: int = 10) -> Drop:
    return Drop(path, size, etag, datetime(2025, 3, 1, tzinfo=UTC))


def ingested(drops: list[Drop], references: dict[str, int] | None = None, **more: Any) -> Books:
    """Books in which just these files were ingested."""
    references = references or {}
    groups: dict[str, list[Drop]] = {}
    for each in drops:
        groups.setdefault(folder_of(each.place).key, []).append(each)
    prints = {key: fingerprint_of(Folder(key), files, references) for key, files in groups.items()}
    return Books(prints, references, **more)


def keys(drops: list[Drop], books: Books) -> list[str]:
    return [folder.key for folder in changed_folders(drops, books)]


def test_every_place_belongs_to_one_folder() -> None:
    assert folder_of(place_of("incoming/cygnus/2025-03/rev=2025-02/a.xlsx")).key == "cygnus/2025-03"
    assert folder_of(place_of("reference/territories.xlsx")).key == "reference/territories"
    assert folder_of(place_of("incoming/cygnus/2025-3/a.xlsx")).key == "unknown"


@pytest.mark.parametrize("key", ["cygnus/2025-03", "reference/territories", "unknown"])
def test_a_folder_comes_back_from_its_key(key: str) -> None:
    folder = folder_from_key(key)

    assert folder is not None
    assert folder.key == key
    assert (folder.is_partition, folder.is_reference) == (key[0] == "c", key[0] == "r")


@pytest.mark.parametrize("key", ["nobody/2025-03", "cygnus/2025-3", "reference/nothing", "cygnus", ""])
def test_a_folder_of_an_older_version_that_is_not_known_any_more_is_left_alone(key: str) -> None:
    assert folder_from_key(key) is None
    assert keys([], Books({key: "x"}, {})) == []


def test_a_folder_names_its_source_month_and_prefix() -> None:
    partition, table, unknown = (
        partition_folder("cygnus", MARCH), reference_folder("territories"), Folder("unknown")
    )  # fmt: skip

    assert (partition.name, partition.month, partition.prefix) == ("cygnus", MARCH, "incoming/cygnus/2025-03")
    assert (table.name, table.month, table.prefix) == ("territories", None, "reference")
    assert (unknown.name, unknown.month, unknown.prefix) == (None, None, "")
    assert partition.declaration is not None
    assert unknown.declaration is None


def test_nothing_changed_when_the_listing_is_as_it_was_ingested() -> None:
    drops = [drop("incoming/cygnus/2025-03/a.xlsx"), drop("reference/territories.xlsx"), drop("stray")]

    assert keys(drops, ingested(drops)) == []
    assert keys(list(reversed(drops)), ingested(drops)) == []


@pytest.mark.parametrize(
    "now",
    [
        [drop("incoming/cygnus/2025-03/a.xlsx", etag="2")],
        [drop("incoming/cygnus/2025-03/a.xlsx", size=11)],
        [drop("incoming/cygnus/2025-03/b.xlsx")],
        [drop("incoming/cygnus/2025-03/overlap=ok/a.xlsx")],
        [drop("incoming/cygnus/2025-03/a.xlsx"), drop("incoming/cygnus/2025-03/b.xlsx")],
        [],
    ],
)
def test_a_new_changed_renamed_or_deleted_file_changes_its_folder_alone(now: list[Drop]) -> None:
    other = drop("incoming/cygnus/2025-04/a.xlsx")
    books = ingested([drop("incoming/cygnus/2025-03/a.xlsx"), other])

    assert keys([*now, other], books) == ["cygnus/2025-03"]


def test_a_reference_table_changes_just_the_sources_that_are_checked_against_it() -> None:
    drops = [drop("incoming/cygnus/2025-03/a.xlsx"), drop("incoming/quickbooks/2025-03/a.xlsx")]
    books = ingested(drops, {"service_to_product": 1, "territories": 2})

    def with_versions(**references: int) -> Books:
        return Books(books.fingerprints, references)

    assert keys(drops, with_versions(service_to_product=1, territories=9)) == []
    assert keys(drops, with_versions(service_to_product=3, territories=2)) == ["quickbooks/2025-03"]
    assert keys(drops, with_versions(territories=2)) == ["quickbooks/2025-03"]


def test_a_folder_with_a_freed_copy_is_read_again() -> None:
    drops = [drop("incoming/cygnus/2025-03/a.xlsx")]

    assert keys(drops, ingested(drops, freed=frozenset({"cygnus/2025-03"}))) == ["cygnus/2025-03"]


def test_tables_come_first_then_emptied_folders_then_months_then_strays() -> None:
    books = Books({"cygnus/2025-05": "x", "novo/2025-04": "x", "novo/2025-03": ""}, {})
    drops = [
        drop("stray"), drop("incoming/novo/2025-02/a.xlsx"), drop("incoming/cygnus/2025-01/a.xlsx"),
        drop("incoming/cygnus/2025-02/a.xlsx"), drop("reference/territories.xlsx"),
    ]  # fmt: skip

    assert keys(drops, books) == [
        "reference/territories", "novo/2025-04", "cygnus/2025-05", "cygnus/2025-01", "cygnus/2025-02",
        "novo/2025-02", "unknown",
    ]  # fmt: skip


def test_the_first_load_of_everything_is_two_runs_and_a_gap_splits_a_range() -> None:
    months = ["2025-01", "2025-02", "2025-04"]
    sources = ("cygnus", "novo")
    everything = [drop(f"incoming/{source}/{month}/a.xlsx") for source in sources for month in months]

    def planned(drops: list[Drop]) -> list[tuple[tuple[str, ...], int]]:
        return [(run.names, len(run.folders())) for run in plan_runs(list(changed_folders(drops, NOTHING)))]

    assert planned(everything) == [(("cygnus", "novo"), 4), (("cygnus", "novo"), 2)]
    assert planned([*everything, drop("reference/territories.xlsx"), drop("stray")]) == [
        (("territories",), 1), (("cygnus", "novo"), 4), (("cygnus", "novo"), 2), (("unknown",), 1),
    ]  # fmt: skip


def test_a_source_waits_for_the_table_that_it_is_checked_against() -> None:
    drops = [
        drop("incoming/quickbooks/2025-01/a.xlsx"), drop("incoming/novo/2025-01/a.xlsx"),
        drop("reference/service_to_product.xlsx"),
    ]  # fmt: skip

    runs = plan_runs(list(changed_folders(drops, NOTHING)))

    assert [run.names for run in runs] == [("service_to_product",), ("novo",)]


class _Counting:
    """A connection that counts its statements."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection, self.count = connection, 0

    def execute(self, *args: Any) -> Any:
        self.count += 1
        return self.connection.execute(*args)


def test_a_hundred_thousand_files_cost_no_more_statements_than_one(zone: Zone) -> None:
    zone.run()
    counts = []
    for count in (1, 100_000):
        drops = [drop(f"incoming/cygnus/2025-03/{number}.xlsx") for number in range(count)]
        with psycopg.connect(zone.database_url) as connection:
            counting = _Counting(connection)
            books = read_books(counting)  # type: ignore[arg-type]
            assert keys(drops, books) == ["cygnus/2025-03"]
        counts.append(counting.count)

    assert counts[0] == counts[1] <= 4


def test_the_listing_is_that_of_the_bucket_and_a_look_changes_nothing(zone: Zone) -> None:
    zone.drop_sample()

    for _ in range(2):
        assert [folder.key for folder in changed_now(zone.job())] == ["cygnus/2025-03"]
    zone.run()
    assert changed_now(zone.job()) == []
