"""Speed of the marts: one more month by length of history, row security, from a file to a payout.

Ratios within one run, on a fresh system in a temporary folder. Nothing here is a test: a busy machine
makes single numbers wander.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

import psycopg
from psycopg import sql

from shs_pipeline.base.months import month_after
from shs_pipeline.database.databases import prepare
from shs_pipeline.ingest.ingestion import Ingestion
from shs_pipeline.ingest.run import run_changed
from shs_pipeline.landing.names import SOURCE_NAMES
from shs_pipeline.marts.build import build_marts
from shs_pipeline.marts.guard import HeldBuildError
from shs_pipeline.people.access import drop_logins, sync_logins
from shs_pipeline.people.logins import find_login
from shs_pipeline.people.passwords import login_url
from shs_pipeline.samples.tree import make_sample, write_samples
from shs_pipeline.settings.secret_store import secret_store
from shs_pipeline.settings.settings import Settings
from shs_pipeline.system.dagster_home import dagster_environment
from shs_pipeline.system.running import running_system

LAST = date(2026, 9, 1)
HISTORIES = (6, 60, 240)
REPS = 200
_ADDED = 5
_QUERIES = 31
_ARRIVALS = 10
_PATIENCE_SECONDS = 120

_CLONE_FILES = """
insert into ops.files (
    source, commission_month, path, uri, sha256, bytes, etag, status, rows_loaded, run_id, finished
)
select
    source, %(month)s::date, path || %(month)s || clock_timestamp(), uri, sha256 || clock_timestamp(), bytes,
    etag, status, rows_loaded, 'bench', clock_timestamp()
from ops.files where status = 'loaded' and commission_month = %(template)s
"""
_CLONE_LINES = """
insert into {lines} select (jsonb_populate_record(line, jsonb_build_object(
    'file_id', (select file_id from ops.files where source = {source} and commission_month = %(month)s),
    'commission_month', %(month)s::date,
    -- Other sales than those of the template: no month repeats another one.
    'sale_key', line.sale_key # hashtextextended(%(month)s::text, 0),
    'revenue_date', line.revenue_date + (%(month)s::date - line.commission_month)
))).* from {lines} as line where commission_month = %(template)s
"""
# The first row of each key: rates and owners that are known since the first month.
_KNOWN_EARLIER = """
update {table} as rows set valid_from = '1990-01-01'
where not exists (
    select from {table} as earlier
    where ({key}) is not distinct from ({rows_key}) and earlier.valid_from < rows.valid_from
)
"""
_KEYS = {
    "commission_tiers": ("sales_rep_name", "product_line"),
    "territories": ("source", "data_field_value"),
}
_DASHBOARD = """
select product_line, revenue_month, sum(sales_actual), sum(rev_actual), sum(commission_tier_1)
from marts.harmonised_sales where {own} revenue_month >= '2026-01-01' group by 1, 2
"""


_ENDED = "select count(*) from runs where status not in ('SUCCESS', 'FAILURE', 'CANCELED')"


def main() -> None:
    """Measure and print everything, or what is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=60, help="lines of each file")
    parser.add_argument("--rls-lines", type=int, default=1_000_000, help="lines under row security")
    parser.add_argument("only", nargs="*", metavar="PART", help="parts to measure")
    options = parser.parse_args()
    parts: dict[str, Callable[[Settings], None]] = {
        "history": lambda settings: _history(settings, options.lines),
        "security": lambda settings: _security(settings, options.rls_lines),
        "arrival": _arrival,
    }
    for name in options.only or parts:
        with _fresh_system() as settings:
            parts[name](settings)


@contextmanager
def _fresh_system() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="shs-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        os.environ |= {"SHS_HOME": str(home / "var"), "SHS_LANDING": (home / "landing").as_uri()}
        (home / "landing").mkdir()
        settings = Settings()
        try:
            yield settings
        finally:
            subprocess.run(["shs", "down"], check=False, capture_output=True)


def _url(settings: Settings) -> str:
    return prepare(settings).warehouse_url.get_secret_value()


def _filled(settings: Settings, lines: int, months: int = 1) -> str:
    """Ingest one month of samples of every source; return the owner's URL."""
    write_samples(_folder(settings), months=months, lines=lines, seed=1, until=LAST)
    run_changed(Ingestion.from_settings(settings, "bench"))
    return _url(settings)


def _folder(settings: Settings) -> Path:
    return Path(settings.landing.removeprefix("file://"))


# --- one more month ----------------------------------------------------------------------


