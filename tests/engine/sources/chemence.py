"""Chemence, by the rules and not by our models."""

from __future__ import annotations

from decimal import Decimal

from tests.engine.source_rules import NUMBERS, Sale, SourceRules


def _line(sale: Sale) -> dict[str, object]:
    return {
        "account_number": sale.customer_number,
        "account_name": sale.customer,
        "invoice_date": sale.on,
        "part_number": f"C{sale.number}",
        "qty_shipped": Decimal(4),
        "sales_total": sale.sales,
        "commission": sale.rev,
    }


RULES = SourceRules(
    product_line="Chemence",
    sales="sales_total",
    rev="commission",
    customer=["account_name", "account_number"],
    item="part_number",
    quantity="qty_shipped",
    territory_keys=lambda cell: [("Account Number", cell["account_number"])],
    owned={"Account Number": NUMBERS},
    sale_key=["source_id", "account_number", "part_number", "invoice_date"],
    line=_line,
)
