"""One reading process: started without secrets, watched, and ended when a file exceeds its limits."""

from __future__ import annotations

import logging
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.wording import form_for
from shs_pipeline.file_reader.messages import Frame, FrameReader, pieces_after, pieces_of

_log = logging.getLogger(__name__)

# The only environment variables a reading process gets: where programs, libraries and temporary files are.
_TOLD = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "HOME", "TZ")
_CODE = Path(__file__).parents[2]
_STARTING_SECONDS = 120.0
_PIECE = 1 << 20
_LOOK_SECONDS = 0.25
_TAIL = 4000
# What a child says last where it could not get memory: Rust, C++, C and Python.
_OUT_OF_MEMORY = (
    "memory allocation of",
    "capacity overflow",
    "bad_alloc",
    "annot allocate memory",
    "MemoryError",
)


_IS_HELD_BY_SYSTEM = sys.platform == "linux"


@dataclass(frozen=True)
class Limits:
    """What one file may take.

    Attributes:
        seconds: of processor time, for reading it; as much again for marking a copy of it.
        megabytes: memory beyond that of the libraries.
        clock_factor: how many times as long it may take by the clock, on a machine that is busy.
    """

    seconds: float = 300.0
    megabytes: int = 2048
    clock_factor: float = 10.0

    @property
    def clock_seconds(self) -> float:
        """How long it may take by the clock: longer only takes what hangs without computing."""
        return self.seconds * self.clock_factor


