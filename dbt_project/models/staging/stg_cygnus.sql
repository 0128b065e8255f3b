with

lines as (

    select * from {{ source('raw', 'cygnus') }}

)

select
    lines.file_id,
    lines.source_sheet,
    lines.source_row,
    'cygnus' as source,
    'Cygnus' as product_line,
    null::text as rep_in_file,
    'Name: ' || lines.name as territory_1,
    null::text as territory_2,
    null::text as territory_3,
    lines.name as customer,
    lines.invoice as invoice_number,
    lines.sku as item,
    null::numeric as quantity,
    lines.invoice_total as sales_actual,
    lines.total_rep_due as rev_actual,
    false as is_rep_in_file,
    date_trunc('month', lines.revenue_date)::date as territory_date,
    lines.revenue_date,
    lines.commission_month,
    lines.sale_key

from lines
