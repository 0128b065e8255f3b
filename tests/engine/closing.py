"""The monthly close, from its rules alone: which months close, and what each statement says.

Works on payouts and adjustments as they are at one moment; what was closed before is what the engine itself
has closed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from tests.engine.model import ZERO, PayPeriod

Key = tuple[str, str, date]
"""Payee, product line and commission month."""
Adjusted = tuple[Key, str, Decimal]
"""Whose adjustment, `adjustment` or `draw`, and how much."""
BESIDE = ("adjustment", "draw", "recovered")
"""Kinds of items that are no payout of any month."""


@dataclass(frozen=True)
class Expected:
    """A statement: its amounts, and its items by kind, product line and earned month."""

    state: str
    earned: Decimal
    restated: Decimal
    adjustments: Decimal
    recovered: Decimal
    brought_forward: Decimal
    due: Decimal
    paid: Decimal
    carried_forward: Decimal
    draw_balance: Decimal
    number: str | None = None
    replaces: str | None = None
    items: Mapping[tuple[str, str, date], Decimal] = field(default_factory=dict)


@dataclass
class Close:
    """A month that is closed; `stands` is what was paid before it where nothing can be computed."""

    month: date
    statements: dict[str, Expected]
    entries: dict[Key, Decimal]
    stands: dict[Key, Decimal] = field(default_factory=dict)


@dataclass
class Closing:
    """What was closed so far; `numbers` are the last ones of each payee and month."""

    closes: list[Close] = field(default_factory=list)
    count_by_month: dict[date, int] = field(default_factory=dict)
    numbers: dict[tuple[date, str], str] = field(default_factory=dict)
    opened_again: set[date] = field(default_factory=set)

    @property
    def ledger(self) -> dict[Key, Decimal]:
        """The sum of the entries by key."""
        sums: dict[Key, Decimal] = {}
        for close in self.closes:
            for key, amount in close.entries.items():
                sums[key] = sums.get(key, ZERO) + amount
        return sums

    def step(
        self,
        payouts: Mapping[Key, Decimal],
        with_lines: Collection[date],
        rows: Collection[PayPeriod],
        held: Collection[date],
        adjusted: Collection[Adjusted] = (),
        paid_before: Mapping[Key, Decimal] | None = None,
    ) -> dict[tuple[str, date], Expected]:
        """Close and reopen what the workbook asks for, and return every statement there is then.

        Args:
            payouts: of every month.
            with_lines: months of which any line or adjustment is loaded.
            rows: the workbook in force; empty where there is none.
            held: months whose close is held up for a reason of their own.
            adjusted: the adjustments of every month.
            paid_before: what the opening balances say was paid before the first close.
        """
        asked = {row.commission_month: row for row in rows}
        closing = (
            []
            if self._reopen(asked) or self._is_contradicted(asked)
            else self._ready(asked, with_lines, held)
        )
        for place, month in enumerate(closing):
            is_first = not self.closes and place == 0
            known = {**payouts, **(paid_before or {})} if is_first else {}
            opening = {key: paid for key, paid in known.items() if key[2] < month}
            stands = {key: paid for key, paid in opening.items() if key not in payouts}
            self._close(month, payouts, opening, adjusted, stands)
        found = {
            (payee, close.month): own for close in self.closes for payee, own in close.statements.items()
        }
        found.update(self._provisional(payouts, with_lines, asked, adjusted))
        return found

    def _reopen(self, asked: Mapping[date, PayPeriod]) -> bool:
        before = len(self.closes)
        while self.closes:
            row = asked.get(self.closes[-1].month)
            if row is None or row.state != "open" or row.note is None:
                break
            self.opened_again.add(self.closes.pop().month)
        return len(self.closes) < before

    def _is_contradicted(self, asked: Mapping[date, PayPeriod]) -> bool:
        states = [asked[close.month].state if close.month in asked else None for close in self.closes]
        return bool(asked) and any(state != "closed" for state in states)

    def _ready(
        self, asked: Mapping[date, PayPeriod], with_lines: Collection[date], held: Collection[date]
    ) -> list[date]:
        wanted = sorted(month for month, row in asked.items() if row.state == "closed")
        if self.closes:
            later = [month for month in {*wanted, *with_lines} if month > self.closes[-1].month]
        else:
            # What was opened again and is listed is not paid elsewhere.
            listed = [month for month, row in asked.items() if row.state == "open"]
            first = min([*wanted, *self.opened_again.intersection(listed)]) if wanted else date.max
            later = [month for month in {*wanted, *with_lines, *self.opened_again} if month >= first]
        ready = []
        for month in sorted(later):
            if month not in wanted or month in held:
                break
            ready.append(month)
        return ready

    def _close(
        self,
        month: date,
        payouts: Mapping[Key, Decimal],
        opening: Mapping[Key, Decimal],
        adjusted: Collection[Adjusted],
        stands: Mapping[Key, Decimal],
    ) -> None:
        self.opened_again.discard(month)
        standing = dict(stands)
        for close in self.closes:
            standing.update(close.stands)
        payouts = {**standing, **payouts}
        count = self.count_by_month[month] = self.count_by_month.get(month, 0) + 1
        base = Closing([*self.closes, Close(date.min, {}, dict(opening))])
        statements, entries = {}, dict(opening)
        carried, draws = self._carried(), self._draws()
        payees = (
            {key[0] for key in payouts} | {key[0] for key in base.ledger} | {key[0] for key, *_ in adjusted}
        )
        for payee in sorted(payees | set(carried)):
            own = _statement(
                payee,
                month,
                payouts,
                base.ledger,
                carried.get(payee, ZERO),
                "closed",
                [one for one in adjusted if one[0][0] == payee and one[0][2] == month],
                {key: left for key, left in draws.items() if key[0] == payee},
            )
            if own is None:
                continue
            number = f"{month:%Y-%m}-{payee}-{count}"
            own = Expected(**{**own.__dict__, "number": number, "replaces": self.numbers.get((month, payee))})
            statements[payee] = own
            for (kind, line, earned_month), amount in own.items.items():
                if kind not in ("brought forward", *BESIDE):
                    key = (payee, line, earned_month)
                    entries[key] = entries.get(key, ZERO) + amount
        # A number that is replaced is that of the close before, not of an older one.
        self.numbers = {key: old for key, old in self.numbers.items() if key[0] != month}
        self.numbers.update({(month, payee): str(own.number) for payee, own in statements.items()})
        self.closes.append(Close(month, statements, entries, dict(stands)))

    def _carried(self) -> dict[str, Decimal]:
        last = self.closes[-1].statements if self.closes else {}
        return {payee: own.carried_forward for payee, own in last.items() if own.carried_forward}

    def _draws(self) -> dict[Key, Decimal]:
        """Return what is left of each draw, by the month in which it was paid."""
        left: dict[Key, Decimal] = {}
        for close in self.closes:
            for payee, own in close.statements.items():
                for (kind, line, month), amount in own.items.items():
                    if kind in ("draw", "recovered"):
                        key = (payee, line, month)
                        left[key] = left.get(key, ZERO) + amount
        return {key: amount for key, amount in left.items() if amount}

    def _provisional(
        self,
        payouts: Mapping[Key, Decimal],
        with_lines: Collection[date],
        asked: Mapping[date, PayPeriod],
        adjusted: Collection[Adjusted],
    ) -> Iterator[tuple[tuple[str, date], Expected]]:
        """Give the statements of open months: as if each were closed in its turn."""
        if not self.closes:
            # Nothing was ever closed: every month stands alone.
            for payee, month in {(key[0], key[2]) for key in (*payouts, *(key for key, *_ in adjusted))}:
                alone = {key: paid for key, paid in payouts.items() if key[2] == month}
                beside = [one for one in adjusted if one[0][0] == payee and one[0][2] == month]
                own = _statement(payee, month, alone, {}, ZERO, "provisional", beside, {})
                if own is not None:
                    yield (payee, month), own
            return
        last = self.closes[-1].month
        wanted = [month for month, row in asked.items() if row.state == "closed"]
        months = sorted({month for month in (*with_lines, *wanted) if month > last})
        pretended = deepcopy(self)
        for month in months or [_month_after(last)]:
            pretended._close(month, payouts, {}, adjusted, {})
            for payee, own in pretended.closes[-1].statements.items():
                yield (
                    (payee, month),
                    Expected(**{**own.__dict__, "state": "provisional", "number": None, "replaces": None}),
                )


def _month_after(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _statement(
    payee: str,
    month: date,
    payouts: Mapping[Key, Decimal],
    ledger: Mapping[Key, Decimal],
    carried: Decimal,
    state: str,
    adjusted: Collection[Adjusted],
    draws: Mapping[Key, Decimal],
) -> Expected | None:
    items: dict[tuple[str, str, date], Decimal] = {}
    moved: dict[tuple[str, date], Decimal] = {}
    for whose, line, earned_month in {*payouts, *ledger}:
        key = (whose, line, earned_month)
        if whose != payee or earned_month > month:
            continue
        now, before = payouts.get(key, ZERO), ledger.get(key, ZERO)
        if earned_month == month and key in payouts:
            items["earned", line, month] = now - before
        elif earned_month < month and now != before:
            moved[line, earned_month] = now - before
    for place, amount in moved.items():
        items["reclassified" if place in _cancelling(moved) else "restated", *place] = amount
    for (_, line, _), kind, amount in adjusted:
        items[kind, line, month] = items.get((kind, line, month), ZERO) + amount
    if carried:
        items["brought forward", "", month] = carried
    if not items:
        return None
    earned = sum((amount for (kind, *_), amount in items.items() if kind == "earned"), ZERO)
    restated = sum(moved.values(), ZERO)
    beside = sum((amount for _, _, amount in adjusted), ZERO)
    drawn = sum((amount for _, kind, amount in adjusted if kind == "draw"), ZERO)
    recovered = _recovered(draws, earned + restated + beside - drawn)
    items |= {("recovered", line, of): -amount for (_, line, of), amount in recovered.items()}
    taken = sum(recovered.values(), ZERO)
    due = earned + restated + beside - taken + carried
    return Expected(
        state,
        earned,
        restated,
        beside,
        -taken,
        carried,
        due,
        max(due, ZERO),
        min(due, ZERO),
        sum(draws.values(), drawn) - taken,
        items=items,
    )


def _recovered(draws: Mapping[Key, Decimal], at_most: Decimal) -> dict[Key, Decimal]:
    """Return what is taken back of each draw, the oldest first."""
    taken: dict[Key, Decimal] = {}
    for key in sorted(draws, key=lambda key: (key[2], key[1])):
        if at_most <= 0:
            break
        taken[key] = min(draws[key], at_most)
        at_most -= taken[key]
    return taken


def _cancelling(moved: Mapping[tuple[str, date], Decimal]) -> set[tuple[str, date]]:
    """Return the places whose amount is taken back by another one, each by one other."""
    found: set[tuple[str, date]] = set()
    for amount in {abs(amount) for amount in moved.values()}:
        up, down = (
            sorted((month, line) for (line, month), own in moved.items() if own == signed)
            for signed in (amount, -amount)
        )
        for pair in zip(up, down, strict=False):
            found.update((line, month) for month, line in pair)
    return found
