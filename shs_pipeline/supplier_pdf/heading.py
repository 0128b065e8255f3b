"""The column heading of a statement: one to four lines, of which one names the client.

Columns are recognised by the words above them, however these are broken over the lines, abbreviated
or spelled; a column that says nothing known is kept as unknown, and its cells are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import combinations, islice, pairwise, product

from shs_pipeline.supplier_pdf.printed import (
    CLIENT,
    COMMISSION,
    INVOICE,
    ITEM,
    NET_SALES,
    PLACE,
    RATE,
    UNKNOWN,
    PrintedLine,
    PrintedPage,
    Run,
)

_MOST_LINES = 4
_LINE_PITCH = 2.2  # of the font's height: lines of one heading are no further apart
_ALIGNED = 2.0  # points
_MOST_WORDS = 14  # of a run that is parted
_READINGS = 6  # interpretations of one heading that are tried

_PLACES = {"st", "state", "zip", "zipcode", "postal", "code", "city", "and"}
_MARKS = {"#", "no", "nbr", "num", "number", "id", "code"}
_NUMBERS = {"#", "no", "nbr", "num", "number"}
_COMMISSION = {"comm", "commission", "commissions", "com"}
_PERCENT = {"rate", "pct", "percent", "%"}
_MONEY = {"$", "usd", "amount", "amt", "due", "earned", "payable", "paid"}
_SALES = {"net", "sales", "sale", "sls", "amount", "amt", "revenue", "total", "extended", "ext", "extension"}
_ITEMS = {"item", "part", "sku", "product", "catalog", "cat", "material", "model"}
_INVOICES = {"invoice", "inv", "document", "doc"}
_CLIENTS = {"client", "customer", "cust", "account", "acct", "facility", "hospital", "name"}
_OTHER = {"date", "qty", "quantity", "price", "unit", "uom", "desc", "description", "tax", "freight"} | {
    "cost", "discount", "disc", "list", "gross", "margin", "terms", "rep", "agent", "agency", "salesperson",
    "base", "type", "order", "po", "ordered", "shipped", "units", "class", "category", "family", "group",
}  # fmt: skip
_WORDS = _PLACES | _MARKS | _COMMISSION | _PERCENT | _MONEY | _SALES | _ITEMS | _INVOICES | _CLIENTS | _OTHER

REQUIRED = (CLIENT, INVOICE, NET_SALES, COMMISSION)
"""Columns without which no sale can be read."""


class _Parting(IntEnum):
    """Where the words of a heading that stand close may be parted into columns."""

    NOT = 0
    BETWEEN_TEXTS = 1
    ANYWHERE = 2
    AT_EVERY_TEXT = 3


@dataclass(frozen=True)
class HeadColumn:
    """One column as the heading shows it.

    Attributes:
        meaning: `CLIENT`, `INVOICE` … or `UNKNOWN`.
        words: the words above it, lower case.
    """

    meaning: str
    x0: float
    x1: float
    words: frozenset[str]


@dataclass(frozen=True)
class Heading:
    """The heading of one page.

    Attributes:
        first_line: index (0-based) of its first line in the page.
        end: index of the first line below it.
        readings: what its columns may mean, from left to right: several where they are as likely.
        others: less likely readings, for when none of these proves itself.
        missing: those of `REQUIRED` that it does not name.
    """

    first_line: int
    end: int
    readings: tuple[tuple[HeadColumn, ...], ...]
    others: tuple[tuple[HeadColumn, ...], ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[tuple[int, int], ...]:
        """Where its columns stand, in whole points: equal on pages that are laid out alike."""
        return tuple((round(column.x0), round(column.x1)) for column in self.readings[0])


@dataclass
class _Stack:
    """Words over one column, being gathered."""

    x0: float
    x1: float
    words: list[str]


def find_heading(page: PrintedPage, start: int = 0) -> Heading | None:
    """The heading of a page, or what comes nearest to one; None when nothing does.

    Args:
        page: the page.
        start: index of the first line to look at.
    """
    found: list[tuple[tuple[float, ...], Heading]] = []
    for block in _blocks(page.lines, start):
        first = page.lines.index(block[0])
        for parting, base in product(_Parting, range(len(block))):
            stacks = _stacks(block, parting, base)
            readings = _readings(stacks)
            known = {column.meaning for column in readings[0]} - {UNKNOWN}
            missing = tuple(column for column in REQUIRED if column not in known)
            if CLIENT not in known or len(known) < 3:
                continue
            words = [word for stack in stacks for word in stack.words]
            share = sum(word in _WORDS for word in words) / max(len(words), 1)
            heading = Heading(first, first + len(block), readings, (), missing)
            unknown = sum(column.meaning == UNKNOWN for column in readings[0])
            found.append(((len(known) - 10 * len(missing), share, len(block), -parting, -unknown), heading))
    found.sort(key=lambda item: item[0], reverse=True)
    if not found:
        return None
    best = found[0][1]
    others: list[tuple[HeadColumn, ...]] = []
    for _, heading in found[1:]:
        if (heading.first_line, heading.end, heading.missing) == (best.first_line, best.end, best.missing):
            others += [way for way in heading.readings if not _is_among(way, (*best.readings, *others))]
    return replace(best, others=tuple(others[:_READINGS]))


def _is_among(way: Sequence[HeadColumn], ways: Iterable[Sequence[HeadColumn]]) -> bool:
    def outline(columns: Sequence[HeadColumn]) -> list[tuple[str, int, int]]:
        return [(column.meaning, round(column.x0), round(column.x1)) for column in columns]

    return any(outline(way) == outline(other) for other in ways)


def words_of(text: str) -> list[str]:
    """The words of a heading, lower case, without punctuation: `Inv. #` is `inv`, `#`."""
    return re.findall(r"[a-z]+|[#%$]", text.casefold())


def _blocks(lines: Sequence[PrintedLine], start: int) -> Iterator[Sequence[PrintedLine]]:
    """Lines that may be a heading: one names the client, and the others hold little else than its words."""
    for main in range(start, len(lines)):
        if _share(lines[main]) < 0.5 or not _CLIENTS & set(words_of(lines[main].text)):
            continue
        for first in range(max(start, main - _MOST_LINES + 1), main + 1):
            for end in range(main + 1, min(len(lines), first + _MOST_LINES) + 1):
                block = lines[first:end]
                others = [line for line in block if line is not lines[main]]
                if all(_share(line) >= 0.75 for line in others) and _is_close(block):
                    yield block


def _share(line: PrintedLine) -> float:
    """How much of a line are words of headings; nothing where it holds a digit."""
    words = words_of(line.text)
    if not words or re.search(r"\d", line.text):
        return 0.0
    return sum(word in _WORDS for word in words) / len(words)


def _is_close(block: Sequence[PrintedLine]) -> bool:
    pairs = pairwise(block)
    return all(above.y - below.y <= _LINE_PITCH * below.runs[0].size for above, below in pairs)


def _stacks(block: Sequence[PrintedLine], parting: _Parting, base: int) -> list[_Stack]:
    """The words of the lines, stacked over the columns that one of them (0-based) shows."""
    phrases = [_phrases(line, parting) for line in block]
    stacks = [_Stack(x0, x1, words_of(text)) for text, x0, x1 in phrases[base]]
    places = [(stack.x0, stack.x1) for stack in stacks]
    for index, line in enumerate(phrases):
        if index == base:
            continue
        for text, x0, x1 in line:
            over = _columns_over(x0, x1, places)
            for column in over:
                stacks[column].words += words_of(text)
                if len(over) == 1:
                    stacks[column].x0, stacks[column].x1 = (
                        min(stacks[column].x0, x0),
                        max(stacks[column].x1, x1),
                    )
            if not over:
                stacks.append(_Stack(x0, x1, words_of(text)))
                places.append((x0, x1))
    return sorted(stacks, key=lambda stack: (stack.x0 + stack.x1) / 2)


def _phrases(line: PrintedLine, parting: _Parting) -> list[tuple[str, float, float]]:
    """(text, left, right) of what stands over one column; `Invoice` and `#` drawn apart are one."""
    phrases: list[tuple[str, float, float]] = []
    runs = [piece for run in line.runs for piece in _pieces(run, parting)]
    for run in (part for piece in runs for part in _parted(piece, parting)):
        words = set(words_of(run.text))
        if phrases:
            text, left, right = phrases[-1]
            gap = (run.x0 - right) / run.size
            marks = _MARKS | {"$", "%", "usd"} if parting is _Parting.NOT else _MARKS
            if gap <= 1.0 and words <= marks and not _has_mark(text):
                phrases[-1] = (f"{text} {run.text}", left, run.x1)
                continue
        phrases.append((run.text, run.x0, run.x1))
    return phrases


def _has_mark(text: str) -> bool:
    """Whether a phrase has its `No.` or `#` already: another one is the next column's."""
    words = words_of(text)
    return len(words) > 1 and words[-1] in _NUMBERS


