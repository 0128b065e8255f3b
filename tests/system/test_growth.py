"""More than one machine: two installations and many runs at once on one database and one bucket."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from assets.ingested import reference_key, source_key
from sensors.run_host import ask
from shs_pipeline.landing.names import REFERENCE_NAMES
from shs_pipeline.marts.build import build_marts
from shs_pipeline.marts.due import pending_state
from shs_pipeline.people.access import drop_logins
from shs_pipeline.settings.secret_store import FileSecrets

if TYPE_CHECKING:
    from tests.conftest import Zone

pytestmark = pytest.mark.soak

SOURCES = ("cygnus", "logiquip")
MONTHS = ("2025-01", "2025-02", "2025-03")
# What the same files give, whatever ids and times they got.
_LINE = """source, product_line, rep_name, credit_status, commission_month, revenue_month, customer, item,
    invoice_number, sales_actual, rev_actual, commission_tier_1, commission_tier_2_diff, source_file,
    source_row"""
_PAYOUT = "rep_name, product_line, commission_month, sales_actual, cumulative_sales, tier, deferred, payout"
COLUMNS = {
    "harmonised_sales": _LINE,
    "commission_payouts": _PAYOUT,
    "sales_performance_monthly": "rep_name, product_line, month, sales_actual, attainment, payout",
    "company_performance_monthly": "product_line, month, sales_actual, rev_actual, payout, shs_margin",
}


@pytest.fixture
def installations(s3_zone: Zone, tmp_path: Path) -> Iterator[list[dict[str, str]]]:
    """The settings of two installations with a disk of their own each, and nothing shared on it."""
    database = s3_zone.database_url
    owner = urlsplit(database)
    name = f"{owner.path.strip('/')}_dagster"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
    shared = {
        "SHS_LANDING": s3_zone.url,
        "SHS_DATABASE_URL": database,
        # A place that all machines reach; in the cloud it is Secrets Manager.
        "SHS_SECRETS": str(tmp_path / "shared secrets.json"),
        "SHS_DAGSTER_USER": unquote(owner.username or ""),
        "SHS_DAGSTER_PASSWORD": unquote(owner.password or ""),
        "SHS_DAGSTER_HOST": str(owner.hostname),
        "SHS_DAGSTER_PORT": str(owner.port),
        "SHS_DAGSTER_DATABASE": name,
        **{key: value for key, value in os.environ.items() if key.startswith("AWS_")},
    }
    yield [
        {**shared, "SHS_HOME": str(tmp_path / one), "DAGSTER_HOME": str(tmp_path / one / "dagster")}
        for one in ("first", "second")
    ]
    with psycopg.connect(database, autocommit=True) as connection:
        drop_logins(connection, FileSecrets(tmp_path / "shared secrets.json"))
        connection.execute(f'drop database "{name}" with (force)'.encode())


def marts(database: str) -> dict[str, list[tuple[Any, ...]]]:
    with psycopg.connect(database) as connection:
        return {
            mart: sorted(
                connection.execute(f"select {columns} from marts.{mart}".encode()).fetchall(), key=repr
            )
            for mart, columns in COLUMNS.items()
        }


def behind() -> list[list[str]]:
    """The models and logins, as the sensor puts them behind a run."""
    from shs_pipeline.definitions import build_defs

    keys = build_defs().resolve_asset_graph().get_all_asset_keys()
    return [list(key.path) for key in keys if key.path[0] in ("staging", "intermediate", "marts", "access")]


def drop_all(zone: Zone) -> None:
    zone.drop_references()
    for source in SOURCES:
        for month in MONTHS:
            zone.drop_sample(source, month, lines=8, seed=int(month[-1]))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    """The socket of a process in whose forks the runs are carried out."""
    path = tmp_path / "socket"
    script = Path(__file__).parents[1] / "helpers" / "concurrent_runs.py"
    process = subprocess.Popen([sys.executable, str(script), str(path)], start_new_session=True)
    try:
        wait_for(lambda: path.exists() or process.poll() is not None)
        yield path
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(question: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 300
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def at_once(host: Path, *orders: tuple[dict[str, str], list[list[str]], list[str]]) -> list[int]:
    """Carry out runs at the same time; return how each ended."""
    names = {secrets.token_hex(8): json.dumps(order) for order in orders}
    for name, order in names.items():
        ask(host, {"do": "start", "run": name, "command": [order]})
    look = lambda name: ask(host, {"do": "look", "run": name})["exit"]  # noqa: E731
    wait_for(lambda: all(look(name) is not None for name in names))
    return [look(name) for name in names]


def test_many_runs_of_two_installations_at_once_give_what_one_run_after_the_other_gives(
    s3_zone: Zone, module_zone: Zone, installations: list[dict[str, str]], host: Path
) -> None:
    drop_all(module_zone)
    module_zone.run()
    build_marts(module_zone.database_url, "alone")
    drop_all(s3_zone)
    first, second = installations
    models = behind()
    assert at_once(host, (first, [list(reference_key(name).path) for name in REFERENCE_NAMES], [])) == [0]

    # Each source once on each installation: the same folders at the same time, and builds behind all.
    found = at_once(
        host,
        *(
            (machine, [list(source_key(source).path), *models], [MONTHS[0], MONTHS[-1]])
            for source in SOURCES
            for machine in (first, second)
        ),
    )

    assert found == [0] * 4
    # What they published among themselves is all there is to publish.
    assert s3_zone.job().query(lambda connection: pending_state(connection, 20)) is None
    assert marts(s3_zone.database_url) == marts(module_zone.database_url)
    assert s3_zone.query(
        "select count(*) from ops.files where status = 'loaded' and source = any(%s)", list(SOURCES)
    ) == [(len(SOURCES) * len(MONTHS),)]
    assert s3_zone.run() == []
