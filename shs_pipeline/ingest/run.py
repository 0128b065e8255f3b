"""`shs run`: ingest everything that changed, in one process and without a daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.ingest.changes import Folder, changed_folders, folder_of, read_books
from shs_pipeline.landing.zone import LandingError

if TYPE_CHECKING:
    from shs_pipeline.ingest.folder_report import FolderReport
    from shs_pipeline.ingest.ingestion import Ingestion
    from shs_pipeline.landing.listing import Drop

# A moved file takes two rounds (withdrawn there, loaded here), files that changed places four; where
# a row of months was shifted, each waits for the next. More would mean a file that always changes.
_ROUNDS = 4
# When so many folders in a row cannot be read, the landing zone itself is away.
_MOST_FAILURES = 3

Progress = Callable[[Folder, int, int], None]


def changed_now(job: Ingestion) -> list[Folder]:
    """Return the folders that differ from what was last ingested, in the order to ingest them."""
    return _changed_now(job)[0]


def _changed_now(job: Ingestion) -> tuple[list[Folder], list[Drop]]:
    """Return the folders that changed and all that lies there."""
    books = job.query(read_books)
    drops = job.landing.drops()
    return list(changed_folders(drops, books)), drops


def run_changed(
    job: Ingestion, progress: Progress | None = None, only: Sequence[str] | None = None
) -> list[FolderReport]:
    """Ingest every folder that changed, until none is left.

    Args:
        progress: told each folder before it is read, with its number and how many there are.
        only: names of sources or tables; all when None.

    Returns:
        One report per folder, the last where a folder was read twice; `trouble_of` says what is missing.
    """
    with job:
        changed, drops = _begin(job)
        return list(_until_quiet(job, progress, _wanted(changed, only), only, drops).values())


def run_all(
    job: Ingestion, progress: Progress | None = None, only: Sequence[str] | None = None
) -> list[FolderReport]:
    """Read every folder of the bucket again, changed or not; `only` names sources or tables."""
    with job:
        changed, drops = _begin(job)
        folders = _wanted(_everything(changed, drops), only)
        return list(_until_quiet(job, progress, folders, only, drops).values())


def trouble_of(job: Ingestion) -> ShsError | None:
    """Return what kept a run from finishing: folders that cannot be read, a withdrawal that is held."""
    found = [
        f"{folder.key}: {error.problem} {error.remedy}" for folder, error in sorted(job.failures.items())
    ]
    if job.doubt is not None and not found:
        return job.doubt.error
    if not found:
        return None
    others = f"{job.doubt.problem} {job.doubt.remedy}" if job.doubt else "The next run tries again."
    return ShsError(f"Some folders could not be read. {' '.join(found)}", others)


def _begin(job: Ingestion) -> tuple[list[Folder], list[Drop]]:
    """Return the folders that changed and all that lies there; note whether much is gone at once."""
    job.files.start()  # it imports its libraries while this looks what is to be done
    drops = job.landing.drops()
    books = job.query(read_books)
    drops = books.dropped(drops)
    changed = list(changed_folders(drops, books))
    job.query(lambda connection: job.look_for_doubt(connection, drops, changed))
    return changed, drops


def _everything(changed: Sequence[Folder], drops: Sequence[Drop]) -> list[Folder]:
    present = {folder_of(drop.place) for drop in drops}
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
    drops: Sequence[Drop],
) -> dict[Folder, FolderReport]:
    """Ingest the folders, then whatever changed through that, until nothing does."""
    reports: dict[Folder, FolderReport] = {}
    for _ in range(_ROUNDS + len(folders)):
        if not folders:
            break
        reports |= _ingest(job, folders, progress, drops)
        done = {*job.failures, *(folder for folder, report in reports.items() if report.is_held)}
        changed, drops = _changed_now(job)
        folders = [folder for folder in _wanted(changed, only) if folder not in done]
    return reports


def _ingest(
    job: Ingestion, folders: Sequence[Folder], progress: Progress | None, drops: Sequence[Drop]
) -> dict[Folder, FolderReport]:
    reports = {}
    in_a_row = 0
    lying: dict[Folder, list[Drop]] = {}
    for drop in drops:
        lying.setdefault(folder_of(drop.place), []).append(drop)
    for number, folder in enumerate(folders, start=1):
        if progress is not None:
            progress(folder, number, len(folders))
        try:
            after = folders[number] if number < len(folders) else None
            reports[folder] = job.folder(folder, (after, lying.get(after, [])) if after else None)
            in_a_row = 0
        except LandingError as error:
            job.failures[folder] = error
            in_a_row += 1
            if in_a_row == _MOST_FAILURES:
                raise
    return reports
