"""The parent's side: keeps a reading process, and ends it when a file exceeds its limits."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from shs_pipeline.base.errors import ShsError, UnreadableFileError
from shs_pipeline.file_reader.cell_text import CellText, Place
from shs_pipeline.file_reader.layout.model import Layout, layout_of
from shs_pipeline.file_reader.messages import (
    Frame,
    asked_for_cells,
    asked_for_layout,
    asked_to_guess,
    asked_to_mark,
    asked_to_open,
    asked_to_read,
    cells_of_answer,
    outcome_of,
    pieces_after,
)
from shs_pipeline.file_reader.process import Limits, ReadingProcess, TooMuchError
from shs_pipeline.files.reading import Problem, SourceFile
from shs_pipeline.files.source import FileOutcome

_log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", "-m", "shs_pipeline.file_reader.child")
# A child that once needed this share of its memory may be left with less than another file needs.
_KEPT_SHARE = 0.5
# Whoever takes lines as they come has locks, and a piece of them is made in a hundredth of a second.
_PIECE_SECONDS = 10.0
_MARK_ALONE = "The file was too large for the program that marks cells, so there is only this list."


@dataclass(frozen=True)
class Guess:
    """What a file is, by `found` of the `wanted` columns of a declaration; 0 of 0 by its extension."""

    declaration: str
    found: int
    wanted: int


class BrokenOffError(ShsError):
    """The reading process ended after its answer, before all lines of the file had come."""


@dataclass
class _Pieces:
    """The lines of a file, which come after the answer about it and are taken once."""

    coming: Iterator[bytes | bytearray]
    kept: list[bytes | bytearray] = field(default_factory=list)

    def __iter__(self) -> Iterator[bytes | bytearray]:
        yield from self.kept
        yield from self.coming

    def collect(self) -> None:
        """Take in what is still to come."""
        self.kept.extend(self.coming)


@dataclass
class FileReader:
    """Reads files in a process of its own; as a context it ends that process.

    Not for several threads at once.

    Args:
        limits: what one file may take.
        command: how the process is started, without what it is told of its socket and limits.
    """

    limits: Limits = field(default_factory=Limits)
    command: Sequence[str] = COMMAND
    _pieces: _Pieces = field(default_factory=lambda: _Pieces(iter(())), init=False, repr=False)
    _child: ReadingProcess | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the process, so that it imports its libraries while the caller does something else."""
        if self._child is None:
            self._child = ReadingProcess(self.command, self.limits)

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def read(
        self,
        declaration: str,
        file: SourceFile,
        max_bytes: int,
        columns: Sequence[str] = (),
        *,
        is_lazy: bool = False,
    ) -> FileOutcome:
        """Read a file and check it against its contract; whatever goes wrong rejects only that file.

        Args:
            declaration: name of the source or reference table.
            max_bytes: size limit of a file.
            columns: columns of which the texts are wanted, too.
            is_lazy: whether its lines may be made and come while the caller takes them, and raise
                `BrokenOffError` then.

        Raises:
            ShsError: no process can be started here.
        """
        try:
            answer = self._asked(asked_to_read(declaration, file, max_bytes, columns), file.name)
            self._pieces = _Pieces(self._coming(pieces_after(answer), file.name, is_lazy=is_lazy))
            if is_lazy:
                return outcome_of(answer, self._pieces)
            self._pieces.collect()
            return outcome_of(answer, self._pieces.kept)
        except TooMuchError as error:
            # Nothing of the file's folder changes when the limits do, so that a run passes it by.
            again = f"To read the same file again, run shs run --all --source {declaration}."
            return FileOutcome.rejected(Problem(error.problem, f"{error.remedy} {again}"))

    def _coming(self, count: int, name: str, *, is_lazy: bool) -> Iterator[bytes | bytearray]:
        try:
            for _ in range(count):
                assert self._child is not None
                yield self._child.next_piece(name, _PIECE_SECONDS if is_lazy else math.inf)
        except TooMuchError as error:
            self.close()
            if not is_lazy:
                raise
            raise BrokenOffError(error.problem, error.remedy) from error
        except BaseException:
            self.close()  # nobody takes the pieces that are still on their way
            raise
        self._close_if_large()

    def begin(self, declaration: str, file: SourceFile, max_bytes: int) -> None:
        """Have a file read while the caller does something else: `read` of the very same finds it done."""
        if self._child is not None:
            self._child.begin(asked_to_read(declaration, file, max_bytes, ()))

    def guess(self, file: SourceFile, max_bytes: int) -> Guess:
        """Return what a file is.

        Raises:
            UnreadableFileError: the file cannot be opened, whatever it is.
            ShsError: it is like no declaration, or like several; or no process can be started here.
        """
        found = self._answered(asked_to_guess(file, max_bytes), file.name).header
        return Guess(found["declaration"], found["found"], found["wanted"])

    def layout(self, file: SourceFile, max_bytes: int) -> Layout:
        """Return what a file of an unknown source looks like.

        Raises:
            UnreadableFileError: no workbook, or no report of sales.
            ShsError: no process can be started here.
        """
        return layout_of(self._answered(asked_for_layout(file, max_bytes), file.name).header["layout"])

    def check_can_be_opened(self, declaration: str, file: SourceFile, max_bytes: int) -> None:
        """Check extension, size and form of a file.

        Raises:
            UnreadableFileError: it cannot be opened as what it is declared to be.
            ShsError: no process can be started here.
        """
        self._answered(asked_to_open(declaration, file, max_bytes), file.name)

    def cells(self, source: str, file: SourceFile, places: Collection[Place]) -> dict[Place, list[CellText]]:
        """Return what the cells of some lines hold, by sheet and row.

        Raises:
            UnreadableFileError: the file cannot be read.
            ShsError: no process can be started here.
        """
        return cells_of_answer(self._answered(asked_for_cells(source, file, places), file.name))

    def error_workbook(
        self, name: str, content: bytes, problems: Sequence[Problem], columns: Sequence[str] = ()
    ) -> bytes:
        """Return the workbook that shows what is wrong; the list alone where a copy would be too much.

        Raises:
            ShsError: no process can be started here.
        """
        try:
            return bytes(self._asked(asked_to_mark(name, content, problems, columns), name).blocks[0])
        except TooMuchError as error:
            _log.warning("No marked copy of %s: %s", name, error.problem)
        listed = [
            *problems,
            Problem(_MARK_ALONE, "Find the cells by sheet, row and column.", severity="warning"),
        ]
        return bytes(self._asked(asked_to_mark(name, b"", listed, columns), name).blocks[0])

    def _answered(self, order: Frame, name: str) -> Frame:
        """Have an order carried out whose failures are sentences."""
        try:
            reply = self._asked(order, name)
        except TooMuchError as error:
            raise UnreadableFileError(error.problem, error.remedy) from None
        if "problem" in reply.header:
            kind = UnreadableFileError if reply.header["is_unreadable"] else ShsError
            raise kind(reply.header["problem"], reply.header["remedy"])
        return reply

    def _asked(self, order: Frame, name: str) -> Frame:
        """Have an order carried out; what may have been chance, such as a kill from outside, once more."""
        self._pieces.collect()
        self._put_aside_other(order)
        for is_last in (False, True):
            self.start()
            assert self._child is not None
            try:
                reply = self._child.ask(order, name)
            except TooMuchError as error:
                self.close()
                if is_last or not error.may_be_chance:
                    raise
                _log.info("The process that reads %s ended (%s); trying again.", name, error.problem)
                continue
            except BaseException:
                self.close()  # half an answer may still be on its way
                raise
            if not pieces_after(reply):
                self._close_if_large()
            for level, text in reply.header.get("log", ()):
                _log.log(level, "%s", text)
            return reply
        raise AssertionError("the last try returns or raises")

    def _close_if_large(self) -> None:
        if self._child is not None and self._child.peak_share > _KEPT_SHARE:
            self.close()

    def _put_aside_other(self, order: Frame) -> None:
        """Let what was begun, and is not what is asked for now, come to its end."""
        try:
            if self._child is not None:
                self._child.finish_other(order)
        except TooMuchError:
            self.close()  # what is wrong with that file is said in its own turn
        except BaseException:
            self.close()
            raise
