"""The error workbook: the dropped workbook with its bad cells marked, and a list of the problems.

If the dropped file cannot be copied (a PDF, a damaged or oversized workbook), there is only the list. The
same file and problems give the same bytes, so a rerun changes nothing in the store.
"""

from __future__ import annotations

import io
import logging
import warnings
import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.file_reader.error_list import write_list
from shs_pipeline.file_reader.error_marks import mark_cells, remove_earlier_marks
from shs_pipeline.file_reader.error_places import find_places
from shs_pipeline.file_reader.same_bytes import CHUNK, bytes_of
from shs_pipeline.files.reading import Problem, SourceFile
from shs_pipeline.files.workbook.cells import merged_area

if TYPE_CHECKING:
    from openpyxl.workbook.workbook import Workbook

UNPACKED_LIMIT = 120_000_000
"""Bytes that a workbook may unpack to for a copy to be made.

openpyxl takes ten times as much memory and a second per MB: 100,000 rows of 20 cells are 100 MB.
"""
LISTED = 100_000
"""How many problems are listed; nobody reads more, and each one costs memory."""
_EXPANDED_LIMIT = 1_000_000
_log = logging.getLogger(__name__)


class _NoCopyError(ShsError):
    """The dropped workbook cannot be copied, for a reason that the list names."""


def write_error_workbook(
    name: str,
    content: bytes,
    problems: Sequence[Problem],
    *,
    columns: Sequence[str] = (),
    max_unpacked: int = UNPACKED_LIMIT,
) -> bytes:
    """Return the `.xlsx` that lists the problems and, where it can, shows them in a copy of the file.

    Args:
        name: the file's name or path, for the heading.
        content: the file as dropped; anything, also no workbook at all.
        problems: what is wrong, in the order in which it is listed.
        columns: column names of the contract, by which the header is found; without them it is the
            row that holds the most of the columns that the problems name.
        max_unpacked: bytes that a workbook may unpack to; of a larger one no copy is made.

    Returns:
        The workbook's bytes, the same for the same arguments. There always is one: whatever the
        file is, the list is written.
    """
    note = ""
    if content.startswith(b"PK") and any(problem.sheet and problem.row for problem in problems):
        try:
            _check_unpacked(content, max_unpacked)
            return _marked_copy(name, content, problems[:LISTED], len(problems) - LISTED, columns)
        except _NoCopyError as error:
            note = str(error)
        # A damaged or odd workbook makes openpyxl raise nearly anything (KeyError, TypeError,
        # ParseError, zlib.error …), and the list must be written all the same.
        except Exception as error:  # noqa: BLE001
            _log.warning("No marked copy of %s: %s: %s", name, type(error).__name__, error)
            note = "The file could not be copied and marked, so there is only this list."
    return _list_alone(name, problems[:LISTED], len(problems) - LISTED, note)


def _marked_copy(
    name: str, content: bytes, problems: Sequence[Problem], unlisted: int, columns: Sequence[str]
) -> bytes:
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl says what it does not keep, such as form controls.
        book = openpyxl.load_workbook(io.BytesIO(content), rich_text=True)
        remove_earlier_marks(book)
        places = find_places(book, problems, columns)
        notes = mark_cells(book, problems, places)
        page = book.create_sheet("Errors", 0)
        write_list(page, name, list(zip(problems, places, strict=True)), unlisted, notes)
        _show_first(book)
        return bytes_of(book)


def _list_alone(name: str, problems: Sequence[Problem], unlisted: int, note: str) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    page = book.active
    page.title = "Errors"
    found = [(problem, None) for problem in problems]
    write_list(page, name, found, unlisted, [note] if note else [])
    return bytes_of(book)


def _check_unpacked(content: bytes, limit: int) -> None:
    """Unpack once, piece by piece, without trusting the sizes that the archive states.

    Raises:
        _NoCopyError: it unpacks to more than `limit`, or merges or links more cells than openpyxl,
            which makes an object of each, can hold.
    """
    unpacked = 0
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as stream:
                while chunk := stream.read(CHUNK):
                    unpacked += len(chunk)
                    if unpacked > limit:
                        raise _NoCopyError(
                            f"The file unpacks to over {limit / 1e6:,.0f} MB, so no marked copy was made.",
                            "Find the cells by sheet, row and column.",
                        )
    if merged_area(SourceFile("", content)) > _EXPANDED_LIMIT:
        raise _NoCopyError(
            f"The file merges or links over {_EXPANDED_LIMIT:,} cells, so no marked copy was made.",
            "Find the cells by sheet, row and column.",
        )


def _show_first(book: Workbook) -> None:
    """Open the workbook at its first sheet, and there alone: Excel edits all selected sheets at once."""
    book.active = 0
    for page in book.worksheets:
        for view in page.views.sheetView:
            view.tabSelected = page is book.worksheets[0]
    for chart in book.chartsheets:
        for view in chart.sheetViews.sheetView:
            view.tabSelected = False
    for window in book.views:
        window.firstSheet = window.activeTab = 0
