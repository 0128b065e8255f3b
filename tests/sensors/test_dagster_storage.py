"""Dagster's books over kept connections, as dagster.yaml names them, on a real server."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import yaml
from dagster import DagsterInstance
from dagster_postgres import PostgresEventLogStorage

from tests.helpers.dagster_variables import dagster_variables

ROOT = Path(__file__).parents[2]


@pytest.fixture
def books(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of Dagster whose storage is that of the project's dagster.yaml."""
    for name, value in dagster_variables(database, tmp_path / "storage").items():
        monkeypatch.setenv(name, value)
    storage = yaml.safe_load((ROOT / "dagster.yaml").read_text())["storage"]
    (tmp_path / "dagster.yaml").write_text(yaml.dump({"storage": storage, "telemetry": {"enabled": False}}))
    return tmp_path


def sessions(database: str) -> list[int]:
    """The server's processes for Dagster's connections."""
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select pid from pg_stat_activity where datname = current_database()"
            " and backend_type = 'client backend' and pid <> pg_backend_pid() order by 1"
        ).fetchall()
    return [pid for (pid,) in rows]


def sessions_once(database: str, count: int) -> list[int]:
    """As `sessions`, once there are so many: the server takes a moment to end those that were closed."""
    deadline = time.monotonic() + 30
    while len(found := sessions(database)) != count:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def write(instance: DagsterInstance, run_id: str, count: int = 1) -> None:
    for number in range(count):
        instance.report_engine_event(f"event {number}", job_name="probe", run_id=run_id)


def make_run(instance: DagsterInstance) -> str:
    return instance.create_run_for_job(dg.GraphDefinition("probe").to_job()).run_id


def events(instance: DagsterInstance, run_id: str) -> list[str]:
    return [str(entry.dagster_event.message) for entry in instance.all_logs(run_id) if entry.dagster_event]


def test_many_events_go_over_one_connection(books: Path, database: str) -> None:
    with DagsterInstance.from_config(str(books)) as instance:
        run_id = make_run(instance)
        before = sessions_once(database, 1)

        write(instance, run_id, 20)

        assert sessions(database) == before
        assert len(events(instance, run_id)) == 20


def test_a_connection_that_the_server_ended_is_replaced_without_an_error(books: Path, database: str) -> None:
    with DagsterInstance.from_config(str(books)) as instance:
        run_id = make_run(instance)
        (old,) = sessions_once(database, 1)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("select pg_terminate_backend(%s, 5000)", [old])

        write(instance, run_id)

        assert events(instance, run_id) == ["event 0"]
        assert sessions(database) not in ([], [old])


def test_the_webserver_reads_on_after_the_database_ended_all_its_connections(
    books: Path, database: str
) -> None:
    with DagsterInstance.from_config(str(books)) as instance:
        run_id = make_run(instance)
        write(instance, run_id)
        # As the webserver does with its instance.
        instance.optimize_for_webserver(statement_timeout=15000, pool_recycle=3600, max_overflow=20)
        for _ in range(2):
            assert instance.get_run_by_id(run_id) is not None
            assert events(instance, run_id) == ["event 0"]
            assert list(instance.all_instigator_state()) == []
            kept = sessions(database)
            with psycopg.connect(database, autocommit=True) as connection:
                end = "select pg_terminate_backend(pid, 5000) from unnest(%s) as p (pid)"
                connection.execute(end, [kept])

        assert events(instance, run_id) == ["event 0"]
        with instance.event_log_storage.index_connection() as connection:
            assert connection.exec_driver_sql("show statement_timeout").scalar() == "15s"


def test_an_instance_that_ends_leaves_no_connection(books: Path, database: str) -> None:
    with DagsterInstance.from_config(str(books)) as instance:
        write(instance, make_run(instance))
        assert sessions(database)

    assert sessions_once(database, 0) == []


def test_a_process_that_gets_the_instance_handed_over_writes_to_the_same_books(
    books: Path, database: str
) -> None:
    with DagsterInstance.from_config(str(books)) as instance:
        run_id = make_run(instance)
        # As a run and the code location get it.
        with DagsterInstance.from_ref(instance.get_ref()) as other:
            write(other, run_id)

        assert events(instance, run_id) == ["event 0"]


def test_whoever_reads_that_a_run_failed_finds_that_it_failed(
    books: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PostgresEventLogStorage.store_event
    seen: list[dg.DagsterRunStatus] = []

    with DagsterInstance.from_config(str(books)) as instance:
        run_id = make_run(instance)
        run = instance.get_run_by_id(run_id)
        assert run is not None

        def store_and_look(storage: PostgresEventLogStorage, event: dg.EventLogEntry) -> None:
            store(storage, event)
            if event.dagster_event is not None and event.dagster_event.is_run_failure:
                (record,) = instance.get_run_records()
                seen.append(record.dagster_run.status)

        monkeypatch.setattr(PostgresEventLogStorage, "store_event", store_and_look)
        instance.report_run_failed(run, "its process was killed")

        failed = instance.get_run_record_by_id(run_id)
    assert seen == [dg.DagsterRunStatus.FAILURE]
    assert failed is not None
    assert failed.end_time is not None


def test_a_password_is_in_no_text_of_it(books: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    password = secrets.token_hex(8)
    with DagsterInstance.from_config(str(books)) as instance:
        monkeypatch.setenv("SHS_DAGSTER_PASSWORD", password)
        assert password not in repr(instance.get_ref())
        assert password not in str(instance.info_dict())
