"""From raw lines to harmonised ones: product line, measures, the credited rep and the commission."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, TypeVar

from tests.engine.model import (
    ENOUGH_DIGITS,
    ZERO,
    Alias,
    CommissionTier,
    RawLine,
    Reference,
    SaleLine,
    Territory,
    cents,
    first_of,
    match_key,
)
from tests.engine.sales import line_ids, place_of
from tests.engine.source_rules import all_rules, rules_of
from tests.engine.who import Person, who_is_who


@dataclass(frozen=True)
class Facts:
    """What a line says, under the names that all sources share."""

    sales_actual: Decimal
    rev_actual: Decimal
    customer: str | None
    invoice_number: str | None
    item: str | None
    quantity: Decimal | None


def facts_of(line: RawLine) -> Facts:
    """Read a line's own columns. Dollars have all their digits, also below the cent."""
    cell, rules = line.cells, rules_of(line.source)
    rev = cell[rules.rev] if isinstance(rules.rev, str) else rules.rev(cell)
    customer = next((cell[name] for name in rules.customer if cell[name] is not None), None)
    others = [cell[name] if name else None for name in (rules.invoice_number, rules.item, rules.quantity)]
    return Facts(cell[rules.sales], rev, customer, *others)


def territory_keys(line: RawLine) -> Iterator[tuple[str, str]]:
    """Give (customer field, value) in the order in which they are looked up."""
    for field, value in rules_of(line.source).territory_keys(line.cells):
        if value is not None:
            yield field, value


class ProductLines:
    """The product lines as the reference data name them; a renamed one is what it is called now."""

    def __init__(self, reference: Reference) -> None:
        self._renames: dict[str, str] = {}
        # Later ones win: how a name was ever written, what an alias says, the map, the source itself.
        self._spellings: dict[str, str] = {}
        for _, rows in reference.versions("service_to_product"):
            for names in ({row.product_lines for row in rows}, {row.service_lines for row in rows}):
                for name in sorted(names, reverse=True):
                    self._spell(name)
        for row in reference.aliases:
            if row.kind == "product line" and row.is_rename:
                self._renames[match_key(row.name_in_file)] = match_key(row.means)
                self._spell(row.means)
        for name in sorted({row.product_lines for row in reference.service_to_product}, reverse=True):
            self._spell(name)
        for rules in all_rules().values():
            if rules.product_line is not None:
                self._spell(rules.product_line)

    def _spell(self, name: str) -> None:
        self._spellings[match_key(name)] = name

    def key(self, name: str) -> str:
        """Return what a name stands for, for comparing."""
        return self._renames.get(match_key(name), match_key(name))

    def is_former(self, name: str) -> bool:
        """Whether a product line is called otherwise now."""
        return match_key(name) != self.key(name)

    def shown(self, name: str) -> str:
        """Return how the product line of a name is shown."""
        return self._spellings.get(self.key(name), name)


def product_line_of(line: RawLine, reference: Reference) -> str:
    """Return the name of the line's product line, with the dated aliases of its month.

    A service line that has gone from the map since its file was loaded stands for itself.
    """
    name = rules_of(line.source).product_line
    if name is None:
        service = line.cells["service_lines"]
        rows = [
            row for row in reference.service_to_product if match_key(row.service_lines) == match_key(service)
        ]
        mapped = [row for row in rows if _holds(row, line.commission_month)]
        name = mapped[0].product_lines if mapped else service
    aliases = aliases_of("product line", line.source, name, line.commission_month, reference)
    return aliases[0].means if aliases and not aliases[0].is_rename else name


def aliases_of(kind: str, source: str, name: str, day: date, reference: Reference) -> list[Alias]:
    """Return what a name stands for on a day: what rows of the source itself say, else those for all."""
    found = [
        row
        for row in reference.aliases
        if row.kind == kind
        and row.source in (source, None)
        and match_key(row.name_in_file) == match_key(name)
        and _holds(row, day)
    ]
    return [row for row in found if row.source is not None] or found


