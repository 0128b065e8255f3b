"""What a close hands out under `paid/`: statements, payroll, the ledger's entries, and a receipt.

Everything follows from the ledger, so that the same close gives the same bytes whenever they are written. The
receipt comes last: a close without one in the ledger is handed out again by the next run.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg.rows import dict_row

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import month_text
from shs_pipeline.closing.reading import closed_statements
from shs_pipeline.landing.places import PAID

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.landing.zone import Landing
    from shs_pipeline.settings.settings import Settings

LEDGER, RECEIPT = "ledger.csv", "receipt.json"
# A close of a month, and the reopening that takes it back, have the same number among those of the month.
_OUTSTANDING: LiteralString = """
    select
        closes.*,
        (
            select count(*) from ledger.closes as earlier
            where
                earlier.kind = 'closed'
                and earlier.pay_period = closes.pay_period
                and earlier.close_no <= closes.close_no
        ) as number_in_month
    from ledger.closes
    where not exists (select from ledger.receipts where receipts.close_no = closes.close_no)
    order by closes.close_no
"""


@dataclass(frozen=True)
class Part:
    """A table of the ledger in `ledger.csv`: what its rows are called, and how those of a close are read."""

    record: str
    table: LiteralString
    query: LiteralString


# In an order in which they can be entered again.
PARTS = (
    Part("statement", "statements", "select * from ledger.statements where close_no = %s order by number"),
    Part("entry", "entries", "select * from ledger.entries where close_no = %s order by entry_no"),
    Part(
        "product line",
        "statement_product_lines",
        """select of_line.* from ledger.statement_product_lines as of_line
        inner join ledger.statements on number = statement_number
        where close_no = %s order by statement_number, product_line_id""",
    ),
    Part(
        "line",
        "statement_lines",
        """select of_line.* from ledger.statement_lines as of_line
        inner join ledger.statements on number = statement_number
        where close_no = %s order by statement_number, line_no""",
    ),
    Part(
        "identity",
        "identities",
        """select close_no, place, kind, id, known::text from ledger.identities
        where close_no = %s order by place""",
    ),
)


@dataclass(frozen=True)
class HandedOut:
    """A close whose files lie in the landing zone: the folder, and how many statements it has."""

    folder: str
    statements: int


def hand_out(connection: psycopg.Connection, landing: Landing) -> list[HandedOut]:
    """Write the files of every close that has no receipt yet; the connection commits each.

    Raises:
        LandingError: the landing zone cannot be written.
    """
    return [_hand_out(connection, landing, close) for close in _outstanding(connection)]


def folders_outstanding(connection: psycopg.Connection) -> list[str]:
    """Return where the files of each close are going to be that has no receipt yet."""
    return [_folder_of(close) for close in _outstanding(connection)]


def _outstanding(connection: psycopg.Connection) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_OUTSTANDING).fetchall()


def _folder_of(close: dict[str, Any]) -> str:
    return folder_of(close["pay_period"], close["number_in_month"], close["kind"])


def folder_of(month: date, number: int, kind: str) -> str:
    """Return where the files of a close are, or those of the reopening that takes it back."""
    again = f"-{number}" if number > 1 else ""
    return f"{PAID}/{month_text(month)}{again}{'-reopened' if kind == 'reopened' else ''}"


def _hand_out(connection: psycopg.Connection, landing: Landing, close: dict[str, Any]) -> HandedOut:
    folder = _folder_of(close)
    _check_free(landing, folder, close)
    sums, statements = {}, 0
    for name, content in _files(connection, close):
        landing.write(f"{folder}/{name}", content)
        sums[name] = sha256(content).hexdigest()
        statements += name.endswith(".pdf")
    receipt = _receipt(connection, close, sums)
    landing.write(f"{folder}/{RECEIPT}", receipt)
    connection.execute(
        "insert into ledger.receipts (close_no, folder, sha256, receipt) values (%s, %s, %s, %s)"
        " on conflict do nothing",
        [close["close_no"], folder, sha256(receipt).hexdigest(), receipt.decode()],
    )
    connection.commit()
    return HandedOut(folder, statements)


def _check_free(landing: Landing, folder: str, close: dict[str, Any]) -> None:
    """Let nothing be written over that was handed out before a backup was restored that does not know it."""
    there = landing.read(f"{folder}/{RECEIPT}")
    if there is not None and json.dumps(_moment(close)).encode() not in there:
        raise ShsError(
            f"{folder}/ holds what another close handed out for {month_text(close['pay_period'])}. "
            "This ledger does not know it, so nothing was overwritten.",
            "Restore a backup that is not older than that close, or begin with an empty database, into which "
            "`shs run` reads the ledger back.",
        )


def _moment(close: dict[str, Any]) -> str:
    moment: datetime = close["closed_at"]
    return moment.astimezone(UTC).isoformat()


def _files(connection: psycopg.Connection, close: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    # They take a moment to import, which only a close has to wait for.
    from shs_pipeline.closing.payroll import payees_of
    from shs_pipeline.closing.payroll_files import payroll_csv, payroll_workbook
    from shs_pipeline.closing.statement_pdf import statement_pdf
    from shs_pipeline.closing.statement_workbook import statement_workbook

    statements = closed_statements(connection, close["close_no"])
    for statement in statements:
        yield f"statements/{statement.payee_id}.pdf", statement_pdf(statement)
        yield f"statements/{statement.payee_id}.xlsx", statement_workbook(statement)
    if close["kind"] == "closed":
        payees = payees_of(connection, close["close_no"])
        yield "payroll.csv", payroll_csv(statements, payees)
        yield "payroll.xlsx", payroll_workbook(statements, payees)
    yield LEDGER, ledger_csv(connection, close["close_no"])


def _rows(connection: psycopg.Connection, query: LiteralString, close_no: int) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, [close_no]).fetchall()


def ledger_csv(connection: psycopg.Connection, close_no: int) -> bytes:
    """Return every row of the ledger that belongs to a close, exactly as it is."""
    parts = {part.record: _rows(connection, part.query, close_no) for part in PARTS}
    names = ["record"]
    for rows in parts.values():
        names += [name for name in (rows[0] if rows else {}) if name not in names]
    return _csv(
        names,
        (
            [kind, *(_exact(row.get(name)) for name in names[1:])]
            for kind, rows in parts.items()
            for row in rows
        ),
    )


def _exact(value: object) -> str:
    return "" if value is None else str(value)


def _csv(names: Sequence[str], rows: Iterable[list[str]]) -> bytes:
    stream = io.StringIO()
    # Quoted without exception: which texts need it is not the same in every Python.
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    writer.writerows(rows)
    return stream.getvalue().encode()


def _receipt(connection: psycopg.Connection, close: dict[str, Any], sums: dict[str, str]) -> bytes:
    before = connection.execute(
        "select sha256 from ledger.receipts where close_no < %s order by close_no desc limit 1",
        [close["close_no"]],
    ).fetchone()
    content = {
        "receipt": close["close_no"],
        "kind": close["kind"],
        "pay_period": month_text(close["pay_period"]),
        "takes_back" if close["kind"] == "reopened" else "replaces": close["replaces"],
        "approved_by": close["approved_by"],
        "approved_by_id": close["approved_by_id"],
        "actor": close["actor"],
        "pay_date": _exact(close["pay_date"]) or None,
        "note": close["note"],
        "publication": close["publication_id"],
        "closed_at": _moment(close),
        "files": dict(sorted(sums.items())),
        "inputs": dict(sorted(close["inputs"].items())),
        "receipt_before": before[0] if before else None,
    }
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def hand_out_from_settings(settings: Settings) -> list[HandedOut]:
    """Hand out what the settings' warehouse has closed.

    Raises:
        ShsError: the database or the landing zone cannot be used.
    """
    from shs_pipeline.database.connection import connect
    from shs_pipeline.database.databases import prepare
    from shs_pipeline.landing.zone import Landing

    url = prepare(settings).warehouse_url.get_secret_value()
    with connect(url, settings.database_wait_seconds) as connection:
        return hand_out(connection, Landing(settings.landing))
