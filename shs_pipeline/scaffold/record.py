"""What `shs new-source` wrote, so that it can be taken back: after an interruption, and by `--undo`.

The record is on the disk before the first file is. What it names is there in whole, or on its way: until
it says `is_done`, the next command takes back whatever of it is there.
"""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.private_files import make_private_folder
from shs_pipeline.base.whole_files import write_whole


def _folder(root: Path) -> Path:
    return root / "var" / "new-source"


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Let one command at a time change a checkout; a killed one no longer holds it.

    Raises:
        ShsError: another command is at it, or the folder cannot be written.
    """
    folder = _folder(root)
    try:
        make_private_folder(folder)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        raise ShsError(
            "Another shs new-source is running in this checkout.", "Wait for it, then try again."
        ) from None
    except OSError as error:
        raise ShsError(
            f"{error.filename or folder} cannot be written ({error.strerror}).",
            "Run shs new-source as the owner of the checkout, with free space on its disk.",
        ) from None


@dataclass(frozen=True)
class Record:
    """What was written for a source, by path within the checkout.

    Attributes:
        own: hash of each file that people go on with.
        generated: files that `make docs` writes from the contract, so that nobody edits them.
        entries: the lines that were put into each list.
        is_done: whether all of it was written.
    """

    root: Path
    name: str
    own: Mapping[str, str]
    generated: tuple[str, ...]
    entries: Mapping[str, list[str]]
    is_done: bool = False

    @classmethod
    def of(
        cls,
        root: Path,
        name: str,
        own: Mapping[Path, str],
        generated: Mapping[Path, str],
        entries: Mapping[Path, list[str]],
    ) -> Record:
        """Return the record of what is about to be written."""

        def place(path: Path) -> str:
            return path.relative_to(root).as_posix()

        return cls(
            root,
            name,
            {place(path): _hash(text.encode()) for path, text in own.items()},
            tuple(map(place, generated)),
            {place(path): lines for path, lines in entries.items()},
        )

    @classmethod
    def read(cls, root: Path, name: str) -> Record | None:
        """Return the record of a source; None where there is none."""
        path = _folder(root) / f"{name}.json"
        if Path(name).name != name or not path.is_file():
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(root, **{**found, "generated": tuple(found["generated"])})

    @property
    def _path(self) -> Path:
        return _folder(self.root) / f"{self.name}.json"

    def _write(self) -> None:
        fields = {key: value for key, value in asdict(self).items() if key != "root"}
        write_whole(self._path, json.dumps(fields, indent=1))

    def carry_out(self, texts: Mapping[Path, str]) -> None:
        """Write all files, or none of them."""
        self._write()
        try:
            for path, text in texts.items():
                _write_code(path, text)
        except BaseException:
            self.take_back()
            raise
        replace(self, is_done=True)._write()

    def edited(self) -> list[str]:
        """Return the files and lists in which somebody changed what was written."""
        files = [
            place
            for place, written in self.own.items()
            if (path := self.root / place).is_file() and _hash(path.read_bytes()) != written
        ]
        lists = [
            place
            for place, lines in self.entries.items()
            if not self._has_entries(place, lines) and self._mentions(place)
        ]
        return [*files, *lists]

    def _has_entries(self, place: str, lines: list[str]) -> bool:
        path = self.root / place
        there = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        return all(line in there for line in lines)

    def _mentions(self, place: str) -> bool:
        path, word = self.root / place, rf"(?<![a-z0-9]){self.name}(?![a-z0-9_])"
        return path.is_file() and re.search(word, path.read_text(encoding="utf-8")) is not None

    def take_back(self) -> list[str]:
        """Remove whatever is there of it; return the files that were removed or are as before."""
        # The lists first: with a file gone that a list names, no command starts any more.
        changed = [place for place, lines in self.entries.items() if self._remove_lines(place, lines)]
        for place in (*self.own, *self.generated):
            path = self.root / place
            if path.is_file():
                path.unlink()
                changed.append(place)
        self._path.unlink(missing_ok=True)
        return changed

    def _remove_lines(self, place: str, lines: list[str]) -> bool:
        path = self.root / place
        if not path.is_file():
            return False
        old = path.read_text(encoding="utf-8").splitlines(keepends=True)
        new = [line for line in old if line not in lines]
        if new != old:
            _write_code(path, "".join(new))
        return new != old


def roll_back_interrupted(root: Path) -> None:
    """Take back what a command left behind that was killed while it wrote."""
    for path in sorted(_folder(root).glob("*.json")):
        record = Record.read(root, path.stem)
        if record is not None and not record.is_done:
            record.take_back()


def undo(root: Path, name: str, check: Callable[[], None] = lambda: None) -> list[str]:
    """Take back a source as it was written; return what was removed or is as before.

    Args:
        check: raises what else speaks against it.

    Raises:
        ShsError: nothing is known of it, or somebody has edited it.
    """
    with exclusive(root):
        roll_back_interrupted(root)
        record = Record.read(root, name)
        if record is None:
            raise ShsError(
                f"This checkout has no record of a new source {name}.",
                "Only files that shs new-source wrote in this checkout can be undone; for anything else use "
                "git.",
            )
        if edited := record.edited():
            raise ShsError(
                f"{', '.join(edited)}: edited since shs new-source wrote it. Nothing was undone.",
                "Keep a copy of what you need, delete or restore these files, and try again.",
            )
        check()
        return record.take_back()


def _write_code(path: Path, text: str) -> None:
    """Write a file whole. Code is for everybody who builds or runs the project, and holds no data."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o755)
    mode = path.stat().st_mode if path.exists() else 0o644
    write_whole(path, text)
    path.chmod(mode | 0o044)


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()
