"""What changed in the payouts between two published states, and why, to the cent.

A payout is tier 1 + difference - deferred + released. The first two are sums over lines, so the lines
that came, went or changed explain their change exactly; what is left is the change of what is held
back and released, which follows from the month in which the year reached its threshold. Where a month
holds its differences back in both states, only tier 1 is paid, and only that counts of its lines.

A month is new if the first state has no payout in it, and restated if it has. Of a month that is closed, the
statements say where the difference was paid or taken back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.wording import count_of
from shs_pipeline.casting.cells import match_key
from shs_pipeline.marts.line_changes import LineChange, Reason, effects_on, pair_lines
from shs_pipeline.marts.payout_states import (
    ZERO,
    Key,
    PayoutRow,
    Upcoming,
    changed_lines,
    has_history,
    months_at,
    payouts_at,
)
from shs_pipeline.marts.publications import Published, in_short
from shs_pipeline.marts.reference_history import RowChange, changes_between
from shs_pipeline.marts.settlements import Settled, settled_payouts
from shs_pipeline.marts.tier_2_changes import Years, is_held_in_both, tier_2_words

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Part:
    """One reason why a payout changed.

    Attributes:
        words: what happened: `re-credited from …`, to be read after a number of lines; a whole
            sentence where `reason` is `tier 2`.
        amount: USD that it adds to the payout.
        lines: the largest change first; they add up to `amount`. None for `tier 2`, whose amount is 0.00
            where a month holds its differences back as before.
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
        is_new: the month had no payout of anybody in the first state.
        settled: what stands on statements now, of a month that is not open any more.
    """

    payee_id: str
    rep_name: str
    product_line: str
    commission_month: date
    before: Decimal | None
    after: Decimal | None
    parts: Sequence[Part]
    is_new: bool = False
    settled: Sequence[Settled] = ()

    @property
    def difference(self) -> Decimal:
        """What is paid more (USD)."""
        return (self.after or ZERO) - (self.before or ZERO)

    @property
    def is_explained(self) -> bool:
        """Whether the parts add up to the difference, as they must."""
        return sum((part.amount for part in self.parts), ZERO) == self.difference


@dataclass(frozen=True)
class Comparison:
    """Two published states and the payouts that differ, by rep, product line and month.

    Attributes:
        rules: rows that changed in the tables that say what is paid and aimed at, whether or not it moved
            a payout, by table.
    """

    first: Published
    second: Published
    changes: Sequence[PayoutChange]
    rules: Mapping[str, Sequence[RowChange]] = field(default_factory=dict)

    @property
    def difference(self) -> Decimal:
        """What is paid more in all (USD)."""
        return sum((change.difference for change in self.changes), ZERO)

    @property
    def new(self) -> Decimal:
        """What is paid for months that the first state did not have (USD)."""
        return sum((change.difference for change in self.changes if change.is_new), ZERO)

    @property
    def restated(self) -> Decimal:
        """What is paid more for months that had been published before (USD)."""
        return self.difference - self.new


def compare_payouts(
    connection: psycopg.Connection,
    first: Published,
    second: Published,
    payee_id: str | None = None,
    months: tuple[date, date] | None = None,
) -> Comparison:
    """Return every payout that differs between two states, with the reasons.

    Args:
        payee_id: only this payee.
        months: only commission months from the first to the second.

    Raises:
        ShsError: the second state is the earlier one.
    """
    if second.publication_id < first.publication_id:
        raise ShsError(
            f"The second state, {in_short(second)}, is the earlier one.", "Put the earlier state first."
        )
    if first == second or not has_history(connection):
        return Comparison(first, second, ())
    rules = _rules(connection, first, second, payee_id, months)
    found = changed_payouts(
        connection,
        first,
        second,
        lambda key: payee_id in (None, key[0]) and (months is None or months[0] <= key[2] <= months[1]),
    )
    known = months_at(connection, first.publication_id)
    settled = settled_payouts(connection, {key[2] for key in found})
    changes = [
        replace(change, is_new=key[2] not in known, settled=settled.get(key, ()))
        for key, change in found.items()
    ]
    assert all(change.is_explained for change in changes), (first, second)
    changes.sort(key=lambda change: (change.rep_name, change.product_line, change.commission_month))
    return Comparison(first, second, changes, rules)


def changed_payouts(
    connection: psycopg.Connection,
    first: Published,
    second: Published,
    is_wanted: Callable[[Key], bool],
    upcoming: Upcoming | None = None,
) -> dict[Key, PayoutChange]:
    """Return the wanted payouts that differ between two states, with the reasons.

    Args:
        upcoming: what the build that will be the second state does; None where both are published.
    """
    before, after = (payouts_at(connection, state, first, second, upcoming) for state in (first, second))
    changed = [
        key for key in {*before, *after} if _paid(before.get(key)) != _paid(after.get(key)) and is_wanted(key)
    ]
    removed, added = changed_lines(connection, first, second, {key[2] for key in changed}, upcoming)
    years = (Years(before.values()), Years(after.values()))
    held = {key for key in changed if is_held_in_both(key, years)}
    effects = effects_on(pair_lines(removed, added), set(changed), held)
    return {
        key: _change(key, before.get(key), after.get(key), effects.get(key, []), years, key in held)
        for key in changed
    }


def part_in_words(part: Part) -> str:
    """Return a reason as it is told: `2 lines re-credited from …`."""
    return f"{count_of(len(part.lines), 'line')} {part.words}" if part.lines else part.words


# What a line was credited to before or after, and the name that a file gives, may be another payee's.
_OTHERS = (
    (re.compile(r"(re-credited (?:from|to)) .+"), r"\1 another rep"),
    (re.compile(r"\(.+ is not in sales_reps\)"), "(the name in the file is not in sales_reps)"),
)


def part_for_payee(part: Part) -> str:
    """Return a reason as a payee may read it, who need not know of others."""
    words = part_in_words(part)
    for names, instead in _OTHERS:
        words = names.sub(instead, words)
    return words


_RULES = ("commission_tiers", "tier_thresholds", "business_objectives")


def _rules(
    connection: psycopg.Connection,
    first: Published,
    second: Published,
    payee_id: str | None,
    months: tuple[date, date] | None,
) -> dict[str, list[RowChange]]:
    """Return the rows of rates, thresholds and objectives that changed, of this payee and these years."""
    payees: dict[str, str] = {}
    if payee_id is not None:
        payees = dict(connection.execute("select name_key, payee_id from reference.payee_names").fetchall())
    found = {}
    for table in _RULES:
        changes = changes_between(connection, table, first.publication_id, second.publication_id)
        kept = [change for change in changes if _concerns(change, payees, payee_id, months)]
        if kept:
            found[table] = kept
    return found


def _concerns(
    change: RowChange,
    payees: Mapping[str, str],
    payee_id: str | None,
    months: tuple[date, date] | None,
) -> bool:
    row = change.after or change.before or {}
    if payee_id is not None and payees.get(match_key(str(row["sales_rep_name"]))) != payee_id:
        return False
    year = row.get("year")
    return months is None or not isinstance(year, int) or months[0].year <= year <= months[1].year


def _paid(row: PayoutRow | None) -> Decimal:
    return row.payout if row is not None else ZERO


def _change(
    key: Key,
    before: PayoutRow | None,
    after: PayoutRow | None,
    effects: Sequence[tuple[Reason, str, LineChange]],
    years: tuple[Years, Years],
    is_held: bool,
) -> PayoutChange:
    parts = _line_parts(effects)
    held, released = _held(after) - _held(before), _released(after) - _released(before)
    if held or released:
        # What is held back in both states is in no payout: the part only says it.
        paid = released if is_held else released - held
        parts.append(Part("tier 2", tier_2_words(key, held, released, years), paid))
    shown = after or before
    assert shown is not None, key
    return PayoutChange(
        key[0],
        shown.rep_name,
        shown.product_line,
        shown.commission_month,
        before.payout if before is not None else None,
        after.payout if after is not None else None,
        parts,
    )


def _held(row: PayoutRow | None) -> Decimal:
    return row.deferred if row is not None else ZERO


def _released(row: PayoutRow | None) -> Decimal:
    return row.released if row is not None else ZERO


def _line_parts(effects: Sequence[tuple[Reason, str, LineChange]]) -> list[Part]:
    grouped: dict[tuple[Reason, str], list[LineChange]] = {}
    for reason, words, change in effects:
        grouped.setdefault((reason, words), []).append(change)
    parts = [
        Part(
            reason,
            words,
            sum((change.amount for change in changes), ZERO),
            sorted(changes, key=lambda change: -abs(change.amount)),
        )
        for (reason, words), changes in grouped.items()
    ]
    return sorted(parts, key=lambda part: -abs(part.amount))


def years_of(changes: Iterable[PayoutChange]) -> Mapping[int, Decimal]:
    """Return the difference by commission year (USD)."""
    sums: dict[int, Decimal] = {}
    for change in changes:
        year = change.commission_month.year
        sums[year] = sums.get(year, ZERO) + change.difference
    return dict(sorted(sums.items()))
