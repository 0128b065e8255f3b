"""CSV for other programs, which no spreadsheet takes for formulas and no terminal for commands."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Sequence

from shs_pipeline.cli.table import plain

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")
_NUMBER = re.compile(r"[-+]?\$?([0-9][0-9,]*(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?%?")


def print_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as CSV to stdout."""
    writer = csv.writer(sys.stdout)
    writer.writerow(header)
    for row in rows:
        writer.writerow([harmless(value) for value in row])


def harmless(value: object) -> str:
    """Return a cell that opens as what it is: text that looks like a formula gets an apostrophe.

    Numbers stay numbers, negative ones too.
    """
    text = "" if value is None else str(value)
    if text.lstrip(" ").startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text.strip(" ")):
        text = f"'{text}"
    return plain(text, keep="\n\t")
