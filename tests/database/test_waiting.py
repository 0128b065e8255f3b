"""Whoever waits for another run says for what and for whom, and gives up in the end."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database import locks

if TYPE_CHECKING:
    from tests.conftest import Zone


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "TELL_SECONDS", 0.1)


def held_by(zone: Zone, name: str) -> psycopg.Connection:
    connection = psycopg.connect(zone.database_url, application_name="shs: the run that hangs")
    connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [name])
    return connection


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("shs/folder/cygnus/2025-03", "the folder cygnus/2025-03"),
        ("shs/load/cygnus", "another load of cygnus"),
    ],
)
def test_a_run_that_waits_says_for_whom_and_goes_on_when_it_is_its_turn(
    zone: Zone, caplog: pytest.LogCaptureFixture, name: str, what: str
) -> None:
    zone.drop_sample(lines=2)
    holder = held_by(zone, name)
    running = threading.Thread(target=zone.run)
    with caplog.at_level(logging.WARNING):
        running.start()
        deadline = time.monotonic() + 30
        while "Waiting" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.05)
    holder.close()
    running.join()

    assert f"Waiting for {what}: shs: the run that hangs (session " in caplog.text
    assert len(zone.raw()) == 2


def test_a_run_that_waits_too_long_ends_with_a_sentence_that_names_the_holder(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "WAIT_SECONDS", 0.3)
    zone.drop_sample(lines=2)
    with held_by(zone, "shs/folder/cygnus/2025-03"), pytest.raises(ShsError) as caught:
        zone.run()

    assert "for the folder cygnus/2025-03: shs: the run that hangs" in caught.value.problem
    assert "pg_terminate_backend" in caught.value.remedy
    assert zone.raw() == []
    zone.run()
    assert len(zone.raw()) == 2


def test_a_run_is_seen_by_its_name(zone: Zone) -> None:
    (name,) = zone.job("shs run 2025-03-01").query(
        lambda connection: connection.execute("show application_name").fetchone()
    )

    assert name.startswith("shs load run 2025-03-01 pid ")
