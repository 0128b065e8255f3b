with

lines as (

    select * from {{ source('raw', 'logiquip') }}

)

select
    lines.file_id,
    lines.source_sheet,
    lines.source_row,
    'logiquip' as source,
    'Logiquip' as product_line,
    null::text as rep_in_file,
    'SteppingStone: ' || left(lines.ship_to_zip, 5) || '; ' || lines.customer as territory_1,
    null::text as territory_2,
    null::text as territory_3,
    lines.customer as customer,
    lines.doc_num as invoice_number,
    lines.item_class as item,
    null::numeric as quantity,
    lines.doc_amt as sales_actual,
    lines.comm_amt as rev_actual,
    false as is_rep_in_file,
    lines.revenue_date as territory_date,
    lines.revenue_date,
    lines.commission_month,
    lines.sale_key

from lines
