"""A reader's open transaction does not keep the marts of a new version from everybody."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from shs_pipeline.marts import blockers
from shs_pipeline.marts import build as marts_module
from shs_pipeline.marts.build import build_marts
from shs_pipeline.marts.build_failures import BuildError
from shs_pipeline.marts.dbt_build import run_dbt
from shs_pipeline.people.access import drop_logins, sync_logins
from shs_pipeline.people.logins import find_login
from shs_pipeline.people.passwords import login_url
from shs_pipeline.settings.secret_store import FileSecrets

if TYPE_CHECKING:
    from tests.conftest import Zone

REP, ADMIN = "Dana Whitfield", "Harriet Lindqvist"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blockers, "PATIENCE_SECONDS", 0.2)


@pytest.mark.slow
def test_readers_who_hold_a_mart_are_put_out_by_a_publication_of_other_models(
    published: Zone, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    passwords = FileSecrets(tmp_path / "secrets.json")
    with psycopg.connect(published.database_url, autocommit=True) as owner, ExitStack() as sessions:
        sync_logins(owner, passwords)
        owner.execute("update marts.publications set definition_hash = 'of an older version'")
        readers = {}
        for name in (REP, ADMIN):
            login = find_login(owner, name)
            password = passwords.get(login.secret_name or "") or ""
            url = login_url(published.database_url, login.role_name, password)
            readers[login.role_name] = reader = sessions.enter_context(psycopg.connect(url))
            reader.execute("set idle_in_transaction_session_timeout = 0; set statement_timeout = 0")
            reader.commit()
            reader.execute("lock table marts.harmonised_sales in access share mode")
            reader.execute("select count(*) from marts.harmonised_sales")

        with caplog.at_level(logging.WARNING):
            report = build_marts(published.database_url, "after the upgrade")

        assert report.is_full_refresh
        for role, reader in readers.items():
            with pytest.raises(psycopg.OperationalError):
                reader.execute("select 1")
            assert f"Ended a session of {role}: its open transaction" in caplog.text
        drop_logins(owner, passwords)


def test_who_only_bears_the_name_of_the_models_puts_nobody_out(published: Zone, tmp_path: Path) -> None:
    passwords = FileSecrets(tmp_path / "secrets.json")
    found = blockers.Blockers()
    with psycopg.connect(published.database_url, autocommit=True) as owner:
        sync_logins(owner, passwords)
        login = find_login(owner, REP)
        url = login_url(published.database_url, login.role_name, passwords.get(login.secret_name or "") or "")
        url += "?options=-c%20default_transaction_read_only%3Doff"
        alter = "alter role current_user set work_mem = '17MB'"
        with psycopg.connect(url) as holder, psycopg.connect(url, application_name="the models") as waiter:
            holder.execute(alter)
            thread = threading.Thread(target=waiter.execute, args=[alter])
            thread.start()
            is_waiting = "select count(*) from pg_locks where pid = %s and not granted"
            while owner.execute(is_waiting, [waiter.info.backend_pid]).fetchone() == (0,):
                pass
            owner.execute("select pg_sleep(0.3)")  # longer than anybody's patience here

            blockers._look(owner, "the models", found)

            assert holder.execute("select 1").fetchone() == (1,)
            holder.rollback()
            thread.join()
            waiter.rollback()
        drop_logins(owner, passwords)
    assert found == blockers.Blockers()


@pytest.mark.slow
def test_who_cannot_be_put_out_is_named(published: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    # The build waits, and an owner's session is nobody's to end.
    really_run = run_dbt

    def impatient(arguments: Any, url: str, variables: Any, session: str) -> Any:
        return really_run(arguments, url, {**variables, "wait_for_readers": "1s"}, session)

    monkeypatch.setattr(marts_module, "run_dbt", impatient)
    with psycopg.connect(published.database_url, application_name="a report of ours") as holder:
        holder.execute("update marts.publications set definition_hash = 'of an older version'")
        holder.commit()
        holder.execute("select from marts.harmonised_sales")

        with pytest.raises(BuildError, match=r"a report of ours \(user shs_owner, session \d+") as caught:
            build_marts(published.database_url, "after the upgrade")

        holder.rollback()
    assert "End that session" in caught.value.remedy
