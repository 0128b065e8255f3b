"""Dagster's UI for one group of people, behind a load balancer that logs them in.

The load balancer asks the identity provider who somebody is, and cannot ask whether they belong to a
group. It writes the claims into a header of each request that it passes on; here they are read. Why the
header can be believed without its signature: `docs/adr/0034-dagsters-ui-for-a-group.md`.
"""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

GROUP, CLAIM = "DAGSTER_UI_GROUP", "DAGSTER_UI_GROUP_CLAIM"
"""The variables that name the group, and the claim that lists a person's groups."""

HEADER = b"x-amzn-oidc-data"
# What the load balancer itself asks to learn whether we are healthy; the answer is versions.
_HEALTH = "/server_info"


class GroupOnly:
    """Refuses whoever is not in the group; programs of the same machine are let in.

    Those are health checks and the sessions of administrators, whom IAM has let in.
    """

    def __init__(self, app: ASGIApp, group: str, claim: str) -> None:
        self._app, self._group, self._claim = app, group, claim

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let the webserver answer it."""
        if scope["type"] not in ("http", "websocket") or self._may_pass(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "not in the group"})
        else:
            await _refuse(f"Only members of the group {self._group} may use this page.\n", send)

    def _may_pass(self, scope: Scope) -> bool:
        if scope["type"] == "http" and scope["path"] == _HEALTH:
            return True
        if _is_this_machine(scope.get("client")):
            return True
        found = [value for name, value in scope["headers"] if name.lower() == HEADER]
        # The load balancer writes one; a second one would be the caller's own.
        return len(found) == 1 and self._group in groups_of(found[0], self._claim)


def groups_of(token: bytes, claim: str) -> list[str]:
    """Return the groups that a claim of the load balancer's token names, none if it cannot be read.

    Args:
        token: three parts with dots between them, of which the second one is JSON in base64.
    """
    try:
        payload = token.split(b".")[1].rstrip(b"=")
        found = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    except (ValueError, IndexError, RecursionError):
        return []
    named = found.get(claim) if isinstance(found, dict) else None
    if isinstance(named, str):
        return [named]
    return [one for one in named if isinstance(one, str)] if isinstance(named, list) else []


def _is_this_machine(client: Any) -> bool:
    try:
        return bool(client) and ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False


async def _refuse(text: str, send: Send) -> None:
    headers: Iterable[tuple[bytes, bytes]] = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 403, "headers": list(headers)})
    await send({"type": "http.response.body", "body": text.encode()})
