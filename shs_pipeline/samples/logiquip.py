"""Logiquip: a report grouped by document, each document with a heading row and a subtotal."""

from __future__ import annotations

from decimal import Decimal

from shs_pipeline.samples.plan import Plan, SampleFile, cents
from shs_pipeline.samples.sheet import Kind, SheetWriter
from shs_pipeline.samples.world import customers_of, spelt

COLUMNS = {
    "Agency": Kind.NAME,
    "Rep": Kind.TEXT,
    "Doc Num": Kind.IDENTIFIER,
    "Customer": Kind.NAME,
    "PO Number": Kind.IDENTIFIER,
    "Ship To Zip": Kind.ZIP,
    "Date Paid": Kind.DATE,
    "Contract": Kind.TEXT,
    "Item Class": Kind.TEXT,
    "Comm Rate": Kind.RATE,
    "Doc Amt": Kind.MONEY,
    "Comm Amt": Kind.MONEY,
}
GROUPED = tuple(COLUMNS)[:9]
SUMS = ("Doc Amt", "Comm Amt")
_CLASSES = ("CARTS", "SHELVING", "STORAGE", "WORKSTATION")
_RATES = (Decimal("0.06"), Decimal("0.08"), Decimal("0.12"))


def logiquip(plan: Plan) -> SampleFile:
    """Make one statement: header in row 2, dates printed as MM-DD-YYYY."""
    sheet = SheetWriter(
        plan,
        COLUMNS,
        header_row=2,
        titles=[f"Commission Detail  {plan.month:%m/%Y}"],
        grouped=GROUPED,
        printed_date=("%m-%d-%Y", 0.85),
    )
    lines: list[dict[str, object]] = []
    while len(lines) < plan.lines:
        document = _document(plan, min(plan.lines - len(lines), plan.rng.choice((1, 2, 3, 4))))
        if plan.chance(0.4):
            sheet.heading({name: document[0][name] for name in GROUPED[:-1]})
        for line in document:
            sheet.line(line)
        if plan.has_total():
            sheet.total("Doc Num", f"{document[0]['Doc Num']} Total", document, *SUMS)
        lines += document
    sheet.total("Doc Num", "Grand Total", lines, *SUMS)
    return sheet.sample(f"Commission Detail {plan.month:%b %Y}.xlsx")


def _document(plan: Plan, count: int) -> list[dict[str, object]]:
    customer = plan.rng.choice(customers_of(plan.source))
    document: dict[str, object] = {
        "Agency": "Summit Hill Surgical",
        "Rep": f"SH{customer.number % 4 + 1}",
        "Doc Num": str(plan.number()),
        "Customer": spelt(customer.name, plan.rng),
        "PO Number": f"{plan.rng.randint(1, 99999):06d}"
        if plan.chance(0.5)
        else f"PO{plan.rng.randint(1000, 9999)}",
        "Ship To Zip": customer.zip,
        "Date Paid": plan.revenue_day(),
        "Contract": plan.rng.choice(("GPO-A", "GPO-B", "LOCAL")),
    }
    lines = []
    for item_class in sorted(plan.rng.choice(_CLASSES) for _ in range(count)):
        amount, rate = plan.sale(150, 6100), plan.rng.choice(_RATES)
        amounts = {"Comm Rate": rate, "Doc Amt": amount, "Comm Amt": cents(amount * rate)}
        lines.append({**document, "Item Class": item_class, **amounts})
    return lines
