"""Summaries of table contents, to compare a restored table with the original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql


@dataclass(frozen=True)
class TableContent:
    """What a table held: its rows; for a mart the sum of each amount and a digest of all rows too."""

    rows: int
    sums: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""


def read_contents(connection: psycopg.Connection, schemas: Sequence[str]) -> dict[str, TableContent]:
    """Return what each table holds, and each view that people read."""
    # The text of a row hangs on these.
    for setting in ("timezone = 'UTC'", "datestyle = 'ISO, MDY'", "intervalstyle = 'postgres'"):
        connection.execute(sql.SQL("set local ") + sql.SQL(setting))
    found = connection.execute(
        "select n.nspname::text, c.relname::text, array("
        " select attname::text from pg_attribute where attrelid = c.oid and attnum > 0"
        " and not attisdropped and atttypid = 'numeric'::regtype order by attnum)"
        " from pg_class as c inner join pg_namespace as n on n.oid = c.relnamespace"
        " where n.nspname = any(%s) and (c.relkind in ('r', 'p') or c.relkind = 'v' and n.nspname = 'marts')"
        " order by 1, 2",
        [list(schemas)],
    ).fetchall()
    return {
        f"{schema}.{table}": _content(connection, schema, table, amounts if schema == "marts" else None)
        for schema, table, amounts in found
    }


def _content(
    connection: psycopg.Connection, schema: str, table: str, amounts: Sequence[str] | None
) -> TableContent:
    relation = sql.Identifier(schema, table)
    if amounts is None:
        return TableContent(value_of(connection, sql.SQL("select count(*) from {}").format(relation)))
    sums: list[sql.Composable] = [
        sql.SQL(", coalesce(sum({}), 0)::text").format(sql.Identifier("whole_row", name)) for name in amounts
    ]
    # The sum of a hash of each row: the same rows in any order give the same.
    query = sql.SQL(
        "select count(*),"
        " coalesce(sum(('x' || substr(md5(whole_row::text), 1, 16))::bit(64)::bigint::numeric), 0)::text"
        " {} from {} as whole_row"
    )
    row = connection.execute(query.format(sql.SQL("").join(sums), relation)).fetchone()
    assert row is not None
    return TableContent(row[0], dict(zip(amounts, row[2:], strict=True)), row[1])


def value_of(connection: psycopg.Connection, query: Any) -> Any:
    """Return the first value of the first row of a query that has one."""
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]
