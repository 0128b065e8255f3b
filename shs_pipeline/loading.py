"""Lines into the database: COPY, and which lines of a file other files have loaded already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from psycopg import sql

from shs_pipeline.copy_text import CopyLines, copied_columns

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.source import Declaration, Source

# What is sent to the server in one piece, so that it works on one while the next is made.
_PIECE = 1 << 18


def copy_lines(
    connection: psycopg.Connection,
    schema: str,
    declaration: Declaration,
    lines: CopyLines,
    constants: Mapping[str, Any],
) -> None:
    """Append the lines of a file to a table of the schema with COPY.

    Args:
        constants: columns that have one value for all lines, such as `file_id`; no value needs escaping.
    """
    names = [*constants, *copied_columns(declaration)]
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(schema, declaration.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    first = "".join(f"{value}\t" for value in constants.values()).encode()
    encoding = connection.info.encoding
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in _pieces(lines.text):
            # A line ends nowhere else: what breaks a line within a cell is escaped.
            whole = first + piece[:-1].replace(b"\n", b"\n" + first) + b"\n"
            copy.write(whole if encoding == "utf-8" else whole.decode())


def _pieces(text: bytes | bytearray) -> Iterator[bytes | bytearray]:
    """Yield a text in pieces of whole lines."""
    start = 0
    while start < len(text):
        end = text.find(b"\n", start + _PIECE) + 1 or len(text)
        yield text[start:end]
        start = end


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


def other_files_in_force(connection: psycopg.Connection, source: str, path: str) -> bool:
    """Whether the source has lines from any other place."""
    row = connection.execute(
        "select exists (select from ops.files where source = %s and status = 'loaded' and path <> %s)",
        [source, path],
    ).fetchone()
    return bool(row and row[0])
