"""Which names and titles a new source may have."""

from __future__ import annotations

import difflib
import keyword
import re
from pathlib import Path

from shs_pipeline.base.errors import ShsError

LONGEST_NAME = 40
"""Characters of a name; PostgreSQL cuts what is made of it (an index, a model) at 63."""

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_TITLE = re.compile(r"\w[\w .,&'()+-]{0,59}")
# Folders of the landing zone, schemas of the database, and words of the command line.
_TAKEN = frozenset(
    {"incoming", "reference", "rejected", "unknown", "raw", "ops", "staging", "marts", "all", "source"}
)


def check_name(package: Path, name: str) -> None:
    """Check that a source may be called this.

    Args:
        package: folder of the package, with the sources that are there.

    Raises:
        ShsError: no name, or one that is taken or mistaken for another.
    """
    if not _NAME.fullmatch(name):
        better = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")
        meant = f"Write it as {better}." if _NAME.fullmatch(better) else "Write it like acme_medical."
        raise ShsError(
            f"{name!r} is not a source name: use only lower-case letters, digits and single underscores.",
            meant,
        )
    if len(name) > LONGEST_NAME:
        raise ShsError(
            f"{name} has more than {LONGEST_NAME} characters.", "Shorten it; --title may be longer."
        )
    if keyword.iskeyword(name) or name in _TAKEN:
        raise ShsError(f"{name} is a reserved word.", "Choose another name.")
    taken = {
        path.stem
        for folder in ("sources", "reference", "samples")
        for path in (package / folder).glob("*.py")
        if path.stem != "__init__"
    }
    if name in taken:
        raise ShsError(f"The name {name} is taken.", "Choose another name, or edit the existing source.")
    # `cygnus_` or `cygnuss` would be dropped into by mistake.
    for close in difflib.get_close_matches(name, sorted(taken), n=1, cutoff=0.93):
        raise ShsError(f"{name} is easily confused with {close}.", "Choose a more distinct name.")


def check_title(title: str) -> None:
    """Check that a title fits into code, SQL and file names as it is.

    Raises:
        ShsError: it does not.
    """
    if not _TITLE.fullmatch(title):
        raise ShsError(
            f"{title!r} is not a title: up to 60 letters, digits, blanks and . , & ' ( ) + -.",
            "Choose another --title.",
        )
