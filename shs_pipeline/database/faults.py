"""Explain faults that are not bugs: a full disk, a lost database, older marts."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.connection import is_changed_at_once, is_connection_lost

if TYPE_CHECKING:
    from collections.abc import Iterator

# No such column, table or function.
_UNDEFINED = ("42703", "42P01", "42883")
_FULL = (errno.ENOSPC, errno.EDQUOT)
# dbt hands on what the server said as text; a server of another language still says the second.
_FULL_WORDS = ("No space left on device", "53100", "Disk quota exceeded")


def explained(error: BaseException) -> ShsError | None:
    """Return what is wrong and how to fix it, where an error or what it came from is the machine's."""
    for each in _chain(error):
        if isinstance(each, OSError) and (known := _explained_os_error(each)):
            return known
        said = (str(each).strip().splitlines() or [type(each).__name__])[0].rstrip(".")
        if is_disk_full(each):
            return ShsError(*disk_full_in_database("", said))
        if is_changed_at_once(each):
            return ShsError(
                f"Another command changed the same thing in the database at the same moment ({said}).",
                "Run the command again; if this keeps happening, find the other session in pg_stat_activity.",
            )
        if is_connection_lost(each):
            return ShsError(
                f"The connection to the database was lost ({said}).",
                "Run the command again when the database is back; shs doctor checks the embedded one.",
            )
    return None


def older_tables(error: BaseException) -> ShsError | None:
    """Return what is wrong and how to fix it, where a query found no such column, table or function.

    So it is between an upgrade and the next run, which brings the tables to today's version.
    """
    for each in _chain(error):
        if getattr(each, "sqlstate", None) in _UNDEFINED:
            said = (str(each).strip().splitlines() or [type(each).__name__])[0].rstrip(".")
            return ShsError(
                f"The marts were published by an older version of shs ({said}).",
                "Run shs run, which rebuilds them. If this happens again afterwards, it is a bug: report it.",
            )
    return None


def is_disk_full(error: BaseException) -> bool:
    """Whether the database has no room on its disk."""
    return getattr(error, "sqlstate", None) == "53100"


def says_disk_full(message: str) -> bool:
    """Whether the text of an error says so."""
    return any(words in message for words in _FULL_WORDS)


def disk_full_in_database(place: str, said: str) -> tuple[str, str]:
    """Return problem and remedy.

    Args:
        place: which database, if that is known.
        said: what the server said; it names the file.
    """
    which = f"The disk of the database {place}".rstrip()
    problem = f"{which} is full: {' '.join(said.split())[:300].rstrip('.')}."
    remedy = "Nothing was changed. Free some space on that disk, then run the command again."
    return problem, remedy


def _explained_os_error(error: OSError) -> ShsError | None:
    name = error.filename
    where = os.fsdecode(name) if isinstance(name, str | bytes) else "the folder that was written to"
    if error.errno in _FULL:
        return ShsError(
            f"The disk is full: {where} cannot be written ({error.strerror}).",
            "Free some space on that disk, or move SHS_HOME to a larger one; then run the command again.",
        )
    if error.errno == errno.EROFS:
        return ShsError(
            f"{where} is on a read-only disk.",
            "Set SHS_HOME to a writable folder, or mount that disk for writing.",
        )
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    next_one: BaseException | None = error
    while next_one is not None and id(next_one) not in seen:
        seen.add(id(next_one))
        yield next_one
        hidden = next_one.__suppress_context__
        next_one = next_one.__cause__ or (None if hidden else next_one.__context__)
