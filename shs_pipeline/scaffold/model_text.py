"""The staging model of a new source and the yml beside it."""

from __future__ import annotations

import textwrap
from string import Template

from shs_pipeline.scaffold.draft import Draft

_SQL = Template("""\
with

lines as (

    select * from {{ source('raw', '$name') }}

)

select
    lines.file_id,
    lines.source_sheet,
    lines.source_row,
    '$name' as source,
    '$title' as product_line,
    $rep as rep_in_file,
    $territory as territory_1,
    null::text as territory_2,
    null::text as territory_3,
    $customer as customer,
    $invoice as invoice_number,
    $item as item,
    $quantity as quantity,
    lines.$sales as sales_actual,
    lines.$earned as rev_actual,
    $is_rep_in_file as is_rep_in_file,
    date_trunc('month', lines.revenue_date)::date as territory_date,
    lines.revenue_date,
    lines.commission_month,
    lines.sale_key

from lines
""")

_YML = Template("""\
sources:
  - name: raw
    schema: raw
    description: The parsed, validated lines of every source, as delivered.
    tables:
      - name: $name
        config:
          meta:
            dagster:
              asset_key: ["raw", "$name"]

models:
  - name: stg_$name
    description: >
$description
""")


def staging_sql(draft: Draft) -> str:
    """Return the model: the source's lines in the columns that all sources share."""
    key, name = draft.column_of("customer"), draft.column_of("customer_name")
    names = [f"lines.{column}" for column in dict.fromkeys((name, key)) if column]
    customer = f"coalesce({', '.join(names)})" if len(names) > 1 else (names or ["null::text"])[0]
    field = (draft.layout.header_of("customer") or "").replace("'", "''")
    return _SQL.substitute(
        name=draft.name,
        title=draft.title.replace("'", "''"),
        rep=f"lines.{draft.column_of('rep')}" if draft.names_rep else "null::text",
        territory=f"'{field}: ' || lines.{key}" if key else "null::text",
        customer=customer,
        invoice=_or_null(draft.column_of("invoice")),
        item=_or_null(draft.column_of("item")),
        quantity=_or_null(draft.column_of("quantity"), "numeric"),
        sales=draft.column_of("sales"),
        earned=draft.column_of("earned"),
        is_rep_in_file="true" if draft.names_rep else "false",
    )


def staging_yml(draft: Draft) -> str:
    """Return the declaration of the raw table and the description of the model."""
    layout = draft.layout
    whose = (
        f"the owner of the {layout.header_of('customer')}"
        if layout.header_of("customer")
        else "the one that the file names"
    )
    text = (
        f"One row per line of {draft.title}, in the columns that all sources share. sales_actual is "
        f"{layout.header_of('sales')}, rev_actual {layout.header_of('earned')}; the rep is {whose}."
    )
    margin = " " * 6
    description = textwrap.fill(
        text, 96, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
    )
    return _YML.substitute(name=draft.name, description=description)


def _or_null(column: str | None, kind: str = "text") -> str:
    return f"lines.{column}" if column else f"null::{kind}"
