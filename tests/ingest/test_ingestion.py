"""Ingestion as an admin sees it: what lies in a folder is what the warehouse holds, whole or not at all."""

from __future__ import annotations

import io
import os
import pwd
import zipfile
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import openpyxl
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from shs_pipeline.files.contract import columns_of
from shs_pipeline.ingest import drop_reading
from shs_pipeline.ingest.changes import Folder
from shs_pipeline.ingest.ingestion import Ingestion
from shs_pipeline.ingest.run import run_all, run_changed, trouble_of
from shs_pipeline.landing import listing
from shs_pipeline.landing.names import REFERENCE_NAMES, SOURCE_NAMES
from shs_pipeline.landing.zone import Landing, LandingError
from shs_pipeline.samples.broken import edited, place_of, with_bad_cell
from shs_pipeline.samples.plan import SampleFile
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.samples.workbook import write_workbook
from shs_pipeline.sources.registry import source_named

if TYPE_CHECKING:
    from tests.conftest import Zone

MARCH = date(2025, 3, 1)


def sample(source: str = "cygnus", month: date = MARCH, *, lines: int = 6, seed: int = 1) -> SampleFile:
    return make_sample(source, month, lines=lines, seed=seed)


def broken(content: bytes, row: int = 5) -> bytes:
    """A cygnus workbook with one cell that is no amount."""
    return with_bad_cell(content, "Invoice Total", row, "seven")


def truth(source: str, path: str, file: SampleFile) -> list[dict[str, Any]]:
    """What the raw table should hold of a sample, by database name."""
    names = {column.header: column.name for column in columns_of(source_named(source).rows)}
    return [
        {"path": path, **{names.get(header, header): value for header, value in line.items()}}
        for line in file.lines
    ]


def loaded(zone: Zone, source: str) -> list[dict[str, Any]]:
    """The raw table, line by line in the order of file and row, without what the load adds."""
    names = ["path", *(column.name for column in columns_of(source_named(source).rows))]
    columns = ", ".join(f'r."{name}"' for name in names[1:])
    rows = zone.query(
        f"select f.path, r.source_sheet, r.source_row, {columns} from raw.{source} as r"
        " inner join ops.files as f using (file_id) order by f.path, r.source_sheet, r.source_row"
    )
    return [dict(zip(["path", "source_sheet", "source_row", *names[1:]], row, strict=True)) for row in rows]


def novo(*lines: int) -> bytes:
    """A novo workbook of lines that are the same sale wherever they have the same number."""
    columns = columns_of(source_named("novo").rows)
    rows: list[list[Any]] = [[], [], [column.header for column in columns]]
    for number in lines:
        cells = {
            "customer_number": "0210", "invoice_number": 5000 + number, "invoice_date": MARCH,
            "extension": 100 + number, "commission_amount": number,
        }  # fmt: skip
        rows.append([cells.get(column.name) for column in columns])
    return write_workbook({"Sheet1": rows})


# --- a partition is a pure function of its folder -----------------------------------------


@pytest.mark.parametrize("source", SOURCE_NAMES)
def test_every_line_of_a_file_is_loaded_as_delivered(zone: Zone, source: str) -> None:
    zone.drop_references("service_to_product")
    path = zone.drop_sample(source)

    zone.run()

    found, expected = loaded(zone, source), truth(source, path, sample(source))
    assert len(found) == 6
    for row, should in zip(found, expected, strict=True):
        assert {name: row[name] for name in should} == should
    assert zone.query(f"select distinct commission_month from raw.{source}") == [(MARCH,)]


def test_files_of_a_folder_add_up_and_a_deleted_one_goes_with_its_lines(zone: Zone) -> None:
    first, second = zone.drop_sample(), zone.drop_sample(seed=2, name="second file.xlsx")

    zone.run()
    assert loaded(zone, "cygnus") == truth("cygnus", first, sample()) + truth(
        "cygnus", second, sample(seed=2)
    )

    zone.delete(first)
    zone.run()
    assert loaded(zone, "cygnus") == truth("cygnus", second, sample(seed=2))

    zone.delete(second)
    zone.run()
    assert loaded(zone, "cygnus") == []
    assert [status for _, status in zone.statuses()] == ["withdrawn", "withdrawn"]


