"""How values look: money as $1,234.50, a rate as 7.0%, a month as Mar 2025."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

from shs_pipeline.dashboards.model import Format

NUMBERS: frozenset[Format] = frozenset(("money", "percent", "rate", "share", "integer", "number"))
_CENT, _TENTH = Decimal("0.01"), Decimal("0.1")


def shown(value: Any, how: Format) -> str:
    """Return a value as people read it; nothing for None."""
    if value is None:
        return ""
    if how in NUMBERS and isinstance(value, int | Decimal):
        return _number(Decimal(value), how)
    if isinstance(value, datetime):
        instant = value.astimezone(UTC) if value.tzinfo else value
        return f"{instant:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return f"{value:%Y}" if how == "year" else f"{value:%b %Y}" if how == "month" else f"{value:%Y-%m-%d}"
    return _flag(value) if isinstance(value, bool) else str(value)


def change_shown(now: Decimal, before: Decimal) -> str:
    """Return by how much a number changed, as `+12.5%`; in words where there is nothing to divide by."""
    if before == 0:
        return "was 0"
    percent = ((now - before) / abs(before) * 100).quantize(_TENTH, ROUND_HALF_UP)
    return f"{percent:+,}%"


def _number(value: Decimal, how: Format) -> str:
    if how == "money":
        # Files hold fractions of cents; the figures themselves stay exact.
        rounded = value.quantize(_CENT, ROUND_HALF_UP)
        return f"-${-rounded:,.2f}" if rounded < 0 else f"${abs(rounded):,.2f}"
    if how == "percent":
        return f"{(value * 100).quantize(_TENTH, ROUND_HALF_UP):,f}%"
    if how == "share":
        # Cut off: what is not reached yet is never 100%.
        return f"{(value * 100).quantize(Decimal(1), ROUND_DOWN):f}%"
    if how == "rate":
        # With all its digits, and one at least: whoever computes a payout again needs them.
        percent = (value * 100).normalize()
        has_decimals = int(percent.as_tuple().exponent) < 0
        return f"{percent if has_decimals else percent.quantize(_TENTH):,f}%"
    if how == "integer":
        return f"{value:,.0f}"
    return _trimmed(value)


def _trimmed(value: Decimal) -> str:
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _flag(value: bool) -> str:
    return "yes" if value else "no"
