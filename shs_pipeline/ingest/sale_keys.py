"""The keys of sales in the raw tables, brought up to what names a sale today."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from shs_pipeline.files.copy_text import sale_keys

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.files.source import Source


def follow_sale_key(connection: psycopg.Connection, source: Source) -> None:
    """Compute the keys of all lines anew if other columns name a sale than when they were computed."""
    table, column = sql.Identifier("raw", source.name), sql.Identifier("raw", source.name, "sale_key")
    said = f"Digest of {', '.join(source.sale_key)}, which name the sale."
    found = connection.execute(
        "select (select col_description(attrelid, attnum) from pg_attribute where attrelid = c.oid"
        " and attname = 'sale_key') from pg_class as c where c.oid = %s::regclass",
        [f"raw.{source.name}"],
    ).fetchone()
    if found == (said,):
        return
    # Of before, when amounts were part of it. Private views that hold it are made anew by the next build,
    # which is a full one after an upgrade.
    connection.execute(sql.SQL("alter table {} drop column if exists line_key cascade").format(table))
    connection.execute(sql.SQL("alter table {} add column if not exists sale_key bigint").format(table))
    _compute_keys(connection, source)
    connection.execute(sql.SQL("alter table {} alter column sale_key set not null").format(table))
    connection.execute(sql.SQL("comment on column {} is {}").format(column, sql.Literal(said)))
    connection.execute(
        sql.SQL("create index if not exists {} on {} (sale_key, file_id)").format(
            sql.Identifier(f"{source.name}_sale_key"), table
        )
    )


def _compute_keys(connection: psycopg.Connection, source: Source) -> None:
    table = sql.Identifier("raw", source.name)
    files = connection.execute(sql.SQL("select distinct file_id from {}").format(table)).fetchall()
    if not files:
        return
    connection.execute(
        "create temp table new_keys (file_id bigint, source_sheet text, source_row bigint, sale_key bigint)"
        " on commit drop"
    )
    chosen = sql.SQL("select source_sheet, source_row, {} from {} where file_id = %s").format(
        sql.SQL(", ").join(map(sql.Identifier, source.sale_key)), table
    )
    for (file_id,) in files:
        sheets, rows, *columns = zip(*connection.execute(chosen, [file_id]), strict=True)
        copied = "copy new_keys (file_id, source_sheet, source_row, sale_key) from stdin"
        with connection.cursor() as cursor, cursor.copy(copied) as copy:
            for sheet, row, key in zip(sheets, rows, sale_keys(columns), strict=True):
                copy.write_row((file_id, sheet, row, key))
    connection.execute(
        sql.SQL(
            "update {} as lines set sale_key = new_keys.sale_key from new_keys"
            " where (lines.file_id, lines.source_sheet, lines.source_row)"
            " = (new_keys.file_id, new_keys.source_sheet, new_keys.source_row)"
        ).format(table)
    )
    connection.execute("drop table new_keys")
    # The ids of the lines follow from their keys, so the next build computes these months again.
    connection.execute(
        "update ops.files set change_no = change_no where source = %s and status = 'loaded'", [source.name]
    )
