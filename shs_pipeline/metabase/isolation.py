"""What would show a rep other reps' rows, and which connections have not yet been verified; pure."""

from __future__ import annotations

from shs_pipeline.metabase.contents import Shown
from shs_pipeline.metabase.situation import Situation


def foreign_things(situation: Situation) -> dict[str, list[str]]:
    """Return what a rep can open and is not provably the rep's own, in words, by key of the connection.

    Whatever is in the rep's collection or below it, in the trash from there, or in the rep's personal
    collection is the rep's own if it asks the rep's connection and no other.
    """
    rooms = {place: key for key, place in situation.ids("collection").items()}
    owners = situation.keys_of_users()
    found: dict[str, list[str]] = {}
    for one in situation.seen.shown:
        key = rooms.get(one.collection_id or 0) if one.owner is None else owners.get(one.owner)
        if key is None or key not in situation.desired.identities:
            continue
        own = situation.id_of("database", key)
        if one.databases is None or not one.databases <= {own}:
            found.setdefault(key, []).append(_said(one))
    return found


def _said(one: Shown) -> str:
    where = "in the rep's collection" if one.owner is None else "in the rep's personal collection"
    if one.databases is None:
        return f"it cannot be told what {one.what} {where} shows"
    return f"{one.what} {where} asks another connection"


def unchecked(situation: Situation) -> list[str]:
    """Return the keys of connections that are yet to show that they answer as the right person."""
    found = []
    for key, (role, rep) in situation.desired.identities.items():
        row = situation.known.get(("isolation", key))
        if row is None or row.content_hash != identity_mark(situation, key, role, rep):
            found.append(key)
    return found


def identity_mark(situation: Situation, key: str, role: str, rep: str | None) -> str:
    """Return what a passed check stands for: this connection, written so, with this role and rep."""
    row = situation.known.get(("database", key))
    return f"{row.metabase_id if row else None} {row.content_hash if row else ''} {role} {rep}"
