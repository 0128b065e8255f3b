"""Dagster's webserver behind the look at who asks: attacks by other sites, and good uses beside them."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.web_origin import LOOPBACK, OwnPagesOnly, _is_own, _name_of
from shs_pipeline.database.ports import free_port
from tests.helpers.browser import browser_page

pytestmark = pytest.mark.slow

PROGRAM = "sensors.guarded_webserver"
NAME = "dagster.example.com"
DEFINITIONS = """
import dagster as dg

@dg.asset
def greeting(): ...

@dg.sensor(asset_selection=[greeting], default_status=dg.DefaultSensorStatus.RUNNING)
def landing(): ...

defs = dg.Definitions(assets=[greeting], sensors=[landing])
"""
SENSORS = (
    "{ repositoriesOrError { ... on RepositoryConnection { nodes { "
    "sensors { id sensorState { status } } } } } }"
)
JSON = {"Content-Type": "application/json"}


class Webserver:
    """The webserver as `shs up` starts it, around one sensor that a page could stop."""

    def __init__(self, folder: Path) -> None:
        (folder / "attacked.py").write_text(DEFINITIONS)
        (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        self.port = free_port()
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SHS_")}
        self.log = folder / "webserver.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM, "-m", "attacked", "--port", str(self.port)],
                cwd=folder, stdout=log, stderr=log,
                env={**environment, "DAGSTER_HOME": str(folder), "SHS_DAGSTER_HOSTS": NAME},
            )  # fmt: skip
        deadline = time.monotonic() + 120
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.2)
        self.sensor = self._sensor()["id"]

    @property
    def own(self) -> str:
        return f"127.0.0.1:{self.port}"

    def send(
        self, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b""
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        """Send exactly these headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in [*headers, ("Content-Length", str(len(body)))]:
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def _answers(self) -> bool:
        try:
            return self.send("GET", "/server_info", [("Host", self.own)])[0] == 200
        except OSError:
            return False

    def ask(self, query: str) -> dict[str, Any]:
        body = json.dumps({"query": query}).encode()
        status, content, _ = self.send("POST", "/graphql", [("Host", self.own), *JSON.items()], body)
        assert status == 200, content
        found: dict[str, Any] = json.loads(content)["data"]
        return found

    def _sensor(self) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while not (nodes := self.ask(SENSORS)["repositoriesOrError"].get("nodes")):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        found: dict[str, Any] = nodes[0]["sensors"][0]
        return found

    @property
    def is_harmed(self) -> bool:
        """Whether somebody stopped the sensor, or the location that holds it."""
        return str(self._sensor()["sensorState"]["status"]) != "RUNNING"

    @property
    def stop_sensor(self) -> str:
        return f'mutation {{ stopSensor(id: "{self.sensor}") {{ __typename }} }}'

    @property
    def start_sensor(self) -> str:
        return (
            "mutation { startSensor(sensorSelector: {repositoryLocationName: "
            '"attacked", repositoryName: "__repository__", sensorName: "landing"}) { __typename } }'
        )


@pytest.fixture(scope="module")
def webserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webserver]:
    running = Webserver(tmp_path_factory.mktemp("webserver"))
    yield running
    running.process.terminate()
    running.process.wait(30)


# --- requests as pages can have them sent --------------------------------------------------

