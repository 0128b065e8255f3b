"""The lines of a file as PostgreSQL's COPY takes them, and what can be said about them without parsing.

They are made where the file is read, so that only texts go from there to the run that loads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
from struct import iter_unpack
from types import NoneType
from typing import TYPE_CHECKING, Any

from shs_pipeline.files.reading import ROW, SHEET, CopyLines

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from shs_pipeline.files.source import Declaration, MonthlyFiles

_ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_NULL = r"\N"
_LINES_PER_PIECE = 2048


def copied_columns(declaration: Declaration) -> list[str]:
    """Return the names of the columns that a line of `CopyLines` holds, in their order."""
    return list(_kinds(declaration))


def pieces_in(count: int) -> int:
    """Return in how many pieces so many lines come."""
    return -(-count // _LINES_PER_PIECE)


def _kinds(declaration: Declaration) -> dict[str, str]:
    from shs_pipeline.files.contract import columns_of
    from shs_pipeline.files.source import Source

    kinds = {SHEET: "text", ROW: "bigint"}
    if isinstance(declaration, Source):
        kinds |= {"revenue_date": "date", "sale_key": "bigint"}
    return kinds | {column.name: column.sql_type for column in columns_of(declaration.rows)}


def copy_lines_of(declaration: Declaration, lines: pd.DataFrame) -> CopyLines:
    """Return the (n, m) values by database name as COPY takes them."""
    from shs_pipeline.files.source import MonthlyFiles, Source

    sale_key = declaration.sale_key if isinstance(declaration, Source) else ()
    sums = sums_of(declaration, lines) if isinstance(declaration, MonthlyFiles) else {}
    kinds = _kinds(declaration)
    columns = {name: _column(lines, name) for name in kinds if name != "sale_key"}
    return CopyLines(len(lines), _pieces(kinds, columns, sale_key, len(lines)), sums)


def _pieces(
    kinds: Mapping[str, str], columns: Mapping[str, np.ndarray], sale_key: Sequence[str], count: int
) -> Iterator[bytes]:
    """Yield the lines in pieces, so that the texts of a large file are never all there at once.

    What a piece needs is computed while the server takes the one before.
    """
    for start in range(0, count, _LINES_PER_PIECE):
        cells: dict[str, Sequence[Any]] = {
            name: column[start : start + _LINES_PER_PIECE].tolist() for name, column in columns.items()
        }
        if sale_key:
            cells["sale_key"] = sale_keys(cells[name] for name in sale_key)
        texts = [_copy_texts(cells[name], kind) for name, kind in kinds.items()]
        yield "\n".join([*map("\t".join, zip(*texts, strict=True)), ""]).encode()


def sale_keys(columns: Iterable[Sequence[Any]]) -> list[int]:
    """Return n signed 64-bit keys, equal for lines that name the same sale.

    Args:
        columns: the n values of each column of `Source.sale_key`.
    """
    texts = map("\x1f".join, zip(*map(_key_texts, columns), strict=True))
    digests = b"".join([blake2b(text.encode(), digest_size=8).digest() for text in texts])
    return [key for (key,) in iter_unpack(">q", digests)]


def sums_of(declaration: MonthlyFiles, lines: pd.DataFrame) -> dict[str, str]:
    """Return the exact sum of each amount column, as text."""
    return {name: str(sum(lines[name].tolist())) for name in declaration.amounts}


def _key_texts(cells: Sequence[Any]) -> list[str]:
    """Return texts that are the same for `1,234.50` and 1234.5, and in any case."""
    types = set(map(type, cells))
    if types and types <= {str, NoneType}:
        # Casting leaves no line break in a text.
        return "\n".join([cell or "" for cell in cells]).casefold().split("\n")
    texts = {cell: _key_text(cell) for cell in set(cells)}
    return list(map(texts.__getitem__, cells))


def _key_text(cell: Any) -> str:
    if cell is None:
        return ""
    return str(cell.normalize()) if isinstance(cell, Decimal) else str(cell).casefold()


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


def _column(lines: pd.DataFrame, name: str) -> np.ndarray:
    column = lines[name]
    is_nullable = name not in (SHEET, ROW) and column.dtype != object
    return (column.astype(object).where(column.notna(), None) if is_nullable else column).to_numpy()
