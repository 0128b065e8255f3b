"""Who should be let in, changed or locked out; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shs_pipeline.metabase.desired import Desired
from shs_pipeline.metabase.people import Member
from shs_pipeline.metabase.situation import Change, Situation


def people_to_close(situation: Situation) -> Iterator[Change]:
    """Yield whose access ends: people who left, and memberships that show more than their own."""
    present = {member.key for member in situation.desired.members}
    for (kind, key), row in sorted(situation.known.items()):
        if kind != "person" or key in present or row.metabase_id is None:
            continue
        user = situation.seen.users.get(row.metabase_id)
        if user is None or user.get("is_superuser"):
            continue
        if user.get("is_active", True):
            yield Change("close", "person", key, row.name, row.metabase_id, "may no longer log in")
    yield from _stray_memberships(situation)


def _stray_memberships(situation: Situation) -> Iterator[Change]:
    seen = situation.seen
    groups = situation.ids("group")
    wanted: dict[int, int | None] = {}
    for member in situation.desired.members:
        user_id = situation.user_of(member)
        if user_id is not None:
            wanted[user_id] = groups.get(situation.desired.groups_of[member.key])
    ours = set(groups.values())
    for group, members in sorted(seen.memberships.items()):
        if group in (seen.everybody, seen.administrators):
            continue
        for user_id, membership_id in sorted(members.items()):
            is_wanted = user_id in wanted and wanted[user_id] == group
            if not is_wanted and (group in ours or user_id in wanted):
                name = str(seen.users.get(user_id, {}).get("email", user_id))
                where = str(seen.groups.get(group, {}).get("name", group))
                yield Change("close", "membership", str(membership_id), name, membership_id, f"in {where}")


def people_to_let_in(situation: Situation) -> Iterator[Change]:
    """Yield who should be invited, let in again or changed."""
    groups = situation.ids("group")
    for member in situation.desired.members:
        user_id = situation.user_of(member)
        if user_id is None:
            yield Change("invite", "person", member.key, member.rep_name, None, member.address)
            continue
        user = situation.seen.users[user_id]
        group = groups.get(situation.desired.groups_of[member.key])
        if not user.get("is_active", True):
            yield Change("readmit", "person", member.key, member.rep_name, user_id)
            continue
        why = _person_drift(situation, member, user, group)
        if why:
            yield Change("change", "person", member.key, member.rep_name, user_id, why)


def _person_drift(situation: Situation, member: Member, user: Mapping[str, Any], group: int | None) -> str:
    first, last = member.names
    if str(user.get("email", "")).lower() != member.address:
        return f"the address is {member.address} now"
    if (user.get("first_name") or None, user.get("last_name") or None) != (first, last):
        return f"the name is {member.rep_name} now"
    if group is None or user["id"] not in situation.seen.memberships.get(group, {}):
        return "the group is another now"
    row = situation.known.get(("person", member.key))
    if row is None or row.metabase_id != user["id"]:
        return "this address is there already"
    return "" if row.content_hash == person_mark(situation.desired, member) else "the details changed"


def person_mark(desired: Desired, member: Member) -> str:
    """Return what of a person Metabase holds; the role counts where it is impersonated."""
    role = member.role_name if desired.mode == "impersonation" else ""
    return " ".join([desired.groups_of[member.key], member.address, member.rep_name, role]).strip()
