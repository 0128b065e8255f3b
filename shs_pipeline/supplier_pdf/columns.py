"""Which text of a line belongs to which column.

The heading says which columns there are, in which order, and roughly where; the lines themselves say
where each column really begins and ends.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from shs_pipeline.supplier_pdf.heading import HeadColumn
from shs_pipeline.supplier_pdf.printed import (
    CLIENT,
    COMMISSION,
    INVOICE,
    ITEM,
    NET_SALES,
    RATE,
    UNKNOWN,
    CellLine,
    PrintedLine,
    Run,
    Word,
    amount_of,
    is_rate,
    spelt,
    tidy,
)
from shs_pipeline.supplier_pdf.wording import is_total

# Costs of dividing a line; distances are in line heights.
_CUT_IN_ONE_GO = 6.0  # to part words that one text object drew, a space apart
_CUT_IN_A_ROW = 1.0  # to part words that were drawn one after the other, a space apart
_WRONG_KIND = 5.0  # a text where an amount or a rate is due
_NO_INVOICE = 2.5
_BLANK_IN_TOTAL = {NET_SALES: 2.5, COMMISSION: 2.5}
_BLANK_IN_SALE = _BLANK_IN_TOTAL | {INVOICE: _NO_INVOICE, ITEM: 1.2}
_FARTHEST = 4.0
_SPACE = 0.6
_OVERLAP = 0.3
_FULL = 0.7  # of the clients' column: names so long show where it ends
_NEAR = 1.5  # points: two edges closer than this are meant to be one
_SIGNS = {"$", "(", "-", "$(", "($", "-$", "$-", "usd"}
_END_SIGNS = {")", "-", "%", "cr", "usd"}
_MOST_WORDS = 6  # of a cell that is no client's name
_LONGEST = 40  # words of a line that is divided with care


@dataclass(frozen=True)
class Band:
    """Where a column's texts usually begin, end and have their middle, in points.

    Attributes:
        reach: furthest left and right edge on regular lines.
    """

    meaning: str
    left: float
    right: float
    middle: float
    reach: tuple[float, float]


@dataclass(frozen=True)
class _Token:
    word: Word
    run: int
    size: float
    gap: float  # to the word before, in line heights
    cut: float  # cost of beginning a new cell here


@dataclass(frozen=True)
class Columns:
    """The columns of pages that are laid out alike, from left to right."""

    bands: tuple[Band, ...]

    @classmethod
    def learned(cls, head: Sequence[HeadColumn], lines: Sequence[PrintedLine]) -> Columns:
        """The columns of a heading, put where the texts of regular lines begin and end.

        Args:
            head: columns of the heading.
            lines: all lines below headings that are laid out alike.
        """
        bands = tuple(
            Band(column.meaning, column.x0, column.x1, (column.x0 + column.x1) / 2, (column.x0, column.x1))
            for column in head
        )
        regular = [cells for line in lines if (cells := _in_order(line.runs, bands))]
        if not regular:
            rough = cls(bands)
            divided = [rough._divided(line) for line in lines if len(line.runs) > 2]
            regular = [cells for cells in divided if _is_regular(cells, bands)]
        return cls(tuple(_moved(band, [c[i] for c in regular if i in c]) for i, band in enumerate(bands)))

    @property
    def boundaries(self) -> tuple[float, ...]:
        """The x positions that part neighbouring columns."""
        pairs = zip(self.bands, self.bands[1:], strict=False)
        edges = [(left.reach[1] + right.reach[0]) / 2 for left, right in pairs]
        firsts = [right.reach[0] - 1.0 for right in self.bands[1:]]
        return tuple(round(min(edge, first), 1) for edge, first in zip(edges, firsts, strict=True))

    def cells_of(self, page: int, line: PrintedLine) -> CellLine:
        """Divide a line of the table into its cells."""
        cells = _in_order(line.runs, self.bands) or self._divided(line)
        texts: dict[str, str] = {}
        for index, tokens in sorted(cells.items()):
            meaning = self.bands[index].meaning
            texts[meaning] = tidy(f"{texts.get(meaning, '')} {_text(tokens)}")
        size = line.runs[0].size
        name = next(
            (cells[i] for i, band in enumerate(self.bands) if band.meaning == CLIENT and i in cells), None
        )
        limit, left = self._end_of_names(), line.runs[0].x0
        return CellLine(
            page,
            line.number,
            {meaning: text for meaning, text in texts.items() if text},
            line.text,
            line.y,
            size,
            is_flush=name is not None and abs(name[0].word.x0 - self._client().left) <= size,
            is_inside=left >= self._client().left - size and line.runs[-1].x1 <= self._next_to_names() + size,
            x0=left,
            has_room=limit - name[-1].word.x1 if name else 0.0,
            width_of_first=line.runs[0].words[0].x1 - line.runs[0].words[0].x0,
            is_huge=line.is_huge,
            is_muddled=_is_muddled(name or (), cells) or self._is_overrun(cells),
        )

    def _is_overrun(self, cells: dict[int, list[_Token]]) -> bool:
        """Whether the name reaches into the next column, and nothing else stands there."""
        index = self.bands.index(self._client())
        if index not in cells or index + 1 >= len(self.bands) or index + 1 in cells:
            return False
        return cells[index][-1].word.x1 > self.bands[index + 1].reach[0] + 1

    def _client(self) -> Band:
        return next(band for band in self.bands if band.meaning == CLIENT)

    def _end_of_names(self) -> float:
        """Where long names end: at the next column, or before it where the names themselves say so."""
        client, following = self._client(), self._next_to_names()
        is_told = client.reach[1] - client.left >= _FULL * (following - client.left)
        return min(following, client.reach[1]) if is_told else following

    def _next_to_names(self) -> float:
        """Where the column on the right of the names begins."""
        client = self._client()
        lefts = [band.reach[0] for band in self.bands if band.reach[0] > client.left + 1]
        return min(lefts, default=client.reach[1])

    def _divided(self, line: PrintedLine) -> dict[int, list[_Token]]:
        """Words by index of their column, at the least cost."""
        tokens = _tokens(line.runs)
        if len(tokens) > _LONGEST:
            return {next(i for i, band in enumerate(self.bands) if band.meaning == CLIENT): tokens}
        cells, cost = _least_cost(tokens, self.bands)
        if cost >= _NO_INVOICE:
            edges = [band.left for band in self.bands if band.meaning in {INVOICE, ITEM}]
            parted = _tokens(_parted(line.runs, edges))
            other, other_cost = _least_cost(parted, self.bands)
            if other_cost + _CUT_IN_A_ROW < cost:
                return other
        return cells


def _moved(band: Band, cells: Sequence[Sequence[_Token]]) -> Band:
    """The band where its texts stand."""
    if not cells:
        return band
    lefts = [round(cell[0].word.x0, 1) for cell in cells]
    rights = [round(cell[-1].word.x1, 1) for cell in cells]
    middles = [round((left + right) / 2, 1) for left, right in zip(lefts, rights, strict=True)]
    usual = [Counter(edges).most_common(1)[0][0] for edges in (lefts, rights, middles)]
    return replace(band, left=usual[0], right=usual[1], middle=usual[2], reach=(min(lefts), max(rights)))


def _in_order(runs: Sequence[Run], bands: Sequence[Band]) -> dict[int, list[_Token]] | None:
    """One run for each column, of the right kinds: the usual line."""
    if len(runs) != len(bands):
        return None
    astray = sum(
        run.x1 + run.size < band.reach[0] or run.x0 - run.size > band.reach[1]
        for run, band in zip(runs, bands, strict=True)
    )
    if astray > 1:
        return None
    cells = {
        index: [_Token(word, index, run.size, 0.0, 0.0) for word in run.words]
        for index, run in enumerate(runs)
    }
    return cells if _is_regular(cells, bands) else None


def _is_regular(cells: dict[int, list[_Token]], bands: Sequence[Band]) -> bool:
    """Whether a whole sale stands there: names where due, and amounts where due."""
    for index, band in enumerate(bands):
        text = _text(cells.get(index, []))
        if band.meaning in {CLIENT, INVOICE} and (not text or _is_money(text)):
            return False
        if text and _misfit(text, band.meaning):
            return False
        if band.meaning in {NET_SALES, COMMISSION} and not text:
            return False
    return True


def _text(tokens: Iterable[_Token]) -> str:
    return spelt(token.word for token in tokens)


def _is_money(text: str) -> bool:
    return "." in text and amount_of(text) is not None


def _misfit(text: str, meaning: str) -> float:
    if meaning in {NET_SALES, COMMISSION}:
        return 0.0 if amount_of(text) is not None else _WRONG_KIND
    if meaning == RATE:
        return 0.0 if is_rate(text) and float(text.rstrip("% ").replace(",", ".")) <= 100 else _WRONG_KIND
    return _WRONG_KIND / 2 if meaning != UNKNOWN and _is_money(text) else 0.0


def _tokens(runs: Sequence[Run]) -> list[_Token]:
    tokens: list[_Token] = []
    for number, run in enumerate(runs):
        for place, word in enumerate(run.words):
            gap = (word.x0 - tokens[-1].word.x1) / run.size if tokens else 0.0
            cut = 0.0
            if place:
                cut = _CUT_IN_ONE_GO if word.is_drawn_on else _CUT_IN_A_ROW * (0.3 if word.is_glued else 1.0)
            tokens.append(_Token(word, number, run.size, gap, cut))
    return tokens


def _least_cost(tokens: Sequence[_Token], bands: Sequence[Band]) -> tuple[dict[int, list[_Token]], float]:
    """Divide words over columns, both from left to right, so that all stand where they are due."""
    count = len(tokens)
    costs = [0.0] + [float("inf")] * count
    ways: list[list[int]] = []
    due = _due(tokens)
    for band in bands:
        blank = due.get(band.meaning, 0.0)
        following, way = [cost + blank for cost in costs], list(range(count + 1))
        for start in range(count):
            if costs[start] == float("inf"):
                continue
            most = count if band.meaning in {CLIENT, UNKNOWN} else min(count, start + _MOST_WORDS)
            for end in range(start + 1, most + 1):
                cost = costs[start] + _cell_cost(tokens[start:end], band)
                if cost < following[end]:
                    following[end], way[end] = cost, start
        costs = following
        ways.append(way)
    cells: dict[int, list[_Token]] = {}
    end = count
    for index in range(len(bands) - 1, -1, -1):
        start = ways[index][end]
        if start < end:
            cells[index] = list(tokens[start:end])
            end = start
    if end:  # more words than the columns hold: keep them with the first
        cells[0] = list(tokens[:end]) + cells.get(0, [])
    return cells, costs[count]


def _due(tokens: Sequence[_Token]) -> dict[str, float]:
    """Cost of leaving a column blank on a line with two amounts."""
    label = [token for token in tokens if not _is_money(token.word.text)]
    if len(tokens) - len(label) < 2:
        return {}
    return _BLANK_IN_TOTAL if is_total(_text(label)) else _BLANK_IN_SALE


def _cell_cost(tokens: Sequence[_Token], band: Band) -> float:
    size = tokens[0].size
    inked = _without_signs(tokens)
    left, right = inked[0].word.x0, tokens[-1].word.x1
    away = min(abs(left - band.left), abs(right - band.right), abs((left + right) / 2 - band.middle))
    if band.meaning == CLIENT:
        away = min(away, abs(tokens[0].word.x0 - band.left))
    outside = max(band.reach[0] - left, left - band.reach[1], 0.0)
    cost = min((away + outside) / size, _FARTHEST) + tokens[0].cut + _misfit(_text(tokens), band.meaning)
    if band.meaning == INVOICE:  # a number is one word, or two
        cost += sum(not token.word.is_glued for token in inked[1:])
    return cost + sum(_join_cost(token) for token in inked[1:])


def _join_cost(token: _Token) -> float:
    """Cost of keeping a word in the cell of the word before it."""
    if token.cut or token.word.text.casefold() in _END_SIGNS or token.gap <= _SPACE:
        return 0.0 if token.cut or token.gap >= -_SPACE else _FARTHEST
    return min(0.5 + token.gap, _FARTHEST)


def _without_signs(tokens: Sequence[_Token]) -> Sequence[_Token]:
    """The words after a `$` or parenthesis that may stand apart, at the far end of the column."""
    first = 0
    while first < len(tokens) - 1 and tokens[first].word.text.casefold() in _SIGNS:
        first += 1
    return tokens[first:]


def _parted(runs: Sequence[Run], edges: Sequence[float]) -> list[Run]:
    """Part a name and an invoice number that were drawn without a space, where a column begins."""
    parted = []
    for run in runs:
        words: list[Word] = []
        for word in run.words:
            at = next(
                (i for i, x in enumerate(word.starts) if i and any(abs(x - edge) <= _NEAR for edge in edges)),
                None,
            )
            if at is None or len(word.starts) != len(word.text):
                words.append(word)
                continue
            words.append(replace(word, text=word.text[:at], x1=word.starts[at], starts=word.starts[:at]))
            # A cut inside a word costs no more than one between words that were drawn apart.
            words.append(Word(word.text[at:], word.starts[at], word.x1, word.starts[at:], is_glued=True))
        parted.append(replace(run, words=tuple(words)))
    return parted


def _is_muddled(client: Sequence[_Token], cells: dict[int, list[_Token]]) -> bool:
    """Whether the client's name was drawn in pieces and lies over other text: nobody can part the two."""
    if len({token.run for token in client}) < 2:
        return False
    ordered = [token for _, tokens in sorted(cells.items()) for token in tokens]
    pairs = itertools.pairwise(ordered)
    return any(after.word.x0 < before.word.x1 - _OVERLAP * after.size for before, after in pairs)
