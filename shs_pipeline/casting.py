"""From a dirty cell to a value: one function per kind of cell, exact and without guesses.

A cell arrives as calamine gives it (text, number, boolean, date, `""` for empty) or as text
printed in a PDF. Each function returns the value, `None` for an empty cell, or raises
`CastError` with a sentence on what is wrong and one on how to mend it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from operator import pos
from typing import Any, Literal

from shs_pipeline.sheet_values import SheetNumber, merged_range

Cell = Any
Kind = Literal["text", "identifier", "zip", "amount", "quantity", "rate", "share", "whole", "day", "flag"]

# Control characters too: Postgres takes no NUL, which Excel writes as _x0000_.
_SPACES = re.compile(r"[\s\u0000-\u001f\u007f\u200b\u2060\ufeff]+")
_AMOUNT = re.compile(
    r"(?:\$ ?)?([-(])? ?(?:\$ ?)?"
    r"((?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,3}(?: [0-9]{3})+)(?:\.[0-9]*)?|\.[0-9]+"
    r"|[0-9]+(?:\.[0-9]+)?[eE][-+]?[0-9]{1,2})"
    r" ?([-)])?"
)
_CLEAN_TEXT = re.compile(r"^[!-~]+(?: [!-~]+)*$", re.MULTILINE)
_CLEAN_IDENTIFIER = re.compile(r"^(?!-?\d+\.0+$)[!-~]+(?: [!-~]+)*$", re.MULTILINE)
_PLAIN_MONEY = r"\$?(?:[1-9]\d{0,2}(?:,\d{3}){1,3}|\d{1,12})\.\d\d"
_CLEAN_MONEY = re.compile(rf"^ ?(?:-?{_PLAIN_MONEY}|\({_PLAIN_MONEY}\)) ?$", re.MULTILINE | re.ASCII)
_MONEY_TO_NUMBER = str.maketrans({"$": None, ",": None, " ": None, "(": "-", ")": None})
_WHOLE_AS_FLOAT = re.compile(r"-?\d+\.0+")
_PERCENT = re.compile(r"([-+]?\d*[.,]?\d+)\s*(%?)")
_US_DATE = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4}|\d{2})")
_ISO_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_TIME_OF_DAY = re.compile(r"[ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?$")
_YES = {"yes", "y", "true", "1", "active", "x"}
_NO = {"no", "n", "false", "0", "inactive"}

# Excel counts days from here; 1900 was no leap year, so the count is right from March 1900 on.
_EXCEL_EPOCH = date(1899, 12, 30)
_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2099, 12, 31)


_EXACT = (Decimal, type(None))

MOST_WHOLE_DIGITS = 15
"""Digits that an amount may have before the point."""

NOISE_DIGITS = 10
"""Decimals kept of a number that Excel stored: what lies below is binary noise."""


class CastError(ValueError):
    """A cell that does not hold what its column holds."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True)
class ExcelError:
    """What a cell holds whose formula failed, such as `#N/A`: neither empty nor a value."""

    code: str

    def __str__(self) -> str:
        return self.code

    @property
    def sentences(self) -> tuple[str, str]:
        """What is wrong, and how to fix it."""
        return (
            f"This cell holds the Excel error {self}.",
            "Correct the formula, or type the value that the supplier's document shows.",
        )


@dataclass(frozen=True)
class UncomputedError(ExcelError):
    """A formula whose result the file does not hold: Excel shows one, and nobody else knows it."""

    code: str = "formula without its result"

    @property
    def sentences(self) -> tuple[str, str]:
        """What is wrong, and how to fix it."""
        return (
            "This formula was never computed, so the file holds no result of it.",
            "Open the file in Excel and save it, which computes it; then drop it again.",
        )


