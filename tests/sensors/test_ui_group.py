"""The gate in front of Dagster's UI: who is not in the group sees nothing of it."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from sensors.ui_group import CLAIM, GROUP, GroupOnly, groups_of

ROOT = Path(__file__).resolve().parents[2]
HEADER = "x-amzn-oidc-data"


def token(claims: object, padding: bool = True) -> str:
    """Return what the load balancer writes; it keeps the padding, which a JWT has not."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in ({"alg": "ES256"}, claims)
    ]
    found = ".".join([*parts, "c2lnbmF0dXJl"])
    return found if padding else found.replace("=", "")


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("in")
    await websocket.close()


def client(host: str = "10.40.0.7") -> TestClient:
    async def page(request: object) -> PlainTextResponse:
        return PlainTextResponse("runs")

    app = Starlette(
        routes=[Route("/{rest:path}", page), WebSocketRoute("/graphql", _echo)],
        middleware=[Middleware(GroupOnly, group="tracker-admins", claim="groups")],
    )
    return TestClient(app, client=(host, 50000))


@pytest.mark.parametrize("padding", [True, False])
@pytest.mark.parametrize("groups", [["everybody", "tracker-admins"], "tracker-admins"])
def test_a_member_of_the_group_is_let_in(groups: object, padding: bool) -> None:
    answer = client().get("/runs", headers={HEADER: token({"sub": "1", "groups": groups}, padding)})
    assert (answer.status_code, answer.text) == (200, "runs")


@pytest.mark.parametrize(
    "claims",
    [
        {}, {"groups": []}, {"groups": ["everybody"]}, {"groups": "tracker-admins2"}, {"groups": None},
        {"groups": {"tracker-admins": 1}}, {"groups": [["tracker-admins"]]}, {"roles": ["tracker-admins"]},
        [], "x",
    ],
)  # fmt: skip
def test_nobody_else_is_and_is_told_why(claims: object) -> None:
    answer = client().get("/runs", headers={HEADER: token(claims)})
    assert answer.status_code == 403
    assert "tracker-admins" in answer.text


def test_without_a_login_nothing_is_seen() -> None:
    assert client().get("/").status_code == 403
    assert client().post("/graphql", json={}).status_code == 403
    assert client("not an address").get("/").status_code == 403


def test_a_header_beside_the_load_balancers_own_lets_nobody_in() -> None:
    mine, real = token({"groups": ["tracker-admins"]}), token({"groups": ["everybody"]})
    for headers in ([(HEADER, mine), (HEADER, real)], [(HEADER, real), (HEADER.upper(), mine)]):
        assert client().get("/runs", headers=headers).status_code == 403


@given(st.binary())
def test_what_is_no_token_names_no_group(content: bytes) -> None:
    assert groups_of(content, "groups") == []
    assert groups_of(b"a." + content + b".b", "groups") == []


def test_the_load_balancers_question_for_health_is_answered() -> None:
    assert client().get("/server_info").status_code == 200
    assert client().get("/server_info/x").status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_sessions_of_administrators_come_from_the_task_itself(host: str) -> None:
    assert client(host).get("/runs").status_code == 200


def test_the_channel_for_news_is_behind_the_gate_too() -> None:
    with client().websocket_connect(
        "/graphql", headers={HEADER: token({"groups": ["tracker-admins"]})}
    ) as open_:
        assert open_.receive_text() == "in"
    with pytest.raises(WebSocketDisconnect), client().websocket_connect("/graphql"):
        pass


@pytest.mark.slow
def test_dagsters_own_webserver_has_the_gate_in_front_of_every_page(tmp_path: Path) -> None:
    """The load balancer is played by an address of this machine that is not loopback, if there is one."""
    address = _other_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (tmp_path / "empty.py").write_text("import dagster\n\ndefs = dagster.Definitions()\n")
    with socket.socket() as free:
        free.bind((address, 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ, "DAGSTER_HOME": str(tmp_path), "PYTHONPATH": str(ROOT), GROUP: "admins", CLAIM: "roles",
        "SHS_DAGSTER_HOSTS": address,
    }  # fmt: skip
    command = [sys.executable, "-m", "sensors.guarded_webserver", "-h", address, "-p", str(port)]
    process = subprocess.Popen([*command, "-f", str(tmp_path / "empty.py")], cwd=tmp_path, env=environment)
    try:
        site = f"http://{address}:{port}"
        for _ in range(240):
            if process.poll() is not None or _status(f"{site}/server_info"):
                break
            time.sleep(0.5)
        assert _status(f"{site}/server_info") == 200
        assert [_status(f"{site}{path}") for path in ("/", "/graphql", "/runs", "/report_asset_check/x")] == [
            403
        ] * 4
        assert _status(site, token({"roles": ["admins"]})) == 200
        assert _status(site, token({"groups": ["admins"]})) == 403
    finally:
        process.terminate()
        process.wait(30)


def _other_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent; the system says from where it would be
        except OSError:
            return None
        found = str(probe.getsockname()[0])
    return None if found.startswith("127.") else found


def _status(url: str, header: str = "") -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers={HEADER: header} if header else {})
    try:
        with opener.open(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
