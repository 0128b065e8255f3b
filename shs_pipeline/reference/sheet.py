"""Reading a reference workbook: one sheet, one row per entry, header in any of its first rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import pandera.pandas as pa

from shs_pipeline.casting.cells import Cell, is_blank, match_key
from shs_pipeline.files.contract import columns_of, headers_of
from shs_pipeline.files.lone_texts import lone_texts
from shs_pipeline.files.reading import Reading, SourceFile
from shs_pipeline.files.remarks import REMARK, says_remark
from shs_pipeline.files.workbook.table import Table, has_sheet, read_table

PROPOSED = "Proposed rows"
"""The sheet of an exported workbook with rows that it lacks: one counts once a person has completed it."""
UNFINISHED = "proposed row that nobody completed"
"""Why a row of that sheet is left out."""


def rows_reader(
    model: type[pa.DataFrameModel], normalise: Mapping[str, Callable[[Cell], Cell]] | None = None
) -> Callable[[SourceFile], Reading]:
    """Return the reader of a table whose workbook is one sheet; see `read_rows`."""

    def read(file: SourceFile) -> Reading:
        return read_rows(file, model, normalise)

    return read


def read_rows(
    file: SourceFile,
    model: type[pa.DataFrameModel],
    normalise: Mapping[str, Callable[[Cell], Cell]] | None = None,
) -> Reading:
    """Read the rows of a reference workbook; its hidden sheets, such as drop-down lists, are not read.

    Args:
        model: the contract.
        normalise: by header, what brings a cell to the form that the contract checks.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    optional = [column.header for column in columns_of(model) if not column.is_in_header]
    table = read_table(file, headers_of(model), optional=optional, is_read=lambda name: name != PROPOSED)
    remarks = _remarks(table.lines, model)
    table.lines = table.lines.drop(index=remarks).reset_index(drop=True)
    if has_sheet(file, PROPOSED):
        _add_completed(table, file, model, optional)
    for header, mend in (normalise or {}).items():
        if header in table.lines:
            table.lines[header] = pd.Series([mend(cell) for cell in table.lines[header]], dtype=object)
    left_out = {REMARK: len(remarks)} if remarks else {}
    return Reading(table.lines, table.left_out | left_out, problems=table.problems, missing=table.missing)


def _add_completed(
    table: Table, file: SourceFile, model: type[pa.DataFrameModel], optional: Sequence[str]
) -> None:
    """Add the proposed rows in which nothing that is required is blank."""
    proposed = read_table(file, headers_of(model), optional=optional, is_read=lambda name: name == PROPOSED)
    required = [column.header for column in columns_of(model) if column.is_required]
    is_complete = ~proposed.lines[required].map(is_blank).any(axis=1)
    table.lines = pd.concat([table.lines, proposed.lines[is_complete]], ignore_index=True)
    if unfinished := int((~is_complete).sum()):
        table.left_out[UNFINISHED] = unfinished


def _remarks(lines: pd.DataFrame, model: type[pa.DataFrameModel]) -> list[int]:
    """Return the positions of remarks and footnotes.

    A text alone may also be an entry that somebody has not finished, which is an error. So it is a
    remark only if it says so, or if it is a sentence below the last entry.
    """
    lone = lone_texts(lines, model, pd.Series(True, index=lines.index), ())
    last_entry = max((place for place in range(len(lines)) if place not in lone), default=-1)
    return [
        place
        for place, text in lone.items()
        if "@" not in text and (says_remark(text) or (place > last_entry and _is_sentence(text)))
    ]


def _is_sentence(text: str) -> bool:
    words = len(text.split())
    return words > 5 or (words > 3 and text.endswith((".", "!", "?")))


def one_of(words: tuple[str, ...]) -> Callable[[Cell], Cell]:
    """Return a function that spells a cell as the one of `words` that it is but for case and spaces."""
    known = {match_key(word): word for word in words}

    def spell(cell: Cell) -> Cell:
        return known.get(match_key(cell), cell) if isinstance(cell, str) else cell

    return spell
