"""The reference tables by name: each module is imported when it is asked for."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from shs_pipeline.landing.names import REFERENCE_NAMES

if TYPE_CHECKING:
    from shs_pipeline.files.source import ReferenceTable


@cache
def table_named(name: str) -> ReferenceTable:
    """Return the declaration of a reference table.

    Raises:
        KeyError: no such table.
    """
    from importlib import import_module

    if name not in REFERENCE_NAMES:
        raise KeyError(name)
    table: ReferenceTable = import_module(f"shs_pipeline.reference.{name}").TABLE
    return table


def all_tables() -> list[ReferenceTable]:
    """Return every reference table."""
    return [table_named(name) for name in REFERENCE_NAMES]
