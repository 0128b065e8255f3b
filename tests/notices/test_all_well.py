"""`SHS_NOTICE_OK`: that all went well is told to the admins once a day, and never of a day with a failure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import LiteralString

import psycopg
import pytest
from typer.testing import CliRunner

from shs_pipeline.cli.main import build_app
from shs_pipeline.notices.outbox import record_all_well
from shs_pipeline.notices.sending import tell
from shs_pipeline.settings.settings import Settings
from tests.conftest import Zone

pytestmark = pytest.mark.slow
# The day is that of UTC, whatever the zone of the session; half of the world is at another one then.
_ZONE = "set local time zone 'Pacific/Kiritimati'"


@pytest.fixture
def books(built: Zone) -> Iterator[psycopg.Connection]:
    """The warehouse, in a transaction that is undone."""
    with psycopg.connect(built.database_url) as connection:
        connection.execute(_ZONE)
        yield connection
        connection.rollback()


def day_of(connection: psycopg.Connection) -> date:
    row = connection.execute("select max((finished at time zone 'UTC')::date) from ops.files").fetchone()
    assert row is not None
    return row[0]


def bodies(connection: psycopg.Connection) -> list[str]:
    return [body for (body,) in connection.execute("select body from ops.notices where key ~ '^all_well/'")]


def test_each_source_is_told_in_one_line_with_what_its_files_hold(books: psycopg.Connection) -> None:
    expected = {
        f"{source}: {files} files, {lines} lines, ${sales / 1000:,.0f}k"
        + (f"; {nobodys} line{'s' if nobodys > 1 else ''} uncredited" if nobodys else "")
        for source, files, lines, sales, nobodys in books.execute(
            "select source, count(distinct source_file), count(distinct line_id), sum(sales_actual),"
            " count(distinct line_id) filter (where credit_status <> 'credited')"
            " from marts.harmonised_sales group by source"
        )
    }

    assert record_all_well(books, day_of(books), "https://bi.example.com") == 1

    (body,) = bodies(books)
    said = body.splitlines()
    assert len(expected) > 5
    assert expected <= set(said)
    assert any("uncredited" in line for line in said)
    assert any(line.startswith("Reference workbooks: ") and "territories" in line for line in said)
    assert sum(":" in line for line in said) == len(expected) + len(("Reference workbooks", "Dashboards"))


def test_it_is_told_once_a_day_and_not_on_days_without_a_file(books: psycopg.Connection) -> None:
    day = day_of(books)

    told = [record_all_well(books, day + timedelta(days=days), "") for days in (-1, 0, 0, 1, 5, 30)]

    assert told == [0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "happened",
    [
        "update ops.files set status = 'rejected' where file_id = (select max(file_id) from ops.files)",
        "insert into ops.holds (problem, remedy) values ('Files are gone.', 'Look.')",
        "update ops.files set rows_loaded = rows_loaded where file_id = 1",  # and was published by nobody
        # It has been put right since, and was a failure of the day all the same.
        "insert into ops.notices (kind, key, subject, body) values ('rejected_file', 'rejected/9', '', '')",
        "insert into ops.notices (kind, key, subject, body) values ('failed_run', 'held/9', '', '')",
    ],
)
def test_a_day_on_which_something_went_wrong_is_not_told(
    books: psycopg.Connection, happened: LiteralString
) -> None:
    books.execute(happened)

    assert record_all_well(books, day_of(books), "") == 0


def test_a_failure_before_midnight_that_is_noticed_after_it_counts_for_its_own_day(
    books: psycopg.Connection,
) -> None:
    day = day_of(books)
    books.execute(
        "insert into ops.notices (kind, key, subject, body, created_at)"
        " values ('failed_run', %s, '', '', now() + interval '1 day')",
        [f"failed/{day}/abc"],
    )

    assert record_all_well(books, day, "") == 0


def test_a_run_tells_it_at_its_end_the_running_system_when_the_day_is_over_and_both_only_if_asked_to(
    published: Zone, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def told(setting: str, command: str) -> int:
        monkeypatch.setenv("SHS_NOTICE_OK", setting)
        result = CliRunner().invoke(build_app(), command.split())
        assert result.exit_code == 0, result.output
        return len(published.query("select from ops.notices where key like 'all_well/%%'"))

    monkeypatch.setattr("shs_pipeline.cli.marts.build", lambda *_, **__: None)
    for name, value in {
        "HOME": str(tmp_path_factory.mktemp("home")),
        "LANDING": published.url,
        "DATABASE_URL": published.database_url,
    }.items():
        monkeypatch.setenv(f"SHS_{name}", value)

    assert told("off", "run") == 0
    assert told("on", "run --source cygnus") == told("on", "notices send") == 0
    assert told("on", "run") == told("on", "run") == 1

    with psycopg.connect(published.database_url) as owner:
        owner.execute("delete from ops.notices where key like 'all_well/%%'")
        tomorrow = day_of(owner) + timedelta(days=1)
    settings = Settings(smtp_host="", notice_ok=True)
    assert (
        f"All went well on {tomorrow - timedelta(days=1)}"
        in tell(published.job(), settings, today=tomorrow).logged
    )
