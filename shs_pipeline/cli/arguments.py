"""What people type: names of sources, months, files."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from shs_pipeline.errors import ShsError
from shs_pipeline.months import parse_month
from shs_pipeline.reference import NAMES as REFERENCE_NAMES
from shs_pipeline.reference import table_named
from shs_pipeline.sources import NAMES as SOURCE_NAMES
from shs_pipeline.sources import source_named

if TYPE_CHECKING:
    from shs_pipeline.source import Declaration


def known_name(typed: str) -> str:
    """Return the source or reference table that is meant; case, blanks and hyphens do not count.

    Raises:
        ShsError: there is none of this name.
    """
    name = re.sub(r"[\s-]+", "_", typed.strip().casefold())
    names: Sequence[str] = (*SOURCE_NAMES, *REFERENCE_NAMES)
    if name in names:
        return name
    close = difflib.get_close_matches(name, names, n=1)
    meant = f"Did you mean {close[0]}? " if close else ""
    raise ShsError(
        f"There is no source or reference table called {typed!r}.",
        f"{meant}Sources are {', '.join(SOURCE_NAMES)}; reference tables are {', '.join(REFERENCE_NAMES)}.",
    )


def declaration_named(typed: str) -> Declaration:
    """Return the declaration of the source or reference table that is meant.

    Raises:
        ShsError: there is none of this name.
    """
    name = known_name(typed)
    return source_named(name) if name in SOURCE_NAMES else table_named(name)


def month_typed(text: str, option: str) -> date:
    """Return the first day of a month typed as `YYYY-MM`.

    Raises:
        ShsError: it is no month.
    """
    month = parse_month(text.strip())
    if month is None:
        raise ShsError(
            f"{option} {text!r} is not a month.", f"Write it as {option} YYYY-MM, such as 2025-03."
        )
    return month


def file_content(path: Path) -> bytes:
    """Return the bytes of a local file.

    Raises:
        ShsError: there is no such file, or it may not be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ShsError(
            f"There is no file {path}.", "Check the path; put it in quotes if it has blanks."
        ) from None
    except IsADirectoryError:
        raise ShsError(f"{path} is a folder.", "Name one file in it.") from None
    except OSError as error:
        raise ShsError(
            f"{path} cannot be read ({error.strerror}).", "Check the file and its rights."
        ) from None
