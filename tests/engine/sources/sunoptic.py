"""Sunoptic, by the rules and not by our models."""

from __future__ import annotations

from decimal import Decimal

from tests.engine.source_rules import NUMBERS, Sale, SourceRules


def _line(sale: Sale) -> dict[str, object]:
    return {
        "invoice_id": str(sale.number),
        "invoice_date": sale.on,
        "customer_id": sale.customer_number,
        "bill_name": sale.customer,
        "item_id": f"L{sale.number}",
        "ship_qty": Decimal("0.5"),
        "line_amount": sale.sales,
        "commission_amount": sale.rev,
    }


RULES = SourceRules(
    product_line="Sunoptic",
    sales="line_amount",
    rev="commission_amount",
    customer=["bill_name", "customer_id"],
    invoice_number="invoice_id",
    item="item_id",
    quantity="ship_qty",
    territory_keys=lambda cell: [("Customer ID", cell["customer_id"])],
    owned={"Customer ID": NUMBERS},
    sale_key=["invoice_id", "sales_order_id", "item_id", "invoice_date"],
    line=_line,
)
