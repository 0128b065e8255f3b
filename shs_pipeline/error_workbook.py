"""The workbook that tells an admin what is wrong: the dropped one, its bad cells marked, and a list.

Where the dropped file cannot be copied (a PDF, a damaged or an outsized workbook), the list stands
alone. The same file and problems give the same bytes, so that a rerun changes nothing in the store.
"""

from __future__ import annotations

import io
import logging
import math
import re
import shutil
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from copy import copy
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shs_pipeline.casting import is_blank
from shs_pipeline.errors import ShsError
from shs_pipeline.reading import Problem, SourceFile
from shs_pipeline.workbook import HEADER_WITHIN, HeaderNames, merged_area

if TYPE_CHECKING:
    import os

    from openpyxl.cell.cell import Cell
    from openpyxl.workbook.workbook import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

UNPACKED_LIMIT = 120_000_000
"""Bytes that a workbook may unpack to for a copy to be made.

openpyxl takes ten times as much memory and a second per MB: 100,000 rows of 20 cells are 100 MB.
"""
LISTED = 100_000
"""Problems that are listed; nobody reads more, and each costs memory."""
COMMENTED = 5_000
"""Cells that get a comment; more make Excel slow. All cells of listed problems are coloured."""

HEADINGS = ("Severity", "Sheet", "Row", "Column", "Cell", "Value", "What is wrong", "How to fix it")
# What the last column was called before: marked copies of then may still be dropped.
_OLDER_LAST = "How to mend it"

_WIDTHS = (10, 20, 8, 24, 9, 28, 56, 64)
_HEADING_ROW = 5
_LINKED = 60_000  # A sheet of Excel holds 65,530 hyperlinks.
_COMMENT_LENGTH = 2_000
_NOTE_LENGTH = 32_000  # Excel's limit of a comment is 32,767 characters.
_EXPANDED_LIMIT = 1_000_000
_CHUNK = 1 << 20
_FILL = {"error": "FFFF9C9C", "warning": "FFFFE08A"}
_MARK = "— File check —"
_LONG_AGO = datetime(2000, 1, 1)  # noqa: DTZ001 (openpyxl takes no time zone)
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\n")
_SHAPE_ID = re.compile(rb'\bid="_x0000_s\d+"')
_ID_MAP = re.compile(rb'(idmap\b[^>]*\bdata=)"1"')

_log = logging.getLogger(__name__)


class Place(NamedTuple):
    """The cell that a problem is shown at."""

    sheet: str
    row: int
    column: int


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
            note = "The file could not be copied with marks, so this list stands alone."
    return _list_alone(name, problems[:LISTED], len(problems) - LISTED, note)


def _marked_copy(
    name: str, content: bytes, problems: Sequence[Problem], unlisted: int, columns: Sequence[str]
) -> bytes:
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl says what it does not keep, such as form controls.
        book = openpyxl.load_workbook(io.BytesIO(content), rich_text=True)
        _remove_earlier_marks(book)
        places = _find_places(book, problems, columns)
        uncommented = _mark_cells(book, problems, places)
        page = book.create_sheet("Errors", 0)
        notes = ["Cells with an error are red, cells with a warning yellow, and a comment says why."]
        if uncommented:
            total = COMMENTED + uncommented
            notes.append(f"Only the first {COMMENTED:,} of {total:,} cells have a comment; all are coloured.")
        _write_list(page, name, list(zip(problems, places, strict=True)), unlisted, notes)
        _show_first(book)
        return _bytes_of(book)


def _list_alone(name: str, problems: Sequence[Problem], unlisted: int, note: str) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    page = book.active
    page.title = "Errors"
    found = [(problem, None) for problem in problems]
    _write_list(page, name, found, unlisted, [note] if note else [])
    return _bytes_of(book)


# --- May it be opened ------------------------------------------------------------------------------


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
                while chunk := stream.read(_CHUNK):
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


# --- Where the bad cells are -----------------------------------------------------------------------


