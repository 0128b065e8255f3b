"""The characters of each page as a person sees them: where each is, and in which order they were drawn.

They are taken from the text objects of the page as pdfium holds them. What a person does not see as
part of the table is set aside: slanted, invisible, white on white, or outside of the page.
"""

from __future__ import annotations

import ctypes
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shs_pipeline.base.errors import UnreadableFileError
from shs_pipeline.supplier_pdf.page_lines import Glyph, lines_of
from shs_pipeline.supplier_pdf.printed import PrintedPage

if TYPE_CHECKING:
    import pypdfium2

# pdfium keeps global state: two threads inside it at once crash the process.
PDFIUM_LOCK = threading.Lock()

SEND_PIVOT = (
    "Drop the same month's pivot export (.xlsx) instead, into "
    "incoming/summit_medical/<YYYY-MM>/rev=<YYYY-MM>/, and tell whoever runs the system."
)

_SLANT = 3  # degrees: more than this off a right angle is slanted
_PALE = 0.8  # lightness from which text is not seen on white
_DARK = 0.6  # lightness up to which an area makes pale text readable
_INVISIBLE_MODES = {3, 7}  # PDF's text rendering modes that paint nothing
# pdfium marks a hyphen at the end of a line with these.
_SPELT = {0x02: "-", 0xFFFE: "-", 0xAD: "-", 0xA0: " ", 0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl"} | {
    0xFB03: "ffi",
    0xFB04: "ffl",
}
_UNNAMED = {0x00, 0xFFFD}
_DEEPEST = 5  # forms within forms

Box = tuple[float, float, float, float]  # left, bottom, right, top


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
        raise UnreadableFileError(f"{name} has no pages.", SEND_PIVOT)
    return pages


def _unreadable(name: str, error: Exception) -> UnreadableFileError:
    if "password" in str(error).lower():
        return UnreadableFileError(
            f"{name} is protected with a password.",
            "Open it, print or save it as a PDF without a password, and drop that.",
        )
    return UnreadableFileError(
        f"{name} is not a PDF, or is damaged.",
        f"Download the statement again and drop it. {SEND_PIVOT}",
    )


def _read_page(document: pypdfium2.PdfDocument, index: int, name: str) -> PrintedPage:
    import pypdfium2

    try:
        page = document[index]
        text_page = page.get_textpage()
    except pypdfium2.PdfiumError as error:
        raise _unreadable(name, error) from None
    try:
        return _Page(page, text_page).printed(index + 1)
    finally:
        text_page.close()
        page.close()


@dataclass
class _Drawn:
    """One text object: which characters it drew, and how."""

    characters: list[tuple[int, int]]  # index and code of each
    direction: int | None  # 0, 90, 180 or 270 degrees; None: slanted
    lightness: float
    is_painted: bool


