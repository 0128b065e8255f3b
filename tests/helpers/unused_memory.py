"""When a test process looks for what nothing refers to any more but itself, such as the models of a build.

Python looks after so many new objects, which took a tenth of the workers' time. Here a process does it
when it has got large.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

_USED = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE")
LARGE = min(3 << 30, os.sysconf("SC_PHYS_PAGES") * _PAGE // 8)
"""Bytes from which on a process is looked through, and again after each so many more."""

_limits = [LARGE]


def look_seldom() -> None:
    """Let Python not look by itself, or seldom where a process cannot tell its size."""
    if _USED.is_file():
        gc.disable()
    else:
        gc.set_threshold(1_000_000, 10, 100)


def look_where_large() -> None:
    """Look where this process has got large."""
    if not gc.isenabled() and _used() > _limits[-1]:
        gc.collect()
        _limits.append(_used() + LARGE)


def _used() -> int:
    return int(_USED.read_text().split()[1]) * _PAGE
