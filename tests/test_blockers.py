"""A reader's open transaction does not keep the marts of a new version from everybody."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from shs_pipeline import blockers
from shs_pipeline.access import drop_logins, find_login, login_url, sync_logins
from shs_pipeline.marts import BuildError, build_marts
from shs_pipeline.secret_store import FileSecrets

if TYPE_CHECKING:
    from tests.conftest import Zone

REP, ADMIN = "Dana Whitfield", "Harriet Lindqvist"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blockers, "PATIENCE_SECONDS", 0.2)


@pytest.mark.slow
@pytest.mark.parametrize("name", [REP, ADMIN])
def test_a_reader_who_holds_a_mart_is_put_out_by_a_publication_of_other_models(
    published: Zone, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    passwords = FileSecrets(tmp_path / "secrets.json")
    with psycopg.connect(published.database_url, autocommit=True) as owner:
        sync_logins(owner, passwords)
        login = find_login(owner, name)
        owner.execute("update marts.publications set definition_hash = 'of an older version'")
        url = login_url(published.database_url, login.role_name, passwords.get(login.secret_name or "") or "")
        with psycopg.connect(url) as reader:
            reader.execute("set idle_in_transaction_session_timeout = 0; set statement_timeout = 0")
            reader.commit()
            reader.execute("lock table marts.harmonised_sales in access share mode")
            reader.execute("select count(*) from marts.harmonised_sales")

            with caplog.at_level(logging.WARNING):
                report = build_marts(published.database_url, "after the upgrade")

            with pytest.raises(psycopg.OperationalError):
                reader.execute("select 1")
        assert report.is_full_refresh
        assert f"Ended a session of {login.role_name}: its open transaction" in caplog.text
        drop_logins(owner, passwords)


@pytest.mark.slow
def test_who_cannot_be_put_out_is_named(published: Zone) -> None:
    # The build waits for 30 s, and an owner's session is nobody's to end.
    with psycopg.connect(published.database_url, application_name="a report of ours") as holder:
        holder.execute("update marts.publications set definition_hash = 'of an older version'")
        holder.commit()
        holder.execute("select from marts.harmonised_sales")

        with pytest.raises(BuildError, match=r"a report of ours \(user shs_owner, session \d+") as caught:
            build_marts(published.database_url, "after the upgrade")

        holder.rollback()
    assert "End that session" in caught.value.remedy
