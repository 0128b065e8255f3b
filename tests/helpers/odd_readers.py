"""A reading process whose reader for novo does what the file is called, such as to loop."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from shs_pipeline.file_reader import child
from shs_pipeline.files import copy_text
from shs_pipeline.files.reading import Reading, SourceFile
from shs_pipeline.sources.registry import source_named

_PIECES = copy_text._pieces
_READ = source_named("novo").readers[".xlsx"]


def _loop() -> None:
    while True:
        pass


def _take_memory() -> None:
    kept = []
    while True:
        kept.append(b"x" * (50 << 20))


def _print_garbage() -> None:
    for _ in range(40):
        print("garbage " * 10_000, flush=True)
        os.write(1, b"\x00\xff" * 50_000)


def _fail() -> None:
    raise ZeroDivisionError("hidden detail")


def _tell_environment() -> None:
    found = [name for name in os.environ if name.startswith(("SHS_", "AWS_", "PG"))]
    raise KeyError(",".join(sorted(found)) or "nothing")


def _die_once() -> None:
    mark = Path(os.environ["TMPDIR"]) / "once"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _crash_behind_the_answer() -> None:
    def pieces(*made_of: Any) -> Iterator[bytes]:
        yield next(_PIECES(*made_of))
        os.abort()

    copy_text._pieces = pieces


def _crash_behind_the_answer_once() -> None:
    mark = Path(os.environ["TMPDIR"]) / "once"
    if not mark.exists():
        mark.touch()
        _crash_behind_the_answer()


ODD: dict[str, Callable[[], object]] = {
    "segfault": lambda: ctypes.string_at(0),
    "loop": _loop,
    # In C and with the interpreter's lock held: no Python runs in this process any more.
    "stuck": lambda: ctypes.PyDLL(None).sleep(3600),
    "wait": lambda: time.sleep(3),
    "memory": _take_memory,
    "exit": lambda: os._exit(3),
    "sysexit": lambda: sys.exit(0),
    "print": _print_garbage,
    "fault": _fail,
    "environment": _tell_environment,
    "once": _die_once,
    "half": _crash_behind_the_answer,
    "halfonce": _crash_behind_the_answer_once,
}


def _misbehave(file: SourceFile) -> Reading:
    ODD.get(file.name.partition(".")[0], lambda: None)()
    return _READ(file)


if __name__ == "__main__":
    source_named("novo").readers[".xlsx"] = _misbehave  # type: ignore[index]
    child.main()
