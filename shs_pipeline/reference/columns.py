"""Columns that several reference tables share."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from shs_pipeline.base.months import parse_month
from shs_pipeline.casting.cells import CastError, Cell
from shs_pipeline.casting.days import day_of
from shs_pipeline.files import contract

COMMISSION_MONTH = "Commission Month"
VALID_FROM, VALID_UNTIL = "Valid from", "Valid until"


def rep_name(description: str = "The rep, as in sales_reps.") -> Any:
    """Declare the rep a row is about."""
    return contract.text("Sales Rep Name", description)


def product_line() -> Any:
    """Declare the product line that a row is about."""
    return contract.text("Product Line", "Product line.")


def commission_month(description: str) -> Any:
    """Declare the commission month that a row is about; read it with `first_of_month`."""
    return contract.day(COMMISSION_MONTH, description, remedy="Type the month as YYYY-MM, such as 2026-10.")


def first_of_month(cell: Cell) -> Cell:
    """Return the first day of the month that a cell means, or the cell where it means none."""
    if isinstance(cell, str) and (month := parse_month(cell.strip())):
        return month
    try:
        day = day_of(cell)
    except CastError:
        return cell
    day = day.date() if isinstance(day, datetime) else day
    return day.replace(day=1) if isinstance(day, date) else cell


def year_of(months: str) -> Any:
    """Declare a calendar year; `months` says which, such as `revenue months`."""
    return contract.whole(
        "Year",
        f"Calendar year of the {months}, with four digits.",
        ge=2000,
        le=2099,
        remedy="Type the year with four digits, such as 2025.",
    )


def valid_from(description: str, *, optional: bool = False) -> Any:
    """Declare the first day or month of a period; where it is optional the column may be missing."""
    return contract.day(VALID_FROM, description, blank=optional, in_header=not optional)


def valid_until(what: str, *, optional: bool = False) -> Any:
    """Declare the end of a period; `what` says what is over, such as `they no longer apply`."""
    return contract.day(
        VALID_UNTIL,
        f"First day on which {what}; blank, or a day such as 12/31/9999, for no end.",
        blank=True,
        in_header=not optional,
    )


def share(description: str) -> Any:
    """Declare a share of lines; the column may be missing."""
    return contract.share(
        "Share",
        description,
        blank=True,
        in_header=False,
        gt=0,
        le=1,
        remedy="Type a percentage above 0% and up to 100%, such as 60% or 0.6.",
    )


def note() -> Any:
    """Declare the remark of an admin in a row, which also says that what is odd about it is meant."""
    return contract.text(
        "Note",
        "Why the row is as it is. What looks odd about a row with a note is taken as intended; a new note "
        "also lets its row change closed months.",
        blank=True,
        in_header=False,
        longest=contract.LONGEST_TEXT,
    )
