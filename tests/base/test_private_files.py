"""What others on the machine cannot read, and what stays as its owner made it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest

from shs_pipeline.base.private_files import is_open_to_others, make_private_folder, private_file
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.landing.zone import Landing
from shs_pipeline.samples import broken
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.settings.settings import Settings
from shs_pipeline.system.doctor import _home, _landing

SHS = Path(sys.executable).with_name("shs")
OPEN = stat.S_IROTH | stat.S_IWOTH


@pytest.fixture
def usual_umask(tmp_path: Path) -> Iterator[Path]:
    """A place that everybody can enter, and the umask that most machines have."""
    before = os.umask(0o022)
    folder = tmp_path / "place"
    folder.mkdir()
    yield folder
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_a_private_file_is_its_owners_whatever_the_umask_and_replaces_nothing(
    tmp_path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        with private_file(tmp_path / "kept") as handle:
            handle.write(b"secret")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "kept") == 0o600

    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for taken in ("kept", "link"):
        with pytest.raises(FileExistsError), private_file(tmp_path / taken) as handle:
            handle.write(b"other")
    assert (tmp_path / "kept").read_bytes() == b"secret"
    assert not (tmp_path / "elsewhere").exists()


class CommandLines(threading.Thread):
    """Reads, as everybody on the machine can, what the processes were started with."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_over.wait(0.03):
            for process in Path("/proc").iterdir():
                if process.name.isdigit():
                    with suppress(OSError):
                        self.seen.add((process / "cmdline").read_bytes())

    def __enter__(self) -> CommandLines:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.join()


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[bytes]]:
    """A home that commands made and worked in under the usual umask, and all command lines meanwhile."""
    folder = tmp_path_factory.mktemp("used")
    home = folder / "srv" / "home"
    sample = make_sample("chemence", date(2025, 3, 1), lines=5, seed=1)
    row = int(sample.lines[2]["source_row"])
    report = folder / "report.xlsx"
    report.write_bytes(broken.with_bad_cell(sample.content, "Sales Total", row, "twelve dollars"))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SHS_")}

    def shs(*words: str) -> str:
        done = subprocess.run(
            [SHS, *words], env={**kept, "SHS_HOME": str(home)}, capture_output=True, text=True, cwd=folder,
            check=False, umask=0o022,
        )  # fmt: skip
        return done.stdout

    with CommandLines() as lines:
        try:
            shs("drop", str(report), "--source", "chemence", "--month", "2025-03")
            shs("run")
            address = shs("url", "--passfile").strip()
            psql = EmbeddedPostgres(home).programs / "psql"
            if psql.is_file():
                assert "1 row" in subprocess.run(
                    [psql, address, "-c", "select pg_sleep(2)"], capture_output=True, text=True, check=True
                ).stdout  # fmt: skip
            shs("backup", str(folder / "backups"))
        finally:
            shs("down")
    return home, lines.seen


def test_what_commands_write_is_closed_to_others(used: tuple[Path, set[bytes]]) -> None:
    home, _ = used
    made = [path for path in home.rglob("*") if not path.is_symlink()]

    names = {path.name for path in made}
    assert {"report.xlsx", "report.xlsx.errors.xlsx", "postgres.log", "pgpass"} <= names
    assert [path for path in made if path.is_file() and path.stat().st_mode & OPEN] == []
    # Through some folders the database walks as another user; none can be listed.
    assert [path for path in (home, *made) if path.is_dir() and path.stat().st_mode & OPEN] == []


def test_no_command_shows_a_password_in_the_list_of_processes(used: tuple[Path, set[bytes]]) -> None:
    home, seen = used
    known = EmbeddedPostgres(home).read_secrets()

    # tests/system/test_backup.py looks at what pg_dump and pg_restore are started with.
    for program in (b"psql", b"postgres"):
        assert any(program in line.partition(b"\0")[0] for line in seen), program
    for password in (known.owner_password, known.superuser_password):
        assert [line for line in seen if password.encode() in line] == []


@pytest.mark.parametrize("mode", [0o2770, 0o750, 0o755, 0o700])
def test_a_landing_zone_that_was_there_stays_and_what_is_written_follows_it(
    usual_umask: Path, mode: int
) -> None:
    zone = usual_umask / "zone"
    zone.mkdir()
    zone.chmod(mode)
    os.umask(0o077)

    landing = Landing(zone.as_uri())
    landing.write("incoming/cygnus/2025-03/a.xlsx", b"x")
    landing.write("incoming/cygnus/2025-03/a.xlsx", b"y")

    assert mode_of(zone) == mode
    assert {mode_of(zone / path) for path in ("incoming", "incoming/cygnus", "incoming/cygnus/2025-03")} == {
        mode
    }
    assert mode_of(zone / "incoming/cygnus/2025-03/a.xlsx") == mode & 0o666


def test_a_landing_zone_that_is_made_is_for_its_owner(usual_umask: Path) -> None:
    Landing((usual_umask / "zone").as_uri()).write("incoming/cygnus/2025-03/a.xlsx", b"x")

    assert not any(path.stat().st_mode & OPEN for path in (usual_umask / "zone").rglob("*"))
    assert not mode_of(usual_umask / "zone") & OPEN


def test_doctor_tells_what_is_open_and_only_where_others_get_in(usual_umask: Path) -> None:
    home, zone = usual_umask / "home", usual_umask / "zone"
    for folder in (home, zone):
        folder.mkdir(mode=0o755)
    settings = Settings(home=home, landing=str(zone))
    above = [folder for folder in usual_umask.parents if not folder.stat().st_mode & stat.S_IXOTH]
    before = {folder: mode_of(folder) for folder in above}
    try:
        for folder in above:
            folder.chmod(before[folder] | 0o011)
        for finding, folder in ((_home(settings), home), (_landing(settings), zone)):
            assert (finding.state, str(folder) in finding.found) == ("warn", True)
            assert f"'{folder}'" in finding.remedy
        usual_umask.chmod(0o700)
        assert not is_open_to_others(home)
        assert [_home(settings).state, _landing(settings).state] == ["ok", "ok"]
    finally:
        for folder in above:
            folder.chmod(before[folder])


def test_a_folder_that_is_there_is_not_changed(usual_umask: Path) -> None:
    make_private_folder(usual_umask)
    make_private_folder(usual_umask / "a" / "b")

    assert mode_of(usual_umask) == 0o755
    assert not mode_of(usual_umask / "a" / "b") & OPEN
    (usual_umask / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"exists|directory"):
        make_private_folder(usual_umask / "file")
