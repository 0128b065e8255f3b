"""Amounts, counts and addresses as people write them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from decimal import Decimal


def dollars(amount: Decimal) -> str:
    """Return an amount as people read it."""
    return f"{amount:,.2f}"


def count_of(count: int, noun: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def shown_address(address: str) -> str:
    """Return the path of a `file://` address, and any other address as it is."""
    prefix = "file://"
    return unquote(address.removeprefix(prefix)) if address.startswith(prefix) else address
