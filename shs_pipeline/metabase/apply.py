"""Making Metabase what it should be, in an order in which nobody ever sees too much.

First rights are taken away, then everything is closed, then things are made, then rights are given to
groups; what came of it is read again and each connection asked who it is. Only then are people let in.
Every step can be repeated, so that an apply goes on where another one was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from shs_pipeline.errors import ShsError
from shs_pipeline.metabase import diff
from shs_pipeline.metabase.client import MetabaseClient, MetabaseError
from shs_pipeline.metabase.desired import ROLE_ATTRIBUTE, Desired
from shs_pipeline.metabase.diff import Change, Situation
from shs_pipeline.metabase.items import Item, content_hash, resolved, secrets_in
from shs_pipeline.metabase.observed import (
    Observed,
    Placed,
    by_id,
    observe,
    read_groups,
    read_memberships,
    read_placed,
    read_users,
)
from shs_pipeline.metabase.people import Member, user_of
from shs_pipeline.metabase.permissions import impersonations, is_impersonated
from shs_pipeline.metabase.state import ObjectStore

Tell = Callable[[str], None]
"""Takes what was just done, in words."""

_PATHS = {
    "database": "/api/database",
    "group": "/api/permissions/group",
    "collection": "/api/collection",
    "card": "/api/card",
    "dashboard": "/api/dashboard",
}
_GRAPHS = {"data": "/api/permissions/graph", "collections": "/api/collection/graph"}
_GRAPH_ATTEMPTS = 3
_WHO_AM_I = "select session_user::text as login, marts.session_rep() as rep"


@dataclass(frozen=True)
class ResetLink:
    """An address with which a person chooses a password, once and within 48 hours."""

    rep_name: str
    email: str
    url: str

    def __repr__(self) -> str:
        return f"ResetLink({self.rep_name!r})"


@dataclass
class Report:
    """What an apply did.

    Attributes:
        done: in words, in order.
        links: for people who were let in while Metabase sends no mails.
        waiting: people who were let in and have no link yet.
        reads: requests that changed nothing.
    """

    done: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    links: list[ResetLink] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    reads: int = 0
    writes: int = 0


def read_situation(
    client: MetabaseClient, store: ObjectStore, desired: Desired, extra: Iterable[int] = ()
) -> Situation:
    """Return all that a difference follows from; rows of another Metabase do not count.

    Args:
        extra: further collections whose content matters.
    """
    ours = {row.metabase_id for row in store.rows().values() if row.kind == "collection" and row.metabase_id}
    seen = observe(client, sorted(ours | set(extra)))
    return _situation(store, desired, seen)


def _situation(store: ObjectStore, desired: Desired, seen: Observed) -> Situation:
    known = store.rows()
    instance = known.get(("instance", "metabase"))
    if instance is not None and instance.name != seen.instance:
        known = {}
    editors = {row.metabase_id for (kind, _), row in known.items() if kind == "editor" and row.metabase_id}
    if seen.me is not None:
        editors.add(seen.me)
    return Situation(desired, known, seen, frozenset(editors))


def apply(
    client: MetabaseClient,
    store: ObjectStore,
    desired: Desired,
    secret: Callable[[str], str],
    tell: Tell = lambda _: None,
    *,
    make_links: bool = False,
) -> Report:
    """Make Metabase what it should be.

    Args:
        secret: gives a secret by its name.
        make_links: for people who are let in while Metabase sends no mails.

    Raises:
        MetabaseError: Metabase refused something; the next apply goes on from there.
        ShsError: what is in Metabase now would show somebody too much; that person is kept out.
    """
    situation = read_situation(client, store, desired)
    if not situation.known:
        store.forget_all()
    work = _Work(client, store, situation, secret, tell)
    work.report.notes += diff.difference(situation).notes
    work.run(make_links)
    work.report.reads, work.report.writes = client.reads, client.writes
    return work.report


class _Work:
    def __init__(
        self, client: MetabaseClient, store: ObjectStore, situation: Situation,
        secret: Callable[[str], str], tell: Tell,
    ) -> None:  # fmt: skip
        self.client = client
        self.store = store
        self.desired = situation.desired
        self.seen = situation.seen
        self.report = Report()
        self._secret = secret
        self._tell = tell

    @property
    def situation(self) -> Situation:
        """All as it is now."""
        return _situation(self.store, self.desired, self.seen)

    def run(self, make_links: bool) -> None:
        """Do all that is to be done, in the order that keeps everything closed."""
        self._note_instance()
        before = len(self.report.done)
        self.close_people()
        self._write_settings()
        self._put_rights(with_grants=False)
        self._make_things()
        self._put_rights(with_grants=True)
        if len(self.report.done) > before or diff.unchecked(self.situation):
            self._read_again()
        shut_out = self._check_isolation()
        self._let_in(shut_out, make_links)
        self.remove_leftovers()
        if shut_out:
            raise _not_isolated(shut_out)

    def _note_instance(self) -> None:
        self.store.note("instance", "metabase", None, "", self.seen.instance)
        if self.seen.me is not None:
            self.store.note("editor", str(self.seen.me), self.seen.me)

    def _did(self, words: str) -> None:
        self.report.done.append(words)
        self._tell(words)

    # --- taking away

    def close_people(self, *, is_ours_only: bool = False) -> None:
        """End the access of people who left, and memberships that show more than their own.

        Args:
            is_ours_only: leave people alone who were there before.
        """
        for change in list(diff.people_to_close(self.situation)):
            if change.kind == "membership":
                self.client.delete(f"/api/permissions/membership/{change.metabase_id}", f"end {change.words}")
                for members in self.seen.memberships.values():
                    _drop(members, change.metabase_id)
            else:
                row = self.store.get("person", change.key)
                if is_ours_only and row and not row.is_made:
                    continue
                self._deactivate(change.metabase_id, change.name)
            self._did(change.words)
        present = {member.key for member in self.desired.members}
        for kind, key in self.store.rows():
            if kind == "person" and key not in present:
                self.store.forget(kind, key)

    def _deactivate(self, user_id: int | None, name: str) -> None:
        self.client.delete(f"/api/user/{user_id}", f"deactivate {name}")
        assert user_id is not None
        self._see(self.seen.users, user_id, {**self.seen.users[user_id], "is_active": False})

    def _write_settings(self) -> None:
        for change in list(diff.settings_to_write(self.situation)):
            value = diff.SETTINGS[change.key]
            self.client.put("/api/setting", {change.key: value}, f"set {change.key}")
            self.seen.properties[change.key] = value  # type: ignore[index]
            self._did(change.words)

    def remove_leftovers(self) -> None:
        """Remove what is ours and no longer wanted."""
        for change in list(diff.leftovers(self.situation)):
            row = self.store.get(change.kind, change.key)
            if row and row.is_made and row.metabase_id is not None:
                self._remove(change.kind, row.metabase_id, change.name)
                self._did(change.words)
            self.store.forget(change.kind, change.key)
        wanted = set(self.desired.identities)
        for kind, key in self.store.rows():
            if kind == "isolation" and key not in wanted | self.desired.parked:
                self.store.forget(kind, key)

    def _remove(self, kind: str, metabase_id: int, name: str) -> None:
        path = f"{_PATHS[kind]}/{metabase_id}"
        if kind == "collection":
            try:
                self.client.put(path, {"archived": True}, f"archive the collection {name}")
            except MetabaseError as error:
                if error.status != 404:
                    raise
            # Where a version cannot delete it, it stays in the bin, empty.
            with suppress(MetabaseError):
                self.client.delete(path, f"delete the collection {name}")
            return
        self.client.delete(path, f"delete the {kind} {name}")

    # --- things

    def _make_things(self) -> None:
        for kind in diff.KINDS:
            items = {item.key: item for item in self.desired.items if item.kind == kind}
            changes = list(diff.item_changes(self.situation, [kind]))
            if kind == "dashboard":
                # All of them first, empty: a click may lead from each to each.
                for change in changes:
                    self._make_shell(change, items[change.key])
            for change in changes:
                self._write(change, items[change.key])
                self._did(change.words)

    def _write(self, change: Change, item: Item) -> None:
        row = self.store.get(item.kind, item.key)
        is_made = row.is_made if row else change.action == "make"
        for name in secrets_in(item.body.get("details", {})):
            self.client.never_shown(self._secret(name))
        metabase_id = change.metabase_id
        if item.kind == "dashboard":
            self._make_shell(change, item)
            metabase_id = metabase_id or self.store.id_of(item.kind, item.key)
        if metabase_id is None:
            self.store.note(item.kind, item.key, None, "", item.name, is_made)
            found = self.client.post(_PATHS[item.kind], self._body(item), f"make the {item.kind} {item.name}")
            metabase_id = int(found["id"])
        else:
            found = self._put(item, metabase_id)
            if found is None:  # it is gone for good
                self.store.forget(item.kind, item.key)
                self._write(Change("make", item.kind, item.key, item.name), item)
                return
        self._note_written(item, metabase_id, found, is_made)

    def _note_written(self, item: Item, metabase_id: int, found: Any, is_made: bool) -> None:
        self._see_item(item, metabase_id, found if isinstance(found, Mapping) else {})
        if item.kind == "database":
            self._close_database(metabase_id)
        self.store.note(item.kind, item.key, metabase_id, "", item.name, is_made)
        mark = content_hash(item, self.situation.id_of) or ""
        self.store.note(item.kind, item.key, metabase_id, mark, item.name, is_made)

    def _body(self, item: Item) -> Any:
        return resolved(item.body, self.store.id_of, self._secret)

    def _put(self, item: Item, metabase_id: int) -> Any:
        body = self._body(item)
        if item.kind == "dashboard":
            body = self._with_ids_kept(body, metabase_id)
        elif item.kind == "collection":
            body["archived"] = False
        elif item.kind == "database":
            body = {
                name: value for name, value in body.items() if name not in ("is_full_sync", "is_on_demand")
            }
        try:
            return self.client.put(
                f"{_PATHS[item.kind]}/{metabase_id}", body, f"write the {item.kind} {item.name}"
            )
        except MetabaseError as error:
            if error.status == 404 and "API endpoint" not in error.said:
                return None
            raise

    def _make_shell(self, change: Change, item: Item) -> None:
        """Make a dashboard without cards, so that others can refer to it, or note the one that is there."""
        row = self.store.get(item.kind, item.key)
        if row is not None and row.metabase_id is not None:
            return
        is_made = row.is_made if row else change.action == "make"
        metabase_id = change.metabase_id
        if metabase_id is None:
            self.store.note(item.kind, item.key, None, "", item.name, is_made)
            shell = {name: item.body[name] for name in ("name", "description", "collection_id")}
            body = resolved(shell, self.store.id_of, self._secret)
            found = self.client.post(_PATHS["dashboard"], body, f"make the dashboard {item.name}")
            metabase_id = int(found["id"])
        self.store.note(item.kind, item.key, metabase_id, "", item.name, is_made)
        self._see_item(item, metabase_id, {})

    def _with_ids_kept(self, body: dict[str, Any], metabase_id: int) -> dict[str, Any]:
        """Give tabs and cards of a dashboard the ids they have: subscriptions refer to them."""
        try:
            now = self.client.get(f"/api/dashboard/{metabase_id}", f"show the dashboard {body['name']}")
        except MetabaseError as error:
            if error.status == 404:
                return body
            raise
        tabs = {tab["name"]: tab["id"] for tab in now.get("tabs") or ()}
        cards = {one.get("card_id"): one["id"] for one in now.get("dashcards") or ()}
        new_tabs = {tab["id"]: tabs.get(tab["name"], tab["id"]) for tab in body["tabs"]}
        return {
            **body,
            "tabs": [{**tab, "id": new_tabs[tab["id"]]} for tab in body["tabs"]],
            "dashcards": [
                {
                    **one,
                    "id": cards.get(one["card_id"], one["id"]),
                    **(
                        {"dashboard_tab_id": new_tabs[one["dashboard_tab_id"]]}
                        if "dashboard_tab_id" in one
                        else {}
                    ),
                }
                for one in body["dashcards"]
            ],
        }

    def _see_item(self, item: Item, metabase_id: int, found: Mapping[str, Any]) -> None:
        seen: Mapping[str, Any] = {**found, "id": metabase_id, "name": item.name}
        match item.kind:
            case "database":
                self._see(self.seen.databases, metabase_id, seen)
            case "group":
                self._see(self.seen.groups, metabase_id, seen)
            case "collection":
                home = self.store.id_of(*item.home) if item.home else None
                self._see(self.seen.collections, metabase_id, {**seen, "parent_id": home, "archived": False})
            case kind:
                assert item.home is not None
                home = self.store.id_of(*item.home) or 0
                placed = Placed(kind, metabase_id, item.name, home, self.seen.me, found.get("database_id"))
                self._see(self.seen.placed, (kind, metabase_id), placed)

    @staticmethod
    def _see(seen: Mapping[Any, Any], key: Any, value: Any) -> None:
        assert isinstance(seen, dict)
        seen[key] = value

    # --- rights

    def _close_database(self, database_id: int) -> None:
        """Take a new connection from everybody at once: the first one of a Metabase is open to all."""
        is_open = self.desired.mode == "open"
        right = {"view-data": "unrestricted" if is_open else "blocked", "create-queries": "no"}
        now = self.seen.data_graph.get("groups", {})
        groups = [
            str(group)
            for group in self.seen.groups
            if group != self.seen.administrators and str(database_id) not in now.get(str(group), {})
        ]
        if groups:
            self._put_graph("data", {group: {str(database_id): right} for group in groups})

    def _put_rights(self, *, with_grants: bool) -> None:
        for kind, changes in (
            ("data", diff.data_rights(self.situation, with_grants=with_grants)),
            ("collections", diff.collection_rights(self.situation, with_grants=with_grants)),
        ):
            if changes:
                self._put_graph(kind, changes)
                count = sum(len(places) for places in changes.values())
                action = "write" if with_grants else "close"
                self._did(f"{action} {count} rights on {kind} of {len(changes)} groups")

    def _put_graph(self, kind: str, changes: Mapping[str, Mapping[str, Any]]) -> None:
        graph = self.seen.data_graph if kind == "data" else self.seen.collection_graph
        body: dict[str, Any] = {"groups": changes}
        attempt = 1
        while True:
            body["revision"] = graph["revision"]
            if kind == "data" and (pairs := self._impersonated(changes)):
                body["impersonations"] = impersonations(pairs)
            try:
                found = self.client.put(_GRAPHS[kind], body, f"write rights on {kind}", skip_graph=True)
                break
            except MetabaseError as error:
                if error.status != 409 or attempt == _GRAPH_ATTEMPTS:
                    raise
            # Somebody else changed it meanwhile; only our own pairs are written, so theirs stay.
            attempt += 1
            graph["revision"] = self.client.get(_GRAPHS[kind], f"show rights on {kind}")["revision"]  # type: ignore[index]
        _merge(graph, changes, found)

    def _impersonated(self, changes: Mapping[str, Mapping[str, Any]]) -> list[tuple[int, int]]:
        situation = self.situation
        found = []
        for group, database in self.desired.create_queries:
            if not is_impersonated(group, database, self.desired.mode):
                continue
            group_id, database_id = situation.id_of("group", group), situation.id_of("database", database)
            if group_id and database_id and str(database_id) in changes.get(str(group_id), {}):
                found.append((group_id, database_id))
        return found

    # --- what came of it

    def _read_again(self) -> None:
        """Read what decides who sees what, instead of trusting what was answered.

        Raises:
            ShsError: something is open that was just closed.
        """
        collections = by_id(
            one
            for one in self.client.get(
                "/api/collection", "list its collections", exclude_other_user_collections=False
            )
            if isinstance(one.get("id"), int) and not one.get("personal_owner_id")
        )
        ours = sorted(self.situation.ids("collection").values())
        self.seen = Observed(
            **{
                **vars(self.seen),
                "properties": self.client.get("/api/session/properties", "say what it is"),
                "groups": read_groups(self.client),
                "users": read_users(self.client),
                "memberships": read_memberships(self.client),
                "collections": collections,
                "placed": read_placed(self.client, [one for one in ours if one in collections]),
                "data_graph": self.client.get(_GRAPHS["data"], "show rights on data"),
                "collection_graph": self.client.get(_GRAPHS["collections"], "show rights on collections"),
            }
        )
        situation = self.situation
        open_ends = [
            *(change.words for change in diff.settings_to_write(situation)),
            *(f"rights on data of group {group}" for group in diff.data_rights(situation)),
            *(f"rights on collections of group {group}" for group in diff.collection_rights(situation)),
            *(change.words for change in diff.people_to_close(situation)),
        ]
        if open_ends:
            raise ShsError(
                f"Metabase does not hold what was just written: {'; '.join(open_ends[:5])}.",
                "Nobody was let in. Look whether somebody else is changing it, then run shs metabase apply.",
            )

    def _check_isolation(self) -> dict[str, str]:
        """Ask each new connection who it is, and look for strangers' cards among a rep's own.

        Returns:
            What is wrong, by key of the connection; these people are kept out.
        """
        wrong = diff.foreign_cards(self.situation)
        for key in diff.unchecked(self.situation):
            said = self._who_answers(key)
            if said is not None:
                wrong[key] = said
                continue
            role, rep = self.desired.identities[key]
            mark = diff.identity_mark(self.situation, key, role, rep)
            self.store.note("isolation", key, None, mark)
            self._did(f"check that the connection {key} answers as {rep or 'nobody'}")
        for key, said in wrong.items():
            self._shut_out(key, said)
        return wrong

    def _who_answers(self, key: str) -> str | None:
        query = {
            "lib/type": "mbql/query",
            "database": self.store.id_of("database", key),
            "stages": [{"lib/type": "mbql.stage/native", "native": _WHO_AM_I}],
        }
        rows = self.client.ask(query, f"ask the connection {key} who it is")
        found = tuple(rows[0][:2]) if rows else ()
        if found == self.desired.identities[key]:
            return None
        role, rep = self.desired.identities[key]
        return f"its connection answers as {found or 'nothing'} instead of ({role}, {rep})"

    def _shut_out(self, key: str, said: str) -> None:
        for member in self._behind(key):
            user_id = user_of(member, self.store.id_of("person", member.key), self.seen.users)
            user = self.seen.users.get(user_id or 0, {})
            if user.get("is_active", True) and user and not user.get("is_superuser"):
                self._deactivate(user_id, member.rep_name)
                self._did(f"close person {member.rep_name}: {said}")

    def _behind(self, key: str) -> list[Member]:
        return [member for member in self.desired.members if self.desired.groups_of[member.key] == key]

    # --- people

    def _let_in(self, shut_out: Mapping[str, str], make_links: bool) -> None:
        members = {member.key: member for member in self.desired.members}
        for change in list(diff.people_to_let_in(self.situation)):
            member = members[change.key]
            if self.desired.groups_of[member.key] in shut_out:
                continue
            user_id = self._let_in_one(change, member)
            self._did(change.words)
            if change.action in ("invite", "readmit") and not self.seen.has_mail:
                self._offer_link(member, user_id, make_links)

    def _let_in_one(self, change: Change, member: Member) -> int:
        row = self.store.get("person", member.key)
        is_made = row.is_made if row else change.action == "invite"
        group = self.situation.ids("group")[self.desired.groups_of[member.key]]
        if change.metabase_id is None:
            self.store.note("person", member.key, None, "", member.rep_name)
            user_id = self._invite(member, group)
        else:
            user_id = change.metabase_id
            if change.action == "readmit":
                self.client.put(f"/api/user/{user_id}/reactivate", {}, f"let {member.rep_name} in again")
                self._drop_strays(user_id, group, member)
            self._update(member, user_id, group)
        self.store.note(
            "person", member.key, user_id, diff.person_mark(self.desired, member), member.rep_name, is_made
        )
        return user_id

    def _person_body(self, member: Member) -> dict[str, Any]:
        first, last = member.names
        body: dict[str, Any] = {"email": member.address, "first_name": first, "last_name": last}
        if self.desired.mode == "impersonation":
            body["login_attributes"] = {ROLE_ATTRIBUTE: member.role_name}
        return body

    def _invite(self, member: Member, group: int) -> int:
        body = self._person_body(member)
        body["user_group_memberships"] = [{"id": self.seen.everybody}, {"id": group}]
        found = self.client.post("/api/user", body, f"invite {member.rep_name}")
        return int(found["id"])

    def _update(self, member: Member, user_id: int, group: int) -> None:
        user = self.seen.users.get(user_id, {})
        body = self._person_body(member)
        if any(user.get(name) != value for name, value in body.items()):
            self.client.put(f"/api/user/{user_id}", body, f"change {member.rep_name}")
        if user_id not in self.seen.memberships.get(group, {}):
            body = {"group_id": group, "user_id": user_id}
            self.client.post("/api/permissions/membership", body, f"put {member.rep_name} into the group")

    def _drop_strays(self, user_id: int, group: int, member: Member) -> None:
        """End memberships that came back to life with the person."""
        self.seen = Observed(**{**vars(self.seen), "memberships": read_memberships(self.client)})
        kept = (group, self.seen.everybody, self.seen.administrators)
        for other, members in self.seen.memberships.items():
            if user_id in members and other not in kept:
                path = f"/api/permissions/membership/{members[user_id]}"
                self.client.delete(path, f"take {member.rep_name} out of another group")

    def _offer_link(self, member: Member, user_id: int, make_links: bool) -> None:
        link = reset_link(self.client, user_id, member.rep_name, member.address) if make_links else None
        if link is None:
            self.report.waiting.append(member.rep_name)
        else:
            self.report.links.append(link)


def reset_link(client: MetabaseClient, user_id: int, rep_name: str, email: str) -> ResetLink | None:
    """Make an address with which a person chooses a password; None where this Metabase cannot."""
    try:
        found = client.post(f"/api/user/{user_id}/password-reset-url", None, f"make a link for {rep_name}")
    except MetabaseError as error:
        if error.status == 404 and "API endpoint" in error.said:
            return None
        raise
    return ResetLink(rep_name, email, str(found["password_reset_url"]))


def destroy(
    client: MetabaseClient, store: ObjectStore, desired: Desired, tell: Tell = lambda _: None
) -> Report:
    """Remove what shs made, and nothing else; people who were there before stay.

    Args:
        desired: a state without anything in it.
    """
    situation = read_situation(client, store, desired)
    work = _Work(client, store, situation, lambda _: "", tell)
    if situation.known:
        work.close_people(is_ours_only=True)
        work.remove_leftovers()
    store.forget_all()
    work.report.reads, work.report.writes = client.reads, client.writes
    return work.report


def _merge(graph: Any, changes: Mapping[str, Mapping[str, Any]], answer: Any) -> None:
    for group, places in changes.items():
        graph.setdefault("groups", {}).setdefault(group, {}).update(places)
    if isinstance(answer, Mapping) and "revision" in answer:
        graph["revision"] = answer["revision"]


def _drop(members: Mapping[int, int], membership_id: int | None) -> None:
    assert isinstance(members, dict)
    for user_id in [found for found, one in members.items() if one == membership_id]:
        del members[user_id]


def _not_isolated(wrong: Mapping[str, str]) -> ShsError:
    said: Sequence[str] = [f"{key}: {text}" for key, text in sorted(wrong.items())]
    return ShsError(
        f"{len(said)} of the connections would show somebody what is not theirs, and those people are kept "
        f"out: {'; '.join(said[:5])}.",
        "Run shs access sync, move cards of others away in Metabase, then run shs metabase apply again.",
    )
