"""Deliberate changes to workbooks, for tests and demonstrations."""

from __future__ import annotations

import io
from collections.abc import Mapping


def edited(content: bytes, cells: Mapping[str, object], sheet: str | None = None) -> bytes:
    """Change single cells of a workbook.

    Args:
        content: bytes of an `.xlsx` file.
        cells: new value by place (`C7`); None empties a cell.
        sheet: name of the sheet; the first one if None.
    """
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(content))
    page = book[sheet] if sheet else book.worksheets[0]
    for place, value in cells.items():
        page[place].value = value
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def place_of(content: bytes, header: str, row: int) -> str:
    """The place (`C7`) of a column's cell in a row of the first sheet.

    Args:
        content: bytes of an `.xlsx` file.
        header: column name, compared without case and blanks around it.
        row: 1-based row.

    Raises:
        KeyError: no cell of the first 20 rows holds this name.
    """
    import openpyxl

    page = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]
    for cells in page.iter_rows(max_row=20):
        for cell in cells:
            if isinstance(cell.value, str) and cell.value.strip().casefold() == header.casefold():
                return f"{cell.column_letter}{row}"
    raise KeyError(header)


def with_bad_cell(content: bytes, header: str, row: int, value: object) -> bytes:
    """The workbook with one value put into a column and row of the first sheet."""
    return edited(content, {place_of(content, header, row): value})
