"""What the system writes beside people's files: `reference/current/` and `START HERE.xlsx`.

A file is ours if its etag is the one that we noted when we wrote it, or else by its seal: a landing zone that
was copied or restored has other etags. Whatever else lies there was put there by somebody, and is rejected
with where it belongs; it is never overwritten. But `START HERE.xlsx` stays ours if somebody saves it, since
nothing in it is anybody's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.ingest.changes import reference_versions
from shs_pipeline.ingest.reference_rows import Row, table_rows
from shs_pipeline.ingest.warehouse import contracts_mark
from shs_pipeline.landing.names import REFERENCE_NAMES
from shs_pipeline.landing.places import CURRENT, START_HERE, current_path, written_by_system
from shs_pipeline.reference.export import workbooks_of
from shs_pipeline.reference.seal import is_marked, is_sealed

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.landing.listing import Drop
    from shs_pipeline.landing.zone import Landing

# Nothing larger is fetched to look at its seal.
_LARGEST = 50 << 20


def write_copies(
    landing: Landing, connection: psycopg.Connection, proposals: Mapping[str, Sequence[Row]]
) -> list[str]:
    """Write the copies that are missing or out of date, empty ones to begin with; return their paths.

    Args:
        proposals: rows that each workbook lacks, by table and then by heading of the column.

    Raises:
        LandingError: the landing zone may not be written to.
    """
    made_from = _made_from(connection, proposals)
    lying = {drop.path: drop for drop in landing.drops(CURRENT)}
    foreign = {drop.path for drop in without_copies(landing, connection, list(lying.values()))}
    known = _known(connection)
    due = [
        table
        for table in REFERENCE_NAMES
        if (path := current_path(table)) not in foreign
        and (path not in lying or known.get(path) != made_from)
    ]
    if not due:
        return []
    current = {table: table_rows(connection, table) for table in REFERENCE_NAMES}
    books = workbooks_of(current, proposals)
    for table in due:
        _note(connection, current_path(table), landing.write(current_path(table), books[table]), made_from)
    return [current_path(table) for table in due]


def write_start_here(
    landing: Landing, connection: psycopg.Connection, made_from: str, make: Callable[[], bytes]
) -> bool:
    """Write `START HERE.xlsx` if it is missing or says something else; return whether it was written.

    Args:
        made_from: a checksum of what it says.
        make: returns the workbook.

    Raises:
        LandingError: the landing zone may not be written to.
    """
    lying = landing.drop_at(START_HERE)
    if lying is not None and (
        without_copies(landing, connection, [lying]) or _known(connection).get(START_HERE) == made_from
    ):
        return False
    _note(connection, START_HERE, landing.write(START_HERE, make()), made_from)
    return True


def note_unwritten(connection: psycopg.Connection, error: ShsError | None) -> None:
    """Keep why the last run could not write into the landing zone; None where it could."""
    connection.execute("delete from ops.unwritten")
    if error is not None:
        connection.execute(
            "insert into ops.unwritten (problem, remedy) values (%s, %s)", [error.problem, error.remedy]
        )


def unwritten_now(connection: psycopg.Connection) -> ShsError | None:
    """Return why the last run could not write into the landing zone."""
    row = connection.execute("select problem, remedy from ops.unwritten").fetchone()
    return ShsError(*row) if row else None


def _known(connection: psycopg.Connection) -> dict[str, str]:
    return dict(connection.execute("select path, made_from from ops.written").fetchall())


def without_copies(landing: Landing, connection: psycopg.Connection, drops: Sequence[Drop]) -> list[Drop]:
    """Return the drops that are not files of ours; one with another etag is known by its seal.

    Raises:
        LandingError: a file cannot be fetched.
    """
    if not any(written_by_system(drop.path) for drop in drops):
        return list(drops)
    known: dict[str, str] = dict(connection.execute("select path, etag from ops.written").fetchall())
    foreign = []
    for drop in drops:
        table = written_by_system(drop.path)
        if table is not None and known.get(drop.path) == drop.etag:
            continue
        if table is None or drop.problem or drop.size > _LARGEST or not _is_ours(landing, drop, table):
            foreign.append(drop)
        else:
            _note(connection, drop.path, drop.etag, "")
    return foreign


def _is_ours(landing: Landing, drop: Drop, name: str) -> bool:
    content = landing.read(drop.key or drop.path)
    return content is not None and (is_sealed(name, content) or (name == START_HERE and is_marked(content)))


def _note(connection: psycopg.Connection, path: str, etag: str, made_from: str) -> None:
    with connection.transaction():
        connection.execute(
            "insert into ops.written (path, etag, made_from) values (%s, %s, %s)"
            " on conflict (path) do update set etag = excluded.etag, made_from = excluded.made_from,"
            " written_at = now()",
            [path, etag, made_from],
        )


def _made_from(connection: psycopg.Connection, proposals: Mapping[str, Sequence[Row]]) -> str:
    """Return a checksum of what the copies follow from: versions, given ids, contracts, and proposed rows."""
    ids = connection.execute(
        "select payee_id, name_key from reference.payees where name_key is not null order by 1"
    ).fetchall()
    versions = sorted(reference_versions(connection).items())
    return sha256(repr((versions, ids, contracts_mark(), proposals)).encode()).hexdigest()
