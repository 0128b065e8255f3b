"""`SHS_STATEMENT_LINKS`: the links to a closed statement, in the mail to its payee and nowhere else.

They are made when the mail is, and are in no table and no log: whoever has one can read the statement.
"""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.settings.lifetimes import in_words

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.landing.zone import Landing

STATEMENT = "statement"
_FORMS = {"PDF": "pdf", "Workbook": "xlsx"}


def statement_key(close_no: int, payee_id: str) -> str:
    """Return the key of the notice that a statement is there."""
    return f"{STATEMENT}/{close_no}/{payee_id}"


def links_in_words(
    connection: psycopg.Connection, landing: Landing, key: str, payee_id: str | None, life: timedelta
) -> str:
    """Return what the mail to a payee says of the links to the statement of a notice; empty without any.

    Only files that are still the ones that were handed out get a link.
    """
    kind, _, rest = key.partition("/")
    close_no, _, of_payee = rest.partition("/")
    if kind != STATEMENT or not payee_id or of_payee != payee_id:
        return ""
    row = connection.execute(
        "select folder, receipt from ledger.receipts where close_no = %s", [int(close_no)]
    ).fetchone()
    connection.rollback()
    if row is None:
        return ""
    sums = json.loads(row[1])["files"]
    try:
        links = [
            f"{form}: {landing.link(f'{row[0]}/{name}', life)}"
            for form, name in ((form, f"statements/{payee_id}.{ending}") for form, ending in _FORMS.items())
            if _is_as_handed_out(landing, f"{row[0]}/{name}", sums.get(name))
        ]
    except ShsError:
        return ""  # the bucket is away: the mail goes without
    if not links:
        return ""
    said = (
        f"These links work for {in_words(life)} at most, for anyone who has them: do not forward this mail."
    )
    return "\n".join([said, *links])


def _is_as_handed_out(landing: Landing, path: str, checksum: str | None) -> bool:
    content = landing.read(path) if checksum else None
    return content is not None and sha256(content).hexdigest() == checksum