class _Page:
    """A page of pdfium's, while it is open."""

    def __init__(self, page: pypdfium2.PdfPage, text_page: pypdfium2.PdfTextPage) -> None:
        self._page = page
        self._raw: Any = text_page.raw
        self._box: Box = page.get_cropbox()
        self._loose = _Loose(self._raw)

    def printed(self, number: int) -> PrintedPage:
        drawn = list(self._drawn())
        directions = Counter[int]()
        for item in drawn:
            if item.direction is not None and item.is_painted:
                directions[item.direction] += len(item.characters)
        upright = directions.most_common(1)[0][0] if directions else 0
        dark = self._dark_areas() if any(item.lightness >= _PALE for item in drawn) else []
        turn = _turned(self._box, upright)
        glyphs: list[Glyph] = []
        aside: list[str] = []
        for order, item in enumerate(drawn):
            found = [self._glyph(index, code, order, turn) for index, code in item.characters]
            # A cell that the page's edge cuts is kept whole: half an amount is a wrong amount.
            is_seen = (
                item.is_painted and item.direction == upright and any(self._is_within(*at) for _, at in found)
            )
            if is_seen and item.lightness >= _PALE:
                is_seen = all(_is_on(dark, *at) for _, at in found)
            if is_seen:
                glyphs += [glyph for glyph, _ in found]
            else:
                aside += [glyph.char for glyph, _ in found]
        codes = [code for item in drawn for _, code in item.characters]
        width, height = self._box[2] - self._box[0], self._box[3] - self._box[1]
        return PrintedPage(
            number,
            *((width, height) if upright in {0, 180} else (height, width)),
            lines_of(glyphs),
            has_picture=not glyphs and self._has_picture(),
            is_turned=upright != 0 or self._page.get_rotation() != 0,
            set_aside="".join("".join(aside).split()),
            unreadable=sum(code in _UNNAMED or 0xE000 <= code <= 0xF8FF for code in codes),
        )

    def _drawn(self) -> Iterator[_Drawn]:
        """The text objects in the order in which they were drawn; pdfium sorts them along each line."""
        from pypdfium2 import raw

        order = self._order()
        owned_by: dict[int, list[tuple[int, int]]] = {}
        for owner, index, code in self._characters():
            owned_by.setdefault(owner, []).append((index, code))
        for owner, characters in sorted(owned_by.items(), key=lambda item: order.get(item[0], len(order))):
            first, matrix = characters[0][0], raw.FS_MATRIX()
            raw.FPDFText_GetMatrix(self._raw, first, matrix)
            pointer = ctypes.cast(owner, raw.FPDF_PAGEOBJECT)
            mode = raw.FPDFTextObj_GetTextRenderMode(pointer)
            yield _Drawn(characters, _direction(matrix), self._lightness(first), mode not in _INVISIBLE_MODES)

    def _order(self) -> dict[int, int]:
        """Place of each object in the page's content, by its address; those of a form at its place."""
        from pypdfium2 import raw

        order: dict[int, int] = {}

        def walk(count: int, item_at: Callable[[int], Any], depth: int) -> None:
            for index in range(count):
                item = item_at(index)
                order[ctypes.cast(item, ctypes.c_void_p).value or 0] = len(order)
                if depth and raw.FPDFPageObj_GetType(item) == raw.FPDF_PAGEOBJ_FORM:
                    walk(
                        raw.FPDFFormObj_CountObjects(item),
                        lambda at, form=item: raw.FPDFFormObj_GetObject(form, at),  # type: ignore[misc]
                        depth - 1,
                    )

        page = self._page.raw
        walk(raw.FPDFPage_CountObjects(page), lambda at: raw.FPDFPage_GetObject(page, at), _DEEPEST)
        return order

    def _characters(self) -> Iterator[tuple[int, int, int]]:
        """(text object, index, code) in the order of the page's content."""
        from pypdfium2 import raw

        # The declared result type makes a pointer object of every character: three times slower.
        object_of = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)(
            ctypes.cast(raw.FPDFText_GetTextObject, ctypes.c_void_p).value or 0
        )
        address = ctypes.cast(self._raw, ctypes.c_void_p)
        for index in range(raw.FPDFText_CountChars(self._raw)):
            owner = object_of(address, index)
            if owner:  # else made up by pdfium: a space or line end that is not in the file
                yield owner, index, raw.FPDFText_GetUnicode(self._raw, index)

    def _lightness(self, index: int) -> float:
        from pypdfium2 import raw

        red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
        if not raw.FPDFText_GetFillColor(self._raw, index, red, green, blue, alpha):
            return 0.0
        return _lightness(red.value, green.value, blue.value, alpha.value)

    def _glyph(
        self, index: int, code: int, order: int, turn: Callable[[float, float], tuple[float, float]]
    ) -> tuple[Glyph, tuple[float, float]]:
        """A character on the turned page, and where it stands on the page as it is stored."""
        (x, y), (left, bottom, right, top) = self._loose.origin(index), self._loose.box(index)
        (x_a, y_a), (x_b, y_b) = turn(left, bottom), turn(right, top)
        char = _SPELT.get(code) or ("?" if code in _UNNAMED else chr(code))
        size = max(abs(y_a - y_b), 1.0)
        return Glyph(char, min(x_a, x_b), max(x_a, x_b), turn(x, y)[1], size, order), (x, y)

    def _is_within(self, x: float, y: float) -> bool:
        left, bottom, right, top = self._box
        return left - 1 <= x <= right + 1 and bottom - 1 <= y <= top + 1

    def _dark_areas(self) -> list[Box]:
        from pypdfium2 import raw

        areas = []
        for item in self._page.get_objects(filter=[raw.FPDF_PAGEOBJ_PATH], max_depth=3):
            red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
            is_filled = raw.FPDFPageObj_GetFillColor(item, red, green, blue, alpha)
            if is_filled and _lightness(red.value, green.value, blue.value, alpha.value) <= _DARK:
                areas.append(item.get_bounds())
        return areas

    def _has_picture(self) -> bool:
        from pypdfium2 import raw

        # Only a page without text is asked for pictures: the walk over its objects costs time.
        return any(True for _ in self._page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3))


class _Loose:
    """Places of characters, asked for without making objects each time."""

    def __init__(self, text_page: Any) -> None:
        from pypdfium2 import raw

        self._library, self._page = raw, text_page
        self._x, self._y, self._box = ctypes.c_double(), ctypes.c_double(), raw.FS_RECTF()

    def origin(self, index: int) -> tuple[float, float]:
        self._library.FPDFText_GetCharOrigin(self._page, index, self._x, self._y)
        return self._x.value, self._y.value

    def box(self, index: int) -> Box:
        box = self._box
        self._library.FPDFText_GetLooseCharBox(self._page, index, box)
        return box.left, box.bottom, box.right, box.top


def _direction(matrix: Any) -> int | None:
    angle = math.degrees(math.atan2(matrix.b, matrix.a)) % 360
    nearest = round(angle / 90) * 90
    return nearest % 360 if abs(angle - nearest) <= _SLANT else None


def _lightness(red: int, green: int, blue: int, alpha: int) -> float:
    """0 (black) to 1 (white), as it shows on white paper."""
    return 1 - (1 - (0.3 * red + 0.59 * green + 0.11 * blue) / 255) * alpha / 255


def _is_on(areas: list[Box], x: float, y: float) -> bool:
    return any(left <= x <= right and bottom <= y <= top for left, bottom, right, top in areas)


def _turned(box: Box, direction: int) -> Callable[[float, float], tuple[float, float]]:
    """From the page's own space to the page on which text of this direction is upright."""
    left, bottom, right, top = box
    turns: dict[int, Callable[[float, float], tuple[float, float]]] = {
        0: lambda x, y: (x - left, y - bottom),
        90: lambda x, y: (y - bottom, right - x),
        180: lambda x, y: (right - x, top - y),
        270: lambda x, y: (top - y, x - left),
    }
    return turns[direction]
