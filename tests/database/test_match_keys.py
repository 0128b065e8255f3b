"""Names are compared alike in Python and in the database, whatever the letters and the server's locale."""

from __future__ import annotations

import random
import sys

import psycopg
import pytest

from shs_pipeline.casting.cells import match_key
from shs_pipeline.ingest.warehouse import ensure_tables


def in_the_database(database: str, names: list[str]) -> list[str]:
    with psycopg.connect(database) as connection:
        ensure_tables(connection)
        rows = connection.execute(
            "select ops.match_key(name) from unnest(%s::text[]) with ordinality as names (name, place)"
            " order by place",
            [names],
        )
        return [key for (key,) in rows]


def test_every_letter_has_the_same_key_on_both_sides(database: str) -> None:
    known = [char for char in map(chr, range(1, sys.maxunicode + 1)) if not 0xD800 <= ord(char) < 0xE000]
    letters = [char for char in known if char != char.casefold() or char != char.upper()]
    luck = random.Random(1)
    names = ["".join(luck.choices(letters, k=luck.randint(2, 9))) for _ in range(2000)]
    names += [*letters, *luck.sample(known, 3000), "", "Ann GRAY", 'O\'Neil \\ "Co"']
    assert len(letters) > 2500

    assert in_the_database(database, names) == [name.casefold() for name in names]


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("STRASSE GmbH", "Straße gmbh", True),
        ("ÉMILE", "émile", True),
        ("ΟΔΟΣ", "οδος", True),
        ("Iris", "İris", False),
        ("Iris", "\u0131ris", False),
    ],
)
def test_names_are_one_where_python_says_so(database: str, one: str, other: str, is_same: bool) -> None:
    keys = in_the_database(database, [one, other])

    assert keys == [match_key(one), match_key(other)]
    assert (keys[0] == keys[1]) is is_same