def _holds(row: Any, day: date) -> bool:
    """Whether a day is in the row's period: its first day is, its last is not, and a blank has no end."""
    begun = row.valid_from is None or row.valid_from <= day
    return begun and (row.valid_until is None or day < row.valid_until)


Found = TypeVar("Found")


def one_of(rows: Iterable[tuple[Any, Found]], day: date) -> Found | None:
    """Return what the first row says that holds on a day, by the order that stands beside it.

    Rows of one order that hold together are an error of the reference data.
    """
    found = sorted(((order, row) for order, row in rows if _holds(row, day)), key=lambda pair: pair[0])
    if len(found) > 1 and found[0][0] == found[1][0]:
        raise ValueError(f"the reference data overlap on {day}: {found}")
    return found[0][1] if found else None


def day_of_territory(line: RawLine) -> date:
    """Return the day that territories and the aliases of reps and customers are compared with."""
    return line.revenue_date if rules_of(line.source).is_by_day else first_of(line.revenue_date)


def _customer_part(field: str, value: str) -> tuple[str, str]:
    """Split a value into what stands before the customer (a zip) and the customer."""
    if field == "SteppingStone":
        zip_code, _, customer = value.partition("; ")
        return f"{zip_code}; ", customer
    return "", value


def owners_of(line: RawLine, reference: Reference) -> list[Territory]:
    """Return the row of the territory table that counts for a line, or those of all who share it."""
    day = day_of_territory(line)
    renamed = {
        match_key(row.name_in_file): match_key(row.means)
        for row in reference.aliases
        if row.kind == "customer" and row.is_rename
    }
    for field, value in territory_keys(line):
        before, customer = _customer_part(field, value)
        meant = aliases_of("customer", line.source, customer, day, reference)
        wanted = match_key(before + (meant[0].means if meant else customer))
        rows = []
        for row in reference.territories:
            if match_key(row.source) != line.source or match_key(row.customer_field) != match_key(field):
                continue
            before, customer = _customer_part(field, row.data_field_value)
            key = (
                match_key(before)
                + " " * before.endswith(" ")
                + renamed.get(match_key(customer), match_key(customer))
            )
            if key == wanted:
                is_former = match_key(customer) in renamed
                rows.append(((is_former, match_key(row.data_field_value)), row))
        if held := [(order, row) for order, row in rows if _holds(row, day)]:
            first = min(order for order, _ in held)
            owners = [row for order, row in held if order == first]
            if sum(row.share or Decimal(1) for row in owners) != 1:
                raise ValueError(f"the reference data overlap on {day}: {owners}")
            return sorted(owners, key=lambda row: match_key(row.sales_rep_name))
    return []


def name_of(owners: Sequence[Territory]) -> str | None:
    """Return what the owners of a customer are called together."""
    if [row.share for row in owners] in ([None], [Decimal(1)]):
        return owners[0].sales_rep_name
    shares = [f"{row.sales_rep_name} {((row.share or 1) * 100).normalize():f} %" for row in owners]
    return ", ".join(shares) or None


@dataclass(frozen=True)
class Rate:
    """The rates of a line, and why these."""

    basis: str | None
    tier_1: Decimal | None = None
    tier_2: Decimal | None = None


