"""Metabase in docker-compose.yml: set up before anybody reaches it, and reached without what nobody needs."""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shs_pipeline.database.ports import free_port
from shs_pipeline.metabase.sign_in import key_secret
from shs_pipeline.settings.secret_store import FileSecrets
from tests.helpers.compose_services import (
    COMPOSE,
    ROOT,
    SERVICES,
    Machine,
    checkout_with_secrets,
    secret_file,
    wait_for,
)
from tests.helpers.fake_metabase import FakeMetabase, serving

CONFIGURATION = (ROOT / "deploy" / "compose" / "front.conf").read_text()
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


# --- what the compose file says ---------------------------------------------------------------


def waits_for(name: str) -> dict[str, str]:
    return {other: how["condition"] for other, how in SERVICES[name].get("depends_on", {}).items()}


def test_metabase_is_published_by_its_front_alone_and_not_before_it_is_set_up() -> None:
    published = {name for name, each in SERVICES.items() if "METABASE_PORT" in str(each.get("ports", ""))}

    assert published == {"front"}
    assert "ports" not in SERVICES["metabase"]
    assert "outside" not in SERVICES["metabase"]["networks"]
    assert waits_for("front") == {"metabase-setup": "service_completed_successfully"}
    assert waits_for("metabase-setup") == {"metabase": "service_healthy"}
    # One that is started again would set up what somebody else made meanwhile.
    assert SERVICES["metabase-setup"]["restart"] == "no"
    assert all(COMPOSE["networks"][name]["internal"] for name in SERVICES["metabase"]["networks"])


def test_the_account_that_is_made_is_the_one_that_the_code_signs_in_with() -> None:
    made, used = SERVICES["metabase-setup"], SERVICES["code"]

    assert made["environment"].items() <= used["environment"].items()
    assert set(made["secrets"]) <= set(used["secrets"])
    # There it leaves its key.
    assert "people:/var/lib/shs-people" in made["volumes"]
    assert "people:/var/lib/shs-people" in used["volumes"]


def test_metabase_gets_most_of_its_memory_as_heap_and_leaves_some() -> None:
    metabase = SERVICES["metabase"]
    (share,) = re.findall(r"-XX:MaxRAMPercentage=(\d+)", metabase["environment"]["JAVA_OPTS"])
    (gib,) = re.findall(r"^(\d+)g$", metabase["mem_limit"])

    assert int(gib) * 1024 * int(share) // 100 >= 1024
    assert int(gib) * 1024 * (100 - int(share)) // 100 >= 512


# --- the script that sets it up ----------------------------------------------------------------


@pytest.fixture
def fake() -> Iterator[FakeMetabase]:
    with serving(FakeMetabase()) as fake:
        yield fake


@pytest.fixture
def machine(tmp_path: Path, fake: FakeMetabase) -> Machine:
    checkout = checkout_with_secrets(tmp_path / "checkout")
    host = fake.url.removeprefix("http://")
    return Machine(checkout, tmp_path, {"metabase:3000": host}, "")


def test_a_fresh_metabase_gets_our_administrator_once(fake: FakeMetabase, machine: Machine) -> None:
    first = machine.run_script("metabase-setup")

    assert (first.returncode, first.stdout, first.stderr) == (0, "Metabase is set up.\n", "")
    assert fake.setup_token is None
    (user,) = [one for one in fake.users.values() if one["email"] == "admin@example.com"]
    assert user["is_superuser"]
    password = secret_file(machine.checkout, "metabase_admin_password").read_text()
    assert fake.passwords[user["id"]] == password
    assert FileSecrets(machine.folder / "people" / "secrets.json").get(key_secret(fake.url)) is not None

    before = len(fake.requests)
    again = machine.run_script("metabase-setup")

    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert [verb for verb, _, _ in fake.requests[before:]] == ["get"]


def test_one_that_was_set_up_by_hand_is_left_alone(fake: FakeMetabase, machine: Machine) -> None:
    fake.setup_token = None

    done = machine.run_script("metabase-setup")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not fake.users


