"""One running embedded server for all tests of a process, and a fresh database for each that asks."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest

from shs_pipeline.bookkeeping import FolderReport
from shs_pipeline.database import prepare
from shs_pipeline.embedded_postgres import EmbeddedPostgres
from shs_pipeline.ingestion import Ingestion
from shs_pipeline.landing import Landing
from shs_pipeline.run import run_changed
from shs_pipeline.samples import make_sample
from shs_pipeline.samples.reference import reference_workbooks
from shs_pipeline.settings import Settings


@pytest.fixture(scope="session")
def postgres_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose embedded server runs, with both databases made."""
    home = tmp_path_factory.mktemp("postgres") / "home"
    prepare(Settings(home=home, landing="", database_url=None))
    yield home
    EmbeddedPostgres(home).stop()


@pytest.fixture
def database(postgres_home: Path) -> Iterator[str]:
    """The owner's URL of a fresh, empty database, dropped afterwards."""
    yield from _fresh_database(postgres_home)


def _fresh_database(postgres_home: Path) -> Iterator[str]:
    warehouse = prepare(Settings(home=postgres_home, database_url=None)).warehouse_url.get_secret_value()
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(warehouse, autocommit=True) as owner:
        owner.execute(f"create database {name}")
        yield f"{warehouse.rpartition('/')[0]}/{name}"
        owner.execute(f"drop database {name} with (force)")


@dataclass
class Zone:
    """A landing zone, the database that it is ingested into, and what an admin does with them."""

    url: str
    database_url: str
    max_bytes: int = 50 << 20
    wait_seconds: float = 30.0
    runs: int = 0

    @cached_property
    def landing(self) -> Landing:
        return Landing(self.url)

    @property
    def folder(self) -> Path:
        """The landing zone's folder, where it is one."""
        return Path(unquote(self.url.removeprefix("file://")))

    def job(self, run_id: str | None = None) -> Ingestion:
        """What a run with an id of its own works with."""
        self.runs += 1
        run_id = run_id or f"run {self.runs}"
        return Ingestion(Landing(self.url), self.database_url, self.max_bytes, self.wait_seconds, run_id)

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
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(statement, values).fetchall()  # type: ignore[arg-type]

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


@pytest.fixture
def zone(database: str, tmp_path: Path) -> Zone:
    """An empty landing zone in a folder, and an empty database."""
    return Zone((tmp_path / "landing zone").as_uri(), database)


@pytest.fixture(scope="module")
def module_zone(postgres_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zone]:
    """As `zone`, one for all tests of a module."""
    for database in _fresh_database(postgres_home):
        yield Zone((tmp_path_factory.mktemp("module") / "landing zone").as_uri(), database)
