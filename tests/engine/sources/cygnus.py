"""Cygnus, by the rules and not by our models."""

from __future__ import annotations

from tests.engine.source_rules import CUSTOMERS, Sale, SourceRules


def _line(sale: Sale) -> dict[str, object]:
    return {
        "name": sale.customer,
        "invoice": str(sale.number),
        "sku": f"A{sale.number}",
        "closed_date": sale.on,
        "invoice_total": sale.sales,
        "total_rep_due": sale.rev,
    }


RULES = SourceRules(
    product_line="Cygnus",
    sales="invoice_total",
    rev="total_rep_due",
    customer=["name"],
    invoice_number="invoice",
    item="sku",
    territory_keys=lambda cell: [("Name", cell["name"])],
    owned={"Name": CUSTOMERS},
    sale_key=["invoice", "sku", "closed_date"],
    line=_line,
)
