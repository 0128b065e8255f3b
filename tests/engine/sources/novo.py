"""Novo, by the rules and not by our models."""

from __future__ import annotations

from decimal import Decimal

from tests.engine.source_rules import NUMBERS, Sale, SourceRules


def _line(sale: Sale) -> dict[str, object]:
    return {
        "customer_number": sale.customer_number,
        "bill_to_name": sale.customer,
        "invoice_number": str(sale.number),
        "invoice_date": sale.on,
        "item_code": f"N{sale.number}",
        "qty_shipped": Decimal(3),
        "extension": sale.sales,
        "commission_amount": sale.rev,
    }


RULES = SourceRules(
    product_line="Surgical Instruments",
    sales="extension",
    rev="commission_amount",
    customer=["bill_to_name", "customer_number"],
    invoice_number="invoice_number",
    item="item_code",
    quantity="qty_shipped",
    territory_keys=lambda cell: [("Customer Number", cell["customer_number"])],
    owned={"Customer Number": NUMBERS},
    sale_key=["invoice_number", "item_code", "udf_lotbus", "invoice_date"],
    line=_line,
)
