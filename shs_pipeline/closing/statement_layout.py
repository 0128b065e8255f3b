"""What a statement shows, in which words and order: the same on paper, in a workbook and in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.wording import count_of, dollars
from shs_pipeline.closing.statement import Item, Kind, Line, Statement, TierState
from shs_pipeline.closing.statement_words import clean, day_shown, month_shown, rate_shown, with_sign

Value = str | int | Decimal | date | None
Shape = Literal["text", "money", "rate", "month", "day", "tier"]
Key = Literal[
    "amounts", "product lines", "restated", "adjustments", "recovered", "brought forward", "lines",
    "payroll", "journal", "owed",
]  # fmt: skip

_NOTHING = Decimal("0.00")


@dataclass(frozen=True)
class Column:
    """A column of a section.

    Attributes:
        place: a column of its own everywhere; on pages, below the text to its left; or only in the workbook.
        below: how the value is said below the text; `{}` stands for it.
    """

    title: str
    shape: Shape = "text"
    place: Literal["column", "below", "workbook"] = "column"
    below: str = "{}"

    @property
    def is_figure(self) -> bool:
        """Whether the values are aligned at the right."""
        return self.shape in ("money", "rate", "tier")


@dataclass(frozen=True)
class Group:
    """Rows under one heading; the lines of one product line, or all rows of a section."""

    title: str
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True)
class Section:
    """A table of the statement.

    Attributes:
        note: a sentence below the title; may be empty.
        totals: what the columns of USD come to, with a name in the first column.
    """

    key: Key
    title: str
    note: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    totals: tuple[tuple[Value, ...], ...]

    @property
    def rows(self) -> tuple[tuple[Value, ...], ...]:
        """The rows of all groups."""
        return tuple(row for group in self.groups for row in group.rows)


@dataclass(frozen=True)
class Layout:
    """A statement in words and tables.

    Attributes:
        mark: says that it is provisional; else empty.
        facts: what stands in the heading, by label.
        headline: name, amount and the sentences below what is paid.
        short: the line that every page repeats.
    """

    title: str
    name: str
    mark: str
    facts: tuple[tuple[str, str], ...]
    headline: tuple[str, Decimal, tuple[str, ...]]
    sections: tuple[Section, ...]
    short: str
    receipt: str


def laid_out(statement: Statement) -> Layout:
    """Return what a statement shows.

    Raises:
        ShsError: it would not add up in the form in which it is shown.
    """
    if wrong := differences(statement):
        raise ShsError(
            f"The statement of {clean(statement.rep_name)} for {month_shown(statement.pay_period)} does not "
            f"add up: {'; '.join(wrong)}.",
            "It is a bug: report it.",
        )
    is_open = statement.state == "provisional"
    name = clean(statement.rep_name)
    sections = (_amounts(statement), _product_lines(statement), *_item_sections(statement), _lines(statement))
    number = f"statement {statement.number}" if statement.number else "provisional"
    return Layout(
        title="Commission statement",
        name=name,
        mark="Provisional: this month is still open, so the figures may change until it is closed."
        if is_open
        else "",
        facts=_facts(statement),
        headline=_headline(statement),
        sections=tuple(section for section in sections if section.rows or section.key == "lines"),
        short=f"{name} · {month_shown(statement.pay_period)} · {number}",
        receipt=f"Receipt {clean(statement.receipt)}" if statement.receipt else "Not closed: no receipt yet",
    )


def differences(statement: Statement) -> list[str]:
    """Return where the parts of a statement do not add up to its amounts; empty if all of them do."""
    amounts, found = statement.amounts, []

    def compare(what: str, parts: Iterable[Decimal], whole: Decimal) -> None:
        if (total := sum(parts, _NOTHING)) != whole:
            found.append(f"{what} comes to {dollars(total)}, not {dollars(whole)}")

    compare(
        "what the product lines earned", (state.earned for state in statement.product_lines), amounts.earned
    )
    for name, kinds, whole, must in (
        ("restated", _RESTATED, amounts.restated, True),
        ("adjustments", _ADJUSTED, amounts.adjustments, True),
        ("recovered", _RECOVERED, amounts.recovered, False),
        ("brought forward", _BROUGHT, amounts.brought_forward, False),
    ):
        items = [item.amount for item in statement.items if item.kind in kinds]
        if items or must:
            compare(name, items, whole)
    paid, sales = _by_product_line(statement.lines)
    for state in statement.product_lines:
        of = clean(state.product_line)
        compare(f"{of}, lines and what is released,", (paid.pop(of, _NOTHING), state.released), state.earned)
        compare(f"{of}, sales of the lines,", (sales.pop(of, _NOTHING),), state.sales)
    found += [f"{of} has lines but is not among the product lines" for of in sales]
    return found


def _by_product_line(lines: Sequence[Line]) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Return what is paid on the lines and what was sold, by product line as shown."""
    paid: dict[str, Decimal] = {}
    sales: dict[str, Decimal] = {}
    for line in lines:
        of = clean(line.product_line)
        paid[of] = paid.get(of, _NOTHING) + line.paid
        sales[of] = sales.get(of, _NOTHING) + line.sales
    return paid, sales


