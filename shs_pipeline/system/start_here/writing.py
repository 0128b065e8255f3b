"""Write into the bucket what people without a terminal work with, after each run: at one place, whoever runs.

Nothing depends on it: a bucket that may not be written to never fails a load. `shs status` says so instead.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import psycopg

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import month_text, months_between, today
from shs_pipeline.database.connection import connect
from shs_pipeline.database.databases import prepare
from shs_pipeline.database.locks import advisory_xact_lock, lock_patiently
from shs_pipeline.ingest.checks import last_due_month
from shs_pipeline.ingest.current_copies import note_unwritten, write_copies, write_start_here
from shs_pipeline.ingest.warehouse import ensure_tables, has_tables
from shs_pipeline.landing.names import INCOMING_NAMES
from shs_pipeline.landing.places import INCOMING, keep_path
from shs_pipeline.landing.zone import Landing, LandingError
from shs_pipeline.marts.proposals import Proposal
from shs_pipeline.system.start_here.facts import Facts, read_facts

if TYPE_CHECKING:
    from shs_pipeline.ingest.reference_rows import Row
    from shs_pipeline.settings.settings import Settings

_log = logging.getLogger(__name__)
_ONE_AT_A_TIME = advisory_xact_lock("START HERE.xlsx", ["shs START HERE"])
_WAIT_SECONDS = 60.0
_AT_ONCE = 8


@contextmanager
def bucket_told(settings: Settings) -> Iterator[None]:
    """Bring the bucket up to date behind a run, whether or not the run succeeds."""
    try:
        yield
    finally:
        tell_bucket(settings)


def tell_bucket(settings: Settings) -> None:
    """Write `START HERE.xlsx`, `reference/current/` and the folders of months, as far as they changed.

    Never fails: what could not be written is kept for `shs status`.
    """
    try:
        url = prepare(settings).warehouse_url.get_secret_value()
        with connect(url, settings.database_wait_seconds) as connection:
            tell(connection, Landing(settings.landing), today(), settings.due_day)
    except (ShsError, psycopg.Error) as error:
        _log.warning("START HERE.xlsx was not written. %s", error)


def tell(connection: psycopg.Connection, landing: Landing, day: date, due_day: int) -> None:
    """Write it all behind a connection; a landing zone that cannot be written to is noted and no error.

    Raises:
        ShsError: another run writes it and does not end.
        psycopg.Error: the database cannot be read.
    """
    if not has_tables(connection):
        ensure_tables(connection)
    connection.commit()
    with connection.transaction():
        # So that whoever writes last has read last.
        lock_patiently(connection, _ONE_AT_A_TIME, _WAIT_SECONDS)
        facts = read_facts(connection, landing.url, day, due_day)
        try:
            _write(connection, landing, facts)
        except LandingError as error:
            _log.warning("START HERE.xlsx was not written. %s", error)
            note_unwritten(connection, error)
        else:
            note_unwritten(connection, None)


def _write(connection: psycopg.Connection, landing: Landing, facts: Facts) -> None:
    from shs_pipeline.system.start_here.book import workbook
    from shs_pipeline.system.start_here.pages import pages
    from shs_pipeline.system.start_here.to_do import tasks

    make_month_folders(landing, facts)
    write_copies(landing, connection, _by_table(facts.proposals))
    found = pages(facts, tasks(facts))
    made_from = sha256(repr((found, facts.landing)).encode()).hexdigest()
    write_start_here(landing, connection, made_from, lambda: workbook(facts, found, datetime.now(UTC)))


def _by_table(found: Sequence[Proposal]) -> dict[str, list[Row]]:
    by_table: dict[str, list[Row]] = {}
    for proposal in found:
        by_table.setdefault(proposal.table_name, []).append(
            {**proposal.cells, "Sales in USD": proposal.sales_actual}
        )
    return by_table


def make_month_folders(landing: Landing, facts: Facts) -> list[str]:
    """Make the folder of every month that is waited for and has none; return what was written.

    Waited for are the months that are missing, and those that are not due yet, up to the one that runs.
    """
    coming = months_between(last_due_month(facts.day, facts.due_day), facts.day.replace(day=1))
    wanted = {(source, month) for source in INCOMING_NAMES for month in coming}
    wanted |= {(month.source, month.month) for month in facts.overview.months if month.state == "missing"}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda name: landing.folders(f"{INCOMING}/{name}"), INCOMING_NAMES)
    lying = dict(zip(INCOMING_NAMES, found, strict=True))
    made = sorted(
        keep_path(source, month) for source, month in wanted if month_text(month) not in lying[source]
    )
    for path in made:
        landing.write(path, b"")
    return made
