"""`shs run`: ingest everything that changed, in one process and without a daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from shs_pipeline.changes import Folder, changed_folders, folder_of, read_books

if TYPE_CHECKING:
    from shs_pipeline.bookkeeping import FolderReport
    from shs_pipeline.ingestion import Ingestion

# A moved file takes two rounds (withdrawn there, loaded here), files that changed places four; where
# a row of months was shifted, each waits for the next. More would mean a file that always changes.
_ROUNDS = 4

Progress = Callable[[Folder, int, int], None]


def changed_now(job: Ingestion) -> list[Folder]:
    """Return the folders that differ from what was last ingested, in the order to ingest them."""
    books = job.query(read_books)
    return list(changed_folders(job.landing.drops(), books))


def run_changed(
    job: Ingestion, progress: Progress | None = None, only: Sequence[str] | None = None
) -> list[FolderReport]:
    """Ingest every folder that changed, until none is left.

    Args:
        progress: told each folder before it is read, with its number and how many there are.
        only: names of sources or tables; all when None.

    Returns:
        One report per folder, the last where a folder was read twice.
    """
    with job:
        return list(_until_quiet(job, progress, _wanted(changed_now(job), only), only).values())


def run_all(
    job: Ingestion, progress: Progress | None = None, only: Sequence[str] | None = None
) -> list[FolderReport]:
    """Read every folder of the bucket again, changed or not; `only` names sources or tables."""
    with job:
        return list(_until_quiet(job, progress, _wanted(_everything(job), only), only).values())


def _everything(job: Ingestion) -> list[Folder]:
    changed = changed_now(job)
    present = {folder_of(drop.place) for drop in job.landing.drops()}
    rest = sorted(present - set(changed), key=lambda folder: (not folder.is_reference, folder.key))
    # What changed keeps its order, in which moved files are withdrawn before they are seen again.
    return sorted([*changed, *rest], key=lambda folder: not folder.is_reference)


def _wanted(folders: Sequence[Folder], only: Sequence[str] | None) -> list[Folder]:
    return [folder for folder in folders if only is None or folder.name in only]


def _until_quiet(
    job: Ingestion,
    progress: Progress | None,
    folders: Sequence[Folder],
    only: Sequence[str] | None,
) -> dict[Folder, FolderReport]:
    """Ingest the folders, then whatever changed through that, until nothing does."""
    reports: dict[Folder, FolderReport] = {}
    for _ in range(_ROUNDS + len(folders)):
        if not folders:
            break
        reports |= _ingest(job, folders, progress)
        folders = _wanted(changed_now(job), only)
    return reports


def _ingest(
    job: Ingestion, folders: Sequence[Folder], progress: Progress | None
) -> dict[Folder, FolderReport]:
    reports = {}
    for number, folder in enumerate(folders, start=1):
        if progress is not None:
            progress(folder, number, len(folders))
        reports[folder] = job.folder(folder)
    return reports
