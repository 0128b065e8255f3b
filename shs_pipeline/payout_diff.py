"""What changed in the payouts between two published states, and why, to the cent.

A payout is tier 1 + difference - deferred + released. The first two are sums over lines, so the lines
that came, went or changed explain their change exactly; what is left is the change of what is held
back and released, which follows from the month in which the year reached its threshold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from psycopg import sql
from psycopg.rows import class_row

from shs_pipeline.errors import ShsError
from shs_pipeline.explain import check_published, exact, rates_in_words
from shs_pipeline.months import month_text

if TYPE_CHECKING:
    import psycopg

NOW = "now"
_ZERO = Decimal("0.00")
_RUN_ID_START = 6
_RUNS_SHOWN = 3

Key = tuple[str, str, date]
"""Rep, product line, commission month."""
Year = tuple[str, str, int]
"""Rep, product line, commission year."""
Reason = Literal[
    "added", "removed", "credited here", "credited elsewhere", "corrected", "rate", "rules", "tier 2"
]


@dataclass(frozen=True)
class Published:
    """A state that people read, or have read: a row of `marts.publications`."""

    publication_id: int
    run_id: str
    published_at: datetime


@dataclass(frozen=True)
class Line:
    """A line of `marts.harmonised_sales`, as far as a payout hangs on it."""

    line_id: str
    source: str
    product_line: str
    rep_name: str | None
    rep_named: str | None
    credit_status: str
    customer: str | None
    invoice_number: str | None
    item: str | None
    source_file: str
    source_sheet: str
    source_row: int
    sales_actual: Decimal
    rev_actual: Decimal
    tier_1_rate: Decimal | None
    tier_2_rate: Decimal | None
    commission_tier_1: Decimal
    commission_tier_2_diff: Decimal
    revenue_date: date
    commission_month: date

    @property
    def key(self) -> Key | None:
        """The payout that it counts in, if it is somebody's."""
        return None if self.rep_name is None else (self.rep_name, self.product_line, self.commission_month)

    @property
    def commission(self) -> Decimal:
        """Tier 1 and the difference, paid or not (USD)."""
        return self.commission_tier_1 + self.commission_tier_2_diff

    @property
    def sale(self) -> tuple[Hashable, ...]:
        """What stays the same when a file is corrected."""
        return (
            self.source, self.commission_month, self.invoice_number, self.item, self.customer,
            self.revenue_date,
        )  # fmt: skip

    @property
    def amounts(self) -> tuple[Decimal, Decimal]:
        """What was sold and what the company earns (USD)."""
        return self.sales_actual, self.rev_actual

    @property
    def rates(self) -> tuple[Decimal | None, Decimal | None]:
        """Of both tiers."""
        return self.tier_1_rate, self.tier_2_rate


@dataclass(frozen=True)
class PayoutRow:
    """A row of `marts.commission_payouts`, as far as it is compared."""

    rep_name: str
    product_line: str
    commission_month: date
    cumulative_sales: Decimal
    threshold: Decimal | None
    tier_2_month: date | None
    deferred: Decimal
    released: Decimal
    payout: Decimal

    @property
    def key(self) -> Key:
        """Rep, product line, commission month."""
        return self.rep_name, self.product_line, self.commission_month


@dataclass(frozen=True)
class LineChange:
    """A line before and after (None where there was none), and what that adds to the payout (USD)."""

    before: Line | None
    after: Line | None
    amount: Decimal

    @property
    def shown(self) -> Line:
        """The line as it is now, or was last."""
        line = self.after or self.before
        assert line is not None
        return line


@dataclass(frozen=True)
class Part:
    """One reason why a payout changed.

    Attributes:
        words: what happened: `re-credited from …`, to be read after a number of lines; a whole
            sentence where `reason` is `tier 2`.
        amount: USD that it adds to the payout.
        lines: the largest change first; they add up to `amount`. None for `tier 2`.
    """

    reason: Reason
    words: str
    amount: Decimal
    lines: Sequence[LineChange] = ()


@dataclass(frozen=True)
class PayoutChange:
    """A payout that changed; before and after are None where there was no such payout (USD).

    Attributes:
        parts: they add up to the difference.
    """

    rep_name: str
    product_line: str
    commission_month: date
    before: Decimal | None
    after: Decimal | None
    parts: Sequence[Part]

    @property
    def difference(self) -> Decimal:
        """What is paid more (USD)."""
        return (self.after or _ZERO) - (self.before or _ZERO)


