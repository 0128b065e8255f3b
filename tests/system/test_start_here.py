"""`START HERE.xlsx` and the folders of months: what an admin without a terminal finds in the bucket.

`SHS_SCREENSHOTS=docs/images` keeps pictures, if LibreOffice is installed.
"""

from __future__ import annotations

import io
import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import psycopg
import pytest
from openpyxl.worksheet.properties import PageSetupProperties
from psycopg.types.json import Jsonb

from shs_pipeline.ingest.changes import changed_folders, read_books
from shs_pipeline.ingest.current_copies import unwritten_now
from shs_pipeline.landing.names import INCOMING_NAMES
from shs_pipeline.landing.places import START_HERE, current_path, is_of_an_admin, keep_path
from shs_pipeline.landing.zone import Landing, RefusedError
from shs_pipeline.marts.build import build_marts
from shs_pipeline.reference.seal import is_sealed
from shs_pipeline.samples.workbook import write_workbook
from shs_pipeline.system.start_here.pages import SHEETS
from shs_pipeline.system.start_here.writing import tell
from tests.helpers.libreoffice import SOFFICE, pages_of

if TYPE_CHECKING:
    from tests.conftest import Zone

DAY = date(2025, 4, 25)


def told(zone: Zone, day: date = DAY) -> None:
    """What each run does last."""
    with psycopg.connect(zone.database_url) as connection:
        tell(connection, zone.landing, day, 20)


def content_of(zone: Zone, path: str = START_HERE) -> bytes:
    content = zone.landing.read(path)
    assert content is not None
    return content


def rows(zone: Zone, sheet: str) -> list[tuple[Any, ...]]:
    book = openpyxl.load_workbook(io.BytesIO(content_of(zone)))
    assert tuple(book.sheetnames) == SHEETS
    return list(book[sheet].iter_rows(5, values_only=True))


def to_do(zone: Zone) -> list[tuple[str, str]]:
    """What and how, in their order."""
    return [(what, how) for number, what, how, *_ in rows(zone, "To do") if number and how]


def due(zone: Zone) -> list[str]:
    with psycopg.connect(zone.database_url) as connection:
        books = read_books(connection)
        return [folder.key for folder in changed_folders(books.dropped(zone.landing.drops()), books)]


def saved_by_hand(content: bytes) -> bytes:
    stream = io.BytesIO()
    openpyxl.load_workbook(io.BytesIO(content)).save(stream)
    return stream.getvalue()


def begins_with_the_first_steps_and_is_never_read(zone: Zone) -> None:
    told(zone)

    (reference, how), (files, _) = to_do(zone)
    assert "6 reference workbooks: sales_reps.xlsx, commission_tiers.xlsx" in reference
    assert "aliases" not in reference, "nobody has to have it"
    assert how.startswith("Take each from reference/current/")
    assert files == "Drop the suppliers' first files"
    assert zone.landing.read(current_path("sales_reps"))
    for source in INCOMING_NAMES:
        assert zone.landing.folders(f"incoming/{source}") == {"2025-03", "2025-04"}
    assert due(zone) == []
    assert zone.run() == []
    assert not is_of_an_admin(START_HERE)
    assert not is_of_an_admin(keep_path("cygnus", date(2025, 4, 1)))


def test_an_empty_folder_begins_with_the_first_steps(zone: Zone) -> None:
    begins_with_the_first_steps_and_is_never_read(zone)


@pytest.mark.slow
def test_an_empty_bucket_begins_with_the_first_steps(s3_zone: Zone) -> None:
    begins_with_the_first_steps_and_is_never_read(s3_zone)
    known = dict(s3_zone.query("select path, etag from ops.written"))
    told(s3_zone)
    assert dict(s3_zone.query("select path, etag from ops.written")) == known


