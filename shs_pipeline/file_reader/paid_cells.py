"""The cells behind paid lines, read again from their file in the landing zone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import UnreadableFileError
from shs_pipeline.file_reader.cell_text import CellText, Place
from shs_pipeline.files.reading import SourceFile

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.file_reader.reader import FileReader
    from shs_pipeline.landing.zone import Landing


@dataclass(frozen=True)
class LoadedFile:
    """A file as it was when its lines were loaded; `revenue_month` is the one that its folder names."""

    source: str
    path: str
    sha256: str
    revenue_month: date | None
    loaded_at: datetime


@dataclass(frozen=True)
class FileText:
    """The cells of some lines of a file.

    Attributes:
        trouble: a sentence, if the file is not as it was loaded or cannot be read; else empty.
        cells: of each line that was found.
    """

    trouble: str = ""
    cells: Mapping[Place, Sequence[CellText]] = field(default_factory=dict)


def loaded_files(connection: psycopg.Connection, paths: Collection[str]) -> list[LoadedFile]:
    """Return what the books know of some files as they were when the marts were published."""
    rows = connection.execute(
        # Of what is in force now, or was until after the publication, the oldest.
        "select distinct on (path) source, path, sha256, revenue_month, finished from ops.files"
        " where path = any(%s) and rows_loaded > 0 and (status = 'loaded' or change_no >"
        " (select coalesce(books_version, 0) from marts.publications order by publication_id desc limit 1))"
        " order by path, file_id",
        [list(paths)],
    )
    return [LoadedFile(*row) for row in rows]


def read_cell_texts(
    landing: Landing, reader: FileReader, file: LoadedFile, places: Collection[Place]
) -> FileText:
    """Read the cells of some lines of a file in the landing zone.

    Raises:
        ShsError: the landing zone cannot be reached.
    """
    content = landing.read(file.path)
    if content is None:
        return FileText(f"{file.path} is no longer in the landing zone, so its cells cannot be shown.")
    trouble = ""
    if sha256(content).hexdigest() != file.sha256:
        trouble = (
            f"{file.path} has changed since it was loaded on {file.loaded_at:%Y-%m-%d %H:%M} UTC: "
            "these are the cells of today's file, not the ones that were paid."
        )
    named = SourceFile(PurePosixPath(file.path).name, content, file.revenue_month)
    try:
        return FileText(trouble, reader.cells(file.source, named, places))
    except UnreadableFileError as error:
        return FileText(f"{trouble} {error.problem}".strip())
