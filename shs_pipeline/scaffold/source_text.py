"""The module of a new source: its contract, its reader and its declaration."""

from __future__ import annotations

from string import Template

from shs_pipeline.casting.kinds import Kind
from shs_pipeline.file_reader.layout.model import GuessedColumn, Role
from shs_pipeline.scaffold.draft import Draft, call, listed, literal

DECIDE = "# Decide:"
"""What a line begins with that a person has to look at."""

_TYPES: dict[Kind, tuple[str, str]] = {
    "text": ("Text", "text"),
    "identifier": ("Text", "identifier"),
    "zip": ("Text", "zip_code"),
    "amount": ("Amount", "amount"),
    "quantity": ("Number", "quantity"),
    "rate": ("Rate", "rate"),
    "day": ("Day", "day"),
}
_MEANS: dict[Role, str] = {
    "customer": "Customer: the territory key.",
    "customer_name": "Customer by name.",
    "invoice": "Invoice number.",
    "item": "Item.",
    "date": "Date of the line: the revenue date.",
    "quantity": "Pieces, negative for a return.",
    "sales": "USD sold, negative for a credit.",
    "rate": "Commission rate as a factor.",
    "earned": "USD of commission, negative for a credit.",
    "rep": "Rep as the file names it.",
}
_UNITS: dict[Kind, str] = {"amount": "USD", "rate": "a factor"}
_NEEDED: tuple[Role, ...] = ("customer", "invoice", "date", "sales", "earned")

_MODULE = Template('''\
"""$title: say in one line what the file is.

From: who sends it, how often, as what kind of file; header in row $header_row.
Quirks: $quirks.
"""

from __future__ import annotations

import pandera.pandas as pa

from shs_pipeline.files import contract
from shs_pipeline.files.contract import headers_of
from shs_pipeline.files.grouped_report import $helpers
from shs_pipeline.files.reading import Reading, SourceFile
from shs_pipeline.files.source import Source
from shs_pipeline.files.workbook.table import read_table

$constants


class $rows(pa.DataFrameModel):
    """One row per line of the report, named as delivered."""

    $note
$fields


def read_$name(file: SourceFile) -> Reading:
    """Read the lines of one report.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    table = read_table(file, headers_of($rows))
$body


SOURCE = Source(
    name="$name",
    title="$title",
    product_line="$title",
    rows=$rows,
    readers={".xlsx": read_$name},
$declared
)
''')


def source_text(draft: Draft) -> str:
    """Return the module."""
    is_grouped = bool(draft.layout.grouped)
    helpers = ["is_total_of_group" if is_grouped else "is_total_row", "reading_of"]
    if draft.layout.plain_totals or draft.layout.has_headings:
        helpers.insert(0, "is_empty_in")
    replace = "Replace these with the file's columns; their descriptions become comments and documentation."
    review = "Describe them: the descriptions become comments and documentation."
    return _MODULE.substitute(
        name=draft.name,
        title=draft.title,
        rows=draft.rows,
        header_row=draft.layout.header_row,
        quirks=_quirks(draft),
        helpers=", ".join(helpers),
        constants="\n".join(_constants(draft)),
        note=f"# {review if draft.is_guessed else replace}",
        fields="\n".join(_field(draft, column) for column in draft.layout.columns),
        body="\n".join(_grouped_body(draft) if is_grouped else _plain_body(draft)),
        declared="\n".join(_declared(draft)),
    )


def _quirks(draft: Draft) -> str:
    if not draft.is_guessed:
        return "what a reader must know that the columns do not say (blank below, subtotals, two sheets …)"
    found = []
    if draft.layout.grouped:
        found.append("some columns are printed once per group and left blank below")
    if draft.layout.totals:
        found.append("rows that say total are left out")
    if draft.layout.plain_totals:
        found.append("rows with amounts alone are totals")
    return "; ".join(found) or "none known"


def _field(draft: Draft, column: GuessedColumn) -> str:
    kind, maker = _TYPES[column.kind]
    roles = [role for role in _MEANS if draft.layout.header_of(role) == column.header]
    arguments = [literal(column.header), literal(_meaning(column, roles))]
    if column.is_blank or not set(roles) & set(_NEEDED):
        arguments.append("blank=True")
    if column.is_long:
        arguments.append("longest=contract.LONGEST_TEXT")
    return call(4, f"{draft.columns[column.header]}: contract.{kind} = contract.{maker}(", arguments)