def _history(settings: Settings, lines: int) -> None:
    url = _filled(settings, lines)
    costs = {}
    with psycopg.connect(url, autocommit=True) as owner:
        _pay_from_the_first_month(owner)
        before = 0
        for months in HISTORIES:
            for step in range(max(before, 1), months):
                _clone(owner, month_after(LAST, -step))
            before = months
            owner.execute("analyze")
            full = build_marts(url, "bench", full_refresh=True)
            seconds = _one_more_month(owner, url)
            costs[months] = statistics.median(seconds)
            print(
                f"{months:>4} months of history: one more month {_spread(seconds)} s; full refresh of "
                f"{full.lines:,} lines {full.seconds:.2f} s, {full.lines / full.seconds:,.0f} lines/s",
                flush=True,
            )
    for months in HISTORIES[1:]:
        ratio = costs[months] / costs[HISTORIES[0]]
        print(
            f"one more month at {months} / at {HISTORIES[0]} months of history: {ratio:.2f}  (1 = the same)"
        )


def _spread(seconds: Sequence[float]) -> str:
    """Return the median, with the smallest and the largest."""
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


def _one_more_month(owner: psycopg.Connection, url: str) -> list[float]:
    """Return the times of building the month after the last, which is taken away again each time."""
    month, seconds = month_after(LAST), []
    for _ in range(_ADDED):
        _clone(owner, month)
        seconds.append(build_marts(url, "bench").seconds)
        for source in SOURCE_NAMES:
            lines = sql.Identifier("raw", source)
            owner.execute(sql.SQL("delete from {} where commission_month = %s").format(lines), [month])
        owner.execute(
            "update ops.files set status = 'withdrawn', commission_month = null,"
            " finished = clock_timestamp() where commission_month = %s",
            [month],
        )
        with suppress(HeldBuildError):  # where that is much of all lines
            build_marts(url, "bench")
        build_marts(url, "bench", accepted_by="bench")
    return seconds


def _pay_from_the_first_month(owner: psycopg.Connection) -> None:
    for table, key in _KEYS.items():
        keys = {
            name: sql.SQL(", ").join(sql.Identifier(rows, column) for column in key)
            for name, rows in (("key", "earlier"), ("rows_key", "rows"))
        }
        owner.execute(sql.SQL(_KNOWN_EARLIER).format(table=sql.Identifier("reference", table), **keys))


def _clone(owner: psycopg.Connection, month: date) -> None:
    values = {"month": month.isoformat(), "template": LAST.isoformat()}
    owner.execute(_CLONE_FILES, values)
    for source in SOURCE_NAMES:
        lines = sql.Identifier("raw", source)
        owner.execute(sql.SQL(_CLONE_LINES).format(lines=lines, source=sql.Literal(source)), values)


# --- row-level security ------------------------------------------------------------------


def _security(settings: Settings, lines: int) -> None:
    url = _filled(settings, 5)
    build_marts(url, "bench")
    secrets = secret_store(settings)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("truncate marts.people, marts.harmonised_sales")
        owner.execute(
            "insert into marts.people (payee_id, rep_name, email, permission, is_active, pays_after_leaving)"
            " select 'P-' || n, 'Rep ' || n, 'rep' || n || '@example.com', 'user', true, true"
            " from generate_series(1, %s) as n",
            [REPS],
        )
        owner.execute(
            "insert into marts.harmonised_sales (credit_id, line_id, source, product_line_id, product_line,"
            " payee_id, rep_name, credit_status, credit_share, source_file, source_sheet, source_row,"
            " sales_actual, rev_actual, commission_tier_1, commission_tier_2_diff, revenue_date,"
            " revenue_month, commission_month, loaded_at)"
            " select n::text, n::text, 'bench', 'L-' || n %% 9, 'Line ' || n %% 9, 'P-' || rep,"
            " 'Rep ' || rep, 'credited', 1, 'f', 's', n, 100.25, 10.5, 3.15, 1.05, d,"
            " date_trunc('month', d), date_trunc('month', d), now()"
            " from generate_series(1, %s) as n cross join lateral"
            " (select date '2022-01-01' + (n %% 1800)::integer as d, 1 + (n::bigint * 7919) %% %s as rep)"
            "  as days",
            [lines, REPS],
        )
        owner.execute("vacuum analyze marts.harmonised_sales")
        sync_logins(owner, secrets)
        login = find_login(owner, "Rep 17")
        password = secrets.get(login.secret_name or "")
        assert password
        with psycopg.connect(login_url(url, login.role_name, password), autocommit=True) as rep:
            bare, own = _in_turn(owner, rep)
        ratios = [of_rep / of_owner for of_rep, of_owner in zip(own, bare, strict=True)]
        print(
            f"a dashboard query on {lines:,} lines of {REPS} reps: as the rep {_in_ms(own)} ms, filtered"
            f" by hand without row security {_in_ms(bare)} ms, ratio {_spread(ratios)}  (limit 1.2)",
            flush=True,
        )
        row = owner.execute("select pg_total_relation_size('marts.harmonised_sales')").fetchone()
        assert row is not None
        print(f"  which take {row[0] / 2**20:,.0f} MiB there, with their indexes", flush=True)
        drop_logins(owner, secrets)


