"""What the place of a file says, and what the landing zone hands out, in a folder."""

from __future__ import annotations

import os
import stat
import time
import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from shs_pipeline.base import months
from shs_pipeline.base.errors import ShsError
from shs_pipeline.ingest.changes import Books, changed_folders
from shs_pipeline.landing.listing import Drop
from shs_pipeline.landing.places import errors_path
from shs_pipeline.landing.zone import Landing, RefusedError, place_of

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
        ("loose.xlsx", "not in a folder that is read", "incoming/<source>/<YYYY-MM>/"),
        ("incoming/loose.xlsx", "not in a folder that is read", "incoming/<source>/<YYYY-MM>/"),
        ("elsewhere/cygnus/2025-03/a.xlsx", "not in a folder that is read", "incoming/<source>"),
        ("Incoming/cygnus/2025-03/a.xlsx", "not in a folder that is read", "incoming/<source>"),
        ("incoming/nobody/2025-03/a.xlsx", "no source called 'nobody'", "cygnus, "),
        ("incoming/nobody/a.xlsx", "no source called 'nobody'", "cygnus, "),
        ("incoming/cygnus/a.xlsx", "not in a month's folder", "incoming/cygnus/2025-03/"),
        ("incoming/cygnus/2025-3/a.xlsx", "'2025-3' is not a commission month", "incoming/cygnus/2025-03/"),
        ("incoming/cygnus/2025-13/a.xlsx", "'2025-13' is not a commission month", "<YYYY-MM>"),
        ("incoming/cygnus/2025-00/a.xlsx", "'2025-00' is not a commission month", "<YYYY-MM>"),
        ("incoming/cygnus/202503/a.xlsx", "'202503' is not a commission month", "<YYYY-MM>"),
        ("incoming/cygnus/2025-03 /a.xlsx", "'2025-03 ' is not a commission month", "<YYYY-MM>"),
        ("incoming/cygnus/٢٠٢٥-03/a.xlsx", "is not a commission month", "<YYYY-MM>"),
        ("incoming/cygnus/2019-12/a.xlsx", "2019-12 is out of range", "from 2020-01 to "),
        ("incoming/cygnus/2999-01/a.xlsx", "2999-01 is out of range", "from 2020-01 to "),
        ("incoming/cygnus/2025-03/sub/a.xlsx", "folder name 'sub' is unknown", "incoming/cygnus/2025-03/"),
        ("incoming/cygnus/2025-03/rev=2025-2/a.xlsx", "folder name 'rev=2025-2' is unknown", "rev=<YYYY-MM>"),
        ("incoming/cygnus/2025-03/rev=/a.xlsx", "folder name 'rev=' is unknown", "rev=<YYYY-MM>"),
        (
            "incoming/cygnus/2025-03/rev=2025-02/rev=2025-01/a.xlsx",
            "folder name 'rev=2025-01' is unknown",
            "rev=<YYYY-MM>",
        ),
        (
            "incoming/cygnus/2025-03/overlap=yes/a.xlsx",
            "folder name 'overlap=yes' is unknown",
            "Move the file up",
        ),
        ("reference/territory.xlsx", "is not a reference table", "reference/territories.xlsx"),
        ("reference/territories.xls", "is not a reference table", "reference/territories.xlsx"),
        ("reference/territories.xlsm", "is not a reference table", "reference/territories.xlsx"),
        ("reference/Territories.xlsx", "is not a reference table", "reference/territories.xlsx"),
        ("reference/2025/territories.xlsx", "is not a reference table", "reference/territories.xlsx"),
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

    assert months.last_month() == date(2026, 1, 1)
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
        name = drop.key.rpartition("/")[2]
        assert landing.read(drop.key) == landing.read(drop.path) == name.encode()
        landing.write(errors_path(drop.path), b"errors")
        assert (tmp_path / "landing" / "rejected" / f"{drop.path}.errors.xlsx").read_bytes() == b"errors"
        assert Path(unquote(urlsplit(landing.uri(drop.key)).path)).read_bytes() == name.encode()
        landing.delete(errors_path(drop.path))
    assert sorted(drop.key.rpartition("/")[2] for drop in landing.drops()) == sorted(ODD_NAMES)
    assert all(unicodedata.is_normalized("NFC", drop.path) for drop in landing.drops())


