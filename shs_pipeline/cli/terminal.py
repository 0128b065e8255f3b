"""How the commands print: results on stdout, progress and warnings on stderr, both fit for a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote

from shs_pipeline.cli.table import Table
from shs_pipeline.printable import plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from rich.console import Console

    from shs_pipeline.run import Progress

EXIT_REJECTED = 3
"""Exit code of a command that found a file to be rejected."""


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

    Args:
        is_copied: it holds a path or a command that people copy, so that no line break is put in.
    """
    from rich.text import Text

    text = plain(text, keep="\n")
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


def table_of(*headings: str, **options: Sequence[str]) -> Table:
    """Return an empty table; `Table` says what the options are."""
    return Table(headings, **options)


def dollars(amount: Decimal) -> str:
    """Return an amount as people read it."""
    return f"{amount:,.2f}"


def count_of(count: int, noun: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


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


def shown_address(address: str) -> str:
    """Return the path of a `file://` address, and any other address as it is."""
    prefix = "file://"
    return unquote(address.removeprefix(prefix)) if address.startswith(prefix) else address
