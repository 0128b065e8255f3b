"""The tables of the printed statement: headings repeat, and nothing stands alone at the end of a page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from shs_pipeline.closing.statement_fonts import width
from shs_pipeline.closing.statement_layout import Column, Group, Key, Section, Value, below, shown, sums
from shs_pipeline.closing.statement_pages import ACCENT, GRAY, INK, MARGIN, RULE, TINT, Pages, Style, typeset

_SIZES = (11.0, 10.5, 10.0, 9.5, 9.0, 8.5, 8.0, 7.5, 7.0, 6.5, 6.0)
# The summary is larger: it is what people read on a phone.
_LARGEST: dict[Key, int] = defaultdict(lambda: 2, {"amounts": 0, "product lines": 1, "lines": 4})
_NARROWEST = 130.0
_GAP = 10.0
_PART = 0.3
_LINE = 1.3
_HEADING = 8.0
_SHORT = 9
_PADDING = 3.5


@dataclass(frozen=True)
class _Place:
    """Where a column stands: left and right edge in points."""

    column: Column
    number: int
    left: float
    right: float


@dataclass(frozen=True)
class _Line:
    """One line of a row: what stands where."""

    cells: tuple[tuple[_Place, str], ...]
    style: Style
    is_wide: bool = False


class _Table:
    """A section on pages."""

    def __init__(self, pages: Pages, section: Section) -> None:
        self.pages, self.section = pages, section
        self.places, self.size = _fitted(pages.room, section)
        self.group = ""

    def draw(self) -> None:
        """Draw the section, its title first."""
        groups = self.section.groups or (Group("", ()),)
        first = self._row(groups[0].rows[0]) if groups[0].rows else []
        self._draw_title(self._height(first) + (60 if groups[0].title else 36))
        if any(group.rows for group in groups):
            self._draw_header()
        for group in groups:
            self._draw_group(group)
        self._draw_totals()
        self.pages.move(14)

    def _draw_title(self, follows: float) -> None:
        """Draw the title and the note, on a page that holds what follows too."""
        pages, style = self.pages, Style("bold", 13, ACCENT)
        note = Style("regular", 9, GRAY)
        lines = pages.wrap(self.section.note, note, pages.room) if self.section.note else []
        if pages.left < 34 + 12 * len(lines) + follows:
            pages.turn()
        pages.move(18)
        pages.section(self.section.title)
        pages.text(MARGIN, self.section.title, style)
        for line in lines:
            pages.move(13)
            pages.text(MARGIN, line, note)
        pages.move(8)

    def _draw_header(self) -> None:
        pages, style = self.pages, Style("bold", min(self.size, _HEADING), GRAY)
        titles = [self._title(place, style) for place in self.places]
        high = max(map(len, titles))
        for number in range(high):
            pages.move(style.size * 1.2)
            for place, lines in zip(self.places, titles, strict=True):
                if (at := number - high + len(lines)) >= 0:
                    self._cell(place, lines[at], style)
        pages.move(4)
        pages.rule(GRAY, 0.8)

    def _title(self, place: _Place, style: Style) -> list[str]:
        if self.section.key == "amounts" and not place.column.is_figure:
            return [""]
        return self.pages.wrap(place.column.title, style, place.right - place.left)

    def _draw_group(self, group: Group) -> None:
        subtotal = self._total(group) if group.title else []
        rows = [self._row(row) for row in group.rows]
        if group.title:
            self.group = group.title
            alone = self._height(subtotal) if len(rows) == 1 else 0
            self._make_room(24 + self._height(rows[0]) + alone)
            self._draw_band(group.title)
        for number, row in enumerate(rows):
            last = number == len(rows) - 1
            # The last row is not left alone, nor is what the rows add up to.
            self._draw_row(row, self._height(subtotal) + self._after() if last else 0)
        if subtotal:
            self._draw_row(subtotal, 0)
            self.pages.move(8)
        self.group = ""

    def _after(self) -> float:
        return len(self.section.totals) * (self.size * _LINE + 2 * _PADDING)

    def _total(self, group: Group) -> list[_Line]:
        total = sums(group.rows, self.section.columns)
        return self._total_row((group.title, *total[1:]))

    def _total_row(self, total: tuple[Value, ...]) -> list[_Line]:
        """Return a total: its name from the left margin on, its figures in their columns."""
        style = Style("bold", self.size, INK)
        if self.section.key == "amounts":
            return self._row(total, style)
        places = [place for place in self.places if place.column.is_figure]
        figures = [place for place in places if total[place.number] is not None]
        first = self.places[0]
        room = min((place.left for place in figures), default=self.pages.room + MARGIN) - MARGIN - _GAP
        name = _Place(first.column, 0, MARGIN, MARGIN + room)
        lines = self.pages.wrap(str(total[0]), style, room)
        cells = [(place, shown(total[place.number], place.column)) for place in figures]
        made = [_Line(((name, line),), style) for line in lines[:-1]]
        return [*made, _Line(((name, lines[-1]), *cells), style)]

    def _draw_totals(self) -> None:
        if self.section.totals:
            self.pages.rule(GRAY, 0.8)
        for number, total in enumerate(self.section.totals, start=1):
            self._draw_row(self._total_row(total), 0, ruled=number < len(self.section.totals))

    def _draw_band(self, title: str, more: str = "") -> None:
        style = Style("bold", max(self.size, 9.0), ACCENT)
        self.pages.move(4)
        self.pages.box(MARGIN, self.pages.room, 18, TINT)
        self.pages.move(12.5)
        lines = self.pages.wrap(title, style, self.pages.room - 90)
        self.pages.text(MARGIN + 6, lines[0] + ("\u2026" if len(lines) > 1 else "") + more, style)
        self.pages.move(7)

    def _make_room(self, points: float) -> bool:
        """Turn the page if less is left, and repeat the heading there."""
        if self.pages.left >= points:
            return False
        self.pages.turn()
        self._draw_header()
        return True

    # --- rows ------------------------------------------------------------------------------

    def _height(self, row: Sequence[_Line]) -> float:
        return sum(line.style.size * _LINE for line in row) + (2 * _PADDING if row else 0)

    def _row(self, row: tuple[Value, ...], style: Style | None = None) -> list[_Line]:
        """Return the lines of a row: its cells, then what stands below them."""
        style = style or Style("regular", self.size, INK)
        cells = [(place, self._cell_lines(row, place, style)) for place in self.places]
        high = max(len(lines) for _, lines in cells)
        made = [
            _Line(tuple((place, lines[number]) for place, lines in cells if number < len(lines)), style)
            for number in range(high)
        ]
        if words := below(row, self.section):
            small = Style("regular", max(self.size - 1.0, 6.0), GRAY)
            place = next(place for place in self.places if place.column.shape == "text")
            wide = _Place(place.column, place.number, place.left, MARGIN + self.pages.room)
            lines = self.pages.wrap(words, small, wide.right - wide.left)
            made += [_Line(((wide, line),), small) for line in lines]
        return made

    def _cell_lines(self, row: tuple[Value, ...], place: _Place, style: Style) -> list[str]:
        text = shown(row[place.number], place.column)
        if place.column.is_figure:
            return [text]
        return self.pages.wrap(text, style, place.right - place.left)

    def _draw_row(self, row: Sequence[_Line], follows: float, ruled: bool = True) -> None:
        """Draw a row where it and what follows it fits; one that is longer than a page goes on."""
        if self._make_room(min(self._height(row) + follows, self.pages.whole / 2)) and self.group:
            self._draw_band(self.group, ", continued")
        self.pages.move(_PADDING)
        for line in row:
            if self.pages.left < line.style.size * _LINE:
                self.pages.turn()
                self._draw_header()
            self.pages.move(line.style.size * _LINE)
            self.pages.move(-line.style.size * 0.28)
            for place, text in line.cells:
                style = line.style
                if self.section.key == "amounts" and place.column.title == "What it is":
                    style = Style("regular", self.size, GRAY)
                self._cell(place, text, style)
            self.pages.move(line.style.size * 0.28)
        self.pages.move(_PADDING)
        if ruled:
            self.pages.rule(RULE, 0.5)

    def _cell(self, place: _Place, text: str, style: Style) -> None:
        if place.column.is_figure:
            self.pages.text(place.right, text, style, "right")
        else:
            self.pages.text(place.left, text, style)


def draw_section(pages: Pages, section: Section) -> None:
    """Draw a section below what is on the pages."""
    _Table(pages, section).draw()


def _fitted(room: float, section: Section) -> tuple[list[_Place], float]:
    """Return where the columns stand, and the largest size of type in which they all fit."""
    columns = [(number, column) for number, column in enumerate(section.columns) if column.place == "column"]
    wide = max(number for number, column in columns if column.shape == "text")
    texts = {number: _texts(section, number) for number, _ in columns}
    needs: dict[int, float] = {}
    for size in _SIZES[_LARGEST[section.key] :]:
        for number, column in columns:
            widest = max((width(text, "bold", size) for text in texts[number]), default=0.0)
            title = _title_width(column, min(size, _HEADING))
            needs[number] = max(widest, title) + _GAP + 0.1
            if column.shape == "text":
                needs[number] = min(needs[number], room * _PART)
        needs[wide] = room - sum(need for number, need in needs.items() if number != wide)
        if needs[wide] >= _NARROWEST:
            break
    places, left = [], MARGIN
    for number, column in columns:
        right = left + needs[number] - (_GAP if number != columns[-1][0] else 0)
        places.append(_Place(column, number, left, right))
        left += needs[number]
    return places, size


def _title_width(column: Column, size: float) -> float:
    """Return how much room a title needs: one line above text, at most two above figures."""
    words = column.title.split()
    halves = range(1, len(words)) if column.is_figure and len(column.title) > _SHORT else ()
    splits = [[" ".join(words[:at]), " ".join(words[at:])] for at in halves] or [[column.title]]
    return min(max(width(line, "bold", size) for line in lines) for lines in splits)


def _texts(section: Section, number: int) -> set[str]:
    """Return what stands in a column, the totals too."""
    column, rows = section.columns[number], [*section.rows]
    if column.is_figure or section.key == "amounts":
        rows += section.totals
    if column.shape == "money":
        rows += [sums(group.rows, section.columns) for group in section.groups if group.title]
    return {typeset(shown(row[number], column)) for row in rows}
