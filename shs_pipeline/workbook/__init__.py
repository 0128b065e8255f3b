"""Reading Excel: is it a workbook we may open, where on its sheets is the table, what do its cells hold.

`archive` and `book` know the parts of the format, `cells` reads a sheet's XML and `plain` the large
plain ones all at once; `header`, `merged` and `sheets` say what belongs to the table, which `table` reads.
"""

from __future__ import annotations

from shs_pipeline.workbook.archive import check_is_workbook
from shs_pipeline.workbook.cells import merged_area
from shs_pipeline.workbook.header import HEADER_WITHIN, HeaderNames, header_key
from shs_pipeline.workbook.table import Table, counts_days_from_1904, first_rows, read_sheet, read_table

DAYS_TO_1904 = 1462
"""From the day 0 of most workbooks to that of those that count from 1904."""

__all__ = [
    "DAYS_TO_1904",
    "HEADER_WITHIN",
    "HeaderNames",
    "Table",
    "check_is_workbook",
    "counts_days_from_1904",
    "first_rows",
    "header_key",
    "merged_area",
    "read_sheet",
    "read_table",
]
