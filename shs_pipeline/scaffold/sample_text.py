"""The writer of a new source's samples: files with the same columns, and nothing of the real one."""

from __future__ import annotations

from string import Template

from shs_pipeline.casting.kinds import Kind
from shs_pipeline.file_reader.layout.model import GuessedColumn, Role
from shs_pipeline.file_reader.layout.words import words_of
from shs_pipeline.scaffold.draft import Draft, call, literal

_KINDS: dict[Kind, str] = {
    "text": "TEXT",
    "identifier": "IDENTIFIER",
    "zip": "ZIP",
    "amount": "MONEY",
    "quantity": "NUMBER",
    "rate": "RATE",
    "day": "DATE",
}
_VALUES: dict[Kind, str] = {
    "text": 'plan.rng.choice(("Standard", "Special"))',
    "identifier": "str(plan.rng.randint(100000, 999999))",
    "zip": "customer.zip",
    "amount": "plan.amount(20, 400)",
    "quantity": "Decimal(plan.rng.randint(0, 9))",
    "rate": 'Decimal("0.05")',
    "day": "plan.revenue_day()",
}
_OF_CUSTOMER = {
    "street": "street",
    "address": "street",
    "city": "city",
    "state": "state",
    "st": "state",
    "hospital": "name",
    "name": "name",
    "customer": "name",
}
_DEFAULT_RATE = "0.07"

_SAMPLE = Template('''\
"""$title: say in one line what the sample shows."""

from __future__ import annotations

from decimal import Decimal

from shs_pipeline.samples.plan import $plan
from shs_pipeline.samples.sheet import Kind, SheetWriter
from shs_pipeline.samples.world import $world

COLUMNS = {
$columns
}
$constants

def $name(plan: Plan) -> SampleFile:
    """Make one report: header in row $header_row."""
$writer
$body
    return sheet.sample(f"$title {plan.month:%Y-%m}.xlsx"$month)

$functions''')


def sample_text(draft: Draft) -> str:
    """Return the module."""
    layout = draft.layout
    grouped = layout.grouped
    columns = [f"    {literal(c.header)}: Kind.{_kind_name(draft, c)}," for c in layout.columns]
    functions = _functions(draft)
    plan = ["Plan", "SampleFile", *(["cents"] if "cents(" in functions else [])]
    if draft.column_of("date") is None:
        plan.append("month_after")
    return _SAMPLE.substitute(
        name=draft.name,
        title=draft.title,
        plan=", ".join(plan),
        world="CUSTOMERS, Customer" if grouped else "CUSTOMERS",
        columns="\n".join(columns),
        constants="\n".join(_constants(draft)),
        header_row=layout.header_row,
        writer=_writer(draft),
        body="\n".join(_grouped_body(draft) if grouped else _plain_body(draft)),
        month="" if draft.column_of("date") else ", revenue_month=month_after(plan.month, -1)",
        functions=functions,
    )


def _kind_name(draft: Draft, column: GuessedColumn) -> str:
    return "NAME" if column.header == draft.layout.header_of("customer_name") else _KINDS[column.kind]


def _constants(draft: Draft) -> list[str]:
    layout = draft.layout
    found = []
    if layout.grouped:
        found.append(call(0, "GROUPED = (", list(map(literal, layout.grouped)), ")"))
        if len(layout.grouped) == 1:
            found = [f"GROUPED = ({literal(layout.grouped[0])},)"]
    if len(layout.rates) > 1:
        found.append(call(0, "_RATES = (", [f"Decimal({literal(rate)})" for rate in layout.rates], ")"))
    return [*found, ""]


def _writer(draft: Draft) -> str:
    layout = draft.layout
    arguments = ["plan", "COLUMNS"]
    if layout.header_row > 1:
        arguments.append(f"header_row={layout.header_row}")
        arguments.append(f"titles=[{literal(draft.title)}]")
    if layout.grouped:
        arguments.append("grouped=GROUPED")
    first = min(column.position for column in layout.columns) + 1
    if first > 1:
        arguments.append(f"first_column={first}")
    return call(4, "sheet = SheetWriter(", arguments)