def put(landing: Landing, name: bytes | str, content: bytes = b"x") -> Path:
    """Write a file that no client would write, and return its place."""
    path = Path(unquote(urlsplit(landing.url).path)) / os.fsdecode(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


GOOD = "incoming/cygnus/2025-03/good.xlsx"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"line\nbreak.xlsx", "line\\x0abreak.xlsx"),
        (b"tab\t.xlsx", "tab\\x09.xlsx"),
        (b"del\x7f.xlsx", "del\\x7f.xlsx"),
        (b"escape\x1b[31m.xlsx", "escape\\x1b[31m.xlsx"),
        (b"latin-1 \xfc.xlsx", "latin-1 \\xfc.xlsx"),
        (b"half \xe2\x82.xlsx", "half \\xe2\\x82.xlsx"),
    ],
)
def test_a_name_that_cannot_be_told_is_a_drop_with_a_problem_beside_the_others(
    landing: Landing, name: bytes, shown: str
) -> None:
    put(landing, b"incoming/cygnus/2025-03/" + name)
    landing.write(GOOD, b"x")

    good, odd = sorted(landing.drops(), key=lambda drop: bool(drop.problem))

    assert (good.path, good.problem) == (GOOD, "")
    assert odd.path == f"incoming/cygnus/2025-03/{shown}"
    assert odd.path in odd.problem
    assert odd.problem.isprintable()
    assert "Rename" in odd.remedy
    assert odd.place.kind == "source"
    landing.write(errors_path(odd.path), b"errors")


def test_what_a_mac_leaves_in_folders_with_an_icon_is_litter(landing: Landing) -> None:
    put(landing, "incoming/cygnus/2025-03/Icon\r")
    landing.write(GOOD, b"x")

    assert [drop.path for drop in landing.drops()] == [GOOD]


@pytest.mark.parametrize("up", ["..", "../..", "../../.."])
def test_a_link_to_a_folder_further_up_is_one_loop_wherever_the_listing_begins(
    landing: Landing, up: str
) -> None:
    place = put(landing, GOOD)
    (place.parent / "loop").symlink_to(up)
    folder = GOOD.rpartition("/")[0]

    found = landing.drops(folder)

    assert [drop.path for drop in found] == [GOOD, f"{folder}/loop"]
    assert found == landing.drops()


def test_a_loop_of_links_a_dead_link_and_a_pipe_are_told_and_the_others_listed(landing: Landing) -> None:
    place = put(landing, GOOD)
    (place.parent / "loop").symlink_to(place.parent)
    (place.parent / "self").symlink_to("self")
    (place.parent / "dead.xlsx").symlink_to("nowhere.xlsx")
    os.mkfifo(place.parent / "pipe.xlsx")
    (place.parent / "linked.xlsx").symlink_to(place)

    found = {drop.path.rpartition("/")[2]: drop.problem for drop in landing.drops()}

    assert found.keys() == {"good.xlsx", "loop", "self", "dead.xlsx", "pipe.xlsx", "linked.xlsx"}
    assert found["good.xlsx"] == found["linked.xlsx"] == ""
    assert "link to a folder that contains it" in found["loop"]
    assert "symbolic links" in found["self"]
    assert "is a broken link" in found["dead.xlsx"]
    assert "pipe" in found["pipe.xlsx"]


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[None]:
    """Be a user who may not do everything, below `tmp_path`."""
    if os.geteuid() != 0:
        yield
        return
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:  # what pytest made for itself alone
            folder.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_and_a_file_that_may_not_be_read_are_told_with_the_reason(
    landing: Landing, request: pytest.FixtureRequest
) -> None:
    closed = put(landing, "incoming/novo/2025-03/a.xlsx").parent
    secret = put(landing, "incoming/cygnus/2025-03/secret.xlsx")
    put(landing, GOOD)
    closed.chmod(0)
    secret.chmod(0)
    request.getfixturevalue("nobody")

    drops = {drop.path: drop for drop in landing.drops()}

    assert drops.keys() == {GOOD, "incoming/novo/2025-03", "incoming/cygnus/2025-03/secret.xlsx"}
    folder, file = drops["incoming/novo/2025-03"], drops["incoming/cygnus/2025-03/secret.xlsx"]
    assert folder.is_folder
    assert "cannot be listed: permission denied" in folder.problem
    assert "stays in force" in folder.remedy
    assert "cannot be read by the user" in file.problem
    assert [drop.is_folder for drop in landing.drops("incoming/novo/2025-03")] == [True]
    with pytest.raises(RefusedError, match="permission denied"):
        landing.write("rejected/x.xlsx", b"x")


