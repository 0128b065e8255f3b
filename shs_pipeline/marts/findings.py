"""What looks odd in the reference workbooks, with the money at stake (`marts.reference_findings`)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from psycopg import sql
from psycopg.rows import class_row

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Finding:
    """A row of the mart.

    Attributes:
        source_row: where it is; None where a row is missing.
        nearest_name: the name that is probably meant.
        amount: USD that would be paid more or less if it were corrected.
    """

    finding_id: str
    rule: str
    table_name: str
    source_sheet: str | None
    source_row: int | None
    column_name: str
    value: str | None
    problem: str
    remedy: str
    nearest_name: str | None
    amount: Decimal


def findings_in(connection: psycopg.Connection, schema: Literal["marts", "candidate"]) -> list[Finding]:
    """Return the findings that no note silences, most money first."""
    statement = sql.SQL(
        "select finding_id, rule, table_name, source_sheet, source_row, column_name, value, problem, remedy,"
        " nearest_name, amount from {} where not is_silenced"
        " order by amount desc, table_name, source_row, problem"
    ).format(sql.Identifier(schema, "reference_findings"))
    with connection.cursor(row_factory=class_row(Finding)) as cursor:
        return cursor.execute(statement).fetchall()


def published_findings(connection: psycopg.Connection) -> list[Finding]:
    """Return the findings as published; none where an older version has published last."""
    row = connection.execute("select to_regclass('marts.reference_findings') is not null").fetchone()
    return findings_in(connection, "marts") if row and row[0] else []