def test_one_with_known_holes_keeps_the_front_closed_though_it_was_set_up(
    fake: FakeMetabase, machine: Machine
) -> None:
    fake.setup_token = None
    fake.tag = "v0.58.38"

    done = machine.run_script("metabase-setup")

    assert done.returncode == 1
    assert "v0.58.38 has security holes" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_that_refuses_keeps_the_front_closed(fake: FakeMetabase, machine: Machine) -> None:
    fake.answers.append(("post", "/api/setup", 400, {"errors": {"password": "password is too common."}}))

    done = machine.run_script("metabase-setup")

    # `service_completed_successfully` asks for 0.
    assert done.returncode == 1
    assert "Metabase" in done.stderr
    assert "Traceback" not in done.stderr
    assert secret_file(machine.checkout, "metabase_admin_password").read_text() not in done.stderr


# --- the front -----------------------------------------------------------------------------------


def nginx() -> str:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    return program


@pytest.fixture
def front(fake: FakeMetabase, tmp_path: Path) -> Iterator[str]:
    """The front with its configuration, before a Metabase on this machine; yields its address."""
    program, port = nginx(), free_port()
    text = CONFIGURATION.replace("listen 3000", f"listen 127.0.0.1:{port}")
    text = text.replace("metabase:3000", fake.url.removeprefix("http://")).replace("/tmp/", f"{tmp_path}/")
    (tmp_path / "front.conf").write_text(text)
    with (tmp_path / "front.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-c", tmp_path / "front.conf", "-e", tmp_path / "early.log"], stdout=log, stderr=log
        )
    try:
        wait_for(lambda: status(f"http://127.0.0.1:{port}/api/health") != 0 or process.poll() is not None, 30)
        assert process.poll() is None, (tmp_path / "front.log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def status(url: str, data: bytes | None = None, **headers: str) -> int:
    request = urllib.request.Request(url, data, headers)
    try:
        with OPENER.open(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


REFUSED = [
    "/setup", "/setup/", "/setup/anything", "/api/setup", "/api/setup/", "/api/setup/user_defaults", "/SETUP",
    "/public/question/1", "/api/public/card/1", "/embed/dashboard/x", "/api/embed/card/x", "/api/docs",
    "/api/docs/openapi.json", "//api//setup", "/api/./setup", "/x/../api/setup", "/%61pi/set%75p",
    "/api%2Fsetup", "/api;a=b/setup", "/api/setup;a", "/api/setup?token=1", "/setup.", "/api/setup.",
    "/API/Setup", "/PUBLIC/question/1", "/x/%2e%2e/api/setup", "/x/.%2E/api/setup", "/x;/../api/setup",
    "/x/y%2F..%2F..%2Fapi%2fsetup",
]  # fmt: skip


def test_what_nobody_is_to_reach_is_refused_however_it_is_written(front: str, fake: FakeMetabase) -> None:
    before = len(fake.requests)

    for path in REFUSED:
        assert status(f"{front}{path}") == 404, path
        assert status(f"{front}{path}", b"{}", **{"Content-Type": "application/json"}) == 404, path

    assert len(fake.requests) == before


def test_what_people_use_reaches_metabase(front: str, fake: FakeMetabase) -> None:
    paths = ["/api/health", "/api/session/properties", "/api/user/current", "/api/card/1?name=setup;x"]

    before = len(fake.requests)
    for path in paths:
        assert status(f"{front}{path}") == status(f"{fake.url}{path}"), path

    assert len(fake.requests) == before + 2 * len(paths)


def test_the_front_tells_metabase_who_asks_and_nobody_can_pretend(
    front: str, fake: FakeMetabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    answer = fake.answer
    monkeypatch.setattr(fake, "answer", lambda verb, path, headers, body: (
        told.append(dict(headers)), answer(verb, path, headers, body))[1])  # fmt: skip

    status(f"{front}/api/health", **{"X-Forwarded-For": "203.0.113.9"})

    assert told[0]["X-Forwarded-For"] == "127.0.0.1"
    assert told[0]["Host"] == front.removeprefix("http://")


def test_the_configuration_that_is_mounted_is_the_one_that_nginx_is_started_with() -> None:
    service = SERVICES["front"]
    (mount,) = service["volumes"]
    source, inside, mode = mount.split(":")

    assert (ROOT / source).read_text() == CONFIGURATION
    assert service["entrypoint"] == ["nginx", "-c", inside]
    assert mode == "ro"
    # Read-only, and no root: it writes to /tmp alone.
    places = re.findall(r"^ *(?:pid|\w+_temp_path) (\S+);", CONFIGURATION, re.MULTILINE)
    assert len(places) == 6
    assert all(place.startswith("/tmp/") for place in places)
