"""The product sources, one module each. A module here with a `SOURCE` is all that the system needs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shs_pipeline.source import Source

NAMES = (
    "cygnus",
    "logiquip",
    "summit_medical",
    "quickbooks",
    "inspektor",
    "sunoptic",
    "ternio",
    "novo",
    "chemence",
)
"""Names of the sources, in the order in which people see them."""


@cache
def source_named(name: str) -> Source:
    """Return the declaration of a source.

    Raises:
        KeyError: no such source.
    """
    from importlib import import_module

    if name not in NAMES:
        raise KeyError(name)
    source: Source = import_module(f"shs_pipeline.sources.{name}").SOURCE
    return source


def all_sources() -> list[Source]:
    """Return every source."""
    return [source_named(name) for name in NAMES]
