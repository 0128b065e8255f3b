"""The close in Dagster: the sensor carries out the workbook, and each pay period is a partition."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import psycopg
import pytest

from assets.closes import CLOSES_KEY
from assets.warehouse import Warehouse
from shs_pipeline.closing.checks import CLOSE_CHECKS, check_closes
from shs_pipeline.closing.closes import closes_since
from shs_pipeline.closing.workbook import PATH, Wish, put_wish
from shs_pipeline.definitions import build_defs
from shs_pipeline.people.access import drop_logins
from shs_pipeline.settings.secret_store import secret_store
from shs_pipeline.settings.settings import load_settings

if TYPE_CHECKING:
    from tests.conftest import Zone

JANUARY = date(2025, 1, 1)


@pytest.fixture
def zone(published: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Zone]:
    """The published company, as the settings name it; its database ends with what it let in."""
    monkeypatch.setenv("SHS_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("SHS_LANDING", published.url)
    monkeypatch.setenv("SHS_DATABASE_URL", published.database_url)
    yield published
    with psycopg.connect(published.database_url, autocommit=True) as owner:
        drop_logins(owner, secret_store(load_settings()))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@cache
def repository() -> dg.RepositoryDefinition:
    return build_defs().get_repository_def()


def tick(instance: dg.DagsterInstance, sensor: str, cursor: str | None = None) -> dg.SensorResult:
    """Let a sensor look, as `shs up` does."""
    context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"warehouse": Warehouse()})
    found = repository().get_sensor_def(sensor)(context)
    assert isinstance(found, dg.SensorResult), found
    return found


def execute(
    instance: dg.DagsterInstance, keys: list[dg.AssetKey], *, raises: bool = True, **options: object
) -> dg.ExecuteInProcessResult:
    job = dg.define_asset_job("probe", selection=dg.AssetSelection.assets(*keys))
    found = build_defs(jobs=[job]).resolve_job_def("probe")
    return found.execute_in_process(instance=instance, raise_on_error=raises, **options)


def wish(zone: Zone, wanted: Wish) -> None:
    """Drop the workbook, and let it be as old as one that is no longer being copied."""
    put_wish(zone.job(), wanted)
    os.utime(zone.folder / PATH, (time.time() - 60, time.time() - 60))


def told(instance: dg.DagsterInstance) -> list[tuple[str, str]]:
    """Partition and state of every materialisation, the oldest first."""
    records = reversed(instance.fetch_materializations(CLOSES_KEY, limit=20).records)
    return [
        (str(record.partition_key), str(record.asset_materialization.metadata["state"].value))
        for record in records
        if record.asset_materialization is not None
    ]


def checked(instance: dg.DagsterInstance) -> dict[str, bool]:
    """The last answer to each check."""
    store, answers = instance.event_log_storage, {}
    for name in CLOSE_CHECKS:
        (last,) = store.get_asset_check_execution_history(dg.AssetCheckKey(CLOSES_KEY, name), limit=1)
        assert last.event is not None
        assert last.event.dagster_event is not None
        answers[name] = last.event.dagster_event.asset_check_evaluation_data.passed
    return answers


def request(instance: dg.DagsterInstance) -> list[dg.AssetKey]:
    """What the sensor on the bucket asks for."""
    (found,) = tick(instance, "landing").run_requests or ()
    return list(found.asset_selection or ())


@pytest.mark.slow
def test_a_dropped_workbook_closes_the_month_and_opens_it_again_and_each_is_told_once(
    zone: Zone, instance: dg.DagsterInstance
) -> None:
    ((admin,),) = zone.query(
        "select rep_name from marts.people where permission = 'admin' and is_active order by 1 limit 1"
    )
    wish(zone, Wish(JANUARY, admin, date(2025, 2, 15), "Theo has no rate yet."))

    keys = request(instance)
    assert dg.AssetKey(["reference", "pay_periods"]) in keys
    assert execute(instance, keys).success

    ((payees, paid),) = zone.query("select count(*), sum(paid) from marts.payroll")
    assert payees > 1
    assert (zone.folder / "paid/2025-01/receipt.json").is_file()
    cursor = tick(instance, "books").cursor
    assert told(instance) == [("2025-01", "closed")]
    assert checked(instance) == dict.fromkeys(CLOSE_CHECKS, True)
    shown = instance.fetch_materializations(CLOSES_KEY, limit=1).records[0].asset_materialization
    assert shown is not None
    values = {name: value.value for name, value in shown.metadata.items()}
    assert (values["payees"], values["paid"], values["restated"]) == (payees, f"{paid:,.2f}", "0.00")
    assert (values["receipt"], values["approved_by"]) == ("paid/2025-01/receipt.json", admin)

    # A run of the partition by hand changes nothing, and one of an open month says so.
    before = zone.query("select count(*) from ledger.closes"), closes_of(zone)
    assert execute(instance, [CLOSES_KEY], partition_key="2025-01").success
    failed = execute(instance, [CLOSES_KEY], raises=False, partition_key="2025-02")
    assert not failed.success
    assert "2025-02 was never closed" in str(failed.failure_data_for_node("ledger__closes"))
    assert (zone.query("select count(*) from ledger.closes"), closes_of(zone)) == before

    # Bytes that were changed, and a mart that was, are found.
    payroll = zone.folder / "paid/2025-01/payroll.csv"
    handed_out = payroll.read_bytes()
    payroll.write_bytes(b"changed")
    with psycopg.connect(zone.database_url) as owner:
        owner.execute(
            "update marts.commission_payouts set payout = payout + 1 where (payee_id, product_line_id) in"
            " (select payee_id, product_line_id from marts.commission_payouts"
            " where commission_month = '2025-01-01' limit 1) and commission_month = '2025-01-01'"
        )
        outcomes = {found.name: found for found in check_closes(owner, zone.landing)}
        owner.rollback()
    assert [name for name, found in outcomes.items() if not found.has_passed] == [
        "what_is_settled_is_the_payout",
        "receipts_fit",
    ]
    assert "paid/2025-01/payroll.csv is not the file" in str(outcomes["receipts_fit"].rows)
    assert outcomes["what_is_settled_is_the_payout"].rows[1][2:] == ("2025-01", "-1.00")
    payroll.write_bytes(handed_out)

    wish(zone, Wish(JANUARY, None, None, "Too early.", is_closed=False))
    assert execute(instance, request(instance)).success
    tick(instance, "books", cursor)
    # The second one is the run by hand.
    assert told(instance) == [("2025-01", state) for state in ("closed", "closed", "opened again")]
    assert checked(instance) == dict.fromkeys(CLOSE_CHECKS, True)


def closes_of(zone: Zone) -> list[tuple[object, ...]]:
    with psycopg.connect(zone.database_url) as connection:
        return [(close.close_no, close.kind, close.folder) for close in closes_since(connection)]
