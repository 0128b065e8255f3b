"""Days: every usual spelling that can mean one day only, and nothing else.

Read are American order (`03/31/2025`, `3-31-25`), the year first (`2025-03-31`, `2025/3/31`,
`20250331`) and English month names in any order of day and month (`31-Mar-25`, `March 31st, 2025`,
`2025 Mar 31`), each with or without a weekday, which must be the right one, and a time of day, which
is dropped: an instant with a time zone is the day that is written. All of day, month and year must be
there. A year of two digits is never later than this one.

`31/03/2025` is refused although it can mean one day only. It is the mark of a European export opened
in an American Excel, in which the days up to the 12th have silently changed places with the months.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from shs_pipeline.casting.cells import CastError, Cell, squeeze

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2099, 12, 31)

_EXAMPLE = "Type the date as MM/DD/YYYY, such as 03/31/2025."
# Excel counts days from here; 1900 was no leap year, so the count is right from March 1900 on.
_EXCEL_EPOCH = date(1899, 12, 30)
_LAST_DAY_NUMBER = 2958465  # 12/31/9999, the last day that Excel knows
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_TIME = re.compile(
    r"(?:[ t,]|(?<= )at )*(?<![0-9:])(?:[01]?[0-9]|2[0-4]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]+)?)?"
    r"(?: ?[ap]\.?m\b\.?)?"
    r"(?: ?(?:z|(?:utc|gmt)? ?[-+][0-9]{1,2}(?::?[0-9]{2})?|utc|gmt|[ecmp][sd]?t)(?![a-z0-9:]))?(?![0-9:])"
)
_BASIC_TIME = re.compile(r"(?<=^[0-9]{8})t[0-9]{4}(?:[0-9]{2})?(?:z|[-+][0-9]{4})?$")

_WEEKDAY = (
    r"(?:(?P<weekday>mon|tue|wed|thu|fri|sat|sun)"
    r"(?:(?<=mon|fri|sun)day|(?<=tue)s(?:day)?|(?<=wed)nesday|(?<=thu)r?s?(?:day)?|(?<=sat)urday)?[.,]* ?)?"
)
_MONTH_NAME = (
    r"(?P<name>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    r"(?:(?<=jan)uary|(?<=feb)ruary|(?<=mar)ch|(?<=apr)il|(?<=jun)e|(?<=jul)y|(?<=aug)ust|(?<=sep)t(?:ember)?"
    r"|(?<=oct)ober|(?<=nov|dec)ember)?\.?"
)
_DAY, _YEAR, _LONG_YEAR = r"(?P<day>[0-9]{1,2})", r"'?(?P<year>[0-9]{4}|[0-9]{2})", r"(?P<year>[0-9]{4})"
_ORDINAL = r"(?:st|nd|rd|th)?"
_MONTH = r"(?P<month>[0-9]{1,2})"
_GAP = r"[ ,./-]*"
_SHAPES = [
    re.compile(_WEEKDAY + shape)
    for shape in (
        rf"{_MONTH} ?(?P<sep>[/-]) ?{_DAY} ?(?P=sep) ?{_YEAR}",
        rf"{_LONG_YEAR}(?P<sep>[-/. ]){_MONTH}(?P=sep){_DAY}",
        r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})",
        rf"{_DAY}{_ORDINAL}(?: of )?{_GAP}{_MONTH_NAME}{_GAP}{_YEAR}",
        rf"{_MONTH_NAME}{_GAP}{_DAY}{_ORDINAL}[ ,./-]+{_YEAR}",
        rf"{_LONG_YEAR}{_GAP}{_MONTH_NAME}{_GAP}{_DAY}{_ORDINAL}",
    )
]


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
        return _day_from_text(squeeze(cell)) if squeeze(cell) else None
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        if is_day_number(cell):
            return _EXCEL_EPOCH + timedelta(days=int(cell))
        if cell == cell // 1:
            return _day_from_text(str(int(cell)))
    raise unreadable()


def is_day_number(cell: Cell) -> bool:
    """Whether a number can be Excel's count of days, and not a day written as 20250331."""
    return isinstance(cell, (int, float)) and not isinstance(cell, bool) and 1 <= cell < _LAST_DAY_NUMBER + 1


def unreadable(why: str = "", remedy: str = _EXAMPLE) -> CastError:
    """Return what is said of a cell that is no day."""
    return CastError(f"This is not a readable date{why}.", remedy)


def _day_from_text(text: str) -> date:
    plain = _DASHES.sub("-", text).lower()
    plain = _BASIC_TIME.sub("", _TIME.sub(" ", plain, count=1))
    plain = squeeze(plain).strip(" ,")
    for shape in _SHAPES:
        if match := shape.fullmatch(plain):
            return _checked(match.groupdict())
    raise unreadable()


def _checked(parts: dict[str, str | None]) -> date:
    """Return the day that the parts of a date name, if there is such a day."""
    name, day = parts.get("name"), int(parts["day"] or 0)
    month = _MONTHS.index(name) + 1 if name else int(parts.get("month") or 0)
    year = int(parts["year"] or 0)
    if month > 12 >= day and parts.get("sep") in ("/", "-"):
        raise unreadable(
            f": there is no month {month}",
            "Type the date as MM/DD/YYYY. If the file has the day first, then Excel may have changed the "
            "places of day and month in its other dates: have it exported again with American dates.",
        )
    if len(parts["year"] or "") == 2:
        year += 2000
        if year > _this_year():
            raise unreadable(
                ": the year of two digits would lie in the future", "Type the year with four digits."
            )
    try:
        found = date(year, month, day)
    except ValueError:
        raise unreadable(": there is no such day") from None
    weekday = parts.get("weekday")
    if weekday and _WEEKDAYS.index(weekday) != found.weekday():
        raise unreadable(f": {found:%m/%d/%Y} is another day of the week")
    return found


def _this_year() -> int:
    return datetime.now(UTC).year
