"""What Metabase should contain, derived from people and dashboards; nothing is read or written here.

Open source: each rep has a connection that logs in as the rep's database role, a group, and a collection
with copies of the dashboards. With impersonation (a paid feature) one connection, one group and one set
of dashboards serve all reps. Admins have a connection, a group and a collection in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from shs_pipeline.metabase.items import Item, Ref, Secret
from shs_pipeline.metabase.payloads import dashboard_items
from shs_pipeline.metabase.people import Member, display_names
from shs_pipeline.metabase.server import Server

if TYPE_CHECKING:
    from shs_pipeline.dashboards.model import Dashboard

Mode = Literal["open", "impersonation"]

ADMINS = "admins"
REPS = "reps"
ROLE_ATTRIBUTE = "db_role"
"""User attribute that names the role to impersonate."""

ALWAYS_THERE = ("enable-public-sharing", "enable-xrays", "anon-tracking-enabled")
SETTINGS_OFF = (
    *ALWAYS_THERE,
    "enable-embedding-static",
    "enable-embedding-sdk",
    "enable-embedding-simple",
    "enable-embedding-interactive",
)
"""Public links and embedding show rows to whoever has the address or the key."""

_NIGHT_MINUTES = 240
# Without a common divisor with the minutes, so that logins one after another lie far apart.
_STEP = 97


@dataclass(frozen=True)
class ServiceLogin:
    """A database login of Metabase's own; the password is in the store by that name."""

    role_name: str
    secret_name: str


@dataclass(frozen=True)
class Desired:
    """What Metabase should contain.

    Attributes:
        items: in an order in which they can be made.
        members: who may log in to Metabase.
        groups_of: key of the group of each member, by the member's key.
        create_queries: what a group may ask of a connection: `query-builder` or
            `query-builder-and-native`; a pair that is not there may ask nothing.
        readers: groups that may read a collection.
        parked: keys of people who may come back: what they have is neither removed nor changed.
        identities: database role and rep that each rep's connection must answer with.
    """

    mode: Mode
    items: tuple[Item, ...]
    members: tuple[Member, ...]
    groups_of: Mapping[str, str]
    create_queries: Mapping[tuple[str, str], str]
    readers: frozenset[tuple[str, str]]
    parked: frozenset[str] = frozenset()
    identities: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)


def desired_state(
    members: Sequence[Member],
    dashboards: Mapping[str, Sequence[Dashboard]],
    server: Server,
    mode: Mode,
    service: Mapping[str, ServiceLogin],
) -> Desired:
    """Return what should be there.

    Args:
        dashboards: what `rep` and `admin` get.
        service: logins for the keys `admins` and, for impersonation, `reps`.
    """
    active = [member for member in members if member.is_active and member.secret_name]
    reps = [member for member in active if member.permission == "user"]
    names = display_names(members)
    items = [*_admin_items(server, service[ADMINS]), *dashboard_items(dashboards["admin"], ADMINS, ADMINS)]
    items.insert(3, _collection(REPS, "Sales reps", None))
    queries = {(ADMINS, ADMINS): "query-builder-and-native"}
    readers = {(ADMINS, ADMINS), (ADMINS, REPS)}
    identities: dict[str, tuple[str, str | None]] = {}
    if mode == "open":
        for rep in reps:
            items += _rep_items(rep, names[rep.key], server)
            items += dashboard_items(dashboards["rep"], rep.key, rep.key)
            queries[rep.key, rep.key] = "query-builder"
            readers |= {(rep.key, rep.key), (ADMINS, rep.key)}
            identities[rep.key] = (rep.role_name, rep.rep_name)
    else:
        login = service[REPS]
        items.append(_connection(REPS, "Sales", server, login.role_name, login.secret_name))
        items.append(_group(REPS, "Sales reps"))
        items += dashboard_items(dashboards["rep"], REPS, REPS)
        queries[REPS, REPS] = "query-builder"
        readers.add((REPS, REPS))
        # Asked by Metabase's administrator, whom it does not impersonate, it must show nothing.
        identities[REPS] = (login.role_name, None)
    return Desired(
        mode, tuple(_in_order(items)), tuple(active),
        {one.key: ADMINS if one.permission == "admin" else _rep_group(one, mode) for one in active},
        queries, frozenset(readers), frozenset(one.key for one in members if one not in active), identities,
    )  # fmt: skip


def _rep_group(member: Member, mode: Mode) -> str:
    return member.key if mode == "open" else REPS


def _in_order(items: Sequence[Item]) -> list[Item]:
    order = ("database", "group", "collection", "card", "dashboard")
    return sorted(items, key=lambda item: order.index(item.kind))


def _admin_items(server: Server, login: ServiceLogin) -> Iterator[Item]:
    yield _connection(ADMINS, "Sales (admins)", server, login.role_name, login.secret_name)
    yield _group(ADMINS, "Sales admins")
    yield _collection(ADMINS, "Sales admins", None)


def _rep_items(rep: Member, name: str, server: Server) -> Iterator[Item]:
    yield _connection(rep.key, f"Sales of {name}", server, rep.role_name, str(rep.secret_name))
    yield _group(rep.key, f"Rep: {name}")
    yield _collection(rep.key, name, REPS)


def _group(key: str, name: str) -> Item:
    return Item("group", key, name, {"name": name})


def _collection(key: str, name: str, parent: str | None) -> Item:
    body = {"name": name, "parent_id": Ref("collection", parent) if parent else None}
    return Item("collection", key, name, body, ("collection", parent) if parent else None)


def _connection(key: str, name: str, server: Server, role_name: str, secret_name: str) -> Item:
    details: dict[str, Any] = {
        "host": server.host, "port": server.port, "dbname": server.database, "user": role_name,
        "password": Secret(secret_name), "tunnel-enabled": False, "advanced-options": True,
        "schema-filters-type": "inclusion", "schema-filters-patterns": "marts",
        # Without it the schedules below are ignored and made up.
        "let-user-control-scheduling": True, "json-unfolding": False, **server.tls_details,
    }  # fmt: skip
    body = {
        "name": name,
        "engine": "postgres",
        "details": details,
        "auto_run_queries": True,
        "is_full_sync": True,
        "is_on_demand": False,
        "schedules": schedules(key),
    }
    return Item("database", key, name, body)


def schedules(key: str) -> dict[str, dict[str, Any]]:
    """Return when Metabase looks at a connection: each at its own minute between 22:00 and 03:00.

    At 03:00 backups begin. The clock is that of Metabase, which is UTC in a container.
    """
    number = key.rpartition("/")[2]
    minute = int(number) * _STEP % _NIGHT_MINUTES if number.isdigit() else 0
    return {
        "metadata_sync": _daily(22 * 60 + minute),
        "cache_field_values": _daily(23 * 60 + minute),
    }


def _daily(minute_of_day: int) -> dict[str, Any]:
    hour, minute = divmod(minute_of_day % (24 * 60), 60)
    return {
        "schedule_type": "daily", "schedule_hour": hour, "schedule_minute": minute,
        "schedule_day": None, "schedule_frame": None,
    }  # fmt: skip
