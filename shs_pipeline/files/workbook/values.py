"""The value of a cell: what its text means, given its type and the format of its number."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

from shs_pipeline.casting.cells import ExcelError, UncomputedError
from shs_pipeline.casting.sheet_values import SheetNumber
from shs_pipeline.files.workbook.archive import damaged
from shs_pipeline.files.workbook.book import Book, unescaped
from shs_pipeline.files.workbook.number_format import (
    is_date,
    is_elapsed,
    is_percent,
    may_mislead,
    misleading,
    other_currency,
    shown,
    shows_digits,
)

_EPOCH, _EPOCH_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001
_LAST_DAY = 2_958_466


class Values:
    """Makes a cell's value from its text: a number, a text, a date, a boolean or an error.

    A number with a format that shows it otherwise than by its digits, as a percentage, in another
    currency than US dollars, or with another sign than it has, is a `SheetNumber`.

    Attributes:
        shapers: for each cell style, what makes such a value of a number; None where it stays a float.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._epoch = _EPOCH_1904 if book.is_from_1904 else _EPOCH
        self._zero_is_no_result = book.is_computed_on_open
        self.shapers = [self._shaper(code) for code in book.formats]
        self._makers: dict[str, Callable[[str], Any]] = {
            "s": self._shared,
            "e": _error,
            "b": _flag,
            "d": _day,
        }

    def __call__(self, cell: dict[str, str], raw: str, *, has_formula: bool, has_value: bool) -> Any:
        """Return the value of a cell with these attributes and this text."""
        kind = cell.get("t", "n")
        if has_formula and self._is_no_result(kind, raw, has_value=has_value):
            return UncomputedError()
        if kind == "n":
            return self._number(cell, raw) if raw else None
        make = self._makers.get(kind, unescaped)
        return make(raw if make == unescaped else raw.strip())

    def _is_no_result(self, kind: str, raw: str, *, has_value: bool) -> bool:
        if kind == "str":
            return not has_value  # A formula may well give an empty text, which is then stored.
        text = raw.strip()
        if kind == "n" and text in {"0", "0.0"} and self._zero_is_no_result:
            return True
        return not text and kind != "e"

    def _shared(self, raw: str) -> str | None:
        if not raw:
            return None
        number = int(raw)
        if not 0 <= number < len(self._book.texts):
            raise damaged(self._book.archive.file)
        return self._book.texts[number]

    def _number(self, cell: dict[str, str], text: str) -> Any:
        try:
            number = float(text) if "_" not in text else math.nan
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            return ExcelError(text.strip()) if text.strip() else None
        style = cell.get("s")
        if style is None:
            return number
        place = int(style)
        shape = self.shapers[place] if 0 <= place < len(self.shapers) else None
        return number if shape is None else shape(number)

    def _shaper(self, code: str) -> Callable[[float], Any] | None:
        if is_date(code):
            return self._duration if is_elapsed(code) else self._moment
        currency = other_currency(code)
        is_rate, is_odd = is_percent(code), may_mislead(code)
        if not (shows_digits(code) or currency or is_rate or is_odd):
            return None

        def as_shown(number: float) -> float:
            text, wrong = shown(number, code), misleading(number, code) if is_odd else ""
            if not (text or currency or is_rate or wrong):
                return number
            return SheetNumber(number, text, currency=currency, is_percent=is_rate, misleading=wrong)

        return as_shown

    def _moment(self, number: float) -> float | date | datetime | time:
        if not 0 <= number < _LAST_DAY:
            return number
        # Excel has the day 1900-02-29, which never was: days before it count one more.
        moment = self._epoch + timedelta(
            days=int(number) + (self._epoch is _EPOCH and 1 <= number < 60),
            seconds=round(number % 1 * 86_400),
        )
        if number < 1:
            return moment.time()
        return moment.date() if moment.time() == time() else moment

    def _duration(self, number: float) -> float | timedelta:
        return timedelta(seconds=round(number * 86_400)) if abs(number) < _LAST_DAY else number


def _error(text: str) -> ExcelError:
    return ExcelError(text or "of a formula")


def _flag(text: str) -> bool | ExcelError | None:
    known = {"1": True, "true": True, "0": False, "false": False}
    return known.get(text.lower(), ExcelError(text)) if text else None


def _day(text: str) -> date | datetime | str | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text or None
    return moment.date() if moment.time() == time() else moment