def test_the_owner_of_a_file_is_who_brought_it(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    own, foreign = zone.drop_sample(), zone.drop_sample(seed=2, name="of somebody.xlsx")
    zone.drop("incoming/cygnus/2025-03/bad.xlsx", b"no workbook")
    name = pwd.getpwuid(os.getuid()).pw_name

    def known(uid: int) -> object:
        raise KeyError(uid)

    zone.run()
    monkeypatch.setattr(listing.pwd, "getpwuid", known)
    listing.owner_of.cache_clear()
    zone.drop_sample(seed=3, name="of somebody.xlsx")
    zone.run()
    listing.owner_of.cache_clear()

    rows = zone.query("select path, actor from ops.files order by file_id")
    assert sorted(rows) == sorted([
        (own, name), (foreign, name), ("incoming/cygnus/2025-03/bad.xlsx", name),
        (foreign, str(os.getuid())),
    ])  # fmt: skip


def test_a_corrected_file_dropped_over_the_old_one_takes_its_place(zone: Zone) -> None:
    path = zone.drop_sample()
    zone.run()

    zone.drop(path, sample(lines=9, seed=3).content)
    zone.run()

    assert loaded(zone, "cygnus") == truth("cygnus", path, sample(lines=9, seed=3))
    assert zone.statuses() == [(path, "superseded"), (path, "loaded")]


def test_one_corrected_cell_is_no_copy_of_the_old_file(zone: Zone) -> None:
    path = zone.drop_sample()
    zone.run()

    zone.drop(path, with_bad_cell(sample().content, "Invoice Total", 5, 77))
    zone.run()

    found = loaded(zone, "cygnus")
    assert (len(found), found[0]["invoice_total"]) == (6, Decimal(77))


def test_a_rerun_gives_the_same_rows_and_books(zone: Zone) -> None:
    zone.drop_references()
    for source in SOURCE_NAMES:
        zone.drop_sample(source)
    zone.drop("incoming/cygnus/2025-03/bad.xlsx", broken(sample(seed=5).content))
    zone.run()

    def state() -> list[Any]:
        files = "select file_id, path, status, sha256, rows_read, rows_loaded, left_out, sums, first_seen"
        errors = 'select file_id, error_no, sheet, "row", "column", value from ops.file_errors order by 1, 2'
        return [
            *(zone.raw(source) for source in SOURCE_NAMES),
            zone.query(f"{files} from ops.files order by file_id"), zone.query(errors),
            zone.query("select * from reference.versions order by file_id"),
            zone.errors("incoming/cygnus/2025-03/bad.xlsx"),
        ]  # fmt: skip

    before = state()
    assert zone.run() == []
    assert state() == before
    reports = run_all(zone.job())

    assert len(reports) == len(SOURCE_NAMES) + len(REFERENCE_NAMES)
    assert state() == before


def test_the_system_never_changes_what_was_dropped(zone: Zone) -> None:
    zone.drop_references()
    paths = [zone.drop_sample(source) for source in SOURCE_NAMES]
    paths.append(zone.drop("incoming/cygnus/2025-03/bad.xlsx", broken(sample(seed=5).content)))
    paths.append(zone.drop("incoming/cygnus/2025-04/copy.xlsx", sample().content))
    paths.append(zone.drop("stray/file.txt", b"hello"))

    def state() -> dict[str, tuple[bytes, int, int]]:
        files = [path for path in zone.folder.rglob("*") if path.is_file() and "rejected" not in path.parts]
        return {str(f): (f.read_bytes(), f.stat().st_mtime_ns, f.stat().st_mode) for f in files}

    before = state()
    zone.run()
    run_all(zone.job())

    assert len(before) == len(paths) + len(REFERENCE_NAMES)
    assert state() == before


def test_a_renamed_file_is_loaded_under_its_new_name(zone: Zone) -> None:
    path = zone.drop_sample()
    zone.run()

    to = zone.move(path, "incoming/cygnus/2025-03/new name.xlsx")
    zone.run()

    assert loaded(zone, "cygnus") == truth("cygnus", to, sample())
    assert zone.statuses() == [(path, "withdrawn"), (to, "loaded")]


@pytest.mark.parametrize("to_month", ["2025-01", "2025-05"])
@pytest.mark.parametrize("has_neighbours", [False, True])
def test_a_file_moved_to_another_month_is_there_after_one_run(
    zone: Zone, to_month: str, has_neighbours: bool
) -> None:
    moved = sample(month=date(2025, 1, 1))
    path = zone.drop("incoming/cygnus/2025-03/moved.xlsx", moved.content)
    if has_neighbours:
        zone.drop_sample(seed=8, name="stays.xlsx")
        zone.drop_sample(month=to_month, seed=9, name="was there.xlsx")
    zone.run()

    to = zone.move(path, f"incoming/cygnus/{to_month}/moved.xlsx")
    zone.run()

    months = dict(zone.query("select path, commission_month from ops.files"))
    assert [row for row in loaded(zone, "cygnus") if row["path"] == to] == truth("cygnus", to, moved)
    assert dict(zone.statuses())[path] == "withdrawn"
    assert dict(zone.statuses())[to] == "loaded"
    assert months[to] == date.fromisoformat(f"{to_month}-01")
    assert len(loaded(zone, "cygnus")) == (18 if has_neighbours else 6)
    assert zone.errors(to) is None


@pytest.mark.parametrize("second", ["incoming/cygnus/2025-04/f.xlsx", "incoming/cygnus/2025-03/g.xlsx"])
@pytest.mark.parametrize("is_same_lines", [False, True])
def test_two_files_that_changed_places_are_both_loaded_again(
    zone: Zone, second: str, is_same_lines: bool
) -> None:
    first = "incoming/cygnus/2025-03/f.xlsx"
    one, two = sample().content, sample(seed=2).content
    zone.drop(first, one), zone.drop(second, two)
    zone.run()

    if is_same_lines:  # as saved again: other bytes
        one, two = edited(one, {"A1": "saved again"}), edited(two, {"A1": "saved again"})
    zone.drop(first, two), zone.drop(second, one)
    zone.run()

    assert loaded(zone, "cygnus") == truth("cygnus", first, sample(seed=2)) + truth(
        "cygnus", second, sample()
    )
    assert sorted(status for _, status in zone.statuses()) == ["loaded"] * 2 + ["superseded"] * 2


def test_a_year_that_was_shifted_by_a_month_is_put_right_in_one_run(zone: Zone) -> None:
    files = [sample("novo", date(2025, month, 1)) for month in range(1, 8)]
    paths = [f"incoming/novo/2025-{month:02d}/statement.xlsx" for month in range(1, 9)]
    for path, file in zip(paths, files, strict=False):
        zone.drop(path, file.content)
    zone.run()

    for path, file in zip(paths, [files[6], *files], strict=True):
        zone.drop(path, file.content)
    zone.delete(paths[0])
    zone.run()
    assert loaded(zone, "novo") == [
        row for path, file in zip(paths[1:], files, strict=True) for row in truth("novo", path, file)
    ]

    for path, file in zip(paths, files, strict=False):
        zone.drop(path, file.content)
    zone.delete(paths[-1])
    zone.run()
    assert loaded(zone, "novo") == [
        row for path, file in zip(paths, files, strict=False) for row in truth("novo", path, file)
    ]


def test_a_file_with_an_odd_name_is_loaded_and_rejected_like_any_other(zone: Zone) -> None:
    name = "incoming/cygnus/2025-03/Ümläut 100% #1 (2) %41.XLSX"
    zone.drop(name, broken(sample().content))
    zone.run()
    assert zone.statuses() == [(name, "rejected")]
    assert zone.errors(name) is not None

    zone.drop(name, sample().content)
    zone.run()
    assert loaded(zone, "cygnus") == truth("cygnus", name, sample())
    assert zone.errors(name) is None


def test_a_revenue_month_named_by_the_place_reaches_the_lines_and_the_books(zone: Zone) -> None:
    content = sample("sunoptic").content
    path = zone.drop("incoming/sunoptic/2025-03/rev=2025-01/a.xlsx", content)
    zone.run()

    assert zone.query("select distinct revenue_date from raw.sunoptic") == [(date(2025, 1, 1),)]
    assert zone.query("select revenue_month from ops.files") == [(date(2025, 1, 1),)]

    zone.move(path, "incoming/sunoptic/2025-03/a.xlsx")
    zone.run()
    assert zone.query("select distinct revenue_date from raw.sunoptic order by 1") == sorted(
        {(line["Invoice Date"],) for line in sample("sunoptic").lines}
    )


def test_a_revenue_month_where_the_lines_have_their_own_is_rejected(zone: Zone) -> None:
    path = zone.drop("incoming/cygnus/2025-03/rev=2025-02/a.xlsx", sample().content)
    zone.run()

    assert "Move it out of the rev= folder" in zone.problem(path)


def test_litter_is_never_booked(zone: Zone) -> None:
    for name in (".DS_Store", "~$report.xlsx", "Thumbs.db"):
        zone.drop(f"incoming/cygnus/2025-03/{name}", b"x")

    assert zone.run() == []
    assert zone.statuses() == []


# --- all or nothing -----------------------------------------------------------------------


def test_one_bad_cell_keeps_out_the_whole_file_and_nothing_else(zone: Zone) -> None:
    good = zone.drop_sample(seed=2, name="good.xlsx")
    bad = zone.drop("incoming/cygnus/2025-03/bad.xlsx", broken(sample().content))

    reports = zone.run()

    assert loaded(zone, "cygnus") == truth("cygnus", good, sample(seed=2))
    assert [[file.status for file in report.files] for report in reports] == [["rejected", "loaded"]]
    assert zone.errors(bad) is not None
    assert zone.errors(good) is None


def test_the_version_that_loaded_before_stays_in_force_until_a_good_one_comes(zone: Zone) -> None:
    path = zone.drop_sample()
    zone.run()

    for seed in (2, 3):
        zone.drop(path, broken(sample(seed=seed).content))
        zone.run()
        assert loaded(zone, "cygnus") == truth("cygnus", path, sample())
        assert zone.errors(path) is not None

    zone.drop(path, sample(seed=4).content)
    zone.run()
    assert loaded(zone, "cygnus") == truth("cygnus", path, sample(seed=4))
    assert zone.errors(path) is None
    assert [status for _, status in zone.statuses()] == ["superseded", "superseded", "superseded", "loaded"]


def test_the_same_good_file_again_ends_a_rejection(zone: Zone) -> None:
    path = zone.drop_sample()
    zone.run()
    zone.drop(path, broken(sample().content))
    zone.run()

    zone.drop(path, sample().content)
    zone.run()

    assert loaded(zone, "cygnus") == truth("cygnus", path, sample())
    assert zone.statuses() == [(path, "loaded"), (path, "superseded")]
    assert zone.errors(path) is None


@pytest.mark.parametrize("was_loaded", [False, True])
def test_deleting_a_rejected_file_takes_its_error_workbook_and_its_lines_along(
    zone: Zone, was_loaded: bool
) -> None:
    path = zone.drop_sample()
    if was_loaded:
        zone.run()
    zone.drop(path, broken(sample().content))
    zone.run()
    assert zone.errors(path) is not None

    zone.delete(path)
    zone.run()

    assert zone.errors(path) is None
    assert loaded(zone, "cygnus") == []
    assert {status for _, status in zone.statuses()} == {"withdrawn"}


def test_all_errors_are_booked_with_their_place_and_shown_in_the_workbook(zone: Zone) -> None:
    content = sample().content
    places = [place_of(content, header, 5) for header in ("Invoice Total", "ClosedDate")]
    path = zone.drop(
        "incoming/cygnus/2025-03/bad.xlsx",
        edited(content, {places[0]: "seven", places[1]: "soon", place_of(content, "Rep %", 5): None}),
    )
    zone.run()

    booked = zone.query(
        'select error_no, severity, sheet, "row", "column", value, e.problem <> %s, e.remedy <> %s'
        " from ops.file_errors as e inner join ops.files using (file_id) where path = %s order by error_no",
        "", "", path,
    )  # fmt: skip
    assert [row[0] for row in booked] == list(range(1, len(booked) + 1))
    assert {(*row[1:6],) for row in booked} >= {
        ("error", "Report", 5, "Invoice Total", "seven"), ("error", "Report", 5, "ClosedDate", "soon"),
    }  # fmt: skip
    assert all(row[6] and row[7] for row in booked)
    (count, first) = zone.query("select error_count, problem from ops.files")[0]
    assert count == sum(row[1] == "error" for row in booked)
    assert first.startswith("Report, row 5, ")
    assert first.endswith(zone.query("select problem from ops.file_errors where error_no = 1")[0][0])
    book = openpyxl.load_workbook(io.BytesIO(zone.errors(path) or b""))
    listed = [[cell.value for cell in row] for row in book.worksheets[0].iter_rows()]
    assert sum(1 for row in listed if row[0] in ("error", "Error")) == count
    assert book["Report"][places[0]].comment is not None


def test_a_mended_file_leaves_the_errors_of_the_bad_one_in_the_history_alone(zone: Zone) -> None:
    path = zone.drop("incoming/cygnus/2025-03/a.xlsx", broken(sample().content))
    zone.run()
    zone.drop(path, sample().content)
    zone.run()

    by_status = zone.query(
        "select status, (select count(*) from ops.file_errors as e where e.file_id = f.file_id)"
        " from ops.files as f order by file_id"
    )
    assert by_status == [("superseded", 1), ("loaded", 0)]


def test_a_character_that_no_database_holds_stops_no_file(zone: Zone) -> None:
    content = sample("novo").content
    good = edited(content, {place_of(content, "Comment", 4): "a_x0000_b"})
    zone.drop("incoming/novo/2025-03/good.xlsx", good)
    bad = edited(
        sample("novo", seed=2).content,
        {
            place_of(content, "Comment", 4): "a_x0000_b",
            place_of(content, "Extension", 4): "x_x0000_y",
            place_of(content, "Invoice Number", 12): "Total_x0000_",
        },
    )
    zone.drop("incoming/novo/2025-03/bad.xlsx", bad)
    zone.run()

    assert loaded(zone, "novo")[0]["comment"] == "a b"
    assert zone.query('select value from ops.file_errors where "column" = %s', "Extension") == [("xy",)]


def test_text_that_means_something_to_the_database_is_loaded_as_it_is(zone: Zone) -> None:
    content = sample("novo").content
    odd = ["\\N", "\\.", "C:\\temp\\new", "NULL"]
    cells = {place_of(content, "Comment", row): text for row, text in enumerate(odd, start=4)}
    zone.drop("incoming/novo/2025-03/odd.xlsx", edited(content, cells))
    zone.run()

    assert [line["comment"] for line in loaded(zone, "novo")][: len(odd)] == odd


# --- nothing is paid twice ----------------------------------------------------------------


@pytest.mark.parametrize(
    "copy",
    [
        "incoming/cygnus/2025-03/second name.xlsx",
        "incoming/cygnus/2025-02/Cygnus commission 2025-03.xlsx",
        "incoming/cygnus/2025-04/copy.xlsx",
        "incoming/cygnus/2025-04/overlap=ok/copy.xlsx",
    ],
)
def test_the_same_bytes_elsewhere_are_rejected_and_name_the_first(zone: Zone, copy: str) -> None:
    path = zone.drop_sample()
    zone.run()

    zone.drop(copy, sample().content)
    zone.run()

    assert loaded(zone, "cygnus") == truth("cygnus", path, sample())
    assert f"{copy} is identical to {path}" in zone.problem(copy)
    assert zone.query("select blocked_by from ops.files where path = %s", copy) == zone.query(
        "select file_id from ops.files where path = %s", path
    )
    assert zone.errors(copy) is not None


def test_the_same_bytes_in_another_source_do_not_fit_it(zone: Zone) -> None:
    zone.drop_sample()
    copy = zone.drop("incoming/novo/2025-03/copy.xlsx", sample().content)
    zone.run()

    assert dict(zone.statuses())[copy] == "rejected"
    assert loaded(zone, "novo") == []


def test_of_two_new_files_with_the_same_bytes_in_a_folder_the_first_by_name_is_loaded(zone: Zone) -> None:
    second, first = zone.drop_sample(name="b.xlsx"), zone.drop_sample(name="a.xlsx")

    zone.run()

    assert loaded(zone, "cygnus") == truth("cygnus", first, sample())
    assert first in zone.problem(second)


def test_a_file_in_force_stays_it_when_a_copy_comes_whose_name_sorts_before(zone: Zone) -> None:
    path = zone.drop_sample(name="b.xlsx")
    zone.run()
    copy = zone.drop_sample(name="a.xlsx")
    zone.run()

    assert dict(zone.statuses()) == {path: "loaded", copy: "rejected"}


@pytest.mark.parametrize("month", ["2025-02", "2025-03", "2025-04"])
def test_deleting_the_first_frees_the_copy_within_the_same_run(zone: Zone, month: str) -> None:
    path = zone.drop_sample(name="b.xlsx")
    zone.run()
    copy = zone.drop(f"incoming/cygnus/{month}/a.xlsx", sample().content)
    zone.run()
    assert zone.errors(copy) is not None

    zone.delete(path)
    zone.run()

    assert loaded(zone, "cygnus") == truth("cygnus", copy, sample())
    assert zone.errors(copy) is None
    assert zone.query("select status, blocked_by, error_count from ops.files where path = %s", copy) == [
        ("loaded", None, 0)
    ]


def test_correcting_the_first_frees_the_copy_too(zone: Zone) -> None:
    path = zone.drop_sample(name="b.xlsx")
    copy = zone.drop_sample(month="2025-04", seed=1, name="a.xlsx")
    zone.drop(copy, sample().content)
    zone.run()

    zone.drop(path, sample(seed=2).content)
    zone.run()

    assert loaded(zone, "cygnus") == truth("cygnus", path, sample(seed=2)) + truth("cygnus", copy, sample())


def test_more_than_half_of_the_lines_make_a_copy_and_exactly_half_does_not(zone: Zone) -> None:
    first = zone.drop("incoming/novo/2025-03/first.xlsx", novo(1, 2, 3, 4, 5, 6))
    zone.run()

    half = zone.drop("incoming/novo/2025-04/half.xlsx", novo(1, 2, 11, 12))
    more = zone.drop("incoming/novo/2025-04/more.xlsx", novo(3, 4, 5, 13, 14))
    zone.run()

    statuses = dict(zone.statuses())
    assert (statuses[half], statuses[more]) == ("loaded", "rejected")
    assert f"3 of the 5 lines in {more} are already loaded, most of them from {first}" in zone.problem(more)
    assert "incoming/novo/2025-04/overlap=ok/more.xlsx" in zone.problem(more)
    assert zone.query("select count(*) from raw.novo") == [(10,)]


def test_a_copy_under_overlap_ok_is_loaded_and_what_was_there_before_stays_loaded(zone: Zone) -> None:
    first = zone.drop("incoming/novo/2025-03/first.xlsx", novo(1, 2))
    zone.run()
    second = zone.drop("incoming/novo/2025-04/overlap=ok/second.xlsx", novo(1, 2, 3))
    zone.run()

    # A rerun does not find the first one to be a copy of the second.
    run_all(zone.job())

    assert dict(zone.statuses()) == {first: "loaded", second: "loaded"}
    assert zone.query("select count(*) from raw.novo") == [(5,)]


def test_an_older_small_file_stays_loaded_when_a_large_one_has_its_lines(zone: Zone) -> None:
    small = zone.drop("incoming/novo/2025-03/small.xlsx", novo(1, 2))
    zone.run()
    large = zone.drop("incoming/novo/2025-04/large.xlsx", novo(*range(1, 11)))
    zone.run()
    run_all(zone.job())
    assert dict(zone.statuses()) == {small: "loaded", large: "loaded"}

    zone.drop("incoming/novo/2025-03/other.xlsx", novo(20, 21))
    zone.run()
    assert dict(zone.statuses())[small] == "loaded"
    assert zone.errors(small) is None


def test_a_line_that_two_other_files_have_counts_once(zone: Zone) -> None:
    zone.drop("incoming/novo/2025-01/a.xlsx", novo(1, 2, 10, 11))
    zone.run()
    zone.drop("incoming/novo/2025-02/b.xlsx", novo(1, 2, 20, 21))
    zone.run()

    third = zone.drop("incoming/novo/2025-03/c.xlsx", novo(1, 2, 30, 31))
    zone.run()

    assert dict(zone.statuses())[third] == "loaded"


def test_lines_that_are_spread_over_several_files_make_a_copy_until_one_of_them_goes(zone: Zone) -> None:
    paths = [
        zone.drop("incoming/novo/2025-03/a.xlsx", novo(1, 2, 3)),
        zone.drop("incoming/novo/2025-04/b.xlsx", novo(4, 5)),
    ]
    zone.run()
    whole = zone.drop("incoming/novo/2025-05/whole.xlsx", novo(1, 2, 3, 4, 5, 6))
    zone.run()
    assert f"5 of the 6 lines in {whole} are already loaded, most of them from {paths[0]}" in zone.problem(
        whole
    )

    zone.delete(paths[1])
    zone.run()

    assert dict(zone.statuses())[whole] == "loaded"


def test_a_line_that_a_file_has_twice_is_no_copy_of_itself(zone: Zone) -> None:
    path = zone.drop("incoming/novo/2025-03/a.xlsx", novo(1, 1, 1, 2))
    zone.run()

    assert zone.statuses() == [(path, "loaded")]
    assert zone.query("select count(*) from raw.novo") == [(4,)]


def test_the_remedy_for_a_copy_keeps_the_revenue_month(zone: Zone) -> None:
    zone.drop("incoming/sunoptic/2025-03/rev=2025-02/a.xlsx", sample("sunoptic").content)
    zone.run()
    again = edited(sample("sunoptic").content, {"A40": " "})
    copy = zone.drop("incoming/sunoptic/2025-04/rev=2025-02/b.xlsx", again)
    zone.run()

    assert "incoming/sunoptic/2025-04/rev=2025-02/overlap=ok/b.xlsx" in zone.problem(copy)


# --- files that cannot be read, places that are unknown ------------------------------------


def zip_of(names: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return stream.getvalue()


UNREADABLE = {
    "a.csv": (b"a,b\n", "is not a .xlsx file", "Save it as .xlsx"),
    "a": (b"text", "is not a .xlsx file", "Save it as .xlsx"),
    "b.pdf": (b"%PDF-1.4", "is not a .xlsx file", "Save it as .xlsx"),
    "c.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is not a .xlsx file", "Save it as .xlsx"),
    "d.xlsm": (b"PK", "is a workbook with macros", "as .xlsx"),
    "e.xlsx": (b"", "is empty (0 bytes)", "Export it again"),
    "f.xlsx": (b"hello", "is not an Excel workbook, or is damaged", "save it as .xlsx"),
    "g.xlsx": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"),
        "is protected with a password", "remove the password",
    ),
    "h.xlsx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "old .xls format", "as .xlsx"),
    "i.xlsx": (
        zip_of({"xl/workbook.xml": b"<x/>", "xl/vbaProject.bin": b"x"}),
        "contains macros", "drops the macros",
    ),
    "j.xlsx": (
        zip_of({"xl/workbook.xml": b"<x/>", "xl/worksheets/sheet1.xml": b" " * 30_000_000}),
        "like a zip bomb", "new workbook",
    ),
    "k.xlsx": (b"x" * 1_100_000, "more than the limit of 1 MB", "SHS_MAX_FILE_MB"),
    "l.xlsx": (write_workbook({"S": [["nothing", "known"]]}), "", ""),
}  # fmt: skip


