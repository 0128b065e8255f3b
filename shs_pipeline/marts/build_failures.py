"""Why a build failed, in sentences: models and tests, the rows they found, and who blocked it."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import sql

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.address import place
from shs_pipeline.database.faults import disk_full_in_database, is_disk_full, says_disk_full
from shs_pipeline.marts.blockers import Blockers
from shs_pipeline.marts.dbt_build import NodeResult
from shs_pipeline.marts.stale_columns import how_to_follow_contract

_LOCK_TIMEOUT = "lock timeout"
_ROWS_SHOWN = 5


class BuildError(ShsError):
    """A build whose models or tests failed: nothing of it was published.

    Attributes:
        nodes: every model and test that was run or skipped.
    """

    def __init__(self, problem: str, remedy: str, nodes: Sequence[NodeResult]) -> None:
        super().__init__(problem, remedy)
        self.nodes = nodes


def first_line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].strip().rstrip(".")


def failure_of(
    connection: psycopg.Connection,
    nodes: Sequence[NodeResult],
    failed: Sequence[NodeResult],
    database_url: str,
    blockers: Blockers,
) -> ShsError:
    """Return the error that says what failed, or what was full or in the way."""
    for node in failed:
        if says_disk_full(node.message):
            return BuildError(*disk_full_in_database(place(database_url), node.message), nodes)
        if _LOCK_TIMEOUT in node.message and blockers.others:
            return BuildError(*_held_up(blockers.others), nodes)
    sentences = []
    for node in failed:
        try:
            sentences.append(_sentence(connection, node))
        except psycopg.Error as error:
            if is_disk_full(error):
                return BuildError(*disk_full_in_database(place(database_url), first_line(error)), nodes)
            raise
    return BuildError(
        "The marts were not published: " + " ".join(sentences),
        "People still see the last good state. Correct the lines or the model named above, then run `shs "
        "run`.",
        nodes,
    )


def _held_up(holders: Sequence[str]) -> tuple[str, str]:
    return (
        f"The marts were not published: {' and '.join(holders)} blocked a mart that had to be rebuilt.",
        "People still see the last good state. End that session or wait for it, then run `shs run`.",
    )


def _sentence(connection: psycopg.Connection, node: NodeResult) -> str:
    """Return what failed, and for a test the rows that it found."""
    if node.kind != "test" or not node.failures:
        said = " ".join(node.message.split())
        return f"The model {node.name} failed: {said}.{how_to_follow_contract(node.name, said)}"
    rows = _offending_rows(connection, node)
    more = f" and {node.failures - len(rows)} more" if node.failures > len(rows) else ""
    return f"The test {node.name} found {node.failures}: {'; '.join(rows)}{more}."


def _offending_rows(connection: psycopg.Connection, node: NodeResult) -> list[str]:
    try:
        cursor = connection.execute(
            sql.SQL("select * from ({}) as found limit {}").format(sql.SQL(node.compiled), _ROWS_SHOWN)
        )
    except psycopg.Error as error:
        return [f"which could not be shown ({error.diag.message_primary})"]
    names = [column.name for column in cursor.description or ()]
    return [
        ", ".join(
            str(value) if name == "rule" else f"{name} {value}"
            for name, value in zip(names, row, strict=True)
        )
        for row in cursor
    ]
