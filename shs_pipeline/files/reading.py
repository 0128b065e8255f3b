"""What a reader gets from a file: the cells of its lines, what it left out, what it found wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    import numpy as np
    import pandas as pd

SHEET = "source_sheet"
ROW = "source_row"


class Everything(frozenset[str]):
    """A set that has every name, for what cannot be checked."""

    def __contains__(self, name: object) -> bool:
        return True


@dataclass(frozen=True)
class SourceFile:
    """The bytes of one dropped file and what its place says about it.

    Attributes:
        name: file name as dropped, for messages.
        content: the bytes.
        revenue_month: first of the month named by a `rev=YYYY-MM` folder, if any.
        known: reference values a reader may need, by table (casefolded keys),
            e.g. `{"service_to_product": {"consulting", ...}}`.
        commission_month: first of the month in whose folder it lies; None where that is not known.
        is_early_ok: whether lines dated after that month are meant (`early=ok/`).
    """

    name: str
    content: bytes
    revenue_month: date | None = None
    known: Mapping[str, frozenset[str]] = field(default_factory=dict)
    commission_month: date | None = None
    is_early_ok: bool = False


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file, placed so that an admin finds the cell and fixes it.

    Attributes:
        sheet: sheet name, or `page 3` in a PDF; None for the file as a whole.
        row: 1-based row of the sheet, or line of the page.
        column: header text of the column as the contract names it.
        value: what the cell holds, as text.
        severity: an `error` rejects the file, a `warning` is only shown.
    """

    problem: str
    remedy: str
    sheet: str | None = None
    row: int | None = None
    column: str | None = None
    value: str | None = None
    severity: Literal["error", "warning"] = "error"

    @property
    def sentence(self) -> str:
        """What is wrong, with its place in front."""
        row = f"row {self.row}" if self.row is not None else None
        place = ", ".join(part for part in (self.sheet, row, self.column) if part)
        value = f" ({self.value})" if place and self.value else ""
        return f"{place}{value}: {self.problem}" if place else self.problem


@dataclass(frozen=True)
class BadCells:
    """The cells of a file that are reported already, so that nothing is concluded from them.

    Attributes:
        places: sheet, row and column of each.
        missing: columns that the file does not have.
    """

    places: frozenset[tuple[str | None, int | None, str | None]] = frozenset()
    missing: frozenset[str] = frozenset()

    def among(self, lines: pd.DataFrame, *headers: str) -> list[bool]:
        """Return (n,) for each line whether one of its cells in these columns is bad."""
        if not self.missing.isdisjoint(headers):
            return [True] * len(lines)
        if not self.places:
            return [False] * len(lines)
        return [
            any((sheet, int(row), header) in self.places for header in headers)
            for sheet, row in zip(lines[SHEET], lines[ROW], strict=True)
        ]

    def has(self, problem: Problem) -> bool:
        """Whether a problem stands at such a cell."""
        return problem.column in self.missing or (problem.sheet, problem.row, problem.column) in self.places


@dataclass(frozen=True)
class PrintedTotal:
    """A total that the file prints, held against the lines that it covers (same unit).

    Attributes:
        covers: which lines these are where the total names them, such as `3 of mercy clinic`.
    """

    sheet: str
    row: int
    label: str
    column: str
    printed: Decimal
    computed: Decimal
    covers: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the printed and the computed total are the same amount."""
        return self.printed == self.computed


@dataclass(frozen=True)
class CellsAt:
    """Where the cells of a column stand that are not in the row and column of their line.

    Attributes:
        header: the column's header in the sheet.
        rows: (n,) 1-based row of each line's cell.
    """

    header: str
    rows: Sequence[int] | np.ndarray


@dataclass
class Reading:
    """The outcome of reading one file.

    Attributes:
        lines: cells as delivered (text, numbers, dates, None), dtype object, one row per sale
            line in the order of the file; columns `source_sheet`, `source_row` (see `SHEET`, `ROW`)
            and the delivered column names of the contract.
        left_out: rows that are no sale lines although they look like data, by reason.
        totals: printed totals with amounts.
        problems: structural problems; cell problems come from the contract.
        missing: columns that the file does not have, each among `problems` and blank in `lines`.
        cells_at: columns whose cells stand elsewhere than in the row of their line.
    """

    lines: pd.DataFrame
    left_out: dict[str, int] = field(default_factory=dict)
    totals: list[PrintedTotal] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    missing: frozenset[str] = frozenset()
    cells_at: Mapping[str, CellsAt] = field(default_factory=dict)


@dataclass(frozen=True)
class CopyLines:
    """The lines of a file, ready to be loaded.

    Attributes:
        count: how many.
        pieces: some lines each, in UTF-8, of the columns that `copied_columns` names; to be taken once, as
            they may be made, or arrive, only then.
        sums: of a source, the exact sum of each amount column, as text.
        cells: texts of single columns, where they were asked for.
    """

    count: int
    pieces: Iterable[bytes | bytearray]
    sums: Mapping[str, str]
    cells: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.count
