"""The draft of a new source: its name and title, its file's layout, and names for the columns."""

from __future__ import annotations

import json
import keyword
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

from shs_pipeline.file_reader.layout.model import GuessedColumn, GuessedRole, Layout, Role

WIDTH = 110
"""Characters of a line of code, as in `pyproject.toml`."""
_LONGEST_COLUMN = 50

# Words that PostgreSQL takes for no column without quotes.
_SQL_WORDS = """
all analyse analyze and any array as asc asymmetric authorization between binary both case cast check collate
column concurrently constraint create cross current_date current_time current_user default deferrable desc
distinct do else end except false fetch for foreign freeze from full grant group having ilike in initially
inner intersect into is isnull join lateral leading left like limit localtime natural not notnull null offset
on only or order outer overlaps placing primary references returning right select session_user similar some
symmetric table tablesample then to trailing true union unique user using variadic verbose when where window
with
"""
# Columns that every raw table has beside the file's own, and names that the module itself uses.
_OURS = """
file_id source_sheet source_row commission_month revenue_date sale_key line_id source product_line
contract pa lines own shared
"""
_TAKEN = frozenset((_SQL_WORDS + _OURS).split())


@dataclass(frozen=True)
class Draft:
    """A source to come.

    Attributes:
        is_guessed: whether the layout was guessed from a file, so that a person has to look at it.
    """

    name: str
    title: str
    layout: Layout
    is_guessed: bool

    @property
    def rows(self) -> str:
        """Name of the contract's class."""
        return f"{self.name.title().replace('_', '')}Rows"

    @cached_property
    def columns(self) -> dict[str, str]:
        """Name in the database of each column, by its heading."""
        names: dict[str, str] = {}
        for column in self.layout.columns:
            names[column.header] = _unused(_column_name(column), set(names.values()))
        return names

    @property
    def amounts(self) -> list[str]:
        """The headings of the dollars sold and earned; one where the file has one only."""
        found = (self.layout.header_of("sales"), self.layout.header_of("earned"))
        return list(dict.fromkeys(header for header in found if header))

    def column_of(self, role: Role) -> str | None:
        """Return the database name of the column with a role, if there is one."""
        header = self.layout.header_of(role)
        return self.columns[header] if header else None

    @property
    def sale_key(self) -> list[str]:
        """The database names of what names a sale: invoice, item and date, or customer, item and date."""
        roles: tuple[Role, ...] = ("invoice", "item", "date")
        if self.column_of("invoice") is None:
            roles = ("customer", "customer_name", "rep", "item", "date")
        return list(dict.fromkeys(column for role in roles if (column := self.column_of(role))))

    def undecided(self, *roles: Role) -> GuessedRole | None:
        """Return the first of these roles that a person has to look at."""
        found = (self.layout.roles.get(role) for role in roles)
        return next((role for role in found if self.is_guessed and role and not role.is_sure), None)

    @property
    def names_rep(self) -> bool:
        """Whether the file says who the rep is, and no customer from whom it would follow."""
        return self.layout.header_of("customer") is None and self.layout.header_of("rep") is not None


def literal(text: str) -> str:
    """Return a text as it stands in Python, in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def listed(items: list[str]) -> str:
    """Return a tuple of texts as it stands in Python."""
    return f"({', '.join(map(literal, items))}{',' if len(items) == 1 else ''})"


def call(margin: int, head: str, arguments: list[str], tail: str = ")") -> str:
    """Return a call, a tuple or a list as the formatter breaks it: whole, below its head, or one per line."""
    space = " " * margin
    whole = f"{space}{head}{', '.join(arguments)}{tail}"
    if len(whole) <= WIDTH:
        return whole
    inner = f"{space}    {', '.join(arguments)}"
    if len(inner) <= WIDTH and not tail.startswith(("]", "),", "},")):
        return f"{space}{head}\n{inner}\n{space}{tail}"
    lines = "".join(f"{space}    {argument},\n" for argument in arguments)
    return f"{space}{head}\n{lines}{space}{tail}"


def _column_name(column: GuessedColumn) -> str:
    text = column.header.replace("%", " percent ").replace("$", " dollars ").replace("#", " number ")
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text)
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")[:_LONGEST_COLUMN].strip("_")
    if not name or name[0].isdigit():
        name = f"column_{name or column.position + 1}"
    is_taken = name in _TAKEN or keyword.iskeyword(name)
    return f"{name}_in_file" if is_taken or _is_of_models(name) else name


def _is_of_models(name: str) -> bool:
    """Whether every contract has something of this name, such as `validate`."""
    import pandera.pandas as pa

    return hasattr(pa.DataFrameModel, name) or name.startswith("__")


def _unused(name: str, taken: set[str]) -> str:
    number = 2
    unused = name
    while unused in taken:
        unused, number = f"{name}_{number}", number + 1
    return unused
