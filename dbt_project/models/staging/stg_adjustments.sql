{#- Adjustments hold no sales: they have a model of their own, and are in none of those that lines go through. -#}
with

lines as (

    select * from {{ source('raw', 'adjustments') }}

),

files as (

    select * from {{ source('ops', 'files') }} where source = 'adjustments'

),

payees as (

    select * from {{ source('reference', 'payee_names') }}

),

product_lines as (

    select * from {{ source('reference', 'product_line_names') }}

)

select
    files.path as source_file,
    files.actor,
    lines.source_sheet,
    payees.payee_id,
    lines.sales_rep_name as rep_in_file,
    coalesce(product_lines.product_line_id, '') as product_line_id,
    coalesce(product_lines.product_line, lines.product_line, '') as product_line,
    lines.kind,
    lines.reason,
    lines.approved_by,
    lines.reference,
    lines.source_row,
    lines.amount::numeric(15, 2) as amount,
    lines.commission_month as pay_period

from lines
inner join files using (file_id)
left join payees on payees.name_key = ops.match_key(lines.sales_rep_name)
left join product_lines on product_lines.name_key = ops.match_key(lines.product_line)
