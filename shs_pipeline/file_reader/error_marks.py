"""Mark errors in a copy of a dropped workbook (coloured, commented cells), and remove earlier marks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shs_pipeline.file_reader.error_list import COLOURS, HEADING_ROW, HEADINGS, fill_of, plain_text
from shs_pipeline.file_reader.error_places import Place
from shs_pipeline.files.reading import Problem

if TYPE_CHECKING:
    from openpyxl.cell.cell import Cell
    from openpyxl.workbook.workbook import Workbook

COMMENTED = 5_000
"""Cells that get a comment; more make Excel slow. All cells of listed problems are coloured."""
# What the last column was called before: marked copies of then may still be dropped.
_OLDER_LAST = "How to mend it"
_COMMENT_LENGTH = 2_000
_NOTE_LENGTH = 32_000  # Excel's limit of a comment is 32,767 characters.
_MARK = "— File check —"


def mark_cells(book: Workbook, problems: Sequence[Problem], places: Sequence[Place | None]) -> list[str]:
    """Colour every bad cell and comment the first ones; return what is to be said of the marks."""
    at: dict[Place, list[Problem]] = {}
    for problem, place in zip(problems, places, strict=True):
        if place is not None:
            at.setdefault(place, []).append(problem)
    for number, (place, found) in enumerate(at.items()):
        cell = book[place.sheet].cell(place.row, place.column)
        is_error = any(problem.severity == "error" for problem in found)
        cell.fill = fill_of("error" if is_error else "warning")
        if number < COMMENTED:
            _comment(cell, found)
    notes = ["Cells with an error are red, cells with a warning are yellow, and a comment says why."]
    if len(at) > COMMENTED:
        notes.append(f"Only the first {COMMENTED:,} of {len(at):,} cells have a comment; all are coloured.")
    return notes


def _comment(cell: Cell, problems: Sequence[Problem]) -> None:
    """Say in a comment what is wrong with a cell, below what the comment says already."""
    from openpyxl.comments import Comment

    lines = [
        # The column is named because a missing one is shown at a cell that is not its own.
        f"{found.severity.capitalize()} in {found.column or 'this row'}: {found.problem} {found.remedy}"
        for found in problems
    ]
    text = f"{_MARK}\n" + "\n".join(plain_text(line) for line in lines)
    if len(text) > _COMMENT_LENGTH:
        text = text[:_COMMENT_LENGTH] + "… See the Errors sheet for the rest."
    author = "File check"
    if cell.comment is not None:
        author = cell.comment.author
        text = f"{cell.comment.text[: _NOTE_LENGTH - len(text)]}\n{text}"
    height = 24 + 18 * sum(math.ceil((len(line) or 1) / 52) for line in text.split("\n"))
    cell.comment = Comment(text, author, height=min(height, 420), width=360)


def remove_earlier_marks(book: Workbook) -> None:
    """Take our marks out of a marked copy that was corrected and dropped as it is.

    What colour a cell had before is not known any more: it gets none.
    """
    first = book.worksheets[0]
    heading = tuple(first.cell(HEADING_ROW, column).value for column in range(1, len(HEADINGS) + 1))
    if heading not in (HEADINGS, (*HEADINGS[:-1], _OLDER_LAST)):
        return
    from openpyxl.comments import Comment
    from openpyxl.styles import PatternFill

    book.remove(first)
    for page in book.worksheets:
        # Not `iter_rows`, which makes every cell between the first and a far one.
        for cell in page._cells.values():
            if cell.fill.fill_type == "solid" and cell.fill.fgColor.rgb in COLOURS.values():
                cell.fill = PatternFill()
            if cell.comment is not None and _MARK in cell.comment.text:
                before, author = cell.comment.text.split(_MARK)[0].rstrip(), cell.comment.author
                cell.comment = None
                cell.comment = Comment(before, author) if before else None
