"""Acceptance checks on a running Metabase, the one that SHS_METABASE_URL names: `make smoke`.

First of all its own OpenAPI document is asked for every call that is used. Then it is set up, twice; the
second time nothing may change. Then two throwaway people stand in for two reps: each must see the own
rows and nothing else. They are deactivated at the end, whatever happened.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from shs_pipeline.base.errors import ShsError
from shs_pipeline.metabase import provisioning
from shs_pipeline.metabase.calls import calls_of, missing_calls
from shs_pipeline.metabase.client import MetabaseClient, MetabaseError, Session, wait_until_ready
from shs_pipeline.metabase.provisioning import Workplace
from shs_pipeline.metabase.sign_in import sign_in
from shs_pipeline.metabase.versions import OLDEST, major_of

CHECKING_CALLS = (
    ("post", "/api/card/{id}/query"),
    ("get", "/api/collection/{id}"),
    ("get", "/api/search"),
)
"""Calls of these checks alone."""


@dataclass
class Findings:
    """What was looked at.

    Attributes:
        failed: what does not hold, in words.
    """

    tell: Callable[[str], None] = print
    passed: int = 0
    failed: list[str] = field(default_factory=list)

    def check(self, holds: bool, claim: str, found: object = "") -> None:
        """Note whether something holds."""
        if holds:
            self.passed += 1
        else:
            self.failed.append(f"{claim}; found {found}" if found != "" else claim)
        self.tell(f"{'ok  ' if holds else 'FAIL'} {claim}{'' if holds or found == '' else f': {found}'}")


@dataclass(frozen=True)
class Guest:
    """A throwaway person in the group of a rep."""

    rep: str
    client: MetabaseClient
    database: int
    collection: int
    cards: tuple[int, ...]


def smoke(workplace: Workplace, tell: Callable[[str], None] = print) -> Findings:
    """Run all checks.

    Raises:
        ShsError: Metabase lacks a call that is used, or refuses the set-up itself.
    """
    findings = Findings(tell)
    client = MetabaseClient(workplace.url, pause_seconds=workplace.pause_seconds)
    properties = wait_until_ready(client, workplace.wait_seconds)
    tell(f"Metabase {properties.get('version', {}).get('tag', 'of unknown version')} at {workplace.url}")
    signed = sign_in(client, properties, workplace.account, workplace.secrets, may_write=True)
    assert signed is not None
    check_calls(signed, findings)
    provisioning.apply_all(workplace)
    again = provisioning.apply_all(workplace)
    findings.check(not again.done, "a second apply changes nothing", again.done[:5])
    findings.check(not provisioning.plan(workplace).changes, "a plan after it is empty")
    with _two_guests(signed, findings) as guests:
        for guest, other in (guests, guests[::-1]) if len(guests) == 2 else ():
            check_own(guest, findings)
            check_foreign(guest, other, findings)
    return findings


def check_calls(client: MetabaseClient, findings: Findings) -> None:
    """Hold the calls that are used against what this very Metabase says of itself.

    Raises:
        ShsError: one is missing.
    """
    document = client.get("/api/docs/openapi.json", "show its OpenAPI document")
    major = major_of(client.get("/api/session/properties", "say what it is")) or OLDEST
    missing = missing_calls(document, [*calls_of(major), *CHECKING_CALLS])
    findings.check(not missing, "every call that is used exists", ", ".join(missing) or "")
    if missing:
        raise ShsError(
            f"This Metabase lacks {', '.join(missing)}.", "Use a version that docs/metabase.md names."
        )


def check_own(guest: Guest, findings: Findings) -> None:
    """A rep's own dashboards answer, with only their own rows."""
    listed = [one["id"] for one in _listed(guest.client.get("/api/database"))]
    findings.check(listed == [guest.database], f"{guest.rep} is offered only their own connection", listed)
    for card in guest.cards:
        found = guest.client.post(f"/api/card/{card}/query", {"parameters": []}, "run a card")
        findings.check(
            found.get("status") == "completed",
            f"{guest.rep}: card {card} answers",
            str(found.get("error") or "")[:200],
        )
        findings.check(not _foreign_reps(found, guest.rep), f"{guest.rep}: card {card} shows own rows only")


