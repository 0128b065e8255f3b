"""What a finance manager drops: reference workbooks and suppliers' files, made of rows."""

from __future__ import annotations

from typing import Any

from shs_pipeline.files.contract import columns_of
from shs_pipeline.samples.workbook import write_workbook


def workbook(declaration: Any, rows: list[dict[str, Any]]) -> bytes:
    """Write rows, named by header, with every column that any of them has."""
    headers = [column.header for column in columns_of(declaration.rows)]
    needed = {column.header for column in columns_of(declaration.rows) if column.is_in_header}
    used = [header for header in headers if any(header in row for row in rows) or header in needed]
    return write_workbook({"Data": [used, *([row.get(header) for header in used] for row in rows)]})
