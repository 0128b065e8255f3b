"""What a number format makes of a number: a date, an amount in another currency, or digits with marks."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from functools import cache

from shs_pipeline.casting.amounts import DASHES, currency_in

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

_DIGIT_PLACE = "\0"
_GENERAL = re.compile("general", re.IGNORECASE)
_CREDIT = re.compile(r"(?<![A-Z])CR(?:EDIT)?(?![A-Z])")
_DOLLAR_NAME = re.compile(r"USD|US ?\$")
# `A-12` and `12-pack` have no sign.
_WORD_BEFORE, _WORD_BEHIND = re.compile(r"[A-Z][A-Z./&']*-?"), re.compile(r"-?[A-Z][A-Z./&']*")
_COLOUR = re.compile(r"BLACK|BLUE|CYAN|GREEN|MAGENTA|RED|WHITE|YELLOW|COLOR ?[0-9]+")
_NO_COLOURS = frozenset(("BLACK", "WHITE", "COLOR1", "COLOR2"))

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
    section, has_own_sign = _section_for(number, _numeric(_sections(code)))
    text = _fill_in(str(abs(int(number))), section)
    if text is None:
        return ""
    text = text.strip() if has_own_sign or number >= 0 else f"-{text.strip()}"
    return "" if text == str(int(number)) else text


@cache
def may_mislead(code: str) -> bool:
    """Whether there may be a number that the format shows with another sign than it has, or not at all."""
    limits = [0.0, *(condition[1] for condition in map(_condition, _sections(code)) if condition)]
    steps = (0.0, 1e-6, -1e-6)
    return any(misleading(limit + step * max(abs(limit), 1), code) for limit in limits for step in steps)


def misleading(number: float, code: str) -> str:
    """Return what a format does that shows a number with another sign than it has, empty where it does not.

    The answer completes `The format …`. Zero has no sign, and red is one: so Excel shows negative numbers.
    """
    numeric = _numeric(_sections(code))
    if not number or not code.strip() or not numeric:
        return ""
    section, has_own_sign = _section_for(number, numeric)
    around = _around_digits(section)
    if around is None:
        return "hides its value"
    signs = _signs_in(*around)
    if number < 0 and not has_own_sign:
        # Programs differ in whether they add a minus where the condition leaves nothing but negative numbers.
        is_added = any(_section_for(other, numeric)[0] is section for other in (1e-9, 1, 1e9))
        signs = signs + 1 if is_added else signs or 1
    if signs > 1:
        return "shows it with two signs"
    if signs and number > 0:
        return "shows it as a credit, and its value is positive"
    if not signs and number < 0 and not _is_set_off(section, _section_for(-number, numeric)[0]):
        return "shows it without a minus, and its value is negative"
    return ""


def _around_digits(section: list[Token]) -> tuple[str, str] | None:
    """Return what a section shows before and behind the digits; None where it shows no digits."""
    shown = ""
    for kind, text in section:
        if kind == "bracket":
            shown += text[1:].split("-")[0] if text.startswith("$") else ""
        else:
            shown += _DIGIT_PLACE if kind == "code" and text in _DIGITS else text
    before, *within = _GENERAL.sub(_DIGIT_PLACE, shown).split(_DIGIT_PLACE)
    return (before, within[-1]) if within else None


def _signs_in(before: str, behind: str) -> int:
    """Return how many signs of a credit stand around a number: a dash, parentheses, CR."""
    before, behind = (text.translate(DASHES).upper() for text in (before, behind))
    credits_ = len(_CREDIT.findall(f"{before} {behind}"))
    before = _WORD_BEFORE.sub(" ", _DOLLAR_NAME.sub(" ", before))
    behind = _WORD_BEHIND.sub(" ", _DOLLAR_NAME.sub(" ", behind))
    return credits_ + (before + behind).count("-") + ("(" in before and ")" in behind)


def _is_set_off(section: list[Token], other: list[Token]) -> bool:
    """Whether a section shows numbers in a colour that neither is black nor that of another section."""
    colour = _colour(section)
    return colour not in _NO_COLOURS and colour != _colour(other)


def _colour(section: list[Token]) -> str:
    names = (text.upper().replace(" ", "") for kind, text in section if kind == "bracket")
    return next(filter(_COLOUR.fullmatch, names), "BLACK")


def _numeric(sections: list[list[Token]]) -> list[list[Token]]:
    """Return the sections for numbers: the one with @ is for text, wherever it stands."""
    return [section for section in sections if ("code", "@") not in section]


@cache
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


def _section_for(number: float, numeric: list[list[Token]]) -> tuple[list[Token], bool]:
    """Return which of the sections for numbers shows a number, and whether it says the sign itself."""
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