@dataclass(frozen=True)
class Comparison:
    """Two published states and the payouts that differ, by rep, product line and month."""

    first: Published
    second: Published
    changes: Sequence[PayoutChange]

    @property
    def difference(self) -> Decimal:
        """What is paid more in all (USD)."""
        return sum((change.difference for change in self.changes), _ZERO)


# --- the two states ------------------------------------------------------------------------


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
            f"Nothing was published yet at {when:%Y-%m-%d %H:%M} UTC.",
            f"The first state is that of {in_short(states[0])}.",
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
    raise ShsError(f"There is no publication {wanted}.", f"There are those from {_first_and_last(states)}.")


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


# --- reading -------------------------------------------------------------------------------


def compare_payouts(
    connection: psycopg.Connection, first: Published, second: Published, rep: str | None = None
) -> Comparison:
    """Return every payout that differs between two states, with the reasons.

    Args:
        rep: only this one, as the marts spell the name.

    Raises:
        ShsError: the second state is the earlier one.
    """
    if second.publication_id < first.publication_id:
        raise ShsError(
            f"The second state, {in_short(second)}, is the earlier one.", "Name the earlier state first."
        )
    if first == second or not _has_history(connection):
        return Comparison(first, second, ())
    before, after = (_payouts_at(connection, state, first, second) for state in (first, second))
    removed, added = _changed_lines(connection, first, second)
    changed = [
        key
        for key in sorted({*before, *after})
        if _paid(before.get(key)) != _paid(after.get(key)) and rep in (None, key[0])
    ]
    effects = _effects(pair_lines(removed, added), set(changed))
    years = (_Years(before.values()), _Years(after.values()))
    changes = [_change(key, before.get(key), after.get(key), effects.get(key, []), years) for key in changed]
    return Comparison(first, second, changes)


def _has_history(connection: psycopg.Connection) -> bool:
    row = connection.execute(
        "select to_regclass('history.commission_payouts'), to_regclass('history.harmonised_sales')"
    ).fetchone()
    return row is not None and None not in row


def _paid(row: PayoutRow | None) -> Decimal:
    return row.payout if row is not None else _ZERO


def _payouts_at(
    connection: psycopg.Connection, state: Published, first: Published, second: Published
) -> dict[Key, PayoutRow]:
    """Return the payouts of a state, of every year in which any differs between the two.

    Today's rows, without what later publications added, with what they removed.
    """
    query = sql.SQL("""
        with touched as (
            select distinct rep_name, product_line, date_trunc('year', commission_month) as commission_year
            from history.commission_payouts
            where publication_id > %(first)s and publication_id <= %(second)s
        ),
        versions as (
            select {columns}, 1 as present from marts.commission_payouts
            union all
            select {columns}, case change when 'added' then -1 else 1 end
            from history.commission_payouts
            where publication_id > %(state)s
        )
        select {columns} from versions
        where (rep_name, product_line, date_trunc('year', commission_month)) in (select * from touched)
        group by {columns}
        having sum(present) > 0
    """).format(columns=_names(PayoutRow))
    ids = {"state": state.publication_id, "first": first.publication_id, "second": second.publication_id}
    with connection.cursor(row_factory=class_row(PayoutRow)) as cursor:
        return {row.key: row for row in cursor.execute(query, ids)}


def _changed_lines(
    connection: psycopg.Connection, first: Published, second: Published
) -> tuple[list[Line], list[Line]]:
    """Return the lines that only the first state has, and those that only the second has.

    What was added and removed again in between cancels out.
    """
    query = sql.SQL("""
        select {columns} from history.harmonised_sales
        where publication_id > %(first)s and publication_id <= %(second)s
        group by {columns}
        having sum(case change when 'added' then 1 else -1 end) * %(sign)s > 0
        order by source_file, source_sheet, source_row, line_id
    """).format(columns=_names(Line))
    ids = {"first": first.publication_id, "second": second.publication_id}
    with connection.cursor(row_factory=class_row(Line)) as cursor:
        removed = cursor.execute(query, {**ids, "sign": -1}).fetchall()
        added = cursor.execute(query, {**ids, "sign": 1}).fetchall()
    return removed, added


def _names(row_type: type[Line | PayoutRow]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, row_type.__dataclass_fields__))


# --- lines ---------------------------------------------------------------------------------

Pair = tuple[Line | None, Line | None]

# The line itself; else the same sale in another file, the more alike the sooner.
_SAME: tuple[Callable[[Line], Hashable], ...] = (
    lambda line: line.line_id,
    lambda line: (line.sale, line.amounts, line.rep_name, line.product_line, line.rates),
    lambda line: (line.sale, line.amounts),
    lambda line: (line.sale, line.rep_name),
    lambda line: line.sale,
)


