"""Reading Excel: is it a workbook we may open, and where on its sheets is the table.

Calamine reads the cells. What it does not tell comes from the workbook's own XML: cells that hold
an Excel error (calamine hands them out empty) and numbers that are shown with leading zeros.
"""

from __future__ import annotations

import copy
import io
import re
import sys
import zipfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import compress
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    SheetMetadata,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from shs_pipeline.casting import ExcelError, match_key
from shs_pipeline.errors import UnreadableFileError
from shs_pipeline.reading import ROW, SHEET, Problem, SourceFile

HEADER_WITHIN = 20
"""Rows of a sheet in which the header is looked for."""
UNPACKED_PER_PACKED_LIMIT = 20
"""A workbook may unpack to this many times the size limit of a file (`SHS_MAX_FILE_MB`)."""
PLAUSIBLE_RATIO = 100
"""A workbook unpacks to 5 to 30 times its size; above this it is a bomb, unless it is small."""
SMALL = 100_000_000
"""Bytes that any workbook may unpack to, however small it is packed."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_CHUNK = 1 << 20
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
# Deflate cannot shrink more than this, so what is packed smaller cannot unpack to more.
_DEFLATE_LIMIT = 1032
# Some programs write each element with a prefix: <x:c r="A1">.
_ERROR_CELL = re.compile(
    rb'<(?:\w+:)?c (?=[^>]*\bt="e")[^>]*\br="([A-Z]+)(\d+)"[^>]*>'
    rb"(?:(?:(?!<(?:/\w+:|/)?c\b).)*?<(?:\w+:)?v>([^<]*)<)?",
    re.DOTALL,
)
_STYLED_NUMBER = re.compile(
    rb'<(?:\w+:)?c (?=[^>]*\br="([A-Z]+)(\d+)")(?=[^>]*\bs="(\d+)")(?![^>]*\bt="[^n])[^>]*>'
)
_ZERO_FORMAT = re.compile(
    rb'<(?:\w+:)?numFmt (?=[^>]*\bnumFmtId="(\d+)")(?=[^>]*\bformatCode="(0{2,})")[^>]*>'
)
_CELL_FORMATS = re.compile(rb"<(?:\w+:)?cellXfs\b.*?</(?:\w+:)?cellXfs>", re.DOTALL)
_CELL_FORMAT = re.compile(rb'<(?:\w+:)?xf\b(?:[^>]*?\bnumFmtId="(\d+)")?')
DAYS_TO_1904 = 1462
"""From the day 0 of most workbooks to that of those that count from 1904."""
_FROM_1904 = re.compile(rb'<(?:\w+:)?workbookPr\b[^>]*\bdate1904="(?:1|true)"')


@dataclass
class Table:
    """The table of a workbook.

    Attributes:
        lines: cells of the rows below the header that are not wholly blank, as delivered with None
            for empty and `ExcelError`, columns named as asked for, with `SHEET` and `ROW` (1-based).
        problems: missing and doubled columns.
        missing: columns asked for that the header does not have; blank in `lines`.
    """

    sheet: str
    header_row: int
    lines: pd.DataFrame
    problems: list[Problem] = field(default_factory=list)
    missing: frozenset[str] = frozenset()


def read_table(
    file: SourceFile,
    columns: Sequence[str],
    *,
    optional: Sequence[str] = (),
    unnamed_first: str | None = None,
) -> Table:
    """Find the header by its names and read the rows below it.

    Args:
        file: an `.xlsx` workbook.
        columns: header names that must be there; compared without case and extra spaces.
        optional: header names that may be missing.
        unnamed_first: what to call the column before the first named one, which has no heading.

    Raises:
        UnreadableFileError: not a workbook, no header, or more than one visible sheet has it.
    """
    book = _open(file)
    with ThreadPoolExecutor(max_workers=1) as beside:
        # Unpacked while Calamine parses: neither holds up the other.
        xml_of = {
            meta.name: beside.submit(_xml_to_mend, file, meta.name)
            for meta in _worksheets(book)
            if meta.visible == SheetVisibleEnum.Visible
        }
        sheet, header_row, header = _find_header(file, book, columns)
    where, problems = _find_columns(sheet.name, header_row, header, columns, optional)
    if unnamed_first is not None:
        before = min(where.values()) - 1
        if before < 0:
            raise UnreadableFileError(
                f"{file.name}: the column without a heading before {header[0]!r} is missing.",
                "Export the report again with all its columns.",
            )
        where = {unnamed_first: before, **where}
    lines = _cells_below(sheet, header_row, where)
    name = sheet.name
    del book, sheet  # Calamine holds the whole workbook, which is needed no more.
    lines = _mend_from_xml(*xml_of[name].result(), name, header_row, lines, where)
    missing = frozenset(columns) - frozenset(where)
    for column in missing:
        lines[column] = pd.Series([None] * len(lines), dtype=object)
    return Table(name, header_row, lines, problems, missing)


def _find_columns(
    sheet: str, header_row: int, header: list[Any], columns: Sequence[str], optional: Sequence[str]
) -> tuple[dict[str, int], list[Problem]]:
    """Return the 0-based position of each column, and what is missing or doubled."""
    wanted = {match_key(name): name for name in (*columns, *optional)}
    where: dict[str, int] = {}
    problems = []
    for position, cell in enumerate(header):
        name = wanted.get(match_key(cell) if isinstance(cell, str) else "")
        if name is not None and name in where:
            problems.append(_doubled(sheet, header_row, name))
        elif name is not None:
            where[name] = position
    problems += [_missing(sheet, header_row, name) for name in columns if name not in where]
    return {name: where[name] for name in (*columns, *optional) if name in where}, problems


def check_is_workbook(file: SourceFile, max_bytes: int) -> None:
    """Check what can be known of a workbook before it is opened.

    Args:
        max_bytes: size limit of a dropped file.

    Raises:
        UnreadableFileError: no workbook, password, macros, or a zip bomb.
    """
    if file.content.startswith(_OLE):
        if _ENCRYPTED in file.content:
            raise UnreadableFileError(
                f"{file.name} is protected with a password.",
                "Open it in Excel, remove the password (File > Info > Protect Workbook) and drop it again.",
            )
        raise UnreadableFileError(
            f"{file.name} is a workbook in the old .xls format.",
            "Save it in Excel as .xlsx and drop it again.",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
            plausible = max(len(file.content) * PLAUSIBLE_RATIO, SMALL)
            _check_archive(file, archive, min(max_bytes * UNPACKED_PER_PACKED_LIMIT, plausible))
    except _ZIP_ERRORS:
        raise _damaged(file) from None


def _check_archive(file: SourceFile, archive: zipfile.ZipFile, limit: int) -> None:
    names = {entry.filename for entry in archive.infolist()}
    if any(name.lower().endswith("vbaproject.bin") for name in names):
        raise UnreadableFileError(
            f"{file.name} contains macros.",
            "Save it in Excel as 'Excel Workbook (.xlsx)', which drops the macros, and drop it again.",
        )
    if "xl/workbook.xml" not in names:
        raise _damaged(file)
    entries = archive.infolist()
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked <= limit < sum(entry.compress_size for entry in entries) * _DEFLATE_LIMIT:
        unpacked = sum(_unpacked_size(archive, entry, limit) for entry in entries)
    if unpacked > limit:
        raise UnreadableFileError(
            f"{file.name} unpacks to more than {limit // 1_000_000} MB, as a zip bomb does.",
            "Save the sheet with the data in a new workbook and drop that.",
        )


def _unpacked_size(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> int:
    size = 0
    honest = copy.copy(entry)
    honest.file_size = sys.maxsize  # The header may lie: Python reads no more than it says, Calamine all.
    with archive.open(honest) as stream:
        while size <= limit and (chunk := stream.read(_CHUNK)):
            size += len(chunk)
    return size


def _damaged(file: SourceFile) -> UnreadableFileError:
    return UnreadableFileError(
        f"{file.name} is not an Excel workbook, or it is damaged.",
        "Open it in Excel, save it as .xlsx and drop it again.",
    )


def _open(file: SourceFile) -> CalamineWorkbook:
    try:
        return CalamineWorkbook.from_filelike(io.BytesIO(file.content))
    except (CalamineError, OSError, ValueError):
        raise _damaged(file) from None


def _worksheets(book: CalamineWorkbook) -> list[SheetMetadata]:
    return [meta for meta in book.sheets_metadata if meta.typ == SheetTypeEnum.WorkSheet]


def _find_header(
    file: SourceFile, book: CalamineWorkbook, columns: Sequence[str]
) -> tuple[CalamineSheet, int, list[Any]]:
    """Return the sheet that has the header, its 1-based row, and the header's cells."""
    wanted = {match_key(name) for name in columns}
    candidates: list[tuple[int, CalamineSheet, int, list[Any]]] = []
    hidden = []
    for meta in _worksheets(book):
        if meta.visible != SheetVisibleEnum.Visible:
            hidden.append(meta.name)
            continue
        sheet = _sheet(file, book, meta.name)
        best: tuple[int, int, list[Any]] = (0, 0, [])
        for number, row in enumerate(sheet.to_python(skip_empty_area=False, nrows=HEADER_WITHIN), start=1):
            found = len(wanted & {match_key(cell) for cell in row if isinstance(cell, str)})
            if found > best[0]:
                best = (found, number, row)
        candidates.append((best[0], sheet, best[1], best[2]))
    top = max((found for found, *_ in candidates), default=0)
    if top < min(2, len(wanted)) or top * 2 < len(wanted):
        raise UnreadableFileError(
            f"{file.name}: no row within the first {HEADER_WITHIN} of a visible sheet holds the column "
            f"names {', '.join(columns)}" + (f" (hidden sheets: {', '.join(hidden)})." if hidden else "."),
            "Check that this is the file of this source, and that the sheet with the data is not hidden.",
        )
    winners = [candidate for candidate in candidates if candidate[0] == top]
    if len(winners) > 1:
        raise UnreadableFileError(
            f"{file.name}: the sheets {' and '.join(repr(found[1].name) for found in winners)} "
            "all hold the table.",
            "Keep the sheet that counts and delete or hide the others.",
        )
    _, sheet, header_row, header = winners[0]
    return sheet, header_row, header