class _Sheet:
    """Where on one sheet the columns are.

    Args:
        names: columns that the header is found by.
        last_row: the header is not below this row.
        is_whole: whether `names` is all columns of the contract.
    """

    def __init__(self, page: Worksheet, names: HeaderNames, last_row: int, is_whole: bool) -> None:
        self.page = page
        self._merged = {
            (row, column): (merged.min_row, merged.min_col)
            for merged in page.merged_cells.ranges
            for row in range(merged.min_row, merged.max_row + 1)
            for column in range(merged.min_col, merged.max_col + 1)
        }
        self._first_filled: dict[int, int] = {}
        head: list[dict[int, str]] = [{} for _ in range(min(HEADER_WITHIN, last_row))]
        # Not `iter_rows`, which makes every cell between the first and a far one.
        for (row, column), cell in page._cells.items():
            if not is_blank(cell.value):
                self._first_filled[row] = min(column, self._first_filled.get(row, column))
                if row <= len(head) and cell.data_type == "s":
                    head[row - 1][column] = str(cell.value)
        width = max((max(row, default=0) for row in head), default=0)
        rows = [[row.get(column) for column in range(1, width + 1)] for row in head]
        header = names.find(rows, rows)
        self.header_row = header.row
        self.columns = {name: position + 1 for name, position in header.where.items()}
        self._unnamed = self._column_without_name() if is_whole else None

    def find(self, row: int, column: str | None) -> Place:
        """Return the cell, or what stands for it: the first of a merged range, of a row, of the header."""
        position = self.columns.get(column) if column else None
        if position is None and column and row != self.header_row:
            position = self._unnamed
        if position is None:
            position = self.first_filled(row)
        return Place(self.page.title, *self._merged.get((row, position), (row, position)))

    def first_filled(self, row: int) -> int:
        """Return the position of the first cell of a row that holds something, else 1."""
        return self._first_filled.get(row, 1)

    def _column_without_name(self) -> int | None:
        """Return the position of a column without heading before the first named one."""
        before = min(self.columns.values(), default=1) - 1
        if before and is_blank(self.page.cell(self.header_row, before).value):
            return before
        return None


def _find_places(book: Workbook, problems: Sequence[Problem], columns: Sequence[str]) -> list[Place | None]:
    """Return the cell of each problem, None where it names no cell of the workbook."""
    pages = {page.title: page for page in book.worksheets}
    by_sheet: dict[str, list[Problem]] = {}
    for problem in problems:
        if problem.sheet is not None and problem.sheet in pages and _is_row(problem.row):
            by_sheet.setdefault(problem.sheet, []).append(problem)
    sheets = {}
    for title, found in by_sheet.items():
        named = columns or [problem.column for problem in found if problem.column]
        last_row = min(problem.row for problem in found if problem.row)
        sheets[title] = _Sheet(pages[title], HeaderNames([*dict.fromkeys(named)]), last_row, bool(columns))
    return [
        sheets[problem.sheet].find(problem.row, problem.column)
        if problem.sheet in sheets and problem.row and _is_row(problem.row)
        else None
        for problem in problems
    ]


def _is_row(row: int | None) -> bool:
    return row is not None and 1 <= row <= 1_048_576


# --- Marks -----------------------------------------------------------------------------------------


def _mark_cells(book: Workbook, problems: Sequence[Problem], places: Sequence[Place | None]) -> int:
    """Colour every bad cell and comment the first ones; return how many got no comment."""
    at: dict[Place, list[Problem]] = {}
    for problem, place in zip(problems, places, strict=True):
        if place is not None:
            at.setdefault(place, []).append(problem)
    for number, (place, found) in enumerate(at.items()):
        cell = book[place.sheet].cell(place.row, place.column)
        is_error = any(problem.severity == "error" for problem in found)
        cell.fill = _fill("error" if is_error else "warning")
        if number < COMMENTED:
            _comment(cell, found)
    return max(len(at) - COMMENTED, 0)


@cache
def _fill(severity: str) -> Any:
    from openpyxl.styles import PatternFill

    return PatternFill("solid", fgColor=_FILL[severity])


def _comment(cell: Cell, problems: Sequence[Problem]) -> None:
    """Say in a comment what is wrong with a cell, below what the comment says already."""
    from openpyxl.comments import Comment

    lines = [
        # The column is named because a missing one is shown at a cell that is not its own.
        f"{found.severity.capitalize()} in {found.column or 'this row'}: {found.problem} {found.remedy}"
        for found in problems
    ]
    text = f"{_MARK}\n" + "\n".join(_plain(line) for line in lines)
    if len(text) > _COMMENT_LENGTH:
        text = text[:_COMMENT_LENGTH] + "… The sheet Errors says it all."
    author = "File check"
    if cell.comment is not None:
        author = cell.comment.author
        text = f"{cell.comment.text[: _NOTE_LENGTH - len(text)]}\n{text}"
    height = 24 + 18 * sum(math.ceil((len(line) or 1) / 52) for line in text.split("\n"))
    cell.comment = Comment(text, author, height=min(height, 420), width=360)


