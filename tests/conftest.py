"""One running embedded server for all tests of a process, and a fresh database for each that asks."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, LiteralString
from urllib.parse import unquote

import psycopg
import pytest
import typer.main
from hypothesis import HealthCheck
from hypothesis import settings as properties
from psycopg import sql
from psycopg.pq import ExecStatus

from shs_pipeline.database.connection import connect
from shs_pipeline.database.databases import OWNER, prepare
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.file_reader.reader import FileReader
from shs_pipeline.ingest import drop_reading
from shs_pipeline.ingest.folder_report import FolderReport
from shs_pipeline.ingest.ingestion import Ingestion
from shs_pipeline.ingest.run import run_changed
from shs_pipeline.ingest.warehouse import ensure_tables
from shs_pipeline.landing.names import SOURCE_NAMES
from shs_pipeline.landing.zone import Landing
from shs_pipeline.samples.reference import reference_workbooks
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.settings.settings import Settings
from tests.helpers import kept_processes, unused_memory

if TYPE_CHECKING:
    from tests.helpers.closed_house import House

LONGEST = (
    "tests/preview/test_preview.py",
    "tests/file_reader/test_file_reader.py",
    "tests/closing/test_guard.py",
    "tests/landing/test_arrivals.py",
    "tests/closing/test_close_commands.py",
    "tests/cli/test_cli.py",
    "tests/ingest/test_crashes.py",
    "tests/metabase/test_apply.py",
    "tests/marts/test_interrupted_builds.py",
    "tests/people/test_access.py",
    "tests/people/test_attacks.py",
    "tests/system/test_supervisor.py",
    "tests/closing/test_adjustments.py",
    "tests/containers/test_image.py",
    "tests/closing/test_close.py",
    "tests/ingest/test_ingestion.py",
    "tests/closing/test_restatement_reasons.py",
    "tests/cli/test_terminal.py",
    "tests/closing/test_recovery.py",
    "tests/sources/test_sources.py",
    "tests/system/test_backup.py",
    "tests/base/test_private_files.py",
    "tests/assets/test_marts_assets.py",
    "tests/marts/test_against_engine.py",
    "tests/ingest/test_holding.py",
    "tests/closing/test_opening_balances.py",
    "tests/marts/test_reference_findings.py",
    "tests/sensors/test_web_origin.py",
    "tests/marts/test_renames.py",
    "tests/assets/test_assets.py",
    "tests/closing/test_against_engine.py",
    "tests/sensors/test_old_runs.py",
    "tests/marts/test_payout_diff.py",
    "tests/sensors/test_landing_sensor.py",
    "tests/marts/test_marts.py",
    "tests/scaffold/test_scaffold.py",
    "tests/notices/test_notices.py",
    "tests/assets/test_closes_asset.py",
    "tests/system/test_start_here.py",
    "tests/sensors/test_run_host.py",
)
"""These files are begun first, so that no worker is left with one of them at the end.

