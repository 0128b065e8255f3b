"""Rows that the reference workbooks lack, as far as the sale lines show (`marts.rows_to_add`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from psycopg.rows import class_row

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Proposal:
    """A row that is missing in a reference workbook.

    Attributes:
        cells: what is known of it, by heading of the column; days as `YYYY-MM-DD`.
        row_to_type: the same in words.
        lines: sale lines that wait for it; None for a threshold.
        sales_actual: USD sold on them.
    """

    table_name: str
    reason: str
    source: str | None
    customer: str | None
    rep_name: str | None
    product_line: str | None
    cells: Mapping[str, str | int | None]
    row_to_type: str
    lines: int | None
    sales_actual: Decimal
    first_month: date


def proposals(connection: psycopg.Connection) -> list[Proposal]:
    """Return the rows as of the last publication, by workbook, most money first; none before the first."""
    row = connection.execute("select to_regclass('marts.rows_to_add') is not null").fetchone()
    if not (row and row[0]):
        return []
    with connection.cursor(row_factory=class_row(Proposal)) as cursor:
        return cursor.execute(
            "select table_name, reason, source, customer, rep_name, product_line, cells, row_to_type, lines,"
            " sales_actual, first_month from marts.rows_to_add"
            " order by table_name, sales_actual desc, row_to_type"
        ).fetchall()
