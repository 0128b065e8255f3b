"""What a statement prints, before and after it is understood: runs, lines, cells, sales, totals."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from shs_pipeline.files.reading import Problem

# The delivered names are those of the pivot export (xlsx): one contract serves both files.
CLIENT, STATE, ZIP_CODE = "Row Labels", "St", "ZIP Code"
INVOICE, ITEM, RATE = "Invoice #", "Item", "CommRate"
NET_SALES, COMMISSION = "Sum of Net Sales Amount", "Sum of Comm $"
STATEMENT_DATE = "Statement Date"
PLACE = "State/ZIP"  # a printed column of its own, in some layouts
UNKNOWN = ""  # a printed column that we do not know

DELIVERED_COLUMNS = (CLIENT, STATE, ZIP_CODE, INVOICE, ITEM, RATE, NET_SALES, COMMISSION)

_AMOUNT = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d+)?(\.\d+)?-?")
_CURRENCY = re.compile(r"usd|us\$|\$", re.IGNORECASE)
_RATE = re.compile(r"-?\d*([.,]\d+)?\s*%?")
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"), "-")


@dataclass(frozen=True, slots=True)
class Word:
    """Characters without a space between them (points from the page's lower left corner).

    Attributes:
        starts: left edge of each character of `text`.
        is_drawn_on: whether it was drawn in one go with the word before it in its run.
        is_glued: whether it touches the word before it in its run, so that no space is between them.
    """

    text: str
    x0: float
    x1: float
    starts: tuple[float, ...] = ()
    is_drawn_on: bool = False
    is_glued: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Words drawn one after the other with no more than a space between them, on one baseline.

    Attributes:
        size: height of a line of this font, points.
        order: position in the page's content, which no layout analysis has touched.
    """

    words: tuple[Word, ...]
    y: float
    size: float
    order: int

    @property
    def text(self) -> str:
        """The words, one space between two."""
        return spelt(self.words)

    @property
    def x0(self) -> float:
        """Left edge."""
        return self.words[0].x0

    @property
    def x1(self) -> float:
        """Right edge."""
        return self.words[-1].x1


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """One line of a page; `number` is 1-based and counts the lines that hold text.

    Attributes:
        is_huge: whether its letters are far larger than those of the page, like a watermark's.
    """

    number: int
    y: float
    runs: tuple[Run, ...]
    is_huge: bool = False

    @property
    def text(self) -> str:
        """The runs from left to right, one space between two."""
        return " ".join(run.text for run in self.runs)


@dataclass(frozen=True, slots=True)
class PrintedPage:
    """The text that a person sees on one page, turned so that most of it is upright.

    Attributes:
        is_turned: whether the page had to be turned, or is shown turned.
        set_aside: characters that are no part of the table: slanted, invisible or as good as white.
        unreadable: how many characters the fonts of the page do not name.
    """

    number: int
    width: float
    height: float
    lines: tuple[PrintedLine, ...]
    has_picture: bool = False
    is_turned: bool = False
    set_aside: str = ""
    unreadable: int = 0

    @property
    def sheet(self) -> str:
        """The page as `Problem` and the delivered rows name it."""
        return sheet_of(self.number)


@dataclass(frozen=True, slots=True)
class CellLine:
    """A line of the table.

    Attributes:
        cells: text by column (`CLIENT` …); columns that hold nothing are left out.
        text: the whole line, for messages.
        is_flush: whether it begins where the clients' names begin.
        is_inside: whether it begins and ends within the column of the clients' names.
        x0: left edge, points.
        has_room: points between the end of the client's text and the next column.
        width_of_first: width of the line's first word, points.
        is_title: whether a title or heading printed elsewhere has the same words.
        is_muddled: whether texts that were drawn apart lie over each other.
    """

    page: int
    line: int
    cells: dict[str, str]
    text: str
    y: float = 0.0
    size: float = 1.0
    is_flush: bool = True
    is_inside: bool = True
    x0: float = 0.0
    has_room: float = 0.0
    width_of_first: float = 0.0
    is_huge: bool = False
    is_muddled: bool = False
    is_title: bool = False

    def __getitem__(self, column: str) -> str:
        """The cell's text, blank where nothing is printed."""
        return self.cells.get(column, "")


@dataclass
class Sale:
    """One sale: its printed line, the name in full, and the client's state and zip."""

    line: CellLine
    client: str
    net_sales: Decimal
    commission: Decimal
    state: str | None = None
    zip_code: str | None = None
    section: int = 0

    @property
    def page(self) -> int:
        """1-based page of the line that prints the amounts."""
        return self.line.page


@dataclass(frozen=True)
class TotalLine:
    """A printed total.

    Attributes:
        sales_before: how many sale lines stand above it.
        is_named: whether a word says that it is a total; if not, it must prove itself.
    """

    page: int
    line: int
    label: str
    amounts: dict[str, Decimal]
    sales_before: int
    is_named: bool = True


@dataclass
class Statement:
    """What a reader makes of a whole statement.

    Attributes:
        headings: texts without amounts that stand above sales, such as the rep codes.
        left_out: lines that are neither sale nor total, by reason.
    """

    sales: list[Sale] = field(default_factory=list)
    totals: list[TotalLine] = field(default_factory=list)
    headings: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def spelt(words: Iterable[Word]) -> str:
    """The words as one text, with a space where one is seen."""
    return "".join(f"{'' if word.is_glued else ' '}{word.text}" for word in words).strip()


def sheet_of(page: int) -> str:
    """Name of a page in `source_sheet`, problems and totals."""
    return f"page {page}"


def tidy(text: str) -> str:
    """The text with any run of white space as one space."""
    return " ".join(text.split())


@lru_cache(maxsize=1 << 14)  # each cell is asked for several times, and amounts are most of the cells
def amount_of(text: str) -> Decimal | None:
    """The dollars of a printed amount, None when it is none.

    `$1,234.50`, `(123.45)`, `$(123.45)`, `-123.45`, `123.45-`, `USD 5.00` and `5.00 CR` are amounts;
    parentheses, a minus or CR make a credit.
    """
    compact = unicodedata.normalize("NFKC", text).translate(_DASHES).replace(" ", "")
    compact = _CURRENCY.sub("", compact, count=1)
    plain = re.sub(r"(?i)cr$", "", compact)
    inner = re.sub(r"^\((.*)\)$", r"\1", plain)
    if not _AMOUNT.fullmatch(inner) or len(compact) - len(inner) + inner.count("-") > 2:
        return None
    is_credit = inner != compact or "-" in inner
    if is_credit and (inner.count("-") > 1 or (inner != compact and "-" in inner)):
        return None
    try:
        amount = Decimal(re.sub(r"[-+,]", "", inner))
    except InvalidOperation:
        return None
    return -amount if is_credit else amount


def is_rate(text: str) -> bool:
    """Whether the text is a printed rate: `7%`, `7,0%`, `0.07` or `7`."""
    return bool(_RATE.fullmatch(text.strip())) and any(char.isdigit() for char in text)


def rate_of(text: str, net_sales: Decimal, commission: Decimal) -> str | None:
    """A printed rate, with a percent sign where only the amounts tell that it is a percentage.

    `0.5` is half a percent, and `1` is one half of nothing else than all, when the amounts say so.
    """
    if not text or "%" in text or not net_sales:
        return text or None
    number, share = Decimal(text.replace(",", ".")), commission / net_sales
    tolerance = Decimal("0.02") / abs(net_sales)
    as_percent, as_factor = abs(number / 100 - share) <= tolerance, abs(number - share) <= tolerance
    if number < 1 and as_percent and not as_factor:
        return f"{text}%"
    if number >= 1 and as_factor and not as_percent:
        return f"{number * 100:f}%"
    return text
