"""Logiquip, by the rules and not by our models."""

from __future__ import annotations

from decimal import Decimal

from tests.engine.source_rules import CUSTOMERS, ZIP_OF, Sale, SourceRules


def _line(sale: Sale) -> dict[str, object]:
    return {
        "customer": sale.customer,
        "ship_to_zip": sale.zip_code,
        "doc_num": str(sale.number),
        "item_class": "Kit",
        "date_paid": sale.on,
        "comm_rate": Decimal("0.1"),
        "doc_amt": sale.sales,
        "comm_amt": sale.rev,
    }


RULES = SourceRules(
    product_line="Logiquip",
    sales="doc_amt",
    rev="comm_amt",
    customer=["customer"],
    invoice_number="doc_num",
    item="item_class",
    is_by_day=True,
    territory_keys=lambda cell: [("SteppingStone", f"{cell['ship_to_zip'][:5]}; {cell['customer']}")],
    owned={"SteppingStone": [f"{ZIP_OF[customer]}; {customer}" for customer in CUSTOMERS]},
    sale_key=["doc_num", "item_class", "date_paid"],
    line=_line,
)
