"""Checks across rows: duplicate entries, and periods that overlap or end before they begin."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from shs_pipeline.casting.cells import CastError, Cell
from shs_pipeline.casting.days import LAST_DAY, day_of
from shs_pipeline.files.reading import ROW, SHEET, Problem
from shs_pipeline.reference.columns import VALID_FROM, VALID_UNTIL

if TYPE_CHECKING:
    import pandas as pd


def duplicates(keys: Sequence[Hashable | None]) -> Iterator[tuple[int, int]]:
    """Return the positions of (first, again) for each key that stands there already; None is no key."""
    first: dict[Hashable, int] = {}
    for position, key in enumerate(keys):
        if key is None:
            continue
        if key in first:
            yield first[key], position
        else:
            first[key] = position


def unless(skip: Sequence[bool], keys: Sequence[Hashable]) -> list[Hashable | None]:
    """Return (n,) the keys, None where the line is to be skipped."""
    return [None if is_skipped else key for is_skipped, key in zip(skip, keys, strict=True)]


def without_end(cell: Cell) -> Cell:
    """Return a cell of Valid until, None for a day such as 12/31/9999 that stands for no end.

    Such a day is any after 2099, the last year of which a line may be.
    """
    try:
        day = day_of(cell)
    except CastError:
        return cell
    return cell if day is None or day <= LAST_DAY else None


def overlaps(lines: pd.DataFrame, keys: Sequence[Hashable | None]) -> Iterator[tuple[int, int]]:
    """Return the positions of (earlier, later) for each period that begins in another one of its key.

    Periods hold their first day but not their last. Each row that begins too early is returned
    once, with the row before it that lasts longest.

    Args:
        lines: (n, m) values with `valid_from` and `valid_until`.
        keys: (n,) what may have one row in force at a time; None for rows that are not looked at.
    """
    periods = list(zip(lines["valid_from"], lines["valid_until"], strict=True))
    groups: dict[Hashable, list[int]] = {}
    for position, key in enumerate(keys):
        if key is None or periods[position][0] is None:
            continue
        groups.setdefault(key, []).append(position)
    for positions in groups.values():
        longest, end = -1, date.min
        for position in sorted(positions, key=lambda place: periods[place][0]):
            begin, until = periods[position][0], periods[position][1] or date.max
            if until <= begin:
                continue
            if begin < end:
                yield longest, position
            if until > end:
                longest, end = position, until


def with_beginning(lines: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a period each: one without a beginning, or without a period, always counts."""
    none = [None] * len(lines)
    begins, untils = (
        lines[name].tolist() if name in lines else none for name in ("valid_from", "valid_until")
    )
    return lines.assign(valid_from=[begin or date.min for begin in begins], valid_until=untils)


def period_problems(
    lines: pd.DataFrame, keys: Sequence[Hashable | None], sentence: Callable[[int, int], str]
) -> list[Problem]:
    """Return an error for each period that ends before it begins, and for each that begins in another.

    Args:
        lines: (n, m) values with `valid_from` and `valid_until`.
        keys: (n,) what may have one row in force at a time; None for rows that are not looked at.
        sentence: what two rows that overlap do, from the positions of (earlier, later).
    """
    return backward_periods(lines) + [
        problem_at(
            lines,
            later,
            VALID_FROM,
            problem=f"Rows {row_of(lines, earlier)} and {row_of(lines, later)} {sentence(earlier, later)}",
            remedy=_overlap_remedy(lines, earlier, later),
            value=in_words(lines["valid_from"].iat[later]),
        )
        for earlier, later in overlaps(lines, keys)
    ]


def backward_periods(lines: pd.DataFrame) -> list[Problem]:
    """Return an error for each row whose period ends before it has begun."""
    periods = zip(lines["valid_from"], lines["valid_until"], strict=True)
    return [
        problem_at(
            lines,
            position,
            VALID_UNTIL,
            problem=f"Valid until ({in_words(until)}) is not after Valid from ({in_words(begin)}), so the "
            "row is never in force.",
            remedy="Valid until is the first day on which the row no longer applies: correct it, leave it "
            "blank, or delete the row.",
            value=in_words(until),
        )
        for position, (begin, until) in enumerate(periods)
        if begin is not None and until is not None and until <= begin
    ]


def _overlap_remedy(lines: pd.DataFrame, earlier: int, later: int) -> str:
    """Return how to fix two rows that overlap."""
    begins = lines["valid_from"].tolist()
    if begins[earlier] == begins[later]:
        return (
            "Delete one of the two rows, or change Valid from and Valid until so that one follows the other."
        )
    first, second = row_of(lines, earlier), row_of(lines, later)
    return (
        f"If row {second} takes over from row {first}, set Valid until of row {first} to "
        f"{in_words(begins[later])}; otherwise delete one of the two rows."
    )


def period_of(lines: pd.DataFrame, position: int) -> str:
    """Return the period of a row in words."""
    until = lines["valid_until"].iat[position]
    begin = in_words(lines["valid_from"].iat[position])
    return f"from {begin} until {in_words(until)}" if until is not None else f"from {begin} on"


def in_force_by_day(periods: Sequence[tuple[date, date]]) -> Iterator[tuple[date, list[int]]]:
    """Give each day on which another set of rows comes into force, with the positions of those rows.

    Args:
        periods: (n,) first day, and first day after; `date.min` and `date.max` for none.
    """
    for day in sorted({end for period in periods for end in period}):
        if positions := [place for place, (begin, until) in enumerate(periods) if begin <= day < until]:
            yield day, positions


def uneven_shares(
    lines: pd.DataFrame, positions: Sequence[int], shares: Sequence[Decimal], day: date, *, of: str
) -> Problem | None:
    """Return an error where the shares of rows that are in force together are not 100 %.

    Args:
        positions: (n,) the rows in force on the day.
        shares: (n,) theirs.
        of: whom or what they divide, such as `the Bell team`.
    """
    total = sum(shares, Decimal(0))
    if total == 1:
        return None
    places = ", ".join(str(row_of(lines, position)) for position in positions)
    return problem_at(
        lines,
        positions[-1],
        "Share",
        problem=f"The shares of {of} add up to {percent_of(total)} {on_day(day)} (row {places}), and must "
        "add up to 100 %.",
        remedy="Correct the shares, or Valid from and Valid until, so that every day has 100 %.",
        value=percent_of(shares[-1]),
    )


def percent_of(share: Decimal) -> str:
    """Return a factor as a percentage."""
    return f"{(share * 100).normalize():f} %"


def on_day(day: date) -> str:
    """Return since when something is so, in words."""
    return "at all times" if day == date.min else f"on {in_words(day)}"


def problem_at(
    lines: pd.DataFrame, position: int, header: str, *, problem: str, remedy: str, value: object = None
) -> Problem:
    """Return an error that is placed at a row of the workbook."""
    return Problem(
        problem=problem,
        remedy=remedy,
        sheet=lines[SHEET].iat[position],
        row=row_of(lines, position),
        column=header,
        value=None if value is None else str(value),
    )


def row_of(lines: pd.DataFrame, position: int) -> int:
    """Return the 1-based row of the sheet in which a line stands."""
    return int(lines[ROW].iat[position])


def in_words(day: date) -> str:
    """Return a day as an admin types it."""
    return f"{day:%m/%d/%Y}"
