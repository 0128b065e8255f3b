"""QuickBooks: the company's own sales, several product lines, with rows that are no sales."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from shs_pipeline.samples.plan import Plan, SampleFile
from shs_pipeline.samples.sheet import Kind, SheetWriter
from shs_pipeline.samples.world import SERVICE_TO_PRODUCT, customers_of, sellers_in_files, spelt

COLUMNS = {
    "Date": Kind.DATE,
    "Service Lines": Kind.NAME,
    "Customer": Kind.NAME,
    "Transaction type": Kind.TEXT,
    "Amount line": Kind.MONEY,
    "Purchase price": Kind.MONEY,
    "Quantity": Kind.NUMBER,
    "Num": Kind.IDENTIFIER,
    "Line order": Kind.NUMBER,
    "Purchase description": Kind.TEXT,
    "Description": Kind.TEXT,
    "Company name": Kind.NAME,
    "Sales Rep Name": Kind.NAME,
    "Sales Rep Territory": Kind.TEXT,
    "Product/Service": Kind.TEXT,
}
LINE_ORDER_ZERO = "Line order is 0"
NO_QUANTITY = "no Quantity"
TRANSFER = "Company name is HHS Transfers Customer"
SHIPPING = "Purchase description says shipping"
_ITEMS = (
    "Laryngoscope set",
    "Scope repair, level 2",
    "Tray review",
    "Blade pack 10",
    "Light cable",
    "OR table pad",
)
_REGIONS = ("North", "South", "East", "West")


def quickbooks(plan: Plan) -> SampleFile:
    """Make one export: header in row 5, dates printed as MM/DD/YYYY, rows that are no sales in between."""
    sheet = SheetWriter(
        plan,
        COLUMNS,
        header_row=5,
        titles=["Summit Hill Surgical", "Sales by Rep Detail", f"{plan.month:%B %Y}"],
        printed_date=("%m/%d/%Y", 0.85),
        remark_reason=NO_QUANTITY,
    )
    left_out: Counter[str] = Counter()
    # The total is of all rows above it, so its months have no other row with an amount.
    has_total = plan.has("total", 4)
    left = plan.lines
    while left > 0:
        head = _transaction(plan)
        if plan.chance(0.15):
            sheet.row({**head, "Line order": Decimal(0), "Description": "Thank you for your business"})
            left_out[LINE_ORDER_ZERO] += 1
        for order in range(1, min(left, plan.rng.choice((1, 2, 3))) + 1):
            sheet.line(_line(plan, head, order))
            left -= 1
        if plan.chance(0.2) and not has_total:
            reason, values = _no_sale(plan)
            sheet.row({**_line(plan, head, 9), **values})
            left_out[reason] += 1
    if has_total:
        sheet.total("Customer", "TOTAL", sheet.lines, "Amount line")
        left_out[NO_QUANTITY] += 1
    sheet.blank()
    sheet.row({"Date": "Accrual Basis  Tuesday, 08:15 AM GMT-06:00"})
    left_out[NO_QUANTITY] += 1
    return sheet.sample(f"QB sales by rep {plan.month:%Y-%m}.xlsx", left_out=left_out)


def _transaction(plan: Plan) -> dict[str, object]:
    customer = plan.rng.choice(customers_of(plan.source))
    return {
        "Date": plan.revenue_day(),
        "Customer": customer.name,
        "Num": str(plan.number()),
        "Company name": customer.parent,
        "Sales Rep Name": spelt(sellers_in_files(plan.rng), plan.rng),
        "Sales Rep Territory": plan.rng.choice(_REGIONS),
    }


def _line(plan: Plan, head: dict[str, object], order: int) -> dict[str, object]:
    quantity = Decimal(plan.rng.choice(("1", "1", "2", "3", "10", "0.5")))
    amount = plan.sale(40, 2800)
    price = abs(amount) * Decimal(plan.rng.randint(35, 85)) / 100 / quantity
    item = plan.rng.choice(_ITEMS)
    return {
        **head,
        "Service Lines": spelt(plan.rng.choice(tuple(SERVICE_TO_PRODUCT)), plan.rng),
        "Transaction type": "Credit Memo" if amount < 0 else "Invoice",
        "Amount line": amount,
        "Purchase price": None if plan.chance(0.1) else price.quantize(Decimal("0.0001")),
        "Quantity": quantity.copy_sign(amount),
        "Line order": Decimal(order),
        "Purchase description": None if plan.chance(0.3) else f"{item}, dealer price",
        "Description": item,
        "Product/Service": f"{item.split(',')[0]}:{plan.rng.randint(100, 999)}",
    }


def _no_sale(plan: Plan) -> tuple[str, dict[str, object]]:
    """A reason for which a row is left out, and the cells that give it away."""
    words = plan.rng.choice(("Shipping & handling", "Inbound SHIPPING"))
    cells: dict[str, dict[str, object]] = {
        NO_QUANTITY: {"Quantity": None, "Description": "Discount"},
        TRANSFER: {"Company name": "HHS Transfers Customer"},
        SHIPPING: {"Purchase description": words},
    }
    return plan.rng.choice(tuple(cells.items()))
