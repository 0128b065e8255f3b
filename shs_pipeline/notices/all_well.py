"""`SHS_NOTICE_OK`: tell the admins once when everything that came on a day was loaded and published.

A day is one of UTC, as everywhere. It is told when a run from the command line ends, else when it is over:
until then, more may come, and may fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, LiteralString

from shs_pipeline.base.wording import count_of, thousands
from shs_pipeline.notices.texts import Notice

if TYPE_CHECKING:
    import psycopg

    # Source, whether it is a reference workbook, files, lines, sales (USD), uncredited lines.
    Loaded = tuple[str, bool, int, int, Decimal | None, int]

# Whoever switches the setting on wants to be told of what comes, not of what was loaded last year.
_DAYS_BACK = timedelta(days=6)
_LAST_DAY: LiteralString = """
    select max((finished at time zone 'UTC')::date)
    from ops.files
    where status = 'loaded' and (finished at time zone 'UTC')::date between %s and %s
"""
# What lies there rejected, is held or is not published yet goes wrong still, whichever day it came.
_IS_SETTLED: LiteralString = """
    select
        exists (select from ops.notices where key = %(key)s)
        or exists (select from ops.files where status = 'rejected')
        or exists (select from ops.holds where is_open)
        or exists (
            select from ops.files
            where change_no > coalesce(
                (select books_version from marts.publications order by publication_id desc limit 1), 0
            )
        )
        or exists (
            select from ops.notices
            where
                kind in ('rejected_file', 'failed_run')
                and (
                    (created_at at time zone 'UTC')::date = %(day)s
                    or key like 'failed/' || %(day)s::text || '/%%'
                )
        )
"""
_LOADED: LiteralString = """
    with uncredited as (
        select source_file, count(distinct line_id) as lines from marts.uncredited_sales group by source_file
    )
    select
        files.source,
        files.commission_month is null as is_reference,
        count(*),
        sum(files.rows_loaded)::bigint,
        -- Adjustments are no sales.
        sum(upload.sales_actual) filter (where upload.sales_actual <> 0),
        coalesce(sum(uncredited.lines), 0)::bigint
    from ops.files
    left join marts.upload_files as upload using (file_id)
    left join uncredited on uncredited.source_file = files.path
    where files.status = 'loaded' and (files.finished at time zone 'UTC')::date = %s
    group by files.source, is_reference
    order by files.source
"""


def all_well(connection: psycopg.Connection, last: date, address: str) -> list[Notice]:
    """Return the notice of the last day with a loaded file, unless anything went wrong on it.

    Args:
        last: the last day that may be told: today after a run, else yesterday.
        address: of the dashboards; may be empty.
    """
    if not _knows_books(connection):
        return []
    row = connection.execute(_LAST_DAY, [last - _DAYS_BACK, last]).fetchone()
    day = row[0] if row else None
    if day is None:
        return []
    # The running system asks twice a minute: a day that is told already is not added up again.
    settled = connection.execute(_IS_SETTLED, {"day": day, "key": _key(day)}).fetchone()
    if settled is None or settled[0]:
        return []
    return [_notice(day, connection.execute(_LOADED, [day]).fetchall(), address)]


def _key(day: date) -> str:
    return f"all_well/{day}"


def _notice(day: date, loaded: Sequence[Loaded], address: str) -> Notice:
    lines = [
        _line(source, files, lines, sales, uncredited)
        for source, is_reference, files, lines, sales, uncredited in loaded
        if not is_reference
    ]
    if tables := [source for source, is_reference, *_ in loaded if is_reference]:
        lines.append(f"Reference workbooks: {', '.join(tables)}")
    body = f"Everything that came in on {day} (UTC) was loaded and published.\n\n" + "\n".join(lines)
    body += f"\n\nDashboards: {address}" if address else ""
    return Notice("published", _key(day), f"All went well on {day}", body)


def _line(source: str, files: int, lines: int, sales: Decimal | None, uncredited: int) -> str:
    """Return `cygnus: 10 files, 600 lines, $612k; 3 lines uncredited`."""
    said = f"{source}: {count_of(files, 'file')}, {count_of(lines, 'line')}"
    said += f", {thousands(sales)}" if sales is not None else ""
    return said + (f"; {count_of(uncredited, 'line')} uncredited" if uncredited else "")


def _knows_books(connection: psycopg.Connection) -> bool:
    """Whether something was published, and not by a version that told less."""
    row = connection.execute(
        "select to_regclass('marts.upload_files') is not null"
        " and to_regclass('marts.uncredited_sales') is not null"
        " and exists (select from pg_attribute where attrelid = to_regclass('marts.publications')"
        " and attname = 'books_version')"
    ).fetchone()
    return bool(row and row[0])