@pytest.fixture
def busy(published: Zone) -> Zone:
    """What was published, with a rejected file, a missing month, and a customer who lost the owner."""
    (ours,) = (drop.path for drop in published.landing.drops() if "ternio/2025-02" in drop.path)
    published.delete(ours)
    published.drop("incoming/novo/2025-02/corrected.xlsx", b"no workbook")
    published.drop("reference/territories.xlsx", write_workbook({"Territories": [
        ["Source", "Customer field", "Data field value", "Sales Rep Name", "Valid from", "Valid until"],
        ["cygnus", "Name", "Nowhere", "Dana Whitfield", "2024-01-01", None],
    ]}))  # fmt: skip
    published.run()
    build_marts(published.database_url, "busy")
    told(published)
    return published


def test_it_lists_what_is_to_be_done_and_is_rewritten_only_when_that_changes(busy: Zone) -> None:
    found = to_do(busy)

    assert "Fix incoming/novo/2025-02/corrected.xlsx: it was rejected" in dict(found)
    assert dict(found)["Get the file for 2025-02 from ternio"] == "Drop it into incoming/ternio/2025-02/."
    (missing,) = (what for what, _ in found if what.startswith("Get the files for 2025-03 from logiquip, "))
    assert "cygnus" not in missing
    owners = next((what, how) for what, how in found if "without an owner" in what)
    assert "sheet Proposed rows has the rows ready" in owners[1]
    months = {row[0]: row for row in rows(busy, "Months")}
    assert "loaded; a newer file is rejected" in months["novo"]
    assert months["ternio"].count("missing") == 2
    assert months["cygnus"][12] == "not due yet"
    (rejected,) = rows(busy, "Rejected files")
    assert rejected[5] == "rejected/incoming/novo/2025-02/corrected.xlsx.errors.xlsx"

    before = busy.landing.drop_at(START_HERE)
    told(busy)
    assert busy.landing.drop_at(START_HERE) == before
    busy.delete("incoming/novo/2025-02/corrected.xlsx")
    busy.run()
    told(busy)
    assert busy.landing.drop_at(START_HERE) != before
    assert not [what for what, _ in to_do(busy) if "corrected.xlsx" in what]


def test_files_whose_printed_totals_differ_and_lines_that_pay_nobody_are_told_in_words(busy: Zone) -> None:
    total = {"sheet": "Report", "row": 9, "column": "Rep Due", "printed": "12.00", "computed": "1212.50"}
    with psycopg.connect(busy.database_url) as owner:
        row = owner.execute(
            "update ops.files set totals = %s where file_id = (select min(file_id) from ops.files"
            " where status = 'loaded' and source = 'cygnus') returning path",
            [Jsonb([total])],
        ).fetchone()
    assert row is not None
    told(busy)

    how = dict(to_do(busy))[f"Printed totals of {row[0]} differ from its lines"]
    assert how.startswith(
        "Report, row 9: Rep Due prints 12.00, but its lines add up to 1,212.50. Ask the supplier"
    )
    book = openpyxl.load_workbook(io.BytesIO(content_of(busy)))
    said = " ".join(str(cell.value) for row in book["Rows to add"].iter_rows(1, 3) for cell in row)
    assert "Lines that pay nobody: no territory: " in said


def test_it_holds_no_formula_and_every_text_is_text(busy: Zone) -> None:
    book = openpyxl.load_workbook(io.BytesIO(content_of(busy)))
    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row if cell.value}

    assert kinds == {"s", "n", "d"}
    assert is_sealed(START_HERE, content_of(busy))


