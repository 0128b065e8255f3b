"""The process that reads files: `python -m shs_pipeline.file_reader.child SOCKET MEGABYTES SECONDS CLOCK`.

It gets one order after another over an inherited socket, ends with its parent, and knows no secret.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import math
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from shs_pipeline.file_reader.messages import (
    Frame,
    FrameReader,
    answer,
    cells_answer,
    file_of,
    pieces_of,
    problems_of,
)
from shs_pipeline.files.source import Declaration

# The parent ends a child that hangs. Should it fail to, the system does it this much later.
_LATER_SECONDS = 10
_PR_SET_PDEATHSIG = 1
_NO_MEMORY = Frame({"failed": "memory"})


def serve(connection: socket.socket, seconds: float, clock_seconds: float) -> None:
    """Carry out orders until the other end is closed.

    Args:
        seconds: of processor time that one order may take.
        clock_seconds: by the clock, which the parent watches too.
    """
    said = _Said()
    logging.getLogger().addHandler(said)
    _send(connection, Frame({"ready": True}))
    gc.enable()
    reader = FrameReader()
    while count := connection.recv_into(reader.room()):
        order = reader.took(count)
        if order is None:
            continue
        signal.setitimer(signal.ITIMER_REAL, clock_seconds + _LATER_SECONDS)
        limit_processor_time(seconds)
        # The search for reference cycles takes a seventh of the time of a large file.
        gc.disable()
        frames = _frames(order, said)
        while frame := _next(frames):
            _send(connection, frame)
            if frame is _NO_MEMORY:
                return  # what is left of it may be in pieces: another process goes on
        gc.enable()
        limit_processor_time(math.inf)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _frames(order: Frame, said: _Said) -> Iterator[Frame]:
    """Carry out an order; yield the answer, then each piece that follows it as it is made."""
    reply = _carry_out(order)
    yield Frame({**reply.header, "log": said.taken()}, reply.blocks)
    for piece in reply.pieces:
        yield Frame({}, [piece])


def _next(frames: Iterator[Frame]) -> Frame | None:
    try:
        return next(frames, None)
    except MemoryError:
        return _NO_MEMORY


def _carry_out(order: Frame) -> Frame:
    match order.header["do"]:
        case "read":
            return _read(order)
        case "guess":
            return _or_sentence(_guess, order)
        case "layout":
            return _or_sentence(_layout, order)
        case "open":
            return _or_sentence(_open, order)
        case "cells":
            return _or_sentence(_cells, order)
        case _:
            return _mark(order)


def _or_sentence(do: Callable[[Frame], Frame], order: Frame) -> Frame:
    """Carry out an order; what a person can fix comes back as sentences."""
    from shs_pipeline.base.errors import ShsError, UnreadableFileError

    try:
        return do(order)
    except ShsError as error:
        is_unreadable = isinstance(error, UnreadableFileError)
        return Frame({"problem": error.problem, "remedy": error.remedy, "is_unreadable": is_unreadable})


def _read(order: Frame) -> Frame:
    from shs_pipeline.files.copy_text import copy_lines_of
    from shs_pipeline.files.source import read_file

    declaration, file = _declared(order.header["declaration"]), file_of(order)
    outcome = read_file(declaration, file, order.header["max_bytes"])
    if outcome.lines is None:
        return answer(outcome, None, {})
    lines: Any = outcome.lines
    cells = {name: [str(cell) for cell in lines[name].tolist()] for name in order.header["columns"]}
    return answer(outcome, copy_lines_of(declaration, lines), cells)


def _guess(order: Frame) -> Frame:
    from shs_pipeline.file_reader.guess import guess

    found = guess(file_of(order), order.header["max_bytes"])
    return Frame({"declaration": found.declaration.name, "found": found.found, "wanted": found.wanted})


def _layout(order: Frame) -> Frame:
    from shs_pipeline.file_reader.layout.guess import guess_layout

    return Frame({"layout": guess_layout(file_of(order), order.header["max_bytes"]).plain()})


def _open(order: Frame) -> Frame:
    from shs_pipeline.files.source import check_can_be_opened

    declaration = _declared(order.header["declaration"])
    check_can_be_opened(declaration, file_of(order), order.header["max_bytes"])
    return Frame({})


def _cells(order: Frame) -> Frame:
    from shs_pipeline.file_reader.cell_text import cells_of

    places = [(str(sheet), int(row)) for sheet, row in order.header["places"]]
    return cells_answer(cells_of(order.header["source"], file_of(order), places))


def _mark(order: Frame) -> Frame:
    from shs_pipeline.file_reader.error_workbook import write_error_workbook

    header = order.header
    problems = problems_of(header["problems"])
    return Frame(
        {},
        [write_error_workbook(header["name"], bytes(order.blocks[0]), problems, columns=header["columns"])],
    )


def _declared(name: str) -> Declaration:
    from shs_pipeline.landing.names import REFERENCE_NAMES
    from shs_pipeline.reference.registry import table_named
    from shs_pipeline.sources.registry import incoming_named

    return table_named(name) if name in REFERENCE_NAMES else incoming_named(name)


class _Said(logging.Handler):
    """Keeps what is logged while an order is carried out; the parent logs it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._kept: list[list[Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append([record.levelno, self.format(record)])

    def taken(self) -> list[list[Any]]:
        """Return what was kept, and start over."""
        kept, self._kept = self._kept, []
        return kept


def _send(connection: socket.socket, frame: Frame) -> None:
    for piece in pieces_of(frame):
        connection.sendall(piece)


def _import_libraries() -> None:
    """Import what nearly every file needs, before the first one comes."""
    import numpy as np  # noqa: F401
    import openpyxl  # noqa: F401
    import pandas as pd  # noqa: F401
    import pandera.pandas as pa  # noqa: F401

    from shs_pipeline.reference.registry import all_tables
    from shs_pipeline.sources.registry import all_incoming

    assert all_incoming()
    assert all_tables()
    gc.freeze()


def limit_memory(megabytes: int) -> None:
    """Let this process have so much memory beyond what it has now, where the system can hold it to that."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no copy of the sales on the disk
    status = Path("/proc/self/statm")
    if not status.is_file():
        return  # macOS does not keep to this limit; the parent watches
    held = int(status.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    most = held + megabytes * 2**20
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with suppress(OSError):
        # Where the whole machine runs out of memory, this process is the one to go.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def limit_processor_time(seconds: float) -> None:
    """Have the system end this process (SIGXCPU) once it has computed for so many more seconds.

    Not by the clock: on a busy machine a good file waits long and computes little.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = hard
    if math.isfinite(seconds):
        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = math.ceil(used.ru_utime + used.ru_stime + seconds)
        soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def end_with_parent() -> None:
    """Let Linux end this process with its parent, also in the middle of a file; elsewhere at its end."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> NoReturn:
    """Prepare, then serve at the socket whose number the command line names."""
    number, megabytes, seconds, clock_seconds = sys.argv[1:]
    gc.disable()  # nothing of the libraries becomes garbage
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's business
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    connection = socket.socket(fileno=int(number))
    end_with_parent()
    with suppress(BrokenPipeError, ConnectionResetError):
        _import_libraries()
        limit_memory(int(megabytes))
        serve(connection, float(seconds), float(clock_seconds))
    # What libraries would do at the end is of no use to anybody.
    os._exit(0)


if __name__ == "__main__":
    main()
