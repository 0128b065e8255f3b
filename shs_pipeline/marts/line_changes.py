"""Lines added, removed or changed between two states: which belong together, and why the payout differs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from shs_pipeline.marts.explain import exact, place_text, rates_in_words
from shs_pipeline.marts.payout_states import ZERO, Key, Line

Reason = Literal[
    "added", "removed", "credited here", "credited elsewhere", "corrected", "rate", "rules", "tier 2"
]


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


Pair = tuple[Line | None, Line | None]
"""A line before and after."""

# The line itself, corrected or not; else a sale that is named alike, the more alike the sooner.
_SAME: tuple[Callable[[Line], Hashable], ...] = (
    lambda line: (line.line_id, line.payee_id),
    lambda line: line.line_id,
    lambda line: (line.sale, line.amounts, line.payee_id, line.product_line_id, line.rates),
    lambda line: (line.sale, line.amounts),
    lambda line: (line.sale, line.payee_id),
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
        still = {line.credit_id for lines in waiting.values() for line in lines}
        come = [line for line in come if line.credit_id in still]
    return [*pairs, *((line, None) for line in gone), *((None, line) for line in come)]


def effects_on(
    pairs: Iterable[Pair], wanted: set[Key], held: Collection[Key] = ()
) -> dict[Key, list[tuple[Reason, str, LineChange]]]:
    """Return what each pair adds to each payout that it concerns, with the reason.

    Args:
        held: payouts that hold their differences back before and after, and so pay tier 1 alone.
    """
    found: dict[Key, list[tuple[Reason, str, LineChange]]] = {}
    for before, after in pairs:
        keys = {line.key for line in (before, after) if line is not None}
        for key in keys & wanted:
            assert key is not None
            is_held = key in held
            amount = _counted(after, key, is_held) - _counted(before, key, is_held)
            if amount:
                reason, words = _reason(before, after, key)
                found.setdefault(key, []).append((reason, words, LineChange(before, after, amount)))
    return found


def _counted(line: Line | None, key: Key, is_held: bool) -> Decimal:
    if line is None or line.key != key:
        return ZERO
    return line.commission_tier_1 if is_held else line.commission


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
    if _is_corrected(before, after):
        return (
            "corrected",
            f"with a corrected amount, {rate}" if is_rate_changed else "with a corrected amount",
        )
    return ("rate", rate) if is_rate_changed else ("rules", "calculated by changed rules")


def _is_corrected(before: Line, after: Line) -> bool:
    """Whether the file says another amount, and not another rule how it is divided or rounded."""
    in_cents = [
        tuple(amount.quantize(ZERO, ROUND_HALF_UP) for amount in line.amounts) for line in (before, after)
    ]
    return in_cents[0] != in_cents[1] and before.credit_share == after.credit_share


def _from_elsewhere(before: Line, after: Line) -> str:
    if before.payee_id is None:
        return f"now credited, previously to nobody ({_why_nobody(before)})"
    if before.payee_id != after.payee_id:
        return f"re-credited from {before.rep_name}"
    return f"moved here from {before.product_line}"


def _to_elsewhere(before: Line, after: Line) -> str:
    if after.payee_id is None:
        return f"no longer credited to anybody ({_why_nobody(after)})"
    if before.payee_id != after.payee_id:
        return f"re-credited to {after.rep_name}"
    return f"moved to {after.product_line}"


def _why_nobody(line: Line) -> str:
    if line.credit_status == "unknown_rep":
        named = line.rep_meant or line.rep_named
        return f"{named} is not in sales_reps" if named else "the file names no rep"
    return "no territory"


def line_in_words(found: LineChange) -> str:
    """Return where a line stands, what it is about, and what its amounts are and were."""
    line = found.shown
    about = [f"invoice {line.invoice_number}" if line.invoice_number else "", line.customer or ""]
    revenue = f"revenue {exact(line.rev_actual)} at {rates_in_words(*line.rates)}"
    if found.before is not None and found.after is not None:
        revenue += _earlier(found.before, found.after)
    place = f"{line.source_file}, {place_text(line.source_sheet, line.source_row)}"
    return ", ".join(part for part in (place, *about, revenue) if part)


def _earlier(before: Line, after: Line) -> str:
    """Return what the amounts were, where they were others."""
    said = []
    if before.rev_actual != after.rev_actual:
        said.append(f"revenue {exact(before.rev_actual)}")
    if before.sales_actual != after.sales_actual:
        said.append(f"sales {exact(before.sales_actual)}, now {exact(after.sales_actual)}")
    return f" (before: {', '.join(said)})" if said else ""
