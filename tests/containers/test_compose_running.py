"""The stack of docker-compose.yml at work: files become payouts, whatever is run or restarted meanwhile."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date

import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from obstore.exceptions import PermissionDeniedError

from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.database.ports import free_port
from shs_pipeline.samples.reference import reference_workbooks
from shs_pipeline.samples.tree import make_sample
from tests.helpers.compose_commands import Operator, blocks_of, documented_commands
from tests.helpers.compose_services import (
    DAGSTER_SERVICES,
    ENDED,
    SERVICES,
    Machine,
    checkout_with_secrets,
    secret_file,
    wait_for,
)
from tests.helpers.fake_metabase import FakeMetabase, serving
from tests.metabase.test_smoke import run_sql
from tests.system.test_backup import rows

pytestmark = pytest.mark.soak


@dataclass
class Stack:
    """The machine, and what its people do."""

    machine: Machine
    operator: Operator
    metabase: FakeMetabase
    dropped: int = 0

    @property
    def keys(self) -> dict[str, str]:
        """What a client of S3 is told."""
        checkout = self.machine.checkout
        return {
            "aws_endpoint_url": f"http://{self.machine.hosts['s3:8333']}",
            "aws_region": "us-east-1",
            "aws_access_key_id": secret_file(checkout, "s3_access_key").read_text(),
            "aws_secret_access_key": secret_file(checkout, "s3_secret_key").read_text(),
        }

    @property
    def owner_url(self) -> str:
        password = secret_file(self.machine.checkout, "database_password").read_text()
        return f"postgresql://shs_owner:{password}@{self.machine.hosts['postgres:5432']}/shs"

    def shs(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.machine.execute("code", ["shs", "exec", "--", "shs", *words])

    def drop(self, path: str, content: bytes, keys: dict[str, str] | None = None) -> None:
        """Put a file into the bucket with a client of S3."""
        import obstore
        from obstore.store import S3Store

        store = S3Store("landing", config=keys or self.keys, client_options={"allow_http": True})  # type: ignore[arg-type]
        obstore.put(store, path, content)

    def drop_statement(self) -> str:
        """Drop a file and return its name."""
        self.dropped += 1
        name = f"Statement {self.dropped}.xlsx"
        sample = make_sample("cygnus", date(2025, 3, 1), lines=6, seed=100 + self.dropped)
        self.drop(f"incoming/cygnus/2025-03/{name}", sample.content)
        return name

    def becomes_a_payout(self) -> None:
        """Drop a file and wait until each of its lines is part of what somebody is paid, or told why not."""
        name = self.drop_statement()
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
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack on its first day: up, with the reference workbooks and a first file."""
    folder = tmp_path_factory.mktemp("stack")
    checkout = checkout_with_secrets(folder / "checkout")
    server = EmbeddedPostgres(folder / "postgres")
    mail = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    mail.start()
    with ExitStack() as cleaning, serving(FakeMetabase()) as metabase:
        cleaning.callback(mail.stop)
        address = server.ensure_running()
        cleaning.callback(server.stop)
        database = f"{address.host}:{address.port}"
        metabase.run_sql = run_sql
        hosts = {"postgres:5432": database, "metabase:3000": metabase.url.removeprefix("http://")}
        machine = Machine(checkout, folder, hosts, str(mail.port))
        operator = Operator(machine, server, metabase)
        cleaning.enter_context(operator.landing)
        operator.start_s3()
        make_databases(operator)
        found = Stack(machine, operator, metabase)
        try:
            first_day(found)
            yield found
        finally:
            codes = machine.stop()
    # Asked to end, each does so by itself.
    assert all(code in ENDED for code in codes.values()), codes


def make_databases(operator: Operator) -> None:
    """What the images of both services of PostgreSQL do on empty volumes."""
    operator.types(
        "docker compose exec postgres psql -v ON_ERROR_STOP=1 -U postgres < deploy/compose/warehouse.sql",
        "docker compose exec metabase-db psql -U metabase -d postgres"
        " -c 'create role metabase superuser login' -c 'create database metabase owner metabase'",
    )


def test_files_become_payouts_before_and_after_every_documented_command_and_restart(stack: Stack) -> None:
    """Each command in each service, the one that the page names and those that refuse it."""
    machine = stack.machine
    try:
        workspace = machine.home / "dagster" / "workspace.yaml"
        written = workspace.read_text()
        assert "grpc_server" in written

        for name in DAGSTER_SERVICES:
            for of_service, words in documented_commands():
                run_documented(stack, name, words, is_documented=name == of_service)
                assert workspace.read_text() == written, (name, words)
        stack.becomes_a_payout()

        # The code is asked by all other services; the database is what all stand on.
        for name in (*DAGSTER_SERVICES, "postgres", "s3"):
            stack.operator.restart(name)
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
    try:
        stack.becomes_a_payout()
        stack.operator.types("docker compose exec code shs exec -- shs metabase apply")
    except AssertionError:
        print(machine.logs())
        raise


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


# --- later on -----------------------------------------------------------------------------


