{#- The rows that a workbook has for a rep and a product line, by the ids of both: one for each pair and `grain`.
    A rep is somebody whom sales_reps knows: a name that it does not know has no row. A name and what it was
    called before may both have a row: that of today's name counts.

    relation    staging model with `state`, `rep_key` and `product_key`
    grain       its column of time
    columns     select list; the staging rows are called `rows`, the people `payees`, the names `product_lines` -#}
{% macro rows_by_id(relation, grain, columns) -%}
with

reps as (

    select * from {{ ref('names') }} where kind = 'rep'

),

product_lines as (

    select * from {{ ref('names') }} where kind = 'product line'

),

payees as (

    select * from {{ ref('payees') }}

)

select distinct on (rows.state, payees.payee_id, product_lines.id, rows.{{ grain }})
    {{ columns | join(',\n    ') }}

from {{ ref(relation) }} as rows
inner join reps on reps.state = rows.state and reps.name_key = rows.rep_key
inner join payees on payees.state = reps.state and payees.payee_id = reps.id
inner join product_lines on product_lines.state = rows.state and product_lines.name_key = rows.product_key
order by
    rows.state,
    payees.payee_id,
    product_lines.id,
    rows.{{ grain }},
    rows.rep_key <> payees.name_key,
    rows.product_key <> ops.match_key(product_lines.name),
    rows.rep_key collate "C",
    rows.product_key collate "C"
{%- endmacro %}
