"""What holds a new source in place: its test, and its entry in the second implementation of the rules."""

from __future__ import annotations

from string import Template

from shs_pipeline.casting.kinds import Kind
from shs_pipeline.file_reader.layout.model import Role
from shs_pipeline.scaffold.draft import Draft, call, literal

_TEST = Template('''\
"""$title: what its reader makes of good and of bad files."""

from __future__ import annotations

from datetime import date

import pytest

from shs_pipeline.files.contract import columns_of, headers_of
from shs_pipeline.files.reading import SourceFile
from shs_pipeline.files.source import FileOutcome, read_file
from shs_pipeline.samples.broken import with_bad_cell
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.sources.$name import SOURCE, $rows

MAX_BYTES = 50 * 2**20
HEADER_ROW = $header_row


def read(content: bytes) -> FileOutcome:
    return read_file(SOURCE, SourceFile("report.xlsx", content$month), MAX_BYTES)


@pytest.mark.parametrize("month", range(1, 13))
def test_every_line_is_read_as_it_was_written(month: int) -> None:
    sample = make_sample("$name", date(2025, month, 1), lines=40, seed=1)

    outcome = read(sample.content)

    assert outcome.errors == []
    assert outcome.lines is not None
    assert all(total.agrees for total in outcome.totals)
    for column in columns_of($rows):
        found = outcome.lines[column.name].tolist()
        assert found == [line[column.header] for line in sample.lines], column.header


def test_a_bad_amount_rejects_the_file_and_is_placed() -> None:
    sample = make_sample("$name", date(2025, 3, 1), lines=10, seed=1)
    row = int(str(sample.lines[4]["source_row"]))

    outcome = read(with_bad_cell(sample.content, $sales, row, "abc"))

    assert outcome.lines is None
    assert [(error.row, error.column) for error in outcome.errors] == [(row, $sales)]


@pytest.mark.parametrize("header", headers_of($rows))
def test_a_missing_column_is_named(header: str) -> None:
    sample = make_sample("$name", date(2025, 3, 1), lines=5, seed=1)

    outcome = read(with_bad_cell(sample.content, header, HEADER_ROW, "something else"))

    # Without its column, the label of a total is gone too, so that more may follow.
    assert outcome.errors[0].column == header
''')

_RULES = Template('''\
"""$title, by the rules and not by our models."""

from __future__ import annotations

${imports}from tests.engine.source_rules import $names


def _line(sale: Sale) -> dict[str, object]:
    return {
$line
    }


RULES = SourceRules(
    product_line="$title",
$rules
    sale_key=$key,
    line=_line,
)
''')


def test_text(draft: Draft) -> str:
    """Return the test of the source."""
    return _TEST.substitute(
        name=draft.name,
        title=draft.title,
        rows=draft.rows,
        header_row=draft.layout.header_row,
        sales=literal(draft.layout.header_of("sales") or ""),
        month="" if draft.column_of("date") else ", revenue_month=date(2025, 3, 1)",
    )


def rules_text(draft: Draft) -> str:
    """Return the entry of the source in `tests/engine/sources`."""
    line = _made_up_line(draft)
    has_pieces = draft.column_of("quantity") is not None
    key = draft.layout.header_of("customer")
    owned = "NUMBERS" if _is_numbered(draft) else "CUSTOMERS"
    rules = [f"    sales={literal(str(draft.column_of('sales')))},"]
    rules.append(f"    rev={literal(str(draft.column_of('earned')))},")
    names = dict.fromkeys((draft.column_of("customer_name"), draft.column_of("customer")))
    rules.append(f"    customer=[{', '.join(literal(name) for name in names if name)}],")
    fields: dict[str, Role] = {"invoice_number": "invoice", "item": "item", "quantity": "quantity"}
    rules += [
        f"    {field}={literal(name)}," for field, role in fields.items() if (name := draft.column_of(role))
    ]
    if draft.names_rep:
        rules.append(f"    rep_column={literal(str(draft.column_of('rep')))},")
    elif key:
        column = literal(str(draft.column_of("customer")))
        rules.append(call(4, "territory_keys=", [f"lambda cell: [({literal(key)}, cell[{column}])]"], ","))
        rules.append(f"    owned={{{literal(key)}: {owned}}},")
    imported = [*([owned] if key else []), "Sale", "SourceRules"]
    return _RULES.substitute(
        title=draft.title,
        imports="from decimal import Decimal\n\n" if has_pieces else "",
        names=", ".join(imported),
        line="\n".join(f"        {literal(name)}: {value}," for name, value in line.items()),
        rules="\n".join(rules),
        key=f"[{', '.join(map(literal, draft.sale_key))}]",
    )


def _is_numbered(draft: Draft) -> bool:
    """Whether customers are known by a number, and not by the name alone."""
    header = draft.layout.header_of("customer")
    kind: Kind = draft.layout.column(header).kind if header else "text"
    return kind != "text" and draft.column_of("customer") != draft.column_of("customer_name")


def _made_up_line(draft: Draft) -> dict[str, str]:
    values: dict[Role, str] = {
        "customer": "sale.customer_number" if _is_numbered(draft) else "sale.customer",
        "customer_name": "sale.customer",
        "invoice": "str(sale.number)",
        "item": 'f"X{sale.number}"',
        "date": "sale.on",
        "quantity": "Decimal(2)",
        "sales": "sale.sales",
        "earned": "sale.rev",
        "rep": "sale.rep",
    }
    line: dict[str, str] = {}
    for role, value in values.items():
        column = draft.column_of(role)
        if column and (role != "rep" or draft.names_rep):
            line.setdefault(column, value)
    return line