CROSS = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "empty")]
FOLLOWED = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]
ATTACKS = {
    "an image": ("GET", "own", []),
    "an image, as a browser says": ("GET", "own", [*CROSS]),
    "a link": ("GET", "own", [*FOLLOWED]),
    "a link that asks for a page": ("GET", "own", [*FOLLOWED, ("Accept", "text/html")]),
    "an old browser's link": ("GET", "own", [("Accept", "text/html")]),
    "HEAD": ("HEAD", "own", []),
    "a rebound name": ("GET", "evil.example", []),
    "a rebound name, by POST": ("POST", "evil.example", [*JSON.items()]),
    "a rebound name as its own origin": (
        "POST", "evil.example",
        [*JSON.items(), ("Origin", "http://evil.example"), ("Sec-Fetch-Site", "same-origin")],
    ),
    "a foreign origin": ("POST", "own", [*JSON.items(), ("Origin", "http://evil.example")]),
    "another port of this machine": ("POST", "own", [*JSON.items(), ("Origin", "http://127.0.0.1:1")]),
    "a hidden origin": ("POST", "own", [*JSON.items(), ("Origin", "null")]),
    "an empty origin": ("POST", "own", [*JSON.items(), ("Origin", "")]),
    "a name that begins like ours": ("POST", "own", [*JSON.items(), ("Origin", "http://127.0.0.1.evil.example")]),
    "a user before the name": ("POST", "own", [*JSON.items(), ("Origin", "http://127.0.0.1@evil.example")]),
    "cross-site without origin": ("POST", "own", [*JSON.items(), *CROSS]),
    "another name of our domain": ("POST", NAME, [*JSON.items(), ("Sec-Fetch-Site", "same-site")]),
    "text": ("POST", "own", [("Content-Type", "text/plain")]),
    "text that mentions JSON": ("POST", "own", [("Content-Type", "text/plain; application/json")]),
    "a form": ("POST", "own", [("Content-Type", "application/x-www-form-urlencoded")]),
    "a form with files": ("POST", "own", [("Content-Type", "multipart/form-data; boundary=x")]),
    "no type": ("POST", "own", []),
    "two types": ("POST", "own", [("Content-Type", "text/plain"), *JSON.items()]),
    "no host": ("POST", "", [*JSON.items()]),
    "two hosts": ("POST", "own", [("Host", "evil.example"), *JSON.items()]),
    "a host with a user": ("POST", "x@127.0.0.1", [*JSON.items()]),
    "a host with a path": ("POST", "127.0.0.1/evil.example", [*JSON.items()]),
    "a longer name": ("POST", f"{NAME}.evil.example", [*JSON.items()]),
    "any address": ("POST", "0.0.0.0", [*JSON.items()]),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_a_page_of_another_site_stops_no_sensor(webserver: Webserver, name: str) -> None:
    method, host, headers = ATTACKS[name]
    hosts = [("Host", host.replace("own", webserver.own))] if host else []
    body = json.dumps({"query": webserver.stop_sensor}).encode() if method == "POST" else b""
    path = f"/graphql?query={quote(webserver.stop_sensor)}"

    status, content, _ = webserver.send(method, path, [*hosts, *headers], body)

    # A page that asks questions only is shown; nothing in its address is executed.
    assert status >= 400 or b"<html" in content
    assert b"StopSensor" not in content
    assert not webserver.is_harmed


@pytest.mark.parametrize(
    "mutation",
    [
        'mutation { shutdownRepositoryLocation(repositoryLocationName: "attacked") { __typename } }',
        "mutation { wipeAssets(assetPartitionRanges: [{assetKey: {path: [\"greeting\"]}}]) { __typename } }",
    ],
)  # fmt: skip
def test_no_mutation_is_sent_by_address_and_no_asset_is_reported_by_a_form(
    webserver: Webserver, mutation: str
) -> None:
    host = [("Host", webserver.own)]
    assert webserver.send("GET", f"/graphql?query={quote(mutation)}", host)[0] == 405
    assert webserver.send("POST", f"/graphql?query={quote(mutation)}", host)[0] == 415
    for form in ([], [("Content-Type", "text/plain")]):
        assert webserver.send("POST", "/report_asset_materialization/greeting", [*host, *form])[0] == 415
    assert not webserver.is_harmed


@pytest.mark.parametrize(
    ("host", "origin"),
    [("evil.example", None), ("own", "http://evil.example"), ("own", "null"), ("own", "http://127.0.0.1:1")],
)
def test_no_other_page_listens_to_the_news(webserver: Webserver, host: str, origin: str | None) -> None:
    assert _upgrade(webserver, host, origin) == 403


def _upgrade(webserver: Webserver, host: str, origin: str | None) -> int:
    headers = [
        ("Host", host.replace("own", webserver.own)), ("Connection", "Upgrade"), ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "graphql-ws"),
    ]  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", webserver.port, timeout=30)
    try:
        connection.putrequest("GET", "/graphql", skip_host=True, skip_accept_encoding=True)
        for name, value in [*headers, *([("Origin", origin)] if origin else [])]:
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


# --- good uses -----------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["http://own", None])
def test_our_own_page_and_programs_listen_to_the_news(webserver: Webserver, origin: str | None) -> None:
    assert _upgrade(webserver, "own", origin and origin.replace("own", webserver.own)) == 101


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("localhost", []),
        ("LOCALHOST:9000", []),
        ("[::1]:3000", []),
        (NAME, []),
        (NAME, [("Origin", f"https://{NAME}"), ("Sec-Fetch-Site", "same-origin")]),
        (NAME.upper(), [("Origin", f"https://{NAME}:443")]),
        ("localhost:8080", [("Origin", "http://localhost:8080")]),
    ],
)
def test_its_names_and_its_own_pages_are_answered(
    webserver: Webserver, host: str, headers: list[tuple[str, str]]
) -> None:
    kind = ("Content-Type", "application/json; charset=utf-8")
    body = b'{"query": "{ version }"}'

    status, content, _ = webserver.send("POST", "/graphql?op=Version", [("Host", host), kind, *headers], body)

    assert (status, b"version" in content) == (200, True)


