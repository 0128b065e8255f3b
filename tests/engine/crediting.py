"""From raw lines to harmonised ones: product line, measures, the credited rep and the commission."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from typing import Any, Protocol, TypeVar

from tests.engine.model import (
    ENOUGH_DIGITS,
    ZERO,
    CommissionTier,
    RawLine,
    Reference,
    SaleLine,
    cents,
    first_of,
    match_key,
)

PRODUCT_LINE_OF = {
    "cygnus": "Cygnus",
    "logiquip": "Logiquip",
    "summit_medical": "Summit Medical",
    "inspektor": "InspeKtor",
    "sunoptic": "Sunoptic",
    "ternio": "Miscellaneous",
    "novo": "Surgical Instruments",
    "chemence": "Chemence",
}
"""The product line of each source that has only one; quickbooks has several."""

REP_COLUMN = {"quickbooks": "sales_rep_name", "inspektor": "name"}
"""The sources whose files name the rep; all others have territories."""

DAY_GRAIN = {"logiquip", "ternio"}
"""The sources whose territories change on the line's own revenue date, not with its month."""

TERNIO_SHARE = Decimal("0.07")

_COLUMNS = {
    "cygnus": ("invoice_total", "total_rep_due", "name invoice sku -"),
    "logiquip": ("doc_amt", "comm_amt", "customer doc_num item_class -"),
    "summit_medical": ("net_sales_amount", "comm_amount", "client_name invoice_number item_id -"),
    "inspektor": ("total", "formula", "customer_project document_number item_name quantity"),
    "sunoptic": ("line_amount", "commission_amount", "bill_name|customer_id invoice_id item_id ship_qty"),
    "novo": (
        "extension",
        "commission_amount",
        "bill_to_name|customer_number invoice_number item_code qty_shipped",
    ),
    "chemence": ("sales_total", "commission", "account_name|account_number - part_number qty_shipped"),
}
"""The columns of sales_actual and rev_actual; of customer, invoice number, item and quantity."""


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
    cell = line.cells
    if line.source == "quickbooks":
        cost = (cell["purchase_price"] or ZERO) * (cell["quantity"] or ZERO)
        return _facts(
            cell, "amount_line", cell["amount_line"] - cost, "customer num product_service quantity"
        )
    if line.source == "ternio":
        return _facts(cell, "paid", cell["paid"] * TERNIO_SHARE, "client_name num memo_description -")
    sales, rev, others = _COLUMNS[line.source]
    return _facts(cell, sales, cell[rev], others)


def _facts(cell: Mapping[str, Any], sales: str, rev: Decimal, others: str) -> Facts:
    """Take customer, invoice number, item and quantity from the columns named in `others`.

    Of `name|number` the number stands in where the name is blank.
    """
    customer, invoice_number, item, quantity = (
        next((cell[name] for name in names.split("|") if name != "-" and cell[name] is not None), None)
        for names in others.split()
    )
    return Facts(cell[sales], rev, customer, invoice_number, item, quantity)


def territory_keys(line: RawLine) -> Iterator[tuple[str, str]]:
    """Give (customer field, value) in the order in which they are looked up."""
    cell = line.cells
    pairs: list[tuple[str, str | None]]
    match line.source:
        case "cygnus":
            pairs = [("Name", cell["name"])]
        case "logiquip":
            pairs = [("SteppingStone", f"{cell['ship_to_zip'][:5]}; {cell['customer']}")]
        case "summit_medical":
            pairs = [
                ("Client Name", cell["client_name"]),
                ("ZIP Code", cell["zip_code"]),
                ("State", cell["state"]),
            ]
        case "sunoptic":
            pairs = [("Customer ID", cell["customer_id"])]
        case "ternio":
            pairs = [("Client Name", cell["client_name"])]
        case "novo":
            pairs = [("Customer Number", cell["customer_number"])]
        case "chemence":
            pairs = [("Account Number", cell["account_number"])]
        case _:
            pairs = []
    for field, value in pairs:
        if value is not None:
            yield field, value


def product_line_spellings(reference: Reference) -> dict[str, str]:
    """Return how each product line is shown, by match key: as the first table that names it spells it."""
    named: list[str | None] = [row.product_lines for row in reference.service_to_product]
    named += [row.product_line for row in reference.commission_tiers]
    named += [row.product_line for row in reference.tier_thresholds]
    named += [row.product_line for row in reference.business_objectives]
    named += PRODUCT_LINE_OF.values()
    spellings: dict[str, str] = {}
    for name in named:
        if name is not None:
            spellings.setdefault(match_key(name), name)
    return spellings


def rep_spellings(reference: Reference) -> dict[str, str]:
    """Return the names of sales_reps by match key."""
    return {match_key(rep.sales_rep_name): rep.sales_rep_name for rep in reference.sales_reps}


