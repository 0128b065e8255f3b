"""A test process looks for unused memory once it has got large."""

from __future__ import annotations

import gc

import pytest

from tests.helpers import unused_memory


@pytest.mark.skipif(gc.isenabled(), reason="a process cannot tell its size here, so Python looks by itself")
def test_a_process_is_looked_through_when_it_is_large_and_not_again_until_it_has_grown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[int] = []
    size = [99]
    monkeypatch.setattr(gc, "collect", lambda: looks.append(size[0]))
    monkeypatch.setattr(unused_memory, "_used", lambda: size[0])
    monkeypatch.setattr(unused_memory, "LARGE", 100)
    monkeypatch.setattr(unused_memory, "_limits", [100])

    for size[0] in (99, 101, 150, 201, 202, 300):
        unused_memory.look_where_large()

    assert looks == [101, 202]


def test_a_process_knows_its_size() -> None:
    before = unused_memory._used()

    held = bytearray(64 << 20)

    assert unused_memory._used() > before + len(held) // 2
