"""The warehouse's own tables: `raw` and `reference` from the contracts, all others from `*.sql` here."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib import resources
from typing import TYPE_CHECKING

from psycopg import sql

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database import match_keys
from shs_pipeline.files.source import MonthlyFiles, Source
from shs_pipeline.ingest.sale_keys import follow_sale_key
from shs_pipeline.reference.registry import all_tables
from shs_pipeline.sources.registry import all_incoming

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.files.contract import Column
    from shs_pipeline.files.source import Declaration

# Whoever changes the tables takes this lock first, so that two first runs do not collide.
_SCHEMA_LOCK = "shs/schema"

LINE_COLUMNS = (
    ("file_id", "bigint not null"),
    ("source_sheet", "text not null"),
    ("source_row", "bigint not null"),
)
MONTH_COLUMN = ("commission_month", "date not null")
SALE_COLUMNS = (
    ("revenue_date", "date not null"),
    ("sale_key", "bigint not null"),
)


def ensure_tables(connection: psycopg.Connection) -> None:
    """Create what is missing and add the columns that contracts have gained, in one transaction.

    Raises:
        ShsError: a column of a contract changed its type.
    """
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [_SCHEMA_LOCK])
        connection.execute("set local client_min_messages = warning")
        connection.execute(_books().encode())
        connection.execute(match_keys.match_key_functions().encode())
        for declared in all_incoming():
            _ensure_table(connection, "raw", declared)
            if isinstance(declared, Source):
                follow_sale_key(connection, declared)
        for table in all_tables():
            _ensure_table(connection, "reference", table)
        connection.execute(sql.SQL("comment on schema raw is {}").format(sql.Literal(contracts_mark())))


def has_tables(connection: psycopg.Connection) -> bool:
    """Whether the tables are those of today's contracts."""
    row = connection.execute("select obj_description(to_regnamespace('raw'), 'pg_namespace')").fetchone()
    return bool(row and row[0] == contracts_mark())


@cache
def contracts_mark() -> str:
    """Return a text that changes with any contract or table."""
    from shs_pipeline.files.contract import columns_of

    parts = [
        _books(),
        match_keys.TEMPLATE,
        *(repr(getattr(declared, "sale_key", ())) for declared in all_incoming()),
        *(repr(columns_of(declared.rows)) for declared in (*all_incoming(), *all_tables())),
    ]
    return f"Lines as delivered; contracts {sha256(''.join(parts).encode()).hexdigest()[:12]}"


@cache
def _books() -> str:
    folder = resources.files("shs_pipeline.ingest")
    return "\n".join(
        folder.joinpath(name).read_text(encoding="utf-8") for name in ("books.sql", "ledger.sql")
    )


def added_columns(declaration: Declaration) -> tuple[tuple[str, str], ...]:
    """Return the columns that a table has besides its contract's, with types."""
    if not isinstance(declaration, MonthlyFiles):
        return LINE_COLUMNS
    sale_columns = SALE_COLUMNS if isinstance(declaration, Source) else ()
    return (*LINE_COLUMNS, MONTH_COLUMN, *sale_columns)


def _ensure_table(connection: psycopg.Connection, schema: str, declaration: Declaration) -> None:
    from shs_pipeline.files.contract import columns_of

    table = sql.Identifier(schema, declaration.name)
    columns = columns_of(declaration.rows)
    definitions: list[sql.Composable] = [
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
        for name, kind in added_columns(declaration)
    ]
    definitions += [_definition(column) for column in columns]
    connection.execute(
        sql.SQL("create table if not exists {} ({}, primary key (file_id, source_row, source_sheet))").format(
            table, sql.SQL(", ").join(definitions)
        )
    )
    _follow_contract(connection, schema, declaration.name, columns)
    summary = (declaration.rows.__doc__ or "").strip().splitlines()[0]
    connection.execute(sql.SQL("comment on table {} is {}").format(table, sql.Literal(summary)))
    if schema == "raw":
        connection.execute(
            sql.SQL("create index if not exists {} on {} (commission_month)").format(
                sql.Identifier(f"{declaration.name}_commission_month"), table
            )
        )


def _definition(column: Column) -> sql.Composable:
    kind = column.sql_type + (" not null" if column.is_required else "")
    return sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(kind))


def _follow_contract(
    connection: psycopg.Connection, schema: str, name: str, columns: tuple[Column, ...]
) -> None:
    """Bring an older table in line with today's contract if that loses nothing, and comment its columns."""
    table = sql.Identifier(schema, name)
    found = {
        column: (kind, is_nullable == "YES")
        for column, kind, is_nullable in connection.execute(
            "select column_name, data_type, is_nullable from information_schema.columns"
            " where table_schema = %s and table_name = %s",
            [schema, name],
        )
    }
    for column in columns:
        identifier = sql.Identifier(column.name)
        if column.name not in found:
            # Older lines have no value for it, so it cannot be required of them.
            add = sql.SQL("alter table {} add column {} {}")
            connection.execute(add.format(table, identifier, sql.SQL(column.sql_type)))
        elif found[column.name][0] != column.sql_type:
            raise ShsError(
                f"{schema}.{name}.{column.name} is {found[column.name][0]} in the database, but the contract "
                f"says {column.sql_type}.",
                f"Rename or drop the column, then run `shs run --all --source {name}`.",
            )
        elif not column.is_required and not found[column.name][1]:
            connection.execute(
                sql.SQL("alter table {} alter column {} drop not null").format(table, identifier)
            )
        comment = sql.SQL("comment on column {} is {}")
        connection.execute(
            comment.format(sql.Identifier(schema, name, column.name), sql.Literal(column.description))
        )