def _pieces(run: Run, parting: _Parting) -> list[Run]:
    """A run parted where two texts touch or overlap: no space between them says that they are two columns."""
    seams = [i for i, word in enumerate(run.words) if i and word.is_glued and not word.is_drawn_on]
    if parting is _Parting.NOT or not seams:
        return [run]
    return [replace(run, words=run.words[a:b]) for a, b in pairwise((0, *seams, len(run.words)))]


def _parted(run: Run, parting: _Parting) -> list[Run]:
    """A run in parts that name different columns, where headings stand closer than words do."""
    if parting is _Parting.NOT or len(run.words) > _MOST_WORDS:
        return [run]
    if len({word.text for word in run.words}) == 1:  # two columns that begin with the same word
        return [replace(run, words=(word,)) for word in run.words]
    if parting is _Parting.AT_EVERY_TEXT:
        seams = [i for i in range(1, len(run.words)) if not run.words[i].is_drawn_on]
        return [replace(run, words=run.words[a:b]) for a, b in pairwise((0, *seams, len(run.words)))]
    cuts = [
        i for i in range(1, len(run.words)) if parting is _Parting.ANYWHERE or not run.words[i].is_drawn_on
    ]
    for count in range(1, min(len(cuts), 5) + 1):
        ways = [_meanings(run, chosen) for chosen in combinations(cuts, count)]
        best = max(ways, key=lambda way: way[0])
        if best[0]:
            return best[1]
    return [run]


