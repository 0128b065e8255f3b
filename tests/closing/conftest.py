"""What tests of the close share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import _fresh_database
from tests.helpers.closed_house import House


@pytest.fixture
def house(january: House, postgres_home: Path) -> Iterator[House]:
    """A copy of the module's own `january`, which nobody changes."""
    for url in _fresh_database(postgres_home, copy_of=january.url):
        house = House(url, january.warehouse.state, is_guarded=january.is_guarded)
        yield house
        house.connection.close()
