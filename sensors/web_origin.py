"""Who may send requests to Dagster's webserver: its own pages and programs, but no other site's pages.

Dagster's webserver has no login and asks nobody where they come from. A page anywhere on the web could have
the browser of whoever reads it send a mutation to 127.0.0.1, or rebind its own name to that address.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
HEALTH = "/server_info"
"""What a load balancer asks, by the address of the task instead of a name; the answer is versions."""

_READING = ("GET", "HEAD")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_GUARDING = (
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class _Refusal(NamedTuple):
    status: int
    reason: str


class OwnPagesOnly:
    """ASGI middleware that refuses what another site's page can make a browser send.

    Args:
        app: the webserver.
        hosts: names by which people reach it, in lower case, beside those of this machine.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._hosts = LOOPBACK | set(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let the webserver answer it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(_without_query(scope), receive, _guarded(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.reason})
        else:
            await _refuse(refusal, send)

    def _refusal(self, scope: Scope) -> _Refusal | None:
        is_reading = scope["type"] == "http" and scope["method"] in _READING
        if is_reading and scope["path"] == HEALTH:
            return None
        host = _only(scope, b"host")
        if _name_of(host) not in self._hosts:
            return _Refusal(400, "This server has a different name (SHS_DAGSTER_HOSTS).")
        if (refusal := _foreign(scope, host)) is not None or scope["type"] == "websocket":
            return refusal
        if not is_reading:
            return _unsafe_form(scope)
        if _is_graphql(scope) and b"text/html" not in (_only(scope, b"accept") or b""):
            return _Refusal(405, "Send GraphQL requests by POST.")
        return None


def _foreign(scope: Scope, host: bytes | None) -> _Refusal | None:
    """Refuse what a browser says another site's page has sent; programs say nothing of the kind."""
    origins = _all(scope, b"origin")
    if len(origins) > 1 or any(not _is_own(origin, host or b"") for origin in origins):
        return _Refusal(403, "This request was sent by another site's page.")
    sites = _all(scope, b"sec-fetch-site")
    if all(site in (b"same-origin", b"none") for site in sites) or _is_followed_link(scope):
        return None
    return _Refusal(403, "This request was sent by another site's page.")


def _is_followed_link(scope: Scope) -> bool:
    """Whether a person came to one of our pages from elsewhere: a mail, a login at the load balancer."""
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and not _is_graphql(scope)
        and _all(scope, b"sec-fetch-mode") == [b"navigate"]
        and _all(scope, b"sec-fetch-dest") == [b"document"]
    )


def _unsafe_form(scope: Scope) -> _Refusal | None:
    # Browsers send any other type without asking first, from a form of whatever site.
    kind = (_only(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    if kind == b"application/json":
        return None
    return _Refusal(415, "Send it with Content-Type: application/json.")


def _is_own(origin: bytes, host: bytes) -> bool:
    """Whether an origin is the server that the request was sent to, the port included."""
    try:
        parts = urlsplit(origin.decode("ascii").lower())
        asked = urlsplit(f"//{host.decode('ascii').lower()}")
        usual = _DEFAULT_PORTS.get(parts.scheme)
        return (
            usual is not None
            and not (parts.path or parts.query or parts.fragment or parts.username)
            and (parts.hostname, parts.port or usual) == (asked.hostname, asked.port or usual)
        )
    except ValueError:
        return False


def _name_of(host: bytes | None) -> str | None:
    """Return the name in a Host header, without its port; None for what is no name."""
    try:
        text = (host or b"").decode("ascii").lower()
        parts = urlsplit(f"//{text}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname if parts.netloc == text and "@" not in text else None


def _is_graphql(scope: Scope) -> bool:
    return str(scope["path"]).rstrip("/").endswith("/graphql")


def _without_query(scope: Scope) -> Scope:
    # Dagster executes what the address holds wherever the body is none that it knows.
    return {**scope, "query_string": b""} if _is_graphql(scope) else scope


def _all(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key.lower() == name]


def _only(scope: Scope, name: bytes) -> bytes | None:
    """Return a header that is there once; of two, the webserver might read the other one."""
    found = _all(scope, name)
    return found[0] if len(found) == 1 else None


def _guarded(send: Send) -> Send:
    """Keep other sites from framing our pages, keeping handles to their windows and loading their content."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *_GUARDING]}
        await send(message)

    return sent


async def _refuse(refusal: _Refusal, send: Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{refusal.reason}\n".encode()})
