"""Models that no longer match their source's contract, and how to fix them."""

from __future__ import annotations

import re

_COLUMN = re.compile(r"column (own|lines)\.\w+ does not exist")
_HISTORY = "sales_history_"


def how_to_follow_contract(model: str, message: str) -> str:
    """Return a sentence for a model that names a column which its source does not have, else nothing.

    Args:
        model: name of the model that failed.
        message: what the database said.
    """
    if not _COLUMN.search(message):
        return ""
    if model.startswith(_HISTORY):
        source = model.removeprefix(_HISTORY)
        return f" The contract of {source} has changed: run `make docs` to regenerate this model."
    if model.startswith("stg_"):
        file = f"dbt_project/models/staging/{model}.sql"
        return f" The contract of the source has no such column: correct {file}."
    return ""