def pair_lines(removed: Sequence[Line], added: Sequence[Line]) -> list[Pair]:
    """Match the lines that went with those that came in their place; the rest stands alone."""
    pairs: list[Pair] = []
    gone, come = list(removed), list(added)
    for same in _SAME:
        waiting: dict[Hashable, list[Line]] = {}
        for line in reversed(come):
            waiting.setdefault(same(line), []).append(line)
        left = []
        for line in gone:
            found = waiting.get(same(line))
            if found:
                pairs.append((line, found.pop()))
            else:
                left.append(line)
        gone = left
        still = {line.line_id for lines in waiting.values() for line in lines}
        come = [line for line in come if line.line_id in still]
    return [*pairs, *((line, None) for line in gone), *((None, line) for line in come)]


def _effects(pairs: Iterable[Pair], wanted: set[Key]) -> dict[Key, list[tuple[Reason, str, LineChange]]]:
    """Return what each pair adds to each payout that it concerns, with the reason."""
    found: dict[Key, list[tuple[Reason, str, LineChange]]] = {}
    for before, after in pairs:
        keys = {line.key for line in (before, after) if line is not None}
        for key in keys & wanted:
            assert key is not None
            amount = _counted(after, key) - _counted(before, key)
            if amount:
                reason, words = _reason(before, after, key)
                found.setdefault(key, []).append((reason, words, LineChange(before, after, amount)))
    return found


def _counted(line: Line | None, key: Key) -> Decimal:
    return line.commission if line is not None and line.key == key else _ZERO


def _reason(before: Line | None, after: Line | None, key: Key) -> tuple[Reason, str]:
    if before is None:
        return "added", "added"
    if after is None:
        return "removed", "removed"
    if before.key != key:
        return "credited here", _from_elsewhere(before, after)
    if after.key != key:
        return "credited elsewhere", _to_elsewhere(before, after)
    is_rate_changed = before.rates != after.rates
    rate = f"paid at {rates_in_words(*after.rates)} instead of {rates_in_words(*before.rates)}"
    # The same line of the same file: its cells are what they were.
    if before.amounts != after.amounts and before.line_id != after.line_id:
        return (
            "corrected",
            f"with a corrected amount, {rate}" if is_rate_changed else "with a corrected amount",
        )
    return ("rate", rate) if is_rate_changed else ("rules", "computed by changed rules")


def _from_elsewhere(before: Line, after: Line) -> str:
    if before.rep_name is None:
        return f"credited now, before to nobody ({_why_nobody(before)})"
    if before.rep_name != after.rep_name:
        return f"re-credited from {before.rep_name}"
    return f"moved here from {before.product_line}"


def _to_elsewhere(before: Line, after: Line) -> str:
    if after.rep_name is None:
        return f"credited to nobody any more ({_why_nobody(after)})"
    if before.rep_name != after.rep_name:
        return f"re-credited to {after.rep_name}"
    return f"moved to {after.product_line}"


def _why_nobody(line: Line) -> str:
    if line.credit_status == "unknown_rep":
        return f"sales_reps does not know {line.rep_named}" if line.rep_named else "the file names no rep"
    return "no territory"


# --- payouts -------------------------------------------------------------------------------


class _Years:
    """What the years of one state say: threshold, month that reached it, sales to date."""

    def __init__(self, rows: Iterable[PayoutRow]) -> None:
        self._rows: dict[Year, list[PayoutRow]] = {}
        for row in sorted(rows, key=lambda row: row.commission_month):
            self._rows.setdefault(_year(row.key), []).append(row)

    def __contains__(self, year: Year) -> bool:
        return year in self._rows

    def threshold(self, year: Year) -> Decimal | None:
        return next((row.threshold for row in self._rows.get(year, ())), None)

    def reached_in(self, year: Year) -> date | None:
        return next((row.tier_2_month for row in self._rows.get(year, ()) if row.tier_2_month), None)

    def sales_to(self, year: Year, month: date) -> Decimal:
        sums = [row.cumulative_sales for row in self._rows.get(year, ()) if row.commission_month <= month]
        return sums[-1] if sums else _ZERO


def _year(key: Key) -> Year:
    return key[0], key[1], key[2].year


