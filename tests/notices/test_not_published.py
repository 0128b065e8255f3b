"""The event for alarms: what is in the books has not been published for a day."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime

import psycopg
import pytest

from shs_pipeline.notices.outbox import record


def add_file(connection: psycopg.Connection, hours_ago: int, status: str = "loaded") -> None:
    connection.execute(
        "insert into ops.files (path, uri, bytes, etag, status, run_id, finished)"
        " values (gen_random_uuid()::text, '', 1, '', %s, 'run', now() - make_interval(hours => %s))",
        [status, hours_ago],
    )


def publish(connection: psycopg.Connection) -> None:
    """Leave the traces of a publication that are looked at."""
    connection.execute("create schema if not exists marts")
    connection.execute(
        "create table if not exists marts.publications (publication_id bigint, books_version bigint,"
        " published_at timestamptz default now())"
    )
    connection.execute(
        "insert into marts.publications select count(*) + 1, (select max(change_no) from ops.files)"
        " from marts.publications"
    )


@pytest.fixture
def books(empty_tables: str, monkeypatch: pytest.MonkeyPatch) -> psycopg.Connection:
    from shs_pipeline.notices import happenings

    # The rest of a look has its own tests, and needs real publications.
    monkeypatch.setattr(happenings, "published", lambda connection, mark, *_: ([], mark.publication_id))
    with psycopg.connect(empty_tables, autocommit=True) as connection:
        for table in ("ops.files",):
            connection.execute(f"truncate {table} cascade".encode())
        connection.execute("drop schema if exists marts cascade")
        yield connection
        connection.execute("truncate ops.files cascade")
        connection.execute("drop schema if exists marts cascade")


def told(connection: psycopg.Connection, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        record(connection, date(2025, 3, 1), 20)
    return [found.getMessage() for found in caplog.records if "not_published" in found.getMessage()]


@pytest.mark.parametrize("status", ["loaded", "rejected", "withdrawn"])
def test_what_waits_for_a_day_is_told_at_every_look_until_it_is_published(
    books: psycopg.Connection, caplog: pytest.LogCaptureFixture, status: str
) -> None:
    add_file(books, 30)
    publish(books)
    assert told(books, caplog) == []
    add_file(books, 26, status)
    add_file(books, 25)
    for _ in range(2):
        (line,) = told(books, caplog)
        since = datetime.strptime(line, "SHS-EVENT not_published since=%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
        assert 25.9 < (datetime.now(UTC) - since).total_seconds() / 3600 < 26.1
    publish(books)
    assert told(books, caplog) == []


def test_the_first_publication_may_be_missing_too(
    books: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    assert told(books, caplog) == []
    add_file(books, 23)
    assert told(books, caplog) == []
    add_file(books, 25)
    assert len(told(books, caplog)) == 1
