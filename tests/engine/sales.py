"""What names a sale: the ids of lines, and sales that are in several files of a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from tests.engine.model import ZERO, RawLine, SaleLine
from tests.engine.source_rules import rules_of

Place = tuple[str, str, int, int]
"""File, sheet, row, and the number of the file's version."""


def place_of(line: RawLine) -> Place:
    """Return where a line stands."""
    return line.source_file, line.source_sheet, line.source_row, line.file_id


def sale_key(line: RawLine) -> int:
    """Return the key of the line's sale, an unsigned number of 64 bits: no amount is part of it."""
    text = "\x1f".join(_as_text(line.cells.get(name)) for name in rules_of(line.source).sale_key)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def _as_text(cell: Any) -> str:
    match cell:
        case None:
            return ""
        case Decimal():
            return str(cell.normalize())
        case date():
            return cell.isoformat()
    return str(cell).casefold()


def line_ids(lines: Iterable[RawLine]) -> dict[Place, str]:
    """Return the id of each line: of the lines of one sale in a month of a source, each is the nth."""
    seen: dict[str, int] = {}
    ids = {}
    for line in sorted(lines, key=place_of):
        sale = f"{line.source}/{line.commission_month:%Y-%m}/{sale_key(line):x}"
        seen[sale] = seen.get(sale, 0) + 1
        ids[place_of(line)] = f"{sale}/{seen[sale]}"
    return ids


@dataclass(frozen=True)
class Repeat:
    """A row of `repeated_lines`: a sale that an earlier file has, too."""

    line_id: str
    source_file: str
    source_sheet: str
    source_row: int
    first_file: str
    first_sheet: str
    first_row: int
    sales_actual: Decimal
    rev_actual: Decimal
    first_sales_actual: Decimal
    first_rev_actual: Decimal
    commission: Decimal


@dataclass(frozen=True)
class _Line:
    """A line of a sale, the nth of its sign in its file."""

    raw: RawLine
    is_credit: bool
    number: int

    @property
    def file(self) -> tuple[date, str]:
        return self.raw.commission_month, self.raw.source_file


def repeated_lines(
    raw: Sequence[RawLine], credited: Sequence[SaleLine], paid: Sequence[Decimal]
) -> list[Repeat]:
    """Return the lines whose sale an earlier file has, each with the latest such line.

    Args:
        credited: what became of the lines, in parts.
        paid: (n,) what is paid on each part, in whichever month.
    """
    of_line: dict[str, list[tuple[SaleLine, Decimal]]] = {}
    for part, amount in zip(credited, paid, strict=True):
        of_line.setdefault(part.line_id, []).append((part, amount))
    by_sale: dict[tuple[str, int], list[RawLine]] = {}
    for line in raw:
        by_sale.setdefault((line.source, sale_key(line)), []).append(line)
    ids, found = line_ids(raw), []
    for lines in by_sale.values():
        for later, earlier in _pairs(_numbered(lines)):
            own, first = (of_line[ids[place_of(line)]] for line in (later, earlier))
            found.append(
                Repeat(
                    ids[place_of(later)],
                    *place_of(later)[:3],
                    *place_of(earlier)[:3],
                    sum((part.sales_actual for part, _ in own), ZERO),
                    sum((part.rev_actual for part, _ in own), ZERO),
                    sum((part.sales_actual for part, _ in first), ZERO),
                    sum((part.rev_actual for part, _ in first), ZERO),
                    sum((amount for _, amount in own), ZERO),
                )
            )
    return found


def _numbered(lines: Iterable[RawLine]) -> list[_Line]:
    counts: Counter[tuple[str, bool]] = Counter()
    numbered = []
    for line in sorted(lines, key=place_of):
        is_credit = line.cells[rules_of(line.source).sales] < 0
        counts[line.source_file, is_credit] += 1
        numbered.append(_Line(line, is_credit, counts[line.source_file, is_credit]))
    return numbered


def _pairs(lines: Sequence[_Line]) -> Iterator[tuple[RawLine, RawLine]]:
    """Give each line that repeats another one, with that other one."""
    for later in lines:
        alike = [
            line
            for line in lines
            if (line.is_credit, line.number) == (later.is_credit, later.number)
            and line.file < later.file
            and not any(
                other.is_credit != later.is_credit and line.file[0] <= other.file[0] <= later.file[0]
                for other in lines
            )
        ]
        if alike:
            yield later.raw, max(alike, key=lambda line: line.file).raw
