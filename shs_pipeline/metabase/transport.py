"""HTTP to one Metabase: the asynchronous verbs of `metabase-api` over connections that are kept open.

The verbs run in a thread of their own, so that any number of threads may call at once and share the
connections.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    import httpx

AT_ONCE = 6
"""Requests under way at the same time; Metabase answers with 50 threads, people's requests among them."""
CONNECT_SECONDS = 10
# Metabase tries a new connection and reads a model's columns before it answers.
READ_SECONDS = 120

Given = TypeVar("Given")
Made = TypeVar("Made")


class NoAnswerError(Exception):
    """Nothing came back; the text names neither headers nor body."""


class Transport:
    """Requests to one address, signed by the same header.

    Args:
        url: address without a trailing slash.
        header: what signs each request.
    """

    def __init__(
        self,
        url: str,
        header: Mapping[str, str],
        connect: float = CONNECT_SECONDS,
        read: float = READ_SECONDS,
    ) -> None:
        self._url = url
        self._header = dict(header)
        self._seconds = (connect, read)
        self._verbs: Any = None
        self._lock = threading.Lock()

    def send(self, verb: str, address: str, body: Any) -> httpx.Response:
        """Return the answer to one request, whatever its status.

        Raises:
            NoAnswerError: there is none.
        """
        import httpx

        options: dict[str, Any] = {} if body is None else {"json": body}
        try:
            return _loop_result(getattr(self._opened(), verb)(address, "raw", **options))
        except httpx.TimeoutException:
            raise NoAnswerError(f"no answer within {self._seconds[1]:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ImportError) as error:
            # The last two come from a proxy in the environment that it cannot use.
            raise NoAnswerError(type(error).__name__) from None

    def close(self) -> None:
        """Close the connections; a later request opens them again."""
        with self._lock:
            if self._verbs is not None:
                _loop_result(self._verbs.aclose())
            self._verbs = None

    def _opened(self) -> Any:
        with self._lock:
            if self._verbs is None:
                self._verbs = _verbs(self._url, self._header, self._seconds)
            return self._verbs


def in_parallel(work: Callable[[Given], Made], given: Iterable[Given]) -> Iterator[Made]:
    """Yield what work makes of each, in order; a few are worked on at once.

    The first error ends it: what has begun is finished, and nothing else begins.
    """
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="metabase") as pool:
        futures = [pool.submit(work, one) for one in given]
        try:
            for future in futures:
                yield future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


@cache
def _authorities() -> ssl.SSLContext:
    """Whose certificates are believed, read once: each client alone would read the long file again."""
    import httpx

    return httpx.create_ssl_context()


def _verbs(url: str, header: Mapping[str, str], seconds: tuple[float, float]) -> Any:
    import httpx
    from metabase_api import Metabase_API_Async

    verbs = Metabase_API_Async(
        url, api_key="", trust_env=True,
        timeout=httpx.Timeout(seconds[1], connect=seconds[0]),
        limits=httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE),
        verify=_authorities(),
    )  # fmt: skip
    client = verbs._client
    # It knows API keys only; a session is signed by another header, and the first contact by none.
    del client.headers["X-API-KEY"]
    client.headers.update(header)
    # A cookie of whoever logs in would sign the requests that follow.
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return verbs


def _loop_result(asked: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run_coroutine_threadsafe(asked, _loop()).result()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Return the loop of all transports of this process; its thread ends with the process."""
    import logging

    # It would write the headers of every request and answer.
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="metabase", daemon=True).start()
    return loop