def test_what_cannot_be_read_is_rejected_with_the_remedy_and_the_rest_is_loaded(zone: Zone) -> None:
    zone.max_bytes = 1 << 20
    good = zone.drop_sample(name="z.xlsx")
    for name, (content, *_) in UNREADABLE.items():
        zone.drop(f"incoming/cygnus/2025-03/{name}", content)

    zone.run()

    assert loaded(zone, "cygnus") == truth("cygnus", good, sample())
    for name, (_, problem, remedy) in UNREADABLE.items():
        path = f"incoming/cygnus/2025-03/{name}"
        said = zone.problem(path)
        assert said, name
        assert problem in said, name
        assert remedy in said, name
        assert "Traceback" not in said
        assert openpyxl.load_workbook(io.BytesIO(zone.errors(path) or b"")).worksheets


def test_a_file_over_the_limit_is_booked_without_being_fetched(zone: Zone) -> None:
    zone.max_bytes = 1 << 20
    for size in (1_100_000, 1_200_000):
        path = zone.drop("incoming/cygnus/2025-03/a.xlsx", b"x" * size)
        zone.run()

    assert zone.query("select path, bytes, sha256, status from ops.files order by file_id") == [
        (path, 1_100_000, None, "superseded"), (path, 1_200_000, None, "rejected"),
    ]  # fmt: skip


