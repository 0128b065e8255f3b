"""Cygnus: a report grouped by sales rep, customer and invoice, with subtotals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import groupby

from shs_pipeline.samples.plan import Plan, SampleFile, cents
from shs_pipeline.samples.sheet import Kind, SheetWriter
from shs_pipeline.samples.world import Customer, account, customers_of, spelt

COLUMNS = {
    "Sales Rep": Kind.NAME,
    "Cust. ID": Kind.IDENTIFIER,
    "Cust- Name": Kind.NAME,
    "Name": Kind.NAME,
    "Address": Kind.TEXT,
    "City": Kind.NAME,
    "State": Kind.TEXT,
    "Invoice": Kind.IDENTIFIER,
    "SKU": Kind.IDENTIFIER,
    "Inv Date": Kind.DATE,
    "Due Date": Kind.DATE,
    "ClosedDate": Kind.DATE,
    "Days Past": Kind.NUMBER,
    "Rep %": Kind.RATE,
    "Invoice Total": Kind.MONEY,
    "Total Rep Due": Kind.MONEY,
}
GROUPED = tuple(COLUMNS)[:8]
SUMS = ("Invoice Total", "Total Rep Due")
_RATES = (Decimal("0.05"), Decimal("0.07"), Decimal("0.1"), Decimal("0.125"))


def cygnus(plan: Plan) -> SampleFile:
    """Make one statement: header in row 4."""
    sheet = SheetWriter(
        plan,
        COLUMNS,
        header_row=4,
        titles=["Cygnus Surgical", "Commission by sales rep", f"Month: {plan.month:%B %Y}"],
        grouped=GROUPED,
    )
    lines = sorted(_lines(plan), key=lambda line: (line["Sales Rep"], line["Cust. ID"]))
    for rep, of_rep in groupby(lines, key=lambda line: line["Sales Rep"]):
        lines_of_rep = list(of_rep)
        for customer, of_customer in groupby(lines_of_rep, key=lambda line: line["Cust. ID"]):
            lines_of_customer = list(of_customer)
            for line in lines_of_customer:
                sheet.line(line)
            if plan.has_total():
                sheet.total("Cust. ID", f"{customer} Total", lines_of_customer, *SUMS)
        if plan.has_total():
            sheet.total("Sales Rep", f"{rep} Total", lines_of_rep, *SUMS)
    sheet.total("Sales Rep", "Grand Total", lines, *SUMS)
    return sheet.sample(f"Cygnus commission {plan.month:%Y-%m}.xlsx")


def _lines(plan: Plan) -> Iterator[dict[str, object]]:
    customers = customers_of(plan.source)
    # A customer is spelt in one way throughout a file, as its group is printed once.
    names = {customer: spelt(customer.name, plan.rng) for customer in customers}
    left = plan.lines
    while left > 0:
        customer = plan.rng.choice(customers)
        count = min(left, plan.rng.choice((1, 1, 2, 3)))
        yield from _invoice(plan, customer, names[customer], count)
        left -= count


def _invoice(plan: Plan, customer: Customer, name: str, count: int) -> Iterator[dict[str, object]]:
    closed = plan.revenue_day()
    invoiced = closed - timedelta(days=plan.rng.randint(5, 60))
    invoice = str(plan.number())
    due = invoiced + timedelta(days=30)
    for _ in range(count):
        total, rate = plan.sale(60, 3400), plan.rng.choice(_RATES)
        yield {
            "Sales Rep": f"SHS {customer.number % 3 + 1:02d}",
            "Cust. ID": account(plan.source, customer),
            "Cust- Name": customer.parent,
            "Name": name,
            "Address": customer.street,
            "City": customer.city,
            "State": customer.state,
            "Invoice": invoice,
            "SKU": f"CY-{plan.rng.randint(100, 999)}"
            if plan.chance(0.7)
            else str(plan.rng.randint(2000, 9999)),
            "Inv Date": invoiced,
            "Due Date": due,
            "ClosedDate": closed,
            "Days Past": None if plan.chance(0.2) else Decimal((closed - due).days),
            "Rep %": rate,
            "Invoice Total": total,
            "Total Rep Due": cents(total * rate),
        }
