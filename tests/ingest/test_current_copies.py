"""Copies of the reference workbooks in force: written, kept up to date, never read, never overwritten."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import psycopg
import pytest

from shs_pipeline.ingest.changes import changed_folders, read_books
from shs_pipeline.ingest.current_copies import write_copies
from shs_pipeline.ingest.run import run_all
from shs_pipeline.landing.names import REFERENCE_NAMES
from shs_pipeline.landing.places import current_path, is_of_an_admin
from shs_pipeline.marts.identities import give_ids
from shs_pipeline.reference.seal import is_sealed, sealed
from shs_pipeline.samples.workbook import write_workbook

if TYPE_CHECKING:
    from tests.conftest import Zone

TERRITORIES = current_path("territories")


def copy(zone: Zone, *, with_ids: bool = False) -> list[str]:
    """Write the copies as a run does after its build; return which were."""
    with psycopg.connect(zone.database_url) as connection:
        if with_ids:
            give_ids(connection)
        return write_copies(zone.landing, connection, {})


def cells(zone: Zone, path: str) -> list[tuple[Any, ...]]:
    content = zone.landing.read(path)
    assert content is not None
    return list(openpyxl.load_workbook(io.BytesIO(content)).worksheets[0].iter_rows(values_only=True))


def saved_by_hand(content: bytes) -> bytes:
    """The workbook as a program saves it that changes nothing."""
    stream = io.BytesIO()
    openpyxl.load_workbook(io.BytesIO(content)).save(stream)
    return stream.getvalue()


def due(zone: Zone) -> list[str]:
    with psycopg.connect(zone.database_url) as connection:
        return [folder.key for folder in changed_folders(zone.landing.drops(), read_books(connection))]


@pytest.fixture
def copied(zone: Zone) -> Zone:
    """A zone with the tables in force, and their copies."""
    zone.drop_references()
    zone.run()
    assert copy(zone, with_ids=True) == [current_path(table) for table in REFERENCE_NAMES]
    return zone


def test_the_copies_hold_given_ids_and_are_written_when_something_changed(copied: Zone) -> None:
    header, *reps = cells(copied, current_path("sales_reps"))
    ids = [row[header.index("Payee ID")] for row in reps]
    assert ids
    assert all(ids)
    before = {path: copied.landing.read(path) for path in map(current_path, REFERENCE_NAMES)}

    assert copy(copied) == []

    # Every workbook has drop-down lists of the other tables.
    copied.drop("reference/aliases.xlsx", write_workbook({"Aliases": [
        ["Kind", "Source", "Name in File", "Means", "Share", "Valid from", "Valid until"],
        ["product line", None, "Signus", "Cygnus", None, None, None],
    ]}))  # fmt: skip
    copied.run()
    assert copy(copied) == list(before)
    changed = [path for path, content in before.items() if copied.landing.read(path) != content]
    assert changed == [current_path("aliases")]


def test_an_empty_landing_zone_gets_empty_workbooks_to_begin_with(zone: Zone) -> None:
    assert copy(zone) == [current_path(table) for table in REFERENCE_NAMES]

    assert [row[0] for row in cells(zone, TERRITORIES)] == ["Source"]
    assert due(zone) == []


def test_copies_are_neither_read_nor_unknown(copied: Zone) -> None:
    assert due(copied) == []
    assert copied.run() == []
    assert {report.folder.key for report in run_all(copied.job())} == {
        f"reference/{table}" for table in REFERENCE_NAMES
    }
    assert not [path for path, _ in copied.statuses() if "current" in path]
    assert not is_of_an_admin(TERRITORIES)


def test_a_copy_changed_by_hand_is_told_where_it_belongs_and_left_as_it_is(copied: Zone) -> None:
    content = copied.landing.read(TERRITORIES)
    assert content is not None
    edited = saved_by_hand(content)
    copied.drop(TERRITORIES, edited)

    copied.run()

    assert copied.problem(TERRITORIES) == (
        "reference/current/territories.xlsx was changed by hand. Nothing is read from reference/current/. "
        "To put it in force, move it to reference/territories.xlsx; the next run then writes the copy again."
    )
    assert copied.errors(TERRITORIES) is not None
    copied.drop_references("tier_thresholds")
    copied.run()
    assert TERRITORIES not in copy(copied)
    assert copied.landing.read(TERRITORIES) == edited

    copied.move(TERRITORIES, "reference/territories.xlsx")
    copied.run()
    assert TERRITORIES in copy(copied)
    assert copied.problem(TERRITORIES) == ""
    assert due(copied) == []


def test_another_file_there_is_told_where_it_belongs(copied: Zone) -> None:
    other = copied.drop("reference/current/Territories (2).xlsx", b"of somebody")
    deep = copied.drop("reference/current/old/territories.xlsx", b"of somebody else")

    copied.run()

    said = (
        "is not one of the copies that the system writes. Nothing is read from reference/current/. To put it "
    )
    assert copied.problem(other) == f"{other} {said}in force, move it to reference/<table>.xlsx."
    assert copied.problem(deep) == f"{deep} {said}in force, move it to reference/territories.xlsx."
    assert copy(copied) == []


def test_a_landing_zone_that_was_copied_has_the_same_copies(copied: Zone, tmp_path: Path) -> None:
    """Its files have other etags; what a program saved has another seal, too."""
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(copied.folder, elsewhere)
    copied.url = elsewhere.as_uri()
    del copied.landing

    copied.run()

    assert not [path for path, _ in copied.statuses() if "current" in path]
    assert due(copied) == []


def test_a_deleted_copy_is_written_again(copied: Zone) -> None:
    copied.delete(TERRITORIES)

    assert copy(copied) == [TERRITORIES]
    assert due(copied) == []


@pytest.mark.slow
def test_a_bucket_names_a_copy_as_the_store_did_when_it_was_written(s3_zone: Zone) -> None:
    s3_zone.drop_references("territories", "sales_reps")
    s3_zone.run()
    assert len(copy(s3_zone)) == len(REFERENCE_NAMES)

    known = dict(s3_zone.query("select path, etag from ops.written"))

    assert known == {drop.path: drop.etag for drop in s3_zone.landing.drops("reference/current")}
    assert due(s3_zone) == []
    assert copy(s3_zone) == []


def test_a_seal_breaks_with_any_edit_and_is_that_of_one_table() -> None:
    plain = write_workbook({"A": [["x"], [1]]})
    content = sealed("territories", plain)

    assert is_sealed("territories", content)
    assert sealed("territories", plain) == sealed("territories", content) == content
    assert not is_sealed("sales_reps", content)
    assert not is_sealed("territories", plain)
    assert not is_sealed("territories", saved_by_hand(content))
    for bad in (b"", b"no workbook", content[:-30], content[: len(content) // 2]):
        assert not is_sealed("territories", bad)
