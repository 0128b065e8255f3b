"""What a Metabase holds now, read in a bounded number of requests: ten, and one per collection of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shs_pipeline.metabase.client import MetabaseClient

Object = Mapping[str, Any]
_CARD_MODELS = frozenset(("card", "dataset", "metric"))


@dataclass(frozen=True)
class Placed:
    """A card or dashboard in a collection of ours.

    Attributes:
        editor: id of the user who changed it last, None where Metabase does not say.
        database_id: the connection of a card.
    """

    kind: str
    metabase_id: int
    name: str
    collection_id: int
    editor: int | None = None
    database_id: int | None = None


@dataclass(frozen=True)
class Observed:
    """What is there.

    Attributes:
        instance: tells this Metabase from another one at the same address.
        me: id of the user that shs is.
        memberships: of each group, id of the membership by user.
        placed: cards and dashboards of our collections, by kind and id.
    """

    instance: str = ""
    properties: Object = field(default_factory=dict)
    fixed_settings: frozenset[str] = frozenset()
    me: int | None = None
    databases: Mapping[int, Object] = field(default_factory=dict)
    groups: Mapping[int, Object] = field(default_factory=dict)
    users: Mapping[int, Object] = field(default_factory=dict)
    memberships: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    collections: Mapping[int, Object] = field(default_factory=dict)
    placed: Mapping[tuple[str, int], Placed] = field(default_factory=dict)
    data_graph: Object = field(default_factory=dict)
    collection_graph: Object = field(default_factory=dict)

    @property
    def has_mail(self) -> bool:
        """Whether Metabase sends its own mails."""
        return bool(self.properties.get("email-configured?"))

    def magic(self, kind: str) -> int | None:
        """Return the id of a group that Metabase made: `all-internal-users` or `admin`."""
        return next(
            (found for found, group in self.groups.items() if group.get("magic_group_type") == kind), None
        )

    @property
    def everybody(self) -> int:
        """Id of All Users."""
        return self.magic("all-internal-users") or 1

    @property
    def administrators(self) -> int:
        """Id of Administrators, who see everything and are left alone."""
        return self.magic("admin") or 2


def is_paid(properties: Object) -> bool:
    """Whether this Metabase has impersonation and can block a connection."""
    features = properties.get("token-features") or {}
    return bool(features.get("advanced_permissions") or features.get("advanced-permissions"))


def observe(client: MetabaseClient, collection_ids: Iterable[int]) -> Observed:
    """Read what is there.

    Args:
        collection_ids: of the collections whose content matters; those that are gone are left out.
    """
    properties = client.get("/api/session/properties", "say what it is")
    listed = client.get("/api/setting", "list its settings")
    collections = by_id(
        one
        for one in client.get("/api/collection", "list its collections", exclude_other_user_collections=False)
        if isinstance(one.get("id"), int) and not one.get("personal_owner_id")
    )
    return Observed(
        instance=str(properties.get("site-uuid") or properties.get("instance-creation") or ""),
        properties=properties,
        fixed_settings=frozenset(one["key"] for one in listed if one.get("is_env_setting")),
        me=client.get("/api/user/current", "say who shs is").get("id"),
        databases=by_id(_unwrapped(client.get("/api/database", "list its connections"))),
        groups=read_groups(client),
        users=read_users(client),
        memberships=read_memberships(client),
        collections=collections,
        placed=read_placed(client, [one for one in collection_ids if one in collections]),
        data_graph=client.get("/api/permissions/graph", "show the permissions on data"),
        collection_graph=client.get("/api/collection/graph", "show the permissions on collections"),
    )


def read_groups(client: MetabaseClient) -> dict[int, Object]:
    """Return the groups by id."""
    return by_id(client.get("/api/permissions/group", "list its groups"))


def read_users(client: MetabaseClient) -> dict[int, Object]:
    """Return all people by id, deactivated ones too."""
    return by_id(_unwrapped(client.get("/api/user", "list its people", status="all")))


def read_memberships(client: MetabaseClient) -> dict[int, dict[int, int]]:
    """Return the id of each membership by group and user."""
    found: dict[int, dict[int, int]] = {}
    for user_id, rows in client.get("/api/permissions/membership", "list memberships").items():
        for row in rows:
            found.setdefault(row["group_id"], {})[int(user_id)] = row["membership_id"]
    return found


def read_placed(client: MetabaseClient, collection_ids: Iterable[int]) -> dict[tuple[str, int], Placed]:
    """Return the cards and dashboards of collections, by kind and id."""
    found: dict[tuple[str, int], Placed] = {}
    for collection_id in collection_ids:
        answer = client.get(f"/api/collection/{collection_id}/items", "list a collection")
        for item in _unwrapped(answer):
            kind = "card" if item.get("model") in _CARD_MODELS else str(item.get("model"))
            if kind in ("card", "dashboard") and not item.get("archived"):
                editor = (item.get("last-edit-info") or {}).get("id")
                found[kind, item["id"]] = Placed(
                    kind, item["id"], item["name"], collection_id, editor, item.get("database_id")
                )
    return found


def by_id(objects: Iterable[Object]) -> dict[int, Object]:
    """Return objects by their id."""
    return {one["id"]: one for one in objects}


def _unwrapped(answer: Any) -> Any:
    return answer["data"] if isinstance(answer, Mapping) else answer