class Book:
    """What the reference data say, asked by person and product line."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.who = who_is_who(reference)
        self.product_lines = ProductLines(reference)

    def called(self, name: str) -> Person:
        """Return the person who is listed under a name today."""
        (number,) = (number for number, row in self.who.row_of.items() if row.sales_rep_name == name)
        return self.who.people[number]

    def order(self, person: Person, rep: str, product_line: str | None) -> tuple[Any, ...]:
        """Return how a row of a former name comes behind one of today's."""
        today = match_key(self.who.row_of[person.number].sales_rep_name)
        is_former_line = product_line is not None and self.product_lines.is_former(product_line)
        return match_key(rep) != today, is_former_line, match_key(rep), match_key(product_line or "")

    def is_about(self, row: Any, person: Person, product_line: str) -> bool:
        """Whether a row of a person and a product line is about these."""
        of_line = row.product_line is not None and self.product_lines.key(row.product_line) == product_line
        return of_line and self.who.behind(row.sales_rep_name) is person

    def rates_of(self, person: Person, product_line: str, month: date) -> CommissionTier | None:
        """Return the rates on the first day of the commission month; those of the product line go first."""
        of_rep = [
            row for row in self.reference.commission_tiers if self.who.behind(row.sales_rep_name) is person
        ]
        own = [row for row in of_rep if self.is_about(row, person, product_line)]
        general = [row for row in of_rep if not row.product_line]
        for rows in (own, general):
            ordered = [(self.order(person, row.sales_rep_name, row.product_line), row) for row in rows]
            if (found := one_of(ordered, month)) is not None:
                return found
        return None

    def last_rates_of(self, person: Person, product_line: str, month: date) -> CommissionTier | None:
        """Return the rates that were in force last, in the newest version that has any that had begun."""
        for _, rows in reversed(self.reference.versions("commission_tiers")):
            begun = [
                row
                for row in rows
                if self.who.behind(row.sales_rep_name) is person
                and row.valid_from <= month
                and (row.product_line is None or self.product_lines.key(row.product_line) == product_line)
            ]
            if begun:
                today = match_key(self.who.row_of[person.number].sales_rep_name)
                return min(
                    begun,
                    key=lambda row: (
                        not _holds(row, month),
                        -(row.valid_until or date.max).toordinal() if not _holds(row, month) else 0,
                        row.product_line is None,
                        match_key(row.sales_rep_name) != today,
                        -row.valid_from.toordinal(),
                    ),
                )
        return None

    def rate_of(self, line: RawLine, amounts: Iterable[Decimal], person: Person, product_line: str) -> Rate:
        """Return what a line pays by; of somebody who left, what holds after that."""
        rep = self.who.row_of[person.number]
        if match_key(rep.rep_category or "") == "house":
            return Rate("house account", ZERO)
        if rep.left_on is not None and rep.pays_after_leaving is False and line.revenue_date > rep.left_on:
            return Rate("none after leaving", ZERO)
        found, basis = self.rates_of(person, product_line, line.commission_month), "in force"
        is_earlier = rep.left_on is not None and line.revenue_date < rep.left_on
        if found is None and rep.left_on is not None and (is_earlier or min(amounts) < 0):
            found = self.last_rates_of(person, product_line, line.commission_month)
            basis = "last before leaving"
        if found is None:
            return Rate(None)
        return Rate(basis, found.commission_tier_1_rate, found.commission_tier_2_rate)


@dataclass(frozen=True)
class Part:
    """A part of a line: whom the name means (None: what it says), the share, and the cents of it."""

    number: int | None
    means: str | None
    share: Decimal
    sales: Decimal
    rev: Decimal


def divided(amount: Decimal, shares: Sequence[Decimal]) -> list[Decimal]:
    """Divide whole cents by largest remainder, a return like its sale; of equal ones the first is first."""
    whole = int(abs(amount) * 100)
    exact = [Fraction(whole) * Fraction(share) for share in shares]
    parts = [int(part) for part in exact]
    by_remainder = sorted(range(len(parts)), key=lambda place: (parts[place] - exact[place], place))
    for place in by_remainder[: whole - sum(parts)]:
        parts[place] += 1
    return [Decimal(part if amount >= 0 else -part) / 100 for part in parts]


def parts_of(
    line: RawLine, owners: Sequence[tuple[str, Decimal | None]], sales: Decimal, rev: Decimal, book: Book
) -> list[Part]:
    """Return the parts in which a line is credited to the names that the file or the territories give it."""
    day = day_of_territory(line)
    meant: list[tuple[str, Decimal, str]] = []
    for name, share in owners:
        aliases = aliases_of("rep", line.source, name, day, book.reference)
        if aliases and not aliases[0].is_rename:
            meant += [(row.means, (share or Decimal(1)) * (row.share or Decimal(1)), name) for row in aliases]
        elif share not in (None, 1):
            meant.append((name, share, name))
    if not meant:
        return [Part(None, None, Decimal(1), sales, rev)]

    def first_name(part: tuple[str, Decimal, str]) -> tuple[str, str, str]:
        person = book.who.behind(part[0])
        return match_key(person.first_name if person else part[0]), match_key(part[0]), match_key(part[2])

    meant.sort(key=first_name)
    shares = [share for _, share, _ in meant]
    cents_of = zip(divided(sales, shares), divided(rev, shares), strict=True)
    return [
        Part(place if share != 1 else None, means, share, *amounts)
        for place, ((means, share, _), amounts) in enumerate(zip(meant, cents_of, strict=True), start=1)
    ]