def squeeze(text: str) -> str:
    """Return text trimmed, with every run of white space (non-breaking too) as one space."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())  # The common case needs no pattern.
    return _SPACES.sub(" ", text).strip()


def match_key(text: str) -> str:
    """Return the form in which names are compared: squeezed and without case."""
    return squeeze(text).casefold()


def is_blank(cell: Cell) -> bool:
    """Whether a cell holds nothing a person could see."""
    return cell is None or (isinstance(cell, str) and not squeeze(cell)) or _is_nan(cell)


def _is_nan(cell: Cell) -> bool:
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


def cast_text(cell: Cell) -> str | None:
    """Return squeezed text; numbers and dates as a person reads them.

    Raises:
        CastError: the cell holds an Excel error.
    """
    if isinstance(cell, str):
        return squeeze(cell) or None
    if isinstance(cell, float):
        # An identifier is what the sheet shows, such as 0000042.
        return squeeze(getattr(cell, "shown", "")) or format(exact(cell), "f")
    if isinstance(cell, ExcelError):
        raise _no_value(cell)
    return squeeze(show(cell))


def cast_identifier(cell: Cell) -> str | None:
    """Return an identifier as text: `10482.0` is 10482, `4.5E10` typed as text stays.

    Raises:
        CastError: Excel turned the identifier into a date.
    """
    if isinstance(cell, str):
        text = squeeze(cell)
        return (text.split(".")[0] if _WHOLE_AS_FLOAT.fullmatch(text) else text) or None
    if isinstance(cell, (date, time, timedelta)):
        raise CastError(
            "Excel turned this identifier into a date or time.",
            "Format the cell as Text and type the identifier again as the supplier's document shows it.",
        )
    return cast_text(cell)


def cast_zip(cell: Cell) -> str | None:
    """Return a zip code with its leading zeros: the number 2138 is `02138`; ZIP+4 as `02138-1234`."""
    text = cast_identifier(cell)
    if text is None:
        return None
    digits = text.replace("-", "")
    if digits.isascii() and digits.isdigit() and 3 <= len(digits) <= 5 and "-" not in text:
        return digits.zfill(5)
    if digits.isascii() and digits.isdigit() and 8 <= len(digits) <= 9:
        return f"{digits.zfill(9)[:5]}-{digits[-4:]}"
    if not isinstance(cell, str) or (digits.isascii() and digits.isdigit()):
        raise CastError(
            "A zip code has five digits, or nine.", "Type the zip code as five digits, such as 02138."
        )
    return text


def cast_amount(cell: Cell) -> Decimal | None:
    """Return an exact amount in dollars from `$1,234.50`, `(123.45)`, `-123.45` or a number.

    Raises:
        CastError: the cell is no amount.
    """
    if isinstance(cell, str):
        return _amount_from_text(cell)
    if isinstance(cell, Decimal):
        return cell
    return _number(cell, "an amount", "such as 1234.50, or (1234.50) for a credit")


def cast_quantity(cell: Cell) -> Decimal | None:
    """Return an exact, possibly fractional or negative, count.

    Raises:
        CastError: the cell is no number.
    """
    if isinstance(cell, str):
        return _amount_from_text(cell, what="a number", example="such as 12 or 0.5")
    return _number(cell, "a number", "such as 12 or 0.5")


def cast_rate(cell: Cell) -> Decimal | None:
    """Return a percentage as a factor: `7%`, `7,0%`, 0.07 and 7 are all 0.07.

    Without a percent sign, a number below 1 is a factor and any other a percentage.
    """
    return _factor(cell, largest_factor_is_one=False)


def cast_share(cell: Cell) -> Decimal | None:
    """Return a share as a factor 0-1, where 1 is all of it: `50%`, 0.5 and 50 are all 0.5."""
    return _factor(cell, largest_factor_is_one=True)


def cast_whole(cell: Cell) -> int | None:
    """Return a whole number.

    Raises:
        CastError: the cell is no whole number.
    """
    value = cast_quantity(cell)
    if value is None:
        return None
    if value != value.to_integral_value():
        raise CastError("This is not a whole number.", "Type a whole number.")
    if abs(value) >= 1 << 63:
        raise CastError("This number is too large.", "Type a number of at most 18 digits.")
    return int(value)


def cast_day(cell: Cell) -> date | None:
    """Return a day from a date cell, Excel's day number, or text in US order (12/31/2025) or ISO.

    Raises:
        CastError: no such day, or outside 2000 to 2099.
    """
    if isinstance(cell, datetime):
        day: date | None = cell.date()
    elif isinstance(cell, date):
        day = cell
    elif isinstance(cell, str):
        if not squeeze(cell):
            return None
        day = _day_from_text(squeeze(cell))
    elif isinstance(cell, (int, float)) and not isinstance(cell, bool) and 36526 <= cell < 73051:
        day = _EXCEL_EPOCH + timedelta(days=int(cell))
    else:
        day = None
    if day is None or not _FIRST_DAY <= day <= _LAST_DAY:
        raise CastError("This is not a readable date.", "Type the date as MM/DD/YYYY, such as 03/31/2025.")
    return day


def cast_flag(cell: Cell) -> bool | None:
    """Return yes or no as a boolean.

    Raises:
        CastError: the cell says neither.
    """
    if isinstance(cell, bool):
        return cell
    word = match_key(show(cell))
    if word in _YES:
        return True
    if word in _NO:
        return False
    if not word:
        return None
    raise CastError("This says neither yes nor no.", "Type Yes or No.")


CASTS: dict[Kind, Callable[[Cell], Any]] = {
    "text": cast_text,
    "identifier": cast_identifier,
    "zip": cast_zip,
    "amount": cast_amount,
    "quantity": cast_quantity,
    "rate": cast_rate,
    "share": cast_share,
    "whole": cast_whole,
    "day": cast_day,
    "flag": cast_flag,
}


def cast_cells(cells: Sequence[Cell], kind: Kind) -> tuple[list[Any], dict[int, CastError]]:
    """Cast the cells of one column, each on its own, so that one bad cell hides no other.

    Returns:
        (n,) values with None for empty and for bad cells, and the errors by 0-based position.
    """
    types = set(map(type, cells))
    if types.issubset(_EXACT) and kind in ("amount", "quantity"):
        return list(cells), {}
    # Each distinct cell is cast once. True and #N/A equal 1 and the text "#N/A", but are not the same.
    is_mixed = not types.isdisjoint((bool, ExcelError))
    keys: Sequence[Hashable] = [(type(cell), cell) for cell in cells] if is_mixed else cells
    errors: dict[Hashable, CastError] = {}
    # In the order of the file, in which they lie in memory: of many cells that is faster than a set.
    distinct = dict.fromkeys(keys)
    values = {} if is_mixed else _plain(distinct, kind)
    for key in distinct.keys() - values.keys():
        try:
            values[key] = _cast_cell(key[1] if is_mixed else key, kind)  # type: ignore[index]
        except CastError as error:
            values[key] = None
            errors[key] = error
    found = {position: errors[key] for position, key in enumerate(keys) if key in errors} if errors else {}
    return list(map(values.__getitem__, keys)), found


def _plain(cells: Collection[Hashable], kind: Kind) -> dict[Hashable, Any]:
    """Return the values of the plainest cells, in a few passes over all of them at once.

    Nearly all cells are plain: text without surplus spaces, short floats, `$1,234.50`. What is found
    here is what `CASTS` gives for it.
    """
    texts = "\n".join(cell for cell in cells if type(cell) is str)
    if kind in ("text", "identifier"):
        clean = (_CLEAN_TEXT if kind == "text" else _CLEAN_IDENTIFIER).findall(texts)
        return _short_numbers(cells) | dict(zip(clean, clean, strict=True))
    if kind not in ("amount", "quantity"):
        return {}
    numbers: dict[Hashable, str] = _short_numbers(cells)
    if money := _CLEAN_MONEY.findall(texts):
        numbers |= zip(money, "\n".join(money).translate(_MONEY_TO_NUMBER).split("\n"), strict=True)
    # The plus is for -0.00, which is 0.00.
    return dict(zip(numbers, map(pos, map(Decimal, numbers.values())), strict=True))


def _short_numbers(cells: Collection[Hashable]) -> dict[Hashable, str]:
    """Return the digits of the floats that need neither rounding nor an exponent."""
    floats = [cell for cell in cells if type(cell) is float and 1e-4 <= abs(cell) < 1e10]
    return {
        cell: text.removesuffix(".0")
        for cell, text in zip(floats, map(repr, floats), strict=True)
        if len(text) <= NOISE_DIGITS + 2
    }


def _cast_cell(cell: Cell, kind: Kind) -> Any:
    if cell is None or cell == "" or _is_nan(cell):
        return None
    if isinstance(cell, ExcelError):
        raise _no_value(cell)
    if kind in ("amount", "quantity") and (merged := merged_range(cell)):
        raise CastError(
            f"The merged cell {merged} holds one number for several cells, which would count it twice.",
            "Unmerge it (Home > Merge & Center) and type into each cell what belongs there.",
        )
    return CASTS[kind](cell)


def _no_value(error: ExcelError) -> CastError:
    return CastError(*error.sentences)


def _number(cell: Cell, what: str, example: str) -> Decimal:
    is_number = isinstance(cell, (int, float)) and not isinstance(cell, bool)
    if not is_number or not math.isfinite(cell):
        raise CastError(f"This is not {what}.", f"Type {what}, {example}.")
    value = exact(cell)
    return value if abs(cell) < 1e15 else _within_digits(value)


def _amount_from_text(
    text: str, what: str = "an amount", example: str = "such as 1234.50, or (1234.50) for a credit"
) -> Decimal | None:
    plain = squeeze(text).replace("\u2212", "-")
    if not plain:
        return None
    match = _AMOUNT.fullmatch(plain)
    # One sign says it is a credit; of two nobody knows what they mean together.
    if match is None or plain.count("$") > 1 or (match[1] or "") + (match[3] or "") not in {"", "-", "()"}:
        raise CastError(f"This is not {what}.", f"Type {what}, {example}.")
    value = Decimal(match[2].replace(",", "").replace(" ", ""))
    return -_within_digits(value) if match[1] or match[3] else _within_digits(value) + 0


def _within_digits(value: Decimal) -> Decimal:
    """Return an amount that has no more digits than amounts have."""
    if value.adjusted() >= MOST_WHOLE_DIGITS or value != round(value, NOISE_DIGITS):
        raise CastError(
            "This has more digits than an amount can have.", "Round it to what the supplier's document shows."
        )
    return value


def _factor(cell: Cell, *, largest_factor_is_one: bool) -> Decimal | None:
    has_sign = False
    if isinstance(cell, str):
        text = squeeze(cell)
        if not text:
            return None
        match = _PERCENT.fullmatch(text)
        if match is None:
            raise CastError("This is not a percentage.", "Type a percentage, such as 7% or 0.07.")
        value = Decimal(match.group(1).replace(",", "."))
        has_sign = bool(match.group(2))
    else:
        value = _number(cell, "a percentage", "such as 7% or 0.07")
    is_factor = abs(value) < 1 or (largest_factor_is_one and abs(value) == 1)
    return value if is_factor and not has_sign else value / 100


def _day_from_text(text: str) -> date | None:
    text = _TIME_OF_DAY.sub("", text)
    try:
        if match := _US_DATE.fullmatch(text):
            month, day, year = (int(part) for part in match.groups())
            return date(year + 2000 if year < 100 else year, month, day)
        if match := _ISO_DATE.fullmatch(text):
            return date(*(int(part) for part in match.groups()))
    except ValueError:
        return None
    return None
