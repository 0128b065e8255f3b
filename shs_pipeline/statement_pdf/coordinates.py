"""The coordinate reader: characters as they were drawn, divided into columns by their position.

It takes the text objects of the page as pdfium holds them. A cell is drawn in one go (or word by
word, each starting where the last one ended), so a client name that runs over the invoice number
stays one text although their characters lie on top of each other.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from shs_pipeline.errors import UnreadableFileError
from shs_pipeline.statement_pdf.columns import Columns, cells_of_line
from shs_pipeline.statement_pdf.printed import CellLine, PrintedLine, PrintedPage, Run

if TYPE_CHECKING:
    import pypdfium2

# pdfium keeps global state: two threads inside it at once crash the process.
PDFIUM_LOCK = threading.Lock()

_SAME_BASELINE = 0.25  # of the font size
_WIDE_GAP = 1.0  # of the font size: more than a space inside one text object parts two cells
# pdfium marks a hyphen at the end of a line with these.
_HYPHENS = {0x02: "-", 0xFFFE: "-", 0xAD: "-"}


def read_pages(content: bytes, name: str) -> list[PrintedPage]:
    """Read the text of every page.

    Args:
        content: bytes of a PDF.
        name: file name, for messages.

    Raises:
        UnreadableFileError: not a PDF, damaged, locked with a password, or without a page.
    """
    import pypdfium2

    with PDFIUM_LOCK:
        try:
            document = pypdfium2.PdfDocument(content)
        except pypdfium2.PdfiumError as error:
            raise _unreadable(name, error) from None
        try:
            pages = [_read_page(document, index, name) for index in range(len(document))]
        finally:
            document.close()
    if not pages:
        raise UnreadableFileError(f"{name} holds no page.", "Ask the supplier for the statement again.")
    return pages


def read_cells(pages: list[PrintedPage], columns: dict[int, Columns]) -> list[CellLine]:
    """Divide the lines below each page's heading into cells.

    Args:
        pages: as `read_pages` gives them.
        columns: page number to its columns; a page without an entry is skipped.
    """
    return [
        CellLine(page.number, line.number, cells_of_line(line, columns[page.number]))
        for page in pages
        if page.number in columns
        for line in page.lines[columns[page.number].first_line :]
    ]


def _unreadable(name: str, error: Exception) -> UnreadableFileError:
    if "password" in str(error).lower():
        return UnreadableFileError(
            f"{name} is locked with a password.", "Save it without a password and drop it again."
        )
    return UnreadableFileError(
        f"{name} is not a PDF, or it is damaged.", "Ask the supplier for the statement again as a PDF."
    )


def _read_page(document: pypdfium2.PdfDocument, index: int, name: str) -> PrintedPage:
    import pypdfium2

    try:
        page = document[index]
    except pypdfium2.PdfiumError as error:
        raise _unreadable(name, error) from None
    text_page = page.get_textpage()
    try:
        to_shown = _as_shown(page)
        runs = list(_runs(text_page.raw, to_shown))
        # Only a page without text is asked for pictures: the walk over its objects costs time.
        has_picture = not runs and any(
            item.type == pypdfium2.raw.FPDF_PAGEOBJ_IMAGE for item in page.get_objects()
        )
        width, height = page.get_size()
    finally:
        text_page.close()
        page.close()
    return PrintedPage(index + 1, width, height, _lines(runs), has_picture)


def _as_shown(page: pypdfium2.PdfPage) -> Callable[[float, float], tuple[float, float]]:
    """From the page's own space to the page as it is shown: lower left corner 0, rotation applied."""
    left, bottom, right, top = page.get_mediabox()
    turns: dict[int, Callable[[float, float], tuple[float, float]]] = {
        0: lambda x, y: (x - left, y - bottom),
        90: lambda x, y: (y - bottom, right - x),
        180: lambda x, y: (right - x, top - y),
        270: lambda x, y: (top - y, x - left),
    }
    return turns[page.get_rotation()]


