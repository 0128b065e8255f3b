"""The camelot reader: `stream` with the columns given, page by page."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shs_pipeline.statement_pdf.columns import Columns
from shs_pipeline.statement_pdf.printed import CELL_COLUMNS, CellLine, PrintedPage, tidy

if TYPE_CHECKING:
    from camelot.core import Table

# camelot keeps every character of a page with its table; chunks keep memory flat.
_PAGES_AT_ONCE = 25
# boxes_flow=None leaves out the search for paragraphs, which a table does not need: 200 → 60 ms a
# page. char_margin: with camelot's 1.0 a name that ends near the invoice number swallows it.
_LAYOUT = {"detect_vertical": False, "boxes_flow": None, "char_margin": 0.5}


class CamelotError(Exception):
    """Camelot gave no usable table for a page."""


def read_cells(content: bytes, pages: Sequence[PrintedPage], columns: dict[int, Columns]) -> list[CellLine]:
    """Let camelot divide the lines below each page's heading.

    Args:
        content: bytes of the PDF.
        pages: its pages, for the numbers of the lines.
        columns: page number to its columns; a page without an entry is skipped.

    Raises:
        CamelotError: not exactly one table of six columns on a page, or camelot failed.
    """
    with tempfile.TemporaryDirectory(prefix="statement-") as folder:
        path = Path(folder) / "statement.pdf"
        path.write_bytes(content)
        return [line for chunk in _chunks(pages, columns) for line in _read_chunk(path, chunk, columns)]


def _chunks(pages: Sequence[PrintedPage], columns: dict[int, Columns]) -> Iterator[list[PrintedPage]]:
    """Pages in a row that camelot can read with the same area and columns."""
    chunk: list[PrintedPage] = []
    for page in pages:
        if page.number not in columns or columns[page.number].first_line >= len(page.lines):
            continue
        if chunk and (len(chunk) == _PAGES_AT_ONCE or _place(chunk[0], columns) != _place(page, columns)):
            yield chunk
            chunk = []
        chunk.append(page)
    if chunk:
        yield chunk


def _place(page: PrintedPage, columns: dict[int, Columns]) -> dict[str, Any]:
    """Table area and columns of a page in camelot's words."""
    there = columns[page.number]
    return {
        "table_areas": [f"0,{there.top},{page.width:.1f},0"],
        "columns": [",".join(str(edge) for edge in there.boundaries)],
    }


def _read_chunk(path: Path, chunk: list[PrintedPage], columns: dict[int, Columns]) -> list[CellLine]:
    import camelot

    numbers = ",".join(str(page.number) for page in chunk)
    try:
        tables = camelot.read_pdf(
            str(path),
            pages=numbers,
            flavor="stream",
            suppress_stdout=True,
            layout_kwargs=_LAYOUT,
            **_place(chunk[0], columns),
        )
    except Exception as error:
        # Whatever fails inside camelot, the other reader takes over.
        raise CamelotError(f"camelot failed on pages {numbers}: {error}") from error
    found = sorted(table.page for table in tables)
    if found != [page.number for page in chunk]:
        raise CamelotError(f"camelot found tables on pages {found}, expected one on each of {numbers}")
    by_page = {table.page: table for table in tables}
    return [line for page in chunk for line in _lines(page, by_page[page.number])]


def _lines(page: PrintedPage, table: Table) -> list[CellLine]:
    if len(table.cols) != len(CELL_COLUMNS):
        raise CamelotError(f"camelot made {len(table.cols)} columns on page {page.number}, expected six")
    lines = []
    for (top, bottom), cells in zip(table.rows, table.data, strict=True):
        middle = (top + bottom) / 2
        line = min(page.lines, key=lambda item: abs(item.y + item.runs[0].size / 2 - middle))
        lines.append(CellLine(page.number, line.number, tuple(tidy(cell) for cell in cells)))
    return lines
