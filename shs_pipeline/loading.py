"""Lines into the database: COPY, and the key by which a line is recognised in another file."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from hashlib import blake2b
from types import NoneType
from typing import TYPE_CHECKING, Any

from psycopg import sql

from shs_pipeline.contract import columns_of
from shs_pipeline.reading import ROW, SHEET
from shs_pipeline.warehouse import added_columns

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from shs_pipeline.source import Declaration, Source

_ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_NULL = r"\N"
_BLOCK = 4096


def line_keys(source: Source, lines: pd.DataFrame) -> list[int]:
    """Return (n,) signed 64-bit keys, equal for lines that are the same sale in another file."""
    names = source.same_line or [column.name for column in columns_of(source.rows)]
    texts = [_key_texts(lines[name].tolist()) for name in names]
    return [
        int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)
        for text in map("\x1f".join, zip(*texts, strict=True))
    ]


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


def copy_lines(
    connection: psycopg.Connection,
    schema: str,
    declaration: Declaration,
    lines: pd.DataFrame,
    constants: dict[str, Any],
) -> None:
    """Append lines to a table of the schema with COPY.

    Args:
        lines: (n, m) values by database name.
        constants: columns that have one value for all lines, such as `file_id`.
    """
    types = {name: kind.split()[0] for name, kind in added_columns(schema)}
    types |= {column.name: column.sql_type for column in columns_of(declaration.rows)}
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(schema, declaration.name), sql.SQL(", ").join(map(sql.Identifier, types))
    )
    columns = [(_column(lines, name, constants), kind) for name, kind in types.items()]
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        # In blocks, so that the server works on one while the next is made.
        for start in range(0, len(lines), _BLOCK):
            texts = [_copy_texts(cells[start : start + _BLOCK], kind) for cells, kind in columns]
            copy.write("\n".join([*map("\t".join, zip(*texts, strict=True)), ""]))


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


def _column(lines: pd.DataFrame, name: str, constants: dict[str, Any]) -> Sequence[Any]:
    if name in constants:
        return [constants[name]] * len(lines)
    column = lines[name]
    if name not in (SHEET, ROW) and column.dtype != object:
        column = column.astype(object).where(column.notna(), None)
    return column.tolist()


def delete_lines(connection: psycopg.Connection, schema: str, declaration: Declaration, file_id: int) -> None:
    """Delete the lines of one file."""
    statement = sql.SQL("delete from {} where file_id = %s").format(sql.Identifier(schema, declaration.name))
    connection.execute(statement, [file_id])


def copies_elsewhere(
    connection: psycopg.Connection, source: Source, keys: Sequence[int], not_in: int | None
) -> tuple[int, dict[int, int]]:
    """Count how many of a file's lines are already loaded from other files.

    Args:
        keys: line keys of the file; a line that it has twice counts twice at the most.
        not_in: the file whose place this one takes.

    Returns:
        Lines of the file that are loaded elsewhere, each counted once however many other files have
        it; and lines in common by `file_id`.
    """
    statement = sql.SQL(
        "with mine as"
        " (select key, count(*) as lines from unnest(%(keys)s::bigint[]) as k (key) group by key),"
        " theirs as (select r.file_id, r.line_key as key, count(*) as lines from {} as r"
        " where r.line_key = any(%(keys)s) and r.file_id is distinct from %(not_in)s"
        " group by r.file_id, r.line_key),"
        " together as (select key, sum(lines)::bigint as lines from theirs group by key)"
        " select null, coalesce(sum(least(mine.lines, together.lines)), 0)::bigint from mine"
        " inner join together using (key)"
        " union all select file_id, sum(least(mine.lines, theirs.lines))::bigint from mine"
        " inner join theirs using (key) group by file_id"
    ).format(sql.Identifier("raw", source.name))
    rows = connection.execute(statement, {"keys": list(keys), "not_in": not_in}).fetchall()
    by_file: dict[Any, int] = dict(rows)
    return by_file.pop(None), by_file


def sums_of(source: Source, lines: pd.DataFrame) -> dict[str, str]:
    """Return the exact sum of each amount column, as text."""
    return {name: str(sum(lines[name].tolist())) for name in source.amounts}


def other_files_in_force(connection: psycopg.Connection, source: str, path: str) -> bool:
    """Whether the source has lines from any other place."""
    row = connection.execute(
        "select exists (select from ops.files where source = %s and status = 'loaded' and path <> %s)",
        [source, path],
    ).fetchone()
    return bool(row and row[0])
