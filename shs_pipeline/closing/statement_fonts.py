"""The fonts of the printed statement, and which of them has which letter.

Source Sans 3, then Kurinto Sans for other scripts; both under the SIL Open Font License, from the
wheel `weblate-fonts`.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Literal

from shs_pipeline.closing.statement_scripts import as_drawn

if TYPE_CHECKING:
    from reportlab.pdfbase.ttfonts import TTFont

Weight = Literal["regular", "bold"]

_FOLDER = "weblate_fonts/static/weblate_fonts/"
_FIRST = {
    "regular": "source-sans/ttf/SourceSans3-Regular.ttf",
    "bold": "source-sans/ttf/SourceSans3-Semibold.ttf",
}
# Most scripts, then Chinese, Japanese, Korean and traditional Chinese.
_OTHERS = {
    weight: tuple(f"kurinto/ttf/KurintoSans{script}-{end}.ttf" for script in ("", "SC", "JP", "KR", "TC"))
    for weight, end in (("regular", "Rg"), ("bold", "Bd"))
}
REPLACEMENT = "\ufffd"
# Say how others join or break, and are never seen themselves.
_WITHOUT_SHAPE = dict.fromkeys(map(ord, "\u00ad\u200c\u200d\ufe0e\ufe0f"))


@cache
def _font(path: str) -> TTFont:
    from reportlab.pdfbase.pdfmetrics import registerFont
    from reportlab.pdfbase.ttfonts import TTFont

    name = path.rpartition("/")[2].removesuffix(".ttf")
    font = TTFont(name, str(distribution("weblate-fonts").locate_file(_FOLDER + path)))
    registerFont(font)
    return font


def _has(font: TTFont, letter: str) -> bool:
    return ord(letter) in font.face.charToGlyph


@lru_cache(maxsize=1 << 15)
def runs(text: str, weight: Weight) -> tuple[tuple[str, str], ...]:
    """Return a text in parts that one font each can draw, from left to right.

    Returns:
        name of the font and text of each part. A letter that no font has is a replacement character.
    """
    first = _font(_FIRST[weight])
    if text.isascii():
        return ((first.fontName, text),)
    text = as_drawn(text).translate(_WITHOUT_SHAPE)
    missing = [letter for letter in text if not _has(first, letter)]
    if not missing:
        return ((first.fontName, text),)
    # First whichever has most of them, so that a name is drawn in one hand.
    others = [_font(path) for path in _OTHERS[weight]]
    fonts = [first, *sorted(others, key=lambda font: -sum(_has(font, letter) for letter in missing))]
    parts: list[tuple[str, str]] = []
    for letter in text:
        name, drawn = next(
            ((font.fontName, letter) for font in fonts if _has(font, letter)),
            (fonts[-1].fontName, REPLACEMENT),
        )
        if parts and parts[-1][0] == name:
            drawn = parts.pop()[1] + drawn
        parts.append((name, drawn))
    return tuple(parts)


@lru_cache(maxsize=1 << 15)
def width(text: str, weight: Weight, size: float) -> float:
    """Return how wide a text is drawn, in points."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    return sum(stringWidth(part, name, size) for name, part in runs(text, weight))


def wrapped(text: str, weight: Weight, size: float, room: float) -> list[str]:
    """Return a text in lines of at most `room` points; a word that is wider is broken."""
    lines: list[str] = []
    for word in text.split():
        whole = f"{lines[-1]} {word}" if lines else word
        if lines and width(whole, weight, size) <= room:
            lines[-1] = whole
            continue
        rest = word
        while rest and width(rest, weight, size) > room:
            fits = _fitting(rest, weight, size, room)
            lines.append(rest[:fits])
            rest = rest[fits:]
        if rest:
            lines.append(rest)
    return lines or [""]


def _fitting(word: str, weight: Weight, size: float, room: float) -> int:
    """Return how many letters of a word fit, one at least."""
    low, high = 1, len(word)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(word[:middle], weight, size) <= room else (low, middle - 1)
    return low
