"""Databases with the books in them, which every test here begins with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import _fresh_database


@pytest.fixture
def database(empty_tables: str, postgres_home: Path) -> Iterator[str]:
    """The owner's URL of a fresh database with empty tables."""
    yield from _fresh_database(postgres_home, copy_of=empty_tables)


@pytest.fixture(scope="module")
def shared_database(empty_tables: str, postgres_home: Path) -> Iterator[str]:
    """As `database`, one for all tests of a module."""
    yield from _fresh_database(postgres_home, copy_of=empty_tables)