def _change(
    key: Key,
    before: PayoutRow | None,
    after: PayoutRow | None,
    effects: Sequence[tuple[Reason, str, LineChange]],
    years: tuple[_Years, _Years],
) -> PayoutChange:
    parts = _line_parts(effects)
    held, released = _held(after) - _held(before), _released(after) - _released(before)
    if held or released:
        parts.append(Part("tier 2", _tier_2_words(key, held, released, years), released - held))
    change = PayoutChange(
        *key,
        before.payout if before is not None else None,
        after.payout if after is not None else None,
        parts,
    )
    assert sum((part.amount for part in parts), _ZERO) == change.difference, key
    return change


def _held(row: PayoutRow | None) -> Decimal:
    return row.deferred if row is not None else _ZERO


def _released(row: PayoutRow | None) -> Decimal:
    return row.released if row is not None else _ZERO


def _line_parts(effects: Sequence[tuple[Reason, str, LineChange]]) -> list[Part]:
    grouped: dict[tuple[Reason, str], list[LineChange]] = {}
    for reason, words, change in effects:
        grouped.setdefault((reason, words), []).append(change)
    parts = [
        Part(
            reason,
            words,
            sum((change.amount for change in changes), _ZERO),
            sorted(changes, key=lambda change: -abs(change.amount)),
        )
        for (reason, words), changes in grouped.items()
    ]
    return sorted(parts, key=lambda part: -abs(part.amount))


def _tier_2_words(key: Key, held: Decimal, released: Decimal, years: tuple[_Years, _Years]) -> str:
    """Say what is held back and released differently, and why."""
    said = []
    if held:
        said.append(f"{exact(abs(held))} {'more' if held > 0 else 'less'} held back")
    if released:
        said.append(
            f"{exact(abs(released))} {'more' if released > 0 else 'less'} released from earlier months"
        )
    return f"{' and '.join(said)}: {_cause(key, released, years)}"


def _cause(key: Key, released: Decimal, years: tuple[_Years, _Years]) -> str:
    before, after = years
    year, month = _year(key), key[2]
    was, now = before.reached_in(year), after.reached_in(year)
    if _standing(was, month) != _standing(now, month):
        return _crossing(year, was, now, years)
    if released:
        return "the differences of earlier months, which this month pays, changed"
    if (after if year in after else before).threshold(year) is None:
        return f"no threshold is set for {year[2]}, so differences are never paid"
    return "the threshold is not reached in this month, so its differences are held back"


def _standing(reached_in: date | None, month: date) -> tuple[bool, bool]:
    """Whether a month pays tier 2, and whether it is the month that releases."""
    return reached_in is not None and month >= reached_in, month == reached_in


def _crossing(year: Year, was: date | None, now: date | None, years: tuple[_Years, _Years]) -> str:
    before, after = years
    then, today = before.threshold(year), after.threshold(year)
    if now is None and today is None and then is not None and year in after:
        return f"{year[2]} has no threshold any more; that of {exact(then)} was reached in {_month(was)}"
    if was is None:
        said = f"the threshold is now reached in {_month(now)}, and was not reached before"
    elif now is None:
        said = f"the threshold is not reached any more; it was in {_month(was)}"
    else:
        when = "earlier" if now < was else "later"
        said = f"the threshold is reached {when}, in {_month(now)} instead of {_month(was)}"
    reasons = [*_threshold_reason(year, years), *_sales_reason(year, was, now, years)]
    return f"{said}, since {' and '.join(reasons)}" if reasons else said


def _threshold_reason(year: Year, years: tuple[_Years, _Years]) -> list[str]:
    before, after = years
    then, today = before.threshold(year), after.threshold(year)
    if then == today or year not in before or year not in after:
        return []
    if then is None and today is not None:
        return [f"a threshold of {exact(today)} was set"]
    if today is None:
        return ["there is no threshold any more"]
    return [f"it was changed from {exact(then or _ZERO)} to {exact(today)}"]


def _sales_reason(year: Year, was: date | None, now: date | None, years: tuple[_Years, _Years]) -> list[str]:
    before, after = years
    month = min(found for found in (was, now) if found is not None)
    sold, sells = before.sales_to(year, month), after.sales_to(year, month)
    if sold == sells:
        return []
    return [f"the sales to {_month(month)} went from {exact(sold)} to {exact(sells)}"]


def _month(month: date | None) -> str:
    return month_text(month) if month is not None else "no month"


def years_of(changes: Iterable[PayoutChange]) -> Mapping[int, Decimal]:
    """Return the difference by commission year (USD)."""
    sums: dict[int, Decimal] = {}
    for change in changes:
        year = change.commission_month.year
        sums[year] = sums.get(year, _ZERO) + change.difference
    return dict(sorted(sums.items()))
