"""Pages that are filled from the top, and drawn once their number is known."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from shs_pipeline.closing.statement_fonts import Weight, runs, width, wrapped

if TYPE_CHECKING:
    from reportlab.lib.colors import Color
    from reportlab.pdfgen.canvas import Canvas

INK, GRAY, ACCENT, AMBER = "#16232f", "#5a6978", "#23547f", "#8a5a0b"
RULE, TINT, AMBER_TINT = "#d4dce4", "#eef4fa", "#fdefd6"
MARGIN = 42.0
_TOP, _BOTTOM = 58.0, 52.0
_SMALL = 8.0
_HYPHEN = re.compile(r"(?<![^ (])-(?=\$?[0-9])")

_Mark = Callable[["Canvas"], None]


class Style(NamedTuple):
    """How text is drawn: weight, size in points, colour."""

    weight: Weight
    size: float
    colour: str


class Pages:
    """Pages of one size in points; whatever is drawn goes below what is there.

    Attributes:
        room: width between the margins.
    """

    def __init__(self, page_width: float, page_height: float) -> None:
        self._width, self._height = page_width, page_height
        self._pages: list[list[_Mark]] = [[]]
        self._sections: list[tuple[int, str]] = []
        self._down = _TOP
        self.room = page_width - 2 * MARGIN

    @property
    def left(self) -> float:
        """How many points are left on this page."""
        return self._height - _BOTTOM - self._down

    @property
    def whole(self) -> float:
        """How many points a page holds."""
        return self._height - _BOTTOM - _TOP

    def move(self, points: float) -> None:
        """Go down."""
        self._down += points

    def turn(self) -> None:
        """Begin a new page."""
        self._pages.append([])
        self._down = _TOP

    def section(self, title: str) -> None:
        """Name what begins here; readers list it beside the pages."""
        self._sections.append((len(self._pages) - 1, title))

    def wrap(self, text: str, style: Style, room: float) -> list[str]:
        """Return a text in lines that fit."""
        return wrapped(text, style.weight, style.size, room)

    def text(self, across: float, text: str, style: Style, align: Literal["left", "right"] = "left") -> None:
        """Draw a line of text that begins, or ends, at a place; the baseline is where the page is at."""
        text = typeset(text)
        if align == "right":
            across -= width(text, style.weight, style.size)
        down = self._height - self._down

        def draw(canvas: Canvas) -> None:
            _draw_text(canvas, across, down, text, style)

        self._pages[-1].append(draw)

    def box(self, across: float, wide: float, high: float, colour: str) -> None:
        """Draw a filled box from where the page is at downwards."""
        down = self._height - self._down - high

        def draw(canvas: Canvas) -> None:
            canvas.setFillColor(_colour(colour))
            canvas.roundRect(across, down, wide, high, 6, stroke=0, fill=1)

        self._pages[-1].append(draw)

    def rule(self, colour: str = RULE, thickness: float = 0.6) -> None:
        """Draw a line from margin to margin."""
        down = self._height - self._down

        def draw(canvas: Canvas) -> None:
            canvas.setStrokeColor(_colour(colour))
            canvas.setLineWidth(thickness)
            canvas.line(MARGIN, down, self._width - MARGIN, down)

        self._pages[-1].append(draw)

    def as_pdf(self, *, title: str, author: str, header: str, mark: str, footer: str) -> bytes:
        """Return the pages as a PDF.

        Args:
            header: stands above every page but the first.
            mark: stands at the right above every page; may be empty.
            footer: stands below every page, beside its number.
        """
        from reportlab.pdfgen.canvas import Canvas

        target = io.BytesIO()
        # Invariant: without the time of writing.
        size, (font, _) = (self._width, self._height), runs(title, "regular")[0]
        canvas = Canvas(target, size, invariant=1, pageCompression=1, initialFontName=font)
        canvas.setTitle(title)
        canvas.setAuthor(author)
        canvas.setCreator("Sales Performance Tracker")
        canvas.setCatalogEntry("Lang", "en-US")
        for number, marks in enumerate(self._pages):
            # In the order in which it is read aloud, and copied.
            self._draw_header(canvas, header if number else "", mark)
            for draw in marks:
                draw(canvas)
            self._draw_footer(canvas, footer, f"Page {number + 1} of {len(self._pages)}")
            for place, (of, name) in enumerate(self._sections):
                if of == number:
                    canvas.bookmarkPage(str(place))
                    canvas.addOutlineEntry(name, str(place))
            canvas.showPage()
        canvas.save()
        return target.getvalue()

    def _draw_header(self, canvas: Canvas, header: str, mark: str) -> None:
        down, taken = self._height - 34, width(mark, "bold", _SMALL)
        small = Style("regular", _SMALL, GRAY)
        _draw_text(canvas, MARGIN, down, shortened(header, small, self.room - taken - 12), small)
        _draw_text(canvas, self._width - MARGIN - taken, down, mark, Style("bold", _SMALL, AMBER))

    def _draw_footer(self, canvas: Canvas, footer: str, page: str) -> None:
        taken = width(page, "regular", _SMALL)
        small = Style("regular", _SMALL, GRAY)
        _draw_text(canvas, MARGIN, 30, shortened(footer, small, self.room - taken - 12), small)
        _draw_text(canvas, self._width - MARGIN - taken, 30, page, small)


@cache
def _colour(name: str) -> Color:
    from reportlab.lib.colors import HexColor

    return HexColor(name)


def _draw_text(canvas: Canvas, across: float, down: float, text: str, style: Style) -> None:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    canvas.setFillColor(_colour(style.colour))
    for name, part in runs(text, style.weight):
        canvas.setFont(name, style.size)
        canvas.drawString(across, down, part)
        across += stringWidth(part, name, style.size)


def typeset(text: str) -> str:
    """Return a text with the minus before a figure as printers set it."""
    return _HYPHEN.sub("\u2212", text) if "-" in text else text


def shortened(text: str, style: Style, room: float) -> str:
    """Return a text that fits into one line, with an ellipsis where something is left out."""
    lines = wrapped(text, style.weight, style.size, room)
    return lines[0] if len(lines) == 1 else f"{wrapped(text, style.weight, style.size, room - 8)[0]}\u2026"
