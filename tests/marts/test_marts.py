"""When the marts are built, of what, and what holds while they are."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import psycopg2
import pytest

from shs_pipeline.ingest.run import run_changed
from shs_pipeline.marts import build as marts_module
from shs_pipeline.marts import dbt_build
from shs_pipeline.marts.build import BuildReport, build_marts
from shs_pipeline.marts.due import pending_state
from tests.conftest import Zone

pytestmark = pytest.mark.slow
DUE_DAY = 20
ANOTHER_OWNER = """
with old as (
    update reference.versions set in_force_until = clock_timestamp()
    where table_name = 'territories' and in_force_until is null returning file_id
), new as (
    insert into ops.files (source, path, uri, sha256, bytes, etag, status, run_id)
    select 'territories', 'reference/other.xlsx', '', 'other', 1, '', 'loaded', 'test' returning file_id
), version as (
    insert into reference.versions (file_id, table_name) select file_id, 'territories' from new
)
insert into reference.territories
select (jsonb_populate_record(t, jsonb_build_object(
    'file_id', (select file_id from new),
    'sales_rep_name',
    case
        when t.source = 'cygnus' and lower(t.customer_field || ': ' || t.data_field_value) = lower(%s)
            then 'Nobody Known'
        else t.sales_rep_name
    end
))).*
from reference.territories as t where t.file_id = (select file_id from old)
"""


@pytest.fixture(scope="module")
def zone(built: Zone) -> Zone:
    """The published company; the tests change it one after the other."""
    return built


def build(zone: Zone, **options: object) -> BuildReport:
    return build_marts(zone.database_url, "test", **options)


@pytest.fixture
def owner(zone: Zone) -> Iterator[psycopg.Connection]:
    with psycopg.connect(zone.database_url, autocommit=True) as connection:
        yield connection


def marts(connection: psycopg.Connection) -> dict[str, list[tuple[str, ...]]]:
    """Every row of every mart but the list of publications, as text."""
    names = connection.execute(
        "select relname from pg_class where relnamespace = 'marts'::regnamespace and relkind in ('r', 'v')"
        " and relname not in ('publications', 'payout_changes')"
    ).fetchall()
    return {
        name: sorted(connection.execute(f"select m::text from marts.{name} as m").fetchall())
        for (name,) in names
    }


def test_nothing_is_built_when_nothing_changed(zone: Zone, owner: psycopg.Connection) -> None:
    before = owner.execute("select count(*) from marts.publications").fetchone()

    report = build(zone)

    assert report.was_current
    assert not report.nodes
    assert owner.execute("select count(*) from marts.publications").fetchone() == before


def test_a_file_and_a_reference_change_compute_only_their_months_anew_and_a_full_refresh_gives_the_same(
    zone: Zone, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone.drop_sample("cygnus", "2025-02", lines=5, seed=7, name="second.xlsx")
    zone.run()
    logins: list[dict[str, object]] = []
    really_connect = psycopg2.connect

    def noted(**how: object) -> object:
        logins.append(how)
        return really_connect(**how)

    monkeypatch.setattr(psycopg2, "connect", noted)
    monkeypatch.setattr(dbt_build, "THREADS", 4)  # as people have it

    added = build(zone)

    # Four threads, the main one, and those that look for schemas; not one for each of sixty models.
    assert 4 <= len(logins) <= 10
    assert (added.is_full_refresh, added.slices) == (False, 1)
    assert added.lines == 12 + 5

    # A new owner of one customer touches the months with lines of that customer, and no other.
    territory, months = zone.query(
        "select territory, count(distinct commission_month) from marts.harmonised_sales"
        " where source = 'cygnus' and credit_status = 'credited' group by territory order by 2, 1 limit 1"
    )[0]
    before = marts(owner)
    # As an accepted workbook in which this customer has another owner would leave it.
    owner.execute(ANOTHER_OWNER, [territory])
    moved = build(zone)
    assert (moved.is_full_refresh, moved.slices) == (False, months)
    assert zone.query(
        "select distinct credit_status, rep_named from marts.harmonised_sales"
        " where source = 'cygnus' and territory = %s",
        territory,
    ) == [("unknown_rep", "Nobody Known")]
    as_built = marts(owner)
    assert as_built["sales_history_ternio"] == before["sales_history_ternio"]

    # A changed model computes everything anew.
    owner.execute("update marts.publications set definition_hash = 'of older models'")
    assert build(zone).is_full_refresh
    assert marts(owner) == as_built


def test_the_upload_status_tells_loaded_rejected_and_missing_months(
    zone: Zone, owner: psycopg.Connection
) -> None:
    zone.drop("incoming/ternio/2025-02/broken.xlsx", b"no workbook")
    zone.drop("incoming/ternio/2025-04/broken.xlsx", b"no workbook either")
    # A source is waited for from its first loaded month on, as in shs status.
    zone.drop("incoming/ternio/2024-10/broken.xlsx", b"no workbook at all")
    zone.drop_sample("ternio", "2025-03", lines=8)
    zone.run()

    build(zone)

    states = dict(
        owner.execute(
            "select month, state from marts.upload_status where source = 'ternio' and month < '2025-06-01'"
        ).fetchall()
    )
    assert {f"{month:%m}": state for month, state in states.items()} == {
        "10": "rejected",
        "01": "loaded",
        "02": "newer rejected",
        "03": "loaded",
        "04": "rejected",
        "05": "missing",
    }
    detail = owner.execute(
        "select files, lines, rejected_files, sales_actual > 0 from marts.upload_detail"
        " where source = 'ternio' and month = '2025-02-01'"
    ).fetchone()
    assert detail == (1, 12, 1, True)


def test_no_load_ends_and_no_second_build_begins_while_one_runs(
    zone: Zone, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone.drop_sample("cygnus", "2025-05", lines=4, seed=3)
    begun, go_on = threading.Event(), threading.Event()
    really_run = marts_module.run_dbt

    def held(*arguments: object) -> object:
        begun.set()
        assert go_on.wait(60)
        return really_run(*arguments)

    monkeypatch.setattr(marts_module, "run_dbt", held)
    owner.execute("update marts.publications set books_version = 0")
    building = threading.Thread(target=build, args=(zone,))
    building.start()
    assert begun.wait(60)
    loading = threading.Thread(target=run_changed, args=(zone.job(),))
    loading.start()
    loading.join(2)

    waiting = loading.is_alive()
    seen = owner.execute("select count(*) from raw.cygnus where commission_month = '2025-05-01'").fetchone()
    go_on.set()
    building.join(60)
    loading.join(60)

    assert waiting
    assert seen == (0,)
    loaded = owner.execute("select count(*) from raw.cygnus where commission_month = '2025-05-01'").fetchone()
    assert loaded == (4,)
    assert pending_state(owner, DUE_DAY) is not None
