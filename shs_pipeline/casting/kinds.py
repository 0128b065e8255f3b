"""One function per kind of cell: from a dirty cell to its exact value, without guesses."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, Literal

from shs_pipeline.casting.amounts import (
    AMOUNT,
    COUNT,
    EXAMPLES,
    LARGEST_RATE,
    SHORTENED,
    amount_from_text,
    count_from_text,
    in_other_currency,
    percent_from_text,
    within_digits,
)
from shs_pipeline.casting.cells import (
    CastError,
    Cell,
    ExcelError,
    exact,
    match_key,
    show,
    squeeze,
    squeeze_value,
)
from shs_pipeline.casting.days import FIRST_DAY, LAST_DAY, day_number, day_of, unreadable

Kind = Literal["text", "identifier", "zip", "amount", "quantity", "rate", "share", "whole", "day", "flag"]

IDENTIFIER_KINDS: tuple[Kind, ...] = ("identifier", "zip")
TEXT_KINDS: tuple[Kind, ...] = ("text", *IDENTIFIER_KINDS)
NUMBER_KINDS: tuple[Kind, ...] = ("amount", "quantity", "rate", "share", "whole")

_WHOLE_AS_FLOAT = re.compile(r"-?\d+\.0+")
_MOST_EXACT = 10**15
"""From here on Excel has replaced the last digits of a number with zeros."""
_YES = {"yes", "y", "true", "1", "active", "x"}
_NO = {"no", "n", "false", "0", "inactive"}


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
        raise CastError(*cell.sentences)
    return squeeze(show(cell))


def cast_identifier(cell: Cell) -> str | None:
    """Return an identifier as text: `10482.0` is 10482, `4.5E10` typed as text stays.

    Raises:
        CastError: Excel turned the identifier into a date, or shortened it (`4.5E+10`, with the sign
            that Excel shows and people do not type; a number of more than 15 digits).
    """
    if isinstance(cell, str):
        text = squeeze_value(cell)
        if SHORTENED.fullmatch(text):
            raise _shortened(f"to {text}")
        return (text.split(".")[0] if _WHOLE_AS_FLOAT.fullmatch(text) else text) or None
    if isinstance(cell, (date, time, timedelta)):
        raise CastError(
            "Excel turned this identifier into a date or time.",
            "Format the cell as Text and retype the identifier from the supplier's document.",
        )
    if isinstance(cell, (int, float)) and abs(cell) >= _MOST_EXACT:
        raise _shortened("to 15 digits and zeros")
    return cast_text(cell)


def _shortened(how: str) -> CastError:
    return CastError(
        f"Excel shortened this identifier {how}, and its last digits are lost.",
        "Format the column as Text and retype the identifier from the supplier's document.",
    )


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
            "This is not a zip code: one has five digits, or nine.",
            "Type the zip code as five digits, such as 02138.",
        )
    return text


def cast_amount(cell: Cell) -> Decimal | None:
    """Return an exact amount in dollars from `$1,234.50`, `(123.45)`, `-123.45` or a number.

    Raises:
        CastError: the cell is no amount.
    """
    if isinstance(cell, str):
        return amount_from_text(cell)
    if isinstance(cell, Decimal):
        return within_digits(cell)
    if currency := getattr(cell, "currency", ""):
        raise in_other_currency(currency)
    return _number(cell, AMOUNT)


def cast_quantity(cell: Cell) -> Decimal | None:
    """Return an exact, possibly fractional or negative, count.

    Raises:
        CastError: the cell is no number.
    """
    if isinstance(cell, str):
        return count_from_text(cell)
    return _number(cell, COUNT)


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
    return int(value)


def cast_day(cell: Cell) -> date | None:
    """Return a day from a date cell, Excel's day number, or text (see `casting.days`).

    Raises:
        CastError: no such day, or outside 2000 to 2099.
    """
    number = day_number(cell) if isinstance(cell, str) else None
    day = day_of(cell if number is None else number)
    if day is not None and not FIRST_DAY <= day <= LAST_DAY:
        raise unreadable(f": it is not between {FIRST_DAY:%Y} and {LAST_DAY:%Y}")
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
    raise CastError("This is neither yes nor no.", "Type Yes or No.")


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


def _number(cell: Cell, what: str, example: str = "") -> Decimal:
    is_number = isinstance(cell, (int, float)) and not isinstance(cell, bool)
    if not is_number or not math.isfinite(cell):
        raise CastError(f"This is not {what}.", f"Type {what}, {example or EXAMPLES[what]}.")
    if misleading := getattr(cell, "misleading", ""):
        raise CastError(
            f"The number format of this cell {misleading}.",
            "Give the cell the number format General, which shows its value, and type the right one: "
            f"{what}, {example or EXAMPLES[what]}.",
        )
    return within_digits(exact(cell))


def _factor(cell: Cell, *, largest_factor_is_one: bool) -> Decimal | None:
    has_sign = False
    if isinstance(cell, str):
        found = percent_from_text(cell)
        if found is None:
            return None
        value, has_sign = found
    else:
        value = _number(cell, "a percentage", "such as 7% or 0.07")
    is_factor = abs(value) < 1 or (largest_factor_is_one and abs(value) == 1)
    factor = value if is_factor and not has_sign else value / 100
    if abs(factor) > LARGEST_RATE:
        raise CastError(
            f"This is too large for a percentage: it is more than {LARGEST_RATE * 100:,} %.",
            "Type the percentage from the supplier's document.",
        )
    return factor
