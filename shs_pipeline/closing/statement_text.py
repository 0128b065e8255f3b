"""The statement in a terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shs_pipeline.closing.statement import Statement
from shs_pipeline.closing.statement_layout import Column, Layout, Section, Value, below, laid_out, shown, sums
from shs_pipeline.closing.statement_words import with_sign

_GAP = 2
_NARROWEST = 24


def statement_text(statement: Statement, width: int) -> list[str]:
    """Return a statement as lines of text that fit into a width, as long as the figures do.

    Raises:
        ShsError: it does not add up.
    """
    layout = laid_out(statement)
    lines = _heading(layout, width)
    for section in layout.sections:
        lines += ["", section.title]
        lines += _wrapped(section.note, width) if section.note else []
        if section.groups and section.rows:
            lines += _table(section, width)
    return [*lines, "", layout.receipt]


def _heading(layout: Layout, width: int) -> list[str]:
    name, amount, sentences = layout.headline
    label = max(cell_len(label) for label, _ in layout.facts)
    lines = [
        layout.title,
        *_wrapped(layout.name, width),
        *(_wrapped(layout.mark, width) if layout.mark else []),
    ]
    lines += ["", *(f"{name:<{label}}  {value}" for name, value in layout.facts)]
    lines += ["", f"{name}: {with_sign(amount)}"]
    return lines + [line for sentence in sentences for line in _wrapped(sentence, width)]


def _wrapped(text: str, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=max(width, _NARROWEST))
    return [line.plain.rstrip() for line in Text(text).wrap(console, max(width, _NARROWEST))]


def _table(section: Section, width: int) -> list[str]:
    """Return a section as a table; where it is too wide, its texts stand one below the other."""
    columns = [(place, column) for place, column in enumerate(section.columns) if column.place == "column"]
    texts = [(place, column) for place, column in columns if not column.is_figure]
    figures = [(place, column) for place, column in columns if column.is_figure]
    entries = _entries(section)
    taken = sum(_need(entries, place, column) for place, column in figures)
    room = sum(min(_need(entries, place, column), _NARROWEST) for place, column in texts)
    blocks = [[one] for one in texts] if taken + room <= width else [texts]
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=section.key != "amounts")
    for block in blocks:
        table.add_column(Text(", ".join(column.title for _, column in block)), overflow="fold")
    for _, column in figures:
        table.add_column(Text(column.title), justify="right", no_wrap=True)
    for name, row in entries:
        cells = [name, *[""] * (len(blocks) - 1)] if name else [_block(row, block) for block in blocks]
        if not name and (more := below(row, section)):
            cells[-1] += f"\n{more}"
        table.add_row(*map(Text, cells), *(Text(shown(row[place], column)) for place, column in figures))
    target = io.StringIO()
    Console(file=target, width=max(width, taken + _NARROWEST), color_system=None).print(table)
    return [line.rstrip() for line in target.getvalue().splitlines()]


def _entries(section: Section) -> list[tuple[str, tuple[Value, ...]]]:
    """Return the rows, those of headings and sums with a name."""
    if section.key == "amounts":
        return [("", row) for row in (*section.rows, *section.totals)]
    entries: list[tuple[str, tuple[Value, ...]]] = []
    for group in section.groups:
        if group.title:
            entries.append((f"{group.title}:", (None,) * len(section.columns)))
        entries += [("", row) for row in group.rows]
        if group.title:
            entries.append((group.title, sums(group.rows, section.columns)))
    return entries + [(str(total[0]), total) for total in section.totals]


def _need(entries: Sequence[tuple[str, tuple[Value, ...]]], place: int, column: Column) -> int:
    values = [shown(row[place], column) for name, row in entries if column.is_figure or not name]
    return max(cell_len(text) for text in (*values, column.title)) + _GAP


def _block(row: tuple[Value, ...], block: Sequence[tuple[int, Column]]) -> str:
    return "\n".join(filter(None, (shown(row[place], column) for place, column in block)))