# --- the parts -----------------------------------------------------------------------------

_RESTATED: tuple[Kind, ...] = ("restated", "reclassified")
_ADJUSTED: tuple[Kind, ...] = ("adjustment", "draw")
_RECOVERED: tuple[Kind, ...] = ("recovered",)
_BROUGHT: tuple[Kind, ...] = ("brought forward",)


def _facts(statement: Statement) -> tuple[tuple[str, str], ...]:
    facts = (
        ("Pay period", month_shown(statement.pay_period)),
        ("Pay date", day_shown(statement.pay_date) if statement.pay_date else "not set yet"),
        ("Statement", clean(statement.number)),
        ("Replaces", clean(statement.replaces)),
        ("Payee", clean(statement.payee_id)),
        ("Approved by", clean(statement.approved_by)),
        ("Closed by", clean(statement.closed_by)),
    )
    return tuple((label, value) for label, value in facts if value)


def _headline(statement: Statement) -> tuple[str, Decimal, tuple[str, ...]]:
    amounts, words = statement.amounts, []
    if amounts.due < 0:
        words.append(f"{with_sign(-amounts.due)} is carried forward and will be deducted from later months.")
    elif amounts.due == 0:
        words.append("Nothing is due this month.")
    if statement.draw_balance:
        words.append(f"{with_sign(statement.draw_balance)} of earlier draws is still to be recovered.")
    name = "Paid"
    if statement.state == "provisional":
        name = "To be paid so far"
    elif statement.pay_date and amounts.paid:
        name = f"Paid on {day_shown(statement.pay_date)}"
    return name, amounts.paid, tuple(words)


def _amounts(statement: Statement) -> Section:
    amounts, month = statement.amounts, month_shown(statement.pay_period)
    rows: tuple[tuple[Value, ...], ...] = (
        ("Earned", f"commission of {month}", amounts.earned),
        ("Restated", "what closed months come to now, less what was stated then", amounts.restated),
        ("Adjustments", "bonuses, corrections, draws and the like", amounts.adjustments),
        ("Recovered", "taken back of earlier draws", amounts.recovered),
        ("Brought forward", "left over from the last statement", amounts.brought_forward),
    )
    totals: tuple[tuple[Value, ...], ...] = (
        ("Due", "the sum of the amounts above", amounts.due),
        ("Paid", "the amount due, unless it is negative", amounts.paid),
        ("Carried forward", "the amount due, if it is negative", amounts.carried_forward),
    )
    columns = (Column("Amount"), Column("What it is"), Column("USD", "money"))
    note = "All amounts are in US dollars."
    return Section("amounts", "How it adds up", note, columns, (Group("", rows),), totals)


def _product_lines(statement: Statement) -> Section:
    lines, _ = _by_product_line(statement.lines)
    columns = (
        Column("Product line"),
        Column("In words", place="below"),
        Column("Sales", "money"),
        Column("Tier", "tier", "workbook"),
        Column("Sales this year", "money", "workbook"),
        Column("Threshold", "money", "workbook"),
        Column("Held back so far", "money", "workbook"),
        Column("Paid on lines", "money"),
        Column("Released", "money"),
        Column("Earned", "money"),
    )
    rows = [
        (
            clean(state.product_line),
            standing(state),
            state.sales,
            state.tier,
            state.sales_to_date,
            state.threshold,
            state.held_back,
            lines.get(clean(state.product_line), _NOTHING),
            state.released,
            state.earned,
        )
        for state in statement.product_lines
    ]
    total = ["Earned", *sums(rows, columns)[1:]]
    total[4] = total[5] = None  # sales of different thresholds make no sum that says anything
    note = "Released: held back until the threshold was reached, and paid now."
    groups = (Group("", tuple(rows)),)
    return Section("product lines", "Earned, by product line", note, columns, groups, (tuple(total),))