def test_files_in_unknown_places_are_said_until_they_are_moved(zone: Zone) -> None:
    strays = [
        "loose.xlsx", "incoming/loose.xlsx", "incoming/cygnus/2025-3/a.xlsx",
        "incoming/nobody/2025-03/a.xlsx",
        "incoming/cygnus/2025-03/sub/a.xlsx", "reference/territory.xlsx", "incoming/cygnus/2999-01/a.xlsx",
    ]  # fmt: skip
    for number, path in enumerate(strays):
        zone.drop(path, sample(seed=number).content)
    [report] = zone.run()

    assert report.folder == Folder("unknown")
    assert sorted(zone.statuses()) == sorted((path, "rejected") for path in strays)
    assert all(path in zone.problem(path) for path in strays)
    assert all(zone.errors(path) for path in strays)
    assert zone.run() == []

    to = zone.move(strays[0], "incoming/cygnus/2025-03/a.xlsx")
    for path in strays[1:]:
        zone.delete(path)
    zone.run()

    assert loaded(zone, "cygnus") == truth("cygnus", to, sample(seed=0))
    assert not any(zone.errors(path) for path in strays)
    assert {status for path, status in zone.statuses() if path in strays} == {"withdrawn"}


def test_a_month_that_was_too_far_ahead_is_loaded_when_its_time_has_come(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zone.drop("incoming/cygnus/2999-03/a.xlsx", sample().content)
    zone.run()
    assert "out of range" in zone.problem(path)

    monkeypatch.setattr("shs_pipeline.landing.places.last_month", lambda: date(2999, 12, 1))
    zone.run()

    assert loaded(zone, "cygnus") == truth("cygnus", path, sample())
    assert zone.errors(path) is None
    assert zone.statuses()[-1] == (path, "loaded")


# --- one file never stops another -----------------------------------------------------------


def test_a_corrected_file_named_in_the_other_unicode_form_replaces_the_former(zone: Zone) -> None:
    zone.drop("incoming/cygnus/2025-03/M\u00fcnchen.xlsx", sample().content)
    zone.run()
    zone.delete("incoming/cygnus/2025-03/M\u00fcnchen.xlsx")
    zone.drop("incoming/cygnus/2025-03/Mu\u0308nchen.xlsx", sample(seed=2).content)
    zone.run()

    path = "incoming/cygnus/2025-03/M\u00fcnchen.xlsx"
    assert zone.statuses() == [(path, "superseded"), (path, "loaded")]
    assert loaded(zone, "cygnus") == truth("cygnus", path, sample(seed=2))

    zone.drop("incoming/cygnus/2025-03/M\u00fcnchen.xlsx", sample(seed=3).content)
    zone.run()
    assert "Two files are called" in zone.problem(path)
    assert loaded(zone, "cygnus") == truth("cygnus", path, sample(seed=2)), "the former stays in force"
    assert zone.run() == []


def test_a_rejected_file_with_the_longest_name_there_is_is_rejected_like_any_other(zone: Zone) -> None:
    path = zone.drop(f"incoming/cygnus/2025-03/{'x' * 244}.xlsx", broken(sample().content))
    good = zone.drop_sample(seed=2, name="good.xlsx")
    zone.run()

    assert dict(zone.statuses()) == {path: "rejected", good: "loaded"}
    [(uri,)] = zone.query("select error_workbook from ops.files where path = %s", path)
    assert zone.landing.read(unquote(uri.removeprefix(f"{zone.url}/")))

    zone.drop(path, sample().content)
    zone.run()
    assert dict(zone.statuses())[path] == "loaded"
    assert not list((zone.folder / "rejected").rglob("*.xlsx"))


def test_names_links_and_strangers_are_rejected_and_the_others_load(zone: Zone) -> None:
    good = zone.drop_sample(name="good.xlsx")
    place = zone.folder / "incoming" / "cygnus" / "2025-03"
    (place / "line\nbreak.xlsx").write_bytes(sample(seed=2).content)
    (place / os.fsdecode(b"latin \xfc.xlsx")).write_bytes(sample(seed=3).content)
    (place / "loop").symlink_to(place)
    (place / "dead.xlsx").symlink_to("nowhere")
    (place / "Icon\r").write_bytes(b"")
    (place / "coming.xlsx.filepart").write_bytes(b"PK")
    zone.run()

    folder = "incoming/cygnus/2025-03"
    odd = {
        f"{folder}/line\\x0abreak.xlsx",
        f"{folder}/latin \\xfc.xlsx",
        f"{folder}/loop",
        f"{folder}/dead.xlsx",
    }
    assert dict(zone.statuses()) == {good: "loaded", **dict.fromkeys(odd, "rejected")}
    assert all(zone.problem(path) for path in odd)
    assert len(list((zone.folder / "rejected").rglob("*.errors.xlsx"))) == 4
    assert zone.run() == []

    (place / "loop").unlink()
    (place / "line\nbreak.xlsx").rename(place / "mended.xlsx")
    zone.run()
    assert dict(zone.statuses())[f"{folder}/mended.xlsx"] == "loaded"


def test_a_file_that_cannot_get_an_error_workbook_is_rejected_and_says_why(zone: Zone) -> None:
    (zone.folder / "rejected").parent.mkdir(parents=True, exist_ok=True)
    (zone.folder / "rejected").write_bytes(b"a file in the way")
    bad = zone.drop("incoming/cygnus/2025-03/bad.xlsx", broken(sample().content))
    good = zone.drop_sample(seed=2, name="good.xlsx")
    zone.run()

    assert dict(zone.statuses()) == {bad: "rejected", good: "loaded"}
    assert zone.query("select error_workbook from ops.files where path = %s", bad) == [(None,)]
    said = zone.query("select problem from ops.file_errors where severity = 'warning'")
    assert "error workbook could not be written" in said[0][0]


def test_an_unlisted_folder_keeps_what_was_loaded_from_it(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = zone.drop_sample("novo", lines=2)
    also = zone.drop("incoming/sunoptic/2025-03/rev=2025-02/a.xlsx", sample("sunoptic").content)
    gone = zone.drop_sample("cygnus", lines=2)
    zone.run()
    closed = {
        str(zone.folder / "incoming" / part) for part in ("novo/2025-03", "sunoptic/2025-03/rev=2025-02")
    }
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if str(path) in closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("shs_pipeline.landing.listing.os.scandir", refuse)
    zone.drop("incoming/cygnus/2025-03/new.xlsx", sample(seed=5).content)
    zone.delete(gone)
    zone.run()

    statuses = dict(zone.statuses())
    assert statuses[kept] == statuses[also] == "loaded"
    assert statuses[gone] == "withdrawn"
    assert statuses["incoming/cygnus/2025-03/new.xlsx"] == "loaded"
    assert "cannot be listed: permission denied" in zone.problem("incoming/novo/2025-03")
    assert "cannot be listed" in zone.problem("incoming/sunoptic/2025-03/rev=2025-02")
    assert zone.run() == []
    with pytest.raises(LandingError, match="permission denied"):
        zone.job().folder(Folder("novo/2025-03"))

    closed.clear()
    zone.run()
    assert {status for _, status in zone.statuses()} == {"loaded", "withdrawn"}


def test_what_is_asked_within_a_job_is_asked_in_one_session_that_holds_nothing_up(zone: Zone) -> None:
    state = "select state from pg_stat_activity where pid = %s"

    with zone.job() as job:
        sessions = {job.query(_session_of) for _ in range(3)}
        (session,) = sessions
        with job:
            assert job.query(_session_of) == session
        assert zone.query(state, session) == [("idle",)], "not in a transaction"
        zone.query("select pg_terminate_backend(%s, 5000)", session)
        assert job.query(_session_of) != session, "one that was ended is begun again"

    assert job._kept is None
    assert job.query(_session_of) != job.query(_session_of)


def _session_of(connection: psycopg.Connection) -> int:
    connection.execute("select count(*) from pg_class")
    return connection.info.backend_pid


def test_a_folder_that_cannot_be_fetched_fails_alone_and_is_named(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = zone.drop_sample("novo", lines=2), zone.drop_sample("cygnus", lines=2)
    read = Landing.read

    def refuse(self: Landing, path: str) -> bytes | None:
        if path == bad:
            raise LandingError(f"{path} cannot be reached: timeout", "Look at the network.")
        return read(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(Landing, "read", refuse)
        job = zone.job()
        run_changed(job)

    trouble = trouble_of(job)
    assert trouble is not None
    assert "novo/2025-03" in trouble.problem
    assert "timeout" in trouble.problem
    assert dict(zone.statuses()) == {good: "loaded"}
    zone.run()
    assert dict(zone.statuses())[bad] == "loaded"


def test_a_file_that_is_still_growing_is_read_when_it_is_whole(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than a test takes on the busiest machine, and nobody waits so long.
    monkeypatch.setattr(drop_reading, "QUIET_SECONDS", 3600)
    content = sample().content
    path = zone.drop("incoming/cygnus/2025-03/a.xlsx", content[:3000])
    waits: list[float] = []

    def grow(seconds: float) -> None:
        waits.append(seconds)
        (zone.folder / path).write_bytes(content if len(waits) == 2 else content[: 3000 + len(waits)])

    with monkeypatch.context() as patch:
        patch.setattr("shs_pipeline.ingest.drop_reading.time.sleep", grow)
        zone.run()

    assert len(waits) == 2
    assert zone.statuses() == [(path, "loaded")]


def test_a_file_that_goes_on_growing_is_left_to_the_next_run(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zone.drop_sample(name="a.xlsx")
    zone.run()
    monkeypatch.setattr(drop_reading, "QUIET_SECONDS", 3600)
    content = sample(seed=2).content
    (zone.folder / path).write_bytes(content[:3000])
    with monkeypatch.context() as patch:
        patch.setattr("shs_pipeline.ingest.drop_reading.time.sleep", lambda _: None)
        zone.run()

    assert zone.statuses() == [(path, "loaded")]
    assert loaded(zone, "cygnus") == truth("cygnus", path, sample()), "the former version stays in force"
    (zone.folder / path).write_bytes(content)
    zone.run()
    assert loaded(zone, "cygnus") == truth("cygnus", path, sample(seed=2))


# --- the books ----------------------------------------------------------------------------


def test_the_row_of_a_loaded_file_is_complete(zone: Zone) -> None:
    path = zone.drop_sample("quickbooks")
    zone.drop_references("service_to_product")
    zone.run("the run")

    content = sample("quickbooks").content
    found = zone.query(
        "select source, commission_month, revenue_month, uri, bytes, status, rows_loaded, error_count,"
        " problem, remedy, error_workbook, blocked_by, run_id, length(sha256), etag <> %s,"
        " finished >= first_seen, rows_read, left_out, sums from ops.files where path = %s",
        "", path,
    )[0]  # fmt: skip
    assert found[:16] == (
        "quickbooks", MARCH, None, zone.landing.uri(path), len(content), "loaded", 6, 0,
        None, None, None, None, "the run", 64, True, True,
    )  # fmt: skip
    assert found[17] == sample("quickbooks").left_out
    assert found[16] == 6 + sum(found[17].values())
    amounts = [line["Amount line"] for line in sample("quickbooks").lines]
    assert Decimal(found[18]["amount_line"]) == sum(amounts)  # type: ignore[arg-type]


def test_the_row_of_a_rejected_file_is_complete(zone: Zone) -> None:
    path = zone.drop("incoming/cygnus/2025-03/bad.xlsx", broken(sample().content))
    zone.run("the run")

    found = zone.query(
        "select source, commission_month, status, rows_read, rows_loaded, sums, error_count, warning_count,"
        " problem <> %s, remedy <> %s, error_workbook, blocked_by, run_id, length(sha256) from ops.files",
        "", "",
    )  # fmt: skip
    assert found == [
        (
            "cygnus", MARCH, "rejected", 6, 0, {}, 1, 0, True, True,
            zone.landing.uri(f"rejected/{path}.errors.xlsx"), None, "the run", 64,
        )
    ]  # fmt: skip


def test_a_printed_total_that_is_wrong_is_booked_and_rejects_nothing(zone: Zone) -> None:
    content = sample().content
    last = max(row[0].row for row in openpyxl.load_workbook(io.BytesIO(content)).worksheets[0].iter_rows())
    zone.drop(
        "incoming/cygnus/2025-03/a.xlsx", edited(content, {place_of(content, "Invoice Total", last): 1})
    )
    zone.run()

    [(status, totals)] = zone.query("select status, totals from ops.files")
    assert status == "loaded"
    assert [(total["row"], total["column"], Decimal(total["printed"])) for total in totals] == [
        (last, "Invoice Total", 1)
    ]


def test_every_version_keeps_its_row_with_the_runs_that_began_and_ended_it(zone: Zone) -> None:
    path = zone.drop_sample()
    zone.run("run A")
    zone.drop(path, sample(seed=2).content)
    zone.run("run B")
    zone.drop(path, sample().content)
    zone.run("run A again")
    zone.delete(path)
    zone.run("run D")

    rows = zone.query("select status, run_id, rows_loaded, sha256 from ops.files order by file_id")
    assert [row[:3] for row in rows] == [
        ("superseded", "run B", 6), ("superseded", "run A again", 6), ("withdrawn", "run D", 6),
    ]  # fmt: skip
    assert rows[0][3] == rows[2][3] != rows[1][3]


def test_first_seen_stays_and_finished_moves_on(zone: Zone) -> None:
    zone.drop_sample()
    zone.run()
    before = zone.query("select file_id, first_seen, finished from ops.files")[0]

    run_all(zone.job("later"))

    after = zone.query("select file_id, first_seen, finished from ops.files")[0]
    assert after[:2] == before[:2]
    assert after[2] > before[2]
    assert zone.query("select run_id from ops.files") == [("later",)]


def test_the_report_of_a_folder_counts_what_is_in_force(zone: Zone) -> None:
    kept, other = zone.drop_sample(name="kept.xlsx"), zone.drop_sample(seed=2, lines=8, name="other.xlsx")
    zone.run()
    zone.drop(kept, broken(sample(seed=3).content))
    [report] = zone.run()

    assert [(file.path, file.status, file.rows_loaded) for file in report.files] == [
        (kept, "rejected", 0), (other, "loaded", 8),
    ]  # fmt: skip
    assert report.rows_in_force == 14
    assert [old.path for old in report.kept] == [kept]
    both = [*sample().lines, *sample(seed=2, lines=8).lines]
    assert report.sums["invoice_total"] == sum(line["Invoice Total"] for line in both)  # type: ignore[misc]
    assert zone.query("select rows_in_force, rows_before from ops.folders") == [(14, 14)]


# --- reference tables ---------------------------------------------------------------------


def services(*names: str) -> bytes:
    rows = [[name, "Service & Repair"] for name in names]
    return write_workbook({"service_to_product": [["Service Lines", "Product Lines"], *rows]})


def test_every_version_of_a_reference_table_is_kept_with_its_time(zone: Zone) -> None:
    versions = [services("One"), services("One", "Two"), services("Three"), services("One")]
    moments: list[Any] = []
    for content in versions:
        zone.drop("reference/service_to_product.xlsx", content)
        zone.run()
        moments += zone.query("select clock_timestamp()")[0]

    def at(moment: Any) -> set[str]:
        rows = zone.query(
            "select service_lines from reference.service_to_product"
            " inner join reference.versions using (file_id) where table_name = %s and"
            " in_force_from <= %s and (in_force_until is null or in_force_until > %s)",
            "service_to_product", moment, moment,
        )  # fmt: skip
        return {row[0] for row in rows}

    assert [at(moment) for moment in moments] == [{"One"}, {"One", "Two"}, {"Three"}, {"One"}]
    assert [status for _, status in zone.statuses()] == ["superseded"] * 3 + ["loaded"]
    gaps = zone.query(
        "select count(*) from reference.versions as a inner join reference.versions as b"
        " on b.in_force_from = a.in_force_until"
    )
    overlaps = zone.query(
        "select count(*) from reference.versions as a inner join reference.versions as b"
        " on a.file_id < b.file_id and tstzrange(a.in_force_from, a.in_force_until)"
        " && tstzrange(b.in_force_from, b.in_force_until)"
    )
    assert (gaps, overlaps) == ([(3,)], [(0,)])


def test_a_deleted_reference_workbook_stays_in_force_and_may_come_back(zone: Zone) -> None:
    path = zone.drop("reference/service_to_product.xlsx", services("One"))
    zone.run()

    zone.delete(path)
    [report] = zone.run()
    assert report.rows_in_force == 1
    assert zone.statuses() == [(path, "loaded")]
    assert zone.run() == []

    zone.drop(path, services("One"))
    zone.run()
    assert zone.query("select count(*), count(in_force_until) from reference.versions") == [(1, 0)]
    assert zone.query("select service_lines from reference.service_to_product") == [("One",)]


def test_a_bad_reference_workbook_is_rejected_and_the_last_good_one_stays(zone: Zone) -> None:
    path = zone.drop("reference/service_to_product.xlsx", services("One"))
    zone.run()
    zone.drop(path, services("Two", "two "))
    zone.run()

    assert zone.statuses() == [(path, "loaded"), (path, "rejected")]
    assert zone.query("select service_lines from reference.service_to_product") == [("One",)]
    assert zone.errors(path) is not None

    zone.delete(path)
    zone.run()
    assert zone.statuses() == [(path, "loaded"), (path, "withdrawn")]
    assert zone.errors(path) is None


def test_an_unknown_service_line_is_mended_by_the_table_alone(zone: Zone) -> None:
    names = sorted({str(line["Service Lines"]) for line in sample("quickbooks").lines}, key=str.casefold)
    unique = list({name.casefold(): name for name in names}.values())
    path = zone.drop_sample("quickbooks")
    table = zone.drop("reference/service_to_product.xlsx", services(*unique[1:], "Other"))
    zone.run()
    assert unique[0].casefold() in zone.problem(path).casefold()
    assert zone.errors(path) is not None

    zone.drop(table, services(*unique))
    zone.run()
    assert loaded(zone, "quickbooks") == truth("quickbooks", path, sample("quickbooks"))
    assert zone.errors(path) is None

    # What loaded stays in force when the table loses the service line again, and is said.
    zone.drop(table, services(*unique[1:], "Other"))
    zone.run()
    assert loaded(zone, "quickbooks") == truth("quickbooks", path, sample("quickbooks"))
    assert unique[0].casefold() in zone.problem(path).casefold()

    zone.drop(table, services(*unique))
    zone.run()
    assert [status for p, status in zone.statuses() if p == path] == ["loaded", "superseded"]
    assert zone.problem(path) == ""


def test_a_job_is_printed_without_the_password(zone: Zone) -> None:
    job = zone.job()

    assert isinstance(job, Ingestion)
    assert "postgresql://" not in repr(job)


# --- any sequence of drops ----------------------------------------------------------------

SOURCES, MONTHS, FILES = ("cygnus", "novo"), ("2025-01", "2025-02", "2025-03"), ("a.xlsx", "b.xlsx")
SLOTS = [f"incoming/{s}/{m}/{f}" for s in SOURCES for m in MONTHS for f in FILES]
AMOUNT = {"cygnus": ("Invoice Total", 5), "novo": ("Extension", 4)}


class _Folders(RuleBasedStateMachine):
    """An admin who does anything with files of two sources; after each run the lines are the folders'."""

    zone: Zone

    def __init__(self) -> None:
        super().__init__()
        # By place: what lies there (None where it is broken), and what is in force.
        self.number = 0
        self.there: dict[str, SampleFile | None] = {}
        self.in_force: dict[str, SampleFile] = {}
        for path in SLOTS:
            self.zone.delete(path)
        self.zone.run()

    def _new(self, path: str) -> SampleFile:
        self.number += 1
        return sample(path.split("/")[1], date(2025, 1, 1), lines=5, seed=self.number)

    @rule(path=st.sampled_from(SLOTS))
    def drop_or_correct(self, path: str) -> None:
        self.there[path] = file = self._new(path)
        self.zone.drop(path, file.content)

    @rule(path=st.sampled_from(SLOTS))
    def break_it(self, path: str) -> None:
        self.zone.drop(path, with_bad_cell(self._new(path).content, *AMOUNT[path.split("/")[1]], "seven"))
        self.there[path] = None

    @rule(path=st.sampled_from(SLOTS))
    def delete(self, path: str) -> None:
        self.zone.delete(path)
        self.there.pop(path, None)

    @rule(path=st.sampled_from(SLOTS), month=st.sampled_from(MONTHS), name=st.sampled_from(FILES))
    def move(self, path: str, month: str, name: str) -> None:
        to = f"incoming/{path.split('/')[1]}/{month}/{name}"
        if path in self.there and path != to:
            self.zone.move(path, to)
            self.there[to] = self.there.pop(path)

    @rule(path=st.sampled_from(SLOTS), month=st.sampled_from(MONTHS), name=st.sampled_from(FILES))
    def change_places(self, path: str, month: str, name: str) -> None:
        to = f"incoming/{path.split('/')[1]}/{month}/{name}"
        if self.there.get(path) and self.there.get(to) and path != to:
            one, two = self.there[path], self.there[to]
            assert one is not None
            assert two is not None
            self.zone.drop(path, two.content), self.zone.drop(to, one.content)
            self.there[path], self.there[to] = two, one

    @rule()
    def run(self) -> None:
        self.zone.run()
        self.in_force = {
            path: file or self.in_force[path]
            for path, file in self.there.items()
            if file or path in self.in_force
        }
        for source in SOURCES:
            expected = [
                row
                for path in sorted(self.in_force)
                if path.split("/")[1] == source
                for row in truth(source, path, self.in_force[path])
            ]
            assert loaded(self.zone, source) == expected
        bad = {path for path, file in self.there.items() if file is None}
        assert {path for path, status in self.zone.statuses() if status == "rejected"} == bad
        assert {path for path in SLOTS if self.zone.errors(path)} == bad
        assert self.zone.run() == []

    @invariant()
    def no_line_belongs_to_a_file_that_is_not_loaded(self) -> None:
        for source in SOURCES if self.in_force else ():
            assert self.zone.query(
                f"select count(*) from raw.{source} left join ops.files as f using (file_id)"
                " where f.status is distinct from 'loaded'"
            ) == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize("histories", [3, pytest.param(30, marks=pytest.mark.soak)])
def test_after_any_sequence_of_drops_the_lines_are_those_of_the_folders(zone: Zone, histories: int) -> None:
    class Machine(_Folders):
        pass

    Machine.zone = zone
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=histories, stateful_step_count=12, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
