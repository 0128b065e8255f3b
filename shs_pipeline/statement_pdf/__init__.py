"""Summit Medical's monthly statement: a borderless, paginated PDF, read by two readers.

Camelot's reading is taken when it is whole and adds up to every printed total; the coordinate
reader's otherwise; when neither is, the file is rejected and both readings are shown.
"""

from __future__ import annotations

from shs_pipeline.statement_pdf.printed import DELIVERED_COLUMNS, STATEMENT_DATE
from shs_pipeline.statement_pdf.statement import read_statement

__all__ = ["DELIVERED_COLUMNS", "STATEMENT_DATE", "read_statement"]
