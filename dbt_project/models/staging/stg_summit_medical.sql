with

lines as (

    select * from {{ source('raw', 'summit_medical') }}

)

select
    lines.file_id,
    lines.source_sheet,
    lines.source_row,
    'summit_medical' as source,
    'Summit Medical' as product_line,
    null::text as rep_in_file,
    'Client Name: ' || lines.client_name as territory_1,
    'ZIP Code: ' || lines.zip_code as territory_2,
    'State: ' || lines.state as territory_3,
    lines.client_name as customer,
    lines.invoice_number as invoice_number,
    lines.item_id as item,
    null::numeric as quantity,
    lines.net_sales_amount as sales_actual,
    lines.comm_amount as rev_actual,
    false as is_rep_in_file,
    date_trunc('month', lines.revenue_date)::date as territory_date,
    lines.revenue_date,
    lines.commission_month,
    lines.sale_key

from lines
