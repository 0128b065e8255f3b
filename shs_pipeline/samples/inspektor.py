"""InspeKtor: inspection scopes, one row per line, the rep in `Name`."""

from __future__ import annotations

from decimal import Decimal

from shs_pipeline.samples.plan import Plan, SampleFile, cents
from shs_pipeline.samples.sheet import Kind, SheetWriter
from shs_pipeline.samples.world import customers_of, sellers_in_files, spelt

COLUMNS = {
    "Company": Kind.NAME,
    "Date": Kind.DATE,
    "Document Number": Kind.IDENTIFIER,
    "Customer:Project": Kind.NAME,
    "Item: Name": Kind.TEXT,
    "Description": Kind.TEXT,
    "Quantity": Kind.NUMBER,
    "Total": Kind.MONEY,
    "Commission %": Kind.RATE,
    "Formula": Kind.MONEY,
    "Ship To": Kind.TEXT,
    "Sales Rep": Kind.TEXT,
    "Name": Kind.NAME,
}
NO_NAME = "no Name"
_ITEMS = {"BSC-24": "Borescope 2.4 mm", "BSC-13": "Borescope 1.3 mm", "TIP-5": "Distal tips, pack of 5"}
_RATES = (Decimal("0.08"), Decimal("0.1"), Decimal("0.15"))


def inspektor(plan: Plan) -> SampleFile:
    """Make one list: header in row 1, dates printed as MM/DD/YYYY, some rows without a rep."""
    sheet = SheetWriter(plan, COLUMNS, printed_date=("%m/%d/%Y", 0.85))
    unnamed = 0
    # The total is of all rows above it, so its months have no row that is left out.
    has_total = plan.has("total", 3)
    for _ in range(plan.lines):
        sheet.line(_line(plan))
        if plan.chance(0.06) and not has_total:
            sheet.row({**_line(plan), "Name": None})
            unnamed += 1
    if has_total:
        sheet.total("Company", "Overall Total", sheet.lines, "Total", "Formula")
    return sheet.sample(f"InspeKtor {plan.month:%Y-%m}.xlsx", left_out={NO_NAME: unnamed} if unnamed else {})


def _line(plan: Plan) -> dict[str, object]:
    customer = plan.rng.choice(customers_of(plan.source))
    item = plan.rng.choice(tuple(_ITEMS))
    total, rate = plan.sale(90, 5200), plan.rng.choice(_RATES)
    return {
        "Company": "InspeKtor Scopes",
        "Date": plan.revenue_day(),
        "Document Number": f"INV{plan.number()}" if plan.chance(0.5) else str(plan.number()),
        "Customer:Project": f"{customer.number + 100} {customer.name}",
        "Item: Name": item,
        "Description": _ITEMS[item],
        "Quantity": Decimal(plan.rng.choice((1, 1, 2, 5))).copy_sign(total),
        "Total": total,
        "Commission %": rate,
        "Formula": cents(total * rate),
        "Ship To": f"{customer.street}, {customer.city} {customer.state} {customer.zip}",
        "Sales Rep": plan.rng.choice((None, "House")),
        "Name": spelt(sellers_in_files(plan.rng), plan.rng),
    }
