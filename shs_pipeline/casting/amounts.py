"""Numbers that were typed or printed as text: amounts, counts and percentages.

Read of an amount are `$`, `US$` and `USD` before or behind it, thousands with commas or spaces, and one
sign: `-5`, `5-`, `(5)`, `+5`, `5.00+`, `5 CR`. A credit (CR) is negative, as the sources' own credits are.
What could mean two amounts is refused: a debit (DR, DB), which some programs print on negative amounts and
others on positive ones; a dash alone; a decimal comma; another currency; a number that Excel shortened.

An amount has at most `MOST_WHOLE_DIGITS` digits before the point, so that no sum of a file's lines
reaches the 13 that the marts hold.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

from shs_pipeline.casting.cells import NOISE_DIGITS, CastError, squeeze_value

MOST_WHOLE_DIGITS = 10
"""Digits that an amount or a count may have before the point."""
LARGEST_RATE = 10
"""A factor above this (1,000 %) is no rate."""

AMOUNT, COUNT = "an amount", "a number"
EXAMPLES = {AMOUNT: "such as 1234.50, or (1234.50) for a credit", COUNT: "such as 12 or 0.5"}

_LONGEST = 60
DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-"))
"""Every kind of dash as a minus, for `str.translate`."""
_NUMBER = (
    r"(?P<number>(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,3}(?: [0-9]{3})+)(?:\.[0-9]*)?|\.[0-9]+"
    r"|[0-9]+(?:\.[0-9]+)?E-?[0-9]{1,2})"
)
_AMOUNT = re.compile(
    rf"(?P<before>(?:(?:USD|US ?\$|\$|CR|[-+(]) ?)*){_NUMBER}(?P<after>(?: ?(?:USD|US ?\$|\$|CR\.?|[-+)]))*)"
)
_COUNT = re.compile(rf"(?P<before>[-+(]? ?){_NUMBER}(?P<after> ?[-)]?)")
_MARK = re.compile(r"USD|US ?\$|\$|CR|[-+()]")
_SIGNS = {"": 1, "+": 1, "-": -1, "()": -1, "CR": -1}
_PERCENT = re.compile(r"([-+]?[0-9]*[.,]?[0-9]+) ?(%?)")

SHORTENED = re.compile(r"-?[0-9](?:[.,][0-9]+)?E\+[0-9]{2,3}", re.IGNORECASE)
"""How Excel shows a long number in a narrow cell: always with a sign, unlike what people type."""

_CURRENCIES = (
    "EUR|EUROS?|GBP|CAD|CDN|AUD|NZD|MXN|JPY|CHF|SFR|CNY|RMB|INR|BRL|SEK|NOK|DKK|PLN|CZK|HUF|ILS|KRW|SGD|HKD"
    "|TWD|ZAR|TRY|THB|AED|SAR|RUB|RON|PHP|IDR|MYR|VND|COP|CLP|ARS|PEN|KR|RS"
)
_FOREIGN = re.compile(rf"(?<![A-Z])(?:(?:{_CURRENCIES})(?![A-Z])|(?:CA?N?|AU?|NZ|HK|SG?|MX|NT|R)\$)")
_DECIMAL_COMMA = re.compile(r"(?:[0-9]+|[0-9]{1,3}(?:[. '][0-9]{3})+),(?:[0-9]{1,2}|[0-9]{4,})(?![0-9,.])")
_DEBIT = re.compile(r"(?<![A-Z])(?:DR|DB)(?![A-Z])")
_DOT_GROUPS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3}){2,}(?![0-9.])")


def amount_from_text(text: str) -> Decimal | None:
    """Return an exact amount in dollars; None for empty text.

    Raises:
        CastError: no amount, or one that could mean two things.
    """
    return _number_from_text(text, _AMOUNT, AMOUNT)


def count_from_text(text: str) -> Decimal | None:
    """Return an exact count, without any mark of money; None for empty text.

    Raises:
        CastError: no number.
    """
    return _number_from_text(text, _COUNT, COUNT)


def percent_from_text(text: str) -> tuple[Decimal, bool] | None:
    """Return the number of a percentage and whether it has the sign; None for empty text.

    Raises:
        CastError: no percentage.
    """
    plain = squeeze_value(text).translate(DASHES)
    if not plain:
        return None
    match = _PERCENT.fullmatch(plain) if len(plain) <= _LONGEST else None
    if match is None:
        raise CastError("This is not a percentage.", "Type a percentage, such as 7% or 0.07.")
    return Decimal(match[1].replace(",", ".")), bool(match[2])


def within_digits(value: Decimal) -> Decimal:
    """Return a number that has no more digits than numbers have.

    Raises:
        CastError: it has more.
    """
    if value.adjusted() >= MOST_WHOLE_DIGITS:
        raise CastError(
            f"This number is too large: it has more than {MOST_WHOLE_DIGITS} digits before the decimal "
            "point.",
            "Type the number from the supplier's document.",
        )
    if value != round(value, NOISE_DIGITS):
        raise CastError(
            f"This number has more than {NOISE_DIGITS} digits after the decimal point.",
            "Round it as the supplier's document does.",
        )
    return value


def _number_from_text(text: str, shape: re.Pattern[str], what: str) -> Decimal | None:
    plain = squeeze_value(text).translate(DASHES).upper()
    if not plain:
        return None
    match = shape.fullmatch(plain) if len(plain) <= _LONGEST else None
    if match is None:
        raise _refused(plain, what)
    marks = [mark.replace(" ", "") for mark in _MARK.findall(match["before"] + match["after"])]
    # One sign says it is a credit; of two nobody knows what they mean together.
    sign = _SIGNS.get("".join(mark for mark in marks if mark in "-+()" or mark == "CR"))
    if "+" in match["after"] and "." not in match["number"]:
        raise _refused(plain, what)  # `5+` may be five and more
    if sign is None or sum("$" in mark for mark in marks) > 1 or marks.count("USD") > 1:
        raise _refused(plain, what)
    value = within_digits(Decimal(match["number"].replace(",", "").replace(" ", "")))
    return -value + 0 if sign < 0 else value + 0


def _refused(text: str, what: str) -> CastError:
    """Return what is wrong with text (in capitals) that is no such number."""
    problem, typed = f"This is not {what}", f"{what}, {EXAMPLES[what]}"
    has_digit = any(sign.isdigit() for sign in text)
    if has_digit and (currency := currency_in(text)):
        return in_other_currency(currency, what)
    if SHORTENED.search(text):
        return CastError(
            f"{problem} in full: Excel shortened it, and its last digits are lost.",
            f"Format the column as Number with two decimals and export it again, or type {typed}.",
        )
    if _DECIMAL_COMMA.search(text) or _DOT_GROUPS.search(text):
        return CastError(
            f"{problem} in American format: it has a decimal comma, or points between thousands.",
            f"Have the report exported with American numbers, or type {typed}.",
        )
    if has_digit and _DEBIT.search(text):
        return CastError(
            f"{problem} with a clear sign: a debit (DR, DB) is positive in some programs and negative in "
            "others.",
            f"Type it with its sign: {typed}.",
        )
    if text.strip("$ ") == "-":
        return CastError(f"{problem}: it is only a dash.", f"Type 0 if nothing is due, or {typed}.")
    return CastError(f"{problem}.", f"Type {typed}.")


def in_other_currency(currency: str, what: str = AMOUNT) -> CastError:
    """Return what is wrong with an amount in another currency, typed or shown by the cell's format."""
    return CastError(
        f"This is not {what} in US dollars: it is in another currency ({currency}).",
        f"Have the report exported in US dollars, or type {what}, {EXAMPLES[what]}. "
        "Currencies are not converted.",
    )


def currency_in(text: str) -> str | None:
    """Return the sign or name of another currency than US dollars that a text holds."""
    if match := _FOREIGN.search(text.upper()):
        return match[0]
    return next((sign for sign in text if unicodedata.category(sign) == "Sc" and sign != "$"), None)