def _remove_earlier_marks(book: Workbook) -> None:
    """Take our marks out of a marked copy that was corrected and dropped as it is.

    What colour a cell had before is not known any more: it gets none.
    """
    first = book.worksheets[0]
    heading = tuple(first.cell(_HEADING_ROW, column).value for column in range(1, len(HEADINGS) + 1))
    if heading not in (HEADINGS, (*HEADINGS[:-1], _OLDER_LAST)):
        return
    from openpyxl.comments import Comment
    from openpyxl.styles import PatternFill

    book.remove(first)
    for page in book.worksheets:
        # Not `iter_rows`, which makes every cell between the first and a far one.
        for cell in page._cells.values():
            if cell.fill.fill_type == "solid" and cell.fill.fgColor.rgb in _FILL.values():
                cell.fill = PatternFill()
            if cell.comment is not None and _MARK in cell.comment.text:
                before, author = cell.comment.text.split(_MARK)[0].rstrip(), cell.comment.author
                cell.comment = None
                cell.comment = Comment(before, author) if before else None


# --- The list --------------------------------------------------------------------------------------


def _write_list(
    page: Worksheet,
    name: str,
    found: Sequence[tuple[Problem, Place | None]],
    unlisted: int,
    notes: Sequence[str],
) -> None:
    styles = _styles(page)
    problems = [problem for problem, _ in found]
    if unlisted > 0:
        notes = [*notes, f"{unlisted:,} more problems are not listed: fix these first."]
    summary = _summary(problems, unlisted)
    for row, (text, style) in enumerate(
        ((f"Errors in {name}", "title"), (summary, "text"), (" ".join(notes), "text")), start=1
    ):
        page.merge_cells(start_row=row, end_row=row, start_column=1, end_column=len(HEADINGS))
        _put(page.cell(row, 1), text, styles[style], styles[style])
        lines = math.ceil((len(text) or 1) / (0.8 * sum(_WIDTHS)))
        page.row_dimensions[row].height = (22 if row == 1 else 16) * lines
    for column, heading in enumerate(HEADINGS, start=1):
        _put(page.cell(_HEADING_ROW, column), heading, styles["heading"], styles["heading"])
    for row, (problem, place) in enumerate(found, start=_HEADING_ROW + 1):
        _write_problem(page, row, problem, place, styles)
    _lay_out(page, _HEADING_ROW + len(problems))


def _write_problem(
    page: Worksheet, row: int, problem: Problem, place: Place | None, styles: Mapping[str, Any]
) -> None:
    from openpyxl.utils import get_column_letter, quote_sheetname
    from openpyxl.worksheet.hyperlink import Hyperlink

    coordinate = f"{get_column_letter(place.column)}{place.row}" if place else None
    texts = (
        problem.severity.capitalize(),
        problem.sheet,
        problem.row,
        problem.column,
        coordinate,
        problem.value,
        problem.problem,
        problem.remedy,
    )
    for column, text in enumerate(texts, start=1):
        cell = page.cell(row, column)
        if isinstance(text, int):
            cell.value, cell._style = text, styles["text"]
        else:
            _put(cell, text, styles["text"], styles["quoted"])
    page.cell(row, 1)._style = styles[problem.severity]
    if place is not None and row - _HEADING_ROW <= _LINKED:
        cell = page.cell(row, 5)
        cell._style = styles["link"]
        cell.hyperlink = Hyperlink(ref="", location=f"{quote_sheetname(place.sheet)}!{coordinate}")


def _put(cell: Cell, text: str | None, style: Any, quoted: Any) -> None:
    """Write text as text, whatever it begins with: never as a formula, a number or an Excel error."""
    plain = _plain(text) if text else None
    cell.value = plain
    if plain:
        cell.data_type = "s"
    cell._style = quoted if plain and plain.startswith(_FORMULA_STARTS) else style


