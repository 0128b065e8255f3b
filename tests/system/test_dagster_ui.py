"""The system as an admin sees it: `shs up`, files dropped into the folder, Dagster's UI in a browser.

`SHS_SCREENSHOTS=docs/images` keeps the pictures.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

from shs_pipeline.landing.names import SOURCE_NAMES
from shs_pipeline.samples import broken
from shs_pipeline.samples.tree import make_sample, write_samples
from shs_pipeline.system.running import needs_you
from tests.helpers.browser import browser_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

# The whole system at once; its parts are proven one by one in tests/sensors, tests/assets and beside this.
pytestmark = [pytest.mark.slow, pytest.mark.soak]

MONTH = date(2025, 3, 1)
LINES = 6
"""Of each file."""
SHS = str(Path(sys.executable).with_name("shs"))


class System:
    """A running `shs up` with its own home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.landing = home / "landing"
        self.landing.mkdir(parents=True)
        self.environment = {**os.environ, "SHS_HOME": str(home), "SHS_SENSOR_SECONDS": "1"}
        for name in ("SHS_LANDING", "SHS_DATABASE_URL"):
            self.environment.pop(name, None)
        self.process = subprocess.Popen(
            [SHS, "up"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.url = json.loads(wait_for(self._record, 180, "the system to be up"))["url"]

    def check(self) -> None:
        """Fail with what `up` said if it has ended."""
        assert self.process.poll() is None, self.process.stdout.read() if self.process.stdout else ""

    def _record(self) -> str | None:
        self.check()
        record = self.home / "up.json"
        return record.read_text() if record.exists() and "url" in record.read_text() else None

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask Dagster's GraphQL."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)["data"]
        return found

    def runs(self) -> list[dict[str, Any]]:
        found = self.ask("{ runsOrError { ... on Runs { results { status assetSelection { path } } } } }")
        results: list[dict[str, Any]] = found["runsOrError"]["results"]
        return results

    def failed(self) -> list[list[str]]:
        """The assets of failed runs."""
        runs = [run for run in self.runs() if run["status"] == "FAILURE"]
        return [key["path"] for run in runs for key in run["assetSelection"]]

    @cached_property
    def database_url(self) -> str:
        """As the command tells it, asked once: it imports for longer than any question takes."""
        asked = [SHS, "url", "--show"]
        told = subprocess.run(asked, env=self.environment, capture_output=True, text=True, check=True)
        return told.stdout.strip()

    def lines(self, source: str) -> int:
        import psycopg

        self.check()
        with psycopg.connect(self.database_url) as connection:
            # Nothing is there before the first look at the bucket.
            if connection.execute("select to_regclass('ops.files')").fetchone() == (None,):
                return 0
            row = connection.execute(
                "select coalesce(sum(rows_loaded), 0) from ops.files where source = %s and status = 'loaded'",
                [source],
            ).fetchone()
        return int(row[0]) if row else 0

    def publications(self) -> int:
        """How often the marts were published."""
        return len(self.query("select publication_id from marts.publications"))

    def is_behind(self) -> bool:
        """Whether files were loaded that people do not read yet."""
        asked = "select max(finished) > (select max(books_at) from marts.publications) from ops.files"
        return bool(self.query(asked)[0][0])

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self.database_url) as connection:
            try:
                return connection.execute(statement).fetchall()
            except psycopg.errors.UndefinedTable:
                return []  # nothing is there before the first look at the bucket

    def partitions(self, source: str) -> list[str]:
        """The months of a source that Dagster knows as materialized."""
        asked = (
            "query ($k: AssetKeyInput!) { assetNodeOrError(assetKey: $k) { ... on AssetNode {"
            " assetMaterializations(limit: 1000) { partition } } } }"
        )
        found = self.ask(asked, k={"path": ["raw", source]})
        return [one["partition"] for one in found["assetNodeOrError"]["assetMaterializations"]]

    def stop(self) -> str:
        os.killpg(self.process.pid, signal.SIGINT)
        output, _ = self.process.communicate(timeout=60)
        return output


def wait_for(question: Callable[[], Any], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(0.2)
    pytest.fail(f"Waited {seconds:.0f} s for {what}.")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("ui") / "var")
    try:
        write_samples(running.landing, months=2, lines=LINES, seed=1, until=MONTH)
        quiet = lambda: running.lines("quickbooks") == running.lines("novo") == 2 * LINES  # noqa: E731
        wait_for(quiet, 180, "the bucket to be ingested")
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()
        subprocess.run([SHS, "down"], env=running.environment, capture_output=True, check=False)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """One for all tests, each of which goes where it looks."""
    with browser_page(1440) as found:
        yield found


def keep(page: Page, name: str) -> None:
    """Keep a picture of the page where `SHS_SCREENSHOTS` says."""
    if folder := os.environ.get("SHS_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(1500)
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_many_files_became_few_runs(system: System) -> None:
    # 18 files and 6 tables: the tables, the months of eight sources, and QuickBooks behind its table.
    runs = system.runs()

    assert 2 <= len(runs) <= 6
    assert {run["status"] for run in runs} <= {"SUCCESS", "STARTED", "STARTING", "NOT_STARTED", "QUEUED"}


def test_the_marts_are_published_behind_the_files_and_not_for_each_run(system: System) -> None:
    wait_for(lambda: system.publications() and not system.is_behind(), 180, "the marts to be published")

    assert system.publications() <= 2


def test_a_broken_file_is_picked_up_and_its_check_says_what_to_do(system: System, page: Page) -> None:
    sample = make_sample("chemence", MONTH, lines=LINES, seed=1)
    row = int(sample.lines[4]["source_row"])
    content = broken.with_bad_cell(sample.content, "Sales Total", row, "twelve dollars")
    (system.landing / sample.path).write_bytes(content)
    report = system.landing / f"rejected/{sample.path}.errors.xlsx"

    wait_for(report.exists, 90, "the error workbook")

    page.goto(f"{system.url}/assets/raw/chemence?view=checks")
    page.get_by_text("contract_holds").first.click()
    page.get_by_text(f"row {row}, Sales Total (twelve dollars): This is not an amount.").first.wait_for(
        timeout=60_000
    )
    keep(page, "failed-check")
    assert system.lines("chemence") == 2 * LINES
    wait_for(lambda: ["raw", "chemence"] in system.failed(), 60, "the run of the file to be red")


def test_the_page_of_what_needs_an_admin_shows_the_assets_with_their_checks(
    system: System, page: Page
) -> None:
    page.goto(needs_you(system.url))

    # Of four checks the file and the months that are missing fail two.
    page.get_by_text("2 / 4 Passed").first.wait_for(timeout=60_000)
    keep(page, "what-needs-you")
    assert page.get_by_text("commission_payouts").count() == 0


def test_the_asset_graph_shows_every_source(system: System, page: Page) -> None:
    # Only what is in view is drawn.
    page.set_viewport_size({"width": 1440, "height": 2600})
    page.goto(f"{system.url}/locations/shs/asset-groups/sources/lineage")

    for name in SOURCE_NAMES:
        page.get_by_text(name, exact=True).first.wait_for(timeout=60_000)
    keep(page, "asset-graph")


def test_a_partition_shows_its_files_lines_and_sums(system: System, page: Page) -> None:
    page.goto(f"{system.url}/assets/raw/cygnus?view=partitions&partition=2025-03")

    page.get_by_text("sum_of_invoice_total").first.wait_for(timeout=60_000)
    keep(page, "partition-metadata")
    assert page.get_by_text("per_file").count() > 0


def test_what_shs_run_ingests_beside_the_system_is_green_too(system: System) -> None:
    sample = make_sample("novo", date(2025, 4, 1), lines=LINES, seed=1)
    place = system.landing / sample.path
    place.parent.mkdir(parents=True)
    place.write_bytes(sample.content)

    subprocess.run([SHS, "run"], env=system.environment, capture_output=True, check=False)

    assert system.lines("novo") == 3 * LINES
    # Whichever of the two was first: the month is green.
    wait_for(lambda: "2025-04" in system.partitions("novo"), 90, "the month to be green in Dagster")


def test_a_deleted_file_leaves_the_warehouse(system: System) -> None:
    sample = make_sample("novo", MONTH, lines=LINES, seed=1)
    (system.landing / sample.path).unlink()

    wait_for(lambda: system.lines("novo") == 2 * LINES, 90, "the lines to be withdrawn")


def test_control_c_stops_everything_cleanly(system: System) -> None:
    output = system.stop()

    assert "Traceback" not in output
    assert system.process.returncode == 0
    assert not (system.home / "postgres" / "postmaster.pid").exists()
