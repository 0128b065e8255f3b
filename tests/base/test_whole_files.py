"""Files that are written aside and renamed: nobody finds half of one."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from shs_pipeline.base.whole_files import write_if_changed, write_whole


def test_a_reader_never_finds_half_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "workspace.yaml"
    texts = {letter * 200_000 for letter in "abc"}
    write_whole(path, "a" * 200_000)
    writers = [
        threading.Thread(target=lambda text=text: [write_whole(path, text) for _ in range(30)])
        for text in texts
    ]
    for writer in writers:
        writer.start()
    found = set()
    while any(writer.is_alive() for writer in writers):
        found.add(path.read_text())
    for writer in writers:
        writer.join()

    assert found <= texts
    assert [one.name for one in tmp_path.iterdir()] == ["workspace.yaml"]


def test_what_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a file"
    write_whole(path, b"old")

    def refuse(self: Path, target: Path) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")

    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["a file"]


def test_a_file_is_readable_for_whom_the_umask_says_so_and_untouched_if_it_says_the_same(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a file"
    before = os.umask(0o022)
    try:
        write_whole(path, "text")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644

    made = path.stat().st_ino
    write_if_changed(path, "text")
    assert path.stat().st_ino == made
    write_if_changed(path, "another")
    assert path.read_text() == "another"
