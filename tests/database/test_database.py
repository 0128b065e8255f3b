"""Access to the database: preparing, waiting, refusing, and what a lost connection looks like."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors
from pydantic import SecretStr

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.address import place
from shs_pipeline.database.connection import connect, is_connection_lost
from shs_pipeline.database.databases import prepare
from shs_pipeline.database.ddl_guard import GUARD, IS_GUARDED
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.settings.settings import Settings, project_root
from shs_pipeline.system.dagster_home import dagster_environment, write_dagster_home


@pytest.fixture
def settings(postgres_home: Path) -> Settings:
    return Settings(home=postgres_home, database_url=None, database_wait_seconds=30)


def superuser(home: Path, database: str = "postgres") -> psycopg.Connection:
    address = EmbeddedPostgres(home).ensure_running()
    return psycopg.connect(
        host=address.host, port=address.port, user=address.superuser, password=address.password,
        dbname=database, autocommit=True,
    )  # fmt: skip


def refused(url: str) -> ShsError:
    with pytest.raises(ShsError) as caught:
        connect(url, wait_seconds=60)  # a refusal does not wait
    return caught.value


def test_the_owner_owns_both_databases_and_is_no_superuser(settings: Settings) -> None:
    databases = prepare(settings)

    with connect(databases.warehouse_url) as owner:
        role = owner.execute(
            "select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb"
            " from pg_roles where rolname = current_user"
        ).fetchone()
        owner.execute("create schema made_by_owner")
        owner.rollback()
    with connect(databases.dagster_url) as dagster:
        assert dagster.info.dbname == "shs_dagster"
    assert role == ("shs_owner", False, False, True, True)


def test_a_stranger_may_not_even_connect(settings: Settings) -> None:
    with superuser(settings.home) as admin:
        admin.execute("drop role if exists stranger")
        admin.execute("create role stranger login password 'of-the-test'")
    warehouse = prepare(settings).warehouse_url.get_secret_value()
    host = urlsplit(warehouse).netloc.rpartition("@")[2]

    for name in ("shs", "shs_dagster", "postgres"):
        error = refused(f"postgresql://stranger:of-the-test@{host}/{name}")
        assert "may not connect" in error.problem


@pytest.mark.parametrize(
    "damage",
    [
        "alter role shs_owner password 'another one'",
        "grant connect on database shs to public",
        "drop database shs_dagster with (force)",
    ],
)
def test_preparing_again_mends_what_is_amiss_and_keeps_the_rest(settings: Settings, damage: str) -> None:
    with connect(prepare(settings).warehouse_url) as owner:
        owner.execute("create table if not exists kept ()")
    with superuser(settings.home) as admin:
        admin.execute(damage)

    databases = prepare(settings)

    with connect(databases.warehouse_url) as owner, connect(databases.dagster_url):
        assert owner.execute("select to_regclass('kept')::text").fetchone() == ("kept",)
        grants = "select datacl::text from pg_database where datname = 'shs'"
        assert owner.execute(grants).fetchone() == ("{shs_owner=CTc/shs_owner}",)


RESERVED = (
    "pg_advisory_lock(bigint)", "pg_try_advisory_xact_lock_shared(integer,integer)", "lo_create(oid)",
    "pg_notify(text,text)", "pg_export_snapshot()",
)  # fmt: skip


@pytest.mark.parametrize("name", ["shs", "shs_dagster", "template1", "made later"])
def test_only_the_owner_can_hold_up_others_or_fill_the_disk(
    settings: Settings, database: str, name: str
) -> None:
    prepare(settings)

    with superuser(settings.home, urlsplit(database).path[1:] if name == "made later" else name) as admin:
        for function in RESERVED:
            for who, may in (("public", False), ("shs_owner", True)):
                rights = admin.execute("select has_function_privilege(%s, %s, 'execute')", [who, function])
                assert rights.fetchone() == (may,), (who, function)
        untouched = admin.execute("select has_function_privilege('public', 'now()', 'execute')").fetchone()
        assert untouched == (True,)


@pytest.mark.parametrize("name", ["shs", "shs_dagster", "template1", "made later"])
def test_only_the_owner_defines_anything(settings: Settings, database: str, name: str) -> None:
    databases = prepare(settings)
    place = urlsplit(database).path[1:] if name == "made later" else name
    url = databases.warehouse_url.get_secret_value().rpartition("/")[0]

    with superuser(settings.home, place) as admin:
        admin.execute("create role nobody_s; grant create on schema public to nobody_s")
        admin.execute("set role nobody_s")
        for command in ("create table public.t ()", "create rule r as on insert to pg_class do nothing"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only the owner of this"):
                admin.execute(command)
        admin.execute("reset role; revoke create on schema public from nobody_s; drop role nobody_s")
    if name != "template1":
        with psycopg.connect(f"{url}/{place}", autocommit=True) as owner:
            owner.execute("create table of_the_owner (n int)")
            for command in ("drop event trigger", "alter event trigger"):
                end = " disable" if command.startswith("alter") else ""
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    owner.execute(f"{command} only_the_owner_defines{end}".encode())
            owner.execute("drop table of_the_owner")


@pytest.mark.parametrize(
    "damage",
    ["drop event trigger only_the_owner_defines", "alter event trigger only_the_owner_defines disable"],
)
def test_a_server_without_the_guard_of_definitions_gets_it(settings: Settings, damage: str) -> None:
    prepare(settings)
    with superuser(settings.home, "shs") as admin:
        admin.execute(damage.encode())

    prepare(settings)

    with superuser(settings.home, "shs") as admin:
        assert admin.execute(f"select {IS_GUARDED}".encode()).fetchone() == (True,)


def test_the_guard_of_definitions_is_the_same_wherever_it_is_written() -> None:
    root = Path(__file__).parents[2]
    for path in ("docs/access.md", "deploy/compose/warehouse.sql"):
        assert GUARD in (root / path).read_text(), path


def test_a_server_of_an_older_version_is_brought_in_line(settings: Settings) -> None:
    prepare(settings)
    open_to_all = "select has_function_privilege('public', 'pg_advisory_lock(bigint)', 'execute')"
    for name in ("template1", "shs_dagster", "shs"):
        with superuser(settings.home, name) as admin:
            admin.execute("grant execute on function pg_advisory_lock(bigint), lo_create(oid) to public")
            admin.execute("revoke execute on function pg_advisory_lock(bigint) from shs_owner")

    databases = prepare(settings)

    for name in ("template1", "shs_dagster", "shs"):
        with superuser(settings.home, name) as admin:
            assert admin.execute(open_to_all).fetchone() == (False,), name
    with connect(databases.warehouse_url) as owner:
        owner.execute("select pg_advisory_xact_lock(1)")


def test_no_password_is_printed(settings: Settings) -> None:
    databases = prepare(settings)
    password = urlsplit(databases.warehouse_url.get_secret_value()).password

    assert password
    assert password not in f"{databases!r} {databases} {place(databases.warehouse_url)}"


def test_a_server_of_ones_own_gets_the_dagster_database_beside_it(settings: Settings, database: str) -> None:
    own = settings.model_copy(update={"database_url": SecretStr(database)})

    for _ in range(2):
        databases = prepare(own)

    with connect(databases.dagster_url) as dagster:
        assert dagster.info.dbname == f"{urlsplit(database).path[1:]}_dagster"
        name = dagster.info.dbname
    assert databases.warehouse_url.get_secret_value() == database
    with connect(prepare(settings).warehouse_url) as owner:
        owner.autocommit = True
        owner.execute(f"drop database {name}")


def test_without_the_right_to_create_it_the_statement_to_run_is_named(
    settings: Settings, database: str
) -> None:
    name = urlsplit(database).path[1:]
    with superuser(settings.home) as admin:
        admin.execute("drop role if exists modest")
        admin.execute("create role modest login password 'of-the-test'")
        admin.execute(f"alter database {name} owner to modest")
    host = urlsplit(database).netloc.rpartition("@")[2]
    url = SecretStr(f"postgresql://modest:of-the-test@{host}/{name}")
    try:
        with pytest.raises(ShsError) as caught:
            prepare(settings.model_copy(update={"database_url": url}))
    finally:
        with superuser(settings.home) as admin:
            admin.execute(f"alter database {name} owner to shs_owner")

    assert f'create database "{name}_dagster" owner "modest";' in caught.value.remedy


def test_a_wrong_password_fails_at_once_without_showing_it(database: str) -> None:
    password = urlsplit(database).password or ""
    error = refused(database.replace(password, "hush-hush"))

    assert "rejected the password of shs_owner" in error.problem
    assert "hush-hush" not in str(error)
    assert "SHS_DATABASE_URL" in error.remedy


def test_a_missing_database_fails_at_once(database: str) -> None:
    error = refused(f"{database}_nowhere")

    assert "no such database" in error.problem


def test_an_unreadable_url_does_not_show_its_pieces() -> None:
    error = refused("postgresql://shs_owner:hu%sh@127.0.0.1/shs")

    assert "hu%sh" not in str(error)
    assert "%-codes" in error.remedy


def test_a_server_that_is_away_is_named_after_the_wait() -> None:
    with pytest.raises(ShsError, match=r"shs on 127\.0\.0\.1:9 did not answer") as caught:
        connect("postgresql://shs_owner:hush@127.0.0.1:9/shs", wait_seconds=0.3)

    assert "hush" not in str(caught.value)


def test_a_server_that_comes_back_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(home=tmp_path / "home", database_url=None)
    url = prepare(settings).warehouse_url
    server = EmbeddedPostgres(settings.home)
    server.stop()
    back = threading.Timer(0.6, server.ensure_running)
    back.start()
    try:
        with connect(url, wait_seconds=60) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert any("does not answer; waiting" in line for line in caplog.messages)
        password = urlsplit(url.get_secret_value()).password or "?"
        assert password not in caplog.text
    finally:
        back.join()
        server.stop()


def test_a_session_that_the_server_ended_is_a_lost_connection(database: str) -> None:
    with connect(database) as killer, connect(database) as victim:
        killer.execute("select pg_terminate_backend(%s)", [victim.info.backend_pid])
        with pytest.raises(psycopg.Error) as first:
            victim.execute("select 1")
        with pytest.raises(psycopg.Error) as second:
            victim.execute("select 1")
        killer.rollback()

    assert is_connection_lost(first.value)
    assert is_connection_lost(second.value)


@pytest.mark.parametrize(
    "statement", ["selec 1", "select 1/0", "create role other superuser", "select pg_sleep(9)"]
)
def test_an_error_of_the_statement_is_no_lost_connection(database: str, statement: str) -> None:
    with connect(database) as connection:
        connection.execute("set statement_timeout = '50ms'")
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(statement)
        connection.rollback()

    assert not is_connection_lost(caught.value)
    assert not is_connection_lost(errors.DiskFull("full"))
    assert not is_connection_lost(ValueError("x"))


def test_dagster_gets_the_address_in_pieces_and_the_same_settings(settings: Settings) -> None:
    databases = prepare(settings)

    environment = dagster_environment(settings, databases)

    parts = urlsplit(databases.dagster_url.get_secret_value())
    assert environment["SHS_DAGSTER_PASSWORD"] == parts.password
    assert environment["SHS_DAGSTER_PORT"] == str(parts.port)
    assert environment["SHS_DAGSTER_DATABASE"] == "shs_dagster"
    assert environment["DAGSTER_HOME"] == str(settings.home / "dagster")
    assert environment["SHS_HOME"] == str(settings.home)
    assert environment["SHS_LANDING"] == settings.landing
    assert "SHS_DATABASE_URL" not in environment


def test_an_encrypted_connection_stays_encrypted_for_dagster(settings: Settings) -> None:
    url = SecretStr(
        "postgresql://u%40x:p%2Fw@db.example.com/shs_dagster?sslmode=verify-full&sslrootcert=/ca.pem"
    )
    databases = type(prepare(settings))(url, url)

    environment = dagster_environment(settings, databases)

    assert (environment["SHS_DAGSTER_USER"], environment["SHS_DAGSTER_PASSWORD"]) == ("u@x", "p/w")
    assert environment["SHS_DAGSTER_PORT"] == "5432"
    assert (environment["PGSSLMODE"], environment["PGSSLROOTCERT"]) == ("verify-full", "/ca.pem")


def test_each_home_has_its_own_copy_of_the_dagster_configuration(tmp_path: Path) -> None:
    original = project_root() / "dagster.yaml"
    home = write_dagster_home(Settings(home=tmp_path, database_url=None), original)

    assert home == tmp_path / "dagster"
    assert (home / "dagster.yaml").read_text() == original.read_text()
