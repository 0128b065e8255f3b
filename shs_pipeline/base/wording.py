"""Amounts, counts and addresses as people write them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from decimal import Decimal


def dollars(amount: Decimal) -> str:
    """Return an amount as people read it."""
    return f"{amount:,.2f}"


def thousands(amount: Decimal) -> str:
    """Return about how much an amount is: `$612k`, or `$85` below a thousand."""
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    return f"{sign}${size:,.0f}" if size < 1000 else f"{sign}${size / 1000:,.0f}k"


def count_of(count: int, noun: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def form_for(count: float, one: str, many: str) -> str:
    """Return what goes with `count_of`: `is` for 1 file, `are` for 2."""
    return one if count == 1 else many


def shown_address(address: str) -> str:
    """Return the path of a `file://` address, and any other address as it is."""
    prefix = "file://"
    return unquote(address.removeprefix(prefix)) if address.startswith(prefix) else address
