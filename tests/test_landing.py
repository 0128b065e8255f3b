"""What the place of a file says, and what the landing zone hands out, in a folder."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from shs_pipeline import landing as landing_module
from shs_pipeline import months
from shs_pipeline.errors import ShsError
from shs_pipeline.landing import Landing, errors_path, place_of

MARCH, FEBRUARY = date(2025, 3, 1), date(2025, 2, 1)


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing((tmp_path / "landing").as_uri())


@pytest.mark.parametrize(
    ("path", "revenue_month", "is_overlap_ok"),
    [
        ("incoming/cygnus/2025-03/a.xlsx", None, False),
        ("incoming/cygnus/2025-03/any name (2) ü#%.XLSX", None, False),
        ("incoming/sunoptic/2025-03/rev=2025-02/a.xlsx", FEBRUARY, False),
        ("incoming/sunoptic/2025-03/REV=2025-02/a.xlsx", FEBRUARY, False),
        ("incoming/sunoptic/2025-03/overlap=ok/a.xlsx", None, True),
        ("incoming/sunoptic/2025-03/overlap=ok/rev=2025-02/a.xlsx", FEBRUARY, True),
        ("incoming/sunoptic/2025-03/rev=2025-02/overlap=ok/a.xlsx", FEBRUARY, True),
    ],
)
def test_a_place_says_source_month_revenue_month_and_overlap(
    path: str, revenue_month: date | None, is_overlap_ok: bool
) -> None:
    place = place_of(path)

    assert (place.kind, place.name, place.commission_month) == ("source", path.split("/")[1], MARCH)
    assert (place.revenue_month, place.is_overlap_ok) == (revenue_month, is_overlap_ok)


def test_a_reference_workbook_is_known_by_its_name() -> None:
    place = place_of("reference/territories.xlsx")

    assert (place.kind, place.name) == ("reference", "territories")


@pytest.mark.parametrize(
    ("path", "said", "remedy"),
    [
        ("loose.xlsx", "no folder that is read", "incoming/<source>/<YYYY-MM>/"),
        ("incoming/loose.xlsx", "no folder that is read", "incoming/<source>/<YYYY-MM>/"),
        ("elsewhere/cygnus/2025-03/a.xlsx", "no folder that is read", "incoming/<source>"),
        ("Incoming/cygnus/2025-03/a.xlsx", "no folder that is read", "incoming/<source>"),
        ("incoming/nobody/2025-03/a.xlsx", "no source called 'nobody'", "cygnus, "),
        ("incoming/nobody/a.xlsx", "no source called 'nobody'", "cygnus, "),
        ("incoming/cygnus/a.xlsx", "lies in no month", "incoming/cygnus/2025-03/"),
        ("incoming/cygnus/2025-3/a.xlsx", "'2025-3' is not a commission month", "incoming/cygnus/2025-03/"),
        ("incoming/cygnus/2025-13/a.xlsx", "'2025-13' is not a commission month", "<YYYY-MM>"),
        ("incoming/cygnus/2025-00/a.xlsx", "'2025-00' is not a commission month", "<YYYY-MM>"),
        ("incoming/cygnus/202503/a.xlsx", "'202503' is not a commission month", "<YYYY-MM>"),
        ("incoming/cygnus/2025-03 /a.xlsx", "'2025-03 ' is not a commission month", "<YYYY-MM>"),
        ("incoming/cygnus/٢٠٢٥-03/a.xlsx", "is not a commission month", "<YYYY-MM>"),
        ("incoming/cygnus/2019-12/a.xlsx", "2019-12 is out of range", "from 2020-01 to "),
        ("incoming/cygnus/2999-01/a.xlsx", "2999-01 is out of range", "from 2020-01 to "),
        ("incoming/cygnus/2025-03/sub/a.xlsx", "'sub' says nothing known", "incoming/cygnus/2025-03/"),
        ("incoming/cygnus/2025-03/rev=2025-2/a.xlsx", "'rev=2025-2' says nothing known", "rev=<YYYY-MM>"),
        ("incoming/cygnus/2025-03/rev=/a.xlsx", "'rev=' says nothing known", "rev=<YYYY-MM>"),
        ("incoming/cygnus/2025-03/rev=2025-02/rev=2025-01/a.xlsx", "'rev=2025-01' says", "rev=<YYYY-MM>"),
        (
            "incoming/cygnus/2025-03/overlap=yes/a.xlsx",
            "'overlap=yes' says nothing known",
            "Move the file up",
        ),
        ("reference/territory.xlsx", "no reference table", "reference/territories.xlsx"),
        ("reference/territories.xls", "no reference table", "reference/territories.xlsx"),
        ("reference/territories.xlsm", "no reference table", "reference/territories.xlsx"),
        ("reference/Territories.xlsx", "no reference table", "reference/territories.xlsx"),
        ("reference/2025/territories.xlsx", "no reference table", "reference/territories.xlsx"),
    ],
)
def test_an_unknown_place_says_what_is_wrong_and_where_to_move_the_file(
    path: str, said: str, remedy: str
) -> None:
    place = place_of(path)

    assert (place.kind, place.name) == ("unknown", None)
    assert path in place.problem
    assert said in place.problem
    assert remedy in place.remedy


def test_a_month_may_lie_two_months_ahead_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(months, "today", lambda: date(2025, 11, 30))

    assert landing_module.last_month() == date(2026, 1, 1)
    assert place_of("incoming/cygnus/2026-01/a.xlsx").kind == "source"
    assert place_of("incoming/cygnus/2026-02/a.xlsx").kind == "unknown"
    assert place_of("incoming/cygnus/2020-01/a.xlsx").kind == "source"


def test_what_systems_leave_beside_the_files_is_no_drop(landing: Landing) -> None:
    litter = [
        ".DS_Store",
        "~$report.xlsx",
        "Thumbs.db",
        "desktop.ini",
        ".~lock.report.xlsx#",
        ".cache/x.xlsx",
    ]
    for name in litter:
        landing.write(f"incoming/cygnus/2025-03/{name}", b"x")
        landing.write(name, b"x")
    landing.write("incoming/cygnus/2025-03/report~$.xlsx", b"x")

    assert [drop.path for drop in landing.drops()] == ["incoming/cygnus/2025-03/report~$.xlsx"]


def test_the_listing_holds_everything_but_what_the_system_wrote(landing: Landing) -> None:
    paths = ["elsewhere/deep/er/x", "incoming/cygnus/2025-03/a.xlsx", "incoming/x", "reference/y.xlsx", "z"]
    for path in [*paths, "rejected/incoming/cygnus/2025-03/a.xlsx.errors.xlsx", "rejected/q"]:
        landing.write(path, path.encode())

    drops = landing.drops()

    assert [drop.path for drop in drops] == paths
    assert [drop.size for drop in drops] == [len(path) for path in paths]
    assert all(drop.etag for drop in drops)


def test_a_folder_is_listed_without_its_neighbours(landing: Landing) -> None:
    for folder in ("2025-03", "2025-03-old", "2025-030"):
        landing.write(f"incoming/cygnus/{folder}/a.xlsx", b"x")

    assert [drop.path for drop in landing.drops("incoming/cygnus/2025-03")] == [
        "incoming/cygnus/2025-03/a.xlsx"
    ]
    assert landing.drops("incoming/cygnus/2024-01") == []


ODD_NAMES = [
    "with space.xlsx", "#1.xlsx", "100%.xlsx", "50%25.xlsx", "%41.xlsx", "Ümläut.xlsx", "u\u0308.xlsx",
    "q?.xlsx", "[x]*.xlsx", "a+b&c=d.xlsx", "it's \"quoted\".xlsx", "back\\slash.xlsx", "a:b|c<d>.xlsx",
    "ends with blank .xlsx ", "x..dots.xlsx", "日本語.xlsx",
]  # fmt: skip


def test_odd_names_come_back_as_they_were_dropped(landing: Landing, tmp_path: Path) -> None:
    folder = tmp_path / "landing" / "incoming" / "cygnus" / "2025-03"
    folder.mkdir(parents=True)
    for name in ODD_NAMES:
        (folder / name).write_bytes(name.encode())

    for drop in landing.drops():
        name = drop.path.rpartition("/")[2]
        assert landing.read(drop.path) == name.encode()
        landing.write(errors_path(drop.path), b"errors")
        assert (tmp_path / "landing" / "rejected" / f"{drop.path}.errors.xlsx").read_bytes() == b"errors"
        assert Path(unquote(urlsplit(landing.uri(drop.path)).path)).read_bytes() == name.encode()
        landing.delete(errors_path(drop.path))
    assert sorted(drop.path.rpartition("/")[2] for drop in landing.drops()) == sorted(ODD_NAMES)


@pytest.mark.parametrize("name", [b"line\nbreak.xlsx", b"tab\t.xlsx", b"latin-1 \xfc.xlsx"])
def test_a_name_that_cannot_be_read_is_said_with_what_to_do(
    landing: Landing, tmp_path: Path, name: bytes
) -> None:
    (tmp_path / "landing" / "incoming").mkdir(parents=True)
    (tmp_path / "landing" / "incoming").joinpath(os.fsdecode(name)).write_bytes(b"x")

    with pytest.raises(ShsError) as caught:
        landing.drops()

    assert "incoming/" in caught.value.problem
    assert "name cannot be read" in caught.value.problem
    assert "\n" not in str(caught.value)
    assert "unprintable" in caught.value.remedy


def test_what_is_gone_is_none_and_deleting_it_again_is_no_error(landing: Landing) -> None:
    landing.write("incoming/a", b"x")
    landing.delete("incoming/a")
    landing.delete("incoming/a")

    assert landing.read("incoming/a") is None


def test_a_file_that_changes_gets_another_etag(landing: Landing) -> None:
    etags = []
    for content in (b"one", b"two!", b"one"):
        landing.write("incoming/a", content)
        etags += [drop.etag for drop in landing.drops()]

    assert len(set(etags)) == 3


def test_a_landing_zone_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(ShsError, match=r"cannot be made.*SHS_LANDING"):
        Landing((tmp_path / "file" / "landing").as_uri()).drops()


def test_the_folder_of_a_landing_zone_may_have_any_name(tmp_path: Path) -> None:
    landing = Landing((tmp_path / "Ümläut 100% #1").as_uri())
    landing.write("incoming/a", b"x")

    assert (tmp_path / "Ümläut 100% #1" / "incoming" / "a").read_bytes() == b"x"
    assert [drop.path for drop in landing.drops()] == ["incoming/a"]
