"""CSV for other programs, safe from formula injection in spreadsheets and from escape codes in terminals."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence

from shs_pipeline.base.printable import csv_cell


def print_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as CSV to stdout."""
    writer = csv.writer(sys.stdout)
    writer.writerow(header)
    for row in rows:
        writer.writerow([csv_cell(value) for value in row])
