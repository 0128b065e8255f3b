"""What is guessed of a file; it crosses from the reading process as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from shs_pipeline.casting.kinds import Kind

Role = Literal[
    "customer", "customer_name", "invoice", "item", "quantity", "date", "sales", "earned", "rate", "rep"
]
"""What a column is for; `customer` is the territory key, `earned` the company's commission."""


@dataclass(frozen=True)
class GuessedColumn:
    """One column of the file.

    Attributes:
        header: as the file prints it, with single spaces.
        position: 0-based, in the sheet.
        kind: what its cells hold.
        filled, fitting: lines with a cell here, and those whose cell can be read as this kind.
        because: what else speaks for the kind.
        is_blank: whether a line has no cell here.
        is_grouped: whether it is printed once for several lines.
        is_long: whether a text is longer than names are.
    """

    header: str
    position: int
    kind: Kind
    filled: int
    fitting: int
    because: str
    is_blank: bool = False
    is_grouped: bool = False
    is_long: bool = False


@dataclass(frozen=True)
class GuessedRole:
    """Which column has a role, whether a person should look at it, and why it was chosen."""

    header: str
    is_sure: bool
    because: str


@dataclass(frozen=True)
class Layout:
    """What was guessed of a file.

    Attributes:
        header_row: 1-based; the lower one where the header is printed over two rows.
        lines, totals, plain_totals, others: rows of each kind; plain totals have amounts and no word,
            others are remarks and headings.
        has_headings: whether groups have rows of their own, of more than one cell.
        rates: the most frequent factors, such as `0.07`.
        left_out: columns that are not read, each with the reason.
    """

    sheet: str
    header_row: int
    columns: tuple[GuessedColumn, ...]
    roles: Mapping[str, GuessedRole]
    lines: int = 0
    totals: int = 0
    plain_totals: int = 0
    others: int = 0
    has_headings: bool = False
    rates: tuple[str, ...] = ()
    left_out: tuple[str, ...] = field(default=())

    def header_of(self, role: Role) -> str | None:
        """Return the column with a role, if there is one."""
        found = self.roles.get(role)
        return found.header if found else None

    def column(self, header: str) -> GuessedColumn:
        """Return a column by its header."""
        return next(column for column in self.columns if column.header == header)

    @property
    def grouped(self) -> list[str]:
        """The columns that are printed once for a group, the outermost first."""
        return [column.header for column in self.columns if column.is_grouped]

    def plain(self) -> dict[str, Any]:
        """Return plain values from which `layout_of` makes the same again."""
        return asdict(self)


def layout_of(plain: Mapping[str, Any]) -> Layout:
    """Return the layout that `Layout.plain` wrote down."""
    made = dict(plain)
    made["columns"] = tuple(GuessedColumn(**column) for column in plain["columns"])
    made["roles"] = {role: GuessedRole(**found) for role, found in plain["roles"].items()}
    made["rates"], made["left_out"] = tuple(plain["rates"]), tuple(plain["left_out"])
    return Layout(**made)
