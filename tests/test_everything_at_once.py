"""A world with all kinds of files at once, from the landing zone to the dashboards, by real commands."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import psycopg
import pytest
from typer.testing import CliRunner

from shs_pipeline.base.errors import ShsError
from shs_pipeline.cli.main import build_app
from shs_pipeline.dashboards.reading import dashboards_for
from shs_pipeline.files.contract import columns_of
from shs_pipeline.files.reading import Everything, SourceFile
from shs_pipeline.files.source import read_file
from shs_pipeline.landing.places import errors_path
from shs_pipeline.landing.zone import place_of
from shs_pipeline.people.access import drop_logins
from shs_pipeline.preview.viewer import ask, find_viewer
from shs_pipeline.settings.secret_store import FileSecrets
from shs_pipeline.sources.registry import source_named
from tests.conftest import FILES
from tests.helpers.dirty_world import (
    LINES,
    LONG_NAME,
    NFC_NAME,
    NFD_NAME,
    UNDER_WAY,
    World,
    make_world,
    sample,
)
from tests.samples.test_samples import SALES

if TYPE_CHECKING:
    from click.testing import Result

    from shs_pipeline.samples.plan import SampleFile
    from tests.conftest import Zone

# Each of its kinds is proven alone, where it belongs.
pytestmark = pytest.mark.soak
EXIT_REJECTED = 3
REP = "Dana Whitfield"
SHS = str(Path(sys.executable).with_name("shs"))


@dataclass
class System:
    zone: Zone
    world: World
    environment: dict[str, str]
    secrets: FileSecrets

    def shs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [SHS, *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done


@pytest.fixture(scope="module")
def system(module_zone: Zone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    home = tmp_path_factory.mktemp("everything")
    secrets = FileSecrets(home / "secrets.json")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHS_", "AWS_"))}
    environment = {
        **kept,
        "SHS_HOME": str(home / "home"),
        "SHS_LANDING": module_zone.url,
        "SHS_DATABASE_URL": module_zone.database_url,
        "SHS_SECRETS": str(home / "secrets.json"),
        "COLUMNS": "200",
    }
    yield System(module_zone, make_world(module_zone.folder), environment, secrets)
    with psycopg.connect(module_zone.database_url, autocommit=True) as owner:
        drop_logins(owner, secrets)


def loaded_lines(zone: Zone, source: str, path: str) -> list[tuple[Any, ...]]:
    """The lines of one file in raw, without their place, in the order of the file."""
    names = ", ".join(f"lines.{name}" for name in columns(source))
    return zone.query(
        f"select {names} from raw.{source} as lines inner join ops.files using (file_id)"
        " where path = %s and status = 'loaded' order by source_sheet, source_row",
        path,
    )


def columns(source: str) -> dict[str, str]:
    """Heading of each raw column, by its name."""
    return {column.name: column.header for column in columns_of(source_named(source).rows)}


def clean_lines(path: str, sample: SampleFile) -> list[tuple[Any, ...]]:
    """What the clean twin of a file holds."""
    place = place_of(path)
    assert place.name is not None
    file = SourceFile(
        sample.path.rpartition("/")[2], sample.content, place.revenue_month,
        {"service_to_product": Everything()}, place.commission_month, place.is_early_ok,
    )  # fmt: skip
    outcome = read_file(source_named(place.name), file, 1 << 20)
    assert isinstance(outcome.lines, pd.DataFrame), outcome.problems
    return list(outcome.lines[list(columns(place.name))].itertuples(index=False, name=None))


def sales_of(sample: SampleFile, source: str) -> Decimal:
    return sum((Decimal(str(line[SALES[source]])) for line in sample.lines), Decimal(0))


def rejected_in_mart(system: System) -> set[str]:
    return {path for (path,) in system.zone.query("select distinct path from marts.rejected_files")}


def status(system: System) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(system.shs("status", "--json").stdout)
    return found


def test_one_run_loads_the_good_refuses_the_bad_and_publishes(system: System) -> None:
    zone, world = system.zone, system.world

    run = system.shs("run")

    assert run.returncode == EXIT_REJECTED, run.stdout + run.stderr
    loaded = {path for path, state in zone.statuses() if state == "loaded" and "incoming/" in path}
    assert loaded == set(world.clean)
    for path, clean in world.clean.items():
        source = path.split("/")[1]
        found = loaded_lines(zone, source, path)
        assert found == clean_lines(path, clean), path
        name = next(name for name, header in columns(source).items() if header == SALES[source])
        place = list(columns(source)).index(name)
        assert (len(found), sum(line[place] for line in found)) == (
            len(clean.lines), sales_of(clean, source),
        )  # fmt: skip
    _each_bad_file_has_its_own_sentence(system)
    _the_marts_hold_what_raw_holds(system)
    _the_dashboards_count_the_same(system)


def _each_bad_file_has_its_own_sentence(system: System) -> None:
    zone, bad = system.zone, system.world.bad
    assert {path for path, state in zone.statuses() if state == "rejected"} == set(bad)
    errors = system.shs("errors", "--csv")
    said: dict[str, str] = {}
    for row in csv.DictReader(io.StringIO(errors.stdout)):
        said[row["file"]] = f"{said.get(row['file'], '')} {row['what is wrong']} {row['how to fix it']}"
    for path, words in bad.items():
        assert [word for word in words if word not in said[path]] == [], said[path]
        assert (zone.folder / errors_path(path)).is_file(), path
    assert [path for path, _ in zone.statuses() if path.startswith(UNDER_WAY.rpartition(".")[0])] == []


def _the_marts_hold_what_raw_holds(system: System) -> None:
    sums = dict(
        system.zone.query(
            "select source, sum(sales_actual) - sum(sales_rounding) from marts.upload_detail group by source"
        )
    )
    truth: dict[str, Decimal] = {}
    for path, clean in system.world.clean.items():
        source = path.split("/")[1]
        truth[source] = truth.get(source, Decimal(0)) + sales_of(clean, source)
    lines = sum(len(clean.lines) for clean in system.world.clean.values())
    assert sums == truth
    assert system.zone.query("select count(*), sum(sales_actual) from marts.harmonised_sales") == [
        (lines, system.zone.query("select sum(sales_actual) from marts.upload_detail")[0][0])
    ]


def _the_dashboards_count_the_same(system: System) -> None:
    bad = set(system.world.bad)
    assert rejected_in_mart(system) == {row["path"] for row in status(system)["rejected"]} == bad
    with psycopg.connect(system.zone.database_url, autocommit=True) as owner:
        admin = find_viewer(owner, system.secrets, system.zone.database_url, None)
        rep = find_viewer(owner, system.secrets, system.zone.database_url, REP)
    (dashboard,) = (each for each in dashboards_for("admin") if each.key == "admin")
    card = next(card for card in dashboard.cards if card.key != "as_of")
    with admin.reading() as connection:
        answer = ask(connection, card, {})
        everybody = connection.execute("select count(distinct rep_name) from marts.harmonised_sales")
        assert everybody.fetchone() > (3,)
    # A file with errors of several kinds has a row for each kind.
    assert (answer.fault, {row[0] for row in answer.rows}) == (None, bad)
    with rep.reading() as connection:
        for mart in ("harmonised_sales", "commission_payouts", "payout_explanations"):
            names = connection.execute(f"select distinct rep_name from marts.{mart}".encode()).fetchall()
            assert names == [(REP,)], mart
    with rep.reading() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("select path from marts.rejected_files")


def told(result: Result) -> str:
    """Where a command failed that should not have."""
    return "".join(traceback.format_exception(result.exception)) if result.exception else ""


def test_check_says_of_each_what_the_run_says(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in system.environment.items():
        if name.startswith("SHS_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr("shs_pipeline.cli.check.file_reader", lambda _: nullcontext(FILES))
    for path, words in system.world.bad.items():
        place = system.zone.folder / path.replace("\\x07", "\x07")
        result = CliRunner().invoke(build_app(), ["check", str(place)])
        if place.is_symlink():  # nothing is there that could be read
            assert isinstance(result.exception, ShsError), path
        elif "Copy of" in path:  # what else is loaded is known to a run alone
            assert result.exit_code == 0, result.output
        else:
            assert result.exit_code == EXIT_REJECTED, (path, result.output, told(result))
            assert [word for word in words if word not in result.output] == [], result.output


def test_what_is_fixed_is_loaded_and_its_error_workbook_goes(system: System) -> None:
    zone, world = system.zone, system.world
    assert (zone.folder / "rejected").is_dir()
    for path in world.bad:
        (zone.folder / path.replace("\\x07", "\x07")).unlink()
    long_named = f"incoming/novo/2025-01/{LONG_NAME}"
    world.put(long_named, sample("novo", "2025-01", seed=7).content)
    objectives = "reference/business_objectives.xlsx"
    world.put(objectives, world.reference[objectives])
    arrived = UNDER_WAY.removesuffix(".crdownload")
    (zone.folder / UNDER_WAY).unlink()
    world.put(arrived, sample("novo", "2025-02", seed=9).content)
    # The corrected file comes from a PC, which stores the same name in another way.
    folder = "incoming/ternio/2025-03"
    (zone.folder / folder / NFD_NAME).unlink()
    corrected = sample("ternio", "2025-03", seed=4)
    world.put(f"{folder}/{NFC_NAME}", corrected.content)

    run, again = system.shs("run"), system.shs("run")

    assert run.returncode == 0, run.stdout + run.stderr
    assert [path for path in (zone.folder / "rejected").rglob("*") if path.is_file()] == []
    loaded = {path for path, state in zone.statuses() if state == "loaded"}
    assert {long_named, objectives, arrived, f"{folder}/{NFC_NAME}"} <= loaded
    place = f"{folder}/{NFC_NAME}"
    assert loaded_lines(zone, "ternio", place) == clean_lines(place, corrected)
    assert rejected_in_mart(system) == set()
    assert status(system)["rejected"] == []
    files = {**world.clean, place: corrected}
    lines = sum(len(file.lines) for file in files.values()) + 2 * LINES
    assert zone.query("select count(*) from marts.harmonised_sales") == [(lines,)]
    assert (again.returncode, "Nothing changed" in again.stdout) == (0, True), again.stdout
    assert "up to date" in again.stdout