def _meanings(run: Run, cuts: Sequence[int]) -> tuple[float, list[Run]]:
    """How well the parts of a run name different columns: 0 when they do not."""
    edges = (0, *cuts, len(run.words))
    parts = [replace(run, words=run.words[a:b]) for a, b in pairwise(edges)]
    best = [
        max(_scores(set(words_of(part.text))).items(), key=lambda item: item[1], default=None)
        for part in parts
    ]
    named = [item for item in best if item is not None]
    if len({meaning for meaning, _ in named}) < len(parts):
        return 0, parts
    # Columns stand further apart than words.
    wide = sum((after.x0 - before.x1) / run.size for before, after in pairwise(parts))
    return sum(score for _, score in named) + 8 * wide, parts


def _columns_over(x0: float, x1: float, places: Sequence[tuple[float, float]]) -> list[int]:
    """The columns that a phrase of another line belongs to: one, or all that it spans."""
    overlapping = [i for i, (left, right) in enumerate(places) if left < x1 and x0 < right]
    aligned = [i for i in overlapping if _is_aligned((x0, x1), places[i])]
    if len(aligned) == 1:
        return aligned
    spanned = [i for i in overlapping if x0 <= (places[i][0] + places[i][1]) / 2 <= x1]
    if len(spanned) > 1:
        return spanned
    if not overlapping:
        return []
    return [max(overlapping, key=lambda i: min(x1, places[i][1]) - max(x0, places[i][0]))]


