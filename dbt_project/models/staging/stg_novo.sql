with

lines as (

    select * from {{ source('raw', 'novo') }}

)

select
    lines.file_id,
    lines.source_sheet,
    lines.source_row,
    'novo' as source,
    'Surgical Instruments' as product_line,
    null::text as rep_in_file,
    'Customer Number: ' || lines.customer_number as territory_1,
    null::text as territory_2,
    null::text as territory_3,
    coalesce(lines.bill_to_name, lines.customer_number) as customer,
    lines.invoice_number as invoice_number,
    lines.item_code as item,
    lines.qty_shipped as quantity,
    lines.extension as sales_actual,
    lines.commission_amount as rev_actual,
    false as is_rep_in_file,
    date_trunc('month', lines.revenue_date)::date as territory_date,
    lines.revenue_date,
    lines.commission_month,
    lines.sale_key

from lines
