"""The layout of a new source without a file: example columns, to be replaced by the real ones."""

from __future__ import annotations

from shs_pipeline.casting.kinds import Kind
from shs_pipeline.file_reader.layout.model import GuessedColumn, GuessedRole, Layout, Role

_COLUMNS: list[tuple[str, Kind, bool]] = [
    ("Customer Number", "identifier", False),
    ("Customer Name", "text", True),
    ("Zip", "zip", True),
    ("Invoice Number", "identifier", False),
    ("Item", "identifier", True),
    ("Invoice Date", "day", False),
    ("Quantity", "quantity", True),
    ("Sales Amount", "amount", False),
    ("Commission Rate", "rate", True),
    ("Commission Amount", "amount", False),
]
_ROLES: dict[Role, str] = {
    "customer": "Customer Number",
    "customer_name": "Customer Name",
    "invoice": "Invoice Number",
    "item": "Item",
    "date": "Invoice Date",
    "quantity": "Quantity",
    "sales": "Sales Amount",
    "rate": "Commission Rate",
    "earned": "Commission Amount",
}

DEFAULT_LAYOUT = Layout(
    sheet="Report",
    header_row=1,
    columns=tuple(
        GuessedColumn(header, position, kind, 1, 1, "", is_blank=is_blank)
        for position, (header, kind, is_blank) in enumerate(_COLUMNS)
    ),
    roles={role: GuessedRole(header, True, "") for role, header in _ROLES.items()},
    lines=1,
    totals=1,
    rates=("0.07",),
)
