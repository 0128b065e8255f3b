"""The ledger is read back from `paid/` into a database that has none, since the old one was lost.

Everything has to fit before the first row counts: each receipt its folder, its files and the receipt before
it, and the rows that were read the `ledger.csv` that they come from. All of it is one transaction.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.types.json import Jsonb

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import month_text, parse_month
from shs_pipeline.base.wording import count_of
from shs_pipeline.closing.handing_out import LEDGER, PARTS, RECEIPT, folder_of, ledger_csv
from shs_pipeline.landing.places import PAID

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.landing.zone import Landing
    from shs_pipeline.settings.settings import Settings

_RECEIPT = re.compile(rf"{PAID}/[^/]+/{re.escape(RECEIPT)}")
_REMEDY = (
    "Bring back the earlier version of what is named, from the bucket's versions or a copy of it, and remove "
    "what does not belong there; or restore the last backup with `shs restore`. Then run `shs run` again."
)
_SHOWN = 5


@dataclass(frozen=True)
class Receipt:
    """A receipt as it lies in the bucket; `content` is what it says, by name."""

    folder: str
    raw: bytes
    number: int
    kind: str
    month: date
    content: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """What the next receipt names."""
        return sha256(self.raw).hexdigest()


@dataclass(frozen=True)
class ReadBack:
    """How many closes and reopenings were read back, and the last pay period among them."""

    closes: int
    last: date

    def in_words(self) -> str:
        """Return it as a sentence."""
        closes, last = count_of(self.closes, "close"), month_text(self.last)
        return f"The ledger was empty and was read back from {PAID}/: {closes}, the last of {last}."


def read_back(connection: psycopg.Connection, landing: Landing) -> ReadBack | None:
    """Read the ledger back if there is none and the landing zone holds receipts; the connection commits.

    Returns:
        None where there was nothing to do.

    Raises:
        ShsError: a receipt, a file or the chain does not fit; nothing was entered.
        LandingError: the landing zone cannot be read.
    """
    if not _is_empty(connection):
        return None
    lying = [drop.path for drop in landing.drops(PAID)]
    receipts = _receipts(landing, lying)
    if not receipts:
        return None
    _refuse_if(_faults(landing, receipts, lying))
    with connection.transaction():
        # Another run may have done it meanwhile.
        connection.execute("lock table ledger.closes in share row exclusive mode")
        if not _is_empty(connection):
            return None
        for receipt in receipts:
            _enter(connection, landing, receipt)
        connection.execute("insert into ledger.recoveries (last_close_no) values (%s)", [receipts[-1].number])
    return ReadBack(len(receipts), max(receipt.month for receipt in receipts))


def is_to_be_read_back(connection: psycopg.Connection, landing: Landing) -> bool:
    """Whether the next run reads the ledger back."""
    return _is_empty(connection) and any(_is_receipt(drop.path) for drop in landing.drops(PAID))


def read_back_from_settings(settings: Settings) -> ReadBack | None:
    """Read back the ledger of the warehouse that the settings name, before anything is published.

    Raises:
        ShsError: as `read_back`, or the database cannot be used.
    """
    from shs_pipeline.database.connection import connect
    from shs_pipeline.database.databases import prepare
    from shs_pipeline.ingest.warehouse import ensure_tables, has_tables
    from shs_pipeline.landing.zone import Landing

    url = prepare(settings).warehouse_url.get_secret_value()
    with connect(url, settings.database_wait_seconds) as connection:
        if not has_tables(connection):
            ensure_tables(connection)
        return read_back(connection, Landing(settings.landing))


def _is_empty(connection: psycopg.Connection) -> bool:
    row = connection.execute("select not exists (select from ledger.closes)").fetchone()
    return bool(row and row[0])


# --- what lies there -----------------------------------------------------------------------


def _receipts(landing: Landing, lying: Sequence[str]) -> list[Receipt]:
    """Return the receipts by number."""
    found = [_receipt(landing, path.rpartition("/")[0]) for path in lying if _is_receipt(path)]
    return sorted(found, key=lambda receipt: (receipt.number, receipt.folder))


def _is_receipt(path: str) -> bool:
    return _RECEIPT.fullmatch(path) is not None


def _receipt(landing: Landing, folder: str) -> Receipt:
    raw = landing.read(f"{folder}/{RECEIPT}") or b""
    try:
        content = json.loads(raw)
        month = parse_month(content["pay_period"])
        if month is None:
            raise ValueError(content["pay_period"])
        _row_of(content, month)
        dict(content["files"])
        return Receipt(folder, raw, int(content["receipt"]), content["kind"], month, content)
    except (ValueError, TypeError, KeyError):
        _refuse_if([f"{folder}/{RECEIPT} is not a receipt that was handed out."])
        raise AssertionError("it was refused") from None


def _refuse_if(faults: Iterable[str]) -> None:
    found = list(faults)
    if found:
        more = f" (and {len(found) - _SHOWN} more)" if len(found) > _SHOWN else ""
        raise ShsError(
            f"The database has no ledger, and it cannot be read back from {PAID}/, so nothing was published. "
            f"{' '.join(found[:_SHOWN])}{more}",
            _REMEDY,
        )


def _faults(landing: Landing, receipts: Sequence[Receipt], lying: Sequence[str]) -> Iterator[str]:
    """Give a sentence for whatever does not fit: the chain first, then the files."""
    yield from _faults_of_chain(receipts)
    with_receipt = {receipt.folder for receipt in receipts}
    for path in lying:
        folder, _, name = path.rpartition("/")
        if name == LEDGER and folder not in with_receipt:
            yield f"{folder}/{RECEIPT} is gone."
    for receipt in receipts:
        for name, checksum in receipt.content["files"].items():
            there = landing.read(f"{receipt.folder}/{name}")
            if there is None:
                yield f"{receipt.folder}/{name} is gone."
            elif sha256(there).hexdigest() != checksum:
                yield f"{receipt.folder}/{name} is not the file that was handed out."


def _faults_of_chain(receipts: Sequence[Receipt]) -> Iterator[str]:
    before: Receipt | None = None
    closes: Counter[date] = Counter()
    for receipt in receipts:
        place, expected = receipt.number, before.number + 1 if before else 1
        if before and place == before.number:
            yield f"{before.folder}/ and {receipt.folder}/ both have receipt {place}."
            continue
        closes[receipt.month] += receipt.kind == "closed"
        if place > expected:
            is_one = place == expected + 1
            gone = f"Receipt {expected} is" if is_one else f"Receipts {expected} to {place - 1} are"
            yield f"{gone} missing before {receipt.folder}/, which has receipt {place}."
        elif receipt.content["receipt_before"] != (before.sha256 if before else None):
            earlier = f"the one in {before.folder}/" if before else "the first one"
            yield f"{receipt.folder}/{RECEIPT} does not follow {earlier}: one of the two was changed."
        own = folder_of(receipt.month, closes[receipt.month], receipt.kind)
        if own != receipt.folder:
            yield f"What is in {receipt.folder}/ belongs in {own}/."
        before = receipt


# --- into the ledger -----------------------------------------------------------------------


def _row_of(content: Mapping[str, Any], month: date) -> dict[str, object]:
    """Return the row of `ledger.closes` that a receipt was made from."""
    is_reopening = content["kind"] == "reopened"
    return {
        "close_no": content["receipt"],
        "kind": content["kind"],
        "pay_period": month,
        "replaces": content["takes_back" if is_reopening else "replaces"],
        "approved_by": content["approved_by"],
        "approved_by_id": content["approved_by_id"],
        "actor": content["actor"],
        "pay_date": content["pay_date"],
        "note": content["note"],
        "publication_id": content["publication"],
        "inputs": Jsonb(content["inputs"]),
        "closed_at": content["closed_at"],
    }


def _enter(connection: psycopg.Connection, landing: Landing, receipt: Receipt) -> None:
    _insert(connection, "closes", [_row_of(receipt.content, receipt.month)])
    content = landing.read(f"{receipt.folder}/{LEDGER}") or b""
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    for part in PARTS:
        own = [row for row in rows if row["record"] == part.record]
        _insert(connection, part.table, _without_others(connection, part.table, own))
    if ledger_csv(connection, receipt.number) != content:
        _refuse_if([f"{receipt.folder}/{LEDGER} is of another version of shs than this one."])
    _insert(
        connection,
        "receipts",
        [
            {
                "close_no": receipt.number,
                "folder": receipt.folder,
                "sha256": receipt.sha256,
                "receipt": receipt.raw.decode(),
            }
        ],
    )


def _without_others(
    connection: psycopg.Connection, table: str, rows: Sequence[Mapping[str, str]]
) -> list[dict[str, object]]:
    """Return rows with the columns of their table only; what is empty is null where it may be."""
    columns = connection.execute(
        "select attname, attnotnull from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 and not attisdropped",
        [f"ledger.{table}"],
    ).fetchall()
    return [
        {
            name: row[name] if row[name] or is_required else None
            for name, is_required in columns
            if name in row
        }
        for row in rows
    ]


def _insert(connection: psycopg.Connection, table: str, rows: Sequence[Mapping[str, object]]) -> None:
    if not rows:
        return
    names = list(rows[0])
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier("ledger", table),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join(sql.Placeholder() * len(names)),
    )
    with connection.cursor() as cursor:
        cursor.executemany(statement, [list(row.values()) for row in rows])
