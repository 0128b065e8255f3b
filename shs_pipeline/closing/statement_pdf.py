"""The statement on paper: A4 or Letter, as the same bytes every time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from shs_pipeline.closing.statement import Statement
from shs_pipeline.closing.statement_layout import Layout, laid_out
from shs_pipeline.closing.statement_pages import (
    ACCENT,
    AMBER,
    AMBER_TINT,
    GRAY,
    INK,
    MARGIN,
    TINT,
    Pages,
    Style,
)
from shs_pipeline.closing.statement_tables import draw_section
from shs_pipeline.closing.statement_words import with_sign

Paper = Literal["letter", "a4"]

_SIZES: dict[Paper, tuple[float, float]] = {"letter": (612, 792), "a4": (595.276, 841.89)}
_FACTS_IN_A_ROW = 3


def statement_pdf(statement: Statement, *, paper: Paper = "letter") -> bytes:
    """Return a statement as a PDF.

    Raises:
        ShsError: it does not add up.
    """
    layout = laid_out(statement)
    pages = Pages(*_SIZES[paper])
    _draw_heading(pages, layout)
    for section in layout.sections:
        draw_section(pages, section)
    return pages.as_pdf(
        title=f"{layout.title}, {layout.short}",
        author=layout.name,
        header=layout.short,
        mark=layout.mark.partition(":")[0],
        footer=layout.receipt,
    )


def _draw_heading(pages: Pages, layout: Layout) -> None:
    pages.text(MARGIN, layout.title.upper(), Style("bold", 9, ACCENT))
    pages.move(26)
    name = Style("bold", 22, INK)
    for line in pages.wrap(layout.name, name, pages.room):
        pages.text(MARGIN, line, name)
        pages.move(26)
    if layout.mark:
        _draw_mark(pages, layout.mark)
    pages.move(2)
    for start in range(0, len(layout.facts), _FACTS_IN_A_ROW):
        _draw_facts(pages, layout.facts[start : start + _FACTS_IN_A_ROW])
    _draw_headline(pages, layout)


def _draw_mark(pages: Pages, mark: str) -> None:
    style = Style("bold", 10, AMBER)
    lines = pages.wrap(mark, style, pages.room - 20)
    pages.move(-10)
    pages.box(MARGIN, pages.room, len(lines) * 14 + 10, AMBER_TINT)
    pages.move(16)
    for line in lines:
        pages.text(MARGIN + 10, line, style)
        pages.move(14)
    pages.move(10)


def _draw_facts(pages: Pages, facts: Sequence[tuple[str, str]]) -> None:
    label, value = Style("regular", 8.5, GRAY), Style("regular", 11.5, INK)
    step = pages.room / _FACTS_IN_A_ROW
    columns = [pages.wrap(text, value, step - 12) for _, text in facts]
    for place, (name, _) in enumerate(facts):
        pages.text(MARGIN + place * step, name, label)
    pages.move(14)
    for number in range(max(map(len, columns))):
        for place, lines in enumerate(columns):
            if number < len(lines):
                pages.text(MARGIN + place * step, lines[number], value)
        pages.move(14)
    pages.move(8)


def _draw_headline(pages: Pages, layout: Layout) -> None:
    name, amount, sentences = layout.headline
    words = Style("regular", 11, INK)
    lines = [line for sentence in sentences for line in pages.wrap(sentence, words, pages.room - 36)]
    pages.move(-6)
    pages.box(MARGIN, pages.room, 76 + len(lines) * 15, TINT)
    pages.move(24)
    pages.text(MARGIN + 18, name, Style("bold", 11, ACCENT))
    pages.move(36)
    pages.text(MARGIN + 18, with_sign(amount), Style("bold", 36, INK))
    pages.move(20)
    for line in lines:
        pages.text(MARGIN + 18, line, words)
        pages.move(15)
    pages.move(8)
