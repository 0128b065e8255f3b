"""Two logins for the owner of a database: on a real server, as an administrator who is not a superuser."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database import owner_logins
from shs_pipeline.database.databases import DAGSTER, prepare
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.database.groups import ensure_roles
from shs_pipeline.database.owner_logins import Account, Server, ensure, logins_of, rotate, server_from
from shs_pipeline.people.access import drop_logins, logins_from_settings
from shs_pipeline.samples.tree import write_samples
from shs_pipeline.settings.secret_store import secret_store
from shs_pipeline.settings.settings import Settings

HARD = "p@ss:w/o#r%d ' \" \\"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with an administrator as RDS gives one: no superuser."""
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("rds") / "home")
    at = embedded.ensure_running()
    with psycopg.connect(
        host=at.host,
        port=at.port,
        user=at.superuser,
        password=at.password,
        dbname="postgres",
        autocommit=True,
    ) as superuser:
        superuser.execute("create role master login createrole createdb password 'master'")
        superuser.execute("grant pg_read_all_stats, pg_signal_backend to master with admin option")
    yield f"{at.host}:{at.port}"
    embedded.stop()


@pytest.fixture
def server(place: str) -> Server:
    """A fresh database that belongs to the administrator, as RDS makes it."""
    name = f"shs_{secrets.token_hex(4)}"
    with psycopg.connect(f"postgresql://master:master@{place}/postgres", autocommit=True) as master:
        master.execute(f"create database {name}".encode())
    owner = f"{name}_owner"
    return Server(
        f"postgresql://{place}/{name}", Account("master", "master"), owner, (name, f"{name}_dagster"), True,
        Account(f"{owner}_a", HARD),
    )  # fmt: skip


def url(server: Server, account: Account | None = None) -> str:
    who = account or server.login
    return server.url.replace("//", f"//{quote(who.user, safe='')}:{quote(who.password, safe='')}@")


def asked(server: Server, account: Account, question: str) -> object:
    with psycopg.connect(url(server, account)) as connection:
        row = connection.execute(question.encode()).fetchone()
        assert row
        return row[0]


def test_the_login_of_the_secret_works_as_the_owner_and_the_owner_cannot_log_in(server: Server) -> None:
    ensure(server)
    assert asked(server, server.login, "select current_user") == server.owner
    assert (
        asked(server, server.login, "select rolcanlogin from pg_roles where rolname = current_user") is False
    )
    owners = "select array_agg(distinct pg_get_userbyid(datdba)) from pg_database where datname like 'shs_%%'"
    assert asked(server, server.login, owners.replace("shs_%%", f"{server.databases[0]}%")) == [server.owner]


def test_the_system_can_be_set_up_with_it(server: Server, tmp_path: Path) -> None:
    ensure(server)
    settings = Settings(
        home=tmp_path, landing="", database_url=server.url, database_user=server.login.user,
        database_password=server.login.password,
    )  # fmt: skip
    databases = prepare(settings)
    assert databases.dagster_url.get_secret_value().endswith(f"/{server.databases[0]}_dagster")
    with psycopg.connect(databases.warehouse_url.get_secret_value(), autocommit=True) as connection:
        ensure_roles(connection)
        connection.execute("create table mine ()")
        row = connection.execute("select tableowner from pg_tables where tablename = 'mine'").fetchone()
    assert row == (server.owner,)
    for group in ("shs_admin", "shs_rep"):
        with psycopg.connect(url(server), autocommit=True) as connection:
            connection.execute(f"drop role {group}".encode())


def test_nobody_else_may_connect(server: Server, place: str) -> None:
    ensure(server)
    with psycopg.connect(f"postgresql://master:master@{place}/postgres", autocommit=True) as master:
        name = f"stranger_{secrets.token_hex(4)}"
        master.execute(f"create role {name} login password 'x'".encode())
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(url(server, Account(name, "x")))