def check_foreign(guest: Guest, other: Guest, findings: Findings) -> None:
    """What belongs to somebody else is refused."""
    paths = [f"/api/collection/{other.collection}", f"/api/card/{other.cards[0]}"] if other.cards else []
    for path in paths:
        status = _status(partial(guest.client.get, path))
        findings.check(status == 403, f"{guest.rep} is refused {path}", status)
    for database in (guest.database, other.database):
        query = {
            "lib/type": "mbql/query",
            "database": database,
            "stages": [{"lib/type": "mbql.stage/native", "native": "select current_user"}],
        }
        status = _status(partial(guest.client.post, "/api/dataset", query))
        findings.check(status == 403, f"{guest.rep} may not send SQL to connection {database}", status)
    found = _listed(guest.client.get("/api/search", q=""))
    strangers = [one for one in found if (one.get("collection_id") or 0) == other.collection]
    findings.check(not strangers, f"{guest.rep} finds nothing of {other.rep}", len(strangers))


@contextmanager
def _two_guests(client: MetabaseClient, findings: Findings) -> Iterator[list[Guest]]:
    """Let two throwaway people in, in place of the first two reps."""
    groups = [one for one in client.get("/api/permissions/group") if str(one["name"]).startswith("Rep: ")]
    findings.check(len(groups) >= 2, "there are two reps to check", len(groups))
    users: list[int] = []
    try:
        yield [_guest(client, group, users) for group in groups[:2]]
    finally:
        for user in users:
            client.delete(f"/api/user/{user}", "deactivate a throwaway person")


def _guest(client: MetabaseClient, group: dict[str, Any], users: list[int]) -> Guest:
    rep = str(group["name"]).removeprefix("Rep: ")
    email, password = f"shs-smoke-{secrets.token_hex(4)}@example.com", f"{secrets.token_urlsafe(16)}-1aA"
    client.never_shown(password)
    groups = client.get("/api/permissions/group")
    everybody = next(one["id"] for one in groups if one.get("magic_group_type") == "all-internal-users")
    body = {
        "email": email,
        "first_name": "Smoke",
        "last_name": "Test",
        "user_group_memberships": [{"id": everybody}, {"id": group["id"]}],
    }
    users.append(int(client.post("/api/user", body, "make a throwaway person")["id"]))
    client.put(f"/api/user/{users[-1]}/password", {"password": password}, "set a throwaway password")
    session = client.post("/api/session", {"username": email, "password": password}, "log in")
    collection = next(
        one
        for one in client.get("/api/collection")
        if one["name"] == rep and not one.get("personal_owner_id")
    )
    items = _listed(client.get(f"/api/collection/{collection['id']}/items"))
    database = next(one for one in _listed(client.get("/api/database")) if one["name"] == f"Sales of {rep}")
    return Guest(
        rep,
        client.signed(Session(str(session["id"]))),
        int(database["id"]),
        int(collection["id"]),
        tuple(one["id"] for one in items if one["model"] in ("card", "dataset")),
    )


def _foreign_reps(found: dict[str, Any], rep: str) -> set[str]:
    data = found.get("data") or {}
    names = [column.get("name") for column in data.get("cols") or ()]
    places = [place for place, name in enumerate(names) if name == "rep_name"]
    return {row[place] for row in data.get("rows") or () for place in places} - {rep, None}


def _status(call: Callable[[], Any]) -> int:
    try:
        call()
    except MetabaseError as error:
        return error.status
    return 200


def _listed(answer: Any) -> list[dict[str, Any]]:
    return list(answer["data"] if isinstance(answer, dict) else answer)


def main() -> int:
    """Run the checks on what the settings name; 0 if all hold."""
    from shs_pipeline.settings.settings import load_settings

    try:
        findings = smoke(Workplace.from_settings(load_settings()))
    except ShsError as error:
        print(error.problem, error.remedy, sep="\n", file=sys.stderr)
        return 1
    print(f"{findings.passed} checks hold, {len(findings.failed)} do not.")
    return 1 if findings.failed else 0


if __name__ == "__main__":
    sys.exit(main())
