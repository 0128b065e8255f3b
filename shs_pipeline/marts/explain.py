"""How a payout was calculated: the mart's own figures, and the lines behind it, to the cent.

The lines come from `marts.payout_explanations`, so that a dashboard and the command say the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from psycopg.rows import dict_row

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import month_text
from shs_pipeline.base.wording import count_of
from shs_pipeline.casting.cells import match_key
from shs_pipeline.marts.settlements import gone_in_words, settled_payouts

if TYPE_CHECKING:
    import psycopg

Fate = Literal["paid", "deferred", "unpayable", "released"]
_FATES: dict[str, Fate] = {"tier 2 difference": "paid", "deferred": "deferred", "released": "released"}
UNPAID: Mapping[Fate, str] = {"deferred": "held back", "unpayable": "not payable"}
"""The fates of a difference that is not paid, in words."""
_NAMES_SHOWN = 12
_MONTHS_SHOWN = 5


@dataclass(frozen=True)
class PayoutLine:
    """A sale line and what it pays in one commission month (USD).

    Attributes:
        credit_id: the line, or the part of it that is the rep's.
        line_month: the line's own commission month; earlier than the payout's for what is released.
        tier_1: what tier 1 pays in the payout's month: 0.00 for what is released.
        difference: what tier 2 adds.
        fate: of the difference: paid at once, deferred (not paid), unpayable (the same without a
            threshold that could release it), or released (deferred earlier).
        sales_before_rounding, rev_before_rounding: with all digits; None where they were whole cents.
    """

    credit_id: str
    line_id: str
    source: str
    customer: str | None
    invoice_number: str | None
    item: str | None
    source_file: str
    source_sheet: str
    source_row: int
    line_month: date
    revenue_date: date
    sales_actual: Decimal
    rev_actual: Decimal
    sales_before_rounding: Decimal | None
    rev_before_rounding: Decimal | None
    tier_1_rate: Decimal | None
    tier_2_rate: Decimal | None
    tier_1: Decimal
    difference: Decimal
    fate: Fate

    @property
    def paid(self) -> Decimal:
        """What the line adds to the payout."""
        return self.tier_1 if self.fate in UNPAID else self.tier_1 + self.difference


@dataclass(frozen=True)
class Payout:
    """A row of `marts.commission_payouts` (USD, by commission month) with the lines behind it.

    Attributes:
        opening_month: the last month that opening_balances speaks for in its row, with what was sold and
            held back by then; None where the year is counted from nothing.
    """

    payee_id: str
    rep_name: str
    product_line_id: str
    product_line: str
    commission_month: date
    sales_actual: Decimal
    cumulative_sales: Decimal
    threshold: Decimal | None
    tier: int
    tier_2_month: date | None
    commission_tier_1: Decimal
    commission_tier_2_diff: Decimal
    deferred: Decimal
    released: Decimal
    deferred_balance: Decimal
    payout: Decimal
    payout_ytd: Decimal
    opening_month: date | None = None
    opening_sales: Decimal | None = None
    opening_held_back: Decimal | None = None
    opening_row: int | None = None
    lines: Sequence[PayoutLine] = field(default=(), compare=False)

    @property
    def key(self) -> tuple[str, str, date]:
        """What identifies it."""
        return self.payee_id, self.product_line_id, self.commission_month

    @property
    def opening_released(self) -> Decimal:
        """What opening_balances says was held back, in the month that pays it."""
        is_paid = self.commission_month == self.tier_2_month
        return (is_paid and self.opening_held_back) or Decimal("0.00")

    @property
    def lines_total(self) -> Decimal:
        """What the lines add up to, with what was held back before them: the payout."""
        return sum((line.paid for line in self.lines), self.opening_released)


_PAYOUT_COLUMNS = tuple(name for name in Payout.__dataclass_fields__ if name != "lines")


def explain_payouts(
    connection: psycopg.Connection, rep: str, month: date, product_line: str | None = None
) -> list[Payout]:
    """Return the payouts of a rep in a commission month, by product line.

    Args:
        connection: as one who reads the marts.
        rep: name, in any case, or Payee ID.
        month: first day of the commission month.
        product_line: only this one, in any case.

    Raises:
        ShsError: nothing is published, or there is no such rep, month or product line.
    """
    check_published(connection)
    payee = payee_named(connection, rep)
    payouts = _payouts(connection, payee, month)
    if not payouts:
        raise _nothing_in(connection, payee, month)
    if product_line is not None:
        payouts = _of_product_line(connection, payouts, product_line)
    return [_with_lines(connection, payout) for payout in payouts]


def check_published(connection: psycopg.Connection) -> None:
    """Make sure that there are marts.

    Raises:
        ShsError: nothing was ever published.
    """
    row = connection.execute("select to_regclass('marts.publications')").fetchone()
    if row is None or row[0] is None:
        raise nothing_published()


def nothing_published() -> ShsError:
    """Return what to say where there are no marts."""
    return ShsError(
        "No payouts have been published here yet.",
        "To begin, run shs demo for sample data, or shs drop FILE for each file and workbook, then shs run.",
    )


class Payee(NamedTuple):
    """A rep: the id, and the name as the marts spell it."""

    payee_id: str
    rep_name: str


def payee_named(connection: psycopg.Connection, typed: str) -> Payee:
    """Return the rep that is meant by a name or a Payee ID.

    Raises:
        ShsError: there is no rep of this name.
    """
    payees = [
        Payee(*row)
        for row in connection.execute(
            "select payee_id, rep_name from marts.commission_payouts"
            " union select payee_id, rep_name from marts.people"
        )
    ]
    by_key = {match_key(payee.payee_id): payee for payee in payees}
    by_key |= {match_key(payee.rep_name): payee for payee in payees}
    paid = _texts(connection, "select distinct rep_name from marts.commission_payouts")
    found = by_key.get(match_key(typed))
    if found is None:
        meant = _meant(typed, sorted(payee.rep_name for payee in payees))
        raise ShsError(f"There is no rep called {typed!r}.", f"{meant}Reps with payouts: {_listed(paid)}.")
    return found


def _payouts(connection: psycopg.Connection, payee: Payee, month: date) -> list[Payout]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"select {', '.join(_PAYOUT_COLUMNS)} from marts.commission_payouts"  # noqa: S608 - fixed names
            " where payee_id = %s and commission_month = %s order by product_line",
            [payee.payee_id, month],
        )
        return [Payout(**row) for row in rows]


def _nothing_in(connection: psycopg.Connection, payee: Payee, month: date) -> ShsError:
    rows = connection.execute(
        "select distinct commission_month from marts.commission_payouts where payee_id = %s order by 1",
        [payee.payee_id],
    ).fetchall()
    if not rows:
        return ShsError(
            f"{payee.rep_name} has no payout: no line is credited to this name.",
            "The mart uncredited_sales lists the lines without a rep, and why.",
        )
    months = [row[0] for row in rows]
    near = sorted(sorted(months, key=lambda other: abs((other - month).days))[:_MONTHS_SHOWN])
    settled = settled_payouts(connection, [month])
    was_paid = [
        sentence
        for key, parts in settled.items()
        if key[0] == payee.payee_id
        for sentence in gone_in_words(parts)
    ]
    return ShsError(
        " ".join([f"{payee.rep_name} has no payout in the commission month {month_text(month)}.", *was_paid]),
        f"There are payouts in {count_of(len(months), 'month')}"
        f"{f' from {month_text(months[0])} to {month_text(months[-1])}' if len(months) > 1 else ''}; "
        f"the nearest: {', '.join(map(month_text, near))}.",
    )


def _of_product_line(
    connection: psycopg.Connection, payouts: Sequence[Payout], product_line: str
) -> list[Payout]:
    here = [payout.product_line for payout in payouts]
    found = _among(product_line, here)
    if found is not None:
        return [payout for payout in payouts if payout.product_line == found]
    rep_name, month = payouts[0].rep_name, month_text(payouts[0].commission_month)
    remedy = f"In {month} there are {_listed(here)}."
    every = _texts(connection, "select distinct product_line from marts.commission_payouts")
    known = _among(product_line, every)
    if known is not None:
        raise _no_such_line(connection, rep_name, known, month, remedy)
    meant = _meant(product_line, every)
    raise ShsError(f"There is no product line called {product_line!r}.", f"{meant}{remedy}")


def _no_such_line(
    connection: psycopg.Connection, rep_name: str, product_line: str, month: str, remedy: str
) -> ShsError:
    months = _texts(
        connection,
        "select to_char(commission_month, 'YYYY-MM') from marts.commission_payouts"
        " where rep_name = %s and product_line = %s",
        rep_name,
        product_line,
    )
    when = f" {product_line} has payouts in {_listed(months)}." if months else ""
    return ShsError(f"{rep_name} has no payout for {product_line} in {month}.", f"{remedy}{when}")


def _with_lines(connection: psycopg.Connection, payout: Payout) -> Payout:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "select part, credit_id, line_id, source, customer, invoice_number, item, source_file,"
            " source_sheet, source_row, line_commission_month, revenue_date, sales_actual, rev_actual,"
            " sales_before_rounding, rev_before_rounding, tier_1_rate, tier_2_rate, amount"
            " from marts.payout_explanations"
            " where payee_id = %s and product_line_id = %s and commission_month = %s"
            " and credit_id is not null"
            " order by line_commission_month desc, source_file, source_sheet, source_row",
            [payout.payee_id, payout.product_line_id, payout.commission_month],
        ).fetchall()
    by_line: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_line.setdefault(row["credit_id"], []).append(row)
    figures = {name: getattr(payout, name) for name in _PAYOUT_COLUMNS}
    return Payout(**figures, lines=tuple(_line(parts, payout) for parts in by_line.values()))


def _line(parts: Sequence[dict[str, Any]], payout: Payout) -> PayoutLine:
    """Join the parts of a line: tier 1, and what became of its difference."""
    amounts = {row["part"]: row["amount"] for row in parts}
    tier_1 = amounts.pop("tier 1", Decimal("0.00"))
    (part, difference), *_ = [*amounts.items(), ("tier 2 difference", Decimal("0.00"))]
    fate: Fate = _FATES[part]
    if fate == "deferred" and payout.threshold is None:
        fate = "unpayable"
    row = {name: value for name, value in parts[0].items() if name not in ("part", "amount")}
    line_month = row.pop("line_commission_month")
    return PayoutLine(**row, line_month=line_month, tier_1=tier_1, difference=difference, fate=fate)


def in_words(payout: Payout) -> str:
    """Return a sentence or two on the sales to date against the threshold."""
    month, year = month_text(payout.commission_month), payout.commission_month.year
    sold = (
        f"Sales of {exact(payout.sales_actual)} in {month} bring {year} to {exact(payout.cumulative_sales)}"
    )
    if payout.threshold is None:
        return f"{sold}. No threshold is set for {year}, so tier 2 is never reached."
    threshold = f"the threshold of {payout.threshold:,.2f}"
    if payout.tier == 2 and payout.opening_sales is not None and payout.opening_sales >= payout.threshold:
        return f"{sold}; {threshold} was reached before: tier 2."
    if payout.tier_2_month is None:
        missing = payout.threshold - payout.cumulative_sales
        return f"{sold}, which is {exact(missing)} below {threshold}: tier 1."
    if payout.tier_2_month == payout.commission_month:
        return f"{sold} and so reach {threshold}: tier 2 from this month on."
    reached = f"{threshold} was reached in {month_text(payout.tier_2_month)}"
    if payout.cumulative_sales < payout.threshold:
        return f"{sold}. That is below the threshold, but {reached}, and it stays reached all year: tier 2."
    return f"{sold}; {reached}: tier 2."


def opening_in_words(payout: Payout) -> str:
    """Return from where the year is counted on; empty where it is from nothing."""
    if payout.opening_month is None:
        return ""
    sold, waited = payout.opening_sales or Decimal(0), payout.opening_held_back or Decimal(0)
    return (
        f"{payout.commission_month.year} continues from {exact(sold)} sold and {exact(waited)} held back "
        f"up to {month_text(payout.opening_month)}, as opening_balances says (row {payout.opening_row})."
    )


def held_in_words(payout: Payout) -> str:
    """Return what becomes of the differences that a month does not pay; empty where it pays them."""
    if payout.tier != 1:
        return ""
    amounts = f"{payout.deferred:,.2f} of this month, {payout.deferred_balance:,.2f} since January"
    if payout.threshold is None:
        return f"no threshold set, so it is never paid: {amounts}"
    return f"held back: {amounts}"


def rounded_in_words(amount: Decimal, before: Decimal | None) -> str:
    """Return an amount, where it was rounded with what it was before: `0.084 → 0.08`."""
    return f"{amount:,.2f}" if before is None else f"{exact(before)} → {amount:,.2f}"


def exact(amount: Decimal) -> str:
    """Return dollars with all their decimals, two at least: files hold fractions of cents, too."""
    places = max(2, -int(amount.normalize().as_tuple().exponent))
    return f"{amount:,.{places}f}"


def place_text(sheet: str, row: int) -> str:
    """Return where a line stands: `Report row 7`, `page 1 line 12`."""
    return f"{sheet} {'line' if sheet.startswith('page ') else 'row'} {row}"


def rates_in_words(tier_1: Decimal | None, tier_2: Decimal | None) -> str:
    """Return rates as people say them: `36 % / 46 %`, `36 %` without a tier 2 rate, or `no rate`."""
    if tier_1 is None:
        return "no rate"
    return " / ".join(f"{(rate * 100).normalize():f} %" for rate in (tier_1, tier_2) if rate is not None)


# --- names ---------------------------------------------------------------------------------


def _texts(connection: psycopg.Connection, query: str, *values: str) -> list[str]:
    return sorted(row[0] for row in connection.execute(query, values))


def _among(typed: str, names: Iterable[str]) -> str | None:
    return {match_key(name): name for name in names}.get(match_key(typed))


def _meant(typed: str, names: Sequence[str]) -> str:
    """Return the question whether a similar name is meant, also where only a part of it was typed."""
    by_key = {match_key(name): name for name in names}
    key = match_key(typed)
    close = difflib.get_close_matches(key, by_key, n=3) or [one for one in by_key if key and key in one][:3]
    return f"Did you mean {' or '.join(by_key[one] for one in close)}? " if close else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more if names else "none"