def _in_ms(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.2f}"


def _in_turn(owner: psycopg.Connection, rep: psycopg.Connection) -> tuple[list[float], list[float]]:
    """Return the times of the query as the owner and as the rep, asked in turn."""
    queries = {owner: _DASHBOARD.format(own="payee_id = 'P-17' and"), rep: _DASHBOARD.format(own="")}
    assert sorted(owner.execute(queries[owner])) == sorted(rep.execute(queries[rep]))
    seconds: dict[psycopg.Connection, list[float]] = {owner: [], rep: []}
    for _ in range(_QUERIES):
        for connection, query in queries.items():
            started = time.perf_counter()
            connection.execute(query).fetchall()
            seconds[connection].append(time.perf_counter() - started)
    return seconds[owner], seconds[rep]


# --- from a file to a payout -------------------------------------------------------------


def _arrival(settings: Settings) -> None:
    url = _filled(settings, 60, months=6)
    build_marts(url, "bench")
    process = subprocess.Popen(["shs", "up"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(lambda: running_system(settings) is not None)
        time.sleep(20)
        parts = [_one_arrival(settings, url, number) for number in range(_ARRIVALS)]
    finally:
        process.terminate()
        process.wait(60)
    print(f"from a file's arrival to the new payout, median of {_ARRIVALS}, in seconds:")
    for name in parts[0]:
        print(f"  {name:<44}{_spread([part[name] for part in parts]):>24}")


def _one_arrival(settings: Settings, url: str, number: int) -> dict[str, float]:
    sample = make_sample("cygnus", LAST, lines=60, seed=100 + number)
    path = _folder(settings) / sample.path
    with psycopg.connect(url, autocommit=True) as owner:
        before = owner.execute("select max(publication_id) from marts.publications").fetchone()
        dropped = time.time()
        path.write_bytes(sample.content)
        _wait(
            lambda: owner.execute("select max(publication_id) from marts.publications").fetchone() != before
        )
        row = owner.execute(
            "select extract(epoch from published_at)::float8 from marts.publications"
            " order by publication_id desc limit 1"
        ).fetchone()
        assert row is not None
    seen, started, steps = _run_times(settings, dropped)
    return {
        "the sensor sees it (it waits until it is quiet)": seen - dropped,
        "the run's process starts": started - seen,
        "until the file is loaded": steps["raw"] - started,
        "until the build begins": steps["marts"] - steps["raw"],
        "until the marts are published": row[0] - steps["marts"],
        "all of it": row[0] - dropped,
    }


def _run_times(settings: Settings, since: float) -> tuple[float, float, dict[str, float]]:
    """Return when the run was made, when it started, and when its steps ended or began."""
    environment = dagster_environment(settings)
    with psycopg.connect(
        host=environment["SHS_DAGSTER_HOST"],
        port=environment["SHS_DAGSTER_PORT"],
        user=environment["SHS_DAGSTER_USER"],
        password=environment["SHS_DAGSTER_PASSWORD"],
        dbname=environment["SHS_DAGSTER_DATABASE"],
        autocommit=True,
    ) as storage:
        # The next file comes when Dagster has written down all of this run.
        _wait(lambda: storage.execute(_ENDED).fetchone() == (0,))
        run = storage.execute(
            "select run_id, extract(epoch from create_timestamp)::float8, start_time from runs"
            " where create_timestamp > to_timestamp(%s) at time zone 'utc' order by id limit 1",
            [since],
        ).fetchone()
        assert run is not None
        events = storage.execute(
            "select step_key, dagster_event_type, extract(epoch from timestamp)::float8 from event_logs"
            " where run_id = %s and dagster_event_type in ('STEP_START', 'STEP_SUCCESS')",
            [run[0]],
        ).fetchall()
    times = {(step, kind): at for step, kind, at in events}
    return (
        run[1],
        run[2],
        {"raw": times["raw__cygnus", "STEP_SUCCESS"], "marts": times["marts", "STEP_START"]},
    )


def _wait(is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_done():
        if time.monotonic() > deadline:
            sys.exit("It did not come: look at shs status and Dagster's UI.")
        time.sleep(0.1)


if __name__ == "__main__":
    # Ended from outside, it stops what it started too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    main()
