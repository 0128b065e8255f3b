"""Rows, columns and ranges of a sheet, and the names that they have."""

from __future__ import annotations

from shs_pipeline.base.errors import UnreadableFileError
from shs_pipeline.files.reading import SourceFile

LAST_ROW, LAST_COLUMN = 1_048_576, 16_384
"""Rows and columns of a sheet of Excel."""
Range = tuple[int, int, int, int]
"""First row, first column, last row, last column: rows from 1, columns from 0."""
DIGITS = "0123456789"


def corners_of(file: SourceFile, text: str) -> Range:
    """Return the range that a text such as `B5:C6` names.

    Raises:
        UnreadableFileError: there is no such place on a sheet.
    """
    corners = []
    for place in text.replace("$", "").split(":"):
        letters = place.rstrip(DIGITS)
        row = place[len(letters) :]
        if not row or not 0 < int(row) <= LAST_ROW:
            raise beyond_the_sheet(file, place)
        corners.append((int(row), column_of(file, letters, place)))
    rows, columns = [row for row, _ in corners], [column for _, column in corners]
    return min(rows), min(columns), max(rows), max(columns)


def column_of(file: SourceFile, letters: str, place: str) -> int:
    """Return the 0-based column of letters such as `AA`.

    Raises:
        UnreadableFileError: there is no such column on a sheet; names the place that has it.
    """
    number = 0
    for letter in letters if letters.isascii() and letters.isalpha() and len(letters) <= 3 else "ZZZZ":
        number = number * 26 + ord(letter.upper()) - 64
    if not 0 < number <= LAST_COLUMN:
        raise beyond_the_sheet(file, place)
    return number - 1


def beyond_the_sheet(file: SourceFile, place: str) -> UnreadableFileError:
    """Return the error that names a cell where no sheet has one."""
    return UnreadableFileError(
        f"{file.name} has a cell at {place[:40]}, which does not exist in Excel, whose sheets end at "
        f"XFD{LAST_ROW}.",
        "Open it in Excel, save it as .xlsx and drop it again; or export the report again.",
    )


def address(row: int, column: int) -> str:
    """Return the name of a cell, such as `B5`; rows from 1, columns from 0."""
    return f"{letters_of(column)}{row}"


def letters_of(column: int) -> str:
    """Return the letters of a 0-based column."""
    letters, rest = "", column + 1
    while rest:
        rest, letter = divmod(rest - 1, 26)
        letters = chr(65 + letter) + letters
    return letters
