"""What words of a report say: a total and of what, an average, a count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from shs_pipeline.casting.amounts import DASHES
from shs_pipeline.casting.cells import match_key, show

_KIND = r"(?:(?:grand|sub|report|page|overall|running|final|company|statement|net|all)[ -]*)*totals?"
_GENERAL = re.compile(
    rf"\W*{_KIND}\W*(?:(?:(?:of|for) )?(?:the )?(?:all|report|page|statement)?\W*|as (?:of|at)\b.*)"
)
_COUNTED = r"(?:(?:number|no\.?|nr\.?|count)\ of|\#(?:\ ?of)?)\ (?:\w+\ )?\w+s"
_COUNT = r"(?:(?:record|row|line|item|invoice|order|document|transaction)s?\ )?counts?"
_PERIOD = (
    r"(?:ytd|mtd|qtd|(?:year|month|quarter)[ -]to[ -]date|(?:prior|previous|last)\ (?:month|quarter|year))"
)
_STATISTIC = re.compile(
    rf"""\W*(?:(?:grand|overall|total|company|report|sub|page)[ -]*)*
    (?:averages?|avg|mean|median|minimum|maximum|{_COUNT}|{_COUNTED})
    \W*(?:(?:of|for|per|by)\ .*)?[\W\d]*
    | \W*(?:{_KIND}\ (?:for\ |of\ )?)?{_PERIOD}(?:\ {_KIND}|\ sales|\ commissions?)?\W*
    | \W*(?:%|percent(?:age)?)\ ?of\ {_KIND}\W*""",
    re.VERBOSE,
)
_TOTAL_COUNT = re.compile(
    r"\W*total\W+(?:records|rows|lines|invoices|documents|orders|transactions|items|customers|accounts)\W*"
)
_BEHIND = re.compile(r"\W*(.+?)[\s:-]*\b(?:sub[ -]?)?totals?\W*")
_BEFORE = re.compile(r"\W*(?:sub[ -]?)?totals?\b[\s:-]*(?:(?:for|of|by)\b[\s:-]*)?(.+?)[\s:]*")
_FORWARD = re.compile(
    r"(?:(?:sub-?total|total|balance|amount) )?(?:carried|brought) (?:forward|over|down)\W*"
)


def says_total(cells: pd.Series) -> pd.Series:
    """Return (n,) booleans: which cells are text that contains the word total."""
    return pd.Series(mention_total(cells.tolist()), index=cells.index, dtype=bool)


def mention_total(cells: Sequence[Any]) -> np.ndarray:
    """Return (n,) booleans: `mentions_total` of each cell."""
    # Most columns have no such text, which is seen in all of them together.
    if "total" not in "\n".join([cell for cell in cells if isinstance(cell, str)]).casefold():
        return np.zeros(len(cells), dtype=bool)
    return np.fromiter(map(mentions_total, cells), dtype=bool, count=len(cells))


def mentions_total(cell: Any) -> bool:
    """Whether a cell is text that contains the word total."""
    return isinstance(cell, str) and "total" in cell.casefold()


def total_label(cells: Iterable[Any]) -> str | None:
    """Return the first text that says total."""
    return next((show(cell) for cell in cells if mentions_total(cell)), None)


def is_general(label: str) -> bool:
    """Whether a label says total and no name: `Grand Total`, `TOTAL:`, `Report totals`."""
    return bool(_GENERAL.fullmatch(match_key(label)))


def is_carried(label: str) -> bool:
    """Whether a label says that a sum goes on from here or was begun before: `Carried forward`."""
    return bool(_FORWARD.fullmatch(match_key(label)))


def says_statistic(text: str) -> bool:
    """Whether a text can only say average, count, extreme, share or other period: `Average:`, `YTD total`."""
    return bool(_STATISTIC.fullmatch(match_key(text)))


def may_say_count(text: str) -> bool:
    """Whether a text may say how many lines there are, or what they add up to: `Total invoices`."""
    return bool(_TOTAL_COUNT.fullmatch(match_key(text)))


def ends_with_total(label: str) -> bool:
    """Whether a label can only be that of a total: `C103 Total`, `Total for Mercy`, `Grand Total`."""
    key = match_key(label)
    return is_general(key) or bool(_BEHIND.fullmatch(key)) or bool(re.match(r"\W*totals? (for|of)\b", key))


def names_in(label: str) -> list[str]:
    """Return what a total may be named after, the likeliest first, as `match_key` gives it.

    `Total Ortho LLC Total` is the total of Total Ortho LLC, and a subtotal above its lines may bear
    the bare name of its group.
    """
    key = match_key(label.translate(DASHES))
    if is_general(key):
        return []
    found = [match[1] for shape in (_BEHIND, _BEFORE) if (match := shape.fullmatch(key))]
    return list(dict.fromkeys([*found, key]))
