"""What tests of the close share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import copies
from tests.helpers.closed_house import House


@pytest.fixture(scope="module")
def january(january_house: House) -> House:
    """January is closed, February is open; nobody changes it. A module may have one of its own."""
    return january_house


@pytest.fixture
def house(january: House, postgres_home: Path) -> Iterator[House]:
    """A copy of `january`."""
    yield from copies(january, postgres_home)


@pytest.fixture
def new_house(first_house: House, postgres_home: Path) -> Iterator[House]:
    """A copy of the company before anything was closed."""
    yield from copies(first_house, postgres_home)
