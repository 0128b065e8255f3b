"""Files that only their owner may read and that survive a power cut."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


def write_privately() -> None:
    """Make everything this process and its children write from now on readable by their user only."""
    os.umask(0o077)


@contextmanager
def private_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a new file that only its owner can read; it is on the disk afterwards.

    Raises:
        OSError: something is there already, or it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        os.fchmod(descriptor, 0o600)  # whatever the umask
        yield handle
        handle.flush()
        os.fsync(descriptor)


def make_private_folder(folder: Path) -> None:
    """Make a folder and its missing parents, for its owner only; existing folders stay as they are.

    Raises:
        OSError: it cannot be made.
    """
    # As root, the embedded server runs as another user, who walks through to its own files.
    make_folders(folder, 0o711 if os.geteuid() == 0 else 0o700)
    folder.mkdir(exist_ok=True)


def make_folders(folder: Path, mode: int) -> None:
    """Make a folder and its missing parents with these permissions; existing folders stay as they are.

    Raises:
        OSError: one cannot be made.
    """
    for each in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        # Another process may have made it meanwhile.
        with suppress(FileExistsError):
            each.mkdir()
            set_mode(each, mode)


def set_mode(path: Path, mode: int) -> None:
    """Give a path these permissions, if the file system supports any: a share or USB stick may not."""
    with suppress(PermissionError, NotImplementedError):
        path.chmod(mode)


def is_open_to_others(folder: Path) -> bool:
    """Whether every user of this machine can list a folder: it is open, and all folders above it are."""
    try:
        above = [each.stat().st_mode for each in folder.resolve().parents]
        return bool(folder.stat().st_mode & stat.S_IROTH) and all(mode & stat.S_IXOTH for mode in above)
    except OSError:
        return False


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
