"""Whether what was handed out, the receipts and the ledger still fit together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from shs_pipeline.closing.handing_out import LEDGER, RECEIPT, folders_outstanding, ledger_csv
from shs_pipeline.landing.places import INCOMING, PAID

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.landing.zone import Landing


@dataclass
class Verified:
    """The result: how many receipts and files were looked at, and what does not fit, as sentences."""

    receipts: int = 0
    files: int = 0
    faults: list[str] = field(default_factory=list)


def verify(connection: psycopg.Connection, landing: Landing) -> Verified:
    """Hold every receipt against its files, the one before it, and the ledger.

    Raises:
        LandingError: the landing zone cannot be read.
    """
    result, before = Verified(), None
    outstanding = connection.execute(
        "select pay_period from ledger.closes where close_no not in (select close_no from ledger.receipts)"
    ).fetchall()
    result.faults += [f"The close of {month:%Y-%m} was not handed out yet." for (month,) in outstanding]
    for close_no, folder, checksum, receipt in connection.execute(
        "select close_no, folder, sha256, receipt from ledger.receipts order by close_no"
    ).fetchall():
        content = json.loads(receipt)
        if sha256(receipt.encode()).hexdigest() != checksum:
            result.faults.append(f"Receipt {close_no} was changed in the database.")
        if content["receipt_before"] != before:
            result.faults.append(f"Receipt {close_no} does not name the receipt before it.")
        ledger = sha256(ledger_csv(connection, close_no)).hexdigest()
        if ledger != content["files"].get(LEDGER):
            result.faults.append(f"The ledger in the database is not the one of receipt {close_no}.")
        result.faults += _of_files(landing, folder, {**content["files"], RECEIPT: checksum}, result)
        result.receipts, before = result.receipts + 1, checksum
    result.faults += strays(connection, landing)
    return result


def strays(connection: psycopg.Connection, landing: Landing) -> list[str]:
    """Return a sentence for each file under `paid/` that no close has handed out.

    Raises:
        LandingError: the landing zone cannot be read.
    """
    rows = connection.execute("select folder, receipt from ledger.receipts").fetchall()
    ours = {f"{folder}/{name}" for folder, receipt in rows for name in json.loads(receipt)["files"]}
    ours |= {f"{folder}/{RECEIPT}" for folder, _ in rows}
    begun = tuple(f"{folder}/" for folder in folders_outstanding(connection))
    remedy = f"Nothing under {PAID}/ is read: move it to {INCOMING}/ or delete it."
    return [
        f"{path} was not handed out by a close. {remedy}"
        for path in (drop.path for drop in landing.drops(PAID))
        if path not in ours and not path.startswith(begun)
    ]


def _of_files(landing: Landing, folder: str, sums: dict[str, Any], result: Verified) -> Iterator[str]:
    """Give a sentence for each file that is gone or is not what its receipt says."""
    for name, checksum in sums.items():
        there = landing.read(f"{folder}/{name}")
        result.files += 1
        if there is None:
            yield f"{folder}/{name} is gone."
        elif sha256(there).hexdigest() != checksum:
            yield f"{folder}/{name} is not the file that was handed out."
