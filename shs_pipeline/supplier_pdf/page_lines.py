"""From characters to words, runs and lines.

A cell is drawn in one go, or word by word or letter by letter, each starting where the last one
ended: so a client's name that runs over the invoice number stays one run, although their characters
lie on top of each other.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from shs_pipeline.supplier_pdf.printed import PrintedLine, Run, Word

# All in units of the line height of the font.
_SAME_BASELINE = 0.25
_WORD_GAP = 0.13  # a wider gap than this parts two words
_SPACE = 0.45  # a gap up to this wide is a space between two words of one run
_WIDE_SPACE = 1.0  # the same inside one text object
_BACK = 0.15  # letters may overlap this much
_SAME_PLACE = 0.15  # a letter printed twice this close is one letter, printed bold
_TYPEWRITER = 0.85  # an i that is so wide, compared with an m, is a typewriter's
_HUGE = 1.8  # letters so many times larger than the page's are no part of its table


@dataclass(frozen=True, slots=True)
class Glyph:
    """One character: where it begins and ends, its baseline, and which text object drew it."""

    char: str
    x0: float
    x1: float
    y: float
    size: float
    order: int


def lines_of(glyphs: Sequence[Glyph]) -> tuple[PrintedLine, ...]:
    """Make lines of the characters of one page, from the top down; runs go from left to right."""
    inked = [glyph for glyph in glyphs if glyph.char.strip()]
    if not inked:
        return ()
    huge = _HUGE * median(glyph.size for glyph in inked)
    spread, space = _letter_gap(glyphs), _space(inked)
    rows: list[tuple[bool, list[Run]]] = []
    for is_huge in (False, True):
        runs = _chained([g for g in glyphs if (g.size > huge) == is_huge], spread, space)
        rows += [(is_huge, row) for row in _rows(runs, space)]
    # A watermark is counted last: the lines of the table keep their numbers with and without it.
    lines = [
        PrintedLine(number, row[0].y, tuple(sorted(row, key=lambda run: (run.x0, run.order))), is_huge)
        for number, (is_huge, row) in enumerate(rows, start=1)
    ]
    return tuple(sorted(lines, key=lambda line: -line.y))


def _letter_gap(glyphs: Sequence[Glyph]) -> float:
    """Usual gap between the letters of a word, in line heights: 0 but in letter-spaced print."""
    gaps = [
        (after.x0 - before.x1) / after.size
        for before, after in itertools.pairwise(glyphs)
        if _is_level(before, after) and before.char.isalnum() and after.char.isalnum()
    ]
    near = [gap for gap in gaps if -_BACK <= gap <= _SPACE]
    return max(median(near), 0.0) if near else 0.0


def _space(inked: Sequence[Glyph]) -> float:
    """Widest gap that may be a space, in line heights: wider in print whose letters are all as wide."""
    narrow, wide = (
        [(glyph.x1 - glyph.x0) / glyph.size for glyph in inked if glyph.char in letters]
        for letters in ("iljtfI", "mwMWNA")
    )
    if not narrow or not wide or median(narrow) < _TYPEWRITER * median(wide):
        return _SPACE
    return max(_SPACE, 1.25 * median(wide))


def _is_level(one: Glyph | Run, other: Glyph | Run) -> bool:
    return abs(one.y - other.y) <= _SAME_BASELINE * min(one.size, other.size)


def _chained(glyphs: Iterable[Glyph], spread: float, space: float) -> list[Run]:
    """Join what was drawn one after the other, no further apart than a space."""
    runs: list[list[Glyph]] = []
    had_space = False
    for glyph in glyphs:
        if not glyph.char.strip():
            had_space = True
            continue
        last = runs[-1][-1] if runs else None
        if last is not None and _follows(
            last, glyph, spread + (_WIDE_SPACE if had_space and last.order == glyph.order else space)
        ):
            runs[-1].append(glyph)
        else:
            runs.append([glyph])
        had_space = False
    return _without_twins([_run(letters, spread) for letters in runs])


def _follows(last: Glyph, glyph: Glyph, widest: float) -> bool:
    return _is_level(last, glyph) and -_BACK * glyph.size <= glyph.x0 - last.x1 <= widest * glyph.size


def _run(letters: list[Glyph], spread: float) -> Run:
    words: list[Word] = []
    last: Glyph | None = None
    for group in _words(letters, spread):
        first = group[0]
        chars = "".join(glyph.char for glyph in group)
        starts = tuple(glyph.x0 for glyph in group for _ in glyph.char)
        is_drawn_on = last is not None and last.order == first.order
        is_glued = last is not None and first.x0 - last.x1 <= (_WORD_GAP + spread) * first.size
        words.append(Word(chars, first.x0, group[-1].x1, starts, is_drawn_on, is_glued))
        last = group[-1]
    return Run(tuple(words), letters[0].y, letters[0].size, letters[0].order)


def _words(letters: list[Glyph], spread: float) -> Iterator[list[Glyph]]:
    """Parted at spaces, and where one text ends and the next begins: a name may touch what follows."""
    drawn = Counter(glyph.order for glyph in letters)
    word = [letters[0]]
    for before, after in itertools.pairwise(letters):
        is_seam = before.order != after.order and min(drawn[before.order], drawn[after.order]) > 1
        if is_seam or after.x0 - before.x1 > (_WORD_GAP + spread) * after.size:
            yield word
            word = []
        word.append(after)
    yield word


def _without_twins(runs: list[Run]) -> list[Run]:
    """Leave out text that is printed twice at one place to look bold."""
    kept: list[Run] = []
    by_text: dict[str, list[Run]] = {}
    for run in runs:
        twins = by_text.setdefault(run.text, [])
        if not any(
            _is_level(run, twin) and abs(run.x0 - twin.x0) <= _SAME_PLACE * run.size for twin in twins
        ):
            twins.append(run)
            kept.append(run)
    return kept


def _rows(runs: Sequence[Run], space: float) -> list[list[Run]]:
    """Runs on one baseline, from the top of the page down."""
    rows: list[list[Run]] = []
    for run in sorted(runs, key=lambda item: -item.y):
        if rows and _is_level(rows[-1][0], run):
            rows[-1].append(run)
        else:
            rows.append([run])
    return [_joined(row, space) for row in rows]


def _joined(row: list[Run], space: float) -> list[Run]:
    """Join letters and words that stand side by side although they were not drawn one after the other."""
    row = sorted(row, key=lambda run: (run.x0, run.order))
    joined = row[:1]
    for run in row[1:]:
        last, before, after = joined[-1], joined[-1].words[-1], run.words[0]
        gap = (after.x0 - before.x1) / run.size
        is_letter = len(before.text) == 1 or len(after.text) == 1
        if is_letter and -_BACK <= gap <= _WORD_GAP:
            word = replace(
                before, text=before.text + after.text, x1=after.x1, starts=before.starts + after.starts
            )
            joined[-1] = replace(last, words=(*last.words[:-1], word, *run.words[1:]))
        elif _WORD_GAP < gap <= space:
            joined[-1] = replace(last, words=last.words + run.words)
        else:
            joined.append(run)
    return joined
