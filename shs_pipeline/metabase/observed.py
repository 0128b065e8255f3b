"""What a Metabase contains now, in a bounded number of requests: a dozen, plus one or two per rep."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from shs_pipeline.metabase.client import MetabaseClient
from shs_pipeline.metabase.contents import Known, Object, Placed, Shown, pages, read_contents


@dataclass(frozen=True)
class Observed:
    """What is there.

    Attributes:
        instance: tells this Metabase from another one at the same address.
        me: id of the user that shs is.
        memberships: of each group, id of the membership by user.
        collections: without people's personal ones.
        placed: cards and dashboards of our collections, by kind and id.
        shown: what our people can open.
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
    shown: tuple[Shown, ...] = ()
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


@dataclass(frozen=True)
class Scope:
    """Of what the content is read.

    Attributes:
        collections: ids of ours; those that are gone are left out.
        dashboards: ids of ours.
        editors: ids of the users that shs was.
        people: gives, of all users, the ids of those whose personal collections matter.
    """

    collections: Collection[int] = ()
    dashboards: frozenset[int] = frozenset()
    editors: frozenset[int] = frozenset()
    people: Callable[[Mapping[int, Object]], Collection[int]] = lambda _: ()


def observe(client: MetabaseClient, scope: Scope) -> Observed:
    """Read what is there."""
    listed = client.get("/api/setting", "list its settings")
    found = Observed(
        fixed_settings=frozenset(one["key"] for one in listed if one.get("is_env_setting")),
        me=client.get("/api/user/current", "say who shs is").get("id"),
        databases=by_id(pages(client, "/api/database", "list its connections")),
    )
    found = observe_again(client, found, scope)
    stamp = found.properties.get("site-uuid") or found.properties.get("instance-creation")
    return replace(found, instance=str(stamp or ""))


def observe_again(client: MetabaseClient, found: Observed, scope: Scope) -> Observed:
    """Read what decides who sees what, and keep the rest."""
    listed = by_id(
        one
        for one in client.get("/api/collection", "list its collections", exclude_other_user_collections=False)
        if isinstance(one.get("id"), int)
    )
    collections = {key: one for key, one in listed.items() if not one.get("personal_owner_id")}
    users = read_users(client)
    editors = scope.editors | ({found.me} if found.me is not None else set())
    contents = read_contents(
        client,
        listed,
        [one for one in scope.collections if one in collections],
        scope.people(users),
        Known(scope.dashboards, frozenset(editors)),
    )
    return replace(
        found,
        properties=client.get("/api/session/properties", "say what it is"),
        groups=read_groups(client),
        users=users,
        memberships=read_memberships(client),
        collections=collections,
        placed=contents.placed,
        shown=contents.shown,
        data_graph=client.get("/api/permissions/graph", "show the permissions on data"),
        collection_graph=client.get("/api/collection/graph", "show the permissions on collections"),
    )


def read_groups(client: MetabaseClient) -> dict[int, Object]:
    """Return the groups by id."""
    return by_id(client.get("/api/permissions/group", "list its groups"))


def read_users(client: MetabaseClient) -> dict[int, Object]:
    """Return all people by id, deactivated ones too."""
    return by_id(pages(client, "/api/user", "list its people", status="all"))


def read_memberships(client: MetabaseClient) -> dict[int, dict[int, int]]:
    """Return the id of each membership by group and user."""
    found: dict[int, dict[int, int]] = {}
    for user_id, rows in client.get("/api/permissions/membership", "list memberships").items():
        for row in rows:
            found.setdefault(row["group_id"], {})[int(user_id)] = row["membership_id"]
    return found


def by_id(objects: Iterable[Object]) -> dict[int, Object]:
    """Return objects by their id."""
    return {one["id"]: one for one in objects}
