"""The marts of two databases are compared without what is of their books."""

from __future__ import annotations

import psycopg

# Instants of loading, numbers of files, and the books of publications.
_OF_THE_BOOKS = {"file_id", "loaded_at", "last_loaded_at", "since"}
_BOOKKEEPING = {"publications", "published_slices", "payout_changes", "logins", "holds"}


def marts_of(connection: psycopg.Connection) -> dict[str, list[str]]:
    """All rows of all marts but those of the books, in one order."""
    columns = connection.execute(
        "select table_name::text, array_agg(column_name::text order by ordinal_position)"
        " from information_schema.columns where table_schema = 'marts' group by table_name"
    ).fetchall()
    found = {}
    for table, names in columns:
        if table not in _BOOKKEEPING:
            kept = ", ".join(f'"{name}"' for name in names if name not in _OF_THE_BOOKS)
            rows = connection.execute(f"select {kept} from marts.{table}".encode()).fetchall()
            found[table] = sorted(map(repr, rows))
    connection.rollback()
    return found
