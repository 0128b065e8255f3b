"""Novo: surgical instruments sold directly, the table beginning in the second column."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from shs_pipeline.samples.plan import Plan, SampleFile, cents
from shs_pipeline.samples.sheet import Kind, SheetWriter
from shs_pipeline.samples.world import Customer, account, customers_of, spelt

COLUMNS = {
    "Salesperson Number": Kind.IDENTIFIER,
    "AR Division Number": Kind.IDENTIFIER,
    "Customer Number": Kind.IDENTIFIER,
    "Bill To Name": Kind.NAME,
    "Ship To Name": Kind.NAME,
    "Invoice Number": Kind.IDENTIFIER,
    "Invoice Date": Kind.DATE,
    "Customer PO Number": Kind.TEXT,
    "Item Code": Kind.IDENTIFIER,
    "Alias Item Number": Kind.IDENTIFIER,
    "Item Code Description": Kind.TEXT,
    "Quantity Ordered": Kind.NUMBER,
    "Qty Shipped": Kind.NUMBER,
    "Quantity Backordered": Kind.NUMBER,
    "Unit Price": Kind.MONEY,
    "Extension": Kind.MONEY,
    "Comment": Kind.TEXT,
    "Order Date": Kind.DATE,
    "Sales Order Number": Kind.IDENTIFIER,
    "Ship To State": Kind.TEXT,
    "Ship To Zip Code": Kind.ZIP,
    "UD F LOTBUS": Kind.TEXT,
    "Commission Percentage": Kind.RATE,
    "Commission Amount": Kind.MONEY,
}
_RATES = (Decimal("0.05"), Decimal("0.08"), Decimal("0.15"))
_ITEMS = ("Needle holder 6in", "Kerrison rongeur 3mm", "Debakey forceps", "Scissors, curved")


def novo(plan: Plan) -> SampleFile:
    """Make one list: header in row 3, the first column of the sheet empty."""
    sheet = SheetWriter(
        plan,
        COLUMNS,
        header_row=3,
        titles=["", f"Direct sales commissions {plan.month:%B %Y}"],
        first_column=2,
    )
    while len(sheet.lines) < plan.lines:
        customer = plan.rng.choice(customers_of(plan.source))
        invoice = _invoice(plan, customer)
        for _ in range(min(plan.lines - len(sheet.lines), plan.rng.choice((1, 2, 3)))):
            sheet.line({**invoice, **_item(plan)})
    if plan.has("total", 2):
        sheet.total("Salesperson Number", "Grand Total", sheet.lines, "Extension", "Commission Amount")
    return sheet.sample(f"Novo direct {plan.month:%Y-%m}.xlsx")


def _invoice(plan: Plan, customer: Customer) -> dict[str, object]:
    invoiced = plan.revenue_day()
    purchase_orders = (
        "4.5E10",
        f"{plan.rng.randint(1, 999999):08d}",
        f"P{plan.rng.randint(100, 999)}-{customer.state}",
    )
    return {
        "Salesperson Number": "0042",
        "AR Division Number": "01",
        "Customer Number": account(plan.source, customer),
        "Bill To Name": customer.parent,
        "Ship To Name": spelt(customer.name, plan.rng),
        "Invoice Number": f"{plan.number():07d}",
        "Invoice Date": invoiced,
        "Customer PO Number": plan.rng.choice(purchase_orders),
        "Order Date": invoiced - timedelta(days=plan.rng.randint(1, 30)),
        "Sales Order Number": str(plan.rng.randint(200000, 299999)),
        "Ship To State": customer.state,
        "Ship To Zip Code": customer.zip,
    }


def _item(plan: Plan) -> dict[str, object]:
    ordered = plan.rng.choice((1, 2, 2, 5, 10))
    backordered = plan.rng.choice((0, 0, 0, 1)) if ordered > 1 else 0
    shipped = Decimal(-ordered if plan.chance(0.04) else ordered - backordered)
    price, rate = plan.amount(20, 760), plan.rng.choice(_RATES)
    extension = cents(price * shipped)
    return {
        "Item Code": f"NV{plan.rng.randint(100, 999)}"
        if plan.chance(0.5)
        else str(plan.rng.randint(10000, 99999)),
        "Alias Item Number": None if plan.chance(0.6) else f"A{plan.rng.randint(10, 99)}",
        "Item Code Description": plan.rng.choice(_ITEMS),
        "Quantity Ordered": Decimal(ordered),
        "Qty Shipped": shipped,
        "Quantity Backordered": Decimal(backordered),
        "Unit Price": price,
        "Extension": extension,
        "Comment": "Returned, unopened" if shipped < 0 else None,
        "UD F LOTBUS": None if plan.chance(0.8) else f"LOT{plan.rng.randint(100, 999)}",
        "Commission Percentage": rate,
        "Commission Amount": cents(extension * rate),
    }
