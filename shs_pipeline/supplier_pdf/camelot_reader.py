"""The second opinion: camelot (`stream`, with the columns given) divides the same lines."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shs_pipeline.base.wording import count_of
from shs_pipeline.supplier_pdf.columns import Columns
from shs_pipeline.supplier_pdf.printed import CellLine, PrintedPage, tidy

if TYPE_CHECKING:
    from camelot.core import Table

# camelot keeps every character of a page with its table; chunks keep memory flat.
_PAGES_AT_ONCE = 25
# boxes_flow=None leaves out the search for paragraphs, which a table does not need: 200 → 60 ms a
# page. char_margin: with camelot's 1.0 a name that ends near the invoice number swallows it.
_LAYOUT = {"detect_vertical": False, "boxes_flow": None, "char_margin": 0.5}


class CamelotError(Exception):
    """Camelot gave no usable table for a page."""


@dataclass(frozen=True)
class PageTable:
    """The table of one page, as the coordinate reader sees it.

    Attributes:
        lines: its lines, below the heading.
    """

    page: PrintedPage
    columns: Columns
    lines: Sequence[CellLine]

    @property
    def place(self) -> dict[str, Any]:
        """Table area and columns in camelot's words."""
        tallest = max(line.size for line in self.lines)
        top = max(line.y for line in self.lines) + tallest
        return {
            "table_areas": [f"0,{top:.1f},{self.page.width:.1f},0"],
            "columns": [",".join(str(edge) for edge in self.columns.boundaries)],
        }


def read_cells(content: bytes, tables: Sequence[PageTable]) -> list[CellLine]:
    """Let camelot divide the lines of each table.

    Args:
        content: bytes of the PDF.
        tables: the tables, in the order of the pages.

    Returns:
        The lines that camelot saw, in the order of the file, each with camelot's cells.

    Raises:
        CamelotError: not exactly one table of so many columns on a page, or camelot failed.
    """
    with tempfile.TemporaryDirectory(prefix="statement-") as folder:
        path = Path(folder) / "statement.pdf"
        path.write_bytes(content)
        return [line for chunk in _chunks(tables) for line in _read_chunk(path, chunk)]


def _chunks(tables: Sequence[PageTable]) -> Iterator[list[PageTable]]:
    """Pages in a row that camelot can read with the same area and columns."""
    chunk: list[PageTable] = []
    for table in tables:
        if not table.lines:
            continue
        if chunk and (len(chunk) == _PAGES_AT_ONCE or chunk[0].place != table.place):
            yield chunk
            chunk = []
        chunk.append(table)
    if chunk:
        yield chunk


def _read_chunk(path: Path, chunk: list[PageTable]) -> list[CellLine]:
    import camelot

    numbers = ",".join(str(table.page.number) for table in chunk)
    try:
        found = camelot.read_pdf(
            str(path),
            pages=numbers,
            flavor="stream",
            suppress_stdout=True,
            layout_kwargs=_LAYOUT,
            **chunk[0].place,
        )
    except Exception as error:
        # Whatever fails inside camelot, the other reader does not depend on it.
        raise CamelotError(f"camelot failed on pages {numbers}: {error}") from error
    pages = sorted(table.page for table in found)
    if pages != [table.page.number for table in chunk]:
        raise CamelotError(f"camelot found tables on pages {pages}, expected one on each of {numbers}")
    by_page: Mapping[int, Table] = {table.page: table for table in found}
    return [line for table in chunk for line in _lines(table, by_page[table.page.number])]


def _lines(ours: PageTable, table: Table) -> list[CellLine]:
    if len(table.cols) != len(ours.columns.bands):
        raise CamelotError(
            f"camelot made {count_of(len(table.cols), 'column')} on page {ours.page.number}, "
            f"expected {len(ours.columns.bands)}"
        )
    lines = []
    for (top, bottom), row in zip(table.rows, table.data, strict=True):
        middle = (top + bottom) / 2
        line = min(ours.lines, key=lambda item: abs(item.y + item.size / 2 - middle))
        cells: dict[str, str] = {}
        for band, text in zip(ours.columns.bands, row, strict=True):
            cells[band.meaning] = tidy(f"{cells.get(band.meaning, '')} {text}")
        lines.append(replace(line, cells={meaning: text for meaning, text in cells.items() if text}))
    return lines
