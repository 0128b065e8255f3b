"""Metabase objects by our own keys: bodies that refer to other objects before those have an id."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from shs_pipeline.metabase.state import ObjectKey


@dataclass(frozen=True)
class Ref:
    """Stands for the id of another object."""

    kind: str
    key: str


@dataclass(frozen=True)
class Link:
    """Stands for the address of a dashboard; `query` is what follows the question mark."""

    key: str
    query: str


@dataclass(frozen=True)
class Secret:
    """Stands for a secret of the store, by its name; a changed secret has a changed name."""

    name: str


@dataclass(frozen=True)
class Item:
    """An object that Metabase should contain.

    Attributes:
        kind: `database`, `group`, `collection`, `card` or `dashboard`.
        name: as people see it.
        body: of the request that writes it, with `Ref`, `Link` and `Secret` in it.
        home: the collection it is in.
    """

    kind: str
    key: str
    name: str
    body: Mapping[str, Any]
    home: ObjectKey | None = None

    @property
    def identity(self) -> ObjectKey:
        """What it is known by."""
        return self.kind, self.key


class UnknownRefError(LookupError):
    """An object that has no id yet."""


def resolved(body: Any, id_of: Callable[[str, str], int | None], secret: Callable[[str], str]) -> Any:
    """Return a body with ids and secrets in place.

    Raises:
        UnknownRefError: something it refers to has no id.
    """
    if isinstance(body, Ref):
        return _id(body.kind, body.key, id_of)
    if isinstance(body, Link):
        return f"/dashboard/{_id('dashboard', body.key, id_of)}?{body.query}"
    if isinstance(body, Secret):
        return secret(body.name)
    if isinstance(body, Mapping):
        return {name: resolved(value, id_of, secret) for name, value in body.items()}
    if isinstance(body, list | tuple):
        return [resolved(value, id_of, secret) for value in body]
    return body


def content_hash(item: Item, id_of: Callable[[str, str], int | None]) -> str | None:
    """Return a hash of what is written, ids included; None where one is not known yet."""
    try:
        body = resolved(item.body, id_of, lambda name: f"secret {name}")
    except UnknownRefError:
        return None
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:32]


def secrets_in(body: Any) -> Iterator[str]:
    """Yield the names of all secrets in a body."""
    if isinstance(body, Secret):
        yield body.name
    elif isinstance(body, Mapping):
        for value in body.values():
            yield from secrets_in(value)


def _id(kind: str, key: str, id_of: Callable[[str, str], int | None]) -> int:
    found = id_of(kind, key)
    if found is None:
        raise UnknownRefError(f"{kind} {key}")
    return found
