"""What a reference workbook would make of the marts, without publishing it or leaving anything behind.

The build's own statements run in one transaction that is rolled back: the workbook is put in force in it,
and what it changes is recomputed by the same models as in a build. Nobody's reading waits. Builds and loads
wait for the moment that it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.address import url_text
from shs_pipeline.database.connection import connect
from shs_pipeline.database.locks import BUILD, lock_patiently
from shs_pipeline.ingest.bookkeeping import put_in_force
from shs_pipeline.ingest.loading import copy_lines
from shs_pipeline.ingest.warehouse import has_tables
from shs_pipeline.marts.build_failures import first_line
from shs_pipeline.marts.dbt_build import NodeResult, run_dbt
from shs_pipeline.marts.due import Plan, plan_build
from shs_pipeline.marts.findings import Finding, findings_in
from shs_pipeline.marts.identities import give_ids

if TYPE_CHECKING:
    from pydantic import SecretStr

    from shs_pipeline.files.reading import CopyLines
    from shs_pipeline.files.source import ReferenceTable

_WAIT_SECONDS = 30.0
_UPSTREAM = "+reference_findings,config.materialized:table"


def findings_with(
    database_url: str | SecretStr, table: ReferenceTable, lines: CopyLines, due_day: int
) -> list[Finding]:
    """Return the findings there would be if a workbook were in force, most money first.

    Args:
        database_url: the owner's URL of the warehouse.
        lines: the workbook's rows, as they were read.
        due_day: day of the next month on which a month's files are due.

    Raises:
        ShsError: nothing is published that it could be compared with, or the database cannot be used.
    """
    with connect(database_url) as connection:
        plan = plan_build(connection, False, due_day) if has_tables(connection) else None
        if plan is None or plan.last is None or plan.is_full_refresh:
            raise ShsError(
                "The marts are not up to date with this version of shs.",
                "Run `shs run`, which rebuilds them.",
            )
        connection.rollback()
        models = _compiled(url_text(database_url), plan)
        try:
            lock_patiently(connection, BUILD, _WAIT_SECONDS)
            _put_in_force(connection, table, lines)
            give_ids(connection)
            for model in models:
                _recompute(connection, model)
            return findings_in(connection, "candidate")
        except psycopg.Error as error:
            raise ShsError(
                f"The database did not answer: {first_line(error)}.", "Try again when no build is running."
            ) from None
        finally:
            connection.rollback()


def _compiled(database_url: str, plan: Plan) -> Sequence[NodeResult]:
    """Return the models that the findings are made from, as a build would run them, in its order."""
    variables: dict[str, str | bool | int] = {
        "last_due_month": plan.last_due_month.isoformat(),
        "books_version": plan.books_version,
        "books_at": plan.books_at.isoformat(),
    }
    models = run_dbt(
        ["compile", "--indirect-selection", "empty", "--select", _UPSTREAM], database_url, variables
    )
    if any(model.status == "error" for model in models):
        raise ShsError("The models could not be prepared.", "Run `shs doctor`.")
    return models


def _put_in_force(connection: psycopg.Connection, table: ReferenceTable, lines: CopyLines) -> None:
    path = f"reference/{table.name}.xlsx"
    connection.execute(
        "update ops.files set status = 'superseded' where path = %s and status = 'loaded'", [path]
    )
    # Not the sequence's next number, which would be used up.
    row = connection.execute(
        "insert into ops.files (file_id, source, path, uri, bytes, etag, status, run_id)"
        " overriding system value select max(file_id) + 1, %s, %s, '', 0, '', 'loaded', 'dry build'"
        " from ops.files returning file_id",
        [table.name, path],
    ).fetchone()
    assert row is not None
    copy_lines(connection, "reference", table, lines, {"file_id": row[0]})
    put_in_force(connection, table.name, row[0])


def _recompute(connection: psycopg.Connection, model: NodeResult) -> None:
    """Replace the rows of a model's table by those of its statement."""
    relation = sql.Identifier(_schema_of(connection, model.name), model.name)
    columns = connection.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
        " order by attnum",
        [relation.as_string(connection)],
    ).fetchall()
    names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in columns)
    connection.execute(sql.SQL("delete from {}").format(relation))
    connection.execute(
        sql.SQL("insert into {} ({}) select {} from ({}) as made").format(
            relation,
            names,
            names,
            sql.SQL(model.compiled),
        )
    )
    connection.execute(sql.SQL("analyze {}").format(relation))


def _schema_of(connection: psycopg.Connection, name: str) -> str:
    """Return where a build makes a table."""
    candidate = sql.Identifier("candidate", name)
    row = connection.execute("select to_regclass(%s)", [candidate.as_string(connection)]).fetchone()
    return "intermediate" if row is None or row[0] is None else "candidate"
