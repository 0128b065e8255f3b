"""A thin client of Metabase's API: the verbs of `metabase-api` with retries and Metabase's own words.

Its other parts are not used: they tell of an error only that there was one. Which calls there are, and
since when, is in `calls.py`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from shs_pipeline.base.errors import ShsError
from shs_pipeline.metabase.transport import CONNECT_SECONDS, READ_SECONDS, NoAnswerError, Transport

if TYPE_CHECKING:
    import httpx

_RETRIED = frozenset((408, 425, 429, 500, 502, 503, 504))
_ATTEMPTS = 4
_LONGEST_PAUSE_SECONDS = 10.0
_LONGEST_MESSAGE = 300


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

    Any number of threads may call it at once.

    Args:
        url: address without a trailing slash.
        credentials: None for the few calls that need none.
        seconds: how long an answer may take.

    Attributes:
        writes: requests so far that may have changed something.
        reads: the others.
    """

    def __init__(
        self,
        url: str,
        credentials: ApiKey | Session | None = None,
        pause_seconds: float = 0.5,
        seconds: float = READ_SECONDS,
    ) -> None:
        self.url = url.rstrip("/")
        self.credentials = credentials
        self.reads = 0
        self.writes = 0
        self._pause_seconds = pause_seconds
        self._seconds = seconds
        self._secrets: list[str] = []
        self._counting = threading.Lock()
        header = credentials.header if credentials else {}
        self._transport = Transport(self.url, header, min(CONNECT_SECONDS, seconds), seconds)
        self._signed: list[MetabaseClient] = []

    def __repr__(self) -> str:
        return f"MetabaseClient({self.url!r})"

    def signed(self, credentials: ApiKey | Session) -> MetabaseClient:
        """Return a client of the same Metabase with these credentials, which is closed with this one."""
        made = MetabaseClient(self.url, credentials, self._pause_seconds, self._seconds)
        self._signed.append(made)
        return made

    def close(self) -> None:
        """Close the connections that were kept open."""
        for one in self._signed:
            one.close()
        self._transport.close()

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
                return content_of(response)
            is_passing = response is None or status in _RETRIED
            if not (is_repeatable and is_passing and attempt < _ATTEMPTS):
                raise self._refused(verb, path, what, response, fault)
            time.sleep(self._pause(attempt, response))
            attempt += 1

    def _send(
        self, verb: str, path: str, body: Any, query: Mapping[str, Any]
    ) -> tuple[httpx.Response | None, str]:
        with self._counting:
            if verb == "get" or path == "/api/dataset":
                self.reads += 1
            else:
                self.writes += 1
        address = f"{path}?{urlencode(_plain(query), doseq=True)}" if query else path
        try:
            return self._transport.send(verb, address, body), ""
        except NoAnswerError as error:
            return None, str(error)

    def _pause(self, attempt: int, response: httpx.Response | None) -> float:
        wanted = response.headers.get("Retry-After", "") if response is not None else ""
        seconds = float(wanted) if wanted.isdigit() else self._pause_seconds * 2 ** (attempt - 1)
        return min(seconds, _LONGEST_PAUSE_SECONDS)

    def _refused(
        self, verb: str, path: str, what: str, response: httpx.Response | None, fault: str
    ) -> MetabaseError:
        doing = what or f"answer {verb.upper()} {path}"
        if response is None:
            return MetabaseError(
                f"Metabase at {self.url} cannot be reached ({fault}); it was asked to {doing}.",
                "Check that it is running and that SHS_METABASE_URL is its address, then try again.",
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


def content_of(response: httpx.Response) -> Any:
    """Return what an answer holds: JSON, else its text, None for nothing."""
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        return response.text


def _message(response: httpx.Response) -> str:
    """Return what Metabase says: a message, errors by field, or bare text."""
    content = content_of(response)
    if not isinstance(content, Mapping):
        return str(content or response.reason_phrase or "no reason given")
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
                "failed logins, Metabase also refuses for a minute."
            )
        case 402:
            return "This needs a paid Metabase. Report it as a bug: shs should have checked for the feature."
        case 403:
            return "Put the user or API key that shs uses into Metabase's group Administrators."
        case _ if re.search(r"certificate|certpath|PKIX|SSL|TLS", said):
            return (
                "Metabase does not trust the warehouse's certificate, or it is for another host: check "
                "SHS_METABASE_ROOT_CERTIFICATE, SHS_METABASE_WAREHOUSE and sslmode in SHS_DATABASE_URL."
            )
        case 404 if "API endpoint" in said:
            return "This version of Metabase lacks that API call: use a version listed in docs/metabase.md."
        case _:
            return (
                "Fix the problem that Metabase reports, then run shs metabase apply again; it continues "
                "where it stopped."
            )


def _plain(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return query parameters as Metabase writes them, with hyphens and small booleans."""
    return {
        name.replace("_", "-") if name.startswith(("skip", "exclude")) else name: (
            str(value).lower() if isinstance(value, bool) else value
        )
        for name, value in query.items()
    }