def _characters(text_page: Any) -> Iterator[tuple[int, int, str, float, float]]:
    """(index, text object, character, x, y of the origin) in the order of the page's content."""
    from pypdfium2 import raw

    # The declared result type makes a pointer object of every character: three times slower.
    object_of = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)(
        ctypes.cast(raw.FPDFText_GetTextObject, ctypes.c_void_p).value or 0
    )
    address = ctypes.cast(text_page, ctypes.c_void_p)
    x, y = ctypes.c_double(), ctypes.c_double()
    for index in range(raw.FPDFText_CountChars(text_page)):
        owner = object_of(address, index)
        if not owner:  # made up by pdfium: a space or line end that is not in the file
            continue
        raw.FPDFText_GetCharOrigin(text_page, index, x, y)
        code = raw.FPDFText_GetUnicode(text_page, index)
        yield index, owner, _HYPHENS.get(code) or chr(code), x.value, y.value


def _runs(text_page: Any, to_shown: Callable[[float, float], tuple[float, float]]) -> Iterator[Run]:
    order = 0
    for _, owned in groupby(_characters(text_page), key=lambda character: character[1]):
        characters = [(index, char, *to_shown(x, y)) for index, _, char, x, y in owned]
        right, size = _right_edge(text_page, characters[-1][0], to_shown)
        for piece in _pieces(characters, size):
            end = right if piece[-1] is characters[-1] else piece[-1][2] + size / 2
            run = _run(piece, end, size, order)
            if run is not None:
                yield run
                order += 1


def _right_edge(
    text_page: Any, index: int, to_shown: Callable[[float, float], tuple[float, float]]
) -> tuple[float, float]:
    """Right edge and height of one character's box."""
    from pypdfium2 import raw

    box = raw.FS_RECTF()
    raw.FPDFText_GetLooseCharBox(text_page, index, box)
    (x_a, y_a), (x_b, y_b) = to_shown(box.left, box.bottom), to_shown(box.right, box.top)
    return max(x_a, x_b), max(abs(y_a - y_b), 1.0)


def _pieces(
    characters: list[tuple[int, str, float, float]], size: float
) -> Iterator[list[tuple[int, str, float, float]]]:
    """One text object in parts, where it holds a whole line: parted at wide gaps and line changes."""
    piece = [characters[0]]
    for before, after in pairwise(characters):
        is_new_line = abs(after[3] - before[3]) > _SAME_BASELINE * size
        is_gap = before[1].isspace() and after[2] - before[2] > _WIDE_GAP * size
        if is_new_line or is_gap:
            yield piece
            piece = []
        piece.append(after)
    yield piece


def _run(piece: list[tuple[int, str, float, float]], right: float, size: float, order: int) -> Run | None:
    first = next((i for i, item in enumerate(piece) if item[1].strip()), None)
    if first is None:
        return None
    last = max(i for i, item in enumerate(piece) if item[1].strip())
    kept = piece[first : last + 1]
    return Run(
        text="".join(item[1] for item in kept),
        x0=kept[0][2],
        x1=right if last == len(piece) - 1 else piece[last + 1][2],
        y=kept[0][3],
        size=size,
        order=order,
        starts=tuple(item[2] for item in kept),
    )


def _lines(runs: list[Run]) -> tuple[PrintedLine, ...]:
    """Runs on one baseline are one line; lines go from the top of the page down."""
    rows: list[list[Run]] = []
    for run in sorted(runs, key=lambda item: -item.y):
        if rows and abs(rows[-1][0].y - run.y) <= _SAME_BASELINE * run.size:
            rows[-1].append(run)
        else:
            rows.append([run])
    return tuple(
        PrintedLine(number, row[0].y, tuple(sorted(row, key=lambda item: (item.x0, item.order))))
        for number, row in enumerate(rows, start=1)
    )
