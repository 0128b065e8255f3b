"""Messages between a run and its reading process: frames with a JSON header and blocks of bytes.

Nothing that comes back is code or an object, so a file that took over the child cannot take over the run.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from shs_pipeline.file_reader.cell_text import CellText, Place
from shs_pipeline.files.copy_text import pieces_in
from shs_pipeline.files.reading import CopyLines, Everything, PrintedTotal, Problem, SourceFile
from shs_pipeline.files.source import FileOutcome

_LENGTH = 8


@dataclass(frozen=True)
class Frame:
    """One message.

    Attributes:
        pieces: what is made and sent after it, a frame each.
    """

    header: Mapping[str, Any]
    blocks: Sequence[bytes | bytearray] = ()
    pieces: Iterable[bytes | bytearray] = field(default=(), compare=False)


class FrameReader:
    """Puts a frame together from what a socket hands out, each block where it will stay."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._header: Mapping[str, Any] = {}
        self._parts: list[bytearray] = [bytearray(_LENGTH)]
        self._filled = 0

    def room(self) -> memoryview:
        """Return where the next bytes belong."""
        return memoryview(self._parts[-1])[self._filled :]

    def took(self, count: int) -> Frame | None:
        """Note that so many bytes came, and return the frame that they complete."""
        self._filled += count
        while self._filled == len(self._parts[-1]):
            if not self._goes_on():
                frame = Frame(self._header, self._parts[2:])
                self._begin()
                return frame
        return None

    def _goes_on(self) -> bool:
        """Begin the part after the one that is whole, if there is one."""
        if len(self._parts) == 1:
            self._parts.append(bytearray(int.from_bytes(self._parts[0], "big")))
        else:
            if len(self._parts) == 2:
                self._header = json.loads(self._parts[1])
            sizes = self._header["blocks"]
            if len(self._parts) - 2 == len(sizes):
                return False
            self._parts.append(bytearray(int(sizes[len(self._parts) - 2])))
        self._filled = 0
        return True


def pieces_of(frame: Frame) -> Iterator[bytes | bytearray]:
    """Yield a frame as what is sent."""
    header = {**frame.header, "blocks": [len(block) for block in frame.blocks]}
    text = json.dumps(header, default=int).encode()  # numpy's whole numbers are no ints
    yield len(text).to_bytes(_LENGTH, "big") + text
    yield from frame.blocks


# --- what is asked -----------------------------------------------------------------------------------


def asked_to_read(declaration: str, file: SourceFile, max_bytes: int, columns: Sequence[str]) -> Frame:
    """Return the order to read a file as what it is declared to be."""
    header = {"do": "read", "declaration": declaration, "columns": list(columns), "max_bytes": max_bytes}
    return Frame(header | _described(file), [file.content])


def asked_to_guess(file: SourceFile, max_bytes: int) -> Frame:
    """Return the order to say what a file is."""
    return Frame({"do": "guess", "max_bytes": max_bytes} | _described(file), [file.content])


def asked_for_layout(file: SourceFile, max_bytes: int) -> Frame:
    """Return the order to say what a file of an unknown source looks like."""
    return Frame({"do": "layout", "max_bytes": max_bytes} | _described(file), [file.content])


def asked_to_open(declaration: str, file: SourceFile, max_bytes: int) -> Frame:
    """Return the order to look whether a file can be opened."""
    header = {"do": "open", "declaration": declaration, "max_bytes": max_bytes}
    return Frame(header | _described(file), [file.content])


def asked_for_cells(source: str, file: SourceFile, places: Collection[Place]) -> Frame:
    """Return the order to say what the cells of some lines hold."""
    header = {"do": "cells", "source": source, "places": [list(place) for place in places]}
    return Frame(header | _described(file), [file.content])


def asked_to_mark(name: str, content: bytes, problems: Sequence[Problem], columns: Sequence[str]) -> Frame:
    """Return the order to write the error workbook of a file."""
    header = {"do": "mark", "name": name, "columns": list(columns), "problems": _listed(problems)}
    return Frame(header, [content])


