"""What a cell is and what a person sees of it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from typing import Any

from shs_pipeline.casting.sheet_values import SheetNumber

Cell = Any

NOISE_DIGITS = 10
"""Decimals kept of a number that Excel stored: what lies below is binary noise."""

# Control characters too: Postgres takes no NUL, which Excel writes as _x0000_.
_SPACES = re.compile(r"[\s\u0000-\u001f\u007f-\u009f]+")
CODE = re.compile(r"\S*[0-9]\S*")
"""How what identifies something looks: one word with a digit in it."""
_AS_FORMULA = re.compile(r'=?"([^"]*)"')
_UNSEEN_CATEGORIES = {"Cf", "Cs"}
# Letters and marks that Unicode tells every program to leave out where it shows text.
_UNSEEN = set("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0") | {
    chr(code) for start, end in ((0x180B, 0x180F), (0xFE00, 0xFE0F)) for code in range(start, end + 1)
}


class CastError(ValueError):
    """A cell that does not hold what its column holds."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True)
class ExcelError:
    """A cell that shows something and yet holds no value, such as `#N/A`: neither empty nor to be read."""

    code: str

    def __str__(self) -> str:
        return self.code

    @property
    def sentences(self) -> tuple[str, str]:
        """What is wrong, and how to fix it."""
        return (
            f"This cell contains the Excel error {self}.",
            "Correct the formula, or type the value from the supplier's document.",
        )


@dataclass(frozen=True)
class UncomputedError(ExcelError):
    """A formula whose result the file does not hold: Excel shows one, and nobody else knows it."""

    code: str = "formula without its result"

    @property
    def sentences(self) -> tuple[str, str]:
        """What is wrong, and how to fix it."""
        return (
            "This formula was never calculated, so the file does not contain its result.",
            "Open the file in Excel and save it, which calculates the formula; then drop it again.",
        )


def squeeze(text: str) -> str:
    """Return the text that a person sees: trimmed, with every run of white space as one space.

    Invisible marks (directions, soft hyphens, zero-width spaces) are no part of it, and a letter
    with an accent is one character, whether it was written as one or as two (NFC).
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())  # The common case needs no pattern.
    seen = "".join(letter for letter in text if not _is_unseen(letter))
    return _SPACES.sub(" ", unicodedata.normalize("NFC", seen)).strip()


def _is_unseen(letter: str) -> bool:
    return (
        letter in _UNSEEN
        or unicodedata.category(letter) in _UNSEEN_CATEGORIES
        or "\U000e0100" <= letter <= "\U000e01ef"
    )


def squeeze_value(text: str) -> str:
    """Return a squeezed number, date or identifier without what has Excel keep it as text.

    Programs that write files without Excel leave these marks: `'00123`, `="00123"`, `"00123"`.
    """
    plain = squeeze(text)
    if plain[:1] not in ("'", "=", '"'):
        return plain
    if match := _AS_FORMULA.fullmatch(plain):
        return squeeze(match[1])
    return plain[1:].lstrip() if plain.startswith("'") and not plain.endswith("'") else plain


def match_key(text: str) -> str:
    """Return the form in which names are compared: squeezed and without case (`ops.match_key` in SQL)."""
    return squeeze(text).casefold()


def is_blank(cell: Cell) -> bool:
    """Whether a cell holds nothing a person could see."""
    if isinstance(cell, str):
        # Hardly a text begins with anything else than a mark that can be seen.
        return not "!" <= cell[:1] <= "~" and not squeeze(cell)
    return cell is None or is_nan(cell)


def is_nan(cell: Cell) -> bool:
    """Whether a cell is not a number in the sense of floats."""
    return bool(cell != cell)  # noqa: PLR0124 - the one value that is not itself, of any type


def show(cell: Cell) -> str:
    """Return a cell as a person would read it in the sheet, at most 200 characters."""
    if isinstance(cell, datetime):
        text = cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ")
    elif isinstance(cell, bool):
        text = str(cell).upper()
    elif isinstance(cell, SheetNumber) and cell.shown:
        text = cell.shown
    elif isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        text = str(int(cell))
    else:
        text = str(cell)
    return text if len(text) <= 200 else text[:199] + "…"


def exact(number: int | float) -> Decimal:
    """Return the number that a person sees in Excel, as an exact decimal.

    The shortest text that gives the same float is what was typed. Only a computed cell has more
    than 15 digits (0.1 + 0.2 is stored as 0.30000000000000004): Excel shows 15, and so do we.
    """
    text = repr(number)
    if len(text) <= NOISE_DIGITS + 2 and "e" not in text and "n" not in text:
        return Decimal(text.removesuffix(".0")) + 0
    value = Decimal(text)
    if len(value.as_tuple().digits) > 15:
        value = Decimal(format(number, ".15g"))
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -NOISE_DIGITS:
        value = value.quantize(Decimal(1).scaleb(-NOISE_DIGITS))
    return value.normalize() + 0
