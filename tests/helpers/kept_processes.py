"""Reading processes that outlive their reader, for the next one here that asks for the same kind."""

from __future__ import annotations

import sys
from collections import defaultdict
from typing import Any

from shs_pipeline.file_reader import process
from shs_pipeline.file_reader.process import ReadingProcess
from shs_pipeline.file_reader.reader import FileReader

_IDLE: defaultdict[tuple[Any, ...], list[ReadingProcess]] = defaultdict(list)


def _kind(reader: FileReader) -> tuple[Any, ...]:
    """What a process was started with."""
    told = sorted(process._environment().items())
    return tuple(reader.command), reader.limits, tuple(told)


def start(reader: FileReader) -> None:
    """Take a process that waits, or start one."""
    if reader._child is None:
        kind = _kind(reader)
        idle = _IDLE[kind]
        reader._child = idle.pop() if idle else ReadingProcess(reader.command, reader.limits)
        reader._child.kind = kind


def close(reader: FileReader) -> None:
    """Keep the process where it is sound and has nothing to do; end it in all other cases."""
    child, reader._child = reader._child, None
    if child is None:
        return
    is_sound = child._is_ready and child.peak_share < 0.5 and child._process.poll() is None
    is_at_rest = child._under_way is None and sys.exc_info()[0] is None
    # What a fixture of a module or session started, before a test, is of no known kind.
    kind = getattr(child, "kind", None)
    if kind is not None and is_sound and is_at_rest and len(_IDLE[kind]) < 2:
        _IDLE[kind].append(child)
    else:
        child.end()