def _described(file: SourceFile) -> dict[str, Any]:
    known = {
        table: None if isinstance(names, Everything) else sorted(names) for table, names in file.known.items()
    }
    return {
        "name": file.name,
        "revenue_month": _iso(file.revenue_month),
        "commission_month": _iso(file.commission_month),
        "is_early_ok": file.is_early_ok,
        "known": known,
    }


def file_of(frame: Frame) -> SourceFile:
    """Return the file that an order is about."""
    header = frame.header
    return SourceFile(
        name=header["name"],
        content=bytes(frame.blocks[0]),  # as streams share it
        revenue_month=_day(header["revenue_month"]),
        known={
            table: Everything() if names is None else frozenset(names)
            for table, names in header["known"].items()
        },
        commission_month=_day(header["commission_month"]),
        is_early_ok=header["is_early_ok"],
    )


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


# --- what is answered --------------------------------------------------------------------------------


def answer(outcome: FileOutcome, lines: CopyLines | None, cells: Mapping[str, Sequence[Any]]) -> Frame:
    """Return the result of reading a file.

    Args:
        lines: its lines as they go to the database; None where it is rejected.
        cells: texts of the columns that were asked for.
    """
    header: dict[str, Any] = {
        "rows_read": outcome.rows_read,
        "left_out": dict(outcome.left_out),
        "totals": [_total(total) for total in outcome.totals],
        "problems": _listed(outcome.problems),
        "lines": None,
    }
    if lines is None:
        return Frame(header)
    header["lines"] = {"count": lines.count, "sums": dict(lines.sums), "cells": dict(cells)}
    return Frame(header, pieces=lines.pieces)


def pieces_after(frame: Frame) -> int:
    """Return how many frames of one piece of the lines follow an answer."""
    found = frame.header.get("lines")
    return pieces_in(found["count"]) if found else 0


def outcome_of(frame: Frame, pieces: Iterable[bytes | bytearray]) -> FileOutcome:
    """Return the result of reading a file, with its lines ready for the database.

    Args:
        pieces: the lines, which follow the answer.
    """
    header = frame.header
    lines = None
    if header["lines"] is not None:
        found = header["lines"]
        lines = CopyLines(found["count"], pieces, found["sums"], found["cells"])
    return FileOutcome(
        lines=lines,
        rows_read=header["rows_read"],
        left_out=header["left_out"],
        totals=[_total_of(total) for total in header["totals"]],
        problems=problems_of(header["problems"]),
    )


def cells_answer(cells: Mapping[Place, Sequence[CellText]]) -> Frame:
    """Return what the cells of some lines hold."""
    listed = [
        [sheet, row, [[cell.column, cell.place, cell.text, cell.remark] for cell in found]]
        for (sheet, row), found in cells.items()
    ]
    return Frame({"cells": listed})


def cells_of_answer(frame: Frame) -> dict[Place, list[CellText]]:
    """Return what the cells of some lines hold, by sheet and row."""
    return {(sheet, row): [CellText(*cell) for cell in found] for sheet, row, found in frame.header["cells"]}


def _listed(problems: Sequence[Problem]) -> list[list[Any]]:
    return [
        [found.problem, found.remedy, found.sheet, found.row, found.column, found.value, found.severity]
        for found in problems
    ]


def problems_of(listed: Sequence[Sequence[Any]]) -> list[Problem]:
    """Return the problems of a message."""
    return [Problem(*found) for found in listed]


def _total(total: PrintedTotal) -> list[Any]:
    amounts = [str(total.printed), str(total.computed)]
    return [total.sheet, total.row, total.label, total.column, *amounts, total.covers]


def _total_of(total: Sequence[Any]) -> PrintedTotal:
    sheet, row, label, column, printed, computed, covers = total
    return PrintedTotal(sheet, row, label, column, Decimal(printed), Decimal(computed), covers)
