"""What no single cell shows: entries that stand twice, and periods that overlap or end before they begin."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

from shs_pipeline.casting import LAST_DAY, CastError, Cell, day_of
from shs_pipeline.reading import ROW, SHEET, Problem

if TYPE_CHECKING:
    import pandas as pd

VALID_FROM, VALID_UNTIL = "Valid from", "Valid until"


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
            remedy="Valid until is the first day on which the row no longer counts: correct it, leave it "
            "blank, or delete the row.",
            value=in_words(until),
        )
        for position, (begin, until) in enumerate(periods)
        if begin is not None and until is not None and until <= begin
    ]


def overlap_remedy(lines: pd.DataFrame, earlier: int, later: int) -> str:
    """Return how to fix two rows that overlap."""
    begins = lines["valid_from"].tolist()
    if begins[earlier] == begins[later]:
        return (
            "Delete one of the two rows, or change Valid from and Valid until so that one follows the other."
        )
    first, second = row_of(lines, earlier), row_of(lines, later)
    return (
        f"If row {second} takes over from row {first}, put {in_words(begins[later])} into Valid until of row "
        f"{first}; otherwise delete one of the two rows."
    )


def period_of(lines: pd.DataFrame, position: int) -> str:
    """Return the period of a row in words."""
    until = lines["valid_until"].iat[position]
    begin = in_words(lines["valid_from"].iat[position])
    return f"from {begin} until {in_words(until)}" if until is not None else f"from {begin} on"


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