class TooMuchError(Exception):
    """A file crashed the reading process, or it had to be ended."""

    def __init__(self, problem: str, remedy: str, *, may_be_chance: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.may_be_chance = may_be_chance


class _UnderWay:
    """An order that is being sent, or was, and has no answer yet; None where only an answer is awaited."""

    def __init__(self, order: Frame | None) -> None:
        self.order = order
        self._pieces = iter(pieces_of(order)) if order else iter(())
        self.pending = memoryview(next(self._pieces, b""))

    def send(self, connection: socket.socket) -> bool:
        """Send what can be sent at once; return whether more is to be sent."""
        self.pending = self.pending[connection.send(self.pending) :] or memoryview(next(self._pieces, b""))
        return bool(self.pending)


class ReadingProcess:
    """One reading process."""

    def __init__(self, command: Sequence[str], limits: Limits) -> None:
        self._limits = limits
        self._is_ready = False
        self._under_way: _UnderWay | None = None
        self._output = b""
        self.peak_share = 0.0
        told = (str(limits.megabytes), str(limits.seconds), str(limits.clock_seconds))
        self._socket, theirs = socket.socketpair()
        self._output_end, output = os.pipe()
        try:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno()), *told],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(),
                process_group=0,  # a Ctrl-C at the terminal ends the run, which ends this
            )
        except OSError as error:
            self._socket.close()
            os.close(self._output_end)
            raise _cannot_start(str(error)) from None
        finally:
            theirs.close()
            os.close(output)
        os.set_blocking(self._output_end, False)
        self._socket.setblocking(False)

    def ask(self, order: Frame, name: str) -> Frame:
        """Send an order and return what comes back.

        Raises:
            TooMuchError: the process crashed, took too long or too much memory.
            ShsError: the process did not even begin.
        """
        if not self._is_ready:
            self._wait_until_ready()
        if self._under_way is None:
            self._under_way = _UnderWay(order)
        assert self._under_way.order == order
        return self._answer(name)

    def next_piece(self, name: str, seconds: float = math.inf) -> bytes | bytearray:
        """Return the next piece of lines; they follow the answer that announced them.

        Args:
            seconds: how long to wait, where that is less than a file may take by the clock.

        Raises:
            TooMuchError: as `ask`.
        """
        # What was begun meanwhile is sent on while the piece is awaited.
        under_way = self._under_way or _UnderWay(None)
        return self._exchange(name, min(seconds, self._limits.clock_seconds), under_way).blocks[0]

    def begin(self, order: Frame) -> None:
        """Send an order that is asked for later, as far as that needs no waiting.

        Only where the system holds the process to its limits while nobody watches it.
        """
        if not self._is_ready or self._under_way is not None or not _IS_HELD_BY_SYSTEM:
            return
        self._under_way = _UnderWay(order)
        # What cannot be sent at once goes when it is asked for, and so does the news of a crash.
        with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while self._under_way.send(self._socket):
                pass

    def finish_other(self, order: Frame) -> None:
        """Wait for the answer to what was begun, if that is not this order, and forget it.

        Raises:
            TooMuchError: it ended the process.
        """
        if self._under_way is not None and self._under_way.order != order:
            answer = self._answer("another file")
            for _ in range(pieces_after(answer)):
                self.next_piece("another file")

    def _wait_until_ready(self) -> None:
        try:
            self._exchange("", _STARTING_SECONDS, _UnderWay(None))
        except TooMuchError as error:
            said = self._output.decode(errors="replace").strip().splitlines()
            raise _cannot_start(said[-1] if said else error.problem) from None
        self._is_ready = True

    def _answer(self, name: str) -> Frame:
        under_way, self._under_way = self._under_way, None
        assert under_way is not None
        return self._exchange(name, self._limits.clock_seconds, under_way)

    def _exchange(self, name: str, seconds: float, under_way: _UnderWay) -> Frame:
        """Send an order piece by piece while the process works, and take in what it says."""
        deadline = looked = time.monotonic()
        deadline += seconds
        reader = FrameReader()
        while (now := time.monotonic()) < deadline:
            ready = self._ready(bool(under_way.pending), min(deadline - now, _LOOK_SECONDS))
            try:
                if ready.get(self._socket, 0) & selectors.EVENT_WRITE:
                    under_way.send(self._socket)
                frame = self._received(reader, ready)
            except (BrokenPipeError, ConnectionResetError):
                raise self._ended(name) from None
            if frame is not None or now - looked > _LOOK_SECONDS:
                looked = now
                self._watch_memory(name)
            if frame is not None:
                if frame.header.get("failed") == "memory":
                    raise self._too_much_memory(name)
                return frame
        self.end()
        raise _too_long(name, f"did not finish within {seconds:g} seconds")

    def _ready(self, is_sending: bool, seconds: float) -> Mapping[object, int]:
        """Wait until there is something to read or room to write; return the ends with their events."""
        # Not select(), which takes no number above 1023: a daemon may have more files open.
        with selectors.PollSelector() as selector:
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            selector.register(self._socket, both if is_sending else selectors.EVENT_READ)
            selector.register(self._output_end, selectors.EVENT_READ)
            return {key.fileobj: events for key, events in selector.select(seconds)}

    def _received(self, reader: FrameReader, ready: Mapping[object, int]) -> Frame | None:
        """Take in what is there to be read; return the answer where it is whole."""
        if self._output_end in ready:
            self._keep_output()
        if not ready.get(self._socket, 0) & selectors.EVENT_READ:
            return None
        try:
            count = self._socket.recv_into(reader.room())
        except BlockingIOError:
            return None
        if not count:
            raise ConnectionResetError
        return reader.took(count)

    def _keep_output(self) -> None:
        try:
            self._output = (self._output + os.read(self._output_end, _PIECE))[-_TAIL:]
        except BlockingIOError:
            return

    def _watch_memory(self, name: str) -> None:
        """Look how much memory the process has, beyond what it had when it was ready.

        Raises:
            TooMuchError: more than it may have.
        """
        held = resident_megabytes(self._process.pid)
        self.peak_share = held / self._limits.megabytes
        if held > self._limits.megabytes + _OF_THE_LIBRARIES:
            self.end()
            raise self._too_much_memory(name)

    def _ended(self, name: str) -> TooMuchError:
        self._process.wait()
        self._keep_output()
        said = self._output.decode(errors="replace")
        code = self._process.returncode
        if any(sign in said for sign in _OUT_OF_MEMORY):
            return self._too_much_memory(name)
        if code == -signal.SIGXCPU:
            unit = form_for(self._limits.seconds, "second", "seconds")
            how_long = f"took longer than {self._limits.seconds:g} {unit} of processor time"
            return _too_long(name, how_long)
        how = _named(-code) if code < 0 else f"exit code {code}"
        if code == -signal.SIGKILL:
            return TooMuchError(
                f"The operating system ended the program that was reading {name}, probably because memory "
                "ran out.",
                f"Make sure this machine has {self._limits.megabytes:,} MB free.",
                may_be_chance=True,
            )
        _log.warning("The process that read %s ended (%s): %s", name, how, said.strip()[-1000:])
        return TooMuchError(
            f"{name} crashed the program that reads it ({how}): the file is damaged, or of a kind the "
            "program cannot handle.",
            _AGAIN,
            may_be_chance=True,
        )

    def _too_much_memory(self, name: str) -> TooMuchError:
        return TooMuchError(
            f"Reading {name} needs more than {self._limits.megabytes:,} MB of memory; often the cause is a "
            "stray cell far below or to the right of the data.",
            "Delete the empty rows and columns after the data (in Excel, Ctrl-End shows the last cell), save "
            "the file and drop it again. If the file really is that large, split it, or have "
            "SHS_READ_MEMORY_MB raised.",
        )

    def end(self) -> None:
        """End the process at once; nothing that it does is worth waiting for."""
        self._process.kill()
        self._process.wait()
        self._socket.close()
        if self._output_end >= 0:
            os.close(self._output_end)
            self._output_end = -1


def _too_long(name: str, how: str) -> TooMuchError:
    return TooMuchError(
        f"Reading {name} {how} and was stopped.",
        f"{_AGAIN} If the file really is that large, split it, or have SHS_READ_SECONDS raised.",
    )


_AGAIN = "Open it in Excel, save it as a new file, and drop that. For a PDF, ask for a new copy."
# Resident memory of the imported libraries, in megabytes, with some room.
_OF_THE_LIBRARIES = 300


def resident_megabytes(pid: int) -> float:
    """Return how much memory a process has; 0 where that is not known."""
    statm = Path(f"/proc/{pid}/statm")
    try:
        if Path("/proc/self/statm").exists():
            return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        said = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(pid)], check=False, capture_output=True, text=True
        ).stdout
        return int(said or 0) / 1024
    except (OSError, ValueError, IndexError):
        return 0.0


def _named(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _environment() -> Mapping[str, str]:
    told = {name: os.environ[name] for name in _TOLD if name in os.environ}
    # The code that runs here, wherever it was imported from.
    told["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_CODE), told.get("PYTHONPATH"))))
    # One thread computes; more would each reserve memory.
    return told | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}


def _cannot_start(why: str) -> ShsError:
    return ShsError(
        f"The program that reads files does not start on this machine: {why}",
        "Check that this machine has free memory and is not at its process limit, then run again; shs doctor "
        "checks the rest.",
    )
