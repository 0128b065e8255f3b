"""What people type: source names, months, files."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import parse_month

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def month_typed(text: str, option: str) -> date:
    """Return the first day of a month typed as `YYYY-MM`.

    Raises:
        ShsError: it is no month.
    """
    month = parse_month(text.strip())
    if month is None:
        raise ShsError(
            f"{option} {text!r} is not a month.", f"Write it as {option} YYYY-MM, such as 2025-03."
        )
    return month


def months_typed(text: str, option: str) -> tuple[date, date]:
    """Return the first and last month of `YYYY-MM..YYYY-MM`; of one month that month twice.

    Raises:
        ShsError: it is neither, or the first month is the later one.
    """
    first, dots, last = text.partition("..")
    months = month_typed(first, option), month_typed(last if dots else first, option)
    if months[0] > months[1]:
        raise ShsError(f"{option} {text} ends before it begins.", "Write the earlier month first.")
    return months


def moment_typed(text: str, option: str) -> datetime:
    """Return a moment in UTC: the end of a day typed as `YYYY-MM-DD`, or a time (ISO 8601).

    Raises:
        ShsError: it is neither, or not over yet.
    """
    typed, now = text.strip(), datetime.now(UTC)
    try:
        is_day = _DAY.fullmatch(typed) is not None
        found = datetime.fromisoformat(typed)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ShsError(
            f"{option} {text!r} is neither a day nor a time.",
            f"Write it as {option} 2026-11-01 (its end), or {option} 2026-11-01T12:00 (UTC).",
        ) from None
    if found > now:
        raise ShsError(f"{option} {text} is in the future.", "Name a day or a time that is past.")
    # Of today as much as there is.
    return min(found + timedelta(days=1), now) if is_day else found


def file_content(path: Path) -> bytes:
    """Return the bytes of a local file.

    Raises:
        ShsError: there is no such file, or it may not be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ShsError(
            f"There is no file {path}.", "Check the path; put it in quotes if it contains spaces."
        ) from None
    except IsADirectoryError:
        raise ShsError(f"{path} is a folder, not a file.", "Name one file in it.") from None
    except OSError as error:
        raise ShsError(
            f"{path} cannot be read ({error.strerror}).", "Check the file and its permissions."
        ) from None