def product_line_of(line: RawLine, reference: Reference) -> str:
    """Return the line's product line as the reference data spells it.

    A service line that has gone from the map since its file was loaded stands for itself.
    """
    name = PRODUCT_LINE_OF.get(line.source)
    if name is None:
        service = line.cells["service_lines"]
        name = service
        for row in reference.service_to_product:
            if match_key(row.service_lines) == match_key(service):
                name = row.product_lines
    return product_line_spellings(reference).get(match_key(name), name)


class _Period(Protocol):
    @property
    def valid_from(self) -> date: ...

    @property
    def valid_until(self) -> date | None: ...


Period = TypeVar("Period", bound=_Period)


def in_force_on(day: date, rows: Iterable[Period]) -> Period | None:
    """Return the row whose period holds the day: its first day does, its last does not."""
    found = [
        row for row in rows if row.valid_from <= day and (row.valid_until is None or day < row.valid_until)
    ]
    if len(found) > 1:
        raise ValueError(f"the reference data overlap on {day}: {found}")
    return found[0] if found else None


def owner_of(line: RawLine, reference: Reference) -> str | None:
    """Return the name in the territory table, as it stands there, or None."""
    day = line.revenue_date if line.source in DAY_GRAIN else first_of(line.revenue_date)
    for field, value in territory_keys(line):
        rows = [
            row
            for row in reference.territories
            if match_key(row.source) == line.source
            and match_key(row.customer_field) == match_key(field)
            and match_key(row.data_field_value) == match_key(value)
        ]
        row = in_force_on(day, rows)
        if row is not None:
            return row.sales_rep_name
    return None


def rates_of(rep: str, product_line: str, month: date, reference: Reference) -> CommissionTier | None:
    """Return the rates on the first day of the commission month; those of the product line go first."""
    of_rep = [row for row in reference.commission_tiers if match_key(row.sales_rep_name) == match_key(rep)]
    own = [row for row in of_rep if match_key(row.product_line or "") == match_key(product_line)]
    general = [row for row in of_rep if not row.product_line]
    return in_force_on(month, own) or in_force_on(month, general)


def credit_of(line: RawLine, product_line: str, reference: Reference) -> tuple[str, str | None, str | None]:
    """Return the credit status, the rep as sales_reps spells the name, and the rep in the file."""
    in_file = None
    if line.source in REP_COLUMN:
        in_file = named = line.cells[REP_COLUMN[line.source]]
        if named is None:
            return "unknown_rep", None, None
    else:
        named = owner_of(line, reference)
        if named is None:
            return "no_territory", None, None
    rep = rep_spellings(reference).get(match_key(named))
    if rep is None:
        return "unknown_rep", None, in_file
    if rates_of(rep, product_line, line.commission_month, reference) is None:
        return "no_tier_rate", rep, in_file
    return "credited", rep, in_file


def credit(lines: Iterable[RawLine], reference: Reference) -> list[SaleLine]:
    """Harmonise and credit every line, each once, in the order given."""
    with localcontext() as context:
        context.prec = ENOUGH_DIGITS
        return [_credited(line, reference) for line in lines]


def _credited(line: RawLine, reference: Reference) -> SaleLine:
    facts = facts_of(line)
    # Everything that follows goes by what people see: whole cents.
    sales, rev = cents(facts.sales_actual), cents(facts.rev_actual)
    product_line = product_line_of(line, reference)
    status, rep, in_file = credit_of(line, product_line, reference)
    tier_1_rate = tier_2_rate = None
    tier_1 = tier_2_diff = cents(ZERO)
    if status == "credited":
        assert rep is not None
        rates = rates_of(rep, product_line, line.commission_month, reference)
        assert rates is not None
        tier_1_rate, tier_2_rate = rates.commission_tier_1_rate, rates.commission_tier_2_rate
        tier_1 = cents(rev * tier_1_rate)
        if tier_2_rate is not None:
            tier_2_diff = cents(rev * tier_2_rate - rev * tier_1_rate)
    return SaleLine(
        line_id=line.line_id,
        source=line.source,
        product_line=product_line,
        rep_name=rep,
        rep_in_file=in_file,
        credit_status=status,
        customer=facts.customer,
        invoice_number=facts.invoice_number,
        item=facts.item,
        quantity=facts.quantity,
        revenue_date=line.revenue_date,
        revenue_month=first_of(line.revenue_date),
        commission_month=line.commission_month,
        sales_actual=sales,
        rev_actual=rev,
        sales_before_rounding=None if facts.sales_actual == sales else facts.sales_actual,
        rev_before_rounding=None if facts.rev_actual == rev else facts.rev_actual,
        tier_1_rate=tier_1_rate,
        tier_2_rate=tier_2_rate,
        commission_tier_1=tier_1,
        commission_tier_2_diff=tier_2_diff,
        source_file=line.source_file,
        source_sheet=line.source_sheet,
        source_row=line.source_row,
    )


def uncredited(lines: Sequence[SaleLine]) -> list[SaleLine]:
    """Return the lines that are listed as uncredited; each bears its reason."""
    return [line for line in lines if line.credit_status != "credited"]
