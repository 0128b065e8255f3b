"""A Metabase in this process that keeps state and behaves as far as the real one's manners are known.

It answers over HTTP on 127.0.0.1. What it is strict about: bodies (against Metabase's own OpenAPI
document, where that is there), blank texts, revisions of graphs, what only a paid one does, and that a
new connection is open to all. What it cannot do: draw anything, or run SQL unless `run_sql` does.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg

from shs_pipeline.metabase.calls import CALLS, Call
from shs_pipeline.metabase.versions import major_of

ROOT = Path(__file__).parents[2]
VERBS = ("get", "post", "put", "delete")
ALL_USERS, ADMINISTRATORS, ANALYSTS = 1, 2, 3
# Of calls that are there but in no OpenAPI document.
UNLISTED = ("/api/health", "/api/docs/openapi.json")


def openapi_path() -> Path | None:
    """Where Metabase's OpenAPI document lies, which is not part of this project; None without it."""
    named = os.environ.get("METABASE_OPENAPI", "")
    places = [Path(named)] if named else [ROOT.parent / "shared/metabase/openapi-v0.60.json"]
    return next((place for place in places if place.is_file()), None)


@cache
def openapi() -> dict[str, Any]:
    """The document, empty without it."""
    path = openapi_path()
    return json.loads(path.read_text()) if path else {}


@cache
def _operations() -> list[tuple[str, re.Pattern[str], dict[str, Any]]]:
    found = []
    for path, verbs in openapi().get("paths", {}).items():
        # Paths without parameters first: /user/current is no user.
        pattern = re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path.rstrip("/"))))
        found += [(verb, pattern, operation) for verb, operation in verbs.items()]
    return sorted(found, key=lambda one: "[^/]+" in one[1].pattern)


@cache
def _validator(verb: str, pattern: str) -> Any:
    import jsonschema

    operation = next(one for one in _operations() if (one[0], one[1].pattern) == (verb, pattern))[2]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    return jsonschema.Draft202012Validator({**content["schema"], "components": openapi()["components"]})


def contract_errors(verb: str, path: str, body: Any) -> list[str]:
    """What is wrong with a request by the OpenAPI document; nothing where that is absent."""
    if not openapi() or path in UNLISTED:
        return []
    for of_verb, pattern, _ in _operations():
        if of_verb == verb and pattern.fullmatch(path):
            validator = _validator(verb, pattern.pattern)
            if validator is None or body is None:
                return []
            return [f"{one.json_path}: {one.message[:200]}" for one in validator.iter_errors(body)]
    return [f"there is no {verb.upper()} {path}"]


class RefusalError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, content: Any) -> None:
        super().__init__(status)
        self.status = status
        self.content = content


NOT_FOUND = "Not found."
NO_ENDPOINT = "API endpoint does not exist."
Handler = Callable[..., Any]
ROUTES: list[tuple[str, re.Pattern[str], str]] = []


def route(verb: str, path: str) -> Callable[[Handler], Handler]:
    """Let a method answer a path; `:id` is a number."""

    def mark(handler: Handler) -> Handler:
        pattern = re.compile(path.replace(":id", "([0-9]+)"))
        ROUTES.append((verb, pattern, handler.__name__))
        return handler

    return mark


