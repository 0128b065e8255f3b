"""The dbt model `sales_history_<source>`, written from the source's contract: its own columns, credited."""

from __future__ import annotations

import textwrap

from shs_pipeline.files.contract import columns_of
from shs_pipeline.files.source import Source

_ABOVE = {
    "credit_id": ("text", "Line, or part of a line, in harmonised_sales."),
    "line_id": ("text", "Line in harmonised_sales."),
    "product_line": ("text", "Product line, as the source or the service map spells it."),
    "payee_id": ("text", "Id of the rep whose sale it is; null while it is uncredited."),
    "rep_name": ("text", "Rep whose sale it is; null while it is uncredited."),
    "credit_status": ("text", "credited, no_tier_rate, unknown_rep or no_territory."),
}
_BELOW = {
    "credit_share": ("numeric", "Share of the line that is credited to the rep; 1 if it is not divided."),
    "source_file": ("text", "Path of the file in the landing zone."),
    "source_sheet": ("text", "Sheet of the workbook, or page of the PDF."),
    "source_row": ("bigint", "Row in the sheet, counting from 1, or line on the page."),
    "revenue_date": ("date", "Revenue recognition date."),
    "commission_month": ("date", "First of the month in which the commission is paid."),
}
_REQUIRED = {"credit_id", "line_id", "product_line", "credit_status", *_BELOW}
# The source's own columns may have the name of one of ours: the shared one is told from it by its prefix.
_PREFIX = "shared_"
_SQL = """\
-- Written by `make docs` from the contract of the source; change that instead.
select
    {columns}

from {{{{ source('raw', '{source}') }}}} as own
inner join {{{{ ref('named_lines') }}}} as lines
    on
        lines.file_id = own.file_id
        and lines.source_sheet = own.source_sheet
        and lines.source_row = own.source_row
inner join {{{{ ref('harmonised_sales') }}}} as shared on shared.line_id = lines.line_id
-- A plain list of months reaches the index of the raw table.
where own.commission_month = any(array(select commission_month from {{{{ ref('changed_slices') }}}}))
"""


def model_files(source: Source) -> dict[str, str]:
    """Return the text of the model and of the yml beside it, by file name."""
    name = f"sales_history_{source.name}"
    return {f"{name}.sql": _sql(source), f"{name}.yml": _yml(source, name)}


def _named(source: Source, ours: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Return the name in the model of each of our columns."""
    own = {column.name for column in columns_of(source.rows)}
    return {name: f"{_PREFIX}{name}" if name in own else name for name in ours}


def _sql(source: Source) -> str:
    chosen = [_chosen("shared", name, shown) for name, shown in _named(source, _ABOVE).items()]
    chosen += [f"own.{column.name}" for column in columns_of(source.rows)]
    chosen += [_chosen("shared", name, shown) for name, shown in _named(source, _BELOW).items()]
    return _SQL.format(columns=",\n    ".join(chosen), source=source.name)


def _chosen(table: str, name: str, shown: str) -> str:
    return f"{table}.{name}" if name == shown else f"{table}.{name} as {shown}"


def _yml(source: Source, name: str) -> str:
    above, below = _named(source, _ABOVE), _named(source, _BELOW)
    columns = [_column(above[n], kind, text, n in _REQUIRED) for n, (kind, text) in _ABOVE.items()]
    columns += [
        _column(column.name, column.sql_type, f"{column.header}: {column.description}", is_required=False)
        for column in columns_of(source.rows)
    ]
    columns += [_column(below[n], kind, text, n in _REQUIRED) for n, (kind, text) in _BELOW.items()]
    month = below["commission_month"]
    return "\n".join(
        [
            "# Written by `make docs` from the contract of the source; change that instead.",
            "models:",
            f"  - name: {name}",
            "    description: >",
            _wrapped(
                f"One row per credited part of a line of {source.title}, mostly the whole line, with the "
                "source's own columns, as delivered with all digits, and the credited rep. A rep sees only "
                "their own lines.",
                6,
            ),
            "    config:",
            "      meta:",
            "        readers: rep",
            f"        payee_column: {above['payee_id']}",
            "        scope:",
            "          relation: changed_slices",
            f"          match: scope.source = '{source.name}' and mart.{month} = scope.commission_month",
            "      indexes:",
            f"        - columns: [{above['payee_id']}, {month}]",
            # With the rep behind it: an index without one counts the lines of others for whoever explains.
            f"        - columns: [{month}, {above['payee_id']}]",
            "    constraints:",
            "      - type: primary_key",
            f"        columns: [{above['credit_id']}]",
            "    columns:",
            *columns,
            "",
        ]
    )


def _column(name: str, kind: str, description: str, is_required: bool) -> str:
    lines = [
        f"      - name: {name}",
        f"        data_type: {kind}",
        "        description: >",
        _wrapped(description, 10),
    ]
    if is_required:
        lines += ["        constraints:", "          - type: not_null"]
    return "\n".join(lines)


def _wrapped(text: str, indent: int) -> str:
    margin = " " * indent
    return textwrap.fill(text, 96, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)
