"""How the commands print: results on stdout, progress and warnings on stderr, both fit for a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import Console, RenderableType
    from rich.table import Table

    from shs_pipeline.run import Progress

EXIT_REJECTED = 3
"""Exit code of a command that found a file to be rejected."""

_PIPE_WIDTH = 180  # columns of a table that no terminal limits


def results() -> Console:
    """Return the console for what a command has to say."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _PIPE_WIDTH)
    return console


def remarks() -> Console:
    """Return the console for progress and warnings."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def say(console: Console, text: str, style: str = "") -> None:
    """Print one line as it is: no markup, and no line breaks that would break a path."""
    from rich.text import Text

    console.print(Text(text, style=style), soft_wrap=True)


def table_of(*headings: str, numbers: Sequence[str] = ()) -> Table:
    """Return an empty table; columns named in `numbers` are flush right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(
            heading, justify="right" if heading in numbers else "left", overflow="fold", vertical="top"
        )
    return table


def cells(*values: object) -> list[RenderableType]:
    """Return the cells of a table row, free of markup that a file may hold by chance."""
    from rich.text import Text

    return [
        value if isinstance(value, Text) else Text("" if value is None else str(value)) for value in values
    ]


def dollars(amount: Decimal) -> str:
    """Return an amount as people read it."""
    return f"{amount:,.2f}"


def count_of(count: int, noun: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


@contextmanager
def shown_progress(first_words: str) -> Iterator[Progress]:
    """Show a bar on stderr and yield what moves it; log lines about waiting appear above it."""
    import logging

    from rich.logging import RichHandler
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = remarks()
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=console, show_time=False, show_level=False, show_path=False)],
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(first_words, total=None)

        def tell(folder: object, number: int, total: int) -> None:
            label = str(getattr(folder, "key", folder))
            bar.update(task, description=label, total=total, completed=number - 1)

        yield tell


def shown_address(address: str) -> str:
    """Return the path of a `file://` address, and any other address as it is."""
    prefix = "file://"
    return unquote(address.removeprefix(prefix)) if address.startswith(prefix) else address