def _sheet(file: SourceFile, book: CalamineWorkbook, name: str) -> CalamineSheet:
    try:
        return book.get_sheet_by_name(name)
    except (CalamineError, ValueError):
        raise _damaged(file) from None


def _cells_below(sheet: CalamineSheet, header_row: int, where: dict[str, int]) -> pd.DataFrame:
    """Return the wanted cells of the rows below the header; rows blank in all of them are left out."""
    rows = sheet.to_python(skip_empty_area=False)[header_row:]
    numbers: Sequence[int] = range(header_row + 1, header_row + 1 + len(rows))
    blank: Sequence[int] = range(len(rows))
    # The amounts stand last and are hardly ever blank, so few rows are left to look at after them.
    for position in reversed(where.values()):
        blank = [index for index in blank if _is_blank(rows[index][position])]
    if blank:
        is_kept = [True] * len(rows)
        for index in blank:
            is_kept[index] = False
        rows, numbers = list(compress(rows, is_kept)), list(compress(numbers, is_kept))
    columns = list(zip(*rows, strict=True))
    del rows
    table = {name: _with_none(columns[position] if columns else ()) for name, position in where.items()}
    lines = pd.DataFrame(table, index=pd.RangeIndex(len(numbers)), dtype=object, copy=False)
    lines.insert(0, SHEET, sheet.name)
    lines.insert(1, ROW, numbers)
    return lines


