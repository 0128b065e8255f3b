"""InspeKtor, by the rules and not by our models."""

from __future__ import annotations

from decimal import Decimal

from tests.engine.source_rules import Sale, SourceRules


def _line(sale: Sale) -> dict[str, object]:
    return {
        "date": sale.on,
        "document_number": str(sale.number),
        "customer_project": sale.customer,
        "item_name": f"I{sale.number}",
        "quantity": Decimal(2),
        "total": sale.sales,
        "formula": sale.rev,
        "name": sale.rep,
    }


RULES = SourceRules(
    product_line="InspeKtor",
    sales="total",
    rev="formula",
    customer=["customer_project"],
    invoice_number="document_number",
    item="item_name",
    quantity="quantity",
    rep_column="name",
    sale_key=["document_number", "item_name", "date"],
    line=_line,
)
