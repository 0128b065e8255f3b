"""The result of one `shs doctor` check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        what: what was looked at.
        remedy: how to fix it; empty where nothing is wrong.
    """

    state: Literal["ok", "warn", "fail"]
    what: str
    found: str
    remedy: str = ""