def test_a_run_under_way_goes_on_after_a_rotation(server: Server) -> None:
    ensure(server)
    stored: list[Account] = []
    with psycopg.connect(url(server), autocommit=True) as run:
        run.execute("create table loaded (n int)")
        new = rotate(server, stored.append)
        run.execute("insert into loaded values (1)")
        # It opens further connections with what it was started with.
        assert asked(server, server.login, "select n from loaded") == 1
    assert stored == [new]
    assert new.user != server.login.user
    assert asked(server, new, "select n from loaded") == 1


def test_the_second_rotation_ends_the_first_password(server: Server) -> None:
    ensure(server)
    first = rotate(server, lambda _: None)
    second = rotate(replace(server, login=first), lambda _: None)
    assert second.user == server.login.user
    assert asked(server, first, "select 1") == 1
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url(server))


def test_a_rotation_whose_secret_cannot_be_written_leaves_the_old_login_in_force(server: Server) -> None:
    def broken(_: Account) -> None:
        raise ShsError("The secret is away.", "Wait.")

    ensure(server)
    with pytest.raises(ShsError, match="is away"):
        rotate(server, broken)
    assert asked(server, server.login, "select 1") == 1
    assert asked(server, rotate(server, lambda _: None), "select 1") == 1


def test_after_a_restore_the_password_of_the_secret_is_made_valid(server: Server) -> None:
    ensure(server)
    later = replace(server, login=Account(server.login.user, "of the secret of today"))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url(later))
    ensure(later)
    assert asked(later, later.login, "select current_user") == server.owner


def test_a_session_of_one_login_sees_and_ends_what_the_other_has_running(server: Server) -> None:
    ensure(server)
    new = rotate(server, lambda _: None)
    with psycopg.connect(url(server, server.login), application_name="shs models of before") as old:
        old.execute("select 1")
        with psycopg.connect(url(server, new), autocommit=True) as build:
            ended = build.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where datname = current_database() and pg_has_role(usename, current_user, 'member')"
                " and application_name like 'shs models%'"
            ).fetchall()
        assert ended == [(True,)]
        with pytest.raises(psycopg.OperationalError):
            old.execute("select 1")


def test_an_owner_that_needs_no_roles_gets_no_power(server: Server) -> None:
    ensure(replace(server, manages_roles=False, databases=server.databases[:1]))
    power = "select rolcreaterole or rolcreatedb from pg_roles where rolname = current_user"
    assert asked(server, server.login, power) is False
    assert asked(server, server.login, "select pg_has_role('pg_signal_backend', 'member')") is False


def test_several_tasks_may_start_at_once(server: Server) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ensure(server), range(8)))
    assert asked(server, server.login, "select 1") == 1


def variables(server: Server) -> dict[str, str]:
    return {
        "LOGINS_URL": server.url, "LOGINS_ADMINISTRATOR": "master", "LOGINS_ADMINISTRATOR_PASSWORD": "master",
        "LOGINS_OWNER": server.owner, "LOGINS_DATABASES": ",".join(server.databases),
        "LOGINS_MANAGES_ROLES": "true",
        "LOGINS_USER": server.login.user, "LOGINS_PASSWORD": server.login.password,
    }  # fmt: skip


def test_the_task_reads_its_variables_and_says_no_secret(server: Server) -> None:
    assert server_from(variables(server)) == server
    assert HARD not in repr(server)
    ended = subprocess.run(
        [sys.executable, "-m", "shs_pipeline.database.owner_logins", "ensure"],
        env={**os.environ, **variables(server)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"{server.login.user} may log in as {server.owner}.\n"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"LOGINS_URL": ""}, "LOGINS_URL is not set"),
        ({"LOGINS_USER": "somebody"}, "names the login somebody, which is not one of"),
        ({"LOGINS_ADMINISTRATOR_PASSWORD": "wrong"}, "rejected the password of master"),
    ],
)
def test_what_is_wrong_is_a_sentence(
    server: Server, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], sentence: str
) -> None:
    for name, value in {**variables(server), **changed}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        owner_logins.main(["ensure"])
    assert sentence in str(ended.value.code)
    assert HARD not in str(ended.value.code)