class FakeMetabase:
    """One Metabase, fresh unless `is_set_up`.

    Attributes:
        requests: verb, path and status of each answer.
        problems: requests that the real one would have misread or refused.
        dies_at: number of the request with which it stops to answer; with `dies_after` it still does what
            that one and the following ask, `lost` in all.
        after_each: called after each request that was answered.
        run_sql: gives the rows of SQL on a connection's details.
        whoami: what `marts.session_rep()` is for a role, without `run_sql`.
        pause: gives for a verb and path how many seconds the answer takes.
        page: most items of a list in one answer.
        connections: made so far by clients.
    """

    def __init__(self, *, is_paid: bool = False, has_mail: bool = False, tag: str = "v0.58.39") -> None:
        self.is_paid, self.has_mail, self.tag = is_paid, has_mail, tag
        self.requests: list[tuple[str, str, int]] = []
        self.bodies: list[tuple[str, str, Any]] = []
        self.problems: list[str] = []
        self.dies_at: int | None = None
        self.dies_after = False
        self.lost = 1
        self.after_each: Callable[[FakeMetabase, str, str], None] | None = None
        self.run_sql: Callable[[dict[str, Any], str], list[list[Any]]] | None = None
        self.whoami: dict[str, str | None] = {}
        self.missing: set[tuple[str, str]] = set()
        self.answers: list[tuple[str, str, int, Any]] = []
        self.mails: list[str] = []
        self.asked: list[int] = []
        self.failed_logins = 0
        self.url = ""
        self.pause: Callable[[str, str], float] = lambda verb, path: 0.0
        self.page = 2000
        self.connections = 0
        self.most_at_once = self._at_once = 0
        self._lock = threading.RLock()
        self._ids = 0
        self.wipe()

    def wipe(self) -> None:
        """Become a fresh one, as with a new application database."""
        self.instance = secrets.token_hex(8)
        self.setup_token: str | None = secrets.token_hex(8)
        self.settings: dict[str, Any] = {"enable-public-sharing": True, "enable-xrays": True,
                                         "anon-tracking-enabled": True}  # fmt: skip
        self.fixed: set[str] = set()
        self.users: dict[int, dict[str, Any]] = {}
        self.passwords: dict[int, str] = {}
        self.sessions: dict[str, int] = {}
        self.keys: dict[int, dict[str, Any]] = {}
        self.groups: dict[int, dict[str, Any]] = {
            ALL_USERS: {"id": 1, "name": "All Users", "magic_group_type": "all-internal-users"},
            ADMINISTRATORS: {"id": 2, "name": "Administrators", "magic_group_type": "admin"},
            ANALYSTS: {"id": 3, "name": "Data Analysts", "magic_group_type": "data-analyst"},
        }
        self.members: dict[int, tuple[int, int]] = {}
        self.databases: dict[int, dict[str, Any]] = {}
        self.data: dict[tuple[int, int], dict[str, Any]] = {}
        self.data_revision = 1
        self.impersonations: list[dict[str, Any]] = []
        self.collections: dict[int, dict[str, Any]] = {}
        self.collection_rights: dict[tuple[int, str], str] = {(ALL_USERS, "root"): "write"}
        self.collection_revision = 1
        self.cards: dict[int, dict[str, Any]] = {}
        self.dashboards: dict[int, dict[str, Any]] = {}
        self.others: dict[int, dict[str, Any]] = {}
        self.trash = self.new_id()

    def new_id(self) -> int:
        self._ids += 1
        return self._ids + 10

    # --- what a test looks at

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The requests that may have changed something."""
        return [
            (verb, path) for verb, path, _ in self.requests
            if verb != "get" and path != "/api/dataset"
        ]  # fmt: skip

    def forget_requests(self) -> None:
        self.requests.clear()
        self.bodies.clear()

    def named(self, kind: str, name: str) -> dict[str, Any]:
        """The one thing of a kind with this name."""
        found = [one for one in getattr(self, kind).values() if one.get("name") == name]
        assert len(found) == 1, (kind, name, [one.get("name") for one in getattr(self, kind).values()])
        return found[0]

    def user(self, email: str) -> dict[str, Any]:
        return next(one for one in self.users.values() if one["email"] == email)

    def groups_of(self, user_id: int) -> set[int]:
        return {group for group, user in self.members.values() if user == user_id}

    def may_ask(self, user_id: int) -> set[int]:
        """Connections on which a person may ask questions of the own."""
        groups = self.groups_of(user_id)
        return {
            database for (group, database), right in self.data.items()
            if group in groups and right.get("create-queries", "no") != "no"
            and right.get("view-data") != "blocked"
        }  # fmt: skip

    def may_see(self, user_id: int) -> set[int]:
        """Cards that a person may open: those in a collection that may be read, and in the own one."""
        groups = self.groups_of(user_id)
        places = {place for (group, place), right in self.collection_rights.items() if group in groups}
        places |= {
            str(one["id"]) for one in self.collections.values() if one.get("personal_owner_id") == user_id
        }  # fmt: skip
        return {
            found for found, card in self.cards.items()
            if not card["archived"] and str(card["collection_id"] or "root") in places
        }  # fmt: skip

    # --- signing in

    @route("get", "/api/health")
    def health(self, request: Request) -> Any:
        return {"status": "ok"}

    @route("get", "/api/docs/openapi.json")
    def document(self, request: Request) -> Any:
        return openapi() or {"paths": {}}

    @route("get", "/api/session/properties")
    def properties(self, request: Request) -> Any:
        names = ("advanced_permissions", "sandboxes")
        return {
            "version": {"tag": self.tag},
            "setup-token": self.setup_token,
            "has-user-setup": self.setup_token is None,
            "token-features": dict.fromkeys(names, self.is_paid),
            "email-configured?": self.has_mail,
            **({"site-uuid": self.instance, **self.settings} if request.user else {}),
        }

    @route("post", "/api/setup")
    def setup(self, request: Request) -> Any:
        if self.setup_token is None:
            raise RefusalError(403, "The /api/setup route can only be used to create the first user")
        if request.body["token"] != self.setup_token:
            raise RefusalError(400, {"errors": {"token": "Token does not match the setup token."}})
        given = request.body["user"]
        user = self._new_user(given["email"], given["first_name"], given["last_name"], is_superuser=True)
        self.passwords[user["id"]] = given["password"]
        self.setup_token = None
        return {"id": self._new_session(user["id"])}

    def _new_session(self, user_id: int) -> str:
        session = secrets.token_hex(16)
        self.sessions[session] = user_id
        return session

    def _new_user(self, email: str, first: Any, last: Any, *, is_superuser: bool = False) -> dict[str, Any]:
        if any(user["email"] == email.lower() for user in self.users.values()):
            raise RefusalError(400, {"errors": {"email": "Email address already in use."}})
        user = {
            "id": self.new_id(), "email": email.lower(), "first_name": first, "last_name": last,
            "is_active": True, "is_superuser": is_superuser, "last_login": None, "login_attributes": None,
        }  # fmt: skip
        self.users[user["id"]] = user
        for group in (ALL_USERS, *((ADMINISTRATORS,) if is_superuser else ())):
            self.members[self.new_id()] = (group, user["id"])
        return user

    @route("post", "/api/session")
    def log_in(self, request: Request) -> Any:
        email, password = request.body["username"], request.body["password"]
        user = next((one for one in self.users.values() if one["email"] == email.lower()), None)
        is_right = user and user["is_active"] and self.passwords.get(user["id"]) == password
        # A throttled login looks as a wrong password does.
        if not is_right or self.failed_logins >= 5:
            self.failed_logins += 1
            raise RefusalError(401, {"errors": {"password": "did not match stored password"}})
        user["last_login"] = "2026-01-01T00:00:00Z"
        return {"id": self._new_session(user["id"])}

    @route("delete", "/api/session")
    def log_out(self, request: Request) -> Any:
        self.sessions.pop(request.headers.get("X-Metabase-Session", ""), None)

    @route("get", "/api/api-key")
    def list_keys(self, request: Request) -> Any:
        return [{"id": key["id"], "name": key["name"], "masked_key": "mb_****"} for key in self.keys.values()]

    @route("post", "/api/api-key")
    def make_key(self, request: Request) -> Any:
        if any(key["name"] == request.body["name"] for key in self.keys.values()):
            raise RefusalError(400, {"errors": {"name": "An API key with this name already exists."}})
        user = self._new_user(
            f"api-key-user-{secrets.token_hex(4)}@api-key.invalid", request.body["name"], "",
            is_superuser=request.body["group_id"] == ADMINISTRATORS,
        )  # fmt: skip
        user["is_key"] = True
        key = {"id": self.new_id(), "name": request.body["name"], "user": user["id"], "key": _key()}
        self.keys[key["id"]] = key
        return {"id": key["id"], "name": key["name"], "unmasked_key": key["key"]}

    @route("put", "/api/api-key/:id/regenerate")
    def renew_key(self, request: Request, key_id: int) -> Any:
        self.keys[key_id]["key"] = _key()
        return {"id": key_id, "unmasked_key": self.keys[key_id]["key"]}

    @route("delete", "/api/api-key/:id")
    def delete_key(self, request: Request, key_id: int) -> Any:
        self.keys.pop(key_id)

    def who(self, headers: Any) -> dict[str, Any] | None:
        """The user who signed a request."""
        key, session = headers.get("x-api-key"), headers.get("X-Metabase-Session")
        user_id = self.sessions.get(session or "")
        user_id = next((one["user"] for one in self.keys.values() if one["key"] == key), user_id)
        return self.users.get(user_id) if user_id else None

    # --- settings

    @route("get", "/api/setting")
    def list_settings(self, request: Request) -> Any:
        return [
            {"key": name, "value": value, "is_env_setting": name in self.fixed}
            for name, value in self.settings.items()
        ]

    @route("put", "/api/setting")
    def write_settings(self, request: Request) -> Any:
        self.settings |= {name: value for name, value in request.body.items() if name not in self.fixed}

    # --- connections

    @route("get", "/api/database")
    def list_databases(self, request: Request) -> Any:
        user = request.user
        listed = [
            one for one in self.databases.values()
            if user["is_superuser"] or one["id"] in self.may_ask(user["id"])
        ]  # fmt: skip
        return {"data": [self._masked(one) for one in listed], "total": len(listed)}

    def _masked(self, database: dict[str, Any]) -> dict[str, Any]:
        return {**database, "details": {**database["details"], "password": "**MetabasePass**"}}

    @route("post", "/api/database")
    def make_database(self, request: Request) -> Any:
        details = request.body["details"]
        self._try(details)
        if details.get("let-user-control-scheduling") and not request.body.get("schedules"):
            raise RefusalError(400, "Illegal options combination")
        found = {**request.body, "id": self.new_id(), "tables": []}
        self.databases[found["id"]] = found
        for group in self.groups:
            self.data[group, found["id"]] = self._first_right(group, found["id"])
        return self._masked(found)

    def _first_right(self, group: int, database: int) -> dict[str, Any]:
        if group == ADMINISTRATORS:
            return {"view-data": "unrestricted", "create-queries": "query-builder-and-native"}
        ranks = ("no", "query-builder", "query-builder-and-native")
        held = [
            right["create-queries"] for (other, place), right in self.data.items()
            if other == group and place != database
        ]  # fmt: skip
        least = min(held, key=ranks.index, default="query-builder-and-native")
        return {"view-data": "unrestricted", "create-queries": least}

    def _try(self, details: dict[str, Any]) -> None:
        if self.run_sql is not None:
            try:
                self.run_sql(details, "select 1")
            except psycopg.Error as error:
                raise RefusalError(400, {"message": str(error), "errors": {"user": "check it"}}) from None
        elif details["user"] not in self.whoami:
            text = f'FATAL: password authentication failed for user "{details["user"]}"'
            raise RefusalError(400, {"message": text, "errors": {"password": "check your password"}})

    @route("put", "/api/database/:id")
    def change_database(self, request: Request, database_id: int) -> Any:
        found = self._there(self.databases, database_id)
        if "cache_ttl" in request.body and not self.is_paid:
            raise RefusalError(402, "Cache TTL is a paid feature")
        details = {**found["details"], **request.body.get("details", {})}
        if details["password"] == "**MetabasePass**":
            details["password"] = found["details"]["password"]
        if details != found["details"]:
            self._try(details)
        found |= {**request.body, "details": details}
        return self._masked(found)

    @route("delete", "/api/database/:id")
    def delete_database(self, request: Request, database_id: int) -> Any:
        self._there(self.databases, database_id)
        del self.databases[database_id]
        self.data = {pair: right for pair, right in self.data.items() if pair[1] != database_id}
        for card in [one for one in self.cards.values() if one["database_id"] == database_id]:
            self._delete_card(card["id"])

    @route("post", "/api/database/:id/sync_schema")
    def sync(self, request: Request, database_id: int) -> Any:
        found = self._there(self.databases, database_id)
        if self.run_sql is not None:
            self._read_tables(found)
        return {"status": "ok"}

    def _read_tables(self, database: dict[str, Any]) -> None:
        assert self.run_sql is not None
        rows = self.run_sql(
            database["details"],
            "select table_name, column_name from information_schema.columns where table_schema = 'marts'"
            " order by 1, ordinal_position",
        )
        known = {table["name"]: table for table in database["tables"]}
        for table_name, column in rows:
            table = known.get(table_name)
            if table is None:
                table = {"id": self.new_id(), "name": table_name, "schema": "marts", "fields": [],
                         "display_name": table_name.replace("_", " ").title(), "description": None,
                         "visibility_type": None, "points_of_interest": None, "caveats": None}  # fmt: skip
                known[table_name] = table
                database["tables"].append(table)
            if column not in [field["name"] for field in table["fields"]]:
                field = {"id": self.new_id(), "name": column, "display_name": column, "description": None,
                         "semantic_type": None, "visibility_type": "normal", "fk_target_field_id": None,
                         "settings": None, "has_field_values": "auto-list", "base_type": "type/Text",
                         "coercion_strategy": None, "points_of_interest": None, "caveats": None}  # fmt: skip
                table["fields"].append(field)

    @route("get", "/api/database/:id/metadata")
    def metadata(self, request: Request, database_id: int) -> Any:
        return self._masked(self._there(self.databases, database_id))

    @route("put", "/api/table/:id")
    def change_table(self, request: Request, table_id: int) -> Any:
        tables = [table for one in self.databases.values() for table in one["tables"]]
        found = next(table for table in tables if table["id"] == table_id)
        found |= request.body
        return found

    @route("put", "/api/field/:id")
    def change_field(self, request: Request, field_id: int) -> Any:
        tables = [table for one in self.databases.values() for table in one["tables"]]
        found = next(field for table in tables for field in table["fields"] if field["id"] == field_id)
        found |= request.body
        return found

    # --- groups and people

    @route("get", "/api/permissions/group")
    def list_groups(self, request: Request) -> Any:
        return list(self.groups.values())

    @route("post", "/api/permissions/group")
    def make_group(self, request: Request) -> Any:
        self._check_group_name(request.body["name"], None)
        found = {"id": self.new_id(), "name": request.body["name"], "magic_group_type": None}
        self.groups[found["id"]] = found
        for database in self.databases:
            # It begins with what All Users may.
            self.data[found["id"], database] = {
                "view-data": self.data[ALL_USERS, database]["view-data"],
                "create-queries": self.data[ALL_USERS, database].get("create-queries", "no"),
            }
        return found

    def _check_group_name(self, name: str, own: int | None) -> None:
        for found, group in self.groups.items():
            if group["name"].casefold() == name.casefold() and found != own:
                raise RefusalError(400, {"errors": {"name": "A group with that name already exists."}})

    def _own_group(self, group_id: int) -> dict[str, Any]:
        found = self._there(self.groups, group_id)
        if found["magic_group_type"]:
            raise RefusalError(400, f"You cannot edit or delete the {found['name']!r} permissions group!")
        return found

    @route("put", "/api/permissions/group/:id")
    def change_group(self, request: Request, group_id: int) -> Any:
        found = self._own_group(group_id)
        self._check_group_name(request.body["name"], group_id)
        found["name"] = request.body["name"]
        return found

    @route("delete", "/api/permissions/group/:id")
    def delete_group(self, request: Request, group_id: int) -> Any:
        self._own_group(group_id)
        del self.groups[group_id]
        self.members = {one: pair for one, pair in self.members.items() if pair[0] != group_id}
        self.data = {pair: right for pair, right in self.data.items() if pair[0] != group_id}
        self.collection_rights = {
            pair: right for pair, right in self.collection_rights.items() if pair[0] != group_id
        }

    @route("get", "/api/permissions/membership")
    def list_members(self, request: Request) -> Any:
        found: dict[str, list[dict[str, Any]]] = {}
        for membership_id, (group, user) in self.members.items():
            if self.users[user].get("is_key"):
                continue
            row = {"membership_id": membership_id, "group_id": group, "user_id": user}
            found.setdefault(str(user), []).append(row)
        return found

    @route("post", "/api/permissions/membership")
    def make_member(self, request: Request) -> Any:
        if "is_group_manager" in request.body and not self.is_paid:
            raise RefusalError(402, "Group managers are a paid feature")
        group, user = request.body["group_id"], request.body["user_id"]
        if group == ALL_USERS:
            raise RefusalError(400, "You cannot add or remove users to/from the All Users group.")
        self._there(self.groups, group)
        if not self._there(self.users, user)["is_active"]:
            raise RefusalError(404, NOT_FOUND)
        if (group, user) not in self.members.values():
            self.members[self.new_id()] = (group, user)
        return []

    @route("delete", "/api/permissions/membership/:id")
    def delete_member(self, request: Request, membership_id: int) -> Any:
        self._there(self.members, membership_id)
        if self.members[membership_id][0] == ALL_USERS:
            raise RefusalError(400, "You cannot add or remove users to/from the All Users group.")
        del self.members[membership_id]

    @route("get", "/api/user")
    def list_users(self, request: Request) -> Any:
        is_all = request.query.get("status") == ["all"]
        listed = [one for one in self.users.values() if not one.get("is_key")]
        listed = [one for one in listed if is_all or one["is_active"]]
        return {"data": listed, "total": len(listed), "limit": None, "offset": None}

    @route("get", "/api/user/current")
    def current(self, request: Request) -> Any:
        return {**request.user, "group_ids": sorted(self.groups_of(request.user["id"]))}

    @route("post", "/api/user")
    def make_user(self, request: Request) -> Any:
        groups = [one["id"] for one in request.body.get("user_group_memberships") or [{"id": ALL_USERS}]]
        if ALL_USERS not in groups:
            raise RefusalError(400, "You cannot add or remove users to/from the All Users group.")
        user = self._new_user(
            request.body["email"], request.body.get("first_name"), request.body.get("last_name")
        )
        user["login_attributes"] = request.body.get("login_attributes")
        for group in groups[1:]:
            self.members[self.new_id()] = (group, user["id"])
        if self.has_mail:
            self.mails.append(user["email"])
        return user

    @route("put", "/api/user/:id")
    def change_user(self, request: Request, user_id: int) -> Any:
        user = self._there(self.users, user_id)
        if not user["is_active"]:
            raise RefusalError(404, NOT_FOUND)
        email = (request.body.get("email") or user["email"]).lower()
        if any(one["email"] == email and one is not user for one in self.users.values()):
            raise RefusalError(
                400, {"errors": {"email": "Email address already associated to another user."}}
            )
        user |= {**request.body, "email": email}
        return user

    @route("delete", "/api/user/:id")
    def close_user(self, request: Request, user_id: int) -> Any:
        self._there(self.users, user_id)["is_active"] = False
        self.sessions = {one: user for one, user in self.sessions.items() if user != user_id}
        return {"success": True}

    @route("put", "/api/user/:id/reactivate")
    def reopen_user(self, request: Request, user_id: int) -> Any:
        user = self._there(self.users, user_id)
        if user["is_active"]:
            raise RefusalError(400, {"message": "Not able to reactivate an active user"})
        user |= {"is_active": True, "is_superuser": False}
        if self.has_mail:
            self.mails.append(user["email"])
        return user

    @route("put", "/api/user/:id/password")
    def set_password(self, request: Request, user_id: int) -> Any:
        self._there(self.users, user_id)
        self.passwords[user_id] = request.body["password"]

    @route("post", "/api/user/:id/password-reset-url")
    def reset_url(self, request: Request, user_id: int) -> Any:
        self._there(self.users, user_id)
        return {"password_reset_url": f"{self.url}/auth/reset_password/{user_id}_{secrets.token_hex(8)}"}

    # --- rights

    @route("get", "/api/permissions/graph")
    def data_graph(self, request: Request) -> Any:
        groups: dict[str, dict[str, Any]] = {}
        for (group, database), right in self.data.items():
            shown = {"view-data": right["view-data"], "create-queries": right.get("create-queries", "no")}
            # What is least is left out.
            if shown["create-queries"] == "no":
                del shown["create-queries"]
            if shown["view-data"] == "blocked":
                del shown["view-data"]
            groups.setdefault(str(group), {})[str(database)] = {**shown, "download": {"schemas": "full"}}
        return {"revision": self.data_revision, "groups": groups}

    @route("put", "/api/permissions/graph")
    def write_data(self, request: Request) -> Any:
        body = request.body
        if set(body) - {"revision", "groups"} and not self.is_paid:
            raise RefusalError(402, "Sandboxes and impersonations are paid features")
        self._check_revision(request, self.data_revision)
        for group, places in body["groups"].items():
            for database, right in places.items():
                self._write_right(int(group), int(database), right)
        self.impersonations += body.get("impersonations", [])
        self.data_revision += 1
        if request.query.get("skip-graph") == ["true"]:
            return {"revision": self.data_revision}
        return self.data_graph(request)

    def _write_right(self, group: int, database: int, right: dict[str, Any]) -> None:
        if group == ADMINISTRATORS:
            raise RefusalError(400, "You cannot change the permissions of Administrators")
        self._there(self.groups, group)
        self._there(self.databases, database)
        if set(right) - {"view-data", "create-queries", "download", "data-model", "details", "transforms"}:
            raise RefusalError(400, "disallowed key")
        if right.get("view-data") in ("blocked", "impersonated", "sandboxed") and not self.is_paid:
            raise RefusalError(
                402,
                "Blocked is only enabled if you have a premium token with the advanced-permissions feature",
            )
        if right.get("view-data") == "blocked" and right.get("create-queries", "no") != "no":
            raise RefusalError(400, "blocked goes with no create-queries")
        self.data[group, database] = {**self.data.get((group, database), {}), **right}

    def _check_revision(self, request: Request, revision: int) -> None:
        if request.query.get("force") != ["true"] and request.body.get("revision") != revision:
            raise RefusalError(
                409, "Looks like someone else edited the permissions and your data is out of date."
            )

    @route("get", "/api/collection/graph")
    def collection_graph(self, request: Request) -> Any:
        groups: dict[str, dict[str, str]] = {str(group): {} for group in self.groups}
        for (group, place), right in self.collection_rights.items():
            groups[str(group)][place] = right
        for place in ("root", *self.collections):
            groups[str(ADMINISTRATORS)][str(place)] = "write"
        return {"revision": self.collection_revision, "groups": groups}

    @route("put", "/api/collection/graph")
    def write_collections(self, request: Request) -> Any:
        self._check_revision(request, self.collection_revision)
        for group, places in request.body["groups"].items():
            if int(group) == ADMINISTRATORS:
                raise RefusalError(400, "You cannot change the permissions of Administrators")
            for place, right in places.items():
                if right not in ("read", "write", "none"):
                    raise RefusalError(400, f"{right} is no right")
                self.collection_rights.pop((int(group), place), None)
                if right != "none":
                    self.collection_rights[int(group), place] = right
        self.collection_revision += 1
        return {"revision": self.collection_revision, "groups": {}}

    # --- collections

    @route("get", "/api/collection")
    def list_collections(self, request: Request) -> Any:
        if request.query.get("archived") == ["true"]:
            return [one for one in self.collections.values() if one["archived"]]
        listed = [one for one in self.collections.values() if not one["archived"]]
        return [{"id": "root", "name": "Our analytics"}, *listed]

    @route("get", "/api/collection/trash")
    def show_trash(self, request: Request) -> Any:
        return {"id": self.trash, "name": "Trash", "type": "trash"}

    @route("post", "/api/collection")
    def make_collection(self, request: Request) -> Any:
        parent = request.body.get("parent_id")
        location = "/"
        if parent is not None:
            location = f"{self._there(self.collections, parent)['location']}{parent}/"
        found = {"id": self.new_id(), "name": request.body["name"], "archived": False, "location": location}
        self.collections[found["id"]] = found
        # It begins with the rights of what it lies in.
        for (group, place), right in list(self.collection_rights.items()):
            if place == str(parent or "root"):
                self.collection_rights[group, str(found["id"])] = right
        return found

    @route("put", "/api/collection/:id")
    def change_collection(self, request: Request, collection_id: int) -> Any:
        found = self._there(self.collections, collection_id)
        body = dict(request.body)
        if "parent_id" in body:
            parent = body.pop("parent_id")
            found["location"] = f"{self.collections[parent]['location']}{parent}/" if parent else "/"
        found |= body
        return found

    @route("delete", "/api/collection/:id")
    def delete_collection(self, request: Request, collection_id: int) -> Any:
        if not self._there(self.collections, collection_id)["archived"]:
            raise RefusalError(400, "Collection must be trashed first.")
        del self.collections[collection_id]
        for kind in (self.cards, self.dashboards):
            for found in [one for one, thing in kind.items() if thing["collection_id"] == collection_id]:
                del kind[found]

    @route("get", "/api/collection/:id/items")
    def list_items(self, request: Request, collection_id: int) -> Any:
        is_trash = collection_id == self.trash
        if not is_trash:
            self._there(self.collections, collection_id)
        is_archived = is_trash or request.query.get("archived") == ["true"]
        has_questions = request.query.get("show_dashboard_questions") == ["true"]
        listed = []
        for kind, things in (("card", self.cards), ("dashboard", self.dashboards), ("", self.others)):
            for one in things.values():
                is_here = is_trash or one["collection_id"] == collection_id
                # A card that belongs to a document is never listed.
                is_hidden = one.get("document_id") or (one.get("dashboard_id") and not has_questions)
                if is_here and not is_hidden and one["archived"] == is_archived:
                    listed.append(self._item(kind, one))
        listed += [
            {"id": one["id"], "name": one["name"], "model": "collection"}
            for one in self.collections.values()
            if one["location"].endswith(f"/{collection_id}/") and one["archived"] == is_archived
        ]
        start = int(request.query.get("offset", ["0"])[0])
        most = min(self.page, int(request.query.get("limit", [str(self.page)])[0]))
        return {"data": listed[start : start + most], "total": len(listed)}

    @staticmethod
    def _item(kind: str, one: dict[str, Any]) -> dict[str, Any]:
        models = {"model": "dataset", "metric": "metric"}
        model = models.get(one["type"], "card") if kind == "card" else kind or one["model"]
        found = {
            "id": one["id"], "name": one["name"], "archived": one["archived"], "model": model,
            "collection_id": one["collection_id"], "dashboard_id": one.get("dashboard_id"),
            "last-edit-info": {"id": one["editor"], "timestamp": "2026-01-01T00:00:00Z"},
        }  # fmt: skip
        if one["editor"] is None:
            del found["last-edit-info"]
        # It is in the list for questions and models, not for metrics.
        return {**found, "database_id": one["database_id"]} if model in ("card", "dataset") else found

    @route("get", "/api/document/:id")
    def show_document(self, request: Request, document_id: int) -> Any:
        return self._there(self.others, document_id)

    # --- cards and dashboards

    @route("post", "/api/card")
    def make_card(self, request: Request) -> Any:
        self._check_card(request.body)
        found = {"id": self.new_id(), "archived": False, "type": "question", **request.body}
        found |= {"editor": request.user["id"], "database_id": request.body["dataset_query"]["database"]}
        self.cards[found["id"]] = found
        return found

    def _check_card(self, body: dict[str, Any]) -> None:
        if body.get("description") == "":
            raise RefusalError(400, {"errors": {"description": "value must be a non-blank string."}})
        query = body.get("dataset_query")
        if query is None:
            return
        if query.get("database") not in self.databases:
            raise RefusalError(500, 'null value in column "database_id"')
        (stage,) = query["stages"]
        tags = stage.get("template-tags", {})
        used = set(re.findall(r"\{\{\s*([a-z0-9_]+)\s*\}\}", stage["native"]))
        if used != set(tags) or any(tag["name"] != name for name, tag in tags.items()):
            self.problems.append(
                f"the tags of {body.get('name')} are {sorted(tags)}, its SQL has {sorted(used)}"
            )

    @route("put", "/api/card/:id")
    def change_card(self, request: Request, card_id: int) -> Any:
        self._check_card(request.body)
        found = self._there(self.cards, card_id)
        found |= {**request.body, "editor": request.user["id"]}
        if "dataset_query" in request.body:
            found["database_id"] = request.body["dataset_query"]["database"]
        return found

    @route("delete", "/api/card/:id")
    def delete_card(self, request: Request, card_id: int) -> Any:
        self._there(self.cards, card_id)
        self._delete_card(card_id)

    def _delete_card(self, card_id: int) -> None:
        del self.cards[card_id]
        for dashboard in self.dashboards.values():
            dashboard["dashcards"] = [one for one in dashboard["dashcards"] if one["card_id"] != card_id]

    @route("post", "/api/dashboard")
    def make_dashboard(self, request: Request) -> Any:
        # Cards and tabs in this request are not looked at.
        kept = {name: value for name, value in request.body.items() if name not in ("dashcards", "tabs")}
        found = {"id": self.new_id(), "archived": False, "dashcards": [], "tabs": [], **kept}
        found["editor"] = request.user["id"]
        self.dashboards[found["id"]] = found
        return found

    @route("get", "/api/dashboard/:id")
    def show_dashboard(self, request: Request, dashboard_id: int) -> Any:
        found = self._there(self.dashboards, dashboard_id)
        return {
            **found,
            "dashcards": [{**one, "card": self.cards.get(one.get("card_id"))} for one in found["dashcards"]],
        }

    @route("put", "/api/dashboard/:id")
    def change_dashboard(self, request: Request, dashboard_id: int) -> Any:
        found = self._there(self.dashboards, dashboard_id)
        body = dict(request.body)
        if "dashcards" in body:
            tab_ids = self._replaced_tabs(found, body.pop("tabs", []))
            self._replace_cards(found, body.pop("dashcards"), tab_ids)
        found |= {**body, "editor": request.user["id"]}
        return found

    def _replaced_tabs(self, found: dict[str, Any], tabs: list[dict[str, Any]]) -> dict[int, int]:
        ids = {tab["id"]: tab["id"] if tab["id"] > 0 else self.new_id() for tab in tabs}
        found["tabs"] = [{**tab, "id": ids[tab["id"]]} for tab in tabs]
        return ids

    def _replace_cards(
        self, found: dict[str, Any], dashcards: list[dict[str, Any]], tab_ids: dict[int, int]
    ) -> None:
        if len({one["id"] for one in dashcards}) < len(dashcards):
            raise RefusalError(400, "value must be seq of maps in which ids are unique")
        known = {one["id"] for one in found["dashcards"]}
        written = []
        for one in dashcards:
            card = self.cards.get(one.get("card_id"))
            if card is None or card["archived"]:
                raise RefusalError(404, NOT_FOUND)
            if len(tab_ids) > 1 and one.get("dashboard_tab_id") not in tab_ids:
                raise RefusalError(400, "This dashboard has tab, makes sure every card has a tab")
            if one["col"] + one["size_x"] > 24:
                self.problems.append(f"a card of {found['name']} ends right of the grid")
            self._check_mappings(one, card, found)
            number = one["id"] if one["id"] in known else self.new_id()
            tab = tab_ids.get(one.get("dashboard_tab_id", 0))
            written.append({**one, "id": number, "dashboard_tab_id": tab})
        found["dashcards"] = written

    def _check_mappings(self, one: dict[str, Any], card: dict[str, Any], found: dict[str, Any]) -> None:
        tags = card["dataset_query"]["stages"][0].get("template-tags", {})
        for mapping in one["parameter_mappings"]:
            if mapping["target"] != ["variable", ["template-tag", mapping["parameter_id"]]]:
                self.problems.append(f"{found['name']}: a mapping that is none")
            elif mapping["parameter_id"] not in tags:
                self.problems.append(f"{found['name']}: {card['name']} has no {mapping['parameter_id']}")

    @route("delete", "/api/dashboard/:id")
    def delete_dashboard(self, request: Request, dashboard_id: int) -> Any:
        self._there(self.dashboards, dashboard_id)
        del self.dashboards[dashboard_id]

    @route("post", "/api/dataset")
    def dataset(self, request: Request) -> Any:
        user, database = request.user, self._there(self.databases, request.body["database"])
        if not user["is_superuser"] and not self._may_write_sql(user["id"], database["id"]):
            raise RefusalError(403, "You don't have permissions to do that.")
        return self._run(database, request.body["stages"][0]["native"])

    def _may_write_sql(self, user_id: int, database: int) -> bool:
        rights = [self.data.get((group, database), {}) for group in self.groups_of(user_id)]
        return any(right.get("create-queries") == "query-builder-and-native" for right in rights)

    def _run(self, database: dict[str, Any], sql: str) -> Any:
        self.asked.append(database["id"])
        details = database["details"]
        try:
            rows = (
                self.run_sql(details, sql) if self.run_sql
                else [[details["user"], self.whoami.get(details["user"])]]
            )  # fmt: skip
        except psycopg.Error as error:
            return Status(202, {"status": "failed", "error": str(error), "data": {"rows": []}})
        return Status(202, {"status": "completed", "row_count": len(rows), "data": {"rows": rows}})

    @route("post", "/api/card/:id/query")
    def run_card(self, request: Request, card_id: int) -> Any:
        user, card = request.user, self._there(self.cards, card_id)
        if not user["is_superuser"] and card_id not in self.may_see(user["id"]):
            raise RefusalError(403, "You don't have permissions to do that.")
        sql = card["dataset_query"]["stages"][0]["native"]
        # Without values, what stands in [[ ]] is left out.
        sql = re.sub(r"\[\[.*?\]\]", "", sql, flags=re.DOTALL)
        return self._run(self.databases[card["database_id"]], sql)

    @route("get", "/api/card/:id")
    def show_card(self, request: Request, card_id: int) -> Any:
        self._readable(request, card_id in self.may_see(request.user["id"]))
        return self._there(self.cards, card_id)

    @route("get", "/api/collection/:id")
    def show_collection(self, request: Request, collection_id: int) -> Any:
        groups = self.groups_of(request.user["id"])
        self._readable(
            request, any((group, str(collection_id)) in self.collection_rights for group in groups)
        )
        return self._there(self.collections, collection_id)

    @staticmethod
    def _readable(request: Request, is_readable: bool) -> None:
        if not (request.user["is_superuser"] or is_readable):
            raise RefusalError(403, "You don't have permissions to do that.")

    @route("get", "/api/search")
    def search(self, request: Request) -> Any:
        seen = self.may_see(request.user["id"])
        found = [
            {"id": one["id"], "name": one["name"], "model": "card", "collection_id": one["collection_id"]}
            for one in self.cards.values()
            if request.user["is_superuser"] or one["id"] in seen
        ]
        return {"data": found, "total": len(found)}

    def _there(self, things: dict[int, Any], found: int) -> Any:
        if found not in things:
            raise RefusalError(404, NOT_FOUND)
        return things[found]

    # --- one request

    def answer(self, verb: str, address: str, headers: Any, body: Any) -> tuple[int, Any] | None:
        """The status and content of an answer; None where it dies."""
        parts = urlsplit(address)
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            time.sleep(self.pause(verb, parts.path))
            return self._answered(verb, address, headers, body)
        finally:
            with self._lock:
                self._at_once -= 1

    def _answered(self, verb: str, address: str, headers: Any, body: Any) -> tuple[int, Any] | None:
        with self._lock:
            parts = urlsplit(address)
            number = len(self.requests) + 1
            is_dying = self.dies_at is not None and number >= self.dies_at
            if is_dying and not (self.dies_after and number < (self.dies_at or 0) + self.lost):
                self.requests.append((verb, parts.path, 0))
                return None
            request = Request(headers, parse_qs(parts.query), body, self.who(headers))
            status, content = self._dispatch(verb, parts.path, request)
            self.requests.append((verb, parts.path, status))
            self.bodies.append((verb, parts.path, body))
            if self.after_each is not None:
                try:
                    self.after_each(self, verb, parts.path)
                except AssertionError as error:
                    self.problems.append(str(error).splitlines()[0])
            return None if is_dying else (status, content)

    def _dispatch(self, verb: str, path: str, request: Request) -> tuple[int, Any]:
        try:
            self._check_request(verb, path, request)
            content = self._called(verb, path, request)
        except RefusalError as refusal:
            return refusal.status, refusal.content
        if isinstance(content, Status):
            return content.status, content.content
        return (204, None) if content is None else (200, content)

    def _check_request(self, verb: str, path: str, request: Request) -> None:
        for answer in list(self.answers):
            if answer[:2] == (verb, path):
                self.answers.remove(answer)
                raise RefusalError(answer[2], answer[3])
        if headers_of := request.headers.get("Cookie"):
            self.problems.append(f"{verb} {path} came with a cookie: {headers_of[:20]}")
        is_open = path in ("/api/session", "/api/setup", "/api/session/properties", *UNLISTED)
        if request.user is None and not is_open:
            raise RefusalError(401, "Unauthenticated")
        found = contract_errors(verb, path, request.body)
        if found:
            self.problems.append(f"{verb} {path}: {found[:3]}")
            raise RefusalError(400, {"errors": dict(enumerate(found))})
        is_asking = verb == "get" or path == "/api/dataset" or path.endswith("/query")
        if not is_open and not is_asking and not request.user["is_superuser"]:
            raise RefusalError(403, "You don't have permissions to do that.")

    def _called(self, verb: str, path: str, request: Request) -> Any:
        for of_verb, pattern, name in ROUTES:
            match = pattern.fullmatch(path)
            if of_verb == verb and match and not self._lacks(verb, pattern.pattern):
                return getattr(self, name)(request, *(int(one) for one in match.groups()))
        raise RefusalError(404, NO_ENDPOINT)

    def _lacks(self, verb: str, pattern: str) -> bool:
        """Whether a call is younger than this version."""
        call: Call = (verb, pattern.replace("([0-9]+)", "{id}"))
        major = major_of({"version": {"tag": self.tag}})
        is_younger = major is not None and CALLS.get(call, 0) > major
        return is_younger or (verb, pattern) in self.missing


class Request:
    """What was asked."""

    def __init__(self, headers: Any, query: dict[str, list[str]], body: Any, user: Any) -> None:
        self.headers, self.query, self.body, self.user = headers, query, body, user


class Status:
    """An answer with a status of its own."""

    def __init__(self, status: int, content: Any) -> None:
        self.status, self.content = status, content


def _key() -> str:
    return f"mb_{secrets.token_hex(16)}"


@contextmanager
def serving(fake: FakeMetabase) -> Iterator[FakeMetabase]:
    """Let a fake answer on a free port of 127.0.0.1."""

    class Talk(BaseHTTPRequestHandler):
        wbufsize = -1  # head and body at once: in two pieces, the second waits for the first to be confirmed
        protocol_version = "HTTP/1.1"  # connections stay open

        def setup(self) -> None:
            super().setup()
            fake.connections += 1

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            found = fake.answer(self.command.lower(), self.path, self.headers, body)
            if found is None:
                self.close_connection = True
                return
            status, content = found
            data = b"" if content is None else json.dumps(content, default=str).encode()
            if isinstance(content, str):
                data = content.encode()
            self.send_response(status)
            kind = "text/plain" if isinstance(content, str) else "application/json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            if self.path == "/api/session" and self.command == "POST" and status == 200:
                self.send_header("Set-Cookie", f"metabase.SESSION={content['id']}; Path=/; HttpOnly")
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Talk)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
