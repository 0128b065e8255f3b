"""What the words of a column's heading say about it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shs_pipeline.casting.kinds import Kind

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[%$#]")

_SAYS: dict[Kind, str] = {
    "day": "date day dt",
    "rate": "% percent percentage rate pct",
    "zip": "zip postal postcode zipcode",
    "identifier": "id # number num no nbr nr code sku ref reference invoice inv po order lot serial account "
    "acct part catalog cat upc item document doc",
    "quantity": "qty quantity units pieces pcs count days shipped ordered backordered each ea volume",
    "amount": "$ amount amt total price sales commission comm usd net gross extension extended ext due cost "
    "value revenue paid payout balance tax freight subtotal dollars earned fee margin spend",
    "text": "description desc name address street city state comment notes note type class family category "
    "rep salesperson region group customer client hospital facility",
}
_KIND_OF = {word: kind for kind, words in _SAYS.items() for word in words.split()}


def words_of(header: str) -> list[str]:
    """Return the words of a heading in lower case: `ClosedDate` is closed and date, `Rep %` rep and %."""
    return [word.lower() for word in _WORD.findall(header)]


def kinds_said(header: str) -> list[Kind]:
    """Return the kinds that the words of a heading speak of; its last word says most, but zip is a zip."""
    said = [_KIND_OF[word] for word in reversed(words_of(header)) if word in _KIND_OF]
    return sorted(dict.fromkeys(said), key=lambda kind: kind != "zip")


def score(header: str, points: Mapping[str, int]) -> int:
    """Return the points of the words of a heading, each word once."""
    return sum(points.get(word, 0) for word in set(words_of(header)))
