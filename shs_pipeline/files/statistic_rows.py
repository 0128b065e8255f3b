"""Rows of averages, counts, extremes and other periods, which say so: neither lines nor totals."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from shs_pipeline.files.bare_rows import BareRow
from shs_pipeline.files.reading import ROW, SHEET
from shs_pipeline.files.total_words import may_say_count, says_statistic

if TYPE_CHECKING:
    import pandas as pd

STATISTIC = "average, count or other period"
"""Why such a row is left out."""

_EXTREMES = frozenset(("min", "max", "highest", "lowest"))


def said_statistics(rows: pd.DataFrame, is_total: pd.Series, bare: Sequence[BareRow]) -> set[int]:
    """Return the rows that say that they are averages, counts or of another period, and cannot be lines."""
    places = is_total.to_numpy(dtype=bool).nonzero()[0].tolist()
    cells = rows.iloc[places].drop(columns=[SHEET, ROW]).to_numpy(dtype=object).tolist()
    found = {row.position for row in bare if row.lacks and says_statistic(row.key)}
    for place, row in zip(places, cells, strict=True):
        texts = [cell for cell in row if isinstance(cell, str)]
        numbers = [cell for cell in row if isinstance(cell, (float, Decimal))]
        is_count = all(0 < number < len(rows) and number == int(number) for number in numbers)
        if any(map(says_statistic, texts)) or (is_count and any(map(may_say_count, texts))):
            found.add(place)
    # People are called Max and Min, but not beside an average.
    extremes = [row.position for row in bare if row.lacks and row.key.strip(":.") in _EXTREMES]
    for place in (*extremes, *reversed(extremes)):
        if not found.isdisjoint((place - 1, place + 1)):
            found.add(place)
    return found
