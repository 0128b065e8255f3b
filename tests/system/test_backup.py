"""Backups: whole or not there, equal when restored, refused when damaged; and the bucket alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from typer.testing import CliRunner, Result

from shs_pipeline.base.errors import ShsError
from shs_pipeline.cli.main import build_app
from shs_pipeline.closing.handing_out import hand_out
from shs_pipeline.closing.recovery import read_back
from shs_pipeline.closing.workbook import Wish, put_wish
from shs_pipeline.database.databases import prepare
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.database.server_programs import bundled_programs
from shs_pipeline.ingest.run import changed_now
from shs_pipeline.ingest.warehouse import ensure_tables
from shs_pipeline.landing.zone import Landing
from shs_pipeline.marts.build import build_marts
from shs_pipeline.people.access import sync_logins
from shs_pipeline.people.logins import find_login
from shs_pipeline.people.passwords import login_url
from shs_pipeline.samples.broken import with_bad_cell
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.settings.secret_store import FileSecrets
from shs_pipeline.settings.settings import Settings
from shs_pipeline.system import backup
from shs_pipeline.system.backup import Backup, make_backup
from shs_pipeline.system.backup_folder import BUCKET, CHECKSUMS, DUMP, SUMMARY, read_backup
from shs_pipeline.system.bucket_list import compare_bucket, read_bucket
from shs_pipeline.system.dump import find_program
from shs_pipeline.system.restore import restore
from tests.helpers.marts_of import marts_of

SOURCES = ("cygnus", "novo", "quickbooks", "ternio")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> FileSecrets:
    return FileSecrets(tmp_path_factory.mktemp("secrets") / "secrets.json")


@pytest.fixture(scope="module")
def used(built: Any, secrets: FileSecrets) -> Any:
    """A warehouse with a life: two publications, a correction, a withdrawal, a rejection, logins."""
    built.drop_sample("cygnus", "2025-01", lines=15, seed=9)
    built.delete(make_sample("novo", date(2025, 2, 1), lines=12, seed=2).path)
    bad = make_sample("cygnus", date(2025, 5, 1), lines=12, seed=3)
    row = int(str(bad.lines[3]["source_row"]))
    built.drop(bad.path, with_bad_cell(bad.content, "Invoice Total", row, "abc"))
    put_wish(built.job(), Wish(date(2025, 1, 1), "Owen Brandvold", None, "Not all files are there."))
    built.run()
    build_marts(built.database_url, "second")
    with psycopg.connect(built.database_url) as connection:
        assert [one.folder for one in hand_out(connection, built.landing)] == ["paid/2025-01"]
    assert {status for _, status in built.statuses()} == {
        "loaded", "rejected", "superseded", "withdrawn",
    }  # fmt: skip
    with psycopg.connect(built.database_url, autocommit=True) as owner:
        sync_logins(owner, secrets)
    return built


@pytest.fixture(scope="module")
def backed_up(used: Any, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    return make_backup(used.database_url, used.landing, tmp_path_factory.mktemp("backups") / "nightly")


@dataclass
class Restored:
    """Another server with the backup restored into it, and what the command said."""

    url: str
    home: Path
    said: Result

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement, values).fetchall()


@pytest.fixture(scope="module")
def restored(used: Any, backed_up: Backup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restored]:
    home = tmp_path_factory.mktemp("other") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shs_pipeline.settings.settings.dotenv", dict)
        for name in [name for name in os.environ if name.startswith("SHS_")]:
            patch.delenv(name)
        patch.setenv("SHS_HOME", str(home))
        patch.setenv("SHS_LANDING", used.url)
        said = CliRunner().invoke(build_app(), ["restore", str(backed_up.folder)])
    url = prepare(Settings(home=home, landing=used.url, database_url=None)).warehouse_url
    yield Restored(url.get_secret_value(), home, said)
    EmbeddedPostgres(home).stop()


def rows(url: str, schema: str) -> dict[str, list[str]]:
    """All rows of all relations of a schema as text."""
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        names = connection.execute(
            "select relname::text from pg_class where relnamespace = %s::regnamespace"
            " and relkind in ('r', 'v')",
            [schema],
        ).fetchall()
        return {
            name: [
                text for (text,) in connection.execute(f'select t::text from {schema}."{name}" t order by 1')
            ]
            for (name,) in names
        }


def holds(url: str) -> list[str]:
    """The schemas of a warehouse."""
    with psycopg.connect(url) as connection:
        return [
            name
            for (name,) in connection.execute(
                "select nspname from pg_namespace where nspname !~ '^pg_'"
                " and nspname not in ('information_schema', 'public')"
            )
        ]


# --- restored ----------------------------------------------------------------------------


@pytest.mark.parametrize("schema", ["marts", "raw", "reference", "history", "ledger"])
def test_a_backup_restored_into_another_server_has_the_same_rows(
    used: Any, restored: Restored, schema: str
) -> None:
    assert restored.said.exit_code == 0, (restored.said.output, restored.said.exception)

    before, after = rows(used.database_url, schema), rows(restored.url, schema)

    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == []
    assert sum(map(len, after.values())) > 10


def test_the_books_are_restored_with_rejections_and_superseded_versions(
    used: Any, restored: Restored
) -> None:
    statement = "select * from ops.files order by file_id"

    assert restored.query(statement) == used.query(statement)


GUARDS = {
    "grants": """
        select relname, relkind, relrowsecurity, coalesce(relacl, acldefault('r', relowner))::text, reloptions
        from pg_class where relnamespace = 'marts'::regnamespace order by relname
    """,
    "policies": "select tablename, policyname, roles::text, cmd, qual from pg_policies order by 1, 2",
    "statistics": """
        select attrelid::regclass::text, attname, attstattarget
        from pg_attribute inner join pg_class as c on c.oid = attrelid
        where relnamespace = 'marts'::regnamespace and attnum > 0 and not attisdropped order by 1, 2
    """,
    "schemas": "select nspname, nspacl::text from pg_namespace where nspname in ('marts', 'raw') order by 1",
    "functions": """
        select proname, proacl::text, prosecdef, proconfig from pg_proc
        where pronamespace = 'marts'::regnamespace order by 1
    """,
}


@pytest.mark.parametrize("catalog", GUARDS.values(), ids=GUARDS)
def test_what_keeps_people_from_foreign_rows_is_restored(used: Any, restored: Restored, catalog: str) -> None:
    before = used.query(catalog)

    assert restored.query(catalog) == before
    assert before


def test_a_rep_logs_in_with_a_new_password_and_sees_the_own_rows_only(
    used: Any, restored: Restored, secrets: FileSecrets
) -> None:
    store = FileSecrets(restored.home / "secrets.json")
    with psycopg.connect(restored.url, autocommit=True) as owner:
        rep = owner.execute("select max(rep_name) from marts.commission_payouts").fetchone()
        assert rep is not None
        login = find_login(owner, rep[0])
    password = store.get(login.secret_name or "")
    assert password
    assert password not in {secrets.get(name) for name in secrets.names()}

    with psycopg.connect(login_url(restored.url, login.role_name, password)) as person:
        seen = person.execute("select distinct rep_name from marts.commission_payouts").fetchall()

    assert seen == [rep]
    assert len(restored.query("select distinct rep_name from marts.commission_payouts")) > 1


def test_the_next_run_after_a_restore_has_nothing_to_do(used: Any, restored: Restored) -> None:
    job = type(used)(used.url, restored.url).job()

    assert changed_now(job) == []
    assert build_marts(restored.url, "after").was_current
    assert "finds nothing new in" in restored.said.output
    assert "The bucket holds the same files as at the time of the backup" in restored.said.output


def test_a_restored_warehouse_goes_on_where_it_was(
    used: Any, backed_up: Backup, tmp_path: Path, database: str
) -> None:
    # Links have the etags of the files that they link to.
    shutil.copytree(used.folder, tmp_path / "bucket", copy_function=os.link)
    later = type(used)((tmp_path / "bucket").as_uri(), database)
    new = later.drop_sample("cygnus", "2025-04", lines=30, seed=4)

    told = restore(database, backed_up.folder, later.landing, FileSecrets(tmp_path / "secrets.json"))
    before = later.query("select sum(payout) from marts.commission_payouts")
    loaded = [file.path for report in later.run() for file in report.loaded]
    report = build_marts(database, "after")

    assert told.bucket is not None
    assert (told.bucket.gone, told.bucket.new, told.bucket.changed) == ([], [new], [])
    assert list(told.next_folders) == ["cygnus/2025-04"]
    assert loaded == [new]
    assert not report.is_full_refresh
    assert later.query("select sum(payout) from marts.commission_payouts") > before


# --- refused -----------------------------------------------------------------------------


@pytest.fixture
def copied(backed_up: Backup, tmp_path: Path) -> Path:
    """A backup that may be damaged."""
    return Path(shutil.copytree(backed_up.folder, tmp_path / "copied"))


@pytest.mark.parametrize("name", [DUMP, BUCKET, SUMMARY, CHECKSUMS])
@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_a_damaged_backup_is_refused(copied: Path, name: str, damage: str) -> None:
    assert read_backup(copied).files
    path = copied / name
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1

    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content if damage == "flipped" else content[: len(content) // 2])

    with pytest.raises(ShsError, match=r"damaged|not a complete backup"):
        read_backup(copied)


def test_a_folder_with_backups_in_it_is_no_backup_and_the_last_one_is_named(backed_up: Backup) -> None:
    with pytest.raises(ShsError, match="not a complete backup") as refused:
        read_backup(backed_up.folder.parent)

    assert backed_up.folder.name in refused.value.remedy


def test_a_warehouse_that_holds_something_is_refused_and_stays(
    used: Any, backed_up: Backup, tmp_path: Path
) -> None:
    before = rows(used.database_url, "marts")

    with pytest.raises(ShsError, match=r"not empty: .* contains rows"):
        restore(used.database_url, backed_up.folder, used.landing, FileSecrets(tmp_path / "secrets.json"))

    assert rows(used.database_url, "marts") == before


def sign(folder: Path) -> None:
    """Write the checksums of a backup anew, as if it had been made like this."""
    names = (BUCKET, DUMP, SUMMARY)
    lines = [f"{sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / CHECKSUMS).write_text("".join(lines))


def test_a_restore_that_fails_half_way_leaves_the_database_empty(
    used: Any, copied: Path, database: str, tmp_path: Path
) -> None:
    with psycopg.connect(database) as owner:
        ensure_tables(owner)  # as on a new installation; empty tables are no obstacle
    content = (copied / DUMP).read_bytes()
    (copied / DUMP).write_bytes(content[: len(content) * 2 // 3])
    sign(copied)

    with pytest.raises(ShsError, match="pg_restore failed"):
        restore(database, copied, used.landing, FileSecrets(tmp_path / "secrets.json"))

    assert holds(database) == []


@pytest.mark.parametrize("said", ["rows", "digest"])
def test_what_differs_from_the_summary_is_removed_again(
    used: Any, copied: Path, database: str, tmp_path: Path, said: str
) -> None:
    summary = json.loads((copied / SUMMARY).read_text())
    payouts = summary["tables"]["marts.commission_payouts"]
    payouts[said] = {"rows": payouts["rows"] + 1, "digest": "1"}[said]
    (copied / SUMMARY).write_text(json.dumps(summary))
    sign(copied)

    with pytest.raises(ShsError, match=r"differs from the backup: marts\.commission_payouts\."):
        restore(database, copied, used.landing, FileSecrets(tmp_path / "secrets.json"))

    assert holds(database) == []


def test_an_empty_warehouse_is_not_backed_up(database: str, tmp_path: Path) -> None:
    with pytest.raises(ShsError, match="nothing to back up"):
        make_backup(database, Landing((tmp_path / "landing").as_uri()), tmp_path / "backups")

    assert list((tmp_path / "backups").iterdir()) == []


def test_a_build_is_waited_for_and_said_when_it_does_not_end(
    used: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "LOCK_WAIT_SECONDS", 1)
    with psycopg.connect(used.database_url) as build:
        build.execute("lock table ops.folders in share row exclusive mode")
        with pytest.raises(ShsError, match="A build of the marts has been running"):
            make_backup(used.database_url, used.landing, tmp_path / "backups")
    with psycopg.connect(used.database_url) as load:
        load.execute("lock table ops.folders in row exclusive mode")

        made = make_backup(used.database_url, used.landing, tmp_path / "backups")

    assert list((tmp_path / "backups").iterdir()) == [made.folder]


# --- what is written ---------------------------------------------------------------------


def test_only_the_owner_reads_a_backup(backed_up: Backup) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in backed_up.folder.iterdir()}

    assert modes == dict.fromkeys((DUMP, BUCKET, SUMMARY, CHECKSUMS), 0o600)
    assert stat.S_IMODE(backed_up.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(backed_up.folder.parent.stat().st_mode) == 0o700


def test_the_checksums_are_those_that_sha256sum_checks(backed_up: Backup) -> None:
    done = subprocess.run(["sha256sum", "--check", "--strict", CHECKSUMS], cwd=backed_up.folder, check=False)

    assert done.returncode == 0


def test_no_password_is_in_a_backup_or_on_a_command_line(
    used: Any, backed_up: Backup, secrets: FileSecrets, database: str, tmp_path: Path
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    real = next(iter(bundled_programs().values()))
    for name in ("pg_dump", "pg_restore"):
        script = f'#!/bin/sh\ncat /proc/$$/cmdline >> "{tmp_path}/told"\nexec "{real / name}" "$@"\n'
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    password = urlsplit(used.database_url).password or ""
    assert password
    assert secrets.names()

    made = make_backup(used.database_url, used.landing, tmp_path / "backups", pg_bin=programs)
    restore(database, made.folder, used.landing, FileSecrets(tmp_path / "new.json"), pg_bin=programs)

    told = (tmp_path / "told").read_bytes()
    assert all(word in told for word in (b"pg_dump", b"pg_restore", b"127.0.0.1"))
    assert password.encode() not in told
    dumped = subprocess.run(
        [real / "pg_restore", "--file=-", made.folder / DUMP], capture_output=True, check=True
    ).stdout
    assert b"CREATE TABLE ops.logins" in dumped
    whole = dumped + b"".join(path.read_bytes() for path in made.folder.iterdir())
    for secret in (password, "SCRAM-SHA-256", *(secrets.get(name) or "" for name in secrets.names())):
        assert secret
        assert secret.encode() not in whole


def test_the_list_names_each_file_with_size_and_checksum(used: Any, backed_up: Backup) -> None:
    listed = {file.path: file for file in read_bucket(backed_up.folder)}

    assert listed.keys() == {drop.path for drop in used.landing.drops()}
    for path, file in listed.items():
        content = used.landing.read(path)
        assert (file.bytes, file.sha256) == (len(content), sha256(content).hexdigest())
    assert (backed_up.missing, backed_up.unread) == ([], [])


def test_what_is_loaded_and_gone_and_what_is_not_read_yet_is_said(zone: Any, tmp_path: Path) -> None:
    first = zone.drop_sample("cygnus", "2025-03")
    second = zone.drop_sample("cygnus", "2025-04", seed=2)
    zone.run()
    zone.delete(first)
    third = zone.drop_sample("cygnus", "2025-05", seed=3)
    zone.drop_sample("cygnus", "2025-04", lines=9, seed=4)

    made = make_backup(zone.database_url, zone.landing, tmp_path / "backups")

    assert made.missing == [first]
    assert made.unread == [second, third]


def test_a_bucket_that_changed_since_is_told_from_the_list(
    used: Any, backed_up: Backup, tmp_path: Path
) -> None:
    shutil.copytree(used.folder, tmp_path / "copy")
    copy = type(used)((tmp_path / "copy").as_uri(), "")
    paths = [drop.path for drop in copy.landing.drops() if "quickbooks" in drop.path]
    content = bytearray(copy.landing.read(paths[1]) or b"")
    content[-1] ^= 1  # of the same size
    copy.delete(paths[0])
    copy.drop(paths[1], bytes(content))
    new = copy.drop_sample("cygnus", "2025-06")

    found = compare_bucket(copy.landing, copy.landing.drops(), read_bucket(backed_up.folder))

    assert (found.gone, found.changed, found.new) == ([paths[0]], [paths[1]], [new])


# --- killed, and the programs ------------------------------------------------------------

KILLED = """
import os, sys
from pathlib import Path
from shs_pipeline.system.backup import make_backup
from shs_pipeline.landing.zone import Landing
make_backup(os.environ["URL"], Landing(sys.argv[1]), Path(sys.argv[2]), pg_bin=Path(sys.argv[3]))
"""


def test_a_killed_backup_leaves_none_and_the_next_one_clears_up(used: Any, tmp_path: Path) -> None:
    programs, into = tmp_path / "programs", tmp_path / "backups"
    programs.mkdir()
    version = "[ $1 = --version ] && echo 'pg_dump (PostgreSQL) 99.1' && exit"
    (programs / "pg_dump").write_text(f"#!/bin/sh\n{version}\necho $$ > {tmp_path}/pid\nexec yes\n")
    (programs / "pg_dump").chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, used.url, into, programs], env={**os.environ, "URL": used.database_url}
    )
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in into.glob(".making-*/database.dump")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # One that runs is left alone by another one.
    beside = make_backup(used.database_url, used.landing, into)
    assert len(list(into.glob(".making-*"))) == 1

    process.send_signal(signal.SIGKILL)
    process.wait()

    assert [path for path in into.iterdir() if not path.name.startswith(".")] == [beside.folder]
    dumping = int((tmp_path / "pid").read_text())
    while _lives(dumping):  # without its reader it ends by itself
        assert time.monotonic() < deadline
        time.sleep(0.05)
    make_backup(used.database_url, used.landing, into)
    assert len(list(into.iterdir())) == 2
    assert not list(into.glob(".making-*"))


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2]
    except OSError:
        return False
    return not state.startswith(("Z", "X"))


def fake(folder: Path, version: int) -> Path:
    folder.mkdir()
    program = folder / "pg_dump"
    program.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {version}.4'\n")
    program.chmod(0o755)
    return folder


def test_programs_older_than_the_server_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = fake(tmp_path / "old", 15), fake(tmp_path / "new", 99)
    monkeypatch.setenv("PATH", str(old), prepend=os.pathsep)

    named = find_program("pg_dump", 16, preferred=16, pg_bin=new, needs_tls=False)
    found = find_program("pg_dump", 16, preferred=16, pg_bin=old, needs_tls=False)

    assert (named.version, named.path.parent) == (99, new)
    assert (found.version, found.path.parent) == (16, bundled_programs()[16])
    with pytest.raises(ShsError, match=r"No pg_dump of version 98 or newer was found; there is .*15\.4"):
        find_program("pg_dump", 98, preferred=98, pg_bin=old, needs_tls=False)


def test_programs_that_cannot_encrypt_are_not_used_for_a_connection_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(fake(tmp_path / "path", 17)))

    found = find_program("pg_dump", 16, preferred=16, pg_bin=None, needs_tls=True)

    assert found.path.parent == tmp_path / "path"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ShsError, match="that can encrypt"):
        find_program("pg_dump", 16, preferred=16, pg_bin=None, needs_tls=True)


def test_the_command_says_where_the_backup_is(
    used: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shs_pipeline.settings.settings.dotenv", dict)
    for name, value in {
        "HOME": tmp_path / "home",
        "LANDING": used.url,
        "DATABASE_URL": used.database_url,
    }.items():
        monkeypatch.setenv(f"SHS_{name}", str(value))

    said = CliRunner().invoke(build_app(), ["backup"])

    assert said.exit_code == 0, (said.output, said.exception)
    made = next((tmp_path / "home" / "backups").iterdir())
    assert f"Backed up to {made}\n" in said.output
    assert read_backup(made).landing == used.url


# --- the bucket alone --------------------------------------------------------------------


def test_all_marts_are_rebuilt_from_the_bucket_alone(used: Any, database: str) -> None:
    rebuilt = type(used)(used.url, database)

    rebuilt.run()
    with psycopg.connect(database) as connection:
        assert read_back(connection, rebuilt.landing) is not None
    build_marts(database, "rebuilt")

    with psycopg.connect(used.database_url) as old, psycopg.connect(database) as new:
        before, after = marts_of(old), marts_of(new)
    assert before.keys() == after.keys()
    assert [table for table in before if before[table] != after[table]] == []
    assert all(after[table] for table in ("harmonised_sales", "commission_payouts", "sales_history_ternio"))
    paid = "select sum(payout), count(*) from marts.commission_payouts"
    assert rebuilt.query(paid) == used.query(paid)
    assert rebuilt.query(paid)[0][0] > Decimal(0)
    # What only the old database knows.
    assert {status for _, status in rebuilt.statuses()} == {"loaded", "rejected"}
    assert len(rebuilt.query("select from marts.publications")) == 1