def credit(lines: Iterable[RawLine], reference: Reference) -> list[SaleLine]:
    """Harmonise and credit every line, each part once, in the order given."""
    book = Book(reference)
    with localcontext() as context:
        context.prec = ENOUGH_DIGITS
        lines = list(lines)
        ids = line_ids(lines)
        return [part for line in lines for part in _credited(line, ids[place_of(line)], book)]


def rep_in_file(line: RawLine) -> str | None:
    """Return the rep whom the file names, for the sources that do."""
    column = rules_of(line.source).rep_column
    return line.cells[column] if column else None


def _credited(line: RawLine, line_id: str, book: Book) -> Iterator[SaleLine]:
    facts = facts_of(line)
    # Everything that follows goes by what people see: whole cents.
    sales, rev = cents(facts.sales_actual), cents(facts.rev_actual)
    if rules_of(line.source).rep_column:
        named = rep_in_file(line)
        names = [(named, None)] if named is not None else []
    else:
        owners = owners_of(line, book.reference)
        named = name_of(owners)
        names = [(row.sales_rep_name, row.share) for row in owners]
    for part in parts_of(line, names, sales, rev, book):
        yield _part_credited(line, line_id, facts, part, named, book)


def _part_credited(
    line: RawLine, line_id: str, facts: Facts, part: Part, named: str | None, book: Book
) -> SaleLine:
    product_line = product_line_of(line, book.reference)
    listed = book.who.listed(part.means or named)
    rate, status = (
        Rate(None),
        "no_territory" if named is None and rules_of(line.source).rep_column is None else "unknown_rep",
    )
    if listed is not None:
        whole = (cents(facts.sales_actual), cents(facts.rev_actual))
        rate = book.rate_of(line, whole, listed[0], book.product_lines.key(product_line))
        status = "credited" if rate.basis else "no_tier_rate"
    tier_1 = cents(part.rev * (rate.tier_1 or ZERO))
    tier_2_diff = cents(ZERO)
    if rate.tier_1 is not None and rate.tier_2 is not None:
        tier_2_diff = cents(part.rev * rate.tier_2 - part.rev * rate.tier_1)
    exact_sales, exact_rev = facts.sales_actual * part.share, facts.rev_actual * part.share
    return SaleLine(
        credit_id=line_id if part.number is None else f"{line_id}/part {part.number}",
        line_id=line_id,
        source=line.source,
        product_line=book.product_lines.shown(product_line),
        rep_name=listed[1].sales_rep_name if listed else None,
        rep_in_file=rep_in_file(line),
        rep_named=named,
        rep_meant=part.means,
        credit_status=status,
        rate_basis=rate.basis,
        credit_share=part.share,
        customer=facts.customer,
        invoice_number=facts.invoice_number,
        item=facts.item,
        quantity=None if facts.quantity is None else facts.quantity * part.share,
        revenue_date=line.revenue_date,
        revenue_month=first_of(line.revenue_date),
        commission_month=line.commission_month,
        sales_actual=part.sales,
        rev_actual=part.rev,
        sales_before_rounding=None if exact_sales == part.sales else exact_sales,
        rev_before_rounding=None if exact_rev == part.rev else exact_rev,
        tier_1_rate=rate.tier_1,
        tier_2_rate=rate.tier_2,
        commission_tier_1=tier_1,
        commission_tier_2_diff=tier_2_diff,
        source_file=line.source_file,
        source_sheet=line.source_sheet,
        source_row=line.source_row,
    )


def uncredited(lines: Sequence[SaleLine]) -> list[SaleLine]:
    """Return the lines that are listed as uncredited; each bears its reason."""
    return [line for line in lines if line.credit_status != "credited"]
