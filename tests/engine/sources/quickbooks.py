"""QuickBooks, by the rules and not by our models."""

from __future__ import annotations

from decimal import Decimal

from tests.engine.model import ZERO
from tests.engine.source_rules import Cells, Sale, SourceRules


def _line(sale: Sale) -> dict[str, object]:
    return {
        "date": sale.on,
        "service_lines": "Consulting",
        "customer": sale.customer,
        "amount_line": sale.sales,
        "purchase_price": sale.sales - sale.rev,
        "quantity": Decimal(1),
        "num": str(sale.number),
        "product_service": f"Q{sale.number}",
        "sales_rep_name": sale.rep,
    }


def _margin(cell: Cells) -> Decimal:
    cost: Decimal = (cell["purchase_price"] or ZERO) * (cell["quantity"] or ZERO)
    margin: Decimal = cell["amount_line"] - cost
    return margin


RULES = SourceRules(
    product_line=None,
    sales="amount_line",
    rev=_margin,
    customer=["customer"],
    invoice_number="num",
    item="product_service",
    quantity="quantity",
    rep_column="sales_rep_name",
    sale_key=["num", "line_order", "product_service", "customer", "date"],
    line=_line,
    negated=["amount_line", "quantity"],
)
