"""How Dagster's books grow: real runs, repeated over simulated years, with and without `SHS_KEEP_RUNS`.

    .venv/bin/python scripts/measure_books.py [--years 5] [--keep 180]

In a home and a database of its own, one real run of each kind is carried out: the daily look at all checks,
the daily removal, and a file that is ingested with all marts behind it. Their rows are then written once for
each run that a company has in those years, under other ids, times, months and sources. The removal goes over
them once a simulated month. Sizes are those of the tables with their indexes; a vacuum frees pages for use
again, as autovacuum does, and shrinks no file.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import psycopg

ROOT = Path(__file__).parents[1]
# With an executable script, Python looks for modules beside it only.
sys.path.insert(0, str(ROOT))

MONTH, SOURCE = "2025-03", "cygnus"
# A file of each source a month, and five that are corrected or come late.
FILES_A_MONTH = 14
FIRST_DAY = date(2026, 1, 1)


@dataclass(frozen=True)
class Kinds:
    """A run of each kind that was carried out."""

    checks: str
    removal: str
    file: str


@dataclass(frozen=True)
class Size:
    """What the books hold at the end of a simulated year."""

    runs: int
    events: int
    megabytes: float


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--years", type=int, default=5)
    asked.add_argument("--keep", type=int, default=180)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="shs-books-", dir="/tmp") as folder:
        os.environ["SHS_HOME"] = folder
        for name in ("SHS_LANDING", "SHS_DATABASE_URL"):
            os.environ.pop(name, None)
        measure(options.years, options.keep)


def measure(years: int, keep: int) -> None:
    """Print the sizes with and without the removal."""
    import dagster as dg

    from shs_pipeline.database.databases import prepare
    from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
    from shs_pipeline.settings.settings import load_settings
    from shs_pipeline.system.dagster_home import dagster_environment, write_dagster_home

    settings = load_settings()
    try:
        os.environ.update(dagster_environment(settings))
        write_dagster_home(settings, ROOT / "dagster.yaml")
        url = prepare(settings).dagster_url.get_secret_value()
        with dg.DagsterInstance.get() as instance:
            kinds = real_runs(instance, Path(unquote(settings.landing.removeprefix("file://"))))
            with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
                keep_templates(connection)
                printed = printed_bytes(Path(os.environ["SHS_DAGSTER_STORAGE"]))
                for days in (None, keep):
                    empty(connection)
                    show(days, printed, simulated(instance, connection, kinds, years, days))
    finally:
        EmbeddedPostgres(settings.home).stop()


def real_runs(instance: Any, landing: Path) -> Kinds:
    """Carry out one run of each kind."""
    from assets.ingested import reference_key, source_key
    from shs_pipeline.definitions import build_defs
    from shs_pipeline.landing.names import REFERENCE_NAMES
    from shs_pipeline.samples.tree import write_samples

    write_samples(landing, months=1, lines=60, seed=1, until=date.fromisoformat(f"{MONTH}-01"))
    defs = build_defs()
    job = defs.resolve_implicit_global_asset_job_def()
    tables = [reference_key(name) for name in REFERENCE_NAMES]
    job.execute_in_process(instance=instance, asset_selection=tables)
    behind = [
        key
        for key in job.asset_layer.executable_asset_keys
        if key.path[0] not in ("raw", "reference", "landing")
    ]
    keys = [source_key(SOURCE), *behind]
    file = job.execute_in_process(instance=instance, asset_selection=keys, partition_key=MONTH)
    (daily,) = [one for one in defs.schedules or [] if one.name == "daily_checks"]
    checks = defs.resolve_job_def(daily.job_name).execute_in_process(instance=instance, raise_on_error=False)
    removal = defs.resolve_job_def("remove_old_runs").execute_in_process(instance=instance)
    return Kinds(checks.run_id, removal.run_id, file.run_id)


TABLES = ("runs", "event_logs", "asset_event_tags", "asset_check_executions")


def keep_templates(connection: psycopg.Connection) -> None:
    """Put what the real runs wrote aside."""
    for table in TABLES:
        connection.execute(f"create table template_{table} as table {table}".encode())


def empty(connection: psycopg.Connection) -> None:
    """Make the books as they are on the first day."""
    connection.execute(f"truncate {', '.join(TABLES)} cascade".encode())


def simulated(
    instance: Any, connection: psycopg.Connection, kinds: Kinds, years: int, keep: int | None
) -> Iterator[tuple[int, Size]]:
    """Yield the number of each simulated year that has passed, and the size at its end."""
    from sensors.old_runs import remove_old_runs
    from shs_pipeline.base.months import month_after
    from shs_pipeline.landing.names import SOURCE_NAMES

    month, number = FIRST_DAY, 0
    while number < years * 12:
        following = month_after(month, 1)
        with connection.transaction():
            for day in range((following - month).days):
                at = datetime(month.year, month.month, day + 1, 6, tzinfo=UTC)
                copy(connection, kinds.checks, at)
                copy(connection, kinds.removal, at)
                if day < FILES_A_MONTH:
                    copy(connection, kinds.file, at, f"{month:%Y-%m}", SOURCE_NAMES[day % len(SOURCE_NAMES)])
        month, number = following, number + 1
        if keep is not None:
            now = datetime(month.year, month.month, 1, tzinfo=UTC)
            remove_old_runs(instance, keep, now=lambda now=now: now)
        connection.execute("vacuum")
        if number % 12 == 0:
            yield number // 12, size(connection)


_COPY = (
    """
    insert into runs (run_id, snapshot_id, pipeline_name, status, run_body, partition, create_timestamp,
        update_timestamp, start_time, end_time)
    select %(run)s, snapshot_id, pipeline_name, status, replace(run_body, %(of)s, %(run)s), partition,
        %(at)s, %(at)s, start_time, end_time
    from template_runs where run_id = %(of)s
    """,
    """
    with fresh as (
        insert into event_logs (run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition)
        select %(run)s, replace(replace(replace(event, %(of)s, %(run)s), %(old_month)s, %(month)s),
            %(old_source)s, %(source)s), dagster_event_type, %(at)s, step_key,
            replace(asset_key, %(old_source)s, %(source)s), replace(partition, %(old_month)s, %(month)s)
        from template_event_logs where run_id = %(of)s order by id
        returning id, asset_key, dagster_event_type
    )
    insert into asset_event_tags (event_id, asset_key, key, value, event_timestamp)
    select f.id, f.asset_key, t.key, t.value, %(at)s
    from fresh as f
    inner join template_asset_event_tags as t
        on replace(t.asset_key, %(old_source)s, %(source)s) = f.asset_key
    inner join template_event_logs as e on e.id = t.event_id and e.run_id = %(of)s
    where f.dagster_event_type = 'ASSET_MATERIALIZATION'
    """,
    """
    insert into asset_check_executions (asset_key, check_name, partition, run_id, execution_status,
        evaluation_event, evaluation_event_timestamp, create_timestamp)
    select replace(asset_key, %(old_source)s, %(source)s), check_name, partition, %(run)s, execution_status,
        replace(evaluation_event, %(of)s, %(run)s), %(at)s, %(at)s
    from template_asset_check_executions where run_id = %(of)s
    """,
)


def copy(
    connection: psycopg.Connection, of: str, at: datetime, month: str = MONTH, source: str = SOURCE
) -> None:
    """Write the rows of a run once more, as of another time, month and source."""
    values = {
        "of": of, "run": str(uuid4()), "at": at.replace(tzinfo=None), "month": month, "source": source,
        "old_month": MONTH, "old_source": SOURCE,
    }  # fmt: skip
    for statement in _COPY:
        connection.execute(statement.encode(), values)


def size(connection: psycopg.Connection) -> Size:
    """Return what the books hold now."""
    row = connection.execute(
        "select (select count(*) from runs), (select count(*) from event_logs),"
        " sum(pg_total_relation_size(oid)) from pg_class"
        " where relkind = 'r' and relnamespace = 'public'::regnamespace and relname not like 'template%'"
    ).fetchone()
    assert row is not None
    return Size(int(row[0]), int(row[1]), float(row[2]) / 2**20)


def printed_bytes(folder: Path) -> float:
    """Return the bytes on disk that a run's printed output takes, on average."""
    runs = [one for one in folder.iterdir() if (one / "compute_logs").is_dir()]
    return sum(file.stat().st_blocks * 512 for run in runs for file in run.rglob("*")) / max(1, len(runs))


def show(keep: int | None, printed: float, years: Iterator[tuple[int, Size]]) -> None:
    """Print the size after each year."""
    print("everything kept" if keep is None else f"SHS_KEEP_RUNS={keep}")
    a_year = 365 * 2 + 12 * FILES_A_MONTH
    for number, found in years:
        runs = a_year * number if keep is None else round(a_year * min(number, keep / 365))
        print(
            f"  after {number} years: {found.runs:,} runs, {found.events:,} events, "
            f"{found.megabytes:,.0f} MiB in the database, {runs * printed / 2**20:,.0f} MiB printed output",
            flush=True,
        )


if __name__ == "__main__":
    main()
