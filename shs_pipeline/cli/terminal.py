"""How the commands print: results on stdout, progress and warnings on stderr, both fit for a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.printable import plain

if TYPE_CHECKING:
    from rich.console import Console

    from shs_pipeline.ingest.run import Progress

EXIT_REJECTED = 3
"""Exit code of a command that found a file to be rejected."""
EXIT_HELD = 4
"""Exit code of a command whose build is held: all is loaded, and nothing was published."""


def results() -> Console:
    """Return the console for what a command has to say."""
    from rich.console import Console

    return Console(highlight=False, emoji=False)


def remarks() -> Console:
    """Return the console for progress and warnings."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False)


def say(console: Console, text: str, style: str = "", *, is_copied: bool = False) -> None:
    """Print a sentence without markup; a terminal gets its lines broken between words.

    Line breaks in front of it and behind it stay. One within it comes from a name, of a file or as somebody
    typed it, and becomes a blank: what follows must not pass for a line of ours.

    Args:
        is_copied: it holds a path or a command that people copy, so that no line break is put in.
    """
    from rich.text import Text

    sentence = text.strip("\n")
    text = plain(sentence).join(text.split(sentence, 1)) if sentence else text
    if is_copied or not console.is_terminal:
        console.print(Text(text, style=style), soft_wrap=True)
        return
    for line in text.split("\n"):
        words = line.lstrip(" ")
        margin = " " * (len(line) - len(words))
        # A word that is longer than the line is left to the terminal: a line break would cut it in two.
        room = max(console.width - len(margin), 20)
        for part in Text(words, style=style, overflow="ignore").wrap(console, room) or [Text()]:
            part.rstrip()
            console.print(Text(margin) + part, soft_wrap=True)


def write_file(path: Path, content: bytes) -> None:
    """Write a file that somebody asked for, whole or not at all, and say where it is.

    Raises:
        ShsError: it cannot be written there.
    """
    from shs_pipeline.base.whole_files import write_whole

    try:
        write_whole(path, content)
    except OSError as error:
        raise ShsError(f"{path} cannot be written ({error.strerror}).", "Name another file.") from None
    say(results(), f"Written: {path}", is_copied=True)


def is_somebody_there() -> bool:
    """Whether a question would be seen and could be answered."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def agrees(question: str) -> bool:
    """Ask a question that only `y` or `yes` answers with yes."""
    try:
        return input(f"{question} [y/N] ").strip().casefold() in ("y", "yes")
    except EOFError:
        return False


def check_agreed(question: str) -> None:
    """Ask before something is changed.

    Raises:
        ShsError: the answer is no, or nobody can answer.
    """
    if not is_somebody_there():
        raise ShsError("Nothing was changed: there is nobody to confirm it.", "Add --yes.")
    if not agrees(question):
        raise ShsError("Nothing was changed.", "Answer y to go on.")


@contextmanager
def shown_progress(first_words: str) -> Iterator[Progress]:
    """Show a bar on stderr and yield what moves it."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = remarks()
    words = TextColumn("{task.description}", markup=False)
    columns = (words, BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(first_words, total=None)

        def tell(folder: object, number: int, total: int) -> None:
            label = plain(str(getattr(folder, "key", folder)))
            bar.update(task, description=label, total=total, completed=number - 1)

        yield tell
