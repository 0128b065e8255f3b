"""The sources and the adjustments by name: each module is imported when it is asked for."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from shs_pipeline.landing.names import INCOMING_NAMES, SOURCE_NAMES

if TYPE_CHECKING:
    from shs_pipeline.files.source import MonthlyFiles, Source


@cache
def source_named(name: str) -> Source:
    """Return the declaration of a source.

    Raises:
        KeyError: no such source.
    """
    from importlib import import_module

    if name not in SOURCE_NAMES:
        raise KeyError(name)
    source: Source = import_module(f"shs_pipeline.sources.{name}").SOURCE
    return source


def all_sources() -> list[Source]:
    """Return every source."""
    return [source_named(name) for name in SOURCE_NAMES]


def incoming_named(name: str) -> MonthlyFiles:
    """Return the declaration of whatever is dropped by commission month.

    Raises:
        KeyError: no such files.
    """
    if name in SOURCE_NAMES:
        return source_named(name)
    from shs_pipeline.sources.adjustments import ADJUSTMENT_FILES

    if name != ADJUSTMENT_FILES.name:
        raise KeyError(name)
    return ADJUSTMENT_FILES


def all_incoming() -> list[MonthlyFiles]:
    """Return whatever is dropped by commission month."""
    return [incoming_named(name) for name in INCOMING_NAMES]