Those that wait for others come between those that compute.
"""

IN_MEMORY, LEAST_FREE = Path("/dev/shm"), 8 << 30
if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free >= LEAST_FREE:
    # Hundreds of databases are made and dropped, of 650 files each: that takes longer than most tests.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))

unused_memory.look_seldom()

# How long an example takes says nothing about the code on a machine that is busy with other things.
properties.register_profile(
    "untimed", properties(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
properties.load_profile("untimed")

FILES = FileReader()
"""One reading process for all runs of a test process, since a new one imports for a while."""


def pytest_runtest_logfinish() -> None:
    """Let no worker grow without end."""
    unused_memory.look_where_large()


def pytest_sessionfinish() -> None:
    """Let what is left go with the process: to look through all of it at the end takes seconds."""
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the longest files to the front; all others keep their order."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


@pytest.fixture(autouse=True)
def _files_are_whole_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no run wait until a file has been quiet: tests write whole files."""
    monkeypatch.setattr(drop_reading, "QUIET_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def _reading_processes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a reading process that is no longer needed to the next reader: a new one imports for seconds."""
    monkeypatch.setattr(FileReader, "start", kept_processes.start)
    monkeypatch.setattr(FileReader, "close", kept_processes.close)


@pytest.fixture(scope="session", autouse=True)
def _nobody_is_at_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let a test that names no home fail: it would work on what whoever runs the tests has in theirs."""
    no_folder = tmp_path_factory.mktemp("nobody") / "home"
    no_folder.write_text("a test has to name its own home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHS_HOME", str(no_folder))
        yield


@pytest.fixture(scope="session", autouse=True)
def _templates_are_compiled_once() -> Iterator[None]:
    """Compile each of dbt's templates once in a test process, not once in each of its many builds."""
    from dbt_common.clients.jinja import MacroFuzzEnvironment
    from dbt_common.tests import enable_test_caching

    really_compile = MacroFuzzEnvironment.compile
    compiled: dict[tuple[object, ...], CodeType] = {}

    def compile_once(self: MacroFuzzEnvironment, source: str, *more: Any, **named: Any) -> CodeType:
        key = (source, *more, *sorted(named.items()))
        if key not in compiled:
            compiled[key] = really_compile(self, source, *more, **named)
        return compiled[key]

    enable_test_caching()  # dbt's own, of what it parses and of its plugins
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MacroFuzzEnvironment, "compile", compile_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def _commands_are_put_together_once() -> Iterator[None]:
    """Let typer look through all commands and their options once, not for each command that a test gives."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session", autouse=True)
def _models_come_one_after_the_other() -> Iterator[None]:
    """Let a build leave the other core to other tests: threads that wait for each other cost a tenth more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shs_pipeline.marts.dbt_build.THREADS", 1)
        yield


@pytest.fixture
def mass_changes_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let builds publish what would be held: for tests that are not about the guard, and change a lot."""
    monkeypatch.setattr("shs_pipeline.marts.build.verdict_of", lambda *_: None)


@pytest.fixture(scope="session")
def postgres_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose embedded server runs, with both databases made."""
    home = tmp_path_factory.mktemp("postgres") / "home"
    prepare(Settings(home=home, landing="", database_url=None))
    _make_quick(home)
    yield home
    EmbeddedPostgres(home).stop()


_SESSIONS: defaultdict[str, list[Session]] = defaultdict(list)
"""By the URL of their database, with which they end: a session that nobody closes keeps a file open."""


class Session:
    """A session that is kept, as to log in takes longer than most questions; begun again if it was ended."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._kept: psycopg.Connection | None = None
        _SESSIONS[url].append(self)

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()

    def ask(self, statement: LiteralString | bytes, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a statement, which is committed at once."""
        if self._kept is not None:
            try:
                return self._asked(self._kept, statement, values)
            except psycopg.OperationalError:
                if not self._kept.closed:
                    raise
        # A prepared statement would fail once its table has other columns.
        self._kept = psycopg.connect(self._url, autocommit=True, prepare_threshold=None)
        return self._asked(self._kept, statement, values)

    @staticmethod
    def _asked(
        session: psycopg.Connection, statement: LiteralString | bytes, values: Sequence[object]
    ) -> list[tuple[Any, ...]]:
        found = session.execute(statement, values)
        is_answer = found.pgresult is not None and found.pgresult.status == ExecStatus.TUPLES_OK
        return found.fetchall() if is_answer else []


@cache
def _warehouse(home: Path) -> tuple[str, Session]:
    """The owner's URL of a home's warehouse, and a session that makes and drops databases beside it."""
    url = prepare(Settings(home=home, database_url=None)).warehouse_url.get_secret_value()
    return url, Session(url)


def _make_quick(home: Path) -> None:
    """Let the server wait for no disk, not look after databases that are soon dropped, and log in quickly."""
    server = EmbeddedPostgres(home).ensure_running()
    with psycopg.connect(
        host=server.host, port=server.port, user=server.superuser, password=server.password, autocommit=True
    ) as connection:
        for name in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
            connection.execute(f"alter system set {name} = off".encode())
        connection.execute("alter system set scram_iterations = 1")
        connection.execute("select pg_reload_conf()")
        # For the password that is there already; the reload may come after this.
        connection.execute("set scram_iterations = 1")
        known = EmbeddedPostgres(home).read_secrets()
        renewed = sql.SQL("alter role {} password {}")
        connection.execute(renewed.format(sql.Identifier(OWNER), known.owner_password))


@pytest.fixture
def database(postgres_home: Path) -> Iterator[str]:
    """The owner's URL of a fresh, empty database, dropped afterwards."""
    yield from _fresh_database(postgres_home)


def _fresh_database(postgres_home: Path, copy_of: str = "template1") -> Iterator[str]:
    warehouse, owner = _warehouse(postgres_home)
    name = f"test_{secrets.token_hex(6)}"
    # Copied as files: page by page takes twice as long, with nothing to flush.
    owner.ask(f"create database {name} template {copy_of.rpartition('/')[2]} strategy file_copy".encode())
    url = f"{warehouse.rpartition('/')[0]}/{name}"
    yield url
    for session in _SESSIONS.pop(url, ()):
        session.close()
    # Not `with (force)`: an autovacuum worker belongs to the superuser, and only force minds that.
    owner.ask(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s"
        " and backend_type = 'client backend'",
        [name],
    )
    owner.ask(f"drop database {name}".encode())


@dataclass
class Zone:
    """A landing zone, the database that it is ingested into, and what an admin does with them."""

    url: str
    database_url: str
    max_bytes: int = 50 << 20
    wait_seconds: float = 30.0
    may_withdraw: bool = True
    runs: int = 0

    @cached_property
    def landing(self) -> Landing:
        return Landing(self.url)

    @cached_property
    def _session(self) -> Session:
        return Session(self.database_url)

    @property
    def folder(self) -> Path:
        """The landing zone's folder, where it is one."""
        return Path(unquote(self.url.removeprefix("file://")))

    def job(self, run_id: str | None = None) -> Ingestion:
        """What a run with an id of its own works with."""
        self.runs += 1
        run_id = run_id or f"run {self.runs}"
        return Ingestion(
            Landing(self.url),
            self.database_url,
            self.max_bytes,
            self.wait_seconds,
            run_id,
            self.may_withdraw,
            files=FILES,
        )

    def run(self, run_id: str | None = None) -> list[FolderReport]:
        """Ingest everything that changed."""
        return run_changed(self.job(run_id))

    def drop(self, path: str, content: bytes) -> str:
        self.landing.write(path, content)
        return path

    def drop_sample(
        self, source: str = "cygnus", month: str = "2025-03", *, lines: int = 6, seed: int = 1, name: str = ""
    ) -> str:
        """Drop a sample where it belongs, or under another name in the same folder; return its path."""
        sample = make_sample(source, date.fromisoformat(f"{month}-01"), lines=lines, seed=seed)
        path = f"{sample.path.rpartition('/')[0]}/{name}" if name else sample.path
        return self.drop(path, sample.content)

    def drop_references(self, *tables: str) -> None:
        """Drop the reference workbooks of the samples, all of them by default."""
        for path, content in reference_workbooks(date(2025, 1, 1), date(2025, 6, 1), 6).items():
            if not tables or Path(path).stem in tables:
                self.drop(path, content)

    def delete(self, path: str) -> None:
        self.landing.delete(path)

    def move(self, path: str, to: str) -> str:
        content = self.landing.read(path)
        assert content is not None
        self.drop(to, content)
        self.delete(path)
        return to

    def errors(self, path: str) -> bytes | None:
        """The error workbook of a dropped file."""
        return self.landing.read(f"rejected/{path}.errors.xlsx")

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self._session.ask(statement.encode(), values)

    def raw(self, source: str = "cygnus", order: str = "f.path, r.source_sheet, r.source_row") -> list[Any]:
        """All lines of a source as `(path, every column but file_id …)`, in the order of the files."""
        names = self.query(
            "select string_agg(format('r.%%I', column_name), ', ' order by ordinal_position)"
            " from information_schema.columns"
            " where table_schema = 'raw' and table_name = %s and column_name <> 'file_id'",
            source,
        )[0][0]
        return self.query(
            f"select f.path, {names} from raw.{source} as r inner join ops.files as f using (file_id)"
            f" order by {order}"
        )

    def statuses(self) -> list[tuple[str, str]]:
        """Path and status of every row of the books, oldest first."""
        return self.query("select path, status from ops.files order by file_id")

    def problem(self, path: str) -> str:
        """What is said of a rejected file: problem and remedy."""
        found = self.query(
            "select problem || ' ' || remedy from ops.files where path = %s and status = 'rejected'", path
        )
        return str(found[0][0]) if found else ""


@pytest.fixture(scope="session")
def empty_tables(postgres_home: Path) -> Iterator[str]:
    """A database with the tables of all contracts and no row, to be copied."""
    for database in _fresh_database(postgres_home):
        with psycopg.connect(database, autocommit=True) as owner:
            ensure_tables(owner)
        yield database


@pytest.fixture
def tables(empty_tables: str, postgres_home: Path) -> Iterator[str]:
    """The owner's URL of a database of its own, with empty tables."""
    yield from _fresh_database(postgres_home, copy_of=empty_tables)


@pytest.fixture
def sessions_begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the sessions that jobs begin from here on."""
    begun: list[str] = []

    def count(url: str, wait_seconds: float, name: str) -> psycopg.Connection:
        begun.append(name)
        return connect(url, wait_seconds, name)

    monkeypatch.setattr("shs_pipeline.ingest.ingestion.connect", count)
    return begun


@pytest.fixture
def zone(tables: str, tmp_path: Path) -> Zone:
    """An empty landing zone in a folder, and a database with empty tables."""
    return Zone((tmp_path / "landing zone").as_uri(), tables)


@pytest.fixture(scope="module")
def module_zone(postgres_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zone]:
    """As `zone`, one for all tests of a module."""
    for database in _fresh_database(postgres_home):
        yield Zone((tmp_path_factory.mktemp("module") / "landing zone").as_uri(), database)


@pytest.fixture(scope="session")
def company(postgres_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zone]:
    """What `built` and `published` are copies of; nobody changes it."""
    from shs_pipeline.marts.build import build_marts

    for database in _fresh_database(postgres_home):
        zone = Zone((tmp_path_factory.mktemp("company") / "landing zone").as_uri(), database)
        zone.drop_references()
        for source in SOURCE_NAMES:
            for month in ("2025-01", "2025-02"):
                zone.drop_sample(source, month, lines=12, seed=int(month[-1]))
        zone.drop_sample("cygnus", "2025-03", lines=40, seed=3)
        assert not [file for report in zone.run() for file in report.rejected]
        build_marts(zone.database_url, "first")
        yield zone


def _copy(company: Zone, postgres_home: Path, folder: Path) -> Iterator[Zone]:
    for database in _fresh_database(postgres_home, copy_of=company.database_url):
        landing = folder / "landing zone"
        # Links, since a file is known by its place on the disk: copies would be read anew.
        shutil.copytree(company.folder, landing, copy_function=os.link)
        yield Zone(landing.as_uri(), database, runs=company.runs)


@pytest.fixture(scope="module")
def built(company: Zone, postgres_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zone]:
    """Every source in January and February, cygnus in March, published; one for all tests of a module."""
    yield from _copy(company, postgres_home, tmp_path_factory.mktemp("built"))


@pytest.fixture
def published(company: Zone, postgres_home: Path, tmp_path: Path) -> Iterator[Zone]:
    """As `built`, one for each test."""
    yield from _copy(company, postgres_home, tmp_path)


@pytest.fixture(scope="session")
def first_house(postgres_home: Path) -> Iterator[House]:
    """The small company of `closed_house` as it is first published; to be copied, nobody changes it."""
    from tests.helpers.closed_house import House

    for database in _fresh_database(postgres_home):
        house = House(database)
        house.connection.close()
        yield house


@pytest.fixture(scope="session")
def january_house(first_house: House, postgres_home: Path) -> Iterator[House]:
    """The same with January closed, 300.00 for Ann and 30.00 for Bo, and February open."""
    from tests.helpers.closed_house import JANUARY, closed

    for house in copies(first_house, postgres_home):
        house.ask(closed(JANUARY, paid=date(2025, 2, 15)))
        house.connection.close()
        yield house


def copies(of: House, postgres_home: Path, *, is_guarded: bool | None = None) -> Iterator[House]:
    """One copy of a small company that nobody works with, which ends with its database."""
    from tests.helpers.closed_house import House

    guarded = of.is_guarded if is_guarded is None else is_guarded
    for database in _fresh_database(postgres_home, copy_of=of.url):
        house = House(database, of.warehouse.state, is_guarded=guarded)
        yield house
        house.connection.close()


@dataclass(frozen=True)
class S3Server:
    """A running S3 server on 127.0.0.1; its user is `tester` and its bucket `landing`."""

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which it is found."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
        }


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A SeaweedFS with one bucket; skips where its program is not installed."""
    program = Path(sys.executable).with_name("weed")
    if not program.is_file():
        pytest.skip("SeaweedFS is not installed: no `weed` beside the Python that runs the tests")
    folder = tmp_path_factory.mktemp("seaweed")
    user = {
        "name": "tester",
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        "credentials": [{"accessKey": "tester", "secretKey": "secret-of-the-test"}],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [user]}))
    ports = dict(zip(("master", "volume", "filer", "s3"), _free_ports(4), strict=True))
    options = [f"-{name}.port={port}" for name, port in ports.items()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *options, "-s3",
             f"-s3.config={folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0",
             "-master.telemetry=false", "-volume.max=20",
             "-master.volumeSizeLimitMB=64"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        server = S3Server(f"http://127.0.0.1:{ports['s3']}")
        _make_bucket(server, process, folder / "log")
        yield server
    finally:
        process.kill()  # a polite end takes it half a minute, and its data is thrown away
        process.wait()


def _free_ports(count: int) -> list[int]:
    """Ports that are free now, and so are those 10,000 above, which SeaweedFS takes for gRPC."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20000, 32000)
        with contextlib.ExitStack() as sockets:
            try:
                for each in (port, port + 10_000):
                    sockets.enter_context(socket.socket()).bind(("127.0.0.1", each))
            except OSError:
                continue
        found.append(port)
    return found


def _make_bucket(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server answers, and make the bucket by writing into it as an administrator."""
    import obstore
    from obstore.store import S3Store

    names = {name.lower(): value for name, value in server.environment.items()}
    allow_http = names.pop("aws_allow_http") == "true"
    store = S3Store("landing", client_options={"allow_http": allow_http}, config=names)  # type: ignore[arg-type]
    deadline = time.monotonic() + 60
    while True:
        try:
            obstore.put(store, "made", b"")
            obstore.delete(store, "made")
        except Exception:
            assert process.poll() is None, log.read_text()[-2000:]
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
        else:
            return


@pytest.fixture
def s3_zone(s3_server: S3Server, tables: str, monkeypatch: pytest.MonkeyPatch) -> Zone:
    """An empty landing zone below a prefix of a bucket, and a database with empty tables."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return Zone(f"s3://landing/some folder/{secrets.token_hex(4)}", tables)
