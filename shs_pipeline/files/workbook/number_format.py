"""What a number format makes of a number: a date, an amount in another currency, or digits with marks."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from functools import cache

from shs_pipeline.files.casting.amounts import currency_in

BUILT_IN = {1: "0", 9: "0%", 10: "0.00%", 14: "m/d/yyyy", 18: "h:mm", 22: "m/d/yyyy h:mm", 46: "[h]:mm:ss"}
BUILT_IN |= dict.fromkeys((15, 16, 17), BUILT_IN[14])
BUILT_IN |= dict.fromkeys((19, 20, 21, 45, 47), BUILT_IN[18])
"""Codes of the formats that a workbook names by number only, as far as they matter here."""

_DIGITS = "0#?"
# Excel shows these as they are, without quotes around them.
_LITERAL = frozenset("$-+():!^&'~{}<>= ")
_ELAPSED = frozenset("hms")
_DOLLARS = frozenset(("$", "US$", "USD", "USD$", "$US", "$USD"))
# Countries whose own dollar or peso is written $, by their number or name in a format: `[$$-1009]`.
_OTHER_DOLLARS = {
    "CA$": "1009 C0C EN-CA FR-CA", "A$": "C09 EN-AU", "NZ$": "1409 EN-NZ", "S$": "1004 4809 EN-SG ZH-SG",
    "HK$": "C04 3C09 EN-HK ZH-HK", "NT$": "404 ZH-TW", "MX$": "80A ES-MX", "AR$": "2C0A ES-AR",
    "CL$": "340A ES-CL", "CO$": "240A ES-CO",
}  # fmt: skip
_DOLLAR_OF = {country: name for name, countries in _OTHER_DOLLARS.items() for country in countries.split()}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<>": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}

Token = tuple[str, str]
"""Kind (`literal`, `bracket` or `code`) and text."""


@cache
def is_date(code: str) -> bool:
    """Whether the format shows a number as a date, a time of day or a duration."""
    for kind, text in _sections(code)[0]:
        if kind == "code" and text in "dDmMyYhHsS":
            return True
        if kind == "bracket" and _is_elapsed(text):
            return True
    return False


@cache
def is_elapsed(code: str) -> bool:
    """Whether the format shows a duration, such as `[h]:mm`."""
    return any(kind == "bracket" and _is_elapsed(text) for kind, text in _sections(code)[0])


@cache
def shows_digits(code: str) -> bool:
    """Whether the format shows whole numbers otherwise than by their digits alone."""
    return any(shown(number, code) for number in (1, 123456, -1, 0))


@cache
def other_currency(code: str) -> str:
    """Return the currency in which the format shows numbers, empty for US dollars and for none.

    One section that names it is enough: `[$€-407]0;-0` means euros below zero too.
    """
    return next(filter(None, map(_currency_of, _sections(code))), "")


@cache
def is_percent(code: str) -> bool:
    """Whether the format shows 0.2 as 20%."""
    return ("code", "%") in _sections(code)[0]


def _currency_of(section: list[Token]) -> str:
    words = ""
    for kind, text in section:
        if kind != "bracket":
            words += "0" if kind == "code" and text in _DIGITS else text
        elif text.startswith("$") and (currency := _in_bracket(text[1:])):
            return currency
    return currency_in(words) or ""


def _in_bracket(text: str) -> str:
    """Return what other currency `€-407` (currency and country) or `-407` (country alone) names."""
    symbol, _, country = text.partition("-")
    symbol = symbol.strip()
    if symbol == "$":
        return _DOLLAR_OF.get(country.upper(), "")
    return "" if symbol.upper().replace(" ", "") in _DOLLARS else symbol


def shown(number: float, code: str) -> str:
    """Return a whole number as the format shows it, empty where that is by its digits alone.

    Formats with a decimal point, thousands, percent or a fraction belong to amounts, not to
    identifiers: for these the answer is empty too.
    """
    if not float(number).is_integer() or abs(number) >= 1e15:
        return ""
    section, has_own_sign = _section_for(number, _sections(code))
    text = _fill_in(str(abs(int(number))), section)
    if text is None:
        return ""
    text = text.strip() if has_own_sign or number >= 0 else f"-{text.strip()}"
    return "" if text == str(int(number)) else text


def _sections(code: str) -> list[list[Token]]:
    sections: list[list[Token]] = [[]]
    marks = iter(code)
    for mark in marks:
        if mark == ";":
            sections.append([])
        elif mark == '"':
            sections[-1].append(("literal", _until('"', marks)))
        elif mark == "[":
            sections[-1].append(("bracket", _until("]", marks)))
        elif mark == "\\":
            sections[-1].append(("literal", next(marks, "")))
        elif mark == "_":  # A space as wide as the next mark.
            next(marks, "")
            sections[-1].append(("literal", " "))
        elif mark == "*":  # The next mark fills the cell.
            next(marks, "")
        else:
            sections[-1].append(("code", mark))
    return sections


def _until(end: str, marks: Iterator[str]) -> str:
    text = ""
    for mark in marks:
        if mark == end:
            break
        text += mark
    return text


def _section_for(number: float, sections: list[list[Token]]) -> tuple[list[Token], bool]:
    """Return the section of a format that shows a number, and whether it says the sign itself."""
    # The one with @ is for text, wherever it stands.
    numeric = [section for section in sections if ("code", "@") not in section]
    if not numeric:
        return [], False
    conditions = [_condition(section) for section in numeric]
    if any(conditions):
        for section, condition in zip(numeric, conditions, strict=True):
            if condition is None or condition[0](number, condition[1]):
                return section, False
        return numeric[-1], False
    if number < 0 and len(numeric) > 1:
        return numeric[1], True
    if number == 0 and len(numeric) > 2:
        return numeric[2], True
    return numeric[0], False


def _condition(section: list[Token]) -> tuple[Callable[[float, float], bool], float] | None:
    for kind, text in section:
        sign = next((sign for sign in _COMPARE if text.startswith(sign)), "")
        if kind == "bracket" and sign:
            try:
                return _COMPARE[sign], float(text[len(sign) :])
            except ValueError:
                return None
    return None


def _fill_in(digits: str, section: list[Token]) -> str | None:
    """Return the digits in the places of a section, from the right; None where it is no such format."""
    places = sum(1 for kind, text in section if kind == "code" and text in _DIGITS)
    if not places:
        return None
    surplus = max(len(digits) - places, 0)  # What does not fit stands in the first place.
    found = iter([""] * (places - len(digits)) + [digits[: surplus + 1], *digits[surplus + 1 :]])
    text = ""
    for kind, mark in section:
        if kind == "literal" or (kind == "code" and mark in _LITERAL):
            text += mark
        elif kind == "bracket":
            if _is_elapsed(mark):
                return None
            text += mark[1:].split("-")[0] if mark.startswith("$") else ""
        elif mark in _DIGITS:
            text += next(found) or {"0": "0", "#": "", "?": " "}[mark]
        else:
            return None
    return text


def _is_elapsed(bracket: str) -> bool:
    return bool(bracket) and set(bracket.lower()) <= _ELAPSED