def _meaning(column: GuessedColumn, roles: list[Role]) -> str:
    if roles:
        # A customer without a number is both key and name.
        return _MEANS[roles[0]]
    unit = _UNITS.get(column.kind)
    return f"{column.header}, {unit}." if unit else f"{column.header}."


def _constants(draft: Draft) -> list[str]:
    layout = draft.layout
    found = [f"AMOUNTS = {listed(draft.amounts)}"]
    if layout.grouped:
        found.append(call(0, "WRITTEN_ONCE = [", list(map(literal, layout.grouped)), "]"))
        found.append(call(0, "BLANK_IN_TOTALS = [", list(map(literal, key_headers(draft))), "]"))
    if layout.plain_totals:
        numbers = [column.header for column in layout.columns if column.kind in ("amount", "quantity")]
        words = [column.header for column in layout.columns if column.header not in numbers]
        found.append(call(0, "BLANK_IN_PLAIN_TOTALS = [", list(map(literal, words)), "]"))
    if layout.has_headings:
        rest = [column.header for column in layout.columns if not column.is_grouped]
        found.append(call(0, "BLANK_IN_HEADINGS = [", list(map(literal, rest)), "]"))
    return found


def key_headers(draft: Draft) -> list[str]:
    """Return the columns of which a line has at least one and a total none."""
    wanted: tuple[Role, ...] = ("invoice", "date", "item", "customer")
    found = [header for role in wanted if (header := draft.layout.header_of(role))]
    if not draft.layout.grouped:
        return found[:2]
    # The subtotal of a customer may name the customer.
    return [header for header in found if header != draft.layout.header_of("customer")] or found


def _plain_totals(draft: Draft) -> list[str]:
    if not draft.layout.plain_totals:
        return []
    return [
        f"    {DECIDE} {draft.layout.plain_totals} rows with amounts and no words are taken for totals.",
        "    is_total |= is_empty_in(table.lines, BLANK_IN_PLAIN_TOTALS)",
    ]


def _plain_body(draft: Draft) -> list[str]:
    keys = list(map(literal, key_headers(draft)))
    return [
        call(4, "is_total = is_total_row(", ["table.lines", *keys]),
        *_plain_totals(draft),
        f"    return reading_of(table, {draft.rows}, ~is_total, is_total=is_total, amounts=AMOUNTS)",
    ]


def _grouped_body(draft: Draft) -> list[str]:
    has_headings = draft.layout.has_headings
    arguments = [
        "table",
        draft.rows,
        "~is_total & ~is_heading" if has_headings else "~is_total",
        "is_total=is_total",
        "amounts=AMOUNTS",
        "written_once=WRITTEN_ONCE",
        *(["is_fed_by=~is_total"] if has_headings else []),
    ]
    heading = ["    is_heading = is_empty_in(table.lines, BLANK_IN_HEADINGS)"] if has_headings else []
    return [
        "    is_total = is_total_of_group(table.lines, WRITTEN_ONCE, BLANK_IN_TOTALS, AMOUNTS)",
        *_plain_totals(draft),
        *heading,
        call(4, "return reading_of(", arguments),
    ]


def _declared(draft: Draft) -> list[str]:
    """Return what the declaration says of the columns, with a mark where a person must decide."""
    date, customer = draft.column_of("date"), draft.layout.header_of("customer")
    key = draft.sale_key
    amounts = [draft.columns[header] for header in draft.amounts]
    lines = [
        *_mark(draft, "by which date revenue counts", "date"),
        f"    revenue_date={literal(date) if date else None},",
    ]
    if date is None:
        lines.append('    revenue_month_given={".xlsx": True},')
    lines += [
        *_mark(draft, "dollars sold, then dollars earned", "sales", "earned"),
        f"    amounts={listed(amounts)},",
        call(4, "sale_key=(", list(map(literal, key)), "),")
        if len(key) > 1
        else f"    sale_key={listed(key)},",
    ]
    if customer:
        lines += [
            *_mark(draft, "the territory key, as `Customer field` names it", "customer"),
            f"    customer_fields={listed([customer])},",
        ]
    return lines


def _mark(draft: Draft, what: str, *roles: Role) -> list[str]:
    found = draft.undecided(*roles)
    return [f"    {DECIDE} {what} ({found.because})."] if found else []