def test_an_administrator_without_the_right_is_told(server: Server, place: str) -> None:
    with psycopg.connect(f"postgresql://master:master@{place}/postgres", autocommit=True) as master:
        name = f"weak_{secrets.token_hex(4)}"
        master.execute(f"create role {name} login password 'x'".encode())
        master.execute(
            f"grant connect on database {server.databases[0]} to {name}".encode()
        ) if False else None
    weak = replace(
        server, url=f"postgresql://{place}/postgres", administrator=Account(name, "x"), owner=f"{name}_owner",
        login=Account(f"{name}_owner_a", "x"),
    )  # fmt: skip
    with pytest.raises(ShsError, match="administrator may not do this: permission denied to create role"):
        ensure(weak)


def test_the_new_login_is_written_into_secrets_manager(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    ensure(server)
    with mock_aws():
        client = boto3.client("secretsmanager")
        made = client.create_secret(Name="shs-test/warehouse-login", SecretString="{}")
        monkeypatch.setenv("LOGINS_SECRET", made["ARN"])
        for name, value in variables(server).items():
            monkeypatch.setenv(name, value)
        owner_logins.main(["rotate"])
        found = json.loads(client.get_secret_value(SecretId=made["ARN"])["SecretString"])
        assert found["username"] == logins_of(server.owner)[1]
        assert asked(server, Account(found["username"], found["password"]), "select 1") == 1
        monkeypatch.setenv("LOGINS_SECRET", made["ARN"].replace("warehouse", "nowhere"))
        with pytest.raises(SystemExit, match=r"could not be written into its secret \(ResourceNotFound"):
            owner_logins.main(["rotate"])


def test_dagsters_database_is_named_as_the_task_names_it() -> None:
    assert DAGSTER == "shs_dagster"


@pytest.mark.soak
def test_a_whole_run_goes_through_a_rotation_and_everything_belongs_to_the_owner(
    server: Server, tmp_path: Path
) -> None:
    ensure(server)
    landing = tmp_path / "landing"
    write_samples(landing, months=1, lines=8, seed=1, until=date(2025, 6, 1))
    environment = {
        **os.environ, "SHS_HOME": str(tmp_path / "home"), "SHS_LANDING": landing.as_uri(),
        "SHS_DATABASE_URL": server.url, "SHS_DATABASE_USER": server.login.user,
        "SHS_DATABASE_PASSWORD": server.login.password,
    }  # fmt: skip
    run = subprocess.Popen(
        [sys.executable, "-c", "from shs_pipeline.cli.main import main; main()", "run"], env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    wait_for_a_file(server)
    new = rotate(server, lambda _: None)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert asked(server, new, "select count(*) from marts.publications") == 1
    owners = (
        "select array_agg(distinct tableowner) from pg_tables where schemaname in ('ops', 'raw', 'marts')"
    )
    assert asked(server, new, owners) == [server.owner]
    # The people's logins can be changed by either login, too.
    assert asked(server, new, "select count(*) > 0 from ops.logins where state = 'active'") is True
    settings = Settings(
        home=tmp_path / "home", landing=landing.as_uri(), database_url=server.url, database_user=new.user,
        database_password=new.password,
    )  # fmt: skip
    assert logins_from_settings(settings) == []
    with psycopg.connect(url(server, new), autocommit=True) as connection:
        drop_logins(connection, secret_store(settings))


def wait_for_a_file(server: Server) -> None:
    """Wait until the run has loaded something, so that the rotation comes in its middle."""
    for _ in range(600):
        with contextlib.suppress(psycopg.Error):
            if asked(server, server.login, "select count(*) > 0 from ops.files"):
                return
        time.sleep(0.1)
    pytest.fail("nothing was loaded within a minute")
