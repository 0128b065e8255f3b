"""The payouts that a held build would change, as they are kept and shown: with reasons, and line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from shs_pipeline.marts.line_changes import line_in_words
from shs_pipeline.marts.payout_diff import changed_payouts, part_in_words
from shs_pipeline.marts.publications import Published
from shs_pipeline.marts.upcoming import upcoming_of

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.marts.due import Plan
    from shs_pipeline.marts.payout_diff import Part
    from shs_pipeline.marts.payout_states import Key

_KEPT = 100
"""How many lines of a reason are kept, those that move most."""


@dataclass(frozen=True)
class ShownLine:
    """A line, and what its change adds to the payout (USD)."""

    amount: Decimal
    words: str


@dataclass(frozen=True)
class ShownPart:
    """A reason in the words of `shs diff`, and what it adds to the payout (USD).

    Attributes:
        lines: the largest change first; no more than are kept.
        line_count: how many there are.
    """

    amount: Decimal
    words: str
    lines: Sequence[ShownLine] = ()
    line_count: int = 0


@dataclass(frozen=True)
class ShownPayout:
    """A payout of a closed month as a held build would change it (USD).

    Attributes:
        parts: why; they add up to the difference. None where nothing is published to compare with.
    """

    rep_name: str
    product_line: str
    commission_month: date
    published: Decimal
    held: Decimal
    parts: Sequence[ShownPart] = ()


_KEPT_AS = TypeAdapter(list[ShownPayout])


def as_json(payouts: Sequence[ShownPayout]) -> list[dict[str, Any]]:
    """Return payouts as they are kept; amounts are text."""
    found: list[dict[str, Any]] = _KEPT_AS.dump_python(list(payouts), mode="json")
    return found


def from_json(kept: object) -> list[ShownPayout]:
    """Return payouts that were kept."""
    return _KEPT_AS.validate_python(kept)


def parts_of(connection: psycopg.Connection, plan: Plan, keys: set[Key]) -> Mapping[Key, Sequence[ShownPart]]:
    """Return why a build changes payouts; nothing where nothing is published to compare with.

    Args:
        plan: what the build was made from.
    """
    upcoming = upcoming_of(connection, plan)
    if upcoming is None or plan.last is None:
        return {}
    last = Published(plan.last.publication_id, "", plan.last.published_at)
    changes = changed_payouts(connection, last, upcoming.state, keys.__contains__, upcoming)
    return {key: [_shown(part) for part in change.parts] for key, change in changes.items()}


def _shown(part: Part) -> ShownPart:
    lines = [ShownLine(found.amount, line_in_words(found)) for found in part.lines[:_KEPT]]
    return ShownPart(part.amount, part_in_words(part), lines, len(part.lines))