def _plain_body(draft: Draft) -> list[str]:
    label = _label_column(draft)
    lines = ["    for _ in range(plan.lines):", "        sheet.line(_line(plan))"]
    if draft.layout.totals and label:
        lines.append('    if plan.has("total", 2):')
        sums = list(map(literal, draft.amounts))
        lines.append(call(8, "sheet.total(", [literal(label), literal("Grand Total"), "sheet.lines", *sums]))
    return lines


def _grouped_body(draft: Draft) -> list[str]:
    outer = literal(draft.layout.grouped[0])
    sums = list(map(literal, draft.amounts))
    lines = [
        "    while len(sheet.lines) < plan.lines:",
        "        customer = plan.rng.choice(CUSTOMERS)",
        "        group, first = _group(plan, customer), len(sheet.lines)",
    ]
    if draft.layout.has_headings:
        lines += ["        if plan.chance(0.4):", "            sheet.heading(group)"]
    lines += [
        "        for _ in range(min(plan.lines - first, plan.rng.choice((1, 2, 3)))):",
        f"            sheet.line({{**group, **_line({_given_to_line(draft)})}})",
    ]
    if draft.layout.totals > 1:
        lines.append("        if plan.has_total():")
        label = f'f"{{group[{outer}]}} Total"'.replace('["', "['").replace('"]', "']")
        lines.append(call(12, "sheet.total(", [outer, label, "sheet.lines[first:]", *sums]))
    if draft.layout.totals:
        lines.append(call(4, "sheet.total(", [outer, literal("Grand Total"), "sheet.lines", *sums]))
    return lines


def _label_column(draft: Draft) -> str | None:
    """Return the first column of words: a total says there what it is."""
    return next((c.header for c in draft.layout.columns if c.kind in ("text", "identifier")), None)


def _functions(draft: Draft) -> str:
    layout = draft.layout
    once = [column for column in layout.columns if column.is_grouped]
    each = [column for column in layout.columns if not column.is_grouped]
    rate = f'Decimal("{(layout.rates or (_DEFAULT_RATE,))[0]}")' if len(layout.rates) < 2 else None
    drawn = f"sold, rate = plan.sale(50, 2500), {rate or 'plan.rng.choice(_RATES)'}"
    if len(draft.amounts) < 2 and "rate" not in layout.roles:
        drawn = "sold = plan.sale(50, 2500)"
    if not once:
        customer = "    customer = plan.rng.choice(CUSTOMERS)\n"
        return _function(draft, "_line", "plan: Plan", each, f"{customer}    {drawn}\n")
    given = "plan: Plan, customer: Customer"
    of_line = given if "customer" in _given_to_line(draft) else "plan: Plan"
    group = _function(draft, "_group", given, once, "")
    return f"{group}\n{_function(draft, '_line', of_line, each, f'    {drawn}' + chr(10))}"


def _given_to_line(draft: Draft) -> str:
    each = [column for column in draft.layout.columns if not column.is_grouped]
    return "plan, customer" if any("customer." in _value(draft, c) for c in each) else "plan"


def _function(draft: Draft, name: str, given: str, columns: list[GuessedColumn], first: str) -> str:
    rows = "".join(f"        {literal(c.header)}: {_value(draft, c)},\n" for c in columns)
    return f"\ndef {name}({given}) -> dict[str, object]:\n{first}    return {{\n{rows}    }}\n"


def _value(draft: Draft, column: GuessedColumn) -> str:
    """Return the expression that makes up a cell."""
    roles: dict[Role, str] = {
        "sales": "sold",
        "earned": "cents(sold * rate)",
        "rate": "rate",
        "date": "plan.revenue_day()",
        "quantity": "Decimal(plan.rng.choice((1, 1, 2, 5))).copy_sign(sold)",
        "invoice": "str(plan.number())",
        "item": 'f"IT-{plan.rng.randint(10, 99)}"',
        "customer_name": "customer.name",
        "customer": "customer.name" if column.kind == "text" else "str(20000 + customer.number)",
    }
    for role, value in roles.items():
        if draft.layout.header_of(role) == column.header:
            return value
    if not column.filled:
        return "None"
    of_customer = [_OF_CUSTOMER[word] for word in words_of(column.header) if word in _OF_CUSTOMER]
    if column.kind == "text" and of_customer:
        return f"customer.{of_customer[-1]}"
    return _VALUES[column.kind]
