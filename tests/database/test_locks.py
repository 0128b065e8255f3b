"""Whoever waits for a lock says for whom, and does not wait for ever."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator

import psycopg
import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.locks import (
    BUILD,
    LOAD,
    Lock,
    advisory_lock,
    advisory_xact_lock,
    lock_patiently,
    session_name,
)
from shs_pipeline.marts.build import build_marts
from tests.conftest import Zone


@pytest.fixture
def holder(zone: Zone) -> Iterator[psycopg.Connection]:
    """A suspended run: it never ends what it began."""
    name = session_name("build", "shs run 2026-03-01T10:00:00Z")
    with psycopg.connect(zone.database_url, application_name=name) as connection:
        yield connection


FOLDER = advisory_lock("the folder cygnus/2025-03", "shs/folder/cygnus/2025-03")
PAIR = advisory_xact_lock("the loads of cygnus", ["shs/load/cygnus", "shs/bytes/1"])
EITHER = pytest.mark.parametrize(
    ("held", "wanted"), [(BUILD, LOAD), (LOAD, BUILD), (BUILD, BUILD), (FOLDER, FOLDER), (PAIR, PAIR)]
)


@EITHER
def test_a_wait_that_is_too_long_ends_with_a_sentence_that_names_the_holder(
    zone: Zone, holder: psycopg.Connection, held: Lock, wanted: Lock, caplog: pytest.LogCaptureFixture
) -> None:
    holder.execute(held.statement, held.values or None)
    with psycopg.connect(zone.database_url) as waiting, caplog.at_level(logging.WARNING):
        waiting.execute("create temporary table kept (n int)")

        with pytest.raises(ShsError) as caught:
            lock_patiently(waiting, wanted, limit_seconds=0.5, tell_seconds=0.2)

        assert waiting.execute("select count(*) from kept").fetchone() == (0,)
    named = f"shs build run 2026-03-01T10:00:00Z pid {os.getpid()} (session {holder.info.backend_pid}"
    for said in (caught.value.problem, caplog.messages[0]):
        assert wanted.what in said
        assert named in said
        assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", said)
    assert f"kill -9 {os.getpid()}" in caught.value.remedy
    assert f"pg_terminate_backend({holder.info.backend_pid})" in caught.value.remedy


def test_a_wait_that_is_short_says_nothing_and_a_longer_one_goes_on(
    zone: Zone, holder: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    holder.execute(BUILD.statement)
    with psycopg.connect(zone.database_url) as waiting, caplog.at_level(logging.WARNING):
        waiting.execute("select 1")
        told = threading.Event()
        handler = logging.Handler()
        handler.emit = lambda _: told.set()  # type: ignore[method-assign]
        logging.getLogger("shs_pipeline.database.locks").addHandler(handler)
        ending = threading.Thread(target=lambda: (told.wait(60), holder.rollback()))
        ending.start()
        try:
            lock_patiently(waiting, LOAD, limit_seconds=60, tell_seconds=0.1)
        finally:
            logging.getLogger("shs_pipeline.database.locks").removeHandler(handler)
            ending.join()

        assert [message.split()[0] for message in caplog.messages] == ["Waiting", "Continuing"]
        held = waiting.execute(
            "select mode from pg_locks where pid = pg_backend_pid() and relation = 'ops.folders'::regclass"
        ).fetchall()
        assert held == [("RowExclusiveLock",)]
        assert waiting.execute("show lock_timeout").fetchone() == ("0",)
        caplog.clear()
        lock_patiently(waiting, FOLDER)
        assert caplog.messages == []


def test_a_build_does_not_wait_for_ever_for_a_suspended_load(zone: Zone, holder: psycopg.Connection) -> None:
    holder.execute(LOAD.statement)

    with pytest.raises(
        ShsError, match=r"Gave up after waiting .* for the books, to build the marts: shs build run"
    ):
        build_marts(zone.database_url, "late", lock_seconds=0.3)


def test_the_name_of_a_session_keeps_its_process_however_long_the_run_is_called() -> None:
    name = session_name("models", "shs run " + "x" * 100 + "é'; drop")

    assert len(name.encode()) <= 63
    assert name.startswith("shs models run xxx")
    assert name.endswith(f" pid {os.getpid()}")
