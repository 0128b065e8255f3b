"""Sources, adjustments and reference tables by the name that somebody typed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.landing.names import INCOMING_NAMES, REFERENCE_NAMES
from shs_pipeline.reference.registry import table_named
from shs_pipeline.sources.registry import incoming_named

if TYPE_CHECKING:
    from shs_pipeline.files.source import Declaration


def known_name(typed: str) -> str:
    """Return the source or reference table that is meant; case, blanks and hyphens do not count.

    Raises:
        ShsError: there is none of this name.
    """
    name = re.sub(r"[\s-]+", "_", typed.strip().casefold())
    names: Sequence[str] = (*INCOMING_NAMES, *REFERENCE_NAMES)
    if name in names:
        return name
    close = difflib.get_close_matches(name, names, n=1)
    meant = f"Did you mean {close[0]}? " if close else ""
    raise ShsError(
        f"There is no source or reference table called {typed!r}.",
        f"{meant}The sources are {', '.join(INCOMING_NAMES)}; "
        f"the reference tables are {', '.join(REFERENCE_NAMES)}.",
    )


def table_meant(typed: str) -> str:
    """Return the reference table that is meant.

    Raises:
        ShsError: there is none of this name.
    """
    name = known_name(typed)
    if name not in REFERENCE_NAMES:
        raise ShsError(
            f"{name} is a source, not a reference table.",
            f"The reference tables are {', '.join(REFERENCE_NAMES)}.",
        )
    return name


def declaration_named(typed: str) -> Declaration:
    """Return the declaration of the source or reference table that is meant.

    Raises:
        ShsError: there is none of this name.
    """
    name = known_name(typed)
    return incoming_named(name) if name in INCOMING_NAMES else table_named(name)
