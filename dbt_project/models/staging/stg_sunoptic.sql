with

lines as (

    select * from {{ source('raw', 'sunoptic') }}

)

select
    lines.file_id,
    lines.source_sheet,
    lines.source_row,
    'sunoptic' as source,
    'Sunoptic' as product_line,
    null::text as rep_in_file,
    'Customer ID: ' || lines.customer_id as territory_1,
    null::text as territory_2,
    null::text as territory_3,
    coalesce(lines.bill_name, lines.customer_id) as customer,
    lines.invoice_id as invoice_number,
    lines.item_id as item,
    lines.ship_qty as quantity,
    lines.line_amount as sales_actual,
    lines.commission_amount as rev_actual,
    false as is_rep_in_file,
    date_trunc('month', lines.revenue_date)::date as territory_date,
    lines.revenue_date,
    lines.commission_month,
    lines.sale_key

from lines
