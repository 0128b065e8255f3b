with

lines as (

    select * from {{ source('raw', 'ternio') }}

)

select
    lines.file_id,
    lines.source_sheet,
    lines.source_row,
    'ternio' as source,
    'Miscellaneous' as product_line,
    null::text as rep_in_file,
    'Client Name: ' || lines.client_name as territory_1,
    null::text as territory_2,
    null::text as territory_3,
    lines.client_name as customer,
    lines.num as invoice_number,
    lines.memo_description as item,
    null::numeric as quantity,
    lines.paid as sales_actual,
    lines.paid * 0.07 as rev_actual,
    false as is_rep_in_file,
    lines.revenue_date as territory_date,
    lines.revenue_date,
    lines.commission_month,
    lines.sale_key

from lines
