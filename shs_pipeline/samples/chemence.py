"""Chemence: adhesives, tracings of distributors' sales."""

from __future__ import annotations

from decimal import Decimal

from shs_pipeline.samples.plan import Plan, SampleFile, cents
from shs_pipeline.samples.sheet import Kind, SheetWriter
from shs_pipeline.samples.world import account, customers_of, spelt

COLUMNS = {
    "Source": Kind.NAME,
    "Sales Group": Kind.TEXT,
    "Source ID": Kind.IDENTIFIER,
    "Account Number": Kind.IDENTIFIER,
    "Account Name": Kind.NAME,
    "Street": Kind.TEXT,
    "City": Kind.NAME,
    "State": Kind.TEXT,
    "Zip": Kind.ZIP,
    "Description": Kind.TEXT,
    "Part #": Kind.IDENTIFIER,
    "Invoice Date": Kind.DATE,
    "Qty Shipped": Kind.NUMBER,
    "UOM": Kind.TEXT,
    "Sales Price": Kind.MONEY,
    "Sales Total": Kind.MONEY,
    "Commission": Kind.MONEY,
    "Unit Price": Kind.MONEY,
    "Agreement": Kind.TEXT,
}
_RATES = (Decimal("0.1"), Decimal("0.12"))


def chemence(plan: Plan) -> SampleFile:
    """Make one tracing: header in row 4."""
    sheet = SheetWriter(
        plan,
        COLUMNS,
        header_row=4,
        titles=["Chemence Adhesives", f"Sales tracing {plan.month:%B %Y}"],
    )
    for _ in range(plan.lines):
        sheet.line(_line(plan))
    if plan.has("total", 2):
        sheet.total("Source", "Grand Total", sheet.lines, "Sales Total", "Commission")
    return sheet.sample(f"Chemence tracing {plan.month:%Y-%m}.xlsx")


def _line(plan: Plan) -> dict[str, object]:
    customer = plan.rng.choice(customers_of(plan.source))
    quantity = Decimal(plan.rng.choice((1, 2, 2, 4, 6)))
    if plan.chance(0.04):
        quantity = -quantity
    price = plan.amount(35, 390)
    total = cents(price * quantity)
    return {
        "Source": plan.rng.choice(("Hartwell Distribution", "Direct")),
        "Sales Group": "SHS",
        "Source ID": str(plan.number()),
        "Account Number": account(plan.source, customer),
        "Account Name": spelt(customer.name, plan.rng),
        "Street": customer.street,
        "City": customer.city,
        "State": customer.state,
        "Zip": customer.zip,
        "Description": plan.rng.choice(("Tissue adhesive 0.7 ml", "Tissue adhesive 0.36 ml")),
        "Part #": f"{plan.rng.randint(1, 99):05d}" if plan.chance(0.5) else f"CH-{plan.rng.randint(10, 99)}",
        "Invoice Date": plan.revenue_day(),
        "Qty Shipped": quantity,
        "UOM": plan.rng.choice(("BX", "EA")),
        "Sales Price": price,
        "Sales Total": total,
        "Commission": cents(total * plan.rng.choice(_RATES)),
        "Unit Price": cents(price / 6),
        "Agreement": None if plan.chance(0.5) else "GPO-77",
    }
