"""The lines of a file as PostgreSQL's COPY takes them, and what is said of them without looking inside.

They are made where the file is read, so that only texts go from there to the run that loads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from types import NoneType
from typing import TYPE_CHECKING, Any

from shs_pipeline.reading import ROW, SHEET

if TYPE_CHECKING:
    import pandas as pd

    from shs_pipeline.source import Declaration, Source

_ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_NULL = r"\N"
_BLOCK = 4096


@dataclass(frozen=True)
class CopyLines:
    """The lines of a file, ready to be loaded.

    Attributes:
        count: how many.
        text: a line each, in UTF-8, of the columns that `copied_columns` names.
        keys: of a source, n signed 64-bit line keys in the machine's order of bytes; else empty.
        sums: of a source, the exact sum of each amount column, as text.
        cells: texts of single columns, where they were asked for.
    """

    count: int
    text: bytes | bytearray
    keys: bytes | bytearray
    sums: Mapping[str, str]
    cells: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.count

    @property
    def line_keys(self) -> list[int]:
        """The line keys as numbers."""
        return memoryview(self.keys).cast("q").tolist()


def copied_columns(declaration: Declaration) -> list[str]:
    """Return the names of the columns that a line of `CopyLines` holds, in their order."""
    return list(_kinds(declaration))


def _kinds(declaration: Declaration) -> dict[str, str]:
    from shs_pipeline.contract import columns_of
    from shs_pipeline.source import Source

    kinds = {SHEET: "text", ROW: "bigint"}
    if isinstance(declaration, Source):
        kinds |= {"revenue_date": "date", "line_key": "bigint"}
    return kinds | {column.name: column.sql_type for column in columns_of(declaration.rows)}


def copy_lines_of(declaration: Declaration, lines: pd.DataFrame) -> CopyLines:
    """Return the (n, m) values by database name as COPY takes them."""
    import numpy as np

    from shs_pipeline.source import Source

    keys: list[int] = []
    sums: dict[str, str] = {}
    if isinstance(declaration, Source):
        keys = line_keys(declaration, lines)
        sums = sums_of(declaration, lines)
    columns = [
        (keys if name == "line_key" else _column(lines, name), kind)
        for name, kind in _kinds(declaration).items()
    ]
    text = bytearray()
    # In blocks, so that the texts of a large file are never all there at once.
    for start in range(0, len(lines), _BLOCK):
        texts = [_copy_texts(cells[start : start + _BLOCK], kind) for cells, kind in columns]
        text += "\n".join([*map("\t".join, zip(*texts, strict=True)), ""]).encode()
    return CopyLines(len(lines), text, np.array(keys, dtype=np.int64).tobytes(), sums)


def line_keys(source: Source, lines: pd.DataFrame) -> list[int]:
    """Return (n,) signed 64-bit keys, equal for lines that are the same sale in another file."""
    from shs_pipeline.contract import columns_of

    names = source.same_line or [column.name for column in columns_of(source.rows)]
    texts = [_key_texts(lines[name].tolist()) for name in names]
    return [
        int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)
        for text in map("\x1f".join, zip(*texts, strict=True))
    ]


def sums_of(source: Source, lines: pd.DataFrame) -> dict[str, str]:
    """Return the exact sum of each amount column, as text."""
    return {name: str(sum(lines[name].tolist())) for name in source.amounts}


def _key_texts(cells: Sequence[Any]) -> list[str]:
    """Return texts that are the same for `1,234.50` and 1234.5, and in any case."""
    types = set(map(type, cells))
    if types and types <= {str, NoneType}:
        # Casting leaves no line break in a text.
        return "\n".join([cell or "" for cell in cells]).casefold().split("\n")
    if types == {Decimal}:
        return [str(cell.normalize()) for cell in cells]  # Hardly two are alike.
    texts = {
        cell: str(cell.normalize()) if isinstance(cell, Decimal) else str(cell).casefold()
        for cell in set(cells)
    }
    return list(map(texts.__getitem__, cells))


def _copy_texts(cells: Sequence[Any], kind: str) -> list[str]:
    """Return values of one SQL type as COPY takes them."""
    if kind == "text":
        joined = "".join(filter(None, cells))
        if any(mark in joined for mark in "\\\t\n\r"):
            cells = [cell and cell.translate(_ESCAPED) for cell in cells]
        return [_NULL if cell is None else cell for cell in cells]
    if kind == "date":
        # In ISO form, which the server understands whatever its settings; each day's once, as it is slow.
        days = {day: _NULL if day is None else str(day) for day in set(cells)}
        return list(map(days.__getitem__, cells))
    return [_NULL if cell is None else str(cell) for cell in cells]


def _column(lines: pd.DataFrame, name: str) -> list[Any]:
    column = lines[name]
    if name not in (SHEET, ROW) and column.dtype != object:
        column = column.astype(object).where(column.notna(), None)
    found: list[Any] = column.tolist()
    return found
