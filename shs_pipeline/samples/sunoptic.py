"""Sunoptic: light sources, one row per line, padding rows at the end."""

from __future__ import annotations

from decimal import Decimal

from shs_pipeline.samples.plan import Plan, SampleFile, cents, month_after
from shs_pipeline.samples.sheet import Kind, SheetWriter
from shs_pipeline.samples.world import account, customers_of, spelt

COLUMNS = {
    "Invoice ID": Kind.IDENTIFIER,
    "Invoice Date": Kind.DATE,
    "Customer ID": Kind.IDENTIFIER,
    "Bill Name": Kind.NAME,
    "Sales Order ID": Kind.IDENTIFIER,
    "Item ID": Kind.IDENTIFIER,
    "Item Name": Kind.TEXT,
    "Prod Fam": Kind.TEXT,
    "Unit Price": Kind.MONEY,
    "Ship Qty": Kind.NUMBER,
    "Customer Type": Kind.TEXT,
    "Ship To Name": Kind.NAME,
    "Address Ship to": Kind.TEXT,
    "Ship To City": Kind.NAME,
    "Ship To State": Kind.TEXT,
    "Sales Rep Name": Kind.NAME,
    "Line Amount": Kind.MONEY,
    "Commission %": Kind.RATE,
    "Commission $": Kind.MONEY,
}
_ITEMS = ("LED headlight", "Fiber cable 3.5 mm", "Xenon lamp", "Tubing (per metre)")
_RATES = (Decimal("0.08"), Decimal("0.1"), Decimal("0.12"))


def sunoptic(plan: Plan) -> SampleFile:
    """Make one list: header in row 1; every third month is dropped with its revenue month."""
    sheet = SheetWriter(plan, COLUMNS)
    for _ in range(plan.lines):
        sheet.line(_line(plan))
    if plan.has("total", 2):
        sheet.total("Invoice ID", "Grand Total", sheet.lines, "Line Amount", "Commission $")
    for _ in range(plan.rng.randint(2, 6)):
        # Formulas that somebody dragged below the last line.
        sheet.row(
            {"Line Amount": Decimal(0), "Commission %": plan.rng.choice(_RATES), "Commission $": Decimal(0)}
        )
    revenue_month = month_after(plan.month, -1) if plan.has("revenue month", 3) else None
    return sheet.sample(f"Sunoptic commissions {plan.month:%m-%Y}.xlsx", revenue_month=revenue_month)


def _line(plan: Plan) -> dict[str, object]:
    customer = plan.rng.choice(customers_of(plan.source))
    quantity = Decimal(plan.rng.choice(("1", "1", "2", "4", "0.5", "1.25")))
    price, rate = plan.amount(60, 2200), plan.rng.choice(_RATES)
    if plan.chance(0.04):
        quantity = -quantity
    amount = cents(price * quantity)
    return {
        "Invoice ID": str(plan.number()),
        "Invoice Date": plan.revenue_day(),
        "Customer ID": account(plan.source, customer),
        "Bill Name": customer.parent,
        "Sales Order ID": f"SO{plan.rng.randint(10000, 99999)}",
        "Item ID": f"{plan.rng.randint(1, 9999):06d}",
        "Item Name": plan.rng.choice(_ITEMS),
        "Prod Fam": plan.rng.choice(("LIGHT", "CABLE", "LAMP")),
        "Unit Price": price,
        "Ship Qty": quantity,
        "Customer Type": plan.rng.choice(("HOSP", "ASC")),
        "Ship To Name": spelt(customer.name, plan.rng),
        "Address Ship to": customer.street,
        "Ship To City": customer.city,
        "Ship To State": customer.state,
        "Sales Rep Name": "House Account" if plan.chance(0.05) else None,
        "Line Amount": amount,
        "Commission %": rate,
        "Commission $": cents(amount * rate),
    }
