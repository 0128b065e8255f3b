"""What a statement prints, before and after it is understood: runs, lines, cells, sales, totals."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from shs_pipeline.reading import Problem

# The delivered names are those of the pivot export (xlsx): one contract serves both files.
CLIENT, STATE, ZIP_CODE = "Row Labels", "St", "ZIP Code"
INVOICE, ITEM, RATE = "Invoice #", "Item", "CommRate"
NET_SALES, COMMISSION = "Sum of Net Sales Amount", "Sum of Comm $"
STATEMENT_DATE = "Statement Date"

# Printed columns from left to right; a line's cells come in this order.
CELL_COLUMNS = (CLIENT, INVOICE, ITEM, NET_SALES, RATE, COMMISSION)
DELIVERED_COLUMNS = (CLIENT, STATE, ZIP_CODE, INVOICE, ITEM, RATE, NET_SALES, COMMISSION)

_AMOUNT = re.compile(r"-?\$?-?(\d{1,3}(,\d{3})+|\d+)?(\.\d+)?-?")
_RATE = re.compile(r"-?\d*([.,]\d+)?\s*%?")


@dataclass(frozen=True, slots=True)
class Run:
    """Characters drawn in one go on one baseline (points from the page's lower left corner).

    Attributes:
        order: position in the page's content, which no layout analysis has touched.
        starts: left edge of each character of `text`.
    """

    text: str
    x0: float
    x1: float
    y: float
    size: float
    order: int
    starts: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """One line of a page; `number` is 1-based and counts the lines that hold text."""

    number: int
    y: float
    runs: tuple[Run, ...]

    @property
    def text(self) -> str:
        """The runs from left to right, one space between two."""
        return tidy(" ".join(run.text for run in self.runs))


@dataclass(frozen=True, slots=True)
class PrintedPage:
    """The text of one page, read as it is shown (rotation applied)."""

    number: int
    width: float
    height: float
    lines: tuple[PrintedLine, ...]
    has_picture: bool

    @property
    def sheet(self) -> str:
        """The page as `Problem` and the delivered rows name it."""
        return sheet_of(self.number)


@dataclass(frozen=True, slots=True)
class CellLine:
    """A line below the column heading, divided into the six cells of `CELL_COLUMNS`."""

    page: int
    line: int
    cells: tuple[str, ...]

    @property
    def text(self) -> str:
        """The cells as one text, for messages."""
        return tidy(" ".join(self.cells))


@dataclass
class Sale:
    """One sale line and, once its second line is read, the client's state and zip."""

    page: int
    line: int
    cells: tuple[str, ...]
    net_sales: Decimal
    commission: Decimal
    rep_code: str
    state: str | None = None
    zip_code: str | None = None


@dataclass(frozen=True)
class TotalLine:
    """A printed total; `sales_before` is how many sale lines stand above it."""

    page: int
    line: int
    label: str
    amounts: dict[str, Decimal]
    sales_before: int


@dataclass
class Statement:
    """What one reader makes of a whole statement."""

    sales: list[Sale] = field(default_factory=list)
    totals: list[TotalLine] = field(default_factory=list)
    rep_codes: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    furniture: int = 0


def sheet_of(page: int) -> str:
    """Name of a page in `source_sheet`, problems and totals."""
    return f"page {page}"


def tidy(text: str) -> str:
    """The text with any run of white space as one space."""
    return " ".join(text.split())


def amount_of(text: str) -> Decimal | None:
    """The dollars of a printed amount, None when it is none.

    `$1,234.50`, `(123.45)`, `$(123.45)`, `-123.45` and `123.45-` are amounts; parentheses or a
    minus make a credit.
    """
    compact = unicodedata.normalize("NFKC", text).replace("\u2212", "-").replace(" ", "")
    inner = re.sub(r"^(-?\$?)\((.*)\)$", r"\1\2", compact)
    if not _AMOUNT.fullmatch(inner) or inner.count("-") > 1:
        return None
    is_credit = inner != compact or "-" in inner
    try:
        amount = Decimal(re.sub(r"[-$,]", "", inner))
    except InvalidOperation:
        return None
    return -amount if is_credit else amount


def is_rate(text: str) -> bool:
    """Whether the text is a printed rate: `7%`, `7,0%`, `0.07` or `7`."""
    return bool(_RATE.fullmatch(text.strip())) and any(char.isdigit() for char in text)
