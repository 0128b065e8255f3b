"""What files need that only their owner may read, and that must outlast a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def give_to_owner_of(folder: Path, file: Path | int) -> None:
    """Give a file, by path or open descriptor, to the owner of a folder if root runs this.

    Run once by root in a user's folder, the user must still get in the next time.
    """
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(file, owner.st_uid, owner.st_gid)


def sync_folder(folder: Path) -> None:
    """Have the names of a folder's files written to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
