"""Arabic and Hebrew as they are drawn: letters joined, and in their order from left to right."""

from __future__ import annotations

import unicodedata
from functools import cache

_FORMS = ("isolated", "final", "initial", "medial")
_LAM_WITH_ALEF = 0xFEF5
_DIGITS = ("EN", "AN")
_OPENING = {"(": ")", "[": "]", "{": "}"}


def as_drawn(text: str) -> str:
    """Return a text with its letters in the order and the shapes in which they are drawn.

    The Unicode algorithm without nested directions, which names of people and places do not need.
    """
    if text.isascii() or not any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text):
        return text
    letters = _clusters(_joined(text))
    levels = _levels(letters)
    for level in range(max(levels), 0, -1):
        letters, levels = _turned(letters, levels, level)
    return "".join(
        _mirrored(letter) if level % 2 else letter for letter, level in zip(letters, levels, strict=True)
    )


def _clusters(text: str) -> list[str]:
    """Return each letter together with the marks above and below it."""
    letters: list[str] = []
    for letter in text:
        if letters and unicodedata.bidirectional(letter) == "NSM":
            letters[-1] += letter
        else:
            letters.append(letter)
    return letters


def _levels(letters: list[str]) -> list[int]:
    """Return the levels of the letters: odd ones run from right to left."""
    kinds = [unicodedata.bidirectional(letter[0]) for letter in letters]
    base = "L" if next(kind for kind in kinds if kind in ("L", "R", "AL")) == "L" else "R"
    directions = _directions(kinds, base)
    _settle_brackets(letters, directions, base)
    before = base
    between: list[int] = []
    for place, direction in enumerate([*directions, base]):
        if direction:
            after = "R" if direction == "n" else direction
            for gap in between:
                directions[gap] = after if after == before else base
            before, between = after, []
        else:
            between.append(place)
    return [{"L": 2 if base == "R" else 0, "R": 1, "n": 2}[direction] for direction in directions]


def _directions(kinds: list[str], base: str) -> list[str]:
    """Return `L`, `R`, `n` for a number after R, or nothing for what goes with its neighbours."""
    kinds = list(kinds)
    for place in range(1, len(kinds) - 1):
        # One sign between digits belongs to the number.
        if (
            kinds[place] in ("ES", "CS")
            and kinds[place - 1] == kinds[place + 1]
            and kinds[place + 1] in _DIGITS
        ):
            kinds[place] = kinds[place + 1]
    directions, last = [], base
    for kind in kinds:
        direction = {"L": "L", "R": "R", "AL": "R"}.get(kind, "")
        last = direction or last
        directions.append(("n" if last == "R" else "L") if kind in _DIGITS else direction)
    return directions


def _settle_brackets(letters: list[str], directions: list[str], base: str) -> None:
    """Let both brackets of a pair run as what is between and before them does, else as the whole text."""
    opened: list[int] = []
    for place, letter in enumerate(letters):
        if letter in _OPENING:
            opened.append(place)
        elif opened and letter == _OPENING[letters[opened[-1]]]:
            start = opened.pop()
            within = {"R" if direction == "n" else direction for direction in directions[start:place]} - {""}
            before = next((d for d in reversed(directions[:start]) if d), base)
            if within:
                other = base not in within and ("R" if before == "n" else before) != base
                directions[start] = directions[place] = ("R" if base == "L" else "L") if other else base


def _turned(letters: list[str], levels: list[int], level: int) -> tuple[list[str], list[int]]:
    """Reverse each stretch of letters of a level or a higher one."""
    order: list[int] = []
    stretch: list[int] = []
    for place, own in enumerate(levels):
        if own >= level:
            stretch.insert(0, place)
        else:
            order += [*stretch, place]
            stretch = []
    order += stretch
    return [letters[place] for place in order], [levels[place] for place in order]


def _mirrored(letter: str) -> str:
    return letter.translate(str.maketrans("()[]{}<>\u00ab\u00bb", ")(][}{><\u00bb\u00ab"))


@cache
def _shapes() -> dict[str, dict[str, str]]:
    """Return the shapes of Arabic letters, and of lam with an alef, as Unicode lists them."""
    shapes: dict[str, dict[str, str]] = {}
    for code in (*range(0xFB50, 0xFDD0), *range(0xFE70, 0xFEFD)):
        form, *letters = unicodedata.decomposition(chr(code)).split() or [""]
        of = "".join(chr(int(letter, 16)) for letter in letters)
        # Of all pairs, only lam with an alef must become one shape; they are at the end.
        if form.strip("<>") in _FORMS and (len(of) == 1 or code >= _LAM_WITH_ALEF):
            shapes.setdefault(of, {}).setdefault(form.strip("<>"), chr(code))
    return shapes


def _joined(text: str) -> str:
    """Return Arabic letters in the shapes that they have between their neighbours."""
    shapes = _shapes()
    units: list[str] = []
    for cluster in _clusters(text):
        if units and units[-1] + cluster[0] in shapes and len(units[-1]) == 1:
            units[-1] += cluster
        else:
            units.append(cluster)
    drawn = []
    for place, unit in enumerate(units):
        base = unit[:2] if unit[:2] in shapes and len(unit) > 1 else unit[0]
        forms = shapes.get(base)
        if not forms:
            drawn.append(unit)
            continue
        joins_before = place > 0 and _joins_after(units[place - 1]) and "final" in forms
        joins_after = place + 1 < len(units) and _joins_before(units[place + 1]) and "initial" in forms
        form = _FORMS[joins_before + 2 * joins_after]
        drawn.append(forms.get(form, base) + unit[len(base) :])
    return "".join(drawn)


def _joins_after(unit: str) -> bool:
    """Whether a letter joins the one that follows it."""
    if unit[0] == "\u0640":
        return True
    base = unit[:2] if len(unit) > 1 and unit[:2] in _shapes() else unit[0]
    return "initial" in _shapes().get(base, {})


def _joins_before(unit: str) -> bool:
    """Whether a letter joins the one before it."""
    return unit[0] == "\u0640" or "final" in _shapes().get(unit[0], {})