def _with_none(cells: Sequence[Any]) -> np.ndarray:
    """Return (n,) the cells with None for empty, dtype object."""
    found = ((cell or None) if type(cell) is str else cell for cell in cells)
    return np.fromiter(found, dtype=object, count=len(cells))


def _is_blank(cell: object) -> bool:
    return cell == "" or (isinstance(cell, str) and cell.isspace())


def _missing(sheet: str, row: int, name: str) -> Problem:
    return Problem(
        problem=f"The column {name} is missing.",
        remedy=f"Add the column {name} to the header row, or export the report again with it.",
        sheet=sheet,
        row=row,
        column=name,
    )


def _doubled(sheet: str, row: int, name: str) -> Problem:
    return Problem(
        problem=f"The column {name} stands twice in the header.",
        remedy="Delete or rename the one that does not belong to the report.",
        sheet=sheet,
        row=row,
        column=name,
    )


def _xml_to_mend(file: SourceFile, sheet: str) -> tuple[bytes, dict[int, int]]:
    """Return a sheet's XML, empty where Calamine has told all; and the styles that show zeros."""
    try:
        with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
            widths = _zero_padded_styles(archive)
            xml = archive.read(_sheet_path(archive, sheet))
    except (*_ZIP_ERRORS, KeyError, ElementTree.ParseError):
        raise _damaged(file) from None
    return (xml if widths or b't="e"' in xml else b""), widths


