"""A thin client of Metabase's API: the verbs of `metabase-api` with timeouts, retries and its own words.

`metabase_api.Metabase_API` gives the raw verbs and the header that signs a request. Its other parts are
not used: a call of theirs has no timeout, tells of an error only that there was one, and asks for the
session before each request.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from shs_pipeline.errors import ShsError

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS = 10
# Metabase tries a new connection and reads a model's columns before it answers.
READ_SECONDS = 120
_RETRIED = frozenset((408, 425, 429, 500, 502, 503, 504))
_ATTEMPTS = 4
_LONGEST_PAUSE_SECONDS = 10.0
_LONGEST_MESSAGE = 300

USED_CALLS: tuple[tuple[str, str], ...] = (
    ("get", "/api/session/properties"),
    ("post", "/api/setup"),
    ("post", "/api/session"),
    ("delete", "/api/session"),
    ("get", "/api/api-key"),
    ("post", "/api/api-key"),
    ("put", "/api/api-key/{id}/regenerate"),
    ("delete", "/api/api-key/{id}"),
    ("get", "/api/user/current"),
    ("get", "/api/setting"),
    ("put", "/api/setting"),
    ("get", "/api/database"),
    ("post", "/api/database"),
    ("put", "/api/database/{id}"),
    ("delete", "/api/database/{id}"),
    ("get", "/api/database/{id}/metadata"),
    ("post", "/api/database/{id}/sync_schema"),
    ("put", "/api/table/{id}"),
    ("put", "/api/field/{id}"),
    ("get", "/api/permissions/group"),
    ("post", "/api/permissions/group"),
    ("put", "/api/permissions/group/{id}"),
    ("delete", "/api/permissions/group/{id}"),
    ("get", "/api/permissions/graph"),
    ("put", "/api/permissions/graph"),
    ("get", "/api/permissions/membership"),
    ("post", "/api/permissions/membership"),
    ("delete", "/api/permissions/membership/{id}"),
    ("get", "/api/collection"),
    ("post", "/api/collection"),
    ("put", "/api/collection/{id}"),
    ("delete", "/api/collection/{id}"),
    ("get", "/api/collection/{id}/items"),
    ("get", "/api/collection/graph"),
    ("put", "/api/collection/graph"),
    ("post", "/api/card"),
    ("put", "/api/card/{id}"),
    ("delete", "/api/card/{id}"),
    ("post", "/api/dashboard"),
    ("get", "/api/dashboard/{id}"),
    ("put", "/api/dashboard/{id}"),
    ("delete", "/api/dashboard/{id}"),
    ("post", "/api/dataset"),
    ("get", "/api/user"),
    ("post", "/api/user"),
    ("put", "/api/user/{id}"),
    ("delete", "/api/user/{id}"),
    ("put", "/api/user/{id}/reactivate"),
)
"""Every call that an apply or destroy may make; a running Metabase is asked for them first."""

OPTIONAL_CALLS: tuple[tuple[str, str], ...] = (("post", "/api/user/{id}/password-reset-url"),)
"""Calls that a Metabase may lack, which is then said."""


class MetabaseError(ShsError):
    """What Metabase refused.

    Attributes:
        status: HTTP status, 0 where there was no answer.
        said: Metabase's own words.
    """

    def __init__(self, problem: str, remedy: str, status: int = 0, said: str = "") -> None:
        super().__init__(problem, remedy)
        self.status = status
        self.said = said


@dataclass(frozen=True)
class ApiKey:
    """Signs a request as the user of an API key."""

    value: str

    def __repr__(self) -> str:
        return "ApiKey(…)"

    @property
    def header(self) -> dict[str, str]:
        """What goes with each request."""
        return {"x-api-key": self.value}


@dataclass(frozen=True)
class Session:
    """Signs a request as somebody who logged in with a password."""

    value: str

    def __repr__(self) -> str:
        return "Session(…)"

    @property
    def header(self) -> dict[str, str]:
        """What goes with each request."""
        return {"X-Metabase-Session": self.value}


class MetabaseClient:
    """Calls of one Metabase; every method raises `MetabaseError` for what it refuses.

    Args:
        url: address without a trailing slash.
        credentials: None for the few calls that need none.

    Attributes:
        writes: requests so far that may have changed something.
        reads: the others.
    """

    def __init__(
        self, url: str, credentials: ApiKey | Session | None = None, pause_seconds: float = 0.5
    ) -> None:
        self.url = url.rstrip("/")
        self.credentials = credentials
        self.reads = 0
        self.writes = 0
        self._pause_seconds = pause_seconds
        self._secrets: list[str] = []

    def __repr__(self) -> str:
        return f"MetabaseClient({self.url!r})"

    def signed(self, credentials: ApiKey | Session) -> MetabaseClient:
        """Return a client of the same Metabase with these credentials."""
        return MetabaseClient(self.url, credentials, self._pause_seconds)

    def never_shown(self, secret: str) -> None:
        """Keep a secret that goes out in requests from every message that comes back."""
        if secret:
            self._secrets.append(secret)

    def get(self, path: str, what: str = "", **query: Any) -> Any:
        """Return the answer to a GET."""
        return self._call("get", path, None, what, query, is_repeatable=True)

    def post(self, path: str, body: Mapping[str, Any] | None, what: str = "") -> Any:
        """Return the answer to a POST, which is sent once only."""
        return self._call("post", path, body, what, {}, is_repeatable=False)

    def ask(self, query: Mapping[str, Any], what: str = "") -> list[list[Any]]:
        """Return the rows of an ad-hoc query.

        Raises:
            MetabaseError: also where the query itself fails, which Metabase answers with success.
        """
        found = self._call("post", "/api/dataset", query, what, {}, is_repeatable=True)
        if found.get("status") != "completed":
            said = self._shown(str(found.get("error") or found.get("status") or "no status"))
            raise MetabaseError(
                f"Metabase could not {what or 'run a query'}: {said}.", _SEE_DATABASE, 202, said
            )
        return list(found["data"]["rows"])

    def put(self, path: str, body: Any, what: str = "", **query: Any) -> Any:
        """Return the answer to a PUT."""
        return self._call("put", path, body, what, query, is_repeatable=True)

    def delete(self, path: str, what: str = "") -> bool:
        """Delete; return False where there was nothing to delete."""
        try:
            self._call("delete", path, None, what, {}, is_repeatable=True)
        except MetabaseError as error:
            if error.status == 404 and "API endpoint" not in error.said:
                return False
            raise
        return True

    # --- one request

    def _call(
        self, verb: str, path: str, body: Any, what: str, query: Mapping[str, Any], *, is_repeatable: bool
    ) -> Any:
        attempt = 1
        while True:
            response, fault = self._send(verb, path, body, query)
            status = response.status_code if response is not None else 0
            if response is not None and 200 <= status < 300:
                return _content(response)
            is_passing = response is None or status in _RETRIED
            if not (is_repeatable and is_passing and attempt < _ATTEMPTS):
                raise self._refused(verb, path, what, response, fault)
            time.sleep(self._pause(attempt, response))
            attempt += 1

    def _send(
        self, verb: str, path: str, body: Any, query: Mapping[str, Any]
    ) -> tuple[requests.Response | None, str]:
        import requests

        if verb == "get" or path == "/api/dataset":
            self.reads += 1
        else:
            self.writes += 1
        address = f"{path}?{urlencode(_plain(query), doseq=True)}" if query else path
        options: dict[str, Any] = {"timeout": (CONNECT_SECONDS, READ_SECONDS), "allow_redirects": False}
        if body is not None:
            options["json"] = body
        try:
            return getattr(self._verbs(), verb)(address, "raw", **options), ""
        except requests.Timeout:
            return None, f"no answer within {READ_SECONDS} s"
        except requests.RequestException as error:
            # Its text names the address only; the request's headers and body are not in it.
            return None, type(error).__name__

    def _verbs(self) -> Any:
        from metabase_api import Metabase_API

        # Made without its constructor, which logs in or tries the key without a timeout.
        verbs = Metabase_API.__new__(Metabase_API)
        verbs.domain = self.url
        verbs.email = None  # so that it does not ask for the session before each call
        verbs.auth = None
        verbs.header = self.credentials.header if self.credentials else {}
        return verbs

    def _pause(self, attempt: int, response: requests.Response | None) -> float:
        wanted = response.headers.get("Retry-After", "") if response is not None else ""
        seconds = float(wanted) if wanted.isdigit() else self._pause_seconds * 2 ** (attempt - 1)
        return min(seconds, _LONGEST_PAUSE_SECONDS)

    def _refused(
        self, verb: str, path: str, what: str, response: requests.Response | None, fault: str
    ) -> MetabaseError:
        doing = what or f"answer {verb.upper()} {path}"
        if response is None:
            return MetabaseError(
                f"Metabase at {self.url} cannot be reached ({fault}), asked to {doing}.",
                "Check that it runs and that SHS_METABASE_URL is its address; then try again.",
            )
        said = self._shown(_message(response))
        status = response.status_code
        return MetabaseError(
            f"Metabase refused to {doing} ({status}: {said}).", _remedy(status, said), status, said
        )

    def _shown(self, text: str) -> str:
        hidden = [*self._secrets, self.credentials.value if self.credentials else ""]
        for secret in filter(None, hidden):
            text = text.replace(secret, "…")
        text = " ".join(text.split()).rstrip(".")
        return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"


_SEE_DATABASE = "Check that Metabase reaches the database (SHS_METABASE_WAREHOUSE), then try again."


def wait_until_ready(client: MetabaseClient, seconds: float) -> Mapping[str, Any]:
    """Return `/api/session/properties` as soon as Metabase serves it; booting takes a minute or two.

    Raises:
        MetabaseError: it does not answer in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return client.get("/api/session/properties", "say what it is")
        except MetabaseError as error:
            if error.status not in (0, 502, 503, 504) or time.monotonic() > deadline:
                raise
        time.sleep(min(1.0, max(0.05, deadline - time.monotonic())))


