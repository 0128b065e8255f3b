"""The accepted versions of reference tables: which there are, and their rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from psycopg import sql
from psycopg.rows import class_row, dict_row

from shs_pipeline.casting.cells import match_key
from shs_pipeline.files.contract import columns_of
from shs_pipeline.reference.registry import table_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

Row = dict[str, object]
"""Values as the contract gives them, by database name of the column."""


@dataclass(frozen=True)
class AcceptedVersion:
    """An accepted version of a reference table, and when it was in force (`in_force_until`: None is now).

    Attributes:
        actor: who brought it; None where that was not recorded.
        rows: how many it has.
    """

    file_id: int
    in_force_from: datetime
    in_force_until: datetime | None
    actor: str | None
    rows: int


def versions_of(connection: psycopg.Connection, table: str) -> list[AcceptedVersion]:
    """Return every accepted version of a table, the oldest first."""
    with connection.cursor(row_factory=class_row(AcceptedVersion)) as cursor:
        return cursor.execute(
            "select file_id, in_force_from, in_force_until, actor, rows_loaded as rows"
            " from reference.versions inner join ops.files using (file_id)"
            " where table_name = %s order by in_force_from, file_id",
            [table],
        ).fetchall()


def version_at(
    connection: psycopg.Connection, table: str, at: datetime | None = None
) -> AcceptedVersion | None:
    """Return the version that was in force at a moment, by default the one that is; None before the first."""
    for version in reversed(versions_of(connection, table)):
        is_begun = at is None or version.in_force_from <= at
        is_over = version.in_force_until is not None and (at is None or version.in_force_until <= at)
        if is_begun and not is_over:
            return version
    return None


def table_rows(connection: psycopg.Connection, table: str, at: datetime | None = None) -> list[Row]:
    """Return the rows of the version that was in force at a moment, by default now, with given ids filled in.

    Empty when none was.
    """
    version = version_at(connection, table, at)
    rows = rows_of(connection, table, version.file_id) if version else []
    return _with_given_ids(connection, rows) if table == "sales_reps" else rows


def rows_of(connection: psycopg.Connection, table: str, file_id: int) -> list[Row]:
    """Return the rows of a version as its workbook has them, in their order."""
    columns = [sql.Identifier(column.name) for column in columns_of(table_named(table).rows)]
    query = sql.SQL(
        "select {} from reference.{} where file_id = %s order by source_sheet, source_row"
    ).format(sql.SQL(", ").join(columns), sql.Identifier(table))
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, [file_id]).fetchall()


def _with_given_ids(connection: psycopg.Connection, reps: Sequence[Row]) -> list[Row]:
    """Fill in the ids that builds gave to people whose workbook leaves them blank; past names count too."""
    given: dict[str, str] = dict(
        connection.execute("select name_key, payee_id from reference.payee_names").fetchall()
    )
    given |= dict(
        connection.execute(
            "select name_key, payee_id from reference.payees where name_key is not null"
        ).fetchall()
    )
    return [
        rep | {"payee_id": rep["payee_id"] or given.get(match_key(str(rep["sales_rep_name"])))}
        for rep in reps
    ]