def test_the_load_balancer_asks_by_address_for_health_and_for_nothing_else(webserver: Webserver) -> None:
    host = [("Host", "10.40.0.7:3000")]
    assert webserver.send("GET", "/server_info", host)[0] == 200
    assert webserver.send("POST", "/server_info", [*host, *JSON.items()])[0] == 400
    for path in ("/", "/dagit_info", "/server_info/", "/graphql", "/logs/x"):
        assert webserver.send("GET", path, host)[0] == 400


def test_a_link_in_a_mail_leads_to_the_page_which_nobody_may_frame(webserver: Webserver) -> None:
    status, content, headers = webserver.send("GET", "/runs", [("Host", webserver.own), *FOLLOWED])
    framed = [*FOLLOWED[:2], ("Sec-Fetch-Dest", "iframe")]

    assert (status, b"<html" in content) == (200, True)
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert webserver.send("GET", "/runs", [("Host", webserver.own), *framed])[0] == 403


# --- in a browser ----------------------------------------------------------------------------

ATTACK_PAGE = """<!doctype html><title>waiting</title>
<iframe name=sink></iframe>
<form id=form method=post action="TARGET/graphql?query=QUERY" target=sink enctype=text/plain></form>
<img src="TARGET/graphql?query=QUERY">
<script>
const body = JSON.stringify({query: decodeURIComponent("QUERY")});
const tried = [
  fetch("TARGET/graphql?query=QUERY", {mode: "no-cors"}),
  fetch("TARGET/graphql", {method: "POST", mode: "no-cors", body}),
  fetch("TARGET/graphql", {method: "POST", headers: {"Content-Type": "application/json"}, body}),
  new Promise(done => {
    const news = new WebSocket("TARGET/graphql".replace("http", "ws"), "graphql-ws");
    news.onerror = news.onclose = () => done("closed"); news.onopen = () => done("open");
  }),
  new Promise(done => { document.querySelector("img").onerror = done; setTimeout(done, 1500); }),
];
document.getElementById("form").submit();
Promise.allSettled(tried).then(found => { document.title = `news ${found[3].value}`; });
</script>"""


class _Page(http.server.BaseHTTPRequestHandler):
    content = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize("name", ["localhost", "evil.example"])
def test_in_a_browser_no_page_of_another_site_stops_anything(webserver: Webserver, name: str) -> None:
    """`evil.example` is rebound: the browser takes the webserver for the attacker's own server."""
    own = f"127.0.0.1:{webserver.port}"
    target = f"http://{f'evil.example:{webserver.port}' if name == 'evil.example' else own}"
    page_text = ATTACK_PAGE.replace("TARGET", target).replace("QUERY", quote(webserver.stop_sensor))
    handler = type("Attack", (_Page,), {"content": page_text.encode()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with browser_page(1000, "--host-resolver-rules=MAP evil.example 127.0.0.1") as page:
            page.goto(f"http://{name}:{server.server_port}/")
            page.wait_for_function("document.title != 'waiting'")
            assert page.title() == "news closed"
        server.shutdown()

    assert not webserver.is_harmed


def test_in_a_browser_the_page_itself_stops_and_starts_a_sensor(webserver: Webserver) -> None:
    with browser_page(1000) as page:
        page.goto(f"http://localhost:{webserver.port}/automation")
        switch = page.get_by_role("checkbox").last
        switch.wait_for(state="attached")
        send = (
            "query => fetch('/graphql', {method: 'POST', headers: {'Content-Type': 'application/json'}, "
            "body: JSON.stringify({query})}).then(answer => answer.status)"
        )
        assert page.evaluate(send, webserver.stop_sensor) == 200
        assert webserver.is_harmed
        assert page.evaluate(send, webserver.start_sensor) == 200
    assert not webserver.is_harmed


# --- whatever is sent --------------------------------------------------------------------


@given(st.binary(max_size=40))
def test_what_is_no_name_of_ours_is_not_taken_for_one(sent: bytes) -> None:
    name = _name_of(sent)
    assert name not in LOOPBACK or any(one.encode() in sent.lower() for one in LOOPBACK)
    assert not _is_own(sent, b"127.0.0.1:3000") or sent.lower().startswith(b"http://127.0.0.1:3000")


def test_without_a_setting_only_this_machines_names_are_known() -> None:
    async def app(*_: object) -> None: ...

    assert OwnPagesOnly(app)._hosts == LOOPBACK


def test_nothing_else_of_ours_starts_dagsters_webserver() -> None:
    root = Path(__file__).parents[2]
    files = [
        path for folder in ("sensors", "assets", "shs_pipeline") for path in (root / folder).rglob("*.py")
    ]

    starting = [
        path.name for path in files if "cli.main()" in path.read_text() and "dagster_w" in path.read_text()
    ]

    assert starting == ["guarded_webserver.py"]
