"""The stack of docker-compose.yml at work: files become payouts, whatever is run or restarted meanwhile."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from shs_pipeline.access import drop_logins
from shs_pipeline.database import prepare
from shs_pipeline.embedded_postgres import free_port
from shs_pipeline.samples import make_sample, reference_workbooks
from shs_pipeline.secret_store import FileSecrets
from shs_pipeline.settings import Settings
from tests.compose_services import (
    DAGSTER_SERVICES,
    SERVICES,
    Machine,
    checkout_with_secrets,
    documented_commands,
    s3_service,
    secret_file,
    wait_for,
)
from tests.fake_metabase import FakeMetabase, serving
from tests.test_metabase_smoke import run_sql

pytestmark = pytest.mark.slow


@dataclass
class Stack:
    """The machine, and what its people do."""

    machine: Machine
    metabase: FakeMetabase
    keys: dict[str, str]
    owner_url: str
    dropped: int = 0

    def drop(self, path: str, content: bytes) -> None:
        """Put a file into the bucket with a client of S3."""
        import obstore
        from obstore.store import S3Store

        store = S3Store("landing", config=self.keys, client_options={"allow_http": True})  # type: ignore[arg-type]
        obstore.put(store, path, content)

    def becomes_a_payout(self) -> None:
        """Drop a file and wait until each of its lines is part of what somebody is paid, or told why not."""
        self.dropped += 1
        name = f"Statement {self.dropped}.xlsx"
        sample = make_sample("cygnus", date(2025, 3, 1), lines=6, seed=100 + self.dropped)
        self.drop(f"incoming/cygnus/2025-03/{name}", sample.content)
        wait_for(lambda: self.is_paid(name))

    def is_paid(self, name: str) -> bool:
        with psycopg.connect(self.owner_url) as connection:
            if connection.execute("select to_regclass('marts.payout_explanations')").fetchone() == (None,):
                return False
            found = connection.execute(
                "select count(*) from marts.payout_explanations where source_file like %s", [f"%{name}"]
            ).fetchone()
        return found is not None and found[0] > 0


@pytest.fixture(scope="module")
def stack(postgres_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    checkout = checkout_with_secrets(folder / "checkout")
    owner_url = prepare(Settings(home=postgres_home, database_url=None)).warehouse_url.get_secret_value()
    name = f"stack_{secrets.token_hex(4)}"
    mail = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    mail.start()
    with (
        psycopg.connect(owner_url, autocommit=True) as owner,
        s3_service(checkout, folder / "landing") as s3,
        serving(FakeMetabase()) as metabase,
    ):
        owner.execute(f"create database {name}")
        info = owner.info
        (folder / "password").write_text(info.password)
        machine = Machine(
            checkout,
            folder,
            {"s3:8333": s3, "metabase:3000": metabase.url.removeprefix("http://")},
            f"postgresql://{info.user}@{info.host}:{info.port}/{name}",
            folder / "password",
            str(mail.port),
        )
        metabase.run_sql = run_sql
        keys = {
            "aws_endpoint_url": f"http://{s3}",
            "aws_region": "us-east-1",
            "aws_access_key_id": secret_file(checkout, "s3_access_key").read_text(),
            "aws_secret_access_key": secret_file(checkout, "s3_secret_key").read_text(),
        }
        try:
            yield Stack(machine, metabase, keys, f"{owner_url.rpartition('/')[0]}/{name}")
        finally:
            codes = machine.stop()
            mail.stop()
            with psycopg.connect(f"{owner_url.rpartition('/')[0]}/{name}", autocommit=True) as connection:
                drop_logins(connection, FileSecrets(folder / "people" / "secrets.json"))
            for each in (name, f"{name}_dagster"):
                owner.execute(
                    "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                    " where datname = %s and backend_type = 'client backend'",
                    [each],
                )
                owner.execute(f"drop database if exists {each}")
    # Asked to end, each does so by itself.
    assert all(code in (0, -signal.SIGTERM, 128 + signal.SIGTERM) for code in codes.values()), codes


def test_files_become_payouts_before_and_after_every_documented_command_and_restart(stack: Stack) -> None:
    machine = stack.machine
    try:
        first_day(stack)
        workspace = machine.home / "dagster" / "workspace.yaml"
        written = workspace.read_text()
        assert "grpc_server" in written

        for name in DAGSTER_SERVICES:
            for of_service, words in documented_commands():
                run_documented(stack, name, words, is_documented=name == of_service)
                assert workspace.read_text() == written, (name, words)
        stack.becomes_a_payout()

        for name in DAGSTER_SERVICES:
            machine.restart(name)
            assert workspace.read_text() == written, name
            stack.becomes_a_payout()
        assert machine.code_servers_of("daemon") == []
        assert machine.code_servers_of("webserver") == []
        (location,) = machine.locations()
        assert (location["name"], location["loadStatus"]) == ("shs", "LOADED")
        assert (machine.status_for("evil.example"), machine.status_for("localhost:3001")) == (400, 200)
        look_at_metabase(stack)
    except AssertionError:
        print(machine.logs())
        raise


def first_day(stack: Stack) -> None:
    """Compose up, the reference workbooks and a first file."""
    machine = stack.machine
    for name, said in (("bucket", "Made the bucket landing.\n"), ("metabase-setup", "Metabase is set up.\n")):
        done = machine.run_script(name)
        assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
    machine.start_all()
    for path, content in reference_workbooks(date(2025, 1, 1), date(2025, 6, 1), 6).items():
        stack.drop(path, content)
    stack.becomes_a_payout()


def run_documented(stack: Stack, name: str, words: list[str], *, is_documented: bool) -> None:
    machine = stack.machine
    march = machine.folder / "March.xlsx"
    if not march.exists():
        march.write_bytes(make_sample("cygnus", date(2025, 3, 1), lines=6, seed=99).content)
    words = [word.replace("/in/", f"{machine.folder}/") for word in words]
    # The demo ingests what is there, where something is.
    done = machine.execute(name, words)

    said = done.stdout + done.stderr
    assert "Traceback" not in said
    if is_documented:
        assert done.returncode == 0, (words, said)
    else:
        # It knows neither landing zone nor secrets: nothing is done with those that it would make up.
        assert done.returncode == 1, (words, said)
        assert "docker compose exec code" in said


def look_at_metabase(stack: Stack) -> None:
    """Every rep who was published has got an account there."""
    with psycopg.connect(stack.owner_url) as connection:
        people = connection.execute("select count(*) from ops.logins where role_name is not null").fetchone()
    assert people is not None
    assert people[0] > 0
    assert len(stack.metabase.users) > people[0] / 2
    assert not stack.metabase.problems


def test_one_service_alone_writes_where_the_code_is_and_only_one_that_asks_for_it() -> None:
    told = {name: SERVICES[name]["environment"].get("SHS_CODE_SERVER") for name in DAGSTER_SERVICES}

    assert set(told.values()) == {"code:4000"}
    shared = [name for name, each in SERVICES.items() if "state:/var/lib/shs" in each.get("volumes", [])]
    assert sorted(shared) == sorted(DAGSTER_SERVICES)
