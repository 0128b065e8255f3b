"""Ternio: payments by client, each payment followed by the invoice that it settles."""

from __future__ import annotations

from datetime import date, timedelta

from shs_pipeline.samples.plan import Plan, SampleFile, cents
from shs_pipeline.samples.sheet import Kind, SheetWriter
from shs_pipeline.samples.world import customers_of, spelt

CLIENT = "Client Name"
INVOICE_DATE = "Invoice Date"
COLUMNS = {
    CLIENT: Kind.NAME,
    "Date": Kind.DATE,
    "Transaction Type": Kind.TEXT,
    "Memo/Description": Kind.TEXT,
    "Num": Kind.IDENTIFIER,
    "Invoiced": Kind.MONEY,
    "Paid": Kind.MONEY,
}
_MEMOS = ("Annual service agreement", "Sterile storage audit", "Instrument tracking, 2 rooms", None)


def ternio(plan: Plan) -> SampleFile:
    """Make one export: header in row 5, the client column without a heading.

    The truth of a line, besides the delivered columns: `Client Name`, `Invoice Date`; `Date` is the
    payment's and `source_row` the row of the payment.
    """
    sheet = SheetWriter(
        plan,
        COLUMNS,
        header_row=5,
        titles=["Ternio Group", "Payments by Client", f"{plan.month:%B %Y}"],
        printed_date=("%m/%d/%Y", 0.85),
        unnamed=[CLIENT],
    )
    clients = list(customers_of(plan.source))
    plan.rng.shuffle(clients)
    place = 0
    while len(sheet.lines) < plan.lines:
        count = min(plan.lines - len(sheet.lines), max(plan.lines // 20, plan.rng.choice((1, 1, 2, 3))))
        _client(sheet, plan, spelt(clients[place % len(clients)].name, plan.rng), count)
        place += 1
    sheet.total(CLIENT, "TOTAL", sheet.lines, "Invoiced", "Paid")
    return sheet.sample(f"Ternio payments {plan.month:%Y-%m}.xlsx")


def _client(sheet: SheetWriter, plan: Plan, client: str, count: int) -> None:
    """Print a client: the name on a line of its own or on the first payment, the pairs, the subtotal."""
    own_line = not plan.has("client on first payment", 3)
    if own_line:
        sheet.row({CLIENT: client})
    first = len(sheet.lines)
    for number in range(count):
        is_first = number == 0 and not own_line
        _pair(sheet, plan, client, plan.revenue_day(), is_first)
    if plan.has_total():
        sheet.total(CLIENT, f"Total for {client}", sheet.lines[first:], "Invoiced", "Paid")


def _pair(sheet: SheetWriter, plan: Plan, client: str, paid_on: date, is_first: bool) -> None:
    invoiced = plan.sale(300, 5600, returns=0.02)
    # Some pay only a part of the invoice.
    paid = cents(invoiced / 2) if plan.chance(0.05) else invoiced
    payment = {
        CLIENT: client if is_first else None,
        "Date": paid_on,
        "Transaction Type": "Payment",
        "Paid": paid,
    }
    invoice: dict[str, object] = {
        "Date": paid_on - timedelta(days=plan.rng.randint(10, 75)),
        "Transaction Type": "Invoice",
        "Memo/Description": plan.rng.choice(_MEMOS),
        "Num": str(plan.number()),
        "Invoiced": invoiced,
    }
    if plan.chance(0.2):
        payment["Num"] = f"ACH{plan.rng.randint(1000, 9999)}"
    number = sheet.row(payment)
    sheet.row(invoice)
    sheet.keep(
        {
            CLIENT: client,
            "Date": paid_on,
            INVOICE_DATE: invoice["Date"],
            "Memo/Description": invoice["Memo/Description"],
            "Num": invoice["Num"],
            "Invoiced": invoiced,
            "Paid": paid,
        },
        number,
    )
    if plan.chance(0.02):
        sheet.blank()