def _mend_from_xml(
    xml: bytes,
    widths: dict[int, int],
    sheet: str,
    header_row: int,
    lines: pd.DataFrame,
    where: dict[str, int],
) -> pd.DataFrame:
    """Return the lines with the Excel errors in them, and with the zeros that numbers are shown with."""
    names = {position: name for name, position in where.items()}
    if b't="e"' in xml:
        found = (
            (int(row), names.get(_column_number(letters)), ExcelError(code.decode() or "of a formula"))
            for letters, row, code in _ERROR_CELL.findall(xml)
        )
        errors = [(row, name, error) for row, name, error in found if name is not None and row > header_row]
        lines = _with_rows(lines, sheet, {row for row, *_ in errors})
        index_of = {number: index for index, number in enumerate(lines[ROW])}
        for row, name, error in errors:
            lines.at[index_of[row], name] = error
    if widths:
        _pad_numbers(xml, lines, names, widths)
    return lines


def _with_rows(lines: pd.DataFrame, sheet: str, rows: set[int]) -> pd.DataFrame:
    """Return the lines with these rows too: what holds nothing but errors came as a blank row."""
    absent = sorted(rows.difference(lines[ROW]))
    if not absent:
        return lines
    blank = pd.DataFrame([[None] * len(lines.columns)] * len(absent), columns=lines.columns, dtype=object)
    blank[SHEET], blank[ROW] = sheet, absent
    return pd.concat([lines, blank]).sort_values(ROW, ignore_index=True)


def _pad_numbers(xml: bytes, lines: pd.DataFrame, names: dict[int, str], widths: dict[int, int]) -> None:
    index_of = {number: index for index, number in enumerate(lines[ROW])}
    for letters, row, style in _STYLED_NUMBER.findall(xml):
        name, index = names.get(_column_number(letters)), index_of.get(int(row))
        if name is not None and index is not None and (width := widths.get(int(style))):
            cell = lines.at[index, name]
            if isinstance(cell, (int, float)) and float(cell).is_integer():
                lines.at[index, name] = str(int(cell)).zfill(width)


def counts_days_from_1904(file: SourceFile) -> bool:
    """Whether day numbers count from 1904, as in workbooks of old Macs.

    Calamine knows it of cells with a date format, but not of a day that is left as a plain number.
    """
    with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
        return bool(_FROM_1904.search(archive.read("xl/workbook.xml")))


def _zero_padded_styles(archive: zipfile.ZipFile) -> dict[int, int]:
    """Return the width of each cell style that shows numbers with leading zeros."""
    if "xl/styles.xml" not in archive.namelist():
        return {}
    styles = archive.read("xl/styles.xml")
    widths = {int(number): len(code) for number, code in _ZERO_FORMAT.findall(styles)}
    formats = _CELL_FORMATS.search(styles)
    if not widths or formats is None:
        return {}
    numbers = [int(number or 0) for number in _CELL_FORMAT.findall(formats.group(0))]
    return {style: widths[number] for style, number in enumerate(numbers) if number in widths}


def _sheet_path(archive: zipfile.ZipFile, sheet: str) -> str:
    """Return where in the archive the XML of a sheet lies."""
    # Expat itself stops entities that blow up.
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314
    links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    targets = {entry.get("Id"): entry.get("Target", "") for entry in links}
    # By local name: Excel has two sets of namespaces (Transitional and Strict).
    for entry in book.iter():
        if entry.tag.endswith("}sheet") and entry.get("name") == sheet:
            link = next(value for name, value in entry.items() if name.endswith("}id"))
            return targets[link].lstrip("/") if targets[link].startswith("/") else f"xl/{targets[link]}"
    raise KeyError(sheet)


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1
