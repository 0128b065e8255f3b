"""Days: every usual spelling that can mean one day only, and nothing else.

Read are American order (`03/31/2025`, `3-31-25`), the year first (`2025-03-31`, `2025/3/31`,
`20250331`) and English month names in any order of day and month (`31-Mar-25`, `March 31st, 2025`,
`2025 Mar 31`), each with or without a weekday, which must be the right one, and a time of day, which
is dropped: an instant with a time zone is the day that is written. All of day, month and year must be
there. A year of two digits is never later than this one.

The words are dateutil's. Its parser is not asked: it guesses which number is the month, fills in what is
missing and passes over a weekday that is wrong (ADR 0048).

`31/03/2025` is refused although it can mean one day only. It is the mark of a European export opened
in an American Excel, in which the days up to the 12th have silently changed places with the months.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import ClassVar

from dateutil.parser import parserinfo

from shs_pipeline.casting.cells import CastError, Cell, squeeze, squeeze_value

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2099, 12, 31)

_EXAMPLE = "Type the date as MM/DD/YYYY, such as 03/31/2025."
_AMERICAN = (
    "Type the date as MM/DD/YYYY. If the file has the day first, Excel may have swapped day and month in its "
    "other dates: have it exported again with American dates."
)
_WITH_POINTS = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}\.(?:[0-9]{4}|[0-9]{2})")
# Excel counts days from here; 1900 was no leap year, so the count is right from March 1900 on.
_EXCEL_EPOCH = date(1899, 12, 30)
_LAST_DAY_NUMBER = 2958465  # 12/31/9999, the last day that Excel knows
_DAY_NUMBER = re.compile(r"(?:3[6-9]|[4-6][0-9]|7[0-3])[0-9]{3}(?:\.[0-9]+)?")
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_TIME = re.compile(
    r"(?:[ t,]|(?<= )at )*(?<![0-9:])(?:[01]?[0-9]|2[0-4]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]+)?)?"
    r"(?: ?[ap]\.?m\b\.?)?"
    r"(?: ?(?:z|(?:utc|gmt)? ?[-+][0-9]{1,2}(?::?[0-9]{2})?|utc|gmt|[ecmp][sd]?t)(?![a-z0-9:]))?(?![0-9:])"
)
_BASIC_TIME = re.compile(r"(?<=^[0-9]{8})t[0-9]{4}(?:[0-9]{2})?(?:z|[-+][0-9]{4})?$")

_DAY, _MONTH, _LONG_YEAR = r"(?P<day>[0-9]{1,2})", r"(?P<month>[0-9]{1,2})", r"(?P<year>[0-9]{4})"
_YEAR, _NAMED = r"'?(?P<year>[0-9]{4}|[0-9]{2})", rf"M{_MONTH}"
_SHAPES = [
    re.compile(shape)
    for shape in (
        rf"{_MONTH} ?(?P<sep>[/-]) ?{_DAY} ?(?P=sep) ?{_YEAR}",
        rf"{_LONG_YEAR}(?P<sep>[-/. ]){_MONTH}(?P=sep){_DAY}",
        r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})",
        rf"{_DAY} {_NAMED} {_YEAR}",
        rf"{_NAMED} {_DAY} {_YEAR}",
        rf"{_LONG_YEAR} {_NAMED} {_DAY}",
    )
]
_TOKEN = re.compile(r"'?[0-9]+|[a-z]+|[^0-9a-z]")


class _English(parserinfo):
    """The words of dates, and what may stand between them."""

    JUMP: ClassVar = [*" .,/-", "st", "nd", "rd", "th", "of"]
    WEEKDAYS: ClassVar = [
        (*names, *{1: ["Tues"], 3: ["Thur", "Thurs"]}.get(day, ()))
        for day, names in enumerate(parserinfo.WEEKDAYS)
    ]


_WORDS = _English()


def day_of(cell: Cell) -> date | None:
    """Return a day of any century; None for an empty cell.

    Raises:
        CastError: the cell is no day.
    """
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    if isinstance(cell, str):
        text = squeeze_value(cell)
        return _day_from_text(text) if text else None
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return _day_from_number(cell)
    raise unreadable()


def _day_from_number(number: float) -> date:
    if shown := getattr(number, "shown", ""):
        try:
            return _day_from_text(shown)  # 2142025 may be shown as 02/14/2025.
        except CastError:
            pass
    if day_number(number) is not None:
        return _EXCEL_EPOCH + timedelta(days=int(number))
    if float(number).is_integer():
        return _day_from_text(str(int(number)))
    raise unreadable()


def day_number(cell: Cell) -> float | None:
    """Return what can be Excel's count of days, and not a day written as 20250331; None for all else.

    A text counts where it has the five digits of a day from 2000 to 2099 (`45747`), as it has in files of
    programs that know no dates.
    """
    if isinstance(cell, str):
        text = squeeze_value(cell)
        return float(text) if _DAY_NUMBER.fullmatch(text) else None
    if isinstance(cell, (int, float)) and not isinstance(cell, bool) and 1 <= cell < _LAST_DAY_NUMBER + 1:
        return cell
    return None


def unreadable(why: str = "", remedy: str = _EXAMPLE) -> CastError:
    """Return what is said of a cell that is no day."""
    return CastError(f"This is not a readable date{why}.", remedy)


def _day_from_text(text: str) -> date:
    plain = _DASHES.sub("-", text).lower()
    plain = _BASIC_TIME.sub("", _TIME.sub(" ", plain, count=1))
    return _day_without_time(squeeze(plain).strip(" ,"))


@lru_cache(maxsize=1024)  # times of day differ in every row, days do not
def _day_without_time(plain: str) -> date:
    weekdays: list[int] = []
    if plain.upper() != plain:
        tokens = _TOKEN.findall(plain)
        weekdays = [day for token in tokens if (day := _WORDS.weekday(token)) is not None]
        plain = _numbered([token for token in tokens if _WORDS.weekday(token) is None])
    for shape in _SHAPES:
        if match := shape.fullmatch(plain):
            found = _checked(match.groupdict())
            if weekdays and weekdays != [found.weekday()]:
                raise unreadable(f": {found:%m/%d/%Y} is a different day of the week")
            return found
    if _WITH_POINTS.fullmatch(plain):
        raise unreadable(": with points, the day may stand first", _AMERICAN)
    raise unreadable()


def _numbered(tokens: list[str]) -> str:
    """Return a date with `M3` for March and single spaces, as it is where no month is named."""
    if not any(map(_WORDS.month, tokens)):
        return "".join(tokens).strip(" ,.")
    words = [token for token in tokens if not _WORDS.jump(token)]
    return " ".join(f"M{month}" if (month := _WORDS.month(word)) else word for word in words)


def _checked(parts: dict[str, str | None]) -> date:
    """Return the day that the parts of a date name, if there is such a day."""
    year, month, day = (int(parts[name] or 0) for name in ("year", "month", "day"))
    if month > 12 >= day and parts.get("sep") in ("/", "-"):
        raise unreadable(
            f": there is no month {month}",
            _AMERICAN,
        )
    if len(parts["year"] or "") == 2:
        year += 2000
        if year > _this_year():
            raise unreadable(
                ": the year of two digits would lie in the future", "Type the year with four digits."
            )
    try:
        return date(year, month, day)
    except ValueError:
        raise unreadable(": there is no such day") from None


def _this_year() -> int:
    return datetime.now(UTC).year