def _is_aligned(one: tuple[float, float], other: tuple[float, float]) -> bool:
    edges = (one[0] - other[0], one[1] - other[1], (one[0] + one[1] - other[0] - other[1]) / 2)
    return any(abs(edge) <= _ALIGNED for edge in edges)


def _readings(stacks: Sequence[_Stack]) -> tuple[tuple[HeadColumn, ...], ...]:
    """What the columns may mean: one reading, or several where two say the same equally well."""
    scores = [_scores(set(stack.words)) for stack in stacks]
    candidates: dict[str, list[int]] = {}
    for meaning in (CLIENT, RATE, COMMISSION, INVOICE, ITEM, NET_SALES):
        best = max((score.get(meaning, 0) for score in scores), default=0)
        if best:
            candidates[meaning] = [i for i, score in enumerate(scores) if score.get(meaning, 0) == best]
    unknown = [i for i, score in enumerate(scores) if not score and not _OTHER & set(stacks[i].words)]
    for meaning in (NET_SALES, COMMISSION):
        if meaning not in candidates and unknown:
            candidates[meaning] = unknown
    choices = (
        dict(zip(candidates, chosen, strict=True))
        for chosen in product(*candidates.values())
        if len(set(chosen)) == len(chosen)
    )
    places = {index: PLACE for index, score in enumerate(scores) if PLACE in score}
    readings = [_columns(stacks, choice, places) for choice in islice(choices, _READINGS)]
    return tuple(readings) or (_columns(stacks, {}, places),)


def _columns(
    stacks: Sequence[_Stack], choice: dict[str, int], places: dict[int, str]
) -> tuple[HeadColumn, ...]:
    meanings = places | {index: meaning for meaning, index in choice.items()}
    return tuple(
        HeadColumn(meanings.get(index, UNKNOWN), stack.x0, stack.x1, frozenset(stack.words))
        for index, stack in enumerate(stacks)
    )


def _scores(words: set[str]) -> dict[str, int]:
    """How well the words over a column name each meaning; nothing for a column of another kind."""
    if words & _CLIENTS and not words & _ITEMS:
        return _client_scores(words)
    if words & {"st", "state", "zip", "zipcode"} and words <= _PLACES:
        return {PLACE: 1}
    if words & (_COMMISSION | _PERCENT):
        return _commission_scores(words)
    if words & _OTHER:
        return {}
    return _sale_scores(words)


def _client_scores(words: set[str]) -> dict[str, int]:
    is_number = "name" not in words and words & _MARKS and not words & {"st", "state", "zip"}
    if words & _OTHER or is_number:
        return {}
    return {CLIENT: 2 + 2 * ("name" in words) + bool(words & (_CLIENTS - {"name"}))}


def _commission_scores(words: set[str]) -> dict[str, int]:
    if words & _COMMISSION and not words & _PERCENT:
        return {COMMISSION: 3 + bool(words & _MONEY) - 2 * bool(words & _OTHER)}
    if words & _COMMISSION:
        return {RATE: 4}
    return {} if words & _OTHER else {RATE: 3}


def _sale_scores(words: set[str]) -> dict[str, int]:
    if words & _INVOICES and not words & (_MONEY | {"total"}):
        return {INVOICE: 2 + bool(words & {"invoice", "inv"})}
    if words & _ITEMS and not words & _MONEY:
        return {ITEM: 2 + bool(words & {"item"}) - bool(words & {"name"})}
    if words & _SALES:
        return {NET_SALES: 1 + 3 * ("net" in words) + 2 * bool(words & {"sales", "sale"})}
    return {}
