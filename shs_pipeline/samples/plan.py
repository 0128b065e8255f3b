"""The plan for one sample file: source, month, length and the random choices that shape it."""

from __future__ import annotations

import random
import zlib
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


@dataclass(frozen=True)
class SampleFile:
    """One sample file and what a perfect parser makes of it.

    Attributes:
        path: place in the landing zone, `incoming/<source>/<YYYY-MM>/…`.
        content: the bytes.
        lines: the sale lines in the order of the file, by the file's own column names: amounts and
            quantities as Decimal, rates as Decimal factor (0.07), dates as date, identifiers and zips
            as text, None where blank; and `source_row`, the 1-based row of the sheet.
        left_out: rows that look like data and are no sale, by reason.
    """

    path: str
    content: bytes
    lines: list[dict[str, object]]
    left_out: dict[str, int] = field(default_factory=dict)


def month_after(month: date, count: int) -> date:
    """The first of the month `count` months after (before, when negative)."""
    ordinal = month.year * 12 + month.month - 1 + count
    return date(ordinal // 12, ordinal % 12 + 1, 1)


def cents(amount: Decimal) -> Decimal:
    """An amount as it is printed: two decimals, half away from zero."""
    return amount.quantize(CENT, ROUND_HALF_UP)


class Plan:
    """One file to make. Its luck hangs on seed, source and month alone, not on other files.

    Args:
        source: name of the source.
        month: commission month, first of the month.
        lines: how many sale lines it should hold.
        seed: another seed gives other amounts, customers and dirt.
    """

    def __init__(self, source: str, month: date, lines: int, seed: int) -> None:
        self.source = source
        self.month = month
        self.lines = lines
        self.rng = random.Random(f"{seed}/{source}/{month:%Y-%m}")
        # How things are printed has its own luck, so that another look leaves the amounts as they were.
        self.looks = random.Random(f"{seed}/{source}/{month:%Y-%m}/looks")
        self._number = (month.year % 100 * 12 + month.month) * max(1000, 10 ** len(str(lines)) * 4)
        self._late_paid = month.month == 12

    def has(self, quirk: str, every: int) -> bool:
        """Whether this month shows a quirk that the source shows every so many months."""
        phase = zlib.crc32(f"{self.source}/{quirk}".encode())
        return (self.month.year * 12 + self.month.month + phase) % every == 0

    def number(self) -> int:
        """The next document number: never given twice, also not in another month."""
        self._number += self.rng.randint(1, 3)
        return self._number

    def revenue_day(self) -> date:
        """A revenue recognition date: mostly in the month before, some earlier, some of this month.

        A December file begins with an August invoice: paid late, and counted in August.
        """
        back = self.rng.choices((0, 1, 2, 3), (5, 80, 10, 5))[0]
        if self._late_paid:
            self._late_paid, back = False, 4
        first = month_after(self.month, -back)
        return first.replace(day=self.rng.randint(1, monthrange(first.year, first.month)[1]))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.rng.random() < probability

    def has_total(self) -> bool:
        """Whether a group prints its total: in some months only some of them do."""
        return not self.has("some totals only", 3) or self.looks.random() < 0.6

    def amount(self, low: int, high: int) -> Decimal:
        """Dollars and cents between `low` and `high`, small amounts more often than large ones."""
        return Decimal(int(self.rng.triangular(low, high, low) * 100)).scaleb(-2)

    def sale(self, low: int, high: int, returns: float = 0.04) -> Decimal:
        """As `amount`, and now and then a credit (negative)."""
        amount = self.amount(low, high)
        return -amount if self.chance(returns) else amount

    def path(self, name: str, revenue_month: date | None = None) -> str:
        """Where the file is in the landing zone."""
        folder = f"incoming/{self.source}/{self.month:%Y-%m}"
        if revenue_month:
            folder += f"/rev={revenue_month:%Y-%m}"
        return f"{folder}/{name}"
