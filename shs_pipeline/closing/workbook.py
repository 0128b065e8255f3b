"""The workbook pay_periods, as `shs close` writes it into the landing zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.locks import advisory_xact_lock, lock_patiently
from shs_pipeline.landing.zone import REFERENCE

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.ingest.ingestion import Ingestion

PATH = f"{REFERENCE}/pay_periods.xlsx"


@dataclass(frozen=True)
class Wish:
    """What the row of a month is to say."""

    month: date
    approved_by: str | None
    pay_date: date | None
    note: str | None
    is_closed: bool = True


def put_wish(job: Ingestion, wish: Wish) -> None:
    """Write the workbook in force with the row of one month changed or added.

    Raises:
        ShsError: the workbook that lies there is not the one in force.
    """
    job.query(lambda connection: _put(job, connection, wish))


def _put(job: Ingestion, connection: psycopg.Connection, wish: Wish) -> None:
    from shs_pipeline.ingest.reference_rows import table_rows
    from shs_pipeline.landing.names import REFERENCE_NAMES
    from shs_pipeline.reference.export import choices_of, export_workbook
    from shs_pipeline.reference.registry import table_named

    with connection.transaction():
        # Of two who close different months at once, the second sees what the first has written.
        lock_patiently(connection, advisory_xact_lock("the workbook pay_periods", ["shs/write/pay_periods"]))
        _check_in_force(job, connection)
        current = {name: table_rows(connection, name) for name in REFERENCE_NAMES}
        rows: dict[object, Mapping[str, object]] = {
            row["commission_month"]: row for row in current["pay_periods"]
        }
        rows[wish.month] = {
            "commission_month": wish.month,
            "state": "closed" if wish.is_closed else "open",
            "approved_by": wish.approved_by,
            "pay_date": wish.pay_date,
            "note": wish.note,
        }
        table = table_named("pay_periods")
        ordered = [row for _, row in sorted(rows.items(), key=lambda item: str(item[0]))]
        job.landing.write(PATH, export_workbook(table, ordered, choices_of(table, current)))


def _check_in_force(job: Ingestion, connection: psycopg.Connection) -> None:
    """Let nobody's typing be lost that was not read yet, or that is rejected."""
    there = job.landing.read(PATH)
    if there is not None and sha256(there).hexdigest() != _loaded(connection):
        raise ShsError(
            f"{PATH} was changed and is not in force yet, or is rejected.",
            "Run `shs run` first; if the workbook is rejected, fix it or delete it.",
        )


def _loaded(connection: psycopg.Connection) -> str | None:
    row = connection.execute(
        "select sha256 from ops.files where path = %s and status = 'loaded'", [PATH]
    ).fetchone()
    return row[0] if row else None