def refused(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError as error:
        # In a new database a role of the old one has no right.
        return bool(re.search("password authentication failed|permission denied for database", str(error)))
    return False


def url_of(stack: Stack, person: str) -> str:
    return stack.shs("access", "url", person, "--show").stdout.strip()


def look_as_each_rep(stack: Stack) -> None:
    """Every rep sees all of their own rows and no other, at the database and by Metabase's connection."""
    statement = "select rep_name, count(*) from marts.commission_payouts group by rep_name"
    with psycopg.connect(stack.owner_url) as owner:
        paid = dict(owner.execute(statement).fetchall())
        reps = [
            name
            for (name,) in owner.execute(
                "select rep_name from ops.logins where state = 'active' and permission = 'user'"
            )
        ]
    assert len(paid) > 1
    assert len(reps) > 1
    for rep in reps:
        own = [(rep, paid[rep])] if rep in paid else []
        with psycopg.connect(url_of(stack, rep)) as connection:
            assert connection.execute(statement).fetchall() == own
        details = stack.metabase.named("databases", f"Sales of {rep}")["details"]
        assert [tuple(row) for row in run_sql(details, statement)] == own


def test_a_reps_new_password_reaches_metabase_with_the_next_apply(stack: Stack) -> None:
    (lines,) = blocks_of("New passwords and keys")[:1]
    old = url_of(stack, "Dana Whitfield")
    assert not refused(old)

    reset, *rest = lines
    stack.operator.types(reset)
    assert refused(old)
    with pytest.raises(psycopg.OperationalError):
        run_sql(stack.metabase.named("databases", "Sales of Dana Whitfield")["details"], "select 1")
    stack.operator.types(*rest)

    look_as_each_rep(stack)
    assert "up to date" in stack.shs("metabase", "plan").stdout


def test_metabase_is_upgraded_refused_where_it_is_unsafe_and_taken_back(stack: Stack) -> None:
    there, back = blocks_of("Upgrading Metabase")
    operator, metabase = stack.operator, stack.metabase
    kept = "docker compose exec metabase-db psql -U metabase -d metabase -At"
    operator.types(f"{kept} -c 'create table questions as select 17 as question'")

    metabase.tag = "v0.60.16"
    metabase.forget_requests()
    for command in ("plan", "apply"):
        done = stack.shs("metabase", command)
        assert done.returncode == 1
        assert "v0.60.16 has security holes that can be exploited without a login" in " ".join(
            (done.stdout + done.stderr).split()
        )
        assert "v0.60.17" in done.stdout + done.stderr
    assert metabase.writes == []

    said = operator.types(*there)
    assert metabase.tag == "v0.65.4"
    assert "Metabase is up to date." in said
    assert metabase.problems == []
    look_as_each_rep(stack)
    operator.types(f"{kept} -c 'drop table questions'")

    assert "Metabase is up to date." in operator.types(*back)
    assert metabase.tag == "v0.58.39"
    assert operator.types(f"{kept} -c 'table questions'") == "17\n"


def test_the_owners_password_and_the_keys_of_s3_are_made_new(stack: Stack) -> None:
    _, of_owner, of_s3, of_metabase = blocks_of("New passwords and keys")
    operator, metabase = stack.operator, stack.metabase
    old_url, old_keys = stack.owner_url, stack.keys

    operator.types(*of_owner)
    assert refused(old_url)
    assert not refused(stack.owner_url)
    stack.becomes_a_payout()

    operator.types(*of_s3)
    old_keys["aws_endpoint_url"] = stack.keys["aws_endpoint_url"]
    with pytest.raises(PermissionDeniedError, match="SignatureDoesNotMatch"):
        stack.drop("incoming/cygnus/2025-03/Foreign.xlsx", b"x", old_keys)
    stack.becomes_a_payout()

    operator.types(*of_metabase)
    admin = metabase.user("admin@example.com")
    metabase.passwords[admin["id"]] = secret_file(
        stack.machine.checkout, "metabase_admin_password"
    ).read_text()
    (old_key,) = [key["key"] for key in metabase.keys.values()]
    metabase.keys.clear()
    assert stack.shs("metabase", "apply").returncode == 0
    (key,) = [key["key"] for key in metabase.keys.values()]
    assert key != old_key
    stack.becomes_a_payout()


def test_a_password_that_cannot_be_read_leaves_the_old_one(stack: Stack) -> None:
    line = next(line for block in blocks_of("New passwords and keys") for line in block if "-v role=" in line)

    with pytest.raises(AssertionError, match="nothing was changed"):
        stack.operator.types(line.replace("secret=database_password", "secret=no_such_secret"))

    assert not refused(stack.owner_url)


def test_a_backup_is_restored_and_the_system_goes_on(stack: Stack) -> None:
    (taken,) = blocks_of("Backing up")
    aside, tidied, elsewhere = blocks_of("Restoring")
    operator, machine = stack.operator, stack.machine
    operator.types(*taken)
    (backup,) = (machine.home / "backups").iterdir()
    operator.called["shs-2025-03-01T021700Z"] = backup.name
    before = rows(stack.owner_url, "marts")
    old = url_of(stack, "Dana Whitfield")
    # What came behind the backup is lost with the database.
    name = stack.drop_statement()
    wait_for(lambda: stack.is_paid(name))

    # The volume of the home is lost too.
    backup.rename(machine.folder / "lost")
    operator.types(elsewhere[0])
    restored = next(number for number, line in enumerate(aside) if "shs restore" in line) + 1
    said = operator.types(*aside[:restored])
    assert "every table's rows, and every mart's sums and contents, match." in said
    assert rows(stack.owner_url, "marts") == before
    assert not stack.is_paid(name)
    assert refused(old)
    operator.types(*aside[restored:])

    wait_for(lambda: stack.is_paid(name))
    stack.becomes_a_payout()
    look_as_each_rep(stack)
    operator.types(*tidied)
    look_at_metabase(stack)
