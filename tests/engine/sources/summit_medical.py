"""Summit Medical, by the rules and not by our models."""

from __future__ import annotations

from tests.engine.source_rules import CUSTOMERS, Sale, SourceRules


def _line(sale: Sale) -> dict[str, object]:
    return {
        "client_name": sale.customer,
        "zip_code": None,
        "state": None,
        "invoice_number": str(sale.number),
        "item_id": f"S{sale.number}",
        "statement_month": sale.on,
        "net_sales_amount": sale.sales,
        "comm_amount": sale.rev,
    }


RULES = SourceRules(
    product_line="Summit Medical",
    sales="net_sales_amount",
    rev="comm_amount",
    customer=["client_name"],
    invoice_number="invoice_number",
    item="item_id",
    territory_keys=lambda cell: [
        ("Client Name", cell["client_name"]),
        ("ZIP Code", cell["zip_code"]),
        ("State", cell["state"]),
    ],
    owned={"Client Name": CUSTOMERS[:2], "ZIP Code": ["75201"], "State": ["TX"]},
    sale_key=["invoice_number", "item_id"],
    line=_line,
)
