"""The reference tables, one module each: what an admin maintains as workbooks."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shs_pipeline.source import ReferenceTable

NAMES = (
    "sales_reps",
    "commission_tiers",
    "tier_thresholds",
    "business_objectives",
    "territories",
    "service_to_product",
)
"""Names of the tables, in the order in which people see them."""


@cache
def table_named(name: str) -> ReferenceTable:
    """Return the declaration of a reference table.

    Raises:
        KeyError: no such table.
    """
    from importlib import import_module

    if name not in NAMES:
        raise KeyError(name)
    table: ReferenceTable = import_module(f"shs_pipeline.reference.{name}").TABLE
    return table


def all_tables() -> list[ReferenceTable]:
    """Return every reference table."""
    return [table_named(name) for name in NAMES]
