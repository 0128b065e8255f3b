"""Who brought a file: its owner in a folder, the principal of S3's event in a bucket.

An event is kept until the file is booked, which another process does; it may also come after that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.landing.listing import Drop

# Long enough for any file to be booked, however long the system was down.
_KEPT_DAYS = 90


def note_arrivals(connection: psycopg.Connection, actors: Mapping[tuple[str, str], str]) -> None:
    """Keep who put which files into the bucket, and enter it where they are booked already.

    Args:
        actors: principals by path and etag (without quotes), as `Arrivals` has them.
    """
    if not actors:
        return
    paths, etags = zip(*actors, strict=True)
    told = [list(paths), list(etags), list(actors.values())]
    with connection.transaction():
        connection.execute(
            "insert into ops.arrivals (path, etag, actor)"
            " select * from unnest(%s::text[], %s::text[], %s::text[]) on conflict do nothing",
            told,
        )
        connection.execute(
            "update ops.files set actor = told.actor"
            " from unnest(%s::text[], %s::text[], %s::text[]) as told (path, etag, actor)"
            " where files.actor is null and files.path = told.path and btrim(files.etag, '\"') = told.etag",
            told,
        )
        connection.execute(
            "delete from ops.arrivals where told_at < now() - make_interval(days => %s)", [_KEPT_DAYS]
        )


def actor_of(connection: psycopg.Connection, drop: Drop) -> str | None:
    """Return who brought a file; None where nobody said."""
    if drop.actor:
        return drop.actor
    row = connection.execute(
        "select actor from ops.arrivals where path = %s and etag = %s", [drop.path, drop.etag.strip('"')]
    ).fetchone()
    return row[0] if row else None