def test_an_unlisted_folder_changes_nothing_in_the_books() -> None:
    moment = datetime(2025, 3, 1, tzinfo=UTC)
    unlisted = Drop("incoming/novo", 0, "unread", moment, "incoming/novo", "may not", "give", is_folder=True)
    books = Books({"novo/2025-03": "as it was", "cygnus/2025-03": "as it was"}, {})

    changed = changed_folders([unlisted], books)

    assert [folder.key for folder in changed] == ["cygnus/2025-03", "unknown"]


def test_names_that_differ_in_the_form_of_an_accent_alone_are_one_name(landing: Landing) -> None:
    put(landing, "incoming/cygnus/2025-03/Ba\u0308r.xlsx", b"one")
    (alone,) = landing.drops()
    assert (alone.path, alone.problem) == ("incoming/cygnus/2025-03/B\u00e4r.xlsx", "")
    assert landing.read(alone.path) == b"one"

    put(landing, "incoming/cygnus/2025-03/B\u00e4r.xlsx", b"two")
    (both,) = landing.drops()

    assert both.path == alone.path
    assert "Two files are called incoming/cygnus/2025-03/B\u00e4r.xlsx" in both.problem
    assert both.etag != alone.etag


UNDER_WAY = [
    "a.xlsx.filepart", "a.xlsx.part", "a.pdf.crdownload", "Unconfirmed 12345.crdownload", "a.xlsx.tmp",
    "a.xlsx.partial", "a.xlsx.5f3a9c01.partial", "a.xlsx.download/a.xlsx", "a.xlsx.opdownload",
    "~WRD0001.tmp", "~DFA1B2C3.TMP", "5C2F1D00", "a.xlsx.6eF5b5dA", ".a.xlsx.Xy12Ab", "a.xlsx.TMP",
]  # fmt: skip


@pytest.mark.parametrize("name", UNDER_WAY)
def test_an_upload_under_way_is_waited_for_and_told_after_a_day(landing: Landing, name: str) -> None:
    path = put(landing, f"incoming/cygnus/2025-03/{name}")
    put(landing, GOOD)
    assert [drop.path for drop in landing.drops()] == [GOOD]

    os.utime(path, (time.time() - 25 * 3600,) * 2)
    left = [drop for drop in landing.drops() if drop.path != GOOD]

    if name.startswith("."):
        assert left == []
    else:
        assert "more than a day" in left[0].problem


@pytest.mark.parametrize("name", ["part.xlsx", "a part.xlsx", "tmp.pdf", "download.xlsx", "a.part 2.xlsx"])
def test_a_name_that_only_looks_like_an_upload_is_a_file(landing: Landing, name: str) -> None:
    landing.write(f"incoming/cygnus/2025-03/{name}", b"x")

    assert [drop.problem for drop in landing.drops()] == [""]


@pytest.mark.parametrize(
    "path",
    [
        f"incoming/cygnus/2025-03/{'x' * 244}.xlsx", f"incoming/cygnus/2025-03/{'ü' * 125}.xlsx",
        f"{'/'.join(['deep'] * 300)}/a.xlsx", "incoming//a.xlsx", "/incoming/a.xlsx", "incoming/../a.xlsx",
        "incoming/cygnus/./a.xlsx", "incoming/a\r.xlsx",
    ],
)  # fmt: skip
def test_an_error_workbook_has_a_name_that_every_store_takes(landing: Landing, path: str) -> None:
    found = errors_path(path)

    parts = found.split("/")
    assert parts[0] == "rejected"
    assert found.endswith(".errors.xlsx")
    assert all(0 < len(part.encode()) <= 255 and part not in (".", "..") for part in parts)
    assert len(found.encode()) < 900
    assert found == errors_path(path) != errors_path(f"{path}x")
    landing.write(found, b"errors")
    assert landing.read(found) == b"errors"


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

    with pytest.raises(ShsError, match=r"cannot be created.*SHS_LANDING"):
        Landing((tmp_path / "file" / "landing").as_uri()).drops()


def test_the_folder_of_a_landing_zone_may_have_any_name(tmp_path: Path) -> None:
    landing = Landing((tmp_path / "Ümläut 100% #1").as_uri())
    landing.write("incoming/a", b"x")

    assert (tmp_path / "Ümläut 100% #1" / "incoming" / "a").read_bytes() == b"x"
    assert [drop.path for drop in landing.drops()] == ["incoming/a"]
