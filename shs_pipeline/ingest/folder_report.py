"""The result of ingesting a folder and each file in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from shs_pipeline.files.reading import PrintedTotal, Problem
    from shs_pipeline.ingest.changes import Folder


@dataclass(frozen=True)
class InForce:
    """A file whose lines are in force."""

    file_id: int
    path: str
    sha256: str
    rows_loaded: int
    sums: Mapping[str, str]


@dataclass(frozen=True)
class FileReport:
    """The result of ingesting one dropped file.

    Attributes:
        sums: exact sum of each amount column, for a loaded source file.
        seconds: how long it took to read.
    """

    file_id: int
    path: str
    status: Literal["loaded", "rejected"]
    sha256: str
    rows_read: int
    rows_loaded: int
    left_out: Mapping[str, int]
    sums: Mapping[str, str]
    totals: Sequence[PrintedTotal]
    problems: Sequence[Problem]
    error_workbook: str | None = None

    @property
    def error_count(self) -> int:
        """How many errors the file has."""
        return sum(problem.severity == "error" for problem in self.problems)


@dataclass(frozen=True)
class FolderReport:
    """The result of ingesting a folder: its files now, and the files that were in force before.

    Attributes:
        stays: paths that were left as they were although they are not there, or not whole.
        is_held: whether some of them stay because too much would be withdrawn at once.
    """

    folder: Folder
    files: tuple[FileReport, ...]
    before: tuple[InForce, ...]
    seconds: float = 0.0
    stays: frozenset[str] = frozenset()
    is_held: bool = False

    @property
    def loaded(self) -> list[FileReport]:
        """The files that were loaded."""
        return [file for file in self.files if file.status == "loaded"]

    @property
    def rejected(self) -> list[FileReport]:
        """The files that were rejected."""
        return [file for file in self.files if file.status == "rejected"]

    @property
    def rows_in_force(self) -> int:
        """Lines of the folder after the run, with those of versions that stayed in force."""
        return sum(file.rows_loaded for file in self.loaded) + sum(old.rows_loaded for old in self.kept)

    @property
    def kept(self) -> list[InForce]:
        """Versions that loaded before and stay in force, since what replaced them is rejected.

        A reference table stays in force without its workbook, too.
        """
        paths = {file.path: file.status for file in self.files}
        missing = "rejected" if self.folder.is_reference else "withdrawn"
        return [
            old for old in self.before if old.path in self.stays or paths.get(old.path, missing) == "rejected"
        ]

    @property
    def sums(self) -> dict[str, Decimal]:
        """Exact sum of each amount column after the run."""
        return _added([*(file.sums for file in self.loaded), *(old.sums for old in self.kept)])

    @property
    def left_out(self) -> dict[str, int]:
        """Rows left out of the loaded files, by reason."""
        counts: dict[str, int] = {}
        for file in self.loaded:
            for reason, count in file.left_out.items():
                counts[reason] = counts.get(reason, 0) + count
        return counts


def _added(parts: Sequence[Mapping[str, str]]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for part in parts:
        for name, value in part.items():
            sums[name] = sums.get(name, Decimal(0)) + Decimal(value)
    return sums
