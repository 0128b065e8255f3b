"""Arabic and Hebrew as they are drawn: from left to right, the last letter first, joined."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shs_pipeline.closing.statement_scripts import as_drawn


def joined(text: str) -> list[str]:
    """In which form each Arabic letter is drawn, from left to right."""
    return [unicodedata.decomposition(letter).split()[0].strip("<>") for letter in as_drawn(text)]


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("Mercy Hill (North) 12", "Mercy Hill (North) 12"),
        ("Łódź Ωμέγα Жук 東京", "Łódź Ωμέγα Жук 東京"),
        ("אבג", "גבא"),
        ("אבג דהו", "והד גבא"),
        # A number keeps its order, and brackets turn with what they hold.
        ("אבג (דה) 12", "12 (הד) גבא"),
        ("אבג 12-34", "12-34 גבא"),
        # Within English text only the Hebrew turns.
        ("Clinic אבג דה North", "Clinic הד גבא North"),
        ("Clinic (אבג) 7", "Clinic (גבא) 7"),
        # Within Hebrew text the English does not.
        ("אבג Mercy Hill דה", "הד Mercy Hill גבא"),
        # A mark stays with its letter.
        ("\u05d1\u05bc\u05d0", "\u05d0\u05d1\u05bc"),
    ],
)
def test_the_order_is_that_of_the_eye(text: str, drawn: str) -> None:
    assert as_drawn(text) == drawn


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("\u0628", ["isolated"]),
        ("\u0628\u0628", ["final", "initial"]),
        ("\u0628\u0628\u0628", ["final", "medial", "initial"]),
        # Alef and reh join nothing after them.
        ("\u0627\u0628", ["isolated", "isolated"]),
        ("\u0628\u0627\u0628", ["isolated", "final", "initial"]),
        ("\u0628\u0631\u0628\u0628", ["final", "initial", "final", "initial"]),
        # Lam and alef are one shape.
        ("\u0644\u0627", ["isolated"]),
        ("\u0628\u0644\u0627", ["final", "initial"]),
        # Letters of Persian.
        ("\u067e\u0686", ["final", "initial"]),
    ],
)
def test_arabic_letters_join_their_neighbours(text: str, forms: list[str]) -> None:
    assert joined(text) == forms


def test_marks_do_not_part_letters() -> None:
    assert as_drawn("\u0628\u064e\u0628") == "\ufe90\ufe91\u064e"


@given(st.text(alphabet="aZ 12(),-אבגבּا\u0644\u0628\u064e\u0640\u200d٣", max_size=30))
def test_no_letter_is_lost(text: str) -> None:
    before = sorted(unicodedata.normalize("NFKD", text.translate(str.maketrans(")", "("))))
    after = sorted(unicodedata.normalize("NFKD", as_drawn(text).translate(str.maketrans(")", "("))))

    assert after == before
