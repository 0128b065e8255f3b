"""`reference/current/`: a copy of each reference workbook in force, for people with only a browser and Excel.

A copy is ours if its etag is the one that we noted when we wrote it, or else by its seal: a landing zone that
was copied or restored has other etags. Whatever else lies there was put there by somebody, and is rejected
with where it belongs; it is never overwritten.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from shs_pipeline.ingest.changes import reference_versions
from shs_pipeline.ingest.reference_rows import table_rows
from shs_pipeline.ingest.warehouse import contracts_mark
from shs_pipeline.landing.names import REFERENCE_NAMES
from shs_pipeline.landing.places import CURRENT, current_path, written_by_system
from shs_pipeline.landing.zone import LandingError
from shs_pipeline.reference.export import workbooks_of
from shs_pipeline.reference.seal import is_sealed

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.landing.listing import Drop
    from shs_pipeline.landing.zone import Landing

_log = logging.getLogger(__name__)
# Nothing larger is fetched to look at its seal.
_LARGEST = 50 << 20


def write_copies(landing: Landing, connection: psycopg.Connection) -> list[str]:
    """Write the copies that are missing or out of date; return their paths.

    A landing zone that may not be written to is a warning: the figures do not depend on it.
    """
    try:
        return _write_copies(landing, connection)
    except LandingError as error:
        _log.warning("The copies in %s/ were not written. %s", CURRENT, error)
        return []


def _write_copies(landing: Landing, connection: psycopg.Connection) -> list[str]:
    if not reference_versions(connection):
        return []
    made_from = _made_from(connection)
    lying = {drop.path: drop for drop in landing.drops(CURRENT)}
    foreign = {drop.path for drop in without_copies(landing, connection, list(lying.values()))}
    known: dict[str, str] = dict(connection.execute("select path, made_from from ops.written").fetchall())
    due = [
        table
        for table in REFERENCE_NAMES
        if (path := current_path(table)) not in foreign
        and (path not in lying or known.get(path) != made_from)
    ]
    if not due:
        return []
    books = workbooks_of({table: table_rows(connection, table) for table in REFERENCE_NAMES})
    for table in due:
        _note(connection, current_path(table), landing.write(current_path(table), books[table]), made_from)
    return [current_path(table) for table in due]


def without_copies(landing: Landing, connection: psycopg.Connection, drops: Sequence[Drop]) -> list[Drop]:
    """Return the drops that are not copies of ours; one with another etag is known by its seal.

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
        if table is None or drop.problem or drop.size > _LARGEST or not _is_sealed(landing, drop, table):
            foreign.append(drop)
        else:
            _note(connection, drop.path, drop.etag, "")
    return foreign


def _is_sealed(landing: Landing, drop: Drop, table: str) -> bool:
    content = landing.read(drop.key or drop.path)
    return content is not None and is_sealed(table, content)


def _note(connection: psycopg.Connection, path: str, etag: str, made_from: str) -> None:
    with connection.transaction():
        connection.execute(
            "insert into ops.written (path, etag, made_from) values (%s, %s, %s)"
            " on conflict (path) do update set etag = excluded.etag, made_from = excluded.made_from,"
            " written_at = now()",
            [path, etag, made_from],
        )


def _made_from(connection: psycopg.Connection) -> str:
    """Return a checksum of what the copies follow from: the versions in force, given ids, the contracts."""
    ids = connection.execute(
        "select payee_id, name_key from reference.payees where name_key is not null order by 1"
    ).fetchall()
    versions = sorted(reference_versions(connection).items())
    return sha256(repr((versions, ids, contracts_mark())).encode()).hexdigest()