def _plain(text: str) -> str:
    """Return text that XML can hold and Excel shows as it is."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _ESCAPE.sub("_x005F_", _ILLEGAL.sub("\ufffd", text))


def _styles(page: Worksheet) -> dict[str, Any]:
    """Return the cell styles of the list, made once because a style costs far more than a cell."""
    from openpyxl.cell.cell import Cell
    from openpyxl.styles import Alignment, Font

    made = {}
    for name in ("text", "quoted", "title", "heading", "link", "error", "warning"):
        cell = Cell(page, row=1, column=1)
        cell.alignment = Alignment(wrap_text=True, vertical="center" if name == "heading" else "top")
        if name in _FILL:
            cell.fill = _fill(name)
        if name in ("title", "heading"):
            cell.font = Font(bold=True, size=14 if name == "title" else 11)
        if name == "link":
            cell.font = Font(color="FF0563C1", underline="single")
        cell.quotePrefix = name == "quoted"
        made[name] = copy(cell._style)
    return made


def _summary(problems: Sequence[Problem], unlisted: int) -> str:
    errors = sum(problem.severity == "error" for problem in problems)
    warned = len(problems) - errors
    counts = [
        f"{count:,} {what}{'' if count == 1 else 's'}"
        for count, what in ((errors, "error"), (warned, "warning"))
        if count or (what == "error" and not warned)
    ]
    first = "Among the first problems: " if unlisted > 0 else ""
    if not errors:
        return f"{first}{' and '.join(counts)}. A warning keeps no row out."
    return (
        f"{first}{' and '.join(counts)}. No row of this file counts until every error is fixed: "
        "correct the file and drop it again over the old one."
    )


def _lay_out(page: Worksheet, last_row: int) -> None:
    from openpyxl.utils import get_column_letter

    for column, width in enumerate(_WIDTHS, start=1):
        page.column_dimensions[get_column_letter(column)].width = width
    page.freeze_panes = page.cell(_HEADING_ROW + 1, 1)
    page.auto_filter.ref = f"A{_HEADING_ROW}:{get_column_letter(len(HEADINGS))}{last_row}"
    page.sheet_properties.tabColor = "FFC00000"
    page.print_title_rows = f"{_HEADING_ROW}:{_HEADING_ROW}"
    page.page_setup.orientation = "landscape"
    page.page_setup.fitToHeight = 0
    page.sheet_properties.pageSetUpPr.fitToPage = True


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


# --- Bytes -----------------------------------------------------------------------------------------


class _Archive(zipfile.ZipFile):
    """A zip without the time of writing, whose comment boxes have numbers that Excel accepts."""

    _shape_block = 1

    def writestr(
        self,
        zinfo_or_arcname: str | zipfile.ZipInfo,
        data: str | bytes,  # type: ignore[override]
        compress_type: int | None = None,
        compresslevel: int | None = None,
    ) -> None:
        """Write a member with a fixed time."""
        name = zinfo_or_arcname if isinstance(zinfo_or_arcname, str) else zinfo_or_arcname.filename
        if name.endswith(".vml"):
            data = self._number_shapes(data if isinstance(data, bytes) else data.encode())
        super().writestr(_member(name), data, compress_type, compresslevel)

    def write(
        self,
        filename: str | os.PathLike[str],
        arcname: str | os.PathLike[str] | None = None,
        compress_type: int | None = None,
        compresslevel: int | None = None,
    ) -> None:
        """Write a file with a fixed time."""
        with Path(filename).open("rb") as source, self.open(_member(str(arcname)), "w") as target:
            shutil.copyfileobj(source, target, _CHUNK)

    def _number_shapes(self, vml: bytes) -> bytes:
        """Number the boxes of one sheet in blocks of 1,024 that no other sheet uses.

        openpyxl numbers each sheet's boxes from the first block on, however many there are, which
        Excel may take for damage.
        """
        count = len(_SHAPE_ID.findall(vml))
        blocks = range(self._shape_block, self._shape_block + math.ceil(count / 1023))
        self._shape_block = blocks.stop
        numbers = iter([block * 1024 + place for block in blocks for place in range(1, 1024)])
        vml = _SHAPE_ID.sub(lambda _: b'id="_x0000_s%d"' % next(numbers), vml)
        return _ID_MAP.sub(rb'\1"%s"' % ",".join(map(str, blocks)).encode(), vml)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3
    member.external_attr = 0o600 << 16
    return member


def _bytes_of(book: Workbook) -> bytes:
    from openpyxl.writer.excel import ExcelWriter

    # Not `book.save`, which writes the time of saving.
    book.properties.created = book.properties.modified = _LONG_AGO
    target = io.BytesIO()
    with _Archive(target, "w", zipfile.ZIP_DEFLATED) as archive:
        ExcelWriter(book, archive).write_data()
    return target.getvalue()
