"""Load lines with COPY, and delete them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from psycopg import sql

from shs_pipeline.files.copy_text import copied_columns
from shs_pipeline.files.reading import CopyLines

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.files.source import Declaration


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
        # The server works on one piece while the next is made.
        for piece in lines.pieces:
            # A line ends nowhere else: what breaks a line within a cell is escaped.
            whole = first + piece[:-1].replace(b"\n", b"\n" + first) + b"\n"
            copy.write(whole if encoding == "utf-8" else whole.decode())


def delete_lines(connection: psycopg.Connection, schema: str, declaration: Declaration, file_id: int) -> None:
    """Delete the lines of one file."""
    statement = sql.SQL("delete from {} where file_id = %s").format(sql.Identifier(schema, declaration.name))
    connection.execute(statement, [file_id])


def other_files_in_force(connection: psycopg.Connection, source: str, path: str) -> bool:
    """Whether the source has lines from any other place."""
    row = connection.execute(
        "select exists (select from ops.files where source = %s and status = 'loaded' and path <> %s)",
        [source, path],
    ).fetchone()
    return bool(row and row[0])
