"""Guess what a file is: the declaration whose header it has, of all sources and reference tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError, UnreadableFileError
from shs_pipeline.files.reading import SourceFile

if TYPE_CHECKING:
    from shs_pipeline.files.source import Declaration

LEAST_SHARE = 0.5
"""Share of a declaration's columns below which the file is not taken for it."""
CLEAR_LEAD = 0.75
"""Where the second best is at least this share of the best, a person has to say which it is."""


@dataclass(frozen=True)
class Candidate:
    """How well the best row of a file fits the header of a declaration.

    Attributes:
        found: columns of the declaration that the row has.
        wanted: columns that the declaration asks for.
        likeness: 0-1, columns in common among all columns of the two.
    """

    declaration: Declaration
    found: int
    wanted: int
    likeness: float


def guess(file: SourceFile, max_bytes: int) -> Candidate:
    """Return what a file is, by its header; the extension alone says it where one source only takes it.

    Args:
        max_bytes: size limit of a file.

    Raises:
        UnreadableFileError: the file cannot be opened, whatever it is.
        ShsError: it is like no declaration, or like several; names them.
    """
    found = candidates(file, max_bytes)
    if not found:
        raise ShsError(
            f"{file.name} does not match the columns of any source or reference table.",
            f"Say what it is with --source; choose one of {', '.join(_all_names())}.",
        )
    best, *others = found
    rivals = [other for other in others if other.likeness >= CLEAR_LEAD * best.likeness]
    if rivals:
        names = [candidate.declaration.name for candidate in (best, *rivals)]
        shown = ", ".join(f"{c.declaration.name} ({c.found} of {c.wanted} columns)" for c in (best, *rivals))
        raise ShsError(
            f"{file.name} could be any of {shown}.",
            f"Say which one with --source {' or --source '.join(names)}.",
        )
    return best


def candidates(file: SourceFile, max_bytes: int) -> list[Candidate]:
    """Return what a file may be, most likely first.

    Raises:
        UnreadableFileError: the file cannot be opened, whatever it is.
    """
    from shs_pipeline.files.source import check_can_be_opened

    extension = PurePosixPath(file.name).suffix.lower()
    takers = [declared for declared in _all_declarations() if extension in declared.readers]
    if not takers:
        kinds = sorted({kind for declared in _all_declarations() for kind in declared.readers})
        raise UnreadableFileError(
            f"{file.name} is not a {' or '.join(kinds)} file.", "Save it as one of these and drop it again."
        )
    check_can_be_opened(takers[0], file, max_bytes)
    if extension != ".xlsx":
        # No header to look at: every source that takes such files is as likely.
        return [Candidate(declared, 0, 0, 1.0) for declared in takers]
    rows = list(_first_rows(file))
    scored = [_best_fit(declared, rows) for declared in takers]
    likely = [found for found in scored if found.found >= LEAST_SHARE * found.wanted and found.found > 1]
    return sorted(likely, key=lambda found: -found.likeness)


def _best_fit(declaration: Declaration, rows: list[frozenset[str]]) -> Candidate:
    from shs_pipeline.files.contract import headers_of
    from shs_pipeline.files.workbook.header import header_key

    wanted = {header_key(header) for header in headers_of(declaration.rows)}
    fits = ((len(row & wanted), len(row & wanted) / len(row | wanted)) for row in rows)
    found, likeness = max(fits, key=lambda fit: fit[1], default=(0, 0.0))
    return Candidate(declaration, found, len(wanted), likeness)


def _first_rows(file: SourceFile) -> Iterator[frozenset[str]]:
    """Yield the texts of each row in which a header is looked for, of all visible sheets."""
    from shs_pipeline.files.workbook.header import header_key
    from shs_pipeline.files.workbook.table import first_rows

    for rows in first_rows(file):
        for row in rows:
            yield frozenset(header_key(cell) for cell in row if isinstance(cell, str)) - {""}


def _all_declarations() -> list[Declaration]:
    from shs_pipeline.reference.registry import all_tables
    from shs_pipeline.sources.registry import all_incoming

    return [*all_incoming(), *all_tables()]


def _all_names() -> list[str]:
    return [declared.name for declared in _all_declarations()]
