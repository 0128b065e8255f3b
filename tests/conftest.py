"""One running embedded server for all tests of a process, and a fresh database for each that asks."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from shs_pipeline.database import prepare
from shs_pipeline.embedded_postgres import EmbeddedPostgres
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
    warehouse = prepare(Settings(home=postgres_home, database_url=None)).warehouse_url.get_secret_value()
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(warehouse, autocommit=True) as owner:
        owner.execute(f"create database {name}")
        yield f"{warehouse.rpartition('/')[0]}/{name}"
        owner.execute(f"drop database {name} with (force)")
