"""Databases with the books in them, which every test here begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import _fresh_database
from tests.helpers.metabase_house import House


@pytest.fixture
def database(tables: str) -> str:
    """The owner's URL of a fresh database with empty tables."""
    return tables


@pytest.fixture(scope="module")
def shared_database(empty_tables: str, postgres_home: Path) -> Iterator[str]:
    """As `database`, one for all tests of a module."""
    yield from _fresh_database(postgres_home, copy_of=empty_tables)


@pytest.fixture
def applied(once_applied: tuple[House, Callable[[], None]]) -> Iterator[House]:
    """The module's own Metabase after an apply; the same one for each test, brought back to that."""
    found, bring_back = once_applied
    yield found
    problems = found.fake.problems
    bring_back()
    assert not problems
