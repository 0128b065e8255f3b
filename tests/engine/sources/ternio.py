"""Ternio, by the rules and not by our models."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from tests.engine.source_rules import CUSTOMERS, Cells, Sale, SourceRules

_SHARE = Decimal("0.07")


def _line(sale: Sale) -> dict[str, object]:
    return {
        "client_name": sale.customer,
        "date": sale.on,
        "invoice_date": sale.on - timedelta(days=40),
        "memo_description": None,
        "num": str(sale.number),
        "invoiced": sale.sales,
        "paid": sale.sales,
    }


def _earned(cell: Cells) -> Decimal:
    earned: Decimal = cell["paid"] * _SHARE
    return earned


RULES = SourceRules(
    product_line="Miscellaneous",
    sales="paid",
    rev=_earned,
    customer=["client_name"],
    invoice_number="num",
    item="memo_description",
    is_by_day=True,
    territory_keys=lambda cell: [("Client Name", cell["client_name"])],
    owned={"Client Name": CUSTOMERS},
    sale_key=["num", "invoice_date", "date"],
    line=_line,
    negated=["paid", "invoiced"],
)
