"""People: lock out first, let in last, and create first logins where Metabase sends no mail."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from shs_pipeline.metabase.calls import PASSWORD_LINK, has_call
from shs_pipeline.metabase.client import MetabaseClient, MetabaseError
from shs_pipeline.metabase.desired import ROLE_ATTRIBUTE
from shs_pipeline.metabase.observed import read_memberships
from shs_pipeline.metabase.people import Member
from shs_pipeline.metabase.people_diff import people_to_close, people_to_let_in, person_mark
from shs_pipeline.metabase.situation import Change
from shs_pipeline.metabase.work import FirstLogin, Work, see

HandOut = Literal["nothing", "links", "all"]
"""What may be made for people who have no password yet; what is not shown to a person alone, no passwords."""


class Doorkeeper:
    """Shuts people out and lets them in."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def close_people(self, *, is_ours_only: bool = False) -> None:
        """End the access of people who left, and memberships that show more than their own.

        Args:
            is_ours_only: leave people alone who were there before.
        """
        work = self._work
        for change in list(people_to_close(work.situation)):
            if change.kind == "membership":
                work.client.delete(f"/api/permissions/membership/{change.metabase_id}", f"end {change.words}")
                for members in work.seen.memberships.values():
                    _drop(members, change.metabase_id)
            else:
                row = work.store.get("person", change.key)
                if is_ours_only and row and not row.is_made:
                    continue
                self._deactivate(change.metabase_id, change.name)
            work.did(change.words)
        present = {member.key for member in work.desired.members}
        for kind, key in work.store.rows():
            if kind == "person" and key not in present:
                work.store.forget(kind, key)

    def shut_out(self, key: str, said: str) -> None:
        """Deactivate those who are in the group of a connection."""
        work = self._work
        for member in [one for one in work.desired.members if work.desired.groups_of[one.key] == key]:
            user_id = work.situation.user_of(member)
            user = work.seen.users.get(user_id or 0, {})
            if user.get("is_active", True) and user and not user.get("is_superuser"):
                self._deactivate(user_id, member.rep_name)
                work.did(f"close person {member.rep_name}: {said}")

    def _deactivate(self, user_id: int | None, name: str) -> None:
        self._work.client.delete(f"/api/user/{user_id}", f"deactivate {name}")
        assert user_id is not None
        see(self._work.seen.users, user_id, {**self._work.seen.users[user_id], "is_active": False})

    def let_in(self, shut_out: Mapping[str, str], hand_out: HandOut) -> None:
        """Invite, let in again and change everyone who is not locked out."""
        work = self._work
        members = {member.key: member for member in work.desired.members}
        for change in list(people_to_let_in(work.situation)):
            member = members[change.key]
            if work.desired.groups_of[member.key] in shut_out:
                continue
            user_id = self._let_in_one(change, member)
            work.did(change.words)
            if change.action not in ("invite", "readmit") or work.seen.has_mail:
                continue
            if not may_hand_out(work.seen.properties, hand_out):
                work.report.waiting.append(member.rep_name)
                continue
            login = first_login(work.client, work.seen.properties, user_id, member.rep_name, member.address)
            work.report.links.append(login)

    def _let_in_one(self, change: Change, member: Member) -> int:
        work = self._work
        row = work.store.get("person", member.key)
        is_made = row.is_made if row else change.action == "invite"
        group = work.situation.ids("group")[work.desired.groups_of[member.key]]
        if change.metabase_id is None:
            work.store.note("person", member.key, None, "", member.rep_name)
            user_id = self._invite(member, group)
        else:
            user_id = change.metabase_id
            if change.action == "readmit":
                work.client.put(f"/api/user/{user_id}/reactivate", {}, f"let {member.rep_name} in again")
                self._drop_strays(user_id, group, member)
            self._update(member, user_id, group)
        mark = person_mark(work.desired, member)
        work.store.note("person", member.key, user_id, mark, member.rep_name, is_made)
        return user_id

    def _person_body(self, member: Member) -> dict[str, Any]:
        first, last = member.names
        body: dict[str, Any] = {"email": member.address, "first_name": first, "last_name": last}
        if self._work.desired.mode == "impersonation":
            body["login_attributes"] = {ROLE_ATTRIBUTE: member.role_name}
        return body

    def _invite(self, member: Member, group: int) -> int:
        body = self._person_body(member)
        body["user_group_memberships"] = [{"id": self._work.seen.everybody}, {"id": group}]
        return int(self._work.client.post("/api/user", body, f"invite {member.rep_name}")["id"])

    def _update(self, member: Member, user_id: int, group: int) -> None:
        user = self._work.seen.users.get(user_id, {})
        body = self._person_body(member)
        if any(user.get(name) != value for name, value in body.items()):
            self._work.client.put(f"/api/user/{user_id}", body, f"change {member.rep_name}")
        if user_id not in self._work.seen.memberships.get(group, {}):
            body = {"group_id": group, "user_id": user_id}
            put = f"put {member.rep_name} into the group"
            self._work.client.post("/api/permissions/membership", body, put)

    def _drop_strays(self, user_id: int, group: int, member: Member) -> None:
        """End memberships that came back to life with the person."""
        work = self._work
        work.seen = replace(work.seen, memberships=read_memberships(work.client))
        kept = (group, work.seen.everybody, work.seen.administrators)
        for other, members in work.seen.memberships.items():
            if user_id in members and other not in kept:
                path = f"/api/permissions/membership/{members[user_id]}"
                work.client.delete(path, f"take {member.rep_name} out of another group")


def may_hand_out(properties: Mapping[str, Any], hand_out: HandOut) -> bool:
    """Whether what this Metabase makes may be shown where it would be shown."""
    return hand_out == "all" or (hand_out == "links" and has_call(properties, PASSWORD_LINK))


def first_login(
    client: MetabaseClient, properties: Mapping[str, Any], user_id: int, rep_name: str, email: str
) -> FirstLogin:
    """Make what a person logs in with: a one-time address, before v0.60 a temporary password."""
    if has_call(properties, PASSWORD_LINK):
        path = PASSWORD_LINK[1].replace("{id}", str(user_id))
        try:
            found = client.post(path, None, f"make a link for {rep_name}")
            return FirstLogin(rep_name, email, url=str(found["password_reset_url"]))
        except MetabaseError as error:
            if not (error.status == 404 and "API endpoint" in error.said):
                raise
    # Two capital letters, a digit and a hyphen, as the strictest rule of Metabase wants them.
    password = f"ShS-{secrets.token_urlsafe(15)}-7a"
    client.never_shown(password)
    client.put(
        f"/api/user/{user_id}/password", {"password": password}, f"set a temporary password for {rep_name}"
    )
    return FirstLogin(rep_name, email, password=password)


def _drop(members: Mapping[int, int], membership_id: int | None) -> None:
    assert isinstance(members, dict)
    for user_id in [found for found, one in members.items() if one == membership_id]:
        del members[user_id]
