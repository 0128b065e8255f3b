"""The published states: which there are, and which one somebody means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from psycopg.rows import class_row

from shs_pipeline.base.errors import ShsError
from shs_pipeline.marts.explain import check_published

if TYPE_CHECKING:
    import psycopg

NOW = "now"
_RUN_ID_START = 6
_RUNS_SHOWN = 3


@dataclass(frozen=True)
class Published:
    """A state that people read, or have read: a row of `marts.publications`."""

    publication_id: int
    run_id: str
    published_at: datetime


def state_at(connection: psycopg.Connection, typed: str) -> Published:
    """Return the published state that is meant.

    Args:
        typed: a time (ISO 8601, UTC unless it says otherwise), the number of a publication (`3` or
            `#3`), the id of a run or how it begins, or `now`.

    Raises:
        ShsError: nothing is published, nothing was at that time, or there is no such run.
    """
    check_published(connection)
    with connection.cursor(row_factory=class_row(Published)) as cursor:
        states = cursor.execute(
            "select publication_id, run_id, published_at from marts.publications order by publication_id"
        ).fetchall()
    text = typed.strip()
    found = _by_run(states, text) or _by_number(states, text)
    if found is not None:
        return found
    when = _time(text)
    if when is None:
        raise _no_state(states, typed)
    earlier = [state for state in states if state.published_at <= when]
    if not earlier:
        raise ShsError(
            f"Nothing had been published by {when:%Y-%m-%d %H:%M} UTC.",
            f"The first state is {in_short(states[0])}.",
        )
    return earlier[-1]


def in_short(state: Published) -> str:
    """Return a state in words: `publication 3 (2026-11-22 13:50 UTC, run …)`."""
    time = f"{state.published_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return f"publication {state.publication_id} ({time} UTC, run {state.run_id})"


def _by_run(states: Sequence[Published], text: str) -> Published | None:
    """Return the last state that a run published; one that wrote nothing is not among them."""
    exact_runs = [state for state in states if state.run_id == text]
    if exact_runs:
        return exact_runs[-1]
    begun = [state for state in states if state.run_id.startswith(text)]
    is_one = len({state.run_id for state in begun}) == 1 and len(text) >= _RUN_ID_START
    return begun[-1] if is_one else None


def _by_number(states: Sequence[Published], text: str) -> Published | None:
    number = re.fullmatch(r"#(\d+)|(\d{1,7})", text)
    if number is None:
        return None
    wanted = int(number[1] or number[2])
    for state in states:
        if state.publication_id == wanted:
            return state
    raise ShsError(f"There is no publication {wanted}.", f"The publications are {_first_and_last(states)}.")


def _time(text: str) -> datetime | None:
    if text.casefold() == NOW:
        return datetime.now(UTC)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except OverflowError:
        return None


def _no_state(states: Sequence[Published], typed: str) -> ShsError:
    runs = ", ".join(repr(state.run_id) for state in states[-_RUNS_SHOWN:])
    return ShsError(
        f"{typed!r} is not a time, a run that published anything, or the number of a publication.",
        f"Write a time as 2026-11-01 or 2026-11-01T12:00 (UTC), a number from {_first_and_last(states)}, "
        f"or the id of a run; the last are {runs}.",
    )


def _first_and_last(states: Sequence[Published]) -> str:
    return f"{states[0].publication_id} to {states[-1].publication_id}"
