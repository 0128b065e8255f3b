"""Tables that fit the terminal: no number, month or name in them is ever broken or cut.

Where room is short, prose breaks between words, then the columns that matter least are left out, which
is said below the table. What still does not fit is printed row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shs_pipeline.base.printable import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_GAP = 2  # blanks between two columns
_LEAST_PROSE = 18  # columns below which prose is hard to read


class Table:
    """Rows under headings, laid out when they are shown.

    Args:
        headings: in the order of the columns.
        numbers: headings of columns that are flush right.
        prose: headings of columns whose text may break between words.
        least: headings of columns that may be left out, the first one first.
    """

    def __init__(
        self,
        headings: Sequence[str],
        *,
        numbers: Sequence[str] = (),
        prose: Sequence[str] = (),
        least: Sequence[str] = (),
    ) -> None:
        self.headings = list(headings)
        self.rows: list[list[Text]] = []
        self._numbers, self._prose, self._least = set(numbers), set(prose), list(least)
        self._rules: set[int] = set()

    def add_row(self, *values: object) -> None:
        """Add a row; None is an empty cell, and a `Text` brings its style along."""
        self.rows.append([_cell(value) for value in values])

    def add_rule(self) -> None:
        """Add a line below the last row, as above a total."""
        self._rules.add(len(self.rows))

    def show(self, console: Console, margin: int = 0) -> None:
        """Print the table; where it is no terminal, as wide as it is.

        Args:
            margin: blanks before each line.
        """
        kept = list(range(len(self.headings)))
        widths = self._fitted(kept, console, margin)
        left_out: list[str] = []
        least = list(self._least)
        while widths is None and least:
            left_out.append(least.pop(0))
            kept = [column for column in kept if self.headings[column] not in left_out]
            widths = self._fitted(kept, console, margin)
        if widths is None:
            self._show_as_records(console, margin)
            return
        self._show_lines(console, kept, widths, margin)
        if left_out and self.rows:
            self._say_left_out(console, left_out, margin)

    # --- how wide ------------------------------------------------------------------------

    def _fitted(self, kept: Sequence[int], console: Console, margin: int) -> list[int] | None:
        """Return the widths of these columns; None where they do not fit."""
        widest = [self._widest(column) for column in kept]
        if not console.is_terminal:
            return widest
        room = console.width - margin - _GAP * (len(kept) - 1)
        if sum(widest) <= room:
            return widest
        least = [self._narrowest(column) for column in kept]
        spare = room - sum(least)
        if spare < 0:
            return None
        return self._shared(kept, least, widest, spare)

    def _shared(self, kept: Sequence[int], least: list[int], widest: Sequence[int], spare: int) -> list[int]:
        """Give the room that is left to the prose, by what it asks for."""
        wanted = [
            most - low if self.headings[column] in self._prose else 0
            for column, low, most in zip(kept, least, widest, strict=True)
        ]
        asked = sum(wanted)
        return [
            low + min(want, spare * want // asked if asked else 0)
            for low, want in zip(least, wanted, strict=True)
        ]

    def _widest(self, column: int) -> int:
        return max([_width(self.headings[column]), *(row[column].cell_len for row in self.rows)])

    def _narrowest(self, column: int) -> int:
        heading = _longest_word(self.headings[column])
        if self.headings[column] not in self._prose:
            return max([heading, *(row[column].cell_len for row in self.rows)])
        words = max([heading, *(_longest_word(row[column].plain) for row in self.rows)])
        return max(words, min(self._widest(column), _LEAST_PROSE))

    # --- on the screen -------------------------------------------------------------------

    def _show_lines(self, console: Console, kept: Sequence[int], widths: Sequence[int], margin: int) -> None:
        from rich.text import Text

        rule = Text("─" * (sum(widths) + _GAP * (len(kept) - 1)), style="dim")
        heading = [Text(self.headings[column], style="bold") for column in kept]
        self._show_row(console, kept, heading, widths, margin)
        _print(console, rule, margin)
        for number, row in enumerate(self.rows):
            if number in self._rules:
                _print(console, rule, margin)
            self._show_row(console, kept, [row[column] for column in kept], widths, margin)

    def _show_row(
        self,
        console: Console,
        kept: Sequence[int],
        row: Sequence[Text],
        widths: Sequence[int],
        margin: int,
    ) -> None:
        from itertools import zip_longest

        from rich.text import Text

        wrapped = [_broken(console, cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*wrapped, fillvalue=Text()):
            line = Text()
            for place, (column, part, width) in enumerate(zip(kept, parts, widths, strict=True)):
                blanks = " " * (width - part.cell_len)
                is_right = self.headings[column] in self._numbers
                line.append(" " * _GAP if place else "")
                line.append_text(Text(blanks) + part if is_right else part + Text(blanks))
            line.rstrip()
            _print(console, line, margin)

    def _show_as_records(self, console: Console, margin: int) -> None:
        from rich.text import Text

        from shs_pipeline.cli.terminal import say

        for row in self.rows:
            for column, cell in enumerate(row):
                heading = self.headings[column]
                if not cell.plain:
                    continue
                if column == 0:
                    _print(console, Text(f"{heading}: " if heading else "", style="bold") + cell, margin)
                else:
                    say(console, f"{' ' * (margin + 2)}{heading + ': ' if heading else ''}{cell.plain}")

    def _say_left_out(self, console: Console, left_out: Sequence[str], margin: int) -> None:
        from shs_pipeline.cli.terminal import say

        names = [" ".join(heading.split()) for heading in left_out if heading.strip()]
        if names:
            say(console, f"{' ' * margin}Not shown (terminal too narrow): {', '.join(names)}.", "dim")


def _cell(value: object) -> Text:
    from rich.text import Text

    if isinstance(value, Text):
        return Text(plain(value.plain), style=value.style)
    return Text("" if value is None else plain(str(value)))


def _broken(console: Console, cell: Text, width: int) -> list[Text]:
    """Return the lines of a cell: broken between words, never within one."""
    from rich.text import Text

    if cell.cell_len <= width and "\n" not in cell.plain:
        return [cell]
    whole = Text(cell.plain, style=cell.style, overflow="ignore")
    lines = list(whole.wrap(console, width))
    for line in lines:
        line.rstrip()
    return lines


def _print(console: Console, line: Text, margin: int) -> None:
    from rich.text import Text

    console.print(Text(" " * margin) + line if margin else line, soft_wrap=True)


def _width(text: str) -> int:
    from rich.cells import cell_len

    return max((cell_len(part) for part in text.split("\n")), default=0)


def _longest_word(text: str) -> int:
    return max((_width(word) for word in text.split()), default=0)


def table_of(*headings: str, **options: Sequence[str]) -> Table:
    """Return an empty table; `Table` says what the options are."""
    return Table(headings, **options)