def standing(state: TierState) -> str:
    """Return where a payee stands in a product line, as sentences."""
    sold = dollars(state.sales_to_date)
    if state.threshold is None:
        return f"Tier {state.tier}: {sold} sold this year; no threshold is set."
    threshold = dollars(state.threshold)
    if state.tier > 1:
        return f"Tier {state.tier}: {sold} sold this year; the threshold of {threshold} has been reached."
    held_back = f" {dollars(state.held_back)} is held back until it is reached." if state.held_back else ""
    return f"Tier 1: {sold} of the {threshold} threshold sold this year.{held_back}"


_ITEM_COLUMNS = (Column("Product line"), Column("Month", "month"), Column("Why"), Column("USD", "money"))


def _item_sections(statement: Statement) -> list[Section]:
    parts: tuple[tuple[Key, str, str, tuple[Kind, ...]], ...] = (
        ("restated", "Restated", "Differences in months that were already closed.", _RESTATED),
        ("adjustments", "Adjustments", "", _ADJUSTED),
        ("recovered", "Recovered", "Draws are paid at once and recovered from later months.", _RECOVERED),
        ("brought forward", "Brought forward", "", _BROUGHT),
    )
    made = []
    for key, title, note, kinds in parts:
        items = [item for item in statement.items if item.kind in kinds]
        has_product_lines = any(item.product_line for item in items)
        columns = _ITEM_COLUMNS[not has_product_lines :]
        rows = tuple(_item_row(item, title)[not has_product_lines :] for item in items)
        total = (title, *sums(rows, columns)[1:])
        made.append(Section(key, title, note, columns, (Group("", rows),), (total,)))
    return made


def _item_row(item: Item, title: str) -> tuple[Value, ...]:
    words = clean(item.words)
    if item.kind == "reclassified":
        words = f"Reclassified: {words}" if words else "Reclassified."
    return clean(item.product_line) or None, item.earned_month, words or title, item.amount


_LINE_COLUMNS = (
    Column("Product line", place="workbook"),
    Column("Date", "day"),
    Column("Customer"),
    Column("Invoice", place="below", below="Invoice {}"),
    Column("Item", place="below"),
    Column("Share", "rate", "below", "{} credited"),
    Column("Sales", "money"),
    Column("Revenue", "money"),
    Column("Tier 1", "rate"),
    Column("Tier 2", "rate"),
    Column("Paid", "money"),
    Column("Held back", "money"),
)


def _lines(statement: Statement) -> Section:
    by_product_line: dict[str, list[tuple[Value, ...]]] = {}
    for line in statement.lines:
        name = clean(line.product_line)
        row: tuple[Value, ...] = (
            name,
            line.revenue_date,
            clean(line.customer),
            clean(line.invoice_number) or None,
            clean(line.item) or None,
            line.credit_share,
            line.sales,
            line.revenue,
            line.tier_1_rate,
            line.tier_2_rate,
            line.paid,
            line.held_back,
        )
        by_product_line.setdefault(name, []).append(row)
    groups = tuple(Group(name, tuple(rows)) for name, rows in by_product_line.items())
    count = len(statement.lines)
    month = month_shown(statement.pay_period)
    note = f"{count_of(count, 'line')} credited in {month}." if count else f"No line was credited in {month}."
    name = "The line" if count == 1 else f"All {count:,} lines"
    rows = [row for group in groups for row in group.rows]
    total = (name, *sums(rows, _LINE_COLUMNS)[1:])
    return Section("lines", "Lines", note, _LINE_COLUMNS, groups, (total,) if count else ())


def sums(rows: Sequence[tuple[Value, ...]], columns: Sequence[Column]) -> tuple[Value, ...]:
    """Return what each column of USD comes to over some rows; None for the other columns."""
    return tuple(
        sum((value for row in rows if isinstance(value := row[place], Decimal)), _NOTHING)
        if column.shape == "money"
        else None
        for place, column in enumerate(columns)
    )


# --- how values look -----------------------------------------------------------------------


_SHOWN: dict[Shape, Callable[..., str]] = {
    "text": str,
    "money": lambda amount: dollars(amount + 0),  # no -0.00
    "rate": rate_shown,
    "month": month_shown,
    "day": day_shown,
    "tier": str,
}


def shown(value: Value, column: Column) -> str:
    """Return a value as people read it; empty for none."""
    return "" if value is None else _SHOWN[column.shape](value)


def below(row: tuple[Value, ...], section: Section) -> str:
    """Return what stands below the text of a row; a whole credit is not mentioned."""
    said = [
        column.below.format(shown(value, column))
        for value, column in zip(row, section.columns, strict=True)
        if column.place == "below" and value is not None and not (column.title == "Share" and value == 1)
    ]
    return " · ".join(said)
