"""Summit Medical's monthly statement: a borderless, paginated PDF of no fixed layout.

A reading is taken when its amounts add up to every printed total. Camelot gives a second opinion, and
is taken where only its reading adds up.
"""

from __future__ import annotations

from shs_pipeline.statement_pdf.printed import DELIVERED_COLUMNS, STATEMENT_DATE
from shs_pipeline.statement_pdf.statement import read_statement

__all__ = ["DELIVERED_COLUMNS", "STATEMENT_DATE", "read_statement"]