def test_a_proposed_row_counts_once_it_is_completed(busy: Zone) -> None:
    """The way of an admin: open the copy, fill in a yellow cell, save it one folder up."""
    path = current_path("territories")
    book = openpyxl.load_workbook(io.BytesIO(content_of(busy, path)))
    sheet = book["Proposed rows"]
    header = [cell.value for cell in sheet[4]]
    proposed = [row[header.index("Data field value")] for row in sheet.iter_rows(5, values_only=True)]
    assert len(proposed) > 1
    sheet.cell(5, header.index("Sales Rep Name") + 1).value = "Dana Whitfield"
    stream = io.BytesIO()
    book.save(stream)
    busy.drop("reference/territories.xlsx", stream.getvalue())

    busy.run()

    assert busy.problem("reference/territories.xlsx") == ""
    found = busy.query(
        "select data_field_value, source_sheet from reference.territories"
        " inner join reference.versions using (file_id) where in_force_until is null order by 2"
    )
    assert found == [(proposed[0], "Proposed rows"), ("Nowhere", "Territories")]


def test_somebody_who_saves_it_changes_nothing(zone: Zone) -> None:
    told(zone)
    zone.drop(START_HERE, saved_by_hand(content_of(zone)))

    assert [file for report in zone.run() for file in report.files] == []
    told(zone)

    assert is_sealed(START_HERE, content_of(zone))


def test_another_file_in_its_place_is_told_where_it_belongs_and_left_as_it_is(zone: Zone) -> None:
    told(zone)
    other = write_workbook({"Invoices": [["Invoice", "Amount"], [1, 2]]})
    zone.drop(START_HERE, other)

    zone.run()
    told(zone)

    assert zone.problem(START_HERE) == (
        "START HERE.xlsx is not the workbook that the system writes there. Nothing is read from it. Move it "
        "to incoming/<source>/<YYYY-MM>/, or a reference workbook to reference/. The next run then writes "
        "the right one."
    )
    assert content_of(zone) == other
    zone.delete(START_HERE)
    zone.run()
    told(zone)
    assert is_sealed(START_HERE, content_of(zone))


def test_a_bucket_that_may_not_be_written_to_is_told_and_no_failure(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> str:
        raise RefusedError("The user cannot write there.", "Give it permission.")

    with monkeypatch.context() as patched:
        patched.setattr(Landing, "write", refused)
        told(zone)
    with psycopg.connect(zone.database_url) as connection:
        assert str(unwritten_now(connection)).startswith("The user cannot write there.")

    told(zone)
    with psycopg.connect(zone.database_url) as connection:
        assert unwritten_now(connection) is None


def test_a_month_folder_that_was_deleted_comes_back_while_the_month_is_waited_for(zone: Zone) -> None:
    told(zone)
    past, coming = keep_path("novo", date(2025, 3, 1)), keep_path("novo", date(2025, 4, 1))
    for path in (past, coming):
        zone.delete(path)
        (zone.folder / path).parent.rmdir()

    told(zone, date(2025, 5, 21))

    assert zone.landing.folders("incoming/novo") == {"2025-04", "2025-05"}


@pytest.mark.slow
@pytest.mark.skipif(
    not (SOFFICE and os.environ.get("SHS_SCREENSHOTS")), reason="draws pictures for the docs with LibreOffice"
)
def test_pictures_for_the_docs(busy: Zone, tmp_path: Path) -> None:
    from PIL import Image

    folder = Path(os.environ["SHS_SCREENSHOTS"])
    first, months, *_ = pages_of(content_of(busy), tmp_path, 1.6)
    book = openpyxl.load_workbook(io.BytesIO(content_of(busy, current_path("territories"))))
    del book["Territories"]
    book["Proposed rows"].page_setup.orientation = "landscape"
    book["Proposed rows"].page_setup.fitToHeight = 0
    book["Proposed rows"].sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    stream = io.BytesIO()
    book.save(stream)
    (proposed, *_) = pages_of(stream.getvalue(), tmp_path, 1.6)
    for name, page, high in (
        ("start-here", first, 500),
        ("start-here-months", months, 420),
        ("proposed-rows", proposed, 420),
    ):
        small = page.crop((0, 0, page.width, high)).quantize(64, method=Image.Quantize.FASTOCTREE)
        small.save(folder / f"{name}.png", optimize=True)