def missing_calls(document: Mapping[str, Any], calls: Sequence[tuple[str, str]] = USED_CALLS) -> list[str]:
    """Return the calls that an OpenAPI document does not list, as `POST /api/card`."""
    listed = {
        (verb, _anonymous(path))
        for path, verbs in document.get("paths", {}).items()
        for verb in verbs
    }  # fmt: skip
    return [f"{verb.upper()} {path}" for verb, path in calls if (verb, _anonymous(path)) not in listed]


def _anonymous(path: str) -> str:
    """Return a path whose parameters have no names, and that ends without a slash."""
    steps = path.rstrip("/").split("/")
    return "/".join("{}" if step.startswith("{") else step for step in steps)


def _content(response: requests.Response) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        return response.text


def _message(response: requests.Response) -> str:
    """Return what Metabase says: a message, errors by field, or bare text."""
    content = _content(response)
    if not isinstance(content, Mapping):
        return str(content or response.reason or "no reason given")
    parts = [str(content[name]) for name in ("message", "error", "cause") if content.get(name)]
    errors = content.get("errors")
    if isinstance(errors, Mapping):
        parts += [f"{field}: {text}" for field, text in errors.items() if str(text) not in parts]
    return "; ".join(dict.fromkeys(parts)) or "no reason given"


def _remedy(status: int, said: str) -> str:
    match status:
        case 401:
            return (
                "Check SHS_METABASE_USER and SHS_METABASE_PASSWORD, or SHS_METABASE_API_KEY; after many "
                "failed logins Metabase also answers so for a minute."
            )
        case 402:
            return "This needs a paid Metabase; report it, since shs asks which features there are."
        case 403:
            return "Let the user or API key that shs uses be in Metabase's group Administrators."
        case 404 if "API endpoint" in said:
            return "This version of Metabase lacks that call: use one that docs/metabase.md names."
        case _:
            return "Fix what Metabase names, then run shs metabase apply again: it goes on where it stopped."


def _plain(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return query parameters as Metabase writes them, with hyphens and small booleans."""
    return {
        name.replace("_", "-") if name.startswith(("skip", "exclude")) else name: (
            str(value).lower() if isinstance(value, bool) else value
        )
        for name, value in query.items()
    }
