"""What a close has to answer: what holds it up, and what it would pay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from psycopg.rows import class_row

from shs_pipeline.base.months import month_after, month_text
from shs_pipeline.base.wording import count_of

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Obstacle:
    """Something that a close has to answer.

    Attributes:
        is_waivable: the month closes anyway if its row in pay_periods has a Note.
        is_holding: it holds up a close that pay_periods asks for.
    """

    pay_period: date
    kind: str
    problem: str
    remedy: str
    is_waivable: bool
    is_holding: bool


@dataclass(frozen=True)
class Payee:
    """What a statement comes to, in USD."""

    rep_name: str
    earned: Decimal
    restated: Decimal
    adjustments: Decimal
    recovered: Decimal
    brought_forward: Decimal
    due: Decimal
    paid: Decimal
    carried_forward: Decimal


@dataclass(frozen=True)
class Uncredited:
    """Lines of the month that pay nobody, by reason; sales in USD."""

    reason: str
    lines: int
    sales: Decimal


@dataclass(frozen=True)
class Checklist:
    """All that is known of a month before it closes.

    Attributes:
        state: as in pay_periods; empty for a month without lines of which nobody has spoken.
        restated: the reasons, of which the largest comes first.
    """

    month: date
    state: str
    obstacles: Sequence[Obstacle]
    uncredited: Sequence[Uncredited]
    payees: Sequence[Payee]
    restated: Sequence[str]


@dataclass(frozen=True)
class OpenPeriod:
    """Where the months stand: which one is closed last, and which one is to be closed next.

    Attributes:
        closed: the last closed month.
        month: the earliest open month; None where no later month has lines.
        pay_date: of the open month; None while nobody has said.
        obstacles: what its close has to answer.
    """

    closed: date
    month: date | None
    pay_date: date | None
    obstacles: Sequence[Obstacle]


def open_period(connection: psycopg.Connection) -> OpenPeriod | None:
    """Return which month is open; None where no month was ever closed."""
    if not has_closes(connection):
        return None
    months = connection.execute(
        "select state, pay_period, pay_date from marts.pay_periods where state in ('closed', 'open')"
        " order by pay_period"
    ).fetchall()
    closed = [month for state, month, _ in months if state == "closed"]
    if not closed:
        return None
    month, pay_date = next(((each, day) for state, each, day in months if state == "open"), (None, None))
    obstacles = [obstacle for obstacle in obstacles_now(connection) if obstacle.pay_period == month]
    return OpenPeriod(closed[-1], month, pay_date, obstacles)


def period_in_words(found: OpenPeriod | None, due_day: int) -> str:
    """Return which month is open, when its files are due, and how much its close has to answer.

    Args:
        due_day: day of the next month on which a month's files are due.
    """
    if found is None:
        return "no month was ever closed"
    closed = f"closed up to {month_text(found.closed)}"
    if found.month is None:
        return f"{closed}; no month is open"
    due = month_after(found.month).replace(day=due_day)
    said = f"{closed}; {month_text(found.month)} is open, its files are due on {due}"
    if found.pay_date is not None:
        said += f", it is paid on {found.pay_date}"
    if not found.obstacles:
        return f"{said}, nothing stands in the way of its close"
    things = count_of(len(found.obstacles), "thing")
    return f"{said}, {things} to answer: shs close {month_text(found.month)} --check"


def has_closes(connection: psycopg.Connection) -> bool:
    """Whether the marts know of closes: those of an older version do not."""
    row = connection.execute("select to_regclass('marts.close_checklist') is not null").fetchone()
    return bool(row and row[0])


def active_admins(connection: psycopg.Connection) -> list[str]:
    """Return who may approve a close, by name."""
    found = connection.execute(
        "select rep_name from marts.people where permission = 'admin' and is_active order by rep_name"
    ).fetchall()
    return [name for (name,) in found]


def holding_now(connection: psycopg.Connection) -> Sequence[Obstacle]:
    """Return what holds up the closes that pay_periods asks for, by month."""
    if not has_closes(connection):
        return []
    return [obstacle for obstacle in obstacles_now(connection) if obstacle.is_holding]


def edited_now(connection: psycopg.Connection) -> Sequence[Obstacle]:
    """Return where pay_periods says something else of a closed month than it was closed with, by month."""
    if not has_closes(connection):
        return []
    return [obstacle for obstacle in obstacles_now(connection) if obstacle.kind == "closed otherwise"]


def month_to_close(connection: psycopg.Connection) -> date | None:
    """Return the month that is to be closed next: the earliest open one after the last that was closed.

    Before the first close it is the last month that every source has loaded, since nothing says which one is
    closed first. None where no such month has lines.
    """
    row = connection.execute(
        "select case when bool_or(state = 'closed') then min(pay_period) filter (where state = 'open')"
        " else (select (max(month) filter (where is_last_complete) + interval '1 month')::date"
        " from marts.revenue_months) end from marts.pay_periods"
    ).fetchone()
    return row[0] if row else None


def obstacles_now(connection: psycopg.Connection) -> Sequence[Obstacle]:
    """Return what the closes of all months have to answer, by month."""
    with connection.cursor(row_factory=class_row(Obstacle)) as cursor:
        return cursor.execute(
            "select pay_period, kind, problem, remedy, is_waivable, is_holding from marts.close_checklist"
            " order by pay_period, is_holding desc, kind, subject"
        ).fetchall()


def read_checklist(connection: psycopg.Connection, month: date) -> Checklist:
    """Return the checklist of a month, as of the last publication."""
    state = connection.execute(
        "select state from marts.pay_periods where pay_period = %s", [month]
    ).fetchone()
    with connection.cursor(row_factory=class_row(Uncredited)) as cursor:
        uncredited = cursor.execute(
            "select reason, count(*) as lines, sum(sales_actual) as sales"
            " from marts.uncredited_sales where commission_month = %s group by 1 order by 3 desc",
            [month],
        ).fetchall()
    with connection.cursor(row_factory=class_row(Payee)) as cursor:
        payees = cursor.execute(
            "select rep_name, earned, restated, adjustments, recovered, brought_forward, due, paid,"
            ' carried_forward from marts.statements where pay_period = %s order by rep_name collate "C"',
            [month],
        ).fetchall()
    restated = connection.execute(
        "select rep_name || ': ' || words from marts.statement_items"
        " where pay_period = %s and kind = 'restated' order by abs(amount) desc, rep_name, product_line",
        [month],
    ).fetchall()
    return Checklist(
        month,
        state[0] if state else "",
        [obstacle for obstacle in obstacles_now(connection) if obstacle.pay_period == month],
        uncredited,
        payees,
        [words for (words,) in restated],
    )
