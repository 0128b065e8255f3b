"""How names, amounts, rates and days look on a statement, whatever it is drawn on."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from decimal import Decimal

from shs_pipeline.base.printable import plain
from shs_pipeline.base.wording import dollars

# Nobody's letters: XML refuses the first two, and no font has any of them.
_NO_LETTERS = re.compile("[\ufffe\uffff\ufdd0-\ufdef]")


def clean(text: str) -> str:
    """Return a text that every form of a statement can hold: what nobody could see is written out."""
    return _NO_LETTERS.sub("\ufffd", plain(unicodedata.normalize("NFC", text))).strip()


def with_sign(amount: Decimal) -> str:
    """Return `$1,234.50` or `-$1,234.50`."""
    return f"{'-' if amount < 0 else ''}${dollars(abs(amount))}"


def month_shown(month: date) -> str:
    """Return `Oct 2026`."""
    return f"{month:%b} {month.year}"


def day_shown(day: date) -> str:
    """Return `Nov 15, 2026`."""
    return f"{day:%b} {day.day}, {day.year}"


def rate_shown(rate: Decimal) -> str:
    """Return `7%` or `12.25%`: all digits that say something, and no others."""
    percent = format(rate * 100, "f")
    return f"{percent.rstrip('0').rstrip('.') if '.' in percent else percent}%"
